"""Backchannel authentication: a service asks, the resident answers on a page of their own, the service polls.

OpenID Connect Client-Initiated Backchannel Authentication (CIBA) Core 1.0 sections 7.1 to 7.3, poll and ping. The case
is a city counter: the clerk's terminal asks by the resident's login name, the resident opens their first page, finds
the question, compares the binding message with what the counter shows, and answers as everybody does (scopes, consent,
ledger). Whether a login name exists is told to nobody: a request for nobody is accepted like any other, does the same
work, and runs out (so `unknown_user_id` is only for an ID token that names nobody). A few questions may wait for one
person, so that nobody is worn down by asking again and again.
"""

import re
import unicodedata
from dataclasses import replace
from typing import Any

from identity import accounts, decoupled, grants, once
from identity.client_keys import ClientKeys
from identity.clients import Client
from identity.interaction import Interactions
from identity.oauth import jar
from identity.oauth.answers import ELSEWHERE
from identity.oauth.checks import check_resource, check_scope, read_wishes
from identity.oauth.client_auth import ClientAuth
from identity.oauth.details import DetailTypes
from identity.oauth.dpop import Dpop
from identity.oauth.errors import (
    InvalidBindingMessage,
    InvalidRequest,
    InvalidRequestObject,
    InvalidScope,
    TemporarilyUnavailable,
    UnauthorizedClient,
    UnknownUserId,
)
from identity.oauth.grant_actions import check_grant, read_action
from identity.oauth.grants.shared import note_issued
from identity.oauth.jwt_times import SKEW
from identity.oauth.parameters import Parameters, read_form, read_seconds
from identity.oauth.request import AuthorizationRequest, bound
from identity.oidc.hints import IdTokenHints
from identity.pings import seal
from identity.registration import CIBA
from identity.settings import IdentitySettings
from identity.subjects import pairwise
from keys.envelope import Sealer
from keys.errors import BadToken
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import SECOND, Clock, Millis
from kit.db import Database, Session
from kit.front import Call, Reply, reply_json
from kit.ids import new_id, secret

PATH = "/oauth/backchannel-authentication"
#: How many questions of this kind may wait for one person, or as many as one client's (`backchannel_waiting`), if those
#: are more: no service keeps out the others.
MOST_WAITING = 4
#: How many of one client wait in all, for somebody or for nobody: each is a row, and asking costs a client nothing.
MOST_OF_CLIENT = 1000
_LONGEST_MESSAGE = 40
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,1024}=*", re.ASCII)
_HINTS = ("login_hint", "id_token_hint", "login_hint_token")


