"""The doors: signing in, signing up, signing out. A passkey first; a password with a second factor as the other way.

Plain forms and redirects (POST, then 303), so that they work without a script and for programs; only the passkey
endpoints speak JSON. Where to go next travels through and is a path of ours or nothing (`local_path`). Nobody learns
here which login names exist, except the person who is just choosing one.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity import credentials as outcome
from identity.accounts import Profile, create_account, find_account, read_login
from identity.attempts import LIFETIME, Attempts, Purpose, Waiting
from identity.breached import Breached
from identity.browsers import KEPT
from identity.certificates.sign_in import CertificateSignIn
from identity.clients import Clients
from identity.credentials import CodeKind, Credentials
from identity.errors import UnknownInteraction
from identity.errors_account import LoginTaken, WeakPassword
from identity.interaction import Interactions
from identity.oauth.errors import OAuthError
from identity.oidc.check_session import BrowserState
from identity.oidc.end_session import EndSession, Onward
from identity.oidc.pages import SignedOut, SignedOutPage
from identity.passkeys import Passkeys
from identity.password_policy import require_good
from identity.sessions import Sessions, session_cookie
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from identity.upstream.flow import Upstreams
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import to_datetime
from kit.db import Session
from kit.front import Call, Reply, ascii_query, problem_reply
from kit.host import ANONYMOUS, Actor, Host
from kit.ids import new_id, secret
from kit.problems import Invalid, Problem, TooMany, UnsupportedType
from portal import i18n
from portal.contexts import signin as pages_of
from portal.i18n import N_
from portal.typed_dates import read_birthdate
from portal.visits import Visit, pages, visit_of
from portal.web import NOTICE_COOKIE, Form, local_path, notice, origin_of, page_headers, read_form, redirect, render
from portal.web import _body as read_body

SIGNED_OUT = notice("signin.out", N_("You are signed out. This browser does not know you any more."))
WELCOME = notice("signin.welcome", N_("Welcome. Your account is ready, and your passkey opens it."))
PASSWORD_ONLY = notice(
    "signin.password-only",
    N_("You are signed in by password alone. Under Safety you can add a passkey, which is easier and safer."),
    kind="info",
)

_INTERACTION = re.compile(r"/interaction/(int_[0-9a-z]{26})(?:\?.*)?")
_BROWSER = re.compile(r"skb_[A-Za-z0-9_-]{43}")
_NO_STORE = {"cache-control": "no-store"}
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
        self.browser_cookie = "__Host-sekisho-browser" if self.secure else "sekisho-local-browser"
        self.upstream_cookie = "__Host-sekisho-upstream" if self.secure else "sekisho-local-upstream"
        self.attempt_cookie = "__Host-sekisho-attempt" if self.secure else "sekisho-local-attempt"

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
    return Response(body, status_code=status, media_type="application/json", headers=_NO_STORE)


async def json_bytes(request: Request) -> bytes:
    """The body of the script's request. The content type closes form posts from elsewhere. Raises UnsupportedType."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedType("Send application/json.")
    return await read_body(request, _JSON_LIMIT)


