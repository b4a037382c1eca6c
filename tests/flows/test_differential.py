"""Ours beside npm oidc-provider: the same requests, most of them malformed (tests/support/malformed.py), to both.

What each answers is reduced to where the answer stands and which error it names. Where the two differ, the difference
is in tests/flows/differences.py with its reason; a difference that is not there fails, and so does one that is gone.
"""

import base64
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from identity.clients import Clients
from identity.registration import CIBA, DEVICE, Registration
from kit.host import SYSTEM
from portal.app import create_app
from portal.settings import Settings
from tests.flows.differences import DIFFERENCES
from tests.flows.test_real_clients import installed
from tests.support.malformed import REDIRECT, Case, cases
from tests.support.peers import needs

pytestmark = [needs("node", "npm"), pytest.mark.anyio]

OURS = {
    "authorize": "/oauth/authorize", "token": "/oauth/token", "par": "/oauth/par", "introspect": "/oauth/introspect",
    "revoke": "/oauth/revoke", "userinfo": "/oauth/userinfo", "register": "/oauth/register",
    "end_session": "/oauth/end-session", "device": "/oauth/device_authorization",
    "ciba": "/oauth/backchannel-authentication",
}  # fmt: skip
THEIRS = {
    "authorize": "/auth", "token": "/token", "par": "/request", "introspect": "/token/introspection",
    "revoke": "/token/revocation", "userinfo": "/me", "register": "/reg", "end_session": "/session/end",
    "device": "/device/auth", "ciba": "/backchannel",
}  # fmt: skip


def verdict(answer: httpx2.Response) -> str:
    """Where an answer stands and what it says."""
    if answer.is_redirect:
        place = answer.headers["location"]
        if not place.startswith(REDIRECT):
            return "goes on"
        query = parse_qs(urlsplit(place).query or urlsplit(place).fragment)
        return f"to the client: {query.get('error', ['?'])[0]}"
    kind = answer.headers.get("content-type", "").partition(";")[0]
    challenge = answer.headers.get("www-authenticate", "")
    if answer.is_success:
        return "accepted"
    if "error=" in challenge:
        word = challenge.partition("error=")[2].strip('"').partition('"')[0]
        return f"{answer.status_code} challenge {word}"
    if kind == "application/json":
        return f"{answer.status_code} {answer.json().get('error')}"
    return f"{answer.status_code} {'page' if kind == 'text/html' else 'refused'}"


async def ask(http: httpx2.AsyncClient, path: str, case: Case, secrets: dict[str, str]) -> str:
    """Send one case; its verdict."""
    headers = list(case.headers)
    if case.body is not None:
        headers.append(("content-type", case.kind))
    who = {"basic": "diff", "counter": "counter"}.get(case.proof)
    if who is not None:
        pair = base64.b64encode(f"{who}:{secrets[who]}".encode()).decode()
        headers.append(("authorization", f"Basic {pair}"))
    elif case.proof != "none":
        headers.append(("authorization", case.proof))
    body = None if case.body is None else case.body.replace("SECRET", secrets["diff"]).encode()
    query = case.query.replace("SECRET", secrets["diff"])
    return verdict(await http.request(case.method, f"{path}?{query}" if query else path, content=body, headers=headers))


@pytest.fixture(scope="module")
def theirs() -> Iterator[tuple[str, dict[str, str]]]:
    """The peer's address, and its clients' secrets."""
    secret, place = "sec_" + "d" * 43, installed()
    peer = subprocess.Popen(
        ["node", "judge.mjs"], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "CLIENT_SECRET": secret}, text=True,
    )  # fmt: skip
    assert peer.stdout is not None
    yield json.loads(peer.stdout.readline())["url"], {"diff": secret, "counter": secret}
    peer.communicate(timeout=10)


@pytest.fixture
async def ours(settings: Settings, clock: Any) -> AsyncIterator[tuple[httpx2.AsyncClient, dict[str, str]]]:
    """Our building with the same four clients, and their secrets."""
    identity = settings.identity.model_copy(update={"registration": "open"})
    opened = settings.model_copy(update={"identity": identity})
    async with create_app(opened, clock=clock).running(jobs=False) as building:
        fields: dict[str, Any] = {
            "name_ja": "診療所", "name_en": "Clinic", "redirect_uris": [REDIRECT],
            "scope": "openid profile offline_access read", "id_token_signed_response_alg": "ES256",
        }  # fmt: skip
        clients = building.host.get(Clients)
        both = ["authorization_code", "refresh_token"]
        own = Registration(**fields, grant_types=[*both, "client_credentials"])
        _, secret = await building.host.db.write(clients.create, own, actor=SYSTEM, client_id="diff")
        public = Registration(**fields, grant_types=both, token_endpoint_auth_method="none")
        await building.host.db.write(clients.create, public, actor=SYSTEM, client_id="pub")
        asks = Registration(**fields, grant_types=[*both, DEVICE, CIBA], backchannel_token_delivery_mode="poll")
        _, other = await building.host.db.write(clients.create, asks, actor=SYSTEM, client_id="counter")
        screen = Registration(**fields, grant_types=[*both, DEVICE], token_endpoint_auth_method="none")
        await building.host.db.write(clients.create, screen, actor=SYSTEM, client_id="screen")
        transport = httpx2.ASGITransport(app=building, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=building.settings.issuer) as http:
            yield http, {"diff": str(secret), "counter": str(other)}


async def test_every_difference_is_explained_and_no_other_is(
    theirs: tuple[str, dict[str, str]], ours: tuple[httpx2.AsyncClient, dict[str, str]], tmp_path: Path
) -> None:
    found: dict[str, tuple[str, str]] = {}
    refused = 0
    async with httpx2.AsyncClient(base_url=theirs[0]) as http:
        for case in cases():
            mine = await ask(ours[0], OURS[case.endpoint], case, ours[1])
            other = await ask(http, THEIRS[case.endpoint], case, theirs[1])
            refused += mine not in ("accepted", "goes on")
            if mine != other:
                found[case.name] = (mine, other)
    explained = {name: pair for reason in DIFFERENCES.values() for name, pair in reason.items()}
    assert sum(len(reason) for reason in DIFFERENCES.values()) == len(explained), "one reason for each"
    new = {name: pair for name, pair in found.items() if explained.get(name) != pair}
    gone = sorted(set(explained) - set(found))
    assert not new, "\n".join(f'"{name}": {pair},' for name, pair in new.items())
    assert not gone, gone
    assert refused >= 250, "malformed requests, and not merely requests"


def test_there_are_more_than_three_hundred_and_no_two_alike() -> None:
    known = cases()
    assert len(known) >= 350
    assert len({case.name for case in known}) == len(known)
