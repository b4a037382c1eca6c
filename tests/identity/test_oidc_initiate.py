"""Login begun by a third party (OpenID Connect Core section 4)."""

from typing import Any

from identity.clients import Clients
from kit.host import SYSTEM
from tests.support.relying_party import join


async def test_the_browser_goes_to_the_registered_start_with_our_name_and_nowhere_else(app: Any, client: Any) -> None:
    party = await join(app, client, initiate_login_uri="https://clinic.example/start?a=1")
    asked = {"client_id": party.client.id, "target_link_uri": "https://evil.example/"}
    there = await client.get("/oauth/start", params=asked)
    assert there.headers["location"] == "https://clinic.example/start?a=1&iss=http%3A%2F%2Flocalhost%3A8080"
    other = await join(app, client)
    for client_id in (other.client.id, "cli_nobody", ""):
        refused = await client.get("/oauth/start", params={"client_id": client_id})
        assert refused.status_code == 400
        assert "location" not in refused.headers
    await app.host.db.write(app.host.get(Clients).suspend, party.client.id, actor=SYSTEM)
    assert (await client.get("/oauth/start", params=asked)).status_code == 400