def router(host: Host) -> Any:
    """The pages at /sign-in, /sign-up and /sign-out."""
    routes = pages(host)
    doors = Doors(host)
    host.get(SignedOutPage).render = _signed_out

    async def inside(request: Request, done: SignedIn) -> Response:
        """Signed in: on to where the person wanted to go."""
        place = local_path(done.next, "/desk" if done.session.kind == "staff" else "/home")
        weak = PASSWORD_ONLY if done.session.amr == ("pwd",) else None
        return await doors.keep_session(request, redirect(request, place, notice=weak), done.token)

    # -- sign-in: password

    async def sign_in_page(
        request: Request,
        next_path: str,
        *,
        again: bool,
        login: str = "",
        problem: str = "",
        seconds: int = 0,
        status: int = 200,
    ) -> Response:
        waiting, hint = await doors.waiting(next_path)
        page = pages_of.SignIn(
            next=next_path,
            login=login or hint,
            again=again,
            problem=problem,
            seconds=seconds,
            passkeys=doors.passkeys.available,
            waiting=waiting,
            upstreams=tuple(pages_of.Way(one.id, one.label[i18n.current().code]) for one in doors.upstreams.all),
            certificates=tuple(pages_of.Way(one.id, one.label[i18n.current().code]) for one in doors.certificates.all),
        )
        leads_to = (*await doors.leads_to(next_path), *doors.elsewhere())
        response = render(request, "signin/sign_in.html", page, status=status, form_action=leads_to)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    @routes.get("/sign-in")
    async def sign_in(request: Request) -> Response:
        visit = visit_of(request)
        again = request.query_params.get("again") == "1" and visit.browser is not None
        next_path = local_path(request.query_params.get("next"), home_of(visit))
        if visit.browser is not None and not again:
            return RedirectResponse(next_path, status_code=303, headers=_NO_STORE)
        expired = "expired" if request.query_params.get("expired") == "1" else ""
        return await sign_in_page(request, next_path, again=again, problem=expired)

    @routes.post("/sign-in")
    async def sign_in_post(request: Request) -> Response:
        form = await read_form(request)
        login, password = form.one("login"), form.raw("password")
        next_path, again = local_path(form.one("next"), ""), form.one("again") == "1"
        found = await doors.credentials.sign_in(login, password, doors.browser(request), next=next_path)
        if isinstance(found, SignedIn):
            return await inside(request, found)
        if isinstance(found, outcome.CodeNeeded):
            return doors.keep_attempt(redirect(request, "/sign-in/code"), found.token, "sign-in")
        if isinstance(found, outcome.Throttled):
            return await sign_in_page(
                request, next_path or "/home", again=again, login=login, problem="throttled",
                seconds=found.seconds, status=429,
            )  # fmt: skip
        return await sign_in_page(
            request, next_path or "/home", again=again, login=login, problem="refused", status=422
        )

    # -- sign-in: second factor

    def begin_again(request: Request) -> Response:
        return doors.drop_attempt(redirect(request, "/sign-in?expired=1"))

    async def second_page(request: Request, kind: CodeKind) -> Response:
        if not await doors.credentials.waiting_for_code(doors.attempt(request)):
            return begin_again(request)
        return _second(request, kind, "", 0, 5, 200, await doors.half_way_to(request))

    async def second_post(request: Request, kind: CodeKind) -> Response:
        form = await read_form(request)
        found = await doors.credentials.sign_in_code(
            doors.attempt(request), form.one("code"), doors.browser(request), kind=kind
        )
        if isinstance(found, SignedIn):
            return await inside(request, found)
        if isinstance(found, outcome.Expired):
            return begin_again(request)
        if isinstance(found, outcome.Throttled):
            leads_to = await doors.half_way_to(request)
            response = _second(request, kind, "throttled", found.seconds, 0, 429, leads_to)
            response.headers["retry-after"] = str(found.seconds)
            return response
        if not found.tries_left:
            return begin_again(request)
        leads_to = await doors.half_way_to(request)
        return _second(request, kind, "refused", 0, found.tries_left, 422, leads_to)

    @routes.get("/sign-in/code")
    async def code(request: Request) -> Response:
        return await second_page(request, "totp")

    @routes.post("/sign-in/code")
    async def code_post(request: Request) -> Response:
        return await second_post(request, "totp")

    @routes.get("/sign-in/recovery")
    async def recovery(request: Request) -> Response:
        return await second_page(request, "recovery")

    @routes.post("/sign-in/recovery")
    async def recovery_post(request: Request) -> Response:
        return await second_post(request, "recovery")

    # -- sign-in: passkey

    async def passkey_begin(request: Request) -> Response:
        return json_body((await doors.passkeys.begin_sign_in(doors.browser(request).source)).encode())

    async def passkey_finish(request: Request) -> Response:
        next_path = local_path(request.query_params.get("next"), "")
        found = await doors.passkeys.finish_sign_in(await json_bytes(request), doors.browser(request), next=next_path)
        if isinstance(found, outcome.Throttled):
            raise TooMany("Too many tries from here.", retry_after=found.seconds)
        home = "/desk" if found.session.kind == "staff" else "/home"
        return await doors.keep_session(request, json_body({"next": local_path(found.next, home)}), found.token)

    routes.add_api_route("/sign-in/passkey/begin", json_answer(passkey_begin), methods=["POST"])
    routes.add_api_route("/sign-in/passkey/finish", json_answer(passkey_finish), methods=["POST"])

    # -- sign-up

    def sign_up_page(
        request: Request,
        next_path: str,
        values: dict[str, str],
        errors: dict[str, str],
        *,
        throttled: int = 0,
        status: int = 200,
    ) -> Response:
        page = pages_of.SignUp(next_path, values, errors, pages_of.LABELS, throttled)
        response = render(request, "signin/sign_up.html", page, status=status)
        if throttled:
            response.headers["retry-after"] = str(throttled)
        return response

    @routes.get("/sign-up")
    async def sign_up(request: Request) -> Response:
        if visit_of(request).browser is not None:
            return RedirectResponse(home_of(visit_of(request)), status_code=303, headers=_NO_STORE)
        begun = await doors.started(request)
        next_path = local_path(request.query_params.get("next"), begun[1].next if begun else "/home")
        person = begun[1].person if begun else Profile(name="")
        values = {name: str(getattr(person, name)) for name in pages_of.LABELS}
        return sign_up_page(request, next_path, values, {})

    @routes.post("/sign-up")
    async def sign_up_post(request: Request) -> Response:
        form = await read_form(request)
        next_path = local_path(form.one("next"))
        values = {name: form.one(name) for name in pages_of.LABELS}
        person, errors = read_person(form, now_ms=host.clock.ms())

        def begin(session: Session) -> str | int | None:
            """Keep the form; or how long to wait; or None when the login name is taken."""
            wait = doors.throttles.charge_sign_up(session, source=doors.browser(request).source, now=host.clock.ms())
            if wait is not None:
                return wait.seconds
            if find_account(session, host.get(TokenHasher), person.login) is not None:
                return None
            notes = Started(new_id("acc"), next_path, person).pack()
            return doors.attempts.begin(session, "sign-up", notes=notes)

        if not errors:
            found = await host.db.write(begin)
            if isinstance(found, int):
                return sign_up_page(request, next_path, values, {}, throttled=found, status=429)
            if found is not None:
                return doors.keep_attempt(redirect(request, "/sign-up/key"), found, "sign-up")
            errors = {"login": i18n.current().gettext(_TAKEN)}
        return sign_up_page(request, next_path, values, errors, status=422)

    async def key_page(request: Request, problem: str = "", status: int = 200) -> Response:
        begun = await doors.started(request)
        if begun is None:
            return redirect(request, "/sign-up")
        person = begun[1].person
        page = pages_of.SignUpKey(person.name, person.login, problem, doors.passkeys.available)
        return render(request, "signin/sign_up_key.html", page, status=status)

    @routes.get("/sign-up/key")
    async def sign_up_key(request: Request) -> Response:
        return await key_page(request)

    @routes.post("/sign-up/password")
    async def sign_up_password(request: Request) -> Response:
        form = await read_form(request)
        begun = await doors.started(request)
        if begun is None:
            return redirect(request, "/sign-up")
        waiting, started = begun
        problem = await doors.weak(form, started.person)
        if problem:
            return await key_page(request, problem, 422)
        hashed = await doors.credentials.hash(form.raw("password"))
        browser = doors.browser(request)

        def make(session: Session) -> SignedIn | None:
            """The account and its first session; None if this sign-up was completed already."""
            if not doors.attempts.use_up(session, waiting):
                return None
            create_account(
                session,
                host.get(Sealer),
                host.get(TokenHasher),
                login=started.person.login,
                profile=started.person,
                now=host.clock.ms(),
                password_hash=hashed,
                actor=Actor("resident", started.account_id),
                account_id=started.account_id,
            )
            return doors.credentials.sign_in_new(session, started.account_id, browser, next=started.next)

        try:
            made = await host.db.write(make)
        except LoginTaken:
            return redirect(request, "/sign-up")
        if made is None:
            return redirect(request, "/sign-in")
        follow = redirect(request, "/safety/app?" + urlencode({"first": "1", "next": started.next}))
        return await doors.keep_session(request, follow, made.token)

    async def sign_up_passkey_begin(request: Request) -> Response:
        begun = await doors.started(request)
        if begun is None:
            return json_body({"go": "/sign-up"}, 409)
        return json_body((await doors.passkeys.begin_sign_up(begun[1].account_id, begun[1].person)).encode())

    async def sign_up_passkey_finish(request: Request) -> Response:
        begun = await doors.started(request)
        if begun is None:
            return json_body({"go": "/sign-up"}, 409)
        waiting, started = begun
        made = await doors.passkeys.finish_sign_up(
            started.account_id,
            started.person,
            await json_bytes(request),
            doors.browser(request),
            name=i18n.current().gettext(N_("First passkey")),
            next=started.next,
        )
        await host.db.write(doors.attempts.use_up, waiting)
        response = doors.keep_notice(json_body({"next": local_path(made.next)}), WELCOME)
        return await doors.keep_session(request, response, made.token)

    routes.add_api_route("/sign-up/passkey/begin", json_answer(sign_up_passkey_begin), methods=["POST"])
    routes.add_api_route("/sign-up/passkey/finish", json_answer(sign_up_passkey_finish), methods=["POST"])

    # -- sign-out

    @routes.get("/sign-out")
    async def sign_out(request: Request) -> Response:
        then = request.query_params.get("then", "")[:16_384]
        to = (await doors.afterwards(then)).to
        page = pages_of.SignOut(signed_in=visit_of(request).browser is not None, then=then, to=to)
        return render(request, "signin/sign_out.html", page, form_action=(origin_of(to),) if to else ())

    @routes.post("/sign-out")
    async def sign_out_post(request: Request) -> Response:
        current = visit_of(request).browser
        # A program may post nothing at all: whoever wants to sign out is signed out.
        then = (await read_form(request)).one("then") if "content-type" in request.headers else ""
        onward = await doors.afterwards(then)
        to = onward.to
        if current is not None:
            actor = getattr(request.state, "actor", ANONYMOUS)
            to = await host.get(EndSession).end(current, actor, onward)
        if to:  # to the service that asked, by way of the page that tells the other services
            return doors.drop_session(doors.drop_attempt(RedirectResponse(to, status_code=303, headers=_NO_STORE)))
        return doors.drop_session(doors.drop_attempt(redirect(request, "/", notice=SIGNED_OUT)))

    return routes


