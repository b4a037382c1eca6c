"""Status lists of receipts: Token Status List, draft-ietf-oauth-status-list-21."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import jwt as pyjwt
import orjson
import pytest
from sqlalchemy import Connection

from consent import records, status, status_list
from consent.changes import ConsentRef
from consent.status import StatusLists
from consent.status_list import BadStatus, Reference, check, document, pack, reference, value_at
from consent.verify import verify_receipt
from keys.ring import KeyRing
from kit.db import Session
from kit.encoding import b64url, b64url_decode
from tests.consent.bureau import ISSUER, Bureau, person

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FEW_MINUTES = 301

# Section 4.1 and appendix C.1, C.2 of the draft.
SIXTEEN = (1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1)
TWELVE = (1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3)
MILLION = (0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345)
ONE_BIT = bytes.fromhex(
    "78daeddc010dc0200c0041a88249400ad2903e0f4b"
    "ba00bd93f002beb7a2a2010000a91e09000000000000000000000000000000807296"
    "04000000000000000000000000000000000000000000000000000000000000000000"
    "000000000000005c6f4800000000000000fc2c240000000000000000000000be1b12"
    "000000000000000000ecaa4b000000000000000000000000000000009b0b09000000"
    "00000000000038de9400000000000000002a30cc010000000080642f0bd8011b"
)


def test_the_drafts_own_lists_are_read_and_made() -> None:
    short = {"bits": 1, "lst": "eNrbuRgAAhcBXQ"}
    assert tuple(value_at(short, index) for index in range(16)) == SIXTEEN
    assert pack((n for n, value in enumerate(SIXTEEN) if value), 16) == bytes.fromhex("b9a3")
    two_bits = {"bits": 2, "lst": "eNo76fITAAPfAgc"}
    assert tuple(value_at(two_bits, index) for index in range(12)) == TWELVE
    whole = zlib.decompress(ONE_BIT)
    assert whole == pack(MILLION, 1 << 20)
    assert [value_at({"bits": 1, "lst": b64url(ONE_BIT)}, n) for n in (*MILLION, 1, 1992, 1994)] == [1] * 11 + [0] * 3
    assert value_at({"bits": 8, "lst": b64url(zlib.compress(bytes([0, 7, 255])))}, 2) == 255


@pytest.mark.parametrize(
    "listed",
    [
        {},
        {"bits": 3, "lst": "eNrbuRgAAhcBXQ"},
        {"bits": True, "lst": "eNrbuRgAAhcBXQ"},
        {"bits": 1, "lst": "no list"},
        {"bits": 1, "lst": b64url(b"not compressed")},
        {"bits": 1, "lst": b64url(zlib.compress(b"abcdef"))[:-2]},
        {"bits": 1, "lst": b64url(zlib.compress(b"ab") + b"more")},
        {"bits": 1, "lst": b64url(zlib.compress(bytes(status_list.LARGEST + 1)))},  # a bomb
        {"bits": 1, "lst": b64url(zlib.compress(b"\x00"))},  # too short for the index: section 8.3, step 6
    ],
)
def test_a_list_that_is_not_one_says_nothing(listed: dict[str, Any]) -> None:
    with pytest.raises(BadStatus):
        value_at(listed, 8)


@pytest.mark.parametrize(
    "claim",
    [{}, {"status_list": 1}, {"status_list": {"idx": -1, "uri": "u"}}, {"status_list": {"idx": True, "uri": "u"}},
     {"status_list": {"idx": 1}}, "x"],
)  # fmt: skip
def test_a_status_claim_that_is_malformed_is_refused_and_a_missing_one_is_told(claim: Any) -> None:
    """Section 6.2; receipts from before there were lists have no claim."""
    assert reference({}) is None
    with pytest.raises(BadStatus):
        reference({"status": claim})


# -- receipts ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def web(bureau: Bureau) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=bureau.front), base_url=ISSUER) as made:
        yield made


async def made(bureau: Bureau, account: str, consent: str, event: str | None = None) -> Reference:
    """Where the receipt of an event says that its status is."""
    await bureau.lay()
    content = (await bureau.receipts.make(consent, account_id=account, event_id=event)).content
    found = reference(verify_receipt(content, vkey=bureau.vkey, jwks=bureau.jwks).claims)
    assert found is not None
    return found


async def ask(bureau: Bureau, web: httpx2.AsyncClient, wanted: Reference) -> str:
    """As a verifier does, a few minutes later."""
    bureau.clock.advance(seconds=FEW_MINUTES)
    answer = await web.get(wanted.uri)
    assert answer.status_code == 200, answer.text
    return check(wanted, answer.text, jwks=bureau.jwks, now=bureau.clock.ms() // 1000)


async def test_a_receipt_is_valid_until_something_later_replaces_what_it_says(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako, "mobility", "household")
    first = await made(bureau, hanako, given.consent_id)
    assert await ask(bureau, web, first) == "valid"

    def change(session: Session) -> ConsentRef:
        return records.change(
            session, bureau.sealer, consent_id=given.consent_id, account_id=hanako, categories=["mobility"],
            actor=person(hanako), now=bureau.clock.ms(),
        )  # fmt: skip

    changed = await bureau.db.write(change)
    second = await made(bureau, hanako, given.consent_id, changed.event_id)
    assert second != first  # a place of its own, so that two receipts are not linked by their status
    assert await made(bureau, hanako, given.consent_id, given.event_id) == first
    assert (await ask(bureau, web, first), await ask(bureau, web, second)) == ("invalid", "valid")
    await bureau.withdraw(hanako, given.consent_id)
    third = await made(bureau, hanako, given.consent_id)
    assert (await ask(bureau, web, second), await ask(bureau, web, third)) == ("invalid", "valid")


@sqlite_only
async def test_running_out_and_leaving_end_the_receipts_too(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    kept = [
        await made(bureau, hanako, (await bureau.give(hanako)).consent_id),
        await made(bureau, taro, (await bureau.give(taro)).consent_id),
    ]

    def leave(session: Session) -> None:
        records.forget(session, bureau.sealer, account_id=taro, actor=person(taro), now=bureau.clock.ms())

    await bureau.db.write(leave)
    assert [await ask(bureau, web, each) for each in kept] == ["valid", "invalid"]
    bureau.clock.advance(seconds=400 * 86_400)
    await bureau.sweep()
    assert await ask(bureau, web, kept[0]) == "invalid"


@sqlite_only
async def test_a_withdrawal_shows_with_everybody_elses_and_not_by_itself(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    """Section 12: beside the ledger, a bit that moved at once would tell which of its lines was the withdrawal."""
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    wanted = await made(bureau, hanako, given.consent_id)
    before = await web.get(wanted.uri)
    await bureau.withdraw(hanako, given.consent_id)
    bureau.clock.advance(seconds=60)
    meanwhile = await web.get(wanted.uri)
    assert meanwhile.content == before.content
    assert (before.headers["cache-control"], meanwhile.headers["cache-control"]) == (
        "public, max-age=300", "public, max-age=240",
    )  # fmt: skip
    assert await ask(bureau, web, wanted) == "invalid"


@sqlite_only
async def test_the_list_is_served_and_signed_as_the_draft_says(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    """Sections 5.1, 8.1, 8.2, 8.4, 9.3; read with another library."""
    answer = await web.get("/status-lists/1", headers={"accept": "application/statuslist+jwt"})
    assert answer.headers["content-type"] == "application/statuslist+jwt"
    assert answer.headers["access-control-allow-origin"] == "*"
    header = pyjwt.get_unverified_header(answer.text)
    key = next(pyjwt.PyJWK(each) for each in bureau.jwks["keys"] if each["kid"] == header["kid"])
    options = {"verify_exp": False, "verify_iat": False}
    claims = pyjwt.decode(answer.text, key, algorithms=["EdDSA"], options=options)  # type: ignore[arg-type]
    assert header["typ"] == "statuslist+jwt"
    assert (claims["sub"], claims["iss"], claims["ttl"]) == (f"{ISSUER}/status-lists/1", ISSUER, 300)
    assert claims["iat"] == bureau.clock.ms() // 1000 < claims["exp"]
    listed = claims["status_list"]
    assert listed["bits"] == 1
    assert zlib.decompress(b64url_decode(listed["lst"])) == bytes(status_list.SIZE // 8)
    assert json.loads((await web.get(listed["aggregation_uri"])).content) == {"status_lists": [claims["sub"]]}
    for path in ("0", "2", "01", "x", "1/", "99999999999", "１"):
        assert (await web.get(f"/status-lists/{path}")).status_code == 404, path
    past = await web.get("/status-lists/1", params={"time": "1686925000"})
    assert (past.status_code, past.json()["type"]) == (501, "/problems/consent/history-not-kept")


@sqlite_only
async def test_a_list_that_ran_out_is_made_once_however_many_ask(
    bureau: Bureau, web: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_of: list[int] = []
    pack_it = status_list.pack

    def counted(ended: list[int]) -> bytes:
        made_of.append(len(ended))
        return pack_it(ended)

    monkeypatch.setattr(status_list, "pack", counted)
    answers = await asyncio.gather(*(web.get("/status-lists/1") for _ in range(20)))
    assert len({answer.content for answer in answers}) == 1
    assert made_of == [0]


@sqlite_only
async def test_another_list_another_time_or_another_type_says_nothing(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    """Section 8.3, steps 3 and 4."""
    hanako = await bureau.resident()
    wanted = await made(bureau, hanako, (await bureau.give(hanako)).consent_id)
    ring, now = bureau.host.get(KeyRing), bureau.clock.ms() // 1000
    good = {"sub": wanted.uri, "iat": now, "exp": now + 60, "status_list": document(pack([]))}
    jwks = bureau.jwks

    def token(typ: str = status_list.TYP, **changed: Any) -> str:
        return ring.sign_jwt({**good, **changed}, typ=typ)

    assert check(wanted, token(), jwks=jwks, now=now) == "valid"
    assert check(wanted, token(exp=None), jwks=jwks, now=now) == "valid"
    wrong = [
        token(sub=f"{ISSUER}/status-lists/2"),
        token(iat=now + 3600),
        token(iat=None),
        token(exp=now - 3600),
        token(status_list=None),
        token(
            status_list={"bits": 8, "lst": b64url(zlib.compress(b"\x07" * status_list.SIZE))}
        ),  # a value unknown here
        token("jwt"),
        token("at+jwt"),
        token()[:-4] + "AAAA",
        "",
    ]
    for each in wrong:
        with pytest.raises(BadStatus):
            check(wanted, each, jwks=jwks, now=now)
    with pytest.raises(BadStatus):
        check(wanted, token(), jwks={"keys": []}, now=now)


@sqlite_only
async def test_a_whole_list_that_is_half_ended_is_still_read(bureau: Bureau) -> None:
    """The size it grows to at worst: bits at random do not compress. joserfc reads it as it comes."""
    import random

    ring, now = bureau.host.get(KeyRing), bureau.clock.ms() // 1000
    packed = random.Random(1).randbytes(status_list.SIZE // 8)
    claims = {"sub": "u", "iat": now, "status_list": document(packed)}
    token = ring.sign_jwt(claims, typ=status_list.TYP)
    assert 50_000 < len(token) < 65_000
    found = [check(Reference("u", n), token, jwks=bureau.jwks, now=now) for n in (0, 1, 199_999)]
    assert found == [("valid", "invalid")[packed[n >> 3] >> (n & 7) & 1] for n in (0, 1, 199_999)]


# -- places -----------------------------------------------------------------------------------------------------------


async def test_places_are_drawn_at_random_and_never_twice(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 12.3: places in order would say who agreed when. Full lists open as many again."""
    monkeypatch.setattr(status_list, "SIZE", 8)
    monkeypatch.setattr(status, "_hint", 1)

    def draw(connection: Connection) -> list[status.Place]:
        return [status.take(connection) for _ in range(40)]

    places = await bureau.db.write_core(draw)
    assert len(set(places)) == 40
    assert {place.number for place in places} >= {1, 2, 3, 4}
    assert [place.index for place in places[:8]] != sorted(place.index for place in places[:8])
    lists = bureau.host.get(StatusLists)
    assert len(await lists.addresses()) == max(place.number for place in places)


@sqlite_only
async def test_the_table_names_nobody_and_an_old_event_without_a_place_still_has_a_receipt(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    assert {tuple(sorted(row)) for row in await bureau.rows("consent_status")} == {("ended", "idx", "number")}

    def age(session: Session) -> None:
        """As it was written before there were lists."""
        (row,) = session.connection().exec_driver_sql("SELECT id, sealed FROM consent_event").all()
        key = bureau.sealer.owner(session, hanako)
        opened = orjson.loads(key.open(f"consent_event|sealed|{row[0]}", row[1]))
        del opened["place"]
        sealed = key.seal(f"consent_event|sealed|{row[0]}", orjson.dumps(opened))
        session.connection().exec_driver_sql("UPDATE consent_event SET sealed = ?", (sealed,))

    await bureau.db.write(age)
    content = (await bureau.receipts.make(given.consent_id, account_id=hanako)).content
    assert reference(verify_receipt(content, vkey=bureau.vkey, jwks=bureau.jwks).claims) is None
    await bureau.withdraw(hanako, given.consent_id)
