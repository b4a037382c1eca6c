"""PostgreSQL: one serialisable transaction for each call, in a small pool of threads.

A serialisation failure or deadlock is run again. Change counters are rows, bumped in the transaction that
changes trust, so every process sees them at commit. Sequences (audit chain, ledger) are laid by one sealer job.
"""

import asyncio
import contextvars
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from kit.db.hall import Database, Session, Tx, collect, insert_rows, run_callbacks, tellable
from kit.db.tables import counters
from kit.problems import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

WRITERS = 8
READERS = 8
TRIES = 10
_AGAIN = {"40001", "40P01"}  # serialization_failure, deadlock_detected


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _heard(future: "asyncio.Future[Any]") -> None:
    """Nobody is left to be told how a cancelled waiter's write failed; the loop need not complain about that."""
    if not future.cancelled():
        future.exception()


class PostgresDatabase(Database):
    """The hallway on PostgreSQL; any number of processes."""

    dialect = "postgresql"

    def __init__(self, url: str, *, waiting: int = 4096) -> None:
        super().__init__()
        self._engine = create_engine(
            url.replace("postgresql:", "postgresql+psycopg:", 1) if url.startswith("postgresql:") else url,
            pool_size=WRITERS + READERS,
            max_overflow=2,
            pool_pre_ping=True,
            json_serializer=_dumps,
            json_deserializer=orjson.loads,
            # A write that hangs may not outlast the batches that are laid behind it (infobank.anchoring).
            connect_args={
                "options": "-c statement_timeout=120000 -c idle_in_transaction_session_timeout=60000",
            },
            hide_parameters=True,  # an error text must not carry a row (I6)
        )
        self._waiting = waiting
        self._open = 0
        self._lock = threading.Lock()
        self._writers: ThreadPoolExecutor | None = None
        self._readers: ThreadPoolExecutor | None = None

    async def start(self) -> None:
        """Open the pool; raises Unavailable if the server does not answer."""
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="db-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="db-read")

        def check() -> None:
            with self._engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")

        try:
            await asyncio.get_running_loop().run_in_executor(self._readers, check)
        except DBAPIError as error:
            raise Unavailable("The database does not answer.", private=str(error.orig)) from error

    async def stop(self) -> None:
        """Refuse new calls, finish the waiting ones, close."""
        writers, self._writers = self._writers, None
        readers, self._readers = self._readers, None
        for pool in (writers, readers):
            if pool is not None:
                await asyncio.to_thread(pool.shutdown)
        self._engine.dispose()

    async def write(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.write."""
        return await self._write(lambda connection, tx: self._orm(connection, tx, lambda s: fn(s, *args, **kwargs)))

    async def write_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.write_core."""
        return await self._write(lambda connection, _tx: fn(connection, *args, **kwargs))

    async def append(self, fn: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.append."""
        return await self._write(lambda _connection, tx: fn(tx, *args, **kwargs))

    async def bulk(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.bulk. Transactions do not share a batch here, so the same door serves."""
        return await self.write(fn, *args, **kwargs)

    async def _write(self, run: Callable[[Connection, Tx], T]) -> T:
        with self._lock:
            if self._open >= self._waiting:
                raise Unavailable("The service is busy; try again in a moment.", private="write queue full")
            self._open += 1

        def work() -> T:
            try:
                return self._transaction(run)
            except BaseException as error:
                raise tellable(error)  # noqa: B904 - it brings its cause along
            finally:
                self._finished()  # here and not where it is awaited: a cancelled waiter's write keeps its place

        try:
            future = self._submit(self._writers, work)
        except BaseException:
            self._finished()
            raise
        future.add_done_callback(_heard)
        return await asyncio.shield(future)  # a cancelled waiter's write still commits

    def _finished(self) -> None:
        with self._lock:
            self._open -= 1

    def _submit(self, pool: ThreadPoolExecutor | None, run: Callable[[], T]) -> "asyncio.Future[T]":
        if pool is None:
            raise Unavailable("The service is stopping; try again in a moment.", retry_after=5)
        context = contextvars.copy_context()
        return asyncio.get_running_loop().run_in_executor(pool, lambda: context.run(run))

    def _transaction(self, run: Callable[[Connection, Tx], T]) -> T:
        for attempt in range(TRIES):
            tx = Tx(self)
            try:
                connect = self._engine.connect().execution_options(isolation_level="SERIALIZABLE")
                with connect as connection, connection.begin():
                    connection.info["tx"] = tx
                    try:
                        result = run(connection, tx)
                    finally:
                        connection.info.pop("tx", None)
                    tables, buffer = collect([tx])
                    for name, rows in buffer.items():
                        insert_rows(connection, tables[name], rows)
                    for topic in sorted(tx.touched):  # one order everywhere: no deadlock among touchers
                        bump = insert(counters).values(topic=topic, n=1)
                        connection.execute(
                            bump.on_conflict_do_update(index_elements=["topic"], set_={"n": counters.c.n + 1})
                        )
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) in _AGAIN and attempt + 1 < TRIES:
                    time.sleep(random.uniform(0, 0.005 * 2**attempt))  # noqa: S311 - jitter, not a secret
                    continue
                raise
            run_callbacks(tx.callbacks)
            return result
        raise Unavailable("The service is busy; try again in a moment.", private="serialisation kept failing")

    def _orm(self, connection: Connection, tx: Tx, fn: Callable[[Session], T]) -> T:
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            session.info["tx"] = tx
            result = fn(session)
            session.finish()
        return result

    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.read."""

        def run() -> T:
            with self._snapshot() as connection, Session(connection) as session:
                return fn(session, *args, **kwargs)

        return await self._submit(self._readers, run)

    async def read_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.read_core."""

        def run() -> T:
            with self._snapshot() as connection:
                return fn(connection, *args, **kwargs)

        return await self._submit(self._readers, run)

    async def peek(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.peek."""
        return await self.read_core(fn, *args, **kwargs)

    def _snapshot(self) -> Connection:
        return self._engine.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    async def counter(self, topic: str) -> int:
        """See Database.counter: one indexed read on the primary. Raises Unavailable."""

        def look(connection: Connection) -> int:
            return connection.execute(select(counters.c.n).where(counters.c.topic == topic)).scalar() or 0

        try:
            return await self.read_core(look)
        except DBAPIError as error:
            raise Unavailable("The service cannot decide right now.", private=str(error.orig)) from error
