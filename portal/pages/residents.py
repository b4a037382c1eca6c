"""The console's page about one resident: the city office helps without seeing the person's data.

For the role operator only. A resident is found by their exact login name or account id, there is no list; every look
and every act is in the trail and in what the resident reads under Safety. A reset takes two operators, each of them
signed in a moment ago with two factors: it must not be weaker than the sign-in it replaces. The code is answered to the
POST that approved it, never stored, never in an address.
"""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity import levels, resets
from identity.assurance.verifications import END_REASONS, Verifications
from identity.errors_account import RecentSignInNeeded, ResetClosed, ResetWaits
from identity.resets import Resets, ResetView
from identity.sessions import BrowserSession, require_recent
from identity.support import Support
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import Forbidden, Invalid
from portal import i18n, staff
from portal.contexts import residents as pages_of
from portal.i18n import N_, _
from portal.staff import OPERATOR
from portal.visits import pages, require_staff
from portal.web import notice, read_form, redirect, render

SIGNED_OUT = notice("residents.signed-out", N_("Signed out everywhere, at once."))
LOCKED = notice("residents.locked", N_("Locked. Nobody is signed in and nobody gets in."))
UNLOCKED = notice("residents.unlocked", N_("Unlocked. The resident may sign in again."))
UNVERIFIED = notice("residents.unverified", N_("The verification ended. The resident reads it under Safety."))
OPENED = notice("residents.opened", N_("The reset is open. Now a colleague looks at it."))
WITHDRAWN = notice("residents.withdrawn", N_("Withdrawn. It opens nothing any more."))
NOT_NOW = notice("residents.not-now", N_("That is not possible any more. This is how it is now."), kind="warn")

PLACE = "/console/residents"


def enter(request: Request) -> BrowserSession:
    """An operator."""
    return require_staff(request, *OPERATOR)


def proved(host: Host, request: Request, back: str) -> BrowserSession | Response:
    """An operator who showed two factors a moment ago; or the way to the sign-in page and back. Raises Forbidden."""
    found = enter(request)
    if not levels.satisfies(found.acr, levels.AAL2):
        raise Forbidden("Sign in with a passkey, or with your password and the app, to do this.")
    try:
        require_recent(found, now=host.clock.ms())
    except RecentSignInNeeded:
        return redirect(request, "/sign-in?" + urlencode({"next": back, "again": "1"}))
    return found


_proved = proved


