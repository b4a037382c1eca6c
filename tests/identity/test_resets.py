"""Resets: two persons, one code, one new way in; on both databases, also for eight at once (invariant I7)."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event, text

from identity import recovery, resets
from identity.credentials import CodeNeeded, Refused, Throttled
from identity.errors_account import AccountClosed, ResetClosed, ResetWaits, SecondPersonNeeded
from identity.levels import AAL1, AAL2
from identity.resets import Begun, Entered, Resets
from identity.sign_ins import Browser, SignedIn
from identity.support import Support
from kit.clock import DAY, FrozenClock
from kit.db import Database, Session
from kit.host import Actor
from kit.problems import Conflict, Invalid, NotFound
from tests.support.authenticator import Authenticator
from tests.support.office import PASSWORD, Office, open_office, person

pytestmark = pytest.mark.anyio
HERE = Browser("192.0.2.7", "Mozilla/5.0")
FIRST = Actor("operator", "acc_first", frozenset({"operator"}))
SECOND = Actor("operator", "acc_second", frozenset({"operator"}))
THIRD = Actor("operator", "acc_third", frozenset({"operator"}))


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


def desk(office: Office) -> Resets:
    return office.host.get(Resets)


async def opened(office: Office, account_id: str, *, by: Actor = FIRST) -> str:
    return await office.db.write(desk(office).open, account_id, reason="lost", evidence=["passport"], actor=by)


async def approved(office: Office, account_id: str) -> tuple[str, str]:
    reset_id, code = await opened(office, account_id), resets.new_code()
    await office.db.write(desk(office).approve, reset_id, code=code, actor=SECOND)
    return reset_id, code


async def enter(office: Office, code: str, login: str = "hana") -> Entered | Throttled | Refused:
    return await office.db.write(desk(office).enter, login, code, HERE)


async def begun(office: Office, code: str) -> Begun:
    entered = await enter(office, code)
    assert isinstance(entered, Entered), entered
    found = await office.db.read(desk(office).begun, entered.token)
    assert found is not None
    return found


async def with_password(office: Office, found: Begun, hashed: str) -> SignedIn | None:
    return await office.db.write(desk(office).finish_with_password, found, hashed, HERE)


# -- two persons


async def test_a_reset_takes_two_persons_and_the_first_is_never_the_second(office: Office) -> None:
    reset_id = await opened(office, await office.add())
    with pytest.raises(SecondPersonNeeded):
        await office.db.write(desk(office).approve, reset_id, code=resets.new_code(), actor=FIRST)
    made = await office.db.write(desk(office).approve, reset_id, code=resets.new_code(), actor=SECOND)
    assert (made.status, made.opened_by, made.approved_by) == ("approved", FIRST.id, SECOND.id)
    with pytest.raises(ResetClosed):
        await office.db.write(desk(office).approve, reset_id, code=resets.new_code(), actor=THIRD)
    (entry,) = await office.audit("identity.reset.approved")
    assert (entry.actor_id, entry.detail) == (SECOND.id, {"reset": reset_id, "opened_by": FIRST.id})


async def test_of_eight_who_approve_at_once_one_gets_a_code_that_works(office: Office) -> None:
    reset_id = await opened(office, await office.add())
    codes = [resets.new_code() for _ in range(8)]

    async def approve(code: str) -> bool:
        try:
            await office.db.write(desk(office).approve, reset_id, code=code, actor=SECOND)
        except ResetClosed:
            return False
        return True

    won = await asyncio.gather(*map(approve, codes))
    assert sum(won) == 1
    assert [isinstance(await enter(office, code), Entered) for code in codes] == won


async def test_of_eight_who_open_at_once_one_does(office: Office) -> None:
    account_id = await office.add()

    async def one() -> bool:
        try:
            await opened(office, account_id)
        except ResetWaits:
            return False
        return True

    assert sum(await asyncio.gather(*(one() for _ in range(8)))) == 1
    assert len(await office.db.read(desk(office).waiting)) == 1


@pytest.mark.parametrize("evidence", [(), ("pension-number",), ("a note of their neighbour",), ("passport", "x")])
async def test_too_few_or_unknown_documents_open_nothing(office: Office, evidence: tuple[str, ...]) -> None:
    account_id = await office.add()
    with pytest.raises(Invalid):
        await office.db.write(desk(office).open, account_id, reason="lost", evidence=evidence, actor=FIRST)
    with pytest.raises(Invalid):
        await office.db.write(desk(office).open, account_id, reason="she told me", evidence=["passport"], actor=FIRST)


def test_one_document_with_a_photograph_or_two_without_are_enough() -> None:
    assert all(resets.proves([one]) for one in resets.WITH_PHOTO)
    assert not any(resets.proves([one]) for one in resets.WITHOUT_PHOTO)
    assert resets.proves(resets.WITHOUT_PHOTO[:2])
    assert not resets.proves([resets.WITHOUT_PHOTO[0]] * 2)


async def test_staff_and_strangers_are_not_reset_here(office: Office) -> None:
    """No operator takes over a colleague's account."""
    for who in (await office.add("boss", kind="staff", roles=("lead",)), "acc_nobody"):
        with pytest.raises(NotFound):
            await opened(office, who)


