"""The authorization endpoint: from a browser's request to a code, a page, or an error in the right place.

1. read the parameters, strictly; 2. prove the client, and read the signed object if the request is one; 3. prove the
address (until here errors are pages, RFC 6749 section 4.1.2.1); 4. the checks of `oauth.checks`, or the pushed request;
5. who is signed in; 6. is a page needed; 7. the code. From 4 on errors go to the client, with `state` and `iss` (RFC
9207), in the way it asked to be answered (`oauth.answers`).

One write does 6 and 7, so that a revoked grant never yields a code.
"""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from sqlalchemy import Connection

from identity import grants, logout
from identity.clients import Client, Clients
from identity.crowd import Crowd
from identity.fapi import SIGNED_MODES, full_mode
from identity.federation.admission import Admission
from identity.interaction import Interactions, needs_page
from identity.oauth.answers import Answers
from identity.oauth.checks import check_redirect_uri, check_request
from identity.oauth.details import DetailTypes
from identity.oauth.errors import (
    ConsentRequired,
    InvalidRequest,
    LoginRequired,
    OAuthError,
    TemporarilyUnavailable,
    UnauthorizedClient,
    UnmetAuthentication,
)
from identity.oauth.grant_actions import amended, check_grant
from identity.oauth.pages import ErrorPage
from identity.oauth.par import PREFIX, PushedRequests
from identity.oauth.parameters import Parameters, read_form, read_query, read_some, require
from identity.oauth.request import MODES, AuthorizationRequest
from identity.oauth.request_objects import RequestObjects
from identity.oidc import locales
from identity.oidc.hints import IdTokenHints
from identity.sessions import BrowserSession, Sessions, session_cookie
from identity.tokens import Tokens
from kit.clock import Clock
from kit.db import Database
from kit.front import NO_STORE, Call, Reply

