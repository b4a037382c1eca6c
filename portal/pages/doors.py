"""What every door shares: the cookies of a browser, what is half done in it, what waits behind, JSON for the script.

Three cookies: the session, the attempt (a sign-in, sign-up or reset that is half done) and the browser's own random
number, by which it is recognised. Only the passkey endpoints speak JSON.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import Profile
from identity.attempts import LIFETIME, Attempts, Purpose, Waiting
from identity.breached import Breached
from identity.browsers import KEPT
from identity.certificates.sign_in import CertificateSignIn
from identity.clients import Clients
from identity.credentials import Credentials
from identity.errors import UnknownInteraction
from identity.errors_account import WeakPassword
from identity.interaction import Interactions
from identity.oauth.errors import OAuthError
from identity.oidc.check_session import BrowserState
from identity.oidc.end_session import EndSession, Onward
from identity.passkeys import Passkeys
from identity.password_policy import require_good
from identity.sessions import Sessions, session_cookie
from identity.sign_ins import Browser
from identity.throttle import Throttles
from identity.upstream.flow import Upstreams
from kit.db import Session
from kit.front import problem_reply
from kit.host import Host
from kit.ids import secret
from kit.problems import Problem, UnsupportedType
from portal import i18n
from portal.contexts import signin as pages_of
from portal.i18n import N_
from portal.visits import Visit, visit_of
from portal.web import NOTICE_COOKIE, Form, origin_of
from portal.web import _body as read_body

_INTERACTION = re.compile(r"/interaction/(int_[0-9a-z]{26})(?:\?.*)?")
_BROWSER = re.compile(r"skb_[A-Za-z0-9_-]{43}")
NO_STORE = {"cache-control": "no-store"}
_JSON_LIMIT = 32_768

#: What a service learns by scope, in words.
LEARNS: dict[str, str] = {
    "openid": N_("A number that stands for you at this service only"),
    "profile": N_(
        "Your name, its reading, what to call you, gender, date of birth, language, and when this last changed"
    ),
    "email": N_("Your e-mail address"),
    "address": N_("Your postal address"),
    "phone": N_("Your telephone number"),
    "offline_access": N_("It stays connected until you end that"),
}


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-up whose first page is filled in."""

    account_id: str
    next: str
    person: Profile

    def pack(self) -> bytes:
        """For the attempt's sealed notes."""
        return orjson.dumps({"account_id": self.account_id, "next": self.next, "person": asdict(self.person)})

    @classmethod
    def unpack(cls, data: bytes) -> "Started":
        """From the notes."""
        found = orjson.loads(data)
        return cls(found["account_id"], found["next"], Profile(**found["person"]))


