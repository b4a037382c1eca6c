"""How many people an agreement reached: never about fewer than ten of them, not by adding up, not by looking twice."""

from __future__ import annotations

import pytest

from consent import reach, records
from consent.reach import Figures
from kit.clock import DAY
from kit.db import Session
from tests.consent.bureau import Bureau, person

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def exactly_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough is ten; a test of its own looks at the draw."""
    monkeypatch.setattr(reach, "draw", lambda: 10)


async def people(bureau: Bureau, first: int, last: int) -> list[str]:
    return [await bureau.resident(f"resident-{number}") for number in range(first, last)]


async def refuse(bureau: Bureau, account: str) -> None:
    await bureau.db.write(
        records.refuse, bureau.sealer, account_id=account, revision_id=bureau.revision, notice_lang="ja",
        actor=person(account), now=bureau.clock.ms(),
    )  # fmt: skip


async def run(bureau: Bureau, *, days: float = 8) -> reach.Published | None:
    bureau.clock.advance(seconds=days * 86_400)
    await reach.run(bureau.db, bureau.clock)
    bureau.clock.advance(seconds=1)
    return await bureau.db.read(reach.published, bureau.agreement)


async def test_nothing_is_told_before_ten_people_have_answered(bureau: Bureau) -> None:
    for account in await people(bureau, 0, 9):
        await bureau.give(account)
    assert await run(bureau) is None
    await refuse(bureau, (await people(bureau, 9, 10))[0])
    found = await run(bureau)
    assert found is not None
    assert found.figures == Figures(10, 0, 0, 0), "nine agreed: fewer than ten, like the one who refused"


@sqlite_only
async def test_each_person_counts_once_as_they_stand(bureau: Bureau) -> None:
    accounts = await people(bureau, 0, 36)
    for account in accounts[:23]:
        await bureau.give(account)
    for account in accounts[23:36]:
        await refuse(bureau, account)
    await bureau.give(accounts[23])  # changed their mind: counts as agreeing, not twice
    for account in accounts[:12]:
        (mine,) = await bureau.db.read(records.list_for, account, now=bureau.clock.ms())
        await bureau.withdraw(account, mine.id)

    def exact(session: Session) -> Figures:
        return reach.tally(session, bureau.agreement, now=bureau.clock.ms())

    assert await bureau.db.read(exact) == Figures(answered=36, agreed=12, refused=12, ended=12)
    found = await run(bureau)
    assert found is not None
    assert found.figures == Figures(30, 10, 10, 10)


@sqlite_only
async def test_one_more_answer_moves_no_figure_however_often_one_looks(bureau: Bureau) -> None:
    """Differencing over time: 19 agreed yesterday and 20 today would be the one person who came by."""
    accounts = await people(bureau, 0, 29)
    for account in accounts[:19]:
        await bureau.give(account)
    before = await run(bureau)
    assert before is not None
    assert before.figures.agreed == 10
    await bureau.give(accounts[19])
    for _ in range(5):
        assert await run(bureau) == before
    for account in accounts[20:28]:
        await bureau.give(account)
    assert await run(bureau) == before, "nine moved"
    await bureau.give(accounts[28])
    after = await run(bureau)
    assert after is not None
    assert (after.figures.agreed, after.at > before.at) == (20, True)


def test_who_moved_is_counted_by_where_people_stand_and_never_too_high() -> None:
    """Five who stopped and five who began are ten; only five are sure. Leaving for good moves nobody."""
    before = Figures(20, 20, 0, 0)
    assert Figures(25, 20, 0, 5).moved_since(before) == 5
    assert Figures(30, 22, 4, 4).moved_since(before) == 10
    assert Figures(8, 8, 0, 0).moved_since(before) == 0


@sqlite_only
async def test_asking_everybody_anew_lets_no_single_answer_show(bureau: Bureau) -> None:
    """Three hundred who are told something in a week are no crowd for the one who answered in it."""
    accounts = await people(bureau, 0, 20)
    for account in accounts[:19]:
        await bureau.give(account)
    before = await run(bureau)

    def touch(session: Session) -> None:
        session.connection().exec_driver_sql("UPDATE consent_record SET changed_at = changed_at + 700000000")

    await bureau.db.write(touch)
    await bureau.give(accounts[19])
    assert await run(bureau) == before


@sqlite_only
async def test_figures_are_published_once_a_week_at_most(bureau: Bureau) -> None:
    accounts = await people(bureau, 0, 20)
    for account in accounts[:10]:
        await bureau.give(account)
    before = await run(bureau)
    for account in accounts[10:]:
        await bureau.give(account)
    assert await run(bureau, days=6.9) == before
    after = await run(bureau, days=0.2)
    assert after is not None
    assert after.figures.agreed == 20


@sqlite_only
async def test_who_brings_nine_accounts_along_does_not_know_whose_answer_was_the_last(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number that is enough is drawn, kept from asking again, and drawn anew after each publication."""
    drawn: list[int] = []
    monkeypatch.setattr(reach, "draw", lambda: drawn.append(17) or 17)
    accounts = await people(bureau, 0, 17)
    for account in accounts[:16]:
        await bureau.give(account)
        assert await run(bureau, days=0.01) is None
    assert drawn == [17]
    await bureau.give(accounts[16])
    assert await run(bureau) is not None
    assert drawn == [17, 17]


@sqlite_only
async def test_those_whose_time_ran_out_do_not_count_as_agreeing(bureau: Bureau) -> None:
    for account in await people(bureau, 0, 12):
        await bureau.give(account)
    bureau.clock.advance(seconds=400 * DAY / 1000)

    def exact(session: Session) -> Figures:
        return reach.tally(session, bureau.agreement, now=bureau.clock.ms())

    assert await bureau.db.read(exact) == Figures(12, 0, 0, 12), "by the clock, before any event says so"


def test_how_many_are_enough_is_between_ten_and_nineteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert {reach.draw() for _ in range(500)} == set(range(10, 20))
