"""Every page the application has, opened by the person it is for, in both languages: axe finds nothing serious, and
nothing is wider than the window. The list of pages is the application's own: a page no walk opens fails here."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.support.browsing import faults, too_wide
from tests.support.peers import needs
from tests.support.server import Served
from tests.support.tour import WALKS, Tour, Walk, page_routes, route_of

pytestmark = needs("chromium")

LANGUAGES = ("ja", "en")
NARROW, WIDE = 320, 1280  # 320 CSS pixels are also 1280 at 400 % zoom (WCAG 2.2, 1.4.10)


@pytest.fixture(scope="module")
def tour(browser: Browser, server: Served) -> Tour:
    """One tour: its people sign in once."""
    return Tour(server, browser)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """The application's pages."""
    return page_routes(tmp_path_factory.mktemp("routes"))


@dataclass
class Opened:
    """What has been opened so far."""

    walks: int = 0
    routes: set[str | None] = field(default_factory=set)


@pytest.fixture(scope="module")
def opened() -> Opened:
    """Filled by the walks."""
    return Opened()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(("who", "walk"), WALKS, ids=[walk.__name__ for _who, walk in WALKS])
def test_axe_finds_nothing_serious_and_nothing_runs_off_the_page(
    tour: Tour, opened: Opened, routes: frozenset[str], who: str, walk: Walk, lang: str
) -> None:
    wrong: list[str] = []
    with tour.window(who, lang, viewport={"width": WIDE, "height": 900}) as page:
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: script error: {error}"))
        page.on("console", lambda line: wrong.append(f"{page.url}: {line.text}") if _complaint(line) else None)
        for sight in walk(tour, page):
            wrong += [f"{sight}: {fault}" for fault in _look(page, lang)]
            opened.routes.add(route_of(page.url, routes))
    opened.walks += 1
    assert wrong == []


def _complaint(line: ConsoleMessage) -> bool:
    """What the page does wrong, such as breaking its own policy; a refused form is no fault of the page."""
    return line.type == "error" and not line.text.startswith("Failed to load resource")


def _look(page: Page, lang: str) -> Iterator[str]:
    if page.get_attribute("html", "lang") != lang:
        yield "is in another language"
    # What Swagger UI draws is its own; the page around it is ours.
    within = {"exclude": [["#api"]]} if page.locator("#api").count() else None
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        if too_wide(page):
            yield f"wider than {width}"
        yield from faults(page, context=within)
    page.set_viewport_size({"width": WIDE, "height": 900})


def test_no_page_was_left_out(opened: Opened, routes: frozenset[str]) -> None:
    """Comes after the walks, which stand above it."""
    if opened.walks < len(LANGUAGES) * len(WALKS):
        pytest.skip("not every walk was taken")
    assert sorted(routes - opened.routes) == []
