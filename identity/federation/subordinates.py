"""Who stands below this city, and what it says of them.

OpenID Federation 1.0 sections 3.1.3, 6 and 8.1 to 8.2. An operator registers an entity with keys that came from its own
operator; policies and constraints are judged before they are kept, since one that contradicts itself would end every
chain through this city.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from identity.errors import InvalidSubordinate, UnknownSubordinate
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


@dataclass(frozen=True, slots=True)
class Below:
    """A subordinate as it stands."""

    entity_id: str
    jwks: Mapping[str, Any]
    entity_types: tuple[str, ...]
    intermediate: bool
    said: Mapping[str, Any]
    active: bool
    registered_at: Millis


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
    _check(entity_id, jwks, entity_types, said, ours)
    row = session.get(Subordinate, entity_id)
    added = row is None or row.status != "active"
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


def end(session: Session, entity_id: str, *, actor: Actor, now: Millis) -> None:
    """Vouch for it no more: its statement is served no longer, so its chains end as they run out (section 11.4).

    Raises UnknownSubordinate.
    """
    row = session.get(Subordinate, entity_id)
    if row is None or row.status != "active":
        raise UnknownSubordinate("This city vouches for no entity of this name.")
    row.status, row.changed_at = "ended", now
    session.add(row)
    session.flush()
    audit.record(session, "identity.federation.subordinate_ended", actor=actor, object=("federation_entity", entity_id))


def find(session: Session, entity_id: str) -> Below | None:
    """An entity this city vouches for now."""
    row = session.get(Subordinate, entity_id)
    return None if row is None or row.status != "active" else _below(row)


def list_all(session: Session, *, ended: bool = False) -> tuple[Below, ...]:
    """By name; `ended` too."""
    query = select(Subordinate).order_by(col(Subordinate.entity_id)).limit(MOST)
    if not ended:
        query = query.where(Subordinate.status == "active")
    return tuple(_below(row) for row in session.exec(query))


def _check(
    entity_id: str, jwks: Mapping[str, Any], entity_types: Sequence[str], said: Mapping[str, Any], ours: str
) -> None:
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
        row.status == "active",
        row.registered_at,
    )
