"""The hallway's promises that hold on both databases: what is kept, what is not, who is told."""

import asyncio
import contextlib
import traceback
from contextvars import ContextVar
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from kit.db import CheckedCache, Database, metadata, tx_of
from kit.problems import Conflict, Unavailable

facts = sa.Table(
    "test_fact",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False, unique=True),
)
trail = sa.Table(
    "test_trail",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("what", sa.String, nullable=False),
)
who: ContextVar[str] = ContextVar("who", default="nobody")


def add(connection: sa.Connection, name: str, n: int) -> str:
    """One fact and its trace."""
    connection.execute(facts.insert().values(id=name, n=n))
    tx_of(connection).append(trail, {"what": name})
    return name


def add_orm(session: Session, name: str, n: int) -> str:
    """The same through the other door."""
    session.execute(facts.insert().values(id=name, n=n))
    tx_of(session).append(trail, {"what": name})
    return name


async def kept(db: Database) -> dict[str, int]:
    """The facts as a reader sees them."""

    def look(connection: sa.Connection) -> dict[str, int]:
        return {row.id: row.n for row in connection.execute(sa.select(facts))}

    return await db.read_core(look)


async def traces(db: Database) -> list[str]:
    """The appended rows in order."""

    def look(connection: sa.Connection) -> list[str]:
        return list(connection.execute(sa.select(trail.c.what).order_by(trail.c.seq)).scalars())

    return await db.read_core(look)


async def test_an_answered_write_is_there_for_every_reader(db: Database) -> None:
    assert await db.write_core(add, "a", 1) == "a"
    assert await db.write(add_orm, "b", 2) == "b"
    assert await kept(db) == {"a": 1, "b": 2}
    assert await traces(db) == ["a", "b"]


async def test_a_raising_call_leaves_nothing_and_does_not_harm_its_neighbours(db: Database) -> None:
    def spoilt(connection: sa.Connection, name: str, n: int) -> None:
        add(connection, name, n)
        raise Conflict("no")

    def spoilt_orm(session: Session, name: str, n: int) -> None:
        add_orm(session, name, n)
        raise Conflict("no")

    outcomes = await asyncio.gather(
        *(db.write_core(add, f"a{n}", n) for n in range(10)),
        db.write_core(spoilt, "x", 100),
        db.write(spoilt_orm, "y", 101),
        *(db.write(add_orm, f"b{n}", 20 + n) for n in range(10)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes if not isinstance(outcome, str)] == [Conflict, Conflict]
    assert set(await kept(db)) == {f"a{n}" for n in range(10)} | {f"b{n}" for n in range(10)}
    assert sorted(await traces(db)) == sorted(await kept(db))


async def test_a_returned_refusal_keeps_its_trace(db: Database) -> None:
    def refuse(session: Session) -> str:
        add_orm(session, "counted", 1)
        return "refused"

    assert await db.write(refuse) == "refused"
    assert await kept(db) == {"counted": 1}


async def test_a_constraint_error_reaches_only_the_call_that_caused_it(db: Database) -> None:
    await db.write_core(add, "first", 1)
    outcomes = await asyncio.gather(
        db.write_core(add, "second", 2),
        db.write_core(add, "clash", 1),
        db.write_core(add, "third", 3),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], IntegrityError)
    assert await kept(db) == {"first": 1, "second": 2, "third": 3}


async def test_an_error_text_carries_no_row(db: Database) -> None:
    """I6: what was being stored must not travel in an exception."""
    name = "very " + "personal"  # not as it stands in this line, which a traceback quotes
    await db.write_core(add, "first", 1)
    with pytest.raises(IntegrityError) as caught:
        await db.write_core(add, name, 1)
    assert name not in "".join(traceback.format_exception(caught.value))


async def test_a_swallowed_constraint_error_is_not_reported_done(db: Database) -> None:
    """Either the call fails, or all that it reports is stored; never an answer without the write."""

    def swallow(session: Session) -> str:
        add_orm(session, "before", 1)
        try:
            with session.begin_nested():
                session.execute(facts.insert().values(id="clash", n=1))
        except IntegrityError:
            pass
        add_orm(session, "after", 2)
        return "done"

    assert await db.write(swallow) == "done"  # inside its own savepoint this is honest
    assert await kept(db) == {"before": 1, "after": 2}

    def swallow_raw(connection: sa.Connection) -> str:
        add(connection, "early", 10)
        with contextlib.suppress(IntegrityError):
            connection.execute(facts.insert().values(id="again", n=10))
        return "done"

    neighbours = [db.write_core(add, f"n{n}", 100 + n) for n in range(5)]
    outcome, *others = await asyncio.gather(db.write_core(swallow_raw), *neighbours, return_exceptions=True)
    stored = await kept(db)
    assert ("early" in stored) is (outcome == "done")
    for other in others:
        assert isinstance(other, str)
        assert other in stored


async def test_the_hallway_alone_commits(db: Database) -> None:
    for refused in (Session.commit, Session.rollback):

        def overreach(session: Session, refused: Any = refused) -> None:
            add_orm(session, "x", 1)
            getattr(session, refused.__name__)()

        with pytest.raises(RuntimeError, match="only the hallway"):
            await db.write(overreach)
    assert await kept(db) == {}


