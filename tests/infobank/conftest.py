"""The bank on a served building."""

from typing import Any

import pytest

from portal.app import Building
from tests.support.bank import Bank


@pytest.fixture
async def bank(app: Building, client: Any) -> Bank:
    """A bank with residents, members and an approved agreement."""
    return await Bank(app, client).open()
