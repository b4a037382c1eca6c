"""Whatever residents, staff and the clock do, in any order: no change without its entry, no entry without its change.

A hypothesis state machine drives the real code on a real database and compares, after every step, four things that must
tell one story: a model in plain Python, the record rows, the folded events, and the ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consent import agreements, gate, holds, records
from consent.decisions import Permit
from consent.ledger import PRIVATE, commitment, private_entry
from consent.states import fold, read_event
from kit.clock import HOUR, FrozenClock
from kit.db import Session, open_database
from kit.problems import Problem
from tests.conftest import make_tables
from tests.consent.bureau import STAFF, Bureau, open_bureau, person

OPTIONAL = ("household", "energy_use")


class Machine(RuleBasedStateMachine):
    """One city, three residents, one agreement."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'machine.db'}"
        make_tables(url)
        self.database = open_database(url)
        self.run(self.database.start())
        self.manager = open_bureau(self.database, FrozenClock())
        self.bureau: Bureau = self.run(self.manager.__aenter__())
        self.people = [self.run(self.bureau.resident(f"resident{n}")) for n in range(3)]
        self.events: Counter[str] = Counter()  # record -> events
        self.standing: dict[str, tuple[str, frozenset[str], int]] = {}  # account -> record, categories, until
        self.open = True
        self.held = False

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.run(self.manager.__aexit__(None, None, None))
            self.run(self.database.stop())
            self.loop.close()
            self.folder.cleanup()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    @property
    def now(self) -> int:
        return self.bureau.clock.ms()

    who = st.integers(0, 2)
    extra = st.sets(st.sampled_from(OPTIONAL))

    def alive(self, account: str) -> bool:
        found = self.standing.get(account)
        return found is not None and self.now < found[2]

    @rule(who=who, extra=extra, hours=st.integers(1, 5))
    def give(self, who: int, extra: set[str], hours: int) -> None:
        account, until = self.people[who], self.now + hours * HOUR
        try:
            done = self.run(self.bureau.give(account, "mobility", *extra, until_ms=until))
        except Problem:
            assert not self.open or self.held
            return
        assert self.open
        assert not self.held
        before = self.standing.get(account)
        if before is not None and before[2] <= self.now:
            self.events[before[0]] += 1  # it had run out: its event came first
        elif before is not None:
            assert done.consent_id == before[0]
        self.standing[account] = (done.consent_id, frozenset({"mobility", *extra}), until)
        self.events[done.consent_id] += 1

    @rule(who=who)
    def refuse(self, who: int) -> None:
        account = self.people[who]
        refusing = self.bureau.db.write(
            records.refuse,
            self.bureau.sealer,
            account_id=account,
            revision_id=self.bureau.revision,
            notice_lang="en",
            actor=person(account),
            now=self.now,
        )
        try:
            done = self.run(refusing)
        except Problem:
            assert not self.open or self.held
            return
        self.events[done.consent_id] += 1

    @rule(who=who, extra=extra)
    def change(self, who: int, extra: set[str]) -> None:
        account = self.people[who]
        record = self.standing.get(account, ("con_none", frozenset(), 0))
        changing = self.bureau.db.write(
            records.change,
            self.bureau.sealer,
            consent_id=record[0],
            account_id=account,
            categories=["mobility", *extra],
            actor=person(account),
            now=self.now,
        )
        try:
            self.run(changing)
        except Problem:
            assert not self.alive(account)
            return
        assert self.alive(account)
        self.standing[account] = (record[0], frozenset({"mobility", *extra}), record[2])
        self.events[record[0]] += 1

    @rule(who=who, by=who)
    def withdraw(self, who: int, by: int) -> None:
        record = self.standing.get(self.people[who], ("con_none", frozenset(), 0))
        try:
            self.run(self.bureau.withdraw(self.people[by], record[0]))
        except Problem:
            assert who != by or not self.alive(self.people[who])
            return
        assert who == by
        del self.standing[self.people[who]]
        self.events[record[0]] += 1

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        self.bureau.clock.advance(seconds=hours * 3600)

    @rule()
    def sweep(self) -> None:
        due = [a for a, (_, _, until) in self.standing.items() if until <= self.now or not self.open]
        assert self.run(self.bureau.sweep()) == len(due)
        for account in due:
            self.events[self.standing.pop(account)[0]] += 1

    @rule()
    def hold(self) -> None:
        change = holds.release if self.held else holds.hold
        assert self.run(self.bureau.db.write(change, self.bureau.member, actor=STAFF, now=self.now))
        self.held = not self.held

    @precondition(lambda self: self.open)
    @rule(sure=st.integers(0, 4))
    def withdraw_agreement(self, sure: int) -> None:
        if sure == 0:
            self.run(self.bureau.db.write(agreements.withdraw, self.bureau.agreement, actor=STAFF, now=self.now))
            self.open = False

    @rule(who=who, at=st.integers(0, 200))
    def crash(self, who: int, at: int) -> None:
        """A change whose transaction is lost leaves neither entry nor change; the invariant below looks."""

        def fail(session: Session) -> None:
            records.give(
                session,
                self.bureau.sealer,
                account_id=self.people[who],
                revision_id=self.bureau.revision,
                categories=["mobility"],
                notice_lang="ja",
                actor=person(self.people[who]),
                now=self.now + at,
            )
            raise LookupError

        with pytest.raises((LookupError, Problem)):
            self.run(self.bureau.db.write(fail))

    @invariant()
    def decisions_follow_the_model(self) -> None:
        if not hasattr(self, "bureau"):
            return
        for account in self.people:
            for category in ("mobility", *OPTIONAL):
                outcome = self.run(
                    self.bureau.db.write_core(
                        gate.judge,
                        account_id=account,
                        member_id=self.bureau.member,
                        categories=[category],
                        now=self.now,
                    )
                )
                expected = self.alive(account) and self.open and not self.held and category in self.standing[account][1]
                assert isinstance(outcome, Permit) == expected
                if account in self.standing:
                    asked = self.run(
                        self.bureau.decisions.ask(
                            self.standing[account][0], recipient=self.bureau.member, categories=[category]
                        )
                    )
                    assert isinstance(asked, Permit) == expected

    @invariant()
    def one_story_everywhere(self) -> None:
        if not hasattr(self, "bureau"):
            return
        rows = {row["id"]: row for row in self.run(self.bureau.rows("consent_record"))}
        assert {record: row["events"] for record, row in rows.items()} == dict(self.events)
        expected = Counter(entry for entry in self.run(self.bureau.log_entries()) if entry[:1] == PRIVATE)
        found: Counter[bytes] = Counter()
        for record, row in rows.items():
            history = self.run(
                self.bureau.db.read(records.history, self.bureau.sealer, record, account_id=row["account_id"])
            )
            standing = fold(read_event(event.document) for event in history)
            assert (standing.state, standing.categories, standing.until_at) == (
                row["state"],
                tuple(row["categories"].split()),
                row["until_at"],
            )
            found.update(private_entry(commitment(event.salt, event.document)) for event in history)
        assert found == expected  # no change without its entry, no entry without its change (I2)


def test_records_events_decisions_and_ledger_tell_one_story() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine, settings=settings(max_examples=12, stateful_step_count=14, deadline=None)
    )
