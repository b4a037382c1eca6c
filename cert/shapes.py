"""The desk's wire shapes: what the JSON API reads and answers, and the way from views to answers.

Times are RFC 3339.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from cert.alerts import AlertView
from cert.containment import MAX_TARGETS, Applied
from cert.deadlines import Clock
from cert.errors import FieldInvalid
from cert.fields import TEXT_LENGTH, TITLE_LENGTH
from cert.response import IncidentView
from cert.tasks import TaskView
from cert.timeline import Line
from cert.words import Words
from kit.clock import Millis, from_iso, iso
from kit.web import Answer, Body

Identifier = Annotated[str, Field(min_length=1, max_length=80)]
Title = Annotated[str, Field(min_length=1, max_length=TITLE_LENGTH)]
Text = Annotated[str, Field(max_length=TEXT_LENGTH)]
Time = Annotated[str, Field(max_length=40, examples=["2026-11-22T09:00:00Z"])]
Version = Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]


class EntityBody(Body):
    """Something an alert is about."""

    kind: Literal["account", "client", "grant", "session", "member", "source", "device"]
    ref: Identifier


class AlertBody(Body):
    """A report, by hand or by a service."""

    kind: Literal["report", "phishing", "malware", "outage", "loss", "leak", "abuse", "equipment", "other"] = Field(
        examples=["phishing"]
    )
    severity: Literal["low", "medium", "high", "critical"] = Field(examples=["medium"])
    title: Title = Field(examples=["A mail in the city's name asks for passwords"])
    note: Text = ""
    entities: Annotated[list[EntityBody], Field(max_length=50)] = Field(default_factory=list)
    dedup: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="Reports with the same value are counted as one while they keep coming."
    )
    seen_at: Time | None = None


class EntityAnswer(Answer):
    """Something an alert is about."""

    kind: str = Field(examples=["client"])
    ref: str = Field(examples=["minatohama-transit"])
    role: str = Field(examples=["subject"])


class AlertAnswer(Answer):
    """An alert."""

    id: str = Field(examples=["alr_01kaq39tx5w6v7x8y9z0a1b2c3"])
    source: str = Field(examples=["audit"])
    kind: str = Field(examples=["refresh-reuse"])
    severity: str = Field(examples=["high"])
    title: str = Field(examples=["A spent refresh token was used again"])
    note: str = Field(examples=[""])
    count: int = Field(examples=[1])
    first_seen_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    last_seen_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    state: str = Field(examples=["new"])
    owner_id: str | None
    incident_id: str | None
    reason: str | None
    entities: list[EntityAnswer]


class AlertPage(Answer):
    """A page of alerts; `next` asks for the following one."""

    alerts: list[AlertAnswer]
    next: str | None


class RaisedAnswer(Answer):
    """What became of a report."""

    id: str = Field(examples=["alr_01kaq39tx5w6v7x8y9z0a1b2c3"])
    new: bool = Field(examples=[True])
    count: int = Field(examples=[1])


class TriageBody(Body):
    """What to do with an alert."""

    decision: Literal["take", "dismiss", "put_back", "attach"] = Field(examples=["dismiss"])
    reason: Literal["false_positive", "expected", "duplicate", "test", "not_ours"] | None = Field(
        default=None, examples=["expected"]
    )
    incident_id: Identifier | None = None


class AssetBody(Body):
    """Something an incident touches."""

    kind: Literal["account", "client", "member", "category", "system", "device"]
    ref: Identifier


class IncidentBody(Body):
    """A new incident."""

    title: Title = Field(examples=["Tokens of the bus operator used from elsewhere"])
    severity: Literal["low", "medium", "high", "critical"] = Field(examples=["high"])
    tlp: Literal["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"] = "TLP:AMBER"
    layers: Annotated[list[Annotated[int, Field(ge=1, le=9)]], Field(max_length=9)] = Field(
        default_factory=list, examples=[[5, 9]]
    )
    assets: Annotated[list[AssetBody], Field(max_length=200)] = Field(default_factory=list)
    alerts: Annotated[list[Identifier], Field(max_length=100)] = Field(default_factory=list)
    aware_at: Time | None = None
    began_at: Time | None = None
    note: Text = ""


class FactsBody(Body):
    """What the law asks about a breach."""

    personal_data: Literal["yes", "no", "unknown"] | None = None
    sensitive: Literal["yes", "no", "unknown"] | None = None
    property_damage: Literal["yes", "no", "unknown"] | None = None
    wrongful_purpose: Literal["yes", "no", "unknown"] | None = None
    protected: Literal["yes", "no", "unknown"] | None = None
    eu_residents: Literal["yes", "no", "unknown"] | None = None


class ChangeBody(Body):
    """An edit, made on `version`. What is left out stays."""

    version: Version
    title: Title | None = None
    severity: Literal["low", "medium", "high", "critical"] | None = None
    tlp: Literal["TLP:CLEAR", "TLP:GREEN", "TLP:AMBER", "TLP:AMBER+STRICT", "TLP:RED"] | None = None
    layers: Annotated[list[Annotated[int, Field(ge=1, le=9)]], Field(max_length=9)] | None = None
    assets: Annotated[list[AssetBody], Field(max_length=200)] | None = None
    facts: FactsBody | None = None
    filed: (
        Annotated[
            list[Literal["appi-preliminary", "appi-final", "appi-persons", "gdpr-authority"]], Field(max_length=4)
        ]
        | None
    ) = Field(default=None, description="The clocks that were answered; replaces the list.")
    body: Literal["city", "company"] | None = None
    owner_id: Annotated[str, Field(max_length=80)] | None = Field(default=None, description="Empty for nobody.")
    aware_at: Time | None = None
    began_at: Time | None = None
    ended_at: Time | None = None


class MoveBody(Body):
    """One step of the state machine."""

    version: Version
    to: Literal["triage", "contained", "eradicated", "recovering"] = Field(examples=["triage"])
    text: Text = ""


class CloseBody(Body):
    """The end, with its story."""

    version: Version
    summary: Text = Field(examples=["Forty accounts were tried, none was entered. The source is blocked."])


class LineBody(Body):
    """A line for the record."""

    text: Annotated[str, Field(min_length=1, max_length=TEXT_LENGTH)] = Field(
        examples=["The operator phoned: the key was on a lost laptop."]
    )
    source: Literal["desk", "phone", "mail", "log", "member", "police", "press", "other"] = "desk"
    happened_at: Time | None = None
    exact: bool = True


class TaskBody(Body):
    """Something to be done."""

    title: Title = Field(examples=["Ask the member which devices hold the key"])
    owner_id: Identifier | None = None
    due_at: Time | None = None


class TaskStateBody(Body):
    """What became of a task."""

    state: Literal["open", "done", "dropped"] = Field(examples=["done"])


class ContainBody(Body):
    """What to cut off."""

    action: Literal["end_sessions", "suspend_client", "suspend_sharing"] = Field(examples=["suspend_client"])
    targets: Annotated[list[Identifier], Field(min_length=1, max_length=MAX_TARGETS)]
    reason: Text = ""


class LiftBody(Body):
    """Why it is lifted."""

    reason: Text = Field(default="", examples=["The member changed the key."])


class IncidentAnswer(Answer):
    """An incident."""

    id: str = Field(examples=["inc_01kaq39tx5w6v7x8y9z0a1b2c3"])
    reference: str = Field(examples=["2026-003"])
    title: str = Field(examples=["Tokens of the bus operator used from elsewhere"])
    state: str = Field(examples=["triage"])
    severity: str = Field(examples=["high"])
    tlp: str = Field(examples=["TLP:AMBER"])
    layers: list[int] = Field(examples=[[9]])
    assets: list[dict[str, str]]
    facts: dict[str, str]
    filed: list[str]
    body: str
    owner_id: str | None
    opened_by: str = Field(examples=["acc_01kaq39tx5w6v7x8y9z0a1b2c3"])
    opened_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    aware_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    began_at: str | None
    ended_at: str | None
    closed_at: str | None
    summary: str
    version: int = Field(examples=[3])
    open_tasks: int = Field(examples=[2])


class LineAnswer(Answer):
    """A line of the record."""

    id: str = Field(examples=["tml_01kaq39tx5w6v7x8y9z0a1b2c3"])
    kind: str = Field(examples=["note"])
    happened_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    written_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    exact: bool
    actor: str = Field(examples=["acc_01kaq39tx5w6v7x8y9z0a1b2c3"])
    source: str = Field(examples=["desk"])
    data: dict[str, Any]
    text: str = Field(examples=["The bus operator was called."])


class TaskAnswer(Answer):
    """A task."""

    id: str = Field(examples=["tsk_01kaq39tx5w6v7x8y9z0a1b2c3"])
    title: str = Field(examples=["Ask the member which devices hold the key"])
    state: str = Field(examples=["open"])
    owner_id: str | None
    due_at: str | None
    ended_at: str | None


class ContainmentAnswer(Answer):
    """An intervention."""

    id: str = Field(examples=["cnt_01kaq39tx5w6v7x8y9z0a1b2c3"])
    action: str = Field(examples=["suspend_client"])
    targets: list[str] = Field(examples=[["minatohama-transit"]])
    counts: dict[str, int] = Field(examples=[{"clients": 1}])
    applied_by: str = Field(examples=["acc_01kaq39tx5w6v7x8y9z0a1b2c3"])
    applied_at: str = Field(examples=["2026-11-22T09:00:00Z"])
    undone_by: str | None
    undone_at: str | None
    holds: bool = Field(examples=[True])


class ClockAnswer(Answer):
    """A statutory clock, with its sum."""

    id: str
    name: dict[str, str]
    to: dict[str, str]
    article: str
    standing: str
    why: dict[str, str]
    due_at: str | None
    sum: list[dict[str, str]]


class WorkbenchAnswer(Answer):
    """Everything about an incident."""

    incident: IncidentAnswer
    timeline: list[LineAnswer]
    tasks: list[TaskAnswer]
    containments: list[ContainmentAnswer]
    alerts: list[AlertAnswer]
    clocks: list[ClockAnswer]
    people_certain: int
    people_possible: int
    moves: list[str]


class IncidentPage(Answer):
    """A page of incidents; `next` asks for the following one."""

    incidents: list[IncidentAnswer]
    next: str | None


class CreatedAnswer(Answer):
    """The id of what was made."""

    id: str = Field(examples=["inc_01kaq39tx5w6v7x8y9z0a1b2c3"])


class VersionAnswer(Answer):
    """The version after a change; send it with the next one."""

    version: int = Field(examples=[4])


class PreviewAnswer(Answer):
    """A dry run, in numbers."""

    action: str = Field(examples=["suspend_client"])
    targets: list[str] = Field(examples=[["minatohama-transit"]])
    counts: dict[str, int] = Field(examples=[{"clients": 1}])
    undoable: bool = Field(examples=[True])


class LayerAnswer(Answer):
    """A layer of the reference architecture."""

    number: int = Field(examples=[9])
    name: dict[str, str] = Field(examples=[{"ja": "セキュリティ・認証", "en": "Security and authentication"}])


class RuleAnswer(Answer):
    """A detection rule and its settings."""

    id: str = Field(examples=["refresh-reuse"])
    name: dict[str, str]
    threshold: int = Field(examples=[1])
    window_seconds: int = Field(examples=[3600])
    severity: str = Field(examples=["high"])


class ReferenceAnswer(Answer):
    """The desk's fixed lists."""

    layers: list[LayerAnswer]
    rules: list[RuleAnswer]
    states: list[str] = Field(examples=[["new", "triage"]])
    severities: list[str] = Field(examples=[["low", "high"]])
    tlp: list[str] = Field(examples=[["TLP:AMBER"]])


