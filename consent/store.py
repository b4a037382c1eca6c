"""The queries of consent. Private to this package."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, func, or_, select, text
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as orm_select

from consent import asks
from consent.errors import UnknownAgreement
from consent.models import (
    Agreement,
    AgreementRevision,
    ConsentEvent,
    Hold,
    Import,
    Instruction,
    InstructionEvent,
    Record,
    Showing,
)
from consent.states import OPEN, STANDING
from kit.clock import Millis
from kit.db import Quick

# Records and events go by Core: agreeing and withdrawing are the writes residents wait for.
_R: Table = SQLModel.metadata.tables[str(Record.__tablename__)]
_E: Table = SQLModel.metadata.tables[str(ConsentEvent.__tablename__)]
_SHOWN: Table = SQLModel.metadata.tables[str(Showing.__tablename__)]
_INSTRUCTION: Table = SQLModel.metadata.tables[str(Instruction.__tablename__)]
_INSTRUCTED: Table = SQLModel.metadata.tables[str(InstructionEvent.__tablename__)]
_IMPORT: Table = SQLModel.metadata.tables[str(Import.__tablename__)]
_ALL = select(
    _R.c.id, _R.c.account_id, _R.c.member_id, _R.c.agreement_id, _R.c.revision_id, _R.c.state, _R.c.purpose,
    _R.c.categories, _R.c.until_at, _R.c.events, _R.c.created_at, _R.c.changed_at, _R.c.notified_until, _R.c.seen_id,
    _R.c.instruction_id,
)  # fmt: skip
_EVENT = select(_E.c.id, _E.c.account_id, _E.c.seq, _E.c.sealed)
_BY_ID = _ALL.where(_R.c.id == bindparam("id"))
_STANDING = _ALL.where(
    _R.c.account_id == bindparam("account"), _R.c.agreement_id == bindparam("agreement"), _R.c.state == STANDING
)
_OPEN = _ALL.where(
    _R.c.account_id == bindparam("account"), _R.c.agreement_id == bindparam("agreement"), _R.c.state == OPEN
)
_LAST_EVENT = _EVENT.where(_E.c.record_id == bindparam("record")).order_by(_E.c.seq.desc()).limit(1)
_ADD_RECORD, _ADD_EVENT = _R.insert(), _E.insert()
_CHANGE_RECORD = _R.update().where(_R.c.id == bindparam("key"))
_OFFER = text(
    "SELECT a.current_id, a.status, m.status, EXISTS (SELECT 1 FROM consent_hold h WHERE h.member_id = a.member_id) "
    "FROM consent_agreement a JOIN identity_member m ON m.id = a.member_id WHERE a.id = :id"
)
_CHANGING = (
    "revision_id", "state", "purpose", "categories", "until_at", "events", "changed_at", "notified_until", "seen_id",
    "instruction_id",
)  # fmt: skip


def revision_by_number(session: Session, agreement_id: str, number: int) -> AgreementRevision:
    """A revision; raises UnknownAgreement."""
    query = orm_select(AgreementRevision).where(
        AgreementRevision.agreement_id == agreement_id, AgreementRevision.number == number
    )
    row = session.exec(query).first()
    if row is None:
        raise UnknownAgreement("No agreement has this revision.")
    return row


def revisions(session: Session, agreement_id: str) -> Sequence[AgreementRevision]:
    """All revisions of an agreement, oldest first."""
    query = orm_select(AgreementRevision).where(AgreementRevision.agreement_id == agreement_id)
    return session.exec(query.order_by(col(AgreementRevision.number))).all()


def pending(session: Session, limit: int) -> Sequence[AgreementRevision]:
    """Offered revisions of agreements that are not withdrawn, oldest first."""
    query = (
        orm_select(AgreementRevision)
        .join(Agreement, col(Agreement.id) == col(AgreementRevision.agreement_id))
        .where(AgreementRevision.status == "offered", Agreement.status != "withdrawn")
    )
    return session.exec(query.order_by(col(AgreementRevision.id)).limit(limit)).all()


def agreements(
    session: Session, *, member_id: str | None, status: str | None, after: str, limit: int
) -> Sequence[Agreement]:
    """Agreements after an id."""
    query = orm_select(Agreement).where(col(Agreement.id) > after)
    if member_id is not None:
        query = query.where(Agreement.member_id == member_id)
    if status is not None:
        query = query.where(Agreement.status == status)
    return session.exec(query.order_by(col(Agreement.id)).limit(limit)).all()


@dataclass(slots=True)
class RecordRow:
    """A record's row, to be changed and saved."""

    id: str
    account_id: str
    member_id: str
    agreement_id: str
    revision_id: str
    state: str
    purpose: str
    categories: str
    until_at: Millis
    events: int
    created_at: Millis
    changed_at: Millis
    notified_until: Millis | None = None
    seen_id: str | None = None
    instruction_id: str | None = None


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event's row, sealed."""

    id: str
    account_id: str
    seq: int
    sealed: bytes


