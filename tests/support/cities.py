"""Cities in a federation, each served on loopback from this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import uvicorn

from kit.clock import FrozenClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings


@contextlib.asynccontextmanager
async def served(
    data: Path, clock: FrozenClock, port: int, *, upstreams: Any = (), **federation: Any
) -> AsyncIterator[Building]:
    """A city on loopback."""
    identity = Settings(data=data).identity.model_validate(
        {"federation": {"on": True, **federation}, "source_tries": 1000, "upstreams": upstreams}
    )
    settings = Settings(
        data=data, issuer=f"http://127.0.0.1:{port}", jobs=False, identity=identity,
        outgoing=OutgoingSettings(allow=("127.0.0.1",)),
    )  # fmt: skip
    async with create_app(settings, clock=clock).running(jobs=False) as app:
        server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off", log_level="error", ws="none")
        )
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield app
        server.should_exit = True
        await task
