"""Services' logos: fetched by us, taken apart, served by what they are, shown only where somebody stands for them."""

import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from identity import logos, members
from identity.clients import Clients, registration_of
from identity.logo_images import LogoRefused, read
from identity.logos import Logos
from kit import audit
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from portal.app import Building, create_app
from tests.support.desk import colleague
from tests.support.relying_party import Party, advance, join, location
from tests.support.site import Site, reply


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int = 32, height: int = 32, *between: bytes, colour: int = 0) -> bytes:
    """A grey square."""
    rows = b"".join(b"\0" + bytes([colour]) * width for _ in range(min(height, 64)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + body


def jpeg(*between: bytes) -> bytes:
    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    frame = segment(0xC0, struct.pack(">BHHB", 8, 32, 48, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0") + b"".join(between) + frame + scan + b"\xff\xd9"


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for name, content in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


LOSSLESS = b"VP8L", b"\x2f" + struct.pack("<I", 31 | 31 << 14) + b"pixels"
LOSSY = b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 32, 32) + b"pixels."
WHERE = b"Exif\0\0 35.6N 139.7E"


def canvas(flags: int) -> tuple[bytes, bytes]:
    return b"VP8X", bytes([flags, 0, 0, 0]) + (31).to_bytes(3, "little") * 2


def refused(data: bytes, declared: str = "image/png") -> str:
    with pytest.raises(LogoRefused) as caught:
        read(data, declared)
    return caught.value.reason


def test_only_what_draws_is_kept() -> None:
    told, behind = chunk(b"tEXt", b"Comment\0" + WHERE), b"<script>alert(1)</script>"
    assert read(png(32, 32, told) + behind, "image/png").body == png()
    exif = b"\xff\xe1" + struct.pack(">H", len(WHERE) + 2) + WHERE
    found = read(jpeg(exif) + behind, "image/jpeg")
    assert (found.body, found.width, found.height) == (jpeg(), 48, 32)
    assert read(webp(canvas(0x1C), LOSSLESS, (b"EXIF", WHERE)) + behind, "image/webp").body == webp(
        canvas(0x10), LOSSLESS
    )
    for whole in (webp(LOSSLESS), webp(LOSSY), webp(canvas(0x10), (b"ALPH", b"abc"), LOSSY)):
        assert read(whole, "image/webp").body == whole


def test_what_is_no_still_picture_of_a_marks_size_is_refused() -> None:
    assert refused(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml") == "type"
    assert refused(b"GIF89a" + bytes(40), "image/gif") == "type"
    assert refused(png(), "image/jpeg") == "type"  # two readers would take it for two things
    assert refused(png(), "image/svg+xml") == "type"
    assert refused(png(8, 8)) == refused(png(1025, 32)) == refused(png(32, 60_000)) == "size"
    assert refused(png() + bytes(200_000)) == "size"
    assert refused(png(32, 32, chunk(b"acTL", bytes(8)))) == "moving"
    assert refused(webp(canvas(0x02), LOSSLESS), "image/webp") == "moving"
    assert refused(webp(canvas(0), (b"ANIM", bytes(6)), LOSSLESS), "image/webp") == "moving"


def test_nothing_that_is_cut_or_bent_gets_through() -> None:
    """Every prefix, and every byte of the head changed: a picture or a refusal, never another error."""
    for whole, kind in ((png(), "image/png"), (jpeg(), "image/jpeg"), (webp(canvas(0), LOSSY), "image/webp")):
        for end in range(len(whole)):
            assert refused(whole[:end], kind) in ("broken", "type")
        for at in range(len(whole)):
            try:
                read(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :], kind)
            except LogoRefused:
                continue
    assert refused(png().replace(b"IDAT", b"JDAT")) == "broken"


@pytest.fixture
async def outside(settings: Any, clock: Any) -> AsyncIterator[tuple[Building, httpx2.AsyncClient]]:
    """A building that may fetch from loopback."""
    open_way = settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})
    async with create_app(open_way, clock=clock).running(jobs=False) as app:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
            yield app, http


def picture(body: bytes, kind: str = "image/png") -> Any:
    return lambda _path: reply(body, "200 OK", f"content-type: {kind}")


async def asked(party: Party) -> str:
    """The page that asks the resident, in English."""
    base, _ = location(await party.authorize(party.request()))
    headers = {"cookie": f"sekisho-local={party.cookie}", "accept-language": "en"}
    return (await party.http.get(base.removeprefix(party.issuer), headers=headers)).text


async def test_a_members_logo_is_fetched_once_and_shown_from_here(
    outside: tuple[Building, httpx2.AsyncClient], site: Site
) -> None:
    app, http = outside
    site.answer = picture(png())
    there = {"logo_uri": site.url("/logo.png"), "policy_uri": "https://clinic.example/privacy"}
    party = await join(
        app, http, **there, tos_uri="https://clinic.example/terms",
        localized={"policy_uri#en": "https://en.clinic.example/privacy"},
    )  # fmt: skip
    assert "service-logo" not in await asked(party)
    fetch = app.host.get(Logos).fetch_due
    assert await fetch() == 1
    assert await fetch() == 0
    page = await asked(party)
    for _ in range(3):
        await asked(party)
    assert len(site.asked) == 1  # the service never learns when a resident looks
    assert site.url() not in page
    assert page.index("Minato-hama Clinic") < page.index("service-logo")  # who stands for it comes first
    assert 'href="https://en.clinic.example/privacy"' in page
    assert 'href="https://clinic.example/terms"' in page
    found = await app.host.db.read(logos.find, party.client.id)
    assert found is not None
    assert f'src="{found.path}"' in page
    shown = await http.get(found.path)
    assert (shown.content, shown.headers["content-type"]) == (png(), "image/png")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "immutable" in shown.headers["cache-control"]
    assert (await http.get(found.path[:-1] + "x")).status_code == 404


async def test_it_is_looked_at_again_each_week_and_operators_read_why_it_is_not_shown(
    outside: tuple[Building, httpx2.AsyncClient], site: Site
) -> None:
    app, http = outside
    site.answer = picture(png())
    party = await join(app, http, logo_uri=site.url("/l"))
    fetch, place = app.host.get(Logos).fetch_due, f"/console/clients/{party.client.id}"
    await fetch()
    first = await app.host.db.read(logos.find, party.client.id)
    site.answer = lambda _path: reply(b"", "503 Service Unavailable")
    advance(app, 7 * 86_400 + 1)
    assert await fetch() == 1
    kept = await app.host.db.read(logos.find, party.client.id)
    assert first is not None
    assert kept is not None
    assert (kept.status, kept.reason, kept.digest) == ("shown", "fetch", first.digest)  # its site is away: it stays
    site.answer = picture(b"<svg/>", "image/svg+xml")
    operator = await colleague(app, http, "operator")
    await operator.post(place + "/logo", {"again": "1"})
    assert await fetch() == 1
    assert "not a PNG, JPEG or WebP" in (await operator.get(place)).text
    assert (await http.get(first.path)).status_code == 404
    found = await app.host.db.read(audit.entries, action="identity.client", object_id=party.client.id)
    told = [(one.action.rpartition(".")[2], (one.detail or {}).get("reason")) for one in found if "logo" in one.action]
    assert told == [
        ("logo_shown", ""), ("logo_shown", "fetch"), ("logo_asked", None), ("logo_refused", "type"),
    ]  # fmt: skip


async def test_another_address_takes_the_former_picture_away_at_once(
    outside: tuple[Building, httpx2.AsyncClient], site: Site
) -> None:
    app, http = outside
    site.answer = picture(png())
    party = await join(app, http, logo_uri=site.url("/one"))
    await app.host.get(Logos).fetch_due()
    registry = app.host.get(Clients)
    before = await app.host.db.read(registration_of, party.client.id)
    for uri in (site.url("/two"), None):
        changed = before.model_copy(update={"logo_uri": uri})
        await app.host.db.write(registry.replace, party.client.id, changed, actor=SYSTEM)
        assert "service-logo" not in await asked(party)


async def test_nobodys_logo_is_neither_fetched_nor_shown(
    outside: tuple[Building, httpx2.AsyncClient], site: Site
) -> None:
    """A stranger may call itself the city hall: it must not look like it too. Nor may a member who was stopped."""
    app, http = outside
    site.answer = picture(png())
    stranger = await join(app, http, member_id=None, logo_uri=site.url("/l"))
    await app.host.get(Logos).fetch_due()
    assert site.asked == []
    page = await asked(stranger)
    assert "service-logo" not in page
    assert "The city has not checked this service" in page
    member = await join(app, http, logo_uri=site.url("/m"))
    await app.host.get(Logos).fetch_due()
    assert "service-logo" in await asked(member)
    await app.host.db.write(members.suspend, member.client.member_id, actor=SYSTEM, now=app.host.clock.ms())
    gone = await app.host.get(Clients).get(member.client.id)
    assert gone is not None
    assert not logos.vouched(gone)


async def test_an_address_inside_is_never_fetched(app: Building, client: httpx2.AsyncClient, site: Site) -> None:
    """kit.fetch refuses it: whoever registers a client can't make us call our neighbours."""
    party = await join(app, client, logo_uri=f"https://127.0.0.1:{site.port}/l")
    await app.host.get(Logos).fetch_due()
    found = await app.host.db.read(logos.find, party.client.id)
    assert found is not None
    assert (found.status, found.reason, site.asked) == ("refused", "fetch", [])
