"""Standing instructions: what they answer, what only the person answers, and what stops them."""

from dataclasses import replace
from typing import Any

import pytest

from consent import gate, instructions, questions, records
from consent.decisions import Refusal
from consent.errors import BadInstruction, ConsentState, InstructionState, UnknownInstruction
from consent.instruction_rules import SPECIAL, Agrees, Asked, Asks, Person, Refuses, Rule, judge, read_rule
from consent.ledger import CONSENT_EVENT, PRIVATE, commitment
from consent.states import fold, read_event
from identity.accounts import Profile, create_account
from identity.errors_account import OutsideMandate
from keys.hashing import TokenHasher
from kit.clock import DAY
from kit.host import SYSTEM, Actor
from tests.consent.bureau import STAFF, Bureau, person

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

RULE = Rule("agree", frozenset({"ImproveTransportMobility"}), frozenset({"mobility"}), frozenset({"mem_bus"}), 6, 1)
REFUSAL = Rule("refuse", frozenset({"ImproveTransportMobility"}), frozenset(), frozenset())
ASKED = Asked(
    member_id="mem_bus", accredited=True, purpose="ImproveTransportMobility", lawful_basis="Consent", jurisdiction="JP",
    required=frozenset({"mobility"}), categories=frozenset({"mobility", "household"}),
    sensitivity={"mobility": 1, "household": 1}, lasts=180 * DAY, asked_at=10,
)  # fmt: skip
GROWN = Person(minor=False, said_otherwise=False)


def said(rule: Rule = RULE, asked: Asked = ASKED, who: Person = GROWN, **when: int) -> Any:
    return judge(rule, asked, who, **{"since": 5, "until": 100, "now": 20, **when})


def test_within_its_range_it_agrees_and_to_nothing_optional_that_it_does_not_name() -> None:
    assert said() == Agrees(frozenset({"mobility"}))
    assert said(replace(RULE, categories=frozenset({"mobility", "household"}))) == Agrees(ASKED.categories)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"sensitivity": {"mobility": SPECIAL, "household": 1}}, "special-care"),
        ({"sensitivity": {}}, "special-care"),  # what nobody rated is as delicate as can be
        ({"sensitivity": {"mobility": 2, "household": 1}}, "categories"),
        ({"lawful_basis": "PublicInterest"}, "lawful-basis"),
        ({"jurisdiction": "US"}, "abroad"),
        ({"purpose": "DirectMarketing"}, "purpose"),
        ({"member_id": "mem_other"}, "recipient"),
        ({"required": frozenset({"mobility", "household"})}, "categories"),
        ({"lasts": 187 * DAY}, "duration"),
        ({"again": True}, "changed-offer"),
        ({"asked_at": 4}, "not-then"),  # asked before it was stated
        ({"asked_at": 21}, "not-then"),
    ],
)
def test_outside_of_its_range_the_person_is_asked(asked: dict[str, Any], reason: str) -> None:
    assert said(asked=replace(ASKED, **asked)) == Asks(reason)


def test_only_the_person_answers_for_a_child_and_comes_back_to_what_they_refused() -> None:
    for rule in (RULE, REFUSAL):
        assert said(rule, who=Person(minor=True, said_otherwise=False)) == Asks("minor")
        assert said(rule, until=20) == Asks("not-then")
    assert said(who=Person(minor=False, said_otherwise=True)) == Asks("said-otherwise")
    assert said(REFUSAL, who=Person(minor=False, said_otherwise=True)) == Refuses()


def test_any_recipient_to_agree_means_any_that_is_accredited() -> None:
    anybody = replace(RULE, recipients=frozenset())
    assert isinstance(said(anybody), Agrees)
    assert said(anybody, replace(ASKED, accredited=False)) == Asks("accreditation")


def test_special_care_is_refused_by_rule_and_never_agreed_to_whatever_the_rule_says() -> None:
    special = replace(ASKED, sensitivity={"mobility": SPECIAL, "household": SPECIAL}, jurisdiction="US")
    assert said(REFUSAL, special) == Refuses()
    bold = replace(RULE, sensitivity=SPECIAL)
    assert said(bold, special) == Asks("special-care")
    optional = replace(ASKED, sensitivity={"mobility": 1, "household": SPECIAL})
    assert said(replace(bold, categories=frozenset({"mobility", "household"})), optional) == Agrees(
        frozenset({"mobility"})
    )


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"purposes": frozenset()}, "/purposes"),
        ({"purposes": frozenset({"Whatever"})}, "/purposes"),
        ({"categories": frozenset()}, "/categories"),
        ({"months": 0}, "/months"),
        ({"months": 13}, "/months"),
        ({"sensitivity": SPECIAL}, "/sensitivity"),
    ],
)
def test_an_instruction_that_agrees_states_its_whole_range(change: dict[str, Any], pointer: str) -> None:
    wrong = replace(RULE, **change).problem()
    assert wrong is not None
    assert wrong[0] == pointer
    assert RULE.problem() is None
    assert REFUSAL.problem() is None
    everything = Rule("refuse", frozenset(), frozenset(), frozenset())
    assert (everything.problem(), said(everything)) == (None, Refuses())
    assert read_rule(RULE.document()) == RULE


