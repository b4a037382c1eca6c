"""Chains: everything that came from one authorization code, ended together.

RFC 6749 section 4.1.2 (a replayed code), RFC 9700 section 4.14.2 (a reused refresh token), RFC 7009 section 2.1 (a
revoked one). One row says it until the last access token of the chain has expired anyway.
"""

from sqlalchemy import Connection, Table, text, update
from sqlmodel import SQLModel

from identity.models import RefreshFamily
from kit.clock import Millis
from kit.db import tx_of

_families: Table = SQLModel.metadata.tables[str(RefreshFamily.__tablename__)]
_REVOKE = text("INSERT INTO identity_revoked (id, expires_at) VALUES (:id, :expires_at) ON CONFLICT (id) DO NOTHING")


def revoke(connection: Connection, chain: str, *, until: Millis) -> bool:
    """End a chain: its refresh family, and every access token of it. False if it had ended already."""
    connection.execute(
        update(_families).where(_families.c.id == chain, _families.c.status == "active").values(status="revoked")
    )
    return revoke_token(connection, chain, until=until)


def revoke_token(connection: Connection, name: str, *, until: Millis) -> bool:
    """Refuse one token (or a whole chain) by name, from this commit on (invariant I5). False if it was refused already.

    Ending it once more changes nothing and empties no cache: a public client's spent code can be sent for ever.
    """
    if connection.execute(_REVOKE, {"id": name, "expires_at": until}).rowcount != 1:
        return False
    tx_of(connection).touch("tokens")
    return True
