"""A waiter that is cancelled, wherever its write stands just then: the write is carried through whole, and waited for.

Each test holds a write at one point (in the queue, in its function, in COMMIT, between two tries, answered but not yet
read), cancels whoever waits for it and stops the hallway at once. What is found afterwards is decided by the rule, not
by time: nothing if the write had not begun to wait, all of it otherwise.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import sqlalchemy as sa

from kit.db import Database, open_database, tx_of
from kit.db.postgres import WRITERS, PostgresDatabase
from kit.db.sqlite import SqliteDatabase
from kit.problems import Unavailable
from tests.kit.test_db_doors import add, facts, kept, traces

postgres_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

PATIENCE = 8.0


class Gate:
    """Holds whoever comes until it is opened; tells that somebody came."""

    def __init__(self) -> None:
        self._open, self._came = threading.Event(), threading.Event()

    def hold(self, *_anything: object) -> None:
        """In a thread of the hallway."""
        self._came.set()
        assert self._open.wait(PATIENCE), "nobody opened the gate"

    async def reached(self) -> None:
        """Until somebody is held."""
        assert await asyncio.to_thread(self._came.wait, PATIENCE), "nobody came to the gate"

    def open(self) -> None:
        """Let everybody through, now and later."""
        self._open.set()


@pytest.fixture
def gate() -> Any:
    """Opened at the end whatever happens, so that no thread outlives its test."""
    made = Gate()
    yield made
    made.open()


async def cancelled(waiter: "asyncio.Future[Any]") -> None:
    """Cancel it and see that the one who waits is told so, now and not when the write is done."""
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiter, 1)


async def after_stopping(db: Database, url: str, gate: Gate) -> tuple[dict[str, int], list[str]]:
    """Stop while the write is held, then let it go: `stop` must wait for it. What another process finds then."""
    stopping = asyncio.ensure_future(db.stop())
    done, _ = await asyncio.wait([stopping], timeout=0.2)
    assert not done, "the hallway closed while a write was under way"
    gate.open()
    await asyncio.wait_for(stopping, PATIENCE)
    return await found_in(url)


async def found_in(url: str) -> tuple[dict[str, int], list[str]]:
    """The facts and their traces, as whoever opens the database now sees them."""
    other = open_database(url)
    await other.start()
    try:
        return await kept(other), await traces(other)
    finally:
        await other.stop()


def writers_of(db: Database) -> int:
    """How many writes are under way at once."""
    return WRITERS if isinstance(db, PostgresDatabase) else 1


def engine_of(db: Database) -> sa.Engine:
    """Where its writes go through."""
    if isinstance(db, PostgresDatabase):
        return db._engine
    assert isinstance(db, SqliteDatabase)
    return db._writer_engine


async def test_cancelled_before_it_began_to_wait_nothing_is_written(db: Database, database_url: str) -> None:
    waiter = asyncio.ensure_future(db.write_core(add, "a", 1))
    await cancelled(waiter)  # the task has not run yet
    await db.stop()
    assert await found_in(database_url) == ({}, [])


async def test_cancelled_in_the_queue_it_is_written_when_its_turn_comes(
    db: Database, database_url: str, gate: Gate
) -> None:
    """Every writer is busy: the pool is exhausted."""
    busy = [asyncio.ensure_future(db.write_core(gate.hold)) for _ in range(writers_of(db))]
    await gate.reached()
    waiter = asyncio.ensure_future(db.write_core(add, "a", 1))
    await asyncio.sleep(0)
    await cancelled(waiter)
    assert await after_stopping(db, database_url, gate) == ({"a": 1}, ["a"])
    await asyncio.gather(*busy)


async def test_cancelled_in_its_function_it_is_written_whole(db: Database, database_url: str, gate: Gate) -> None:
    def slow(connection: sa.Connection) -> str:
        add(connection, "a", 1)
        gate.hold()
        return add(connection, "b", 2)

    waiter = asyncio.ensure_future(db.write_core(slow))
    await gate.reached()
    await cancelled(waiter)
    assert await after_stopping(db, database_url, gate) == ({"a": 1, "b": 2}, ["a", "b"])


async def test_cancelled_in_its_commit_it_is_written(db: Database, database_url: str, gate: Gate) -> None:
    sa.event.listen(engine_of(db), "commit", gate.hold)
    waiter = asyncio.ensure_future(db.write_core(add, "a", 1))
    await gate.reached()
    await cancelled(waiter)
    assert await after_stopping(db, database_url, gate) == ({"a": 1}, ["a"])


async def test_cancelled_when_the_answer_is_on_its_way_it_is_written(db: Database, database_url: str) -> None:
    """The write is durable, the loop has not yet told the waiter."""
    durable = threading.Event()

    def told(connection: sa.Connection) -> str:
        tx_of(connection).after_commit(durable.set)
        return add(connection, "a", 1)

    waiter = asyncio.ensure_future(db.write_core(told))
    for _ in range(
        3
    ):  # the call is queued in one turn of the loop; on SQLite the next one that brings no more wakes the writer
        await asyncio.sleep(0)
    assert durable.wait(PATIENCE)  # and this loop stands still meanwhile
    await cancelled(waiter)
    await db.stop()
    assert await found_in(database_url) == ({"a": 1}, ["a"])


async def test_cancelled_and_refused_it_leaves_nothing(db: Database, database_url: str, gate: Gate) -> None:
    def refused(connection: sa.Connection) -> None:
        add(connection, "a", 1)
        gate.hold()
        raise Unavailable("no")

    waiter = asyncio.ensure_future(db.write_core(refused))
    await gate.reached()
    await cancelled(waiter)
    assert await after_stopping(db, database_url, gate) == ({}, [])


@postgres_only
async def test_cancelled_between_two_tries_it_is_written_once(db: Database, database_url: str, gate: Gate) -> None:
    """Its first try meets a serialisation failure; it is cancelled in the second."""
    read, changed, tries = threading.Event(), threading.Event(), []

    def look(connection: sa.Connection) -> int:
        return connection.execute(sa.select(facts.c.n).where(facts.c.id == "shared")).scalar_one()

    def raise_by_one(connection: sa.Connection) -> str:
        n = look(connection)
        tries.append(n)
        if len(tries) == 1:
            read.set()
            assert changed.wait(PATIENCE)
        else:
            gate.hold()
        connection.execute(facts.update().where(facts.c.id == "shared").values(n=n + 1))
        return add(connection, "a", 1)

    def overtake(connection: sa.Connection) -> None:
        connection.execute(facts.update().where(facts.c.id == "shared").values(n=look(connection) + 100))

    await db.write_core(add, "shared", 1000)
    waiter = asyncio.ensure_future(db.write_core(raise_by_one))
    assert await asyncio.to_thread(read.wait, PATIENCE)
    await db.write_core(overtake)
    changed.set()
    await gate.reached()
    await cancelled(waiter)
    assert await after_stopping(db, database_url, gate) == ({"shared": 1101, "a": 1}, ["shared", "a"])
    assert tries == [1000, 1100]


@pytest.fixture
async def narrow(db: Database, database_url: str) -> AsyncIterator[tuple[Database, int]]:
    """A hallway where few may wait, and how many fit in: those under way and those behind them."""
    made = open_database(database_url, waiting=12)
    await made.start()
    yield made, 12 + (1 if isinstance(made, SqliteDatabase) else 0)
    await made.stop()


async def test_a_cancelled_waiters_write_keeps_its_place_in_the_queue(narrow: tuple[Database, int], gate: Gate) -> None:
    """Closes: a crowd that asks and goes away fills the memory, since nobody counts what it left behind."""
    db, room = narrow
    busy = [asyncio.ensure_future(db.write_core(gate.hold)) for _ in range(writers_of(db))]
    await gate.reached()
    await asyncio.sleep(0.1)
    left = [asyncio.ensure_future(db.write_core(add, f"a{n}", n)) for n in range(room - len(busy))]
    await asyncio.sleep(0)
    for waiter in left:
        await cancelled(waiter)
    with pytest.raises(Unavailable):
        await db.write_core(add, "one too many", 99)
    gate.open()
    await asyncio.gather(*busy)
    assert await _comes_true(lambda: _answers(db)), "the queue has room again when the writes are done"


async def _answers(db: Database) -> bool:
    try:
        return await db.write_core(lambda _connection: True)
    except Unavailable:
        return False


async def _comes_true(ask: Callable[[], Awaitable[bool]]) -> bool:
    for _ in range(200):
        if await ask():
            return True
        await asyncio.sleep(0.01)
    return False
