"""Nobody decides alone, and nobody about themselves: whoever began a step can't finish it, with no account of theirs.

Asked inside the write that the step is, wherever two persons are demanded: at the counter, for mandates, resets,
clients' keys and secrets, and agreements (`consent.four_eyes`). Closes: one human with two staff accounts.
"""

import unicodedata

from identity.accounts import profile
from identity.errors_account import SecondPersonNeeded
from identity.person import BLANK
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.db import Session
from kit.host import Actor
from kit.problems import NotFound


def require_another(session: Session, sealer: Sealer, actor: Actor, *, began_by: str, otherwise: str) -> None:
    """Raise SecondPersonNeeded, with the sentence `otherwise`, if it was this person who began, by whatever account."""
    if actor.id == began_by or are_one(session, sealer, actor.id, began_by):
        raise SecondPersonNeeded(otherwise)


def is_oneself(session: Session, sealer: Sealer, account_id: str, actor: Actor) -> bool:
    """Whether a clerk and a resident bear one name: nobody vouches for themselves with a second account.

    False for an actor who is no person of the staff.
    """
    if account_id == actor.id:
        return True
    return actor.kind == "operator" and are_one(session, sealer, account_id, actor.id)


def are_one(session: Session, sealer: Sealer, one: str, other: str) -> bool:
    """Whether two accounts may be one human's: they bear one name. A namesake is taken for the same person too, and
    sent to a colleague, which costs a minute. Of who has left nobody knows the name: that is no second person.
    """
    try:
        names = [_folded(profile(session, sealer, each).name) for each in (one, other)]
    except NotFound:  # the system, or a client: no account, so nobody's second one
        return False
    except KeyDestroyed:
        return True
    return names[0] == names[1]


def _folded(name: str) -> str:
    """What a reader makes of it: letters and numbers. Marks that nothing shows (a variation selector, a filler) made
    another name of one's own that a colleague reads as the same."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    seen = "".join(each for each in plain if unicodedata.category(each)[0] in "LN" and each not in BLANK)
    return seen or plain
