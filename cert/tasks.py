"""The tasks of an incident: what must be done, or dropped, before it can be closed."""

from dataclasses import dataclass

from cert import timeline
from cert.errors import FieldInvalid
from cert.fields import read_title
from cert.models import Task
from cert.response import require_open
from cert.seals import Seals
from cert.store import get_task, list_tasks
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id


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


def add(
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
    require_open(session, incident_id)
    task_id = new_id("tsk")
    words = read_title(title)
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


def end(
    session: Session,
    seals: Seals,
    incident_id: str,
    task_id: str,
    *,
    state: str,
    actor: Actor,
    now: Millis,
) -> None:
    """Mark a task done or dropped, or open it again. Raises FieldInvalid."""
    if state not in ("open", "done", "dropped"):
        raise FieldInvalid("A task is open, done or dropped.", pointer="/state")
    require_open(session, incident_id)
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


def list_for(session: Session, seals: Seals, incident_id: str) -> list[TaskView]:
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
