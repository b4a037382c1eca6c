"""A city, a provider that it lets people in by, and a browser between them: what the tests of upstreams share."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlmodel import select

from identity.sessions import BrowserSession, Sessions
from identity.upstream.flow import Upstreams
from identity.upstream.models import UpstreamLink
from keys.files import KeyFile
from kit import audit
from kit.fetch import OutgoingSettings
from kit.host import Actor
from portal.app import Building, create_app
from tests.portal.test_signin import PASSWORD, SESSION, add, post
from tests.support.upstream import PERSON, StandIn, standing_in

COOKIE = "sekisho-local-upstream"


@dataclass
class World:
    """A city, its upstream, and one browser."""

    app: Building
    http: Any
    there: StandIn

    def browser(self) -> Any:
        transport = httpx2.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=self.app.settings.issuer)

    async def away(self, next: str = "/consents", **more: str) -> str:
        """Press the button; the address at the upstream."""
        answer = await post(self.http, "/sign-in/with", upstream="app", next=next, **more)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])

    async def back(self, place: str) -> Any:
        return await self.http.get(place.removeprefix("http://localhost:8080"))

    async def go(self, next: str = "/consents") -> Any:
        """There and back."""
        return await self.back(await self.there.visit(await self.away(next)))

    async def session(self) -> BrowserSession | None:
        return await self.app.host.get(Sessions).find(self.http.cookies.get(SESSION))

    async def inside(self) -> str:
        account_id, _ = await add(self.app, app_on=False)
        await post(self.http, "/sign-in", login="hana", password=PASSWORD, next="/safety")
        return account_id

    async def linked(self, *, app_on: bool = False) -> str:
        """Hana, with the upstream linked as if from inside; signed in nowhere."""
        host = self.app.host
        account_id, _ = await add(self.app, app_on=app_on)
        links = host.get(Upstreams).links
        await host.db.write(
            links.link, account_id, "app", links.digest(self.there.issuer, self.there.subject),
            told=PERSON if self.there.secret is None else {}, now=host.clock.ms(), actor=Actor("resident", account_id),
        )  # fmt: skip
        return account_id

    async def rows(self) -> list[Any]:
        return list(await self.app.host.db.read(lambda session: session.exec(select(UpstreamLink)).all()))

    async def trail(self, action: str) -> list[Any]:
        return list(await self.app.host.db.read(lambda session: tuple(audit.entries(session, action=action))))


def key_file(folder: Path) -> tuple[Path, dict[str, Any]]:
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "upstream.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path, KeyFile(path).jwk


@pytest.fixture
async def w(settings: Any, clock: Any, tmp_path: Path) -> AsyncIterator[World]:
    path, public = key_file(tmp_path)
    async with standing_in(lambda: clock.ms() // 1000, client_key=public) as there:
        upstreams = [
            {
                "id": "app", "profile": "digital-auth-app", "issuer": there.issuer,
                "client_id": there.client_id, "key_file": path,
            },
            {
                "id": "other", "label_ja": "市立大学", "label_en": "City University", "issuer": there.site.url(""),
                "client_id": "c", "client_secret": "s",
            },
        ]  # fmt: skip
        identity = type(settings.identity).model_validate({"upstreams": upstreams, "source_tries": 100})
        outgoing = OutgoingSettings(allow=("127.0.0.1",))
        whole = settings.model_copy(update={"identity": identity, "outgoing": outgoing})
        async with create_app(whole, clock=clock).running(jobs=False) as app:
            made = World(app, None, there)
            async with made.browser() as made.http:
                yield made
