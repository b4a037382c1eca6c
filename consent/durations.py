"""ISO 8601 durations as agreements use them: years, months, weeks, days, hours. Pure.

A month counts 30 days and a year 365, stated in the notice by the resulting date, so nobody has to guess.
"""

import re

from kit.clock import DAY, HOUR, MINUTE, Millis

_DURATION = re.compile(
    r"P(?:(\d{1,3})Y)?(?:(\d{1,3})M)?(?:(\d{1,3})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?)?"
)
_UNITS = (365 * DAY, 30 * DAY, 7 * DAY, DAY, HOUR, MINUTE)


def parse_duration(text: str) -> Millis:
    """Milliseconds; raises ValueError for other forms and for nothing at all."""
    match = _DURATION.fullmatch(text)
    if match is None or not text.isascii() or text.endswith("T"):
        raise ValueError("write a duration like P180D, P1Y or PT24H")
    total = sum(int(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)
    if total <= 0:
        raise ValueError("a duration is longer than nothing")
    return total
