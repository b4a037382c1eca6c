"""Recovering an account at home: login name and recovery code, the code from the letter, then a wait.

The pages say the same whether the name, the code and an address exist or not. At the end stands a code on the screen,
once, for `/sign-in/reset` on the day it says; the letter and every open page tell the owner, who can stop it.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.credentials import Throttled
from identity.recoveries import Proved, Recoveries
from kit.host import Host
from portal.contexts import signin as pages_of
from portal.pages.doors import Doors
from portal.visits import pages
from portal.web import read_form, redirect, render

PLACE = "/sign-in/recover"


def router(host: Host) -> Any:
    """The pages at /sign-in/recover."""
    routes = pages(host)
    doors, recoveries = Doors(host), host.get(Recoveries)

    def first(request: Request, problem: str = "", *, login: str = "", seconds: int = 0, status: int = 200) -> Response:
        response = render(request, "signin/recover.html", pages_of.Recover(login, problem, seconds), status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    def letter(request: Request, problem: str = "", *, left: int = 5, seconds: int = 0, status: int = 200) -> Response:
        page = pages_of.RecoverLetter(problem, left, seconds)
        response = render(request, "signin/recover_letter.html", page, status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    def again(request: Request) -> Response:
        return doors.drop_attempt(redirect(request, f"{PLACE}?expired=1"))

    @routes.get(PLACE)
    async def recover(request: Request) -> Response:
        return first(request, "expired" if request.query_params.get("expired") == "1" else "")

    @routes.post(PLACE)
    async def recover_post(request: Request) -> Response:
        form = await read_form(request)
        login, code = form.one("login")[:200], form.one("code")
        if not login or not code:
            return first(request, "blank", login=login, status=422)
        asked = await host.db.write(recoveries.begin, login, code, doors.browser(request))
        if isinstance(asked, Throttled):
            return first(request, "throttled", login=login, seconds=asked.seconds, status=429)
        return doors.keep_attempt(redirect(request, f"{PLACE}/letter"), asked.token, "recover")

    @routes.get(f"{PLACE}/letter")
    async def letter_page(request: Request) -> Response:
        if not await host.db.read(recoveries.waiting, doors.attempt(request)):
            return again(request)
        return letter(request)

    @routes.post(f"{PLACE}/letter")
    async def letter_post(request: Request) -> Response:
        code = (await read_form(request)).one("code")
        done = await host.db.write(recoveries.confirm, doors.attempt(request), code, doors.browser(request))
        if isinstance(done, Throttled):
            return letter(request, "throttled", seconds=done.seconds, status=429)
        if isinstance(done, Proved):
            page = pages_of.RecoverBegun(done.code, done.ready_at, done.until)
            return doors.drop_attempt(render(request, "signin/recover_begun.html", page))
        if not done.tries_left:
            return again(request)
        return letter(request, "refused", left=done.tries_left, status=422)

    return routes