def record_of(session: Session, consent_id: str, account_id: str | None) -> RecordRow | None:
    """A record; None if there is none or it is somebody else's."""
    found = _records(session, _BY_ID, {"id": consent_id})
    return found[0] if found and account_id in (None, found[0].account_id) else None


def standing_record(session: Session, account_id: str, agreement_id: str) -> RecordRow | None:
    """The one record of a resident under an agreement that stands (its end may have passed)."""
    found = _records(session, _STANDING, {"account": account_id, "agreement": agreement_id})
    return found[0] if found else None


def open_question(session: Session, account_id: str, agreement_id: str) -> RecordRow | None:
    """The one question to a resident under an agreement that waits for an answer (its end may have passed)."""
    found = _records(session, _OPEN, {"account": account_id, "agreement": agreement_id})
    return found[0] if found else None


def knows(session: Session, member_id: str, account_id: str) -> bool:
    """Whether a member ever asked a resident."""
    query = select(_R.c.id).where(_R.c.account_id == account_id, _R.c.member_id == member_id).limit(1)
    return session.connection().execute(query).first() is not None


def people_of_member(session: Session, member_id: str, *, account_id: str | None, offset: int, limit: int) -> list[str]:
    """The residents a member ever asked; or the one, if they are among them."""
    query = select(_R.c.account_id).where(_R.c.agreement_id.in_(_agreements_of(member_id))).distinct()
    if account_id is not None:
        query = query.where(_R.c.account_id == account_id)
    found = session.connection().execute(query.order_by(_R.c.account_id).offset(offset).limit(limit))
    return list(found.scalars())


def page_of_records(
    session: Session,
    *,
    member_id: str | None = None,
    account_id: str | None = None,
    agreement_id: str | None = None,
    offset: int,
    limit: int,
    newest: bool = False,
) -> list[RecordRow]:
    """Records in order of their beginning (or the newest first)."""
    query = _ALL
    if member_id is not None:  # by the index on agreements: records have none on members alone
        query = query.where(_R.c.agreement_id.in_(_agreements_of(member_id)))
    if account_id is not None:
        query = query.where(_R.c.account_id == account_id)
    if agreement_id is not None:
        query = query.where(_R.c.agreement_id == agreement_id)
    order = _R.c.id.desc() if newest else _R.c.id
    return _records(session, query.order_by(order).offset(offset).limit(limit))


def _agreements_of(member_id: str) -> Select[Any]:
    return select(col(Agreement.id)).where(col(Agreement.member_id) == member_id)


def unanswered(session: Session, account_id: str, agreement_id: str, since: Millis) -> int:
    """How many questions under an agreement were put to a resident since then and are over without an answer."""
    query = select(func.count()).where(
        _R.c.account_id == account_id,
        _R.c.agreement_id == agreement_id,
        _R.c.state == "lapsed",
        _R.c.created_at > since,
    )
    return session.connection().execute(query).scalar_one()


def said_no(session: Session, account_id: str, revision_id: str) -> bool:
    """Whether the resident refused this very text."""
    query = select(_R.c.id).where(
        _R.c.account_id == account_id, _R.c.revision_id == revision_id, _R.c.state == "refused"
    )
    return session.connection().execute(query.limit(1)).first() is not None


