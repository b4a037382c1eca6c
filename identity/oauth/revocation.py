"""Token revocation.

RFC 7009: a client gives up a token of its own. A refresh token takes its whole chain with it, access tokens too
(section 2.1); an access token goes alone. An unknown token is as good as revoked: 200. `token_type_hint` is not needed,
for our tokens say what they are.
"""

from sqlalchemy import Connection, text

from identity import chains
from identity.bearer import TYP
from identity.clients import Client
from identity.oauth.client_auth import ClientAuth
from identity.oauth.errors import InvalidRequest
from identity.oauth.parameters import read_form, require
from identity.settings import IdentitySettings
from identity.tokens import Tokens
from keys.errors import BadToken
from keys.ring import KeyRing
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database
from kit.front import NO_STORE, Call, Reply

_OWNER = text("SELECT client_id FROM identity_refresh WHERE id = :id")


class Revocation:
    """Handles POST /oauth/revoke."""

    def __init__(
        self,
        settings: IdentitySettings,
        auth: ClientAuth,
        tokens: Tokens,
        ring: KeyRing,
        database: Database,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._auth = auth
        self._tokens = tokens
        self._ring = ring
        self._database = database
        self._clock = clock

    async def endpoint(self, call: Call) -> Reply:
        """Section 2.1; answered once the revocation is durable and effective everywhere."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        token = require(form, "token")
        now = self._clock.ms()
        presented = self._tokens.read_refresh(token)
        if presented is not None:
            await self._database.write_core(self._revoke_chain, presented.family_id, client, now)
        else:
            await self._revoke_access(token, client, now)
        return Reply(200, b"", [NO_STORE])

    async def _revoke_access(self, token: str, client: Client, now: Millis) -> None:
        await self._ring.refresh()
        try:
            claims = self._ring.verify_jwt(token, typ=TYP)
        except BadToken:
            return  # section 2.2: invalid tokens do not cause an error
        if claims["client_id"] != client.id:
            raise InvalidRequest("this token was not issued to this client")
        await self._database.write_core(_revoke_token, claims["jti"], claims["exp"] * SECOND, client)

    def _revoke_chain(self, connection: Connection, chain: str, client: Client, now: Millis) -> None:
        owner = connection.execute(_OWNER, {"id": chain}).scalar()
        if owner is None:
            return
        if owner != client.id:
            raise InvalidRequest("this token was not issued to this client")
        if not chains.revoke(connection, chain, until=now + self._settings.access_token_seconds * SECOND):
            return
        audit.record(
            connection, "identity.refresh.revoked", actor=client.actor(), object=("client", client.id),
            detail={"chain": chain},
        )  # fmt: skip


def _revoke_token(connection: Connection, jti: str, until: Millis, client: Client) -> None:
    if not chains.revoke_token(connection, jti, until=until):
        return
    audit.record(
        connection, "identity.token.revoked", actor=client.actor(), object=("client", client.id), detail={"jti": jti}
    )
