"""What every case of tests.portal.test_every_write is given, and where it is kept."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2

from portal.app import Building
from tests.kit.tlog_support import TestKey
from tests.portal.test_signin import PASSWORD, add, post
from tests.support.authenticator_app import code_at
from tests.support.desk import Colleague, colleague
from tests.support.household import Household, settle
from tests.support.relying_party import Party, join
from tests.support.writes import Watch

NEIGHBOUR = TestKey("other.city.example/log")


@dataclass
class World:
    """The building behind a watch, and whoever a case needs."""

    app: Building
    http: httpx2.AsyncClient
    watch: Watch

    async def staff(self, *roles: str) -> Colleague:
        return await colleague(self.app, self.http, *(roles or ("operator", "analyst", "lead", "ethics")))

    async def home(self, **registration: Any) -> Household:
        return await settle(self.app, self.http, **registration)

    async def party(self, **registration: Any) -> Party:
        return await join(self.app, self.http, **registration)

    async def inside(self, *, app_on: bool = False) -> str:
        """A resident signed in by the forms, in the client's own cookies; the secret of their app."""
        _, secret = await add(self.app, app_on=app_on)
        await post(self.http, "/sign-in", login="hana", password=PASSWORD, next="/safety")
        if app_on:
            await post(self.http, "/sign-in/code", code=code_at(secret, self.app.host.clock.ms()))
        return secret


Case = Callable[[World], Awaitable[Any]]
CASES: dict[str, Case] = {}


def case(operation: str) -> Callable[[Case], Case]:
    """What performs the operation, once, with success: the last such request counts."""

    def keep(run: Case) -> Case:
        assert operation not in CASES
        CASES[operation] = run
        return run

    return keep
