"""Strict encodings: what is read must be exactly what would have been written."""

import base64
import binascii
from typing import Any

import orjson
import rfc8785

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def b64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


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
    # Without floats and with ASCII names, sorted JSON by a fast writer is already canonical: the order of UTF-16 code
    # units (section 3.2.3) is the order of bytes, and both escape only what section 3.2.2.2 says. A test compares them.
    if _plain(value):
        try:
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        except (TypeError, RecursionError):  # a lone surrogate, or too deep: let the exact one say so
            pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, TypeError) as error:
        raise ValueError("not canonical JSON material") from error


def _plain(value: Any) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-_SAFE <= value <= _SAFE)
    if kind is dict:
        return all(type(name) is str and name.isascii() and _plain(part) for name, part in value.items())
    return (kind is list or kind is tuple) and all(_plain(part) for part in value)


_SAFE = 2**53 - 1  # what a double holds exactly: RFC 8785 knows no larger integers
