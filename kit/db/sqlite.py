"""SQLite: one writer thread with group commit, readers beside it.

The writer takes the waiting calls (at most `BATCH`, or until `SLICE` seconds are spent), gives each a savepoint, writes
the buffered append-only rows, commits once (WAL, synchronous FULL) and only then answers. So a durable write costs a
fraction of a sync and never meets a busy database.

What is durable when: nothing before COMMIT returns; everything of the batch after it. A crash in between loses only
calls that nobody was answered.
"""

import asyncio
import contextlib
import contextvars
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Concatenate, ParamSpec, TypeVar

import orjson
from sqlalchemy import Connection, Engine, Table, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from kit.db.hall import Database, FlushResult, Row, Session, Tx, collect, insert_rows, run_callbacks, tellable
from kit.db.inserts import Insert
from kit.problems import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

BATCH = 64
SLICE = 0.020
GATHER = 0.004  # seconds that a batch waits for company, at most
READERS = 3
PASSED_OVER = 32  # batches that may go ahead of a waiting bulk call


class BatchLostError(Exception):
    """SQLite ended the transaction under us (disk full, OR ROLLBACK): nothing of the batch is kept."""


@dataclass(slots=True, eq=False)
class _Call:
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    door: "Callable[[Connection, sqlite3.Connection, _Call], Any] | None"  # None: it appends rows, no more
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    context: contextvars.Context
    result: Any = None
    error: BaseException | None = None
    tx: Tx | None = field(default=None)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def _driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection: for the hallway's constant statements SQLAlchemy costs ten times SQLite."""
    driver = connection.connection.dbapi_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _engine(url: str, *, writer: bool) -> Engine:
    engine = create_engine(
        url,
        poolclass=NullPool if writer else QueuePool,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": 5.0},
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        hide_parameters=True,  # an error text must not carry a row (I6)
        **({} if writer else {"pool_size": READERS + 1, "max_overflow": 4}),
    )

    def connected(raw: sqlite3.Connection, _record: object) -> None:
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA busy_timeout=5000")
        # KiB, for each connection: the kernel's cache holds the same pages for all of them, one call away.
        cursor.execute(f"PRAGMA cache_size=-{8_192 if writer else 2_048}")
        cursor.execute("PRAGMA temp_store=MEMORY")
        if writer:
            cursor.execute("PRAGMA secure_delete=FAST")
        else:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    def begin(connection: Connection) -> None:
        _driver(connection).execute("BEGIN IMMEDIATE" if writer else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begin)
    return engine