# -- on a database


async def state(bureau: Bureau, account: str, rule: Rule | None = None, **more: Any) -> instructions.Instruction:
    values = {
        "rule": rule or replace(RULE, recipients=frozenset({bureau.member})),
        "until_at": bureau.clock.ms() + 100 * DAY,
        "actor": person(account),
        "now": bureau.clock.ms(),
        **more,
    }
    return await bureau.db.write(instructions.state, bureau.sealer, account_id=account, **values)


async def asks(bureau: Bureau, account: str, actor: Actor | None = None, **more: Any) -> str:
    """A service asks from elsewhere."""
    bureau.clock.advance(seconds=1)
    return await bureau.db.write(
        questions.ask, bureau.sealer, account_id=account, revision_id=bureau.revision, by_itself=True,
        actor=actor or Actor("service", "cli_bus", client_id="cli_bus"), now=bureau.clock.ms(), **more,
    )  # fmt: skip


async def events(bureau: Bureau, account: str, consent: str) -> list[dict[str, Any]]:
    """A record's events, after a check that row, fold and ledger tell one story (I2)."""
    found = await bureau.db.read(records.history, bureau.sealer, consent, account_id=account)
    standing = fold(read_event(each.document) for each in found)
    view = await bureau.db.read(records.get, consent, account_id=account, now=standing.last_at)
    assert (view.state, view.categories, view.until_at) == (standing.state, standing.categories, standing.until_at)
    for each in found:
        assert await bureau.index_of(each.leaf_id) is not None
    return [each.document for each in found]


async def view(bureau: Bureau, account: str, consent: str) -> records.RecordView:
    return await bureau.db.read(records.get, consent, account_id=account, now=bureau.clock.ms())


async def stop(bureau: Bureau, account: str, instruction: str, actor: Actor | None = None) -> None:
    await bureau.db.write(
        instructions.stop, bureau.sealer, instruction, account_id=account, actor=actor or person(account),
        now=bureau.clock.ms(),
    )  # fmt: skip


async def test_a_services_question_is_answered_in_its_own_write_under_the_instruction_and_its_revision(
    bureau: Bureau,
) -> None:
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    consent = await asks(bureau, hanako)
    asked, given = await events(bureau, hanako, consent)
    assert (asked["type"], asked["actor"]["authority"], asked["asked"]) == (
        "requested", "recipient", ["energy_use", "household", "mobility"],
    )  # fmt: skip
    assert (given["type"], given["categories"]) == ("given", ["mobility"])
    assert given["actor"] == {
        "kind": "system", "authority": "standing-instruction", "instruction": made.id, "revision": 1,
    }  # fmt: skip
    seen = await view(bureau, hanako, consent)
    assert (seen.state, seen.instruction_id) == ("given", made.id)
    permitted = await bureau.db.write(
        gate.judge, account_id=hanako, member_id=bureau.member, categories=["mobility"], now=bureau.clock.ms()
    )
    assert not isinstance(permitted, Refusal)
    [told] = await bureau.audit("consent.instruction.answered")
    assert told.detail == {"instruction": made.id, "revision": 1, "consent": consent}


