"""A person at a served city, in Chromium: signs in by the forms, is sent by a service, comes back to it."""

import base64
import hashlib
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
from playwright.sync_api import Page, Route

from tests.support.server import Served


def credentials(data: Path) -> dict[str, Any]:
    """What `demo` wrote for trying the city out."""
    found: dict[str, Any] = json.loads((data / "demo-credentials.json").read_text("utf-8"))
    return found


def sign_in(page: Page, served: Served, who: str, *, group: str = "residents", back: str = "/home") -> None:
    """Sign in by password and the app's number; one sign-in of a person every 30 seconds, for a number works once."""
    person = credentials(served.data)[group][who]
    page.goto(f"{served.url}/sign-in?{urlencode({'next': back})}")
    page.fill("#login", person["login"])
    page.fill("#password", person["password"])
    page.click("#sign-in-submit")
    page.fill("#code", pyotp.TOTP(person["totp_secret"]).now())
    page.click("#code-submit")
    page.wait_for_url(f"{served.url}{back}")


def authorize_address(
    served: Served,
    *,
    client: str = "",
    client_id: str = "",
    redirect_uri: str = "",
    scope: str = "openid",
    details: list[dict[str, Any]] | None = None,
) -> str:
    """The address a service sends the person to. A `client` of the city asks for the data of its agreement."""
    if client:
        known = credentials(served.data)["clients"][client]
        client_id, redirect_uri = known["client_id"], known["redirect_uri"]
        details = [{"type": "data_use", "agreement": known["agreement"]}] if details is None else details
    challenge = hashlib.sha256(secrets.token_urlsafe(48).encode()).digest()
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scope,
        "state": "s",
        "nonce": "n",
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    if "offline_access" in scope or details:
        query["prompt"] = "consent"  # OpenID Connect Core section 11; and the page, whatever was agreed to before
    if details:
        query["authorization_details"] = json.dumps(details)
    return f"{served.url}/oauth/authorize?{urlencode(query)}"


def asking(served: Served, client: str) -> tuple[str, str]:
    """The address a service of the city sends the person to, and the redirect address it waits at."""
    return authorize_address(served, client=client), credentials(served.data)["clients"][client]["redirect_uri"]


class Service:
    """The service's own page, which a browser would be sent back to: remembers with what."""

    def __init__(self, page: Page, redirect_uri: str) -> None:
        self.answers: list[dict[str, str]] = []
        page.route(f"{redirect_uri}*", self._answer)

    def _answer(self, route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        self.answers.append({name: values[0] for name, values in query.items()})
        route.fulfill(
            body="<!doctype html><title>service</title><h1 id='service'>service</h1>", content_type="text/html"
        )
