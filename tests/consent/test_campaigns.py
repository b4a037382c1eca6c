"""Asking again about a material change: everybody concerned, once, in their time; and nobody's answer in a number."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from consent import asks, campaign_progress, campaigns, holds, reach, records
from consent.campaign_rules import LEAST_TIME, Plan, next_look, pause_after, share
from consent.changes import ConsentRef
from consent.decisions import Permit, Refusal
from consent.errors import BadCampaign, CampaignState, ConsentState
from kit.clock import DAY, HOUR, MINUTE, Millis
from kit.db import Session
from tests.consent.bureau import STAFF, Bureau, person
from tests.consent.test_notices import revise, types
from tests.support.entries import read_public

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def exactly_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough is ten; how it is drawn is tests.consent.test_reach's."""
    monkeypatch.setattr(campaigns, "draw", lambda: 10)
    monkeypatch.setattr(campaign_progress, "draw", lambda: 10)


def plan(bureau: Bureau, **changed: Any) -> Plan:
    now = bureau.clock.ms()
    return Plan(**{"begins_at": now, "deadline_at": now + 30 * DAY, "per_hour": 6000, "reminders": 1, **changed})


async def start(bureau: Bureau, **changed: Any) -> campaigns.CampaignView:
    return await bureau.db.write(
        campaigns.start, bureau.agreement, plan(bureau, **changed), actor=STAFF, now=bureau.clock.ms()
    )


async def act(bureau: Bureau, what: Any) -> campaigns.CampaignView:
    found: campaigns.CampaignView = await bureau.db.write(what, bureau.agreement, actor=STAFF, now=bureau.clock.ms())
    return found


async def run(bureau: Bureau, *, after: Millis = 0) -> int:
    bureau.clock.advance(seconds=after / 1000)
    return await campaigns.run(bureau.db, bureau.sealer, bureau.clock)


async def state(bureau: Bureau) -> str:
    found = await bureau.db.read(campaigns.find, bureau.agreement)
    assert found is not None
    return found.state


async def people(bureau: Bureau, number: int, *categories: str) -> list[tuple[str, str]]:
    found = []
    for n in range(number):
        account = await bureau.resident(f"resident-{len(categories)}-{n}")
        found.append((account, (await bureau.give(account, *(categories or ("mobility",)))).consent_id))
    return found


async def renew(bureau: Bureau, account: str, consent_id: str, revision_id: str) -> ConsentRef:
    return await bureau.db.write(
        records.renew, bureau.sealer, consent_id=consent_id, account_id=account, revision_id=revision_id,
        notice_lang="ja", actor=person(account), now=bureau.clock.ms(),
    )  # fmt: skip


async def decline(bureau: Bureau, account: str, consent_id: str, revision_id: str) -> None:
    await bureau.db.write(
        campaigns.decline, bureau.sealer, consent_id=consent_id, account_id=account, revision_id=revision_id,
        notice_lang="ja", actor=person(account), now=bureau.clock.ms(),
    )  # fmt: skip


async def view(bureau: Bureau, consent_id: str) -> records.RecordView:
    return await bureau.db.read(records.get, consent_id, account_id=None, now=bureau.clock.ms())


async def outcomes(bureau: Bureau) -> Counter[str]:
    return Counter(row["state"] for row in await bureau.rows("consent_ask"))


# -- the rules, pure


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"begins_at": -DAY}, "/begins"),
        ({"begins_at": 91 * DAY, "deadline_at": 110 * DAY}, "/begins"),
        ({"deadline_at": LEAST_TIME - 1}, "/deadline"),
        ({"deadline_at": 181 * DAY}, "/deadline"),
        ({"per_hour": 0}, "/per_hour"),
        ({"per_hour": 20_001}, "/per_hour"),
        ({"reminders": 3}, "/reminders"),
    ],
)
def test_a_plan_that_leaves_too_little_time_or_asks_too_often_is_refused(changed: dict[str, int], pointer: str) -> None:
    fine = {"begins_at": 0, "deadline_at": 30 * DAY, "per_hour": 100, "reminders": 2}
    Plan(**fine).check(0)
    with pytest.raises(BadCampaign) as refused:
        Plan(**{**fine, **changed}).check(0)
    assert refused.value.pointer == pointer


