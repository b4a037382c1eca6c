"""A question that waits: it covers nothing, there is one of it, and its answer goes on in the same record."""

import pytest

from consent import gate, questions, reach, records
from consent.decisions import Refusal
from consent.errors import ConsentState, UnknownConsent
from consent.states import fold, read_event
from kit.clock import DAY
from tests.consent.bureau import STAFF, Bureau, person

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def asked(bureau: Bureau, account: str, **more: object) -> str:
    return await bureau.db.write(
        questions.ask, bureau.sealer, account_id=account, revision_id=bureau.revision, actor=STAFF,
        now=bureau.clock.ms(), **more,
    )  # fmt: skip


async def kinds(bureau: Bureau, account: str, consent: str) -> list[str]:
    """The types of its events, after a check that row, fold and ledger tell one story (I2)."""
    found = await bureau.db.read(records.history, bureau.sealer, consent, account_id=account)
    standing = fold(read_event(each.document) for each in found)
    now = standing.last_at
    view = await bureau.db.read(records.get, consent, account_id=account, now=now)
    assert (view.state, view.until_at) == (standing.state, standing.until_at) or view.until_at <= now
    for each in found:
        assert await bureau.index_of(each.leaf_id) is not None
    return [each.document["type"] for each in found]


async def decided(bureau: Bureau, account: str) -> object:
    return await bureau.db.write(
        gate.judge, account_id=account, member_id=bureau.member, categories=["mobility"], now=bureau.clock.ms()
    )


async def test_a_question_covers_nothing_and_its_answer_is_its_next_event(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    consent = await asked(bureau, hanako)
    found = await decided(bureau, hanako)
    assert isinstance(found, Refusal)
    assert found.reason == "consent_requested"
    assert await asked(bureau, hanako) == consent  # who asks again finds the first one
    await bureau.db.write(
        questions.put_off, bureau.sealer, consent_id=consent, account_id=hanako, actor=person(hanako),
        now=bureau.clock.ms(),
    )  # fmt: skip
    given = await bureau.give(hanako, "mobility", "household")
    assert given.consent_id == consent
    assert await kinds(bureau, hanako, consent) == ["requested", "deferred", "given"]
    with pytest.raises(ConsentState):
        await asked(bureau, hanako)  # it was agreed to
    with pytest.raises(ConsentState):
        await bureau.db.write(
            questions.put_off, bureau.sealer, consent_id=consent, account_id=hanako, actor=person(hanako),
            now=bureau.clock.ms(),
        )  # fmt: skip
    assert not isinstance(await decided(bureau, hanako), Refusal)


@sqlite_only
async def test_an_unanswered_question_lapses_by_the_clock_and_counts_as_nobodys_answer(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    consent = await asked(bureau, hanako)
    bureau.clock.advance(seconds=questions.WAITS / 1000 + 1)
    view = await bureau.db.read(records.get, consent, account_id=hanako, now=bureau.clock.ms())
    assert view.state == "lapsed"
    assert await bureau.sweep() == 1
    assert await kinds(bureau, hanako, consent) == ["requested", "expired"]
    figures = await bureau.db.read(reach.tally, bureau.agreement, now=bureau.clock.ms())
    assert (figures.answered, figures.ended) == (0, 0)
    assert not await bureau.rows("consent_ending")  # nobody was promised anything that now ends
    assert await asked(bureau, hanako) != consent


@sqlite_only
async def test_an_answer_after_the_question_ran_out_is_a_record_of_its_own(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    consent = await asked(bureau, hanako)
    bureau.clock.advance(seconds=questions.WAITS / 1000 + 1)
    assert (await bureau.give(hanako)).consent_id != consent


@sqlite_only
async def test_who_was_told_no_does_not_ask_for_the_same_by_itself(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    consent = await asked(bureau, hanako)
    refused = await bureau.db.write(
        records.refuse, bureau.sealer, account_id=hanako, revision_id=bureau.revision, notice_lang="ja",
        actor=person(hanako), now=bureau.clock.ms(),
    )  # fmt: skip
    assert refused.consent_id == consent
    with pytest.raises(ConsentState):
        await asked(bureau, hanako, by_itself=True)
    assert await asked(bureau, hanako) != consent  # at the service, the person may be asked again


@sqlite_only
async def test_a_recipient_takes_its_questions_back_and_no_consents(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    other = await bureau.approve((await bureau.offer()).id)
    standing = await bureau.give(hanako, revision_id=other.id)
    consent = await asked(bureau, hanako)
    who = {"account_id": hanako, "member_id": bureau.member, "actor": STAFF, "now": bureau.clock.ms()}
    assert len(await bureau.db.write(questions.take_back, bureau.sealer, **who)) == 1
    assert await kinds(bureau, hanako, consent) == ["requested", "ended"]
    assert (await bureau.db.read(records.get, standing.consent_id, account_id=hanako, now=who["now"])).stands
    assert not await bureau.rows("consent_ending")


@sqlite_only
async def test_a_question_is_nobody_elses_and_is_forgotten_with_its_resident(bureau: Bureau) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    consent = await asked(bureau, hanako)
    with pytest.raises(UnknownConsent):
        await bureau.db.write(
            questions.put_off, bureau.sealer, consent_id=consent, account_id=taro, actor=person(taro),
            now=bureau.clock.ms(),
        )  # fmt: skip
    await bureau.db.write(records.forget, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
    assert not [row for row in await bureau.rows("consent_record") if row["account_id"] == hanako]
    assert DAY * 30 == questions.WAITS


@sqlite_only
async def test_asking_and_taking_back_without_end_fills_nobodys_history(bureau: Bureau) -> None:
    """Each question is in the ledger and in the resident's history, answered or not: a service by itself gets three."""
    hanako = await bureau.resident()
    who = {"account_id": hanako, "member_id": bureau.member, "actor": STAFF}
    for _ in range(questions.MOST_UNANSWERED):
        await asked(bureau, hanako, by_itself=True)
        await bureau.db.write(questions.take_back, bureau.sealer, **who, now=bureau.clock.ms())
    with pytest.raises(ConsentState):
        await asked(bureau, hanako, by_itself=True)
    assert await asked(bureau, await bureau.resident("taro"), by_itself=True)  # of that resident alone
    bureau.clock.advance(seconds=questions.WAITS / 1000 + 1)
    assert await asked(bureau, hanako, by_itself=True)
