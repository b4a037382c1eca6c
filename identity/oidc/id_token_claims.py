"""Claims that a request wants in the ID token itself (OpenID Connect Core section 5.5, member `id_token`).

Which were told to whom stands in the audit trail before they are (invariant I4), as at userinfo.
"""

from collections.abc import Mapping
from typing import Any

from identity import accounts
from identity.clients import Client
from identity.oauth.grants.shared import NOTHING, Exchanged
from identity.oidc import claims, told
from keys.envelope import Sealer
from kit.db import Database


class IdTokenClaims:
    """Reads and records them."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def tell(self, client: Client, exchanged: Exchanged) -> Mapping[str, Any]:
        """The claims for the ID token of an exchange; nearly always none."""
        names = exchanged.authorized.id_token_claims
        if not names or "openid" not in exchanged.scopes:
            return NOTHING
        profile = await self._database.read(accounts.profile, self._sealer, exchanged.account_id)
        found = claims.told(profile, frozenset(names))
        if found:
            await self._database.write_core(
                told.record, found, actor=client.actor(), account_id=exchanged.account_id, grant_id=exchanged.grant_id
            )
        return found
