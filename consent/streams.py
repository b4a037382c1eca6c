"""Who follows the changes of consents, and what is on its way to them.

A change is put on the way in the very write that makes it, one row for each stream it concerns, so none is forgotten
and none is told that did not happen. A row is gone when the service has taken it. A stream that takes nothing for a
week is closed: with a gap in what it heard, a service must not trust what it kept, and opens it anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from sqlalchemy import Table, bindparam, func, or_, select
from sqlmodel import Session, SQLModel

from consent.errors import UnknownStream
from consent.models import Delivery, Stream
from consent.security_events import Kind, claims
from keys.envelope import Sealer
from kit import audit
from kit.clock import DAY, Millis
from kit.db import Tx, tx_of
from kit.encoding import canonical
from kit.host import SYSTEM, Actor
from kit.ids import new_id

TOPIC: Final = "consent.streams"  # touched when there is something to tell
CLOSED_AFTER: Millis = 7 * DAY

_S: Table = SQLModel.metadata.tables[str(Stream.__tablename__)]
_D: Table = SQLModel.metadata.tables[str(Delivery.__tablename__)]
_CONCERNED = select(_S.c.client_id).where(or_(_S.c.member_id == bindparam("member"), _S.c.everyone))
_ADD = _D.insert()


@dataclass(frozen=True, slots=True)
class StreamView:
    """A stream as its service set it."""

    client_id: str
    member_id: str
    everyone: bool
    endpoint: str | None
    authorization: bytes | None = field(repr=False)
    opened_at: Millis
    tries: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A change that a service has not taken yet."""

    id: str
    client_id: str
    member_id: str
    claims: Mapping[str, Any]
    ending_id: str | None
    created_at: Millis


Batch = tuple[StreamView, tuple[Waiting, ...]]


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
        row = Stream(client_id=client_id, member_id=member_id, everyone=everyone, opened_at=now, next_at=now)
    row.everyone, row.endpoint, row.authorization = everyone, endpoint, sealed
    row.tries, row.next_at = 0, now  # a new address is tried at once
    session.add(row)
    session.flush()
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
    session.connection().execute(_D.delete().where(_D.c.client_id == client_id))
    audit.record(
        session,
        "consent.stream.closed",
        actor=actor,
        object=("client", client_id),
        detail={"member": row.member_id, **({"reason": reason} if reason else {})},
    )


def stream_of(session: Session, client_id: str) -> tuple[StreamView, int]:
    """A service's stream and how much waits in it; raises UnknownStream."""
    row = session.get(Stream, client_id)
    if row is None:
        raise UnknownStream("There is no stream of yours. Open one, then ask anew for what you keep.")
    count = select(func.count()).select_from(_D).where(_D.c.client_id == client_id)
    return _view(row), int(session.connection().execute(count).scalar_one())


def tell(
    session: Session,
    kind: Kind,
    about: str,
    *,
    member_id: str,
    now: Millis,
    ending_id: str | None = None,
    only: str | None = None,
    **more: Any,
) -> int:
    """Put a change on the way to every stream it concerns (or to one service `only`); to how many."""
    connection = session.connection()
    concerned = [only] if only else [row[0] for row in connection.execute(_CONCERNED, {"member": member_id})]
    if concerned:
        said = claims(kind, about, recipient=member_id, at=now, transaction=ending_id, **more)
        text = canonical(said).decode()
        connection.execute(_ADD, [_row(client_id, member_id, text, now, ending_id) for client_id in concerned])
        tx_of(session).touch(TOPIC)
    return len(concerned)


def tell_later(tx: Tx, kind: Kind, about: str, *, member_id: str, now: Millis) -> None:
    """The same where nothing can be read (beside an audit entry): `spread` finds whom it concerns."""
    said = canonical(claims(kind, about, recipient=member_id, at=now)).decode()
    tx.append(_D, _row("", member_id, said, now))
    tx.touch(TOPIC)