class BackchannelAuthentication:
    """Handles POST /oauth/backchannel-authentication."""

    def __init__(
        self,
        issuer: str,
        settings: IdentitySettings,
        database: Database,
        clock: Clock,
        hasher: TokenHasher,
        sealer: Sealer,
        auth: ClientAuth,
        keys: ClientKeys,
        dpop: Dpop,
        types: DetailTypes,
        hints: IdTokenHints,
        interactions: Interactions,
    ) -> None:
        self._issuer = issuer
        self._settings = settings
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._sealer = sealer
        self._auth = auth
        self._keys = keys
        self._dpop = dpop
        self._types = types
        self._hints = hints
        self._interactions = interactions

    async def endpoint(self, call: Call) -> Reply:
        """Section 7.1 in, section 7.3 out. Raises UnauthorizedClient, InvalidRequest."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        if CIBA not in client.grant_types or client.public:
            raise UnauthorizedClient("this client may not use backchannel authentication")
        form = await self._signed(form, client)
        request = self._read(form, client)
        proved = await self._dpop.prove(call, self._database, self._clock.ms(), client)
        if proved is not None:
            request = bound(request, proved.jkt)
        request = await self._types.narrow(self._database, client, form, request)
        request = await check_grant(self._database, client, request)
        seconds = self._settings.device_code_seconds
        asked = read_seconds(form, "requested_expiry")
        if asked is not None:
            if asked == 0:
                raise InvalidRequest("requested_expiry must be a positive number of seconds")
            seconds = min(seconds, asked)
        handle = secret("cba")
        digest = self._hasher.digest("auth-req-id", handle)
        ping = None
        if client.notification_endpoint is not None:
            token = _notification_token(form)
            ping = seal(self._sealer, digest, auth_req_id=handle, token=token)
        await self._database.write(self._add, digest, request, form, client, seconds, ping)
        return reply_json(
            200,
            {"auth_req_id": handle, "expires_in": seconds, "interval": self._settings.device_poll_seconds},
        )

    async def _signed(self, form: Parameters, client: Client) -> Parameters:
        """Section 7.1.1: what is signed counts, and nothing beside it; each request once."""
        token = form.get("request")
        if token is None:
            if client.signs_backchannel:
                raise InvalidRequest("this client must send its requests signed")
            return form
        try:
            _, claims = await self._keys.verify(client, token, algs=client.backchannel_algs, typ=jar.type_of(token))
            jar.check_claims(claims, client_id=client.id, issuer=self._issuer, now=self._clock.ms())
            jar.check_lifetime(claims, self._clock.ms())
        except BadToken as error:
            raise InvalidRequest("request does not verify", private=error.private) from error
        except InvalidRequestObject as error:
            raise InvalidRequest(error.description) from error
        for name in ("iss", "iat", "jti"):
            if name not in claims:
                raise InvalidRequest(f"{name} of the signed request is required")
        jti = claims["jti"]
        if not isinstance(jti, str) or not 0 < len(jti) <= 512:
            raise InvalidRequest("jti of the signed request is required")
        key = once.digest("backchannel", client.id, jti)
        if not await self._database.write_core(once.claim, key, int(claims["exp"]) * SECOND + SKEW):
            raise InvalidRequest("the signed request was used already")
        return jar.parameters_of(claims, client.id)

    def _read(self, form: Parameters, client: Client) -> AuthorizationRequest:
        if sum(name in form for name in _HINTS) != 1:  # section 7.1: one and only one
            raise InvalidRequest("send exactly one of login_hint, id_token_hint and login_hint_token")
        if "login_hint_token" in form:
            raise InvalidRequest("login_hint_token is not supported")
        fields: dict[str, Any] = {}
        for check in (check_scope, check_resource, read_wishes, read_action):
            fields.update(check(form, client))
        if "openid" not in fields["scopes"]:
            raise InvalidScope("scope must hold openid")
        # The resident always sees the page: nothing else tells them that somebody asks. The hint is not kept.
        fields |= {"prompt": ("consent",), "login_hint": None, "hinted_subject": None}
        message = _message(form.get("binding_message"))
        return AuthorizationRequest(client.id, self._issuer + ELSEWHERE, "", binding_message=message, **fields)

    def _add(
        self,
        session: Session,
        digest: bytes,
        request: AuthorizationRequest,
        form: Parameters,
        client: Client,
        seconds: int,
        ping: bytes | None,
    ) -> None:
        now = self._clock.ms()
        if decoupled.count_of_client(session.connection(), client.id, now) >= MOST_OF_CLIENT:
            raise TemporarilyUnavailable("too many requests of this client wait for an answer; ask again later")
        expires_at = now + seconds * SECOND
        account_id = self._whom(session, form, client, bool(request.details), now)
        request = replace(request, decoupled=digest.hex())
        # For nobody too, so that it takes as long: nobody can open a question that is nobody's.
        interaction_id = self._interactions.create(session, request, account_id=account_id, expires_at=expires_at)
        chain = new_id("chn")
        connection = session.connection()
        decoupled.add(
            connection,
            digest=digest,
            user_digest=None,
            chain=chain,
            request=request,
            interval=self._settings.device_poll_seconds,
            expires_at=expires_at,
            account_id=account_id,
            interaction_id=interaction_id,
            ping=ping,
        )
        note_issued(connection, chain, "ciba", client_id=client.id, grant_id=None, now=now, seconds=seconds)
        audit.record(
            session,
            "identity.backchannel.asked",
            actor=client.actor(),
            object=("interaction", interaction_id),
            detail={"client": client.id, "scopes": list(request.scopes), "account": account_id or ""},
        )

    def _whom(self, session: Session, form: Parameters, client: Client, data: bool, now: Millis) -> str | None:
        """Who is asked; None for nobody, for somebody who can't answer, and for who has enough questions already."""
        if "id_token_hint" in form:
            account_id = self._hinted(session, form["id_token_hint"], client)
            account = accounts.get_account(session, account_id)
        else:
            found = accounts.find_account(session, self._hasher, form["login_hint"][:200])
            if found is None:
                return None
            account = found
        if account.status != "active" or (data and account.kind != "resident"):
            return None
        askers = decoupled.askers_of(session.connection(), account.id, now)
        of_one = self._settings.backchannel_waiting
        if len(askers) >= max(MOST_WAITING, of_one) or askers.count(client.id) >= of_one:
            return None
        quiet = self._settings.backchannel_quiet_seconds
        if quiet and decoupled.refused_lately(session.connection(), account.id, client.id, now - quiet * SECOND):
            return None  # who has said no is left alone for a while; the client can't tell
        return account.id

    def _hinted(self, session: Session, token: str, client: Client) -> str:
        """Section 7.1: an ID token of ours for this client, expired or not; it names its grant (`Tokens.id_token`)."""
        claims = self._hints.claims(token)
        grant = grants.find(session, claims["grant_id"]) if isinstance(claims.get("grant_id"), str) else None
        if grant is None or claims["aud"] != client.id or grant.client_id != client.id:
            raise UnknownUserId("id_token_hint names nobody known to this client")
        if claims["sub"] != pairwise(self._hasher, grant.account_id, client.sector):
            raise UnknownUserId("id_token_hint names nobody known to this client")
        return grant.account_id


def _notification_token(form: Parameters) -> str:
    """Section 7.1: what we prove ourselves with when we call, in the syntax of RFC 6750 section 2.1."""
    token = form.get("client_notification_token", "")
    if not _TOKEN.fullmatch(token):
        raise InvalidRequest("client_notification_token is required: at most 1024 characters of a bearer token")
    return token


def _message(text: str | None) -> str | None:
    """Section 7.1: short and plain, for two people compare it; nothing in it that turns or hides letters."""
    if text is None:
        return None
    if len(text) > _LONGEST_MESSAGE or any(
        unicodedata.category(letter)[0] in "CZ" and letter != " " for letter in text
    ):
        raise InvalidBindingMessage(f"binding_message must be at most {_LONGEST_MESSAGE} plain characters")
    return text
