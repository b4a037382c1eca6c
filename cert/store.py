"""Queries of the incident desk."""

from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import delete, func
from sqlmodel import col, select

from cert.errors import AlertNotFound, IncidentNotFound, PartNotFound, Stale
from cert.models import Alert, AlertEntity, Containment, Cursor, Incident, SignalRow, Task, TimelineEntry
from kit.clock import Millis
from kit.db import Session


def get_alert(session: Session, alert_id: str) -> Alert:
    """The alert, or AlertNotFound."""
    row = session.get(Alert, alert_id)
    if row is None:
        raise AlertNotFound(f"There is no alert {alert_id[:40]}.")
    return row


def find_alert_by_dedup(session: Session, dedup: bytes, *, since: Millis) -> Alert | None:
    """The newest alert with this key that was seen since then."""
    return session.exec(
        select(Alert)
        .where(Alert.dedup == dedup, col(Alert.last_seen_at) >= since)
        .order_by(col(Alert.last_seen_at).desc())
        .limit(1)
    ).first()


def list_alerts(
    session: Session,
    states: Collection[str],
    *,
    before: tuple[Millis, str] | None = None,
    limit: int,
    incident_id: str | None = None,
) -> Sequence[Alert]:
    """Alerts in these states, last seen first; `before` is the (time, id) of the last one of the page before."""
    query = select(Alert).where(col(Alert.state).in_(list(states)))
    if incident_id is not None:
        query = query.where(Alert.incident_id == incident_id)
    if before is not None:
        at, alert_id = before
        query = query.where(
            (col(Alert.last_seen_at) < at) | ((col(Alert.last_seen_at) == at) & (col(Alert.id) < alert_id))
        )
    return session.exec(query.order_by(col(Alert.last_seen_at).desc(), col(Alert.id).desc()).limit(limit)).all()


def count_alerts(session: Session, states: Collection[str]) -> dict[str, int]:
    """How many alerts are in each of these states."""
    rows = session.exec(
        select(Alert.state, func.count()).where(col(Alert.state).in_(list(states))).group_by(Alert.state)
    )
    return dict(rows.all())


def list_entities(session: Session, alert_ids: Iterable[str]) -> Sequence[AlertEntity]:
    """The entities of these alerts."""
    return session.exec(
        select(AlertEntity)
        .where(col(AlertEntity.alert_id).in_(list(alert_ids)))
        .order_by(AlertEntity.alert_id, AlertEntity.kind, AlertEntity.ref)
    ).all()


def get_incident(session: Session, incident_id: str, *, version: int | None = None) -> Incident:
    """The incident, or IncidentNotFound; Stale if `version` is not the one it has now."""
    row = session.get(Incident, incident_id, with_for_update=version is not None)
    if row is None:
        raise IncidentNotFound(f"There is no incident {incident_id[:40]}.")
    if version is not None and row.version != version:
        raise Stale(
            "Somebody changed this incident while you were at it. Read it again, then repeat your change.",
            version=row.version,
        )
    return row


def list_incidents(
    session: Session,
    states: Collection[str],
    *,
    before: tuple[Millis, str] | None = None,
    limit: int,
) -> Sequence[Incident]:
    """Incidents in these states, newest first."""
    query = select(Incident).where(col(Incident.state).in_(list(states)))
    if before is not None:
        at, incident_id = before
        query = query.where(
            (col(Incident.opened_at) < at) | ((col(Incident.opened_at) == at) & (col(Incident.id) < incident_id))
        )
    return session.exec(query.order_by(col(Incident.opened_at).desc(), col(Incident.id).desc()).limit(limit)).all()


def next_number(session: Session, year: int) -> int:
    """The next running number of a year (a unique constraint settles two that ask at once)."""
    last = session.exec(select(func.max(Incident.number)).where(Incident.year == year)).one()
    return (last or 0) + 1


def list_timeline(session: Session, incident_id: str) -> Sequence[TimelineEntry]:
    """The record of an incident, by when things happened."""
    return session.exec(
        select(TimelineEntry)
        .where(TimelineEntry.incident_id == incident_id)
        .order_by(col(TimelineEntry.happened_at), col(TimelineEntry.id))
    ).all()


def list_tasks(session: Session, incident_id: str) -> Sequence[Task]:
    """The tasks of an incident, oldest first."""
    return session.exec(
        select(Task).where(Task.incident_id == incident_id).order_by(col(Task.added_at), col(Task.id))
    ).all()


def get_task(session: Session, incident_id: str, task_id: str) -> Task:
    """A task of this incident, or PartNotFound."""
    row = session.get(Task, task_id)
    if row is None or row.incident_id != incident_id:
        raise PartNotFound("This incident has no such task.")
    return row


def count_open_tasks(session: Session, incident_ids: Collection[str]) -> dict[str, int]:
    """Open tasks by incident."""
    rows = session.exec(
        select(Task.incident_id, func.count())
        .where(col(Task.incident_id).in_(list(incident_ids)), Task.state == "open")
        .group_by(Task.incident_id)
    )
    return dict(rows.all())


def list_containments(session: Session, incident_id: str) -> Sequence[Containment]:
    """The interventions of an incident, oldest first."""
    return session.exec(
        select(Containment)
        .where(Containment.incident_id == incident_id)
        .order_by(col(Containment.applied_at), col(Containment.id))
    ).all()


def get_containment(session: Session, incident_id: str, containment_id: str) -> Containment:
    """An intervention of this incident, or PartNotFound."""
    row = session.get(Containment, containment_id)
    if row is None or row.incident_id != incident_id:
        raise PartNotFound("This incident has no such containment.")
    return row


def standing_containments(session: Session, action: str) -> Sequence[Containment]:
    """Interventions of this kind that hold now, in any incident."""
    return session.exec(
        select(Containment).where(Containment.action == action, col(Containment.undone_at).is_(None))
    ).all()


def get_cursor(session: Session, name: str) -> int:
    """How far this follower has read; 0 at first."""
    row = session.get(Cursor, name)
    return row.position if row else 0


def set_cursor(session: Session, name: str, position: int) -> None:
    """Remember how far this follower has read."""
    row = session.get(Cursor, name)
    if row is None:
        session.add(Cursor(name=name, position=position))
    else:
        row.position = position
        session.add(row)


def list_signals(session: Session, rule: str, key: bytes, *, since: Millis) -> Sequence[SignalRow]:
    """The signals of one key in the window."""
    return session.exec(
        select(SignalRow)
        .where(SignalRow.rule == rule, SignalRow.key == key, col(SignalRow.at) > since)
        .order_by(col(SignalRow.seq))
    ).all()


def sweep_signals(session: Session, *, before: Millis) -> None:
    """Forget signals that no window reaches any more."""
    session.execute(delete(SignalRow).where(col(SignalRow.at) < before))
