"""Every page the application has, opened by the person it is for, in both languages: axe finds nothing serious, and
nothing is wider than the window. The list of pages is the application's own: a page no walk opens fails here."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.support.axe import faults, ready
from tests.support.browsing import too_wide
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
        ready(page)
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
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": 900})
        if too_wide(page):
            yield f"wider than {width}"
        yield from faults(page, without="#api")  # what Swagger UI draws is its own; the page around it is ours
    page.set_viewport_size({"width": WIDE, "height": 900})


def test_no_page_was_left_out(opened: Opened, routes: frozenset[str]) -> None:
    """Comes after the walks, which stand above it."""
    if opened.walks < len(LANGUAGES) * len(WALKS):
        pytest.skip("not every walk was taken")
    assert sorted(routes - opened.routes) == []


# -- what lets a page be looked at quickly hides nothing


def _faults_of(page: Page, body: str) -> list[str]:
    page.set_content(f"<!doctype html><html lang=en><title>t</title><main><h1>Title</h1>{body}</main></html>")
    return [fault.split(": ")[1] for fault in faults(page)]


def test_a_combination_that_passed_is_not_judged_again_but_any_other_is(page: Page) -> None:
    assert _faults_of(page, "<p>Dark on white, seen here first.</p>") == []
    assert _faults_of(page, "<p>Dark on white.</p><p style='color: #999'>Grey on white.</p>") == ["color-contrast"]
    assert _faults_of(page, "<p>Dark on white.</p><p style='color: #999'>The same grey.</p>") == ["color-contrast"]
    assert _faults_of(page, "<div style='background: #222'><p>Black on coal.</p></div>") == ["color-contrast"]
    assert _faults_of(page, "<div style='opacity: 0.3'><p>Black that fades.</p></div>") == ["color-contrast"]


@pytest.mark.parametrize(
    "body",
    [
        "<p>Under it</p><div style='position: absolute; inset: 0; background: #222; z-index: -1'></div>",
        "<div style='background: #222; height: 9rem'></div><p style='margin-top: -5rem'>Drawn up</p>",
        "<div style='background: #222; height: 9rem'></div><p style='position: relative; top: -5rem'>Moved up</p>",
        "<div style='display: grid'><div style='background: #222; grid-area: 1/1'></div><p style='grid-area: 1/1'>"
        "In one cell</p></div>",
    ],
)
def test_a_text_over_something_that_is_not_around_it_is_always_judged(page: Page, body: str) -> None:
    assert _faults_of(page, "<p>Dark on white</p>") == []
    assert set(_faults_of(page, body)) == {"color-contrast"}


def test_a_text_that_stands_out_of_its_box_is_always_judged(page: Page) -> None:
    inside = (
        "<div style='background: #222; height: 9rem'><p style='color: #ccc; padding-top: 2rem'>In its box</p></div>"
    )
    assert _faults_of(page, inside) == []
    assert _faults_of(page, inside.replace("2rem", "12rem")) == ["color-contrast"]