async def test_whoever_approves_or_opened_may_withdraw_and_a_colleague_may_refuse(office: Office) -> None:
    account_id = await office.add()
    for by in (FIRST, THIRD):  # still open: the second person says no
        await office.db.write(desk(office).withdraw, await opened(office, account_id), actor=by)
    for by in (FIRST, SECOND):
        reset_id, code = await approved(office, account_id)
        with pytest.raises(SecondPersonNeeded):
            await office.db.write(desk(office).withdraw, reset_id, actor=THIRD)
        await office.db.write(desk(office).withdraw, reset_id, actor=by)
        assert await enter(office, code) == Refused()
        with pytest.raises(ResetClosed):
            await office.db.write(desk(office).withdraw, reset_id, actor=by)
    assert len(await office.audit("identity.reset.withdrawn")) == 4


# -- the code


def test_a_code_has_125_bits_in_five_groups_without_letters_that_are_misread() -> None:
    codes = {resets.new_code() for _ in range(200)}
    assert len(codes) == 200
    for code in codes:
        assert [len(group) for group in code.split("-")] == [5] * 5
        assert not set(code) & set("ILOU")


async def test_a_code_is_read_the_way_it_was_heard_and_kept_as_a_hash_only(office: Office) -> None:
    _, code = await approved(office, await office.add())
    heard = code.lower().replace("-", "  ").replace("0", "o").replace("1", "l")
    assert isinstance(await enter(office, heard, " HANA "), Entered)

    def stored(session: Session) -> str:
        rows = [
            session.connection().execute(text(f"SELECT * FROM {name}")).all()
            for name in ("identity_reset", "kit_audit")
        ]
        return repr(rows)

    held = await office.db.read(stored)
    assert code not in held
    assert recovery.clean(code) not in held


async def test_wrong_login_wrong_code_and_a_code_that_ended_are_one_answer_by_the_same_statements(
    office: Office,
) -> None:
    """No oracle: neither what is said nor how much is asked tells which of the two was wrong."""
    account_id = await office.add()
    await office.add("taro")
    withdrawn, old = await approved(office, account_id)
    await office.db.write(desk(office).withdraw, withdrawn, actor=FIRST)
    _, code = await approved(office, account_id)
    await enter(office, "")  # the first try of a source makes its bucket
    seen: list[list[str]] = []
    for login, tried in (("nobody", code), ("taro", code), ("hana", resets.new_code()), ("hana", old), ("hana", "")):
        statements: list[str] = []

        def counted(session: Session, login: str = login, tried: str = tried, into: list[str] = statements) -> Any:
            def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
                into.append(statement)

            into.clear()  # a function given to the hallway may run more than once
            connection = session.connection()
            event.listen(connection, "before_cursor_execute", note)
            try:
                return desk(office).enter(session, login, tried, HERE)
            finally:
                event.remove(connection, "before_cursor_execute", note)

        assert await office.db.write(counted) == Refused()
        seen.append(statements)
    assert seen[0]
    assert all(each == seen[0] for each in seen[1:])
    failed = await office.audit("identity.signin.failed")
    assert {entry.detail["method"] for entry in failed} == {"reset"}
    assert isinstance(await enter(office, code), Entered)