async def test_it_refuses_before_it_agrees_and_the_service_may_not_ask_again(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await state(bureau, hanako)
    refusal = await state(bureau, hanako, REFUSAL)
    consent = await asks(bureau, hanako)
    assert [each["type"] for each in await events(bureau, hanako, consent)] == ["requested", "refused"]
    assert (await view(bureau, hanako, consent)).instruction_id == refusal.id
    with pytest.raises(ConsentState):
        await asks(bureau, hanako)


@sqlite_only
async def test_a_question_that_waits_is_never_answered_by_an_instruction_made_after_it(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    consent = await asks(bureau, hanako)
    await state(bureau, hanako)
    assert await asks(bureau, hanako) == consent  # asked again, it is the same question, which waits for the person
    assert [each["type"] for each in await events(bureau, hanako, consent)] == ["requested"]
    assert (await view(bureau, hanako, consent)).state == "requested"


@sqlite_only
async def test_what_the_person_took_back_is_never_given_again_by_an_instruction(bureau: Bureau) -> None:
    """Else a service would only have to ask again, and one tap would not stop anything."""
    hanako = await bureau.resident()
    await state(bureau, hanako)
    consent = await asks(bureau, hanako)
    await bureau.withdraw(hanako, consent)
    again = await asks(bureau, hanako)
    assert again != consent
    assert (await view(bureau, hanako, again)).state == "requested"


@sqlite_only
async def test_what_a_person_brings_or_puts_is_the_persons_to_answer(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await state(bureau, hanako)
    for actor in (SYSTEM, person(hanako), STAFF):
        consent = await asks(bureau, hanako, actor)
        assert (await view(bureau, hanako, consent)).state == "requested"


async def test_stopped_it_answers_nothing_from_that_commit_on_and_stops_once(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    await stop(bureau, hanako, made.id)
    consent = await asks(bureau, hanako)
    assert (await view(bureau, hanako, consent)).state == "requested"
    with pytest.raises(InstructionState):
        await stop(bureau, hanako, made.id)
    with pytest.raises(InstructionState):
        await state(bureau, hanako, instruction_id=made.id)


async def test_a_change_is_its_next_revision_a_chain_of_private_entries(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    bureau.clock.advance(seconds=5)
    changed = await state(bureau, hanako, replace(RULE, months=3, recipients=frozenset()), instruction_id=made.id)
    assert (changed.id, changed.revision) == (made.id, 2)
    await stop(bureau, hanako, made.id)
    found = await bureau.db.read(instructions.history, bureau.sealer, made.id, account_id=hanako)
    documents = [each.document for each in found]
    assert [(each["type"], each["revision"]) for each in documents] == [("set", 1), ("changed", 2), ("stopped", 2)]
    assert documents[0]["previous"] is None
    assert all(each["previous"] for each in documents[1:])
    entries = await bureau.log_entries()
    for each in found:
        index = await bureau.index_of(each.leaf_id)
        assert index is not None
        assert (entries[index][:2], len(entries[index])) == (PRIVATE + CONSENT_EVENT, 34)  # as any consent's event
    raw = b"".join(row["sealed"] for row in await bureau.rows("consent_instruction_event"))
    assert b"ImproveTransportMobility" not in raw
    assert "ImproveTransportMobility" not in str(await bureau.rows("consent_instruction"))


@sqlite_only
async def test_nobody_states_one_for_somebody_else_with_or_without_a_mandate(bureau: Bureau) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    made = await state(bureau, hanako)
    for actor in (person(taro), Actor("resident", taro, mandate_id="mdt_1"), STAFF, SYSTEM):
        with pytest.raises(OutsideMandate):
            await state(bureau, hanako, actor=actor)
        with pytest.raises(OutsideMandate):
            await state(bureau, hanako, actor=actor, instruction_id=made.id)
    for actor in (person(taro), Actor("resident", taro, mandate_id="mdt_1")):
        with pytest.raises(OutsideMandate):
            await stop(bureau, hanako, made.id, actor)
    with pytest.raises(UnknownInstruction):
        await stop(bureau, taro, made.id)
    with pytest.raises(UnknownInstruction):
        await bureau.db.read(instructions.history, bureau.sealer, made.id, account_id=taro)


@sqlite_only
async def test_a_child_states_none_and_none_answers_for_one(bureau: Bureau) -> None:
    child = await bureau.db.write(
        create_account, bureau.sealer, bureau.host.get(TokenHasher), login="sora",
        profile=Profile(name="湊 空", birthdate="2015-05-05"), now=bureau.clock.ms(),
    )  # fmt: skip
    with pytest.raises(InstructionState):
        await state(bureau, child)


@sqlite_only
async def test_it_ends_within_a_year_by_the_clock_and_its_event_follows(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    for until in (bureau.clock.ms(), bureau.clock.ms() + 367 * DAY):
        with pytest.raises(BadInstruction):
            await state(bureau, hanako, until_at=until)
    made = await state(bureau, hanako, until_at=bureau.clock.ms() + DAY)
    bureau.clock.advance(seconds=DAY // 1000)
    consent = await asks(bureau, hanako)
    assert (await view(bureau, hanako, consent)).state == "requested"
    assert await bureau.db.bulk(instructions.sweep, bureau.sealer, now=bureau.clock.ms()) == 1
    assert await bureau.db.bulk(instructions.sweep, bureau.sealer, now=bureau.clock.ms()) == 0
    found = await bureau.db.read(instructions.history, bureau.sealer, made.id, account_id=hanako)
    assert [each.document["type"] for each in found] == ["set", "expired"]


@sqlite_only
async def test_the_receipt_names_the_instruction_as_its_authority(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    consent = await asks(bureau, hanako)
    await bureau.lay()
    receipt = await bureau.receipts.make(consent, account_id=hanako)
    text = receipt.content.decode()
    assert f'"instruction":"{made.id}"' in text
    assert '"authority":"standing-instruction"' in text


@sqlite_only
async def test_erased_nothing_kept_opens_the_entries_and_the_ledger_still_verifies(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    found = await bureau.db.read(instructions.history, bureau.sealer, made.id, account_id=hanako)
    await bureau.db.write(records.forget, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
    assert not await bureau.rows("consent_instruction")
    assert not await bureau.rows("consent_instruction_event")
    entries = await bureau.log_entries()
    index = await bureau.index_of(found[0].leaf_id)
    assert index is not None
    assert entries[index][2:] != commitment(bytes(32), found[0].document)  # without the salt nothing reproduces it
    assert len(await bureau.audit("consent.instruction.stopped")) == 1


@sqlite_only
async def test_a_person_has_twenty_at_most(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "MOST", 1)
    hanako = await bureau.resident()
    made = await state(bureau, hanako)
    with pytest.raises(InstructionState):
        await state(bureau, hanako)
    await stop(bureau, hanako, made.id)
    await state(bureau, hanako)
