"""One-time identifiers: a `jti` is accepted once, under concurrency too (invariant I7).

Client assertions (RFC 7523 section 3) and DPoP proofs (RFC 9449 section 11.1). The row outlives the window in which the
assertion or proof would be accepted again.
"""

import hashlib

from sqlalchemy import Connection, text

from kit.clock import Millis

_CLAIM = text(
    "INSERT INTO identity_once (digest, expires_at) VALUES (:digest, :expires_at) ON CONFLICT (digest) DO NOTHING"
)


def digest(*parts: str) -> bytes:
    """The key of a one-time identifier; length before value, so that no part can pretend to be two."""
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()


def claim(connection: Connection, key: bytes, expires_at: Millis) -> bool:
    """True for the first caller, False for every other."""
    return connection.execute(_CLAIM, {"digest": key, "expires_at": expires_at}).rowcount == 1
