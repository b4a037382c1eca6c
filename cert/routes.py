"""The desk's JSON API, for staff and (to log alerts) for services.

Endpoints are thin: read the body, take the role, one call through the hallway. Shapes are in cert.shapes.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request

from cert import alerts, containment, response, tasks, workbench
from cert.containment import Action
from cert.deadlines import Body as Answerable
from cert.desk import Desk
from cert.detection import RULES, Entity
from cert.errors import (
    AlertNotFound,
    AlreadyUndone,
    CloseNeedsSummary,
    FieldInvalid,
    IncidentNotFound,
    MoveRefused,
    OpenTasks,
    PartNotFound,
    RoleNeeded,
    Stale,
)
from cert.fields import Asset, Change, check_not_ahead
from cert.incidents import ANALYST, LEAD, OPEN_STATES, Severity, State, Tlp, may, moves_from
from cert.layers import LAYERS
from cert.shapes import (
    AlertAnswer,
    AlertBody,
    AlertPage,
    ChangeBody,
    CloseBody,
    ContainBody,
    ContainmentAnswer,
    CreatedAnswer,
    IncidentBody,
    IncidentPage,
    LayerAnswer,
    LiftBody,
    LineBody,
    MoveBody,
    PreviewAnswer,
    RaisedAnswer,
    ReferenceAnswer,
    RuleAnswer,
    TaskBody,
    TaskStateBody,
    TriageBody,
    VersionAnswer,
    WorkbenchAnswer,
    alert_answer,
    both,
    clock_answer,
    containment_answer,
    incident_answer,
    line_answer,
    read_page,
    read_time,
    task_answer,
)
from cert.workbench import Workbench
from kit.clock import Clock
from kit.db import Database
from kit.host import Actor
from kit.problems import Forbidden
from kit.web import GUARDED, LaterRoute, actor_of, problems

PAGE = 100
SCOPE = "cert:alerts"


def make_router(db: Database, clock: Clock, seat: Desk) -> APIRouter:
    """The desk's router, for the audience "operator"."""
    seals = seat.seals
    staff = APIRouter(prefix="/api/cert", tags=["cert"], route_class=LaterRoute)

    def desk(request: Request, role: str = ANALYST) -> Actor:
        actor = actor_of(request)
        if not may(actor.roles, role):
            raise RoleNeeded(f"This needs the role {role}.", role=role)
        return actor

    @staff.get("/reference", operation_id="cert_reference", responses=problems(*GUARDED))
    async def reference(request: Request) -> ReferenceAnswer:
        """Layers, rules, states and labels that the desk knows."""
        desk(request)
        return ReferenceAnswer(
            layers=[LayerAnswer(number=one.number, name=both(one.name)) for one in LAYERS],
            rules=[
                RuleAnswer(
                    id=rule.id,
                    name=both(rule.name),
                    threshold=rule.threshold,
                    window_seconds=rule.window // 1000,
                    severity=rule.severity,
                )
                for rule in RULES
            ],
            states=[str(state) for state in State],
            severities=[str(severity) for severity in Severity],
            tlp=[str(label) for label in Tlp],
        )

    @staff.get("/alerts", operation_id="cert_alerts_list", responses=problems(*GUARDED, FieldInvalid))
    async def list_alerts(
        request: Request,
        state: Annotated[list[Literal["new", "triaged", "dismissed", "in_incident"]] | None, Query()] = None,
        after: Annotated[str | None, Query(max_length=80, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
    ) -> AlertPage:
        """The queue, last seen first."""
        desk(request)
        before = read_page(after)
        found = await db.read(alerts.queue, seals, states=state or alerts.WAITING, before=before, limit=limit)
        last = f"{found[-1].last_seen_at}.{found[-1].id}" if len(found) == limit else None
        return AlertPage(alerts=[alert_answer(one) for one in found], next=last)

    @staff.post(
        "/alerts",
        status_code=201,
        operation_id="cert_alerts_log",
        responses=problems(*GUARDED, RoleNeeded, FieldInvalid),
    )
    async def log_alert(request: Request, body: AlertBody) -> RaisedAnswer:
        """Log an alert: staff by hand, or a service with a token of the scope `cert:alerts`."""
        actor = actor_of(request)
        if actor.kind == "service":
            if SCOPE not in actor.scopes:
                raise Forbidden(f"This needs a token with the scope {SCOPE}.")
            return await _raise(body, actor=actor, source="service")
        return await _raise(body, actor=desk(request), source="hand")

    async def _raise(body: AlertBody, *, actor: Actor, source: str) -> RaisedAnswer:
        now = clock.ms()
        seen = read_time(body.seen_at, "/seen_at") or now
        check_not_ahead(seen, now, "/seen_at")
        raised = await db.write(
            alerts.raise_alert,
            seals,
            source=source,
            kind=body.kind,
            severity=Severity(body.severity),
            # Two reporters never share a key: one must not be able to hide in another's alert.
            dedup=f"{actor.id}|{body.dedup if body.dedup is not None else body.title}",
            actor=actor,
            now=now,
            title=body.title,
            note=body.note,
            entities=[Entity(one.kind, one.ref) for one in body.entities],
            last_seen_at=seen,
        )
        return RaisedAnswer(id=raised.alert_id, new=raised.new, count=raised.count)

    @staff.post(
        "/alerts/{alert_id}/triage",
        operation_id="cert_alerts_triage",
        responses=problems(*GUARDED, AlertNotFound, IncidentNotFound, MoveRefused, FieldInvalid),
    )
    async def triage(request: Request, alert_id: str, body: TriageBody) -> AlertAnswer:
        """Take, dismiss, put back, or attach to an incident."""
        actor = desk(request)
        if body.decision == "dismiss":
            if body.reason is None:
                raise FieldInvalid("Say why.", pointer="/reason")
            await db.write(alerts.dismiss, alert_id, reason=body.reason, actor=actor)
        elif body.decision == "attach":
            if body.incident_id is None:
                raise FieldInvalid("Name the incident.", pointer="/incident_id")
            await db.write(response.add_alert, seals, body.incident_id, alert_id, actor=actor, now=clock.ms())
        elif body.decision == "take":
            await db.write(alerts.take, alert_id, actor=actor)
        else:
            await db.write(alerts.put_back, alert_id, actor=actor)
        return alert_answer(await db.read(alerts.get, seals, alert_id))

    @staff.get("/incidents", operation_id="cert_incidents_list", responses=problems(*GUARDED, FieldInvalid))
    async def list_incidents(
        request: Request,
        state: Annotated[
            list[Literal["new", "triage", "contained", "eradicated", "recovering", "closed"]] | None, Query()
        ] = None,
        after: Annotated[str | None, Query(max_length=80, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
    ) -> IncidentPage:
        """The board, newest first; open incidents unless states are named."""
        desk(request)
        states = [State(one) for one in state] if state else OPEN_STATES
        found = await db.read(response.board, seals, states=states, before=read_page(after), limit=limit)
        last = f"{found[-1].opened_at}.{found[-1].id}" if len(found) == limit else None
        return IncidentPage(incidents=[incident_answer(one) for one in found], next=last)

    @staff.post(
        "/incidents",
        status_code=201,
        operation_id="cert_incidents_open",
        responses=problems(*GUARDED, AlertNotFound, MoveRefused, FieldInvalid),
    )
    async def open_incident(request: Request, body: IncidentBody) -> CreatedAnswer:
        """Open an incident, with the alerts that led to it."""
        actor = desk(request)
        made = await db.write(
            response.open_incident,
            seals,
            title=body.title,
            severity=Severity(body.severity),
            tlp=Tlp(body.tlp),
            layers=body.layers,
            assets=[Asset(one.kind, one.ref) for one in body.assets],
            alert_ids=body.alerts,
            aware_at=read_time(body.aware_at, "/aware_at"),
            began_at=read_time(body.began_at, "/began_at"),
            note=body.note,
            actor=actor,
            now=clock.ms(),
        )
        return CreatedAnswer(id=made)

    @staff.get(
        "/incidents/{incident_id}",
        operation_id="cert_incidents_get",
        responses=problems(*GUARDED, IncidentNotFound),
    )
    async def get_incident(request: Request, incident_id: str) -> WorkbenchAnswer:
        """The workbench: what we know, what it touches, what we must do."""
        actor = desk(request)
        return _answer(await db.read(workbench.read, seat, incident_id, now=clock.ms()), actor)

    @staff.patch(
        "/incidents/{incident_id}",
        operation_id="cert_incidents_edit",
        responses=problems(*GUARDED, IncidentNotFound, MoveRefused, Stale, FieldInvalid),
    )
    async def edit(request: Request, incident_id: str, body: ChangeBody) -> VersionAnswer:
        """Change an incident, as it was at `version`."""
        actor = desk(request)
        facts = body.facts.model_dump(exclude_none=True) if body.facts else None
        change = Change(
            title=body.title,
            severity=Severity(body.severity) if body.severity else None,
            tlp=Tlp(body.tlp) if body.tlp else None,
            layers=body.layers,
            assets=None if body.assets is None else [Asset(one.kind, one.ref) for one in body.assets],
            facts=facts,
            filed=body.filed,
            body=Answerable(body.body) if body.body else None,
            owner_id=body.owner_id,
            aware_at=read_time(body.aware_at, "/aware_at"),
            began_at=read_time(body.began_at, "/began_at"),
            ended_at=read_time(body.ended_at, "/ended_at"),
        )
        version = await db.write(
            response.edit,
            seals,
            incident_id,
            version=body.version,
            change=change,
            actor=actor,
            now=clock.ms(),
        )
        return VersionAnswer(version=version)

    @staff.post(
        "/incidents/{incident_id}/move",
        operation_id="cert_incidents_move",
        responses=problems(*GUARDED, RoleNeeded, IncidentNotFound, MoveRefused, Stale),
    )
    async def move(request: Request, incident_id: str, body: MoveBody) -> VersionAnswer:
        """One step on or back. Reopening a closed incident is a move to `triage`, by a lead."""
        actor = desk(request)
        version = await db.write(
            response.move,
            seals,
            incident_id,
            version=body.version,
            to=State(body.to),
            actor=actor,
            now=clock.ms(),
            text=body.text,
        )
        return VersionAnswer(version=version)

    @staff.post(
        "/incidents/{incident_id}/close",
        operation_id="cert_incidents_close",
        responses=problems(*GUARDED, RoleNeeded, IncidentNotFound, MoveRefused, OpenTasks, Stale, CloseNeedsSummary),
    )
    async def close(request: Request, incident_id: str, body: CloseBody) -> VersionAnswer:
        """Close with a summary; only a lead, and only with no task left open."""
        actor = desk(request, LEAD)
        version = await db.write(
            response.close,
            seals,
            incident_id,
            version=body.version,
            summary=body.summary,
            actor=actor,
            now=clock.ms(),
        )
        return VersionAnswer(version=version)

    @staff.post(
        "/incidents/{incident_id}/timeline",
        status_code=201,
        operation_id="cert_timeline_add",
        responses=problems(*GUARDED, IncidentNotFound, FieldInvalid),
    )
    async def add_line(request: Request, incident_id: str, body: LineBody) -> CreatedAnswer:
        """Write a line into the record. Lines can't be changed; correct one with another."""
        actor = desk(request)
        made = await db.write(
            response.note,
            seals,
            incident_id,
            text=body.text,
            source=body.source,
            happened_at=read_time(body.happened_at, "/happened_at"),
            exact=body.exact,
            actor=actor,
            now=clock.ms(),
        )
        return CreatedAnswer(id=made)

    @staff.post(
        "/incidents/{incident_id}/tasks",
        status_code=201,
        operation_id="cert_tasks_add",
        responses=problems(*GUARDED, IncidentNotFound, MoveRefused, FieldInvalid),
    )
    async def add_task(request: Request, incident_id: str, body: TaskBody) -> CreatedAnswer:
        """Add a task."""
        actor = desk(request)
        made = await db.write(
            tasks.add,
            seals,
            incident_id,
            title=body.title,
            owner_id=body.owner_id,
            due_at=read_time(body.due_at, "/due_at"),
            actor=actor,
            now=clock.ms(),
        )
        return CreatedAnswer(id=made)

    @staff.post(
        "/incidents/{incident_id}/tasks/{task_id}",
        operation_id="cert_tasks_end",
        responses=problems(*GUARDED, IncidentNotFound, PartNotFound, MoveRefused),
    )
    async def end_task(request: Request, incident_id: str, task_id: str, body: TaskStateBody) -> TaskStateBody:
        """Mark a task done or dropped, or open it again."""
        actor = desk(request)
        await db.write(tasks.end, seals, incident_id, task_id, state=body.state, actor=actor, now=clock.ms())
        return body

    @staff.post(
        "/incidents/{incident_id}/containment/preview",
        operation_id="cert_containment_preview",
        responses=problems(*GUARDED, IncidentNotFound, FieldInvalid),
    )
    async def preview(request: Request, incident_id: str, body: ContainBody) -> PreviewAnswer:
        """A dry run: what containing would touch, in numbers."""
        desk(request)
        found = await db.read(
            containment.preview, seat.effects, incident_id, action=Action(body.action), targets=body.targets
        )
        return PreviewAnswer(
            action=found.action, targets=list(found.targets), counts=found.counts, undoable=found.undoable
        )

    @staff.post(
        "/incidents/{incident_id}/containment",
        status_code=201,
        operation_id="cert_containment_apply",
        responses=problems(*GUARDED, RoleNeeded, IncidentNotFound, MoveRefused, FieldInvalid),
    )
    async def contain(request: Request, incident_id: str, body: ContainBody) -> ContainmentAnswer:
        """Cut off; in force everywhere before this answers. Only a lead."""
        actor = desk(request, LEAD)
        made = await db.write(
            containment.contain,
            seals,
            seat.effects,
            incident_id,
            action=Action(body.action),
            targets=body.targets,
            actor=actor,
            now=clock.ms(),
            reason=body.reason,
        )
        return containment_answer(made)

    @staff.post(
        "/incidents/{incident_id}/containment/{containment_id}/lift",
        operation_id="cert_containment_lift",
        responses=problems(*GUARDED, RoleNeeded, IncidentNotFound, PartNotFound, AlreadyUndone),
    )
    async def lift(request: Request, incident_id: str, containment_id: str, body: LiftBody) -> ContainmentAnswer:
        """Undo a suspension. Only a lead."""
        actor = desk(request, LEAD)
        made = await db.write(
            containment.lift,
            seals,
            seat.effects,
            incident_id,
            containment_id,
            actor=actor,
            now=clock.ms(),
            reason=body.reason,
        )
        return containment_answer(made)

    return staff


def _answer(found: Workbench, actor: Actor) -> WorkbenchAnswer:
    return WorkbenchAnswer(
        incident=incident_answer(found.incident),
        timeline=[line_answer(line) for line in found.lines],
        tasks=[task_answer(task) for task in found.tasks],
        containments=[containment_answer(made) for made in found.containments],
        alerts=[alert_answer(alert) for alert in found.alerts],
        clocks=[clock_answer(one) for one in found.clocks],
        people_certain=found.reach.certain,
        people_possible=found.reach.possible,
        moves=[str(state) for state in moves_from(found.incident.state, actor.roles)],
    )
