"""The frame of Session Management in a real browser: framed by a service of another site, asked by messages."""

import base64
import os
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.oidc.check_session import COOKIE, PATH, session_state
from tests.flows.test_serving import serving
from tests.support.certificates import Authority
from tests.support.server import free_port

pytestmark = pytest.mark.browser
CLIENT = "cli_watching"
STATE = base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
ASK = """async (said) => {
  const frame = document.querySelector('iframe').contentWindow;
  return await new Promise((done) => {
    addEventListener('message', (event) => done(event.data), { once: true });
    frame.postMessage(said, '*');
    setTimeout(() => done('silence'), 3000);
  });
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        framed = parse_qs(urlsplit(self.path).query).get("framed", ["about:blank"])[0]
        body = f'<!doctype html><title>service</title><iframe src="{framed}"></iframe>'.encode()
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@dataclass
class Watch:
    """The city, a service of another origin on its site, and one of another site (localhost and 127.0.0.1 are two)."""

    city: str
    service: str
    foreign: str

    def page(self, browser: Any, state: str | None, *, framed: str = PATH, foreign: bool = False) -> Any:
        """The service's page with the frame in it, in a browser that has this state."""
        context = browser.new_context(ignore_https_errors=True)
        if state is not None:
            context.add_cookies([
                {"name": COOKIE, "value": state, "url": self.city, "secure": True, "sameSite": "None"}
            ])  # fmt: skip
        page = context.new_page()
        page.goto(f"{self.foreign if foreign else self.service}/?framed={self.city}{framed}")
        return page


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    """A city with TLS that lets services watch, and a service with TLS."""
    place: Path = tmp_path_factory.mktemp("frame")
    ca = Authority()
    cert, key = ca.give("server", "localhost").write(place, "server")
    cas, _ = ca.pair.write(place, "ca")
    url = f"https://localhost:{(port := free_port())}"
    options = ["--port", str(port), "--data", str(place / "data"), "--tls-cert", str(cert), "--tls-key", str(key)]
    trust = ssl.create_default_context(cafile=str(cas))
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(cert, key)
    service = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    service.socket = own.wrap_socket(service.socket, server_side=True)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    env = {"SEKISHO_IDENTITY__SESSION_MANAGEMENT": "true"}
    with serving(*options, "--issuer", url, env=env, url=url, verify=trust):
        yield Watch(url, f"https://localhost:{service.server_port}", f"https://127.0.0.1:{service.server_port}")
    service.shutdown()
    thread.join()
    service.server_close()


def test_the_frame_tells_the_same_from_another_and_knows_when_it_cannot_tell(browser: Any, watch: Watch) -> None:
    """Section 3.2: `unchanged`, `changed`, `error`; the client, the origin and the state all count."""
    page = watch.page(browser, STATE)
    good = session_state(CLIENT, watch.service, STATE)
    for said, answer in (
        (f"{CLIENT} {good}", "unchanged"),
        (f"cli_other {good}", "changed"),
        (f"{CLIENT} {session_state(CLIENT, 'https://other.example', STATE)}", "changed"),
        (f"{CLIENT} {session_state(CLIENT, watch.service, 'another')}", "changed"),
        (f"{CLIENT} {good[:-1]}", "error"),
        (good, "error"),
        ("", "error"),
        ({"a": 1}, "error"),
    ):
        assert page.evaluate(ASK, said) == answer, said
    page.context.close()


def test_signed_out_is_a_change_and_no_cookie_at_all_is_an_error(browser: Any, watch: Watch) -> None:
    """A browser that keeps our cookie from the frame would otherwise send the service round in circles.

    Chromium does so for another site: that is why services should depend on Back-Channel Logout.
    """
    for state, foreign, answer in (("-", False, "changed"), (None, False, "error"), (STATE, True, "error")):
        page = watch.page(browser, state, foreign=foreign)
        origin = watch.foreign if foreign else watch.service
        assert page.evaluate(ASK, f"{CLIENT} {session_state(CLIENT, origin, STATE)}") == answer
        page.context.close()


def test_no_other_page_of_ours_can_be_framed(browser: Any, watch: Watch) -> None:
    page = watch.page(browser, STATE, framed="/sign-in")
    assert page.evaluate(ASK, "x") == "silence"
    assert page.frames[1].url.startswith("chrome-error:")
    page.context.close()
