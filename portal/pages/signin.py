"""The doors: signing in, signing up, signing out. A passkey first; a password with a second factor as the other way.

Plain forms and redirects (POST, then 303), so that they work without a script and for programs; only the passkey
endpoints speak JSON. Where to go next travels through and is a path of ours or nothing (`local_path`). Nobody learns
here which login names exist, except the person who is just choosing one.
"""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity import credentials as outcome
from identity.accounts import Profile, create_account, find_account
from identity.credentials import CodeKind
from identity.errors_account import LoginTaken
from identity.oidc.end_session import EndSession
from identity.oidc.pages import SignedOut, SignedOutPage
from identity.sign_ins import SignedIn
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.db import Session
from kit.front import Call, Reply, ascii_query
from kit.host import ANONYMOUS, Actor, Host
from kit.ids import new_id
from kit.problems import TooMany
from portal import i18n
from portal.contexts import signin as pages_of
from portal.i18n import N_
from portal.pages.doors import NO_STORE, Doors, Started, home_of, json_answer, json_body, json_bytes
from portal.pages.person_form import read_person
from portal.visits import pages, visit_of
from portal.web import local_path, notice, origin_of, page_headers, read_form, redirect, render

SIGNED_OUT = notice("signin.out", N_("You are signed out. This browser does not know you any more."))
WELCOME = notice("signin.welcome", N_("Welcome. Your account is ready, and your passkey opens it."))
PASSWORD_ONLY = notice(
    "signin.password-only",
    N_("You are signed in by password alone. Under Safety you can add a passkey, which is easier and safer."),
    kind="info",
)

_TAKEN = N_("Somebody else uses this login name. Choose another.")


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
            return RedirectResponse(next_path, status_code=303, headers=NO_STORE)
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
            return RedirectResponse(home_of(visit_of(request)), status_code=303, headers=NO_STORE)
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
            return doors.drop_session(doors.drop_attempt(RedirectResponse(to, status_code=303, headers=NO_STORE)))
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
