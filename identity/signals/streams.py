"""Streams of signals: one for each client, and what it says of itself.

OpenID Shared Signals Framework 1.0 section 8.1. A stream belongs to the client whose token opened it; nobody else's
token finds it. What waits stands in the outbox in the stream's lane: events in one topic, in order, and what concerns
the stream itself (proof of life, a change of its status) in another, which goes out whatever waits in the first. The
header a receiver asked to be sent is sealed, never shown, and never goes to another address than it came with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import orjson
from sqlalchemy import Table, func
from sqlalchemy import delete as core_delete
from sqlalchemy import select as core_select
from sqlmodel import Session, SQLModel, col, select

from identity.errors import SignalRefused, SignalStreamExists, UnknownSignalStream
from identity.models import SignalLeft, SignalStream
from identity.signals.delivery import Delivery
from identity.signals.events import STREAM_UPDATED, VERIFICATION
from keys.envelope import Sealer
from kit import audit, outbox
from kit.clock import DAY, HOUR, Millis
from kit.db import tx_of
from kit.host import Actor
from kit.ids import new_id
from kit.problems import TooMany

Status = Literal["enabled", "paused", "disabled"]
STATUSES: Final[tuple[Status, ...]] = ("enabled", "paused", "disabled")
EVENTS: Final = "identity.signal"  # of the outbox, and touched when there is something to tell
CONTROL: Final = "identity.signal.control"
#: A stream that takes nothing for a week, or lets this many pile up, is disabled and told so.
KEPT: Final[Millis] = 7 * DAY
MOST_WAITING: Final = 10_000
MOST_LEFT: Final = 10_000
_PROOF_KEPT: Final[Millis] = HOUR

_left: Table = SQLModel.metadata.tables[str(SignalLeft.__tablename__)]


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as it is now."""

    id: str
    client_id: str
    status: Status
    reason: str
    requested: tuple[str, ...]
    endpoint: str | None
    authorization: bytes | None = field(repr=False)
    description: str
    held_by_us: bool
    created_at: Millis
    verified_at: Millis | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a receiver says its stream shall be."""

    requested: tuple[str, ...]
    delivery: Delivery
    description: str


def of_client(session: Session, client_id: str) -> Stream | None:
    """A client's stream, if it has one."""
    row = session.exec(select(SignalStream).where(SignalStream.client_id == client_id)).first()
    return None if row is None else _view(row)


def get(session: Session, stream_id: str) -> Stream | None:
    """A stream by its id: for the office and the senders; receivers come by `own`."""
    row = session.get(SignalStream, stream_id)
    return None if row is None else _view(row)


def list_all(session: Session) -> tuple[Stream, ...]:
    """Every stream, oldest first."""
    return tuple(_view(row) for row in session.exec(select(SignalStream).order_by(col(SignalStream.id))))


def own(session: Session, client_id: str, stream_id: str) -> Stream:
    """The client's stream, if it is called so; raises UnknownSignalStream for anybody else's too."""
    found = of_client(session, client_id)
    if found is None or found.id != stream_id:
        raise UnknownSignalStream("There is no stream of yours with this id.")
    return found


def open_stream(session: Session, sealer: Sealer, *, client_id: str, wish: Wish, actor: Actor, now: Millis) -> Stream:
    """A new stream (section 8.1.1.1); raises SignalStreamExists."""
    if of_client(session, client_id) is not None:
        raise SignalStreamExists("Read your stream, then update or replace it.")
    row = SignalStream(id=new_id("sst"), client_id=client_id, created_at=now)
    _wish(row, sealer, wish)
    session.add(row)
    session.flush()
    _told(session, "identity.stream.opened", row, actor)
    return _view(row)


def change(
    session: Session, sealer: Sealer, stream: Stream, wish: Wish, *, keeps_header: bool, actor: Actor, now: Millis
) -> Stream:
    """Update or replace (sections 8.1.1.3 and 8.1.1.4): what waits goes the new way, at once."""
    row = session.get_one(SignalStream, stream.id)
    before = row.authorization
    _wish(row, sealer, wish)
    if keeps_header:
        row.authorization = before
    session.add(row)
    session.flush()
    _schedule(session, row, now)
    _told(session, "identity.stream.changed", row, actor)
    return _view(row)


def close_stream(session: Session, stream: Stream, *, actor: Actor) -> None:
    """Delete it, and all that waits in it (section 8.1.1.5)."""
    row = session.get_one(SignalStream, stream.id)
    connection = session.connection()
    connection.execute(core_delete(_left).where(_left.c.stream_id == stream.id))
    session.delete(row)
    session.flush()
    for topic in (EVENTS, CONTROL):
        outbox.clear(connection, topic, stream.id)
    _told(session, "identity.stream.closed", row, actor)


