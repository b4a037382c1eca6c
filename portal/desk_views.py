"""From the desk's domain to its pages: each function reads in one snapshot and returns a context."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cert import alerts, containment, response, workbench
from cert.alerts import AlertView
from cert.containment import Action, Applied, Effects
from cert.deadlines import REVIEWED, STALE_AFTER, Clock, Standing, clocks, nearest
from cert.desk import Desk
from cert.detection import BY_ID, Entity
from cert.fields import Asset
from cert.grouping import group
from cert.incidents import State, moves_from
from cert.layers import LAYERS
from cert.response import IncidentView
from cert.timeline import Line
from keys.envelope import Sealer
from kit.clock import DAY, Millis
from kit.db import Session
from kit.host import Host
from portal import staff
from portal.contexts import desk as pages

QUEUE_ON_BOARD = 20
PAGE = 50
INCIDENTS = 50
SHOWN_THINGS = 8
CLOSED_LATELY = 14 * DAY


@dataclass(frozen=True)
class Viewer:
    """Who looks, in which language, when."""

    host: Host
    lang: str
    roles: frozenset[str]
    now: Millis

    @property
    def desk(self) -> Desk:
        """The desk's service."""
        return self.host.get(Desk)

    @property
    def effects(self) -> Effects:
        """What the house does for the desk."""
        return self.desk.effects

    def colleagues(self, session: Session, ids: Iterable[str | None]) -> Mapping[str, str]:
        """Names of staff by account id."""
        return staff.names(session, self.host.get(Sealer), ids)


def board(session: Session, viewer: Viewer, *, did: pages.Did | None) -> pages.Board:
    """The first page of the desk."""
    seals = viewer.desk.seals
    waiting = alerts.queue(session, seals, limit=QUEUE_ON_BOARD)
    opened = response.board(session, seals, limit=INCIDENTS)
    closed = [
        one
        for one in response.board(session, seals, states=[State.CLOSED], limit=5)
        if one.closed_at is not None and viewer.now - one.closed_at < CLOSED_LATELY
    ]
    counts = alerts.counts(session)
    names = viewer.colleagues(session, [one.owner_id for one in [*opened, *closed]])
    return pages.Board(
        incidents=tuple(_incident_line(session, viewer, one, names) for one in opened),
        closed=tuple(_incident_line(session, viewer, one, names) for one in closed),
        groups=_groups(session, viewer, waiting),
        waiting=counts[alerts.NEW] + counts[alerts.TRIAGED],
        choices=_choices(opened),
        did=did,
        back="/desk",
        now=viewer.now,
    )


def queue(
    session: Session, viewer: Viewer, *, state: str, before: tuple[Millis, str] | None, did: pages.Did | None, back: str
) -> pages.Queue:
    """All alerts of a state, a page at a time."""
    seals = viewer.desk.seals
    states = alerts.WAITING if state == "waiting" else (state,)
    found = alerts.queue(session, seals, states=states, before=before, limit=PAGE)
    counts = alerts.counts(session)
    older = ""
    if len(found) == PAGE:
        older = f"/desk/alerts?state={state}&after={found[-1].last_seen_at}.{found[-1].id}"
    return pages.Queue(
        state=state,
        counts={
            "waiting": counts[alerts.NEW] + counts[alerts.TRIAGED],
            "dismissed": counts[alerts.DISMISSED],
            "in_incident": counts[alerts.IN_INCIDENT],
        },
        groups=_groups(session, viewer, found),
        choices=_choices(response.board(session, seals, limit=INCIDENTS)),
        did=did,
        back=back,
        older=older,
        now=viewer.now,
    )


def new_incident(
    session: Session,
    viewer: Viewer,
    *,
    alert_ids: Sequence[str],
    values: Mapping[str, str] | None = None,
    ticked: Sequence[int] | None = None,
    errors: dict[str, str] | None = None,
) -> pages.IncidentForm:
    """The form for a new incident, filled from the alerts that go in."""
    given = [alerts.get(session, viewer.desk.seals, one) for one in dict.fromkeys(alert_ids)]
    lines = tuple(_alert_line(session, viewer, one, viewer.colleagues(session, [one.owner_id])) for one in given)
    filled = {"title": "", "severity": "medium", "tlp": "TLP:AMBER", "note": ""}
    if given:
        worst = max(given, key=lambda one: one.severity.weight)
        rule = BY_ID.get(worst.kind)
        filled["title"] = worst.title or (rule.name.to(viewer.lang) if rule else "")
        filled["severity"] = str(worst.severity)
    if ticked is None:
        ticked = [number for one in given if one.kind in BY_ID for number in BY_ID[one.kind].layers]
    return pages.IncidentForm(
        reference="",
        values=filled | dict(values or {}),
        layers=_boxes(viewer, ticked),
        alerts=lines,
        owners=(),
        errors=errors or {},
        back="/desk",
    )


