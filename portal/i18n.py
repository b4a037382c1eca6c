"""Two languages, one source: what a person reads, in the language they read.

Messages are written in English in templates and pages (`_("…")`) and translated in
`portal/locale/<language>/<area>.po`, one file per area of the pages (base, resident, desk, …). All areas
are merged when a language is first used; the files are read directly (GNU gettext PO format), so nothing
is compiled and Babel's extraction machinery stays in the tests. English needs a file only where the
English reader should read something else than the source text.

Dates are the city's: Japan Standard Time, with the era year in Japanese.
"""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

LOCALE = Path(__file__).parent / "locale"
DEFAULT = "ja"
LANGUAGES: Mapping[str, str] = {"ja": "日本語", "en": "English"}
COOKIE = "sekisho-lang"

JST = timezone(timedelta(hours=9), "JST")  # Japan has kept one offset, without summer time, since 1951

_ERAS = ((date(2019, 5, 1), "令和"), (date(1989, 1, 8), "平成"), (date(1926, 12, 25), "昭和"))
_MONTHS_EN = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKDAYS_JA = "月火水木金土日"


class BadCatalogue(Exception):
    """A .po file that cannot be read; the message names file and line."""


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a message for translation where it is written, to be translated where it is shown."""
    return message


@dataclass(frozen=True)
class Entry:
    """One message of a catalogue."""

    msgid: str
    plural: str | None
    strings: tuple[str, ...]
    fuzzy: bool
    line: int


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def _unquote(text: str, where: str) -> str:
    match = _QUOTED.fullmatch(text.strip())
    if match is None:
        raise BadCatalogue(f"{where}: expected a quoted string")
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), match[1])


def read_po(text: str, *, name: str = "catalogue") -> Iterator[Entry]:
    """Read the messages of one PO file, in order; the header and obsolete entries are left out.

    Raises BadCatalogue. Contexts (`msgctxt`) are not used in this project and are refused.
    """
    parts: dict[str, list[str]] = {}
    fuzzy = False
    start = 0
    current: list[str] | None = None

    def finish() -> Iterator[Entry]:
        nonlocal parts, fuzzy, current
        if "msgid" in parts:
            msgid = "".join(parts["msgid"])
            plural = "".join(parts["msgid_plural"]) if "msgid_plural" in parts else None
            strings = tuple("".join(v) for k, v in parts.items() if k.startswith("msgstr"))
            if msgid:
                yield Entry(msgid, plural, strings, fuzzy, start)
        parts, fuzzy, current = {}, False, None

    for number, raw in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        line = raw.strip()
        if not line:
            continue
        if line.startswith("#"):
            if any(key.startswith("msgstr") for key in parts):
                yield from finish()
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            continue
        if line.startswith('"'):
            if current is None:
                raise BadCatalogue(f"{where}: a string without a keyword")
            current.append(_unquote(line, where))
            continue
        keyword, _, rest = line.partition(" ")
        if keyword not in ("msgid", "msgid_plural") and not re.fullmatch(r"msgstr(\[\d\])?", keyword):
            raise BadCatalogue(f"{where}: unknown keyword {keyword}")
        if keyword == "msgid":
            if any(key.startswith("msgstr") for key in parts):
                yield from finish()
            start = number
        if keyword in parts:
            raise BadCatalogue(f"{where}: {keyword} twice in one entry")
        current = parts[keyword] = [_unquote(rest, where)]
    yield from finish()


@dataclass(frozen=True)
class Language:
    """One language: its messages and how it writes dates and numbers."""

    code: str
    messages: Mapping[str, tuple[str, ...]] = field(repr=False)

    def gettext(self, message: str) -> str:
        """Translate one message; the source text where there is no translation."""
        found = self.messages.get(message)
        return found[0] if found else message

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """Translate a message with a number in it. Japanese has one form, English two."""
        found = self.messages.get(singular)
        many = self.code != "ja" and number != 1
        if found:
            return found[1] if many and len(found) > 1 else found[0]
        return plural if many else singular

    def pick(self, texts: Mapping[str, str]) -> str:
        """Choose from a text stored in several languages (`{"ja": …, "en": …}`)."""
        return texts.get(self.code) or texts.get(DEFAULT) or next(iter(texts.values()), "")

    # -- dates: milliseconds since the epoch in, the city's calendar out

    def day(self, ms: int) -> str:
        """2026年11月22日 / 22 November 2026."""
        return self.plain_day(_local(ms).date())

    def plain_day(self, day: date) -> str:
        """A calendar date without a time zone, such as a birthday."""
        if self.code == "ja":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_MONTHS_EN[day.month - 1]} {day.year}"

    def long_day(self, ms: int) -> str:
        """2026年11月22日 (令和8年) / 22 November 2026: where a date is a promise."""
        day = _local(ms).date()
        if self.code == "ja":
            return f"{self.plain_day(day)}（{era_year(day)}）"
        return self.plain_day(day)

    def weekday(self, ms: int) -> str:
        """11月22日（日） / Sunday 22 November: the heading of a day in a timeline."""
        day = _local(ms).date()
        if self.code == "ja":
            return f"{day.month}月{day.day}日（{_WEEKDAYS_JA[day.weekday()]}）"
        return f"{_WEEKDAYS_EN[day.weekday()]} {day.day} {_MONTHS_EN[day.month - 1]}"

    def month(self, ms: int) -> str:
        """2026年11月 / November 2026."""
        day = _local(ms).date()
        return f"{day.year}年{day.month}月" if self.code == "ja" else f"{_MONTHS_EN[day.month - 1]} {day.year}"

    def clock(self, ms: int) -> str:
        """14:05, in Japan."""
        return f"{_local(ms):%H:%M}"

    def moment(self, ms: int) -> str:
        """2026年11月22日 14:05 / 22 November 2026, 14:05."""
        return f"{self.day(ms)}{' ' if self.code == 'ja' else ', '}{self.clock(ms)}"

    def short_moment(self, ms: int) -> str:
        """11/22 14:05 / 22 Nov 14:05: in dense lists of staff, where the year goes without saying."""
        day = _local(ms).date()
        return (
            f"{day.month}/{day.day} {self.clock(ms)}"
            if self.code == "ja"
            else f"{day.day} {_MONTHS_EN[day.month - 1][:3]} {self.clock(ms)}"
        )

    def number(self, value: int | float) -> str:
        """1,234 in both languages; a fraction keeps its digits."""
        return f"{value:,}"

    def ago(self, ms: int, now: int) -> str:
        """How long ago, in the words people use: today, yesterday, 3 days ago, else the date."""
        days = (_local(now).date() - _local(ms).date()).days
        if days == 0:
            return self.gettext(N_("Today"))
        if days == 1:
            return self.gettext(N_("Yesterday"))
        if 1 < days <= 30:
            return self.ngettext("%(num)d day ago", "%(num)d days ago", days) % {"num": days}
        return self.day(ms)

    def days_left(self, ms: int, now: int) -> str:
        """How long still: today, tomorrow, in 3 days."""
        days = (_local(ms).date() - _local(now).date()).days
        if days <= 0:
            return self.gettext(N_("Today"))
        if days == 1:
            return self.gettext(N_("Tomorrow"))
        return self.ngettext("in %(num)d day", "in %(num)d days", days) % {"num": days}

    def join(self, items: Iterable[str]) -> str:
        """A list in a sentence: A、B、C / A, B and C."""
        parts = list(items)
        if self.code == "ja":
            return "、".join(parts)
        if len(parts) < 2:
            return "".join(parts)
        return f"{', '.join(parts[:-1])} and {parts[-1]}"


def _local(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(JST)


def era_year(day: date) -> str:
    """令和8年 for 2026; the first year of an era is 元年."""
    for begin, name in _ERAS:
        if day >= begin:
            year = day.year - begin.year + 1
            return f"{name}{'元' if year == 1 else year}年"
    return f"{day.year}年"


# -- loading

_loaded: dict[str, Language] = {}
_lock = threading.Lock()


def catalogue_files(code: str) -> list[Path]:
    """The areas of a language, in alphabetical order."""
    return sorted((LOCALE / code).glob("*.po"))


def language(code: str) -> Language:
    """The language with all its areas, read on first use. Raises KeyError for a language we do not speak."""
    if code not in LANGUAGES:
        raise KeyError(code)
    with _lock:
        if code not in _loaded:
            messages: dict[str, tuple[str, ...]] = {}
            for path in catalogue_files(code):
                for entry in read_po(path.read_text("utf-8"), name=f"{code}/{path.name}"):
                    if not entry.fuzzy and all(entry.strings):
                        messages[entry.msgid] = entry.strings
            _loaded[code] = Language(code, messages)
        return _loaded[code]


def negotiate(
    *,
    asked: str | None = None,
    cookie: str | None = None,
    resident: str | None = None,
    wished: str | None = None,
    accept: str = "",
) -> Language:
    """Choose the language: asked for on this page, remembered, the resident's own, the wish of the service that sent
    the person here, the browser's, Japanese."""
    for code in (asked, cookie, resident, wished):
        if code is not None and code in LANGUAGES:
            return language(code)
    return language(_from_header(accept[:500]) or DEFAULT)


