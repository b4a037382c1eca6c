"""The beginning of a refresh family, shared by the grants that a resident answered.

RFC 6749 section 1.5, RFC 9700 section 4.14.2: one row for each family, which holds the newest token's keyed hash.
"""

from sqlalchemy import Connection

from identity.clients import Client
from identity.codes import Authorized
from identity.oauth.grants.shared import note_issued
from identity.settings import IdentitySettings
from identity.tokens import Tokens
from kit.clock import SECOND, Millis
from kit.db import Quick

_BEGIN = Quick(
    "INSERT INTO identity_refresh (id, client_id, account_id, grant_id, current, generation, request, status,"
    " ends_at, expires_at) VALUES (:id, :client_id, :account_id, :grant_id, :current, 0, :request, 'active',"
    " :ends_at, :expires_at)"
)


def begin_family(
    connection: Connection,
    tokens: Tokens,
    settings: IdentitySettings,
    client: Client,
    *,
    chain: str,
    account_id: str,
    grant_id: str,
    authorized: Authorized,
    now: Millis,
) -> str | None:
    """The first refresh token of a chain, if the resident agreed to one and the client may have it."""
    if "offline_access" not in authorized.scopes or "refresh_token" not in client.grant_types:
        return None
    idle = settings.refresh_idle_seconds
    token, current = tokens.new_refresh(chain, 0)
    _BEGIN.run(
        connection, id=chain, client_id=client.id, account_id=account_id, grant_id=grant_id, current=current,
        request=authorized.pack(), ends_at=now + settings.refresh_seconds * SECOND, expires_at=now + idle * SECOND,
    )  # fmt: skip
    note_issued(connection, f"{chain}.0", "refresh", client_id=client.id, grant_id=grant_id, now=now, seconds=idle)
    return token
