"""The log over a real database: what is durable, in which order, and what a failure at each step leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine

from kit.db import Database, metadata, open_database
from kit.problems import Unavailable
from kit.tlog import reading
from kit.tlog.client import audit, check_consistency, prove
from kit.tlog.errors import BadLog, BadTile
from kit.tlog.log import Leaf, Logs, append
from kit.tlog.merkle import EMPTY_ROOT
from kit.tlog.note import Checkpoint, open_checkpoint
from kit.tlog.proof import parse_proof, verify_proof
from kit.tlog.tables import checkpoints, leaves, nodes
from kit.tlog.tiles import Tile, parse_path
from tests.kit.tlog_support import TestKey, naive_root
from tests.support.tiles import tiles_of

ORIGIN = "city.example/log"
KEY = TestKey(ORIGIN)
TABLES = [leaves, nodes, checkpoints]


def make_file(path: Path) -> str:
    url = f"sqlite:///{path}"
    engine = create_engine(url)
    metadata.create_all(engine, tables=TABLES)
    engine.dispose()
    return url


@asynccontextmanager
async def opened(url: str, key: TestKey = KEY) -> AsyncIterator[tuple[Database, Logs]]:
    database = open_database(url)
    await database.start()
    logs = Logs(database)
    logs.add("main", ORIGIN, key)
    try:
        await logs.start()
        yield database, logs
    finally:
        await database.stop()


def add(connection: Connection, entry: bytes) -> Leaf:
    return append(connection, entry)


def add_many(connection: Connection, entries: list[bytes]) -> list[Leaf]:
    return [append(connection, each) for each in entries]


async def everything(logs: Logs, *sizes: int) -> dict[str, bytes]:
    """All resources of the log, as a stranger would have fetched them; also those of older published sizes."""
    published = await logs.published()
    found = {"checkpoint": published.note}
    for tile in [tile for size in (published.size, *sizes) for tile in tiles_of(size)]:
        content = await logs.tile(tile)
        assert content is not None
        found[tile.path()] = content
        if tile.level == 0:
            bundle = Tile(None, tile.index, tile.width)
            content = await logs.tile(bundle)
            assert content is not None
            found[bundle.path()] = content
    return found


async def check_log(logs: Logs, entries: list[bytes]) -> Checkpoint:
    """The whole log verifies from outside and holds exactly these entries, in this order."""
    resources = await everything(logs)
    result = audit(resources.__getitem__, origin=ORIGIN, verifiers=[KEY])
    assert result.checkpoint.size == len(entries)
    assert result.checkpoint.root == naive_root(entries)
    return result.checkpoint


async def test_an_empty_log_has_a_signed_checkpoint(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (_, logs):
        published = await logs.published()
        checkpoint = open_checkpoint(published.note, ORIGIN, [KEY])
        assert (checkpoint.size, checkpoint.root) == (0, EMPTY_ROOT)
        await check_log(logs, [])
        assert await logs.tile(Tile(0, 0)) is None
        assert await logs.tile(Tile(0, 0, 1)) is None


async def test_an_append_returns_its_index_when_a_checkpoint_covers_it(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        for expected in range(3):
            leaf = await database.write_core(add, b"entry %d" % expected)
            assert leaf.index == expected
            assert (await logs.published()).size == expected + 1
        await check_log(logs, [b"entry %d" % n for n in range(3)])


async def test_concurrent_appends_get_every_index_once(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        entries = [b"entry %d" % n for n in range(700)]
        found = await asyncio.gather(*(database.write_core(add, each) for each in entries))
        assert sorted(leaf.index or 0 for leaf in found) == list(range(700))
        ordered = sorted(zip(found, entries, strict=True), key=lambda pair: pair[0].index or 0)
        await check_log(logs, [entry for _, entry in ordered])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000])
async def test_the_log_verifies_from_outside_at_tile_boundaries(tmp_path: Path, size: int) -> None:
    entries = [b"%d" % n for n in range(size)]
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        middle = size // 3
        await database.write_core(add_many, entries[:middle])
        early = open_checkpoint((await logs.published()).note, ORIGIN, [KEY])
        await database.write_core(add_many, entries[middle:])
        late = await check_log(logs, entries)
        resources = await everything(logs)
        check_consistency(resources.__getitem__, early, late)
        for index in {0, middle, size - 1}:
            proof = parse_proof(prove(resources.__getitem__, index, origin=ORIGIN, verifiers=[KEY]))
            verify_proof(proof, entries[index], expected_origin=ORIGIN, verifiers=[KEY])


async def test_partial_tiles_of_every_published_size_stay_served(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        seen: list[tuple[str, bytes]] = []
        for n in range(300):
            await database.write_core(add, b"%d" % n)
            if n % 37 == 0:
                seen += list((await everything(logs)).items())
        for path, content in seen:
            if path != "checkpoint":
                assert await logs.tile(parse_path(path)) == content
        assert await logs.tile(parse_path("tile/0/001.p/45")) is None
        assert await logs.tile(parse_path("tile/0/001")) is None
        assert await logs.tile(parse_path("tile/0/002.p/1")) is None
        assert await logs.tile(parse_path("tile/1/000.p/2")) is None
        assert await logs.tile(parse_path("tile/63/000.p/1")) is None


async def test_every_byte_that_the_checkpoint_needs_is_checked(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, [b"%d" % n for n in range(300)])
        resources = await everything(logs)
    for path, content in resources.items():
        for at in {0, len(content) // 2, len(content) - 1}:
            damaged = bytearray(content)
            damaged[at] ^= 1
            changed = {**resources, path: bytes(damaged)}
            with pytest.raises(BadLog):
                audit(changed.__getitem__, origin=ORIGIN, verifiers=[KEY])
        missing = {key: value for key, value in resources.items() if key != path}
        with pytest.raises((BadLog, KeyError)):
            audit(missing.__getitem__, origin=ORIGIN, verifiers=[KEY])


async def test_a_full_tile_stands_in_for_a_partial_one_that_is_gone(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, [b"%d" % n for n in range(200)])
        note = (await logs.published()).note
        await database.write_core(add_many, [b"%d" % n for n in range(200, 256)])
        later = {**await everything(logs), "checkpoint": note}
    assert "tile/0/000.p/200" not in later
    assert audit(later.__getitem__, origin=ORIGIN, verifiers=[KEY]).checkpoint.size == 200
    with pytest.raises(BadTile, match="missing"):
        audit({"checkpoint": note}.__getitem__, origin=ORIGIN, verifiers=[KEY])


async def test_a_call_that_raises_leaves_no_leaf(tmp_path: Path) -> None:
    def refuse(connection: Connection) -> None:
        append(connection, b"never")
        raise LookupError

    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        results = await asyncio.gather(
            *(
                database.write_core(refuse if n % 3 == 0 else add, *([] if n % 3 == 0 else [b"%d" % n]))
                for n in range(30)
            ),
            return_exceptions=True,
        )
        kept = [b"%d" % n for n in range(30) if n % 3]
        assert [isinstance(each, LookupError) for each in results] == [n % 3 == 0 for n in range(30)]
        await check_log(logs, kept)


async def test_a_restart_goes_on_where_the_tables_end(tmp_path: Path) -> None:
    url = make_file(tmp_path / "log.db")
    entries: list[bytes] = []
    for _ in range(4):
        async with opened(url) as (database, logs):
            more = [b"%d" % (len(entries) + n) for n in range(203)]
            await database.write_core(add_many, more)
            entries += more
            await check_log(logs, entries)


async def test_another_writer_of_the_file_makes_no_fork(tmp_path: Path) -> None:
    """Two hallways on one file take turns: each notices that the stored tree is not the one in its memory."""
    url = make_file(tmp_path / "log.db")
    async with opened(url) as (first, logs), opened(url) as (second, other):
        entries = [b"%d" % n for n in range(20)]
        for n, entry in enumerate(entries):
            await (first if n % 2 else second).write_core(add, entry)
        await first.write_core(add, b"last")
        await check_log(logs, [*entries, b"last"])
        assert (await other.published()).size == 20 - 1  # its own newest: never wrong, at worst old


async def test_two_logs_in_one_database_are_apart(tmp_path: Path) -> None:
    def both(connection: Connection) -> None:
        append(connection, b"main")
        append(connection, b"test", log="test")

    database = open_database(make_file(tmp_path / "log.db"))
    await database.start()
    logs = Logs(database)
    logs.add("main", ORIGIN, KEY)
    other = TestKey("test.example/log", b"\x05" * 32)
    logs.add("test", "test.example/log", other)
    with pytest.raises(RuntimeError, match="twice"):
        logs.add("test", "test.example/log", other)
    await logs.start()
    await database.write_core(both)
    assert (await logs.tile(Tile(None, 0, 1))) == b"\x00\x04main"
    assert (await logs.tile(Tile(None, 0, 1), "test")) == b"\x00\x04test"
    assert open_checkpoint((await logs.published("test")).note, "test.example/log", [other]).size == 1
    await database.stop()


async def test_refuses_an_entry_that_no_bundle_can_hold(tmp_path: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        with pytest.raises(BadLog, match="65535"):
            await database.write_core(add, b"x" * 65_536)
        await database.write_core(add, b"x" * 65_535)
        await check_log(logs, [b"x" * 65_535])


async def test_refuses_to_go_on_from_leaves_that_do_not_give_the_signed_root(tmp_path: Path) -> None:
    url = make_file(tmp_path / "log.db")
    async with opened(url) as (database, _):
        await database.write_core(add_many, [b"a", b"b"])

        def tamper(connection: Connection) -> None:
            connection.execute(leaves.update().where(leaves.c.idx == 1).values(leaf_hash=b"\x00" * 32))

        await database.write_core(tamper)
    with pytest.raises(BadLog, match="stored root"):
        async with opened(url):
            pass


# -- the fault matrix: each step failed and not kept, failed but kept ------------------------------------------------

Fault = Callable[[Any], Awaitable[None]]


def before_insert_of(table: str) -> Fault:
    """Let SQLite itself refuse to store a row of a table, once: a trigger of the writer's own connection."""

    async def arm(database: Any) -> None:
        state = {"left": 1}

        def refuse() -> None:
            if state["left"]:
                state["left"] -= 1
                raise OSError("the disk is full")

        def set_up(connection: Connection) -> None:
            driver: Any = connection.connection.driver_connection
            driver.create_function("refuse", 0, refuse)
            driver.execute(f"CREATE TEMP TRIGGER fault BEFORE INSERT ON {table} BEGIN SELECT refuse(); END")

        await database.write_core(set_up)

    return arm


