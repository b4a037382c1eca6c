"""The hallway between asynchronous doors and synchronous rooms.

Domain functions are plain functions that take a `Session` (or a Core `Connection`) first and never commit. They reach
the database through the hallway only: `await db.write(fn, …)`, `await db.write_core(fn, …)`, `await db.read(fn, …)`.

* SQLite (`kit.db.sqlite`): one writer thread, group commit, a savepoint for each call.
* PostgreSQL (`kit.db.postgres`): one serialisable transaction for each call, run again on a serialisation failure.

A function given to the hallway may run more than once, has no outside effects, and returns frozen values. Raising rolls
its own writes back; a refusal that must leave a trace is returned. Acknowledged means durable.
"""

from kit.db.cache import CheckedCache
from kit.db.hall import Database, FlushHook, FlushResult, Session, Tx, tx_of
from kit.db.quick import Quick
from kit.db.tables import counters, for_postgresql, metadata, unique_where

__all__ = [
    "CheckedCache",
    "Database",
    "FlushHook",
    "FlushResult",
    "Quick",
    "Session",
    "Tx",
    "counters",
    "for_postgresql",
    "metadata",
    "open_database",
    "tx_of",
    "unique_where",
]


def open_database(url: str, *, waiting: int = 4096) -> Database:
    """A database by its URL (`sqlite:////path/file` or `postgresql://…`); start it before use.

    `waiting` bounds the queue of calls; one more is refused with 503. Raises ValueError for another scheme.
    """
    if url.startswith("sqlite:"):
        from kit.db.sqlite import SqliteDatabase

        return SqliteDatabase(url, waiting=waiting)
    if url.startswith(("postgresql:", "postgresql+psycopg:")):
        from kit.db.postgres import PostgresDatabase

        return PostgresDatabase(url, waiting=waiting)
    raise ValueError("the database URL must begin with sqlite: or postgresql:")