def edit_incident(
    session: Session,
    viewer: Viewer,
    incident_id: str,
    *,
    colleagues: Sequence[str],
    values: Mapping[str, str] | None = None,
    ticked: Sequence[int] | None = None,
    errors: dict[str, str] | None = None,
) -> pages.IncidentForm:
    """The form to edit an incident; the version in it is the one now, so that a second try can succeed."""
    view = response.get(session, viewer.desk.seals, incident_id)
    filled = {
        "title": view.title,
        "severity": str(view.severity),
        "tlp": str(view.tlp),
        "owner": view.owner_id or "",
        "aware_at": staff.typed_time(view.aware_at),
        "began_at": staff.typed_time(view.began_at),
        "ended_at": staff.typed_time(view.ended_at),
        "assets": "\n".join(f"{asset.kind} {asset.ref}" for asset in view.assets),
    }
    names = viewer.colleagues(session, [*colleagues, view.owner_id])
    return pages.IncidentForm(
        reference=view.reference,
        values=filled | dict(values or {}) | {"version": str(view.version)},
        layers=_boxes(viewer, view.layers if ticked is None else ticked),
        alerts=(),
        owners=tuple(pages.Choice(one, name) for one, name in sorted(names.items(), key=lambda item: item[1])),
        errors=errors or {},
        back=f"/desk/incidents/{incident_id}",
    )


def incident(
    session: Session,
    viewer: Viewer,
    incident_id: str,
    *,
    values: Mapping[str, str] | None = None,
    errors: dict[str, str] | None = None,
) -> pages.Workbench:
    """The workbench."""
    found = workbench.read(session, viewer.desk, incident_id, now=viewer.now)
    view = found.incident
    names = viewer.colleagues(
        session,
        [
            view.owner_id,
            *(line.actor_id for line in found.lines if line.actor_kind == "operator"),
            *(task.owner_id for task in found.tasks),
            *(made.applied_by for made in found.containments),
        ],
    )
    closed = view.state is State.CLOSED
    near = None if closed else nearest(found.clocks)
    return pages.Workbench(
        id=view.id,
        reference=view.reference,
        title=view.title,
        severity=str(view.severity),
        state=str(view.state),
        tlp=str(view.tlp),
        owner=names.get(view.owner_id or "", ""),
        opened_at=view.opened_at,
        aware_at=view.aware_at,
        began_at=view.began_at,
        ended_at=view.ended_at,
        closed_at=view.closed_at,
        summary=view.summary,
        version=view.version,
        due=_due(near),
        alerts=tuple(_alert_line(session, viewer, one, names) for one in found.alerts),
        lines=tuple(_line(session, viewer, line, names) for line in found.lines),
        layers=tuple(
            pages.LayerLine(one.number, one.name.to(viewer.lang), one.asks.to(viewer.lang), one.number in view.layers)
            for one in LAYERS
        ),
        assets=tuple(_thing(session, viewer, asset.kind, asset.ref) for asset in view.assets),
        certain=found.reach.certain,
        possible=found.reach.possible,
        clocks=tuple(pages.in_words(clock, viewer.lang) for clock in found.clocks),
        rules_old=datetime.fromtimestamp(viewer.now / 1000, UTC).date() - REVIEWED > STALE_AFTER,
        facts=dict(view.facts),
        body=str(view.body),
        tasks=tuple(
            pages.TaskLine(task.id, task.title, task.state, names.get(task.owner_id or "", ""), task.due_at)
            for task in found.tasks
        ),
        actions=() if closed else tuple(_action(session, viewer, action, view) for action in Action),
        containments=tuple(_containment(session, viewer, made, names) for made in found.containments),
        moves=tuple(str(to) for to in moves_from(view.state, viewer.roles) if to is not State.CLOSED),
        is_lead="lead" in viewer.roles,
        values=dict(values or {}),
        errors=errors or {},
        now=viewer.now,
    )