def _from_header(accept: str) -> str | None:
    """The best of Accept-Language (RFC 9110 section 12.5.4) that we speak."""
    best: tuple[float, str] | None = None
    for item in accept.split(","):
        tag, *parameters = item.strip().split(";")
        code = tag.strip().lower().split("-")[0]
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.strip().partition("=")
            if name == "q" and re.fullmatch(r"[01](\.\d{0,3})?", value):
                weight = float(value)
        if code in LANGUAGES and weight > 0 and (best is None or weight > best[0]):
            best = (weight, code)
    return best[1] if best else None


# -- the language of the page that is being made

_current: ContextVar[Language | None] = ContextVar("sekisho_language", default=None)


def current() -> Language:
    """The language of the page being made; the default outside of one."""
    return _current.get() or language(DEFAULT)


@contextmanager
def speaking(chosen: Language) -> Iterator[Language]:
    """Make the pages inside the block speak this language."""
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)


def _(message: str, /, **values: object) -> str:
    """Translate a message in Python code, in the language of the page being made."""
    text = current().gettext(message)
    return text % values if values else text


def ngettext(singular: str, plural: str, num: int, /, **values: object) -> str:
    """Translate a message with a number; `%(num)d` in it is the number."""
    return current().ngettext(singular, plural, num) % {"num": num, **values}
