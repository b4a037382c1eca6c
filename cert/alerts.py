"""Alerts: raised once, counted again, triaged by people.

`raise_alert` is the only way in, for rules, services and hands alike. An alert with the same dedup key that was
seen within the quiet time is counted up instead of raised anew, whatever has been decided about it: what an
analyst dismissed an hour ago must not come back as news. A closed incident is over, so there a new alert begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson

from cert import timeline
from cert.detection import Entity
from cert.errors import FieldInvalid, MoveRefused
from cert.incidents import Severity
from cert.models import Alert, AlertEntity, Incident
from cert.seals import Seals, month_owner
from cert.store import count_alerts, find_alert_by_dedup, get_alert, list_alerts, list_entities
from kit import audit
from kit.clock import HOUR, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

NEW, TRIAGED, DISMISSED, IN_INCIDENT = "new", "triaged", "dismissed", "in_incident"
STATES = (NEW, TRIAGED, DISMISSED, IN_INCIDENT)
WAITING = (NEW, TRIAGED)
REASONS = ("false_positive", "expected", "duplicate", "test", "not_ours")
KINDS = ("report", "phishing", "malware", "outage", "loss", "leak", "abuse", "equipment", "other")  # by hand
MAX_ENTITIES = 200  # an alert names so many at most; the count goes on


@dataclass(frozen=True, slots=True)
class AlertView:
    """An alert, opened for reading."""

    id: str
    source: str
    kind: str
    severity: Severity
    count: int
    first_seen_at: Millis
    last_seen_at: Millis
    raised_at: Millis
    state: str
    owner_id: str | None
    incident_id: str | None
    reason: str | None
    reporter: str | None
    title: str
    note: str
    entities: tuple[Entity, ...]
    shared: tuple[tuple[str, str], ...]  # (kind, opaque id or hash), for grouping
    version: int


@dataclass(frozen=True, slots=True)
class Raised:
    """What became of a report: a new alert, or one that was there."""

    alert_id: str
    new: bool
    count: int


def raise_alert(
    session: Session,
    seals: Seals,
    *,
    source: str,
    kind: str,
    severity: Severity,
    dedup: str,
    actor: Actor,
    now: Millis,
    title: str = "",
    note: str = "",
    entities: Iterable[Entity] = (),
    count: int = 1,
    first_seen_at: Millis | None = None,
    last_seen_at: Millis | None = None,
    quiet: Millis = HOUR,
) -> Raised:
    """Raise an alert, or count up the one that already tells of this."""
    last = now if last_seen_at is None else last_seen_at
    row = standing(session, seals, source=source, kind=kind, dedup=dedup, since=last - quiet)
    if row is not None:
        row.count += count
        row.last_seen_at = max(row.last_seen_at, last)
        row.version += 1
        worse = severity.weight > Severity(row.severity).weight
        if worse:
            row.severity = severity
        if worse and row.state == DISMISSED:  # it got worse after somebody looked away: look again
            row.state = NEW
            row.reason = None
        session.add(row)
        _add_entities(session, seals, row, entities)
        audit.record(
            session,
            "cert.alert.repeated",
            actor=actor,
            object=("alert", row.id),
            detail={"count": row.count, "severity": row.severity},
        )
        return Raised(row.id, new=False, count=row.count)
    alert_id = new_id("alr")
    text = orjson.dumps({"title": title, "note": note}).decode()
    row = Alert(
        id=alert_id,
        source=source,
        kind=kind,
        severity=severity,
        dedup=_key(seals, source, kind, dedup),
        count=count,
        first_seen_at=last if first_seen_at is None else first_seen_at,
        last_seen_at=last,
        raised_at=now,
        reporter=actor.id if source != "rule" else None,
        sealed=seals.seal(session, seals.month(session, now), f"cert_alert|sealed|{alert_id}", text),
    )
    session.add(row)
    session.flush()
    _add_entities(session, seals, row, entities)
    audit.record(
        session,
        "cert.alert.raised",
        actor=actor,
        object=("alert", alert_id),
        detail={"source": source, "kind": kind, "severity": str(severity)},
    )
    return Raised(alert_id, new=True, count=count)


def standing(session: Session, seals: Seals, *, source: str, kind: str, dedup: str, since: Millis) -> Alert | None:
    """The alert that already tells of this, if it was seen since then and its incident is not over."""
    row = find_alert_by_dedup(session, _key(seals, source, kind, dedup), since=since)
    return None if row is None or _is_over(session, row) else row


def dismiss(session: Session, alert_id: str, *, reason: str, actor: Actor) -> None:
    """Set an alert aside, with a reason from the list. Raises FieldInvalid."""
    if reason not in REASONS:
        raise FieldInvalid(f"The reason must be one of {', '.join(REASONS)}.", pointer="/reason")
    _decide(session, alert_id, DISMISSED, WAITING, actor=actor, reason=reason)


def take(session: Session, alert_id: str, *, actor: Actor) -> None:
    """Say that one is looking into it."""
    _decide(session, alert_id, TRIAGED, (NEW, TRIAGED), actor=actor, owner=actor.id)


def put_back(session: Session, alert_id: str, *, actor: Actor) -> None:
    """Undo a dismissal or a taking: the alert waits again."""
    _decide(session, alert_id, NEW, (DISMISSED, TRIAGED), actor=actor)


def attach(session: Session, seals: Seals, alert_id: str, incident: Incident, *, actor: Actor, now: Millis) -> None:
    """Make an alert part of an incident; the timeline tells of it at the time it was first seen."""
    row = _decide(session, alert_id, IN_INCIDENT, WAITING, actor=actor, incident_id=incident.id)
    timeline.write(
        session,
        seals,
        incident.id,
        kind="alert",
        actor=actor,
        now=now,
        happened_at=row.first_seen_at,
        source="log" if row.source == "rule" else "desk",
        data={"alert": row.id, "kind": row.kind, "count": row.count, "source": row.source},
    )


def _decide(
    session: Session,
    alert_id: str,
    state: str,
    allowed: Sequence[str],
    *,
    actor: Actor,
    reason: str | None = None,
    owner: str | None = None,
    incident_id: str | None = None,
) -> Alert:
    row = get_alert(session, alert_id)
    if row.state not in allowed:
        raise MoveRefused(f"This alert is {row.state}; that can't be done with it now.", state=row.state)
    before, row.state = row.state, state
    row.reason = reason
    row.owner_id = owner or (row.owner_id if state == IN_INCIDENT else None)
    row.incident_id = incident_id
    row.version += 1
    session.add(row)
    detail = {"from": before, "to": state}
    if reason:
        detail["reason"] = reason
    if incident_id:
        detail["incident"] = incident_id
    audit.record(session, "cert.alert.triaged", actor=actor, object=("alert", alert_id), detail=detail)
    return row


def _key(seals: Seals, source: str, kind: str, dedup: str) -> bytes:
    return seals.hash("dedup", f"{source}|{kind}|{dedup}")


def _is_over(session: Session, row: Alert) -> bool:
    if row.incident_id is None:
        return False
    incident = session.get(Incident, row.incident_id)
    return incident is not None and incident.state == "closed"


def _add_entities(session: Session, seals: Seals, row: Alert, entities: Iterable[Entity]) -> None:
    known = {(entity.kind, entity.ref): entity for entity in list_entities(session, [row.id])}
    owner = ""
    for entity in entities:
        sealed = None
        ref = entity.ref
        if entity.kind == "source":
            ref = seals.hash("source", entity.ref).hex()
        if (entity.kind, ref) in known:
            there = known[(entity.kind, ref)]
            if entity.role and there.role != entity.role:
                there.role = entity.role
                session.add(there)
            continue
        if len(known) >= MAX_ENTITIES:
            break
        if entity.kind == "source":
            owner = owner or seals.month(session, row.raised_at)
            sealed = seals.seal(session, owner, f"cert_alert_entity|{row.id}|{ref}", entity.ref)
        added = AlertEntity(alert_id=row.id, kind=entity.kind, ref=ref, role=entity.role, sealed=sealed)
        known[(entity.kind, ref)] = added
        session.add(added)
    session.flush()


def view(session: Session, seals: Seals, rows: Sequence[Alert]) -> list[AlertView]:
    """These alerts with their text and entities opened."""
    by_alert: dict[str, list[AlertEntity]] = {row.id: [] for row in rows}
    for entity in list_entities(session, list(by_alert)):
        by_alert[entity.alert_id].append(entity)
    opened = []
    for row in rows:
        owner = month_owner(row.raised_at)
        text = seals.open(session, owner, f"cert_alert|sealed|{row.id}", row.sealed)
        words = orjson.loads(text) if text.startswith("{") else {"title": text, "note": ""}
        opened.append(
            AlertView(
                id=row.id,
                source=row.source,
                kind=row.kind,
                severity=Severity(row.severity),
                count=row.count,
                first_seen_at=row.first_seen_at,
                last_seen_at=row.last_seen_at,
                raised_at=row.raised_at,
                state=row.state,
                owner_id=row.owner_id,
                incident_id=row.incident_id,
                reason=row.reason,
                reporter=row.reporter,
                title=words["title"],
                note=words["note"],
                entities=tuple(
                    Entity(
                        e.kind,
                        e.ref
                        if e.sealed is None
                        else seals.open(session, owner, f"cert_alert_entity|{row.id}|{e.ref}", e.sealed),
                        e.role,
                    )
                    for e in by_alert[row.id]
                ),
                shared=tuple((e.kind, e.ref) for e in by_alert[row.id]),
                version=row.version,
            )
        )
    return opened


def get(session: Session, seals: Seals, alert_id: str) -> AlertView:
    """One alert, or AlertNotFound."""
    return view(session, seals, [get_alert(session, alert_id)])[0]


def queue(
    session: Session,
    seals: Seals,
    *,
    states: Sequence[str] = WAITING,
    before: tuple[Millis, str] | None = None,
    limit: int = 50,
    incident_id: str | None = None,
) -> list[AlertView]:
    """A page of the queue, last seen first."""
    rows = list_alerts(session, states, before=before, limit=limit, incident_id=incident_id)
    return view(session, seals, rows)


def counts(session: Session) -> dict[str, int]:
    """How many alerts wait, by state."""
    found = count_alerts(session, STATES)
    return {state: found.get(state, 0) for state in STATES}