def preview(
    session: Session, viewer: Viewer, incident_id: str, *, action: Action, targets: Sequence[str]
) -> pages.ContainPreview:
    """The dry run of a containment."""
    view = response.get(session, viewer.desk.seals, incident_id)
    found = containment.preview(session, viewer.effects, incident_id, action=action, targets=targets)
    return pages.ContainPreview(
        id=view.id,
        reference=view.reference,
        title=view.title,
        action=str(action),
        targets=tuple(
            pages.Target(action.target, _thing(session, viewer, action.target, one).words) for one in found.targets
        ),
        ids=found.targets,
        counts=tuple(found.counts.items()),
        undoable=found.undoable,
        is_lead="lead" in viewer.roles,
    )


def close_form(
    session: Session, viewer: Viewer, incident_id: str, *, summary: str = "", error: str = ""
) -> pages.CloseForm:
    """The form to close, with what speaks against it."""
    found = workbench.read(session, viewer.desk, incident_id, now=viewer.now)
    left = [task for task in found.tasks if task.state == "open"]
    names = viewer.colleagues(session, [task.owner_id for task in left])
    running = [clock for clock in found.clocks if clock.standing is Standing.RUNS]
    return pages.CloseForm(
        id=found.incident.id,
        reference=found.incident.reference,
        title=found.incident.title,
        version=found.incident.version,
        tasks=tuple(pages.LeftTask(task.title, names.get(task.owner_id or "", "")) for task in left),
        holding=tuple(
            pages.Held(str(made.action), _target_names(session, viewer, made))
            for made in found.containments
            if made.holds
        ),
        running=tuple(
            pages.LeftClock(clock.name.to(viewer.lang), clock.to.to(viewer.lang), clock.due_at) for clock in running
        ),
        summary=summary,
        error=error,
    )


# -- lines


def _groups(session: Session, viewer: Viewer, found: Sequence[AlertView]) -> tuple[pages.AlertGroup, ...]:
    by_id = {one.id: one for one in found}
    names = viewer.colleagues(session, [one.owner_id for one in found])
    return tuple(
        pages.AlertGroup(one.because, tuple(_alert_line(session, viewer, by_id[alert], names) for alert in one.alerts))
        for one in group(list(by_id), {one.id: one.shared for one in found})
    )


def _alert_line(session: Session, viewer: Viewer, view: AlertView, names: Mapping[str, str]) -> pages.AlertLine:
    weight = {"source": 0, "client": 1, "member": 2}
    things = sorted(view.entities, key=lambda one: (not one.role, weight.get(one.kind, 3), one.ref))
    return pages.AlertLine(
        id=view.id,
        kind=view.kind,
        severity=str(view.severity),
        title=view.title,
        note=view.note,
        count=view.count,
        first_at=view.first_seen_at,
        last_at=view.last_seen_at,
        state=view.state,
        owner=names.get(view.owner_id or "", view.owner_id or ""),
        reason=view.reason or "",
        things=tuple(_entity(session, viewer, one) for one in things[:SHOWN_THINGS]),
        more_things=max(0, len(things) - SHOWN_THINGS),
        incident_id=view.incident_id or "",
    )


def _entity(session: Session, viewer: Viewer, entity: Entity) -> pages.Thing:
    found = _thing(session, viewer, entity.kind, entity.ref)
    return pages.Thing(found.kind, found.words, entity.role, found.href)


def _thing(session: Session, viewer: Viewer, kind: str, ref: str) -> pages.Thing:
    known = viewer.effects.name(session, kind, ref)
    words = ref if known is None else (known.name_ja if viewer.lang == "ja" else known.name_en)
    href = ""
    if known is not None and "operator" in viewer.roles and kind in ("client", "member"):
        href = f"/console/{kind}s/{ref}"
    return pages.Thing(kind, words, "", href)


