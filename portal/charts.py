"""Geometry of the charts: numbers in, coordinates out; the templates draw them as inline SVG.

Pure. Every chart carries the rows of the table that stands beside it, so nothing is only a picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

WIDTH, HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 18, 12, 30
_DIGIT = 9  # how wide a digit of an axis is at most


@dataclass(frozen=True)
class Point:
    """One dot of a line: coordinates, and what it says."""

    x: float
    y: float
    label: str
    value: str


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    label: str


@dataclass(frozen=True)
class LineChart:
    """A number over time."""

    title: str
    unit: str
    path: str
    points: tuple[Point, ...]
    y_ticks: tuple[Tick, ...]
    x_ticks: tuple[Tick, ...]
    left: int  # where the axis stands: right of its longest number


@dataclass(frozen=True)
class HeatDay:
    """One day of a heat strip; level 0 to 4. `href` shows that day."""

    x: int
    y: int
    level: int
    label: str
    count: int
    href: str


@dataclass(frozen=True)
class HeatStrip:
    """Days as squares, a column a week."""

    title: str
    width: int
    height: int
    size: int
    days: tuple[HeatDay, ...]
    months: tuple[Tick, ...]


@dataclass(frozen=True)
class Bar:
    """One bar: its words, its number, and its length in percent of the longest."""

    label: str
    value: str
    percent: int
    href: str


@dataclass(frozen=True)
class BarChart:
    """Numbers side by side."""

    title: str
    bars: tuple[Bar, ...]


def nice_step(span: float, steps: int = 4) -> float:
    """A round distance between axis marks: 1, 2 or 5 times a power of ten."""
    if span <= 0:
        return 1.0
    raw = span / steps
    power = 10.0 ** floor(log10(raw))
    for factor in (1, 2, 5, 10):
        if raw <= factor * power:
            return factor * power
    return 10 * power


def _short(value: float) -> str:
    return f"{value:,.10g}" if value != int(value) else f"{int(value):,}"


def line(title: str, unit: str, rows: Sequence[tuple[int, str, float]]) -> LineChart | None:
    """A line through (time, words for the time, value), oldest first; None for fewer than two."""
    if len(rows) < 2:
        return None
    times = [row[0] for row in rows]
    values = [row[2] for row in rows]
    low, high = min(values), max(values)
    step = nice_step((high - low) or abs(high) or 1)
    bottom = floor(low / step) * step
    top = bottom
    while top < high or top == bottom:
        top += step
    span_x = (max(times) - min(times)) or 1
    left = max(_LEFT, _DIGIT * len(_short(round(top, 6))) + 20)
    wide, tall = WIDTH - left - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def place_x(time: int) -> float:
        return round(left + wide * (time - min(times)) / span_x, 1)

    def place_y(value: float) -> float:
        return round(_TOP + tall * (1 - (value - bottom) / (top - bottom)), 1)

    points = tuple(Point(place_x(t), place_y(v), words, _short(v)) for t, words, v in rows)
    marks, mark = [], bottom
    while mark <= top + step / 2:
        marks.append(Tick(place_y(mark), _short(round(mark, 6))))
        mark += step
    ends = (Tick(points[0].x, rows[0][1]), Tick(points[-1].x, rows[-1][1]))
    path = "M" + " L".join(f"{p.x} {p.y}" for p in points)
    return LineChart(title, unit, path, points, tuple(marks), ends, left)


def level(count: int, most: int) -> int:
    """0 for none, then 1 to 4 by quarters of the most."""
    return 0 if count <= 0 or most <= 0 else min(4, 1 + (4 * (count - 1)) // max(most, 4))


def heat(title: str, days: Sequence[tuple[str, int, int, str, str]], *, cell: int = 20) -> HeatStrip:
    """A strip of (words for the day, weekday 0-6, count, link, month if it begins here), oldest first."""
    most = max((count for _, _, count, _, _ in days), default=0)
    squares: list[HeatDay] = []
    months: list[Tick] = []
    column = 0
    for index, (label, weekday, count, href, month) in enumerate(days):
        if index and weekday == 0:
            column += 1
        if month:
            months.append(Tick(column * cell, month))
        squares.append(HeatDay(column * cell, 20 + weekday * cell, level(count, most), label, count, href))
    return HeatStrip(title, (column + 1) * cell + 24, 20 + 7 * cell, cell - 4, tuple(squares), tuple(months))


def bars(title: str, rows: Sequence[tuple[str, int, str]]) -> BarChart:
    """Bars for (words, number, link), longest first as given."""
    most = max((number for _, number, _ in rows), default=0) or 1
    return BarChart(title, tuple(Bar(w, f"{n:,}", round(100 * n / most), href) for w, n, href in rows))
