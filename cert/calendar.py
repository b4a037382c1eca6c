"""Days on which a Japanese government office is open. Pure.

Act on National Holidays (昭和23年法律第178号) articles 2 and 3, as in force since 2022, and Act on Holidays of
Administrative Organs (昭和63年法律第91号) article 1: Saturdays, Sundays, national holidays, 29 December to 3 January.
The two equinoxes are announced each February; the usual formula for them holds until 2099.
"""

from datetime import date, timedelta
from functools import lru_cache

_FIXED = ((1, 1), (2, 11), (2, 23), (4, 29), (5, 3), (5, 4), (5, 5), (8, 11), (11, 3), (11, 23))
_MONDAYS = ((1, 2), (7, 3), (9, 3), (10, 2))  # month, which Monday


def _monday(year: int, month: int, nth: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(7 - first.weekday()) % 7 + 7 * (nth - 1))


def _equinox(year: int, month: int) -> date:
    base = 20.8431 if month == 3 else 23.2488
    return date(year, month, int(base + 0.242194 * (year - 1980)) - (year - 1980) // 4)


@lru_cache(maxsize=32)
def national_holidays(year: int) -> frozenset[date]:
    """The national holidays of a year, with substitutes and days between (article 3)."""
    days = {date(year, month, day) for month, day in _FIXED}
    days |= {_monday(year, month, nth) for month, nth in _MONDAYS}
    days |= {_equinox(year, 3), _equinox(year, 9)}
    named = frozenset(days)
    for day in named:  # article 3(2): a holiday on Sunday moves to the next day that is none
        if day.weekday() == 6:
            moved = day
            while moved in days:
                moved += timedelta(days=1)
            days.add(moved)
    for day in named:  # article 3(3): a day between two holidays is one
        between = day + timedelta(days=1)
        if between not in days and between + timedelta(days=1) in named:
            days.add(between)
    return frozenset(days)


def is_open(day: date) -> bool:
    """Whether a government office is open on this day."""
    if day.weekday() >= 5 or (day.month, day.day) in {(12, 29), (12, 30), (12, 31), (1, 2), (1, 3)}:
        return False
    return day not in national_holidays(day.year)


def next_open(day: date) -> date:
    """This day, or the first open day after it."""
    while not is_open(day):
        day += timedelta(days=1)
    return day
