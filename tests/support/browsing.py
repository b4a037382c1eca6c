"""A browser as a resident has one: the system's Chromium, driven by Playwright, with nothing phoning home."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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


def faults(page: Page, *, context: Any = None) -> list[str]:
    """What axe-core calls serious or critical on the page (or in the `context` axe is given), one readable line each;
    an empty list is a pass."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(
        "within => axe.run(within ?? document, {resultTypes: ['violations']}).then(result => result.violations)",
        context,
    )
    return [
        f"{rule['impact']}: {rule['id']}: {rule['help']}: {node['html'][:160]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def too_wide(page: Page) -> bool:
    """Whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
