"""Agreements: immutable numbered revisions in a hash chain, decided upon in public."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from consent import agreements
from consent.durations import parse_duration
from consent.errors import AgreementState, BadAgreement, UnknownAgreement
from consent.four_eyes import Hands
from consent.ledger import digest
from consent.revisions import Revision
from identity.errors_account import SecondPersonNeeded
from kit.clock import DAY, HOUR
from kit.encoding import canonical
from tests.consent.bureau import BOARD, STAFF, Bureau, proposal
from tests.support.catalogue import ANY
from tests.support.entries import read_public


async def revise(bureau: Bureau, **changed: Any) -> Revision:
    return await bureau.db.write(
        agreements.revise,
        bureau.agreement,
        proposal=proposal(**changed),
        sensitivities=ANY,
        actor=STAFF,
        now=bureau.clock.ms(),
    )


async def test_a_revision_is_named_by_the_hash_of_its_whole_text(bureau: Bureau) -> None:
    revision = await bureau.db.read(agreements.current, bureau.agreement)
    assert (revision.number, revision.status, revision.predecessor) == (1, "approved", None)
    (row,) = await bureau.rows("consent_revision")
    assert row["body"].encode() == canonical(dict(revision.body))
    assert revision.hash == hashlib.sha256(row["body"].encode()).hexdigest()
    assert revision.recipient.name_ja == "みなとバス"
    assert revision.required == {"mobility"}
    assert revision.notice("ja").hash == digest(revision.notice("ja").document())
    assert revision.notice("fr") == revision.notice("en")


async def test_the_predecessor_is_inside_the_hashed_text(bureau: Bureau) -> None:
    first = await bureau.db.read(agreements.current, bureau.agreement)
    second = await revise(bureau, retention="P30D")
    third = await revise(bureau, retention="P10D")
    assert second.body["predecessor"] == first.hash
    assert third.body["predecessor"] == second.hash
    assert third.hash != digest({**third.body, "predecessor": first.hash})
    assert [each.number for each in await bureau.db.read(agreements.revisions, bureau.agreement)] == [1, 2, 3]


async def test_the_revision_in_force_stays_until_the_next_is_approved(bureau: Bureau) -> None:
    second = await revise(bureau, retention="P30D")
    assert (await bureau.db.read(agreements.current, bureau.agreement)).number == 1
    assert [each.id for each in await bureau.db.read(agreements.pending)] == [second.id]
    await bureau.approve(second.id)
    assert (await bureau.db.read(agreements.current, bureau.agreement)).number == 2
    former = await bureau.db.read(agreements.get_revision, bureau.revision)
    assert former.status == "superseded"
    assert await bureau.db.read(agreements.pending) == ()


async def test_a_returned_offer_can_be_revised_but_not_approved(bureau: Bureau) -> None:
    second = await revise(bureau)
    await bureau.db.write(agreements.send_back, second.id, actor=STAFF, now=bureau.clock.ms())
    with pytest.raises(AgreementState):
        await bureau.approve(second.id)
    with pytest.raises(AgreementState):
        await bureau.db.write(agreements.send_back, second.id, actor=STAFF, now=bureau.clock.ms())
    third = await revise(bureau)
    assert (await bureau.approve(third.id)).number == 3


async def test_an_older_offer_does_not_replace_a_newer_revision(bureau: Bureau) -> None:
    second, third = await revise(bureau), await revise(bureau)
    await bureau.approve(third.id)
    with pytest.raises(AgreementState, match="newer"):
        await bureau.approve(second.id)


async def test_a_withdrawn_agreement_is_over(bureau: Bureau) -> None:
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    assert (await bureau.db.read(agreements.current, bureau.agreement)).status == "withdrawn"
    for attempt in (
        revise(bureau),
        bureau.approve(bureau.revision),
        bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms()),
    ):
        with pytest.raises(AgreementState):
            await attempt


async def test_what_residents_were_asked_is_public(bureau: Bureau) -> None:
    """Anyone can rebuild every text, and when it was approved or withdrawn, from the ledger alone."""
    second = await revise(bureau, retention="P30D")
    await bureau.approve(second.id)
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    documents = [read_public(entry) for entry in await bureau.log_entries()]
    kinds = [each["type"] for each in documents if each is not None]
    assert kinds == [
        "agreement-offered",
        "agreement-approved",
        "agreement-offered",
        "agreement-approved",
        "agreement-withdrawn",
    ]
    offered = documents[2]
    assert offered is not None
    assert digest(offered["body"]) == offered["hash"] == second.hash


async def test_only_an_approved_member_may_propose(bureau: Bureau) -> None:
    from identity import members

    await bureau.db.write(members.suspend, bureau.member, actor=STAFF, now=bureau.clock.ms())
    with pytest.raises(AgreementState):
        await bureau.offer()
    with pytest.raises(AgreementState):
        await revise(bureau)


async def test_refuses_a_duration_beyond_the_citys_limit(bureau: Bureau) -> None:
    with pytest.raises(BadAgreement, match="731 days"):
        await bureau.offer(duration="P3Y")


async def test_refuses_texts_that_the_ledger_cannot_hold(bureau: Bureau) -> None:
    words = proposal().text.model_dump()
    for lang in words.values():
        lang["full"] = "あ" * 8000
        lang["short"] = lang["benefit"] = lang["if_refused"] = lang["forbidden"] = "あ" * 1000
    with pytest.raises(BadAgreement, match="too long"):
        await bureau.offer(text=words)
    assert len(await bureau.rows("consent_agreement")) == 1


async def test_unknown_agreements_are_not_found(bureau: Bureau) -> None:
    for attempt in (
        bureau.db.read(agreements.get, "agr_x"),
        bureau.db.read(agreements.current, "agr_x"),
        bureau.db.read(agreements.get_revision, "rev_x"),
        bureau.approve("rev_x"),
    ):
        with pytest.raises(UnknownAgreement):
            await attempt


@pytest.mark.parametrize(
    "changed",
    [
        {"purpose": "WorldDomination"},
        {"lawful_basis": "BecauseWeCan"},
        {"categories": []},
        {"categories": [{"category": "mobility", "required": True}, {"category": "mobility", "required": False}]},
        {"categories": [{"category": "No Such Form", "required": True}]},
        {"categories": [{"category": "mobility", "required": "yes"}]},
        {"categories": [{"category": "mobility", "required": True, "sensitivity": 4}]},
        {"duration": "six months"},
        {"duration": "P0D"},
        {"retention": "P"},
        {"jurisdiction": "Japan"},
        {"text": {"ja": proposal().text.ja.model_dump()}},
        {"text": {**proposal().text.model_dump(), "fr": proposal().text.en.model_dump()}},
        {"surprise": 1},
    ],
)
def test_refuses_a_proposal_that_is_not_complete_and_plain(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        proposal(**changed)


@pytest.mark.parametrize("text", ["", " ", "\x00", "a\tb"])
def test_refuses_empty_and_unprintable_words(text: str) -> None:
    words = proposal().text.model_dump()
    words["ja"]["benefit"] = text
    with pytest.raises(ValidationError):
        proposal(text=words)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P180D", 180 * DAY),
        ("P1Y", 365 * DAY),
        ("P6M", 180 * DAY),
        ("P2W", 14 * DAY),
        ("PT24H", DAY),
        ("PT1M", HOUR // 60),
    ],
)
def test_reads_durations(text: str, expected: int) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "P", "PT", "P1", "1D", "P-1D", "P1DT", "p1d", "P1.5D", "P0D", "P1H", "P١D"])
def test_refuses_durations_of_another_form(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


async def test_the_stored_body_is_what_was_proposed(bureau: Bureau) -> None:
    (row,) = await bureau.rows("consent_revision")
    assert orjson.loads(row["body"])["text"]["ja"]["title"] == "もっと便利なバスの時刻"


async def test_whoever_proposed_a_revision_does_not_approve_it(bureau: Bureau) -> None:
    """Four eyes: not the same person, whatever their roles; returning one's own offer takes nobody else."""
    first = await bureau.offer()
    with pytest.raises(SecondPersonNeeded):
        await bureau.db.write(agreements.approve, first.id, actor=STAFF, now=bureau.clock.ms(), sealer=bureau.sealer)
    assert (await bureau.db.read(agreements.get_revision, first.id)).status == "offered"
    await bureau.db.write(agreements.approve, first.id, actor=BOARD, now=bureau.clock.ms(), sealer=bureau.sealer)
    assert await bureau.db.read(agreements.hands, first.id) == Hands(STAFF.id, BOARD.id)
    second = await bureau.db.write(
        agreements.revise,
        first.agreement_id,
        proposal=proposal(retention="P1D"),
        sensitivities=ANY,
        actor=BOARD,
        now=bureau.clock.ms(),
    )
    with pytest.raises(SecondPersonNeeded):  # each revision by itself: approving the first gives no right to the second
        await bureau.db.write(agreements.approve, second.id, actor=BOARD, now=bureau.clock.ms(), sealer=bureau.sealer)
    await bureau.db.write(agreements.send_back, second.id, actor=BOARD, now=bureau.clock.ms())
    assert (await bureau.db.read(agreements.get_revision, second.id)).status == "returned"
