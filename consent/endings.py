"""What follows the end of a consent: the recipient is told, and confirms.

However a consent ends (withdrawn, run out, ended by its recipient, invalid), its recipient owes a confirmation that it
has stopped. That a token was taken proves delivery only (RFC 8935 section 2.2); the confirmation is a statement the
recipient signs with its own key (`consent.acknowledgements`), kept as it came, beside the key it verifies under. What
is not confirmed in time goes into the audit trail, where the incident desk hears it. Nobody waits for any of this: the
data is closed from the end's own commit on.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal, cast

from sqlalchemy import Table
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as orm_select

from consent import streams
from consent.errors import ConfirmedAlready, UnknownEnding
from consent.models import Ending
from consent.states import State
from kit import audit
from kit.clock import Millis
from kit.host import SYSTEM, Actor
from kit.ids import new_id

MISSED: Final = "consent.acknowledgement.missed"
_AT_MOST = 1000  # endings told anew to a service that begins to follow

Data = Literal["erased", "kept"]
_T: Table = SQLModel.metadata.tables[str(Ending.__tablename__)]


@dataclass(frozen=True, slots=True)
class EndingView:
    """How far the telling of an end has come."""

    id: str
    consent_id: str
    member_id: str
    cause: State
    made_at: Millis
    told_at: Millis | None
    confirmed_at: Millis | None
    data: Data | None
    statement: str | None
    statement_key: str | None
    escalated_at: Millis | None


def begin(
    session: Session,
    *,
    consent_id: str,
    account_id: str,
    member_id: str,
    agreement_id: str,
    cause: State,
    seq: int,
    now: Millis,
) -> None:
    """A consent ended: its recipient owes a confirmation, and everybody who follows is told."""
    row = Ending(
        id=new_id("end"),
        consent_id=consent_id,
        account_id=account_id,
        member_id=member_id,
        agreement_id=agreement_id,
        cause=cause,
        seq=seq,
        made_at=now,
    )
    session.connection().execute(_T.insert(), {name: getattr(row, name) for name in _T.c.keys()})  # noqa: SIM118
    _tell(session, row)


def tell_outstanding(session: Session, client_id: str, member_id: str, *, now: Millis) -> int:
    """A service of a recipient begins to follow: what its member has not confirmed is told to it; how much."""
    query = orm_select(Ending).where(Ending.member_id == member_id, col(Ending.confirmed_at).is_(None))
    found = session.exec(query.order_by(col(Ending.made_at)).limit(_AT_MOST)).all()
    for row in found:
        _tell(session, row, only=client_id, since=now)
    return len(found)


def told(session: Session, ending_ids: Collection[str], *, client_id: str, actor: Actor, now: Millis) -> None:
    """A service of the recipient has taken word of these."""
    for row in session.exec(orm_select(Ending).where(col(Ending.id).in_(ending_ids), col(Ending.told_at).is_(None))):
        row.told_at = now
        session.add(row)
        audit.record(
            session,
            "consent.ending.told",
            actor=actor,
            object=("consent", row.consent_id),
            detail={"ending": row.id, "member": row.member_id, "client": client_id},
        )


def confirm(
    session: Session,
    ending_id: str,
    *,
    consent_id: str,
    member_id: str,
    data: Data,
    statement: str,
    statement_key: str | None,
    actor: Actor,
    now: Millis,
) -> EndingView:
    """Keep the recipient's word that it has stopped; without a key where it could not sign. The same word again changes
    nothing.

    Raises UnknownEnding for none and for another member's, ConfirmedAlready for a second, different word.
    """
    row = session.get(Ending, ending_id)
    if row is None or row.member_id != member_id or row.consent_id != consent_id:
        raise UnknownEnding("No ended consent of yours has this name. It is the token's `txn`.")
    if row.confirmed_at is not None:
        if row.statement != statement:  # the first word is evidence: nothing said later takes its place
            raise ConfirmedAlready("This end was confirmed before.")
        return _view(row)
    row.confirmed_at, row.confirmed_by, row.data = now, actor.id, data
    row.statement, row.statement_key = statement, statement_key
    row.told_at = row.told_at or now
    session.add(row)
    audit.record(
        session,
        "consent.acknowledgement.received",
        actor=actor,
        object=("consent", row.consent_id),
        detail={
            "ending": row.id,
            "member": row.member_id,
            "client": actor.id,
            "data": data,
            "signed": statement_key is not None,
            "late": row.escalated_at is not None,
        },
    )
    return _view(row)


def escalate(session: Session, *, before: Millis, now: Millis, limit: int = 50) -> int:
    """Ends from before then that nobody confirmed: into the trail, once each, where the desk hears it; how many."""
    query = orm_select(Ending).where(
        col(Ending.confirmed_at).is_(None), col(Ending.escalated_at).is_(None), Ending.made_at <= before
    )
    found = session.exec(query.order_by(col(Ending.made_at)).limit(limit)).all()
    for row in found:
        row.escalated_at = now
        session.add(row)
        audit.record(
            session,
            MISSED,
            actor=SYSTEM,
            object=("consent", row.consent_id),
            detail={
                "ending": row.id,
                "member": row.member_id,
                "cause": row.cause,
                "told": row.told_at is not None,
                **({"account": row.account_id} if row.account_id else {}),
            },
            outcome="failed",
        )
    return len(found)


def of_consent(session: Session, consent_id: str) -> EndingView | None:
    """The end of a consent, if it has ended."""
    query = orm_select(Ending).where(Ending.consent_id == consent_id).order_by(col(Ending.seq).desc()).limit(1)
    row = session.exec(query).first()
    return None if row is None else _view(row)


def unlink(session: Session, account_id: str) -> None:
    """The resident left: the recipients still owe their word, and whose consent it was is forgotten."""
    session.connection().execute(_T.update().where(_T.c.account_id == account_id).values(account_id=""))


def _tell(session: Session, row: Ending, *, only: str | None = None, since: Millis | None = None) -> None:
    streams.tell(
        session,
        "consent-ended",
        row.consent_id,
        member_id=row.member_id,
        now=row.made_at,
        ending_id=row.id,
        only=only,
        since=since,
        consent=row.consent_id,
        agreement=row.agreement_id,
        state=row.cause,
        change=row.cause,
        seq=row.seq,
    )


def _view(row: Ending) -> EndingView:
    return EndingView(
        row.id,
        row.consent_id,
        row.member_id,
        cast(State, row.cause),
        row.made_at,
        row.told_at,
        row.confirmed_at,
        cast(Data | None, row.data),
        row.statement,
        row.statement_key,
        row.escalated_at,
    )
