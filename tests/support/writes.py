"""Watches every write of a building on SQLite: which tables it changed, and what it wrote into the audit trail.

Each call of the hallway is one transaction here, since nothing runs beside it; the contents of all tables are compared
before and after it by a connection of the watch's own, so nothing depends on how a statement reached the driver.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from portal.app import Building

Contents = dict[str, list[tuple[Any, ...]]]


@dataclass
class Write:
    """One transaction."""

    function: str
    changed: frozenset[str]
    swept: frozenset[str]  # of these, tables that only lost rows
    actions: tuple[str, ...]  # of its audit entries
    bare: tuple[str, ...]  # audit entries that do not say who, or in which request


@dataclass
class Asked:
    """One request, and what it wrote."""

    method: str
    path: str
    status: int = 0
    writes: list[Write] = field(default_factory=list)


class Watch:
    """Put between a client and the building: it is the ASGI application the client speaks to."""

    def __init__(self, building: Building) -> None:
        self._building = building
        self._file = sqlite3.connect(f"file:{building.settings.data / 'sekisho.sqlite3'}?mode=ro", uri=True)
        self._lock = asyncio.Lock()
        self.asked: list[Asked] = []
        self.writes: list[Write] = []
        self.last = self._contents()
        database: Any = building.host.db
        for door in ("write", "write_core", "bulk"):
            setattr(database, door, self._watched(getattr(database, door)))

    def close(self) -> None:
        """Nothing is looked at any more; anything that was changed outside the hallway's doors is an error."""
        assert self._contents() == self.last, "something was written that the watch did not see"
        self._file.close()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The building's answer, noted."""
        asked = Asked(scope["method"], scope["path"])
        self.asked.append(asked)
        before = len(self.writes)

        async def noted(message: Any) -> None:
            if message["type"] == "http.response.start":
                asked.status = message["status"]
            await send(message)

        await self._building(scope, receive, noted)
        asked.writes = self.writes[before:]

    def _watched(self, door: Callable[..., Any]) -> Callable[..., Any]:
        async def write(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            async with self._lock:
                try:
                    return await door(fn, *args, **kwargs)
                finally:
                    self._compare(getattr(fn, "__qualname__", repr(fn)))

        return write

    def _compare(self, function: str) -> None:
        now, before = self._contents(), self.last
        changed = frozenset(name for name in now if now[name] != before[name])
        if changed:
            told = self._file.execute(
                "SELECT action, actor_kind, request_id FROM kit_audit ORDER BY seq LIMIT -1 OFFSET ?",
                (len(before["kit_audit"]),),
            ).fetchall()
            bare = tuple(action for action, actor, request in told if not actor or (self.asked and not request))
            swept = frozenset(name for name in changed if set(now[name]) < set(before[name]))
            self.writes.append(Write(function, changed, swept, tuple(action for action, _, _ in told), bare))
        self.last = now

    def _contents(self) -> Contents:
        names = self._file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name: self._file.execute(f'SELECT * FROM "{name}"').fetchall() for (name,) in names}
