"""Passkeys: the right answer once, and every wrong one refused (Web Authentication Level 3, sections 7.1, 7.2)."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from identity.credentials import Throttled
from identity.errors_account import LastWayIn, LoginTaken, PasskeyKnown, PasskeyRefused, PasskeySuspended
from identity.levels import AAL2
from identity.passkeys import CHALLENGE_FOR, MOST, NAME_LENGTH
from identity.sign_ins import Browser, SignedIn
from kit.clock import FrozenClock
from kit.db import Database
from kit.problems import Conflict, NotFound, Unavailable
from tests.support.authenticator import Authenticator
from tests.support.office import HANA, Office, open_office, person

pytestmark = pytest.mark.anyio
HERE = Browser("192.0.2.1", "Mozilla/5.0")


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


async def add(office: Office, account_id: str, device: Authenticator, name: str = "My phone") -> str:
    options = await office.passkeys.begin_add(account_id)
    return await office.passkeys.finish_add(account_id, device.create(options), name=name, actor=person(account_id))


async def sign_in(office: Office, device: Authenticator) -> SignedIn | Throttled:
    options = await office.passkeys.begin_sign_in()
    return await office.passkeys.finish_sign_in(device.get(options), HERE, next="/home")


async def with_passkey(office: Office, login: str = "hana") -> tuple[str, str, Authenticator]:
    account_id, device = await office.add(login, password=None), Authenticator()
    return account_id, await add(office, account_id, device), device


async def test_a_passkey_signs_in_without_a_name_at_level_two(office: Office) -> None:
    account_id, passkey_id, device = await with_passkey(office)
    outcome = await sign_in(office, device)
    assert isinstance(outcome, SignedIn)
    assert (outcome.session.account_id, outcome.session.acr, outcome.next) == (account_id, AAL2, "/home")
    assert outcome.session.amr == ("hwk", "user", "mfa")
    assert await office.sessions.find(outcome.token) == outcome.session
    (view,) = await office.db.read(office.passkeys.list_for, account_id)
    assert (view.id, view.name, view.used_at) == (passkey_id, "My phone", office.clock.ms())


async def test_a_synchronised_passkey_does_not_claim_hardware(office: Office) -> None:
    account_id, device = await office.add(password=None), Authenticator(synced=True, step=0)
    await add(office, account_id, device)
    for _ in range(2):  # its counter stays at zero, which is normal
        outcome = await sign_in(office, device)
        assert isinstance(outcome, SignedIn)
        assert outcome.session.amr == ("swk", "user", "mfa")


async def test_the_options_ask_for_discoverable_keys_and_user_verification(office: Office) -> None:
    account_id = await office.add()
    made = json.loads(await office.passkeys.begin_add(account_id))
    assert made["authenticatorSelection"]["residentKey"] == "required"
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert made["attestation"] == "none"
    assert made["user"]["name"] == "hana"
    assert account_id not in json.dumps(made)
    asked = json.loads(await office.passkeys.begin_sign_in())
    assert asked["userVerification"] == "required"
    assert asked.get("allowCredentials", []) == []


async def test_a_device_that_does_not_verify_its_user_is_refused(office: Office) -> None:
    _, _, device = await with_passkey(office)
    device.verifies = False
    with pytest.raises(PasskeyRefused):
        await sign_in(office, device)
    account_id = await office.add("taro")
    with pytest.raises(PasskeyRefused):
        await add(office, account_id, Authenticator(verifies=False))


async def test_an_answer_is_good_once_even_for_eight_at_once(office: Office) -> None:
    """Invariant I7: a challenge has one answer."""
    _, _, device = await with_passkey(office)
    answer = device.get(await office.passkeys.begin_sign_in())
    outcomes = await asyncio.gather(
        *(office.passkeys.finish_sign_in(answer, HERE) for _ in range(8)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes].count(SignedIn) == 1
    assert [type(outcome) for outcome in outcomes].count(PasskeyRefused) == 7


async def test_a_challenge_runs_out(office: Office) -> None:
    _, _, device = await with_passkey(office)
    answer = device.get(await office.passkeys.begin_sign_in())
    office.clock.advance(ms=CHALLENGE_FOR)
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_sign_in(answer, HERE)
    office.clock.advance(ms=1)
    assert await office.db.write(office.passkeys.sweep) == 1
    options = await office.passkeys.begin_add(await office.add("taro"))
    office.clock.advance(ms=CHALLENGE_FOR)
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_add("acc_other", Authenticator().create(options), name="x", actor=person("x"))


async def test_a_challenge_for_adding_does_not_sign_in(office: Office) -> None:
    account_id, _, device = await with_passkey(office)
    options = await office.passkeys.begin_add(account_id)
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_sign_in(device.get(options), HERE)


async def test_a_challenge_for_one_account_does_not_add_to_another(office: Office) -> None:
    hana, taro = await office.add("hana"), await office.add("taro")
    options = await office.passkeys.begin_add(hana)
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_add(taro, Authenticator().create(options), name="x", actor=person(taro))
    assert await office.db.read(office.passkeys.list_for, taro) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "http://localhost:9999"},
        {"origin": "https://sekisho.example"},
        {"rp_id": "example.org"},
    ],
)
async def test_an_answer_made_for_another_site_is_refused(wrong: dict[str, str], office: Office) -> None:
    """Phishing: the browser writes the origin it saw into what the device signs."""
    _, _, device = await with_passkey(office)
    options = await office.passkeys.begin_sign_in()
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_sign_in(replace(device, **wrong).get(options), HERE)


async def test_another_key_under_the_same_credential_id_is_refused(office: Office) -> None:
    _, _, device = await with_passkey(office)
    forged = Authenticator(credential_id=device.credential_id, user_handle=device.user_handle, count=5)
    with pytest.raises(PasskeyRefused):
        await sign_in(office, forged)
    (entry,) = await office.audit("identity.signin.failed")
    assert entry.detail["method"] == "passkey"
    assert isinstance(await sign_in(office, device), SignedIn)  # and nothing was counted against the real one


async def test_an_answer_that_names_another_owner_is_refused(office: Office) -> None:
    _, _, device = await with_passkey(office)
    options = await office.passkeys.begin_sign_in()
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_sign_in(device.get(options, user_handle=b"somebody else"), HERE)


async def test_a_counter_that_goes_back_stops_the_passkey_and_tells_the_desk(office: Office) -> None:
    """Section 6.1.1: a copy of the key counts by itself; whoever comes second is seen."""
    account_id, passkey_id, device = await with_passkey(office)
    thief = device.copy()
    assert isinstance(await sign_in(office, device), SignedIn)
    assert isinstance(await sign_in(office, device), SignedIn)
    with pytest.raises(PasskeySuspended):
        await sign_in(office, thief)
    (entry,) = await office.audit("identity.passkey.suspended")
    assert (entry.object_id, entry.detail["passkey"]) == (account_id, passkey_id)
    with pytest.raises(PasskeySuspended):  # we can't tell who is the thief: nobody uses it now
        await sign_in(office, device)
    (view,) = await office.db.read(office.passkeys.list_for, account_id)
    assert not view.active


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"id":1}',
        b'{"response":{"clientDataJSON":"!!"}}',
        b"null",
        b"x" * 40_000,
        b"[" * 9_000,
    ],
)
async def test_what_is_no_answer_is_refused(answer: bytes, office: Office) -> None:
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_sign_in(answer, HERE)
    with pytest.raises(PasskeyRefused):
        await office.passkeys.finish_add("acc_x", answer, name="x", actor=person("acc_x"))


async def test_broken_fields_inside_an_answer_are_refused(office: Office) -> None:
    _, _, device = await with_passkey(office)
    for name in ("authenticatorData", "signature", "userHandle", "clientDataJSON"):
        answer = json.loads(device.get(await office.passkeys.begin_sign_in()))
        answer["response"][name] = answer["response"][name][:-3]
        with pytest.raises(PasskeyRefused):
            await office.passkeys.finish_sign_in(json.dumps(answer).encode(), HERE)
        del answer["response"][name]
        with pytest.raises(PasskeyRefused):
            await office.passkeys.finish_sign_in(json.dumps(answer).encode(), HERE)


async def test_one_device_is_not_registered_twice(office: Office) -> None:
    account_id, _, device = await with_passkey(office)
    options = await office.passkeys.begin_add(account_id)
    assert json.loads(options)["excludeCredentials"]
    with pytest.raises(PasskeyKnown):
        await office.passkeys.finish_add(account_id, device.create(options), name="x", actor=person(account_id))


async def test_the_last_way_in_cannot_be_removed(office: Office) -> None:
    account_id, first, _ = await with_passkey(office)
    with pytest.raises(LastWayIn):
        await office.db.write(office.passkeys.remove, account_id, first, actor=person(account_id))
    second = await add(office, account_id, Authenticator(), "Tablet")
    await office.db.write(office.passkeys.remove, account_id, first, actor=person(account_id))
    with pytest.raises(LastWayIn):
        await office.db.write(office.passkeys.remove, account_id, second, actor=person(account_id))


async def test_a_password_with_an_app_is_a_way_in_and_a_password_alone_is_not(office: Office) -> None:
    account_id = await office.add()
    passkey_id = await add(office, account_id, Authenticator())
    with pytest.raises(LastWayIn):
        await office.db.write(office.passkeys.remove, account_id, passkey_id, actor=person(account_id))
    await office.add_totp(account_id)
    await office.db.write(office.passkeys.remove, account_id, passkey_id, actor=person(account_id))


async def test_two_removals_at_once_leave_one_way_in(office: Office) -> None:
    account_id, first, _ = await with_passkey(office)
    second = await add(office, account_id, Authenticator(), "Tablet")
    outcomes = await asyncio.gather(
        *(
            office.db.write(office.passkeys.remove, account_id, one, actor=person(account_id))
            for one in (first, second)
        ),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes].count(LastWayIn) == 1
    assert len(await office.db.read(office.passkeys.list_for, account_id)) == 1


async def test_somebody_elses_passkey_is_not_found(office: Office) -> None:
    _, passkey_id, _ = await with_passkey(office)
    taro = await office.add("taro")
    with pytest.raises(NotFound):
        await office.db.write(office.passkeys.rename, taro, passkey_id, "mine", actor=person(taro))
    with pytest.raises(NotFound):
        await office.db.write(office.passkeys.remove, taro, passkey_id, actor=person(taro))


async def test_a_name_is_kept_short_and_tidy(office: Office) -> None:
    account_id, passkey_id, _ = await with_passkey(office)
    await office.db.write(
        office.passkeys.rename, account_id, passkey_id, "  玄関の\n タブレット " + "x" * 99, actor=person(account_id)
    )
    (view,) = await office.db.read(office.passkeys.list_for, account_id)
    assert view.name.startswith("玄関の タブレット")
    assert len(view.name) == NAME_LENGTH


async def test_signing_up_makes_account_passkey_and_session_together(office: Office) -> None:
    device = Authenticator()
    options = await office.passkeys.begin_sign_up("acc_new", HANA)
    made = await office.passkeys.finish_sign_up("acc_new", HANA, device.create(options), HERE, name="Phone")
    assert made.session.account_id == "acc_new"
    assert isinstance(await sign_in(office, device), SignedIn)


async def test_a_login_name_taken_meanwhile_leaves_nothing_behind(office: Office) -> None:
    options = await office.passkeys.begin_sign_up("acc_new", HANA)
    await office.add("hana")
    with pytest.raises(LoginTaken):
        await office.passkeys.finish_sign_up("acc_new", HANA, Authenticator().create(options), HERE, name="Phone")
    assert await office.db.read(office.passkeys.list_for, "acc_new") == ()


async def test_there_is_an_end_to_how_many(office: Office) -> None:
    account_id = await office.add()
    for _ in range(MOST):
        await add(office, account_id, Authenticator())
    with pytest.raises(Conflict):
        await add(office, account_id, Authenticator())


@pytest.mark.parametrize(
    ("issuer", "available"),
    [
        ("http://localhost:8080", True),
        ("https://sekisho.minatohama.example", True),
        ("http://127.0.0.1:8080", False),
        ("https://192.0.2.1", False),
        ("http://[::1]:8080", False),
        ("http://sekisho.example", False),
    ],
)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_says_where_browsers_do_not_offer_passkeys(
    issuer: str, available: bool, db: Database, clock: FrozenClock
) -> None:
    async with open_office(db, clock, issuer=issuer) as office:
        assert office.passkeys.available is available
        if not available:
            with pytest.raises(Unavailable):
                await office.passkeys.begin_sign_in()
