"""Strict reading of OAuth parameters, from a query or a form body.

RFC 6749 sections 3.1 and 3.2: a parameter without a value counts as omitted, an unknown one is ignored, a repeated one
is refused (`resource` alone may repeat, RFC 8707 section 2). Percent-encoding and UTF-8 must be valid; control
characters are refused. Pure: bytes in, a dict or an InvalidRequest out.
"""

import re
from collections.abc import Collection
from urllib.parse import unquote_to_bytes

from identity.oauth.errors import InvalidRequest, InvalidScope

MAX_PARAMETERS = 100
_REPEATABLE = frozenset({"resource"})
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NEEDS_CARE = re.compile(rb"[%+\x00-\x1f\x7f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+", re.ASCII)  # RFC 6749 section 3.3
_FORM = b"application/x-www-form-urlencoded"

Parameters = dict[str, str]


def read_query(query: str | bytes) -> Parameters:
    """The parameters of an authorization request's query."""
    return _read(query.encode("ascii", "replace") if isinstance(query, str) else query)


def read_some(query: str | bytes, names: Collection[str]) -> Parameters:
    """Of a query that can't be read as a whole, those of these parameters that are there once and well formed."""
    raw = query.encode("ascii", "replace") if isinstance(query, str) else query
    found: Parameters = {}
    spoilt: set[str] = set()
    for pair in raw.split(b"&")[: 10 * MAX_PARAMETERS]:
        name = pair.partition(b"=")[0].decode("latin-1")
        if name in names:
            try:
                one = _read(pair)
            except InvalidRequest:
                one = {}
                spoilt.add(name)
            if name in found:
                spoilt.add(name)
            found |= one
    return {name: value for name, value in found.items() if name not in spoilt}


def read_form(content_type: bytes, body: bytes) -> Parameters:
    """The parameters of a form body; any other content type is refused."""
    if content_type != _FORM and content_type.split(b";", 1)[0].strip().lower() != _FORM:
        raise InvalidRequest("the body must be application/x-www-form-urlencoded")
    return _read(body)


def _read(raw: bytes) -> Parameters:
    found: Parameters = {}
    if not raw:
        return found
    pairs = raw.split(b"&")
    if len(pairs) > MAX_PARAMETERS:
        raise InvalidRequest("too many parameters")
    if raw.isascii() and not _NEEDS_CARE.search(raw):
        return _plain(raw.decode("ascii").split("&"))
    for pair in pairs:
        name_bytes, _, value_bytes = pair.partition(b"=")
        if not name_bytes:
            if pair:
                raise InvalidRequest("a parameter has no name")
            continue
        name, value = _decode(name_bytes), _decode(value_bytes)
        if not value:
            continue  # section 3.1: sent without a value, treated as omitted
        found[name] = _together(found, name, value) if name in found else value
    return found


def _plain(pairs: list[str]) -> Parameters:
    """The same where nothing is encoded, which is most requests to the token endpoint."""
    found: Parameters = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not name:
            if pair:
                raise InvalidRequest("a parameter has no name")
        elif value:
            found[name] = _together(found, name, value) if name in found else value
    return found


def _together(found: Parameters, name: str, value: str) -> str:
    if name not in _REPEATABLE:
        raise InvalidRequest(f"{name[:40]} is included more than once")
    return f"{found[name]} {value}"  # absolute URIs hold no spaces


def _decode(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BAD_ESCAPE.search(raw):
            raise InvalidRequest("a parameter holds a malformed percent-encoding")
        raw = unquote_to_bytes(raw)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("a parameter is not valid UTF-8") from None
    if _CONTROL.search(text):
        raise InvalidRequest("a parameter holds a control character")
    return text


def require(parameters: Parameters, name: str) -> str:
    """The value of a required parameter. Raises InvalidRequest."""
    value = parameters.get(name)
    if value is None:
        raise InvalidRequest(f"{name} is required")
    return value


def read_scopes(text: str | None) -> tuple[str, ...]:
    """The scope tokens, in the order asked, each once (RFC 6749 section 3.3). Raises InvalidScope."""
    if text is None:
        return ()
    tokens = text.split(" ")
    for token in tokens:
        if not _SCOPE_TOKEN.fullmatch(token):
            raise InvalidScope("scope is malformed")
    return tuple(dict.fromkeys(tokens))


def read_seconds(parameters: Parameters, name: str) -> int | None:
    """A non-negative whole number of seconds, such as max_age. Raises InvalidRequest."""
    value = parameters.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 9:
        raise InvalidRequest(f"{name} must be a whole number of seconds")
    return int(value)