def router(host: Host) -> APIRouter:
    """Everything below /console/residents and /console/resets."""
    routes = pages(host)
    db = host.db
    support, office, sealer = host.get(Support), host.get(Resets), host.get(Sealer)
    visits = host.get(Verifications)

    def proved(request: Request, back: str) -> BrowserSession | Response:
        return _proved(host, request, back)

    # -- finding one

    async def search_page(
        request: Request, *, asked: str = "", problem: str = "", seconds: int = 0, status: int = 200
    ) -> Response:
        me = enter(request).account_id

        def read(session: Session) -> pages_of.Residents:
            found = office.waiting(session)
            names = staff.names(session, sealer, [one.opened_by for one in found])
            lines = tuple(
                pages_of.WaitingReset(one.id, one.reason, names[one.opened_by], one.opened_at, one.opened_by == me)
                for one in found
            )
            return pages_of.Residents(asked, problem, seconds, lines)

        response = render(request, "console/residents.html", await db.read(read), status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    @routes.get("/console/residents")
    async def search(request: Request) -> Response:
        return await search_page(request)

    @routes.post("/console/residents")
    async def find(request: Request) -> Response:
        actor = enter(request).actor()
        asked = (await read_form(request)).one("who")[:200]
        found = await db.write(support.find, asked, actor=actor)
        if isinstance(found, int):
            return await search_page(request, asked=asked, problem="throttled", seconds=found, status=429)
        if found is None:
            return await search_page(request, asked=asked, problem="unknown", status=422)
        return redirect(request, f"{PLACE}/{found}")

    # -- the account

    async def account_page(
        request: Request, account_id: str, errors: dict[str, str] | None = None, status: int = 200
    ) -> Response:
        actor = enter(request).actor()

        def look(session: Session) -> pages_of.Resident:
            facts = support.look(session, account_id, actor=actor)
            live = office.live_of(session, account_id)
            return pages_of.Resident(
                id=facts.id,
                login=facts.login,
                status=facts.status,
                created_at=facts.created_at,
                passkeys=facts.passkeys,
                has_password=facts.has_password,
                has_app=facts.has_app,
                codes_left=facts.codes_left,
                sessions=facts.sessions,
                families=facts.families,
                last_at=facts.last_at,
                reset_id=live.id if live else "",
                reset_status=live.status if live else "",
                errors=errors or {},
                ial=visits.level(session, account_id),
            )

        return render(request, "console/resident.html", await db.write(look), status=status)

    @routes.get("/console/residents/{account_id}")
    async def account(request: Request, account_id: str) -> Response:
        return await account_page(request, account_id)

    @routes.post("/console/residents/{account_id}/sessions/end")
    async def end_sessions(request: Request, account_id: str) -> Response:
        actor = enter(request).actor()
        await db.write(support.end_sessions, account_id, actor=actor)
        return redirect(request, f"{PLACE}/{account_id}", notice=SIGNED_OUT)

    @routes.post("/console/residents/{account_id}/lock")
    async def lock(request: Request, account_id: str) -> Response:
        actor = enter(request).actor()
        reason = (await read_form(request)).one("lock_reason")
        try:
            await db.write(support.lock, account_id, reason=reason, actor=actor)
        except Invalid:
            return await account_page(request, account_id, {"lock_reason": _("Choose why.")}, 422)
        return redirect(request, f"{PLACE}/{account_id}", notice=LOCKED)

    @routes.post("/console/residents/{account_id}/unlock")
    async def unlock(request: Request, account_id: str) -> Response:
        actor = enter(request).actor()
        await db.write(support.unlock, account_id, actor=actor)
        return redirect(request, f"{PLACE}/{account_id}", notice=UNLOCKED)

    @routes.post("/console/residents/{account_id}/verification/end")
    async def end_verification(request: Request, account_id: str) -> Response:
        actor = enter(request).actor()
        reason = (await read_form(request)).one("end_reason")
        if reason not in END_REASONS:
            return await account_page(request, account_id, {"end_reason": _("Choose why.")}, 422)

        def act(session: Session) -> None:
            support.look(session, account_id, actor=actor)  # residents only
            visits.end(session, account_id, reason=reason, actor=actor)

        await db.write(act)
        return redirect(request, f"{PLACE}/{account_id}", notice=UNVERIFIED)

    # -- a reset, by two persons

    async def form_page(
        request: Request,
        account_id: str,
        reason: str = "",
        evidence: tuple[str, ...] = (),
        errors: dict[str, str] | None = None,
    ) -> Response:
        actor = enter(request).actor()
        facts = await db.write(support.look, account_id, actor=actor)
        form = pages_of.ResetForm(account_id, facts.login, reason, evidence, errors or {})
        return render(request, "console/reset_new.html", form, status=422 if errors else 200)

    @routes.get("/console/residents/{account_id}/reset")
    async def new_reset(request: Request, account_id: str) -> Response:
        current = proved(request, f"{PLACE}/{account_id}/reset")
        return current if isinstance(current, Response) else await form_page(request, account_id)

    @routes.post("/console/residents/{account_id}/reset")
    async def open_reset(request: Request, account_id: str) -> Response:
        current = proved(request, f"{PLACE}/{account_id}/reset")
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        reason, shown = form.one("reason"), tuple(form.all("evidence"))
        errors: dict[str, str] = {}
        if reason not in resets.REASONS:
            errors["reason"] = _("Choose why.")
        if not resets.proves(shown):
            errors["evidence"] = _("One document with a photograph, or two without, must have been shown.")
        if errors:
            return await form_page(request, account_id, reason, shown, errors)
        try:
            made = await db.write(office.open, account_id, reason=reason, evidence=shown, actor=current.actor())
        except (ResetWaits, ResetClosed):
            return redirect(request, f"{PLACE}/{account_id}", notice=NOT_NOW)
        return redirect(request, f"/console/resets/{made}", notice=OPENED)

    async def reset_page(request: Request, reset_id: str, errors: dict[str, str] | None = None) -> Response:
        current = enter(request)

        def look(session: Session) -> pages_of.ResetPage:
            found = office.get(session, reset_id)
            facts = support.look(session, found.account_id, actor=current.actor())
            names = staff.names(session, sealer, [found.opened_by, found.approved_by])
            return _page(found, facts.login, names.get, current.account_id, errors or {})

        return render(request, "console/reset.html", await db.write(look), status=422 if errors else 200)

    @routes.get("/console/resets/{reset_id}")
    async def reset(request: Request, reset_id: str) -> Response:
        return await reset_page(request, reset_id)

    @routes.post("/console/resets/{reset_id}/approve")
    async def approve(request: Request, reset_id: str) -> Response:
        place = f"/console/resets/{reset_id}"
        current = proved(request, place)
        if isinstance(current, Response):
            return current
        if not (await read_form(request)).has("confirmed"):
            return await reset_page(request, reset_id, {"confirmed": _("Tick this when you have checked it.")})
        code = resets.new_code()
        try:
            approved = await db.write(office.approve, reset_id, code=code, actor=current.actor())
        except ResetClosed:
            return redirect(request, place, notice=NOT_NOW)
        shown = pages_of.ResetCode(reset_id, code, letters(host.issuer, approved.expires_at, approved.ready_at))
        return render(request, "console/reset_code.html", shown)

    @routes.post("/console/resets/{reset_id}/withdraw")
    async def withdraw(request: Request, reset_id: str) -> Response:
        actor = enter(request).actor()
        try:
            await db.write(office.withdraw, reset_id, actor=actor)
        except ResetClosed:
            return redirect(request, f"/console/resets/{reset_id}", notice=NOT_NOW)
        return redirect(request, f"/console/resets/{reset_id}", notice=WITHDRAWN)

    return routes


def _page(found: ResetView, login: str, name: Any, me: str, errors: dict[str, str]) -> pages_of.ResetPage:
    mine = found.opened_by == me
    return pages_of.ResetPage(
        id=found.id,
        account_id=found.account_id,
        login=login,
        status=found.status,
        reason=found.reason,
        evidence=found.evidence,
        opened_by=name(found.opened_by, found.opened_by),
        opened_at=found.opened_at,
        approved_by=name(found.approved_by, "") if found.approved_by else "",
        approved_at=found.approved_at,
        closed_at=found.closed_at,
        expires_at=found.expires_at,
        may_approve=found.status == "open" and not mine,
        may_withdraw=found.status == "open"
        or (found.status == "approved" and me in (found.opened_by, found.approved_by))
        or (found.live and found.opened_by == found.account_id),
        errors=errors,
    )


_TITLE = N_("Code for a new way to sign in")
_OPEN = N_("Open %(address)s in a browser.")
_TYPE = N_("Type your login name and the code above. Your login name is not on this sheet.")
_MAKE = N_("Make a new way to sign in. At that moment every former one stops working.")
_UNTIL = N_("Good once, until %(moment)s.")
_FROM = N_("Good once, from %(ready)s (at once with one of your recovery codes) until %(moment)s.")
_WARNING = N_("Show this sheet to nobody. The city office never asks for this code by telephone or e-mail.")


def letters(issuer: str, until: Millis, ready_at: Millis | None = None) -> tuple[pages_of.Letter, ...]:
    """The sheet's words in every language, the reader's first: who prints it is not who reads it."""
    first = i18n.current().code
    spoken = [i18n.language(code) for code in sorted(i18n.LANGUAGES, key=lambda code: code != first)]
    return tuple(
        pages_of.Letter(
            lang=each.code,
            title=each.gettext(_TITLE),
            steps=(
                each.gettext(_OPEN) % {"address": f"{issuer}/sign-in/reset"},
                each.gettext(_TYPE),
                each.gettext(_MAKE),
            ),
            until=each.gettext(_UNTIL) % {"moment": each.moment(until)}
            if ready_at is None
            else each.gettext(_FROM) % {"ready": each.moment(ready_at), "moment": each.moment(until)},
            warning=each.gettext(_WARNING),
        )
        for each in spoken
    )
