"""Recovery codes: ten, on paper, each good for one sign-in."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import recovery
from kit.clock import FrozenClock
from kit.db import Database
from tests.support.office import Office, open_office, person

pytestmark = pytest.mark.anyio


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


async def issue(office: Office, account_id: str) -> tuple[str, ...]:
    codes = recovery.new_codes()
    await office.db.write(
        recovery.replace, office.hasher, account_id, codes, now=office.clock.ms(), actor=person(account_id)
    )
    return codes


async def use(office: Office, account_id: str, code: str) -> bool:
    return await office.db.write(recovery.accept, office.hasher, account_id, code, now=office.clock.ms())


async def test_one_code_used_by_eight_at_once_succeeds_once(office: Office) -> None:
    """Invariant I7."""
    account_id = await office.add()
    codes = await issue(office, account_id)
    answers = await asyncio.gather(*(use(office, account_id, codes[3]) for _ in range(8)))
    assert sorted(answers) == [False] * 7 + [True]
    assert await office.db.read(recovery.left, account_id) == recovery.HOW_MANY - 1


async def test_every_code_works_once_and_none_after_ten(office: Office) -> None:
    account_id = await office.add()
    codes = await issue(office, account_id)
    assert [await use(office, account_id, code) for code in codes] == [True] * 10
    assert [await use(office, account_id, code) for code in codes] == [False] * 10
    assert await office.db.read(recovery.left, account_id) == 0


async def test_a_new_set_replaces_the_old_one(office: Office) -> None:
    account_id = await office.add()
    old = await issue(office, account_id)
    new = await issue(office, account_id)
    assert not await use(office, account_id, old[0])
    assert await use(office, account_id, new[0])


async def test_a_code_is_its_owners_only(office: Office) -> None:
    hana, taro = await office.add("hana"), await office.add("taro")
    codes = await issue(office, hana)
    await issue(office, taro)
    assert not await use(office, taro, codes[0])
    assert await use(office, hana, codes[0])


async def test_codes_are_not_in_the_database(office: Office) -> None:
    account_id = await office.add()
    codes = await issue(office, account_id)
    stored = await office.db.read(
        lambda session: repr(session.connection().exec_driver_sql("SELECT * FROM identity_recovery_code").all())
    )
    assert not any(code in stored or recovery.clean(code) in stored for code in codes)


def test_ten_codes_of_fifty_bits_without_letters_that_are_misread() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == 10
    for code in codes:
        assert len(code) == 11
        assert not set("ILOU") & set(code)


@given(st.sampled_from(recovery.new_codes()))
def test_a_code_is_read_the_way_people_write_it(code: str) -> None:
    plain = recovery.clean(code)
    for written in (
        code.lower(),
        code.replace("-", " "),
        code.replace("-", "ー"),
        plain.replace("0", "o").replace("1", "l"),
    ):
        assert recovery.clean(written) == plain


@given(st.text(max_size=40))
def test_any_text_can_be_cleaned(text: str) -> None:
    recovery.clean(text)
