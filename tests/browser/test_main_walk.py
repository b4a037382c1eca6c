"""The main walk with a real browser as the resident and Authlib as the service."""

import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pyotp
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from portal.walk.main import Credentials, Walk
from portal.walk.report import Report
from tests.support.browsing import faults
from tests.support.server import Served

pytestmark = pytest.mark.browser


def test_a_resident_agrees_in_a_browser_a_service_fetches_and_the_resident_takes_it_back(
    server: Served, page: Any
) -> None:
    credentials = Credentials.read(server.data / "demo-credentials.json")
    with Walk(server.url, credentials, Report(quiet=True), resident="kenichi") as walk:
        walk.report.step("with a real browser")
        _walk(walk, server, page)


def _walk(walk: Walk, server: Served, page: Any) -> None:
    metadata = walk.get_json("/.well-known/openid-configuration")
    service = walk._oauth(metadata)
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    registration = walk.registration
    asked = {
        "response_type": "code", "client_id": registration["client_id"], "redirect_uri": registration["redirect_uri"],
        "scope": "openid offline_access", "state": state, "code_challenge": create_s256_code_challenge(verifier),
        "code_challenge_method": "S256", "prompt": "consent",
        "authorization_details": json.dumps(
            [{"type": "data_use", "agreement": registration["agreement"], "actions": ["read"]}]
        ),
    }  # fmt: skip
    pushed = walk._push(service, metadata, asked).json()
    # The service's own page: the browser ends there.
    page.route(registration["redirect_uri"] + "*", lambda route: route.fulfill(status=200, body="back at the service"))

    page.goto(
        f"{metadata['authorization_endpoint']}?"
        + urlencode({"client_id": registration["client_id"], "request_uri": pushed["request_uri"]})
    )
    page.fill("#login", walk.me["login"])
    page.fill("#password", walk.me["password"])
    page.click("#sign-in-submit")
    page.fill("#code", pyotp.TOTP(walk.me["totp_secret"]).now())
    page.click("#code-submit")

    boxes = page.locator("input[name=category]:not([disabled]):not([type=hidden])")
    assert boxes.count() > 0
    assert not any(box.is_checked() for box in boxes.all())
    assert faults(page) == []
    page.click("#agree")
    page.wait_for_url(registration["redirect_uri"] + "*")
    answer = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert answer["state"] == state
    assert answer["iss"] == server.url

    token = walk._exchange(service, metadata, answer["code"], verifier)
    fetched = walk._fetch(token["access_token"])
    assert fetched.status_code == 200
    consent = next(item for item in token["authorization_details"] if item["type"] == "data_use")["consent"]

    page.goto(f"{server.url}/who")
    assert page.locator(f"a[href*='{consent}']").count() > 0
    page.goto(f"{server.url}/consents/{consent}")
    page.click("#to-withdraw")
    page.click("#withdraw")
    assert walk._fetch(token["access_token"]).status_code in (401, 403)