async def commit_lost(database: Any) -> None:
    """COMMIT fails and nothing is kept."""
    dialect = database._writer_engine.dialect
    real = dialect.do_commit
    state = {"left": 1}

    def broken(connection: Any) -> None:
        if state["left"]:
            state["left"] -= 1
            raise OSError("the disk is full")
        real(connection)

    dialect.do_commit = broken


async def commit_kept(database: Any) -> None:
    """COMMIT reports a failure although everything is durable."""
    dialect = database._writer_engine.dialect
    real = dialect.do_commit
    state = {"left": 1}

    def broken(connection: Any) -> None:
        real(connection)
        if state["left"]:
            state["left"] -= 1
            raise OSError("the disk went away after the sync")

    dialect.do_commit = broken


@pytest.mark.parametrize("calls", [1, 5])
@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (before_insert_of("kit_log_leaf"), False),
        (before_insert_of("kit_log_node"), False),
        (before_insert_of("kit_log_checkpoint"), False),
        (commit_lost, False),
        (commit_kept, True),
    ],
    ids=["leaf rows", "node rows", "checkpoint row", "commit lost", "commit kept"],
)
async def test_a_failed_step_forks_nothing_and_loses_nothing_acknowledged(
    tmp_path: Path, fault: Fault, kept: bool, calls: int
) -> None:
    before = [b"%d" % n for n in range(254)]
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, before)
        early = await check_log(logs, before)
        await fault(database)
        tried = [b"tried %d" % n for n in range(calls)] if calls > 1 else [b"tried %d" % n for n in range(3)]
        if calls == 1:  # one call alone in its batch, over the tile boundary
            results = await asyncio.gather(database.write_core(add_many, tried), return_exceptions=True)
            acknowledged = [] if isinstance(results[0], BaseException) else tried
        else:
            results = await asyncio.gather(*(database.write_core(add, each) for each in tried), return_exceptions=True)
            acknowledged = [t for t, r in zip(tried, results, strict=True) if not isinstance(r, BaseException)]
        assert all(isinstance(each, Unavailable) for each in results if isinstance(each, BaseException))
        stored = await entries_of(database)
        assert stored[:254] == before
        assert set(acknowledged) <= set(stored)
        if calls == 1:
            assert stored[254:] == (tried if kept else [])
        late = await check_log_as_stored(database, logs)
        after = await database.write_core(add, b"after")
        assert after.index == len(stored)
        newest = await check_log(logs, [*stored, b"after"])
        resources = await everything(logs, late.size)
        check_consistency(resources.__getitem__, early, late)
        check_consistency(resources.__getitem__, late, newest)


