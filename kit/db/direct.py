"""Statements for the hottest paths: on SQLite they go to the driver itself.

Inside a write of the hallway the engine's bookkeeping costs several times the look itself. The transaction is the same
one: the driver's connection is the very one the savepoint was set on. PostgreSQL goes through the engine, where `lock`
adds row locks: under snapshot isolation alone a disclosure could commit after the withdrawal it did not see. Rows are
plain tuples and JSON columns plain text on SQLite; read them with `json_of`.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, text


class Direct:
    """One statement with `:named` values."""

    __slots__ = ("_locked", "_sql", "_text")

    def __init__(self, sql: str, *, lock: str = "") -> None:
        self._sql = sql
        self._text = text(sql)
        self._locked = text(f"{sql} {lock}") if lock else self._text

    def all(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Every row."""
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            return driver.execute(self._sql, values).fetchall()
        return connection.execute(self._locked, values).all()

    def first(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
        """The first row, or None."""
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            row: Sequence[Any] | None = driver.execute(self._sql, values).fetchone()
            return row
        return connection.execute(self._locked, values).first()

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """For an INSERT: once for each row."""
        driver = connection.connection.driver_connection
        if isinstance(driver, sqlite3.Connection):
            driver.executemany(self._sql, rows)
        else:
            connection.execute(self._text, list(rows))


def json_of(value: Any) -> Any:
    """A JSON column's value, whether the driver read it or left it as text."""
    return orjson.loads(value) if isinstance(value, str | bytes) else value