class Doors:
    """What the handlers share: the host's services and the two cookies."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.credentials = host.get(Credentials)
        self.passkeys = host.get(Passkeys)
        self.sessions = host.get(Sessions)
        self.attempts = host.get(Attempts)
        self.throttles = host.get(Throttles)
        self.breached = host.get(Breached)
        self.state = host.get(BrowserState)
        self.upstreams = host.get(Upstreams)
        self.certificates = host.get(CertificateSignIn)
        self.secure = host.issuer.startswith("https://")
        self.session_cookie = session_cookie(host.issuer)
        self.browser_cookie = session_cookie(host.issuer, "browser")
        self.upstream_cookie = session_cookie(host.issuer, "upstream")
        self.attempt_cookie = session_cookie(host.issuer, "attempt")

    # -- the browser

    def browser(self, request: Request) -> Browser:
        """What throttling, the session list, recognition and the trail need to know."""
        current = visit_of(request).browser
        return Browser(
            source=request.client.host if request.client else "",
            user_agent=request.headers.get("user-agent", ""),
            session_id=current.id if current is not None else None,
            known=self.known(request),
        )

    def known(self, request: Request) -> str:
        """The browser's own random number; a new one for a browser that has none, kept when somebody signs in."""
        given = request.cookies.get(self.browser_cookie, "")
        if not _BROWSER.fullmatch(given):
            given = getattr(request.state, "known", "") or secret("skb")
            request.state.known = given
        return given

    async def keep_session(self, request: Request, response: Response, token: str) -> Response:
        """Put the session into the browser and take the attempt out of it."""
        response.set_cookie(self.session_cookie, token, secure=self.secure, httponly=True, samesite="lax", path="/")
        response.set_cookie(
            self.browser_cookie, self.known(request), max_age=KEPT // 1000, secure=self.secure, httponly=True,
            samesite="lax", path="/",
        )  # fmt: skip
        if self.state.on and (begun := await self.sessions.find(token)) is not None:
            self.tell_frames(response, begun.id)
        return self.drop_attempt(response)

    def tell_frames(self, response: Response, session_id: str | None) -> None:
        """Let the frames of Session Management know, where the city has them."""
        cookie = self.state.cookie(session_id)
        if cookie is not None:
            response.headers.append("set-cookie", cookie)

    def drop_session(self, response: Response) -> Response:
        """Take the session out of the browser."""
        response.delete_cookie(self.session_cookie, secure=self.secure, httponly=True, samesite="lax", path="/")
        self.tell_frames(response, None)
        return response

    def keep_attempt(self, response: Response, token: str, purpose: Purpose) -> Response:
        """Put a half-done sign-in, sign-up or reset into the browser."""
        seconds = LIFETIME[purpose] // 1000
        response.set_cookie(
            self.attempt_cookie, token, max_age=seconds, secure=self.secure, httponly=True, samesite="lax", path="/"
        )
        return response

    def drop_attempt(self, response: Response) -> Response:
        """Take it out again."""
        response.delete_cookie(self.attempt_cookie, secure=self.secure, httponly=True, samesite="lax", path="/")
        return response

    def keep_notice(self, response: Response, code: str) -> Response:
        """A notice for the page the script goes to next."""
        response.set_cookie(NOTICE_COOKIE, code, max_age=120, secure=self.secure, httponly=True, samesite="lax")
        return response

    def attempt(self, request: Request) -> str | None:
        """The half-done sign-in or sign-up of this browser."""
        return request.cookies.get(self.attempt_cookie)

    async def weak(self, form: Form, person: Profile) -> str:
        """Why a new password will not do: short, long, blank, common, breached, repeat; empty if it will."""
        password, own = form.raw("password"), [person.login, person.name, person.name_kana, person.birthdate]
        try:
            await require_good(password, breached=self.breached, own=own)
        except WeakPassword as refused:
            return str(refused.extra["reason"])
        return "" if form.raw("repeat") == password else "repeat"

    # -- other ways in

    def elsewhere(self) -> tuple[str, ...]:
        """The origins that the other ways in lead to, for a page's policy."""
        shown_at = (self.certificates.shown_at,) if self.certificates.all and self.certificates.shown_at else ()
        return (*(one.pages_at for one in self.upstreams.all), *shown_at)

    def linkable(self, kind: str) -> bool:
        """Whether there is anything this kind of account could link."""
        ways = [*(one.id for one in self.upstreams.all), *(one.id for one in self.certificates.all)]
        return any(self.upstreams.entrance.may(way, kind) for way in ways)

    # -- what waits

    async def waiting(self, next_path: str) -> tuple[pages_of.Waiting | None, str]:
        """The service that waits behind `next`, and the login name it hinted at."""
        match = _INTERACTION.fullmatch(next_path)
        if match is None:
            return None, ""
        interactions = self.host.get(Interactions)
        try:
            interaction = await self.host.db.read(interactions.get, match[1])
        except UnknownInteraction:
            return None, ""
        client = await self.host.get(Clients).get(interaction.client_id)
        if client is None:
            return None, ""
        service = client.name_ja if i18n.current().code == "ja" else client.name_en
        learns = tuple(LEARNS[scope] for scope in LEARNS if scope in interaction.scopes)
        hint = interaction.login_hint or ""
        return pages_of.Waiting(service, learns, bool(interaction.details)), hint[:200]

    async def leads_to(self, next_path: str) -> tuple[str, ...]:
        """The origin of the service that waits behind `next`, for the page's policy.

        A remembered service is answered without a page, and Chromium applies `form-action` along the redirects from
        our form to it.
        """
        match = _INTERACTION.fullmatch(next_path)
        if match is None:
            return ()
        try:
            interaction = await self.host.db.read(self.host.get(Interactions).get, match[1])
        except UnknownInteraction:
            return ()
        return (origin_of(interaction.redirect_uri),)

    async def half_way_to(self, request: Request) -> tuple[str, ...]:
        """The same for a sign-in whose second factor is missing."""

        def read(session: Session) -> str:
            found = self.attempts.find(session, self.attempt(request), "sign-in")
            return found.notes.decode() if found is not None else ""

        return await self.leads_to(await self.host.db.read(read))

    async def afterwards(self, ticket: str) -> Onward:
        """Where a sign-out that a service asked for leads (checked before it was sealed), or nowhere."""
        try:
            return await self.host.get(EndSession).then(ticket)
        except OAuthError:
            return Onward()

    async def started(self, request: Request) -> tuple[Waiting, Started] | None:
        """The sign-up this browser is in the middle of."""

        def read(session: Session) -> Waiting | None:
            return self.attempts.find(session, self.attempt(request), "sign-up")

        found = await self.host.db.read(read)
        return None if found is None else (found, Started.unpack(found.notes))


def home_of(visit: Visit) -> str:
    """Where somebody who is signed in begins."""
    return "/desk" if visit.browser is not None and visit.browser.kind == "staff" else "/home"


def json_answer(
    handler: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """For the script's endpoints: problems stay problem details instead of becoming pages."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Problem as problem:
            reply = problem_reply(problem)
            response = Response(reply.body, status_code=reply.status)
            response.raw_headers.extend(reply.headers)
            return response

    return answer


def json_body(value: Any, status: int = 200) -> Response:
    """A JSON answer nobody keeps."""
    body = value if isinstance(value, bytes) else orjson.dumps(value)
    return Response(body, status_code=status, media_type="application/json", headers=NO_STORE)


async def json_bytes(request: Request) -> bytes:
    """The body of the script's request. The content type closes form posts from elsewhere. Raises UnsupportedType."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedType("Send application/json.")
    return await read_body(request, _JSON_LIMIT)
