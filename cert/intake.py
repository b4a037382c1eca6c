"""From the audit trail to alerts: the follower that reads every entry once.

Each run takes the entries after the cursor, keeps the signals the rules see in them, raises or counts up alerts,
and moves the cursor, all in one transaction: a crash in between leaves both or neither, so that nothing is missed
and nothing is counted twice. A signal's row is keyed by (rule, audit entry), which closes even a second follower
on another process. Time is the entries' own, so that a follower that was down for an hour finds the same alerts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import orjson

from cert.alerts import raise_alert, standing
from cert.detection import BY_ID, RULES, Entity, Event, Finding, Rule, Signal, actions, judge, signals
from cert.models import SignalRow
from cert.seals import Seals
from cert.store import get_cursor, list_signals, set_cursor, sweep_signals
from kit import audit
from kit.db import Database, Session, tx_of
from kit.host import Actor

NAME = "audit"
CHUNK = 500
DETECTOR = Actor("system", "cert.detection")
# What the rules read lies below these; the trail's other entries are passed over by the index.
_BELOW = ("identity", "consent.acknowledgement")
_SWEEP = max(rule.window for rule in RULES)


@dataclass(frozen=True, slots=True)
class Followed:
    """What one run did."""

    read: int
    alerts: tuple[str, ...]
    more: bool


async def follow(db: Database, seals: Seals) -> Followed:
    """Read on from the cursor. Costs one short read when there is nothing new."""
    waiting = await db.read(_waiting)
    if not waiting:
        return Followed(0, (), more=False)
    return await db.write(step, seals)


def _waiting(session: Session) -> bool:
    """Whether an entry that a rule reads lies behind the cursor."""
    found = audit.entries(session, after_seq=get_cursor(session, NAME), action=_BELOW, limit=CHUNK)
    return len(found) == CHUNK or any(entry.action in _READ for entry in found)


_READ = actions()


def step(session: Session, seals: Seals) -> Followed:
    """One transaction: entries, signals, alerts, cursor."""
    found = audit.entries(session, after_seq=get_cursor(session, NAME), action=_BELOW, limit=CHUNK)
    if not found:
        return Followed(0, (), more=False)
    trail = tx_of(session).database.trail
    by_key: dict[tuple[str, str], list[Signal]] = {}
    for entry in found:
        if entry.action not in _READ or entry.seq is None:
            continue
        event = Event(
            seq=entry.seq,
            at=entry.at,
            action=entry.action,
            actor=(entry.actor_kind, entry.actor_id),
            about=(entry.object_kind, entry.object_id),
            detail=entry.detail,
            source=trail.open_personal(entry).get("source"),
        )
        for signal in signals(event):
            by_key.setdefault((signal.rule, signal.key), []).append(signal)
    raised = [
        alert_id for (rule, key), some in by_key.items() for alert_id in _take(session, seals, BY_ID[rule], key, some)
    ]
    last = found[-1]
    assert last.seq is not None
    set_cursor(session, NAME, last.seq)
    sweep_signals(session, before=last.at - _SWEEP)
    return Followed(len(found), tuple(dict.fromkeys(raised)), more=len(found) == CHUNK)


def _take(session: Session, seals: Seals, rule: Rule, key: str, some: Sequence[Signal]) -> list[str]:
    """Keep the new signals of one key, judge them one after the other, and tell of them in as few alerts as is true:
    an attack of ten thousand tries is one alert counted up once a run, not ten thousand changes."""
    hashed = seals.hash("signal", f"{rule.id}|{key}")
    rows = list(list_signals(session, rule.id, hashed, since=some[0].at - rule.window))
    known = {row.seq for row in rows}
    seen = [(row.subject.hex(), row.at, row.escalates) for row in rows]
    told: list[str] = []
    batch = _Batch()
    for signal in some:
        if signal.seq in known:
            continue
        row = _row(session, seals, hashed, signal)
        rows.append(row)
        seen.append((row.subject.hex(), row.at, row.escalates))
        finding = judge(rule, seen, now=signal.at)
        if finding is None or (signal.escalates and finding.severity != rule.escalated):
            continue
        if batch.finding is not None and signal.at - batch.finding.last_at > rule.quiet:
            told.append(_tell(session, seals, rule, key, batch))
            batch = _Batch()
        if batch.finding is None:
            there = standing(session, seals, source="rule", kind=rule.id, dedup=key, since=signal.at - rule.quiet)
            if there is None:  # the first finding brings along all the signals that led to it
                inside = [one for one in rows if signal.at - rule.window < one.at <= signal.at]
                batch.count = sum(not one.escalates for one in inside) - (not signal.escalates)
                batch.entities += _entities(session, seals, inside)
        batch.add(finding, signal)
    if batch.finding is not None:
        told.append(_tell(session, seals, rule, key, batch))
    return told


@dataclass(slots=True)
class _Batch:
    """What one run has to tell of one key."""

    finding: Finding | None = None
    count: int = 0
    entities: list[Entity] = field(default_factory=list)

    def add(self, finding: Finding, signal: Signal) -> None:
        first = finding.first_at if self.finding is None else self.finding.first_at
        worst = (
            finding.severity
            if self.finding is None
            else max(finding.severity, self.finding.severity, key=lambda severity: severity.weight)
        )
        self.finding = replace(finding, first_at=first, severity=worst)
        self.count += not signal.escalates
        self.entities += signal.entities


def _tell(session: Session, seals: Seals, rule: Rule, key: str, batch: _Batch) -> str:
    assert batch.finding is not None
    outcome = raise_alert(
        session,
        seals,
        source="rule",
        kind=rule.id,
        severity=batch.finding.severity,
        dedup=key,
        actor=DETECTOR,
        now=batch.finding.last_at,
        entities=batch.entities,
        count=batch.count,
        first_seen_at=batch.finding.first_at,
        last_seen_at=batch.finding.last_at,
        quiet=rule.quiet,
    )
    return outcome.alert_id


def _row(session: Session, seals: Seals, hashed: bytes, signal: Signal) -> SignalRow:
    context = f"cert_signal|entities|{signal.rule}|{signal.seq}"
    row = SignalRow(
        rule=signal.rule,
        seq=signal.seq,
        key=hashed,
        subject=seals.hash("subject", signal.subject),
        at=signal.at,
        escalates=signal.escalates,
        entities=seals.seal(session, seals.month(session, signal.at), context, _pack(signal.entities)),
    )
    session.add(row)
    return row


def _entities(session: Session, seals: Seals, rows: Sequence[SignalRow]) -> list[Entity]:
    found: dict[tuple[str, str], Entity] = {}
    for row in rows:
        context = f"cert_signal|entities|{row.rule}|{row.seq}"
        for entity in _unpack(seals.open(session, seals.month(session, row.at), context, row.entities)):
            if entity.role or (entity.kind, entity.ref) not in found:
                found[(entity.kind, entity.ref)] = entity
    return list(found.values())


def _pack(entities: Sequence[Entity]) -> str:
    return orjson.dumps([[entity.kind, entity.ref, entity.role] for entity in entities]).decode()


def _unpack(text: str) -> list[Entity]:
    if not text.startswith("["):
        return []  # the month's key is gone
    return [Entity(kind, ref, role) for kind, ref, role in orjson.loads(text)]
