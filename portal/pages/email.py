"""The e-mail address: give one, prove it by the code that comes there, take it away, stop what waits.

Below /safety, for residents and staff alike. Giving and taking away ask for a sign-in of the last ten minutes; stopping
does not. The page says the same about an address whoever else may have it.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.emails import Asked, Confirmed, Emails, EmailView, WrongCode
from identity.sessions import BrowserSession
from kit import context
from kit.db import Session
from kit.host import Host
from kit.problems import Invalid
from portal.contexts import safety as pages_of
from portal.i18n import N_
from portal.pages.safety import recent, who
from portal.visits import pages
from portal.web import notice, read_form, redirect, render

VERIFIED = notice("email.verified", N_("Letters come to this address from now on."))
WAITS = notice(
    "email.waits", N_("That is your address. It takes the place of the old one when the wait is over."), kind="info"
)
STOPPED = notice("email.stopped", N_("Stopped. Letters come where they came before."))
REMOVED = notice("email.removed", N_("No letters come any more. What happens to your account you read here."))

PLACE = "/safety/email"


def router(host: Host) -> Any:
    """The pages at /safety/email."""
    routes = pages(host)
    emails = host.get(Emails)

    async def page(
        request: Request, current: BrowserSession, problem: str = "", *, typed: str = "", seconds: int = 0,
        tries_left: int = 0, status: int = 200,
    ) -> Response:  # fmt: skip
        view: EmailView = await host.db.read(emails.view, current.account_id)
        shown = pages_of.Email(
            address=view.address,
            verified=view.verified,
            waiting=view.waiting,
            ready_at=view.ready_at,
            typed=typed,
            code=request.query_params.get("code", "")[:20] if request.method == "GET" else "",
            problem=problem,
            seconds=seconds,
            tries_left=tries_left,
        )
        response = render(request, "safety/email.html", shown, status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    def said(request: Request, done: Confirmed, word: str) -> Response:
        return redirect(request, PLACE, notice=word if done.ready_at is None else WAITS)

    @routes.get("/safety/email")
    async def email(request: Request) -> Response:
        current = recent(host, request)
        return current if isinstance(current, Response) else await page(request, current)

    @routes.post("/safety/email")
    async def email_post(request: Request) -> Response:
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        typed = (await read_form(request)).one("email")
        try:
            source = context.request.get().source
            asked: Asked = await host.db.write(
                emails.ask, current.account_id, typed, source=source, actor=current.actor()
            )
        except Invalid:
            return await page(request, current, "address", typed=typed[:300], status=422)
        if asked.seconds:
            return await page(request, current, "throttled", typed=typed, seconds=asked.seconds, status=429)
        return redirect(request, PLACE)

    @routes.post("/safety/email/confirm")
    async def confirm(request: Request) -> Response:
        current = who(request)
        code = (await read_form(request)).one("code")
        done = await host.db.write(emails.confirm, current.account_id, code, actor=current.actor())
        if isinstance(done, WrongCode):
            problem = "refused" if done.tries_left else "expired"
            if not done.tries_left:
                await host.db.write(_forget_unproved, emails, current)
            return await page(request, current, problem, tries_left=done.tries_left, status=422)
        return said(request, done, VERIFIED)

    @routes.post("/safety/email/remove")
    async def remove(request: Request) -> Response:
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        done: Confirmed = await host.db.write(emails.remove, current.account_id, actor=current.actor())
        return said(request, done, REMOVED)

    @routes.post("/safety/email/stop")
    async def stop(request: Request) -> Response:
        current = who(request)
        await host.db.write(emails.stop, current.account_id, actor=current.actor())
        return redirect(request, PLACE, notice=STOPPED)

    return routes


def _forget_unproved(session: Session, emails: Emails, current: BrowserSession) -> None:
    """Too many wrong codes: the address is asked for anew. One that waits for its day is left alone."""
    view = emails.view(session, current.account_id)
    if view.waiting is not None and view.ready_at is None:
        emails.stop(session, current.account_id, actor=current.actor())
