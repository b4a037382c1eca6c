"""The resident's pages in a real browser: by keyboard, without script, on a phone, in the dark."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.axe import faults
from tests.support.browsing import windows
from tests.support.peers import needs
from tests.support.server import Served
from tests.support.visitor import Service, asking, sign_in

pytestmark = needs("chromium")


@pytest.fixture(scope="module")
def state(browser: Browser, server: Served) -> Any:
    """The cookies of Hanako's browser: she signed in once."""
    context = browser.new_context()
    sign_in(context.new_page(), server, "hanako")
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def window(browser: Browser, state: Any) -> Iterator[Any]:
    """Makes windows of Hanako's browser."""
    with windows(browser, "ja-JP") as opened:
        yield lambda **options: opened(state, **options)


def _ask(page: Page, server: Served, client: str = "minato-clinic") -> Service:
    address, redirect_uri = asking(server, client)
    service = Service(page, redirect_uri)
    page.goto(address)
    page.wait_for_selector("#agree")
    return service


def _consent_links(page: Page, server: Served) -> list[str]:
    page.goto(f"{server.url}/consents")
    links: list[str] = page.eval_on_selector_all("#active .card-name", "all => all.map(a => a.getAttribute('href'))")
    return links


@pytest.mark.parametrize("options", [{"color_scheme": "dark"}, {"contrast": "more"}, {"forced_colors": "active"}])
def test_pages_keep_their_contrast_in_every_scheme(window: Any, server: Served, options: dict[str, str]) -> None:
    page = window(**options)
    _ask(page, server)
    wrong = [f"asked: {fault}" for fault in faults(page)]
    for path in ("/home", "/who", "/data/health_checkup", _consent_links(page, server)[0]):
        page.goto(server.url + path)
        wrong += [f"{path}: {fault}" for fault in faults(page)]
    assert wrong == []


def test_question_is_answered_by_keyboard_alone(window: Any, server: Served) -> None:
    page = window()
    service = _ask(page, server)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate("({id: document.activeElement.id, type: document.activeElement.type})")
        reached.append(focused["id"])
        if focused["type"] == "checkbox" and focused["id"].endswith("vaccination"):
            page.keyboard.press("Space")
        if focused["id"] == "agree":
            break
    assert reached[-1] == "agree", reached
    page.keyboard.press("Enter")
    page.wait_for_selector("#service")
    assert "code" in service.answers[0]
    page.goto(f"{server.url}/consents")
    assert "予防接種の記録" in page.inner_text("#active li:first-child")


def test_both_answers_are_the_same_size_and_weight(window: Any, server: Served) -> None:
    page = window(viewport={"width": 360, "height": 800})
    _ask(page, server)
    look = """id => { const e = document.getElementById(id), s = getComputedStyle(e), b = e.getBoundingClientRect();
        return [b.width, b.height, b.top, s.color, s.backgroundColor, s.fontWeight, s.fontSize, s.borderColor]; }"""
    assert page.evaluate(look, "agree") == page.evaluate(look, "refuse")


def test_everything_works_without_script(window: Any, server: Served) -> None:
    page = window(java_script_enabled=False, viewport={"width": 360, "height": 800})
    service = _ask(page, server)
    page.click("#refuse")
    page.wait_for_selector("#service")
    assert service.answers[0]["error"] == "access_denied"
    service = _ask(page, server)
    page.click("#agree")
    page.wait_for_selector("#service")
    newest = _consent_links(page, server)[0]
    page.goto(server.url + newest)
    page.click("#to-withdraw")
    page.click("#withdraw")
    assert "同意を取り消しました" in page.inner_text("#notice-consent-withdrawn")
    page.goto(f"{server.url}/data/disaster_support/add")
    page.fill("#updated", "2026-11-01")
    page.select_option("#walking", "cane")
    page.check("#reasons-elderly")
    page.click("#save")
    assert "お預かりしました" in page.inner_text("#notice-data-added")


def test_receipt_is_checked_in_the_browser_and_nothing_is_sent(window: Any, server: Served, tmp_path: Path) -> None:
    page = window(accept_downloads=True)
    page.goto(server.url + _consent_links(page, server)[0] + "/receipt")
    with page.expect_download() as coming:
        page.click("#download")
    file = tmp_path / "mine.sekisho-receipt.json"
    coming.value.save_as(file)
    page.goto(f"{server.url}/ledger")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.method} {request.url.removeprefix(server.url)}"))
    page.set_input_files("#receipt-file", file)
    page.wait_for_selector("#verdict[data-outcome]")
    assert page.get_attribute("#verdict", "data-outcome") == "good"
    assert page.locator(".step-good").count() == 5
    assert "差し支えありません" in page.inner_text("#step-witnesses")  # this city has no witnesses: no fault
    # The icon may still be on its way; nothing else is asked for, and nothing is sent.
    asked = sorted(r for r in sent if "/static/" not in r)
    assert asked == ["GET /ledger/policy", "GET /ledger/vkey", "GET /oauth/jwks"]
    page.click("#ask-status")  # the whole list, not what is in it of this receipt
    page.wait_for_selector("#still-said[data-outcome]")
    assert page.get_attribute("#still-said", "data-outcome") == "valid"
    assert "GET /status-lists/1" in sent


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda r: r.update(note="x"), "form"),
        (lambda r: r.update(credential=r["credential"].replace("~", "A~", 1)), "signature"),
        (lambda r: r["notice"].update(title="別の題"), "text"),
        (lambda r: r["event"].update(until="2099-01-01T00:00:00Z"), "envelope"),
        (lambda r: r.update(proof=r["proof"].replace("index ", "index 1", 1)), "ledger"),
    ],
)
def test_changed_receipt_fails_at_the_step_that_was_changed(
    window: Any, server: Served, tmp_path: Path, change: Any, step: str
) -> None:
    from kit.encoding import canonical

    page = window()
    link = _consent_links(page, server)[0]
    receipt = page.request.get(f"{server.url}{link}/receipt.json").json()
    change(receipt)
    file = tmp_path / "changed.json"
    file.write_bytes(canonical(receipt))
    page.goto(f"{server.url}/ledger")
    page.set_input_files("#receipt-file", file)
    page.wait_for_selector("#verdict[data-outcome]")
    assert page.get_attribute("#verdict", "data-outcome") == "bad"
    assert page.locator(".step-bad").count() == 1
    assert step in str(page.locator(".step-bad").get_attribute("id"))


def test_receipt_that_was_only_reformatted_is_told_apart(window: Any, server: Served, tmp_path: Path) -> None:
    page = window()
    link = _consent_links(page, server)[0]
    receipt = page.request.get(f"{server.url}{link}/receipt.json").json()
    file = tmp_path / "pretty.json"
    file.write_text(json.dumps(receipt, indent=2, ensure_ascii=False))
    page.goto(f"{server.url}/ledger")
    page.set_input_files("#receipt-file", file)
    page.wait_for_selector("#step-form.step-bad")


def test_printed_receipt_leaves_out_what_is_for_the_screen_and_is_one_sheet(window: Any, server: Served) -> None:
    page = window()
    page.goto(server.url + _consent_links(page, server)[0] + "/receipt")
    page.emulate_media(media="print")
    assert not page.is_visible("#download")
    assert not page.is_visible(".doors-nav")
    assert page.is_visible(".seal")
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))) == 1