_SUSPENDED = "this client is suspended"
_MAX_QUERY = 32_768
#: What it takes to answer the client when the rest of a request can't be read.
_TELLING = frozenset({"client_id", "redirect_uri", "state", "response_mode"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request whose client and address are proved: errors may be redirected from here on."""

    client: Client
    parameters: Parameters  # those that count
    answerable: AuthorizationRequest  # only what an error answer needs, or the whole pushed request
    signed: bool = False
    pushed: bytes | None = None
    token: str | None = None  # the signed object, by value


@dataclass(frozen=True, slots=True)
class Examined:
    """What a request comes to before anybody is asked: accepted, or refused, and where that is told."""

    asked: _Asked | None = None
    request: AuthorizationRequest | None = None
    error: OAuthError | None = None
    answerable: AuthorizationRequest | None = None  # None: the refusal is a page, nothing is redirected


class _ToldError(Exception):
    """A refusal that may go to a proved address, although the request itself could not be read."""

    def __init__(self, answerable: AuthorizationRequest, error: OAuthError) -> None:
        super().__init__(error.description)
        self.answerable = answerable
        self.error = error


class Authorize:
    """Handles /oauth/authorize."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        clients: Clients,
        sessions: Sessions,
        interactions: Interactions,
        answers: Answers,
        objects: RequestObjects,
        pushed: PushedRequests,
        types: DetailTypes,
        tokens: Tokens,
        hints: IdTokenHints,
        page: ErrorPage,
        crowd: Crowd,
        admission: Admission,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clock = clock
        self._clients = clients
        self._sessions = sessions
        self._interactions = interactions
        self._answers = answers
        self._objects = objects
        self._pushed = pushed
        self._types = types
        self._tokens = tokens
        self._hints = hints
        self._page = page
        self._crowd = crowd
        self._admission = admission
        self._cookie = session_cookie(issuer).encode()

    async def get(self, call: Call) -> Reply:
        """GET /oauth/authorize."""
        found = await self.examine(call.query, call.source)
        if found.error is not None and found.answerable is None:
            return self._page.render(call, found.error)
        if found.error is not None and found.answerable is not None:
            return _redirect(self._answers.url(found.answerable, **found.error.body()))
        assert found.asked is not None
        assert found.request is not None
        try:
            await self._objects.spend(self._database, found.asked.token, found.asked.client)
            place = await self._decide(call, found.asked, found.request)
        except OAuthError as error:
            return _redirect(self._answers.url(found.asked.answerable, **error.body()))
        if not place.startswith(f"{self._issuer}/interaction/"):
            return _redirect(place)
        return _redirect(place, locales.cookie(found.request.ui_locales, secure=self._issuer.startswith("https:")))

    async def examine(self, query: str, source: str) -> Examined:
        """Everything up to the person: nothing is written, so an operator may ask the same (`oauth.trial`)."""
        try:
            if len(query) > _MAX_QUERY:
                raise InvalidRequest("the request is too long; push it instead (RFC 9126)")
            parameters = await self._read(query)
            asked = await self._prove(parameters, source)
        except OAuthError as error:
            return Examined(error=error)
        except _ToldError as told:
            return Examined(error=told.error, answerable=told.answerable)
        try:
            return Examined(asked, await self._check(asked))
        except OAuthError as error:
            return Examined(asked, error=error, answerable=asked.answerable)

    async def post(self, call: Call) -> Reply:
        """POST /oauth/authorize (OpenID Connect Core section 3.1.2.1).

        The session cookie is not sent with a cross-site POST, so the request is taken up again by a GET of ours.
        """
        try:
            form = read_form(call.headers.get(b"content-type", b""), await call.body())
        except OAuthError as error:
            return self._page.render(call, error)
        pairs = [(name, part) for name, value in form.items() for part in _parts(name, value)]
        return _redirect(f"{self._issuer}/oauth/authorize?{urlencode(pairs)}")

    async def _read(self, query: str) -> Parameters:
        """The parameters; a fault in one of them goes to the client, if client and address are whole and its own
        (RFC 6749 section 4.1.2.1).
        """
        try:
            return read_query(query)
        except InvalidRequest as error:
            some = read_some(query, _TELLING)
            client = await self._clients.get(some.get("client_id", ""))
            if client is None or not client.usable or "redirect_uri" not in some:
                raise
            try:
                answerable = _answerable(some, client)
            except OAuthError:
                raise error from None
            raise _ToldError(answerable, error) from error

    async def _prove(self, parameters: Parameters, source: str) -> _Asked:
        client = await self._admission.client(require(parameters, "client_id"), parameters.get("request"), source)
        if client is None:
            raise InvalidRequest("client_id is unknown")
        if not client.usable:
            raise UnauthorizedClient("the trust chain of this client has ended" if client.expired else _SUSPENDED)
        request_uri = parameters.get("request_uri", "")
        if request_uri.startswith(PREFIX):
            pushed, request = await self._pushed.find(request_uri, client)
            if request.redirect_uri not in client.redirect_uris:  # changed since it was pushed
                raise InvalidRequest("redirect_uri is not registered for this client")
            return _Asked(client, parameters, request, pushed=pushed)
        signed, token = "request" in parameters or "request_uri" in parameters, parameters.get("request")
        if client.automatic and token is None:
            # OpenID Federation 1.0 section 12.1.1: who only says who it is gets no answer at any address.
            raise InvalidRequest("a client of a federation signs its requests, or pushes them")
        if signed:
            try:
                parameters = await self._objects.resolve(parameters, client, source)
            except OAuthError as error:
                try:
                    # What stands beside a bad object proves nothing but the address, which is the client's own.
                    answerable = _answerable(parameters, client)
                except OAuthError:
                    raise error from None
                raise _ToldError(answerable, error) from error
        return _Asked(client, parameters, _answerable(parameters, client), signed=signed, token=token)

    async def _check(self, asked: _Asked) -> AuthorizationRequest:
        if asked.pushed is not None:
            return asked.answerable  # RFC 9126 section 4: what was pushed counts, and nothing beside it
        parameters, client = asked.parameters, asked.client
        if client.require_par:
            raise InvalidRequest("this client must push its authorization requests")  # RFC 9126 section 5
        if client.require_signed_request and not asked.signed:
            raise InvalidRequest("this client must send its requests signed")  # RFC 9101 section 10.5
        request = check_request(parameters, client, asked.answerable.redirect_uri)
        request = self._hints.read(parameters, request)
        request = await self._types.narrow(self._database, client, parameters, request)
        return await check_grant(self._database, client, request)

    async def _decide(self, call: Call, asked: _Asked, request: AuthorizationRequest) -> str:
        if not request.reachable:
            raise UnmetAuthentication("acr: no level of those is known here")
        request = self._interactions.raised(asked.client, request)
        session = await self._sessions.find(read_cookie(call, self._cookie))
        now = self._clock.ms()
        sign_in = request.needs_sign_in(
            auth_at=session.auth_at if session else None, acr=session.acr if session else None, asked_at=now, now=now
        )
        if session is not None and request.hinted_subject not in (
            None,
            self._tokens.subject(session.account_id, asked.client.sector),
        ):
            # Somebody else is signed in than the client means: whoever it is must prove it now.
            request, sign_in = replace(request, prompt=(*request.prompt, "login")), True
        if sign_in or session is None:
            if "none" in request.prompt:
                if session is not None and request.unmet(session.acr):
                    raise UnmetAuthentication("acr: the level was not reached")
                raise LoginRequired("nobody suitable is signed in")
            if session is None and self._crowd.wait(call.source):  # a stranger's request becomes a row for a day
                raise TemporarilyUnavailable("too many requests from this network; try again in a moment")
            return await self._database.write_core(self._open, request, asked.pushed)
        return await self._database.write_core(self._complete, asked.client, request, asked.pushed, session)

    def _open(self, connection: Connection, request: AuthorizationRequest, pushed: bytes | None) -> str:
        return f"{self._issuer}/interaction/{self._interactions.create(connection, request, par=pushed)}"

    def _complete(
        self,
        connection: Connection,
        client: Client,
        request: AuthorizationRequest,
        pushed: bytes | None,
        session: BrowserSession,
    ) -> str:
        amended(connection, request, session.account_id)
        remembered = grants.find_remembered(connection, session.account_id, client.id)
        if self._interactions.short_of(connection, client, request, session.account_id, session.acr).any:
            if "none" in request.prompt:
                raise UnmetAuthentication("the resident is not as surely known as this client needs")
            return self._open(connection, request, pushed)  # the page says what to do
        learns = self._interactions.agreed(connection, request, session.account_id, before=self._clock.ms())
        if needs_page(request, client, remembered, learns):
            if "none" in request.prompt:
                raise ConsentRequired("the resident has to be asked")
            return self._open(connection, request, pushed)
        if remembered is None or not set(learns) <= set(remembered.scopes):
            # The city's own service: the grant is recorded all the same, so that it can be seen and revoked.
            remembered = grants.give(
                connection,
                account_id=session.account_id,
                client_id=client.id,
                scopes=learns,
                actor=session.actor(),
                now=self._clock.ms(),
            )
        code = self._interactions.issue_code(
            connection,
            request,
            par=pushed,
            grant_id=remembered.id,
            account_id=session.account_id,
            session_id=session.id,
            auth_at=session.auth_at,
            acr=session.acr,
            amr=session.amr,
            scopes=request.scopes,
            generation=remembered.generation,
        )
        logout.note(
            connection, client, session_id=session.id, account_id=session.account_id, now=self._clock.ms(),
            acr=session.acr, amr=session.amr,
        )  # fmt: skip
        return self._answers.granted(request, client, code=code, session_id=session.id)


def _answerable(parameters: Parameters, client: Client) -> AuthorizationRequest:
    """What an error answer needs: a proved address, the state, the way the client wants it."""
    redirect_uri = check_redirect_uri(parameters, client)
    state = parameters.get("state", "")[:2048] or None
    mode = parameters.get("response_mode", "query")
    mode = full_mode(mode) if mode in MODES else "query"
    if client.signs_messages and mode not in SIGNED_MODES:
        mode += ".jwt"  # errors too (FAPI 2.0 Message Signing section 5.4.1)
    return AuthorizationRequest(client.id, redirect_uri, "", state=state, response_mode=mode)


def read_cookie(call: Call, name: bytes) -> str | None:
    """The value of a cookie; None if it is missing or sent twice (a planted second one decides nothing)."""
    found = None
    for header in call.header_values(b"cookie"):
        for pair in header.split(b";"):
            key, _, value = pair.strip().partition(b"=")
            if key == name:
                if found is not None:
                    return None
                found = value.decode("latin-1")
    return found


def _parts(name: str, value: str) -> list[str]:
    return value.split(" ") if name == "resource" else [value]


def _redirect(location: str, *headers: tuple[bytes, bytes]) -> Reply:
    # 303 and not 302 or 307: the form of a page is never sent on (RFC 9700 section 2.1, 4.12).
    return Reply(303, b"", [(b"location", location.encode("ascii")), NO_STORE, *headers])
