"""The clerk's counter: who a resident is, seen in person (role clerk).

There is no list and no search: a code from the resident's own phone brings exactly one person, for one visit. The
clerk writes down which documents were seen; the level follows by rule. Where a second clerk must confirm, never the
same person and never a namesake of the resident. Everything is in the trail, and the resident reads it under Safety.
"""

from datetime import date

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity import levels
from identity.accounts import Profile
from identity.assurance import documents
from identity.assurance.documents import Document
from identity.assurance.verifications import COMPARED, Missed, Own, TooOften, Verifications, VerificationView
from identity.errors_account import VisitClosed
from identity.person import shown_phone
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit import context
from kit.clock import to_datetime
from kit.db import Session
from kit.host import Host
from kit.problems import Forbidden, Invalid
from portal import i18n, staff
from portal.contexts import counter as pages_of
from portal.i18n import JST, N_, _
from portal.staff import CLERK
from portal.visits import pages, require_staff
from portal.web import Form, notice, read_form, redirect, render

STANDS = notice("counter.stands", N_("Verified. The resident sees it on their phone."))
WAITS = notice("counter.waits", N_("Written down. Now a colleague looks at the person and the documents."))
CONFIRMED = notice("counter.confirmed", N_("Confirmed. The resident sees it on their phone."))
OVER = notice("counter.over", N_("The visit is over. Nothing was kept of what was seen."))
GONE = notice("counter.gone", N_("That visit is over already."), kind="warn")

PLACE = "/counter"
_ROWS = (1, 2)
_WORDS = {
    "document-1": N_("Choose the document you have seen."),
    "document-2": N_("The same document twice is one document."),
    "chip": N_("This document has no chip."),
    "number": N_("Letters and digits only; the Individual Number Card's is never written down."),
    "issuer": N_("80 characters at most."),
    "expires": N_("A date that has not passed: this document has expired, or the date is no date."),
    "compared": N_("Compare name and date of birth at least. What the profile lacks, the resident fills in first."),
}


