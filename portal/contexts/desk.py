"""The incident desk's pages: the board and queue, the forms, the workbench."""

from dataclasses import dataclass

from cert.deadlines import Clock
from kit.clock import Millis


@dataclass(frozen=True)
class Thing:
    """Something an alert or incident is about: kind, how staff know it, where it is shown."""

    kind: str
    words: str
    role: str = ""
    href: str = ""


@dataclass(frozen=True)
class AlertLine:
    """An alert as one line of the queue. `title` is the reporter's words, or empty for a rule's finding."""

    id: str
    kind: str
    severity: str
    title: str
    note: str
    count: int
    first_at: Millis
    last_at: Millis
    state: str
    owner: str
    reason: str
    things: tuple[Thing, ...]
    more_things: int = 0
    incident_id: str = ""


@dataclass(frozen=True)
class AlertGroup:
    """Alerts that share something, and what."""

    because: tuple[str, ...]
    alerts: tuple[AlertLine, ...]


@dataclass(frozen=True)
class Due:
    """The nearest end of a clock."""

    clock: str
    at: Millis
    possible: bool


@dataclass(frozen=True)
class IncidentLine:
    """An incident as one line of the board."""

    id: str
    reference: str
    title: str
    severity: str
    state: str
    tlp: str
    layers: tuple[int, ...]
    due: Due | None
    open_tasks: int
    owner: str
    opened_at: Millis


@dataclass(frozen=True)
class Did:
    """What was just done with an alert, to be undone."""

    alert_id: str
    what: str


@dataclass(frozen=True)
class Choice:
    """An open incident to add alerts to."""

    id: str
    words: str


@dataclass(frozen=True)
class Board:
    """desk/board.html: open incidents, and what waits."""

    incidents: tuple[IncidentLine, ...]
    closed: tuple[IncidentLine, ...]
    groups: tuple[AlertGroup, ...]
    waiting: int
    choices: tuple[Choice, ...]
    did: Did | None
    back: str
    now: Millis


@dataclass(frozen=True)
class Queue:
    """desk/queue.html: all alerts by state, a page at a time."""

    state: str
    counts: dict[str, int]
    groups: tuple[AlertGroup, ...]
    choices: tuple[Choice, ...]
    did: Did | None
    back: str
    older: str
    now: Millis


@dataclass(frozen=True)
class AlertForm:
    """desk/alert_new.html: log an alert by hand."""

    values: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True)
class LayerBox:
    """A layer to tick."""

    number: int
    name: str
    ticked: bool


@dataclass(frozen=True)
class IncidentForm:
    """desk/incident_form.html: open an incident, or edit one."""

    reference: str
    values: dict[str, str]
    layers: tuple[LayerBox, ...]
    alerts: tuple[AlertLine, ...]
    owners: tuple[Choice, ...]
    errors: dict[str, str]
    back: str


@dataclass(frozen=True)
class TimelineLine:
    """A line of the record. `fields` are the names of what an edit changed; `counts` what a containment touched.

    `filed` and `unfiled` are the clocks an edit said were answered, or were not after all.
    """

    kind: str
    at: Millis
    written_at: Millis
    late: bool
    exact: bool
    who: str
    source: str
    text: str
    before: str = ""
    after: str = ""
    fields: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    targets: tuple[str, ...] = ()
    filed: tuple[str, ...] = ()
    unfiled: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskLine:
    """A task."""

    id: str
    title: str
    state: str
    owner: str
    due_at: Millis | None


@dataclass(frozen=True)
class ClockLine:
    """A statutory clock with its sum, in the reader's language."""

    id: str
    name: str
    to: str
    article: str
    standing: str
    why: str
    due_at: Millis | None
    from_at: Millis | None
    sum: tuple[str, ...]


@dataclass(frozen=True)
class LayerLine:
    """A layer of the map, and whom to ask."""

    number: int
    name: str
    asks: str
    touched: bool


@dataclass(frozen=True)
class ActionLine:
    """Something that can be cut off, and from what."""

    code: str
    targets: tuple[Thing, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True)
class ContainmentLine:
    """An intervention that was made."""

    id: str
    action: str
    targets: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    at: Millis
    who: str
    holds: bool
    lifted_at: Millis | None


@dataclass(frozen=True)
class Workbench:
    """desk/incident.html: what we know, what it touches, what we must do."""

    id: str
    reference: str
    title: str
    severity: str
    state: str
    tlp: str
    owner: str
    opened_at: Millis
    aware_at: Millis
    began_at: Millis | None
    ended_at: Millis | None
    closed_at: Millis | None
    summary: str
    version: int
    due: Due | None
    alerts: tuple[AlertLine, ...]
    lines: tuple[TimelineLine, ...]
    layers: tuple[LayerLine, ...]
    assets: tuple[Thing, ...]
    certain: int
    possible: int
    clocks: tuple[ClockLine, ...]
    rules_old: bool
    facts: dict[str, str]
    body: str
    tasks: tuple[TaskLine, ...]
    actions: tuple[ActionLine, ...]
    containments: tuple[ContainmentLine, ...]
    moves: tuple[str, ...]
    is_lead: bool
    values: dict[str, str]
    errors: dict[str, str]
    now: Millis


@dataclass(frozen=True)
class Target:
    """Something chosen to be cut off."""

    kind: str
    words: str


@dataclass(frozen=True)
class ContainPreview:
    """desk/contain.html: the dry run, and the one button."""

    id: str
    reference: str
    title: str
    action: str
    targets: tuple[Target, ...]
    ids: tuple[str, ...]
    counts: tuple[tuple[str, int], ...]
    undoable: bool
    is_lead: bool


@dataclass(frozen=True)
class LeftTask:
    """A task that is still open."""

    title: str
    owner: str


@dataclass(frozen=True)
class Held:
    """A containment that holds."""

    action: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class LeftClock:
    """A clock that still runs."""

    name: str
    to: str
    due_at: Millis | None


@dataclass(frozen=True)
class CloseForm:
    """desk/close.html: the end, with its story."""

    id: str
    reference: str
    title: str
    version: int
    tasks: tuple[LeftTask, ...]
    holding: tuple[Held, ...]
    running: tuple[LeftClock, ...]
    summary: str
    error: str


def in_words(clock: Clock, lang: str) -> ClockLine:
    """A clock as the workbench shows it."""
    return ClockLine(
        id=clock.id,
        name=clock.name.to(lang),
        to=clock.to.to(lang),
        article=clock.article,
        standing=str(clock.standing),
        why=clock.why.to(lang),
        due_at=clock.due_at,
        from_at=clock.from_at,
        sum=tuple(step.to(lang) for step in clock.sum),
    )
