"""Client authentication (RFC 6749 section 2.3, RFC 7523 section 3, OpenID Connect Core section 9)."""

import asyncio
import base64
from collections import Counter
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from identity import members
from identity.clients import Clients
from kit.host import SYSTEM
from tests.support.relying_party import Party, assertion, join

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MACHINE: dict[str, Any] = {"grant_types": ["client_credentials"], "redirect_uris": [], "scope": "read write"}


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client, **MACHINE)


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


async def ask(party: Party, headers: dict[str, str] | None = None, **form: str) -> Any:
    return await party.http.post(
        "/oauth/token", data={"grant_type": "client_credentials", **form}, headers=headers or {}
    )


async def test_the_right_secret_gets_a_token_for_the_client_itself(party: Party) -> None:
    answer = await ask(party, party.basic, scope="read")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["scope"] == "read"
    assert "refresh_token" not in body
    assert "id_token" not in body
    said = await party.introspect(body["access_token"])
    assert said["sub"] == said["client_id"] == party.client.id
    assert said["aud"] == party.issuer
    assert "grant_id" not in said


async def test_without_a_scope_all_registered_ones_are_given(party: Party) -> None:
    assert (await ask(party, party.basic)).json()["scope"] == "read write"


@pytest.mark.parametrize("scope", ["admin", "openid", "read openid", "offline_access"])
async def test_a_scope_that_is_not_its_own_is_refused(party: Party, scope: str) -> None:
    assert (await ask(party, party.basic, scope=scope)).json()["error"] == "invalid_scope"


async def test_unknown_client_wrong_secret_and_wrong_method_get_the_same_answer(party: Party) -> None:
    answers = [
        await ask(party, basic("cli_nobody", "x")),
        await ask(party, basic(party.client.id, "x")),
        await ask(party, basic(party.client.id, (party.secret or "") + "x")),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert all(answer.headers["www-authenticate"].startswith("Basic ") for answer in answers)
    by_post = await ask(party, client_id=party.client.id, client_secret=party.secret or "")
    assert by_post.status_code == 401
    assert by_post.content == answers[0].content
    assert "token_endpoint_auth_method" in by_post.json()["error_description"]  # what a library gets wrong
    assert "www-authenticate" not in by_post.headers


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode(), "Basic OnNlY3JldA==", "Bearer abc",
     "Basic YTpi\nx", "Basic /w=="],
)  # fmt: skip
async def test_loosely_written_credentials_are_refused(party: Party, header: str) -> None:
    refused = await ask(party, {"authorization": header.replace("\n", "")})
    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"


async def test_two_methods_at_once_are_an_invalid_request(party: Party) -> None:
    """RFC 6749 section 2.3."""
    refused = await ask(party, party.basic, client_id=party.client.id, client_secret=party.secret or "")
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_request"
    differs = await ask(party, party.basic, client_id="cli_other")
    assert differs.json()["error"] == "invalid_request"


async def test_nothing_at_all_is_an_invalid_client(party: Party) -> None:
    refused = await ask(party)
    assert refused.status_code == 401


async def test_client_secret_post_works_where_registered(app: Any, client: Any) -> None:
    party = await join(app, client, **MACHINE, token_endpoint_auth_method="client_secret_post")
    assert (await ask(party, client_id=party.client.id, client_secret=party.secret or "")).status_code == 200
    assert (await ask(party, party.basic)).status_code == 401


async def test_suspending_the_client_or_its_member_stops_everything_at_once(party: Party) -> None:
    """Invariant I5."""
    host = party.building.host
    clients = host.get(Clients)
    token = (await ask(party, party.basic)).json()["access_token"]
    watcher = await join(party.building, party.http, **MACHINE, introspects=[party.issuer])
    assert (await watcher.introspect(token))["active"]
    await host.db.write(clients.suspend, party.client.id, actor=SYSTEM)
    assert (await ask(party, party.basic)).status_code == 401
    assert await watcher.introspect(token) == {"active": False}
    await host.db.write(clients.resume, party.client.id, actor=SYSTEM)
    assert (await ask(party, party.basic)).status_code == 200
    assert (await watcher.introspect(token))["active"]
    assert party.client.member_id is not None
    await host.db.write(members.suspend, party.client.member_id, actor=SYSTEM, now=host.clock.ms())
    assert (await ask(party, party.basic)).status_code == 401
    assert await watcher.introspect(token) == {"active": False}


async def test_a_rotated_secret_stops_at_once(party: Party) -> None:
    host = party.building.host
    fresh = await host.db.write(host.get(Clients).rotate_secret, party.client.id, actor=SYSTEM)
    assert (await ask(party, party.basic)).status_code == 401
    assert (await ask(party, basic(party.client.id, fresh))).status_code == 200


# -- private_key_jwt ----------------------------------------------------------------------------------------------


def key_for(alg: str) -> Any:
    options = {"kid": "k1"}
    if alg == "ES256":
        return ECKey.generate_key("P-256", options)
    if alg == "EdDSA":
        return OKPKey.generate_key("Ed25519", options)
    return RSAKey.generate_key(2048, options)


