"""A browser as a resident has one: the system's Chromium, driven by Playwright, with nothing phoning home."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support import peers

FLAGS = [
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic", "--disable-default-apps", "--disable-extensions",
]  # fmt: skip


@contextmanager
def launched() -> Iterator[Browser]:
    """Chromium, until the block ends. Not inside an event loop: Playwright's plain API brings its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=peers.chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def windows(browser: Browser, locale: str) -> Iterator[Callable[..., Page]]:
    """Opens windows of whose cookies it is given, until the block ends; an error in a script fails the test."""
    with ExitStack() as opened:

        def open_window(state: Any, **options: Any) -> Page:
            chosen: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "locale": locale} | options
            context = browser.new_context(storage_state=state, **chosen)
            opened.callback(context.close)
            page = context.new_page()
            page.on("pageerror", lambda error: pytest.fail(f"script error: {error}"))
            return page

        yield open_window


def too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
