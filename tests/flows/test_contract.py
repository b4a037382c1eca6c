"""Schemathesis against the served city, over every operation of every API document.

For each operation: examples that fit its schema and examples that do not, as the audience it is for. Whatever comes
back must be documented: the status, the content type, the shape; and never a 5xx. At most ten examples an operation
here; the long run takes its time.
"""

import base64
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from identity.sessions import session_cookie
from portal.walk.browser import Page
from portal.walk.person import Person
from portal.walk.report import Report
from tests.support.server import CITY_ENVIRON, Served
from tests.support.service import Resident, Service, credentials
from tests.support.source import ROOT

DOCUMENTS = ("identity", "consent", "infobank", "cert", "keys")  # keys last: a rotated key ends the tokens in use
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
WIDE = "govstack.service ssf.manage ssf.read grant_management_query grant_management_revoke"
METHODS = ("get", "post", "put", "patch", "delete")


def _documents() -> dict[str, dict[str, Any]]:
    return {name: json.loads((ROOT / "openapi" / f"{name}.json").read_text()) for name in DOCUMENTS}


OPERATIONS = [
    pytest.param(name, path, method, id=f"{method.upper()} {path}")
    for name, document in _documents().items()
    for path, methods in document["paths"].items()
    for method in methods
    if method in METHODS
]


@dataclass
class People:
    """Who asks: a resident, an operator and an analyst in their browsers, a service with and without a resident."""

    url: str
    cookies: dict[str, str]
    tokens: dict[str, str]
    client: dict[str, Any]
    answered: dict[str, set[int]]  # operation -> statuses seen

    def dress(self, path: str, security: list[dict[str, Any]]) -> dict[str, str]:
        """The headers of the right one of them for an operation."""
        kinds = {name for one in security for name in one}
        if "client_secret_basic" in kinds:
            pair = f"{self.client['client_id']}:{self.client['client_secret']}".encode()
            return {"authorization": "Basic " + base64.b64encode(pair).decode()}
        if "session" in kinds:
            who = "resident" if kinds == {"session"} else "lead" if path.startswith("/api/cert") else "operator"
            return {"cookie": f"{session_cookie(self.url)}={self.cookies[who]}", "origin": self.url}
        if "bearer" in kinds:
            whose = "own"
            if path.startswith(("/api/bank", "/data-tracker", "/oauth/userinfo")):
                whose = "resident"
            if path.startswith(("/govstack", "/ssf", "/oauth/grants")):
                whose = "wide"
            if path == "/oauth/register":
                whose = "initial"
            return {"authorization": f"Bearer {self.tokens[whose]}"}
        return {"origin": self.url}


