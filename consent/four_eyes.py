"""Who may publish a revision: always two people, who are not one and the same (`identity.second_person`).

Whoever of the staff proposed a revision is one of the two, and somebody else approves it. A proposal that no person of
the staff made (a member's client sent it, or the city's own command) says nothing about who stands behind it: the
client may belong to whoever approves. Who made a client, manages it or knows its secret cannot be known for certain;
so nobody guesses, and two different people of the staff approve such a proposal.
"""

from dataclasses import dataclass

from identity.errors_account import SecondPersonNeeded
from identity.second_person import require_another
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Actor


@dataclass(frozen=True, slots=True)
class Hands:
    """Through whose hands a revision went: people of the staff; `proposed_via` is the client that sent it."""

    proposed_by: str | None
    decided_by: str | None
    endorsed_by: str | None = None
    proposed_via: str | None = None

    @property
    def first(self) -> str | None:
        """The one person who stands behind it so far."""
        return self.proposed_by or self.endorsed_by


def approves(session: Session, sealer: Sealer | None, hands: Hands, actor: Actor) -> bool:
    """Whether this approval publishes (or is the first of two). Raises SecondPersonNeeded.

    The system publishes by itself: it is who runs the city's command line, and what fills an empty city; it alone does
    without a `sealer`, by which people are told apart.
    """
    if actor.kind == "system":
        return True
    if actor.kind != "operator" or sealer is None:  # a client's approval is nobody's
        raise SecondPersonNeeded("A person of the staff approves.")
    if hands.first is None:
        return False
    said = "proposed this revision" if hands.proposed_by is not None else "approved this already"
    sentence = f"You {said}. Somebody else has to approve it."
    require_another(session, sealer, actor, began_by=hands.first, otherwise=sentence)
    return True
