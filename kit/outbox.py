"""What is on its way out: one table of things to be sent, and the one loop that sends them.

A row is written in the very write that causes it, so nothing is forgotten and nothing is told that did not happen; it
is gone when it was taken. Rows stand in lanes, one for each receiver: a dead or slow receiver costs its own lane a
share of each round and the others nothing. In an ordered topic a lane goes on only past what was taken; in the others
each row waits for itself. What fails is tried again, ever later, until the row ends; then `given_up` says so. A row
without `next_at` is not sent: its receiver fetches it, or it is held. Everything is in the table: a restart goes on
where it stopped, and sending a thing twice is the receiver's to bear (each has its id).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Index, Integer, LargeBinary, String, Table

from kit.clock import DAY, Clock, Millis
from kit.db import Database, Quick, Session, metadata
from kit.ids import new_id

outbox_table = Table(
    "kit_outbox",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("topic", String(40), nullable=False),  # what kind of thing, so who sends it
    Column("lane", String(80), nullable=False),  # whom it goes to
    Column("body", LargeBinary, nullable=False),  # the sender's to read
    Column("created_at", BigInteger, nullable=False),
    Column("next_at", BigInteger),  # when it is sent (again); empty: it is fetched, or held
    Column("tries", Integer, nullable=False),
    Column("error", String(60), nullable=False),  # why it was not taken the last time
    Column("expires_at", BigInteger, nullable=False, index=True),  # given up then
    Index("ix_kit_outbox_lane", "topic", "lane", "id"),
    Index("ix_kit_outbox_next", "topic", "lane", "next_at"),
)

#: What `send` answers when there is nobody to tell any more.
DROPPED: Final = ""
_LANES, _EACH = 20, 30  # of one round: lanes, and rows of a lane
_SHARE = 1.0  # seconds of a round for one ordered lane, begun sends aside

_COLUMNS = "id, topic, lane, body, created_at, tries, error, expires_at"
# A loose index scan: as many steps as there are lanes, however long they are.
_ALL_LANES = (
    "WITH RECURSIVE lanes(lane) AS (SELECT min(lane) FROM kit_outbox WHERE topic = :topic UNION ALL"
    " SELECT (SELECT min(o.lane) FROM kit_outbox o WHERE o.topic = :topic AND o.lane > lanes.lane)"
    " FROM lanes WHERE lanes.lane IS NOT NULL) SELECT lane FROM lanes WHERE lane IS NOT NULL AND "
)
_OF_LANE = "FROM kit_outbox o WHERE o.topic = :topic AND o.lane = lanes.lane"
_DUE_LANES = Quick(f"{_ALL_LANES} EXISTS (SELECT 1 {_OF_LANE} AND o.next_at <= :now)")
_DUE_HEADS = Quick(f"{_ALL_LANES} (SELECT o.next_at {_OF_LANE} ORDER BY o.id LIMIT 1) <= :now")
_STALE = Quick(f"{_ALL_LANES} (SELECT o.created_at {_OF_LANE} ORDER BY o.id LIMIT 1) <= :before")
_IN_LANE = f"SELECT {_COLUMNS} FROM kit_outbox WHERE topic = :topic AND lane = :lane"  # noqa: S608 - our own names
_WAITING = Quick(f"{_IN_LANE} ORDER BY id LIMIT :limit")
_DUE = Quick(f"{_IN_LANE} AND next_at <= :now ORDER BY next_at, id LIMIT :limit")
_COUNT = Quick(
    "SELECT count(*), coalesce(max(tries), 0), min(created_at), max(error) FROM kit_outbox"
    " WHERE topic = :topic AND lane = :lane"
)
_RESCHEDULE = Quick("UPDATE kit_outbox SET next_at = :at, tries = 0, error = '' WHERE topic = :topic AND lane = :lane")
# What was held meanwhile stays held.
_LATER = Quick(
    "UPDATE kit_outbox SET next_at = :at, tries = :tries, error = :error WHERE id = :id AND next_at IS NOT NULL"
)
_DONE = Quick("DELETE FROM kit_outbox WHERE id = :id")
_CLEAR = Quick("DELETE FROM kit_outbox WHERE topic = :topic AND lane = :lane")
_SWEEP = Quick(
    "DELETE FROM kit_outbox WHERE id IN (SELECT id FROM kit_outbox WHERE expires_at < :before"
    " ORDER BY expires_at LIMIT 500)"
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing on its way."""

    id: str
    topic: str
    lane: str
    body: bytes
    created_at: Millis
    tries: int
    error: str
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Backlog:
    """How a lane stands."""

    waiting: int
    tries: int
    since: Millis | None
    error: str


