"""Subjects: the same resident is another stranger to every sector.

OpenID Connect Core section 8.1. The value is a keyed hash, so nobody without our key can link two of them or find the
account; the sector is the host of the client's redirect URIs (or of its registered sector), or of the resource server.
Pure.
"""

from urllib.parse import urlsplit

from keys.hashing import TokenHasher
from kit.encoding import b64url

#: The sector of clients with `subject_type` public: all of them know a resident by one name. No host is called so.
PUBLIC = ":public"


def pairwise(hasher: TokenHasher, account_id: str, sector: str) -> str:
    """The subject of an account in a sector: 43 base64url characters."""
    return b64url(hasher.digest("subject", f"{sector}|{account_id}"))


def sector_of(uri: str) -> str:
    """The sector a URI belongs to: its host, lower case; a private-use scheme is its own sector."""
    parts = urlsplit(uri)
    return (parts.hostname or parts.scheme or uri).lower()
