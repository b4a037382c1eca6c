"""Entries of the ledger as somebody outside reads them."""

from typing import Any

import orjson

from consent.ledger import CONSENT_EVENT, DISCLOSURE_ROOT, PRIVATE, PUBLIC
from kit.encoding import canonical


def read_public(entry: bytes) -> dict[str, Any] | None:
    """The document of a public entry; None for a private one. Raises ValueError for what nobody here wrote."""
    if entry[:1] == PRIVATE and len(entry) == 34 and entry[1:2] in (CONSENT_EVENT, DISCLOSURE_ROOT):
        return None
    if entry[:1] != PUBLIC:
        raise ValueError("not an entry of this ledger")
    document = orjson.loads(entry[1:])
    if not isinstance(document, dict) or canonical(document) != entry[1:]:
        raise ValueError("the document is not in canonical form")
    return document