async def test_guessing_is_throttled_by_source_and_never_shuts_the_resident_out(office: Office) -> None:
    """A stranger elsewhere who exhausts their own patience takes none of the resident's."""
    _, code = await approved(office, await office.add())
    elsewhere = Browser("198.51.100.9")
    answers = [await office.db.write(desk(office).enter, "hana", resets.new_code(), elsewhere) for _ in range(40)]
    assert isinstance(answers[-1], Throttled)
    assert isinstance(await enter(office, code), Entered)


async def test_a_code_runs_out_after_a_day_also_when_it_was_entered_before(office: Office, clock: FrozenClock) -> None:
    account_id = await office.add()
    _, code = await approved(office, account_id)
    clock.advance(seconds=86_400 - 60)
    found = await begun(office, code)
    clock.advance(seconds=61)
    assert await enter(office, code) == Refused()
    assert await with_password(office, found, "hashed") is None
    await opened(office, account_id)  # what ran out stands in nobody's way


async def test_an_open_reset_that_nobody_approved_in_time_is_over(office: Office, clock: FrozenClock) -> None:
    reset_id = await opened(office, await office.add())
    clock.advance(seconds=86_401)
    with pytest.raises(ResetClosed):
        await office.db.write(desk(office).approve, reset_id, code=resets.new_code(), actor=SECOND)
    assert (await office.db.read(desk(office).get, reset_id)).status == "expired"
    assert not await office.db.read(desk(office).waiting)


# -- the new way in


async def test_of_eight_who_finish_at_once_with_one_code_one_gets_in(office: Office) -> None:
    account_id = await office.add()
    _, code = await approved(office, account_id)
    attempts = [await begun(office, code) for _ in range(8)]
    done = await asyncio.gather(*(with_password(office, each, f"hashed-{i}") for i, each in enumerate(attempts)))
    assert sum(each is not None for each in done) == 1
    assert len(await office.db.read(office.sessions.list_for, account_id)) == 1
    assert await enter(office, code) == Refused()
    assert len(await office.audit("identity.reset.used")) == 1


async def test_of_a_withdrawal_and_eight_who_finish_at_most_one_wins(office: Office) -> None:
    account_id = await office.add()
    reset_id, code = await approved(office, account_id)
    attempts = [await begun(office, code) for _ in range(8)]

    async def withdraw() -> bool:
        try:
            await office.db.write(desk(office).withdraw, reset_id, actor=FIRST)
        except ResetClosed:
            return False
        return True

    *done, stopped = await asyncio.gather(*(with_password(office, each, "hashed") for each in attempts), withdraw())
    assert sum(each is not None for each in done) + stopped == 1


async def test_every_old_way_in_and_every_session_ends_and_the_new_password_is_level_one(office: Office) -> None:
    account_id = await office.add()
    before = await office.sign_in()
    device = Authenticator()
    made = device.create(await office.passkeys.begin_add(account_id))
    await office.passkeys.finish_add(account_id, made, name="Old phone", actor=person(account_id))
    await office.add_totp(account_id)
    codes = recovery.new_codes()
    await office.db.write(
        recovery.replace, office.hasher, account_id, codes, now=office.clock.ms(), actor=person(account_id)
    )
    half = await office.half_in()
    _, code = await approved(office, account_id)
    hashed = await office.credentials.hash("quite another horse battery")
    done = await with_password(office, await begun(office, code), hashed)
    assert done is not None
    assert (done.session.acr, done.session.amr) == (AAL1, ("pwd",))
    assert await office.sessions.find(before.token) is None
    assert not await office.db.read(office.passkeys.list_for, account_id)
    assert await office.db.read(recovery.left, account_id) == 0
    assert isinstance(await office.credentials.sign_in("hana", PASSWORD, HERE), Refused)
    assert not await office.credentials.waiting_for_code(half)
    again = await office.credentials.sign_in("hana", "quite another horse battery", HERE)
    assert isinstance(again, SignedIn)  # not CodeNeeded: the old app is gone
    assert not isinstance(again, CodeNeeded)


