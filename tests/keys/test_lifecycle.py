"""States and moves (NIST SP 800-57 part 1, section 7)."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import MoveNotAllowed, RotationTooSoon
from keys.lifecycle import State, check_promotion, move, verifies, verify_until

SECOND, MINUTE = 1_000, 60_000
moments = st.integers(0, 2**45)


def test_a_key_goes_next_active_retired_destroyed() -> None:
    state = State.NEXT
    for to in (State.ACTIVE, State.RETIRED, State.DESTROYED):
        state = move(state, to)
    assert state is State.DESTROYED


def test_no_key_ever_goes_back() -> None:
    order = [State.NEXT, State.ACTIVE, State.RETIRED, State.COMPROMISED, State.DESTROYED]
    for earlier, later in itertools.combinations(order, 2):
        with pytest.raises(MoveNotAllowed):
            move(later, earlier)


def test_no_key_skips_from_next_to_retired() -> None:
    with pytest.raises(MoveNotAllowed, match="next cannot become retired"):
        move(State.NEXT, State.RETIRED)


def test_any_living_key_can_be_found_compromised() -> None:
    for state in (State.NEXT, State.ACTIVE, State.RETIRED):
        assert move(state, State.COMPROMISED) is State.COMPROMISED


def test_the_next_key_of_the_first_set_may_be_promoted_at_once() -> None:
    check_promotion(next_published_at=1000, active_published_at=1000, jwks_max_age=5 * MINUTE, skew=SECOND, now=1001)


def test_a_next_key_waits_until_every_cache_has_run_out() -> None:
    """Also one that was filled while the next key was on its way."""
    ages = {"next_published_at": 2000, "active_published_at": 1000, "jwks_max_age": 5 * MINUTE, "skew": SECOND}
    with pytest.raises(RotationTooSoon, match="1970-01-01T00:05:03Z"):
        check_promotion(**ages, now=2999 + 5 * MINUTE)
    check_promotion(**ages, now=3000 + 5 * MINUTE)


@given(retired_at=moments, lifetime=st.integers(0, 10**9), skew=st.integers(0, 10**6), age=st.integers(0, 10**9))
def test_no_token_outlives_the_key_that_signed_it(retired_at: int, lifetime: int, skew: int, age: int) -> None:
    """A token signed at the last moment still verifies at its own last moment, by a clock that runs behind or ahead."""
    until = verify_until(retired_at=retired_at, token_lifetime=lifetime, skew=skew + 1)
    last = retired_at + min(age, lifetime)
    assert verifies(State.RETIRED, until, last)
    assert verifies(State.RETIRED, until, last + skew)
    assert not verifies(State.RETIRED, until, until)


def test_a_compromised_or_destroyed_key_verifies_nothing() -> None:
    assert not verifies(State.COMPROMISED, 10**15, 0)
    assert not verifies(State.DESTROYED, 10**15, 0)
    assert not verifies(State.RETIRED, None, 0)
