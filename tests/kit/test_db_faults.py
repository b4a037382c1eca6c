"""Faults in the hallway: whatever breaks, nothing acknowledged is lost and nothing lost is acknowledged (I9)."""

import asyncio
import resource
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.db import Database, FlushResult, metadata, open_database
from kit.db.sqlite import SqliteDatabase
from kit.problems import Conflict, Problem, Unavailable
from tests.conftest import make_tables
from tests.kit.test_db_doors import add, add_orm, facts, kept, traces, trail

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

parents = sa.Table("test_parent", metadata, sa.Column("id", sa.Integer, primary_key=True))
children = sa.Table(
    "test_child",
    metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("parent", sa.ForeignKey("test_parent.id", deferrable=True, initially="DEFERRED"), nullable=False),
)


def orphan(connection: sa.Connection, name: str, n: int) -> str:
    """Violates a constraint that is only looked at when the transaction commits."""
    add(connection, name, n)
    connection.execute(children.insert().values(id=name, parent=4711))
    return name


def or_rollback(connection: sa.Connection, name: str, n: int) -> str:
    """A conflict that makes SQLite end the whole transaction; the function does not even notice."""
    add(connection, name, n)
    with suppress(sa.exc.IntegrityError):
        connection.exec_driver_sql("INSERT OR ROLLBACK INTO test_fact (id, n) VALUES (?, ?)", (f"{name}!", n))
    return name


async def all_of(*waiting: Any) -> list[Any]:
    """Every outcome, error or value; a waiter that is never answered fails the test."""
    return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 8)


def reported(outcomes: list[Any]) -> set[str]:
    """The names that were reported as stored."""
    return {outcome for outcome in outcomes if isinstance(outcome, str)}


async def test_a_failing_commit_fails_the_culprit_and_nobody_else(db: Database) -> None:
    outcomes = await all_of(
        *(db.write_core(add, f"a{n}", n) for n in range(6)),
        db.write_core(orphan, "orphan", 100),
        *(db.write(add_orm, f"b{n}", 10 + n) for n in range(6)),
    )
    assert not isinstance(outcomes[6], str)
    assert reported(outcomes) == set(await kept(db)) == set(await traces(db))
    assert len(reported(outcomes)) == 12
    assert await db.write_core(add, "later", 999) == "later"


@sqlite_only
async def test_a_call_that_kills_the_transaction_fails_the_batch(db: Database) -> None:
    await db.write_core(add, "before", 1)
    outcomes = await all_of(
        *(db.write_core(add, f"a{n}", 10 + n) for n in range(5)),
        db.write_core(or_rollback, "killer", 50),
        *(db.write(add_orm, f"b{n}", 20 + n) for n in range(5)),
    )
    assert isinstance(outcomes.pop(5), Exception)
    assert all(isinstance(outcome, str | Unavailable) for outcome in outcomes)
    assert reported(outcomes) | {"before"} == set(await kept(db)) == set(await traces(db))
    assert await db.write_core(add, "later", 999) == "later"


@sqlite_only
async def test_a_full_database_loses_nothing_that_was_acknowledged(db: Database) -> None:
    """Disk full in the middle of a batch, by a limit on pages."""
    await all_of(*(db.write_core(add, f"a{n}", n) for n in range(20)))

    def limit(connection: sa.Connection, pages: int | None) -> int:
        now: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {now + 3 if pages is None else pages}")
        return now

    def big(connection: sa.Connection, name: str, n: int) -> str:
        add(connection, name, n)
        connection.execute(facts.insert().values(id=f"{name} {'x' * 9000}", n=n + 1_000_000))
        return name

    await db.write_core(limit, None)
    outcomes = await all_of(*(db.write_core(big, f"big{n}", 100 + n) for n in range(40)))
    assert len(reported(outcomes)) < 40
    assert all(isinstance(outcome, str | Problem | sa.exc.OperationalError) for outcome in outcomes)
    stored = {name for name in await kept(db) if " " not in name}
    assert reported(outcomes) | {f"a{n}" for n in range(20)} == stored == set(await traces(db))
    await db.write_core(limit, 1_000_000)
    assert await db.write_core(add, "room again", 5_000) == "room again"


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The operating system refuses to let any file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@sqlite_only
async def test_a_disk_that_refuses_the_commit_loses_nothing_that_was_acknowledged(
    db: Database, database_url: str
) -> None:
    """The write-ahead log cannot grow: the failure comes while committing."""
    first = await all_of(*(db.write_core(add, f"a{n}", n) for n in range(20)))
    wal = Path(database_url.removeprefix("sqlite:///") + "-wal")
    with no_file_beyond(wal.stat().st_size + 20_000):
        outcomes = await all_of(*(db.write_core(add, f"b{n}", 100 + n) for n in range(400)))
    assert len(reported(outcomes)) < 400
    again = await db.write_core(add, "room again", 5_000)
    stored = set(await kept(db))
    assert reported(first) | reported(outcomes) | {again} == stored == set(await traces(db))


