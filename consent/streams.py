"""Who follows the changes of consents, and what is on its way to them.

A change is put into the outbox in the very write that makes it, one row for each stream it concerns, in the lane of its
service. A stream that takes nothing for a week is closed: with a gap in what it heard, a service must not trust what it
kept, and opens it anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import Table, bindparam, or_, select
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as orm_select

from consent.errors import UnknownStream
from consent.models import Stream
from consent.security_events import Kind, claims
from keys.envelope import Sealer
from kit import audit, outbox
from kit.clock import DAY, Millis
from kit.db import Tx, tx_of
from kit.encoding import canonical
from kit.host import SYSTEM, Actor
from kit.outbox import Item, outbox_table

TOPIC: Final = "consent.stream"  # of the outbox, and touched when there is something to tell
UNSPREAD: Final = "consent.change"  # of the outbox: changes not yet given to the streams they concern
CLOSED_AFTER: Millis = 7 * DAY

_S: Table = SQLModel.metadata.tables[str(Stream.__tablename__)]
_CONCERNED = select(_S.c.client_id, _S.c.endpoint).where(or_(_S.c.member_id == bindparam("member"), _S.c.everyone))
_KEPT: Millis = CLOSED_AFTER + DAY


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream as its service set it."""

    client_id: str
    member_id: str
    everyone: bool
    endpoint: str | None
    authorization: bytes | None = field(repr=False)
    opened_at: Millis


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that a service has not taken yet."""

    id: str
    client_id: str
    member_id: str
    claims: Mapping[str, Any]
    ending_id: str | None
    created_at: Millis


def open_stream(
    session: Session,
    sealer: Sealer,
    *,
    client_id: str,
    member_id: str,
    everyone: bool,
    endpoint: str | None,
    authorization: str | None,
    actor: Actor,
    now: Millis,
) -> tuple[StreamView, bool]:
    """Follow changes from now on, or change how they come; what waits already goes the new way. And whether it is
    new."""
    sealed = None
    if authorization is not None:
        sealed = sealer.system().seal(f"consent_stream|authorization|{client_id}", authorization.encode())
    row = session.get(Stream, client_id)
    news = row is None
    if row is None:
        row = Stream(client_id=client_id, member_id=member_id, everyone=everyone, opened_at=now)
    row.everyone, row.endpoint, row.authorization = everyone, endpoint, sealed
    session.add(row)
    session.flush()
    outbox.reschedule(session.connection(), TOPIC, client_id, now if endpoint else None)  # a new address at once
    audit.record(
        session,
        "consent.stream.opened" if news else "consent.stream.changed",
        actor=actor,
        object=("client", client_id),
        detail={"member": member_id, "delivery": "push" if endpoint else "poll", "everyone": everyone},
    )
    return _view(row), news


def close_stream(session: Session, client_id: str, *, actor: Actor, reason: str = "") -> None:
    """Follow no longer; what waits is forgotten. Raises UnknownStream."""
    row = session.get(Stream, client_id)
    if row is None:
        raise UnknownStream("There is no stream of yours.")
    session.delete(row)
    session.flush()
    outbox.clear(session.connection(), TOPIC, client_id)
    audit.record(
        session,
        "consent.stream.closed",
        actor=actor,
        object=("client", client_id),
        detail={"member": row.member_id, **({"reason": reason} if reason else {})},
    )


def stream_of(session: Session, client_id: str) -> tuple[StreamView, outbox.Backlog]:
    """A service's stream and what waits in it; raises UnknownStream."""
    row = session.get(Stream, client_id)
    if row is None:
        raise UnknownStream("There is no stream of yours. Open one, then ask anew for what you keep.")
    return _view(row), outbox.backlog(session.connection(), TOPIC, client_id)


def list_all(session: Session) -> tuple[StreamView, ...]:
    """Every stream, by its service."""
    return tuple(_view(row) for row in session.exec(orm_select(Stream).order_by(col(Stream.client_id))))


