"""The doors in a real browser: one touch, or typing; with a script and without; by keyboard; for everybody."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from keys.root import create_file
from tests.support.authenticator_app import code_at
from tests.support.server import Served

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A city where nobody has registered yet."""
    data = tmp_path_factory.mktemp("door") / "data"
    data.mkdir()
    create_file(data / "root.key")
    server = Served(data).start()
    yield server
    server.stop()


class Device:
    """Chromium's virtual authenticator (CDP domain WebAuthn): a phone with a passkey store."""

    def __init__(self, page: Any) -> None:
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self._cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def verifies_user(self, yes: bool) -> None:
        """Whether finger or PIN are right."""
        self._cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": yes})

    def credentials(self) -> list[dict[str, Any]]:
        """What the device holds."""
        found: list[dict[str, Any]] = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})[
            "credentials"
        ]
        return found

    def set_counter(self, count: int) -> None:
        """Wind the counter back, as a copied key would look."""
        (credential,) = self.credentials()
        self._cdp.send("WebAuthn.clearCredentials", {"authenticatorId": self.id})
        self._cdp.send(
            "WebAuthn.addCredential",
            {"authenticatorId": self.id, "credential": {**credential, "signCount": count}},
        )


def fill_person(page: Any, url: str, login: str, next_path: str = "/safety") -> None:
    """The first page of signing up."""
    page.goto(f"{url}/sign-up?next={next_path}")
    page.fill("#name", "湊 花")
    page.fill("#name_kana", "みなと はな")
    page.fill("#birthdate", "昭和26年4月2日")
    page.fill("#login", login)
    page.click("#sign-up-submit")
    page.wait_for_url("**/sign-up/key")


def sign_up_with_passkey(page: Any, url: str, login: str) -> Device:
    """Both pages; ends on /safety."""
    device = Device(page)
    fill_person(page, url, login)
    page.click("#passkey-create")
    page.wait_for_url("**/safety")
    return device


