"""The life of a consent record: which event may follow which, and what all of them add up to. Pure.

State is a fold over events and never the other way round. DPV 2.3 consent statuses name the states for others
(https://w3id.org/dpv#ConsentStatus); ISO/IEC TS 27560 clause 6.3.7 asks for time, type and state of each event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from consent.purposes import DPV
from kit.clock import Millis, from_iso

EventType = Literal[
    "given", "changed", "refused", "withdrawn", "ended", "expired", "renewed", "invalidated",
    "requested", "deferred", "notified",
]  # fmt: skip
State = Literal["requested", "given", "refused", "withdrawn", "ended", "expired", "invalidated", "lapsed"]

STANDING: Final[State] = "given"
#: Asked and not answered yet: covers nothing, and an answer goes on in the same record.
OPEN: Final[State] = "requested"
#: States in which nobody has ever answered.
UNANSWERED: Final[frozenset[State]] = frozenset({"requested", "lapsed"})
#: What is asked or told is no answer: what was answered before, if anything, stands.
ASIDE: Final[frozenset[EventType]] = frozenset({"requested", "deferred", "notified"})

# (state before, event) -> state after. What is not here cannot happen.
_MOVES: Final[Mapping[tuple[State | None, EventType], State]] = {
    (None, "given"): "given",
    (None, "refused"): "refused",
    ("given", "changed"): "given",
    ("given", "renewed"): "given",
    ("given", "withdrawn"): "withdrawn",
    ("given", "ended"): "ended",  # by the recipient
    ("given", "expired"): "expired",
    ("given", "invalidated"): "invalidated",
    ("given", "requested"): "given",  # the offer changed materially: the person is asked again
    ("given", "deferred"): "given",
    ("given", "notified"): "given",  # of its coming end, or of other words for the same
    (None, "requested"): "requested",  # a question that outlives its page, or was put from elsewhere
    ("requested", "deferred"): "requested",
    ("requested", "given"): "given",
    ("requested", "refused"): "refused",
    ("requested", "ended"): "lapsed",  # taken back by who asked
    ("requested", "expired"): "lapsed",
    ("requested", "invalidated"): "lapsed",
}

DPV_STATUS: Final[Mapping[EventType, str]] = {
    "given": DPV + "ConsentGiven",
    "changed": DPV + "ConsentGiven",
    "renewed": DPV + "RenewedConsentGiven",
    "refused": DPV + "ConsentRefused",
    "withdrawn": DPV + "ConsentWithdrawn",
    "ended": DPV + "ConsentRevoked",  # by somebody other than the person: withdrawn is the person's word alone
    "expired": DPV + "ConsentExpired",
    "invalidated": DPV + "ConsentInvalidated",
    "requested": DPV + "ConsentRequested",
    "deferred": DPV + "ConsentRequestDeferred",
    "notified": DPV + "ConsentGiven",
}


class BadHistory(ValueError):
    """The events cannot have happened in this order."""


@dataclass(frozen=True, slots=True)
class Event:
    """What the fold needs of an event."""

    id: str
    record_id: str
    seq: int
    type: EventType
    at: Millis
    revision_id: str
    categories: tuple[str, ...]
    until_at: Millis


@dataclass(frozen=True, slots=True)
class Standing:
    """What a record's events add up to."""

    record_id: str
    state: State
    revision_id: str
    categories: tuple[str, ...]
    until_at: Millis
    events: int
    first_at: Millis
    last_at: Millis


def after(state: State | None, event: EventType) -> State:
    """The state an event leads to; raises BadHistory if it may not happen."""
    found = _MOVES.get((state, event))
    if found is None:
        raise BadHistory(f"a consent that is {state or 'not there'} cannot be {event}")
    return found


def fold(events: Iterable[Event]) -> Standing:
    """All events of one record, oldest first; raises BadHistory for a gap, a foreign event or an impossible move."""
    standing: Standing | None = None
    for event in events:
        state = after(standing.state if standing else None, event.type)
        if event.seq != (standing.events if standing else 0):
            raise BadHistory("an event is missing or doubled")
        if standing is not None and event.record_id != standing.record_id:
            raise BadHistory("an event belongs to another record")
        if standing is not None and event.at < standing.last_at:
            raise BadHistory("an event is older than the one before it")
        standing = Standing(
            record_id=event.record_id,
            state=state,
            revision_id=event.revision_id,
            categories=event.categories,
            until_at=event.until_at,
            events=event.seq + 1,
            first_at=standing.first_at if standing else event.at,
            last_at=event.at,
        )
    if standing is None:
        raise BadHistory("a record has at least one event")
    return standing


def read_event(document: Mapping[str, Any]) -> Event:
    """An event's document (see `consent.changes`) as the fold needs it."""
    return Event(
        id=document["event"],
        record_id=document["record"],
        seq=document["seq"],
        type=cast(EventType, document["type"]),
        at=from_iso(document["time"]),
        revision_id=document["revision"],
        categories=tuple(document["categories"]),
        until_at=from_iso(document["until"]),
    )
