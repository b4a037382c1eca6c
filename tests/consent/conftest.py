"""The bureau, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from kit.clock import FrozenClock
from kit.db import Database
from tests.consent.bureau import Bureau, open_bureau


@pytest.fixture
async def bureau(db: Database, clock: FrozenClock) -> AsyncIterator[Bureau]:
    """Keys, identity and consent with one approved agreement of one member."""
    async with open_bureau(db, clock) as made:
        yield made


@pytest.fixture
async def web(bureau: Bureau) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the front table alone."""
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=bureau.front), base_url="http://localhost:8080"
    ) as made:
        yield made
