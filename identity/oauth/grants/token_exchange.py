"""The token exchange grant: one service acts further on behalf of somebody, visibly.

RFC 8693. Subject and actor tokens are ours only, and judged as of now; `oauth.exchange` decides. The new token's name
grows from the subject token's (`<jti>.<own>`), so that whatever ends that token, its chain, its grant or its consent
ends the new one in the same commit (I5); so does the end of an actor's token, which it names, and the suspension of any
client on the way. One write asks once more
whether the subject token stands, notes the token and records the exchange.
"""

from typing import Any

from sqlalchemy import Connection

from identity.assurance.enough import floors_of, missing
from identity.bearer import AccessTokens, honours
from identity.clients import Client
from identity.codes import Authorized
from identity.oauth.errors import InvalidRequest, UnauthorizedClient
from identity.oauth.exchange import (
    ACCESS_TOKEN,
    ID_TOKEN,
    Decided,
    Proved,
    check_types,
    decide,
    requested_type,
)
from identity.oauth.grants.shared import note_issued, require_binding
from identity.oauth.holder import Holder
from identity.oauth.parameters import Parameters
from identity.settings import IdentitySettings
from identity.tokens import Tokens, derived_jti
from keys.errors import BadToken
from keys.ring import KeyRing
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database


class TokenExchange:
    """Handles grant_type=urn:ietf:params:oauth:grant-type:token-exchange."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: IdentitySettings,
        tokens: Tokens,
        access_tokens: AccessTokens,
        ring: KeyRing,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._tokens = tokens
        self._access_tokens = access_tokens
        self._ring = ring
        self._floors = floors_of(settings)

    async def handle(self, form: Parameters, client: Client, holder: Holder) -> dict[str, Any]:
        """A token for another's; answered once the exchange is durable. Raises UnauthorizedClient, InvalidRequest."""
        if client.public or not client.exchange_audiences:
            raise UnauthorizedClient("this client may not exchange tokens")
        check_types(form)
        issued_type = requested_type(form)
        require_binding(client, holder)
        subject = await self._subject(form, client, holder)
        actor = None
        if "actor_token" in form:
            actor = await self._access(form["actor_token"], "actor_token", client, holder)
        decided = decide(form, client, subject, actor)
        now = self._clock.ms()
        seconds = min(self._settings.access_token_seconds, decided.expires_at - now // SECOND)
        if seconds <= 0:
            raise InvalidRequest("subject_token is about to expire")
        jti = derived_jti(subject.jti)
        await self._database.write_core(self._note, jti, client, subject, actor, decided, seconds, now)
        more: dict[str, Any] = {
            "sub": subject.claims["sub"] if subject.account_id is None else None,
            "exp": now // SECOND + seconds,
            "act": decided.act,
            "exchanged_from": decided.path,
            "acting_with": decided.actors or None,
            # The subject token's own word on who may go on from here, not that of the client in between.
            "may_act": subject.claims.get("may_act"),
        }
        token = self._tokens.access_token(
            client,
            jti=jti,
            audience=decided.audience,
            scopes=decided.scopes,
            now=now,
            holder=holder,
            account_id=subject.account_id,
            grant_id=subject.grant_id,
            authorized=_authorized(subject, decided) if subject.account_id is not None else None,
            more={name: value for name, value in more.items() if value is not None},
        )
        return {
            "access_token": token,
            "issued_token_type": issued_type,
            "token_type": holder.token_type,
            "expires_in": seconds,
            "scope": " ".join(decided.scopes),
            **({"authorization_details": decided.details} if decided.details else {}),
        }

    async def _subject(self, form: Parameters, client: Client, holder: Holder) -> Proved:
        if form["subject_token_type"] == ID_TOKEN:
            return await self._id_token(form["subject_token"], client)
        return await self._access(form["subject_token"], "subject_token", client, holder)

    async def _access(self, token: str, name: str, client: Client, holder: Holder) -> Proved:
        access = await self._access_tokens.find(token)
        if access is None:
            raise InvalidRequest(f"{name} is expired, revoked or not ours")
        if access.client_id == client.id and (
            (access.jkt is not None and not holder.holds(access.jkt))
            or (access.x5t is not None and access.x5t != holder.x5t)
        ):
            # One's own bound token is exchanged by who holds the key; a resource server can't hold its callers' keys.
            raise InvalidRequest(f"{name} is bound to a key that was not proved with this request")
        return Proved(
            ACCESS_TOKEN,
            access.claims,
            access.jti,
            access.client_id,
            access.member_id,
            access.grant_id,
            access.account_id,
            access.expires_at // SECOND,
        )

    async def _id_token(self, token: str, client: Client) -> Proved:
        """An ID token of ours, to this client. It names its grant if its client may exchange (`Tokens.id_token`)."""
        try:
            claims = self._ring.verify_jwt(token, typ="JWT")
        except BadToken as error:
            raise InvalidRequest("subject_token is not ours", private=error.private) from error
        # `auth_time` stands in every ID token of ours and in nothing else that is signed alike.
        if claims.get("iss") != self._tokens.issuer or "auth_time" not in claims or "grant_id" not in claims:
            raise InvalidRequest("subject_token is not an ID token that can be exchanged")
        if claims["exp"] * SECOND <= self._clock.ms():
            raise InvalidRequest("subject_token has expired")
        honoured, account_id = await self._database.peek(honours, claims)
        if not honoured:
            raise InvalidRequest("subject_token was revoked")
        return Proved(
            ID_TOKEN,
            claims,
            claims["jti"],
            claims["aud"],
            client.member_id,
            claims["grant_id"],
            account_id,
            claims["exp"],
        )

    def _note(
        self,
        connection: Connection,
        jti: str,
        client: Client,
        subject: Proved,
        actor: Proved | None,
        decided: Decided,
        seconds: int,
        now: Millis,
    ) -> None:
        for name, proved in (("subject_token", subject), ("actor_token", actor)):
            if proved is not None and not honours(connection, proved.claims)[0]:
                raise InvalidRequest(f"{name} was revoked")
        if subject.account_id is not None:
            # The exchanger gets what the resident's own sign-in was worth (`acr` goes along), or nothing.
            short = missing(
                connection, self._floors, client, decided.scopes,
                verified=False, account_id=subject.account_id, acr=subject.claims["acr"], now=now,
            )  # fmt: skip
            if short.any:
                raise InvalidRequest("subject_token: its resident is not as surely known as this client needs")
        note_issued(connection, jti, "access", client_id=client.id, grant_id=subject.grant_id, now=now, seconds=seconds)
        audit.record(
            connection,
            "identity.token.exchanged",
            actor=client.actor(),
            object=("grant", subject.grant_id) if subject.grant_id else ("client", subject.client_id),
            detail={
                "from": subject.jti,
                "to": jti,
                "kind": "impersonation" if actor is None else "delegation",
                "actor": actor.jti if actor is not None else "",
                "audience": decided.audience,
                "scopes": list(decided.scopes),
            },
        )


def _authorized(subject: Proved, decided: Decided) -> Authorized:
    """What the resident authorized, as far as the subject token carries it."""
    claims = subject.claims
    return Authorized(
        scopes=decided.scopes,
        details=decided.details,
        resources=(),
        redirect_uri="",
        challenge="",
        nonce=None,
        session_id="",
        auth_at=claims["auth_time"] * SECOND,
        acr=claims["acr"],
        amr=tuple(claims["amr"]),
        dpop_jkt=None,
        generation=claims.get("grant_generation", 0),
    )