def row(
    topic: str,
    lane: str,
    body: bytes,
    *,
    now: Millis,
    expires_at: Millis,
    held: bool = False,
    prefix: str = "out",
) -> dict[str, Any]:
    """A row for `outbox_table`, due at once unless it is held."""
    return {
        "id": new_id(prefix), "topic": topic, "lane": lane, "body": body, "created_at": now,
        "next_at": None if held else now, "tries": 0, "error": "", "expires_at": expires_at,
    }  # fmt: skip


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Put these on their way, in the running write."""
    if rows:
        connection.execute(outbox_table.insert(), list(rows))


def waiting(connection: Connection, topic: str, lane: str, limit: int) -> tuple[Item, ...]:
    """The oldest of a lane, due or not."""
    return tuple(_item(found) for found in _WAITING.all(connection, topic=topic, lane=lane, limit=limit))


def find(connection: Connection, topic: str, lane: str, ids: Collection[str]) -> tuple[Item, ...]:
    """Those of these ids that stand in this lane: nobody names another's."""
    column = outbox_table.c
    query = (
        outbox_table.select()
        .with_only_columns(*(column[name.strip()] for name in _COLUMNS.split(",")))
        .where(column.topic == topic, column.lane == lane, column.id.in_(ids))
        .order_by(column.id)
    )
    return tuple(_item(tuple(found)) for found in connection.execute(query))


def remove(connection: Connection, topic: str, lane: str, ids: Collection[str]) -> int:
    """Taken, or of no use to the receiver of this lane; how many there were."""
    if not ids:
        return 0
    column = outbox_table.c
    which = outbox_table.delete().where(column.topic == topic, column.lane == lane, column.id.in_(ids))
    return int(connection.execute(which).rowcount)


def clear(connection: Connection, topic: str, lane: str) -> int:
    """Forget all of a lane."""
    return _CLEAR.run(connection, topic=topic, lane=lane)


def reschedule(connection: Connection, topic: str, lane: str, at: Millis | None) -> None:
    """All of a lane goes out from then on, as if never tried; None holds it."""
    _RESCHEDULE.run(connection, topic=topic, lane=lane, at=at)


def backlog(connection: Connection, topic: str, lane: str) -> Backlog:
    """How much waits in a lane, since when, and how often its head was refused."""
    found = _COUNT.one(connection, topic=topic, lane=lane)
    assert found is not None
    return Backlog(found[0], found[1], found[2], found[3] or "")


def stale(connection: Connection, topic: str, before: Millis) -> tuple[str, ...]:
    """The lanes whose oldest has waited since before then."""
    return tuple(found[0] for found in _STALE.all(connection, topic=topic, before=before))


def sweep(session: Session, now: Millis) -> int:
    """What ended a day ago and nobody gave up goes too; one chunk."""
    return _SWEEP.run(session.connection(), before=now - DAY)


@dataclass(frozen=True, slots=True)
class Sender:
    """How a topic is sent. `send` answers None if it was taken, DROPPED if nobody is to be told any more, or else a
    short word why not; `taken` and `given_up` run in the write that says so."""

    topic: str
    send: Callable[[Item], Awaitable[str | None]]
    first: Millis
    longest: Millis
    ordered: bool = False
    taken: Callable[[Session, str, Sequence[Item]], object] | None = None
    given_up: Callable[[Session, Item, str], object] | None = None


