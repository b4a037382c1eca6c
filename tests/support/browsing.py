"""A browser as a resident has one: the system's Chromium, driven by Playwright, with nothing phoning home."""

from collections.abc import Iterator
from contextlib import contextmanager

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


def too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
