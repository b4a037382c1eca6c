"""Signing in with a password and a second factor: what a guesser learns, and what the trail keeps."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from identity import recovery
from identity.accounts import login_digest, suspend_account
from identity.attempts import LIFETIME, MAX_TRIES
from identity.credentials import CodeNeeded, Expired, Refused, Throttled
from identity.levels import AAL1, AAL2
from identity.sign_ins import Browser, SignedIn
from kit import context
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import SYSTEM, Actor
from tests.support.authenticator_app import code_at
from tests.support.office import PASSWORD, Office, open_office, person

pytestmark = pytest.mark.anyio
HERE = Browser("192.0.2.1", "Mozilla/5.0")


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


async def test_a_password_alone_signs_in_at_level_one_and_says_so(office: Office) -> None:
    account_id = await office.add()
    outcome = await office.credentials.sign_in("hana", PASSWORD, HERE, next="/consents")
    assert isinstance(outcome, SignedIn)
    assert (outcome.session.account_id, outcome.session.acr, outcome.next) == (account_id, AAL1, "/consents")
    assert await office.sessions.find(outcome.token) == outcome.session


async def test_password_and_app_code_sign_in_at_level_two(office: Office) -> None:
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    token = await office.half_in(next="/interaction/int_1")
    code = code_at(secret, office.clock.ms())
    outcome = await office.credentials.sign_in_code(token, code, HERE, kind="totp")
    assert isinstance(outcome, SignedIn)
    assert (outcome.session.acr, outcome.session.amr) == (AAL2, ("pwd", "otp", "mfa"))
    assert outcome.next == "/interaction/int_1"


async def test_password_and_recovery_code_sign_in_at_level_two(office: Office) -> None:
    account_id = await office.add()
    await office.add_totp(account_id)
    codes = recovery.new_codes()
    await office.db.write(
        recovery.replace, office.hasher, account_id, codes, now=office.clock.ms(), actor=person(account_id)
    )
    token = await office.half_in()
    outcome = await office.credentials.sign_in_code(token, codes[0], HERE, kind="recovery")
    assert isinstance(outcome, SignedIn)
    assert (outcome.session.acr, outcome.session.amr) == (AAL2, ("pwd", "mfa"))
    (used,) = await office.audit("identity.recovery.used")
    assert used.detail == {"left": 9}


async def test_the_right_password_alone_gives_no_session_when_an_app_is_on(office: Office) -> None:
    account_id = await office.add()
    await office.add_totp(account_id)
    token = await office.half_in()
    assert await office.sessions.find(token) is None
    assert await office.db.read(office.sessions.list_for, account_id) == ()
    assert await office.audit("identity.signin.succeeded") == []


async def test_one_right_code_makes_one_session_of_eight_asked_at_once(office: Office) -> None:
    """Invariant I7: the same step twice, one success; the others are told to begin again or wait."""
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    token = await office.half_in()
    code = code_at(secret, office.clock.ms())
    outcomes = await asyncio.gather(
        *(office.credentials.sign_in_code(token, code, HERE, kind="totp") for _ in range(8))
    )
    assert [type(outcome) for outcome in outcomes].count(SignedIn) == 1
    assert len(await office.db.read(office.sessions.list_for, account_id)) == 1


async def test_one_recovery_code_in_eight_browsers_makes_one_session(office: Office) -> None:
    account_id = await office.add()
    await office.add_totp(account_id)
    codes = recovery.new_codes()
    await office.db.write(
        recovery.replace, office.hasher, account_id, codes, now=office.clock.ms(), actor=person(account_id)
    )
    tokens = [await office.half_in(source=f"192.0.2.{n}") for n in range(4)]
    outcomes = await asyncio.gather(
        *(office.credentials.sign_in_code(token, codes[0], HERE, kind="recovery") for token in tokens * 2)
    )
    assert [type(outcome) for outcome in outcomes].count(SignedIn) == 1


async def test_an_unknown_login_and_a_wrong_password_get_the_same_answer(office: Office) -> None:
    await office.add("hana")
    await office.add("taro", password=None)
    assert await office.credentials.sign_in("hana", "wrong", HERE) == Refused()
    assert await office.credentials.sign_in("nobody", "wrong", HERE) == Refused()
    assert await office.credentials.sign_in("taro", "wrong", HERE) == Refused()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.usefixtures("dear_passwords")
async def test_an_unknown_login_takes_as_long_as_a_wrong_password(office: Office) -> None:
    """No account enumeration by the clock: the hashing, which dominates, is done all the same."""

    async def took(login: str, source: int) -> float:
        begun = time.perf_counter()
        await office.credentials.sign_in(login, "wrong password", Browser(f"192.0.2.{source}"))
        return time.perf_counter() - begun

    for number in range(9):
        await office.add(f"known{number}")
    await took("warm-up", 0)
    known, unknown = [], []
    for number in range(9):  # by turns, and the quickest of each: what else the machine does hits both alike
        known.append(await took(f"known{number}", number))
        unknown.append(await took(f"nobody{number}", number))
    assert min(unknown) > min(known) * 0.5
    assert min(unknown) < min(known) * 2


async def test_the_throttle_is_asked_before_the_password_is_hashed(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.add()
    for _ in range(5):
        assert await office.credentials.sign_in("hana", "wrong", HERE) == Refused()

    async def never(encoded: str | None, password: str) -> bool:
        raise AssertionError("hashed although throttled")

    monkeypatch.setattr(office.credentials._passwords, "verify", never)
    outcome = await office.credentials.sign_in("hana", PASSWORD, HERE)
    assert outcome == Throttled(30)


@pytest.mark.usefixtures("dear_passwords")
async def test_fifty_guesses_at_once_pay_like_fifty_in_a_row(office: Office) -> None:
    await office.add()
    outcomes = await asyncio.gather(
        *(office.credentials.sign_in("hana", f"guess {n}", Browser(f"198.51.100.{n}")) for n in range(50)),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(refused) == 5
    assert all(isinstance(outcome, Refused | Throttled) for outcome in outcomes)


async def test_an_unknown_login_is_throttled_like_a_known_one(office: Office) -> None:
    await office.add("hana")

    async def answers(login: str, third: int) -> list[object]:
        return [await office.credentials.sign_in(login, "wrong", Browser(f"192.0.{third}.{n}")) for n in range(7)]

    assert await answers("hana", 2) == await answers("nobody", 3)


async def test_one_source_trying_many_accounts_is_slowed(office: Office) -> None:
    """Credential stuffing: one password for each of many accounts."""
    outcomes = []
    for number in range(31):
        outcomes.append(await office.credentials.sign_in(f"somebody{number}", "Password1", HERE))
    assert outcomes[:30] == [Refused()] * 30
    assert isinstance(outcomes[30], Throttled)


async def test_success_gives_patience_back(office: Office) -> None:
    account_id = await office.add()
    for _ in range(4):
        await office.credentials.sign_in("hana", "wrong", HERE)
    assert isinstance(await office.credentials.sign_in("hana", PASSWORD, HERE), SignedIn)
    digest = login_digest(office.hasher, "hana")
    assert await office.db.read(lambda session: office.throttles.failures(session, login=digest)) == 0
    for _ in range(40):
        outcome = await office.credentials.sign_in("hana", PASSWORD, HERE)
        assert isinstance(outcome, SignedIn)
    assert len(await office.db.read(office.sessions.list_for, account_id)) == 41


async def test_knowing_the_password_does_not_buy_more_guesses_at_codes(office: Office) -> None:
    """A right password must not reset the count that protects the second factor."""
    account_id = await office.add()
    await office.add_totp(account_id)
    wrong_codes = 0
    for _ in range(20):
        begun = await office.credentials.sign_in("hana", PASSWORD, HERE)
        if isinstance(begun, Throttled):
            break
        assert isinstance(begun, CodeNeeded)
        outcome = await office.credentials.sign_in_code(begun.token, "000000", HERE, kind="totp")
        if isinstance(outcome, Throttled):
            break
        wrong_codes += 1
    assert wrong_codes <= 3


async def test_five_wrong_codes_send_back_to_the_password(office: Office) -> None:
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    token = await office.half_in()
    left = []
    while (outcome := await office.credentials.sign_in_code(token, "000000", HERE, kind="totp")) != Expired():
        if isinstance(outcome, Throttled):
            office.clock.advance(seconds=outcome.seconds)
            continue
        assert isinstance(outcome, Refused)
        left.append(outcome.tries_left)
    assert left == list(range(MAX_TRIES - 1, -1, -1))
    code = code_at(secret, office.clock.ms())
    assert await office.credentials.sign_in_code(token, code, HERE, kind="totp") == Expired()


async def test_a_half_done_sign_in_runs_out(office: Office) -> None:
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    token = await office.half_in()
    assert await office.credentials.waiting_for_code(token)
    office.clock.advance(ms=LIFETIME["sign-in"])
    code = code_at(secret, office.clock.ms())
    assert await office.credentials.sign_in_code(token, code, HERE, kind="totp") == Expired()
    assert await office.credentials.sign_in_code(None, code, HERE, kind="totp") == Expired()
    assert await office.db.write(office.attempts.sweep) in (0, 1)


async def test_a_suspended_account_gets_the_answer_of_a_wrong_password(office: Office) -> None:
    account_id = await office.add()
    await office.db.write(suspend_account, account_id, actor=SYSTEM)
    assert await office.credentials.sign_in("hana", PASSWORD, HERE) == Refused()


async def test_a_password_changed_while_it_was_checked_does_not_count(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await office.add()
    verify = office.credentials._passwords.verify

    async def slow(encoded: str | None, password: str) -> bool:
        matches = await verify(encoded, password)
        await office.credentials.set_password(account_id, "another fine long password", actor=person(account_id))
        return matches

    monkeypatch.setattr(office.credentials._passwords, "verify", slow)
    assert await office.credentials.sign_in("hana", PASSWORD, HERE) == Refused()


async def test_a_new_password_shows_everybody_else_out(office: Office) -> None:
    account_id = await office.add()
    mine, theirs = await office.sign_in(), await office.sign_in()
    actor = Actor("resident", account_id, session_id=mine.session.id)
    assert await office.credentials.set_password(account_id, "another fine long password", actor=actor) == 1
    assert await office.sessions.find(mine.token) is not None
    assert await office.sessions.find(theirs.token) is None
    assert await office.credentials.sign_in("hana", PASSWORD, HERE) == Refused()
    await office.sign_in(password="another fine long password")


async def test_signing_in_again_ends_the_session_this_browser_had(office: Office) -> None:
    await office.add()
    first = await office.sign_in()
    again = Browser("192.0.2.1", session_id=first.session.id)
    second = await office.credentials.sign_in("hana", PASSWORD, again)
    assert isinstance(second, SignedIn)
    assert await office.sessions.find(first.token) is None


async def test_the_trail_says_who_failed_and_from_where_without_saying_it_in_clear(office: Office) -> None:
    account_id = await office.add()
    where = context.request.set(context.RequestContext("req_1", "192.0.2.77"))
    try:
        await office.credentials.sign_in("hana", "wrong", Browser("192.0.2.77"))
        await office.credentials.sign_in("nobody", "wrong", Browser("192.0.2.77"))
        await office.sign_in(source="192.0.2.77")
    finally:
        context.request.reset(where)
    known, unknown = await office.audit("identity.signin.failed")
    assert (known.object_kind, known.object_id) == ("account", account_id)
    assert (unknown.object_kind, unknown.object_id) == ("login", login_digest(office.hasher, "nobody").hex())
    (succeeded,) = await office.audit("identity.signin.succeeded")
    assert succeeded.object_id == account_id
    for entry in (known, unknown, succeeded):
        assert office.trail.open_personal(entry)["source"] == "192.0.2.77"
        assert "192.0.2" not in repr(entry.document())
        assert "nobody" not in repr(entry.document())


async def test_throttling_is_in_the_trail(office: Office) -> None:
    await office.add()
    for _ in range(6):
        await office.credentials.sign_in("hana", "wrong", HERE)
    (entry,) = await office.audit("identity.signin.throttled")
    assert entry.detail == {"scope": "account", "seconds": 30}
