"""The fold, the decision and the vocabulary: pure rules without a database."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.decisions import Facts, Permit, Refusal, decide, decide_among
from consent.ledger import commit, commitment, private_entry, public_entry
from consent.purposes import GROUPS, LAWFUL_BASES, PURPOSES
from consent.states import DPV_STATUS, BadHistory, Event, EventType, after, fold
from tests.support.entries import read_public

FACTS = Facts(
    consent_id="con_1",
    account_id="acc_1",
    member_id="mem_1",
    agreement_id="agr_1",
    revision_id="rev_1",
    state="given",
    purpose="ServiceProvision",
    categories=frozenset({"mobility", "household"}),
    until_at=1000,
    agreement_status="approved",
    member_status="approved",
    held=False,
)
KINDS: list[EventType] = list(get_args(EventType))


def events(*kinds: EventType) -> list[Event]:
    return [Event(f"cev_{n}", "con_1", n, kind, 10 * n, "rev_1", ("mobility",), 1000) for n, kind in enumerate(kinds)]


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (("given",), "given"),
        (("refused",), "refused"),
        (("given", "changed", "renewed"), "given"),
        (("given", "withdrawn"), "withdrawn"),
        (("given", "renewed", "expired"), "expired"),
        (("given", "invalidated"), "invalidated"),
        (("given", "ended"), "ended"),
        (("given", "requested", "deferred", "notified"), "given"),
        (("given", "requested", "renewed", "notified", "expired"), "expired"),
        (("requested", "deferred", "deferred"), "requested"),
        (("requested", "given", "requested", "withdrawn"), "withdrawn"),
        (("requested", "deferred", "refused"), "refused"),
        (("requested", "expired"), "lapsed"),
        (("requested", "ended"), "lapsed"),
        (("requested", "deferred", "invalidated"), "lapsed"),
    ],
)
def test_events_add_up_to_a_state(kinds: tuple[EventType, ...], state: str) -> None:
    assert fold(events(*kinds)).state == state


@given(st.lists(st.sampled_from(KINDS), max_size=6))
def test_nothing_follows_an_end_and_nothing_precedes_a_beginning(kinds: list[EventType]) -> None:
    """A history is at most one question, then at most one first answer, then what befalls a consent that stands."""
    asked = list(kinds)
    if asked[:1] == ["requested"]:
        asked.pop(0)
        while asked[:1] == ["deferred"]:
            asked.pop(0)
    ends = {"withdrawn", "ended", "expired", "invalidated"}
    of_standing = ends | {"changed", "renewed", "requested", "deferred", "notified"}
    possible = bool(kinds) and (
        not asked
        or asked == ["refused"]
        or (len(asked) < len(kinds) and len(asked) == 1 and asked[0] in ends - {"withdrawn"})
        or (
            asked[0] == "given"
            and all(kind in of_standing for kind in asked[1:])
            and all(kind not in ends for kind in asked[1:-1])
        )
    )
    if possible:
        assert fold(events(*kinds)).events == len(kinds)
    else:
        with pytest.raises(BadHistory):
            fold(events(*kinds))


def test_refuses_a_history_with_gaps_foreign_events_or_time_running_backwards() -> None:
    first, second = events("given", "changed")
    for other in (replace(second, seq=2), replace(second, record_id="con_2"), replace(second, at=-1)):
        with pytest.raises(BadHistory):
            fold([first, other])
    with pytest.raises(BadHistory):
        after("withdrawn", "given")


def test_a_permit_is_made_by_the_decision_only() -> None:
    permit = decide(FACTS, recipient="mem_1", categories=["mobility"], now=999)
    assert isinstance(permit, Permit)
    with pytest.raises(TypeError):
        Permit("con_1", "rev_1", "acc_1", "mem_1", "p", ("mobility",), 1000, 1)
    with pytest.raises((TypeError, ValueError)):
        replace(permit, categories=("salary",))


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (None, "no_consent"),
        (replace(FACTS, member_id="mem_2"), "no_consent"),
        (replace(FACTS, account_id="acc_2"), "no_consent"),
        (replace(FACTS, state="withdrawn"), "consent_withdrawn"),
        (replace(FACTS, state="refused"), "consent_refused"),
        (replace(FACTS, state="expired"), "consent_expired"),
        (replace(FACTS, state="invalidated"), "consent_invalidated"),
        (replace(FACTS, state="nonsense"), "no_consent"),
        (replace(FACTS, until_at=500), "consent_expired"),
        (replace(FACTS, agreement_status="withdrawn"), "agreement_withdrawn"),
        (replace(FACTS, member_status="suspended"), "member_suspended"),
        (replace(FACTS, member_status="applied"), "member_suspended"),
        (replace(FACTS, held=True), "sharing_held"),
        (replace(FACTS, purpose="DirectMarketing"), "purpose_not_covered"),
        (replace(FACTS, categories=frozenset()), "category_not_covered"),
    ],
)
def test_each_reason_to_refuse_is_named(facts: Facts | None, reason: str) -> None:
    outcome = decide(
        facts, recipient="mem_1", categories=["mobility"], now=500, purpose="ServiceProvision", account_id="acc_1"
    )
    assert isinstance(outcome, Refusal)
    assert outcome.reason == reason


def test_the_last_millisecond_is_covered_and_the_next_is_not() -> None:
    assert isinstance(decide(FACTS, recipient="mem_1", categories=["mobility"], now=999), Permit)
    assert isinstance(decide(FACTS, recipient="mem_1", categories=["mobility"], now=1000), Refusal)


@given(st.sets(st.sampled_from(["mobility", "household", "energy_use", "salary"])), st.integers(0, 2000))
def test_a_permit_never_covers_more_than_the_consent(asked: set[str], now: int) -> None:
    outcome = decide(FACTS, recipient="mem_1", categories=asked, now=now)
    fine = bool(asked) and asked <= FACTS.categories and now < FACTS.until_at
    assert isinstance(outcome, Permit) == fine
    if isinstance(outcome, Permit):
        assert set(outcome.categories) == asked


def test_among_several_the_one_that_permits_wins_and_else_the_newest_answers() -> None:
    old, new = (
        replace(FACTS, consent_id="con_0", state="withdrawn"),
        replace(FACTS, categories=frozenset({"household"})),
    )
    outcome = decide_among([old, FACTS], recipient="mem_1", categories=["mobility"], now=1)
    assert isinstance(outcome, Permit)
    assert decide_among([new, old], recipient="mem_1", categories=["mobility"], now=1) == Refusal(
        "category_not_covered", "con_1", ("mobility",)
    )
    assert decide_among([], recipient="mem_1", categories=["mobility"], now=1) == Refusal("no_consent")


def test_a_commitment_hides_and_binds() -> None:
    event = {"type": "given", "subject": "acc_1"}
    first, second = commit(event), commit(event)
    assert first.entry != second.entry  # the same event twice cannot be recognised
    assert len(first.entry) == 34
    assert first.entry == private_entry(commitment(first.salt, event))
    assert commitment(first.salt, {**event, "type": "withdrawn"}) != first.value
    with pytest.raises(ValueError):
        commitment(b"short", event)


def test_public_entries_read_back_and_private_ones_stay_closed() -> None:
    assert read_public(public_entry({"b": 1, "a": "あ"})) == {"a": "あ", "b": 1}
    assert read_public(commit({"type": "given"}).entry) is None
    for entry in (b"", b"\x03x", b'\x02{"b":1, "a":2}', b"\x02[]", b"\x01\x01short"):
        with pytest.raises(ValueError):
            read_public(entry)
    with pytest.raises(ValueError):
        public_entry({"text": "x" * 70_000})


def test_purposes_bases_and_states_are_real_dpv_terms() -> None:
    """Against the terms of DPV 2.3 (tests/vectors/dpv-terms.csv says where they come from)."""
    path = Path(__file__).parents[1] / "vectors" / "dpv-terms.csv"
    with path.open(newline="") as file:
        terms = {row["iri"]: row["kind"] for row in csv.DictReader(file)}
    assert all(terms.get(term.iri) == "Purpose" for term in PURPOSES.values())
    assert all(terms.get(term.iri) == "LegalBasis" for term in LAWFUL_BASES.values())
    assert all(terms.get(iri) == "ConsentStatus" for iri in DPV_STATUS.values())


def test_every_term_has_words_in_both_languages() -> None:
    for term in [*PURPOSES.values(), *LAWFUL_BASES.values()]:
        assert any(ord(each) > 0x3000 for each in term.label("ja"))
        assert term.label("en").isascii()


def test_every_purpose_stands_in_one_group() -> None:
    assert sorted(code for group in GROUPS for code in group.codes) == sorted(PURPOSES)