def _incident_line(
    session: Session, viewer: Viewer, view: IncidentView, names: Mapping[str, str]
) -> pages.IncidentLine:
    due = None
    if view.state is not State.CLOSED:
        assets = [(asset.kind, asset.ref) for asset in view.assets]
        reach = viewer.effects.reach(session, assets, since=view.began_at, until=view.ended_at or viewer.now)
        due = _due(nearest(clocks(view.law(reach.certain, reach.possible))))
    return pages.IncidentLine(
        id=view.id,
        reference=view.reference,
        title=view.title,
        severity=str(view.severity),
        state=str(view.state),
        tlp=str(view.tlp),
        layers=view.layers,
        due=due,
        open_tasks=view.open_tasks,
        owner=names.get(view.owner_id or "", ""),
        opened_at=view.opened_at,
    )


def _due(clock: Clock | None) -> pages.Due | None:
    if clock is None or clock.due_at is None:
        return None
    return pages.Due(clock.id, clock.due_at, possible=clock.standing is Standing.POSSIBLE)


def _choices(opened: Sequence[IncidentView]) -> tuple[pages.Choice, ...]:
    return tuple(pages.Choice(one.id, f"{one.reference} {one.title}") for one in opened)


def _boxes(viewer: Viewer, ticked: Iterable[int]) -> tuple[pages.LayerBox, ...]:
    chosen = set(ticked)
    return tuple(pages.LayerBox(one.number, one.name.to(viewer.lang), one.number in chosen) for one in LAYERS)


def _line(session: Session, viewer: Viewer, line: Line, names: Mapping[str, str]) -> pages.TimelineLine:
    data = line.data
    before, after = str(data.get("from", "")), str(data.get("to", ""))
    counts: tuple[tuple[str, int], ...] = ()
    targets: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    filed: tuple[str, ...] = ()
    unfiled: tuple[str, ...] = ()
    if line.kind == "alert":
        after, counts = str(data["kind"]), (("alerts", int(data["count"])),)
    elif line.kind in ("contained", "lifted"):
        after, counts = str(data["action"]), tuple(data.get("counts", {}).items())
        kind = Action(after).target
        targets = tuple(_thing(session, viewer, kind, one).words for one in data["targets"])
    elif line.kind == "task":
        after = str(data["state"])
    elif line.kind == "edited":
        fields = tuple(data["fields"])
        if "facts" in data["fields"]:
            fields, filed, unfiled = _reports(fields, *data["fields"]["facts"])
    return pages.TimelineLine(
        kind=line.kind,
        at=line.happened_at,
        written_at=line.written_at,
        late=line.late,
        exact=line.exact,
        who=names.get(line.actor_id, line.actor_id),
        source=line.source,
        text=line.text,
        before=before,
        after=after,
        fields=fields,
        counts=counts,
        targets=targets,
        filed=filed,
        unfiled=unfiled,
    )


def _reports(
    fields: tuple[str, ...], before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """A report that was filed is what a reader looks for: told by its name, not as one more of the legal facts."""
    had, has = (tuple(facts.get("filed", ())) for facts in (before, after))
    if {**before, "filed": None} == {**after, "filed": None}:
        fields = tuple(name for name in fields if name != "facts")
    return fields, tuple(one for one in has if one not in had), tuple(one for one in had if one not in has)


def _action(session: Session, viewer: Viewer, action: Action, view: IncidentView) -> pages.ActionLine:
    """The assets that can be cut off come first; then everything else of that kind."""
    own = [asset for asset in view.assets if asset.kind == action.target]
    listed = [Asset(action.target, one.id) for one in viewer.effects.choices(session, action)]
    everything = list(dict.fromkeys([*own, *listed])) if own or listed else []
    if action is not Action.END_SESSIONS:
        active = set(listed)
        everything = [one for one in everything if one in active]
    return pages.ActionLine(
        code=str(action),
        targets=tuple(_thing(session, viewer, one.kind, one.ref) for one in everything),
        ids=tuple(one.ref for one in everything),
    )


def _target_names(session: Session, viewer: Viewer, made: Applied) -> tuple[str, ...]:
    return tuple(_thing(session, viewer, made.action.target, one).words for one in made.targets)


def _containment(session: Session, viewer: Viewer, made: Applied, names: Mapping[str, str]) -> pages.ContainmentLine:
    return pages.ContainmentLine(
        id=made.id,
        action=str(made.action),
        targets=_target_names(session, viewer, made),
        counts=tuple(made.counts.items()),
        at=made.applied_at,
        who=names.get(made.applied_by, made.applied_by),
        holds=made.holds,
        lifted_at=made.undone_at,
    )