async def test_a_signer_that_fails_assigns_nothing(tmp_path: Path) -> None:
    class Fickle(TestKey):
        broken = False

        def sign(self, message: bytes) -> bytes:
            if self.broken:
                raise OSError("the key store does not answer")
            return super().sign(message)

    key = Fickle(ORIGIN)
    async with opened(make_file(tmp_path / "log.db"), key) as (database, logs):
        await database.write_core(add, b"first")
        key.broken = True
        with pytest.raises(Unavailable):
            await database.write_core(add, b"refused")
        key.broken = False
        assert (await logs.published()).size == 1
        assert (await database.write_core(add, b"second")).index == 1
        await check_log(logs, [b"first", b"second"])


async def entries_of(database: Database) -> list[bytes]:
    def read(connection: Connection) -> list[bytes]:
        return list(connection.scalars(leaves.select().with_only_columns(leaves.c.entry).order_by(leaves.c.idx)))

    return await database.read_core(read)


async def check_log_as_stored(database: Database, logs: Logs) -> Checkpoint:
    """What is in the tables is one whole, signed log, whether or not memory knows it yet."""
    stored = await entries_of(database)
    newest = await database.read_core(reading.latest, "main")
    assert newest is not None
    assert newest.root == naive_root(stored)
    known = await logs.published()
    assert known.size <= newest.size
    return open_checkpoint(newest.note, ORIGIN, [KEY])