class SqliteDatabase(Database):
    """The hallway on one SQLite file. One process writes it."""

    dialect = "sqlite"

    def __init__(self, url: str, *, waiting: int = 4096) -> None:
        super().__init__()
        self._writer_engine = _engine(url, writer=True)
        self._reader_engine = _engine(url, writer=False)
        self._waiting = waiting
        self._calls: deque[_Call] = deque()
        self._bulk: deque[_Call] = deque()
        self._passed = 0  # batches since a bulk call waits
        self._lock = threading.Lock()  # a condition is entered by Python code, and each request enters
        self._wake = threading.Condition(self._lock)
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._home: asyncio.AbstractEventLoop | None = None  # the loop it was started in, and that loop's thread
        self._home_thread = 0
        self._idle = False  # the writer waits to be woken
        self._waker: asyncio.AbstractEventLoop | None = None  # the loop that is about to wake it
        self._seen = 0  # calls that waited when that loop last looked
        self._gather_until = 0.0
        self._inserts: dict[tuple[str, ...], Insert | None] = {}
        self._pool: ThreadPoolExecutor | None = None
        self._peeker: Connection | None = None
        self._counters: dict[str, int] = {}
        self._epoch = 0
        self._data_version: int | None = None

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the file and start the writer."""
        self._home, self._home_thread = asyncio.get_running_loop(), threading.get_ident()
        connection = self._writer_engine.connect()
        self._stopping = False
        self._pool = ThreadPoolExecutor(READERS, thread_name_prefix="db-read")
        self._peeker = self._reader_engine.connect()
        self._thread = threading.Thread(target=self._work, args=(connection,), name="db-write", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Refuse new calls, commit the waiting ones, close."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
            self._thread = None
        if self._pool is not None:
            await asyncio.to_thread(self._pool.shutdown)
            self._pool = None
        if self._peeker is not None:
            self._peeker.close()
            self._peeker = None
        self._reader_engine.dispose()
        self._writer_engine.dispose()

    # -- doors ----------------------------------------------------------------------------------------------------

    async def write(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.write."""
        result: T = await self._enqueue(self._calls, fn, args, kwargs, self._orm)
        return result

    async def write_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.write_core."""
        result: T = await self._enqueue(self._calls, fn, args, kwargs, self._core)
        return result

    async def append(self, fn: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.append."""
        result: T = await self._enqueue(self._calls, fn, args, kwargs, None)
        return result

    async def bulk(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.bulk."""
        result: T = await self._enqueue(self._bulk, fn, args, kwargs, self._orm)
        return result

    def _enqueue(
        self,
        queue: deque[_Call],
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        door: Callable[[Connection, sqlite3.Connection, _Call], Any] | None,
    ) -> "asyncio.Future[Any]":
        home = self._home
        if home is None or threading.get_ident() != self._home_thread or not home.is_running():
            loop = asyncio.get_running_loop()  # with a system call each time (CPython 3.11)
        else:
            loop = home
        future: asyncio.Future[Any] = loop.create_future()
        call = _Call(fn, args, kwargs, door, loop, future, contextvars.copy_context())
        with self._lock:
            if self._stopping or self._thread is None:
                raise Unavailable("The service is stopping; try again in a moment.", retry_after=5)
            if len(queue) >= self._waiting:
                raise Unavailable("The service is busy; try again in a moment.", private="write queue full")
            queue.append(call)
            if self._idle and self._waker is not loop:
                self._gather(loop)
                loop.call_soon(self._rouse)
        return future

    def _gather(self, loop: asyncio.AbstractEventLoop) -> None:
        self._waker, self._seen, self._gather_until = loop, 0, time.monotonic() + GATHER

    def _rouse(self) -> None:
        """In the loop: wake the writer as soon as a round brings no more calls.

        A batch costs as much as fifteen calls, and two threads at work fight over the interpreter. So whoever has just
        been answered and asks again, and whatever else has come meanwhile, joins the batch; a lone call waits for one
        empty round.
        """
        waiting = len(self._calls)
        with self._lock:
            if self._idle and self._seen < waiting < BATCH and time.monotonic() < self._gather_until:
                self._seen = waiting
                asyncio.get_running_loop().call_soon(self._rouse)
                return
            self._waker = None
            self._wake.notify()

    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.read."""

        def run() -> T:
            with self._reader_engine.connect() as connection, Session(connection) as session:
                return fn(session, *args, **kwargs)

        return await self._in_pool(run)

    async def read_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.read_core."""

        def run() -> T:
            with self._reader_engine.connect() as connection:
                return fn(connection, *args, **kwargs)

        return await self._in_pool(run)

    async def overwrite(self) -> bool:
        """Write the log back into the file and empty it: until then both hold the old pages. See Database.overwrite."""
        path = self._reader_engine.url.database or ":memory:"

        def run() -> bool:
            # A connection of its own: it gives up soon when a reader is in the way, and stalls nobody.
            with contextlib.closing(sqlite3.connect(path, timeout=0.25)) as raw:
                busy, _pages, _moved = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

        return await self._in_pool(run)

    async def _in_pool(self, run: Callable[[], T]) -> T:
        if self._pool is None:
            raise Unavailable("The service is stopping; try again in a moment.", retry_after=5)
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._pool, context.run, run)

    async def peek(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """See Database.peek. Runs in the event loop: the function must be one short look-up. Raises Unavailable."""
        if self._peeker is None:
            raise Unavailable("The service is stopping; try again in a moment.", retry_after=5)
        try:
            return fn(self._peeker, *args, **kwargs)
        finally:
            self._peeker.rollback()

    async def counter(self, topic: str) -> int:
        """See Database.counter. One process writes, so the count lives beside its writer."""
        return self._epoch + self._counters.get(topic, 0)

    # -- the writer -----------------------------------------------------------------------------------------------

    def _work(self, connection: Connection) -> None:
        while True:
            with self._wake:
                self._idle = True
                if self._gathers():
                    self._wake.wait(10 * GATHER)  # that loop may be busy, or never have its turn again
                while not (self._calls or self._bulk or self._stopping):
                    self._wake.wait()
                self._idle, self._waker = False, None
                if not (self._calls or self._bulk):
                    break
                first = self._next()
            try:
                self._batch(connection, first)
            except BaseException:
                with contextlib.suppress(Exception):
                    connection.rollback()
                continue
        connection.close()

    def _gathers(self) -> bool:
        """Whether the loop of those who wait already is to wake the writer, when it has had its turn."""
        if not 0 < len(self._calls) < BATCH or self._stopping:
            return False
        loop = self._calls[0].loop
        try:
            loop.call_soon_threadsafe(self._rouse)
        except RuntimeError:  # that loop is closed
            return False
        self._gather(loop)
        return True

    def _next(self) -> _Call:
        # Bulk goes last, but it goes: else a city that is never quiet never forgets what it must, and its file grows.
        if self._bulk and (not self._calls or self._passed >= PASSED_OVER):
            self._passed = 0
            return self._bulk.popleft()
        self._passed = self._passed + 1 if self._bulk else 0
        return self._calls.popleft()

    def _take(self) -> _Call | None:
        try:
            return self._calls.popleft()  # atomic, and nobody else takes
        except IndexError:
            return None

    def _batch(self, connection: Connection, first: _Call) -> None:
        calls: list[_Call] = []
        try:
            self._run(connection, first, calls)
        except BatchLostError as error:
            self._fail(connection, calls, error)
        except Exception as error:
            if len(calls) == 1:
                self._fail(connection, calls, error)
            else:
                self._again_alone(connection, calls)
        self._answer(calls)

    def _run(self, connection: Connection, first: _Call, calls: list[_Call], *, alone: bool = False) -> None:
        """Fill `calls` and commit them. On any raise nothing of the batch is durable."""
        calls.append(first)
        results: list[FlushResult] = []
        try:
            with connection.begin():
                driver, info = _driver(connection), connection.info
                self._watch_strangers(driver)
                ends = time.monotonic() + SLICE
                call: _Call | None = first
                while call is not None:
                    if call is not first:
                        calls.append(call)
                    if call.door is None:
                        self._append(call)
                    else:
                        self._one(connection, call, driver, info)
                    full = alone or len(calls) >= BATCH or time.monotonic() >= ends
                    call = None if full else self._take()
                kept = [call.tx for call in calls if call.error is None and call.tx is not None]
                tables, buffer = collect(kept)
                rows, results = self.run_hooks(connection, buffer)
                for name, same in rows.items():
                    self._insert(connection, driver, tables[name], same)
                _require_transaction(driver)
        except BaseException:
            for result in results:
                if result.after_rollback is not None:
                    result.after_rollback()
            raise
        # Durable from here on.
        for tx in kept:
            for topic in tx.touched:
                self._counters[topic] = self._counters.get(topic, 0) + 1
        run_callbacks([result.after_commit for result in results if result.after_commit is not None])
        for tx in kept:
            if tx.callbacks:
                run_callbacks(tx.callbacks)

    def _append(self, call: _Call) -> None:
        # It runs no SQL, so neither its savepoint nor the transaction is looked after.
        tx = call.tx = Tx(self)
        try:
            call.result = call.context.run(call.fn, tx, *call.args, **call.kwargs)
            call.error = None
        except BaseException as error:
            call.error = tellable(error)

    def _one(self, connection: Connection, call: _Call, driver: sqlite3.Connection, info: dict[Any, Any]) -> None:
        call.error, call.result, call.tx = None, None, Tx(self)
        info["tx"] = call.tx
        try:
            assert call.door is not None
            call.result = call.context.run(call.door, connection, driver, call)
        except BaseException as error:  # the call's own failure: its savepoint is gone, the batch goes on
            call.error = tellable(error)
        finally:
            info.pop("tx", None)
        _require_transaction(driver)

    def _core(self, connection: Connection, driver: sqlite3.Connection, call: _Call) -> Any:
        # The savepoint goes to the driver itself: through the engine its two statements cost more than most calls.
        driver.execute("SAVEPOINT sekisho")
        try:
            result = call.fn(connection, *call.args, **call.kwargs)
        except BaseException:
            if driver.in_transaction:
                driver.execute("ROLLBACK TO sekisho")
                driver.execute("RELEASE sekisho")
            raise
        driver.execute("RELEASE sekisho")
        return result

    def _orm(self, connection: Connection, _driver: sqlite3.Connection, call: _Call) -> Any:
        session = Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        session.info["tx"] = call.tx
        try:
            result = call.fn(session, *call.args, **call.kwargs)
            # A constraint error swallowed by the function left the session's transaction dead: finish() raises then.
            session.finish()
        finally:
            session.close()
        return result

    def _insert(self, connection: Connection, driver: sqlite3.Connection, table: Table, rows: list[Row]) -> None:
        shape = (table.name, *rows[0])
        if shape not in self._inserts:
            self._inserts[shape] = Insert.of(table, shape[1:], self._writer_engine)
        plan = self._inserts[shape]
        if plan is None or not plan.run(driver, rows):
            insert_rows(connection, table, rows)

    def _watch_strangers(self, driver: sqlite3.Connection) -> None:
        """Another process wrote the file (an offline tool): every cache is stale."""
        version = driver.execute("PRAGMA data_version").fetchone()[0]
        if self._data_version is not None and version != self._data_version:
            self._epoch += 1_000_000
        self._data_version = version

    def _rollback(self, connection: Connection) -> None:
        """A COMMIT that fails can leave the driver's transaction open although the engine counts it as ended."""
        with contextlib.suppress(Exception):
            connection.rollback()
        with contextlib.suppress(Exception):
            driver = connection.connection.driver_connection
            if isinstance(driver, sqlite3.Connection) and driver.in_transaction:
                driver.rollback()

    def _fail(self, connection: Connection, calls: list[_Call], error: BaseException) -> None:
        self._rollback(connection)
        for call in calls:
            if call.error is None:
                call.error = Unavailable(
                    "This could not be stored; nothing was changed. Try again in a moment.",
                    private=f"batch failed: {type(error).__name__}: {error}",
                )

    def _again_alone(self, connection: Connection, calls: list[_Call]) -> None:
        self._rollback(connection)
        for call in calls:
            alone: list[_Call] = []
            try:
                self._run(connection, call, alone, alone=True)
            except Exception as error:
                self._fail(connection, alone, error)

    def _answer(self, calls: list[_Call]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Call]] = {}
        for call in calls:
            by_loop.setdefault(call.loop, []).append(call)
        for loop, some in by_loop.items():
            with contextlib.suppress(RuntimeError):  # that loop is closed; its waiters are gone
                loop.call_soon_threadsafe(_settle, some)


def _require_transaction(driver: sqlite3.Connection) -> None:
    if not driver.in_transaction:
        raise BatchLostError("the database ended the transaction")


def _settle(calls: list[_Call]) -> None:
    for call in calls:
        if call.future.done():  # the waiter was cancelled; its write stands all the same
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)