def test_the_pace_holds_however_often_the_job_runs() -> None:
    for per_hour in (1, 7, 60, 1000, 20_000):
        now = asked = 0
        while now < 2 * HOUR:
            asked += share(per_hour)
            now += max(1, pause_after(share(per_hour), per_hour))
        assert asked <= 2 * per_hour + share(per_hour)


@pytest.mark.parametrize("reminders", [0, 1, 2])
def test_reminders_are_few_a_week_apart_and_not_on_the_last_day(reminders: int) -> None:
    for until in (14 * DAY, 30 * DAY, 180 * DAY):
        now, left, at = 0, reminders, []
        while (now := next_look(now, until, left=left)) < until:
            at.append(now)
            left -= 1
        assert len(at) <= reminders
        assert all(b - a >= 7 * DAY for a, b in zip([0, *at], at, strict=False))
        assert all(until - each >= DAY for each in at)


# -- who is asked, and how it comes out


async def test_everybody_who_stands_under_an_earlier_text_is_asked_once_and_what_they_say_is_done(
    bureau: Bureau,
) -> None:
    (agrees, a), (partly, b), (declines, c), (withdraws, d), (silent, e), (gone, f) = await people(bureau, 6)
    await bureau.withdraw(gone, f)
    made = await revise(bureau, retention="P120D")
    newcomer = await bureau.resident("newcomer")
    g = (await bureau.give(newcomer, revision_id=made.id)).consent_id
    await start(bureau)
    assert (await run(bureau), await run(bureau, after=HOUR)) == (5, 0)
    assert await types(bureau, agrees, a) == ["given", "requested"]
    assert [await types(bureau, newcomer, g), await types(bureau, gone, f)] == [["given"], ["given", "withdrawn"]]
    (*_, last) = await bureau.db.read(records.history, bureau.sealer, a, account_id=agrees)
    assert last.document["about"]["revision"] == made.id
    assert last.document["answer_by"].startswith("20")
    await bureau.give(agrees, "mobility", "household", "energy_use", revision_id=made.id)
    await renew(bureau, partly, b, made.id)
    for _ in range(2):  # said twice is said once
        await decline(bureau, declines, c, made.id)
    await bureau.withdraw(withdraws, d)
    assert await outcomes(bureau) == {"agreed": 1, "partly": 1, "refused": 2, "waiting": 1}
    assert len(await bureau.db.read(records.list_for, declines, now=bureau.clock.ms())) == 2
    assert (await view(bureau, c)).stands, "what was agreed to before goes on until the stated time"
    await run(bureau, after=15 * DAY)  # one reminder, to who is silent alone
    assert await types(bureau, silent, e) == ["given", "requested", "notified"]
    assert await types(bureau, declines, c) == ["given", "requested"]
    await run(bureau, after=10 * DAY)
    assert await types(bureau, silent, e) == ["given", "requested", "notified"]
    asked = [await bureau.decisions.ask(each, recipient=bureau.member, categories=["mobility"]) for each in (c, e)]
    assert all(isinstance(each, Permit) for each in asked)
    await run(bureau, after=6 * DAY)
    for account, consent_id in ((declines, c), (silent, e)):
        assert (await types(bureau, account, consent_id))[-1] == "expired"
        found = await bureau.decisions.ask(consent_id, recipient=bureau.member, categories=["mobility"])
        assert isinstance(found, Refusal)
    assert all([(await view(bureau, each)).stands for each in (a, b, g)])
    assert await outcomes(bureau) == {"agreed": 1, "partly": 1, "refused": 2, "ended": 1}
    assert await state(bureau) == "finished"
    told = [read_public(entry) for entry in await bureau.log_entries()]
    kinds = [each["type"] for each in told if each is not None and each["type"].startswith("campaign")]
    assert kinds == ["campaign-started", "campaign-finished"]


