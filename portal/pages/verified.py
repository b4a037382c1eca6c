"""How surely the city knows who a resident is: the level, a code for the counter, who looked and at what.

The code is made here, on the resident's own phone, in a session with two factors that is a few minutes old: a found
phone makes none. It is answered to the POST that made it, never stored, never in an address.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity import levels
from identity.accounts import profile
from identity.assurance import verifications
from identity.assurance.documents import RECORD
from identity.assurance.verifications import Verifications, VerificationView
from identity.certificates.sign_in import CertificateSignIn
from identity.errors_account import RecentSignInNeeded
from identity.sessions import BrowserSession, require_recent
from identity.upstream.flow import Upstreams
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from portal import i18n, staff
from portal.contexts import verified as pages_of
from portal.i18n import N_
from portal.visits import pages, require_session
from portal.web import notice, redirect, render

PLACE = "/safety/verified"
ENDED = notice("verified.ended", N_("It does not count any more. To be verified again, come to the counter."))


def router(host: Host) -> APIRouter:
    """The pages at /safety/verified."""
    routes = pages(host)
    db, visits, sealer = host.db, host.get(Verifications), host.get(Sealer)
    certificates, upstreams = host.get(CertificateSignIn), host.get(Upstreams)

    async def page(request: Request, *, code: str = "", until: Millis | None = None) -> Response:
        current = require_session(request)
        asked = request.query_params.get("level", "")
        wanted, lang = int(asked) if asked in ("1", "2", "3") else 0, i18n.current().code

        def read(session: Session) -> pages_of.Verified:
            found = visits.history(session, current.account_id)
            counts = visits.standing(session, current.account_id)
            compared = "" if counts is None else str(counts.claims.get("name", ""))
            name = profile(session, sealer, current.account_id).name
            renamed = bool(compared) and compared != name
            who = staff.names(session, sealer, [name for one in found for name in (one.opened_by, one.confirmed_by)])
            return pages_of.Verified(
                ial=visits.level(session, current.account_id),
                strong=_strong(current),
                code=code,
                code_until=until,
                visits=tuple(_row(one, who) for one in found),
                wanted=wanted,
                register=counts is not None and bool(counts.electronic),
                verified_name=compared if renamed else "",
                name=name if renamed else "",
                ways=(
                    *(one.label[lang] for one in certificates.all if one.raises),
                    *(one.label[lang] for one in upstreams.all if one.raises),
                ),
            )

        return render(request, "safety/verified.html", await db.read(read))

    @routes.get("/safety/verified")
    async def show(request: Request) -> Response:
        return await page(request)

    @routes.post("/safety/verified/code")
    async def make_code(request: Request) -> Response:
        current = require_session(request)
        try:
            require_recent(current, now=host.clock.ms())
        except RecentSignInNeeded:
            return redirect(request, "/sign-in?" + urlencode({"next": PLACE, "again": "1"}))
        if not _strong(current):
            return redirect(request, PLACE)  # the page says what to add first
        code = verifications.new_code()
        until = await db.write(visits.make_code, current.account_id, code=code, actor=current.actor())
        return await page(request, code=code, until=until)

    @routes.post("/safety/verified/end")
    async def end(request: Request) -> Response:
        current = require_session(request)
        await db.write(visits.end, current.account_id, reason="asked", actor=current.actor())
        return redirect(request, PLACE, notice=ENDED)

    return routes


def _strong(browser: BrowserSession) -> bool:
    return levels.satisfies(browser.acr, levels.AAL2)


def kinds_of(found: VerificationView) -> tuple[str, ...]:
    """What it rests on, as codes of words: documents, or what a register said of a certificate."""
    return tuple(one.kind for one in found.documents) + tuple(one.type for one in found.electronic)


def _row(found: VerificationView, names: Mapping[str, str]) -> pages_of.VisitRow:
    people = [] if found.electronic else [found.opened_by, found.confirmed_by]
    registers = tuple(one.name for one in found.electronic if one.type == RECORD)
    return pages_of.VisitRow(
        id=found.id,
        status=found.status,
        ial=found.ial,
        at=found.verified_at or found.opened_at,
        by=tuple(names.get(one, one) for one in people if one) + registers,
        kinds=kinds_of(found),
        claims=tuple(found.claims),
        ends_at=found.expires_at if found.status == "standing" else None,
        reason=found.reason or "",
        register=bool(found.electronic),
    )
