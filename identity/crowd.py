"""Crowd control: how many rows a stranger's network may make us write before anybody has proved anything.

Opening a sign-in, beginning with a passkey, pushing a request as a public client: each writes a row that lives for
minutes or a day, and nobody is asked who they are. A bucket for each network (identity.throttle), generous enough for
an office behind one address, keeps a single source from filling the disk. The buckets are kept in memory, so that
refusing writes nothing; each process has its own.
"""

from collections import OrderedDict

from identity.throttle import Limit, State, charge, network
from kit.clock import MINUTE, SECOND, Clock, Millis

LIMIT = Limit(burst=300, refill=SECOND // 5)
#: How often the same refusal is worth an entry of the audit trail, which never shrinks.
TOLD_EVERY: Millis = MINUTE
_MOST = 20_000


class Crowd:
    """The buckets of this process. Bounded: the oldest is forgotten for a new one."""

    def __init__(self, clock: Clock, limit: Limit = LIMIT) -> None:
        self._clock = clock
        self._limit = limit
        self._buckets: OrderedDict[str, State] = OrderedDict()
        self._told: OrderedDict[tuple[bytes, str], Millis] = OrderedDict()

    def wait(self, source: str) -> int:
        """Pay for one row: 0, or in how many seconds it is worth asking again."""
        key, now = network(source), self._clock.ms()
        before = self._buckets.pop(key, State(0, 0))
        after = charge(before, self._limit, now)
        if isinstance(after, int):
            self._keep(key, before)
            return max(1, -(-after // SECOND))
        self._keep(key, after)
        return 0

    def is_news(self, about: bytes, source: str) -> bool:
        """Whether a refusal is worth a trace: the first in a while of this login from this network is."""
        at = self._told.get((about, network(source)))
        return at is None or self._clock.ms() - at >= TOLD_EVERY

    def told(self, about: bytes, source: str) -> None:
        """The trace is durable."""
        key = (about, network(source))
        self._told.pop(key, None)
        if len(self._told) >= _MOST:
            self._told.popitem(last=False)
        self._told[key] = self._clock.ms()

    def _keep(self, key: str, state: State) -> None:
        if len(self._buckets) >= _MOST:
            self._buckets.popitem(last=False)
        self._buckets[key] = state
