"""Signing in by another provider or a certificate, linking one once, and the page of what is linked.

Away and linking are POSTs of our own pages (portal.csrf); only the way back is a GET that another site causes, and it
does nothing without the cookie of the browser that went away (identity.upstream.flow). An identity nobody linked opens
no account and makes none: the person signs in here once, as always, and then says on a page of its own that the two
belong together.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from identity.accounts import profile
from identity.assurance.verifications import Verifications
from identity.certificates.authorities import Authority
from identity.certificates.sign_in import BACK_PATH, PROBLEMS
from identity.credentials import Throttled
from identity.errors_account import LastWayIn, RecentSignInNeeded
from identity.sessions import BrowserSession, require_recent
from identity.sign_ins import SignedIn
from identity.upstream.entrance import Linking, Stopped, Unlinked
from identity.upstream.links import LinkView
from identity.upstream.profiles import Upstream
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts import upstream as pages_of
from portal.contexts.signin import Way
from portal.i18n import N_
from portal.pages.doors import Doors, home_of
from portal.pages.safety import recent, who
from portal.visits import pages, require_own, require_session, visit_of
from portal.web import local_path, notice, read_form, redirect, render

LINKED = notice("upstream.linked", N_("It is linked. From now on it signs you in here."))
ALREADY = notice("upstream.already", N_("It was linked to your account already."), kind="info")
UNLINKED = notice("upstream.unlinked", N_("It is removed and lets nobody in any more."))

PLACE = "/safety/linked"
_TOLD = {
    "name": N_("Your name"),
    "address": N_("Address"),
    "birthdate": N_("Date of birth"),
    "gender": N_("Gender"),
    "valid_until": N_("Certificate good until"),
}
_GENDERS = {"1": N_("male"), "male": N_("male"), "2": N_("female"), "female": N_("female")}
_LATER = ("not-for-you", "another-here", "somebody-else")
#: With which status a sign-in that came to nothing is answered.
_STATUS = {
    "unreachable": 502, "broken": 502, "mixed-up": 400, "throttled": 429, "closed": 403, "too-weak": 403,
    "refused": 403, "expired": 403, "untold": 503,
}  # fmt: skip


def router(host: Host) -> Any:
    """The pages at /sign-in/with, /sign-in/from, /sign-in/link and /safety/linked."""
    routes = pages(host)
    doors, sealer = Doors(host), host.get(Sealer)
    upstreams, certificates, entrance = doors.upstreams, doors.certificates, doors.upstreams.entrance

    def label(way: str) -> str:
        found = upstreams.get(way) or certificates.get(way)
        return found.label[i18n.current().code] if found is not None else ""

    def keep(response: Response, token: str) -> Response:
        # Lax, so that it comes along on the way back; `__Host-`, so that no sibling site can plant one of its own.
        response.set_cookie(
            doors.upstream_cookie, token, max_age=600, secure=doors.secure, httponly=True, samesite="lax", path="/"
        )
        return response

    def drop(response: Response) -> Response:
        response.delete_cookie(doors.upstream_cookie, secure=doors.secure, httponly=True, samesite="lax", path="/")
        return response

    def stopped(request: Request, upstream_id: str, reason: str, *, next_path: str = "", seconds: int = 0) -> Response:
        page = pages_of.Stopped(reason, label(upstream_id), seconds, local_path(next_path, home_of(visit_of(request))))
        response = render(request, "signin/upstream.html", page, status=_STATUS.get(reason, 400))
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    async def go(
        request: Request, upstream_id: str, *, next_path: str, link_for: BrowserSession | None = None
    ) -> Response:
        begun = await upstreams.begin(upstream_id, doors.browser(request), next=next_path, link_for=link_for)
        if isinstance(begun, Throttled):
            return stopped(request, upstream_id, "throttled", next_path=next_path, seconds=begun.seconds)
        if isinstance(begun, Stopped):
            return stopped(request, upstream_id, begun.reason, next_path=next_path)
        return keep(redirect(request, begun.url), begun.token)

    # -- sign-in

    @routes.post("/sign-in/with")
    async def away(request: Request) -> Response:
        form = await read_form(request)
        return await go(request, form.one("upstream"), next_path=local_path(form.one("next"), ""))

    @routes.get("/sign-in/from/{upstream_id}")
    async def back(request: Request, upstream_id: str) -> Response:
        found, next_path = await upstreams.finish(
            upstream_id,
            request.url.query,
            request.cookies.get(doors.upstream_cookie),
            doors.browser(request),
            visit_of(request).browser,
        )
        return await arrived(request, found, upstream_id, next_path)

    # -- by a certificate: the browser shows it at another listener (identity.certificates.sign_in)

    async def over(
        request: Request, authority_id: str, *, next_path: str, link_for: BrowserSession | None = None
    ) -> Response:
        begun = await certificates.begin(authority_id, doors.browser(request), next=next_path, link_for=link_for)
        if isinstance(begun, Throttled):
            return stopped(request, authority_id, "throttled", next_path=next_path, seconds=begun.seconds)
        return keep(redirect(request, begun.url), begun.token)

    @routes.post("/sign-in/certificate")
    async def certificate(request: Request) -> Response:
        form = await read_form(request)
        return await over(request, form.one("authority"), next_path=local_path(form.one("next"), ""))

    @routes.get(BACK_PATH)
    async def shown(request: Request) -> Response:
        query = request.query_params
        if "problem" in query or "ticket" not in query:
            # Only words, and only known ones: anybody can write this address, and it changes nothing.
            problem = query.get("problem", "")
            problem = problem if problem in PROBLEMS else "stale"
            seconds = 60 if problem == "throttled" else 0
            return stopped(request, query.get("authority", ""), problem, seconds=seconds)
        token = request.cookies.get(doors.upstream_cookie)
        found, next_path, authority_id = await certificates.finish(
            query["ticket"], token, doors.browser(request), visit_of(request).browser
        )
        return await arrived(request, found, authority_id, next_path)

    # -- what both come to

    async def arrived(
        request: Request, found: SignedIn | Unlinked | Linking | Stopped, way: str, next_path: str
    ) -> Response:
        match found:
            case SignedIn():
                home = "/desk" if found.session.kind == "staff" else "/home"
                inside = redirect(request, local_path(found.next, home))
                return drop(await doors.keep_session(request, inside, found.token))
            case Unlinked():
                return keep(redirect(request, "/sign-in/link"), found.token)
            case Linking():
                return drop(linked(request, found.outcome))
            case Stopped():
                answer = stopped(request, way, found.reason, next_path=next_path)
                # A forged answer must not end the sign-in that this browser is in the middle of.
                return answer if found.reason == "stale" else drop(answer)

    def linked(request: Request, outcome: str) -> Response:
        match outcome:
            case "linked":
                return redirect(request, PLACE, notice=LINKED)
            case "already":
                return redirect(request, PLACE, notice=ALREADY)
            case _:
                return redirect(request, f"{PLACE}?{urlencode({'problem': outcome})}")

    # -- linking, after a sign-in here

    def fresh(request: Request) -> BrowserSession | None:
        """The person's session, if it was proved a moment ago."""
        current = visit_of(request).browser
        if current is None:
            return None
        try:
            require_recent(current, now=host.clock.ms())
        except RecentSignInNeeded:
            return None
        return current

    @routes.get("/sign-in/link")
    async def link(request: Request) -> Response:
        require_own(request)
        current, signed_in = fresh(request), visit_of(request).browser is not None

        def read(session: Session) -> pages_of.Link:
            waiting = entrance.waiting(session, request.cookies.get(doors.upstream_cookie))
            if waiting is None or not label(waiting.way):
                return pages_of.Link("expired", "", 0, "", False)
            login = profile(session, sealer, current.account_id).login if current is not None else ""
            state = "confirm" if current is not None else "sign-in"
            return pages_of.Link(state, label(waiting.way), waiting.proved_at, login, signed_in)

        return render(request, "signin/link.html", await host.db.read(read))

    @routes.post("/sign-in/link")
    async def link_post(request: Request) -> Response:
        require_own(request)
        current = fresh(request)
        if current is None:
            return redirect(request, "/sign-in/link")
        outcome = await host.db.write(entrance.link_waiting, request.cookies.get(doors.upstream_cookie), current)
        if outcome is None:
            return drop(redirect(request, "/sign-in/link"))
        return drop(linked(request, outcome))

    # -- what is linked

    def _ways(ids: Iterable[str]) -> tuple[Way, ...]:
        return tuple(Way(one, label(one)) for one in ids)

    async def linked_page(request: Request, problem: str = "", status: int = 200) -> Response:
        current = who(request)
        found = await host.db.read(upstreams.links.list_for, current.account_id)
        taken = {view.upstream for view in found}
        unsure = await host.db.read(host.get(Verifications).level, current.account_id) < 2

        def offered(one: Authority | Upstream) -> bool:
            # What is linked and may verify somebody is offered again until it has: both are proved anew.
            return entrance.may(one.id, current.kind) and (one.id not in taken or (one.raises and unsure))

        page = pages_of.Linked(
            links=tuple(_row(view, label(view.upstream)) for view in found),
            others=_ways(one.id for one in upstreams.all if offered(one)),
            certificates=_ways(one.id for one in certificates.all if offered(one)),
            now=host.clock.ms(),
            problem=problem,
        )
        return render(request, "safety/linked.html", page, status=status, form_action=doors.elsewhere())

    @routes.get(PLACE)
    async def show(request: Request) -> Response:
        asked = request.query_params.get("problem", "")
        return await linked_page(request, asked if asked in _LATER else "")

    @routes.post("/safety/linked/certificate")
    async def new_certificate(request: Request) -> Response:
        who(request)
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        return await over(request, form.one("authority"), next_path=PLACE, link_for=current)

    @routes.post("/safety/linked/new")
    async def new(request: Request) -> Response:
        require_session(request)
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        form = await read_form(request)
        return await go(request, form.one("upstream"), next_path=PLACE, link_for=current)

    @routes.post("/safety/linked/{link_id}/remove")
    async def remove(request: Request, link_id: str) -> Response:
        who(request)
        current = recent(host, request, PLACE)
        if isinstance(current, Response):
            return current
        try:
            await host.db.write(upstreams.links.unlink, current.account_id, link_id, actor=current.actor())
        except LastWayIn:
            return await linked_page(request, "last-way-in", 409)
        return redirect(request, PLACE, notice=UNLINKED)

    return routes


def _readable(claim: str, value: str) -> str:
    """A date as people write it, however the provider writes it (1951-04-02, 19510402), and a gender in words, whether
    by OpenID Connect Core section 5.1 or by the register's figures (1, 2; ISO/IEC 5218); all else as it came."""
    if claim in ("birthdate", "valid_until"):
        with suppress(ValueError):
            return i18n.current().plain_day(date.fromisoformat(value))
    if claim == "gender" and value in _GENDERS:
        return i18n.current().gettext(_GENDERS[value])
    return value


def _row(view: LinkView, label: str) -> pages_of.LinkedRow:
    told = tuple((_TOLD[name], _readable(name, view.told[name])) for name in _TOLD if name in view.told)
    return pages_of.LinkedRow(view.id, label, view.linked_at, view.used_at, told)
