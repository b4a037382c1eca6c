"""Time as the house sees it: whole milliseconds since the epoch, UTC.

Deciding modules take a number, never a clock; only edges read one. One integer type spares tables and
comparisons every question about zones.
"""

import time
from datetime import UTC, datetime
from typing import Protocol, TypeAlias

Millis: TypeAlias = int

SECOND: Millis = 1_000
MINUTE: Millis = 60 * SECOND
HOUR: Millis = 60 * MINUTE
DAY: Millis = 24 * HOUR


class Clock(Protocol):
    """Tells the present moment."""

    def ms(self) -> Millis:
        """Milliseconds since the epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def ms(self) -> Millis:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000


class FrozenClock:
    """A clock that moves only when told to; for tests and for seeding the past."""

    def __init__(self, start: Millis = 1_795_000_000_000) -> None:
        self._now = start

    def ms(self) -> Millis:
        """The moment it stands at."""
        return self._now

    def advance(self, *, seconds: float = 0, ms: Millis = 0) -> None:
        """Move forward."""
        self._now += int(seconds * 1000) + ms

    def set(self, moment: Millis) -> None:
        """Move to a moment."""
        self._now = moment


def to_datetime(moment: Millis) -> datetime:
    """An aware UTC datetime."""
    return datetime.fromtimestamp(moment / 1000, UTC)


def iso(moment: Millis) -> str:
    """RFC 3339, UTC, with milliseconds when there are any."""
    spec = "milliseconds" if moment % 1000 else "seconds"
    return to_datetime(moment).isoformat(timespec=spec).replace("+00:00", "Z")


def from_iso(text: str) -> Millis:
    """Read RFC 3339 with a zone; raises ValueError for anything else."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("a time needs a zone, for example 2026-11-22T09:00:00Z")
    return round(parsed.timestamp() * 1000)
