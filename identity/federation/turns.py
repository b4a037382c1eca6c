"""Places for searches that strangers cause: so many at once, and who waits, waits behind its own. In memory.

OpenID Federation 1.0 section 18.1. A web server that dawdles holds a place for as long as a search may last, and
whoever names it has proved nothing. With one line for all, one network with eight such names would keep every other
service out; so each network has few places and a short line of its own, and the lines are served in turn.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from identity.federation.refusals import Refused


class Turns:
    """`places` at once, `each` for one requester, of whom `line` may wait."""

    def __init__(self, places: int, *, each: int, line: int) -> None:
        self._free = places
        self._each = each
        self._longest = line
        self._busy: dict[str, int] = {}
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, who: str) -> AsyncIterator[None]:
        """A place for the block. Raises Refused at once where the requester's own line is full."""
        await self._enter(who)
        try:
            yield
        finally:
            self._leave(who)

    async def _enter(self, who: str) -> None:
        if self._free and self._busy.get(who, 0) < self._each and who not in self._lines:
            self._begin(who)
            return
        line = self._lines.setdefault(who, deque())
        if len(line) >= self._longest:
            raise Refused("temporarily_unavailable", "crowd", "too many searches of this network wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave(who)  # it was called at that very moment
            raise

    def _begin(self, who: str) -> None:
        self._free -= 1
        self._busy[who] = self._busy.get(who, 0) + 1

    def _leave(self, who: str) -> None:
        self._free += 1
        self._busy[who] -= 1
        if not self._busy[who]:
            del self._busy[who]
        self._call()

    def _call(self) -> None:
        """Whoever waited longest since its requester's last turn."""
        for who in list(self._lines):
            if not self._free:
                return
            line = self._lines[who]
            while line and line[0].cancelled():
                line.popleft()
            if line and self._busy.get(who, 0) < self._each:
                self._begin(who)
                line.popleft().set_result(None)
                self._lines.move_to_end(who)
            if not line:
                del self._lines[who]
