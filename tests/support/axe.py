"""What axe-core calls serious or critical on a page. Contrast, two thirds of its time, is not judged twice.

Axe judges the contrast of a text by its colour, size and weight and by the backgrounds behind it, in any language, at
any width and on any page. So a combination of these that axe has passed is not shown to it again in this process; one
it has not passed (new, failed, or left open) is, with every text that has it. Texts whose backgrounds their ancestors
do not tell (something that paints lies across them, they stand out of their box) are always shown to it.
"""

from typing import Any

from playwright.sync_api import Page

_PASSED: set[str] = set()

# A rule's own impact is the impact of everything it finds (axe-core, `summarizeResult`), so the rules that could only
# find what is minor or moderate need not run.
_RUN = """async ([without, passed]) => {
  const rules = axe._audit.rules.filter(r => r.enabled && !['minor', 'moderate'].includes(r.impact)
    && !r.tags.some(tag => axe._audit.tagExclude.includes(tag))).map(r => r.id);
  const exclude = without ? [[without]] : [];
  const run = (include, values, resultTypes) =>
    axe.run({include, exclude}, {runOnly: {type: 'rule', values}, resultTypes, elementRef: true});
  const found = (await run([document], rules.filter(id => id !== 'color-contrast'), ['violations'])).violations;

  const styles = new Map();
  const styled = e => styles.get(e) ?? styles.set(e, getComputedStyle(e)).get(e);
  const behind = new Map();  // of an element: what it and its ancestors paint behind a text
  const back = e => {
    if (!e) return '';
    if (!behind.has(e)) {
      const s = styled(e), own = [s.backgroundColor, s.backgroundImage, s.opacity, s.filter, s.mixBlendMode].join(' ');
      const plain = own === 'rgba(0, 0, 0, 0) none 1 none normal';
      behind.set(e, (plain ? '' : own + '/') + back(e.parentElement));
    }
    return behind.get(e);
  };
  const all = [...document.querySelectorAll('body, body *')].filter(e => e.getClientRects().length);
  const clear = e => ['rgba(0, 0, 0, 0)', 'transparent'].includes(styled(e).backgroundColor);
  const paints = all.filter(e => !clear(e) || styled(e).backgroundImage !== 'none' || e.matches('img, svg'))
    .map(e => [e, e.getBoundingClientRect()]);
  const aside = (other, e) => !other.contains(e) && (!e.contains(other) || styled(other).position !== 'static');
  const alone = e => {
    const range = document.createRange();
    range.selectNodeContents(e);
    const text = e.matches('input, select, textarea') ? e.getBoundingClientRect() : range.getBoundingClientRect();
    let ground = e;  // the nearest ancestor that paints, or the page
    while (ground !== document.body && clear(ground)) ground = ground.parentElement;
    const box = ground.getBoundingClientRect();
    const inside = ground === document.body || text.left >= box.left - 1 && text.right <= box.right + 1
      && text.top >= box.top - 1 && text.bottom <= box.bottom + 1;
    return inside && !paints.some(([other, at]) => at.left < text.right && at.right > text.left && at.top < text.bottom
      && at.bottom > text.top && aside(other, e));
  };
  const known = new Set(passed), names = new Map(), asked = [];
  for (const e of all) {
    const says = e.matches('input, select, textarea, option')
      || [...e.childNodes].some(n => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!says || without && e.closest(without)) continue;
    const s = styled(e), name = [s.color, s.fontSize, s.fontWeight, s.textShadow, back(e)].join('|');
    const sure = alone(e);
    if (sure) names.set(e, name);
    if (!sure || !known.has(name)) asked.push(e);
  }
  const fresh = new Set();
  if (asked.length) {
    const judged = await run(asked, ['color-contrast'], ['violations', 'passes']);
    found.push(...judged.violations);
    const each = (kind, does) => judged[kind].forEach(rule => rule.nodes.forEach(n => does(names.get(n.element))));
    each('passes', name => name && fresh.add(name));
    each('violations', name => fresh.delete(name));
  }
  const line = (rule, n) => `${rule.impact}: ${rule.id}: ${rule.help}: ${n.html.slice(0, 160)}`;
  return [found.flatMap(rule => rule.nodes.map(n => line(rule, n))), [...fresh]];
}"""


def ready(page: Page) -> None:
    """Have axe in every document the page opens from now on, which takes half as long as to bring it afterwards."""
    from axe_playwright_python.base import AXE_SCRIPT

    page.add_init_script(AXE_SCRIPT)


def faults(page: Page, *, without: str = "") -> list[str]:
    """One readable line for each serious or critical fault of the page, except within the elements that the selector
    `without` names; an empty list is a pass."""
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: tuple[list[str], list[Any]] = page.evaluate(_RUN, [without, sorted(_PASSED)])
    _PASSED.update(found[1])
    return found[0]