async def test_a_cancelled_waiters_write_still_commits(db: Database) -> None:
    waiter = asyncio.ensure_future(db.write_core(add, "a", 1))
    await asyncio.sleep(0)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await db.write_core(add, "b", 2)
    for _ in range(100):
        if len(await kept(db)) == 2:
            break
        await asyncio.sleep(0.01)
    assert await kept(db) == {"a": 1, "b": 2}


async def test_a_call_sees_its_callers_context(db: Database) -> None:
    def ask(connection: sa.Connection) -> str:
        return who.get()

    async def as_(name: str) -> tuple[str, str]:
        who.set(name)
        return await db.write_core(ask), await db.read_core(ask)

    names = [f"caller {n}" for n in range(8)]
    assert await asyncio.gather(*(asyncio.create_task(as_(name)) for name in names)) == [(name, name) for name in names]


async def test_a_read_cannot_write(db: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        await db.read_core(add, "a", 1)
    assert await kept(db) == {}


async def test_shutdown_refuses_new_calls_and_finishes_the_waiting_ones(db: Database) -> None:
    waiting = [asyncio.ensure_future(db.write_core(add, f"a{n}", n)) for n in range(30)]
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(db.stop())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await db.write_core(add, "late", 99)
    assert int(refused.value.headers["Retry-After"]) >= 1
    assert await asyncio.gather(*waiting) == [f"a{n}" for n in range(30)]
    await stopping
    await db.start()
    assert len(await kept(db)) == 30


async def test_a_loop_that_ends_with_its_calls_waiting_holds_up_nobody(db: Database) -> None:
    """The loop of a waiting call wakes the writer for a batch; one that is gone can't."""

    left: list[asyncio.Future[str]] = []

    def abandon(turn: int) -> None:
        async def ask() -> None:
            for n in range(3):
                left.append(asyncio.ensure_future(db.write_core(add, f"left {turn} {n}", 1000 + 10 * turn + n)))
            await asyncio.sleep(0)

        other = asyncio.new_event_loop()
        other.run_until_complete(ask())
        for task in asyncio.all_tasks(other):
            task.cancel()
        other.run_until_complete(asyncio.sleep(0))
        other.close()

    for turn in range(5):
        away = asyncio.create_task(asyncio.to_thread(abandon, turn))
        mine = [asyncio.create_task(db.write_core(add, f"mine {turn} {n}", 10 * turn + n)) for n in range(5)]
        async with asyncio.timeout(10):
            await asyncio.gather(*mine)
        await away
    async with asyncio.timeout(10):
        assert await db.write_core(add, "after", 5000) == "after"


async def test_the_counter_has_moved_before_the_caller_is_answered(db: Database) -> None:
    """I5: who is told that trust has changed can rely on every cache seeing it."""

    def change(connection: sa.Connection) -> None:
        tx_of(connection).touch("trust")

    before = await db.counter("trust")
    await db.write_core(change)
    after = await db.counter("trust")
    assert after > before
    assert await db.counter("other") == await db.counter("another")


async def test_a_failed_call_touches_nothing(db: Database) -> None:
    def change(connection: sa.Connection) -> None:
        tx_of(connection).touch("trust")
        raise Conflict("no")

    before = await db.counter("trust")
    with pytest.raises(Conflict):
        await db.write_core(change)
    assert await db.counter("trust") == before


async def test_a_cache_never_serves_what_a_finished_write_replaced(db: Database) -> None:
    cache: CheckedCache[str, int] = CheckedCache(db, "facts")
    await db.write_core(add, "a", 0)

    async def load(name: str) -> int:
        return (await kept(db))[name]

    def raise_to(connection: sa.Connection, n: int) -> None:
        connection.execute(facts.update().where(facts.c.id == "a").values(n=n))
        tx_of(connection).touch("facts")

    async def watch() -> None:
        for _ in range(60):
            floor = finished
            seen = await cache.get("a", load)
            assert seen is not None
            assert seen >= floor
            await asyncio.sleep(0)

    finished = 0

    async def change() -> None:
        nonlocal finished
        for n in range(1, 25):
            await db.write_core(raise_to, n)
            finished = n

    await asyncio.gather(change(), *(watch() for _ in range(4)))
    assert await cache.get("a", load) == 24


async def test_callbacks_run_after_the_commit_and_never_for_a_failed_call(db: Database) -> None:
    heard: list[str] = []

    def tell(connection: sa.Connection, name: str, *, fail: bool) -> None:
        tx_of(connection).after_commit(lambda: heard.append(name))
        if fail:
            raise Conflict("no")

    await asyncio.gather(
        db.write_core(tell, "kept", fail=False), db.write_core(tell, "lost", fail=True), return_exceptions=True
    )
    assert heard == ["kept"]


async def test_a_callback_that_raises_undoes_and_repeats_nothing(db: Database) -> None:
    def careless(connection: sa.Connection) -> str:
        add(connection, "a", 1)
        tx_of(connection).after_commit(lambda: 1 // 0)
        return "done"

    outcomes = await asyncio.gather(db.write_core(careless), db.write_core(add, "b", 2), return_exceptions=True)
    assert outcomes == ["done", "b"]
    assert await kept(db) == {"a": 1, "b": 2}
    assert sorted(await traces(db)) == ["a", "b"]


async def test_bulk_work_is_stored_like_any_other(db: Database) -> None:
    outcomes = await asyncio.gather(*(db.bulk(add_orm, f"a{n}", n) for n in range(5)), db.write_core(add, "b", 9))
    assert len(await kept(db)) == len(outcomes) == 6
