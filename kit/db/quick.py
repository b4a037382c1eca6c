"""Statements for hot paths, given to the driver itself.

SQLAlchemy's `execute` costs 60 to 100 microseconds a statement in compiling, events and result metadata; the driver's
own costs 5. On SQLite a quick statement runs on the driver connection of the running call (same transaction, same
savepoint); on PostgreSQL, where the network costs more anyway, SQLAlchemy hands it on, so that errors keep the types
the hallway knows. Texts are constants of the code, values are always bound: `:name` for both databases.

On SQLite rows are plain tuples and JSON columns plain text: read them with `json_of`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from sqlalchemy import Connection

_NAME: Final = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")


class Quick:
    """One constant SQL text.

    `lock` (`FOR SHARE OF …`) is added on PostgreSQL: under snapshot isolation alone a write could commit after the
    change it did not see. SQLite has one writer, which is the same thing.
    """

    __slots__ = ("_postgres", "_sqlite")

    def __init__(self, sql: str, *, lock: str = "") -> None:
        self._sqlite = sql
        self._postgres = _NAME.sub(r"%(\1)s", f"{sql} {lock}".rstrip().replace("%", "%%"))

    def one(self, connection: Connection, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        found: tuple[Any, ...] | None = self._run(connection, values).fetchone()
        return found

    def all(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        found: list[tuple[Any, ...]] = self._run(connection, values).fetchall()
        return found

    def run(self, connection: Connection, **values: Any) -> int:
        """For statements that change something: how many rows they changed."""
        changed: int = self._run(connection, values).rowcount
        return changed

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """For an INSERT: once for each row."""
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            driver.executemany(self._sqlite, rows)
        else:
            connection.exec_driver_sql(self._postgres, [dict(row) for row in rows])

    def _run(self, connection: Connection, values: dict[str, Any]) -> Any:
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            return driver.execute(self._sqlite, values)
        return connection.exec_driver_sql(self._postgres, values)


def json_of(value: Any) -> Any:
    """A JSON column's value, whether the driver read it or left it as text."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