def spread(session: Session) -> int:
    """Give what was told later to the streams it concerns; how many changes."""
    connection = session.connection()
    found = connection.execute(select(_D).where(_D.c.client_id == "").limit(100)).mappings().all()
    for row in found:
        if connection.execute(_D.delete().where(_D.c.id == row["id"])).rowcount != 1:
            continue  # another process has it
        concerned = [each[0] for each in connection.execute(_CONCERNED, {"member": row["member_id"]})]
        if concerned:
            rows = [_row(each, row["member_id"], row["claims"], row["created_at"]) for each in concerned]
            connection.execute(_ADD, rows)
    return len(found)


def has_unspread(session: Session) -> bool:
    """Whether `spread` has something to do."""
    return session.connection().execute(select(_D.c.id).where(_D.c.client_id == "").limit(1)).first() is not None


def waiting(session: Session, client_id: str, limit: int) -> tuple[Waiting, ...]:
    """What a service has not taken yet, oldest first."""
    query = select(_D).where(_D.c.client_id == client_id).order_by(_D.c.created_at, _D.c.id).limit(limit)
    return tuple(
        Waiting(
            row["id"],
            row["client_id"],
            row["member_id"],
            orjson.loads(row["claims"]),
            row["ending_id"],
            row["created_at"],
        )
        for row in session.connection().execute(query).mappings()
    )


def due(session: Session, now: Millis, *, streams: int = 20, each: int = 20) -> tuple[Batch, ...]:
    """What is to be pushed now: for each stream whose time has come, its oldest changes in order."""
    some = select(_D.c.id).where(_D.c.client_id == _S.c.client_id).exists()
    query = select(_S.c.client_id).where(_S.c.endpoint.is_not(None), _S.c.next_at <= now, some)
    found = session.connection().execute(query.order_by(_S.c.next_at).limit(streams)).scalars().all()
    rows = [session.get_one(Stream, client_id) for client_id in found]
    return tuple((_view(row), waiting(session, row.client_id, each)) for row in rows)


def taken(session: Session, client_id: str, ids: Collection[str]) -> tuple[str, ...]:
    """The service has these. Returns the endings its own member has heard of by that."""
    row = session.get(Stream, client_id)
    heard = select(_D.c.ending_id).where(_D.c.client_id == client_id, _D.c.id.in_(ids), _D.c.ending_id.is_not(None))
    if row is not None:
        heard = heard.where(_D.c.member_id == row.member_id)
    found = tuple(session.connection().execute(heard).scalars())
    dropped(session, client_id, ids)
    return found


def dropped(session: Session, client_id: str, ids: Collection[str]) -> None:
    """The service can't use these, or they concern it no more."""
    session.connection().execute(_D.delete().where(_D.c.client_id == client_id, _D.c.id.in_(ids)))


def pushed(session: Session, client_id: str, *, tries: int, next_at: Millis) -> None:
    """A round of pushes to a stream is over: when to go on."""
    change = _S.update().where(_S.c.client_id == client_id).values(tries=tries, next_at=next_at)
    session.connection().execute(change)


def close_dead(session: Session, now: Millis) -> int:
    """Close the streams that have taken nothing for a week; how many."""
    query = select(_D.c.client_id).where(_D.c.created_at <= now - CLOSED_AFTER, _D.c.client_id != "").distinct()
    dead = [row[0] for row in session.connection().execute(query.limit(20))]
    for client_id in dead:
        close_stream(session, client_id, actor=SYSTEM, reason="nothing-taken")
    return len(dead)


def authorization_of(sealer: Sealer, stream: StreamView) -> str | None:
    """The header a receiver asked for with its pushes."""
    if stream.authorization is None:
        return None
    return sealer.system().open(f"consent_stream|authorization|{stream.client_id}", stream.authorization).decode()


def _row(client_id: str, member_id: str, said: str, now: Millis, ending_id: str | None = None) -> dict[str, Any]:
    return {
        "id": new_id("set"), "client_id": client_id, "member_id": member_id, "claims": said, "ending_id": ending_id,
        "created_at": now,
    }  # fmt: skip


def _view(row: Stream) -> StreamView:
    return StreamView(
        row.client_id, row.member_id, row.everyone, row.endpoint, row.authorization, row.opened_at, row.tries
    )
