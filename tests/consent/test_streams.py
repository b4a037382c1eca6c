"""Services follow the changes of consents: security event tokens, polled (RFC 8936) and pushed (RFC 8935)."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from consent import agreements, holds
from consent.push import Push
from identity import members
from identity.clients import Clients
from keys.jose import verify_with_jwks
from kit.clock import DAY
from kit.db import Session, tx_of
from tests.consent.bureau import STAFF, Bureau, Service, person, service
from tests.support.site import Site, reply

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
POLL = {"delivery": {"method": "urn:ietf:rfc:8936"}}


async def follow(web: httpx2.AsyncClient, who: Service, body: Any = POLL, status: int = 200) -> Any:
    answer = await web.put("/consent/stream", json=body, headers=who.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def poll(web: httpx2.AsyncClient, who: Service, status: int = 200, **body: Any) -> Any:
    body.setdefault("returnImmediately", True)
    answer = await web.post("/consent/stream/poll", json=body, headers=who.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def opened(bureau: Bureau, sets: dict[str, str]) -> list[dict[str, Any]]:
    """The claims of the tokens, oldest first, verified by anybody's means."""
    found = []
    for name, token in sets.items():
        header, claims = verify_with_jwks(token, bureau.jwks, algs=["EdDSA", "ES256"], typ="secevent+jwt")
        assert claims["jti"] == name
        assert header["alg"] in ("EdDSA", "ES256")
        found.append(claims)
    return found


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [kind.removeprefix("urn:sekisho:event:") for claims in found for kind in claims["events"]]


