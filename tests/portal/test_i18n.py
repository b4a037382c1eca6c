"""The words of the pages: complete in both languages, honest about their contexts, free of inline code."""

import re
from dataclasses import fields, is_dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jinja2 import nodes

from kit.clock import from_iso
from portal import i18n, web
from portal.contexts import Sample
from tests.support import gallery, messages
from tests.support.controls import Controls

SAMPLES = list(gallery.samples())
PAGES = sorted(
    str(path.relative_to(web.TEMPLATES))
    for path in web.TEMPLATES.rglob("*.html")
    if path.name not in ("base.html", "macros.html") and not path.name.startswith("_")
)
SHARED = {"page", "shell", "door", "ui", "_", "gettext", "ngettext", "static"}


def test_every_message_is_translated_into_japanese() -> None:
    translated = messages.catalogue("ja")
    missing = [f"{one.where}: {one.msgid}" for one in messages.said() if one.msgid not in translated]
    assert not missing, "run python -m tests.support.messages:\n" + "\n".join(missing)


def test_no_translation_is_empty_fuzzy_or_left_over() -> None:
    wanted = {one.msgid for one in messages.said()}
    wrong = []
    for code in i18n.LANGUAGES:
        for msgid, entries in messages.catalogue(code).items():
            for file, entry in entries:
                if entry.fuzzy or not entry.strings or not all(entry.strings):
                    wrong.append(f"{code}/{file}:{entry.line} unfinished: {msgid}")
                if msgid not in wanted:
                    wrong.append(f"{code}/{file}:{entry.line} said nowhere: {msgid}")
    assert not wrong, "\n".join(wrong)


def test_one_message_has_one_translation() -> None:
    wrong = []
    for code in i18n.LANGUAGES:
        for msgid, entries in messages.catalogue(code).items():
            if len({entry.strings for _, entry in entries}) > 1:
                wrong.append(f"{code}: {msgid}: {[file for file, _ in entries]}")
    assert not wrong, "\n".join(wrong)


def test_translations_keep_their_placeholders() -> None:
    wrong = []
    for code in i18n.LANGUAGES:
        for entries in messages.catalogue(code).values():
            for file, entry in entries:
                wanted = set(messages.places(entry.plural or entry.msgid))
                wrong += [
                    f"{code}/{file}:{entry.line} {text}"
                    for text in entry.strings
                    if set(messages.places(text)) - {"num"} != wanted - {"num"}
                ]
    assert not wrong, "\n".join(wrong)


@cache
def _trees(template: str) -> tuple[nodes.Template, ...]:
    """The template and everything it extends, includes or imports."""
    env = web.environment()
    source = (web.TEMPLATES / template).read_text("utf-8")
    tree = env.parse(source)
    found = [tree]
    for node in tree.find_all((nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)):
        if isinstance(node.template, nodes.Const) and node.template.value not in ("base.html", "macros.html"):
            found += _trees(node.template.value)
    return tuple(found)


def _names(template: str) -> set[str]:
    return {n.name for tree in _trees(template) for n in tree.find_all(nodes.Name) if n.ctx == "load"}


def _attributes(template: str) -> set[str]:
    """Attribute names used by a template and by the shared macros."""
    found: set[str] = set()
    macros = web.environment().parse((web.TEMPLATES / "macros.html").read_text("utf-8"))
    for tree in (*_trees(template), macros):
        found |= {n.attr for n in tree.find_all(nodes.Getattr)}
        found |= {str(n.arg.value) for n in tree.find_all(nodes.Getitem) if isinstance(n.arg, nodes.Const)}
        for node in tree.find_all(nodes.Filter):  # map(attribute="…"), groupby("…"), selectattr("…")
            constants = [*node.args, *(pair.value for pair in node.kwargs)]
            found |= {str(c.value) for c in constants if isinstance(c, nodes.Const)}
    return found


