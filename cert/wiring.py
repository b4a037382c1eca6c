"""Where the incident desk plugs into the building."""

from cert import intake
from cert.desk import Desk
from cert.errors import ALL
from cert.routes import make_router
from cert.seals import Seals
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.host import Host


def include(host: Host) -> None:
    """Routes, problems, the service `Desk`, and the follower of the audit trail (every second)."""
    seals = Seals(host.get(Sealer), host.get(TokenHasher))
    desk = Desk(seals)
    host.provide(Desk, desk)
    host.routes("operator", make_router(host.db, host.clock, desk))
    host.problems(*ALL)

    async def follow() -> None:
        while (await intake.follow(host.db, seals)).more:
            pass

    host.job("cert.follow", 1.0, follow)
