"""What is asked and told beside the answers: an end that comes near, an offer that changed; and agreeing anew."""

from typing import Any

import pytest

from consent import agreements, campaigns, records, status
from consent.campaign_rules import Plan
from consent.changes import ConsentRef
from consent.errors import AgreementState, BadAgreement, ConsentState
from consent.materiality import is_material, weighing
from consent.revisions import Revision
from consent.states import fold, read_event
from consent.verify import verify_receipt
from kit.clock import DAY, HOUR
from tests.consent.bureau import STAFF, Bureau, person, proposal
from tests.support.catalogue import ANY

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
BEFORE = 14 * DAY
CATEGORIES = [
    {"category": "mobility", "required": True, "sensitivity": 1},
    {"category": "household", "required": False, "sensitivity": 1},
    {"category": "energy_use", "required": False},
]
MATERIAL: list[dict[str, Any]] = [
    {"purpose": "ServiceProvision"},
    {"retention": "P120D"},
    {"duration": "P200D"},
    {"jurisdiction": "US"},
    {"categories": [*CATEGORIES, {"category": "health_checkup", "required": False}]},
    {"categories": [CATEGORIES[0], {**CATEGORIES[1], "required": True}, CATEGORIES[2]]},
    {"categories": [{**CATEGORIES[0], "sensitivity": 2}, *CATEGORIES[1:]]},
]
LIGHT: list[dict[str, Any]] = [
    {"contact": "privacy@bus.example"},
    {"retention": "P30D"},
    {"categories": CATEGORIES[:2]},
]


async def tell(bureau: Bureau) -> int:
    return await bureau.db.bulk(records.tell_people, bureau.sealer, now=bureau.clock.ms(), before=BEFORE)


async def types(bureau: Bureau, account: str, consent_id: str) -> list[str]:
    found = await bureau.db.read(records.history, bureau.sealer, consent_id, account_id=account)
    fold(read_event(each.document) for each in found)  # whatever is told, the events add up
    return [each.document["type"] for each in found]


async def revise(bureau: Bureau, **changed: Any) -> Revision:
    made = await bureau.db.write(
        agreements.revise,
        bureau.agreement,
        proposal=proposal(**changed),
        sensitivities=ANY,
        actor=STAFF,
        now=bureau.clock.ms(),
    )
    await bureau.approve(made.id)
    return made


async def renew(bureau: Bureau, account: str, consent_id: str, revision_id: str) -> ConsentRef:
    return await bureau.db.write(
        records.renew, bureau.sealer, consent_id=consent_id, account_id=account, revision_id=revision_id,
        notice_lang="en", actor=person(account), now=bureau.clock.ms(),
    )  # fmt: skip


