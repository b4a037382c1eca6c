"""Who stands below this city, and what it says of them.

OpenID Federation 1.0 sections 3.1.3, 6 and 8.1 to 8.2. An operator registers an entity with keys that came from its own
operator; policies and constraints are judged before they are kept, since one that contradicts itself would end every
chain through this city.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlmodel import col, select

from identity.errors import InvalidSubordinate, SubordinateState, UnknownSubordinate
from identity.federation import constraints, policy
from identity.federation.entities import is_entity_id
from identity.federation.models import Subordinate
from identity.federation.refusals import Refused
from identity.federation.statements import check_keys
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor

#: What may be said of a subordinate (sections 3.1.1 and 3.1.3).
SAID = ("metadata", "metadata_policy", "constraints")
MOST = 100_000
Status = Literal["active", "suspended", "ended"]
#: Why trust is taken away, as the trail keeps it: a code and no prose, which could name people.
Reason = Literal["key-compromised", "left", "against-rules", "mistake", "other"]


@dataclass(frozen=True, slots=True)
class Below:
    """A subordinate as it stands."""

    entity_id: str
    jwks: Mapping[str, Any]
    entity_types: tuple[str, ...]
    intermediate: bool
    said: Mapping[str, Any]
    status: Status
    registered_at: Millis
    changed_at: Millis

    @property
    def active(self) -> bool:
        """Whether this city vouches for it now."""
        return self.status == "active"


def register(
    session: Session,
    entity_id: str,
    *,
    jwks: Mapping[str, Any],
    entity_types: Sequence[str],
    intermediate: bool,
    said: Mapping[str, Any],
    ours: str,
    actor: Actor,
    now: Millis,
) -> Below:
    """Vouch for an entity, or change what is said of one. `ours`: this city's own entity id. Raises
    InvalidSubordinate."""
    check(entity_id, jwks, entity_types, said, ours)
    row = session.get(Subordinate, entity_id)
    added = row is None or row.status == "ended"
    if row is not None and row.status == "suspended":
        raise SubordinateState("This entity is suspended. Lift that first, or end it.")
    if row is None:
        row = Subordinate(entity_id=entity_id, jwks={}, entity_types=[], said={}, registered_at=now, changed_at=now)
    row.jwks, row.entity_types, row.intermediate = dict(jwks), list(entity_types), intermediate
    row.said, row.status, row.changed_at = {name: said[name] for name in SAID if said.get(name)}, "active", now
    session.add(row)
    session.flush()
    audit.record(
        session,
        "identity.federation.subordinate_added" if added else "identity.federation.subordinate_changed",
        actor=actor,
        object=("federation_entity", entity_id),
        detail={"types": " ".join(entity_types)},
    )
    return _below(row)


def end(session: Session, entity_id: str, *, actor: Actor, now: Millis, reason: Reason = "other") -> Below:
    """Vouch for it no more: its statement is served no longer, so its chains end as they run out (section 11.4).

    Raises UnknownSubordinate.
    """
    return _move(session, entity_id, "ended", ("active", "suspended"), actor=actor, now=now, reason=reason)


def suspend(session: Session, entity_id: str, *, actor: Actor, now: Millis, reason: Reason) -> Below:
    """As `end`, for a while: what is said of it stays. Raises UnknownSubordinate, SubordinateState."""
    return _move(session, entity_id, "suspended", ("active",), actor=actor, now=now, reason=reason)


def resume(session: Session, entity_id: str, *, actor: Actor, now: Millis) -> Below:
    """Vouch for it again, in the same words. Raises UnknownSubordinate, SubordinateState."""
    return _move(session, entity_id, "active", ("suspended",), actor=actor, now=now, reason=None)


def _move(
    session: Session,
    entity_id: str,
    status: Status,
    before: Sequence[Status],
    *,
    actor: Actor,
    now: Millis,
    reason: Reason | None,
) -> Below:
    row = session.get(Subordinate, entity_id)
    if row is None or row.status == "ended":
        raise UnknownSubordinate("This city vouches for no entity of this name.")
    if row.status not in before:
        raise SubordinateState(f"This entity is {row.status}.")
    row.status, row.changed_at = status, now
    session.add(row)
    session.flush()
    done = {"active": "resumed", "suspended": "suspended", "ended": "ended"}[status]
    audit.record(
        session,
        f"identity.federation.subordinate_{done}",
        actor=actor,
        object=("federation_entity", entity_id),
        detail={} if reason is None else {"reason": reason},
    )
    return _below(row)


def get(session: Session, entity_id: str) -> Below:
    """An entity below this city, whatever became of it. Raises UnknownSubordinate."""
    row = session.get(Subordinate, entity_id)
    if row is None:
        raise UnknownSubordinate("No entity of this name was ever below this city.")
    return _below(row)


def find(session: Session, entity_id: str) -> Below | None:
    """An entity this city vouches for now."""
    row = session.get(Subordinate, entity_id)
    return None if row is None or row.status != "active" else _below(row)


def list_all(session: Session, *, ended: bool = False, after: str = "", limit: int = MOST) -> tuple[Below, ...]:
    """By name; those too that are suspended or `ended`."""
    query = select(Subordinate).where(col(Subordinate.entity_id) > after)
    query = query.order_by(col(Subordinate.entity_id)).limit(limit)
    if not ended:
        query = query.where(Subordinate.status == "active")
    return tuple(_below(row) for row in session.exec(query))


def check(
    entity_id: str, jwks: Mapping[str, Any], entity_types: Sequence[str], said: Mapping[str, Any], ours: str
) -> None:
    """Raise InvalidSubordinate unless this may be said of it."""
    if not is_entity_id(entity_id) or entity_id == ours:
        raise InvalidSubordinate(
            "An entity is named by its https address, and it is not this city.", pointer="/entity_id"
        )
    if not entity_types or not all(isinstance(kind, str) and 0 < len(kind) <= 100 for kind in entity_types):
        raise InvalidSubordinate("Say which kinds of entity it is.", pointer="/entity_types")
    where = "jwks"
    try:
        check_keys(jwks, entity_id)
        where = "metadata_policy"
        policy.resolve([said.get("metadata_policy")])
        where = "constraints"
        constraints.check(said.get("constraints"), below=0, entity_ids=[entity_id], whose=ours)
        where = "metadata"
        metadata = said.get("metadata") or {}
        if not isinstance(metadata, Mapping) or not all(isinstance(value, Mapping) for value in metadata.values()):
            raise Refused("invalid_metadata", "metadata", "metadata is an object for each entity type")
    except Refused as refused:
        raise InvalidSubordinate(f"{refused.detail}.", pointer=f"/{where}") from refused


def _below(row: Subordinate) -> Below:
    return Below(
        row.entity_id,
        dict(row.jwks),
        tuple(row.entity_types),
        row.intermediate,
        dict(row.said),
        cast(Status, row.status),
        row.registered_at,
        row.changed_at,
    )
