"""That a client has a logo somewhere: written with its registration, fetched later (`logos`)."""

from collections.abc import Mapping
from typing import Any

from identity.models import ClientLogo
from kit.clock import Millis
from kit.db import Session


def want(session: Session, client_id: str, settings: Mapping[str, Any], now: Millis) -> None:
    """Follow `logo_uri` (RFC 7591 section 2): another address begins anew, and what was shown goes at once."""
    uri, row = settings.get("logo_uri"), session.get(ClientLogo, client_id)
    if row is not None and row.uri != uri:
        session.delete(row)
        session.flush()
        row = None
    if row is None and uri:
        session.add(ClientLogo(client_id=client_id, uri=uri, next_at=now))
        session.flush()
