"""A child's guardians at the counter: one clerk has seen the document, another approves. Beside the other help for
residents: no names, numbers and masked login names only, each act in the trail and in what the resident reads."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import profile
from identity.mandates import EVIDENCE, Mandates, MandateView
from identity.support import Support, masked
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.db import Session
from kit.host import Host
from kit.problems import Conflict, Invalid, NotFound, Problem
from portal.contexts import mandates as pages_of
from portal.i18n import N_
from portal.pages.residents import enter, proved
from portal.visits import pages
from portal.web import notice, read_form, redirect, render

CHECKED = notice("guardians.checked", N_("Written down. Now a colleague looks at it."))
APPROVED = notice("guardians.approved", N_("Approved. The guardian may act for this person from now on."))
ENDED = notice("guardians.ended", N_("Ended, at once."))


def router(host: Host) -> Any:
    """Below /console/residents and /console/mandates."""
    routes = pages(host)
    desk, support, sealer = host.get(Mandates), host.get(Support), host.get(Sealer)

    async def page(request: Request, account_id: str, errors: dict[str, str] | None = None) -> Response:
        actor = enter(request).actor()

        def look(session: Session) -> pages_of.Guardians:
            facts = support.look(session, account_id, actor=actor)
            found = [each for each in desk.given(session, account_id) if each.kind == "guardian"]
            return pages_of.Guardians(
                account_id=account_id,
                login=facts.login,
                lines=tuple(_line(each, _login(session, sealer, each.holder_id)) for each in found),
                errors=errors or {},
                me=actor.id,
                opened_by={each.id: each.opened_by for each in found},
            )

        return render(request, "console/guardians.html", await host.db.write(look), status=422 if errors else 200)

    @routes.get("/console/residents/{account_id}/guardians")
    async def guardians(request: Request, account_id: str) -> Response:
        return await page(request, account_id)

    @routes.post("/console/residents/{account_id}/guardians")
    async def check(request: Request, account_id: str) -> Response:
        current = proved(host, request, f"/console/residents/{account_id}/guardians")
        if isinstance(current, Response):
            return current
        form, actor = await read_form(request), current.actor()
        evidence = form.one("evidence")
        if evidence not in EVIDENCE:
            return await page(request, account_id, {"evidence": "evidence"})

        def write(session: Session) -> str | None:
            holder = support.find(session, form.one("holder"), actor=actor)
            if not isinstance(holder, str):
                return None
            return desk.check(session, account_id, holder, evidence=evidence, actor=actor)

        try:
            made = await host.db.write(write)
        except (Invalid, NotFound, Conflict) as wrong:
            return await page(request, account_id, {"holder": _code(wrong)})
        if made is None:
            return await page(request, account_id, {"holder": "unknown"})
        return redirect(request, f"/console/residents/{account_id}/guardians", notice=CHECKED)

    async def back(request: Request, mandate_id: str, word: str) -> Response:
        found = await host.db.read(desk.get, mandate_id)
        return redirect(request, f"/console/residents/{found.subject_id}/guardians", notice=word)

    @routes.post("/console/mandates/{mandate_id}/approve")
    async def approve(request: Request, mandate_id: str) -> Response:
        enter(request)
        found = await host.db.read(desk.get, mandate_id)
        current = proved(host, request, f"/console/residents/{found.subject_id}/guardians")
        if isinstance(current, Response):
            return current
        await host.db.write(desk.approve, mandate_id, actor=current.actor())
        return await back(request, mandate_id, APPROVED)

    @routes.post("/console/mandates/{mandate_id}/end")
    async def end(request: Request, mandate_id: str) -> Response:
        actor = enter(request).actor()
        await host.db.write(desk.end_by_office, mandate_id, actor=actor)
        return await back(request, mandate_id, ENDED)

    return routes


def _code(wrong: Problem) -> str:
    if isinstance(wrong, NotFound):
        return "unknown"
    return "stands" if isinstance(wrong, Conflict) else "age"


def _login(session: Session, sealer: Sealer, account_id: str) -> str:
    """What a guardian signs in as, masked; "" for one who has left."""
    try:
        return masked(profile(session, sealer, account_id).login)
    except (KeyDestroyed, NotFound):
        return ""


def _line(view: MandateView, login: str) -> pages_of.GuardianLine:
    return pages_of.GuardianLine(
        view.id, view.status, view.holder_id, login, view.until_at, view.status in ("checked", "active")
    )
