"""Cutting off what is being abused, from the incident, in one step that can be undone where that is possible.

The desk knows no sessions, clients or members. What it asks of the rest of the house is the protocol below, which
the portal fulfils. Preview and apply ask the same function for its numbers, so the dry run can't flatter. The
effect, its line in the timeline and its audit entries are one transaction, and the change counters it bumps are
compared on every later decision, so it holds in every process before the answer goes out (invariant I5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cert import timeline
from cert.errors import AlreadyUndone, FieldInvalid
from cert.incidents import State
from cert.models import Containment
from cert.seals import Seals
from cert.store import get_containment, get_incident, list_containments, standing_containments
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

MAX_TARGETS = 500


class Action(StrEnum):
    """What can be cut off."""

    END_SESSIONS = "end_sessions"  # of accounts: everyone signed in to them is out
    SUSPEND_CLIENT = "suspend_client"  # no tokens, and those it holds are refused
    SUSPEND_SHARING = "suspend_sharing"  # of a member: the bank gives it nothing, whatever the consents say

    @property
    def undoable(self) -> bool:
        """Whether it can be lifted. Ended sessions stay ended: people sign in again."""
        return self is not Action.END_SESSIONS

    @property
    def target(self) -> str:
        """The kind of thing it acts on."""
        return {"end_sessions": "account", "suspend_client": "client", "suspend_sharing": "member"}[self.value]


@dataclass(frozen=True, slots=True)
class Target:
    """Something that may be acted on, as the house knows it."""

    id: str
    name_ja: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Reach:
    """People an incident touches: for certain, and possibly."""

    certain: int
    possible: int


class Effects(Protocol):
    """What the house does for the desk. Every function runs inside the caller's transaction."""

    def preview(self, session: Session, action: Action, targets: Sequence[str]) -> dict[str, int]:
        """What applying this now would touch, in numbers (sessions, clients, grants, consents, residents).

        Raises FieldInvalid for a target that does not exist.
        """

    def apply(self, session: Session, action: Action, targets: Sequence[str], *, actor: Actor) -> Sequence[str]:
        """Do it; the targets that were not cut off before are returned, and only those are resumed later."""

    def undo(self, session: Session, action: Action, targets: Sequence[str], *, actor: Actor) -> None:
        """Lift it."""

    def name(self, session: Session, kind: str, ref: str) -> Target | None:
        """How staff know this client, member or account; accounts by id only, never by a person's name."""

    def choices(self, session: Session, action: Action) -> Sequence[Target]:
        """What may be chosen for this action: active clients, approved members; nothing for accounts."""

    def reach(
        self, session: Session, assets: Sequence[tuple[str, str]], *, since: Millis | None, until: Millis
    ) -> Reach:
        """How many people these assets (kind, id) touch in this window.

        Certain: accounts of the kind "entered", and residents whose data went to these clients or members.
        Possible: other accounts named, and residents who share with these members now.
        """


@dataclass(frozen=True, slots=True)
class Preview:
    """A dry run."""

    action: Action
    targets: tuple[str, ...]
    counts: dict[str, int]
    undoable: bool


@dataclass(frozen=True, slots=True)
class Applied:
    """An intervention that was made."""

    id: str
    action: Action
    targets: tuple[str, ...]
    counts: dict[str, int]
    applied_by: str
    applied_at: Millis
    undone_by: str | None
    undone_at: Millis | None

    @property
    def holds(self) -> bool:
        """Whether it is in force: something stays cut off until it is lifted."""
        return self.undone_at is None and self.action.undoable


def preview(session: Session, effects: Effects, incident_id: str, *, action: Action, targets: Sequence[str]) -> Preview:
    """What containing would do. Changes nothing."""
    get_incident(session, incident_id)
    chosen = _read_targets(targets)
    return Preview(action, chosen, effects.preview(session, action, chosen), action.undoable)


def contain(
    session: Session,
    seals: Seals,
    effects: Effects,
    incident_id: str,
    *,
    action: Action,
    targets: Sequence[str],
    actor: Actor,
    now: Millis,
    reason: str = "",
) -> Applied:
    """Apply an effect and write it into the record, in one transaction. Raises FieldInvalid."""
    incident = get_incident(session, incident_id)
    if incident.state == State.CLOSED:
        raise FieldInvalid("The incident is closed. Reopen it first.")
    chosen = _read_targets(targets)
    counts = effects.preview(session, action, chosen)
    changed = effects.apply(session, action, chosen, actor=actor)
    row = Containment(
        id=new_id("cnt"),
        incident_id=incident_id,
        action=action,
        targets=list(chosen),
        changed=list(changed),
        counts=counts,
        applied_by=actor.id,
        applied_at=now,
    )
    session.add(row)
    data = {"containment": row.id, "action": str(action), "targets": list(chosen), "counts": counts}
    timeline.write(session, seals, incident_id, kind="contained", actor=actor, now=now, text=reason, data=data)
    audit.record(
        session,
        "cert.containment.applied",
        actor=actor,
        object=("incident", incident_id),
        detail={"containment": row.id, "action": str(action), "targets": list(chosen), **counts},
    )
    return _applied(row)


def lift(
    session: Session,
    seals: Seals,
    effects: Effects,
    incident_id: str,
    containment_id: str,
    *,
    actor: Actor,
    now: Millis,
    reason: str = "",
) -> Applied:
    """Undo a containment. What another incident still holds down stays down, and that is told, not passed over.

    Raises AlreadyUndone.
    """
    get_incident(session, incident_id)
    row = get_containment(session, incident_id, containment_id)
    action = Action(row.action)
    if not action.undoable:
        raise AlreadyUndone("Ended sessions can't be given back; people sign in again.")
    if row.undone_at is not None:
        raise AlreadyUndone("This was lifted before.")
    row.undone_by, row.undone_at = actor.id, now
    session.add(row)
    session.flush()
    free = []
    for target in row.changed:
        others = [other for other in standing_containments(session, action) if target in other.targets]
        if not others:
            free.append(target)
        elif not any(target in other.changed for other in others):
            # Another incident wants it down as well: whoever lifts last resumes it.
            others[0].changed = [*others[0].changed, target]
            session.add(others[0])
    effects.undo(session, action, free, actor=actor)
    data = {
        "containment": row.id,
        "action": str(action),
        "targets": free,
        "still_held": [target for target in row.targets if target not in free],
    }
    timeline.write(session, seals, incident_id, kind="lifted", actor=actor, now=now, text=reason, data=data)
    audit.record(
        session,
        "cert.containment.lifted",
        actor=actor,
        object=("incident", incident_id),
        detail={"containment": row.id, "action": str(action), "targets": free},
    )
    return _applied(row)


def applied(session: Session, incident_id: str) -> list[Applied]:
    """The interventions of an incident, oldest first."""
    return [_applied(row) for row in list_containments(session, incident_id)]


def _read_targets(targets: Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(target.strip() for target in targets if target.strip()))
    if not chosen:
        raise FieldInvalid("Name at least one target.", pointer="/targets")
    if len(chosen) > MAX_TARGETS:
        raise FieldInvalid(f"At most {MAX_TARGETS} targets at a time.", pointer="/targets")
    return chosen


def _applied(row: Containment) -> Applied:
    return Applied(
        id=row.id,
        action=Action(row.action),
        targets=tuple(row.targets),
        counts=dict(row.counts),
        applied_by=row.applied_by,
        applied_at=row.applied_at,
        undone_by=row.undone_by,
        undone_at=row.undone_at,
    )
