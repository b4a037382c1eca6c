"""Browser sessions: opaque, short, and ended the moment somebody ends them."""

from collections.abc import AsyncIterator

import pytest

from identity import levels
from identity.errors_account import RecentSignInNeeded
from identity.sessions import ABSOLUTE, IDLE, RECENT, BrowserSession, Sessions, require_recent, session_cookie
from kit.clock import MINUTE, FrozenClock
from kit.db import Database, Session
from kit.host import SYSTEM
from kit.problems import NotFound, Unavailable
from tests.support.office import Office, open_office, person

pytestmark = pytest.mark.anyio


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


async def begin(office: Office, account_id: str, **more: str | None) -> tuple[str, BrowserSession]:
    level = levels.of(["passkey"])
    return await office.db.write(office.sessions.begin, account_id, acr=level.acr, amr=level.amr, **more)  # type: ignore[arg-type]


async def test_a_session_is_found_by_its_token_and_by_nothing_else(office: Office) -> None:
    account_id = await office.add()
    token, begun = await begin(office, account_id)
    assert await office.sessions.find(token) == begun
    assert begun.acr == levels.AAL2
    assert begun.amr == ("hwk", "user", "mfa")
    for wrong in (None, "", "sks_", token[:-1], token + "x", token.swapcase(), begun.id):
        assert await office.sessions.find(wrong) is None


async def test_the_token_is_not_in_the_database(office: Office) -> None:
    account_id = await office.add()
    token, _ = await begin(office, account_id)
    stored = await office.db.read(
        lambda session: repr(session.connection().exec_driver_sql("SELECT * FROM identity_session").all())
    )
    assert token not in stored
    assert token[4:] not in stored


async def test_an_ended_session_is_gone_for_every_process_before_the_answer(office: Office) -> None:
    """Invariant I5: a second cache, as another process has, must not go on serving it."""
    account_id = await office.add()
    token, begun = await begin(office, account_id)
    other = Sessions(office.db, office.sealer, office.hasher, office.clock)
    assert await other.find(token) is not None
    await office.db.write(office.sessions.end, begun.id, person(account_id))
    assert await other.find(token) is None
    assert await office.sessions.find(token) is None


