"""What the desk does with an incident: open, edit, move, close, reopen, and its tasks.

Every edit names the version it was made on; an older one is refused with 409 (two people at one incident at night
must not overwrite each other). Every change is one transaction with its timeline line and its audit entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cert import alerts, timeline
from cert.deadlines import IDS, JST, Answer, Body, Facts
from cert.errors import FieldInvalid, MoveRefused
from cert.incidents import (
    OPEN_STATES,
    Severity,
    State,
    Tlp,
    check_close,
    check_move,
    read_layers,
    reference,
)
from cert.models import Incident, Task
from cert.seals import Seals
from cert.store import (
    count_open_tasks,
    get_alert,
    get_incident,
    get_task,
    list_incidents,
    list_tasks,
    next_number,
)
from kit import audit
from kit.clock import Millis, to_datetime
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

ASSET_KINDS = ("account", "client", "member", "category", "system", "device")
TITLE_LENGTH = 200
TEXT_LENGTH = 8000
FACTS = ("personal_data", "sensitive", "property_damage", "wrongful_purpose", "protected", "eu_residents")


@dataclass(frozen=True, slots=True)
class Asset:
    """Something an incident touches. `ref` is an opaque id, or a short name for equipment without one."""

    kind: str
    ref: str


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task, opened for reading."""

    id: str
    title: str
    state: str
    owner_id: str | None
    due_at: Millis | None
    added_at: Millis
    ended_at: Millis | None


@dataclass(frozen=True, slots=True)
class IncidentView:
    """An incident, opened for reading."""

    id: str
    reference: str
    title: str
    state: State
    severity: Severity
    tlp: Tlp
    layers: tuple[int, ...]
    assets: tuple[Asset, ...]
    facts: Mapping[str, str]
    filed: tuple[str, ...]
    body: Body
    owner_id: str | None
    opened_by: str
    opened_at: Millis
    aware_at: Millis
    began_at: Millis | None
    ended_at: Millis | None
    closed_at: Millis | None
    summary: str
    version: int
    open_tasks: int

    def law(self, certain: int, possible: int) -> Facts:
        """The facts as the statutory clocks ask for them."""
        answers = {name: Answer(self.facts.get(name, "unknown")) for name in FACTS}
        return Facts(
            aware_at=self.aware_at,
            body=self.body,
            people_certain=certain,
            people_possible=possible,
            filed=frozenset(self.filed),
            **answers,
        )


def open_incident(
    session: Session,
    seals: Seals,
    *,
    title: str,
    severity: Severity,
    tlp: Tlp = Tlp.AMBER,
    layers: Sequence[int] = (),
    assets: Sequence[Asset] = (),
    alert_ids: Sequence[str] = (),
    aware_at: Millis | None = None,
    began_at: Millis | None = None,
    note: str = "",
    actor: Actor,
    now: Millis,
) -> str:
    """Open an incident, taking these alerts into it, and give its id.

    With alerts, the organisation has known since the first was raised, and it began when the first was seen,
    unless something else is said. What the alerts are about becomes assets.
    """
    words = _title(title)
    chosen_layers = _layers(layers)
    opened = [get_alert(session, alert_id) for alert_id in dict.fromkeys(alert_ids)]
    if aware_at is None:
        aware_at = min((row.raised_at for row in opened), default=now)
    if began_at is None:
        began_at = min((row.first_seen_at for row in opened), default=None)
    _not_ahead(aware_at, now, "/aware_at")
    _not_ahead(began_at, now, "/began_at")
    found = [
        Asset(entity.kind, entity.ref)
        for seen in alerts.view(session, seals, opened)
        for entity in seen.entities
        if entity.kind in ASSET_KINDS
    ]
    incident_id = new_id("inc")
    seals.begin(session, incident_id)
    year = to_datetime(now).astimezone(JST).year
    row = Incident(
        id=incident_id,
        year=year,
        number=next_number(session, year),
        state=State.NEW,
        severity=severity,
        tlp=tlp,
        layers=chosen_layers,
        assets=_assets([*assets, *found]),
        facts={},
        owner_id=actor.id if actor.kind == "operator" else None,
        opened_by=actor.id,
        opened_at=now,
        aware_at=aware_at,
        began_at=began_at,
        title=seals.seal(session, incident_id, f"cert_incident|title|{incident_id}", words),
    )
    session.add(row)
    session.flush()
    name = reference(row.number, year)
    timeline.write(
        session,
        seals,
        incident_id,
        kind="opened",
        actor=actor,
        now=now,
        text=_text(note),
        data={"severity": str(severity), "tlp": str(tlp), "reference": name},
    )
    for alert in opened:
        alerts.attach(session, seals, alert.id, row, actor=actor, now=now)
    audit.record(
        session,
        "cert.incident.opened",
        actor=actor,
        object=("incident", incident_id),
        detail={"reference": name, "severity": str(severity), "alerts": [alert.id for alert in opened]},
    )
    return incident_id