def find_stream(session: Session, client_id: str) -> StreamView | None:
    """A service's stream, if it has one."""
    row = session.get(Stream, client_id)
    return None if row is None else _view(row)


def tell(
    session: Session,
    kind: Kind,
    about: str,
    *,
    member_id: str,
    now: Millis,
    ending_id: str | None = None,
    only: str | None = None,
    since: Millis | None = None,
    **more: Any,
) -> int:
    """Put a change on the way to every stream it concerns; to how many. Or, later, to one service `only`: what happened
    then waits for it `since` now."""
    connection = session.connection()
    query = _CONCERNED if only is None else _CONCERNED.where(_S.c.client_id == only)
    concerned = connection.execute(query, {"member": member_id}).all()
    if concerned:
        said = claims(kind, about, recipient=member_id, at=now, transaction=ending_id, **more)
        body = canonical([member_id, ending_id, said])
        outbox.add(connection, [_row(client_id, endpoint, body, since or now) for client_id, endpoint in concerned])
        tx_of(session).touch(TOPIC)
    return len(concerned)


def tell_later(tx: Tx, kind: Kind, about: str, *, member_id: str, now: Millis) -> None:
    """The same where nothing can be read (beside an audit entry): `spread` finds whom it concerns."""
    body = canonical([member_id, None, claims(kind, about, recipient=member_id, at=now)])
    tx.append(outbox_table, outbox.row(UNSPREAD, "", body, now=now, expires_at=now + _KEPT, held=True, prefix="set"))
    tx.touch(TOPIC)


def spread(session: Session) -> int:
    """Give what was told later to the streams it concerns; how many changes."""
    connection = session.connection()
    found = outbox.waiting(connection, UNSPREAD, "", 100)
    for item in found:
        if outbox.remove(connection, UNSPREAD, "", [item.id]) != 1:
            continue  # another process has it
        concerned = connection.execute(_CONCERNED, {"member": orjson.loads(item.body)[0]})
        outbox.add(connection, [_row(each, endpoint, item.body, item.created_at) for each, endpoint in concerned])
    return len(found)


def has_unspread(session: Session) -> bool:
    """Whether `spread` has something to do."""
    return bool(outbox.waiting(session.connection(), UNSPREAD, "", 1))


def waiting(session: Session, client_id: str, limit: int) -> tuple[Waiting, ...]:
    """What a service has not taken yet, oldest first."""
    return tuple(map(opened, outbox.waiting(session.connection(), TOPIC, client_id, limit)))


def taken(session: Session, client_id: str, items: Iterable[Item]) -> tuple[str, ...]:
    """The endings that a service's own member has heard of by taking these."""
    row = session.get(Stream, client_id)
    found = map(opened, items)
    return tuple(each.ending_id for each in found if row and each.ending_id and each.member_id == row.member_id)


def opened(item: Item) -> Waiting:
    """What a row of the outbox says."""
    member_id, ending_id, said = orjson.loads(item.body)
    return Waiting(item.id, item.lane, member_id, said, ending_id, item.created_at)


def close_dead(session: Session, now: Millis) -> int:
    """Close the streams that have taken nothing for a week; how many."""
    dead = outbox.stale(session.connection(), TOPIC, now - CLOSED_AFTER)[:20]
    for client_id in dead:
        close_stream(session, client_id, actor=SYSTEM, reason="nothing-taken")
    return len(dead)


def authorization_of(sealer: Sealer, stream: StreamView) -> str | None:
    """The header a receiver asked for with its pushes."""
    if stream.authorization is None:
        return None
    return sealer.system().open(f"consent_stream|authorization|{stream.client_id}", stream.authorization).decode()


def _row(client_id: str, endpoint: str | None, body: bytes, now: Millis) -> dict[str, Any]:
    return outbox.row(
        TOPIC, client_id, body, now=now, expires_at=now + _KEPT, held=endpoint is None, prefix="set"
    )  # fmt: skip


def _view(row: Stream) -> StreamView:
    return StreamView(row.client_id, row.member_id, row.everyone, row.endpoint, row.authorization, row.opened_at)
