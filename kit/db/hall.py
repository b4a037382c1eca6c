"""What both databases share: the session that refuses to commit, the transaction's side table, the doors."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlmodel
from sqlalchemy import Connection, Table

from kit.logs import log

P = ParamSpec("P")
T = TypeVar("T")
Row = dict[str, Any]


class Session(sqlmodel.Session):
    """A session whose transaction belongs to the hallway."""

    def commit(self) -> None:
        """Refused: only the hallway commits."""
        raise RuntimeError("only the hallway commits; return from the function instead")

    def rollback(self) -> None:
        """Refused: raise to roll back, return to keep."""
        raise RuntimeError("only the hallway rolls back; raise from the function instead")

    def finish(self) -> None:
        """For the hallway: flush and release the call's savepoint or transaction."""
        super().commit()


class Tx:
    """What one call may do beside SQL. Fresh for every run of the call."""

    __slots__ = ("appended", "callbacks", "database", "touched")

    def __init__(self, database: "Database") -> None:
        self.database = database
        self.appended: list[tuple[Table, Row]] = []
        # None of it in most calls, and each call makes a Tx.
        self.touched: Collection[str] = ()
        self.callbacks: Sequence[Callable[[], None]] = ()

    def append(self, table: Table, row: Row) -> None:
        """Add an append-only row; it is written with the whole batch, just before COMMIT."""
        self.appended.append((table, row))

    def touch(self, topic: str) -> None:
        """Caches under `topic` are stale from this commit on, in every process, before the caller is answered."""
        self.touched = {*self.touched, topic}

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Run in the committing thread once the write is durable; must be quick and must not raise."""
        self.callbacks = (*self.callbacks, callback)


def tx_of(place: "sqlmodel.Session | Connection | Tx") -> Tx:
    """The running call's `Tx`; raises RuntimeError outside a write."""
    if isinstance(place, Tx):
        return place
    tx = place.info.get("tx")
    if not isinstance(tx, Tx):
        raise RuntimeError("not inside a write of the hallway")
    return tx


@dataclass(slots=True)
class FlushResult:
    """What a flush hook made of the rows appended to its table."""

    rows: list[Row]
    after_commit: Callable[[], None] | None = None
    after_rollback: Callable[[], None] | None = None


FlushHook = Callable[[Connection, list[Row]], FlushResult]


class Database(ABC):
    """The hallway. `dialect` is "sqlite" or "postgresql"."""

    dialect: str
    trail: Any = None  # the audit trail kept in this database (kit.audit.AuditTrail), set by itself

    def __init__(self) -> None:
        self._hooks: dict[str, FlushHook] = {}

    def at_flush(self, table: Table, hook: FlushHook) -> None:
        """Let `hook` see (and complete) the rows appended to `table` just before they are written.

        On SQLite it runs in the single writer, once a batch, so it may lay a sequence. On PostgreSQL hooks do not run:
        rows go in as appended, and a job lays the sequence (`kit.tlog.log.Logs.sequence`, `kit.audit.seal_pending`).
        """
        self._hooks[table.name] = hook

    @property
    def single_writer(self) -> bool:
        """Whether flush hooks run here, laying sequences in the batch itself."""
        return self.dialect == "sqlite"

    @abstractmethod
    async def start(self) -> None:
        """Open connections; raises kit.problems.Unavailable with the cure in its private text if it cannot."""

    @abstractmethod
    async def stop(self) -> None:
        """Refuse new calls, finish the waiting ones (those of cancelled waiters, too), close."""

    async def overwrite(self) -> bool:
        """Make sure that what was deleted or replaced before this call is gone from the files, too; False: ask again.

        For destroyed keys. Where the database server keeps its files, that is the server's business.
        """
        return True

    @abstractmethod
    async def write(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(session, …)` in a durable write of its own; raises what it raises, or Unavailable.

        A write that has begun to wait is carried through, as a whole, even if whoever waits for it is cancelled: it
        keeps its place in the queue, it commits or fails some time later, and `stop` waits for it. Who is cancelled
        knows no more than that, and learns nothing from another write's answer: on PostgreSQL that may overtake it.
        """

    @abstractmethod
    async def write_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same with a Core connection, for hot paths."""

    @abstractmethod
    async def append(self, fn: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(tx, …)`, which only appends rows and touches topics: with no SQL of its own it needs no savepoint.

        As durable as `write`; the cheapest door.
        """

    @abstractmethod
    async def bulk(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Like `write`, when nobody waits for it: lets others go first, though not for ever. Keep chunks small."""

    @abstractmethod
    async def read(self, fn: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(session, …)` on a reader connection, in one snapshot, in a thread."""

    @abstractmethod
    async def read_core(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same with a Core connection."""

    @abstractmethod
    async def peek(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """For one short indexed look-up: on SQLite in the event loop itself (a thread hop costs more)."""

    @abstractmethod
    async def counter(self, topic: str) -> int:
        """The change counter of a topic, from the primary. Raises Unavailable if it cannot be read: then refuse."""

    def run_hooks(
        self, connection: Connection, buffer: Mapping[str, list[Row]]
    ) -> tuple[dict[str, list[Row]], list[FlushResult]]:
        """Give every buffered table's rows to its hook, if any."""
        finished: dict[str, list[Row]] = {}
        results: list[FlushResult] = []
        for name, rows in buffer.items():
            hook = self._hooks.get(name)
            if hook is None:
                finished[name] = rows
                continue
            result = hook(connection, rows)
            results.append(result)
            finished[name] = result.rows
        return finished, results


def collect(txs: list[Tx]) -> tuple[dict[str, Table], dict[str, list[Row]]]:
    """The appended rows of several calls, by table, in call order."""
    tables: dict[str, Table] = {}
    buffer: dict[str, list[Row]] = defaultdict(list)
    for tx in txs:
        for table, row in tx.appended:
            tables[table.name] = table
            buffer[table.name].append(row)
    return tables, dict(buffer)


def insert_rows(connection: Connection, table: Table, rows: list[Row]) -> None:
    """One executemany for each set of columns."""
    shapes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        shapes.setdefault(tuple(row), []).append(row)
    for same in shapes.values():
        connection.execute(table.insert(), same)


def run_callbacks(callbacks: Iterable[Callable[[], None]]) -> None:
    """Run what waits for the commit. It is durable by now: an error here undoes and repeats nothing, it is logged."""
    for callback in callbacks:
        try:
            callback()
        except Exception:
            log.exception("after commit")


def tellable(error: BaseException) -> Exception:
    """The error as a future can carry it: StopIteration and SystemExit would break the loop that waits."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    told = RuntimeError(f"a call of the hallway raised {type(error).__name__}")
    told.__cause__ = error
    return told
