"""Several processes, one job: whoever has the lease keeps it for as long as a run takes (PostgreSQL)."""

import asyncio

import pytest
from sqlalchemy import Connection, update

from kit import outbox
from kit.clock import DAY, SECOND, SystemClock
from kit.db import Database
from kit.host import Host
from kit.outbox import Item, Outbox, Sender
from portal.jobs import JobRunner, leases

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)]
LEASE = 200  # milliseconds; 5 seconds in a city


class Process:
    """One of several processes of a city: its own runner and its own outbox over the one database."""

    def __init__(self, db: Database, told: list[str], *, slow: float) -> None:
        self.told, self.slow = told, slow
        self.began, self.over = asyncio.Event(), asyncio.Event()
        self.host = Host(db, SystemClock(), None, "https://city.example")
        sender = Sender("test.slow", self._send, first=SECOND, longest=SECOND)
        self.host.job("test.deliver", 0.03, Outbox(db, self.host.clock, sender).deliver)
        self.runner = JobRunner(self.host, lease=LEASE)

    async def _send(self, item: Item) -> str | None:
        self.told.append(item.id)
        self.began.set()
        try:
            await asyncio.sleep(self.slow)
        finally:
            self.over.set()
        return None


async def put(db: Database) -> str:
    now = SystemClock().ms()
    row = outbox.row("test.slow", "lane", b"word", now=now, expires_at=now + DAY)
    await db.write_core(outbox.add, [row])
    return str(row["id"])


async def test_a_delivery_that_takes_longer_than_the_lease_is_made_once(db: Database) -> None:
    """The fault: two processes, a receiver that needs seven seconds, and every letter and token sent by both."""
    told: list[str] = []
    item_id, both = await put(db), [Process(db, told, slow=4 * LEASE / SECOND) for _ in "ab"]
    for process in both:
        process.runner.start()
    try:
        over = [asyncio.ensure_future(process.over.wait()) for process in both]
        await asyncio.wait(over, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(LEASE / SECOND)  # whoever waits has its turn now
    finally:
        for process in both:
            await process.runner.stop()
    assert told == [item_id]
    assert await db.read_core(outbox.waiting, "test.slow", "lane", 1) == ()
    for waiting in over:
        waiting.cancel()


async def test_who_lost_the_job_stops_its_run(db: Database) -> None:
    """A process that was away for too long comes to again while another has begun."""
    told: list[str] = []
    item_id, process = await put(db), Process(db, told, slow=30)

    def taken(connection: Connection) -> None:
        connection.execute(update(leases).values(holder="run_other", until=SystemClock().ms() + DAY))

    process.runner.start()
    try:
        async with asyncio.timeout(10):
            await process.began.wait()
            await db.write_core(taken)
            await process.over.wait()
    finally:
        await process.runner.stop()
    assert told == [item_id]
