"""The wire: `/oauth/jwks` with its caching, and key ceremonies for operators."""

import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response

from keys import wiring
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from keys.ring import KeyRing
from keys.settings import KeysSettings
from keys.signing import ALGS
from kit.audit import AuditTrail
from kit.clock import FrozenClock
from kit.db import Database
from kit.front import FrontTable
from kit.host import ANONYMOUS, Actor, Host
from kit.web import install_errors

pytestmark = pytest.mark.anyio

OPERATOR = Actor("operator", "acc_operator", roles=frozenset({"operator"}))
ANALYST = Actor("operator", "acc_analyst", roles=frozenset({"analyst"}))


@pytest.fixture
async def host(db: Database, clock: FrozenClock, settings: KeysSettings) -> Host:
    """A building with this package only."""
    AuditTrail(db, clock)
    host = Host(db=db, clock=clock, settings=SimpleNamespace(keys=settings), issuer="https://sekisho.example")
    wiring.include(host)
    for start in host.starters:
        await start()
    return host


class Door:
    """A client, and who it says it is."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client
        self.actor = ANONYMOUS


@pytest.fixture
async def door(host: Host) -> AsyncIterator[Door]:
    app = FastAPI()
    install_errors(app)
    asking: list[Door] = []

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        request.state.actor = asking[0].actor
        response: Response = await call_next(request)
        return response

    for _, audience, router in host.routers:
        assert audience == "operator"
        app.include_router(router)
    transport = httpx2.ASGITransport(app=FrontTable(host.rows, app))
    async with httpx2.AsyncClient(transport=transport, base_url="https://sekisho.example") as client:
        asking.append(Door(client))
        yield asking[0]


async def test_services_are_provided_by_their_types(host: Host) -> None:
    for kind in (KeyStore, KeyRing, Sealer, TokenHasher, Passwords):
        assert isinstance(host.get(kind), kind)


async def test_the_key_set_is_public_cacheable_and_tagged(door: Door, host: Host) -> None:
    answer = await door.client.get("/oauth/jwks")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert len(answer.json()["keys"]) == 2 * len(ALGS) + 1  # one that signs, one that waits; one to encrypt to
    assert answer.content == host.get(KeyRing).jwks()[0]


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_an_unchanged_set_is_not_sent_again(door: Door, form: str) -> None:
    tag = (await door.client.get("/oauth/jwks")).headers["etag"]
    answer = await door.client.get("/oauth/jwks", headers={"If-None-Match": form.format(tag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    other = await door.client.get("/oauth/jwks", headers={"If-None-Match": '"other"'})
    assert other.status_code == 200


async def test_a_rotation_is_seen_in_the_very_next_answer(door: Door) -> None:
    before = await door.client.get("/oauth/jwks")
    door.actor = OPERATOR
    answer = await door.client.post("/api/keys/rotate", json={"algorithms": ["EdDSA"]})
    assert answer.status_code == 200, answer.text
    (done,) = answer.json()["rotated"]
    after = await door.client.get("/oauth/jwks", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    kids = {key["kid"] for key in after.json()["keys"]}
    assert {done["retired"], done["active"], done["next"]} <= kids


async def test_all_sets_may_be_named_at_once(door: Door) -> None:
    door.actor = OPERATOR
    answer = await door.client.post("/api/keys/rotate", json={"algorithms": list(ALGS)})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["rotated"]) == len(ALGS)


async def test_an_operator_lists_keys_with_their_states(door: Door) -> None:
    door.actor = OPERATOR
    answer = await door.client.get("/api/keys")
    assert answer.status_code == 200
    found = answer.json()["keys"]
    assert {key["state"] for key in found} == {"active", "next"}
    assert "wrapped" not in answer.text
    assert "sealed" not in answer.text


async def test_an_operator_rotates_the_key_encryption_key(door: Door) -> None:
    door.actor = OPERATOR
    answer = await door.client.post("/api/keys/rewrap")
    assert (answer.status_code, answer.json()) == (200, {"data_keys": 3})


@pytest.mark.parametrize("actor", [ANONYMOUS, ANALYST])
@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/rotate"), ("POST", "/rewrap")])
async def test_nobody_else_may(door: Door, host: Host, actor: Actor, method: str, path: str) -> None:
    door.actor = actor
    before = await host.get(KeyStore).list_keys()
    answer = await door.client.request(method, "/api/keys" + path, json={} if method == "POST" else None)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert await host.get(KeyStore).list_keys() == before


async def test_rotating_again_too_soon_says_when(door: Door, clock: FrozenClock) -> None:
    door.actor = OPERATOR
    clock.advance(seconds=1)
    await door.client.post("/api/keys/rotate", json={})
    answer = await door.client.post("/api/keys/rotate", json={})
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/keys/rotation-too-soon"
    assert "Rotate after that" in answer.json()["detail"]
    urgent = await door.client.post("/api/keys/rotate", json={"compromised": True})
    assert urgent.status_code == 200


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"algorithms": []}, "/algorithms"),
        ({"algorithms": ["HS256"]}, "/algorithms/0"),
        ({"compromised": "yes"}, "/compromised"),
        ({"other": 1}, "/other"),
    ],
)
async def test_a_wrong_field_is_named(door: Door, body: dict[str, Any], pointer: str) -> None:
    door.actor = OPERATOR
    answer = await door.client.post("/api/keys/rotate", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_every_problem_of_the_package_is_registered(host: Host) -> None:
    ours = {path for path in host.problem_types if path.startswith("/problems/keys/")}
    assert ours == {
        "/problems/keys/bad-token",
        "/problems/keys/key-destroyed",
        "/problems/keys/key-not-found",
        "/problems/keys/move-not-allowed",
        "/problems/keys/rotation-too-soon",
    }
    assert json.dumps(sorted(ours))