def add_alert(session: Session, seals: Seals, incident_id: str, alert_id: str, *, actor: Actor, now: Millis) -> None:
    """Take another alert into an open incident, with what it is about."""
    row = _open(session, incident_id)
    alerts.attach(session, seals, alert_id, row, actor=actor, now=now)
    (seen,) = alerts.view(session, seals, [get_alert(session, alert_id)])
    more = [Asset(entity.kind, entity.ref) for entity in seen.entities if entity.kind in ASSET_KINDS]
    row.assets = _assets([*(Asset(a["kind"], a["ref"]) for a in row.assets), *more])
    if row.began_at is None or seen.first_seen_at < row.began_at:
        row.began_at = seen.first_seen_at
    row.version += 1
    session.add(row)


@dataclass(frozen=True, slots=True)
class Change:
    """What an edit may change; None leaves a field as it is."""

    title: str | None = None
    severity: Severity | None = None
    tlp: Tlp | None = None
    layers: Sequence[int] | None = None
    assets: Sequence[Asset] | None = None
    facts: Mapping[str, str] | None = None
    filed: Sequence[str] | None = None  # clocks that were answered
    body: Body | None = None
    owner_id: str | None = None  # "" for nobody
    aware_at: Millis | None = None
    began_at: Millis | None = None
    ended_at: Millis | None = None


def edit(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    version: int,
    change: Change,
    actor: Actor,
    now: Millis,
) -> int:
    """Change an open incident as it was at `version`, and give the new version. Raises Stale."""
    row = _open(session, incident_id, version=version)
    before = _shown(row)
    if change.title is not None:
        words = _title(change.title)
        context = f"cert_incident|title|{row.id}"
        if seals.open(session, row.id, context, row.title) != words:
            row.title = seals.seal(session, row.id, context, words)
            before["title"] = None  # differs from what is shown below; the words themselves stay sealed
    if change.severity is not None:
        row.severity = change.severity
    if change.tlp is not None:
        row.tlp = change.tlp
    if change.layers is not None:
        row.layers = _layers(change.layers)
    if change.assets is not None:
        row.assets = _assets(change.assets)
    if not (change.facts is None and change.body is None and change.filed is None):
        row.facts = _facts(row.facts, change)
    if change.owner_id is not None:
        row.owner_id = change.owner_id or None
    for name in ("aware_at", "began_at", "ended_at"):
        moment = getattr(change, name)
        if moment is not None:
            _not_ahead(moment, now, f"/{name}")
            setattr(row, name, moment)
    after = _shown(row)
    fields = {name: [before[name], after[name]] for name in after if before[name] != after[name]}
    if not fields:
        return row.version
    row.version += 1
    session.add(row)
    timeline.write(session, seals, row.id, kind="edited", actor=actor, now=now, data={"fields": fields})
    audit.record(
        session,
        "cert.incident.edited",
        actor=actor,
        object=("incident", row.id),
        detail={"fields": sorted(fields), "version": row.version},
    )
    return row.version


def move(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    version: int,
    to: State,
    actor: Actor,
    now: Millis,
    text: str = "",
) -> int:
    """Move an incident one step on (or back); closing and reopening have their own functions."""
    if to is State.CLOSED:
        raise MoveRefused("Close the incident with a summary.", state=str(to))
    row = get_incident(session, incident_id, version=version)
    start = State(row.state)
    check_move(start, to, actor.roles)
    kind = "reopened" if start is State.CLOSED else "moved"
    return _step(session, seals, row, to, kind=kind, actor=actor, now=now, text=text)