def said_otherwise(session: Session, account_id: str, agreement_id: str) -> bool:
    """Whether the resident refused, took back or lost a consent under this agreement before."""
    query = select(_R.c.id).where(
        _R.c.account_id == account_id,
        _R.c.agreement_id == agreement_id,
        _R.c.state.in_(("refused", "withdrawn", "invalidated")),
    )
    return session.connection().execute(query.limit(1)).first() is not None


def records_of(session: Session, account_id: str) -> list[RecordRow]:
    """A resident's records, newest first."""
    return _records(session, _ALL.where(_R.c.account_id == account_id).order_by(_R.c.id.desc()))


def due(session: Session, now: Millis, limit: int) -> list[RecordRow]:
    """Standing records, and open questions, whose end has passed."""
    found: list[RecordRow] = []
    for state in (STANDING, OPEN):  # one at a time: each is a place in the index, both together are a walk
        query = _ALL.where(_R.c.state == state, _R.c.until_at <= now).order_by(_R.c.until_at)
        found += _records(session, query.limit(limit - len(found))) if len(found) < limit else []
    return found


def orphaned(session: Session, limit: int) -> list[RecordRow]:
    """Standing records and open questions of withdrawn agreements.

    By revision, for which what stands has an index of its own: by agreement it would be a walk through all that ended.
    """
    over = select(col(Agreement.id)).where(col(Agreement.status) == "withdrawn")
    texts = select(col(AgreementRevision.id)).where(col(AgreementRevision.agreement_id).in_(over))
    revisions = [str(row[0]) for row in session.connection().execute(texts)]
    if not revisions:
        return []
    found = _records(session, _ALL.where(_R.c.revision_id.in_(revisions), _R.c.state == STANDING).limit(limit))
    # Open questions are few, and found by their state; hence the term that no index fits.
    open_ones = _ALL.where(_R.c.state == OPEN, (_R.c.revision_id + "").in_(revisions))
    return found + (_records(session, open_ones.limit(limit - len(found))) if len(found) < limit else [])


def ending_soon(session: Session, now: Millis, before: Millis, limit: int) -> list[RecordRow]:
    """Standing records whose end is near and not told yet; a short one is told in its last third."""
    left = _R.c.until_at - now
    query = _ALL.where(
        _R.c.state == STANDING,
        _R.c.until_at > now,
        _R.c.until_at <= now + before,
        or_(_R.c.notified_until.is_(None), _R.c.notified_until != _R.c.until_at),
        left * 3 <= _R.c.until_at - _R.c.changed_at,
    )
    return _records(session, query.order_by(_R.c.until_at).limit(limit))


def behind(session: Session, revision_id: str, in_force: str, now: Millis, limit: int) -> list[RecordRow]:
    """Records that stand under an earlier revision and were not told of the one in force."""
    ids = asks.untold(session.connection(), revision_id, in_force, now=now, limit=limit)
    return _records(session, _ALL.where(_R.c.id.in_(ids))) if ids else []


def superseded(session: Session) -> Sequence[AgreementRevision]:
    """Revisions that another one has replaced, of agreements that are in force."""
    query = (
        orm_select(AgreementRevision)
        .join(Agreement, col(Agreement.id) == col(AgreementRevision.agreement_id))
        .where(AgreementRevision.status == "superseded", Agreement.status == "approved")
    )
    return session.exec(query.order_by(col(AgreementRevision.id))).all()


def save_record(session: Session, row: RecordRow) -> None:
    """Write a record's row: its first event makes it, later ones change it."""
    connection = session.connection()
    if row.events == 1:
        connection.execute(_ADD_RECORD, {name: getattr(row, name) for name in _R.c.keys()})  # noqa: SIM118
        return
    connection.execute(_CHANGE_RECORD, {"key": row.id, **{name: getattr(row, name) for name in _CHANGING}})


def add_event(session: Session, event_id: str, row: RecordRow, sealed: bytes) -> None:
    """Write the event that brought the row where it is."""
    values = {
        "id": event_id,
        "record_id": row.id,
        "account_id": row.account_id,
        "seq": row.events - 1,
        "sealed": sealed,
    }
    session.connection().execute(_ADD_EVENT, values)


