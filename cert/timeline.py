"""The record of an incident: append-only lines of who did or saw what, from which source, when it happened and when
it was written down. The two times differ, and an inquiry asks about both.

Lines written by the desk itself (a move, an edit, a containment) are made in the transaction of the change they
tell of. No function here or elsewhere changes or deletes a line; the tables' own listeners refuse it too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event

from cert.errors import FieldInvalid
from cert.fields import check_not_ahead
from cert.models import TimelineEntry
from cert.seals import Seals
from cert.store import list_timeline
from kit.clock import MINUTE, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

KINDS = frozenset({"note", "opened", "moved", "edited", "alert", "task", "contained", "lifted", "closed", "reopened"})
SOURCES = ("desk", "phone", "mail", "log", "member", "police", "press", "other")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the record, opened for reading."""

    id: str
    kind: str
    happened_at: Millis
    written_at: Millis
    exact: bool
    actor_kind: str
    actor_id: str
    source: str
    data: Mapping[str, Any]
    text: str

    @property
    def late(self) -> bool:
        """Whether it was written noticeably after it happened."""
        return self.written_at - self.happened_at > 5 * MINUTE


def write(
    session: Session,
    seals: Seals,
    incident_id: str,
    *,
    kind: str,
    actor: Actor,
    now: Millis,
    text: str = "",
    data: Mapping[str, Any] | None = None,
    source: str = "desk",
    happened_at: Millis | None = None,
    exact: bool = True,
) -> str:
    """Append a line and give its id. Raises FieldInvalid for a time that lies ahead or an unknown source."""
    if source not in SOURCES:
        raise FieldInvalid(f"The source must be one of {', '.join(SOURCES)}.", pointer="/source")
    check_not_ahead(happened_at, now, "/happened_at")
    line_id = new_id("tml")
    session.add(
        TimelineEntry(
            id=line_id,
            incident_id=incident_id,
            kind=kind,
            happened_at=now if happened_at is None else happened_at,
            written_at=now,
            exact=exact,
            actor_kind=actor.kind,
            actor_id=actor.id,
            source=source,
            data=dict(data or {}),
            text=seals.seal(session, incident_id, f"cert_timeline|text|{line_id}", text) if text else None,
        )
    )
    return line_id


def read(session: Session, seals: Seals, incident_id: str) -> list[Line]:
    """All lines of an incident, by the time things happened."""
    return [
        Line(
            id=row.id,
            kind=row.kind,
            happened_at=row.happened_at,
            written_at=row.written_at,
            exact=row.exact,
            actor_kind=row.actor_kind,
            actor_id=row.actor_id,
            source=row.source,
            data=row.data,
            text=seals.open(session, incident_id, f"cert_timeline|text|{row.id}", row.text),
        )
        for row in list_timeline(session, incident_id)
    ]


@event.listens_for(TimelineEntry, "before_update")
@event.listens_for(TimelineEntry, "before_delete")
def _refuse(_mapper: Any, _connection: Any, row: TimelineEntry) -> None:
    raise RuntimeError(f"timeline entry {row.id} may not be changed")