def close(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    version: int,
    summary: str,
    actor: Actor,
    now: Millis,
) -> int:
    """Close an incident with its story. Raises OpenTasks, CloseNeedsSummary, MoveRefused, Stale."""
    row = get_incident(session, incident_id, version=version)
    check_move(State(row.state), State.CLOSED, actor.roles)
    check_close(summary, open_tasks=count_open_tasks(session, [incident_id]).get(incident_id, 0))
    row.summary = seals.seal(session, row.id, f"cert_incident|summary|{row.id}", _text(summary.strip()))
    row.closed_at = now
    return _step(session, seals, row, State.CLOSED, kind="closed", actor=actor, now=now)


def add_task(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    title: str,
    owner_id: str | None = None,
    due_at: Millis | None = None,
    actor: Actor,
    now: Millis,
) -> str:
    """Add something that must be done before the incident can be closed."""
    _open(session, incident_id)
    task_id = new_id("tsk")
    words = _title(title)
    session.add(
        Task(
            id=task_id,
            incident_id=incident_id,
            title=seals.seal(session, incident_id, f"cert_task|title|{task_id}", words),
            owner_id=owner_id,
            due_at=due_at,
            added_at=now,
        )
    )
    data = {"task": task_id, "state": "open"}
    timeline.write(session, seals, incident_id, kind="task", actor=actor, now=now, text=words, data=data)
    audit.record(
        session,
        "cert.task.added",
        actor=actor,
        object=("incident", incident_id),
        detail={"task": task_id},
    )
    return task_id


def end_task(
    session: Session,
    seals: Seals,
    incident_id: str,
    task_id: str,
    *,
    state: str,
    actor: Actor,
    now: Millis,
) -> None:
    """Mark a task done or dropped, or open it again."""
    if state not in ("open", "done", "dropped"):
        raise FieldInvalid("A task is open, done or dropped.", pointer="/state")
    _open(session, incident_id)
    row = get_task(session, incident_id, task_id)
    if row.state == state:
        return
    row.state, row.ended_at = state, None if state == "open" else now
    session.add(row)
    words = seals.open(session, incident_id, f"cert_task|title|{task_id}", row.title)
    data = {"task": task_id, "state": state}
    timeline.write(session, seals, incident_id, kind="task", actor=actor, now=now, text=words, data=data)
    audit.record(
        session,
        "cert.task.changed",
        actor=actor,
        object=("incident", incident_id),
        detail=data,
    )


def note(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    text: str,
    source: str = "desk",
    happened_at: Millis | None = None,
    exact: bool = True,
    actor: Actor,
    now: Millis,
) -> str:
    """Write a line into the record; allowed on a closed incident too, since truth comes late."""
    get_incident(session, incident_id)
    if not text.strip():
        raise FieldInvalid("Write what happened.", pointer="/text")
    line_id = timeline.write(
        session,
        seals,
        incident_id,
        kind="note",
        actor=actor,
        now=now,
        text=_text(text.strip()),
        source=source,
        happened_at=happened_at,
        exact=exact,
    )
    audit.record(
        session,
        "cert.timeline.added",
        actor=actor,
        object=("incident", incident_id),
        detail={"entry": line_id, "source": source},
    )
    return line_id


def get(session: Session, seals: Seals, incident_id: str) -> IncidentView:
    """The incident, opened for reading."""
    row = get_incident(session, incident_id)
    return _view(session, seals, row, count_open_tasks(session, [row.id]).get(row.id, 0))


def tasks(session: Session, seals: Seals, incident_id: str) -> list[TaskView]:
    """The tasks of an incident, oldest first."""
    return [
        TaskView(
            id=row.id,
            title=seals.open(session, incident_id, f"cert_task|title|{row.id}", row.title),
            state=row.state,
            owner_id=row.owner_id,
            due_at=row.due_at,
            added_at=row.added_at,
            ended_at=row.ended_at,
        )
        for row in list_tasks(session, incident_id)
    ]


def board(
    session: Session,
    seals: Seals,
    *,
    states: Sequence[State] = OPEN_STATES,
    before: tuple[Millis, str] | None = None,
    limit: int = 50,
) -> list[IncidentView]:
    """Incidents in these states, newest first."""
    rows = list_incidents(session, [str(state) for state in states], before=before, limit=limit)
    open_tasks = count_open_tasks(session, [row.id for row in rows])
    return [_view(session, seals, row, open_tasks.get(row.id, 0)) for row in rows]


