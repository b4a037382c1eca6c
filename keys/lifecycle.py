"""States of a key and the moves between them. Pure: numbers in, answers out.

NIST SP 800-57 part 1 rev. 5, section 7. Our words and theirs: *next* is pre-activation (already
published, so that every verifier knows it before the first signature), *active* signs, *retired* is
deactivated (verifies what it signed until the last of it has expired), *compromised* verifies nothing,
*destroyed* has no key material left. The private half of a signing key is destroyed the moment it
retires; the public half stays for the record.
"""

from enum import StrEnum

from keys.errors import MoveNotAllowed, RotationTooSoon
from kit.clock import Millis, iso


class State(StrEnum):
    """Where a key is in its life."""

    NEXT = "next"
    ACTIVE = "active"
    RETIRED = "retired"
    COMPROMISED = "compromised"
    DESTROYED = "destroyed"


_MOVES: dict[State, frozenset[State]] = {
    State.NEXT: frozenset({State.ACTIVE, State.COMPROMISED, State.DESTROYED}),
    State.ACTIVE: frozenset({State.RETIRED, State.COMPROMISED}),
    State.RETIRED: frozenset({State.COMPROMISED, State.DESTROYED}),
    State.COMPROMISED: frozenset({State.DESTROYED}),
    State.DESTROYED: frozenset(),
}


def move(state: State, to: State) -> State:
    """The new state; raises MoveNotAllowed."""
    if to not in _MOVES[state]:
        raise MoveNotAllowed(f"A key that is {state} cannot become {to}.")
    return to


def check_promotion(
    *, next_published_at: Millis, active_published_at: Millis, jwks_max_age: Millis, skew: Millis, now: Millis
) -> None:
    """Raise RotationTooSoon while some cache may hold a key set without the next key.

    A cache may have been filled while the next key was on its way, and its clock may differ: `skew`. A next key that
    was published in the very first set was in every copy ever taken, so it may go at once.
    """
    if next_published_at <= active_published_at:
        return
    ready_at = next_published_at + jwks_max_age + skew
    if now < ready_at:
        raise RotationTooSoon(
            f"The next key was published a short while ago; verifiers may hold a key set without it until "
            f"{iso(ready_at)}. Rotate after that, or say that the active key is compromised."
        )


def is_due(*, activated_at: Millis | None, lifetime: Millis, now: Millis) -> bool:
    """Whether an active key has signed long enough."""
    return activated_at is not None and activated_at + lifetime <= now


def verify_until(*, retired_at: Millis, token_lifetime: Millis, skew: Millis) -> Millis:
    """Until when a key retired now must still verify: the last token it signed, and clocks that differ."""
    return retired_at + token_lifetime + skew


def verifies(state: State, until: Millis | None, now: Millis) -> bool:
    """Whether tokens under this key are accepted, and the key is in the published set."""
    match state:
        case State.NEXT | State.ACTIVE:
            return True
        case State.RETIRED:
            return until is not None and now < until
        case _:
            return False
