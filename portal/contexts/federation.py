"""The console's pages about the federation: this city's place, who stands below it, trust marks, why one is refused."""

from dataclasses import dataclass

from kit.clock import Millis


@dataclass(frozen=True)
class BelowLine:
    """An entity below this city. `status`: active | suspended | ended."""

    entity_id: str
    kinds: tuple[str, ...]
    intermediate: bool
    status: str
    changed_at: Millis


@dataclass(frozen=True)
class MarkLine:
    """A trust mark. `status`: active | expired | revoked."""

    id: str
    kind: str
    entity_id: str
    status: str
    expires_at: Millis | None


@dataclass(frozen=True)
class TrustWaiting:
    """Trust that waits for a second person; `keys` are thumbprints, `kind` vouch | mark."""

    id: str
    kind: str
    entity_id: str
    who: str
    mine: bool
    keys: tuple[str, ...]
    kinds: tuple[str, ...]
    said: str
    mark: str
    expires_at: Millis


@dataclass(frozen=True)
class Federation:
    """console/federation.html. `place`: off | leaf | intermediate | anchor."""

    place: str
    entity_id: str
    above: tuple[str, ...]
    anchors: tuple[str, ...]
    registration: tuple[str, ...]
    needed: tuple[str, ...]
    keys: tuple[tuple[str, str], ...]  # kid, and whether it signs: active | next | retired
    vouches: bool
    waiting: tuple[TrustWaiting, ...]
    below: tuple[BelowLine, ...]
    more_below: str
    marks: tuple[MarkLine, ...]
    more_marks: str


@dataclass(frozen=True)
class Entity:
    """console/federation_entity.html: one entity below this city."""

    entity_id: str
    kinds: tuple[str, ...]
    intermediate: bool
    status: str
    keys: tuple[str, ...]
    said: str
    registered_at: Millis
    changed_at: Millis
    marks: tuple[MarkLine, ...]


@dataclass(frozen=True)
class KindChoice:
    """An entity type to tick."""

    value: str
    chosen: bool = False


@dataclass(frozen=True)
class Vouching:
    """console/federation_vouch.html: the form, or, with `look`, what it would come to."""

    values: dict[str, str]
    kinds: tuple[KindChoice, ...]
    intermediate: bool
    by_two: bool
    look: bool
    keys: tuple[str, ...]
    known: bool
    errors: dict[str, str]


@dataclass(frozen=True)
class Marking:
    """console/federation_mark.html: the form for a trust mark."""

    values: dict[str, str]
    kinds: tuple[str, ...]
    by_two: bool
    errors: dict[str, str]


@dataclass(frozen=True)
class Stop:
    """console/federation_stop.html: trust that is taken away, and what that touches. `what`: suspend | end | revoke."""

    what: str
    entity_id: str
    mark: str
    clients: int
    action: str
    back: str


@dataclass(frozen=True)
class StepLine:
    """One step of a search. `what`: configuration | statement | chain; `why` where it broke."""

    what: str
    iss: str
    sub: str
    word: str
    why: str


@dataclass(frozen=True)
class Explanation:
    """console/federation_explain.html. `verdict`: "" (nothing asked yet) | trusted | refused."""

    entity_id: str
    anchor: str
    anchors: tuple[str, ...]
    verdict: str
    word: str
    detail: str
    by: str
    until: Millis | None
    steps: tuple[StepLine, ...]
    marks: tuple[tuple[str, str], ...]
    metadata: str
    errors: dict[str, str]
