"""Consent and the ledger from the wire: the front table's rows, and the JSON API in the whole building."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from consent import records
from consent.trust import Trust
from consent.verify import verify_receipt
from keys.notes import NoteVerifier
from kit.clock import FrozenClock
from kit.db import Database
from kit.tlog.client import audit
from tests.consent.bureau import Bureau, open_bureau, person, token

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def test_strangers_can_check_the_whole_log_over_http(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    hanako = await bureau.resident()
    for n in range(5):
        await bureau.give(hanako, *(("mobility", "household") if n % 2 else ("mobility",)))
    await bureau.lay()
    vkey = (await web.get("/ledger/vkey")).text.strip()
    verifier = NoteVerifier(vkey)
    seen: dict[str, bytes] = {}
    answer = await web.get("/ledger/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["access-control-allow-origin"] == "*"
    seen["checkpoint"] = answer.content
    size = Trust.of(vkey).open(answer.content).size
    assert size == 7
    for path in (f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}", "tile/0/000.p/1", "tile/entries/000.p/3"):
        answer = await web.get(f"/ledger/{path}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        seen[path] = answer.content
    assert len(seen["tile/0/000.p/7"]) == 7 * 32
    assert audit(seen.__getitem__, origin=verifier.name, verifiers=[verifier]).checkpoint.size == size


@sqlite_only
@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000.p/200",
        "tile/0/000",
        "tile/entries/000",
        "tile/1/000.p/1",
        "tile/0/001.p/1",
        "tile/63/000.p/1",
        "tile/64/000",
        "tile/0/0",
        "tile/0/x000/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/",
        "tile/entries/",
        "tile/0/..%2f..%2fcheckpoint",
        "tile/0/%F0%9F%98%80",
    ],
)
async def test_what_the_published_tree_does_not_have_is_404_and_not_cached(
    bureau: Bureau, web: httpx2.AsyncClient, path: str
) -> None:
    answer = await web.get(f"/ledger/{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


@sqlite_only
async def test_the_log_is_read_only(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await web.request(method, "/ledger/checkpoint")).status_code == 405
        assert (await web.request(method, "/ledger/tile/0/000.p/1")).status_code == 405
    assert (await web.post("/ledger/add", content=b"x")).status_code == 404
    head = await web.head("/ledger/checkpoint")
    assert (head.status_code, head.content) == (200, b"")


async def test_load_tests_write_to_a_log_of_their_own(db: Database, clock: FrozenClock) -> None:
    async with open_bureau(db, clock, load_tests=True) as bureau:
        transport = httpx2.ASGITransport(app=bureau.front)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as web:
            await bureau.lay()
            before = (await web.get("/ledger/checkpoint")).content
            if not bureau.db.single_writer:  # the sequencer is a job there: let it run beside
                import asyncio

                async def lay() -> None:
                    while True:
                        await bureau.logs.sequence()
                        await asyncio.sleep(0.01)

                job = asyncio.create_task(lay())
            for expected in range(3):
                answer = await web.post("/ledger/add", content=b"raw %d" % expected)
                assert (answer.status_code, answer.text) == (200, f"{expected}\n")
            assert (await web.post("/ledger/add", content=b"x" * 65_536)).status_code == 413
            if not bureau.db.single_writer:
                job.cancel()
            vkey = (await web.get("/ledger/test/vkey")).text.strip()
            note = (await web.get("/ledger/test/checkpoint")).content
            assert Trust.of(vkey).open(note).size == 3
            bundle = await web.get("/ledger/test/tile/entries/000.p/3")
            assert bundle.content == b"\x00\x05raw 0\x00\x05raw 1\x00\x05raw 2"
            assert (await web.get("/ledger/checkpoint")).content == before


async def test_a_service_asks_whether_it_may(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    auth = await token(bureau, web, member=bureau.member)

    async def ask(**body: Any) -> dict[str, Any]:
        sent = {"consent": ref.consent_id, "categories": ["mobility"], **body}
        answer = await web.post("/api/consent/decision", json=sent, headers=auth)
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        found: dict[str, Any] = answer.json()
        return found

    yes = await ask()
    assert (yes["decision"], yes["consent"], yes["purpose"]) == ("permit", ref.consent_id, "ImproveTransportMobility")
    assert yes["until"].endswith("Z")
    assert (await ask(categories=["mobility", "household"]))["reason"] == "category_not_covered"
    assert (await ask(purpose="DirectMarketing"))["reason"] == "purpose_not_covered"
    assert (await ask(consent="con_unknown"))["reason"] == "no_consent"
    await bureau.withdraw(hanako, ref.consent_id)
    no = await ask()
    assert (no["decision"], no["reason"], no["until"]) == ("refuse", "consent_withdrawn", None)


@sqlite_only
async def test_a_service_learns_nothing_about_consents_for_others(bureau: Bureau, web: httpx2.AsyncClient) -> None:
    ref = await bureau.give(await bureau.resident())
    body = {"consent": ref.consent_id, "categories": ["mobility"]}
    other = await token(bureau, web, member=await bureau.add_member("Clinic"))
    answer = await web.post("/api/consent/decision", json=body, headers=other)
    assert answer.json()["reason"] == "no_consent"
    answer = await web.post("/api/consent/decision", json={**body, "recipient": bureau.member}, headers=other)
    assert answer.status_code == 403
    holder = await token(bureau, web, member=await bureau.add_member("Source"), scope="consent.check")
    answer = await web.post("/api/consent/decision", json={**body, "recipient": bureau.member}, headers=holder)
    assert answer.json()["decision"] == "permit"
    nobody = await token(bureau, web, member=None)
    assert (await web.post("/api/consent/decision", json=body, headers=nobody)).status_code == 403
    assert (await web.post("/api/consent/decision", json=body)).status_code == 401


@sqlite_only
@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b'{"categories":["mobility"]}', 422, "/consent"),
        (b'{"consent":5,"categories":["mobility"]}', 422, "/consent"),
        (b'{"consent":"con_1"}', 422, "/categories"),
        (b'{"consent":"con_1","categories":[]}', 422, "/categories"),
        (b'{"consent":"con_1","categories":[5]}', 422, "/categories"),
        (b'{"consent":"con_1","categories":["a"],"purpose":5}', 422, "/purpose"),
        (b'{"consent":"con_1","categories":["a"],"extra":1}', 422, "/extra"),
    ],
)
async def test_bad_questions_are_answered_with_a_pointer(
    bureau: Bureau, web: httpx2.AsyncClient, body: bytes, status: int, pointer: str | None
) -> None:
    auth = await token(bureau, web, member=bureau.member)
    headers = {**auth, "content-type": "application/json"}
    answer = await web.post("/api/consent/decision", content=body, headers=headers)
    assert answer.status_code == status
    if pointer:
        assert answer.json()["errors"][0]["pointer"] == pointer
    answer = await web.post("/api/consent/decision", content=body, headers={**auth, "content-type": "text/plain"})
    assert answer.status_code == 415


# -- in the whole building ---------------------------------------------------------------------------------------------


async def test_a_resident_reads_withdraws_and_takes_the_receipt_home(app: Any, client: httpx2.AsyncClient) -> None:
    from identity.sessions import Sessions

    bureau = Bureau(app.host.db, app.host.clock, app.host, app.host.db.trail)
    bureau.member = await bureau.add_member()
    revision = await bureau.offer()
    bureau.agreement, bureau.revision = revision.agreement_id, revision.id
    await bureau.approve(revision.id)
    hanako, taro = await bureau.resident(), await bureau.resident("taro")
    ref = await bureau.give(hanako)
    cookies = {}
    for account_id in (hanako, taro):
        begun, _ = await bureau.db.write(
            app.host.get(Sessions).begin, account_id, acr="urn:sekisho:acr:2", amr=("pwd", "otp"), user_agent="test"
        )
        cookies[account_id] = {"cookie": f"sekisho-local={begun}"}
    mine, other = cookies[hanako], cookies[taro]
    same_site = {**mine, "origin": app.settings.issuer}

    assert (await client.get("/api/consent/records")).status_code == 401
    (record,) = (await client.get("/api/consent/records", headers=mine)).json()["records"]
    assert (record["id"], record["state"]) == (ref.consent_id, "given")
    assert (await client.get("/api/consent/records", headers=other)).json() == {"records": []}
    path = f"/api/consent/records/{ref.consent_id}"
    assert [each["type"] for each in (await client.get(path, headers=mine)).json()["events"]] == ["given"]
    for method, hidden in (("GET", path), ("GET", f"{path}/receipt"), ("POST", f"{path}/withdraw")):
        answer = await client.request(method, hidden, headers={**other, "origin": app.settings.issuer})
        assert answer.status_code == 404
        assert answer.json()["type"] == "/problems/consent/unknown-consent"

    receipt = await client.get(f"{path}/receipt", headers=mine)
    assert receipt.headers["content-disposition"].startswith('attachment; filename="con_')
    jwks = (await client.get("/oauth/jwks")).json()
    vkey = (await client.get("/ledger/vkey")).text
    assert verify_receipt(receipt.content, vkey=vkey, jwks=jwks).event["type"] == "given"

    assert (await client.post(f"{path}/withdraw", headers=same_site)).json()["state"] == "withdrawn"
    again = await client.post(f"{path}/withdraw", headers=same_site)
    assert (again.status_code, again.json()["type"]) == (409, "/problems/consent/consent-state")
    receipt = await client.get(f"{path}/receipt", headers=mine)
    assert verify_receipt(receipt.content, vkey=vkey, jwks=jwks).event["type"] == "withdrawn"
    views = await bureau.db.read(records.list_for, hanako, now=bureau.clock.ms())
    assert [view.state for view in views] == ["withdrawn"]
    assert person(hanako).kind == "resident"
