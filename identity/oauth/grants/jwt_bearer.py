"""The JWT bearer grant: somebody we were told to trust vouches for staff or a machine of theirs.

RFC 7523 sections 2.1 and 3, RFC 7521 section 4.1. An operator names, at a client, whose assertions it may bring and
where their keys are; keys are fetched from there only (guarded, `kit.fetch`), never from what the assertion says. What
comes out never stands for a resident: no grant, no consent, no standard scope, for nobody outside can agree in a
resident's stead. Its subject is a number made of issuer and subject for one audience, and there is no refresh token.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from identity import once
from identity.clients import Client
from identity.oauth.errors import InvalidGrant, InvalidScope, UnauthorizedClient
from identity.oauth.grants.shared import note_issued, read_audience, require_binding
from identity.oauth.holder import Holder
from identity.oauth.jwt_times import SKEW, check_assertion_times
from identity.oauth.parameters import Parameters, read_scopes, require
from identity.registration import ASSERTION_ALGS, STANDARD_SCOPES
from identity.remote_keys import RemoteKeys
from identity.settings import IdentitySettings
from identity.subjects import sector_of
from identity.tokens import Tokens, new_jti
from identity.unverified import unverified_claim
from keys.errors import BadToken
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database

_PEOPLES = frozenset(STANDARD_SCOPES)


class JwtBearer:
    """Handles grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer."""

    def __init__(
        self, database: Database, clock: Clock, settings: IdentitySettings, tokens: Tokens, keys: RemoteKeys
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._tokens = tokens
        self._keys = keys

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """A token for whom the assertion vouches for; answered once its use is durable.

        Raises UnauthorizedClient, InvalidGrant.
        """
        if client.public or not client.assertion_issuers:
            raise UnauthorizedClient("this client may not bring assertions")
        require_binding(client, holder)
        assertion = require(form, "assertion")
        issuer = unverified_claim(assertion, "iss")
        if issuer is None:
            raise InvalidGrant("the assertion is not a JWT with an issuer")
        address = client.assertion_issuers.get(issuer)
        if address is None:
            raise InvalidGrant("the issuer of the assertion is not trusted for this client")
        try:
            _, claims = await self._keys.verify(address, assertion, algs=ASSERTION_ALGS, typ=None)
        except BadToken as error:
            raise InvalidGrant("the assertion does not verify", private=error.private) from error
        now = self._clock.ms()
        expires_at = self._check(claims, now)
        scopes = _scopes(form, client)
        allowed = (self._tokens.issuer, *client.resources)
        audience = read_audience(form.get("resource"), allowed, self._tokens.issuer)
        jti = new_jti()
        await self._database.write_core(self._note, jti, client, claims, expires_at, now)
        # Length before value: no issuer can pretend that a part of its name is a subject of another's.
        who = f"vouched|{len(issuer)}:{issuer}|{claims['sub']}"
        subject = self._tokens.subject(who, sector_of(audience))
        token = self._tokens.access_token(
            client, jti=jti, audience=audience, scopes=scopes, now=now, holder=holder, more={"sub": subject}
        )
        return {
            "access_token": token,
            "token_type": holder.token_type,
            "expires_in": self._settings.access_token_seconds,
            "scope": " ".join(scopes),
        }

    def _check(self, claims: Mapping[str, Any], now: Millis) -> Millis:
        """RFC 7523 section 3, rules 2 to 7. Returns the moment of expiry."""
        for name in ("sub", "jti"):
            if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= 512:
                raise InvalidGrant(f"{name} of the assertion is required")
        audience = claims.get("aud")
        named = [audience] if isinstance(audience, str) else audience
        accepted = {self._tokens.issuer, f"{self._tokens.issuer}/oauth/token"}
        # Who else is named could replay it here, or it here was meant for them.
        if not isinstance(named, list) or not named or any(one not in accepted for one in named):
            raise InvalidGrant("aud of the assertion must be this issuer, and nobody else")
        longest = self._settings.assertion_seconds * SECOND
        return check_assertion_times(claims, longest=longest, now=now, refusal=InvalidGrant)

    def _note(
        self,
        connection: Connection,
        jti: str,
        client: Client,
        claims: Mapping[str, Any],
        expires_at: Millis,
        now: Millis,
    ) -> None:
        if not once.claim(connection, once.digest("vouched", claims["iss"], claims["jti"]), expires_at + SKEW):
            raise InvalidGrant("the assertion was used already")  # rule 7: under concurrency too
        note_issued(
            connection, jti, "access", client_id=client.id, grant_id=None, now=now,
            seconds=self._settings.access_token_seconds,
        )  # fmt: skip
        audit.record(
            connection,
            "identity.assertion.accepted",
            actor=client.actor(),
            object=("client", client.id),
            detail={"issuer": claims["iss"], "token": jti},
            personal={"subject": claims["sub"]},
        )


def _scopes(form: Parameters, client: Client) -> tuple[str, ...]:
    asked = read_scopes(form.get("scope"))
    for scope in asked:
        if scope in _PEOPLES or scope not in client.scopes:
            raise InvalidScope(f"scope {scope[:60]} is not allowed to this client here")
    return asked or tuple(sorted(client.scopes - _PEOPLES))