def pushing(site: Site, **more: str) -> dict[str, Any]:
    return {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": site.url("/events"), **more}}


async def test_every_change_of_a_consent_is_told_by_a_signed_token_rfc_8417_section_2(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    answer = await poll(web, bus)
    first, second = await opened(bureau, answer["sets"])
    assert answer["moreAvailable"] is False
    assert kinds([first, second]) == ["consent-changed", "consent-ended"]
    assert (first["iss"], first["aud"]) == ("http://localhost:8080", bus.client_id)
    assert first["sub_id"] == {"format": "opaque", "id": ref.consent_id}  # RFC 9493 section 3.2.5
    assert "exp" not in first
    assert "sub" not in first
    (about,) = second["events"].values()
    assert (about["state"], about["change"], about["seq"]) == ("withdrawn", "withdrawn", 1)
    assert hanako not in str(answer) + str(first) + str(second)


async def test_what_is_not_acknowledged_comes_again_and_what_is_does_not_rfc_8936_section_2(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    for n in range(3):
        await bureau.give(await bureau.resident(f"resident{n}"))
    page = await poll(web, bus, maxEvents=2)
    assert (len(page["sets"]), page["moreAvailable"]) == (2, True)
    assert list((await poll(web, bus, maxEvents=2))["sets"]) == list(page["sets"])
    one, other = page["sets"]
    # Acknowledge-only, then poll with an acknowledgement and an error (section 2.4).
    assert await poll(web, bus, maxEvents=0, ack=[one]) == {"sets": {}}
    rest = await poll(web, bus, setErrs={other: {"err": "invalid_key", "description": "no such key"}})
    assert len(rest["sets"]) == 1
    assert not rest["sets"].keys() & page["sets"].keys()
    assert (await poll(web, bus, ack=list(rest["sets"])))["sets"] == {}


@sqlite_only
async def test_a_poll_is_held_open_until_something_changes(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    held = asyncio.create_task(poll(web, bus, returnImmediately=False))
    await asyncio.sleep(0.05)
    assert not held.done()
    await bureau.give(await bureau.resident())
    assert len((await asyncio.wait_for(held, 5))["sets"]) == 1


@sqlite_only
async def test_a_service_hears_of_its_own_members_consents_only(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    clinic = await service(bureau, web, member=await bureau.add_member("Clinic"))
    await follow(web, clinic)
    await bureau.give(await bureau.resident())
    assert (await poll(web, clinic))["sets"] == {}
    await follow(web, clinic, {**POLL, "recipients": "all"}, 403)


@sqlite_only
async def test_who_may_ask_for_others_hears_of_all_that_changes_a_decision(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    """A kept permit must fall with the hold, the member and the agreement, not only with the consent."""
    source = await service(bureau, web, member=await bureau.add_member("Source"), scope="consent.check")
    await follow(web, source, {**POLL, "recipients": "all"})
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    now = bureau.clock.ms()
    for step in (holds.hold, holds.release, members.suspend):
        bureau.clock.advance(seconds=1)
        await bureau.db.write(step, bureau.member, actor=STAFF, now=now)
    bureau.clock.advance(seconds=1)
    await bureau.db.write(agreements.withdraw, bureau.agreement, actor=person("acc_staff"), now=bureau.clock.ms())
    bureau.clock.advance(seconds=1)
    await bureau.sweep()
    found = await opened(bureau, (await poll(web, source))["sets"])
    assert sorted(kinds(found)) == [
        "agreement-withdrawn", "consent-changed", "consent-ended", "member-suspended", "sharing-held",
        "sharing-released",
    ]  # fmt: skip
    about = {kind: claims["sub_id"]["id"] for kind, claims in zip(kinds(found), found, strict=True)}
    assert about["member-suspended"] == about["sharing-held"] == bureau.member
    assert about["agreement-withdrawn"] == bureau.agreement
    assert about["consent-ended"] == ref.consent_id


@sqlite_only
async def test_a_scope_taken_away_ends_what_is_heard_of_others(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    source = await service(bureau, web, member=await bureau.add_member("Source"), scope="consent.check")
    await follow(web, source, {**POLL, "recipients": "all"})
    await bureau.give(await bureau.resident())

    def narrow(session: Session) -> None:
        change = text("UPDATE identity_client SET settings = replace(settings, 'consent.check', '') WHERE id = :id")
        session.connection().execute(change, {"id": source.client_id})
        tx_of(session).touch("clients")

    await bureau.db.write(narrow)
    assert (await poll(web, source))["sets"] == {}
    assert await bureau.rows("kit_outbox") == []


async def test_a_push_is_taken_with_202_and_nothing_else_rfc_8935_section_2_2(
    bureau: Bureau, web: httpx2.AsyncClient, site: Site
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    shown = await follow(web, bus, pushing(site, authorization_header="Bearer theirs"))
    assert "authorization_header" not in shown["delivery"]
    await poll(web, bus, 409)
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    push = bureau.host.get(Push)
    site.answer = lambda _: reply(b'{"err":"authentication_failed"}', "400 Bad Request")
    assert await push.deliver() == 0
    assert len(site.asked) == 1  # the second waits behind the first: a dead address costs one try a round
    assert await push.deliver() == 0
    assert len(site.asked) == 1  # not before its time
    assert (await web.get("/consent/stream", headers=bus.headers)).json()["failed"] == 1
    bureau.clock.advance(seconds=6)
    site.answer = lambda _: reply(b"", "200 OK")
    assert await push.deliver() == 0  # 200 is not the answer of section 2.2
    bureau.clock.advance(seconds=11)
    site.answer = lambda _: reply(b"", "202 Accepted")
    assert await push.deliver() == 2
    head, _, body = site.asked[-1].partition(b"\r\n\r\n")
    assert b"content-type: application/secevent+jwt" in head.lower()
    assert b"authorization: Bearer theirs" in head
    (claims,) = [verify_with_jwks(body.decode(), bureau.jwks, algs=["EdDSA", "ES256"], typ="secevent+jwt")[1]]
    assert kinds([claims]) == ["consent-ended"]
    assert await bureau.rows("kit_outbox") == []
    assert (await web.get("/consent/stream", headers=bus.headers)).json()["failed"] == 0
    (row,) = await bureau.rows("consent_stream")
    assert b"theirs" not in row["authorization"]


@sqlite_only
async def test_a_stream_that_takes_nothing_for_a_week_is_closed_and_must_be_opened_anew(
    bureau: Bureau, web: httpx2.AsyncClient, site: Site
) -> None:
    """With a gap in what it heard a service must not go on trusting what it kept."""
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    hanako = await bureau.resident()
    await bureau.give(hanako)
    push = bureau.host.get(Push)
    bureau.clock.advance(seconds=7 * DAY / 1000 - 1)
    assert await push.close_dead() == 0
    bureau.clock.advance(seconds=2)
    assert await push.close_dead() == 1
    assert await bureau.rows("kit_outbox") == []
    (entry,) = await bureau.audit("consent.stream.closed")
    assert entry.detail["reason"] == "nothing-taken"


@sqlite_only
async def test_a_suspended_service_hears_nothing_until_it_is_let_in_again(
    bureau: Bureau, web: httpx2.AsyncClient, site: Site
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus, pushing(site))
    await bureau.give(await bureau.resident())
    clients, push = bureau.host.get(Clients), bureau.host.get(Push)
    site.answer = lambda _: reply(b"", "202 Accepted")
    await bureau.db.write(clients.suspend, bus.client_id, actor=STAFF)
    assert await push.deliver() == 0
    assert site.asked == []
    await bureau.db.write(clients.resume, bus.client_id, actor=STAFF)
    bureau.clock.advance(seconds=6)
    assert await push.deliver() == 1


@sqlite_only
async def test_who_is_slow_to_take_word_holds_up_only_its_own(
    bureau: Bureau, web: httpx2.AsyncClient, site: Site
) -> None:
    """One address that answers at the last moment must not keep the end of a consent from everybody else."""
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus, pushing(site))
    for n in range(5):
        await bureau.give(await bureau.resident(f"resident{n}"))

    async def slowly() -> bytes:
        await asyncio.sleep(0.4)
        return reply(b"", "202 Accepted")

    site.answer = lambda _: slowly()
    push = bureau.host.get(Push)
    assert await push.deliver() == 3
    assert await push.deliver() == 2  # at once, where it stopped
    assert await bureau.rows("kit_outbox") == []


@sqlite_only
async def test_no_service_takes_all_the_places_of_polls_that_are_held(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    bus, clinic = [await service(bureau, web, member=bureau.member) for _ in range(2)]
    await follow(web, bus)
    await follow(web, clinic)
    held = [asyncio.create_task(poll(web, bus, returnImmediately=False)) for _ in range(70)]
    other = asyncio.create_task(poll(web, clinic, returnImmediately=False))
    await asyncio.sleep(0.5)
    assert sum(each.done() for each in held) == 66
    assert not other.done()
    await bureau.give(await bureau.resident())
    assert len((await asyncio.wait_for(other, 5))["sets"]) == 1
    await asyncio.gather(*held)


STREAMS: list[tuple[dict[str, Any], str]] = [
    ({}, "/delivery"),
    ({"delivery": {"method": "smoke"}}, "/delivery/method"),
    ({"delivery": {"method": "urn:ietf:rfc:8935"}}, "/delivery/endpoint_url"),
    (
        {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "http://bus.example/"}},
        "/delivery/endpoint_url",
    ),
    ({"delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://a.example/"}}, "/delivery/endpoint_url"),
    (
        {
            "delivery": {
                "method": "urn:ietf:rfc:8935",
                "endpoint_url": "https://a.example/",
                "authorization_header": "Bearer a\r\nx: y",
            }
        },
        "/delivery/authorization_header",
    ),
    ({**POLL, "recipients": "some"}, "/recipients"),
    ({**POLL, "more": 1}, "/more"),
]
POLLS: list[tuple[dict[str, Any], str]] = [
    ({"maxEvents": -1}, "/maxEvents"),
    ({"maxEvents": True}, "/maxEvents"),
    ({"returnImmediately": 1}, "/returnImmediately"),
    ({"ack": "set_1"}, "/ack"),
    ({"ack": ["set_1"]}, "/ack"),
    ({"setErrs": {"set_" + "0" * 26: {}}}, "/setErrs/set_" + "0" * 26 + "/err"),
    ({"x": 1}, "/x"),
]


@sqlite_only
async def test_a_stream_or_a_poll_that_cannot_be_is_refused_with_a_pointer(
    bureau: Bureau, web: httpx2.AsyncClient
) -> None:
    bus = await service(bureau, web, member=bureau.member)
    for body, pointer in STREAMS:
        assert (await follow(web, bus, body, 422))["errors"][0]["pointer"] == pointer
    for body, pointer in POLLS:
        assert (await poll(web, bus, 422, **body))["errors"][0]["pointer"] == pointer
    assert (await poll(web, bus, 404))["type"] == "/problems/consent/unknown-stream"


@sqlite_only
async def test_strangers_and_services_of_no_member_follow_nothing(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    assert (await web.put("/consent/stream", json=POLL)).status_code == 401
    nobody = await service(bureau, web, member=None)
    await follow(web, nobody, POLL, 403)
    bus = await service(bureau, web, member=bureau.member)
    await follow(web, bus)
    assert (await web.delete("/consent/stream", headers=bus.headers)).status_code == 204
    assert (await web.delete("/consent/stream", headers=bus.headers)).status_code == 404
