"""The operators' API: members, clients, grants; and housekeeping."""

from typing import Any

import pytest
from sqlalchemy import text

from identity import grants
from identity.accounts import Profile, create_account
from identity.oauth import housekeeping
from identity.sessions import Sessions
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.db import Session
from tests.support.relying_party import advance, join

NEW_MEMBER = {"name_ja": "湊浜バス", "name_en": "Minato-hama Bus"}
NEW_CLIENT = {
    "name_ja": "バスの運行情報",
    "name_en": "Bus times",
    "redirect_uris": ["https://bus.example/cb"],
    "scope": "openid",
}


@pytest.fixture
async def desk(app: Any, client: Any) -> Any:
    """An operator's browser."""
    host = app.host

    def staff(db: Session) -> str:
        return create_account(
            db, host.get(Sealer), host.get(TokenHasher), login="operator", profile=Profile(name="係"),
            now=host.clock.ms(), kind="staff", roles=["operator"],
        )  # fmt: skip

    account = await host.db.write(staff)
    token, _ = await host.db.write(host.get(Sessions).begin, account, acr="urn:sekisho:aal:2", amr=("pwd", "otp"))
    client.headers.update({"cookie": f"sekisho-local={token}", "origin": "http://localhost:8080"})
    return client


async def test_a_member_applies_is_approved_and_suspended(desk: Any) -> None:
    made = await desk.post("/api/identity/members", json=NEW_MEMBER)
    assert made.status_code == 201, made.text
    member = made.json()
    assert member["status"] == "applied"
    url = f"/api/identity/members/{member['id']}"
    assert (await desk.post(url + "/approve")).json()["status"] == "approved"
    assert (await desk.post(url + "/suspend")).json()["status"] == "suspended"
    assert (await desk.post(url + "/approve")).json()["status"] == "approved"
    assert (await desk.get(url)).json()["name_ja"] == "湊浜バス"
    assert member["id"] in [item["id"] for item in (await desk.get("/api/identity/members")).json()["items"]]


async def test_a_clients_secret_is_shown_once(desk: Any) -> None:
    made = await desk.post("/api/identity/clients", json=NEW_CLIENT)
    assert made.status_code == 201, made.text
    body = made.json()
    assert body["client_secret"].startswith("sec_")
    url = f"/api/identity/clients/{body['client']['id']}"
    shown = await desk.get(url)
    assert body["client_secret"] not in shown.text
    fresh = await desk.post(url + "/secret")
    assert fresh.json()["client_secret"] != body["client_secret"]
    assert (await desk.post(url + "/suspend")).json()["status"] == "suspended"
    assert (await desk.post(url + "/resume")).json()["status"] == "active"


@pytest.mark.parametrize(
    ("changes", "status", "slug"),
    [
        ({"redirect_uris": ["http://bus.example/cb"]}, 422, "invalid-client-metadata"),
        ({"member_id": "mem_nobody"}, 404, "unknown-member"),
        ({"surprise": 1}, 422, "invalid"),
        ({"name_ja": ""}, 422, "invalid"),
        ({"token_endpoint_auth_method": "client_secret_jwt"}, 422, "invalid"),
    ],
)
async def test_a_faulty_client_is_refused_with_a_pointer(
    desk: Any, changes: dict[str, Any], status: int, slug: str
) -> None:
    refused = await desk.post("/api/identity/clients", json={**NEW_CLIENT, **changes})
    assert refused.status_code == status, refused.text
    assert refused.json()["type"].endswith("/" + slug)


async def test_unknown_ids_are_not_found(desk: Any) -> None:
    for path in ("members/x", "clients/x", "grants/x"):
        assert (await desk.get(f"/api/identity/{path}")).status_code == 404
    for path in ("members/x/approve", "clients/x/suspend", "clients/x/secret", "grants/x/revoke"):
        assert (await desk.post(f"/api/identity/{path}")).status_code == 404


async def test_an_operator_ends_a_grant(desk: Any, app: Any) -> None:
    party = await join(app, desk)
    token = (await party.exchange(await party.code())).json()["access_token"]
    (grant,) = await app.host.db.read(grants.list_for, party.account_id)
    ended = await desk.post(f"/api/identity/grants/{grant.id}/revoke")
    assert ended.json()["status"] == "revoked"
    assert party.account_id not in ended.text
    assert await party.introspect(token) == {"active": False}


async def test_residents_and_strangers_may_not(desk: Any, app: Any, client: Any) -> None:
    party = await join(app, client)
    client.headers["cookie"] = f"sekisho-local={party.cookie}"
    assert (await client.get("/api/identity/members")).status_code == 403
    del client.headers["cookie"]
    assert (await client.get("/api/identity/members")).status_code == 401


async def test_what_has_expired_is_swept_and_the_live_stays(app: Any, client: Any) -> None:
    """Storage is bounded."""
    party = await join(app, client)
    for _ in range(3):
        await party.exchange(await party.code())
    await party.code()
    db, clock = app.host.db, app.host.clock

    def count(session: Session, table: str) -> int:
        return int(session.connection().execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    live = (await party.exchange(await party.code(scope="openid offline_access"))).json()
    await housekeeping.sweep_all(db, clock)
    assert await db.read(count, "identity_code") == 5
    advance(app, 2 * 86_400)
    await housekeeping.sweep_all(db, clock)
    for table in ("identity_code", "identity_interaction", "identity_par", "identity_once", "identity_revoked"):
        assert await db.read(count, table) == 0, table
    assert await db.read(count, "identity_issued") == 1  # the refresh token
    assert (await party.refresh(live["refresh_token"])).status_code == 200


async def test_a_profile_is_turned_on_if_the_client_can_keep_it(desk: Any) -> None:
    made = (await desk.post("/api/identity/clients", json=NEW_CLIENT)).json()["client"]
    assert made["profile"] == "none"
    path = f"/api/identity/clients/{made['id']}/profile"
    refused = await desk.post(path, json={"profile": "fapi2-security"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/token_endpoint_auth_method")
    assert (await desk.post(path, json={"profile": "strict"})).status_code == 422
    assert (await desk.post(path, json={"profile": "none"})).json()["profile"] == "none"
    assert (await desk.post("/api/identity/clients/cli_x/profile", json={"profile": "none"})).status_code == 404
