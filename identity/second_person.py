"""At the counter nobody decides alone, and nobody about themselves: whoever began a step can't finish it.

Asked inside the write that the step is. What a revision of an agreement needs is another rule (`consent.four_eyes`).
"""

import unicodedata

from identity.accounts import profile
from identity.errors_account import SecondPersonNeeded
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Actor


def require_another(actor: Actor, *, began_by: str, otherwise: str) -> None:
    """Raise SecondPersonNeeded, with the sentence `otherwise`, if it was this actor who began."""
    if actor.id == began_by:
        raise SecondPersonNeeded(otherwise)


def is_oneself(session: Session, sealer: Sealer, account_id: str, actor: Actor) -> bool:
    """Whether a clerk and a resident bear one name: nobody vouches for themselves with a second account.

    A namesake is sent to a colleague too, which costs a minute. False for an actor who is no person of the staff.
    """
    if account_id == actor.id:
        return True
    if actor.kind != "operator":
        return False
    clerk, person = (profile(session, sealer, one) for one in (actor.id, account_id))
    return _folded(clerk.name) == _folded(person.name)


def _folded(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()
