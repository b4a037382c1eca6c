"""Identifiers and secrets.

Ids are opaque, sortable by birth (48 bits of milliseconds, 80 random bits, as in ULID) and carry a prefix that
says what they name. Secrets are 256 random bits; the prefix lets scanners recognise a leaked one.
"""

import os
import secrets
import threading
import time

from kit.encoding import b64url

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford, lower case
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # ten bits at a time
_SHIFTS = range(120, -1, -10)


class _Reserve(threading.local):
    """Random bytes fetched ahead, for ids only: a system call for each id would give up the interpreter each time.

    One reserve for each thread, emptied in a forked child, so that no two ids share their bytes.
    """

    bytes = b""
    at = 0


_reserve = _Reserve()


def _forget() -> None:
    global _reserve
    _reserve = _Reserve()


os.register_at_fork(after_in_child=_forget)


def _eighty_bits() -> int:
    reserve = _reserve
    start = reserve.at
    if start + 10 > len(reserve.bytes):
        reserve.bytes, start = secrets.token_bytes(640), 0
    reserve.at = start + 10
    return int.from_bytes(reserve.bytes[start : start + 10])


_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters, ordered by creation time; within one process also inside a millisecond."""
    global _last
    random = _eighty_bits()
    value = (time.time_ns() // 1_000_000) << 80 | random
    with _lock:
        if value >> 80 <= _last >> 80:  # same millisecond, or the clock stepped back: continue from the last
            value = _last + 1 + (random >> 40)
        _last = value
    chars = [_PAIRS[(value >> shift) & 1023] for shift in _SHIFTS]
    return f"{prefix}_{''.join(chars)}"


def first_id(prefix: str, ms: int) -> str:
    """The smallest id that can be born at a moment: a bound for `<` over ids."""
    value = ms << 80
    return f"{prefix}_{''.join(_PAIRS[(value >> shift) & 1023] for shift in _SHIFTS)}"


def born_at(identifier: str) -> int:
    """When an id was made, in milliseconds since the epoch; raises ValueError for what is no id of ours."""
    head = identifier.rpartition("_")[2][:10]
    if len(head) != 10:
        raise ValueError("not an id")
    value = 0
    for char in head:  # ten characters of five bits: exactly the time, above the 80 random bits
        value = value * 32 + _ALPHABET.index(char)
    return value


def secret(prefix: str) -> str:
    """`prefix_` and 43 base64url characters: 256 bits from the system."""
    return f"{prefix}_{b64url(secrets.token_bytes(32))}"
