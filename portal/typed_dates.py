"""Reading a date of birth the way people write it.

Japanese people write 昭和26年4月2日, S26.4.2, 1951年4月2日 or 1951/4/2; a picker makes somebody born in 1951 scroll
nine hundred months. Pure.
"""

import re
import unicodedata
from datetime import date

# The first year of each era. Its exact first day is not checked: people write 平成元年1月3日 for 昭和64年.
_ERAS = {
    "令和": 2019, "R": 2019, "平成": 1989, "H": 1989, "昭和": 1926, "S": 1926, "大正": 1912, "T": 1912,
    "明治": 1868, "M": 1868,
}  # fmt: skip
_WESTERN = re.compile(r"(\d{4})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})\D?")
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_ERA = re.compile(r"(令和|平成|昭和|大正|明治|[RHSTM])(元|\d{1,2})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})\D?")
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_ENGLISH = re.compile(r"(\d{1,2})([A-Z]{3,9})(\d{4})")


def read_birthdate(text: str, *, today: date) -> date:
    """The date that was meant; raises ValueError if that is unclear, in the future, or before 1880."""
    typed = re.sub(r"\s+", "", unicodedata.normalize("NFKC", text)).upper()
    found = _read(typed)
    if found > today or found.year < 1880:
        raise ValueError("not a date of birth")
    return found


def _read(typed: str) -> date:
    if match := _ERA.fullmatch(typed):
        era, year, month, day = match.groups()
        return date(_ERAS[era] - 1 + (1 if year == "元" else int(year)), int(month), int(day))
    if match := _WESTERN.fullmatch(typed) or _COMPACT.fullmatch(typed):
        return date(int(match[1]), int(match[2]), int(match[3]))
    if match := _ENGLISH.fullmatch(typed):
        month_number = _MONTHS.get(match[2][:3].lower())
        if month_number:
            return date(int(match[3]), month_number, int(match[1]))
    raise ValueError("not a date")
