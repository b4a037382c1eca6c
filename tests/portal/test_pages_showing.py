"""A receipt shown to somebody: a code with an address that lasts ten minutes, and the hash of exactly this file."""

import hashlib
import re
from html import unescape

import httpx2
import pytest
import segno
from sqlalchemy import Connection, text

from consent import showing
from consent.verify import verify_receipt
from kit.encoding import b64url
from portal.app import Building
from portal.pages import showing as page
from tests.support.household import Household, settle
from tests.support.relying_party import advance, sign_in


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    return await settle(app, client)


async def shown(home: Household, consent: str) -> tuple[str, str]:
    """The address that the resident's screen shows, and the screen."""
    answer = await home.post(f"/consents/{consent}/receipt/show")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    found = re.search(r'id="address">([^<]+)<', answer.text)
    assert found
    return unescape(found[1]).removeprefix(home.party.issuer), answer.text


async def test_whoever_scans_the_code_reads_the_receipt_and_the_same_fingerprint(home: Household) -> None:
    consent = await home.give("mobility")
    address, screen = await shown(home, consent)
    assert re.fullmatch(r"/receipts/skr_[A-Za-z0-9_-]{43}", address)
    seen = await home.get(address, signed_in=False)
    assert "健康相談のための健診結果の利用" in seen.text
    assert "同意しました。" in seen.text
    assert "湊浜診療所" in seen.text
    prints = [re.search(r'id="fingerprint">([^<]+)<', each) for each in (screen, seen.text)]
    assert prints[0]
    assert prints[1]
    assert prints[0][1] == prints[1][1]
    file = await home.get(f"{address}/file", signed_in=False)
    assert hashlib.sha256(file.content).hexdigest().startswith(prints[0][1].replace(" ", ""))
    assert (await home.get(f"{address}/file", signed_in=False)).content == file.content, "made once, not anew"
    jwks, vkey = (await home.http.get("/oauth/jwks")).json(), (await home.http.get("/ledger/vkey")).text
    assert verify_receipt(file.content, jwks=jwks, vkey=vkey).event["record"] == consent


async def test_the_code_holds_the_address_and_the_hash_that_no_browser_sends(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    make = segno.make
    monkeypatch.setattr(segno, "make", lambda content, **more: drawn.append(content) or make(content, **more))
    address, screen = await shown(home, await home.give())
    file = await home.get(f"{address}/file", signed_in=False)
    digest = b64url(hashlib.sha256(file.content).digest())
    assert drawn == [f"{home.party.issuer}{address}#sha256={digest}"]
    svg = screen[screen.index("<svg xmlns") if "<svg xmlns" in screen else screen.index('class="qr-frame"') :]
    assert "style=" not in svg[: svg.index("</svg>")]


async def test_an_address_opens_for_ten_minutes_and_not_a_moment_longer(home: Household) -> None:
    address, _ = await shown(home, await home.give())
    advance(home.building, 599)
    assert (await home.get(address, signed_in=False)).status_code == 200
    advance(home.building, 1)
    for path in (address, f"{address}/file"):
        assert (await home.get(path, signed_in=False)).status_code == 404
    assert await home.building.host.db.bulk(showing.sweep, now=home.building.host.clock.ms()) == 1


async def test_a_new_code_ends_the_one_before(home: Household) -> None:
    consent = await home.give()
    first, _ = await shown(home, consent)
    second, _ = await shown(home, consent)
    assert [(await home.get(each, signed_in=False)).status_code for each in (first, second)] == [404, 200]


async def test_what_was_shown_stays_what_it_was_and_goes_with_the_resident(home: Household) -> None:
    consent = await home.give()
    address, _ = await shown(home, consent)
    before = (await home.get(f"{address}/file", signed_in=False)).content
    await home.post(f"/consents/{consent}/withdraw")
    assert (await home.get(f"{address}/file", signed_in=False)).content == before
    await sign_in(home.party)
    assert (await home.post("/leave/erase", {"confirm": "消す"})).status_code == 200
    assert (await home.get(address, signed_in=False)).status_code == 404


async def test_nobody_shows_another_residents_receipt_and_guessing_finds_nothing(home: Household) -> None:
    consent = await home.give()
    assert (await home.post(f"/consents/{consent}/receipt/show", signed_in=False)).status_code == 303
    assert (await home.post("/consents/con_other/receipt/show")).status_code == 404
    for token in ("", "x", "skr_" + "A" * 43, "%00", "a" * 5000):
        assert (await home.get(f"/receipts/{token}", signed_in=False)).status_code in (400, 404, 414)


async def test_the_file_lies_sealed_and_the_address_only_as_a_keyed_hash(home: Household) -> None:
    address, _ = await shown(home, await home.give())

    def read(connection: Connection) -> bytes:
        row = connection.execute(text("SELECT * FROM consent_showing")).one()
        return b"".join(bytes(each) if isinstance(each, bytes) else str(each).encode() for each in row)

    raw = await home.building.host.db.read_core(read)
    assert address.rpartition("/")[2].encode() not in raw
    assert b"credential" not in raw


def test_a_fingerprint_is_short_enough_to_read_aloud() -> None:
    assert page.fingerprint(showing.Shown(b"", "n", 0)) == "e3b0 c442 98fc 1c14"
