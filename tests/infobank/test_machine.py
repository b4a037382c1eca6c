"""A state machine over everything that gives, ends and uses consent: invariant I1, against a model of our own.

Whatever the order of agreeing, changing, withdrawing, suspending, holding, depositing and time passing: an answer is
given exactly when the model says a consent covers it at that moment, and the history holds exactly the answers given.
"""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consent import holds, records
from identity import members
from infobank import disclosures
from kit.clock import DAY, FrozenClock
from kit.host import SYSTEM
from portal.app import create_app
from portal.settings import Settings
from tests.support.bank import CHECKUP, JOURNEY, Bank

OPTIONAL = ("vaccination", "mobility")
DATA: dict[str, dict[str, Any]] = {
    "health_checkup": CHECKUP,
    "vaccination": {"date": "2026-11-01", "vaccine": "influenza"},
    "mobility": JOURNEY,
}
asked = st.sets(st.sampled_from(sorted(DATA)), min_size=1)
categories = st.sets(st.sampled_from(OPTIONAL)).map(lambda some: ("health_checkup", *sorted(some)))


class Machine(RuleBasedStateMachine):
    """The bank on one side, a dictionary on the other."""

    folder: Path
    runner: asyncio.Runner

    @initialize()
    def start(self) -> None:
        self.clock = FrozenClock()
        data = self.folder / f"run-{id(self)}"
        shutil.copytree(self.folder / "empty", data)
        self.data = data
        self.stack = contextlib.AsyncExitStack()
        self.bank: Bank = self.go(self._open(data))
        self.token: str | None = None
        self.in_token: tuple[str, ...] = ()
        self.token_consent = ""
        self.consent: str | None = None
        self.covered: tuple[str, ...] = ()
        self.until = 0
        self.suspended = self.held = False
        self.kept = dict.fromkeys(DATA, 0)
        self.given: list[str] = []
        self.agree(("health_checkup", "mobility"))
        self.deposit("health_checkup")

    async def _open(self, data: Path) -> Bank:
        app = create_app(Settings(data=data, issuer="http://localhost:8080", jobs=False), clock=self.clock)
        await self.stack.enter_async_context(app.running(jobs=False))
        http = await self.stack.enter_async_context(
            httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost:8080")
        )
        return await Bank(app, http).open()

    def go(self, work: Any) -> Any:
        return self.runner.run(work)

    def stands(self) -> bool:
        return self.consent is not None and self.clock.ms() < self.until

    @rule(wanted=categories)
    @precondition(lambda self: not self.suspended and not self.held)
    def agree(self, wanted: tuple[str, ...]) -> None:
        self.consent = self.go(self.bank.agree(self.bank.hana, *wanted))
        self.covered, self.until = wanted, self.clock.ms() + 180 * DAY

    @rule(wanted=categories)
    @precondition(lambda self: self.stands())
    def change(self, wanted: tuple[str, ...]) -> None:
        bank = self.bank
        self.go(
            bank.db.write(
                records.change, bank.sealer, consent_id=self.consent, account_id=bank.hana, categories=wanted,
                actor=bank.resident(bank.hana), now=bank.now,
            )
        )  # fmt: skip
        self.covered = wanted

    @rule()
    @precondition(lambda self: self.stands())
    def withdraw(self) -> None:
        self.go(self.bank.withdraw(self.bank.hana, str(self.consent)))
        if self.token_consent == self.consent:
            self.token = None  # its grant ended with the consent
        self.consent = None

    @rule(wanted=categories)
    @precondition(lambda self: self.consent is not None)
    def ask_for_a_token(self, wanted: tuple[str, ...]) -> None:
        self.token = self.go(self.bank.token(self.bank.hana, self.consent, *wanted))
        self.token_consent, self.in_token = str(self.consent), wanted
        self.token_until = self.clock.ms() // 1000 * 1000 + 300_000

    @rule(category=st.sampled_from(sorted(DATA)))
    def deposit(self, category: str) -> None:
        self.go(self.bank.put(self.bank.hana, category, DATA[category]))
        self.kept[category] += 1

    @rule(wanted=asked, how=st.sampled_from(["suspended", "held"]))
    def contain_for_a_while(self, wanted: set[str], how: str) -> None:
        """A fetch while the member is contained, and one after."""
        stop, go_on = {
            "suspended": (members.suspend, members.approve),
            "held": (holds.hold, holds.release),
        }[how]
        self.go(self.bank.db.write(stop, "mem_clinic", actor=SYSTEM, now=self.bank.now))
        setattr(self, how, True)
        self.fetch(wanted, fresh=False)
        self.go(self.bank.db.write(go_on, "mem_clinic", actor=SYSTEM, now=self.bank.now))
        setattr(self, how, False)
        self.fetch(wanted, fresh=False)

    @rule(span=st.sampled_from([1_000, 60_000, 60_000, 400_000, 100 * DAY]))
    def wait(self, span: int) -> None:
        self.clock.advance(ms=span)

    @rule(wanted=asked, fresh=st.booleans())
    def fetch_soon(self, wanted: set[str], fresh: bool) -> None:
        self.fetch(wanted, fresh=fresh)

    @rule(wanted=asked, fresh=st.booleans())
    def fetch(self, wanted: set[str], fresh: bool) -> None:
        if self.consent is not None and (fresh or self.token is None):
            self.ask_for_a_token(self.covered)
        if self.token is None:
            return
        answer = self.go(self.bank.fetch(str(self.token), category=sorted(wanted), limit=1000))
        alive = self.clock.ms() < self.token_until and not self.suspended
        open_ = alive and not self.held and self.stands() and self.token_consent == self.consent
        expected = wanted & set(self.covered) & set(self.in_token) if open_ else set()
        if not expected:
            assert answer.status_code in (401, 403), answer.text
            return
        assert answer.status_code == 200, answer.text
        body = answer.json()
        counts = {category: 0 for category in expected}
        for record in body["records"]:
            counts[record["category"]] += 1  # a KeyError here is a category that was not covered
        assert counts == {category: self.kept[category] for category in expected}
        assert {entry["category"] for entry in body["withheld"]} == wanted - expected
        self.given.append(body["disclosure"])

    @invariant()
    def the_history_holds_what_was_given_and_nothing_else(self) -> None:
        if hasattr(self, "bank"):
            found = self.go(self.bank.db.read(disclosures.history, self.bank.hana))
            assert sorted(line.id for line in found) == sorted(self.given)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.go(self.stack.aclose())
            shutil.rmtree(self.data)


def _run(empty_city: Path, folder: Path, *, examples: int, steps: int) -> None:
    shutil.copytree(empty_city, folder / "empty")
    with asyncio.Runner() as runner:
        Machine.folder, Machine.runner = folder, runner
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=examples < 50,
                phases=list(Phase) if examples >= 50 else [Phase.generate],  # shrinking takes minutes here
            ),
        )


def test_no_disclosure_without_a_consent_that_covers_it_at_that_moment(empty_city: Path, tmp_path: Path) -> None:
    """I1, in a short run that is the same every time."""
    _run(empty_city, tmp_path, examples=8, steps=30)


@pytest.mark.long
def test_no_disclosure_without_consent_in_a_long_random_run(empty_city: Path, tmp_path: Path) -> None:
    """I1, at length."""
    _run(empty_city, tmp_path, examples=200, steps=60)
