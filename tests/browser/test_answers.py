"""Answers reach the service in a real browser, past its rules for forms (CSP `form-action` along redirects)."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2
import pyotp
import pytest

from tests.support.server import CITY_ENVIRON, Served

pytestmark = pytest.mark.browser


class Service(HTTPServer):
    """A service on loopback that keeps what browsers bring."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.brought: list[tuple[str, dict[str, str], str | None]] = []
        self.uri = f"http://127.0.0.1:{self.server_port}/cb"


class _Handler(BaseHTTPRequestHandler):
    def _take(self, text: str) -> None:
        fields = {name: values[0] for name, values in parse_qs(text).items()}
        if self.path.startswith("/cb"):
            assert isinstance(self.server, Service)
            self.server.brought.append((self.command, fields, self.headers.get("origin")))
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"back")

    def do_GET(self) -> None:
        self._take(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._take(self.rfile.read(int(self.headers["content-length"])).decode())

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    made = Service()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture(scope="module")
def served(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data = tmp_path_factory.mktemp("answers") / "data"
    shutil.copytree(city, data)
    environ = {**CITY_ENVIRON, "SEKISHO_IDENTITY__REGISTRATION": "open", "SEKISHO_IDENTITY__REQUIRE_PKCE": "false"}
    server = Served(data, environ=environ).start()
    yield server
    server.stop()


def test_a_form_and_a_redirect_both_arrive_after_signing_in(served: Served, service: Service, page: Any) -> None:
    document = {
        "redirect_uris": [service.uri],
        "client_name": "Loopback",
        "post_logout_redirect_uris": [service.uri],
        "authorization_signed_response_alg": "ES256",
    }
    client = httpx2.post(f"{served.url}/oauth/register", json=document).raise_for_status().json()
    person = json.loads((served.data / "demo-credentials.json").read_text())["residents"]["kenichi"]

    def ask(**more: str) -> None:
        asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": service.uri}
        page.goto(f"{served.url}/oauth/authorize?" + urlencode({**asked, "scope": "openid", "state": "s", **more}))

    def sign_in(ahead: int = 0) -> None:
        page.fill("#login", person["login"])
        page.fill("#password", person["password"])
        page.click("#sign-in-submit")
        page.fill("#code", pyotp.TOTP(person["totp_secret"]).at(time.time() + ahead))  # a code is good once
        page.click("#code-submit")

    ask(response_mode="form_post")
    sign_in()
    page.click("#agree")
    page.wait_for_url(service.uri)
    method, fields, origin = service.brought.pop()
    assert (method, fields.keys(), origin) == ("POST", {"code", "state", "iss"}, served.url)

    # Remembered now: the sign-in form itself leads to the service, over redirects of ours.
    page.context.clear_cookies()
    ask(response_mode="jwt")
    sign_in(ahead=30)
    page.wait_for_url(service.uri + "*")
    method, fields, _ = service.brought.pop()
    assert (method, fields.keys()) == ("GET", {"response"})

    # Asked by a service without proof, the person signs out, and the form leads back to the service.
    leaving = {"client_id": client["client_id"], "post_logout_redirect_uri": service.uri, "state": "bye"}
    page.goto(f"{served.url}/oauth/end-session?" + urlencode(leaving))
    page.click("#sign-out-submit")
    page.wait_for_url(service.uri + "*")
    assert service.brought.pop()[1] == {"state": "bye"}
