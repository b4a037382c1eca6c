"""Claims that a request wants in the ID token itself (OpenID Connect Core section 5.5, member `id_token`).

Which were told to whom stands in the audit trail before they are (invariant I4), as at userinfo.
"""

from collections.abc import Mapping
from typing import Any

from identity import accounts
from identity.assurance.telling import Telling
from identity.clients import Client
from identity.oauth.grants.shared import NOTHING, Exchanged
from identity.oidc import claims, told
from keys.envelope import Sealer
from kit.db import Database


class IdTokenClaims:
    """Reads and records them."""

    def __init__(self, database: Database, sealer: Sealer, telling: Telling) -> None:
        self._database = database
        self._sealer = sealer
        self._telling = telling

    async def tell(self, client: Client, exchanged: Exchanged) -> Mapping[str, Any]:
        """The claims for the ID token of an exchange; nearly always none."""
        authorized = exchanged.authorized
        names, asked = authorized.id_token_claims, authorized.id_token_verified
        if not (names or asked) or "openid" not in exchanged.scopes:
            return NOTHING
        found: dict[str, Any] = {}
        if names:
            profile = await self._database.read(accounts.profile, self._sealer, exchanged.account_id)
            found = claims.told(profile, frozenset(names))
        verified = await self._telling.of(
            asked, client, account_id=exchanged.account_id, grant_id=exchanged.grant_id, acr=authorized.acr
        )
        said = told.names(found, verified)
        if said:
            await self._database.write_core(
                told.record, said, actor=client.actor(), account_id=exchanged.account_id, grant_id=exchanged.grant_id
            )
        return found if verified is None else {**found, claims.VERIFIED: verified}
