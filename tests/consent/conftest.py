"""The bureau, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator

import pytest

from kit.clock import FrozenClock
from kit.db import Database
from tests.consent.bureau import Bureau, open_bureau


@pytest.fixture
async def bureau(db: Database, clock: FrozenClock) -> AsyncIterator[Bureau]:
    """Keys, identity and consent with one approved agreement of one member."""
    async with open_bureau(db, clock) as made:
        yield made
