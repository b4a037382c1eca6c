"""A cache that is never staler than the primary.

Every use compares the change counter (invariant I5): a value filled under an older count is read again. The fill
carries the count it was read under, so a change that lands during the fill is seen by the next use.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from kit.db.hall import Database

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class CheckedCache(Generic[K, V]):
    """Least recently filled goes first; `size` bounds memory."""

    def __init__(self, database: Database, topic: str, *, size: int = 10_000) -> None:
        self._database = database
        self._topic = topic
        self._size = size
        self._count = -1
        # Ordered: the first key of a plain dict is found behind all that went before it, ever slower as it turns over.
        self._values: OrderedDict[K, V] = OrderedDict()

    async def get(self, key: K, load: Callable[[K], Awaitable[V]]) -> V:
        """The value as of now; `load` reads it when it is missing or stale. What `load` raises is not kept."""
        count = await self._database.counter(self._topic)
        if count != self._count:
            self._values.clear()
            self._count = count
        found = self._values.get(key)
        if found is not None:
            return found
        value = await load(key)
        if self._count == count and value is not None:
            if len(self._values) >= self._size:
                self._values.popitem(last=False)
            self._values[key] = value
        return value
