"""A city in a federation, and the members around it: what the tests of federation share.

The other members are independent of our code (tests/support/federation.py); one web server on loopback holds them.
"""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from identity.clients import Clients
from identity.federation.service import Federation
from kit.clock import FrozenClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings
from tests.support.federation import World
from tests.support.relying_party import Party, join, pkce
from tests.support.site import serving

ISSUER = "http://localhost:8080"
CONFIGURATION = "/.well-known/openid-federation"


class City:
    """The city under test, and the world around it."""

    def __init__(self, app: Building, http: httpx2.AsyncClient, world: World, party: Party) -> None:
        self.app, self.http, self.world, self.party = app, http, world, party
        self.federation = app.host.get(Federation)

    def request_object(self, name: str, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed authorization request."""
        self.party.verifier, challenge = pkce()
        claims = {
            "aud": ISSUER, "client_id": self.world.url(name), "response_type": "code", "scope": "openid profile",
            "redirect_uri": f"{self.world.url(name)}/cb", "state": "s", "nonce": "n",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return self.world.by_rp(name, "oauth-authz-req+jwt", header, **claims | changes)

    async def come(self, name: str, token: str | None = None, **more: str) -> httpx2.Response:
        asked = {"client_id": self.world.url(name), "request": token or self.request_object(name), **more}
        return await self.party.authorize(asked)

    def assertion(self, name: str, **changes: Any) -> dict[str, str]:
        claims = {"sub": self.world.url(name), "aud": ISSUER, **changes}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.world.by_rp(name, **claims),
        }

    async def register(self, name: str, body: str | None = None, **changed: Any) -> httpx2.Response:
        """Explicit registration: by its own statement, or by what is handed in instead."""
        party = self.world.parties[name]
        party.now = self.world.now()
        token = body or party.configuration(**{"aud": ISSUER, **changed})
        kind = "application/trust-chain+json" if token.startswith("[") else "application/entity-statement+jwt"
        return await self.http.post("/federation/register", content=token, headers={"content-type": kind})

    async def client(self, name: str) -> Any:
        return await self.app.host.get(Clients).get(self.world.url(name))


@pytest.fixture(scope="module")
async def city(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    clock, data = FrozenClock(), tmp_path_factory.mktemp("federation") / "data"
    shutil.copytree(empty_city, data)
    async with serving() as site:
        world = World(site, lambda: clock.ms() // 1000)
        federation = {"on": True, "trust_anchors": world.anchors, "authority_hints": [world.url("pref")],
                      "organization_name": "湊浜市"}  # fmt: skip
        identity = Settings(data=data).identity.model_validate({"federation": federation, "source_tries": 1000})
        settings = Settings(
            data=data, issuer=ISSUER, jobs=False, identity=identity, outgoing=OutgoingSettings(allow=("127.0.0.1",))
        )
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
                yield City(app, http, world, await join(app, http))


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> None:
    """Nobody says anything odd left over from the test before."""
    if "city" in request.fixturenames:
        made: City = request.getfixturevalue("city")
        made.world.said.clear()
        made.world.answers.clear()