def read_time(text: str | None, pointer: str) -> Millis | None:
    """RFC 3339 to milliseconds; raises FieldInvalid."""
    if text is None:
        return None
    try:
        moment = from_iso(text)
    except ValueError as wrong:
        raise FieldInvalid("Write a time with its zone, like 2026-11-22T09:00:00Z.", pointer=pointer) from wrong
    if not 0 <= moment < 2**53:
        raise FieldInvalid("This time is out of range.", pointer=pointer)
    return moment


def read_page(after: str | None) -> tuple[Millis, str] | None:
    """The place a page begins after; raises FieldInvalid for what no page gave out."""
    if after is None:
        return None
    moment, _, last = after.partition(".")
    if not (moment.isascii() and moment.isdigit() and len(moment) < 17 and last):
        raise FieldInvalid("`after` is the `next` of the page before.", pointer="/after")
    return int(moment), last


def both(words: Words) -> dict[str, str]:
    """A name in both languages."""
    return {"ja": words.ja, "en": words.en}


def _iso(moment: Millis | None) -> str | None:
    return None if moment is None else iso(moment)


def alert_answer(view: AlertView) -> AlertAnswer:
    """An alert for the wire."""
    return AlertAnswer(
        id=view.id,
        source=view.source,
        kind=view.kind,
        severity=view.severity,
        title=view.title,
        note=view.note,
        count=view.count,
        first_seen_at=iso(view.first_seen_at),
        last_seen_at=iso(view.last_seen_at),
        state=view.state,
        owner_id=view.owner_id,
        incident_id=view.incident_id,
        reason=view.reason,
        entities=[EntityAnswer(kind=one.kind, ref=one.ref, role=one.role) for one in view.entities],
    )


