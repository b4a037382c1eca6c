"""What the desk does with an incident: open, edit, move, close, reopen, and write into its record.

Every edit names the version it was made on; an older one is refused with 409 (two people at one incident at night
must not overwrite each other). Every change is one transaction with its timeline line and its audit entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cert import alerts, timeline
from cert.deadlines import JST, Answer, Body, Facts
from cert.errors import FieldInvalid, MoveRefused
from cert.fields import (
    ASSET_KINDS,
    FACTS,
    Asset,
    Change,
    check_not_ahead,
    read_assets,
    read_facts,
    read_layer_numbers,
    read_text,
    read_title,
)
from cert.incidents import (
    OPEN_STATES,
    Severity,
    State,
    Tlp,
    check_close,
    check_move,
    reference,
)
from cert.models import Incident
from cert.seals import Seals
from cert.store import (
    count_open_tasks,
    get_alert,
    get_incident,
    list_incidents,
    next_number,
)
from kit import audit
from kit.clock import Millis, to_datetime
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id


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
    words = read_title(title)
    chosen_layers = read_layer_numbers(layers)
    opened = [get_alert(session, alert_id) for alert_id in dict.fromkeys(alert_ids)]
    if aware_at is None:
        aware_at = min((row.raised_at for row in opened), default=now)
    if began_at is None:
        began_at = min((row.first_seen_at for row in opened), default=None)
    check_not_ahead(aware_at, now, "/aware_at")
    check_not_ahead(began_at, now, "/began_at")
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
        assets=read_assets([*assets, *found]),
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
        text=read_text(note),
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
    row = require_open(session, incident_id)
    alerts.attach(session, seals, alert_id, row, actor=actor, now=now)
    (seen,) = alerts.view(session, seals, [get_alert(session, alert_id)])
    more = [Asset(entity.kind, entity.ref) for entity in seen.entities if entity.kind in ASSET_KINDS]
    row.assets = read_assets([*(Asset(a["kind"], a["ref"]) for a in row.assets), *more])
    if row.began_at is None or seen.first_seen_at < row.began_at:
        row.began_at = seen.first_seen_at
    row.version += 1
    session.add(row)


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
    row = require_open(session, incident_id, version=version)
    before = _shown(row)
    if change.title is not None:
        words = read_title(change.title)
        context = f"cert_incident|title|{row.id}"
        if seals.open(session, row.id, context, row.title) != words:
            row.title = seals.seal(session, row.id, context, words)
            before["title"] = None  # differs from what is shown below; the words themselves stay sealed
    if change.severity is not None:
        row.severity = change.severity
    if change.tlp is not None:
        row.tlp = change.tlp
    if change.layers is not None:
        row.layers = read_layer_numbers(change.layers)
    if change.assets is not None:
        row.assets = read_assets(change.assets)
    if not (change.facts is None and change.body is None and change.filed is None):
        row.facts = read_facts(row.facts, change)
    if change.owner_id is not None:
        row.owner_id = change.owner_id or None
    for name in ("aware_at", "began_at", "ended_at"):
        moment = getattr(change, name)
        if moment is not None:
            check_not_ahead(moment, now, f"/{name}")
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
    """Move an incident one step on (or back); closing and reopening have their own functions. Raises MoveRefused."""
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
    row.summary = seals.seal(session, row.id, f"cert_incident|summary|{row.id}", read_text(summary.strip()))
    row.closed_at = now
    return _step(session, seals, row, State.CLOSED, kind="closed", actor=actor, now=now)


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
    """Write a line into the record; allowed on a closed incident too, since truth comes late. Raises FieldInvalid."""
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
        text=read_text(text.strip()),
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
    timeline.write(session, seals, row.id, kind=kind, actor=actor, now=now, text=read_text(text), data=data)
    audit.record(
        session,
        f"cert.incident.{kind}",
        actor=actor,
        object=("incident", row.id),
        detail={**data, "version": row.version},
    )
    return row.version


def require_open(session: Session, incident_id: str, *, version: int | None = None) -> Incident:
    """The incident, as it was at `version`. Raises IncidentNotFound, Stale, and MoveRefused if it is closed."""
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
