"""Strict encodings: what is read must be exactly what would have been written."""

import base64
import binascii
from typing import Any

import rfc8785


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """Read unpadded base64url; raises ValueError for padding, other alphabets or loose trailing bits."""
    try:
        data = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error
    if b64url(data) != text:  # trailing bits or padding would give one value two spellings
        raise ValueError("not canonical base64url")
    return data


def canonical(value: Any) -> bytes:
    """The JSON Canonicalization Scheme (RFC 8785); raises ValueError for what JSON cannot hold."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError) as error:
        raise ValueError("not canonical JSON material") from error
