"""The desk on a real database, with keys, accounts and the real sign-in; the portal's part is in test_containment."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

import cert.models  # noqa: F401 - its tables must exist before the database is made
from cert import intake, wiring
from cert.desk import Desk
from cert.seals import Seals
from kit.audit import AuditEntry
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import Actor
from tests.support.office import Office, open_office

ANALYST = Actor("operator", "acc_analyst", frozenset({"analyst"}))
LEAD = Actor("operator", "acc_lead", frozenset({"lead"}))


@dataclass
class DeskOffice:
    """An office with a desk in it."""

    office: Office
    desk: Desk

    @property
    def seals(self) -> Seals:
        return self.desk.seals

    @property
    def db(self) -> Database:
        return self.office.db

    @property
    def now(self) -> int:
        return self.office.clock.ms()

    async def write(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A domain function that takes the seals after the session."""
        return await self.db.write(fn, self.seals, *args, **kwargs)

    async def read(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The same, reading."""
        return await self.db.read(fn, self.seals, *args, **kwargs)

    async def follow(self) -> intake.Followed:
        """One run of the follower, after the trail is sealed."""
        await self.office.audit("cert")
        return await intake.follow(self.db, self.seals)

    async def audit(self, action: str) -> list[AuditEntry]:
        return await self.office.audit(action)


@pytest.fixture
async def desk(db: Database, clock: FrozenClock) -> AsyncIterator[DeskOffice]:
    async with open_office(db, clock) as office:
        office.host.package = "cert"
        wiring.include(office.host)
        yield DeskOffice(office, office.host.get(Desk))
