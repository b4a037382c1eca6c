"""Which secrets a client may prove itself with, now.

RFC 7591 section 3.2.1: a secret past `client_secret_expires_at` is none. At rotation the old secret stays good for a
while beside the new one, so that every instance of a client can change over without a break. Pure.
"""

from typing import Protocol

from keys.hashing import same
from kit.clock import Millis

_NOBODY = bytes(32)


class HasSecrets(Protocol):
    """What a client's row says of its secrets."""

    @property
    def secret_digest(self) -> bytes | None: ...
    @property
    def secret_expires_at(self) -> Millis | None: ...
    @property
    def former_digest(self) -> bytes | None: ...
    @property
    def former_until(self) -> Millis | None: ...


def fits(client: HasSecrets | None, digest: bytes, now: Millis) -> bool:
    """Whether the keyed hash is one of the client's secrets now. The same work whoever asks, unknown clients too."""
    current = former = _NOBODY
    if client is not None:
        if client.secret_digest is not None and not _over(client.secret_expires_at, now):
            current = client.secret_digest
        if client.former_digest is not None and client.former_until is not None and now < client.former_until:
            former = client.former_digest
    first, second = same(digest, current), same(digest, former)
    return first or second


def _over(at: Millis | None, now: Millis) -> bool:
    return at is not None and at <= now
