"""One incident, whole: what we know, what it touches, what we must do. Read in one snapshot."""

from dataclasses import dataclass

from cert import alerts, containment, response, tasks, timeline
from cert.alerts import IN_INCIDENT, AlertView
from cert.containment import Applied, Reach
from cert.deadlines import Clock, clocks
from cert.desk import Desk
from cert.response import IncidentView
from cert.tasks import TaskView
from cert.timeline import Line
from kit.clock import Millis
from kit.db import Session

ALERTS = 200  # shown on the workbench; the count says how many there are


@dataclass(frozen=True, slots=True)
class Workbench:
    """Everything about an incident, opened for reading."""

    incident: IncidentView
    alerts: tuple[AlertView, ...]
    lines: tuple[Line, ...]
    tasks: tuple[TaskView, ...]
    containments: tuple[Applied, ...]
    reach: Reach
    clocks: tuple[Clock, ...]


def read(session: Session, desk: Desk, incident_id: str, *, now: Millis) -> Workbench:
    """The workbench of an incident, or IncidentNotFound. People and clocks are computed now, not remembered."""
    incident = response.get(session, desk.seals, incident_id)
    seen = alerts.queue(session, desk.seals, states=(IN_INCIDENT,), limit=ALERTS, incident_id=incident_id)
    entered = {entity.ref for alert in seen for entity in alert.entities if entity.role == "entered"}
    assets = [
        ("entered" if asset.kind == "account" and asset.ref in entered else asset.kind, asset.ref)
        for asset in incident.assets
    ]
    reach = desk.effects.reach(session, assets, since=incident.began_at, until=incident.ended_at or now)
    return Workbench(
        incident=incident,
        alerts=tuple(seen),
        lines=tuple(timeline.read(session, desk.seals, incident_id)),
        tasks=tuple(tasks.list_for(session, desk.seals, incident_id)),
        containments=tuple(containment.applied(session, incident_id)),
        reach=reach,
        clocks=clocks(incident.law(reach.certain, reach.possible)),
    )
