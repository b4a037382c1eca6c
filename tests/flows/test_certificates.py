"""Certificates over real TLS: the listener that asks for one, curl with a certificate of the openssl command's make, a
browser's way there and back."""

import asyncio
import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import uvicorn

from identity.settings import IdentitySettings
from kit.clock import SystemClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.server import configs
from portal.settings import Settings
from tests.identity.test_oauth_client_auth import MACHINE
from tests.portal.test_signin import PASSWORD, add
from tests.support.certificates import Authority, Pair
from tests.support.pki import Maker, OpenSSL
from tests.support.relying_party import Party, join
from tests.support.server import free_port
from tests.support.site import Site, reply, serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here"),
]


class Quiet(uvicorn.Server):
    """uvicorn, leaving signals alone."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


@dataclass
class World:
    """A city that serves TLS itself, on two ports."""

    app: Building
    place: Path
    issuer: str
    listener: str
    card: Maker
    site: Site
    party: Party
    openssl: OpenSSL
    number: int = 0

    def give(self, common: str, **more: Any) -> Pair:
        return self.card.give(common, crl=self.site.url("/card.crl"), **more)

    async def curl(self, pair: Pair | None, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        own: list[str] = []
        if pair is not None:
            self.number += 1
            cert, key = pair.write(self.place, f"pair{self.number}")
            own = ["--cert", str(cert), "--key", str(key)]
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "--max-time", "10", "--cacert", str(self.place / "server-ca.pem"), *own, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        return process.returncode or 0, out.decode(), errors.decode()

    async def token(self, pair: Pair | None) -> dict[str, Any]:
        data = ["-d", "grant_type=client_credentials", "-d", f"client_id={self.party.client.id}"]
        code, out, errors = await self.curl(pair, f"{self.listener}/oauth/token", *data)
        return dict(json.loads(out)) if code == 0 else {"refused": errors}


async def listening(port: int) -> None:
    """Until somebody answers there."""
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


@pytest.fixture(scope="module")
async def w(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    place = tmp_path_factory.mktemp("tls")
    shutil.copytree(empty_city, place / "data")
    card, server = Maker("Card"), Authority("Server CA")
    (place / "card.pem").write_bytes(card.pem)
    (place / "server-ca.pem").write_bytes(server.pair.pem)
    cert, key = server.give("localhost", "localhost").write(place, "server")
    port, second = free_port(), free_port()
    issuer, listener = f"https://localhost:{port}", f"https://localhost:{second}"
    authority = {
        "id": "card", "uses": ["clients", "residents"], "anchors": place / "card.pem", "checking": ["crl"],
        "label_ja": "市民カード", "label_en": "City Card", "fresh_seconds": 10,
    }  # fmt: skip
    identity = {"certificate_authorities": [authority], "mtls_url": listener}
    settings = Settings(
        data=place / "data", issuer=issuer, jobs=False, identity=IdentitySettings.model_validate(identity),
        outgoing=OutgoingSettings(allow=("127.0.0.1",)),
    )  # fmt: skip
    async with serving() as site, create_app(settings, clock=SystemClock()).running(jobs=False) as app:
        site.answer = lambda _path: reply(card.crl())
        listeners = configs(
            app, host="127.0.0.1", port=port, tls_cert=cert, tls_key=key, mtls_port=second, mtls_ca=place / "card.pem"
        )
        servers = [Quiet(one) for one in listeners]
        tasks = [asyncio.create_task(one.serve()) for one in servers]
        for config in listeners:
            await listening(config.port)
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=issuer) as http:
            party = await join(
                app, http, **MACHINE, token_endpoint_auth_method="tls_client_auth",
                tls_client_auth_subject_dn="CN=meter,O=Minato-hama,C=JP",
            )  # fmt: skip
            yield World(app, place, issuer, listener, card, site, party, OpenSSL(card, place / "openssl"))
        for one in servers:
            one.should_exit = True
        await asyncio.gather(*tasks)


async def test_curl_with_a_certificate_in_good_standing_gets_a_token_and_without_none(w: World) -> None:
    """RFC 8705 section 2.1 and RFC 5280 section 6.3, by a list that `openssl ca` made."""
    good, gone = w.give("meter"), w.give("meter")
    w.openssl.note(good=[good.certificate], revoked=[gone.certificate])
    made = w.openssl.crl()
    w.site.answer = lambda _path: reply(made)
    assert "access_token" in await w.token(good)
    assert (await w.token(gone))["error"] == "invalid_client"
    assert (await w.token(None))["error"] == "invalid_client"


@pytest.mark.parametrize("pair", ["expired", "strange"])
async def test_what_is_not_of_the_authority_or_of_now_ends_in_the_handshake(w: World, pair: str) -> None:
    shown = w.give("meter", days=-1) if pair == "expired" else Maker("Card").give("meter")
    assert "refused" in await w.token(shown)


async def test_a_browser_goes_to_the_listener_and_comes_back_linked_then_signed_in(w: World) -> None:
    """The whole way over TLS, with cookies kept as a browser keeps them: by host, whatever the port."""
    card = w.give("湊 花")
    await add(w.app, app_on=False)
    trust = ssl.create_default_context(cafile=str(w.place / "server-ca.pem"))
    cert, key = card.write(w.place, "card-of-hana")
    shows = ssl.create_default_context(cafile=str(w.place / "server-ca.pem"))
    shows.load_cert_chain(cert, key)
    async with httpx2.AsyncClient(verify=trust) as browser, httpx2.AsyncClient(verify=shows) as other:
        browser.headers["origin"] = w.issuer

        async def to(path: str, **form: str) -> str:
            answer = await browser.post(f"{w.issuer}{path}", data=form)
            assert answer.status_code == 303, answer.text
            return str(answer.headers["location"])

        async def over(url: str) -> str:
            assert url.startswith(w.listener)
            other.cookies = browser.cookies
            shown = await other.get(url)
            assert "set-cookie" not in shown.headers
            assert shown.headers["location"].startswith(w.issuer)
            answer = await browser.get(shown.headers["location"])
            return str(answer.headers.get("location", answer.text))

        await to("/sign-in", login="hana", password=PASSWORD, next="/safety")
        assert await over(await to("/safety/linked/certificate", authority="card")) == "/safety/linked"
        await to("/sign-out")
        assert await over(await to("/sign-in/certificate", authority="card", next="/consents")) == "/consents"
        await to("/sign-out")
        url = await to("/sign-in/certificate", authority="card", next="/consents")
        code, out, _ = await w.curl(None, "-o", "/dev/null", "-w", "%{redirect_url}", url)
        assert code == 0
        assert parse_qs(urlsplit(out).query)["problem"] == ["no-certificate"]


async def test_an_authority_between_that_the_client_sends_in_the_handshake_makes_its_path(w: World) -> None:
    """RFC 8446 section 4.4.2: a client sends the authorities that lead to the anchor. Python hands them on."""
    between = Maker("Between", w.card)
    w.site.answer = lambda path: reply(between.crl() if path == "/between.crl" else w.card.crl())
    pair = between.give("meter", crl=w.site.url("/between.crl"))
    assert "refused" in await w.token(pair)  # the handshake ends: OpenSSL finds no path either
    whole = Along(pair.certificate, pair.key, between.pem)
    assert "access_token" in await w.token(whole)


@dataclass
class Along(Pair):
    """A certificate that is sent with the authority above it."""

    above: bytes

    @property
    def pem(self) -> bytes:
        return super().pem + self.above


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_connection_signs_nobody_in(w: World, version: ssl.TLSVersion) -> None:
    """Else a certificate would be believed that was shown hours ago, by a session kept in a file."""
    cert, key = w.give("meter").write(w.place, "resumer")
    context = ssl.create_default_context(cafile=str(w.place / "server-ca.pem"))
    context.load_cert_chain(cert, key)
    context.minimum_version = context.maximum_version = version
    place = urlsplit(w.listener)
    request = (
        f"GET /sign-in/certificate/show?begun=skc_{'x' * 43}&authority=card HTTP/1.1\r\n"
        f"host: {place.netloc}\r\nconnection: close\r\n\r\n"
    )

    def once(session: Any) -> tuple[Any, bool, str]:
        with (
            socket.create_connection(("127.0.0.1", place.port or 0), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
        ):
            tls.sendall(request.encode())
            said = b""
            while got := tls.recv(4096):
                said += got
            return tls.session, bool(tls.session_reused), said.decode()

    first, _, answer = await asyncio.to_thread(once, None)
    assert "ticket=" in answer
    _, reused, answer = await asyncio.to_thread(once, first)
    assert ("problem=no-certificate" in answer) == reused
    assert reused == (version is ssl.TLSVersion.TLSv1_2)
