"""Strangers cannot fill our tables (identity/crowd.py): sign-ins to come, challenges, pushed requests, refusals."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

from identity.credentials import Throttled
from identity.crowd import Crowd
from identity.sign_ins import Browser
from identity.throttle import Limit
from kit.clock import FrozenClock
from kit.db import Database
from kit.problems import TooMany
from tests.support.office import Office, open_office
from tests.support.relying_party import join, location

if TYPE_CHECKING:
    from portal.app import Building

HERE = Browser("192.0.2.1")


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


def test_a_network_gets_its_burst_and_then_its_rate(clock: FrozenClock) -> None:
    crowd = Crowd(clock, Limit(burst=3, refill=1000))
    assert [crowd.wait("192.0.2.1") for _ in range(5)] == [0, 0, 0, 1, 1]
    assert crowd.wait("192.0.2.2") == 0
    clock.advance(seconds=1)
    assert [crowd.wait("192.0.2.1") for _ in range(2)] == [0, 1]
    assert [crowd.wait(f"2001:db8::{n}") for n in range(1, 5)] == [0, 0, 0, 1]  # one home has 2^64 of them


def test_the_memory_is_bounded(clock: FrozenClock) -> None:
    crowd = Crowd(clock)
    for number in range(21_000):
        crowd.wait(f"name{number}")
        crowd.told(number.to_bytes(4), "192.0.2.1")
    assert len(crowd._buckets) == len(crowd._told) == 20_000


async def test_sign_ins_to_come_are_opened_only_so_fast_for_strangers(app: "Building", client: Any) -> None:
    party = await join(app, client)
    app.host.get(Crowd)._limit = Limit(burst=3, refill=1000)
    asked = [location(await party.authorize(party.request(), signed_in=False)) for _ in range(4)]
    assert all("/interaction/" in place for place, _ in asked[:3])
    assert asked[3][1]["error"] == "temporarily_unavailable"
    assert asked[3][1]["state"] == party.request()["state"]


async def test_challenges_are_made_only_so_fast(office: Office) -> None:
    office.host.get(Crowd)._limit = Limit(burst=2, refill=1000)
    for _ in range(2):
        await office.passkeys.begin_sign_in("192.0.2.1")
    with pytest.raises(TooMany):
        await office.passkeys.begin_sign_in("192.0.2.1")


async def test_a_thousand_refusals_leave_one_trace_in_a_while(office: Office, clock: FrozenClock) -> None:
    """The trail never shrinks, and being refused costs nothing."""
    await office.add()
    for _ in range(15):
        outcome = await office.credentials.sign_in("hana", "wrong", HERE)
    assert isinstance(outcome, Throttled)
    assert len(await office.audit("identity.signin.throttled")) == 1
    assert isinstance(await office.credentials.sign_in("hana", "wrong", Browser("198.51.100.1")), Throttled)
    assert len(await office.audit("identity.signin.throttled")) == 2  # another network is news
    clock.advance(seconds=61)
    for _ in range(9):
        await office.credentials.sign_in("hana", "wrong", HERE)
    assert len(await office.audit("identity.signin.throttled")) == 3
