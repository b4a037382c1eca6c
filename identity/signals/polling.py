"""Security event tokens for who fetches them: what a poll may ask, and how one is held open.

RFC 8936 section 2.2 (`maxEvents`, `returnImmediately`, `ack`, `setErrs`) and section 2.4. Polls are held in bounded
number, of all and of one receiver, and for a bounded time; more than that are answered at once. Tokens are named in
acknowledgements by their `jti`; only the caller's own lane is searched, so nobody acknowledges another's.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from kit.db import Database
from kit.problems import Malformed, Problem

LONGEST_WAIT = 10.0  # seconds a poll is held open while there is nothing to tell
MOST = 100
_LOOK_EVERY = 0.2
_MOST_HELD, _MOST_OF_ONE = 64, 4  # polls held open at once, and of one client
_MOST_ACKS = 1000
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Poll:
    """What a poll asks."""

    most: int
    at_once: bool
    acks: tuple[str, ...]
    errors: Mapping[str, str]


def read_poll(value: Any, names: re.Pattern[str], refuse: type[Problem]) -> Poll:
    """A poll's body; `names` is how our tokens are called. Raises Malformed or `refuse`, with a pointer."""
    body = members(value, "", {"maxEvents", "returnImmediately", "ack", "setErrs"}, refuse)
    most, at_once = body.get("maxEvents", MOST), body.get("returnImmediately", False)
    acks, errors = body.get("ack", []), body.get("setErrs", {})

    def named(each: Any) -> bool:
        return isinstance(each, str) and names.fullmatch(each) is not None

    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise refuse("Send a number, 0 or more.", pointer="/maxEvents")
    if not isinstance(at_once, bool):
        raise refuse("Send true or false.", pointer="/returnImmediately")
    if not isinstance(acks, list) or len(acks) > _MOST_ACKS or not all(map(named, acks)):
        raise refuse(f"Send the `jti` of at most {_MOST_ACKS} tokens.", pointer="/ack")
    if not isinstance(errors, dict) or len(errors) > _MOST_ACKS or not all(map(named, errors)):
        raise refuse(f"Send an error for the `jti` of at most {_MOST_ACKS} tokens.", pointer="/setErrs")
    codes = {}
    for name, error in errors.items():
        code = members(error, f"/setErrs/{name}", {"err", "description"}, refuse).get("err")
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise refuse("Send an error code.", pointer=f"/setErrs/{name}/err")
        codes[name] = code
    return Poll(min(most, MOST), at_once, tuple(acks), codes)


def members(value: Any, place: str, known: set[str], refuse: type[Problem]) -> dict[str, Any]:
    """An object with no other members than these. Raises Malformed."""
    if not isinstance(value, dict):
        if place:
            raise refuse("Send an object.", pointer=place)
        raise Malformed("Send a JSON object.")
    if unknown := sorted(value.keys() - known):
        raise refuse("This member is not known here.", pointer=f"{place}/{unknown[0][:40]}")
    return value


class HeldPolls:
    """Long polls: the change counter says when to look again."""

    def __init__(self, database: Database, topic: str) -> None:
        self._database = database
        self._topic = topic
        self._held: Counter[str] = Counter()

    async def wait(self, client_id: str, look: Callable[[], Awaitable[tuple[T, ...]]]) -> tuple[T, ...]:
        """What there is to tell this client, as soon as there is something, or nothing after a while."""
        if self._held.total() >= _MOST_HELD or self._held[client_id] >= _MOST_OF_ONE:
            return await look()
        self._held[client_id] += 1
        try:
            count = -1
            for _ in range(round(LONGEST_WAIT / _LOOK_EVERY)):
                before, count = count, await self._database.counter(self._topic)
                if count != before and (found := await look()):
                    return found
                await asyncio.sleep(_LOOK_EVERY)
            return ()
        finally:
            self._held[client_id] -= 1
            self._held += Counter()  # forget who holds none
