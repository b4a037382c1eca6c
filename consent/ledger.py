"""What goes into the ledger: two forms of entry. Pure but for the random salt.

* Private: `0x01 ‖ kind ‖ HMAC-SHA-256(salt, JCS(event))`, 34 bytes. It hides the event (the salt is 32 random bytes, so
  even a guess of the whole event cannot be tried) and binds to it (another event or salt gives another commitment).
  One kind for all consent events: given or withdrawn, nobody can tell from outside.
* Public: `0x02 ‖ JCS(document)`, for what concerns no person, so that anyone can read and check it.

JCS: RFC 8785. The commitment is opened by (event, salt), which the resident holds in the receipt.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kit.encoding import canonical
from kit.tlog.tiles import LONGEST_ENTRY

PRIVATE: Final = b"\x01"
PUBLIC: Final = b"\x02"

CONSENT_EVENT: Final = b"\x01"
DISCLOSURE_ROOT: Final = b"\x02"

SALT_SIZE: Final = 32


@dataclass(frozen=True, slots=True)
class Commitment:
    """A sealed envelope in the ledger, and what opens it."""

    entry: bytes
    salt: bytes = field(repr=False)
    value: bytes


def commit(event: Mapping[str, Any], *, kind: bytes = CONSENT_EVENT) -> Commitment:
    """A private entry for an event, under a fresh salt."""
    salt = secrets.token_bytes(SALT_SIZE)
    value = commitment(salt, event)
    return Commitment(PRIVATE + kind + value, salt, value)


def commitment(salt: bytes, event: Mapping[str, Any]) -> bytes:
    """HMAC-SHA-256 under the salt over the event's canonical JSON. Raises ValueError."""
    if len(salt) != SALT_SIZE:
        raise ValueError("a salt has 32 bytes")
    return hmac.digest(salt, canonical(dict(event)), hashlib.sha256)


def private_entry(value: bytes, *, kind: bytes = CONSENT_EVENT) -> bytes:
    """The entry that a commitment stands in."""
    return PRIVATE + kind + value


def public_entry(document: Mapping[str, Any]) -> bytes:
    """A public entry; raises ValueError if the document is too long for the log."""
    entry = PUBLIC + canonical(dict(document))
    if len(entry) > LONGEST_ENTRY:
        raise ValueError("the document is too long for the ledger")
    return entry


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 over canonical JSON, hexadecimal: how notices and agreement revisions are named."""
    return hashlib.sha256(canonical(dict(document))).hexdigest()
