"""Rules over the audit trail: what in it is a signal, and when signals make an alert. Pure.

The ladder is signal -> alert -> case -> incident. A rule reads one audit event and may see a signal in it, under a
key (what the signals have in common) and a subject (what is counted). When enough different subjects meet under
one key within the window, there is a finding; further signals of the same key only raise its count until the key
has been quiet for a while. (The alert model follows Netflix Dispatch: signal definition, instance, entities,
filter with a window.)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cert.incidents import Severity
from cert.words import Words
from kit.clock import HOUR, MINUTE, Millis

SECURITY, FUNCTIONS, DATA = 9, 5, 6


@dataclass(frozen=True, slots=True)
class Event:
    """What a rule may read of an audit entry. `source` comes out of the sealed part and goes back nowhere."""

    seq: int
    at: Millis
    action: str
    actor: tuple[str, str]
    about: tuple[str, str]
    detail: Mapping[str, object] = field(default_factory=dict)
    source: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """Something an alert is about. `kind` "source" is personal and is sealed at rest; all others are opaque ids."""

    kind: str
    ref: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One sighting: the rule that saw it, the key it counts under, and what is counted."""

    rule: str
    key: str
    subject: str
    seq: int
    at: Millis
    entities: tuple[Entity, ...]
    escalates: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A detection: which actions it reads, how many different subjects it needs, in which time."""

    id: str
    name: Words
    because: Words
    actions: frozenset[str]
    key: tuple[str, ...]
    subject: str
    threshold: int
    window: Millis
    quiet: Millis
    severity: Severity
    layers: tuple[int, ...]
    escalating: frozenset[str] = frozenset()
    escalated: Severity | None = None


RULES: tuple[Rule, ...] = (
    Rule(
        id="credential-stuffing",
        name=Words(
            "一つの送信元から多数のアカウントへのサインイン失敗", "Failed sign-ins to many accounts from one source"
        ),
        because=Words("同じ送信元", "same source"),
        actions=frozenset({"identity.signin.failed", "identity.signin.throttled"}),
        key=("source",),
        subject="object",
        threshold=5,
        window=10 * MINUTE,
        quiet=HOUR,
        severity=Severity.HIGH,
        layers=(SECURITY,),
        # The same source got in: whoever owns that account is affected for certain.
        escalating=frozenset({"identity.signin.succeeded"}),
        escalated=Severity.CRITICAL,
    ),
    Rule(
        id="password-guessing",
        name=Words("一つのアカウントへの繰り返しのサインイン失敗", "Repeated failed sign-ins to one account"),
        because=Words("同じアカウント", "same account"),
        actions=frozenset({"identity.signin.failed"}),
        key=("object",),
        subject="seq",
        threshold=10,
        window=15 * MINUTE,
        quiet=HOUR,
        severity=Severity.MEDIUM,
        layers=(SECURITY,),
    ),
    Rule(
        id="refresh-reuse",
        name=Words("更新トークンの再使用", "Refresh token used twice"),
        because=Words("同じ許可", "same grant"),
        actions=frozenset({"identity.refresh.reused"}),
        key=("grant|object",),
        subject="seq",
        threshold=1,
        window=MINUTE,
        quiet=24 * HOUR,
        severity=Severity.HIGH,
        layers=(FUNCTIONS, SECURITY),
    ),
    Rule(
        id="code-replay",
        name=Words("認可コードの再使用", "Authorization code used twice"),
        because=Words("同じ許可", "same grant"),
        actions=frozenset({"identity.code.replayed"}),
        key=("grant|object",),
        subject="seq",
        threshold=1,
        window=MINUTE,
        quiet=24 * HOUR,
        severity=Severity.HIGH,
        layers=(FUNCTIONS, SECURITY),
    ),
    Rule(
        id="many-recoveries",
        name=Words("短い時間に多数のアカウントの入り方の作り直し", "New ways into many accounts in a short time"),
        because=Words("同じ職員、または自宅からの手続き", "same clerk, or from home"),
        # An operator's own hand or stolen session, or stolen lists of recovery codes: at home nobody is the actor.
        actions=frozenset({"identity.reset.opened", "identity.recovery.begun"}),
        key=("actor",),
        subject="object",
        threshold=5,
        window=HOUR,
        quiet=24 * HOUR,
        severity=Severity.HIGH,
        layers=(SECURITY,),
    ),
    Rule(
        id="counter-guessing",
        name=Words("窓口で使えないコードの繰り返し", "Codes tried out at the counter"),
        because=Words("同じ職員", "same clerk"),
        # A clerk's own hand or stolen session trying for somebody who is not there, or for an account of their own.
        actions=frozenset({"identity.verification.missed", "identity.verification.own-name"}),
        key=("actor",),
        subject="seq",
        threshold=8,
        window=15 * MINUTE,
        quiet=24 * HOUR,
        severity=Severity.MEDIUM,
        layers=(SECURITY,),
    ),
    Rule(
        id="end-not-confirmed",
        name=Words(
            "同意の終了を提供先が期限までに確認していない", "A recipient has not confirmed in time that a consent ended"
        ),
        because=Words("同じ提供先", "same recipient"),
        actions=frozenset({"consent.acknowledgement.missed"}),
        key=("member",),
        subject="object",
        threshold=1,
        window=HOUR,
        quiet=24 * HOUR,
        severity=Severity.MEDIUM,
        layers=(FUNCTIONS, DATA),
    ),
)

BY_ID = {rule.id: rule for rule in RULES}
_OPAQUE = ("account", "client", "grant", "session", "member")  # details with these names become entities


def actions(rules: Iterable[Rule] = RULES) -> frozenset[str]:
    """Every audit action some rule reads; the follower passes over all others."""
    return frozenset(action for rule in rules for action in rule.actions | rule.escalating)


def signals(event: Event, rules: Iterable[Rule] = RULES) -> list[Signal]:
    """What the rules see in one event."""
    seen: list[Signal] = []
    for rule in rules:
        escalates = event.action in rule.escalating
        if not escalates and event.action not in rule.actions:
            continue
        parts = [_part(event, name) for name in rule.key]
        if None in parts:
            continue  # without its key a signal belongs nowhere
        subject = _part(event, rule.subject)
        if subject is None:
            continue
        seen.append(
            Signal(
                rule=rule.id,
                key="|".join(part for part in parts if part),
                subject=subject,
                seq=event.seq,
                at=event.at,
                entities=_entities(event, entered=escalates),
                escalates=escalates,
            )
        )
    return seen


@dataclass(frozen=True, slots=True)
class Finding:
    """Enough signals under one key."""

    rule: Rule
    subjects: int
    first_at: Millis
    last_at: Millis
    severity: Severity


def judge(rule: Rule, seen: Sequence[tuple[str, Millis, bool]], *, now: Millis) -> Finding | None:
    """A finding, if the signals of one key (subject, time, escalates) that lie in the window suffice.

    `now` is the time of the newest signal, not of the clock, so that a follower that was down finds the same.
    """
    inside = [entry for entry in seen if now - rule.window < entry[1] <= now]
    counted = [entry for entry in inside if not entry[2]]
    subjects = {subject for subject, _, _ in counted}
    if len(subjects) < rule.threshold:
        return None
    first = min(at for _, at, _ in counted)
    # A success counts only after failures from the same source: people do sign in from a shared address.
    entered = any(escalates and at >= first for _, at, escalates in inside)
    severity = rule.escalated if entered and rule.escalated else rule.severity
    return Finding(rule, len(subjects), first, max(at for _, at, _ in inside), severity)


def _part(event: Event, name: str) -> str | None:
    """A part of an event by its name; with "a|b", b where there is no a."""
    first, _or, second = name.partition("|")
    if second:
        found = _part(event, first)
        return _part(event, second) if found is None else found
    match name:
        case "source":
            return event.source
        case "object":
            return "/".join(event.about)
        case "actor":
            return "/".join(event.actor)
        case "seq":
            return str(event.seq)
        case _:
            value = event.detail.get(name)
            return value if isinstance(value, str) else None


def _entities(event: Event, *, entered: bool) -> tuple[Entity, ...]:
    found: set[Entity] = set()
    role = "entered" if entered else ""
    for kind, ref in (event.about, event.actor):
        if kind in _OPAQUE and ref:
            found.add(Entity(kind, ref, role if kind == "account" else ""))
        elif kind == "resident" and ref:  # the actor's kind; the thing is an account
            found.add(Entity("account", ref, role))
    for kind in _OPAQUE:
        value = event.detail.get(kind) or event.detail.get(f"{kind}_id")
        if isinstance(value, str):
            found.add(Entity(kind, value, role if kind == "account" else ""))
    if event.source:
        found.add(Entity("source", event.source))
    return tuple(sorted(found))