def app_code(secret: str) -> str:
    """What the phone shows now."""
    return code_at(secret.replace(" ", ""), time.time_ns() // 1_000_000)


def sign_up_with_password(page: Any, url: str, login: str) -> tuple[str, list[str]]:
    """With password and app; ends on /safety. Returns the app's secret and the recovery codes."""
    fill_person(page, url, login)
    page.fill("#password", PASSWORD)
    page.fill("#repeat", PASSWORD)
    page.click("#password-submit")
    page.wait_for_url("**/safety/app?**")
    secret = page.text_content("#secret")
    page.fill("#code", app_code(secret))
    page.click("#code-submit")
    page.wait_for_url("**/safety/codes?**")
    page.click("#codes-submit")
    codes = page.locator("#codes li").all_text_contents()
    page.click("#done")
    page.wait_for_url("**/safety")
    return secret, codes


def fresh_code(secret: str) -> str:
    """A code that is not spent yet: what a phone shows whose clock is thirty seconds early, which is accepted."""
    return code_at(secret.replace(" ", ""), time.time_ns() // 1_000_000 + 30_000)


def test_a_resident_registers_with_one_touch_and_comes_back_with_one_touch(page: Any, served: Served) -> None:
    device = sign_up_with_passkey(page, served.url, "touch")
    assert page.locator("#passkeys li").count() == 1
    assert page.locator("#notice-signin-welcome").is_visible()
    (credential,) = device.credentials()
    assert credential["isResidentCredential"]
    page.click("#sign-out")
    page.wait_for_url(f"{served.url}/")
    assert page.goto(f"{served.url}/safety").url.startswith(f"{served.url}/sign-in")
    page.click("#passkey-sign-in")
    page.wait_for_url("**/safety")


def test_a_device_that_does_not_know_its_user_opens_nothing_and_the_page_says_what_to_do(
    page: Any, served: Served
) -> None:
    device = sign_up_with_passkey(page, served.url, "unverified")
    page.click("#sign-out")
    page.goto(f"{served.url}/sign-in")
    device.verifies_user(False)
    page.click("#passkey-sign-in")
    problem = page.locator("#passkey-problem p[data-code]")
    problem.wait_for(state="visible", timeout=70_000)
    assert problem.get_attribute("data-code") == "cancelled"
    assert page.url == f"{served.url}/sign-in"
    assert page.is_enabled("#passkey-sign-in")


def test_a_copied_passkey_is_stopped_and_the_owner_sees_it(page: Any, served: Served) -> None:
    device = sign_up_with_passkey(page, served.url, "copied")
    page.goto(f"{served.url}/safety/password")
    page.fill("#password", PASSWORD)
    page.fill("#repeat", PASSWORD)
    page.click("#password-submit")
    page.click("#sign-out")
    page.goto(f"{served.url}/sign-in")
    page.click("#passkey-sign-in")
    page.wait_for_url("**/home")
    page.goto(f"{served.url}/sign-out")
    page.click("#sign-out-submit")
    device.set_counter(0)
    page.goto(f"{served.url}/sign-in")
    page.click("#passkey-sign-in")
    page.locator("#passkey-problem p[data-code=suspended]").wait_for(state="visible")
    page.fill("#login", "copied")
    page.fill("#password", PASSWORD)
    page.click("#sign-in-submit")
    page.wait_for_url("**/home")
    page.goto(f"{served.url}/safety")
    assert page.locator("#passkeys .tag-warn").count() == 1


def test_password_and_app_without_any_script(browser: Any, served: Served) -> None:
    """Everything but passkeys works with JavaScript switched off."""
    context = browser.new_context(java_script_enabled=False, locale="ja-JP")
    page = context.new_page()
    try:
        _secret, codes = sign_up_with_password(page, served.url, "noscript")
        page.click("#sign-out")
        page.goto(f"{served.url}/sign-in?next=/safety")
        assert not page.locator("#passkey-sign-in").is_visible()
        page.fill("#login", "noscript")
        page.fill("#password", PASSWORD)
        page.click("#sign-in-submit")
        page.wait_for_url("**/sign-in/code")
        page.fill("#code", "000000")
        page.click("#code-submit")
        assert page.locator("#problem [data-code=refused]").is_visible()
        page.click("#to-recovery")
        page.fill("#code", codes[0].lower())
        page.click("#code-submit")
        page.wait_for_url("**/safety")
    finally:
        context.close()


def test_by_keyboard_alone(page: Any, served: Served) -> None:
    """Tab order follows the page; Enter sends; the focus is visible and arrives where one types next."""
    secret, _codes = sign_up_with_password(page, served.url, "keyboard")
    page.click("#sign-out")
    page.goto(f"{served.url}/sign-in?next=/safety")
    order = []
    for _ in range(12):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
        if order[-1] == "sign-in-submit":
            break
    ids = [name for name in order if name in ("passkey-sign-in", "login", "password", "sign-in-submit")]
    assert ids == ["passkey-sign-in", "login", "password", "sign-in-submit"]
    page.focus("#login")
    page.keyboard.type("keyboard")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in/code")
    assert page.evaluate("document.activeElement.id") == "code"
    page.keyboard.type(fresh_code(secret))
    page.keyboard.press("Enter")
    page.wait_for_url("**/safety")


def test_a_second_passkey_is_added_and_the_first_removed(page: Any, served: Served) -> None:
    device = sign_up_with_passkey(page, served.url, "second")
    page.click("#passkeys li a")
    assert page.locator("#last-way-in").is_visible()
    page.goto(f"{served.url}/safety/passkeys/new")
    page.fill("#passkey-name", "玄関のタブレット")
    page.click("#passkey-create")
    known = page.locator("#passkey-problem p[data-code=known]")
    known.wait_for(state="visible")  # one device holds one passkey of an account
    device._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": device.id})
    Device(page)
    page.click("#passkey-create")
    page.wait_for_url("**/safety")
    assert page.locator("#passkeys li").count() == 2
    page.click("#passkeys li >> nth=0 >> a")
    page.click("#remove-submit")
    page.wait_for_url("**/safety")
    assert page.locator("#passkeys .row-title").all_text_contents() == ["玄関のタブレット"]


def test_at_twice_the_size_nothing_is_cut_off(page: Any, served: Served) -> None:
    """200 % zoom of 1280 pixels is a window of 640 (WCAG 2.2, 1.4.10 and 1.4.4)."""
    page.set_viewport_size({"width": 640, "height": 400})
    for path in ("/sign-in", "/sign-up"):
        page.goto(served.url + path)
        assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
