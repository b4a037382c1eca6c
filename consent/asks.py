"""Who was asked again in a campaign, and how it came out. The rows; `campaigns` decides.

`settle` is called in the very write that changes a record, so that an answer, a withdrawal and a campaign's end of the
same consent cannot disagree: whichever is first closes the question.
"""

from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, Table, bindparam, case, func, select
from sqlmodel import SQLModel

from consent.campaign_rules import RESPECTED, Outcome
from consent.models import Ask, Record
from consent.states import STANDING
from kit.clock import Millis
from kit.db import Session

_A: Table = SQLModel.metadata.tables[str(Ask.__tablename__)]
_R: Table = SQLModel.metadata.tables[str(Record.__tablename__)]
_SETTLE = (
    _A.update()
    .where(_A.c.record_id == bindparam("record"), _A.c.due_at.is_not(None))
    .values(
        # Who said no, and whose consent then ended at the deadline, said no.
        state=case(
            ((_A.c.state == "refused") & (bindparam("outcome") == "ended"), "refused"), else_=bindparam("outcome")
        ),
        due_at=None,
        answered_at=func.coalesce(_A.c.answered_at, bindparam("now")),
    )
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is open: no answer is final before its end."""

    campaign_id: str
    record_id: str
    state: Outcome
    until_at: Millis
    reminded: int


_QUESTION = select(_A.c.campaign_id, _A.c.record_id, _A.c.state, _A.c.until_at, _A.c.reminded)


def settle(connection: Connection, record_id: str, outcome: Outcome, *, now: Millis) -> None:
    """The consent was answered anew, or ended: its question is over."""
    connection.execute(_SETTLE, {"record": record_id, "outcome": outcome, "now": now})


def refuse(connection: Connection, found: Question, *, now: Millis) -> None:
    """The resident said no: no reminder any more; what was agreed to before ends at the stated time."""
    connection.execute(
        _A.update()
        .where(_A.c.campaign_id == found.campaign_id, _A.c.record_id == found.record_id)
        .values(state="refused", answered_at=now, due_at=_A.c.until_at)
    )


def add(
    connection: Connection, campaign_id: str, record_id: str, *, state: Outcome, now: Millis, until: Millis, due: Millis
) -> None:
    """Somebody was asked; or is not asked, for a no that is respected."""
    values: dict[str, Any] = {
        "campaign_id": campaign_id, "record_id": record_id, "state": state, "asked_at": now, "until_at": until,
        "reminded": 0, "due_at": due, "answered_at": None,
    }  # fmt: skip
    connection.execute(_A.insert(), values)


def reminded(connection: Connection, found: Question, *, due: Millis) -> None:
    """Somebody was reminded."""
    connection.execute(
        _A.update()
        .where(_A.c.campaign_id == found.campaign_id, _A.c.record_id == found.record_id)
        .values(reminded=found.reminded + 1, due_at=due)
    )


def due(connection: Connection, campaign_id: str, *, now: Millis, limit: int) -> list[Question]:
    """Questions to look at again."""
    query = _QUESTION.where(_A.c.campaign_id == campaign_id, _A.c.due_at <= now).order_by(_A.c.due_at).limit(limit)
    return [Question(*row) for row in connection.execute(query)]


def ran_out(connection: Connection, campaign_id: str, *, now: Millis, limit: int) -> list[Question]:
    """Questions whose time has passed."""
    query = _QUESTION.where(_A.c.campaign_id == campaign_id, _A.c.due_at <= now, _A.c.until_at <= now)
    return [Question(*row) for row in connection.execute(query.order_by(_A.c.due_at).limit(limit))]


def any_open(connection: Connection, campaign_id: str) -> bool:
    """Whether anybody's question is not over."""
    query = select(_A.c.record_id).where(_A.c.campaign_id == campaign_id, _A.c.due_at.is_not(None)).limit(1)
    return connection.execute(query).first() is not None


def of_record(session: Session, record_id: str) -> Question | None:
    """The open question about a consent."""
    query = _QUESTION.where(_A.c.record_id == record_id, _A.c.due_at.is_not(None))
    found = session.connection().execute(query).first()
    return None if found is None else Question(*found)


def said_no_lately(connection: Connection, record_id: str, *, now: Millis) -> bool:
    """Whether this person refused in a campaign not long ago."""
    query = select(_A.c.record_id).where(
        _A.c.record_id == record_id, _A.c.state == "refused", _A.c.answered_at > now - RESPECTED
    )
    return connection.execute(query.limit(1)).first() is not None


def close_all(connection: Connection, campaign_id: str) -> None:
    """The campaign is over before its end: nobody's consent ends by it."""
    connection.execute(_A.update().where(_A.c.campaign_id == campaign_id).values(due_at=None))


def shift(connection: Connection, campaign_id: str, by: Millis) -> None:
    """The campaign stood still for so long: everybody has that much more time."""
    connection.execute(
        _A.update()
        .where(_A.c.campaign_id == campaign_id, _A.c.due_at.is_not(None))
        .values(until_at=_A.c.until_at + by, due_at=_A.c.due_at + by)
    )


def count(connection: Connection, campaign_id: str) -> dict[Outcome, int]:
    """Exact figures. For publishing in tens, and for nobody's eyes."""
    query = select(_A.c.state, func.count()).where(_A.c.campaign_id == campaign_id).group_by(_A.c.state)
    return {cast(Outcome, state): int(number) for state, number in connection.execute(query)}


def delete_for(connection: Connection, account_id: str) -> None:
    """The resident leaves; before their records go."""
    mine = select(_R.c.id).where(_R.c.account_id == account_id)
    connection.execute(_A.delete().where(_A.c.record_id.in_(mine)))


def untold(connection: Connection, revision_id: str, in_force: str, *, now: Millis, limit: int) -> list[str]:
    """Consents that stand under an earlier revision and were not told of the one in force: their records' ids.

    Three looks instead of one "is not": each is a place in the index, whatever else stands there.
    """
    found: list[str] = []
    stands = select(_R.c.id).where(_R.c.revision_id == revision_id, _R.c.state == STANDING, _R.c.until_at > now)
    for untouched in (_R.c.seen_id.is_(None), _R.c.seen_id < in_force, _R.c.seen_id > in_force):
        if len(found) < limit:
            query = stands.where(untouched).limit(limit - len(found))
            found += [str(row[0]) for row in connection.execute(query)]
    return found