async def test_nobody_is_let_in_when_the_counter_cannot_be_read(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await office.add()
    token, _ = await begin(office, account_id)
    assert await office.sessions.find(token) is not None

    async def broken(topic: str) -> int:
        raise Unavailable("no counter")

    monkeypatch.setattr(office.db, "counter", broken)
    with pytest.raises(Unavailable):
        await office.sessions.find(token)


async def test_an_hour_without_use_ends_it_and_use_keeps_it(office: Office) -> None:
    account_id = await office.add()
    token, _ = await begin(office, account_id)
    for _ in range(5):
        office.clock.advance(ms=IDLE - MINUTE)
        assert await office.sessions.find(token) is not None
    office.clock.advance(ms=IDLE)
    assert await office.sessions.find(token) is None


async def test_use_seen_by_another_process_counts(office: Office) -> None:
    account_id = await office.add()
    token, _ = await begin(office, account_id)
    other = Sessions(office.db, office.sealer, office.hasher, office.clock)
    assert await other.find(token) is not None
    office.clock.advance(ms=IDLE - MINUTE)
    assert await office.sessions.find(token) is not None
    office.clock.advance(ms=10 * MINUTE)
    assert await other.find(token) is not None


async def test_a_day_ends_it_however_busy_it_is(office: Office) -> None:
    account_id = await office.add()
    token, begun = await begin(office, account_id)
    while office.clock.ms() + IDLE // 2 < begun.auth_at + ABSOLUTE:
        office.clock.advance(ms=IDLE // 2)
        assert await office.sessions.find(token) is not None
    office.clock.set(begun.expires_at)
    assert await office.sessions.find(token) is None


async def test_signing_in_again_replaces_the_token(office: Office) -> None:
    """Session fixation: what the browser held before the sign-in is worth nothing after it."""
    account_id = await office.add()
    old, first = await begin(office, account_id)
    new, second = await begin(office, account_id, replaces=first.id)
    assert await office.sessions.find(old) is None
    assert await office.sessions.find(new) == second


async def test_a_resident_sees_their_sessions_and_nobody_elses(office: Office) -> None:
    hana, taro = await office.add("hana"), await office.add("taro")
    _, first = await begin(office, hana, user_agent="Mozilla/5.0 (iPhone)")
    office.clock.advance(seconds=60)
    _, second = await begin(office, hana, user_agent="Mozilla/5.0 (Windows)")
    _, third = await begin(office, taro)
    views = await office.db.read(office.sessions.list_for, hana)
    assert [view.id for view in views] == [second.id, first.id]
    assert views[1].device == "Mozilla/5.0 (iPhone)"
    with pytest.raises(NotFound):
        await office.db.write(office.sessions.end, third.id, person(hana), account_id=hana)


async def test_ending_all_can_keep_the_one_in_hand_and_says_how_many(office: Office) -> None:
    account_id = await office.add()
    tokens = [await begin(office, account_id) for _ in range(3)]
    kept_token, kept = tokens[1]
    assert await office.db.read(office.sessions.count_live, [account_id]) == 3
    assert await office.db.write(office.sessions.end_all, account_id, person(account_id), keep=kept.id) == 2
    alive = [token for token, _ in tokens if await office.sessions.find(token)]
    assert alive == [kept_token]
    ended = await office.audit("identity.session.ended")
    assert len(ended) == 2
    assert await office.db.write(office.sessions.end_all, account_id, SYSTEM, reason="containment") == 1
    assert await office.db.read(office.sessions.count_live, [account_id]) == 0


async def test_ending_twice_is_one_ending(office: Office) -> None:
    account_id = await office.add()
    _, begun = await begin(office, account_id)
    for _ in range(2):
        await office.db.write(office.sessions.end, begun.id, person(account_id), account_id=account_id)
    assert len(await office.audit("identity.session.ended")) == 1


async def test_a_session_begun_in_a_write_that_fails_never_was(office: Office) -> None:
    account_id = await office.add()
    tokens: list[str] = []

    def fails(session: Session) -> None:
        token, _ = office.sessions.begin(session, account_id, acr=levels.AAL1, amr=("pwd",))
        tokens.append(token)
        raise RuntimeError("afterwards")

    with pytest.raises(RuntimeError, match="afterwards"):
        await office.db.write(fails)
    assert await office.sessions.find(tokens[0]) is None


async def test_old_sessions_are_swept_and_live_ones_stay(office: Office) -> None:
    account_id = await office.add()
    await begin(office, account_id)
    office.clock.advance(ms=ABSOLUTE * 9)
    token, _ = await begin(office, account_id)
    assert await office.db.write(office.sessions.sweep) == 1
    assert await office.sessions.find(token) is not None


async def test_a_sensitive_change_asks_for_a_fresh_proof(office: Office) -> None:
    account_id = await office.add()
    _, begun = await begin(office, account_id)
    require_recent(begun, now=begun.auth_at + RECENT)
    with pytest.raises(RecentSignInNeeded):
        require_recent(begun, now=begun.auth_at + RECENT + 1)


def test_two_cities_on_one_localhost_do_not_share_their_cookies() -> None:
    """Cookies know no ports: with one name the second city would get the first one's sessions, and end them."""
    usual, other = "http://localhost:8080", "http://localhost:9090"
    assert (session_cookie(usual), session_cookie(other)) == ("sekisho-local", "sekisho-local-9090")
    assert session_cookie(other, "attempt") == "sekisho-local-attempt-9090"
    assert session_cookie("http://localhost") == "sekisho-local-80"
    assert session_cookie("https://id.example:8443", "attempt") == "__Host-sekisho-attempt"
