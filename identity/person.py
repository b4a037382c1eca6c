"""Parts of a name and telephone numbers, as people write them down and as services are told them. Pure.

OpenID Connect Core sections 5.1 (`family_name`, `given_name`, `phone_number` as E.164) and 5.2 (`#ja-Kana-JP`). A name
is never taken apart by a guess: who has one name alone, or three, or writes the family name last, has not said where
it parts until they say so. What they say must be the name itself, character for character, so that no second name gets
in beside the one a clerk compares.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

#: This city's trunk: a number written with a leading 0 is one of Japan's (E.164 country code 81).
_COUNTRY: Final = "+81"
_MARKS: Final = re.compile(
    r"[\s()\-.\u2010-\u2015\u2212\u30fc]"
)  # a phone keyboard's dashes, the long vowel among them
_DOMESTIC: Final = re.compile(r"0[0-9]{9,10}", re.ASCII)
_ABROAD: Final = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)  # E.164: fifteen digits at most
#: Printable by Unicode's word, and nothing is seen of them.
BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
#: So many marks on one letter there are in no script; more of them run over the lines above and below.
_PILED: Final = 5


def is_shown(text: str) -> bool:
    """Whether every character of a line can be seen, and stays on it. Closes: a name that is blank before a clerk or a
    service, one that turns what stands beside it around (U+202E), one that covers the page."""
    if not text.isprintable() or BLANK.intersection(text):
        return False
    piled = 0
    for each in unicodedata.normalize("NFC", text):
        piled = piled + 1 if unicodedata.combining(each) else 0
        if piled >= _PILED:
            return False
    return True


def read_phone(typed: str) -> str | None:
    """A telephone number as E.164, whatever width and dashes it was typed with; "" for none, None for what is none."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKC", typed))
    if not plain:
        return ""
    if plain.startswith(f"{_COUNTRY}0"):  # +81 (0)90 …: the zero is for callers inside
        plain = plain.removeprefix(_COUNTRY)
    if _DOMESTIC.fullmatch(plain):
        return _COUNTRY + plain[1:]
    return plain if _ABROAD.fullmatch(plain) else None


def shown_phone(number: str) -> str:
    """A number as it is dialled here: Japan's with the leading 0, others as they are."""
    return f"0{number.removeprefix(_COUNTRY)}" if number.startswith(_COUNTRY) else number


def fits(name: str, *, family: str, given: str) -> bool:
    """Whether the two are the whole name, in either order, blanks aside; one alone may be all of it; none is, too."""
    if not family and not given:
        return True
    whole = _close(name)
    return whole in (_close(family + given), _close(given + family))


def kana_parts(name: str, kana: str, *, family: str, given: str) -> tuple[str, str]:
    """Family's and given name's reading, where the reading has as many words as both together; else nothing.

    In the order of the name: a reading is written as the name is spoken.
    """
    words, first, second = kana.split(), family.split(), given.split()
    if not kana or not (first or second) or len(words) != len(first) + len(second):
        return "", ""
    if _close(name) == _close(family + given):
        return _join(words[: len(first)]), _join(words[len(first) :])
    return _join(words[len(second) :]), _join(words[: len(second)])


def _close(text: str) -> str:
    return "".join(text.split())


def _join(words: Sequence[str]) -> str:
    return " ".join(words)