@pytest.mark.parametrize("error", [SystemExit, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, StopIteration])
async def test_the_writer_survives_whatever_a_call_raises(db: Database, error: type[BaseException]) -> None:
    def explode(connection: sa.Connection) -> str:
        add(connection, "gone", 1)
        raise error

    outcomes = await all_of(
        db.write_core(add, "a", 2), db.write_core(explode), db.write(add_orm, "b", 3), db.write_core(add, "c", 4)
    )
    assert not isinstance(outcomes[1], str)
    assert reported(outcomes) == set(await kept(db)) == set(await traces(db))
    assert await db.write_core(add, "later", 9) == "later"


@sqlite_only
async def test_an_error_of_a_flush_hook_fails_its_batch_and_repeats_nothing(db: Database) -> None:
    undone: list[int] = []

    def hook(connection: sa.Connection, rows: list[dict[str, Any]]) -> FlushResult:
        if any(row["what"] == "poison" for row in rows):
            raise RuntimeError("this row cannot be laid")
        return FlushResult(rows, after_rollback=lambda: undone.append(len(rows)))

    db.at_flush(trail, hook)
    outcomes = await all_of(db.write_core(add, "a", 1), db.write_core(add, "poison", 2), db.write_core(add, "b", 3))
    assert not isinstance(outcomes[1], str)
    assert reported(outcomes) == set(await kept(db)) == set(await traces(db)) == {"a", "b"}


@sqlite_only
async def test_an_error_after_the_commit_does_not_run_the_batch_again(db: Database) -> None:
    """What is durable stays answered as stored, once."""

    def fail() -> None:
        raise RuntimeError("after the commit")

    db.at_flush(trail, lambda _connection, rows: FlushResult(rows, after_commit=fail))
    outcomes = await all_of(*(db.write_core(add, f"a{n}", n) for n in range(4)))
    assert outcomes == [f"a{n}" for n in range(4)]
    assert len(await traces(db)) == len(await kept(db)) == 4


@sqlite_only
async def test_many_waiting_calls_share_a_commit(db: Database) -> None:
    assert isinstance(db, SqliteDatabase)
    commits = 0

    def count(_connection: sa.Connection) -> None:
        nonlocal commits
        commits += 1

    sa.event.listen(db._writer_engine, "commit", count)
    await all_of(*(db.write_core(add, f"a{n}", n) for n in range(256)))
    assert len(await kept(db)) == 256
    assert commits <= 30


