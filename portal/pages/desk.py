"""The incident desk's pages: board and queue, forms, the workbench. For staff with the role analyst or lead.

Handlers read the form, call one domain function in the hallway, and send people back to where they were. A change
made on an old version is not an error page: the workbench comes back as it is now, and says so.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cert import alerts, containment, response, tasks, timeline
from cert.containment import Action
from cert.deadlines import IDS, Body
from cert.desk import Desk
from cert.errors import AlreadyUndone, CloseNeedsSummary, FieldInvalid, MoveRefused, OpenTasks, Stale
from cert.fields import FACTS, Change
from cert.incidents import ANALYST, LEAD, Severity, State, Tlp, may
from cert.shapes import read_page
from identity.accounts import list_accounts
from identity.sessions import BrowserSession
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import desk_forms as forms
from portal import desk_views as views
from portal.contexts import desk as contexts
from portal.i18n import N_, _
from portal.staff import home_of
from portal.visits import pages, require_staff, visit_of
from portal.web import local_path, notice, read_form, redirect, render

STALE = notice(
    "desk.stale",
    N_("Somebody changed this incident meanwhile. This is how it is now; nothing of yours was changed."),
    kind="warn",
)
NOT_NOW = notice("desk.not-now", N_("That step is not possible any more. This is how it is now."), kind="warn")
OPENED = notice("desk.opened", N_("The incident is open."))
SAVED = notice("desk.saved", N_("Saved."))
MOVED = notice("desk.moved", N_("The state has changed."))
WRITTEN = notice("desk.written", N_("Written into the timeline."))
CONTAINED = notice("desk.contained", N_("Done. It is in force everywhere."))
LIFTED = notice("desk.lifted", N_("Lifted. What is held by another incident stays cut off."))
CLOSED = notice("desk.closed", N_("The incident is closed."))
LOGGED = notice("desk.logged", N_("The alert is in the queue."))
NONE_CHOSEN = notice("desk.none-chosen", N_("Choose at least one alert first."), kind="warn")

_DONE = {"dismiss": "dismissed", "take": "taken", "put_back": "put_back"}


def router(host: Host) -> APIRouter:
    """Everything below /desk."""
    routes = pages(host)
    db, clock = host.db, host.clock

    def seals() -> Any:
        return host.get(Desk).seals

    def enter(request: Request, role: str = ANALYST) -> BrowserSession:
        browser = require_staff(request)
        if not may(browser.roles, role):
            raise NotFound("There is nothing here for you.")
        return browser

    def viewer(request: Request) -> views.Viewer:
        visit = visit_of(request)
        roles = visit.browser.roles if visit.browser else frozenset()
        return views.Viewer(host, visit.language.code, frozenset(roles), clock.ms())

    async def show(request: Request, template: str, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Response:
        status = 422 if kwargs.get("errors") or kwargs.get("error") else 200
        found = await db.read(fn, viewer(request), *args, **kwargs)
        return render(request, template, found, status=status)

    async def change(
        request: Request, incident_id: str, done: str, work: Callable[[], Awaitable[object]], *, part: str = ""
    ) -> Response:
        """Do `work` and go back to the workbench, whatever became of it."""
        place = f"/desk/incidents/{incident_id}"
        try:
            await work()
        except Stale:
            return redirect(request, place, notice=STALE)
        except (MoveRefused, AlreadyUndone):
            return redirect(request, place, notice=NOT_NOW)
        return redirect(request, place + part, notice=done)

    # -- board and queue

    @routes.get("/desk")
    async def board(request: Request) -> Response:
        browser = require_staff(request)
        if not may(browser.roles, ANALYST):
            return RedirectResponse(home_of(browser), status_code=303, headers={"cache-control": "no-store"})
        return await show(request, "desk/board.html", views.board, did=_did(request))

    @routes.get("/desk/alerts")
    async def queue(request: Request) -> Response:
        enter(request)
        state = request.query_params.get("state", "waiting")
        if state not in ("waiting", "in_incident", "dismissed"):
            raise NotFound("There is no such list.")
        return await show(
            request,
            "desk/queue.html",
            views.queue,
            state=state,
            before=_page(request),
            did=_did(request),
            back=f"/desk/alerts?state={state}",
        )

    @routes.post("/desk/alerts/{alert_id}/triage")
    async def triage(request: Request, alert_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        decision = form.one("decision")
        back = local_path(form.one("back"), "/desk")
        try:
            if decision == "dismiss":
                await db.write(alerts.dismiss, alert_id, reason=form.one("reason"), actor=actor)
            elif decision == "take":
                await db.write(alerts.take, alert_id, actor=actor)
            elif decision == "put_back":
                await db.write(alerts.put_back, alert_id, actor=actor)
            else:
                raise NotFound("There is no such decision.")
        except MoveRefused:
            return redirect(request, back, notice=NOT_NOW)
        return redirect(request, _with(back, did=_DONE[decision], alert=alert_id))

    @routes.post("/desk/alerts/attach")
    async def attach(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        chosen, incident_id = form.all("alert"), form.one("incident")
        back = local_path(form.one("back"), "/desk")
        if not chosen:
            return redirect(request, back, notice=NONE_CHOSEN)

        def work(session: Session) -> None:
            for one in dict.fromkeys(chosen):
                response.add_alert(session, seals(), incident_id, one, actor=actor, now=clock.ms())

        try:
            await db.write(work)
        except MoveRefused:
            return redirect(request, back, notice=NOT_NOW)
        return redirect(request, _with(back, did="attached", alert=chosen[0]))

    @routes.get("/desk/alerts/new")
    async def new_alert(request: Request) -> Response:
        enter(request)
        return render(request, "desk/alert_new.html", contexts.AlertForm({}, {}))

    @routes.post("/desk/alerts/new")
    async def log_alert(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        now = clock.ms()
        try:
            await db.write(
                alerts.raise_alert,
                seals(),
                source="hand",
                kind=forms.one_of(form, "kind", alerts.KINDS),
                severity=Severity(forms.one_of(form, "severity", tuple(Severity))),
                dedup=f"{actor.id}|{form.one('title')}",
                actor=actor,
                now=now,
                title=forms.title(form, "title"),
                note=forms.text(form, "note"),
                entities=forms.entities(form),
                last_seen_at=forms.past(form, "seen_at", now),
            )
        except forms.Wrong as wrong:
            again = contexts.AlertForm(dict(form.as_dict()), wrong.errors)
            return render(request, "desk/alert_new.html", again, status=422)
        return redirect(request, "/desk", notice=LOGGED)

    # -- incidents

    @routes.get("/desk/incidents/new")
    async def new_incident(request: Request) -> Response:
        enter(request)
        chosen = request.query_params.getlist("alert")[:100]
        return await show(request, "desk/incident_form.html", views.new_incident, alert_ids=chosen)

    @routes.post("/desk/incidents/new")
    async def open_incident(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        try:
            made = await db.write(
                response.open_incident,
                seals(),
                title=forms.title(form, "title"),
                severity=Severity(forms.one_of(form, "severity", tuple(Severity))),
                tlp=Tlp(forms.one_of(form, "tlp", tuple(Tlp))),
                layers=forms.layers(form),
                alert_ids=form.all("alert")[:100],
                note=forms.text(form, "note"),
                actor=actor,
                now=clock.ms(),
            )
        except forms.Wrong as wrong:
            return await show(
                request,
                "desk/incident_form.html",
                views.new_incident,
                alert_ids=form.all("alert")[:100],
                values=form.as_dict(),
                ticked=forms.ticked(form),
                errors=wrong.errors,
            )
        except MoveRefused:
            return redirect(request, "/desk", notice=NOT_NOW)
        return redirect(request, f"/desk/incidents/{made}", notice=OPENED)

    @routes.get("/desk/incidents/{incident_id}")
    async def incident(request: Request, incident_id: str) -> Response:
        enter(request)
        return await show(request, "desk/incident.html", views.incident, incident_id)

    async def _colleagues() -> list[str]:
        found = await db.read(list_accounts, kind="staff", limit=200)
        return [one.id for one in found if one.status == "active" and may(one.roles, ANALYST)]

    @routes.get("/desk/incidents/{incident_id}/edit")
    async def edit_form(request: Request, incident_id: str) -> Response:
        enter(request)
        owners = await _colleagues()
        return await show(request, "desk/incident_form.html", views.edit_incident, incident_id, colleagues=owners)

    @routes.post("/desk/incidents/{incident_id}/edit")
    async def edit(request: Request, incident_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        owners = await _colleagues()
        now = clock.ms()
        try:
            owner = form.one("owner")
            wanted = Change(
                title=forms.title(form, "title"),
                severity=Severity(forms.one_of(form, "severity", tuple(Severity))),
                tlp=Tlp(forms.one_of(form, "tlp", tuple(Tlp))),
                layers=forms.layers(form),
                assets=forms.assets(form),
                owner_id=owner if owner in owners else "",
                aware_at=forms.past(form, "aware_at", now),
                began_at=forms.past(form, "began_at", now),
                ended_at=forms.past(form, "ended_at", now),
            )
            await db.write(
                response.edit, seals(), incident_id, version=forms.version(form), change=wanted, actor=actor, now=now
            )
        except (forms.Wrong, Stale) as wrong:
            errors = (
                wrong.errors
                if isinstance(wrong, forms.Wrong)
                else {"title": _("Somebody changed this incident meanwhile. Compare, then save once more.")}
            )
            return await show(
                request,
                "desk/incident_form.html",
                views.edit_incident,
                incident_id,
                colleagues=owners,
                values=form.as_dict(),
                ticked=forms.ticked(form),
                errors=errors,
            )
        except MoveRefused:
            return redirect(request, f"/desk/incidents/{incident_id}", notice=NOT_NOW)
        return redirect(request, f"/desk/incidents/{incident_id}", notice=SAVED)

    @routes.post("/desk/incidents/{incident_id}/move")
    async def move(request: Request, incident_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        to = State(forms.known(form.one("to"), tuple(State)))

        async def work() -> None:
            await db.write(
                response.move, seals(), incident_id, version=forms.version(form), to=to, actor=actor, now=clock.ms()
            )

        return await change(request, incident_id, MOVED, work)

    @routes.post("/desk/incidents/{incident_id}/facts")
    async def facts(request: Request, incident_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        answers = {name: forms.known(form.one(name), ("yes", "no", "unknown")) for name in FACTS if form.has(name)}
        body = Body(forms.known(form.one("body"), tuple(Body))) if form.has("body") else None
        filed, unfiled = form.one("file"), form.one("unfile")
        if filed or unfiled:
            forms.known(filed or unfiled, IDS)

        def work_in(session: Session) -> None:
            known: set[str] | None = None
            if filed or unfiled:
                known = set(response.get(session, seals(), incident_id).filed) - {unfiled} | ({filed} - {""})
            wanted = Change(facts=answers or None, body=body, filed=None if known is None else sorted(known))
            response.edit(
                session, seals(), incident_id, version=forms.version(form), change=wanted, actor=actor, now=clock.ms()
            )

        return await change(request, incident_id, SAVED, lambda: db.write(work_in), part="#col-do")

    @routes.post("/desk/incidents/{incident_id}/timeline")
    async def write_line(request: Request, incident_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        now = clock.ms()
        try:
            text = forms.text(form, "text")
            if not text:
                raise forms.Wrong("text")
            await db.write(
                response.note,
                seals(),
                incident_id,
                text=text,
                source=forms.known(form.one("source", "desk"), timeline.SOURCES),
                happened_at=forms.past(form, "happened_at", now),
                exact=not form.has("about"),
                actor=actor,
                now=now,
            )
        except forms.Wrong as wrong:
            return await show(
                request, "desk/incident.html", views.incident, incident_id, values=form.as_dict(), errors=wrong.errors
            )
        return redirect(request, f"/desk/incidents/{incident_id}", notice=WRITTEN)

    @routes.post("/desk/incidents/{incident_id}/tasks")
    async def add_task(request: Request, incident_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        try:
            title = forms.title(form, "task")
            due = forms.time(form, "due_at")
        except forms.Wrong as wrong:
            return await show(
                request, "desk/incident.html", views.incident, incident_id, values=form.as_dict(), errors=wrong.errors
            )

        async def work() -> None:
            await db.write(
                tasks.add,
                seals(),
                incident_id,
                title=title,
                owner_id=actor.id,
                due_at=due,
                actor=actor,
                now=clock.ms(),
            )

        return await change(request, incident_id, SAVED, work, part="#col-do")

    @routes.post("/desk/incidents/{incident_id}/tasks/{task_id}")
    async def end_task(request: Request, incident_id: str, task_id: str) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        state = forms.known(form.one("state"), ("open", "done", "dropped"))

        async def work() -> None:
            await db.write(tasks.end, seals(), incident_id, task_id, state=state, actor=actor, now=clock.ms())

        return await change(request, incident_id, SAVED, work, part="#col-do")

    # -- containment

    @routes.get("/desk/incidents/{incident_id}/contain")
    async def dry_run(request: Request, incident_id: str) -> Response:
        enter(request)
        action = Action(forms.known(request.query_params.get("action", ""), tuple(Action)))
        more = request.query_params.get("more", "").replace(",", " ").split()
        targets = [*request.query_params.getlist("target"), *more]
        try:
            return await show(request, "desk/contain.html", views.preview, incident_id, action=action, targets=targets)
        except FieldInvalid:
            return await show(
                request,
                "desk/incident.html",
                views.incident,
                incident_id,
                values={"action": str(action)},
                errors=forms.told("target"),
            )

    @routes.post("/desk/incidents/{incident_id}/contain")
    async def contain(request: Request, incident_id: str) -> Response:
        actor = enter(request, LEAD).actor()
        form = await read_form(request)
        action = Action(forms.known(form.one("action"), tuple(Action)))

        async def work() -> None:
            await db.write(
                containment.contain,
                seals(),
                host.get(Desk).effects,
                incident_id,
                action=action,
                targets=form.all("target"),
                actor=actor,
                now=clock.ms(),
                reason=form.one("reason")[:400],
            )

        try:
            return await change(request, incident_id, CONTAINED, work, part="#col-do")
        except FieldInvalid:
            return redirect(request, f"/desk/incidents/{incident_id}", notice=NOT_NOW)

    @routes.post("/desk/incidents/{incident_id}/containment/{containment_id}/lift")
    async def lift(request: Request, incident_id: str, containment_id: str) -> Response:
        actor = enter(request, LEAD).actor()

        async def work() -> None:
            await db.write(
                containment.lift,
                seals(),
                host.get(Desk).effects,
                incident_id,
                containment_id,
                actor=actor,
                now=clock.ms(),
            )

        return await change(request, incident_id, LIFTED, work, part="#col-do")

    # -- the end

    @routes.get("/desk/incidents/{incident_id}/close")
    async def close_form(request: Request, incident_id: str) -> Response:
        enter(request, LEAD)
        return await show(request, "desk/close.html", views.close_form, incident_id)

    @routes.post("/desk/incidents/{incident_id}/close")
    async def close(request: Request, incident_id: str) -> Response:
        actor = enter(request, LEAD).actor()
        form = await read_form(request)
        summary = form.one("summary")

        async def work() -> None:
            await db.write(
                response.close,
                seals(),
                incident_id,
                version=forms.version(form),
                summary=summary,
                actor=actor,
                now=clock.ms(),
            )

        try:
            return await change(request, incident_id, CLOSED, work)
        except OpenTasks:
            return await show(request, "desk/close.html", views.close_form, incident_id, summary=summary)
        except (CloseNeedsSummary, FieldInvalid):
            words = _("Write what happened, what was done and what changes: at least 20 characters.")
            return await show(request, "desk/close.html", views.close_form, incident_id, summary=summary, error=words)

    return routes


# -- reading forms


def _did(request: Request) -> contexts.Did | None:
    what, alert = request.query_params.get("did", ""), request.query_params.get("alert", "")
    known = ("dismissed", "taken", "attached", "put_back")
    return contexts.Did(alert, what) if what in known and alert else None


def _with(path: str, **query: str) -> str:
    return path + ("&" if "?" in path else "?") + urlencode(query)


def _page(request: Request) -> tuple[Millis, str] | None:
    try:
        return read_page(request.query_params.get("after"))
    except FieldInvalid:
        return None
