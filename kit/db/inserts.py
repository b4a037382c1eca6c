"""Appended rows straight to the driver: what SQLAlchemy's `execute` spends on a batch is more than SQLite does.

For tables whose rows bring every column; the rest goes SQLAlchemy's way (`kit.db.hall.insert_rows`). No I/O here.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import Engine, LargeBinary, Table

from kit.db.hall import Row

TOGETHER = 16  # rows in one statement: more gain little, and a smaller batch would have no use of it


@dataclass(frozen=True, slots=True)
class Insert:
    """An INSERT of rows with the same columns, as the driver takes it."""

    sql: str
    together: str  # the same for `TOGETHER` rows
    width: int
    pick: Callable[[Row], tuple[Any, ...]]
    processors: tuple[tuple[int, Callable[[Any], Any]], ...]

    @classmethod
    def of(cls, table: Table, columns: tuple[str, ...], engine: Engine) -> "Insert | None":
        """None where SQLAlchemy has more to do: fill in defaults of its own, or refuse an unknown column."""
        given = set(columns)
        if (
            len(columns) < 2
            or given - set(table.columns.keys())
            or any(column.name not in given and column.default is not None for column in table.columns)
        ):
            return None
        dialect = engine.dialect
        quote = dialect.identifier_preparer.quote
        names, marks = ", ".join(map(quote, columns)), f"({', '.join('?' * len(columns))})"
        sql = f"INSERT INTO {quote(table.name)} ({names}) VALUES {marks}"  # noqa: S608 - names of our own tables
        processors = []
        for place, name in enumerate(columns):
            kind = table.columns[name].type
            found = None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)
            if found is not None:  # the driver takes bytes as they are
                processors.append((place, found))
        together = sql + f", {marks}" * (TOGETHER - 1)
        return cls(sql, together, len(columns), itemgetter(*columns), tuple(processors))

    def run(self, driver: sqlite3.Connection, rows: list[Row]) -> bool:
        """Insert the rows; False, and nothing done, where they have not all the same columns.

        The driver gives up the interpreter once a statement, and has to win it back: so as few statements as may be.
        """
        values = self.values(rows)
        if values is None:
            return False
        done = 0
        while len(values) - done >= TOGETHER:
            driver.execute(self.together, tuple(chain.from_iterable(values[done : done + TOGETHER])))
            done += TOGETHER
        if done < len(values):
            driver.executemany(self.sql, values[done:] if done else values)
        return True

    def values(self, rows: list[Row]) -> list[Any] | None:
        """The rows as the driver binds them; None where they have not all the same columns."""
        width, pick = self.width, self.pick
        for row in rows:
            if len(row) != width:
                return None
        try:
            picked = [pick(row) for row in rows]
        except KeyError:
            return None
        if not self.processors:
            return picked
        found = []
        for values in map(list, picked):
            for place, process in self.processors:
                values[place] = process(values[place])
            found.append(values)
        return found
