"""A browser in another network."""

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import httpx2

if TYPE_CHECKING:
    from portal.app import Building


@contextlib.asynccontextmanager
async def elsewhere(app: "Building", number: int) -> AsyncIterator[Any]:
    """An HTTP client of the building like the fixture's, from an address of its own."""
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False, client=(f"198.51.100.{number}", 40_000))
    async with httpx2.AsyncClient(transport=transport, base_url=app.settings.issuer) as made:
        yield made
