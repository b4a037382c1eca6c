"""Every page as a picture, for eyes: the tour's walks in both languages, on a phone and on a desk, by day and by night,
and as paper what people print.

`GALLERY_SHOTS=/some/directory pytest tests/long/test_gallery.py` keeps the pictures there (and `remarks.txt`, what a
ruler finds: clipped words, wrapped buttons, overlong lines, Latin words in Japanese). Without it they go to the test's
own directory. `-k` chooses walks: stranger, newcomer, holder, asked, at_home, lead, operator, reviewer.
"""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browsing import too_wide
from tests.support.peers import needs
from tests.support.server import Served
from tests.support.tour import WALKS, Tour, Walk

pytestmark = [needs("chromium"), pytest.mark.long]

SIZES = ((1280, 900), (360, 740))
PRINTED = re.compile(r"receipt|codes-shown|incident|agreement-|mandate|reset-|guardians")
CLIPPED = """() => [...document.querySelectorAll('main *, header *, footer *')].filter(e => {
  const s = getComputedStyle(e);
  const cuts = !e.matches('input') && ['hidden', 'clip'].includes(s.overflowX);
  return cuts && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 2;
}).map(e => 'clipped: ' + e.textContent.trim().slice(0, 60))"""
RULER = """lang => {
  const said = [];
  const words = e => e.textContent.trim().replace(/\\s+/g, ' ').slice(0, 60);
  for (const e of document.querySelectorAll('main *')) {
    const s = getComputedStyle(e);
    if (s.overflowX === 'auto' && e.scrollWidth > e.clientWidth + 1) said.push('scrolls sideways: ' + words(e));
    if (e.matches('button, .button') && e.getClientRects().length && !e.matches('.button-link')) {
      const range = document.createRange();
      range.selectNodeContents(e);
      const tops = new Set([...range.getClientRects()].map(r => Math.round(r.top)));
      if (tops.size > 1) said.push('wrapped button: ' + words(e));
    }
    if (e.matches('p:not(.actions), li, dd') && e.getClientRects().length && !e.querySelector('p, li, div, svg')) {
      const size = parseFloat(s.fontSize), width = e.clientWidth / size;
      const lines = e.getBoundingClientRect().height / parseFloat(s.lineHeight);
      if (lines > 1.5 && width > 46) said.push(`line of ${Math.round(width)} em: ` + words(e));
    }
  }
  if (lang === 'ja') {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode, at = text.parentElement;
      if (at.closest('script, style, #api, .code, code, [lang=en]') || !at.getClientRects().length) continue;
      for (const found of text.data.match(/[A-Za-z][A-Za-z'-]{3,}/g) || [])
        said.push('Latin: ' + found + ' in ' + words(at));
    }
  }
  return [...new Set(said)];
}"""


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pictures go."""
    wanted = os.environ.get("GALLERY_SHOTS")
    found = Path(wanted) if wanted else tmp_path_factory.mktemp("shots")
    found.mkdir(parents=True, exist_ok=True)
    return found


@pytest.fixture(scope="module")
def tour(browser: Browser, server: Served) -> Tour:
    """One tour: its people sign in once."""
    return Tour(server, browser)


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize(("who", "walk"), WALKS, ids=[walk.__name__ for _who, walk in WALKS])
def test_no_word_of_any_page_is_cut_off(tour: Tour, shots: Path, who: str, walk: Walk, lang: str) -> None:
    wrong: list[str] = []
    remarks: list[str] = []
    width, height = SIZES[0]
    with tour.window(who, lang, viewport={"width": width, "height": height}) as page:
        for number, sight in enumerate(walk(tour, page)):
            for width, height in SIZES:
                page.set_viewport_size({"width": width, "height": height})
                name = f"{walk.__name__}-{number:02}-{sight}.{lang}.{width}"
                page.screenshot(path=shots / f"{name}.png", full_page=True)
                page.emulate_media(color_scheme="dark")
                page.screenshot(path=shots / f"{name}.dark.png", full_page=True)
                page.emulate_media(color_scheme="light")
                if too_wide(page):
                    wrong.append(f"{name}: wider than the window")
                wrong += [f"{name}: {what}" for what in page.evaluate(CLIPPED)]
                remarks += [f"{name}: {what}" for what in page.evaluate(RULER, lang)]
            page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
            if PRINTED.search(sight):
                page.pdf(path=shots / f"{name.rpartition('.')[0]}.pdf", format="A4")
    with (shots / "remarks.txt").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in remarks)
    assert wrong == []
