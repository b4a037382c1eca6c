"""Cases of tests.portal.test_every_write. OpenID Federation; the other members are tests/support/federation.py."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from identity.client_paths import segment
from identity.federation import mark_book
from identity.federation.changes import FederationChanges
from identity.federation.service import Federation
from identity.federation.settings import FederationSettings
from kit.host import SYSTEM
from tests.portal.writes.base import World, case
from tests.support import federation
from tests.support.desk import Colleague, colleague
from tests.support.site import serving

MARK = "https://pref.example/marks/audited"


@asynccontextmanager
async def member(w: World) -> AsyncIterator[federation.World]:
    """The city takes part in one, while the block lasts."""
    found, clock = w.app.host.get(Federation), w.app.host.clock
    before = found.settings
    async with serving() as site:
        others = federation.World(site, lambda: clock.ms() // 1000)
        found.settings = found.city.settings = FederationSettings.model_validate(
            {"on": True, "subordinates": True, "trust_anchors": others.anchors}
        )
        await found.keys.open()
        try:
            yield others
        finally:
            found.settings = found.city.settings = before


@case("POST /federation/register")
async def post_federation_register(w: World) -> Any:
    async with member(w) as others:
        others.service("rp")
        others.said["rp"] = {"aud": w.app.host.issuer}
        chain = json.dumps(others.chain("rp", "pref", "anchor"))
        kind = {"content-type": "application/trust-chain+json"}
        return await w.http.post("/federation/register", content=chain, headers=kind)


@case("POST /federation/trust-mark-status")
async def post_federation_trust_mark_status(w: World) -> Any:
    async with member(w):
        entity = "https://clinic.example"
        await w.app.host.db.write(
            mark_book.give, MARK, entity, expires_at=None, actor=SYSTEM, now=w.app.host.clock.ms()
        )
        mark = await w.http.get("/federation/trust-mark", params={"trust_mark_type": MARK, "sub": entity})
        return await w.http.post("/federation/trust-mark-status", data={"trust_mark": mark.text})


ENTITY = "https://clinic.example"
BELOW = f"/console/federation/subordinates/{segment(ENTITY)}"
WHY = {"reason": "left"}


def vouching() -> dict[str, Any]:
    return {"entity_id": ENTITY, "jwks": federation.Party(ENTITY).jwks, "entity_types": ["openid_relying_party"]}


async def vouched(w: World) -> Colleague:
    who = await w.staff()
    assert (await who.api("POST", "/api/identity/federation/subordinates", vouching())).status_code == 201
    return who


async def marked(w: World) -> tuple[Colleague, str]:
    who = await w.staff()
    made = await who.api("POST", "/api/identity/federation/marks", {"kind": MARK, "entity_id": ENTITY})
    return who, made.json()["id"]


async def waits(w: World) -> tuple[Colleague, str]:
    """What one operator wants, and a second one."""
    changes, first = w.app.host.get(FederationChanges), await w.staff()
    changes.by_two = True
    try:
        made = await first.api("POST", "/api/identity/federation/subordinates", vouching())
    finally:
        changes.by_two = False
    assert made.status_code == 202
    return await colleague(w.app, w.http, "operator", login="second"), made.json()["id"]


@case("POST /api/identity/federation/subordinates")
async def post_subordinates(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/identity/federation/subordinates", vouching())


@case("POST /api/identity/federation/subordinates/{entity_id}/{step}")
async def post_subordinates_step(w: World) -> Any:
    return await (await vouched(w)).api("POST", f"/api/identity/federation/subordinates/{segment(ENTITY)}/end", WHY)


@case("POST /api/identity/federation/subordinates/{entity_id}/resume")
async def post_subordinates_resume(w: World) -> Any:
    who, place = await vouched(w), f"/api/identity/federation/subordinates/{segment(ENTITY)}"
    assert (await who.api("POST", f"{place}/suspend", WHY)).status_code == 200
    return await who.api("POST", f"{place}/resume")


@case("POST /api/identity/federation/marks")
async def post_marks(w: World) -> Any:
    sent = {"kind": MARK, "entity_id": ENTITY}
    return await (await w.staff()).api("POST", "/api/identity/federation/marks", sent)


@case("POST /api/identity/federation/marks/{mark_id}/revoke")
async def post_marks_revoke(w: World) -> Any:
    who, mark = await marked(w)
    return await who.api("POST", f"/api/identity/federation/marks/{mark}/revoke", WHY)


@case("POST /api/identity/federation/changes/{change_id}/approve")
async def post_changes_approve(w: World) -> Any:
    second, change = await waits(w)
    return await second.api("POST", f"/api/identity/federation/changes/{change}/approve")


@case("DELETE /api/identity/federation/changes/{change_id}")
async def delete_changes(w: World) -> Any:
    second, change = await waits(w)
    return await second.api("DELETE", f"/api/identity/federation/changes/{change}")


@case("POST /api/identity/federation/explain")
async def post_explain(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/identity/federation/explain", {"entity_id": ENTITY})


@case("POST /console/federation/vouch")
async def post_console_vouch(w: World) -> Any:
    sent = {"entity_id": ENTITY, "jwks": json.dumps(federation.Party(ENTITY).jwks), "kind": "openid_provider"}
    return await (await w.staff()).post("/console/federation/vouch", sent | {"sure": "1"})


@case("POST /console/federation/mark")
async def post_console_mark(w: World) -> Any:
    return await (await w.staff()).post("/console/federation/mark", {"entity_id": ENTITY, "kind": MARK})


@case("POST /console/federation/changes/{change_id}/approve")
async def post_console_changes_approve(w: World) -> Any:
    second, change = await waits(w)
    return await second.post(f"/console/federation/changes/{change}/approve")


@case("POST /console/federation/changes/{change_id}/decline")
async def post_console_changes_decline(w: World) -> Any:
    second, change = await waits(w)
    return await second.post(f"/console/federation/changes/{change}/decline")


@case("POST /console/federation/subordinates/{entity}/{step}")
async def post_console_subordinates_step(w: World) -> Any:
    return await (await vouched(w)).post(f"{BELOW}/suspend", WHY)


@case("POST /console/federation/subordinates/{entity}/resume")
async def post_console_subordinates_resume(w: World) -> Any:
    who = await vouched(w)
    await who.post(f"{BELOW}/suspend", WHY)
    return await who.post(f"{BELOW}/resume")


@case("POST /console/federation/marks/{mark_id}/revoke")
async def post_console_marks_revoke(w: World) -> Any:
    who, mark = await marked(w)
    return await who.post(f"/console/federation/marks/{mark}/revoke", WHY)


@case("POST /console/federation/explain")
async def post_console_explain(w: World) -> Any:
    return await (await w.staff()).post("/console/federation/explain", {"entity_id": ENTITY})