async def test_a_coming_end_is_told_once_two_weeks_before(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    bureau.clock.advance(seconds=165 * DAY / 1000)
    assert await tell(bureau) == 0
    before = len(await bureau.log_entries())
    bureau.clock.advance(seconds=2 * DAY / 1000)
    assert (await tell(bureau), await tell(bureau)) == (1, 0)
    assert await types(bureau, hanako, ref.consent_id) == ["given", "notified"]
    assert len(await bureau.log_entries()) == before + 1
    view = await bureau.db.read(records.get, ref.consent_id, account_id=hanako, now=bureau.clock.ms())
    assert view.stands
    await renew(bureau, hanako, ref.consent_id, bureau.revision)
    bureau.clock.advance(seconds=167 * DAY / 1000)
    assert await tell(bureau) == 1  # of the new end, anew


@sqlite_only
async def test_a_short_consent_is_told_of_its_end_in_its_last_third_and_not_when_it_begins(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.give(hanako, until_ms=bureau.clock.ms() + 6 * HOUR)
    assert await tell(bureau) == 0
    bureau.clock.advance(seconds=5 * HOUR / 1000)
    assert await tell(bureau) == 1


@sqlite_only
async def test_a_material_change_cannot_be_declared_away(bureau: Bureau) -> None:
    old = await bureau.db.read(agreements.text_of, bureau.revision)
    for changed in MATERIAL:
        with pytest.raises(BadAgreement) as refused:
            await revise(bureau, **changed, change="non-material")
        assert refused.value.pointer == "/change"
        made = await revise(bureau, **changed)
        assert is_material(old, [made])
        assert len(weighing(old, made)) == 1
        assert made.body["change"] == "material"
        await revise(bureau)  # as it was, so that the next is compared with that


@sqlite_only
async def test_a_material_change_that_was_sent_back_is_not_the_same_as_before_when_it_is_sent_again(
    bureau: Bureau,
) -> None:
    async def offer(change: str) -> Revision:
        return await bureau.db.write(
            agreements.revise, bureau.agreement, proposal=proposal(retention="P120D", change=change),
            sensitivities=ANY, actor=STAFF, now=bureau.clock.ms(),
        )  # fmt: skip

    await offer("material")
    with pytest.raises(BadAgreement):
        await offer("non-material")


@sqlite_only
async def test_what_is_lighter_for_the_resident_may_be_told_only(bureau: Bureau) -> None:
    old = await bureau.db.read(agreements.text_of, bureau.revision)
    for changed in LIGHT:
        made = await revise(bureau, **changed, change="non-material")
        assert made.hash != old.hash
        assert not is_material(old, [made])
        await revise(bureau)


async def test_a_material_change_asks_again_and_the_former_answer_goes_on_meanwhile(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako, "mobility", "household")
    made = await revise(bureau, retention="P120D")
    assert await tell(bureau) == 0  # asking is a campaign's, which staff start
    now = bureau.clock.ms()
    plan = Plan(begins_at=now, deadline_at=now + 30 * DAY, per_hour=60, reminders=0)
    await bureau.db.write(campaigns.start, bureau.agreement, plan, actor=STAFF, now=now)
    assert await campaigns.run(bureau.db, bureau.sealer, bureau.clock) == 1
    assert await types(bureau, hanako, ref.consent_id) == ["given", "requested"]
    view = await bureau.db.read(records.get, ref.consent_id, account_id=hanako, now=bureau.clock.ms())
    assert (view.revision_id, view.stands) == (bureau.revision, True)
    for _ in range(2):  # the second time nothing waits to be put off
        await bureau.db.write(
            records.defer, bureau.sealer, consent_id=ref.consent_id, account_id=hanako, actor=person(hanako),
            now=bureau.clock.ms(),
        )  # fmt: skip
    await renew(bureau, hanako, ref.consent_id, made.id)
    assert await types(bureau, hanako, ref.consent_id) == ["given", "requested", "deferred", "renewed"]
    view = await bureau.db.read(records.get, ref.consent_id, account_id=hanako, now=bureau.clock.ms())
    assert (view.revision_id, view.categories) == (made.id, ("household", "mobility"))
    assert await tell(bureau) == 0


@sqlite_only
async def test_other_words_are_told_and_nobody_is_asked(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    made = await revise(bureau, contact="privacy@bus.example", change="non-material")
    assert await tell(bureau) == 1
    assert await types(bureau, hanako, ref.consent_id) == ["given", "notified"]
    (*_, last) = await bureau.db.read(records.history, bureau.sealer, ref.consent_id, account_id=hanako)
    assert last.document["about"] == {"revision": made.id, "revision_hash": made.hash}
    assert last.document["revision"] == bureau.revision  # the consent stands for the text it was given for


@sqlite_only
async def test_agreeing_anew_takes_along_what_is_needed_and_never_what_is_optional(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    more = [CATEGORIES[0], {**CATEGORIES[1], "required": True}, {"category": "health_checkup", "required": False}]
    made = await revise(bureau, categories=more)
    with pytest.raises(AgreementState):  # the answer counts for the text that was read
        await renew(bureau, hanako, ref.consent_id, bureau.revision)
    await renew(bureau, hanako, ref.consent_id, made.id)
    view = await bureau.db.read(records.get, ref.consent_id, account_id=hanako, now=bureau.clock.ms())
    assert view.categories == ("household", "mobility")


@sqlite_only
async def test_what_is_over_is_not_renewed_nor_put_off(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    bureau.clock.advance(seconds=181 * DAY / 1000)
    with pytest.raises(ConsentState):
        await renew(bureau, hanako, ref.consent_id, bureau.revision)
    assert await tell(bureau) == 0


async def test_the_receipt_of_the_answer_stays_valid_when_something_is_told(bureau: Bureau) -> None:
    """The status of a receipt is its answer's; being told of an end is no answer."""
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    bureau.clock.advance(seconds=170 * DAY / 1000)
    await tell(bureau)
    first, second = await bureau.db.read(records.history, bureau.sealer, ref.consent_id, account_id=hanako)
    assert isinstance(first.place, status.Place)
    assert first.place == second.place
    await bureau.lay()
    made = await bureau.receipts.make(ref.consent_id, account_id=hanako)
    assert verify_receipt(made.content, vkey=bureau.vkey, jwks=bureau.jwks).event["type"] == "given"
    told = await bureau.receipts.make(ref.consent_id, account_id=hanako, event_id=second.id)
    assert verify_receipt(told.content, vkey=bureau.vkey, jwks=bureau.jwks).event["type"] == "notified"
