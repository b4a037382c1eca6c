"""The staff's pages in a real browser: triage by keyboard, containment that is felt at once, without script, axe."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from tests.support.axe import faults
from tests.support.browsing import windows
from tests.support.peers import needs
from tests.support.server import Served
from tests.support.visitor import credentials, sign_in

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def states(browser: Browser, server: Served) -> dict[str, Any]:
    """The cookies of the lead and the operator."""
    kept = {}
    for who, back in (("lead", "/desk"), ("operator", "/console")):
        context = browser.new_context()
        sign_in(context.new_page(), server, who, group="staff", back=back)
        kept[who] = context.storage_state()
        context.close()
    return kept


@pytest.fixture
def window(browser: Browser, states: dict[str, Any]) -> Iterator[Any]:
    """Makes windows of a colleague's browser."""
    with windows(browser, "en-GB") as opened:
        yield lambda who, **options: opened(states[who], **options)


def _incident(page: Page, server: Served) -> str:
    page.goto(f"{server.url}/desk")
    return str(page.get_attribute("tr.incident-row a[data-open]", "href"))


def _log(page: Page, server: Served, title: str) -> None:
    page.goto(f"{server.url}/desk/alerts/new")
    page.fill("#title", title)
    page.click("#log")
    page.wait_for_url(f"{server.url}/desk")


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"forced_colors": "active"}])
def test_severity_keeps_its_contrast_in_every_scheme(window: Any, server: Served, options: dict[str, str]) -> None:
    page = window("lead", **options)
    wrong = [f"{path}: {fault}" for path in (_incident(page, server), "/desk") for fault in _visit(page, server, path)]
    assert wrong == []


def _visit(page: Page, server: Served, path: str) -> list[str]:
    page.goto(server.url + path)
    return faults(page)


def test_an_alert_is_triaged_by_keyboard_alone_and_undone(window: Any, server: Served) -> None:
    page = window("lead")
    _log(page, server, "A kiosk shows a strange page")
    line = page.locator("li.alert", has_text="A kiosk shows a strange page")
    alert = line.get_attribute("id")
    for _ in range(40):
        page.keyboard.press("j")
        if page.evaluate("document.activeElement.id") == alert:
            break
    assert page.evaluate("document.activeElement.id") == alert
    page.keyboard.press("x")
    assert page.locator(f"#choose-{alert}").is_checked()
    page.keyboard.press("d")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#undo")
    assert page.locator(f"#{alert}").count() == 0
    page.locator("#undo").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(f"#{alert}")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


def test_keys_typed_into_a_field_stay_letters(window: Any, server: Served) -> None:
    page = window("lead")
    page.goto(server.url + _incident(page, server))
    page.keyboard.press("n")
    page.keyboard.type("b j k 1 ? x")
    assert page.input_value("#text") == "b j k 1 ? x"
    page.locator("#col-know h2").click()
    page.keyboard.press("3")
    assert page.evaluate("document.activeElement.id") == "col-do"


def test_an_incident_is_worked_without_script(window: Any, server: Served) -> None:
    page = window("lead", java_script_enabled=False)
    _log(page, server, "No script here")
    page.locator("li.alert", has_text="No script here").get_by_role("checkbox").check()
    page.click("#open-chosen")
    assert "No script here" in page.input_value("#title")
    page.check("#layer-8")
    page.click("#save")
    page.wait_for_selector("#notice-desk-opened")
    page.fill("#text", "Switched it off.")
    page.click("#write")
    page.locator(".record-note", has_text="Switched it off.").wait_for()
    page.click("#move-triage")
    page.locator(".state-triage").wait_for()


def test_containment_signs_a_resident_out_before_the_page_answers(
    browser: Browser, window: Any, server: Served
) -> None:
    context = browser.new_context(locale="ja-JP")
    resident = context.new_page()
    sign_in(resident, server, "hanako")
    account = credentials(server.data)["residents"]["hanako"]["account_id"]
    page = window("lead")
    incident = _incident(page, server)
    page.goto(server.url + incident)
    page.click("#cut-end_sessions")
    page.fill("#more-end_sessions", account)
    page.click("#preview-end_sessions")
    assert "1 live session" in page.inner_text("#dry-run")
    assert faults(page) == []
    resident.goto(f"{server.url}/home")
    assert resident.url == f"{server.url}/home"
    page.click("#confirm")
    page.wait_for_selector("#notice-desk-contained")
    resident.goto(f"{server.url}/home")
    assert "/sign-in" in resident.url
    context.close()


def test_credential_stuffing_against_the_real_door_stands_in_the_queue(window: Any, server: Served) -> None:
    with httpx2.Client(base_url=server.url, headers={"origin": server.url}) as attacker:
        for n in range(7):
            attacker.post("/sign-in", data={"login": f"nobody{n}", "password": "Summer2026!"})
    page = window("lead")
    for _ in range(20):
        page.goto(f"{server.url}/desk/alerts")
        if page.locator("li.alert", has_text="Failed sign-ins to many accounts from one source").count():
            break
        page.wait_for_timeout(500)
    line = page.locator("li.alert", has_text="Failed sign-ins to many accounts from one source").first
    assert "127.0.0.1" in line.inner_text()


def test_the_operator_suspends_a_client_after_seeing_its_effect(window: Any, server: Served) -> None:
    page = window("operator")
    page.goto(f"{server.url}/console/clients")
    page.click("#clients tbody tr:last-child a")
    page.click("#suspend")
    assert "residents" in page.inner_text("#dry-run")
    page.click("#confirm")
    page.wait_for_selector("#resume")
    page.click("#resume")
    page.wait_for_selector("#suspend")


def test_a_printed_incident_has_nothing_to_press(window: Any, server: Served) -> None:
    page = window("lead")
    page.goto(server.url + _incident(page, server))
    assert page.locator("main button:visible").count() > 0
    page.emulate_media(media="print")
    assert page.locator("main button:visible, main .button:visible").count() == 0
    assert page.is_visible(".map")
