"""Mandates: I let somebody act for me; I act for somebody; and the way back, always in sight.

Whoever acts sees the other person's consents and nothing else (`portal.visits.require_session`); giving, confirming and
ending mandates is one's own business and closed while one acts, so a mandate never makes another.
"""

from datetime import date
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consent.purposes import PURPOSES
from identity import mandates
from identity.errors_account import MandateClosed
from identity.mandates import Mandates, MandateView
from identity.sessions import BrowserSession, Sessions
from identity.throttle import Wait
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import Conflict, Invalid
from portal import i18n
from portal.contexts import mandates as pages_of
from portal.i18n import N_
from portal.pages.instructions import purpose_groups
from portal.pages.safety import recent, who
from portal.visits import SignInNeeded, pages, require_session, visit_of
from portal.web import Form, notice, read_form, redirect, render

ACCEPTED = notice("mandates.accepted", N_("Accepted. It counts when the other person has confirmed that it is you."))
BEGUN = notice("mandates.begun", N_("Confirmed. This person may act for you from now on, until you end it."))
ENDED = notice("mandates.ended", N_("Ended, at once. Nobody acts under this mandate any more."))
BACK = notice("mandates.back", N_("You are back in your own account."))

PLACE = "/mandates"


def router(host: Host) -> Any:
    """The pages at /mandates."""
    routes = pages(host)
    desk, sealer, sessions = host.get(Mandates), host.get(Sealer), host.get(Sessions)

    async def page(
        request: Request, current: BrowserSession, problem: str = "", *, form: Form | None = None, seconds: int = 0,
        status: int = 200,
    ) -> Response:  # fmt: skip
        def read(session: Session) -> pages_of.MandatesPage:
            lang = i18n.current().code
            me = current.account_id
            return pages_of.MandatesPage(
                given=tuple(_line(session, sealer, each, me, lang) for each in desk.given(session, me)),
                held=tuple(
                    _line(session, sealer, each, me, lang)
                    for each in desk.held(session, me)
                    if each.status != "checked"  # the counter is still looking at it
                ),
                purposes=purpose_groups(lang),
                ticked=tuple(form.all("actions")) if form else (),
                until=form.one("until") if form else "",
                problem=problem,
                seconds=seconds,
            )

        return render(request, "resident/mandates.html", await host.db.read(read), status=status)

    @routes.get(PLACE)
    async def own(request: Request) -> Response:
        return await page(request, require_session(request))

    @routes.post("/mandates/give")
    async def give(request: Request) -> Response:
        require_session(request)
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        chosen = {
            "actions": form.all("actions"),
            "purposes": [each for each in form.all("purposes") if each in PURPOSES],
        }
        try:
            until_at = _until(form.one("until"))
            _, code = await host.db.write(
                desk.offer, current.account_id, **chosen, until_at=until_at, actor=current.actor()
            )
        except Invalid as wrong:
            problem = {"/actions": "actions", "/until": "until"}.get(wrong.pointer or "", "adult")
            return await page(request, current, problem, form=form, status=422)
        except Conflict:
            return await page(request, current, "many", form=form, status=409)
        shown = pages_of.MandateCode(code, min(host.clock.ms() + mandates.CODE_LIFE, until_at))
        return render(request, "resident/mandate_code.html", shown)

    @routes.post("/mandates/accept")
    async def accept(request: Request) -> Response:
        current = require_session(request)
        code = (await read_form(request)).one("code")
        source = request.client.host if request.client else ""
        try:
            found = await host.db.write(desk.accept, current.account_id, code, source=source, actor=current.actor())
        except MandateClosed:
            return await page(request, current, "code", status=422)
        except Invalid:
            return await page(request, current, "adult", status=422)
        if isinstance(found, Wait):
            answer = await page(request, current, "throttled", seconds=found.seconds, status=429)
            answer.headers["retry-after"] = str(found.seconds)
            return answer
        return redirect(request, PLACE, notice=ACCEPTED)

    @routes.post("/mandates/back")
    async def back(request: Request) -> Response:
        """Closed to nobody who acts: also when the mandate has ended meanwhile."""
        browser = visit_of(request).browser
        if browser is None:
            raise SignInNeeded
        await host.db.write(sessions.act_for, browser, None)
        return redirect(request, PLACE, notice=BACK)

    @routes.post("/mandates/{mandate_id}/confirm")
    async def confirm(request: Request, mandate_id: str) -> Response:
        require_session(request)
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        await host.db.write(desk.confirm, mandate_id, current.account_id, actor=current.actor())
        return redirect(request, PLACE, notice=BEGUN)

    @routes.post("/mandates/{mandate_id}/end")
    async def end(request: Request, mandate_id: str) -> Response:
        """No fresh sign-in: ending only makes things safer."""
        current = who(request)
        await host.db.write(desk.end, mandate_id, current.account_id, actor=current.actor())
        return redirect(request, PLACE, notice=ENDED)

    @routes.post("/mandates/{mandate_id}/act")
    async def act(request: Request, mandate_id: str) -> Response:
        current = require_session(request)

        def switch(session: Session) -> None:
            if desk.standing(session, mandate_id, holder_id=current.account_id) is None:
                raise MandateClosed("This mandate has ended, or has not begun.")
            sessions.act_for(session, current, mandate_id)

        await host.db.write(switch)
        return redirect(request, "/consents")

    return routes


def _until(typed: str) -> Millis:
    try:
        return mandates.day_end(date.fromisoformat(typed))
    except (ValueError, OverflowError):
        raise Invalid("Choose a day.", pointer="/until") from None


def _line(session: Session, sealer: Sealer, view: MandateView, me: str, lang: str) -> pages_of.MandateLine:
    other = view.subject_id if view.holder_id == me else view.holder_id
    live = view.status in mandates.LIVE
    return pages_of.MandateLine(
        id=view.id,
        kind=view.kind,
        status=view.status,
        who=mandates.name_of(session, sealer, other) if other else "",
        actions=view.actions,
        purposes=tuple(PURPOSES[code].label(lang) for code in view.purposes if code in PURPOSES),
        until_at=view.until_at,
        why=view.why,
        may_end=live and (view.holder_id == me or view.kind != "guardian"),
    )
