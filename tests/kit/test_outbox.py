"""The outbox: what is put on its way with a change gets there; who fails to take it stands in nobody's way."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlmodel import Session

from kit import outbox
from kit.clock import DAY, HOUR, SECOND, FrozenClock
from kit.db import Database
from kit.outbox import DROPPED, Item, Outbox, Sender

pytestmark = pytest.mark.anyio
START = 1_795_000_000_000
sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Receivers:
    """Everybody who is sent something: what they answer, and what they were sent."""

    def __init__(self, db: Database, *, ordered: bool = False) -> None:
        self.db = db
        self.clock = FrozenClock(START)
        self.sent: list[str] = []
        self.says: dict[str, str | None] = {}
        self.taken: list[str] = []
        self.lost: list[tuple[str, str]] = []
        self.sender = Sender(
            "test.word", self._send, first=5 * SECOND, longest=HOUR, ordered=ordered, taken=self._taken,
            given_up=lambda session, item, why: self.lost.append((item.body.decode(), why)),
        )  # fmt: skip
        self.outbox = Outbox(db, self.clock, self.sender)

    async def _send(self, item: Item) -> str | None:
        self.sent.append(item.body.decode())
        return self.says.get(item.body.decode(), self.says.get(item.lane))

    def _taken(self, session: Session, lane: str, items: Sequence[Item]) -> None:
        self.taken += [item.body.decode() for item in items]

    async def add(self, lane: str, *words: str, held: bool = False, life: int = DAY) -> list[str]:
        now = self.clock.ms()
        rows = [
            outbox.row("test.word", lane, word.encode(), now=now, expires_at=now + life, held=held) for word in words
        ]
        await self.db.write_core(outbox.add, rows)
        return [row["id"] for row in rows]

    async def round(self, seconds: float = 0) -> int:
        self.clock.advance(seconds=seconds)
        self.sent.clear()
        return await self.outbox.deliver()

    async def left(self, lane: str) -> list[str]:
        found = await self.db.read_core(outbox.waiting, "test.word", lane, 100)
        return [item.body.decode() for item in found]


async def test_what_is_taken_is_gone_and_what_is_not_comes_again_ever_later(db: Database) -> None:
    all_of = Receivers(db)
    await all_of.add("a", "one", "two")
    all_of.says["one"] = "status-503"
    assert await all_of.round() == 1
    assert all_of.taken == ["two"]
    assert await all_of.left("a") == ["one"]
    assert await all_of.round() == 0
    assert all_of.sent == []  # not before its time
    assert [await all_of.round(5), len(all_of.sent)] == [0, 1]
    assert [await all_of.round(5), len(all_of.sent)] == [0, 0]
    stands = await db.read_core(outbox.backlog, "test.word", "a")
    assert (stands.waiting, stands.tries, stands.since, stands.error) == (1, 2, START, "status-503")
    all_of.says.clear()
    assert await all_of.round(5) == 1


@sqlite_only
async def test_what_ends_is_given_up_with_its_last_reason_and_never_sent_after_its_end(db: Database) -> None:
    all_of = Receivers(db)
    await all_of.add("a", "soon", life=8 * SECOND)
    await all_of.add("a", "late")
    all_of.says["a"] = "network"
    await all_of.round()
    await all_of.round(6)
    assert all_of.lost == [("soon", "network")]  # the next try would come after its end
    assert await all_of.left("a") == ["late"]
    await all_of.round(25 * HOUR / SECOND)
    assert all_of.sent == []
    assert all_of.lost[1:] == [("late", "network")]
    assert await all_of.left("a") == []


async def test_an_ordered_lane_waits_behind_what_was_not_taken_and_others_do_not(db: Database) -> None:
    all_of = Receivers(db, ordered=True)
    await all_of.add("dead", "d1", "d2")
    await all_of.add("well", "w1", "w2")
    all_of.says["dead"] = "network"
    assert await all_of.round() == 2
    assert all_of.sent.count("d1") == 1
    assert "d2" not in all_of.sent  # one try a round
    await all_of.add("dead", "d3")
    assert [await all_of.round(), all_of.sent] == [0, []]  # nor does what comes later go past it
    all_of.says.clear()
    assert [await all_of.round(5), all_of.sent] == [3, ["d1", "d2", "d3"]]


@sqlite_only
async def test_many_dead_receivers_leave_everybody_else_a_turn(db: Database) -> None:
    all_of = Receivers(db)
    for number in range(outbox._LANES * 2):
        await all_of.add(f"dead{number:02}", *("x" for _ in range(3)))
        all_of.says[f"dead{number:02}"] = "time"
    await all_of.add("well", "w")
    rounds = 0
    while "w" not in all_of.taken:
        await all_of.round()
        rounds += 1
    assert rounds <= 3  # lanes take turns, whatever waits in the others


async def test_what_is_held_is_not_sent_until_it_is_let_go_and_may_be_fetched_meanwhile(db: Database) -> None:
    all_of = Receivers(db, ordered=True)
    ids = await all_of.add("a", "one", "two", held=True)
    assert await all_of.round() == 0
    assert await all_of.left("a") == ["one", "two"]
    other = await all_of.add("b", "other", held=True)

    def take(connection: Connection, *names: str) -> int:
        return outbox.remove(connection, "test.word", "a", names)

    assert await db.write_core(take, ids[0], *other) == 1  # nobody takes what stands in another's lane
    assert await all_of.left("b") == ["other"]
    await db.write_core(outbox.reschedule, "test.word", "a", all_of.clock.ms())
    assert [await all_of.round(), all_of.sent] == [1, ["two"]]


@sqlite_only
async def test_what_is_held_while_it_is_being_sent_stays_held(db: Database) -> None:
    all_of = Receivers(db)
    await all_of.add("a", "one")

    async def paused_meanwhile(item: Item) -> str:
        await db.write_core(outbox.reschedule, "test.word", "a", None)
        return "status-500"

    sender = Sender("test.word", paused_meanwhile, first=SECOND, longest=SECOND)
    await Outbox(db, all_of.clock, sender).deliver()
    assert await all_of.round(60) == 0
    assert all_of.sent == []


@sqlite_only
async def test_who_is_not_to_be_told_any_more_is_let_go_without_a_word(db: Database) -> None:
    all_of = Receivers(db, ordered=True)
    await all_of.add("a", "one", "two")
    all_of.says["one"] = DROPPED
    assert await all_of.round() == 1
    assert (all_of.taken, all_of.lost) == (["two"], [])
    assert await all_of.left("a") == []


@sqlite_only
async def test_a_new_process_goes_on_where_the_last_one_stopped(db: Database) -> None:
    """What was being sent when it died is sent again: nothing is lost, and each thing has its name."""
    first = Receivers(db)
    await first.add("a", "one")

    async def dies(item: Item) -> str:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Outbox(db, first.clock, Sender("test.word", dies, first=1, longest=1)).deliver()
    second = Receivers(db)
    assert await second.round() == 1


async def test_what_nobody_sends_any_more_is_swept_a_day_after_its_end(db: Database) -> None:
    all_of = Receivers(db)
    await all_of.add("a", "kept", "held", held=True)
    now = all_of.clock.ms()
    assert await db.bulk(outbox.sweep, now + 2 * DAY - 1) == 0
    assert await db.read_core(outbox.stale, "test.word", now) == ("a",)
    assert await db.read_core(outbox.stale, "test.word", now - 1) == ()
    assert await db.bulk(outbox.sweep, now + 2 * DAY + 1) == 2


def test_a_row_says_everything_its_table_asks_for() -> None:
    made: dict[str, Any] = outbox.row("t", "l", b"", now=1, expires_at=2)
    assert made.keys() == set(outbox.outbox_table.columns.keys())
