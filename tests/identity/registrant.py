"""Somebody who registers a client: what the tests of RFC 7591 and of RFC 7592 share."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from identity.clients import Clients
from identity.enrolments import Enrolments
from identity.settings import IdentitySettings
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from tests.support.relying_party import Party, join
from tests.support.site import Site

REDIRECT = "https://clinic.example/cb"
GOOD: dict[str, Any] = {"redirect_uris": [REDIRECT], "client_name": "Clinic", "client_name#ja": "診療所"}
DAY = 86_400


@pytest.fixture
def settings(settings: Any, request: pytest.FixtureRequest, site: Site) -> Any:
    """Open registration unless a test says otherwise; loopback may be fetched from."""
    chosen = {"registration": "open", **getattr(request, "param", {})}
    if "statements" in chosen:
        chosen["software_statement_issuers"] = {"https://registry.example": site.url(chosen.pop("statements"))}
    return settings.model_copy(
        update={
            "identity": IdentitySettings(**chosen),
            "outgoing": OutgoingSettings(allow=("127.0.0.1",)),
        }
    )


def asking(**settings: Any) -> Any:
    """Other settings for one test."""
    return pytest.mark.parametrize("settings", [settings], indirect=True)


async def register(client: Any, token: str | None = None, **changes: Any) -> Any:
    document = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return await client.post("/oauth/register", json=document, headers=headers)


async def manage(client: Any, made: dict[str, Any], method: str = "GET", token: str = "", **changes: Any) -> Any:
    headers = {"authorization": f"Bearer {token or made['registration_access_token']}"}
    body = {"json": {"client_id": made["client_id"], **GOOD, **changes}} if method == "PUT" else {}
    path = urlsplit(made["registration_client_uri"]).path
    return await client.request(method, path, headers=headers, **body)


async def as_party(app: Any, client: Any, made: dict[str, Any]) -> Party:
    """A relying party that uses what was registered, with a resident in front of it."""
    party = await join(app, client)
    found = await app.host.get(Clients).get(made["client_id"])
    assert found is not None
    party.client, party.secret = found, made.get("client_secret")
    return party


async def initial(app: Any, **more: Any) -> str:
    given = {"member_id": None, "scopes": ("openid", "profile"), "uses": 1, "lifetime": 60, **more}
    _, token = await app.host.db.write(enrolments(app).issue_initial, actor=SYSTEM, **given)
    return token


def enrolments(app: Any) -> Enrolments:
    from keys.hashing import TokenHasher

    return Enrolments(app.host.get(TokenHasher), app.host.clock)
