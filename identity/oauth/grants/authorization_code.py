"""The authorization code grant: a code becomes tokens, once.

RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 9449 section 10, RFC 9700 section 2.1.1. One write finds the code,
checks it, marks it used, begins the refresh family and notes the tokens; of eight callers with one code exactly one
gets past the mark. A code that comes back ends its whole chain, and that refusal is returned, not raised, so that what
it ended stays ended.
"""

from typing import Any

from sqlalchemy import Connection

from identity import chains, codes
from identity.assurance.enough import floors_of
from identity.clients import Client
from identity.oauth import pkce
from identity.oauth.errors import InvalidGrant
from identity.oauth.grants.families import begin_family
from identity.oauth.grants.shared import (
    Exchanged,
    Replayed,
    answer,
    note_issued,
    read_audience,
    require_binding,
    require_enough,
)
from identity.oauth.holder import Holder
from identity.oauth.parameters import Parameters, require
from identity.oidc.id_token_claims import IdTokenClaims
from identity.settings import IdentitySettings
from identity.tokens import Tokens, new_jti
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Quick

_FIND = Quick(
    "SELECT c.chain, c.client_id, c.account_id, c.grant_id, c.request, c.used_at, c.expires_at, g.status, a.status"
    " FROM identity_code c JOIN identity_grant g ON g.id = c.grant_id JOIN identity_account a ON a.id = c.account_id"
    " WHERE c.digest = :digest"
)
_USE = Quick("UPDATE identity_code SET used_at = :now WHERE digest = :digest AND used_at IS NULL")


class AuthorizationCode:
    """Handles grant_type=authorization_code."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: IdentitySettings,
        hasher: TokenHasher,
        tokens: Tokens,
        claims: IdTokenClaims,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._hasher = hasher
        self._tokens = tokens
        self._claims = claims
        self._floors = floors_of(settings)

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """Tokens for a code; answered once its use is durable. Raises InvalidGrant."""
        code = require(form, "code")
        now = self._clock.ms()
        result = await self._database.write_core(
            self._exchange, self._hasher.digest("code", code), form, client, holder, now
        )
        if isinstance(result, Replayed):
            raise InvalidGrant("the code was used already; everything issued from it has been revoked")
        told = await self._claims.tell(client, result)
        return answer(self._tokens, self._settings, client, result, holder=holder, now=now, first=True, told=told)

    def _exchange(
        self,
        connection: Connection,
        digest: bytes,
        form: Parameters,
        client: Client,
        holder: Holder,
        now: Millis,
    ) -> Exchanged | Replayed:
        row = _FIND.one(connection, digest=digest)
        if row is None or row[1] != client.id:
            raise InvalidGrant("the code is unknown or was issued to another client")
        chain, _, account_id, grant_id, request, used_at, expires_at, grant_status, account_status = row
        if used_at is not None:
            return self._replayed(connection, chain, grant_id, client, now)
        if expires_at <= now:
            raise InvalidGrant("the code has expired")
        if grant_status != "active" or account_status != "active":
            raise InvalidGrant("the authorization was withdrawn")
        authorized = codes.unpack(request)
        # Section 4.1.3: identical to the one of the authorization request, whenever that carried one; ours always do.
        if form.get("redirect_uri") != authorized.redirect_uri:
            raise InvalidGrant("redirect_uri differs from the authorization request")
        pkce.verify(form.get("code_verifier"), pkce.Challenge(authorized.challenge))
        if authorized.dpop_jkt is not None and not holder.holds(authorized.dpop_jkt):
            raise InvalidGrant("the DPoP proof was made with another key than the code is bound to")
        require_binding(client, holder)
        # A merged grant brings scopes of another day along: what they need is asked where they become a token.
        require_enough(connection, self._floors, client, authorized.scopes, authorized, account_id, now)
        audience = read_audience(form.get("resource"), authorized.resources, self._tokens.issuer)
        if _USE.run(connection, digest=digest, now=now) != 1:
            return self._replayed(connection, chain, grant_id, client, now)
        jti = new_jti(chain)
        note_issued(
            connection, jti, "access", client_id=client.id, grant_id=grant_id, now=now,
            seconds=self._settings.access_token_seconds,
        )  # fmt: skip
        refresh_token = begin_family(
            connection,
            self._tokens,
            self._settings,
            client,
            chain=chain,
            account_id=account_id,
            grant_id=grant_id,
            authorized=codes.bound_to(authorized, holder.jkt, holder.x5t),
            now=now,
        )
        return Exchanged(jti, account_id, grant_id, authorized, authorized.scopes, audience, refresh_token)

    def _replayed(self, connection: Connection, chain: str, grant_id: str, client: Client, now: Millis) -> Replayed:
        if not chains.revoke(connection, chain, until=now + self._settings.access_token_seconds * SECOND):
            return Replayed()  # known and ended: the trail, which never shrinks, is told once
        audit.record(
            connection,
            "identity.code.replayed",
            actor=client.actor(),
            object=("client", client.id),
            detail={"grant": grant_id, "chain": chain},
            outcome="refused",
        )
        return Replayed()
