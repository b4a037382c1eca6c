"""Runs what the packages scheduled: inside `serve` by default, or alone as `sekisho jobs`.

Running a job twice is harmless; a lease row keeps several processes from doing the same work at the same time on
PostgreSQL. It is renewed while a run lasts, however long its deliveries take: else two processes would send the same
letters and tokens. A process that stops renewing (it hangs, or its machine is gone) loses the job, and stops its own
run when it comes to again; what was on its way then may arrive twice, under one id (`kit.outbox`).
"""

import asyncio
import contextlib
import random

from sqlalchemy import BigInteger, Column, Connection, String, Table, select

from kit.audit import audit_table, seal_pending
from kit.clock import SECOND, Millis
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

    def __init__(self, host: Host, *, lease: Millis = 5 * SECOND) -> None:
        self._host = host
        self._lease = lease
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
                    await self._run(job)
            except asyncio.CancelledError:
                raise
            except Problem as problem:
                log.warning("job", job=job.name, problem=problem.type_path(), private=problem.private)
            except Exception:
                log.exception("job", job=job.name)
            await asyncio.sleep(job.every * random.uniform(0.95, 1.05))  # noqa: S311 - spreads load, hides nothing

    async def _run(self, job: Job) -> None:
        if self._host.db.single_writer:
            await job.run()
            return
        run = asyncio.ensure_future(job.run())
        try:
            while not (await asyncio.wait([run], timeout=self._lease / SECOND / 4))[0]:
                if not await self._mine(job):
                    log.warning("job-lost", job=job.name)  # another process began it: this one was away for too long
                    return
            run.result()
        finally:
            if not run.done():
                run.cancel()
                await asyncio.wait([run])

    async def _mine(self, job: Job) -> bool:
        if self._host.db.single_writer:
            return True
        now = self._host.clock.ms()
        until = now + max(self._lease, int(job.every * 3 * SECOND))
        return await self._host.db.write_core(take_lease, job.name, self._holder, now, until)

    async def _seal(self) -> None:
        def waiting(connection: Connection) -> bool:
            query = select(audit_table.c.id).where(audit_table.c.seq.is_(None)).limit(1)
            return connection.execute(query).first() is not None

        while await self._host.db.read_core(waiting):
            if await self._host.db.write_core(seal_pending) == 0:
                break
