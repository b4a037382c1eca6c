"""Patience: what the rate rule promises whatever is thrown at it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.throttle import Limit, State, charge, network, reward
from kit.clock import DAY, HOUR, MINUTE, SECOND

ACCOUNT = Limit(burst=5, refill=30 * SECOND, backoff=True)
SOURCE = Limit(burst=30, refill=5 * SECOND)
limits = st.builds(
    Limit, burst=st.integers(1, 50), refill=st.integers(1, 600_000), backoff=st.booleans()
)  # fmt: skip
START = 1_795_000_000_000


def spend(limit: Limit, times: list[int]) -> tuple[int, State]:
    """Try at each moment; returns how many were allowed and the last state."""
    state, allowed = State(0, 0), 0
    for moment in times:
        after = charge(state, limit, moment)
        if isinstance(after, State):
            state, allowed = after, allowed + 1
    return allowed, state


@given(limits)
def test_a_fresh_account_has_its_burst_and_not_one_more(limit: Limit) -> None:
    allowed, _ = spend(limit, [START] * (limit.burst + 5))
    assert allowed == limit.burst


@given(limits, st.lists(st.integers(0, 3_600_000), max_size=80))
def test_no_timing_buys_more_than_burst_and_refill(limit: Limit, gaps: list[int]) -> None:
    """Over any time, at most the burst plus one for each refill that went by."""
    moment, times = START, []
    for gap in gaps:
        moment += gap
        times.append(moment)
    allowed, _ = spend(limit, times)
    if times:
        assert allowed <= limit.burst + (times[-1] - times[0]) // limit.refill


@given(limits, st.lists(st.integers(0, 120_000), max_size=60))
def test_waiting_as_long_as_told_is_enough(limit: Limit, gaps: list[int]) -> None:
    state, moment = State(0, 0), START
    for gap in gaps:
        moment += gap
        after = charge(state, limit, moment)
        if isinstance(after, int):
            assert after > 0
            moment += after
            after = charge(state, limit, moment)
        assert isinstance(after, State)
        state = after


@given(st.lists(st.booleans(), max_size=100))
def test_a_source_that_only_succeeds_is_never_slowed(outcomes: list[bool]) -> None:
    state = State(0, 0)
    for _ in outcomes:
        after = charge(state, SOURCE, START)
        assert isinstance(after, State)
        state = reward(after, SOURCE, START)


@given(limits, st.integers(0, 200))
def test_success_starts_an_account_anew(limit: Limit, failures: int) -> None:
    account = Limit(limit.burst, limit.refill, backoff=True)
    fresh = reward(State(START + DAY, failures), account, START)
    assert fresh == State(START, 0)


def test_waits_double_after_the_burst_up_to_an_hour() -> None:
    state, moment, waits = State(0, 0), START, []
    for _ in range(5):
        after = charge(state, ACCOUNT, moment)
        assert isinstance(after, State)
        state = after
    for _ in range(12):
        wait = charge(state, ACCOUNT, moment)
        assert isinstance(wait, int)
        waits.append(wait)
        moment += wait
        after = charge(state, ACCOUNT, moment)
        assert isinstance(after, State)
        state = after
    assert waits[:4] == [30 * SECOND, MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert max(waits) == HOUR


def test_after_a_hundred_failures_one_try_a_day_is_left() -> None:
    """NIST SP 800-63B-4 section 3.2.2: no more than 100 consecutive failures, then far apart."""
    assert ACCOUNT.price(99) == HOUR
    assert ACCOUNT.price(100) == DAY


def test_a_refused_try_costs_nothing() -> None:
    _, state = spend(ACCOUNT, [START] * 5)
    first = charge(state, ACCOUNT, START)
    assert isinstance(first, int)
    assert charge(state, ACCOUNT, START) == first


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("", "", True),
        ("testclient", "testclient", True),
    ],
)
def test_one_home_is_one_source(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