async def test_a_new_passkey_is_level_two_and_the_same_phone_may_make_it(office: Office) -> None:
    account_id, phone = await office.add(), Authenticator()
    made = phone.create(await office.passkeys.begin_add(account_id))
    await office.passkeys.finish_add(account_id, made, name="Phone", actor=person(account_id))
    _, code = await approved(office, account_id)
    found = await begun(office, code)
    answers = [Authenticator().create(await office.passkeys.begin_reset(account_id)) for _ in range(8)]

    async def finish(answer: bytes) -> SignedIn | None:
        return await office.passkeys.finish_reset(
            account_id, answer, HERE, name="New", spend=lambda session: desk(office).spend(session, found)
        )

    done = await asyncio.gather(*map(finish, answers), return_exceptions=True)
    (won,) = [each for each in done if isinstance(each, SignedIn)]
    assert (won.session.acr, won.session.amr) == (AAL2, ("hwk", "user", "mfa"))
    (view,) = await office.db.read(office.passkeys.list_for, account_id)
    assert view.name == "New"


# -- the lock


async def test_a_lock_ends_sessions_and_resets_and_nothing_comes_back_with_the_unlocking(office: Office) -> None:
    """Invariant I5: in force when the call returns."""
    account_id = await office.add()
    inside = await office.sign_in()
    _, code = await approved(office, account_id)
    found = await begun(office, code)
    help_desk = office.host.get(Support)
    await office.db.write(help_desk.lock, account_id, reason="stolen", actor=FIRST)
    assert await office.sessions.find(inside.token) is None
    assert isinstance(await office.credentials.sign_in("hana", PASSWORD, HERE), Refused)
    assert await enter(office, code) == Refused()
    with pytest.raises(ResetClosed):
        await opened(office, account_id)
    await office.db.write(help_desk.unlock, account_id, actor=SECOND)
    assert await office.sessions.find(inside.token) is None
    assert await enter(office, code) == Refused()
    assert await with_password(office, found, "hashed") is None
    await office.sign_in()
    (entry,) = await office.audit("identity.account.suspended")
    assert (entry.actor_id, entry.detail) == (FIRST.id, {"reason": "stolen"})


async def test_of_a_lock_and_eight_who_finish_nobody_stays_inside(office: Office) -> None:
    account_id = await office.add()
    _, code = await approved(office, account_id)
    attempts = [await begun(office, code) for _ in range(8)]

    async def finish(each: Begun) -> SignedIn | None:
        try:
            return await with_password(office, each, "hashed")
        except (AccountClosed, Conflict):
            return None

    lock = office.db.write(office.host.get(Support).lock, account_id, reason="misuse", actor=FIRST)
    *done, _ = await asyncio.gather(*map(finish, attempts), lock)
    for each in done:
        assert each is None or await office.sessions.find(each.token) is None


async def test_finding_somebody_takes_the_exact_name_and_has_an_end(office: Office) -> None:
    account_id = await office.add()
    await office.add("boss", kind="staff")
    help_desk = office.host.get(Support)
    for asked in ("hana", " HANA", account_id):
        assert await office.db.write(help_desk.find, asked, actor=FIRST) == account_id
    for asked in ("han", "hana%", "", "acc_", "boss", "湊 花"):
        assert await office.db.write(help_desk.find, asked, actor=FIRST) is None
    assert len(await office.audit("identity.account.sought")) == 6
    for _ in range(30):
        answer = await office.db.write(help_desk.find, "hana", actor=FIRST)
    assert isinstance(answer, int)
    assert await office.db.write(help_desk.find, "hana", actor=SECOND) == account_id


async def test_the_last_sign_in_is_known_when_its_session_is_long_gone(office: Office, clock: FrozenClock) -> None:
    account_id = await office.add()
    at = clock.ms()
    await office.sign_in()
    await office.audit("identity.signin.succeeded")  # lays the chain on PostgreSQL
    clock.advance(seconds=10 * DAY // 1000)
    await office.db.write(office.sessions.sweep)
    facts = await office.db.write(office.host.get(Support).look, account_id, actor=FIRST)
    assert (facts.login, facts.sessions, facts.last_at) == ("h•••", 0, at)
