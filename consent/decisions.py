"""The decision: may this recipient use these categories of this person's data, for this purpose, at this moment?

Pure: what is known of the record and a time in; a `Permit` or a `Refusal` with a machine-readable reason out. A Permit
can be made nowhere else, and every read in the information bank takes one: the type checker asks for the proof.
"""

from collections.abc import Iterable
from dataclasses import InitVar, dataclass
from typing import Final, Literal

from consent.states import STANDING
from kit.clock import Millis

Reason = Literal[
    "no_consent",
    "consent_requested",
    "consent_refused",
    "consent_withdrawn",
    "consent_ended",
    "consent_expired",
    "consent_invalidated",
    "agreement_withdrawn",
    "member_suspended",
    "sharing_held",
    "purpose_not_covered",
    "category_not_covered",
    "nothing_asked",
]

_ENDED: Final[dict[str, Reason]] = {
    "requested": "consent_requested",
    "refused": "consent_refused",
    "withdrawn": "consent_withdrawn",
    "ended": "consent_ended",
    "expired": "consent_expired",
    "invalidated": "consent_invalidated",
}

_MAKER: Final = object()


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a decision depends on, read in one look."""

    consent_id: str
    account_id: str
    member_id: str
    agreement_id: str
    revision_id: str
    state: str
    purpose: str
    categories: frozenset[str]
    until_at: Millis
    agreement_status: str
    member_status: str
    held: bool


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to use these categories of one person's data, now, for one purpose. Made by `decide` only."""

    consent_id: str
    revision_id: str
    account_id: str
    member_id: str
    purpose: str
    categories: tuple[str, ...]
    until_at: Millis
    decided_at: Millis
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("a Permit is made by consent.decisions.decide only")


@dataclass(frozen=True, slots=True)
class Refusal:
    """No, and why. `categories` are the ones not covered, if that is the reason."""

    reason: Reason
    consent_id: str | None = None
    categories: tuple[str, ...] = ()


def decide(
    facts: Facts | None,
    *,
    recipient: str,
    categories: Iterable[str],
    now: Millis,
    purpose: str | None = None,
    account_id: str | None = None,
) -> Permit | Refusal:
    """Decide on one record. All categories asked for must be covered: nothing is filtered silently.

    A record of another person or for another recipient is as good as none, and the answer does not tell which.
    """
    if facts is None or facts.member_id != recipient or account_id not in (None, facts.account_id):
        return Refusal("no_consent")
    if facts.state != STANDING:
        return Refusal(_ENDED.get(facts.state, "no_consent"), facts.consent_id)
    if now >= facts.until_at:  # by the clock, whether or not the event has been written yet
        return Refusal("consent_expired", facts.consent_id)
    if facts.agreement_status == "withdrawn":
        return Refusal("agreement_withdrawn", facts.consent_id)
    if facts.member_status != "approved":
        return Refusal("member_suspended", facts.consent_id)
    if facts.held:
        return Refusal("sharing_held", facts.consent_id)
    if purpose is not None and purpose != facts.purpose:
        return Refusal("purpose_not_covered", facts.consent_id)
    asked = tuple(dict.fromkeys(categories))
    if not asked:
        return Refusal("nothing_asked", facts.consent_id)
    missing = tuple(each for each in asked if each not in facts.categories)
    if missing:
        return Refusal("category_not_covered", facts.consent_id, missing)
    return Permit(
        consent_id=facts.consent_id,
        revision_id=facts.revision_id,
        account_id=facts.account_id,
        member_id=facts.member_id,
        purpose=facts.purpose,
        categories=asked,
        until_at=facts.until_at,
        decided_at=now,
        maker=_MAKER,
    )


def decide_among(
    candidates: Iterable[Facts],
    *,
    recipient: str,
    categories: Iterable[str],
    now: Millis,
    purpose: str | None = None,
    account_id: str | None = None,
) -> Permit | Refusal:
    """Decide on several records: the first that permits, else the refusal of the first (the newest that stands)."""
    asked = tuple(categories)
    first: Refusal | None = None
    for facts in candidates:
        outcome = decide(facts, recipient=recipient, categories=asked, now=now, purpose=purpose, account_id=account_id)
        if isinstance(outcome, Permit):
            return outcome
        first = first or outcome
    return first or Refusal("no_consent")