@pytest.mark.parametrize("door", ["write", "write_core", "bulk"])
@sqlite_only
async def test_a_full_queue_is_refused_with_a_time_to_come_back(database_url: str, door: str) -> None:
    make_tables(database_url)
    db = open_database(database_url, waiting=4)
    await db.start()
    gate = threading.Event()
    try:
        blocked = asyncio.ensure_future(db.write_core(lambda _connection: gate.wait(20)))
        await asyncio.sleep(0.1)  # the writer is in it now, the queue is empty
        fn = add_orm if door != "write_core" else add
        waiting = [asyncio.ensure_future(getattr(db, door)(fn, f"a{n}", n)) for n in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as refused:
            await getattr(db, door)(fn, "one too many", 99)
        assert refused.value.status == 503
        assert int(refused.value.headers["Retry-After"]) >= 1
        gate.set()
        assert reported(await all_of(blocked, *waiting)) == {f"a{n}" for n in range(4)} == set(await kept(db))
    finally:
        gate.set()
        await db.stop()


@sqlite_only
async def test_bulk_work_waits_for_those_that_somebody_waits_for(db: Database) -> None:
    gate, order = threading.Event(), []

    def note(_place: Any, name: str) -> None:
        order.append(name)

    blocked = asyncio.ensure_future(db.write_core(lambda _connection: gate.wait(20)))
    await asyncio.sleep(0.1)
    chunks = [asyncio.ensure_future(db.bulk(note, "bulk")) for _ in range(3)]
    await asyncio.sleep(0)
    people = [asyncio.ensure_future(db.write_core(note, "person")) for _ in range(30)]
    await asyncio.sleep(0)
    gate.set()
    await all_of(blocked, *chunks, *people)
    assert order == ["person"] * 30 + ["bulk"] * 3


@sqlite_only
async def test_bulk_work_is_not_passed_over_for_ever(db: Database) -> None:
    """A city that is never quiet sweeps all the same."""
    swept, people = asyncio.Event(), 0

    async def person() -> None:
        nonlocal people
        while not swept.is_set():
            await db.write_core(lambda _connection: time.sleep(0.001))
            people += 1

    crowd = [asyncio.ensure_future(person()) for _ in range(100)]  # more than a batch takes: somebody always waits
    await asyncio.sleep(0.1)
    try:
        async with asyncio.timeout(10):
            await db.bulk(lambda _session: None)
    finally:
        swept.set()
        await all_of(*crowd)
    assert people > 100


@sqlite_only
async def test_a_strange_writer_makes_every_cache_stale(db: Database, database_url: str) -> None:
    """An offline tool wrote the file: every counter moves with the next batch."""
    await db.write_core(add, "a", 1)
    before = await db.counter("anything")
    stranger = sqlite3.connect(database_url.removeprefix("sqlite:///"))
    stranger.execute("INSERT INTO test_fact (id, n) VALUES ('stranger', 2)")
    stranger.commit()
    stranger.close()
    await db.write_core(add, "b", 3)
    assert await db.counter("anything") > before


# -- any mixture of faults ------------------------------------------------------------------------------------------


def raising(connection: sa.Connection, name: str, n: int) -> str:
    """Refuses after writing."""
    add(connection, name, n)
    raise Conflict("no")


def clashing(connection: sa.Connection, name: str, n: int) -> str:
    """Meets a unique constraint that everybody of its kind fights for."""
    add(connection, name, n)
    connection.execute(facts.insert().values(id="the only one", n=0))
    return name


def exploding(connection: sa.Connection, name: str, n: int) -> str:
    """Raises what is no Exception."""
    add(connection, name, n)
    raise SystemExit


KINDS = {
    "add": add, "orm": add_orm, "raising": raising, "clashing": clashing, "orphan": orphan, "exploding": exploding,
    "or_rollback": or_rollback,
}  # fmt: skip
PORTABLE = [name for name in KINDS if name != "or_rollback"]


async def mixture(url: str, kinds: list[str], cancelled: set[int]) -> None:
    """Start all at once, cancel some, and compare what was said with what is stored.

    A later write's answer does not tell that a cancelled one is done: on PostgreSQL it may overtake it, and whoever
    looks twice may then see it the second time only. The hallway's `stop` tells, so that comes before the comparison.
    """
    db = open_database(url)
    await db.start()
    try:
        await db.write_core(lambda c: [c.execute(table.delete()) for table in (facts, children, trail)] and None)
        waiting = []
        for number, kind in enumerate(kinds):
            door = db.write if kind == "orm" else db.write_core
            fn: Any = KINDS[kind]
            waiting.append(asyncio.ensure_future(door(fn, f"{kind} {number}", number + 1)))
        await asyncio.sleep(0)
        for number in cancelled:
            if number < len(waiting):
                waiting[number].cancel()
        outcomes = await all_of(*waiting)
        assert await db.write_core(add, "last", 1_000_000) == "last"
        await db.stop()
        await db.start()
        stored = set(await kept(db)) - {"last", "the only one"}
        assert reported(outcomes) <= stored
        unanswered = {f"{kinds[n]} {n}" for n in cancelled if n < len(kinds)}
        assert stored - reported(outcomes) <= unanswered
        assert sorted(await traces(db)) == sorted(stored | {"last"})
        assert not any(name.startswith(("raising", "orphan", "exploding", "or_rollback")) for name in stored)
    finally:
        await db.stop()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kinds=st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=80),
    cancelled=st.sets(st.integers(0, 79), max_size=5),
)
def test_whatever_is_mixed_what_was_said_is_what_is_stored_on_sqlite(
    tmp_path: Path, kinds: list[str], cancelled: set[int]
) -> None:
    url = f"sqlite:///{tmp_path / 'mixture.db'}"
    make_tables(url)
    asyncio.run(mixture(url, kinds, cancelled))


@pytest.fixture(scope="module")
def mixture_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("postgres").create()
    make_tables(url)
    return url


@pytest.mark.postgres
@settings(max_examples=20, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(PORTABLE), min_size=1, max_size=20),
    cancelled=st.sets(st.integers(0, 19), max_size=3),
)
def test_whatever_is_mixed_what_was_said_is_what_is_stored_on_postgresql(
    mixture_url: str, kinds: list[str], cancelled: set[int]
) -> None:
    asyncio.run(mixture(mixture_url, kinds, cancelled))
