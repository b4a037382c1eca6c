"""The API documents as a developer reads them: offline, under the strict policy, without a script too."""

from typing import Any

import pytest

from tests.support.axe import faults
from tests.support.server import Served


@pytest.mark.parametrize("name", ["keys", "identity", "consent", "infobank", "cert"])
def test_a_document_is_shown_without_leaving_the_server(server: Served, page: Any, name: str) -> None:
    """No request to anybody else, nothing refused by the page's own policy, no error in the console."""
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    answer = page.goto(f"{server.url}/docs/{name}")
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    page.wait_for_selector("#api .opblock", timeout=20_000)
    assert not [url for url in asked if not url.startswith((server.url, "data:"))]
    assert not said


def test_the_list_of_documents_is_readable_by_all(server: Served, page: Any) -> None:
    page.goto(f"{server.url}/docs")
    assert page.locator("#documents a[id^=docs-]").count() == 5
    assert not faults(page)


def test_without_a_script_the_document_itself_is_a_link_away(server: Served, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{server.url}/docs/consent")
    assert plain.locator("#api noscript, #api p").count() > 0
    answer = plain.request.get(f"{server.url}/openapi/consent.json")
    assert answer.json()["openapi"].startswith("3.1")
    context.close()