def _second(
    request: Request,
    kind: CodeKind,
    problem: str,
    seconds: int,
    tries_left: int,
    status: int,
    leads_to: tuple[str, ...],
) -> Response:
    template, page = (
        ("signin/code.html", pages_of.Code(problem, seconds, tries_left))
        if kind == "totp"
        else ("signin/recovery.html", pages_of.Recovery(problem, seconds, tries_left))
    )
    return render(request, template, page, status=status, form_action=leads_to)


def _signed_out(call: Call, page: SignedOut) -> Reply:
    """Signed out, with a frame for each service that wants to be told through the browser."""
    request = Request({**call.scope, "query_string": ascii_query(call.scope["query_string"])})
    answer = render(request, "signin/signed_out.html", pages_of.SignedOut(page.frames, page.to))
    headers = page_headers()
    headers["content-security-policy"] += f"; frame-src {page.frame_sources}"  # exactly this session's services
    said = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Reply(200, bytes(answer.body), [(b"content-type", b"text/html; charset=utf-8"), *said])


# -- reading the forms


_TAKEN = N_("Somebody else uses this login name. Choose another.")
WRONG = {
    "name": N_("Write your name."),
    "name_kana": N_("Write it in hiragana or katakana, or leave it empty."),
    "birthdate": N_("This date could not be read. Write for example 1951-4-2 or 昭和26年4月2日."),
    "login": N_("Use 3 to 64 letters from a to z, digits, or . _ @ + -"),
}
_KANA = re.compile(r"[ァ-ヺー・ \u3000]*")
_HIRAGANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}


