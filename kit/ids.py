"""Identifiers and secrets.

Ids are opaque, sortable by birth (48 bits of milliseconds, 80 random bits, as in ULID; inside a millisecond the upper
40 of them count on) and carry a prefix that says what they name. Secrets are 256 random bits; the prefix lets scanners
recognise a leaked one.
"""

import os
import secrets
import threading
import time

from kit.encoding import b64url

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford, lower case
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]  # ten bits at a time


_LETTERS = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))  # five of a byte's bits
_DRAW = 13  # bytes for an id


_lock = threading.Lock()
_drawn = b""  # random bytes fetched ahead: a system call for each id would give up the interpreter each time
_used = 0  # of them
_ms = 0  # of the newest id,
_head = ""  # its ten characters of time,
_place = 0  # and its place in the millisecond: the upper 40 of its 80 bits


def _forget() -> None:
    """In a forked child: no two ids share their bytes, and whoever held the lock is not here."""
    global _lock, _drawn, _used
    _lock, _drawn, _used = threading.Lock(), b"", 0


os.register_at_fork(after_in_child=_forget)


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters, ordered by creation time; within one process also inside a millisecond."""
    global _drawn, _used, _ms, _head, _place
    with _lock:
        if _used == len(_drawn):
            _drawn, _used = secrets.token_bytes(64 * _DRAW), 0
        start = _used
        drawn = _drawn[start : start + _DRAW]
        _used = start + _DRAW
        ms = time.time_ns() // 1_000_000
        if ms > _ms:
            _ms, _head, _place = ms, _time(ms), int.from_bytes(drawn[8:]) >> 1  # half of the places are ahead
        else:  # same millisecond, or the clock stepped back: continue from the last
            _place += 1 + drawn[8]
        head, place = _head, _place
    pairs = _PAIRS
    middle = f"{pairs[place >> 30]}{pairs[place >> 20 & 1023]}{pairs[place >> 10 & 1023]}{pairs[place & 1023]}"
    return f"{prefix}_{head}{middle}{drawn[:8].translate(_LETTERS).decode('ascii')}"


def _time(ms: int) -> str:
    return "".join(_PAIRS[(ms >> shift) & 1023] for shift in (40, 30, 20, 10, 0))


def first_id(prefix: str, ms: int) -> str:
    """The smallest id that can be born at a moment: a bound for `<` over ids."""
    return f"{prefix}_{_time(ms)}{_ALPHABET[0] * 16}"


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
