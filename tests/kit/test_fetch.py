"""The guarded way out: what is refused, on the wire (OWASP SSRF prevention; RFC 7591 section 5)."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kit.fetch import AllowList, Fetcher, FetchRefused, OutgoingSettings, is_public, judge
from tests.support.site import Site, reply


def fetcher(*allow: str, seconds: float = 5) -> Fetcher:
    return Fetcher(OutgoingSettings(allow=allow, seconds=seconds))


async def refused(going: Awaitable[object]) -> str:
    with pytest.raises(FetchRefused) as error:
        await going
    return error.value.reason


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:53aa:64c:0:0:80ff:fffe", "2001:db8::1",
        "fec0::1", "64:ff9b:1::7f00:1", "64:ff9b:1::808:808", "::127.0.0.1", "::808:808",
    ],
)  # fmt: skip
def test_an_address_that_is_ours_however_it_is_wrapped_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_an_address_in_the_open_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "", "/jwks", "client.example/jwks", "http://client.example/jwks", "ftp://client.example/", "file:///etc/passwd",
        "https://user@client.example/", "https://client.example\\@evil.example/", "https:///jwks",
        "https://client.example:port/", "https://client.exаmple/", "https://client.example/a b", "gopher://x/",
    ],
)  # fmt: skip
def test_only_plain_https_addresses_are_fetched(url: str) -> None:
    with pytest.raises(FetchRefused):
        judge(url, AllowList(()))


async def test_a_private_address_is_refused_before_anything_is_sent(site: Site) -> None:
    assert await refused(fetcher().get(f"https://127.0.0.1:{site.port}/")) == "address"
    assert await refused(fetcher().get(f"https://localhost:{site.port}/")) == "address"
    assert await refused(fetcher().get(site.url())) == "address"
    assert site.asked == []


async def test_the_operators_list_opens_a_host_or_a_network(site: Site) -> None:
    for entry in ("127.0.0.1", "127.0.0.0/8"):
        assert (await fetcher(entry).get(site.url())).body == b"{}"
    assert (await fetcher("localhost").get(f"http://localhost:{site.port}/")).status == 200


async def test_one_private_address_among_public_ones_refuses_the_name(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the answer that is judged is the one that is used, and a mixed answer is a lie."""
    going = fetcher()
    looked: list[str] = []

    async def look_up(host: str, port: int) -> list[object]:
        looked.append(host)
        return [ipaddress.ip_address("203.0.114.7"), ipaddress.ip_address("127.0.0.1")]

    monkeypatch.setattr(going, "look_up", look_up)
    assert await refused(going.get("https://rebinding.example/jwks")) == "address"
    assert looked == ["rebinding.example"]
    assert site.asked == []


async def test_the_name_is_looked_up_once_and_the_connection_goes_to_that_address(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = fetcher("partner.lan")
    answers = iter([[ipaddress.ip_address("127.0.0.1")]])  # a second look-up would raise

    async def look_up(host: str, port: int) -> list[object]:
        return list(next(answers))

    monkeypatch.setattr(going, "look_up", look_up)
    assert (await going.get(f"http://partner.lan:{site.port}/jwks")).status == 200
    assert f"host: partner.lan:{site.port}".encode() in site.asked[0].lower()


async def test_size_and_time_are_bounded(site: Site) -> None:
    site.answer = lambda _: reply(b"x" * 1001)
    assert await refused(fetcher("127.0.0.1").get(site.url(), limit=1000)) == "size"

    async def never() -> bytes:
        await asyncio.sleep(0.4)
        return b""

    site.answer = lambda _: never()
    assert await refused(fetcher("127.0.0.1", seconds=0.2).get(site.url())) == "time"
    await asyncio.sleep(0.3)


async def test_a_host_that_never_answers_holds_nobody_else_up(site: Site) -> None:
    """Closes: a stranger's tarpit takes every place on the way out."""
    going, full, let_go = fetcher("127.0.0.1", "localhost"), asyncio.Event(), asyncio.Event()
    at_once: list[int] = []

    async def never() -> bytes:
        at_once.append(1)
        if len(at_once) == 2:
            full.set()
        await let_go.wait()
        return reply(b"late")

    site.answer = lambda path: never() if path == "/tarpit" else reply(b"here")
    stuck = [asyncio.create_task(going.get(site.url("/tarpit"))) for _ in range(32)]
    await full.wait()
    assert await refused(going.get(site.url("/tarpit"))) == "busy"  # and does not wait for it
    assert (await going.get(f"http://localhost:{site.port}/")).body == b"here"
    assert len(at_once) == 2
    let_go.set()
    assert {answer.body for answer in await asyncio.gather(*stuck)} == {b"late"}
    assert (await going.get(site.url("/"))).body == b"here"
    assert going._doors == {}


async def test_a_name_server_that_never_answers_holds_nobody_else_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, let_go = socket.getaddrinfo, threading.Event()
    asked: list[str] = []

    def look_up(host: str, *args: Any, **options: Any) -> Any:
        asked.append(host)
        if host == "never.example":
            let_go.wait(10)
        return real("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    going = fetcher("localhost", seconds=0.3)
    try:
        for _ in range(2):  # these give up, their threads can't
            assert await refused(going.get("https://never.example/")) == "time"
        for _ in range(40):
            assert await refused(going.get("https://never.example/")) == "busy"
        assert (await going.get(f"http://localhost:{site.port}/")).status == 200
        assert asked == ["never.example", "never.example", "localhost"]
    finally:
        let_go.set()


async def test_a_compressed_answer_is_refused(site: Site) -> None:
    site.answer = lambda _: reply(b"\x1f\x8b", "200 OK", "content-encoding: gzip")
    assert await refused(fetcher("127.0.0.1").get(site.url())) == "encoding"


async def test_a_redirect_may_stay_at_home_and_nowhere_else(site: Site) -> None:
    site.answer = lambda path: reply(b"", "302 Found", "location: /b") if path == "/a" else reply(b"here")
    assert (await fetcher("127.0.0.1").get(site.url("/a"))).body == b"here"
    for target in (
        "http://localhost/",
        "https://127.0.0.1/",
        f"http://127.0.0.1:{site.port + 1}/",
        "file:///etc/passwd",
    ):
        site.answer = lambda _, to=target: reply(b"", "302 Found", f"location: {to}")
        assert await refused(fetcher("127.0.0.1", "localhost").get(site.url("/a"))) in {"redirect", "address"}
    site.answer = lambda _: reply(b"", "302 Found", "location: /a")
    assert await refused(fetcher("127.0.0.1").get(site.url("/a"))) == "redirect"


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for loopback that vouches for itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "loopback.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret = folder / "loopback.key"
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(path, secret)
    return path, context


async def test_only_a_certificate_somebody_vouches_for_is_taken(tmp_path: Path) -> None:
    path, context = certificate(tmp_path)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply(b"safe"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    assert await refused(fetcher("127.0.0.1").get(url)) == "network"
    trusting = Fetcher(OutgoingSettings(allow=("127.0.0.1",), ca_file=path))
    assert (await trusting.get(url)).body == b"safe"
    server.close()


async def test_a_post_is_sent_whole_and_not_redirected(site: Site) -> None:
    site.answer = lambda _: reply(b"", "307 Temporary Redirect", "location: /b")
    answer = await fetcher("127.0.0.1").post(
        site.url("/a"), b"logout_token=x", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status == 307
    assert len(site.asked) == 1
