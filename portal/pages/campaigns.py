"""The console's page about asking again: a plan, its progress in tens, and stopping it for a while or for good.

For the role operator. Nothing here counts people anew: what a page shows was published by `consent.campaign_progress`,
so that loading it twice tells nothing, nor does whether a campaign can be planned.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, campaign_progress, campaigns
from consent.campaign_progress import Progress
from consent.campaign_rules import Plan
from consent.campaigns import CampaignView
from consent.errors import BadCampaign, CampaignState, UnknownCampaign
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import agreement_views, i18n, staff
from portal.console_viewer import Viewer
from portal.contexts import campaigns as contexts
from portal.contexts.console import ReachLine
from portal.i18n import JST, N_
from portal.staff import OPERATOR, read_time
from portal.visits import pages, require_staff, visit_of
from portal.web import Form, notice, read_form, redirect, render

STARTED = notice("campaign.started", N_("Planned. Nobody is asked twice."))
PAUSED = notice("campaign.paused", N_("Paused. Nobody is asked, and nobody's consent ends by it."))
RESUMED = notice("campaign.resumed", N_("It goes on, and everybody has the time back."))
CANCELLED = notice("campaign.cancelled", N_("Cancelled. Nobody's consent ends by it."))
NOT_NOW = notice("campaign.not-now", N_("That is not possible any more. This is how it is now."), kind="warn")

_STEPS: Final = {
    "pause": (campaigns.pause, PAUSED),
    "resume": (campaigns.resume, RESUMED),
    "cancel": (campaigns.cancel, CANCELLED),
}
_DAYS: Final = 30
_PROGRESS: Final = (
    ("asked", N_("Asked so far")),
    ("agreed", N_("Agreed to all of it")),
    ("partly", N_("Agreed to a part")),
    ("refused", N_("Said no, or took it back")),
    ("waiting", N_("Not answered yet")),
    ("ended", N_("Did not answer in time, or it ran out")),
)
_WORDS: Final = {
    "begins": N_("A time from now on, at most 90 days ahead; or nothing, to begin now."),
    "deadline": N_("Between 14 and 180 days after it begins."),
    "per_hour": N_("Between 1 and 20,000 people."),
    "reminders": N_("None, one or two."),
}


def router(host: Host) -> APIRouter:
    """/console/agreements/{id}/campaign."""
    routes = pages(host)
    db, clock = host.db, host.clock

    def read(
        session: Session,
        who: Viewer,
        agreement_id: str,
        values: Mapping[str, str],
        errors: Mapping[str, str],
    ) -> contexts.CampaignPage:
        known = agreements.published(session, agreement_id)
        shown = known[-1] if known else agreements.current(session, agreement_id)
        found = campaigns.find(session, agreement_id)
        may = campaigns.possible(session, agreement_id)
        told = found and campaign_progress.published(session, found.id)
        return contexts.CampaignPage(
            agreement_id=agreement_id,
            title=shown.notice(who.lang).title,
            number=shown.number,
            changes=agreement_views.changes(known[-2], shown, who) if len(known) > 1 else (),
            campaign=_campaign(session, who, found, told or None) if found and not may else None,
            may_start=may,
            values=dict(values) or suggested(clock.ms()),
            errors=dict(errors),
        )

    def viewer(request: Request) -> Viewer:
        browser = require_staff(request, *OPERATOR)
        return Viewer(host, visit_of(request).language.code, frozenset(browser.roles), browser.account_id)

    @routes.get("/console/agreements/{agreement_id}/campaign")
    async def show(request: Request, agreement_id: str) -> Response:
        page = await db.read(read, viewer(request), agreement_id, {}, {})
        return render(request, "console/campaign.html", page)

    @routes.post("/console/agreements/{agreement_id}/campaign")
    async def start(request: Request, agreement_id: str) -> Response:
        who, actor = viewer(request), require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        now = clock.ms()
        plan, errors = _plan(form, now)
        if not errors:
            try:
                await db.write(campaigns.start, agreement_id, plan, actor=actor, now=now)
            except CampaignState:
                return redirect(request, f"/console/agreements/{agreement_id}/campaign", notice=NOT_NOW)
            except BadCampaign as bad:
                field = (bad.pointer or "/deadline").lstrip("/")
                errors = {field: i18n.current().gettext(_WORDS[field])}
        if errors:
            values = {name: form.one(name) for name in _WORDS}
            page = await db.read(read, who, agreement_id, values, errors)
            return render(request, "console/campaign.html", page, status=422)
        return redirect(request, f"/console/agreements/{agreement_id}/campaign", notice=STARTED)

    @routes.post("/console/agreements/{agreement_id}/campaign/{step}")
    async def move(request: Request, agreement_id: str, step: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        if step not in _STEPS:
            raise NotFound("There is no such step.")
        act, done = _STEPS[step]
        try:
            await db.write(act, agreement_id, actor=actor, now=clock.ms())
        except (CampaignState, UnknownCampaign):
            done = NOT_NOW
        return redirect(request, f"/console/agreements/{agreement_id}/campaign", notice=done)

    return routes


def suggested(now: Millis) -> dict[str, str]:
    """What the form begins with."""
    day = datetime.fromtimestamp(now / 1000, UTC).astimezone(JST).date() + timedelta(days=_DAYS)
    return {"begins": "", "deadline": day.isoformat(), "per_hour": "1000", "reminders": "1"}


def _plan(form: Form, now: Millis) -> tuple[Plan, dict[str, str]]:
    """The plan, or what cannot be read of it; the rules are `Plan.check`'s."""
    wrong: list[str] = []
    begins, deadline, numbers = now, now, {"per_hour": 0, "reminders": 0}
    try:
        begins = read_time(form.one("begins")) or now
    except ValueError:
        wrong.append("begins")
    try:
        last = datetime.combine(date.fromisoformat(form.one("deadline")), time(23, 59, 59), JST)
        deadline = int(last.timestamp() * 1000)
    except (ValueError, OverflowError):
        wrong.append("deadline")
    for name in numbers:
        typed = form.one(name)
        if typed.isascii() and typed.isdigit() and len(typed) < 7:
            numbers[name] = int(typed)
        else:
            wrong.append(name)
    errors = {name: i18n.current().gettext(_WORDS[name]) for name in wrong}
    return Plan(begins, deadline, numbers["per_hour"], numbers["reminders"]), errors


def _campaign(session: Session, who: Viewer, found: CampaignView, told: Progress | None) -> contexts.Campaign:
    names = staff.names(session, who.host.get(Sealer), (found.started_by,))
    words = i18n.current().gettext
    lines = [
        ReachLine(words(label), agreement_views.in_tens(int(getattr(told, name)))) for name, label in _PROGRESS if told
    ]
    return contexts.Campaign(
        state=found.state,
        begins_at=found.plan.begins_at,
        deadline_at=found.plan.deadline_at,
        per_hour=found.plan.per_hour,
        reminders=found.plan.reminders,
        started_by=names.get(found.started_by, found.started_by),
        progress=tuple(lines),
        progress_at=told.at if told else None,
    )
