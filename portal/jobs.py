"""Runs what the packages scheduled: inside `serve` by default, or alone as `sekisho jobs`.

A job is idempotent and one transaction a run, so running it twice is harmless; a lease row keeps several processes from
doing the same work at the same time on PostgreSQL.
"""

import asyncio
import contextlib
import random

from sqlalchemy import BigInteger, Column, Connection, String, Table, select

from kit.audit import audit_table, seal_pending
from kit.clock import Millis
from kit.db import metadata
from kit.host import Host, Job
from kit.ids import new_id
from kit.logs import log
from kit.problems import Problem

leases = Table(
    "kit_lease",
    metadata,
    Column("job", String(80), primary_key=True),
    Column("holder", String(40), nullable=False),
    Column("until", BigInteger, nullable=False),
)


def take_lease(connection: Connection, job: str, holder: str, now: Millis, until: Millis) -> bool:
    """Whether `holder` may run the job until then."""
    row = connection.execute(select(leases.c.holder, leases.c.until).where(leases.c.job == job)).first()
    if row is None:
        connection.execute(leases.insert(), {"job": job, "holder": holder, "until": until})
        return True
    if row.holder != holder and row.until > now:
        return False
    connection.execute(leases.update().where(leases.c.job == job).values(holder=holder, until=until))
    return True


class JobRunner:
    """One task for each job of the building."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._holder = new_id("run")
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin running."""
        jobs = list(self._host.jobs)
        if not self._host.db.single_writer:
            jobs.append(Job("kit.audit.seal", 0.5, self._seal))
        self._tasks = [asyncio.create_task(self._loop(job), name=f"job {job.name}") for job in jobs]

    async def stop(self) -> None:
        """Let running jobs be; start no more."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _loop(self, job: Job) -> None:
        while True:
            try:
                if await self._mine(job):
                    await job.run()
            except asyncio.CancelledError:
                raise
            except Problem as problem:
                log.warning("job", job=job.name, problem=problem.type_path(), private=problem.private)
            except Exception:
                log.exception("job", job=job.name)
            await asyncio.sleep(job.every * random.uniform(0.95, 1.05))  # noqa: S311 - spreads load, hides nothing

    async def _mine(self, job: Job) -> bool:
        if self._host.db.single_writer:
            return True
        now = self._host.clock.ms()
        until = now + max(5_000, int(job.every * 3_000))
        return await self._host.db.write_core(take_lease, job.name, self._holder, now, until)

    async def _seal(self) -> None:
        def waiting(connection: Connection) -> bool:
            query = select(audit_table.c.id).where(audit_table.c.seq.is_(None)).limit(1)
            return connection.execute(query).first() is not None

        while await self._host.db.read_core(waiting):
            if await self._host.db.write_core(seal_pending) == 0:
                break
