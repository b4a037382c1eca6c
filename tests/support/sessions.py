"""Browser sessions made in a data directory that nobody serves: for tests whose subject isn't signing in."""

import asyncio
from pathlib import Path

from identity.sessions import Sessions
from kit.db import Session
from portal.app import create_app
from portal.settings import Settings


def signed_in(data: Path, account_ids: list[str], *, issuer: str) -> list[str]:
    """One session token for each account, as after a password and a one-time code."""

    async def make() -> list[str]:
        building = create_app(Settings(data=data, issuer=issuer, jobs=False))
        async with building.running(jobs=False):
            sessions = building.host.get(Sessions)

            def begin(session: Session) -> list[str]:
                return [
                    sessions.begin(session, account_id, acr="urn:sekisho:aal:2", amr=["pwd", "otp", "mfa"])[0]
                    for account_id in account_ids
                ]

            return await building.host.db.write(begin)

    return asyncio.run(make())
