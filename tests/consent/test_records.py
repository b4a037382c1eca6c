"""Records: every change is event, row, leaf, audit entry and the end of what rested on it, together or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from consent import agreements, gate, records
from consent.changes import StoredEvent
from consent.decisions import Permit, Refusal
from consent.errors import AgreementState, BadConsent, ConsentState, UnknownConsent
from consent.ledger import CONSENT_EVENT, PRIVATE, commitment, digest, private_entry
from consent.states import fold, read_event
from identity import grants, members
from kit.clock import DAY, HOUR
from kit.db import Session
from kit.host import Actor
from tests.consent.bureau import NAME, STAFF, Bureau, person, proposal
from tests.support.catalogue import ANY


async def judge(bureau: Bureau, account_id: str, *categories: str, **more: Any) -> Permit | Refusal:
    """Inside a write, as the bank does."""
    return await bureau.db.write_core(
        gate.judge,
        account_id=account_id,
        member_id=more.pop("member_id", bureau.member),
        categories=categories or ("mobility",),
        now=bureau.clock.ms(),
        **more,
    )


async def history(bureau: Bureau, account_id: str, consent_id: str) -> tuple[StoredEvent, ...]:
    return await bureau.db.read(records.history, bureau.sealer, consent_id, account_id=account_id)


async def test_giving_makes_event_row_leaf_and_audit_entry(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako, "mobility", "household")
    (event,) = await history(bureau, hanako, given.consent_id)
    assert event.document["type"] == "given"
    assert event.document["categories"] == ["household", "mobility"]
    assert event.document["notice"]["lang"] == "ja"
    (row,) = await bureau.rows("consent_record")
    assert (row["state"], row["categories"]) == ("given", "household mobility")
    assert row["until_at"] == bureau.clock.ms() + 180 * DAY
    entries = await bureau.log_entries()
    index = await bureau.index_of(event.leaf_id)
    assert index is not None
    assert entries[index] == private_entry(commitment(event.salt, event.document))
    (audited,) = await bureau.audit("consent.record.given")
    assert (audited.actor_id, audited.object_id) == (hanako, given.consent_id)
    if bureau.db.single_writer:
        assert given.leaf.index == index


async def test_a_given_consent_permits_what_it_covers_and_nothing_else(bureau: Bureau) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    given = await bureau.give(hanako, "mobility")
    permit = await judge(bureau, hanako, consent_id=given.consent_id)
    assert isinstance(permit, Permit)
    assert (permit.consent_id, permit.revision_id, permit.categories) == (
        given.consent_id,
        bureau.revision,
        ("mobility",),
    )
    assert isinstance(await judge(bureau, hanako), Permit)
    assert await judge(bureau, hanako, "mobility", "household") == Refusal(
        "category_not_covered", given.consent_id, ("household",)
    )
    assert await judge(bureau, hanako, purpose="DirectMarketing") == Refusal("purpose_not_covered", given.consent_id)
    assert await judge(bureau, taro, consent_id=given.consent_id) == Refusal("no_consent")
    assert await judge(bureau, hanako, member_id="mem_other", consent_id=given.consent_id) == Refusal("no_consent")
    assert await judge(bureau, taro) == Refusal("no_consent")


async def test_withdrawal_acts_at_once_and_ends_the_grants(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)

    def grant(session: Session) -> str:
        made = grants.give(
            session,
            account_id=hanako,
            client_id="cli_bus",
            scopes=[],
            details=[{"type": "data_use", "consent": given.consent_id}],
            consent_ids=[given.consent_id],
            actor=person(hanako),
            now=bureau.clock.ms(),
        )
        return made.id

    grant_id = await bureau.db.write(grant)
    assert isinstance(await judge(bureau, hanako, grant_id=grant_id), Permit)
    assert isinstance(await ask(bureau, given.consent_id), Permit)
    before = await bureau.db.counter("tokens")
    await bureau.withdraw(hanako, given.consent_id)
    assert await judge(bureau, hanako, consent_id=given.consent_id) == Refusal("consent_withdrawn", given.consent_id)
    assert await ask(bureau, given.consent_id) == Refusal("consent_withdrawn", given.consent_id)
    ended = await bureau.db.read(grants.find, grant_id)
    assert ended is not None
    assert not ended.active
    assert await bureau.db.counter("tokens") > before
    with pytest.raises(ConsentState):
        await bureau.withdraw(hanako, given.consent_id)


async def ask(bureau: Bureau, consent_id: str, *categories: str, **more: Any) -> Permit | Refusal:
    """Through the cache, as services do."""
    return await bureau.decisions.ask(
        consent_id, recipient=bureau.member, categories=categories or ("mobility",), **more
    )


async def test_expiry_acts_by_the_clock_and_its_event_follows(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako, until_ms=bureau.clock.ms() + HOUR)
    bureau.clock.advance(seconds=3599)
    assert isinstance(await judge(bureau, hanako), Permit)
    assert isinstance(await ask(bureau, given.consent_id), Permit)
    assert await bureau.sweep() == 0
    bureau.clock.advance(seconds=1)
    assert await judge(bureau, hanako) == Refusal("consent_expired", given.consent_id)
    assert await ask(bureau, given.consent_id) == Refusal("consent_expired", given.consent_id)
    (view,) = await bureau.db.read(records.list_for, hanako, now=bureau.clock.ms())
    assert view.state == "expired"
    with pytest.raises(ConsentState, match="run out"):
        await bureau.withdraw(hanako, given.consent_id)
    assert await bureau.sweep() == 1
    assert await bureau.sweep() == 0
    events = await history(bureau, hanako, given.consent_id)
    assert [event.document["type"] for event in events] == ["given", "expired"]
    assert events[1].document["actor"] == {"kind": "system", "authority": "rule"}
    (audited,) = await bureau.audit("consent.record.expired")
    assert audited.actor_kind == "system"


async def test_agreeing_again_renews_the_one_record(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    first = await bureau.give(hanako, "mobility", "household")
    bureau.clock.advance(seconds=60)
    second = await bureau.give(hanako, "mobility")
    assert second.consent_id == first.consent_id
    events = await history(bureau, hanako, first.consent_id)
    assert [event.document["type"] for event in events] == ["given", "renewed"]
    assert isinstance(await judge(bureau, hanako, "household"), Refusal)


async def test_agreeing_after_the_end_begins_a_new_record(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    first = await bureau.give(hanako, until_ms=bureau.clock.ms() + HOUR)
    bureau.clock.advance(seconds=7200)  # nobody swept
    second = await bureau.give(hanako)
    assert second.consent_id != first.consent_id
    events = await history(bureau, hanako, first.consent_id)
    assert [event.document["type"] for event in events] == ["given", "expired"]
    assert isinstance(await judge(bureau, hanako), Permit)


async def test_refusing_is_recorded_and_permits_nothing(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    refused = await bureau.db.write(
        records.refuse,
        bureau.sealer,
        account_id=hanako,
        revision_id=bureau.revision,
        notice_lang="en",
        actor=person(hanako),
        now=bureau.clock.ms(),
    )
    assert await judge(bureau, hanako) == Refusal("consent_refused", refused.consent_id)
    given = await bureau.give(hanako)
    assert given.consent_id != refused.consent_id
    assert isinstance(await judge(bureau, hanako), Permit)


async def test_optional_categories_can_be_added_and_removed_within_the_agreement(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)

    async def change(*categories: str) -> None:
        await bureau.db.write(
            records.change,
            bureau.sealer,
            consent_id=given.consent_id,
            account_id=hanako,
            categories=categories,
            actor=person(hanako),
            now=bureau.clock.ms(),
        )

    await change("mobility", "energy_use")
    assert isinstance(await judge(bureau, hanako, "energy_use"), Permit)
    await change("mobility")
    assert isinstance(await judge(bureau, hanako, "energy_use"), Refusal)
    with pytest.raises(BadConsent, match="cannot do without"):
        await change("energy_use")
    with pytest.raises(BadConsent, match="Not part"):
        await change("mobility", "health_checkup")
    events = await history(bureau, hanako, given.consent_id)
    assert [event.document["type"] for event in events] == ["given", "changed", "changed"]


async def test_refuses_what_does_not_fit_the_agreement(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    with pytest.raises(BadConsent, match="cannot do without: mobility"):
        await bureau.give(hanako, "household")
    with pytest.raises(BadConsent, match="Not part of this agreement"):
        await bureau.give(hanako, "mobility", "salary")
    with pytest.raises(BadConsent, match="at most P180D"):
        await bureau.give(hanako, until_ms=bureau.clock.ms() + 181 * DAY)
    with pytest.raises(BadConsent, match="at most"):
        await bureau.give(hanako, until_ms=bureau.clock.ms())
    with pytest.raises(BadConsent, match="ja and en"):
        await bureau.give(hanako, lang="fr")
    assert await bureau.rows("consent_record") == []


async def test_only_the_approved_revision_in_force_can_be_agreed_to(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    offered = await bureau.offer()
    with pytest.raises(AgreementState):
        await bureau.give(hanako, revision_id=offered.id)
    newer = await bureau.db.write(
        agreements.revise,
        bureau.agreement,
        proposal=proposal(duration="P30D"),
        sensitivities=ANY,
        actor=STAFF,
        now=bureau.clock.ms(),
    )
    given = await bureau.give(hanako)  # the older one is in force until the newer is approved
    await bureau.approve(newer.id)
    with pytest.raises(AgreementState):
        await bureau.give(hanako)
    assert isinstance(await judge(bureau, hanako, consent_id=given.consent_id), Permit)  # stands for its own text


async def test_somebody_elses_consent_is_as_good_as_none(bureau: Bureau) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    given = await bureau.give(hanako)
    with pytest.raises(UnknownConsent):
        await bureau.withdraw(taro, given.consent_id)
    with pytest.raises(UnknownConsent):
        await history(bureau, taro, given.consent_id)
    assert isinstance(await judge(bureau, hanako), Permit)


async def test_a_suspended_member_gets_nothing_from_its_commit_on(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    assert isinstance(await ask(bureau, given.consent_id), Permit)
    await bureau.db.write(members.suspend, bureau.member, actor=STAFF, now=bureau.clock.ms())
    assert await judge(bureau, hanako) == Refusal("member_suspended", given.consent_id)
    assert await ask(bureau, given.consent_id) == Refusal("member_suspended", given.consent_id)
    with pytest.raises(AgreementState):
        await bureau.give(await bureau.resident("taro"))
    await bureau.db.write(members.approve, bureau.member, actor=STAFF, now=bureau.clock.ms())
    assert isinstance(await ask(bureau, given.consent_id), Permit)


async def test_a_withdrawn_agreement_covers_nothing_and_its_consents_get_their_events(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    assert isinstance(await ask(bureau, given.consent_id), Permit)
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    assert await judge(bureau, hanako) == Refusal("agreement_withdrawn", given.consent_id)
    assert await ask(bureau, given.consent_id) == Refusal("agreement_withdrawn", given.consent_id)
    assert await bureau.sweep() == 1
    events = await history(bureau, hanako, given.consent_id)
    assert events[-1].document["type"] == "invalidated"
    assert events[-1].document["reason"] == "agreement_withdrawn"


async def test_the_row_is_what_the_events_add_up_to(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako, "mobility", "household")
    bureau.clock.advance(seconds=5)
    await bureau.give(hanako, "mobility")
    bureau.clock.advance(seconds=-60)  # a clock set back does not make an impossible history
    await bureau.withdraw(hanako, given.consent_id)
    events = await history(bureau, hanako, given.consent_id)
    standing = fold(read_event(event.document) for event in events)
    (row,) = await bureau.rows("consent_record")
    assert (standing.state, " ".join(standing.categories), standing.until_at, standing.events) == (
        row["state"],
        row["categories"],
        row["until_at"],
        row["events"],
    )
    assert events[0].document["previous"] is None
    assert events[1].document["previous"] == digest(events[0].document)


async def test_nothing_personal_and_no_id_is_in_the_log(bureau: Bureau) -> None:
    residents = [await bureau.resident(f"resident{n}") for n in range(4)]
    ids = []
    for account_id in residents:
        given = await bureau.give(account_id, "mobility", "household")
        ids += [account_id, given.consent_id, given.event_id]
    await bureau.withdraw(residents[0], ids[1])
    entries = await bureau.log_entries()
    private = [entry for entry in entries if entry[:1] == PRIVATE]
    assert len(private) == 5
    assert all(len(entry) == 34 and entry[1:2] == CONSENT_EVENT for entry in private)  # given or withdrawn: all alike
    assert len({entry[2:] for entry in private}) == 5
    whole = b"".join(entries)
    for secret in (*ids, NAME, "hanako", "resident0", "mobility\x00"):
        assert secret.encode() not in whole
    for entry in set(entries) - set(private):
        assert not {"account", "subject", "actor"} & orjson.loads(entry[1:]).keys()


async def test_events_are_sealed_at_rest(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.give(hanako)
    (row,) = await bureau.rows("consent_event")
    sealed = bytes(row["sealed"])
    for clear in (b"given", b"mobility", b"lea_", b"salt"):
        assert clear not in sealed


async def test_leaving_withdraws_and_removes_everything_and_the_log_still_verifies(bureau: Bureau) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    given = await bureau.give(hanako)
    await bureau.give(taro)
    before = len(await bureau.log_entries())

    def leave(session: Session) -> list[str]:
        ended = records.forget(session, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
        bureau.sealer.destroy_owner(session, hanako)
        return ended

    assert await bureau.db.write(leave) == [given.consent_id]
    assert len(await bureau.log_entries()) == before + 1
    assert [row["account_id"] for row in await bureau.rows("consent_record")] == [taro]
    assert [row["account_id"] for row in await bureau.rows("consent_event")] == [taro]
    assert await ask(bureau, given.consent_id) == Refusal("no_consent")


async def test_a_failed_change_leaves_neither_entry_nor_change(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    before = await bureau.log_entries()

    def give_and_fail(session: Session) -> None:
        records.give(
            session,
            bureau.sealer,
            account_id=hanako,
            revision_id=bureau.revision,
            categories=["mobility"],
            notice_lang="ja",
            actor=person(hanako),
            now=bureau.clock.ms(),
        )
        raise LookupError

    with pytest.raises(LookupError):
        await bureau.db.write(give_and_fail)
    assert await bureau.log_entries() == before
    assert await bureau.rows("consent_record") == []
    assert await bureau.rows("consent_event") == []


async def test_concurrent_answers_to_one_agreement_end_in_one_standing_consent(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    results = await asyncio.gather(*(bureau.give(hanako) for _ in range(8)), return_exceptions=True)
    done = [each for each in results if not isinstance(each, BaseException)]
    assert done
    assert len({each.consent_id for each in done}) == 1
    rows = await bureau.rows("consent_record")
    assert [row["state"] for row in rows] == ["given"]
    assert rows[0]["events"] == len(done)


async def test_withdrawal_and_disclosure_take_turns(bureau: Bureau) -> None:
    """I1: whoever was permitted was permitted before the withdrawal returned; nobody is afterwards."""
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    returned: list[float] = []
    late: list[float] = []

    async def disclose() -> None:
        for _ in range(20):
            started = asyncio.get_running_loop().time()
            outcome = await judge(bureau, hanako, consent_id=given.consent_id)
            asked = await ask(bureau, given.consent_id)
            if returned and returned[0] < started and (isinstance(outcome, Permit) or isinstance(asked, Permit)):
                late.append(started)

    async def withdraw() -> None:
        await asyncio.sleep(0.01)
        await bureau.withdraw(hanako, given.consent_id)
        returned.append(asyncio.get_running_loop().time())

    await asyncio.gather(withdraw(), *(disclose() for _ in range(8)))
    assert returned
    assert late == []
    assert isinstance(await judge(bureau, hanako), Refusal)


async def test_the_audit_entry_names_no_person(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.give(hanako)
    for entry in await bureau.audit("consent"):
        text = orjson.dumps(entry.detail).decode()
        assert NAME not in text
        assert "hanako" not in text
    assert Actor("resident", hanako) == person(hanako)