def _inside(value: object, seen: dict[type, object]) -> dict[type, object]:
    """Every dataclass reachable from a value."""
    if is_dataclass(value) and not isinstance(value, type):
        seen.setdefault(type(value), value)
        for f in fields(value):
            _inside(getattr(value, f.name), seen)
    elif isinstance(value, dict):
        for item in value.values():
            _inside(item, seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _inside(item, seen)
    return seen


def test_every_template_has_samples_of_one_dataclass() -> None:
    given: dict[str, set[type]] = {}
    for sample in SAMPLES:
        assert is_dataclass(sample.context), sample.template
        given.setdefault(sample.template, set()).add(type(sample.context))
    assert sorted(given) == PAGES
    assert [t for t, kinds in given.items() if len(kinds) > 1] == []


@pytest.mark.parametrize("template", PAGES)
def test_template_uses_every_field_it_is_given(template: str) -> None:
    mine = [sample for sample in SAMPLES if sample.template == template]
    names, attributes = _names(template), _attributes(template)
    context = mine[0].context
    unused = [f.name for f in fields(context) if f.name not in names]  # type: ignore[arg-type]
    reached: dict[type, object] = {}
    for sample in mine:
        _inside(sample.context, reached)
    for kind, value in reached.items():
        if kind is not type(context) and kind.__module__.startswith("portal.contexts"):
            unused += [f"{kind.__name__}.{f.name}" for f in fields(value) if f.name not in attributes]  # type: ignore[arg-type]
    assert not unused, f"{template} never shows {unused}"


@pytest.mark.parametrize("code", list(i18n.LANGUAGES))
@pytest.mark.parametrize("sample", SAMPLES, ids=gallery.name_of)
def test_sample_renders_without_inline_code_and_in_its_language(sample: Sample, code: str) -> None:
    html = gallery.picture_text(sample, code)
    assert html.startswith("<!doctype html>")
    assert f'<html lang="{code}">' in html
    assert not re.search(r"\sstyle\s*=", html), "style= is refused by the policy"
    assert not re.search(r"<[^>]+\son\w+\s*=", html), "inline handlers are refused by the policy"
    assert not re.search(r"<style|javascript:", html)
    for script in re.findall(r"<script\b([^>]*)>", html):
        assert re.search(r'src="/static/|type="application/(ld\+)?json"', script), script
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert sorted(ids) == sorted(set(ids)), [i for i in ids if ids.count(i) > 1]
    page = Controls(html)  # what a program fills in and clicks, and what it reads of a mistake, is no word
    assert page.nameless == []
    assert all(re.fullmatch(r"[a-z][a-z0-9_-]*", one) for one in page.errors.values()), page.errors
    assert html.count("<h1") == 1
    for target in re.findall(r'\b(?:for|aria-describedby)="([^"]+)"', html):
        for one in target.split():
            assert one in ids, f"{one} is pointed at and not there"


def test_no_template_or_page_writes_inline_style() -> None:
    wrong = [
        str(path)
        for path in Path(web.TEMPLATES).rglob("*.html")
        if re.search(r"\sstyle=|<style|\son[a-z]+=[\"']", re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.S))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("asked", "cookie", "resident", "accept", "expected"),
    [
        (None, None, None, "", "ja"),
        (None, None, None, "en-GB,en;q=0.9,ja;q=0.8", "en"),
        (None, None, None, "fr, en;q=0.2, ja;q=0.7", "ja"),
        (None, None, None, "en;q=0, ja;q=0.1", "ja"),
        (None, None, None, "en;q=broken", "en"),
        (None, None, "en", "ja", "en"),
        (None, "ja", "en", "en", "ja"),
        ("en", "ja", "ja", "ja", "en"),
        ("xx", "zz", "yy", "de", "ja"),
    ],
)
def test_language_is_the_one_asked_then_remembered_then_ones_own_then_the_browsers(
    asked: str | None, cookie: str | None, resident: str | None, accept: str, expected: str
) -> None:
    assert i18n.negotiate(asked=asked, cookie=cookie, resident=resident, accept=accept).code == expected


def test_dates_are_written_as_people_write_them() -> None:
    ja, en = i18n.language("ja"), i18n.language("en")
    at = from_iso("2026-11-21T15:05:00Z")  # already the next day in Japan
    assert (ja.long_day(at), en.long_day(at)) == ("2026年11月22日（令和8年）", "22 November 2026")
    assert (ja.moment(at), en.moment(at)) == ("2026年11月22日 00:05", "22 November 2026, 00:05")
    assert (ja.weekday(at), en.weekday(at)) == ("11月22日（日）", "Sunday 22 November")
    assert i18n.era_year(date(2019, 5, 1)) == "令和元年"
    assert i18n.era_year(date(2019, 4, 30)) == "平成31年"
    assert (ja.join(["a", "b", "c"]), en.join(["a", "b", "c"])) == ("a、b、c", "a, b and c")
    assert (en.ago(at, at + 3 * 86_400_000), ja.number(12345)) == ("3 days ago", "12,345")


def test_plural_follows_the_language() -> None:
    en = i18n.language("en")
    assert [en.ngettext("%(num)d day", "%(num)d days", n) for n in (1, 2)] == ["%(num)d day", "%(num)d days"]


@pytest.mark.parametrize(
    "text",
    ['msgid broken\nmsgstr ""', 'msgctxt "menu"\nmsgid "a"\nmsgstr "b"', '"alone"', 'msgid "a"\nmsgid "b"\nmsgstr "c"'],
)
def test_catalogue_that_cannot_be_read_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(i18n.BadCatalogue, match="catalogue:"):
        list(i18n.read_po(text))


def test_catalogue_reads_multi_line_plural_and_escaped_messages() -> None:
    text = (
        '#, fuzzy\nmsgid ""\n"one \\"two\\"\\n"\n"three"\nmsgstr "一"\n\n'
        'msgid "%(num)d day"\nmsgid_plural "%(num)d days"\nmsgstr[0] "%(num)d日"\n#~ msgid "old"\n'
    )
    found: list[Any] = list(i18n.read_po(text))
    assert [(e.msgid, e.plural, e.strings, e.fuzzy) for e in found] == [
        ('one "two"\nthree', None, ("一",), True),
        ("%(num)d day", "%(num)d days", ("%(num)d日",), False),
    ]