@pytest.fixture(scope="module")
def server(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The city of conftest, in a federation that it is the anchor of: else those addresses would only say 404."""
    data = tmp_path_factory.mktemp("contract") / "data"
    shutil.copytree(city, data)
    federation = {"on": True, "subordinates": True, "own_anchor": True}
    environ = CITY_ENVIRON | {"SEKISHO_IDENTITY__FEDERATION": json.dumps(federation)}
    served = Served(data, environ=environ).start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def people(server: Served) -> Iterator[People]:
    """Everybody comes in by the front door: password, one-time code, the authorization code flow."""
    known = credentials(server.data)
    report = Report(quiet=True)
    report.step("sign in")
    cookies = {}
    for who, person in (
        ("resident", known["residents"]["hanako"]),
        ("operator", known["staff"]["operator"]),
        ("lead", known["staff"]["lead"]),
    ):
        somebody = Person(server.url, person, report)
        page = somebody.browser.open(f"{server.url}/sign-in")
        assert isinstance(page, Page)
        somebody.sign_in(page)
        cookies[who] = somebody.browser.http.cookies[session_cookie(server.url)]
        somebody.close()
    registration = known["clients"]["minatohama-transit"]
    # A second client of the same member, for what a service may do beside the data.
    made = httpx2.post(
        f"{server.url}/api/identity/clients",
        json={
            "name_ja": "試験", "name_en": "Contract", "member_id": registration["member"],
            "grant_types": ["client_credentials"], "redirect_uris": [], "scope": WIDE,
        },
        headers={"cookie": f"{session_cookie(server.url)}={cookies['operator']}", "origin": server.url},
    )  # fmt: skip
    assert made.status_code == 201, made.text
    initial = httpx2.post(
        f"{server.url}/api/identity/registration-tokens",
        json={"uses": 50},
        headers={"cookie": f"{session_cookie(server.url)}={cookies['operator']}", "origin": server.url},
    )
    assert initial.status_code == 201, initial.text
    wide = {"client_id": made.json()["client"]["id"], "client_secret": made.json()["client_secret"]}

    async def service_tokens() -> dict[str, str]:
        resident = Resident.with_session(server.url, "hanako", "", cookies["resident"])
        service = Service(server.url, registration)
        try:
            own = await service.own_token()
            address, verifier = await service.ask(scope="openid profile bank:deposit")
            token = await service.exchange(await resident.agree(address), verifier)
            answer = httpx2.post(
                f"{server.url}/oauth/token",
                data={"grant_type": "client_credentials", "scope": WIDE},
                auth=(wide["client_id"], wide["client_secret"]),
            )
            answer.raise_for_status()
            return {
                "own": own,
                "resident": token["access_token"],
                "wide": answer.json()["access_token"],
                "initial": initial.json()["token"],
            }
        finally:
            await resident.http.aclose()
            await service.http.aclose()

    import asyncio

    yield People(server.url, cookies, asyncio.run(service_tokens()), registration, {})
    # Whatever was sent, the city still stands.
    assert httpx2.get(f"{server.url}/healthz").status_code == 200


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections are kept; cookies are not (each case says who asks)."""
    with requests.Session() as made:
        made.cookies.set_policy(_NoCookies())
        yield made


class _NoCookies:
    """A cookie policy that keeps nothing."""

    rfc2965 = netscape = False
    hide_cookie2 = True

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_kwargs: False


def examine(name: str, path: str, method: str, people: People, session: requests.Session, *, examples: int) -> None:
    """Half of the examples fit the schema, half do not."""
    document = _documents()[name]
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=people.url)
    operation = schema[path][method.upper()]
    headers = people.dress(path, document["paths"][path][method].get("security", []))
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(20261122)
        @settings(
            max_examples=max(1, examples // 2),
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            response = case.call(
                base_url=people.url, session=session, headers=headers, allow_redirects=False, timeout=20
            )
            people.answered.setdefault(f"{method.upper()} {path}", set()).add(response.status_code)
            case.validate_response(response, checks=CHECKS, headers=headers)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # an operation without parameters: nothing to get wrong


@pytest.mark.parametrize(("name", "path", "method"), OPERATIONS)
def test_answers_are_as_documented(
    name: str, path: str, method: str, people: People, session: requests.Session
) -> None:
    examine(name, path, method, people, session, examples=10)


def test_the_answers_were_more_than_refusals(people: People) -> None:
    """Otherwise nobody was let in, and the test above proved little."""
    if len(people.answered) < len(OPERATIONS):
        pytest.skip("only some operations were asked")
    refused = sorted(name for name, seen in people.answered.items() if seen <= {401, 403})
    fine = [name for name, seen in people.answered.items() if any(status < 400 for status in seen)]
    assert len(fine) > len(OPERATIONS) // 3, refused
    assert len(refused) < len(OPERATIONS) // 5, refused


@pytest.mark.long
@pytest.mark.parametrize(("name", "path", "method"), OPERATIONS)
def test_answers_are_as_documented_at_length(
    name: str, path: str, method: str, people: People, session: requests.Session
) -> None:
    examine(name, path, method, people, session, examples=200)