@dataclass(frozen=True, slots=True)
class _Round:
    """What became of a lane in one round."""

    told: tuple[Item, ...]
    dropped: tuple[Item, ...]
    failed: tuple[tuple[Item, str], ...]


class Outbox:
    """Sends one topic; a job calls `deliver`."""

    def __init__(self, database: Database, clock: Clock, sender: Sender) -> None:
        self._database = database
        self._clock = clock
        self._sender = sender
        self._last = ""

    async def deliver(self) -> int:
        """One round; returns how many were taken."""
        found = await self._database.read(self._due, self._clock.ms())
        return sum(await asyncio.gather(*(self._lane(items) for items in found)))

    def _due(self, session: Session, now: Millis) -> list[tuple[Item, ...]]:
        """Some of the lanes whose time has come, going on where the last round ended, so that each has its turn."""
        connection, topic, ordered = session.connection(), self._sender.topic, self._sender.ordered
        due = _DUE_HEADS if ordered else _DUE_LANES
        lanes = sorted(found[0] for found in due.all(connection, topic=topic, now=now))
        turn = [lane for lane in lanes if lane > self._last] + [lane for lane in lanes if lane <= self._last]
        if turn:
            self._last = turn[:_LANES][-1]
        if ordered:
            return [waiting(connection, topic, lane, _EACH) for lane in turn[:_LANES]]
        return [
            tuple(_item(each) for each in _DUE.all(connection, topic=topic, lane=lane, now=now, limit=_EACH))
            for lane in turn[:_LANES]
        ]

    async def _lane(self, items: tuple[Item, ...]) -> int:
        done = await (self._in_order(items) if self._sender.ordered else self._at_once(items))
        if done.told or done.dropped or done.failed:
            await self._database.bulk(self._over, done, self._clock.ms())
        return len(done.told)

    async def _in_order(self, items: tuple[Item, ...]) -> _Round:
        """Until one is not taken: then all of the lane wait, so a dead address costs one try a round."""
        told, dropped, failed, began = [], [], [], monotonic()
        for item in items:
            if monotonic() - began >= _SHARE:
                break
            why = await self._send(item)
            if why is None:
                told.append(item)
            elif why == DROPPED:
                dropped.append(item)
            else:
                failed.append((item, why))
                break
        return _Round(tuple(told), tuple(dropped), tuple(failed))

    async def _at_once(self, items: tuple[Item, ...]) -> _Round:
        found = list(zip(items, await asyncio.gather(*map(self._send, items)), strict=True))
        return _Round(
            tuple(item for item, why in found if why is None),
            tuple(item for item, why in found if why == DROPPED),
            tuple((item, why) for item, why in found if why),
        )

    async def _send(self, item: Item) -> str | None:
        if self._clock.ms() >= item.expires_at:
            return item.error or "time"
        return await self._sender.send(item)

    def _over(self, session: Session, done: _Round, now: Millis) -> None:
        connection, sender = session.connection(), self._sender
        for item in (*done.told, *done.dropped):
            _DONE.run(connection, id=item.id)
        if done.told and sender.taken is not None:
            sender.taken(session, done.told[0].lane, done.told)
        for item, why in done.failed:
            again = now + min(sender.first * 2 ** min(item.tries, 20), sender.longest)
            if again < item.expires_at:
                _LATER.run(connection, id=item.id, at=again, tries=item.tries + 1, error=why[:60])
            else:
                _DONE.run(connection, id=item.id)
                if sender.given_up is not None:
                    sender.given_up(session, item, why)


def _item(found: Sequence[Any]) -> Item:
    return Item(found[0], found[1], found[2], bytes(found[3]), *found[4:])
