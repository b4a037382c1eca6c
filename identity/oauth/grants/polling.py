"""The grants that poll until the resident has answered elsewhere: device codes and backchannel authentication.

RFC 8628 sections 3.4 and 3.5, CIBA Core 1.0 sections 10.1.1 and 11. One write finds the request, counts the poll, and
hands the tokens to exactly one poll. `authorization_pending` and `slow_down` are returned from the write, not raised,
so that the poll counts; a spent secret that comes back ends everything that came from it, like an authorization code
(RFC 9700 section 4.14.2 in spirit: the one who polls again may not be the one who got the tokens).
"""

from typing import Any, Literal

from sqlalchemy import Connection

from identity import chains, codes, decoupled
from identity.assurance.enough import floors_of
from identity.clients import Client
from identity.oauth.errors import (
    AccessDenied,
    AuthorizationPending,
    ExpiredToken,
    InvalidDpopProof,
    InvalidGrant,
    OAuthError,
    SlowDown,
)
from identity.oauth.grants.families import begin_family
from identity.oauth.grants.shared import (
    Exchanged,
    answer,
    note_issued,
    read_audience,
    require_binding,
    require_enough,
)
from identity.oauth.holder import Holder
from identity.oauth.parameters import Parameters, require
from identity.oauth.request import unpack
from identity.oidc.id_token_claims import IdTokenClaims
from identity.settings import IdentitySettings
from identity.tokens import Tokens, new_jti
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database


class Polling:
    """Handles one of these grant types: `name` is the parameter with the secret."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: IdentitySettings,
        hasher: TokenHasher,
        tokens: Tokens,
        claims: IdTokenClaims,
        name: Literal["device_code", "auth_req_id"],
    ) -> None:
        self._name = name
        self._label = name.replace("_", "-")
        self._database = database
        self._clock = clock
        self._settings = settings
        self._hasher = hasher
        self._tokens = tokens
        self._claims = claims
        self._floors = floors_of(settings)

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """Tokens for an answered request; until then, when to ask again."""
        digest = self._hasher.digest(self._label, require(form, self._name))
        now = self._clock.ms()
        result = await self._database.write_core(self._poll, digest, form, client, holder, now)
        if isinstance(result, OAuthError):
            raise result
        told = await self._claims.tell(client, result)
        return answer(self._tokens, self._settings, client, result, holder=holder, now=now, first=True, told=told)

    def _poll(
        self, connection: Connection, digest: bytes, form: Parameters, client: Client, holder: Holder, now: Millis
    ) -> Exchanged | OAuthError:
        found = decoupled.find(connection, digest)
        if found is None or found.client_id != client.id:
            raise InvalidGrant(f"{self._name} is unknown or was issued to another client")
        _check_key(unpack(found.request).dpop_jkt, holder)
        require_binding(client, holder)
        if found.status == "used":
            return self._replayed(connection, found, client, now)
        if found.status == "refused":
            raise AccessDenied("the resident did not agree", status=400)  # section 3.5, RFC 6749 section 5.2
        if found.status == "outdated":
            raise InvalidGrant("the grant was changed by a later answer; ask again")
        if found.expires_at <= now:
            raise ExpiredToken(f"{self._name} has expired; ask for a new one")
        if found.status == "pending":
            return _not_yet(connection, digest, found, now)
        if not found.stands:
            raise InvalidGrant("the authorization was withdrawn")
        authorized = codes.unpack(found.authorized)
        require_enough(connection, self._floors, client, authorized.scopes, authorized, found.account_id, now)
        audience = read_audience(form.get("resource"), authorized.resources, self._tokens.issuer)
        if not decoupled.use(connection, digest):
            return self._replayed(connection, found, client, now)
        jti = new_jti(found.chain)
        note_issued(
            connection, jti, "access", client_id=client.id, grant_id=found.grant_id, now=now,
            seconds=self._settings.access_token_seconds,
        )  # fmt: skip
        refresh_token = begin_family(
            connection,
            self._tokens,
            self._settings,
            client,
            chain=found.chain,
            account_id=found.account_id,
            grant_id=found.grant_id,
            authorized=codes.bound_to(authorized, holder.jkt, holder.x5t),
            now=now,
        )
        return Exchanged(jti, found.account_id, found.grant_id, authorized, authorized.scopes, audience, refresh_token)

    def _replayed(self, connection: Connection, found: decoupled.Polled, client: Client, now: Millis) -> InvalidGrant:
        if chains.revoke(connection, found.chain, until=now + self._settings.access_token_seconds * SECOND):
            audit.record(
                connection,
                "identity.device.replayed" if self._name == "device_code" else "identity.backchannel.replayed",
                actor=client.actor(),
                object=("client", client.id),
                detail={"grant": found.grant_id, "chain": found.chain},
                outcome="refused",
            )
        return InvalidGrant(f"{self._name} was used already; everything issued from it has been revoked")


def _not_yet(connection: Connection, digest: bytes, found: decoupled.Polled, now: Millis) -> OAuthError:
    """Section 3.5: who asks too early waits five seconds longer each time, from then on."""
    if found.too_early(now):
        interval = min(found.interval + decoupled.STEP, decoupled.SLOWEST)
        decoupled.polled(connection, digest, interval=interval, now=now)
        return SlowDown(f"wait {interval} seconds between two requests")
    decoupled.polled(connection, digest, interval=found.interval, now=now)
    return AuthorizationPending("the resident has not answered yet")


def _check_key(jkt: str | None, holder: Holder) -> None:
    """A request made with a key is finished with that key (RFC 9449 section 10.1)."""
    if jkt is None:
        return
    if holder.jkt is None:
        raise InvalidDpopProof("this was asked for with a key; send a DPoP proof")
    if not holder.holds(jkt):
        raise InvalidGrant("the DPoP proof was made with another key than this was asked for with")
