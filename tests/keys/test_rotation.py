"""Signing keys rotate by themselves: after their lifetime, once, and never before every cache knows the next key."""

import asyncio
from datetime import timedelta

import pytest

from keys.ceremonies import KeyStore
from keys.errors import BadToken
from keys.signing import ALGS, EVERY, SEALED
from kit import audit
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import SYSTEM
from tests.keys.conftest import Opener
from tests.support.kids import active_kid

pytestmark = pytest.mark.anyio

DAY = 86_400
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@sqlite_only
async def test_a_key_signs_for_its_lifetime_and_no_longer(keys: KeyStore, clock: FrozenClock) -> None:
    signs = {alg: active_kid(keys.ring, alg) for alg in ALGS}
    clock.advance(seconds=30 * DAY - 1)
    assert await keys.rotate_due() == []
    clock.advance(seconds=1)
    done = await keys.rotate_due()
    assert {one.alg: one.retired for one in done if one.alg != SEALED} == signs
    assert {one.alg: one.active for one in done if one.alg != SEALED} == {
        alg: active_kid(keys.ring, alg) for alg in ALGS
    }
    assert await keys.rotate_due() == []  # the new ones are young


@sqlite_only
async def test_a_set_rotated_by_command_begins_its_time_anew(keys: KeyStore, clock: FrozenClock) -> None:
    clock.advance(seconds=20 * DAY)
    await keys.rotate_signing(actor=SYSTEM, algs=["ES256"])
    clock.advance(seconds=10 * DAY)
    assert {one.alg for one in await keys.rotate_due()} == set(EVERY) - {"ES256"}
    clock.advance(seconds=20 * DAY)
    assert {one.alg for one in await keys.rotate_due()} == {"ES256"}


async def test_two_processes_rotate_once(keys: KeyStore, open_keys: Opener, clock: FrozenClock, db: Database) -> None:
    other = await open_keys()
    clock.advance(seconds=31 * DAY)
    done = await asyncio.gather(keys.rotate_due(), other.rotate_due())
    assert sorted(one.alg for some in done for one in some) == sorted(EVERY)
    await other.ring.refresh()
    assert other.ring.jwks() == keys.ring.jwks()
    if db.dialect == "postgresql":
        await db.write_core(audit.seal_pending)
    entries = [entry for entry in await db.read(audit.entries) if entry.action == "keys.signing_key.rotated"]
    assert [entry.actor_kind for entry in entries] == ["system"] * len(EVERY)


@sqlite_only
async def test_a_key_due_waits_until_every_cache_knows_the_next(open_keys: Opener, clock: FrozenClock) -> None:
    keys = await open_keys(signing_key_lifetime=timedelta(seconds=60))  # shorter than sets may be kept
    clock.advance(seconds=60)
    assert len(await keys.rotate_due()) == len(EVERY)  # the first set's next key was in every copy
    clock.advance(seconds=359)  # five minutes in a cache, and clocks that differ by one
    assert await keys.rotate_due() == []
    clock.advance(seconds=1)
    assert len(await keys.rotate_due()) == len(EVERY)


@sqlite_only
async def test_a_retired_key_verifies_as_long_as_the_longest_token_lives(keys: KeyStore, clock: FrozenClock) -> None:
    """Whatever a package says it signs for, on top of the floor the settings give."""
    keys.signs_for(timedelta(minutes=5))
    keys.signs_for(timedelta(days=3))
    keys.signs_for(timedelta(hours=1))
    token = keys.ring.sign_jwt({"n": 1}, typ="JWT")
    await keys.rotate_signing(actor=SYSTEM)
    clock.advance(seconds=3 * DAY)
    assert keys.ring.verify_jwt(token, typ="JWT") == {"n": 1}
    clock.advance(seconds=60)
    with pytest.raises(BadToken):
        keys.ring.verify_jwt(token, typ="JWT")
