"""The queries of consent. Private to this package."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, text
from sqlmodel import Session, col, delete
from sqlmodel import select as orm_select

from consent.errors import UnknownAgreement
from consent.models import Agreement, AgreementRevision, ConsentEvent, Hold, Record
from consent.states import STANDING
from kit.clock import Millis


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


def record_of(session: Session, consent_id: str, account_id: str | None) -> Record | None:
    """A record; None if there is none or it is somebody else's."""
    row = session.get(Record, consent_id)
    return row if row is not None and account_id in (None, row.account_id) else None


def standing_record(session: Session, account_id: str, agreement_id: str) -> Record | None:
    """The one record of a resident under an agreement that stands (its end may have passed)."""
    query = orm_select(Record).where(
        Record.account_id == account_id, Record.agreement_id == agreement_id, Record.state == STANDING
    )
    return session.exec(query).first()


def records_of(session: Session, account_id: str) -> Sequence[Record]:
    """A resident's records, newest first."""
    query = orm_select(Record).where(Record.account_id == account_id)
    return session.exec(query.order_by(col(Record.id).desc())).all()


def due(session: Session, now: Millis, limit: int) -> Sequence[Record]:
    """Standing records whose end has passed."""
    query = orm_select(Record).where(Record.state == STANDING, Record.until_at <= now)
    return session.exec(query.order_by(col(Record.until_at)).limit(limit)).all()


def orphaned(session: Session, limit: int) -> Sequence[Record]:
    """Standing records of withdrawn agreements."""
    query = (
        orm_select(Record)
        .join(Agreement, col(Agreement.id) == col(Record.agreement_id))
        .where(Agreement.status == "withdrawn", Record.state == STANDING)
    )
    return session.exec(query.limit(limit)).all()


def events_of(session: Session, consent_id: str) -> Sequence[ConsentEvent]:
    """A record's events, oldest first."""
    query = orm_select(ConsentEvent).where(ConsentEvent.record_id == consent_id)
    return session.exec(query.order_by(col(ConsentEvent.seq))).all()


def last_event(session: Session, consent_id: str) -> ConsentEvent | None:
    """A record's newest event."""
    query = orm_select(ConsentEvent).where(ConsentEvent.record_id == consent_id)
    return session.exec(query.order_by(col(ConsentEvent.seq).desc()).limit(1)).first()


def delete_for(session: Session, account_id: str) -> None:
    """Remove a resident's records and events."""
    session.exec(delete(ConsentEvent).where(col(ConsentEvent.account_id) == account_id))
    session.exec(delete(Record).where(col(Record.account_id) == account_id))


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
_BY_ID = "WHERE r.id = :id"
_BY_PAIR = "WHERE r.account_id = :account AND r.member_id = :member ORDER BY r.state = 'given' DESC, r.id DESC LIMIT 50"
_BY_GRANT = "JOIN identity_grant_consent g ON g.consent_id = r.id WHERE g.grant_id = :grant ORDER BY r.id DESC LIMIT 50"
# On PostgreSQL a decision inside a write locks what it rests on: under snapshot isolation alone a disclosure could
# commit after the withdrawal it did not see. SQLite has one writer, which is the same thing.
_SHARE = " FOR SHARE OF r, a, m"

_DECIDE_SQLITE = {"id": _DECIDE + _BY_ID, "pair": _DECIDE + _BY_PAIR, "grant": _DECIDE + _BY_GRANT}
_DECIDE_TEXT = {
    (by, share): text(statement + (_SHARE if share else ""))
    for by, statement in _DECIDE_SQLITE.items()
    for share in (False, True)
}


def look(connection: Connection, by: str, *, lock: bool, values: dict[str, str]) -> Sequence[Sequence[Any]]:
    """The facts by "id", "pair" or "grant", newest standing first; columns as in _DECIDE.

    On SQLite it asks the driver itself: every read of the bank does this, and the engine cost ten times the look.
    """
    driver = connection.connection.driver_connection
    if isinstance(driver, sqlite3.Connection):
        return driver.execute(_DECIDE_SQLITE[by], values).fetchall()
    return connection.execute(_DECIDE_TEXT[by, lock], values).all()
