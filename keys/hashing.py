"""Hashes of secrets: keyed and fast for those we generate, slow for those people choose.

Tokens carry 256 random bits, so HMAC-SHA-256 is enough, and a stolen table is worth nothing without the
key. Each label has a key of its own (HKDF, RFC 5869), so that a digest made for one use never equals one
made for another. Passwords: Argon2id (RFC 9106) with OWASP's first parameters, over an HMAC under a key
that is not in the database (NIST SP 800-63B section 3.1.1.2), after Unicode normalisation NFKC.
"""

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import threading
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kit.problems import Unavailable

R = TypeVar("R")

_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
_MAX_LABELS = 256  # labels are constants of the code; more means somebody passes data as a label
_MAX_PASSWORD = 4096
_PEPPERED = "p1"
_NICE = 5


def derive(secret: bytes, purpose: str) -> bytes:
    """A 256-bit key for one purpose (HKDF-SHA-256, RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"sekisho/{purpose}".encode()).derive(secret)


def same(a: str | bytes, b: str | bytes) -> bool:
    """Compare in constant time."""
    left = a.encode() if isinstance(a, str) else a
    right = b.encode() if isinstance(b, str) else b
    return hmac.compare_digest(left, right)


class Keyed:
    """HMAC-SHA-256 (RFC 2104 section 2) under one key, whose two blocks are hashed once.

    A request digests up to ten values. `hmac.digest` gives up the interpreter each time, and a copy of the library's
    object costs four times as much as the hashing; the tests hold this against both and against RFC 4231.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = hashlib.sha256(key).digest() if len(key) > 64 else key
        block = block.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def __call__(self, message: bytes) -> bytes:
        """The 32 bytes of the code."""
        inner = self._inner.copy()
        inner.update(message)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


class TokenHasher:
    """Keyed digests of what must be recognised but not stored. The label says what for."""

    __slots__ = ("_keys", "_secret")

    def __init__(self, secret: bytes | None = None) -> None:
        self._secret = secret
        self._keys: dict[str, Keyed] = {}

    def __repr__(self) -> str:
        return "TokenHasher()"

    def __reduce__(self) -> str:
        raise TypeError("a hasher is not copied or pickled")

    def load(self, secret: bytes) -> None:
        """For the wiring: the secret arrives at start."""
        self._secret = secret
        self._keys.clear()

    def digest(self, label: str, value: str) -> bytes:
        """HMAC-SHA-256 of the value under the label's own key."""
        keyed = self._keys.get(label)
        if keyed is None:
            keyed = self._derive(label)
        return keyed(value.encode())

    def _derive(self, label: str) -> Keyed:
        if self._secret is None:
            raise RuntimeError("keys are not loaded yet: start the host first")
        if not _LABEL.fullmatch(label) or len(self._keys) >= _MAX_LABELS:
            raise ValueError("a label is a short constant of lower-case letters, digits, dots and hyphens")
        keyed = self._keys[label] = Keyed(derive(self._secret, f"digest/{label}"))
        return keyed


def _be_nice() -> None:
    """Let the event loop and the writer go first on a busy machine (Linux: niceness is per thread)."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class Passwords:
    """Argon2id m=19 MiB, t=2, p=1, in at most two threads, behind a queue that refuses rather than grows."""

    def __init__(self, pepper: bytes | None = None, *, workers: int = 2, waiting: int = 32) -> None:
        if not 1 <= workers <= 2:
            raise ValueError("one or two workers: each takes a core and 19 MiB")
        self._pepper = pepper
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16)
        self._workers = workers
        self._limit = workers + waiting
        self._running = 0
        self._pool: ThreadPoolExecutor | None = None
        self._decoy: str | None = None

    def __repr__(self) -> str:
        return "Passwords()"

    def load(self, pepper: bytes) -> None:
        """For the wiring: the pepper arrives at start."""
        self._pepper = pepper
        self._decoy = None

    async def hash(self, password: str) -> str:
        """A string for the database; raises Unavailable when too many wait."""
        return await self._run(self._hash_now, password)

    async def verify(self, encoded: str | None, password: str) -> bool:
        """Whether the password made that string. None (unknown account) costs the same and is False."""
        return await self._run(self._verify_now, encoded, password)

    def needs_rehash(self, encoded: str) -> bool:
        """Whether the string was made with older parameters; hash the password anew at the next sign-in."""
        scheme, dollar, rest = encoded.partition("$")
        try:
            return scheme != _PEPPERED or self._hasher.check_needs_rehash(dollar + rest)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    async def _run(self, fn: Callable[..., R], *args: str | None) -> R:
        if self._running >= self._limit:
            raise Unavailable("Many people are signing in just now. Try again in a few seconds.", retry_after=3)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers, "password", initializer=_be_nice)
        self._running += 1
        # The slot belongs to the work, not to the waiter: a caller that hangs up must not free a busy thread.
        future = asyncio.get_running_loop().run_in_executor(self._pool, fn, *args)
        future.add_done_callback(self._leave)
        return await asyncio.shield(future)

    def _leave(self, future: "asyncio.Future[R]") -> None:
        self._running -= 1
        if not future.cancelled():
            future.exception()  # seen, even when nobody waits any more

    def _mix(self, password: str) -> bytes:
        if self._pepper is None:
            raise RuntimeError("keys are not loaded yet: start the host first")
        return hmac.digest(self._pepper, unicodedata.normalize("NFKC", password).encode(), "sha256")

    def _hash_now(self, password: str) -> str:
        return _PEPPERED + self._hasher.hash(self._mix(password[:_MAX_PASSWORD]))

    def _verify_now(self, encoded: str | None, password: str) -> bool:
        if self._decoy is None:
            self._decoy = self._hash_now(os.urandom(16).hex())
        scheme, dollar, rest = (encoded or self._decoy).partition("$")
        if len(password) > _MAX_PASSWORD:
            password, encoded = "", None  # the same cost, and never a match
        # Strings without our mark came from another system's Argon2: read them once, then needs_rehash.
        material: str | bytes = self._mix(password) if scheme == _PEPPERED else password
        try:
            matches = self._hasher.verify(dollar + rest, material)
        except (Argon2Error, InvalidHashError):
            return False
        return matches and encoded is not None
