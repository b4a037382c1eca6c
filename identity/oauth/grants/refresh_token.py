"""The refresh token grant, with rotation; without it for clients of a FAPI 2.0 profile.

RFC 6749 section 6, RFC 9700 section 4.14.2: each use yields a new refresh token and spends the old one; a spent one
that comes back ends the family, for either the thief or the client holds it. RFC 9449 section 5: a bound family stays
bound; a public client must prove the same key.
"""

from typing import Any

from sqlalchemy import Connection

from identity import chains, codes
from identity.assurance.enough import floors_of
from identity.clients import Client
from identity.oauth.errors import InvalidDpopProof, InvalidGrant, InvalidScope
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
from identity.oauth.parameters import Parameters, read_scopes, require
from identity.oidc.id_token_claims import IdTokenClaims
from identity.settings import IdentitySettings
from identity.tokens import Refresh, Tokens, new_jti
from keys.hashing import same
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Quick

_FIND = Quick(
    "SELECT f.client_id, f.account_id, f.grant_id, f.current, f.generation, f.request, f.status,"
    " g.status, a.status, f.ends_at, f.expires_at"
    " FROM identity_refresh f JOIN identity_grant g ON g.id = f.grant_id"
    " JOIN identity_account a ON a.id = f.account_id WHERE f.id = :id"
)
_ROTATE = Quick(
    "UPDATE identity_refresh SET current = :new, generation = :generation, expires_at = :expires_at"
    " WHERE id = :id AND current = :old AND status = 'active'"
)


class RefreshToken:
    """Handles grant_type=refresh_token."""

    def __init__(
        self, database: Database, clock: Clock, settings: IdentitySettings, tokens: Tokens, claims: IdTokenClaims
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._tokens = tokens
        self._claims = claims
        self._floors = floors_of(settings)

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """Fresh tokens for a refresh token; answered once the rotation is durable. Raises InvalidGrant."""
        presented = self._tokens.read_refresh(require(form, "refresh_token"))
        if presented is None:
            raise InvalidGrant("the refresh token is unknown")
        require_binding(client, holder)
        now = self._clock.ms()
        result = await self._database.write_core(self._rotate, presented, form, client, holder, now)
        if isinstance(result, Replayed):
            raise InvalidGrant("the refresh token was used already; everything issued with it has been revoked")
        told = await self._claims.tell(client, result)
        return answer(self._tokens, self._settings, client, result, holder=holder, now=now, first=False, told=told)

    def _rotate(
        self,
        connection: Connection,
        presented: Refresh,
        form: Parameters,
        client: Client,
        holder: Holder,
        now: Millis,
    ) -> Exchanged | Replayed:
        row = _FIND.one(connection, id=presented.family_id)
        if row is None or row[0] != client.id:
            raise InvalidGrant("the refresh token is unknown or was issued to another client")
        _, account_id, grant_id, current, generation, request, *states, ends_at, expires_at = row
        if states != ["active", "active", "active"]:
            raise InvalidGrant("the refresh token was revoked")
        if not same(bytes(current), presented.digest):
            return self._reused(connection, presented, grant_id, client, now)
        if expires_at <= now or ends_at <= now:
            raise InvalidGrant("the refresh token has expired")
        authorized = codes.unpack(request)
        _check_binding(client, authorized, holder)
        asked = read_scopes(form.get("scope"))
        if not set(asked) <= set(authorized.scopes):
            raise InvalidScope("scope asks for more than was granted")  # section 6
        require_enough(connection, self._floors, client, asked or authorized.scopes, authorized, account_id, now)
        audience = read_audience(form.get("resource"), authorized.resources, self._tokens.issuer)
        idle = self._settings.refresh_idle_seconds
        if client.fapi:
            # Security Profile section 5.3.2.1 item 9: a thief can't use it without the client's key, and an answer
            # lost on its way would end the grant.
            token, digest = form["refresh_token"], presented.digest
        else:
            generation += 1
            token, digest = self._tokens.new_refresh(presented.family_id, generation)
        rotated = _ROTATE.run(
            connection, new=digest, generation=generation, id=presented.family_id, old=presented.digest,
            expires_at=min(now + idle * SECOND, ends_at),
        )  # fmt: skip
        if rotated != 1:
            return self._reused(connection, presented, grant_id, client, now)
        jti = new_jti(presented.family_id)
        note_issued(
            connection, jti, "access", client_id=client.id, grant_id=grant_id, now=now,
            seconds=self._settings.access_token_seconds,
        )  # fmt: skip
        if not client.fapi:
            note_issued(
                connection, f"{presented.family_id}.{generation}", "refresh", client_id=client.id,
                grant_id=grant_id, now=now, seconds=idle,
            )  # fmt: skip
        scopes = asked or authorized.scopes
        return Exchanged(jti, account_id, grant_id, authorized, scopes, audience, token)

    def _reused(
        self, connection: Connection, presented: Refresh, grant_id: str, client: Client, now: Millis
    ) -> Replayed:
        chains.revoke(connection, presented.family_id, until=now + self._settings.access_token_seconds * SECOND)
        audit.record(
            connection,
            "identity.refresh.reused",
            actor=client.actor(),
            object=("client", client.id),
            detail={"grant": grant_id, "chain": presented.family_id, "generation": presented.generation},
            outcome="refused",
        )
        return Replayed()


def _check_binding(client: Client, authorized: codes.Authorized, holder: Holder) -> None:
    if authorized.dpop_jkt is not None:
        if holder.jkt is None:
            raise InvalidDpopProof("this refresh token is bound to a key; send a DPoP proof")
        if client.public and not holder.holds(authorized.dpop_jkt):
            raise InvalidGrant("the DPoP proof was made with another key than the refresh token is bound to")
    # RFC 8705 section 4: a public client's refresh token is bound to its certificate; others prove who they are anyway.
    if client.public and authorized.x5t is not None and authorized.x5t != holder.x5t:
        raise InvalidGrant("the refresh token is bound to another client certificate")
