"""What every JSON endpoint does with a body that is no JSON, of another type, or too large: 400, 415, 413."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.desk import Colleague, colleague

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

FOLDER = Path(__file__).parents[2] / "openapi"
RESIDENTS = ("/api/bank/my", "/api/consent/imports", "/api/consent/instructions", "/api/consent/records")
ROLES = ("operator", "lead", "analyst", "ethics")


def _operations() -> list[tuple[str, str]]:
    """Every operation with a JSON body that a person signed in may call."""
    return [
        (method.upper(), path)
        for document in sorted(FOLDER.glob("*.json"))
        for path, methods in json.loads(document.read_text()).get("paths", {}).items()
        for method, operation in methods.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {})
        and any("session" in kind for kind in operation.get("security", []))
    ]


def _headers(who: Colleague, kind: str) -> dict[str, str]:
    return who._sent() | {"accept": "application/json", "content-type": kind}


@pytest.mark.parametrize(("method", "path"), _operations())
async def test_each_refuses_by_the_right_status(app: "Building", client: Any, method: str, path: str) -> None:
    mine = path.startswith(RESIDENTS)
    who = await colleague(app, client, kind="resident") if mine else await colleague(app, client, *ROLES)
    for body, kind, status in (
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b'"' + b"x" * 3_000_000 + b'"', "application/json", 413),
    ):
        answer = await client.request(method, path, content=body, headers=_headers(who, kind))
        assert answer.status_code == status, (kind, answer.text[:200])
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]


async def test_a_body_without_an_announced_size_is_not_read_on(app: "Building", client: Any) -> None:
    who = await colleague(app, client, *ROLES)

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"name_ja":"'
        for _ in range(100):
            yield b"x" * 65_536

    answer = await client.post("/api/identity/members", content=endless(), headers=_headers(who, "application/json"))
    assert answer.status_code == 413


async def test_a_stranger_learns_nothing_from_how_a_body_is_judged(client: Any, app: "Building") -> None:
    headers = {"origin": app.settings.issuer, "content-type": "text/plain", "accept": "application/json"}
    answer = await client.post("/api/identity/members", content=b"{}", headers=headers)
    assert answer.status_code == 401
