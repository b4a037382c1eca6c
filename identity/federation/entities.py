"""Entity identifiers, and where an entity says what it is. Pure.

OpenID Federation 1.0 sections 1.2 (Entity Identifier), 9 and 16: an https URL with a host, perhaps a port and a path,
without query and fragment, compared code point by code point.
"""

import re
from urllib.parse import urlsplit

from identity.federation.refusals import chain

WELL_KNOWN = "/.well-known/openid-federation"

#: Longer ones exist in no federation; it is a client id, and goes into rows and addresses.
LONGEST = 500
_PLAIN = re.compile(r"https?://[\x21\x24-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7e]+", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def is_entity_id(value: object) -> bool:
    """Whether it may name an entity. Plain http names one on loopback only: a federation on one machine."""
    if not isinstance(value, str) or len(value) > LONGEST or not _PLAIN.fullmatch(value) or "?" in value:
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or "%" in parts.netloc or parts.hostname.endswith("."):
        return False  # a second spelling of a host, that no naming constraint means
    if any(part in (".", "..") for part in parts.path.split("/")):
        return False
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def check_entity_id(value: object, what: str) -> str:
    """The identifier; raises Refused."""
    if not isinstance(value, str) or not is_entity_id(value):
        raise chain("identifier", f"{what} is not an entity identifier")
    return value


def configuration_address(entity_id: str) -> str:
    """Where its entity configuration is (section 9): a trailing slash goes first."""
    return entity_id.removesuffix("/") + WELL_KNOWN


def host_of(entity_id: str) -> str:
    """The host that naming constraints judge."""
    return urlsplit(entity_id).hostname or ""
