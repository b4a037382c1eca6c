"""Tables of the incident desk. Free text and source addresses are sealed; what is in clear is opaque ids and codes."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel


class Alert(SQLModel, table=True):
    """Something that may be wrong: found by a rule, sent by a service, or logged by hand."""

    __tablename__ = "cert_alert"
    __table_args__ = (
        Index("ix_cert_alert_queue", "state", "last_seen_at"),
        Index("ix_cert_alert_dedup", "dedup", "last_seen_at"),
    )

    id: str = Field(primary_key=True)
    source: str  # rule | hand | service
    kind: str  # the rule's id, or a kind of report
    severity: str
    dedup: bytes = Field(sa_type=LargeBinary)  # keyed hash
    count: int = 1
    first_seen_at: int = Field(sa_type=BigInteger)
    last_seen_at: int = Field(sa_type=BigInteger)
    raised_at: int = Field(sa_type=BigInteger)
    state: str = "new"
    owner_id: str | None = None
    incident_id: str | None = Field(default=None, index=True, foreign_key="cert_incident.id")
    reason: str | None = None  # why dismissed, a code
    reporter: str | None = None  # actor who logged it, or the client that sent it
    sealed: bytes = Field(sa_type=LargeBinary)  # {"title", "note"}
    version: int = 1


class AlertEntity(SQLModel, table=True):
    """What an alert is about. A source is kept as keyed hash, to be compared, and sealed, to be read."""

    __tablename__ = "cert_alert_entity"
    __table_args__ = (Index("ix_cert_alert_entity_ref", "kind", "ref"),)

    alert_id: str = Field(primary_key=True, foreign_key="cert_alert.id")
    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    role: str = ""
    sealed: bytes | None = Field(default=None, sa_type=LargeBinary)


class SignalRow(SQLModel, table=True):
    """A sighting inside a rule's window; swept when the window has passed."""

    __tablename__ = "cert_signal"
    __table_args__ = (Index("ix_cert_signal_key", "rule", "key", "at"),)

    rule: str = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)  # the audit entry: each is seen once
    key: bytes = Field(sa_type=LargeBinary)
    subject: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger, index=True)
    escalates: bool = False
    entities: bytes = Field(sa_type=LargeBinary)  # sealed; an alert raised later tells of these too


class Cursor(SQLModel, table=True):
    """How far a follower has read the audit trail."""

    __tablename__ = "cert_cursor"

    name: str = Field(primary_key=True)
    position: int = Field(sa_type=BigInteger)


class Incident(SQLModel, table=True):
    """One incident; a case while its state is `new`."""

    __tablename__ = "cert_incident"
    __table_args__ = (
        UniqueConstraint("year", "number", name="uq_cert_incident_number"),
        Index("ix_cert_incident_board", "state", "opened_at"),
    )

    id: str = Field(primary_key=True)
    year: int
    number: int
    state: str
    severity: str
    tlp: str
    layers: list[int] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    assets: list[dict[str, str]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    owner_id: str | None = None
    opened_by: str
    opened_at: int = Field(sa_type=BigInteger)
    aware_at: int = Field(sa_type=BigInteger)  # when the organisation came to know: the clocks start here
    began_at: int | None = Field(default=None, sa_type=BigInteger)  # when it began, as far as known
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)
    title: bytes = Field(sa_type=LargeBinary)  # sealed
    summary: bytes | None = Field(default=None, sa_type=LargeBinary)  # sealed
    version: int = 1


class TimelineEntry(SQLModel, table=True):
    """A line of the record. Written once, never changed: a correction is another line."""

    __tablename__ = "cert_timeline"
    __table_args__ = (Index("ix_cert_timeline_incident", "incident_id", "happened_at"),)

    id: str = Field(primary_key=True)
    incident_id: str = Field(foreign_key="cert_incident.id")
    kind: str
    happened_at: int = Field(sa_type=BigInteger)
    written_at: int = Field(sa_type=BigInteger)
    exact: bool = True  # False: "about this time"
    actor_kind: str
    actor_id: str
    source: str  # where the writer has it from
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))  # codes and numbers
    text: bytes | None = Field(default=None, sa_type=LargeBinary)  # sealed


class Task(SQLModel, table=True):
    """Something somebody must do before the incident can be closed."""

    __tablename__ = "cert_task"

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True, foreign_key="cert_incident.id")
    title: bytes = Field(sa_type=LargeBinary)  # sealed
    state: str = "open"
    owner_id: str | None = None
    due_at: int | None = Field(default=None, sa_type=BigInteger)
    added_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)


class Containment(SQLModel, table=True):
    """An intervention: what was cut off, what it did, and whether it still holds."""

    __tablename__ = "cert_containment"

    id: str = Field(primary_key=True)
    incident_id: str = Field(index=True, foreign_key="cert_incident.id")
    action: str
    targets: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    changed: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))  # what lifting resumes
    counts: dict[str, int] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    applied_by: str
    applied_at: int = Field(sa_type=BigInteger)
    undone_by: str | None = None
    undone_at: int | None = Field(default=None, sa_type=BigInteger)