def read_name(typed: str) -> str | None:
    """A name as it is kept, character for character: no normal form, for the register tells 渡邉 from 渡邊, and 葛󠄀 from
    葛 by a variation selector (Unicode UTS #37) that every normal form keeps and every careless filter drops. None for
    what is no name."""
    name = " ".join(typed.split())
    return name if name and len(name) <= 80 and name.isprintable() else None


def read_kana(typed: str) -> str | None:
    """A reading, in katakana; "" for none, None for what is no kana."""
    kana = " ".join(typed.split()).translate(_HIRAGANA)
    return kana if len(kana) <= 80 and _KANA.fullmatch(kana) else None


def read_person(form: Form, *, now_ms: int) -> tuple[Profile, dict[str, str]]:
    """The person a sign-up form describes, and what is wrong with it, by field, in the reader's language."""
    errors: dict[str, str] = {}
    language = i18n.current()

    def wrong(name: str) -> None:
        errors[name] = language.gettext(WRONG[name])

    name, kana = read_name(form.one("name")), read_kana(form.one("name_kana"))
    if name is None:
        wrong("name")
    if kana is None:
        wrong("name_kana")
    birthdate = ""
    try:
        today: datetime = to_datetime(now_ms).astimezone(i18n.JST)
        birthdate = read_birthdate(form.one("birthdate"), today=today.date()).isoformat()
    except ValueError:
        wrong("birthdate")
    login = ""
    try:
        login = read_login(form.one("login"))
    except Invalid:
        wrong("login")
    person = Profile(name=name or "", name_kana=kana or "", birthdate=birthdate, login=login, locale=language.code)
    return person, errors
