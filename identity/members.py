"""Members: the organisations of the city that may hold clients and, once approved, agreements.

applied -> approved <-> suspended. A suspended member's clients and tokens stop at once (invariant I5): the change
touches the topics "clients" and "tokens", which every cache compares on every use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlmodel import col, select

from identity.errors import MemberState, UnknownMember
from identity.models import Member as MemberRow
from kit import audit
from kit.clock import Millis
from kit.db import Session, tx_of
from kit.host import Actor
from kit.ids import new_id

Status = Literal["applied", "approved", "suspended"]

_MOVES: Mapping[tuple[Status, Status], str] = {
    ("applied", "approved"): "identity.member.approved",
    ("applied", "suspended"): "identity.member.suspended",
    ("approved", "suspended"): "identity.member.suspended",
    ("suspended", "approved"): "identity.member.resumed",
}


@dataclass(frozen=True, slots=True)
class Member:
    """A member organisation."""

    id: str
    name_ja: str
    name_en: str
    status: Status
    site: str | None
    accreditation: Mapping[str, Any]
    source_categories: tuple[str, ...]
    created_at: Millis
    changed_at: Millis

    def name(self, lang: str) -> str:
        """The name in a language."""
        return self.name_ja if lang == "ja" else self.name_en


def apply(
    session: Session,
    *,
    name_ja: str,
    name_en: str,
    actor: Actor,
    now: Millis,
    site: str | None = None,
    accreditation: Mapping[str, Any] | None = None,
    source_categories: Sequence[str] = (),
    member_id: str | None = None,
) -> Member:
    """Take in an application. `source_categories` are the data categories it may deposit for residents."""
    row = MemberRow(
        id=member_id or new_id("mem"),
        name_ja=name_ja,
        name_en=name_en,
        site=site,
        accreditation=dict(accreditation or {}),
        source_categories=list(source_categories),
        created_at=now,
        changed_at=now,
    )
    session.add(row)
    session.flush()
    audit.record(session, "identity.member.applied", actor=actor, object=("member", row.id))
    return _member(row)


def approve(session: Session, member_id: str, *, actor: Actor, now: Millis) -> Member:
    """Approve an applicant, or let a suspended member continue; raises UnknownMember, MemberState."""
    return _move(session, member_id, "approved", actor, now)


def suspend(session: Session, member_id: str, *, actor: Actor, now: Millis) -> Member:
    """Stop a member: its clients and their tokens are refused from this commit on."""
    return _move(session, member_id, "suspended", actor, now)


def get(session: Session, member_id: str) -> Member:
    """A member; raises UnknownMember."""
    return _member(_row(session, member_id))


def find(session: Session, member_id: str) -> Member | None:
    """A member, or None."""
    row = session.get(MemberRow, member_id)
    return None if row is None else _member(row)


def list_all(
    session: Session, *, status: Status | None = None, after: str = "", limit: int = 100
) -> tuple[Member, ...]:
    """Members in order of application, after an id."""
    query = select(MemberRow).where(col(MemberRow.id) > after).order_by(col(MemberRow.id)).limit(limit)
    if status is not None:
        query = query.where(MemberRow.status == status)
    return tuple(_member(row) for row in session.exec(query))


def _move(session: Session, member_id: str, to: Status, actor: Actor, now: Millis) -> Member:
    row = _row(session, member_id)
    if row.status == to:
        return _member(row)
    action = _MOVES.get((cast(Status, row.status), to))
    if action is None:
        raise MemberState(f"A member that is {row.status} can't become {to}.")
    row.status, row.changed_at = to, now
    session.add(row)
    session.flush()
    tx = tx_of(session)
    tx.touch("clients")
    tx.touch("tokens")
    audit.record(session, action, actor=actor, object=("member", row.id))
    return _member(row)


def _row(session: Session, member_id: str) -> MemberRow:
    row = session.get(MemberRow, member_id)
    if row is None:
        raise UnknownMember("No member has this id.")
    return row


def _member(row: MemberRow) -> Member:
    return Member(
        id=row.id,
        name_ja=row.name_ja,
        name_en=row.name_en,
        status=cast(Status, row.status),
        site=row.site,
        accreditation=dict(row.accreditation),
        source_categories=tuple(row.source_categories),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