def incident_answer(view: IncidentView) -> IncidentAnswer:
    """An incident for the wire."""
    return IncidentAnswer(
        id=view.id,
        reference=view.reference,
        title=view.title,
        state=view.state,
        severity=view.severity,
        tlp=view.tlp,
        layers=list(view.layers),
        assets=[{"kind": asset.kind, "ref": asset.ref} for asset in view.assets],
        facts=dict(view.facts),
        filed=list(view.filed),
        body=view.body,
        owner_id=view.owner_id,
        opened_by=view.opened_by,
        opened_at=iso(view.opened_at),
        aware_at=iso(view.aware_at),
        began_at=_iso(view.began_at),
        ended_at=_iso(view.ended_at),
        closed_at=_iso(view.closed_at),
        summary=view.summary,
        version=view.version,
        open_tasks=view.open_tasks,
    )


def line_answer(line: Line) -> LineAnswer:
    """A line of the record for the wire."""
    return LineAnswer(
        id=line.id,
        kind=line.kind,
        happened_at=iso(line.happened_at),
        written_at=iso(line.written_at),
        exact=line.exact,
        actor=f"{line.actor_kind}:{line.actor_id}",
        source=line.source,
        data=dict(line.data),
        text=line.text,
    )


def task_answer(view: TaskView) -> TaskAnswer:
    """A task for the wire."""
    return TaskAnswer(
        id=view.id,
        title=view.title,
        state=view.state,
        owner_id=view.owner_id,
        due_at=_iso(view.due_at),
        ended_at=_iso(view.ended_at),
    )


def containment_answer(made: Applied) -> ContainmentAnswer:
    """An intervention for the wire."""
    return ContainmentAnswer(
        id=made.id,
        action=made.action,
        targets=list(made.targets),
        counts=made.counts,
        applied_by=made.applied_by,
        applied_at=iso(made.applied_at),
        undone_by=made.undone_by,
        undone_at=_iso(made.undone_at),
        holds=made.holds,
    )


def clock_answer(clock: Clock) -> ClockAnswer:
    """A statutory clock for the wire."""
    return ClockAnswer(
        id=clock.id,
        name=both(clock.name),
        to=both(clock.to),
        article=clock.article,
        standing=clock.standing,
        why=both(clock.why),
        due_at=_iso(clock.due_at),
        sum=[both(step) for step in clock.sum],
    )
