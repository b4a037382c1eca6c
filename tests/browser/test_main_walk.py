"""The main walk with a real browser as the resident and Authlib as the service."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from portal.walk.main import Credentials, Walk
from portal.walk.report import Report
from portal.walk.service import Service
from tests.support.axe import faults
from tests.support.server import Served
from tests.support.visitor import credentials

pytestmark = pytest.mark.browser


def test_a_resident_agrees_in_a_browser_a_service_fetches_and_the_resident_takes_it_back(
    server: Served, page: Any
) -> None:
    known = Credentials.read(server.data / "demo-credentials.json")
    with Walk(server.url, known, Report(quiet=True), resident="kenichi") as walk:
        walk.report.step("with a real browser")
        _walk(walk, server, page)


def _walk(walk: Walk, server: Served, page: Any) -> None:
    metadata = walk.get_json("/.well-known/openid-configuration")
    service = Service(server.url, walk.registration, metadata, walk.report)
    asked = service.asking(scope="openid offline_access")
    pushed = service.push(asked.form).json()
    # The service's own page: the browser ends there.
    back = walk.registration["redirect_uri"] + "*"
    page.route(back, lambda route: route.fulfill(status=200, body="back at the service"))

    page.goto(service.address(pushed["request_uri"]))
    person = credentials(server.data)["residents"]["kenichi"]
    page.fill("#login", person["login"])
    page.fill("#password", person["password"])
    page.click("#sign-in-submit")
    page.fill("#code", pyotp.TOTP(person["totp_secret"]).now())
    page.click("#code-submit")

    boxes = page.locator("input[name=category]:not([disabled]):not([type=hidden])")
    page.wait_for_selector("#agree")
    assert boxes.count() > 0
    assert not any(box.is_checked() for box in boxes.all())
    assert faults(page) == []
    page.click("#agree")
    page.wait_for_url(back)
    answer = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert answer["state"] == asked.form["state"]
    assert answer["iss"] == server.url

    token = service.exchange(answer["code"], asked.verifier).json()
    assert service.fetch(token["access_token"]).status_code == 200
    consent = next(item for item in token["authorization_details"] if item["type"] == "data_use")["consent"]

    page.goto(f"{server.url}/who")
    assert page.locator(f"a[href*='{consent}']").count() > 0
    page.goto(f"{server.url}/consents/{consent}")
    page.click("#to-withdraw")
    page.click("#withdraw")
    assert service.fetch(token["access_token"]).status_code in (401, 403)
    service.close()
