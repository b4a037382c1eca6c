"""Cases of tests.portal.test_every_write. OpenID Federation; the other members are tests/support/federation.py."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from identity.federation import mark_book
from identity.federation.service import Federation
from identity.federation.settings import FederationSettings
from kit.host import SYSTEM
from tests.portal.writes.base import World, case
from tests.support import federation
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
