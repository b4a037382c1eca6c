"""Identifiers and secrets.

Ids are opaque, sortable by birth (48 bits of milliseconds, 80 random bits, as in ULID) and carry a prefix that
says what they name. Secrets are 256 random bits; the prefix lets scanners recognise a leaked one.
"""

import secrets
import time

from kit.encoding import b64url

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford, lower case


def new_id(prefix: str) -> str:
    """`prefix_` and 26 characters, ordered by creation time."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    chars = [_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5)]
    return f"{prefix}_{''.join(chars)}"


def secret(prefix: str) -> str:
    """`prefix_` and 43 base64url characters: 256 bits from the system."""
    return f"{prefix}_{b64url(secrets.token_bytes(32))}"
