"""Introspection and revocation (RFC 7662, RFC 7009)."""

from typing import Any

import pytest

from kit import audit
from tests.support.relying_party import Party, advance, join


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def tokens(party: Party) -> dict[str, Any]:
    body: dict[str, Any] = (await party.exchange(await party.code(scope="openid offline_access"))).json()
    return body


async def test_a_live_token_says_what_it_carries(party: Party) -> None:
    said = await party.introspect((await tokens(party))["access_token"])
    assert said["active"] is True
    assert said["token_type"] == "Bearer"
    assert said["client_id"] == party.client.id
    assert said["iss"] == said["aud"] == party.issuer
    assert said["scope"] == "openid offline_access"
    assert said["acr"] == "urn:sekisho:aal:2"
    assert party.account_id not in str(said)


async def test_only_its_own_client_and_its_resource_server_may_know(party: Party, app: Any, client: Any) -> None:
    token = (await tokens(party))["access_token"]
    stranger = await join(app, client)
    resource = await join(app, client, introspects=["http://localhost:8080"])
    assert await stranger.introspect(token) == {"active": False}
    assert (await resource.introspect(token))["active"] is True


async def test_a_token_for_another_resource_carries_another_subject(party: Party, app: Any, client: Any) -> None:
    """RFC 8707; pairwise for the resource's audience."""
    bus = "https://bus.example/api"
    party = await join(app, client, resources=[bus])
    code = await party.code(resource=bus)
    narrowed = (await party.exchange(code)).json()["access_token"]
    own = (await party.exchange(await party.code())).json()["access_token"]
    server = await join(app, client, introspects=[bus])
    said = await server.introspect(narrowed)
    assert said["aud"] == bus
    assert said["sub"] != (await party.introspect(own))["sub"]
    refused = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {narrowed}"})
    assert refused.status_code == 401


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "skr_x", "eyJhbGciOiJub25lIn0.e30."])
async def test_anything_else_is_inactive_or_an_invalid_request(party: Party, token: str) -> None:
    answer = await party.http.post("/oauth/introspect", data={"token": token}, headers=party.basic)
    if token:
        assert answer.json() == {"active": False}
    else:
        assert answer.json()["error"] == "invalid_request"


async def test_an_expired_token_is_inactive(party: Party) -> None:
    token = (await tokens(party))["access_token"]
    assert (await party.introspect(token))["active"]
    advance(party.building, 300)
    assert await party.introspect(token) == {"active": False}


async def test_an_id_token_is_no_access_token(party: Party) -> None:
    """RFC 9068 section 4: the type says which is which."""
    body = await tokens(party)
    assert await party.introspect(body["id_token"]) == {"active": False}
    refused = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['id_token']}"})
    assert refused.status_code == 401


async def test_a_revoked_access_token_goes_alone(party: Party) -> None:
    """RFC 7009 section 2.1."""
    body = await tokens(party)
    done = await party.http.post(
        "/oauth/revoke", data={"token": body["access_token"], "token_type_hint": "refresh_token"}, headers=party.basic
    )
    assert done.status_code == 200
    assert done.content == b""
    assert await party.introspect(body["access_token"]) == {"active": False}
    assert (await party.refresh(body["refresh_token"])).status_code == 200
    found = await party.building.host.db.read(audit.entries, action="identity.token.revoked")
    assert len(found) == 1


async def test_nobody_revokes_anothers_token(party: Party, app: Any, client: Any) -> None:
    other, body = await join(app, client), await tokens(party)
    for name in ("access_token", "refresh_token"):
        refused = await party.http.post("/oauth/revoke", data={"token": body[name]}, headers=other.basic)
        assert refused.json()["error"] == "invalid_request"
        assert (await party.introspect(body[name]))["active"]


async def test_an_unknown_token_is_as_good_as_revoked(party: Party) -> None:
    """RFC 7009 section 2.2."""
    done = await party.http.post("/oauth/revoke", data={"token": "nonsense"}, headers=party.basic)
    assert done.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status", "challenge"),
    [
        ({}, 401, "Bearer resource_metadata="),
        ({"authorization": "Basic eDp5"}, 401, "Bearer resource_metadata="),
        ({"authorization": "Bearer"}, 401, "Bearer resource_metadata="),
        ({"authorization": "Bearer nonsense"}, 401, 'Bearer error="invalid_token"'),
        ({"authorization": "DPoP nonsense"}, 401, 'DPoP error="invalid_token"'),
    ],
)
async def test_the_challenge_says_what_is_missing(
    party: Party, headers: dict[str, str], status: int, challenge: str
) -> None:
    """RFC 6750 section 3: no error code where no token was sent."""
    refused = await party.http.get("/oauth/userinfo", headers=headers)
    assert refused.status_code == status
    assert refused.headers["www-authenticate"].startswith(challenge)
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_token_without_the_scope_is_too_narrow(app: Any, client: Any) -> None:
    party = await join(app, client, grant_types=["client_credentials"], redirect_uris=[], scope="read")
    token = (await party.token(grant_type="client_credentials")).json()["access_token"]
    refused = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert refused.status_code == 403
    assert refused.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="openid"'


async def test_the_body_of_a_post_may_carry_the_token_to_userinfo(party: Party) -> None:
    """RFC 6750 section 2.2, OpenID Connect Core section 5.3.1."""
    token = (await tokens(party))["access_token"]
    said = await party.http.post("/oauth/userinfo", data={"access_token": token})
    assert said.status_code == 200
