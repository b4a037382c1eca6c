"""Addresses in a client's metadata: what may be registered as one.

RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 2.1 (redirect URIs, compared exactly afterwards); OpenID
Connect Registration section 2, Back-Channel Logout section 2.2 and Front-Channel Logout section 2 (addresses that we
call or frame). Pure: no web, no database.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from identity.errors import InvalidClientMetadata

_URI = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]{1,2000}", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "mailto", "tel"})


def check_redirect_uri(uri: str, *, pointer: str) -> None:
    """Refuse what could be read as two addresses: only plain ASCII, https, or http on loopback, or an app's scheme."""
    if not _URI.fullmatch(uri):
        raise bad(pointer, "A redirect URI holds printable ASCII only, without spaces, quotes or backslashes.")
    parts = split(uri)
    if parts is None or not parts.scheme:
        raise bad(pointer, "A redirect URI must be absolute.")
    if "#" in uri:
        raise bad(pointer, "A redirect URI has no fragment (RFC 6749 section 3.1.2).")
    if "*" in uri:
        raise bad(pointer, "Redirect URIs are compared exactly; a wildcard would never match.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise bad(pointer, "A redirect URI holds no user name.")
    if any(segment in {".", ".."} for segment in parts.path.split("/")) or "%2e" in uri.lower():
        raise bad(pointer, "A redirect URI holds no relative path segments.")
    if parts.scheme in {"https", "http"}:
        if not parts.hostname:
            raise bad(pointer, "A redirect URI needs a host.")
        if not _HOST.fullmatch(parts.hostname):  # its origin goes into the policy of a page: no `;` and no `,` there
            raise bad(pointer, "A host is made of letters, digits, hyphens and dots, or is an IP address.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise bad(pointer, "Use https; plain http is for loopback addresses only.")
        return
    if parts.scheme in _NEVER or "." not in parts.scheme:
        # RFC 8252 section 7.1: a private-use scheme is a reversed domain name, so that apps don't collide.
        raise bad(pointer, "An app's scheme is a domain name it owns, reversed (RFC 8252 section 7.1).")


def split(uri: str) -> Any:
    """The parts of an address, or None if it does not parse."""
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises for a port that is no number
        return parts
    except ValueError:
        return None


def check_called_uri(uri: str, *, pointer: str, fragment: bool = False) -> None:
    """An address that we fetch, call, frame or send people to: https, or http on loopback for development."""
    rest, _, mark = uri.partition("#")
    if mark and not fragment:
        raise bad(pointer, "This address has no fragment.")
    check_redirect_uri(rest, pointer=pointer)
    if not rest.startswith(("https:", "http:")):
        raise bad(pointer, "This address is an https address.")


def check_same_origin(uri: str, others: Iterable[str], *, pointer: str) -> None:
    """Front-Channel Logout section 2: what we frame lives where the client's redirect URIs do."""
    if _origin(uri) not in {_origin(other) for other in others}:
        raise bad(pointer, "Scheme, host and port must be those of a redirect URI.")


def check_application_type(kind: str, uris: Iterable[str]) -> None:
    """OpenID Connect Registration section 2: a web client has no scheme of its own; a native one no foreign http."""
    for number, uri in enumerate(uris):
        if kind == "web" and not uri.startswith(("https:", "http:")):
            raise bad(f"/redirect_uris/{number}", "A web client's redirect URI is an https address.")


def bad(pointer: str, detail: str) -> InvalidClientMetadata:
    """A refusal that names its field."""
    return InvalidClientMetadata(detail, pointer=pointer)


def _origin(uri: str) -> tuple[str, str | None, int | None]:
    parts: SplitResult = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
