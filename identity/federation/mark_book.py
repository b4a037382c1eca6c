"""The trust marks this city gave, and taking them back.

OpenID Federation 1.0 sections 7, 8.4 to 8.6. A row is the mark; a JWT of it is signed when somebody asks, for a short
while, so that one that was taken back is worth nothing soon even to who never asks for its status.
"""

from dataclasses import dataclass
from typing import Any, Literal

from sqlmodel import col, select

from identity.errors import InvalidSubordinate, UnknownTrustMark
from identity.federation.entities import is_entity_id
from identity.federation.models import TrustMark
from identity.federation.subordinates import Reason
from kit import audit
from kit.clock import SECOND, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

MOST = 100_000


@dataclass(frozen=True, slots=True)
class Given:
    """A mark as it stands."""

    id: str
    kind: str
    entity_id: str
    issued_at: Millis
    expires_at: Millis | None
    revoked_at: Millis | None

    def stands(self, now: Millis) -> bool:
        """Whether it is good now."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def status(self, now: Millis) -> Literal["active", "expired", "revoked"]:
        """The word of section 8.4.2."""
        if self.revoked_at is not None:
            return "revoked"
        return "active" if self.stands(now) else "expired"

    def claims(self, issuer: str, *, now: Millis, seconds: int, delegation: str | None) -> dict[str, Any]:
        """What its JWT says (section 7.1); `jti` finds the row again."""
        ends = now + seconds * SECOND if self.expires_at is None else min(self.expires_at, now + seconds * SECOND)
        said = {
            "iss": issuer,
            "sub": self.entity_id,
            "trust_mark_type": self.kind,
            "iat": now // SECOND,
            "exp": ends // SECOND,
            "jti": self.id,
        }
        return said | ({"delegation": delegation} if delegation is not None else {})


def check(kind: str, entity_id: str, expires_at: Millis | None, now: Millis) -> None:
    """Raise InvalidSubordinate unless such a mark may be given."""
    if not is_entity_id(entity_id):
        raise InvalidSubordinate("An entity is named by its https address.", pointer="/entity_id")
    if not is_entity_id(kind):
        raise InvalidSubordinate("A type of trust mark is named by an https address.", pointer="/kind")
    if expires_at is not None and expires_at <= now:
        raise InvalidSubordinate("A trust mark ends in the future.", pointer="/expires_at")


def give(session: Session, kind: str, entity_id: str, *, expires_at: Millis | None, actor: Actor, now: Millis) -> Given:
    """Give a mark; one that stands already is taken back for the new one. Raises InvalidSubordinate."""
    check(kind, entity_id, expires_at, now)
    for row in _standing(session, kind, entity_id, now):
        row.revoked_at = now
        session.add(row)
    row = TrustMark(id=new_id("tmk"), kind=kind, entity_id=entity_id, issued_at=now, expires_at=expires_at)
    session.add(row)
    session.flush()
    audit.record(
        session,
        "identity.federation.mark_given",
        actor=actor,
        object=("trust_mark", row.id),
        detail={"entity": entity_id, "kind": kind},
    )
    return _given(row)


def take_back(session: Session, mark_id: str, *, actor: Actor, now: Millis, reason: Reason = "other") -> Given:
    """End a mark. Raises UnknownTrustMark."""
    row = session.get(TrustMark, mark_id)
    if row is None or row.revoked_at is not None:
        raise UnknownTrustMark("No trust mark that stands has this id.")
    row.revoked_at = now
    session.add(row)
    session.flush()
    audit.record(
        session,
        "identity.federation.mark_revoked",
        actor=actor,
        object=("trust_mark", mark_id),
        detail={"reason": reason},
    )
    return _given(row)


def get(session: Session, mark_id: str) -> Given | None:
    """One by its id."""
    row = session.get(TrustMark, mark_id)
    return None if row is None else _given(row)


def find(session: Session, kind: str, entity_id: str, now: Millis) -> Given | None:
    """The one that stands."""
    return next((_given(row) for row in _standing(session, kind, entity_id, now)), None)


def list_all(
    session: Session, *, kind: str | None = None, entity_id: str | None = None, before: str = "", limit: int = MOST
) -> tuple[Given, ...]:
    """Every mark, the newest first."""
    query = select(TrustMark).order_by(col(TrustMark.id).desc()).limit(limit)
    if before:
        query = query.where(col(TrustMark.id) < before)
    if kind is not None:
        query = query.where(TrustMark.kind == kind)
    if entity_id is not None:
        query = query.where(TrustMark.entity_id == entity_id)
    return tuple(_given(row) for row in session.exec(query))


def _standing(session: Session, kind: str, entity_id: str, now: Millis) -> list[TrustMark]:
    query = select(TrustMark).where(
        TrustMark.kind == kind, TrustMark.entity_id == entity_id, col(TrustMark.revoked_at).is_(None)
    )
    return [row for row in session.exec(query) if row.expires_at is None or row.expires_at > now]


def _given(row: TrustMark) -> Given:
    return Given(row.id, row.kind, row.entity_id, row.issued_at, row.expires_at, row.revoked_at)
