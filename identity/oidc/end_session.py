"""Signing out at the wish of a service, and what a browser still has to do afterwards.

OpenID Connect RP-Initiated Logout 1.0 sections 2 and 3, Front-Channel Logout 1.0 sections 2 and 3. With an ID token of
ours for the very person who is signed in, the wish is granted at once; otherwise the person is asked, so that no link
signs anybody out. Nobody is sent anywhere but to an address that the client registered for this (section 3.1), and has
registered still when the person, who may take half an hour, goes there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from identity import logout
from identity.clients import Client, Clients
from identity.oauth.authorize import read_cookie
from identity.oauth.errors import InvalidRequest, OAuthError
from identity.oauth.pages import ErrorPage
from identity.oauth.parameters import Parameters, read_form, read_query
from identity.oauth.request import with_query
from identity.oauth.tickets import Tickets
from identity.oidc import locales
from identity.oidc.check_session import BrowserState
from identity.oidc.hints import IdTokenHints
from identity.oidc.pages import SignedOut, SignedOutPage
from identity.sessions import BrowserSession, Sessions, session_cookie
from identity.tokens import Tokens
from keys.envelope import Sealer
from kit.clock import MINUTE, Clock
from kit.db import Database, Session
from kit.front import NO_STORE, Call, Reply
from kit.host import Actor

PATH = "/oauth/end-session"
DONE = "/oauth/signed-out"
_ASK = "/sign-out"
_LIFE = 30 * MINUTE


@dataclass(frozen=True, slots=True)
class Onward:
    """Where the browser goes afterwards, and whose address that is: `uri` as it is registered, `to` with the state."""

    to: str = ""
    client_id: str = ""
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Wish:
    """A checked request: who asks, for whom, and where to go afterwards."""

    client: Client | None
    subject: str | None
    onward: Onward
    ui_locales: tuple[str, ...] = ()


class EndSession:
    """Handles the endpoint; the portal's own sign-out page ends sessions by `end` too."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        clients: Clients,
        sessions: Sessions,
        tokens: Tokens,
        hints: IdTokenHints,
        sealer: Sealer,
        page: SignedOutPage,
        errors: ErrorPage,
        state: BrowserState,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clients = clients
        self._sessions = sessions
        self._tokens = tokens
        self._hints = hints
        self._then = Tickets(sealer, clock, context="identity|end_session|then", life=_LIFE)
        self._frames = Tickets(sealer, clock, context="identity|end_session|frames", life=_LIFE)
        self._page = page
        self._errors = errors
        self._state = state
        self._secure = issuer.startswith("https:")
        self._cookie = session_cookie(issuer).encode()

    async def get(self, call: Call) -> Reply:
        """GET /oauth/end-session (section 2)."""
        try:
            wish = await self._read(read_query(call.query))
        except OAuthError as error:
            return self._errors.render(call, error)
        session = await self._sessions.find(read_cookie(call, self._cookie))
        if session is None:
            return _see(wish.onward.to or f"{self._issuer}{_ASK}")
        mine = wish.client is not None and wish.subject == self._tokens.subject(session.account_id, wish.client.sector)
        if not mine:
            # Section 2: without proof that it is about this person, the person decides.
            asked = f"{self._issuer}{_ASK}?{urlencode({'then': self._then.seal(asdict(wish.onward))})}"
            return _see(asked, locales.cookie(wish.ui_locales, secure=self._secure))
        target = await self.end(session, session.actor(), wish.onward)
        return _see(target or f"{self._issuer}{_ASK}", *self._forget())

    async def post(self, call: Call) -> Reply:
        """POST /oauth/end-session: taken up again by GET, since a cross-site POST comes without the cookie."""
        try:
            form = read_form(call.headers.get(b"content-type", b""), await call.body())
        except OAuthError as error:
            return self._errors.render(call, error)
        return _see(f"{self._issuer}{PATH}?{urlencode(form)}")

    async def done(self, call: Call) -> Reply:
        """GET /oauth/signed-out: the frames of Front-Channel Logout section 2, and the way on."""
        try:
            ticket = self._frames.open(call.query.removeprefix("t="))
        except OAuthError as error:
            return self._errors.render(call, error)
        return self._page.render(call, SignedOut(tuple(ticket["frames"]), (await self._still(ticket["onward"])).to))

    async def end(self, session: BrowserSession, actor: Actor, onward: Onward) -> str:
        """End the session; returns where the browser goes: the page with the frames, or onward at once."""
        known = await self._database.write(self._end, session, actor)
        frames = []
        for client_id, named in known:
            client = await self._clients.get(client_id)
            if client is not None and client.usable and client.frontchannel_logout_uri is not None:
                about = {"iss": self._issuer, "sid": self._tokens.session_name(named, client)}
                frames.append(with_query(client.frontchannel_logout_uri, about))
        if not frames:
            return onward.to
        return f"{self._issuer}{DONE}?t={self._frames.seal({'onward': asdict(onward), 'frames': frames})}"

    async def then(self, ticket: str) -> Onward:
        """Where a sign-out that the person was asked about goes afterwards; raises InvalidRequest."""
        return await self._still(self._then.open(ticket)) if ticket else Onward()

    async def _still(self, sealed: Mapping[str, str]) -> Onward:
        """What was sealed, or nowhere: the address was taken from the client meanwhile, and may be another's."""
        onward = Onward(**sealed)
        client = await self._clients.get(onward.client_id)
        still = client is not None and onward.uri in client.post_logout_redirect_uris and not _is_ended(client)
        return onward if still else Onward()

    def _end(self, session: Session, current: BrowserSession, actor: Actor) -> tuple[tuple[str, str], ...]:
        known = logout.clients_of(session, current.id)
        self._sessions.end(session, current.id, actor, account_id=current.account_id)
        return known

    async def _read(self, parameters: Parameters) -> Wish:
        client_id, subject = parameters.get("client_id"), None
        languages = tuple(parameters.get("ui_locales", "")[:200].split())
        hint = parameters.get("id_token_hint")
        if hint is not None:
            claims = self._hints.claims(hint)
            subject, audience = claims["sub"], claims["aud"]
            if client_id is not None and client_id != audience:
                raise InvalidRequest("client_id is not whom id_token_hint was issued to")
            client_id = str(audience)
        client = await self._clients.get(client_id) if client_id else None
        uri = parameters.get("post_logout_redirect_uri")
        if uri is None:
            return Wish(client, subject, Onward(), languages)
        if client is None or uri not in client.post_logout_redirect_uris:
            raise InvalidRequest("post_logout_redirect_uri is not registered for this client")
        if _is_ended(client):
            return Wish(client, subject, Onward(), languages)
        state = parameters.get("state")
        to = with_query(uri, {"state": state[:2048]}) if state else uri
        return Wish(client, subject, Onward(to, client.id, uri), languages)

    def _forget(self) -> list[tuple[bytes, bytes]]:
        secure = b"; Secure" if self._secure else b""
        gone = [self._cookie + b"=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax" + secure]
        if (state := self._state.cookie(None)) is not None:
            gone.append(state.encode())
        return [(b"set-cookie", cookie) for cookie in gone]


def _is_ended(client: Client) -> bool:
    """Closes: a service that was ended for fraud, to which addresses of this city's lead on. Who wants to sign out of
    it does, and stays here."""
    return client.status != "active" or client.member_status == "suspended"


def _see(location: str, *headers: tuple[bytes, bytes]) -> Reply:
    return Reply(303, b"", [(b"location", location.encode("ascii")), NO_STORE, *headers])