async def with_key(app: Any, client: Any, alg: str = "ES256") -> tuple[Party, Any]:
    key = key_for(alg)
    jwks = {"keys": [key.as_dict(private=False)]}
    return await join(app, client, **MACHINE, token_endpoint_auth_method="private_key_jwt", jwks=jwks), key


async def say(party: Party, token: str, **form: str) -> Any:
    return await ask(party, client_assertion_type=ASSERTION_TYPE, client_assertion=token, **form)


def good(party: Party, key: Any, alg: str = "ES256", **claims: Any) -> str:
    standard = {"iss": party.client.id, "sub": party.client.id, "aud": party.issuer}
    return assertion(key, alg=alg, now_ms=party.building.host.clock.ms(), **{**standard, **claims})


@pytest.mark.parametrize("alg", ["ES256", "EdDSA", "PS256"])
async def test_a_signed_assertion_proves_the_client(app: Any, client: Any, alg: str) -> None:
    party, key = await with_key(app, client, alg)
    answer = await say(party, good(party, key, alg))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["", "/oauth/token"])
async def test_the_audience_is_issuer_or_endpoint(app: Any, client: Any, path: str) -> None:
    party, key = await with_key(app, client)
    assert (await say(party, good(party, key, aud=party.issuer + path))).status_code == 200
    assert (await say(party, good(party, key, aud=[party.issuer + path]))).status_code == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "https://other.example"},
        {"aud": ["http://localhost:8080", "https://other.example"]},
        {"aud": None},
        {"aud": []},
        {"aud": 7},
        {"iss": "cli_other"},
        {"iss": None},
        {"exp": None},
        {"exp": 1},
        {"exp": 1_795_000_000 + 10 * 365 * 86_400},
        {"exp": "soon"},
        {"exp": True},
        {"iat": 1_795_000_000 + 61},
        {"nbf": 1_795_000_000 + 61},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
    ],
)
async def test_an_assertion_with_a_faulty_claim_is_refused(app: Any, client: Any, claims: dict[str, Any]) -> None:
    """RFC 7523 section 3."""
    party, key = await with_key(app, client)
    refused = await say(party, good(party, key, **claims))
    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"


async def test_ten_seconds_of_skew_are_forgiven(app: Any, client: Any) -> None:
    party, key = await with_key(app, client)
    now = party.building.host.clock.ms() // 1000
    assert (await say(party, good(party, key, iat=now + 10, nbf=now + 10))).status_code == 200


async def test_another_key_another_algorithm_and_no_signature_are_refused(app: Any, client: Any) -> None:
    party, _ = await with_key(app, client)
    rsa = key_for("RS256")
    forged = [
        good(party, key_for("ES256")),
        good(party, rsa, "RS256"),
        f"eyJhbGciOiJub25lIn0.{good(party, rsa, 'RS256').split('.')[1]}.",
        "not.a.jwt",
        "x",
    ]
    for token in forged:
        assert (await say(party, token)).status_code == 401


async def test_one_assertion_used_by_eight_at_once_works_once(app: Any, client: Any) -> None:
    """RFC 7523 section 3 rule 7, invariant I7."""
    party, key = await with_key(app, client)
    token = good(party, key)
    answers = await asyncio.gather(*(say(party, token) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 401: 7}


async def test_the_assertion_type_is_needed_and_the_client_id_must_fit(app: Any, client: Any) -> None:
    party, key = await with_key(app, client)
    refused = await ask(party, client_assertion=good(party, key), client_assertion_type="jwt")
    assert refused.json()["error"] == "invalid_request"
    assert (await say(party, good(party, key), client_id="cli_other")).status_code == 401
    assert (await say(party, good(party, key), client_id=party.client.id)).status_code == 200


async def test_a_public_client_gets_nothing_for_itself(app: Any, client: Any) -> None:
    party = await join(app, client, token_endpoint_auth_method="none")
    refused = await ask(party, client_id=party.client.id)
    assert refused.json()["error"] == "unauthorized_client"
    asked = await party.http.post("/oauth/introspect", data={"client_id": party.client.id, "token": "x"})
    assert asked.json()["error"] == "unauthorized_client"
    code = await party.code()
    assert (await party.exchange(code)).status_code == 200


async def test_wrong_bodies_are_refused_in_oauths_words(party: Party) -> None:
    as_json = await party.http.post("/oauth/token", json={"grant_type": "client_credentials"}, headers=party.basic)
    assert as_json.json()["error"] == "invalid_request"
    twice = await party.http.post(
        "/oauth/token",
        content=b"grant_type=client_credentials&grant_type=client_credentials",
        headers={**party.basic, "content-type": "application/x-www-form-urlencoded"},
    )
    assert twice.json()["error"] == "invalid_request"
    large = await party.http.post(
        "/oauth/token",
        content=b"x=" + b"a" * 70_000,
        headers={**party.basic, "content-type": "application/x-www-form-urlencoded"},
    )
    assert large.status_code == 413
