"""Whether a receipt still says the last word: the list of one bit each, read and written. Pure.

Token Status List, draft-ietf-oauth-status-list-21: section 4 (the list), 5.1 (the signed list), 6.2 (the `status` claim
of the receipt), 7 (values), 8.3 (how a status is checked). No database, no network: who checks brings the list.
"""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from keys import jose
from keys.errors import BadToken
from kit.encoding import b64url, b64url_decode

TYP: Final = "statuslist+jwt"  # section 5.1
MEDIA_TYPE: Final = "application/statuslist+jwt"  # section 8.2
ALGS: Final = ("EdDSA", "ES256")
SIZE: Final = 1 << 18  # how many receipts share a list: the crowd that each hides in; at worst some 60 KB signed
VALID: Final = 0  # section 7.1
INVALID: Final = 1
LARGEST: Final = 4 * 1024 * 1024  # unpacked: a million receipts at eight bits are 1 MiB; more is a bomb
_LONGEST: Final = 128_000  # signed; what joserfc reads unless told otherwise
_LEEWAY: Final = 60  # seconds that clocks may differ

Status = Literal["valid", "invalid"]


class BadStatus(Exception):
    """No statement about the status can be made (section 8.3)."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a receipt's status stands (section 6.2)."""

    uri: str
    index: int


def pack(ended: Iterable[int], size: int = SIZE) -> bytes:
    """The list before compression, one bit each, the lowest bit of a byte first (section 4.1)."""
    content = bytearray(size // 8)
    for index in ended:
        content[index >> 3] |= 1 << (index & 7)
    return bytes(content)


def document(packed: bytes, *, aggregation_uri: str | None = None) -> dict[str, Any]:
    """The `status_list` member (section 4.2)."""
    made: dict[str, Any] = {"bits": 1, "lst": b64url(zlib.compress(packed, 9))}
    return made if aggregation_uri is None else {**made, "aggregation_uri": aggregation_uri}


def value_at(status_list: Mapping[str, Any], index: int) -> int:
    """The value at an index, for lists of 1, 2, 4 and 8 bits (section 4.1); raises BadStatus."""
    bits, text = status_list.get("bits"), status_list.get("lst")
    if bits not in (1, 2, 4, 8) or isinstance(bits, bool) or not isinstance(text, str):
        raise BadStatus("the list is malformed")
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(b64url_decode(text), LARGEST)
    except (ValueError, zlib.error):
        raise BadStatus("the list does not decompress") from None
    if not unpacker.eof or unpacker.unused_data:
        raise BadStatus("the list is cut off, too large, or has something behind it")
    place = index * bits
    if place >> 3 >= len(content):
        raise BadStatus("the list has no such index")
    value: int = (content[place >> 3] >> (place & 7)) & ((1 << bits) - 1)
    return value


def reference(claims: Mapping[str, Any]) -> Reference | None:
    """What a receipt's claims say of its status; None for an older receipt. Raises BadStatus (step 1)."""
    status = claims.get("status")
    if status is None:
        return None
    found = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(found, dict):
        raise BadStatus("the status claim is malformed")
    index, uri = found.get("idx"), found.get("uri")
    if not isinstance(index, int) or isinstance(index, bool) or index < 0 or not isinstance(uri, str):
        raise BadStatus("the status claim is malformed")
    return Reference(uri, index)


def check(wanted: Reference, token: str, *, jwks: Mapping[str, Any], now: int) -> Status:
    """What the signed list says of a receipt, steps 3 to 7; raises BadStatus. `now` in seconds."""
    try:
        _, claims = jose.verify_with_jwks(token, jwks, algs=ALGS, typ=TYP, longest=_LONGEST)
    except BadToken as bad:
        raise BadStatus(bad.private or "the list's signature does not verify") from None
    issued, expires = claims.get("iat"), claims.get("exp")
    if claims.get("sub") != wanted.uri:  # another list, signed by the same keys, would say something of somebody else
        raise BadStatus("this is another list")
    if not isinstance(issued, int) or issued > now + _LEEWAY:
        raise BadStatus("the list is of no time or of the future")
    if expires is not None and (not isinstance(expires, int) or expires <= now - _LEEWAY):
        raise BadStatus("the list is too old")
    found = claims.get("status_list")
    if not isinstance(found, dict):
        raise BadStatus("the list is missing")
    value = value_at(found, wanted.index)
    if value not in (VALID, INVALID):
        raise BadStatus(f"the status {value} is not known here")
    return "valid" if value == VALID else "invalid"