def _step(
    session: Session,
    seals: Seals,
    row: Incident,
    to: State,
    *,
    kind: str,
    actor: Actor,
    now: Millis,
    text: str = "",
) -> int:
    start, row.state = row.state, to
    if kind == "reopened":
        row.closed_at = None
    row.version += 1
    session.add(row)
    data = {"from": start, "to": str(to)}
    timeline.write(session, seals, row.id, kind=kind, actor=actor, now=now, text=_text(text), data=data)
    audit.record(
        session,
        f"cert.incident.{kind}",
        actor=actor,
        object=("incident", row.id),
        detail={**data, "version": row.version},
    )
    return row.version


def _open(session: Session, incident_id: str, *, version: int | None = None) -> Incident:
    row = get_incident(session, incident_id, version=version)
    if row.state == State.CLOSED:
        raise MoveRefused("The incident is closed. Reopen it first.", state=row.state)
    return row


def _view(session: Session, seals: Seals, row: Incident, open_tasks: int) -> IncidentView:
    return IncidentView(
        id=row.id,
        reference=reference(row.number, row.year),
        title=seals.open(session, row.id, f"cert_incident|title|{row.id}", row.title),
        state=State(row.state),
        severity=Severity(row.severity),
        tlp=Tlp(row.tlp),
        layers=tuple(row.layers),
        assets=tuple(Asset(asset["kind"], asset["ref"]) for asset in row.assets),
        facts={name: row.facts.get(name, "no" if name == "eu_residents" else "unknown") for name in FACTS},
        filed=tuple(row.facts.get("filed", ())),
        body=Body(row.facts.get("body", Body.CITY)),
        owner_id=row.owner_id,
        opened_by=row.opened_by,
        opened_at=row.opened_at,
        aware_at=row.aware_at,
        began_at=row.began_at,
        ended_at=row.ended_at,
        closed_at=row.closed_at,
        summary=seals.open(session, row.id, f"cert_incident|summary|{row.id}", row.summary),
        version=row.version,
        open_tasks=open_tasks,
    )


def _shown(row: Incident) -> dict[str, Any]:
    """What an edit may show in the timeline: codes, never sealed words."""
    names = ("severity", "tlp", "layers", "assets", "facts", "owner_id", "aware_at", "began_at", "ended_at")
    shown = {name: getattr(row, name) for name in names}
    shown["title"] = "…"
    return {name: str(value) if name in ("severity", "tlp") else value for name, value in shown.items()}


def _title(title: str) -> str:
    words = " ".join(title.split())
    if not words:
        raise FieldInvalid("A title is needed.", pointer="/title")
    if len(words) > TITLE_LENGTH:
        raise FieldInvalid(f"At most {TITLE_LENGTH} characters.", pointer="/title")
    return words


def _text(text: str) -> str:
    if len(text) > TEXT_LENGTH:
        raise FieldInvalid(f"At most {TEXT_LENGTH} characters.", pointer="/text")
    return text


def _layers(layers: Sequence[int]) -> list[int]:
    try:
        return read_layers(layers)
    except KeyError as unknown:
        raise FieldInvalid("Layers are numbered 1 to 9.", pointer="/layers") from unknown


def _assets(assets: Sequence[Asset]) -> list[dict[str, str]]:
    chosen: dict[tuple[str, str], dict[str, str]] = {}
    for asset in assets:
        ref = asset.ref.strip()
        if asset.kind not in ASSET_KINDS or not ref or len(ref) > 80:
            raise FieldInvalid(f"An asset is one of {', '.join(ASSET_KINDS)} with an id.", pointer="/assets")
        chosen[(asset.kind, ref)] = {"kind": asset.kind, "ref": ref}
    return list(chosen.values())


def _facts(before: Mapping[str, Any], change: Change) -> dict[str, Any]:
    after = dict(before)
    for name, answer in (change.facts or {}).items():
        if name not in FACTS:
            raise FieldInvalid(f"Facts are {', '.join(FACTS)}.", pointer="/facts")
        if answer not in set(Answer):
            raise FieldInvalid("A fact is yes, no or unknown.", pointer=f"/facts/{name}")
        after[name] = str(answer)
    if change.filed is not None:
        if not set(change.filed) <= set(IDS):
            raise FieldInvalid(f"Clocks are {', '.join(IDS)}.", pointer="/filed")
        after["filed"] = sorted(set(change.filed))
    if change.body is not None:
        after["body"] = str(change.body)
    return after


def _not_ahead(moment: Millis | None, now: Millis, pointer: str) -> None:
    if moment is not None and moment > now + timeline.AHEAD:
        raise FieldInvalid("This time has not come yet.", pointer=pointer)
