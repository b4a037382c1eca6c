"""The console's forms for agreements: propose one, revise one, read both ways a resident will, end one.

For the role operator. Everything works without scripts: a form goes to its preview and back with all that was typed,
and what is offered in the end is checked once more by the rules of `consent.agreements`. Who offers it does not approve
it. The preview is made by the consent page's own templates, so that it cannot differ from what a resident reads.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, reach
from consent.errors import AgreementState, BadAgreement
from consent.materiality import weighing
from consent.proposal import LANGS, Proposal
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.revisions import Revision
from consent.sensitivities import Sensitivities
from identity import members
from identity.errors import UnknownMember
from infobank.catalogue import Catalogue
from kit.clock import DAY, SECOND
from kit.db import Session
from kit.host import Host
from portal import agreement_views, i18n, proposal_forms
from portal import console_views as views
from portal.console_viewer import Viewer
from portal.contexts import proposals as contexts
from portal.i18n import N_, _
from portal.pages.asked import Element, ask_of
from portal.staff import OPERATOR
from portal.visits import pages, require_staff, visit_of
from portal.web import environment, notice, read_form, redirect, render

OFFERED = notice("proposals.offered", N_("Offered to the data ethics board. Somebody else approves it."))
ENDED = notice("proposals.ended", N_("The agreement is over. Nothing is shared under it any more."))
OVER = notice("proposals.over", N_("This agreement is over already."), kind="warn")

PLACE = "/console/agreements"
FORM_LIMIT = 512 * 1024  # two full texts of 8,000 characters, each of which takes up to nine bytes in a form


def router(host: Host) -> APIRouter:
    """/console/agreements/new, …/{id}/revise and …/{id}/end."""
    routes = pages(host)
    db, clock, catalogue = host.db, host.clock, host.get(Catalogue)
    checks: dict[str, Any] = {
        "longest": host.settings.consent.longest_consent,
        "sensitivities": host.get(Sensitivities),
    }
    days = round(host.settings.consent.acknowledge_within.total_seconds() * SECOND / DAY)

    def viewer(request: Request) -> Viewer:
        browser = require_staff(request, *OPERATOR)
        return Viewer(host, visit_of(request).language.code, frozenset(browser.roles), browser.account_id)

    def form_page(
        session: Session,
        who: Viewer,
        agreement_id: str | None,
        values: Mapping[str, str],
        errors: Mapping[str, str],
    ) -> contexts.ProposalForm:
        known = agreements.get(session, agreement_id) if agreement_id else None
        former = agreements.current(session, agreement_id) if agreement_id else None
        given = values or (proposal_forms.values_of(former) if former else dict(proposal_forms.FIRST))
        approved = () if known else members.list_all(session, status="approved", limit=views.ALL)
        return contexts.ProposalForm(
            action=f"{PLACE}/{agreement_id}/revise" if known else f"{PLACE}/new",
            back=f"{PLACE}/{agreement_id}" if known else PLACE,
            title=former.notice(who.lang).title if former else "",
            number=known.latest + 1 if known else 1,
            values=dict(given),
            members=tuple((one.id, one.name(who.lang)) for one in approved),
            purposes=_choices(PURPOSES, who.lang),
            bases=_choices(LAWFUL_BASES, who.lang),
            categories=tuple(
                contexts.CategoryChoice(
                    one.id,
                    one.label.of(who.lang),
                    given.get(f"use-{one.id}", ""),
                    given.get(f"sensitivity-{one.id}", str(one.sensitivity)),
                    one.sensitivity,
                    errors.get(f"sensitivity-{one.id}", ""),
                )
                for one in catalogue
            ),
            errors=dict(errors),
        )

    def preview_page(
        session: Session,
        who: Viewer,
        agreement_id: str | None,
        values: Mapping[str, str],
        proposal: Proposal,
    ) -> contexts.Preview:
        now = clock.ms()
        made = agreements.draft(
            session, member_id=values.get("member", ""), agreement_id=agreement_id, proposal=proposal, now=now, **checks
        )
        former = agreements.current(session, agreement_id) if agreement_id else None
        weighs = bool(former and weighing(former, made))
        return contexts.Preview(
            action=f"{PLACE}/{agreement_id}/revise" if agreement_id else f"{PLACE}/new",
            title=made.notice(who.lang).title,
            member=made.recipient.name(who.lang),
            number=made.number,
            fields=tuple(values.items()),
            shown=tuple(contexts.Shown(lang, _as_read(session, made, catalogue, lang, now)) for lang in LANGS),
            compared_with=former.number if former else None,
            changes=agreement_views.changes(former, made, who) if former else (),
            weighs=weighs,
            material=weighs or made.material,
        )

    async def take(request: Request, agreement_id: str | None) -> Response:
        """The form as it was sent: back to it, to its preview, or offered."""
        who = viewer(request)
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request, limit=FORM_LIMIT)
        values = proposal_forms.values_sent(form, catalogue)
        if agreement_id is None:
            values["member"] = form.one("member")

        async def again(errors: Mapping[str, str]) -> Response:
            page = await db.read(form_page, who, agreement_id, values, errors)
            return render(request, "console/proposal.html", page, status=422 if errors else 200)

        step = form.one("step")
        if step == "edit":
            return await again({})
        errors: dict[str, str] = {}
        if agreement_id is None and not await db.read(_approved, values["member"]):
            errors["member"] = _("Choose a member from the list.")
        try:
            proposal = proposal_forms.read(values, catalogue)
        except ValidationError as wrong:
            return await again(errors | proposal_forms.mistakes(wrong))
        if errors:
            return await again(errors)
        try:
            if step != "offer":
                page = await db.read(preview_page, who, agreement_id, values, proposal)
                return render(request, "console/proposal_preview.html", page)
            if agreement_id is None:
                made = await db.write(
                    agreements.propose,
                    member_id=values["member"],
                    proposal=proposal,
                    actor=actor,
                    now=clock.ms(),
                    **checks,
                )
            else:
                made = await db.write(
                    agreements.revise, agreement_id, proposal=proposal, actor=actor, now=clock.ms(), **checks
                )
        except BadAgreement as bad:
            return await again(proposal_forms.refused(bad, values, catalogue))
        except AgreementState:
            return redirect(request, f"{PLACE}/{agreement_id}" if agreement_id else PLACE, notice=OVER)
        return redirect(request, f"{PLACE}/{made.agreement_id}?revision={made.number}", notice=OFFERED)

    @routes.get("/console/agreements/new")
    async def new(request: Request) -> Response:
        who = viewer(request)
        values = dict(proposal_forms.FIRST) | {"member": request.query_params.get("member", "")}
        return render(request, "console/proposal.html", await db.read(form_page, who, None, values, {}))

    @routes.post("/console/agreements/new")
    async def propose(request: Request) -> Response:
        return await take(request, None)

    @routes.get("/console/agreements/{agreement_id}/revise")
    async def revise_form(request: Request, agreement_id: str) -> Response:
        who = viewer(request)
        if (await db.read(agreements.get, agreement_id)).status == "withdrawn":
            return redirect(request, f"{PLACE}/{agreement_id}", notice=OVER)
        return render(request, "console/proposal.html", await db.read(form_page, who, agreement_id, {}, {}))

    @routes.post("/console/agreements/{agreement_id}/revise")
    async def revise(request: Request, agreement_id: str) -> Response:
        return await take(request, agreement_id)

    def end_page(session: Session, who: Viewer, agreement_id: str) -> contexts.EndAgreement:
        shown = agreements.current(session, agreement_id)
        told = reach.published(session, agreement_id)
        return contexts.EndAgreement(
            title=shown.notice(who.lang).title,
            member=shown.recipient.name(who.lang),
            action=f"{PLACE}/{agreement_id}/end",
            back=f"{PLACE}/{agreement_id}",
            # As they were published: counted anew for this page, they would tell who came and went since.
            reach=agreement_views.reach_lines(told) if told else (),
            reach_at=told.at if told else None,
            days=days,
        )

    @routes.get("/console/agreements/{agreement_id}/end")
    async def end_form(request: Request, agreement_id: str) -> Response:
        who = viewer(request)
        if (await db.read(agreements.get, agreement_id)).status == "withdrawn":
            return redirect(request, f"{PLACE}/{agreement_id}", notice=OVER)
        return render(request, "console/agreement_end.html", await db.read(end_page, who, agreement_id))

    @routes.post("/console/agreements/{agreement_id}/end")
    async def end(request: Request, agreement_id: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        try:
            await db.write(agreements.withdraw, agreement_id, actor=actor, now=clock.ms())
        except AgreementState:
            return redirect(request, f"{PLACE}/{agreement_id}", notice=OVER)
        return redirect(request, f"{PLACE}/{agreement_id}", notice=ENDED)

    return routes


def _approved(session: Session, member_id: str) -> bool:
    try:
        return members.get(session, member_id).status == "approved"
    except UnknownMember:
        return False


def _choices(terms: Mapping[str, Any], lang: str) -> tuple[tuple[str, str], ...]:
    return tuple((code, f"{term.label(lang)} ({code})") for code, term in terms.items())


def _as_read(session: Session, made: Revision, catalogue: Catalogue, lang: str, now: int) -> Markup:
    """What a resident reads, who has no records yet and answers for the first time."""
    with i18n.speaking(i18n.language(lang)):
        element = Element({"type": "data_use"}, made, None, None, f"category-{lang}")
        ask = ask_of(session, element, catalogue, {}, lang=lang, now=now)
        # Markup: it comes out of our own template, which escaped what the member wrote.
        return Markup(environment().get_template("console/_preview.html").render(ask=ask, lang=lang))  # noqa: S704