def set_status(
    session: Session, stream: Stream, status: Status, *, reason: str, actor: Actor, now: Millis, by_us: bool = False
) -> Stream:
    """Enable, pause or disable (section 8.1.2): paused holds what happens, disabled forgets it.

    What we do ourselves is told to the receiver (section 8.1.5), who can't undo it. Raises SignalRefused.
    """
    row = session.get_one(SignalStream, stream.id)
    if row.held_by_us and not by_us:
        raise SignalRefused("The city office has stopped this stream. Ask there.", pointer="/status")
    row.status, row.reason, row.held_by_us = status, reason[:200], by_us and status != "enabled"
    session.add(row)
    session.flush()
    if status == "disabled":
        outbox.clear(session.connection(), EVENTS, row.id)
    _schedule(session, row, now)
    if by_us:
        said = {"status": status, **({"reason": row.reason} if row.reason else {})}
        tell_stream(session, _view(row), STREAM_UPDATED, said, now=now, life=KEPT)
    _told(session, f"identity.stream.{status}", row, actor)
    return _view(row)


def tell_stream(
    session: Session, stream: Stream, uri: str, said: dict[str, Any], *, now: Millis, life: Millis = _PROOF_KEPT
) -> None:
    """An event of the stream itself."""
    body = orjson.dumps([uri, said])
    row = outbox.row(
        CONTROL, stream.id, body, now=now, expires_at=now + life, held=stream.endpoint is None, prefix="set"
    )
    outbox.add(session.connection(), [row])
    tx_of(session).touch(EVENTS)


def ask_proof(session: Session, stream: Stream, state: str | None, *, actor: Actor, every: Millis, now: Millis) -> None:
    """The receiver asks for proof of life (section 8.1.4.2); raises TooMany before the interval has passed."""
    if stream.status != "enabled":
        raise SignalRefused("Nothing is sent over a stream that is not enabled.", pointer="/stream_id")
    row = session.get_one(SignalStream, stream.id)
    if row.verified_at is not None and now - row.verified_at < every:
        wait = -(-(row.verified_at + every - now) // 1000)
        raise TooMany("Wait for min_verification_interval between two requests.", retry_after=wait)
    row.verified_at = now
    session.add(row)
    session.flush()
    tell_stream(session, stream, VERIFICATION, {} if state is None else {"state": state}, now=now)
    _told(session, "identity.stream.verified", row, actor)


def leave_out(session: Session, stream: Stream, row: Mapping[str, object], *, actor: Actor) -> None:
    """The receiver takes a subject out (`left.row_of`); raises TooMany beyond ten thousand."""
    connection = session.connection()
    count = core_select(func.count()).select_from(_left).where(_left.c.stream_id == stream.id)
    if connection.execute(count).scalar_one() >= MOST_LEFT:
        raise TooMany("This stream has too many removed subjects.", retry_after=3600)
    if row["digest"] not in left_of(session, stream.id):
        connection.execute(_left.insert(), [row])
    _told(session, "identity.stream.subject-removed", session.get_one(SignalStream, stream.id), actor)


def take_in(session: Session, stream: Stream, digest: bytes, *, actor: Actor) -> None:
    """The receiver wants it again."""
    which = core_delete(_left).where(_left.c.stream_id == stream.id, _left.c.digest == digest)
    session.connection().execute(which)
    _told(session, "identity.stream.subject-added", session.get_one(SignalStream, stream.id), actor)


def left_of(session: Session, stream_id: str) -> frozenset[bytes]:
    """The subjects that were taken out of a stream."""
    found = session.connection().execute(core_select(_left.c.digest).where(_left.c.stream_id == stream_id))
    return frozenset(bytes(digest) for digest in found.scalars())


def delivery_of(sealer: Sealer, stream: Stream) -> Delivery:
    """Where to push, with the header in clear."""
    if stream.authorization is None:
        return Delivery(stream.endpoint)
    return Delivery(stream.endpoint, sealer.system().open(_context(stream.id), stream.authorization).decode())


def _wish(row: SignalStream, sealer: Sealer, wish: Wish) -> None:
    row.requested, row.endpoint, row.description = list(wish.requested), wish.delivery.endpoint, wish.description
    header = wish.delivery.authorization
    row.authorization = None if header is None else sealer.system().seal(_context(row.id), header.encode())


def _schedule(session: Session, row: SignalStream, now: Millis) -> None:
    """Pushed now, or held: for who polls, and while it is paused."""
    connection, at = session.connection(), None if row.endpoint is None else now
    outbox.reschedule(connection, EVENTS, row.id, at if row.status == "enabled" else None)
    outbox.reschedule(connection, CONTROL, row.id, at)
    tx_of(session).touch(EVENTS)


def _told(session: Session, action: str, row: SignalStream, actor: Actor) -> None:
    detail = {"client": row.client_id, "delivery": "push" if row.endpoint else "poll", "status": row.status}
    audit.record(session, action, actor=actor, object=("stream", row.id), detail=detail)


def _context(stream_id: str) -> str:
    return f"identity_signal_stream|authorization|{stream_id}"


def _view(row: SignalStream) -> Stream:
    return Stream(
        row.id, row.client_id, cast(Status, row.status), row.reason, tuple(row.requested), row.endpoint,
        row.authorization, row.description, row.held_by_us, row.created_at, row.verified_at,
    )  # fmt: skip