def events_of(session: Session, consent_id: str) -> list[EventRow]:
    """A record's events, oldest first."""
    query = _EVENT.where(_E.c.record_id == consent_id).order_by(_E.c.seq)
    return [EventRow(*found) for found in session.connection().execute(query)]


def recent_events(session: Session, account_id: str, *, before: str, limit: int) -> list[EventRow]:
    """A resident's events of all records before an event's id ("" for the newest), newest first."""
    query = _EVENT.where(_E.c.account_id == account_id)
    if before:
        query = query.where(_E.c.id < before)
    return [EventRow(*found) for found in session.connection().execute(query.order_by(_E.c.id.desc()).limit(limit))]


def last_event(session: Session, consent_id: str) -> EventRow | None:
    """A record's newest event."""
    found = session.connection().execute(_LAST_EVENT, {"record": consent_id}).first()
    return None if found is None else EventRow(*found)


def delete_for(session: Session, account_id: str) -> None:
    """Remove a resident's records, events, instructions and imports, and receipts they show to somebody just now."""
    connection = session.connection()
    asks.delete_for(connection, account_id)
    connection.execute(_SHOWN.delete().where(_SHOWN.c.account_id == account_id))
    connection.execute(_IMPORT.delete().where(_IMPORT.c.account_id == account_id))
    connection.execute(_INSTRUCTED.delete().where(_INSTRUCTED.c.account_id == account_id))
    connection.execute(_INSTRUCTION.delete().where(_INSTRUCTION.c.account_id == account_id))
    connection.execute(_E.delete().where(_E.c.account_id == account_id))
    connection.execute(_R.delete().where(_R.c.account_id == account_id))


def offer(session: Session, agreement_id: str) -> tuple[str | None, str, str, bool]:
    """How an agreement stands for who wants to answer it: revision in force, its status, the member's, held or not."""
    found = session.connection().execute(_OFFER, {"id": agreement_id}).one()
    return found[0], found[1], found[2], bool(found[3])


def _records(session: Session, query: Select[Any], values: dict[str, str] | None = None) -> list[RecordRow]:
    return [RecordRow(*found) for found in session.connection().execute(query, values or {})]


def is_held(place: Session | Connection, member_id: str) -> bool:
    """Whether sharing with a member is held."""
    connection = place if isinstance(place, Connection) else place.connection()
    return connection.execute(select(col(Hold.member_id)).where(col(Hold.member_id) == member_id)).first() is not None


# One look at everything a decision depends on. The member's row belongs to identity and is named, not imported.
_DECIDE = """
SELECT r.id, r.account_id, r.member_id, r.agreement_id, r.revision_id, r.state, r.purpose, r.categories, r.until_at,
       a.status AS agreement_status, m.status AS member_status,
       EXISTS (SELECT 1 FROM consent_hold h WHERE h.member_id = r.member_id) AS held
FROM consent_record r
JOIN consent_agreement a ON a.id = r.agreement_id
JOIN identity_member m ON m.id = r.member_id
"""
_OF_ID = "WHERE r.id = :id"
_OF_PAIR = "WHERE r.account_id = :account AND r.member_id = :member ORDER BY r.state = 'given' DESC, r.id DESC LIMIT 50"
_OF_GRANT = "JOIN identity_grant_consent g ON g.consent_id = r.id WHERE g.grant_id = :grant ORDER BY r.id DESC LIMIT 50"
# On PostgreSQL a decision inside a write locks what it rests on: under snapshot isolation alone a disclosure could
# commit after the withdrawal it did not see. SQLite has one writer, which is the same thing.
_SHARE = "FOR SHARE OF r, a, m"
_LOOKS = {
    (by, share): Quick(_DECIDE + which, lock=_SHARE if share else "")
    for by, which in (("id", _OF_ID), ("pair", _OF_PAIR), ("grant", _OF_GRANT))
    for share in (False, True)
}


def look(connection: Connection, by: str, *, lock: bool, values: dict[str, str]) -> Sequence[Sequence[Any]]:
    """The facts by "id", "pair" or "grant", newest standing first; columns as in _DECIDE."""
    return _LOOKS[by, lock].all(connection, **values)