@sqlite_only
async def test_asking_is_bounded_an_hour_and_goes_on_after_a_crash_where_it_was(
    bureau: Bureau, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await people(bureau, 5)
    await revise(bureau, retention="P120D")
    await start(bureau, per_hour=120)  # two a minute

    def falls(*args: Any, **kwargs: Any) -> None:
        raise OSError("power")

    with monkeypatch.context() as patched:
        patched.setattr(asks, "add", falls)  # after the event, before the mark: neither is kept
        with pytest.raises(OSError, match="power"):
            await run(bureau)
    assert [await types(bureau, *each) for each in found] == [["given"]] * 5
    assert (await run(bureau), await run(bureau)) == (2, 0)
    assert await run(bureau, after=MINUTE) == 2
    assert await run(bureau, after=MINUTE) == 1
    assert [await types(bureau, *each) for each in found] == [["given", "requested"]] * 5


@sqlite_only
async def test_a_campaign_is_started_once_for_a_revision_and_for_a_material_one_only(bureau: Bureau) -> None:
    with pytest.raises(CampaignState):
        await start(bureau)
    await revise(bureau, contact="privacy@bus.example", change="non-material")
    assert not await bureau.db.read(campaigns.possible, bureau.agreement)
    with pytest.raises(CampaignState):
        await start(bureau)
    await revise(bureau, retention="P120D")
    assert await bureau.db.read(campaigns.possible, bureau.agreement)
    await start(bureau)
    assert not await bureau.db.read(campaigns.possible, bureau.agreement)
    for _ in range(2):
        with pytest.raises(CampaignState):
            await start(bureau)
        if await state(bureau) != "cancelled":
            await act(bureau, campaigns.cancel)  # cancelled and begun anew would be asked again
    with pytest.raises(CampaignState):
        await act(bureau, campaigns.resume)


@sqlite_only
async def test_while_it_is_paused_nothing_ends_and_everybody_has_the_time_back(bureau: Bureau) -> None:
    ((hanako, ref),) = await people(bureau, 1)
    await revise(bureau, retention="P120D")
    await start(bureau, reminders=0)
    await run(bureau)
    await act(bureau, campaigns.pause)
    assert await run(bureau, after=40 * DAY) == 0
    assert (await view(bureau, ref)).stands
    await act(bureau, campaigns.resume)
    assert await run(bureau, after=29 * DAY) == 0
    assert (await view(bureau, ref)).stands
    await run(bureau, after=2 * DAY)
    assert (await types(bureau, hanako, ref))[-1] == "expired"


@sqlite_only
async def test_who_is_asked_late_has_two_weeks_all_the_same(bureau: Bureau) -> None:
    await people(bureau, 1)
    await revise(bureau, retention="P120D")
    await start(bureau)
    bureau.clock.advance(seconds=25 * DAY / 1000)
    await run(bureau)
    (row,) = await bureau.rows("consent_ask")
    assert row["until_at"] - row["asked_at"] == LEAST_TIME
    await run(bureau, after=13 * DAY)
    assert (await outcomes(bureau), await state(bureau)) == ({"waiting": 1}, "running")


@sqlite_only
async def test_a_cancelled_or_overtaken_campaign_ends_nobodys_consent(bureau: Bureau) -> None:
    ((hanako, ref),) = await people(bureau, 1)
    await revise(bureau, retention="P120D")
    await start(bureau)
    await run(bureau)
    await act(bureau, campaigns.cancel)
    with pytest.raises(ConsentState):  # a no to a question that is no more
        await decline(bureau, hanako, ref, bureau.revision)
    await revise(bureau, retention="P150D")
    await start(bureau)
    await run(bureau)
    await revise(bureau, retention="P160D")
    await run(bureau, after=60 * DAY)
    assert await state(bureau) == "overtaken"
    assert (await view(bureau, ref)).stands
    assert await types(bureau, hanako, ref) == ["given", "requested", "requested"]


@sqlite_only
async def test_a_no_is_respected_by_the_next_campaign(bureau: Bureau) -> None:
    ((hanako, ref),) = await people(bureau, 1)
    made = await revise(bureau, retention="P120D")
    await start(bureau)
    await run(bureau)
    await decline(bureau, hanako, ref, made.id)
    await revise(bureau, retention="P125D")
    await run(bureau, after=DAY)
    await start(bureau)
    assert await run(bureau) == 1
    assert await types(bureau, hanako, ref) == ["given", "requested"], "not asked, not reminded"
    await run(bureau, after=31 * DAY)
    assert (await types(bureau, hanako, ref))[-1] == "expired"


@sqlite_only
async def test_while_sharing_is_held_nobody_is_asked_and_no_time_runs(bureau: Bureau) -> None:
    await people(bureau, 1)
    await revise(bureau, retention="P120D")
    await start(bureau)
    await bureau.db.write(holds.hold, bureau.member, reason="inc_1", actor=STAFF, now=bureau.clock.ms())
    assert await run(bureau) == 0
    assert await state(bureau) == "paused"
    assert await bureau.rows("consent_ask") == []


async def test_an_answer_at_the_last_moment_and_the_end_do_not_both_happen(bureau: Bureau) -> None:
    """Whichever write is first closes the question; the other finds it closed."""
    import asyncio

    ((hanako, ref),) = await people(bureau, 1)
    made = await revise(bureau, retention="P120D")
    await start(bureau)
    await run(bureau)
    bureau.clock.advance(seconds=31 * DAY / 1000)
    found = await asyncio.gather(run(bureau), renew(bureau, hanako, ref, made.id), return_exceptions=True)
    kinds = await types(bureau, hanako, ref)
    assert kinds[-1] in ("expired", "renewed")
    assert ("expired" in kinds) != ("renewed" in kinds)
    assert isinstance(found[1], ConsentState) == ("expired" in kinds)
    assert await outcomes(bureau) == ({"ended": 1} if "expired" in kinds else {"partly": 1})


@sqlite_only
async def test_who_leaves_leaves_no_trace_in_a_campaign(bureau: Bureau) -> None:
    ((hanako, _),) = await people(bureau, 1)
    await revise(bureau, retention="P120D")
    await start(bureau)
    await run(bureau)
    await bureau.db.write(records.forget, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
    assert await bureau.rows("consent_ask") == []


# -- progress


def rows(session: Session, campaign_id: str, wanted: dict[str, int], now: Millis) -> None:
    number = 0
    for outcome, count in wanted.items():
        for _ in range(count):
            number += 1
            asks.add(
                session.connection(),
                campaign_id,
                f"con_{number}",
                state=outcome,
                now=now,
                until=now,
                due=now,  # type: ignore[arg-type]
            )


@sqlite_only
async def test_progress_is_in_tens_and_one_persons_answer_is_in_no_difference(bureau: Bureau) -> None:
    """Not of fewer than ten, not by subtracting figures, not by looking before and after somebody at the counter."""
    await revise(bureau, retention="P120D")
    made = await start(bureau)
    at = bureau.clock.ms()

    async def look() -> campaign_progress.Progress | None:
        await campaign_progress.run(bureau.db, bureau.clock)
        return await bureau.db.read(campaign_progress.published, made.id)

    await bureau.db.write(rows, made.id, {"waiting": 9}, at)
    assert await look() is None
    await bureau.db.write(_clear)
    await bureau.db.write(rows, made.id, {"waiting": 23, "agreed": 14, "refused": 9, "ended": 1}, at)
    first = await look()
    assert first is not None
    assert (first.asked, first.waiting, first.agreed, first.refused, first.ended) == (40, 20, 10, 0, 0)
    await bureau.db.write(_answer, 9)
    bureau.clock.advance(seconds=3 * DAY / 1000)
    assert await look() == first, "nine moved: fewer than ten"
    await bureau.db.write(_answer, 1)
    second = await look()
    assert second is not None
    assert (second.waiting, second.agreed) == (10, 20)
    await bureau.db.write(_answer, 13)
    assert await look() == second, "once a day"


def _clear(session: Session) -> None:
    session.connection().exec_driver_sql("DELETE FROM consent_ask")


def _answer(session: Session, people: int) -> None:
    session.connection().exec_driver_sql(
        "UPDATE consent_ask SET state = 'agreed' WHERE record_id IN "
        f"(SELECT record_id FROM consent_ask WHERE state = 'waiting' LIMIT {people})"
    )


@sqlite_only
async def test_a_campaign_of_one_person_does_not_finish_when_that_person_answers(bureau: Bureau) -> None:
    """Else the state of the campaign would be the answer."""
    ((hanako, ref),) = await people(bureau, 1)
    made = await revise(bureau, retention="P120D")
    await start(bureau)
    await run(bureau)
    await renew(bureau, hanako, ref, made.id)
    await run(bureau, after=29 * DAY)
    assert await state(bureau) == "running"
    await run(bureau, after=2 * DAY)
    assert await state(bureau) == "finished"
    assert reach.FEWEST == 10
    assert await bureau.db.read(campaign_progress.published, made.id) is None
