"""Withdrawal in both directions: the recipient is told, confirms under its own key, and may end a consent itself."""

from typing import Any

import httpx2
import orjson
import pytest

from consent import endings, records
from consent.push import Push
from consent.states import DPV_STATUS
from keys.jose import verify_with_jwks
from kit.clock import HOUR
from tests.consent.bureau import STAFF, Bureau, Service, person, service
from tests.consent.test_streams import follow, opened, poll, pushing
from tests.support.signer import Signer
from tests.support.site import Site, reply

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
WITHIN = 72 * HOUR


async def acknowledge(
    web: httpx2.AsyncClient, who: Service, statement: str, status: int = 200, kind: str = "application/jwt"
) -> Any:
    headers = {**who.headers, "content-type": kind}
    answer = await web.post("/consent/acknowledgements", content=statement, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def ended(bureau: Bureau, web: httpx2.AsyncClient, signer: Signer) -> tuple[str, str, Service, str]:
    """A resident who has withdrawn, the consent, the recipient's service, and the token that told it."""
    bus = await service(bureau, web, member=bureau.member, jwks=signer.jwks)
    await follow(web, bus)
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    return hanako, ref.consent_id, bus, list((await poll(web, bus))["sets"].values())[-1]


async def state_of(bureau: Bureau, consent_id: str) -> endings.EndingView:
    found = await bureau.db.read(endings.of_consent, consent_id)
    assert found is not None
    return found


async def escalate(bureau: Bureau) -> int:
    now = bureau.clock.ms()
    return await bureau.db.bulk(endings.escalate, before=now - WITHIN, now=now)


async def test_the_recipients_signed_word_is_kept_with_the_key_it_verifies_under(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    signer = Signer()
    _, consent_id, bus, token = await ended(bureau, web, signer)
    claims = verify_with_jwks(token, bureau.jwks, algs=["EdDSA"], typ="secevent+jwt")[1]
    (event,) = claims["events"].values()
    assert event["acknowledge_by"].endswith("Z")
    before = await state_of(bureau, consent_id)
    assert (before.told_at, before.confirmed_at, before.id) == (None, None, claims["txn"])
    await poll(web, bus, ack=[claims["jti"]])
    told = await state_of(bureau, consent_id)
    assert told.told_at is not None
    assert told.confirmed_at is None  # being taken proves delivery, and nothing more
    statement = signer.confirm(token, client_id=bus.client_id, now_ms=bureau.clock.ms())
    kept = await acknowledge(web, bus, statement)
    assert (kept["txn"], kept["consent"], kept["data"]) == (claims["txn"], consent_id, "erased")
    found = await state_of(bureau, consent_id)
    assert found.confirmed_at is not None
    assert found.statement == statement
    assert orjson.loads(found.statement_key or "").keys() == {"kty", "crv", "x", "kid"}, "what verifies it alone"
    _, said = verify_with_jwks(
        found.statement, {"keys": [orjson.loads(found.statement_key or "")]}, algs=["EdDSA"],
        typ="consent-acknowledgement+jwt",
    )  # fmt: skip
    assert said["txn"] == claims["txn"]
    assert await acknowledge(web, bus, statement) == kept  # the same word again changes nothing
    (entry,) = await bureau.audit("consent.acknowledgement.received")
    assert entry.detail["client"] == bus.client_id
    other = signer.confirm(token, client_id=bus.client_id, now_ms=bureau.clock.ms(), data="kept")
    assert (await acknowledge(web, bus, other, 409))["type"] == "/problems/consent/confirmed-already"
    assert (await state_of(bureau, consent_id)).data == "erased"


@sqlite_only
async def test_a_push_that_is_taken_tells_and_only_a_statement_confirms_rfc_8935_section_2_2(
    bureau: Bureau, web: httpx2.AsyncClient, site: Site
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus, pushing(site))
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    site.answer = lambda _: reply(b"", "202 Accepted")
    assert await bureau.host.get(Push).deliver() == 2
    found = await state_of(bureau, ref.consent_id)
    assert found.told_at is not None
    assert found.confirmed_at is None
    bureau.clock.advance(seconds=WITHIN / 1000 + 1)
    assert await escalate(bureau) == 1
    (entry,) = await bureau.audit("consent.acknowledgement.missed")
    assert (entry.detail["told"], entry.detail["member"], entry.detail["account"]) == (True, bureau.member, hanako)


@sqlite_only
async def test_what_is_not_confirmed_in_time_is_escalated_once_and_a_late_word_is_still_kept(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    signer = Signer()
    _, consent_id, bus, token = await ended(bureau, web, signer)
    bureau.clock.advance(seconds=WITHIN / 1000 - 1)
    assert await escalate(bureau) == 0
    bureau.clock.advance(seconds=2)
    assert (await escalate(bureau), await escalate(bureau)) == (1, 0)
    fresh = await service(bureau, web, member=bureau.member, jwks=signer.jwks)  # the first one's token has run out
    statement = signer.confirm(token, client_id=fresh.client_id, now_ms=bureau.clock.ms())
    await acknowledge(web, fresh, statement)
    (entry,) = await bureau.audit("consent.acknowledgement.received")
    assert entry.detail["late"] is True
    assert (await state_of(bureau, consent_id)).confirmed_at is not None
    assert bus.client_id != fresh.client_id


WRONG: list[tuple[dict[str, Any], int, str | None]] = [
    ({"iss": "cli_other"}, 422, "/iss"),
    ({"aud": "https://elsewhere.example"}, 422, "/aud"),
    ({"iat": None}, 422, "/iat"),
    ({"iat": 99_999_999_999}, 422, "/iat"),
    ({"iat": 1_000_000_000}, 422, "/iat"),
    ({"iat": True}, 422, "/iat"),
    ({"exp": 1_000_000_000}, 422, "/exp"),
    ({"jti": None}, 422, "/jti"),
    ({"txn": None}, 422, "/txn"),
    ({"txn": "end_00000000000000000000000000"}, 404, None),
    ({"sub_id": {"format": "opaque", "id": "con_other"}}, 404, None),
    ({"sub_id": {"format": "email", "email": "hanako@example.jp"}}, 422, "/sub_id"),
    ({"data": "sold"}, 422, "/data"),
    ({"comment": "浜田さんのデータは消しました"}, 422, "/comment"),
    ({"header": {"cty": "浜田さんの件"}}, 422, "/cty"),
    ({"header": {"typ": "JWT"}}, 422, None),
]


@sqlite_only
async def test_a_statement_that_does_not_hold_is_not_kept(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    signer = Signer()
    _, consent_id, bus, token = await ended(bureau, web, signer)
    for changed, status, pointer in WRONG:
        statement = signer.confirm(token, client_id=bus.client_id, now_ms=bureau.clock.ms(), **changed)
        refused = await acknowledge(web, bus, statement, status)
        assert pointer is None or refused["errors"][0]["pointer"] == pointer, changed
    assert (await state_of(bureau, consent_id)).confirmed_at is None


@sqlite_only
async def test_a_statement_counts_under_the_clients_own_key_and_for_its_own_member_only(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    signer, stranger = Signer(), Signer()
    _, consent_id, bus, token = await ended(bureau, web, signer)
    now = bureau.clock.ms()
    forged = stranger.confirm(token, client_id=bus.client_id, now_ms=now)
    assert (await acknowledge(web, bus, forged, 422))["type"] == "/problems/consent/bad-statement"
    clinic = await service(bureau, web, member=await bureau.add_member("Clinic"), jwks=stranger.jwks)
    await acknowledge(web, clinic, stranger.confirm(token, client_id=clinic.client_id, now_ms=now), 404)
    keyless = await service(bureau, web, member=bureau.member)
    await acknowledge(web, keyless, signer.confirm(token, client_id=keyless.client_id, now_ms=now), 422)
    await acknowledge(web, bus, signer.confirm(token, client_id=bus.client_id, now_ms=now), 415, kind="text/plain")
    await acknowledge(web, bus, "x" * 5000, 413)
    answer = await web.post("/consent/acknowledgements", content="x", headers={"content-type": "application/jwt"})
    assert answer.status_code == 401
    assert (await state_of(bureau, consent_id)).confirmed_at is None


@sqlite_only
async def test_a_client_that_has_only_a_secret_confirms_with_its_token_and_that_is_kept_as_the_lesser_word_it_is(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    _, consent_id, keyed, token = await ended(bureau, web, Signer())
    claims = verify_with_jwks(token, bureau.jwks, algs=["EdDSA"], typ="secevent+jwt")[1]
    said = {"txn": claims["txn"], "sub_id": claims["sub_id"], "data": "erased"}
    word, kind = orjson.dumps(said).decode(), "application/json"
    bus = await service(bureau, web, member=bureau.member)
    assert (await acknowledge(web, keyed, word, 422, kind))["detail"].startswith("This client has a key")
    clinic = await service(bureau, web, member=await bureau.add_member("Clinic"))
    await acknowledge(web, clinic, word, 404, kind)
    for wrong, status in (
        ("{", 400), ("[]", 422), ("{}", 422), (orjson.dumps(said | {"data": "sold"}).decode(), 422),
        (orjson.dumps(said | {"note": "浜田さんの件"}).decode(), 422),
        (orjson.dumps(said | {"sub_id": {"format": "opaque", "id": {"name": "浜田"}}}).decode(), 422),
    ):  # fmt: skip
        await acknowledge(web, bus, wrong, status, kind)
    assert (await state_of(bureau, consent_id)).confirmed_at is None
    kept = await acknowledge(web, bus, word, 200, kind)
    assert (kept["signed"], kept["consent"]) == (False, consent_id)
    again = orjson.dumps(dict(reversed(said.items()))).decode()
    assert await acknowledge(web, bus, again, 200, kind) == kept  # the same word in another order
    await acknowledge(web, bus, word.replace("erased", "kept"), 409, kind)
    found = await state_of(bureau, consent_id)
    assert (found.statement_key, orjson.loads(found.statement or "")) == (None, said)
    bureau.clock.advance(seconds=WITHIN / 1000 + 1)
    assert await escalate(bureau) == 0
    (entry,) = await bureau.audit("consent.acknowledgement.received")
    assert (entry.detail["signed"], entry.detail["client"]) == (False, bus.client_id)


@sqlite_only
async def test_who_begins_to_listen_late_hears_what_its_member_still_owes(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    (claims,) = await opened(bureau, (await poll(web, bus))["sets"])
    assert claims["sub_id"]["id"] == ref.consent_id
    assert claims["txn"].startswith("end_")


@sqlite_only
async def test_a_token_refused_by_its_receiver_has_told_nobody(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    """RFC 8936 section 2.4: `setErrs` ends the delivery; it is no proof of one."""
    _, consent_id, bus, _ = await ended(bureau, web, Signer())
    found = await poll(web, bus)
    await poll(web, bus, setErrs={name: {"err": "invalid_key"} for name in found["sets"]})
    assert (await poll(web, bus))["sets"] == {}
    assert (await state_of(bureau, consent_id)).told_at is None


@sqlite_only
async def test_others_who_follow_are_told_of_the_end_and_owe_nothing(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    source = await service(bureau, web, member=await bureau.add_member("Source"), scope="consent.check")
    await follow(web, source, {"delivery": {"method": "urn:ietf:rfc:8936"}, "recipients": "all"})
    _, consent_id, _, _ = await ended(bureau, web, Signer())
    found = (await poll(web, source))["sets"]
    for claims in await opened(bureau, found):
        assert all("acknowledge_by" not in event for event in claims["events"].values())
    await poll(web, source, ack=list(found))
    assert (await state_of(bureau, consent_id)).told_at is None


async def test_the_recipient_ends_an_arrangement_and_it_is_told_apart_from_a_withdrawal(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    """dpv:ConsentRevoked is by another than the person; dpv:ConsentWithdrawn is the person's own word."""
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    before = len(await bureau.log_entries())
    await bureau.db.write(
        records.end,
        bureau.sealer,
        consent_id=ref.consent_id,
        member_id=bureau.member,
        reason="not-needed",
        actor=STAFF,
        now=bureau.clock.ms(),
    )
    assert len(await bureau.log_entries()) == before + 1
    history = await bureau.db.read(records.history, bureau.sealer, ref.consent_id, account_id=hanako)
    last = history[-1].document
    assert (last["type"], last["status"], last["reason"]) == ("ended", DPV_STATUS["ended"], "not-needed")
    assert last["actor"]["authority"] == "recipient"
    assert (await state_of(bureau, ref.consent_id)).cause == "ended"
    auth = (await service(bureau, web, member=bureau.member)).headers
    body = {"consent": ref.consent_id, "categories": ["mobility"]}
    answer = (await web.post("/consent/decisions", json=body, headers=auth)).json()
    assert (answer["decision"], answer["reason"]) == ("deny", "consent_ended")


@sqlite_only
async def test_after_an_erasure_the_debt_stands_and_says_nothing_of_who_it_was(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    signer = Signer()
    bus = await service(bureau, web, member=bureau.member, jwks=signer.jwks)
    await follow(web, bus)
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.db.write(records.forget, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
    (row,) = await bureau.rows("consent_ending")
    assert row["account_id"] == ""
    token = list((await poll(web, bus))["sets"].values())[-1]
    await acknowledge(web, bus, signer.confirm(token, client_id=bus.client_id, now_ms=bureau.clock.ms()))
    assert (await state_of(bureau, ref.consent_id)).confirmed_at is not None