def router(host: Host) -> APIRouter:
    """Everything below /counter."""
    routes = pages(host)
    db, visits, sealer = host.db, host.get(Verifications), host.get(Sealer)

    def enter(request: Request) -> BrowserSession:
        """A clerk with two factors: what a clerk writes must not be weaker than what it vouches for."""
        found = require_staff(request, *CLERK)
        if not levels.satisfies(found.acr, levels.AAL2):
            raise Forbidden("Sign in with a passkey, or with your password and the app, to do this.")
        return found

    # -- the code

    async def counter_page(request: Request, *, problem: str = "", seconds: int = 0, status: int = 200) -> Response:
        me = enter(request).account_id

        def read(session: Session) -> pages_of.Counter:
            found = visits.waiting(session)
            names = staff.names(session, sealer, [one.opened_by for one in found])
            lines = tuple(
                pages_of.WaitingVisit(one.id, one.ial, names[one.opened_by], one.recorded_at or 0, one.opened_by == me)
                for one in found
            )
            return pages_of.Counter(problem, seconds, lines)

        response = render(request, "counter/counter.html", await db.read(read), status=status)
        if seconds:
            response.headers["retry-after"] = str(seconds)
        return response

    @routes.get("/counter")
    async def counter(request: Request) -> Response:
        return await counter_page(request)

    @routes.post("/counter")
    async def type_code(request: Request) -> Response:
        actor = enter(request).actor()
        code = (await read_form(request)).one("code")
        found = await db.write(visits.enter, code, source=context.request.get().source, actor=actor)
        match found:
            case TooOften(seconds=seconds):
                return await counter_page(request, problem="throttled", seconds=seconds, status=429)
            case Missed():
                return await counter_page(request, problem="missed", status=422)
            case Own():
                return await counter_page(request, problem="own", status=409)
        return redirect(request, f"{PLACE}/{found}")

    # -- the visit

    async def visit_page(
        request: Request, visit_id: str, form: Form | None = None, errors: dict[str, str] | None = None
    ) -> Response:
        current = enter(request)

        def look(session: Session) -> pages_of.Visit:
            found, person = visits.look(session, visit_id, actor=current.actor())
            names = staff.names(session, sealer, [found.opened_by])
            return _page(found, person, names[found.opened_by], current.account_id, form, errors or {})

        return render(request, "counter/visit.html", await db.write(look), status=422 if errors else 200)

    @routes.get("/counter/{visit_id}")
    async def visit(request: Request, visit_id: str) -> Response:
        return await visit_page(request, visit_id)

    @routes.post("/counter/{visit_id}")
    async def write_down(request: Request, visit_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        today = to_datetime(host.clock.ms()).astimezone(JST).date()
        try:
            made = await db.write(
                visits.record,
                visit_id,
                documents=_documents(form),
                face=form.has("face"),
                rang=form.has("rang"),
                compared=form.all("compared"),
                today=today,
                actor=actor,
            )
        except Invalid as wrong:
            field = (wrong.pointer or "/document-1").removeprefix("/")
            words = _WORDS.get(field) or _WORDS[field.partition("-")[0]]
            return await visit_page(request, visit_id, form, {field: _(words)})
        except VisitClosed:
            return redirect(request, PLACE, notice=GONE)
        return redirect(request, PLACE, notice=STANDS if made.status == "standing" else WAITS)

    @routes.post("/counter/{visit_id}/confirm")
    async def confirm(request: Request, visit_id: str) -> Response:
        actor = enter(request).actor()
        if not (await read_form(request)).has("confirmed"):
            return await visit_page(request, visit_id, errors={"confirmed": _("Tick this when you have checked it.")})
        try:
            await db.write(visits.confirm, visit_id, actor=actor)
        except VisitClosed:
            return redirect(request, PLACE, notice=GONE)
        return redirect(request, PLACE, notice=CONFIRMED)

    @routes.post("/counter/{visit_id}/end")
    async def end(request: Request, visit_id: str) -> Response:
        actor = enter(request).actor()
        try:
            await db.write(visits.refuse, visit_id, actor=actor)
        except VisitClosed:
            return redirect(request, PLACE, notice=GONE)
        return redirect(request, PLACE, notice=OVER)

    return routes


def _birthday(text: str) -> str:
    """As documents show it: in Japanese with the year of the era."""
    try:
        day = date.fromisoformat(text)
    except ValueError:  # a year alone, or nothing
        return text
    words = i18n.current().plain_day(day)
    return f"{words}（{i18n.era_year(day)}）" if i18n.current().code == "ja" else f"{words} ({text})"


def _documents(form: Form) -> list[Document]:
    """The rows of the form that name a document."""
    return [
        Document(
            kind=form.one(f"document-{row}"),
            issuer=form.one(f"issuer-{row}").strip(),
            number=form.one(f"number-{row}").strip().replace(" ", ""),
            expires_on=form.one(f"expires-{row}"),
            chip=form.has(f"chip-{row}"),
        )
        for row in _ROWS
        if form.one(f"document-{row}")
    ]


def _page(
    found: VerificationView, person: Profile, opened_by: str, me: str, form: Form | None, errors: dict[str, str]
) -> pages_of.Visit:
    return pages_of.Visit(
        id=found.id,
        status=found.status,
        name=person.name,
        kana=person.name_kana,
        birthdate=_birthday(person.birthdate),
        address=person.address or "",
        gender=person.gender or "",
        parts=f"{person.family_name} / {person.given_name}" if person.family_name and person.given_name else "",
        phone=shown_phone(person.phone or ""),
        phone_verified=person.phone_verified,
        until=found.expires_at,
        kinds=documents.KINDS,
        pictured=len(documents.WITH_PHOTO),
        values=dict(form.as_dict()) if form else {},
        compared=tuple(form.all("compared")) if form else tuple(one for one in COMPARED if one in found.claims),
        errors=errors,
        ial=found.ial,
        papers=tuple(
            pages_of.PaperRow(one.kind, one.issuer, one.expires_on, one.number, one.chip) for one in found.documents
        ),
        face=found.face,
        opened_by=opened_by,
        recorded_at=found.recorded_at,
        may_confirm=found.status == "waiting" and found.opened_by != me,
    )
