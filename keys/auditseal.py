"""The seal of the audit trail's personal detail: one data key for each month, destroyed when its clock runs out.

The chain covers ciphertext, so destroying a month's key makes its source addresses and names unreadable for ever and
leaves the chain whole (invariant I8). Keys are made a month ahead: sealing happens inside writes, where no key can be
made. Blob: month since year 0 (2 bytes, big-endian), then an owner's blob.
"""

from collections.abc import Mapping
from typing import Final

from keys.envelope import OwnerKey
from keys.errors import KeyDestroyed, SealBroken
from kit.clock import Clock, Millis, to_datetime

PREFIX: Final = "audit-"
_HEAD: Final = 2


def month_of(moment: Millis) -> int:
    """Months since year 0."""
    date = to_datetime(moment)
    return date.year * 12 + date.month - 1


def owner_of(month: int) -> str:
    """The owner id of a month's data key, for example `audit-2026-11`."""
    return f"{PREFIX}{month // 12:04}-{month % 12 + 1:02}"


def month_of_owner(owner_id: str) -> int:
    """The reverse."""
    year, _, month = owner_id.removeprefix(PREFIX).partition("-")
    return int(year) * 12 + int(month) - 1


def months_kept(now: Millis, retention: Millis) -> range:
    """The months whose keys must be there: from the one the retention reaches back into, to the next."""
    return range(month_of(max(0, now - retention)), month_of(now) + 2)


class AuditSeal:
    """Seals with this month's key, opens with the month's of the blob (a `kit.audit.AuditSeal`)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[int, OwnerKey] = {}

    def __repr__(self) -> str:
        return "AuditSeal()"

    def load(self, keys: Mapping[int, OwnerKey]) -> None:
        """For the key store: the living months."""
        self._keys = dict(keys)

    def seal(self, context: str, data: bytes) -> bytes:
        """Encrypt, bound to the entry."""
        month = month_of(self._clock.ms())
        if month not in self._keys:
            if not self._keys:
                raise RuntimeError("keys are not loaded yet: start the host first")
            # A process that slept over the turn of a month: the nearest key will do, and nothing is ever in clear.
            month = min(self._keys, key=lambda known: (abs(known - month), known))
        return month.to_bytes(_HEAD, "big") + self._keys[month].seal(context, data)

    def open(self, context: str, blob: bytes) -> bytes:
        """Decrypt; raises KeyDestroyed when the month's retention has ended, SealBroken if it is not this entry's."""
        if len(blob) < _HEAD:
            raise SealBroken("not a sealed detail")
        key = self._keys.get(int.from_bytes(blob[:_HEAD], "big"))
        if key is None:
            raise KeyDestroyed("The retention of this detail has ended.")
        return key.open(context, blob[_HEAD:])
