"""The userinfo endpoint.

OpenID Connect Core section 5.3: claims about the resident, by the scopes of the access token (section 5.4) and those
asked for one by one (section 5.5); signed, and encrypted, where the client registered so. `sub` is the client's own,
the same as in its ID tokens. Only what the resident has told us is said: an absent claim is left out.
Which claims were told to whom stands in the audit trail before they are (invariant I4).
"""

from typing import Any

from identity import accounts
from identity.accounts import Profile
from identity.assurance.telling import Telling
from identity.bearer import Bearer
from identity.clients import Clients
from identity.crowd import Crowd
from identity.encryption import Envelopes
from identity.errors import AmbiguousToken, TokenRefused
from identity.oidc import claims, told
from identity.registration import STANDARD_SCOPES
from identity.throttle import Limit
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.clock import SECOND
from kit.db import Database
from kit.front import NO_STORE, Call, Reply, reply_json
from kit.problems import TooMany

#: For each grant.
LIMIT = Limit(burst=60, refill=SECOND)


class UserInfo:
    """Handles GET and POST /oauth/userinfo."""

    def __init__(
        self,
        bearer: Bearer,
        clients: Clients,
        tokens: Tokens,
        sealer: Sealer,
        database: Database,
        ring: KeyRing,
        crowd: Crowd,
        envelopes: Envelopes,
        telling: Telling,
    ) -> None:
        self._bearer = bearer
        self._clients = clients
        self._tokens = tokens
        self._sealer = sealer
        self._database = database
        self._ring = ring
        self._crowd = crowd
        self._envelopes = envelopes
        self._telling = telling

    async def endpoint(self, call: Call) -> Reply:
        """The claims as JSON; the token by Authorization header, or in the body of a POST (RFC 6750 section 2.2).

        Raises TokenRefused, TooMany.
        """
        token = await _body_token(call)
        access = await self._bearer.verify(call, scope="openid", body_token=token, uses=STANDARD_SCOPES)
        client = await self._clients.get(access.client_id)
        if access.account_id is None or client is None:
            raise TokenRefused("This token does not speak for a resident.")
        envelope = await self._envelopes.find(client, "userinfo") if client.encryptions else None
        said: dict[str, Any] = {"sub": self._tokens.subject(access.account_id, client.sector)}
        single = access.claims.get("claims", {})
        names = claims.names_of(access.scopes) | frozenset(single.get("userinfo", ()))
        asked = tuple(single.get("verified", ()))
        if names or asked:
            if seconds := self._crowd.wait(access.grant_id or access.client_id):  # each answer is a row for ever
                raise TooMany("The profile was asked for very often under this grant.", retry_after=seconds)
            profile = await self._database.read(accounts.profile, self._sealer, access.account_id)
            found = claims.told(profile, names)
            verified = await self._telling.of(
                asked, client, account_id=access.account_id, grant_id=access.grant_id, acr=access.claims.get("acr", "")
            )
            heard = told.names(found, verified)
            if heard:
                await self._database.write_core(
                    told.record, heard, actor=access.actor(), account_id=access.account_id, grant_id=access.grant_id
                )
            said.update(found)
            if verified is not None:
                said[claims.VERIFIED] = verified
        if client.userinfo_alg is None:
            return reply_json(200, said)
        # Section 5.3.2: signed, it says from whom and for whom.
        await self._ring.refresh()
        token = self._ring.sign_jwt(
            {**said, "iss": self._tokens.issuer, "aud": client.id}, typ="JWT", alg=client.userinfo_alg
        )
        if envelope is not None:
            token = envelope.close(token)
        return Reply(200, token.encode(), [(b"content-type", b"application/jwt"), NO_STORE])


def claims_for(profile: Profile, scopes: frozenset[str]) -> dict[str, Any]:
    """The claims of the granted scopes, individual ones (`claim:…`) among them (section 5.4). Pure."""
    single = {scope.removeprefix("claim:") for scope in scopes if scope.startswith("claim:")}
    return claims.told(profile, claims.names_of(scopes) | single)


async def _body_token(call: Call) -> str | None:
    if call.method != "POST":
        return None
    if not call.headers.get(b"content-type", b"").startswith(b"application/x-www-form-urlencoded"):
        return None
    token = (await call.form()).get("access_token")
    if token is not None and b"authorization" in call.headers:
        raise AmbiguousToken("There is an access token in the Authorization header and one in the body.")
    return token
