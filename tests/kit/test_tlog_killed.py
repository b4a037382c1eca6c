"""The log on PostgreSQL when processes die and steps fail: nothing lost, nothing twice, never a fork."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from kit.db import Database
from kit.tlog.log import Logs
from kit.tlog.merkle import RightEdge, leaf_hash
from kit.tlog.note import open_checkpoint
from kit.tlog.tables import checkpoints
from tests.kit.test_tlog_log import KEY, ORIGIN, add_many, check_log, entries_of
from tests.kit.test_tlog_sequencer import logs_of, postgres_only, waiting
from tests.support.source import ROOT


class Writer:
    """One process that appends and sequences."""

    def __init__(self, url: str, name: str) -> None:
        self.told: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.log_writer", url, name],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # a line cut off by the kill was not said
                self.told.append(line.rstrip("\n"))

    def wait_for(self, lines: int) -> None:
        ends = time.monotonic() + 30
        while len(self.told) < lines:
            assert time.monotonic() < ends, self._process.stderr.read() if self._process.stderr else ""
            assert self._process.poll() is None, self._process.stderr.read() if self._process.stderr else ""
            time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._end()
        assert self._process.returncode == 0

    def _end(self) -> None:
        self._process.wait(30)
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


async def every_checkpoint(db: Database, entries: list[bytes]) -> dict[int, bytes]:
    """The roots by size of all stored checkpoints, each of them signed and of a prefix of these entries."""
    rows = await db.read_core(lambda c: c.execute(select(checkpoints).order_by(checkpoints.c.size)).all())
    roots, edge = {}, RightEdge()
    for row in rows:
        for entry in entries[edge.size : row.size]:
            edge.append(leaf_hash(entry))
        signed = open_checkpoint(bytes(row.note), ORIGIN, [KEY])
        assert (signed.size, signed.root) == (row.size, bytes(row.root)) == (edge.size, edge.root())
        roots[row.size] = signed.root
    return roots


@postgres_only
async def test_two_processes_append_and_one_is_killed_at_random_again_and_again(
    db: Database, database_url: str
) -> None:
    chance = random.Random(20261122)
    writers = [Writer(database_url, f"writer-{number}") for number in range(2)]
    everyone = list(writers)
    for turn in range(6):
        for each in writers:
            await asyncio.to_thread(each.wait_for, len(each.told) + 5)
        await asyncio.sleep(chance.uniform(0, 0.4))
        at = chance.randrange(2)
        writers[at].kill()
        writers[at] = Writer(database_url, f"writer-{turn + 2}")
        everyone.append(writers[at])
    for each in writers:
        await asyncio.to_thread(each.wait_for, 5)
        await asyncio.to_thread(each.stop)
    logs = await logs_of(db)
    while await waiting(db):
        await logs.sequence()

    entries = await entries_of(db)
    acknowledged = [line[2:].encode() for each in everyone for line in each.told if line.startswith("+")]
    assert len(acknowledged) > 50
    assert set(acknowledged) <= set(entries)  # nothing lost
    assert max(Counter(entries).values()) == 1  # nothing twice
    await check_log(logs, entries)
    roots = await every_checkpoint(db, entries)
    shown = {tuple(line[2:].split(" ")) for each in everyone for line in each.told if line.startswith("=")}
    assert len(shown) > 10
    for size, root in shown:  # every checkpoint anybody was ever shown is one of this one history
        assert roots[int(size)].hex() == root


# -- each step of the sequencer, failed and not kept, failed but kept --------------------------------------------------


def broken_statement(beginning: str) -> Callable[[Any], None]:
    """Break the next statement that begins so."""

    def arm(database: Any) -> None:
        dialect = database._engine.dialect
        real_one, real_many = dialect.do_execute, dialect.do_executemany
        left = [1]

        def broken(real: Callable[..., Any]) -> Callable[..., Any]:
            def run(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
                if statement.startswith(beginning) and left:
                    left.pop()
                    raise OSError("the disk is full")
                return real(cursor, statement, parameters, context)

            return run

        dialect.do_execute, dialect.do_executemany = broken(real_one), broken(real_many)

    return arm


def broken_commit(*, kept: bool) -> Callable[[Any], None]:
    """The next COMMIT fails: before it was done, or after."""

    def arm(database: Any) -> None:
        dialect = database._engine.dialect
        real = dialect.do_commit
        left = [1]

        def broken(connection: Any) -> None:
            if left:
                left.pop()
                if kept:
                    real(connection)
                raise OSError("the connection went away")
            real(connection)

        dialect.do_commit = broken

    return arm


@postgres_only
@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (broken_statement("UPDATE kit_log_leaf"), False),
        (broken_statement("INSERT INTO kit_log_node"), False),
        (broken_statement("INSERT INTO kit_log_checkpoint"), False),
        (broken_commit(kept=False), False),
        (broken_commit(kept=True), True),
    ],
    ids=["leaf places", "node rows", "checkpoint row", "commit lost", "commit kept"],
)
async def test_a_failed_step_of_the_sequencer_forks_nothing_and_loses_nothing(
    db: Database, fault: Callable[[Any], None], kept: bool
) -> None:
    logs = await logs_of(db)
    await db.write_core(add_many, [b"%d" % n for n in range(254)])
    assert await logs.sequence() == 254
    await db.write_core(add_many, [b"over %d" % n for n in range(4)])  # over the tile boundary: a node row too
    fault(db)
    with pytest.raises(OSError):
        await logs.sequence()
    assert await waiting(db) == (0 if kept else 4)
    assert (await logs.published()).size == (258 if kept else 254)
    other = Logs(db)  # what another process makes of it
    other.add("main", ORIGIN, KEY)
    await other.start()
    assert await other.sequence() == (0 if kept else 4)
    await db.write_core(add_many, [b"after"])
    assert await logs.sequence() == 1  # and the one whose step failed goes on
    entries = await entries_of(db)
    assert len(entries) == 259
    assert len(set(entries)) == 259
    assert (await check_log(logs, entries)).size == 259
    await every_checkpoint(db, entries)
