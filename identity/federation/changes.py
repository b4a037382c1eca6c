"""Trust that operators give: an entity vouched for, a trust mark; by two people where the city wants that.

OpenID Federation 1.0 sections 7 and 8.1. What one statement of ours makes true everywhere below is as dangerous as a
client's new key, so `client_changes_by_two` asks for a second operator here too, who approves what the page showed.
Taking trust away takes one person. The command line, whose user holds the keys anyway, asks nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlmodel import col, select

from identity.errors import ChangeGone
from identity.federation import mark_book, subordinates
from identity.federation.mark_book import Given
from identity.federation.models import FederationChange
from identity.federation.subordinates import Below
from identity.second_person import require_another
from identity.settings import IdentitySettings
from keys.envelope import Sealer
from kit import audit
from kit.clock import DAY, Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.ids import new_id

WAITS: Millis = 7 * DAY
MOST = 200
#: Beside the words of one that was suspended: they are said again, and not changed.
RESUMES = "resume"
Kind = Literal["vouch", "mark"]


@dataclass(frozen=True, slots=True)
class Change:
    """What one operator wants."""

    id: str
    kind: Kind
    entity_id: str
    wanted: Mapping[str, Any]
    proposed_by: str
    expires_at: Millis


class FederationChanges:
    """The only door by which operators give trust. `ours`: this city's own entity id."""

    def __init__(self, ours: str, sealer: Sealer, clock: Clock, settings: IdentitySettings) -> None:
        self._ours = ours
        self._sealer = sealer
        self._clock = clock
        self.by_two = settings.client_changes_by_two

    def vouch(
        self,
        session: Session,
        entity_id: str,
        *,
        jwks: Mapping[str, Any],
        entity_types: Sequence[str],
        intermediate: bool,
        said: Mapping[str, Any],
        actor: Actor,
    ) -> Below | Change:
        """Vouch for an entity or change what is said of it; or what waits. Raises InvalidSubordinate,
        SubordinateState."""
        wanted = {"jwks": jwks, "entity_types": list(entity_types), "intermediate": intermediate, "said": dict(said)}
        if self._waits(actor):
            subordinates.check(entity_id, jwks, entity_types, said, self._ours)
            return self._propose(session, "vouch", entity_id, wanted, actor)
        return self._vouch(session, entity_id, wanted, actor)

    def resume(self, session: Session, entity_id: str, *, actor: Actor) -> Below | Change:
        """Vouch again for one that is suspended, in the same words; or what waits. Raises UnknownSubordinate,
        SubordinateState."""
        found = subordinates.get(session, entity_id)
        if not self._waits(actor) or found.status != "suspended":  # if it is not, it is told so
            return subordinates.resume(session, entity_id, actor=actor, now=self._clock.ms())
        wanted = {"jwks": found.jwks, "entity_types": list(found.entity_types), "intermediate": found.intermediate}
        return self._propose(session, "vouch", entity_id, {**wanted, "said": found.said, RESUMES: True}, actor)

    def mark(
        self, session: Session, kind: str, entity_id: str, *, expires_at: Millis | None, actor: Actor
    ) -> Given | Change:
        """Give a trust mark; or what waits. Raises InvalidSubordinate."""
        wanted = {"kind": kind, "expires_at": expires_at}
        if self._waits(actor):
            mark_book.check(kind, entity_id, expires_at, self._clock.ms())
            return self._propose(session, "mark", entity_id, wanted, actor)
        return self._mark(session, entity_id, wanted, actor)

    def approve(self, session: Session, change_id: str, *, actor: Actor) -> Below | Given:
        """The second person wants it too: it is in force at this commit.

        Raises ChangeGone, SecondPersonNeeded, InvalidSubordinate, SubordinateState, UnknownSubordinate.
        """
        change = self._get(session, change_id)
        sentence = "Whoever asked for this change can't approve it. Ask a colleague."
        require_another(session, self._sealer, actor, began_by=change.proposed_by, otherwise=sentence)
        self._forget(session, change)
        apply = self._vouch if change.kind == "vouch" else self._mark
        return apply(session, change.entity_id, change.wanted, actor)

    def decline(self, session: Session, change_id: str, *, actor: Actor) -> None:
        """Take it back, or say no to it: any operator may. Raises ChangeGone."""
        change = self._get(session, change_id)
        self._forget(session, change)
        self._record(session, "declined", change, actor)

    def waiting(self, session: Session) -> tuple[Change, ...]:
        """What waits for a second person, the oldest first."""
        open_still = col(FederationChange.expires_at) > self._clock.ms()
        query = select(FederationChange).where(open_still).order_by(col(FederationChange.id)).limit(MOST)
        return tuple(_change(row) for row in session.exec(query))

    def _waits(self, actor: Actor) -> bool:
        return self.by_two and actor.kind == "operator"

    def _vouch(self, session: Session, entity_id: str, wanted: Mapping[str, Any], actor: Actor) -> Below:
        if RESUMES in wanted:
            return subordinates.resume(session, entity_id, actor=actor, now=self._clock.ms())
        return subordinates.register(session, entity_id, **wanted, ours=self._ours, actor=actor, now=self._clock.ms())

    def _mark(self, session: Session, entity_id: str, wanted: Mapping[str, Any], actor: Actor) -> Given:
        ends, now = wanted["expires_at"], self._clock.ms()
        return mark_book.give(session, wanted["kind"], entity_id, expires_at=ends, actor=actor, now=now)

    def _propose(self, session: Session, kind: Kind, entity_id: str, wanted: dict[str, Any], actor: Actor) -> Change:
        now = self._clock.ms()
        same = FederationChange.kind == kind, FederationChange.entity_id == entity_id
        for before in session.exec(select(FederationChange).where(*same)):
            if before.wanted.get("kind") == wanted.get("kind"):
                session.delete(before)  # one wish at a time of a kind: the latest is what is looked at
        row = FederationChange(
            id=new_id("chg"), kind=kind, entity_id=entity_id, wanted=wanted, proposed_by=actor.id, proposed_at=now,
            expires_at=now + WAITS,
        )  # fmt: skip
        session.add(row)
        session.flush()
        change = _change(row)
        self._record(session, "proposed", change, actor)
        return change

    def _get(self, session: Session, change_id: str) -> Change:
        row = session.get(FederationChange, change_id)
        if row is None or row.expires_at <= self._clock.ms():
            raise ChangeGone("This change was made, taken back or replaced. Look at the federation again.")
        return _change(row)

    def _forget(self, session: Session, change: Change) -> None:
        session.delete(session.get_one(FederationChange, change.id))
        session.flush()

    def _record(self, session: Session, done: str, change: Change, actor: Actor) -> None:
        audit.record(
            session,
            f"identity.federation.{change.kind}_{done}",
            actor=actor,
            object=("federation_entity", change.entity_id),
            detail={"change": change.id},
        )


def _change(row: FederationChange) -> Change:
    return Change(row.id, cast(Kind, row.kind), row.entity_id, dict(row.wanted), row.proposed_by, row.expires_at)
