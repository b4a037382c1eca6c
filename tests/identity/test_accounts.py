"""Accounts: found by a keyed hash, sealed, and gone for good."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from identity.accounts import (
    AccountView,
    Profile,
    change_profile,
    close_account,
    create_account,
    find_account,
    get_account,
    list_accounts,
    normal_login,
    profile,
    set_roles,
    suspend_account,
)
from identity.errors_account import AccountClosed, LoginTaken
from keys.errors import KeyDestroyed
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import ANONYMOUS, SYSTEM
from kit.problems import Invalid, NotFound
from tests.support.office import HANA, Office, open_office, person

pytestmark = pytest.mark.anyio


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


async def test_an_account_is_found_by_any_spelling_a_phone_makes_of_its_login_name(office: Office) -> None:
    account_id = await office.add("hana.minato")
    for spelling in ("hana.minato", " Hana.Minato ", "ＨＡＮＡ．ｍｉｎａｔｏ"):
        found = await office.db.read(find_account, office.hasher, spelling)
        assert found is not None
        assert found.id == account_id
    assert await office.db.read(find_account, office.hasher, "hana") is None


async def test_a_profile_opens_again_and_knows_the_login_name(office: Office) -> None:
    account_id = await office.add()
    opened = await office.db.read(profile, office.sealer, account_id)
    assert opened == replace(HANA, updated_at=office.clock.ms())


async def test_two_accounts_never_share_a_login_name(office: Office) -> None:
    await office.add("hana")
    with pytest.raises(LoginTaken):
        await office.add(" HANA ")


@pytest.mark.parametrize("login", ["", "ab", "花子", "a b c", "x" * 65, ".hana", "ha\u0000na", "hana;--"])
async def test_refuses_a_login_name_nobody_could_type_twice(login: str, office: Office) -> None:
    with pytest.raises(Invalid) as problem:
        await office.add(login)
    assert problem.value.pointer == "/login"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_nothing_personal_is_at_rest_in_clear(office: Office, tmp_path: object) -> None:
    """Invariant I6: the file of the database holds no name, no login name, no birthdate."""
    await office.add("hana.minato")
    await office.sign_in("hana.minato")
    await office.db.stop()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # type: ignore[attr-defined]
    for secret in ("湊", "ミナト", "1951-04-02", "hana.minato", "argon2"):
        assert secret.encode() not in stored
    await office.db.start()


async def test_a_changed_profile_is_audited_by_field_and_keeps_the_login_name(office: Office) -> None:
    account_id = await office.add()
    changed = Profile(name="湊 花子", birthdate=HANA.birthdate, name_kana=HANA.name_kana, login="somebody.else")
    await office.db.write(
        change_profile, office.sealer, account_id, changed, now=office.clock.ms(), actor=person(account_id)
    )
    opened = await office.db.read(profile, office.sealer, account_id)
    assert (opened.name, opened.login) == ("湊 花子", "hana")
    (entry,) = await office.audit("identity.account.changed")
    assert entry.detail == {"fields": ["name"]}


async def test_a_suspended_account_is_out_at_once(office: Office) -> None:
    account_id = await office.add()
    signed_in = await office.sign_in()
    assert await office.sessions.find(signed_in.token) is not None
    await office.db.write(suspend_account, account_id, actor=SYSTEM, reason="incident")
    assert await office.sessions.find(signed_in.token) is None


async def test_new_roles_hold_in_sessions_that_are_open(office: Office) -> None:
    account_id = await office.add(kind="staff", roles=("analyst",))
    signed_in = await office.sign_in()
    await office.db.write(set_roles, account_id, ["lead", "analyst"], actor=SYSTEM)
    session = await office.sessions.find(signed_in.token)
    assert session is not None
    assert session.roles == {"lead", "analyst"}
    assert session.actor().kind == "operator"


async def test_a_person_who_left_is_forgotten_and_the_login_name_is_free_again(office: Office) -> None:
    """Walk 9: the data key is destroyed, credentials and sessions are gone, the bare id stays."""
    account_id = await office.add()
    await office.add_totp(account_id)
    signed_in_token = (await office.half_in())[:]
    await office.db.write(
        close_account, office.sealer, office.hasher, account_id, now=office.clock.ms(), actor=person(account_id)
    )
    with pytest.raises(KeyDestroyed):
        await office.db.read(profile, office.sealer, account_id)
    view = await office.db.read(get_account, account_id)
    assert view.status == "closed"
    assert not await office.credentials.waiting_for_code(signed_in_token)
    for table in ("passkey", "totp", "recovery_code", "session", "attempt"):
        query = text(f"SELECT count(*) FROM identity_{table}")
        assert await office.db.read(lambda session, query=query: session.connection().scalar(query)) == 0
    assert await office.add("hana") != account_id
    with pytest.raises(AccountClosed):
        await office.db.write(suspend_account, account_id, actor=SYSTEM)


async def test_creating_by_oneself_is_recorded_under_ones_own_id(office: Office) -> None:
    account_id = await office.db.write(
        create_account,
        office.sealer,
        office.hasher,
        login="taro",
        profile=HANA,
        now=office.clock.ms(),
        actor=ANONYMOUS,
    )
    (entry,) = await office.audit("identity.account.created")
    assert (entry.actor_id, entry.object_id) == (account_id, account_id)


async def test_accounts_are_listed_in_order_and_in_pages(office: Office) -> None:
    made = [await office.add(f"person{number}") for number in range(3)]

    def ids(views: tuple[AccountView, ...]) -> list[str]:
        return [view.id for view in views]

    first = await office.db.read(list_accounts, limit=2)
    rest = await office.db.read(list_accounts, after=first[-1].id)
    assert sorted(ids(first) + ids(rest)) == sorted(made)
    assert await office.db.read(list_accounts, kind="staff") == ()


async def test_an_unknown_account_is_not_found(office: Office) -> None:
    with pytest.raises(NotFound):
        await office.db.read(get_account, "acc_nobody")


def test_the_login_name_has_one_spelling() -> None:
    assert normal_login("  Ｈana@Example.ORG ") == "hana@example.org"
