"""The resident's side of a reset: login name and the city office's code, then a new way in.

The pages are those of a sign-up from here on: a passkey, or a password and then the app and its recovery codes. What
the session is worth follows from what was set up, not from the code. Wrong login name and wrong code are one answer.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import Profile, profile
from identity.credentials import Throttled
from identity.errors_account import AccountClosed
from identity.resets import Begun, Entered, NotYet, Resets
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts import signin as pages_of
from portal.i18n import N_
from portal.pages.doors import Doors, json_answer, json_body, json_bytes
from portal.visits import pages
from portal.web import notice, read_form, redirect, render

DONE = notice("reset.done", N_("Your new way in is ready. Every former one has stopped working."))

PLACE = "/sign-in/reset"


def router(host: Host) -> Any:
    """The pages at /sign-in/reset."""
    routes = pages(host)
    doors, resets, sealer = Doors(host), host.get(Resets), host.get(Sealer)

    async def begun(request: Request) -> tuple[Begun, Profile] | None:
        """The reset this browser is in the middle of, and whose it is."""

        def read(session: Session) -> tuple[Begun, Profile] | None:
            found = resets.begun(session, doors.attempt(request))
            return None if found is None else (found, profile(session, sealer, found.account_id))

        return await host.db.read(read)

    def again(request: Request) -> Response:
        return doors.drop_attempt(redirect(request, f"{PLACE}?expired=1"))

    def code_page(
        request: Request,
        problem: str = "",
        *,
        login: str = "",
        code: str = "",
        ready_at: int = 0,
        sooner: bool = True,
        seconds: int = 0,
        status: int = 200,
    ) -> Response:
        page = pages_of.Reset(login, problem, seconds, code, ready_at, sooner)
        response = render(request, "signin/reset.html", page, status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    @routes.get("/sign-in/reset")
    async def code(request: Request) -> Response:
        return code_page(request, "expired" if request.query_params.get("expired") == "1" else "")

    @routes.post("/sign-in/reset")
    async def code_post(request: Request) -> Response:
        form = await read_form(request)
        login = form.one("login")[:200]
        typed, second = form.one("code"), form.one("second")
        found = await host.db.write(resets.enter, login, typed, doors.browser(request), second=second)
        if isinstance(found, NotYet):
            problem = "second" if found.wrong_second else "waits"
            when, sooner = found.ready_at, found.sooner
            return code_page(request, problem, login=login, code=typed, ready_at=when, sooner=sooner, status=422)
        if isinstance(found, Entered):
            return doors.keep_attempt(redirect(request, f"{PLACE}/new"), found.token, "reset")
        if isinstance(found, Throttled):
            return code_page(request, "throttled", login=login, seconds=found.seconds, status=429)
        return code_page(request, "refused", login=login, status=422)

    async def new_page(request: Request, problem: str = "", status: int = 200) -> Response:
        found = await begun(request)
        if found is None:
            return again(request)
        page = pages_of.ResetKey(found[1].login, problem, doors.passkeys.available)
        return render(request, "signin/reset_key.html", page, status=status)

    @routes.get("/sign-in/reset/new")
    async def new(request: Request) -> Response:
        return await new_page(request)

    @routes.post("/sign-in/reset/password")
    async def password(request: Request) -> Response:
        form = await read_form(request)
        found = await begun(request)
        if found is None:
            return again(request)
        problem = await doors.weak(form, found[1])
        if problem:
            return await new_page(request, problem, 422)
        hashed = await doors.credentials.hash(form.raw("password"))
        try:
            made = await host.db.write(resets.finish_with_password, found[0], hashed, doors.browser(request))
        except AccountClosed:  # locked meanwhile
            made = None
        if made is None:
            return again(request)
        # A password alone is level 1: the app and its recovery codes come next, as after a sign-up.
        follow = redirect(request, "/safety/app?first=1&next=/home", notice=DONE)
        return await doors.keep_session(request, follow, made.token)

    async def passkey_begin(request: Request) -> Response:
        found = await begun(request)
        if found is None:
            return json_body({"go": f"{PLACE}?expired=1"}, 409)
        return json_body((await doors.passkeys.begin_reset(found[0].account_id)).encode())

    async def passkey_finish(request: Request) -> Response:
        found = await begun(request)
        if found is None:
            return json_body({"go": f"{PLACE}?expired=1"}, 409)
        reset = found[0]
        try:
            made = await doors.passkeys.finish_reset(
                reset.account_id,
                await json_bytes(request),
                doors.browser(request),
                name=i18n.current().gettext(N_("First passkey")),
                spend=lambda session: resets.spend(session, reset),
            )
        except AccountClosed:
            made = None
        if made is None:
            return json_body({"go": f"{PLACE}?expired=1"}, 409)
        response = doors.keep_notice(json_body({"next": "/home"}), DONE)
        return await doors.keep_session(request, response, made.token)

    routes.add_api_route("/sign-in/reset/passkey/begin", json_answer(passkey_begin), methods=["POST"])
    routes.add_api_route("/sign-in/reset/passkey/finish", json_answer(passkey_finish), methods=["POST"])
    return routes
