"""The log on PostgreSQL: leaves wait without an index, one sequencer at a time lays them, several processes append."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection

from kit.db import Database, open_database
from kit.tlog import reading
from kit.tlog.log import Logs
from tests.kit.test_tlog_log import KEY, ORIGIN, add, check_log, entries_of, everything

postgres_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def logs_of(database: Database) -> Logs:
    logs = Logs(database)
    logs.add("main", ORIGIN, KEY)
    await logs.start()
    return logs


async def waiting(database: Database) -> int:
    return await database.read_core(reading.waiting, "main")


@postgres_only
async def test_a_leaf_waits_for_the_sequencer_and_is_then_in_a_signed_tree(db: Database) -> None:
    logs = await logs_of(db)
    await check_log(logs, [])
    leaf = await db.write_core(add, b"first")
    assert leaf.index is None
    assert (await logs.published()).size == 0
    assert await waiting(db) == 1
    assert await logs.integrated(leaf, timeout=0.05) is None
    assert await logs.sequence() == 1
    assert await logs.integrated(leaf) == 0
    assert await logs.sequence() == 0
    await check_log(logs, [b"first"])


@postgres_only
async def test_several_processes_append_and_sequence_without_a_fork(db: Database, database_url: str) -> None:
    """Three hallways on one database stand for three processes; all append, all sequence, all at once."""
    others = [open_database(database_url) for _ in range(2)]
    for other in others:
        await other.start()
    everyone = [(each, await logs_of(each)) for each in (db, *others)]
    published: list[Any] = []
    done = False

    async def append(database: Database, name: str) -> None:
        for n in range(60):
            await database.write_core(add, f"{name} {n}".encode())

    async def sequence(logs: Logs) -> None:
        while not done:
            await logs.sequence()
            published.append(await logs.published())

    jobs = [asyncio.create_task(sequence(logs)) for _, logs in everyone]
    await asyncio.gather(*(append(database, f"{n}-{m}") for n, (database, _) in enumerate(everyone) for m in range(3)))
    while await waiting(db):  # noqa: ASYNC110 - what other processes do sets no event here
        await asyncio.sleep(0.01)
    done = True
    await asyncio.gather(*jobs)
    entries = await entries_of(db)
    assert sorted(entries) == sorted(f"{n}-{m} {k}".encode() for n in range(3) for m in range(3) for k in range(60))
    for _, logs in everyone:
        await check_log(logs, entries)
    # Every checkpoint anybody ever saw is the one tree of its size.
    seen = {(each.size, each.root) for each in published}
    assert len(seen) == len({size for size, _ in seen})
    for other in others:
        await other.stop()


@postgres_only
async def test_a_sequencer_that_dies_in_its_transaction_lays_nothing(db: Database) -> None:
    logs = await logs_of(db)
    for n in range(5):
        await db.write_core(add, b"%d" % n)

    def die(connection: Connection) -> None:
        logs._sequence(connection, logs.get())
        raise LookupError

    with pytest.raises(LookupError):
        await db.write_core(die)
    assert await waiting(db) == 5
    assert (await logs.published()).size == 0
    assert await logs.sequence() == 5
    await check_log(logs, await entries_of(db))
    assert len(await everything(logs)) == 3
