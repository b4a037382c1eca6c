"""The catalogue of data categories: what the bank holds, how it looks and how careful one must be.

Each file in `categories/` names one category: its JSON Schema (draft 2020-12), its area of life, its sensitivity,
its personal-data term of the Data Privacy Vocabulary (DPV 2.3, `pd`), labels in Japanese and English for itself and
for every field, and the public model it follows. The `x-…` annotations are ignored by schema validators and read here.
Pure: files are read once, at import of the catalogue by the wiring; no database, no web, no clock.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache, cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any

from infobank.errors import SchemaViolation, UnknownCategory
from kit.clock import DAY, Millis, from_iso

if TYPE_CHECKING:  # the first record that comes in loads the validator: a start has no use for it
    from jsonschema import Draft202012Validator, FormatChecker
    from jsonschema.exceptions import ValidationError

AREAS: tuple[str, ...] = ("health", "mobility", "home", "family", "disaster")

# A day in a record is a day in the city. Japan keeps one zone and no summer time, so the offset is the zone.
CITY_ZONE = timezone(timedelta(hours=9), "JST")


@dataclass(frozen=True, slots=True)
class Label:
    """One text in the two languages of the city."""

    ja: str
    en: str

    def of(self, lang: str) -> str:
        """The text for a reader's language; Japanese unless English is asked for."""
        return self.en if lang.startswith("en") else self.ja


AREA_LABELS: Mapping[str, Label] = {
    "health": Label("健康", "Health"),
    "mobility": Label("移動", "Getting around"),
    "home": Label("住まい", "Home"),
    "family": Label("家族", "Family"),
    "disaster": Label("災害への備え", "If disaster strikes"),
}

# 0 to 3 after the graded sensitivity of the information bank guideline (情報信託機能の認定に係る指針); 3 is what the
# Act on the Protection of Personal Information, article 2 paragraph 3, calls 要配慮個人情報, or is as delicate as that.
SENSITIVITY_LABELS: Mapping[int, Label] = {
    0: Label("ふつうの情報", "General"),
    1: Label("暮らしの情報", "Everyday life"),
    2: Label("行動や家族がわかる情報", "Shows movements or family"),
    3: Label("特に配慮が必要な情報", "Needs special care"),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a category, as people read it."""

    name: str
    label: Label
    kind: str  # string | number | integer | boolean | array | date | date-time
    unit: Label | None
    line: bool  # its history is worth a line chart
    values: Mapping[str, Label]
    required: bool
    minimum: float | None
    maximum: float | None
    max_length: int | None
    pattern: str | None

    def text(self, value: Any, lang: str) -> str:
        """A value in words, with its unit."""
        if isinstance(value, list):
            joined = "、" if not lang.startswith("en") else ", "
            return joined.join(self.text(part, lang) for part in value)
        if isinstance(value, bool):
            return Label("はい", "Yes").of(lang) if value else Label("いいえ", "No").of(lang)
        if isinstance(value, str) and value in self.values:
            return self.values[value].of(lang)
        if self.kind == "date":
            return _day_text(date.fromisoformat(str(value)), lang)
        if self.kind == "date-time":
            moment = datetime.fromisoformat(str(value)).astimezone(CITY_ZONE)
            return f"{_day_text(moment.date(), lang)} {moment:%H:%M}"
        shown = f"{value:,}" if isinstance(value, int | float) and abs(value) >= 1000 else str(value)
        return f"{shown} {self.unit.of(lang)}" if self.unit else shown


def _day_text(day: date, lang: str) -> str:
    return f"{day.day} {day:%B} {day.year}" if lang.startswith("en") else f"{day.year}年{day.month}月{day.day}日"


@dataclass(frozen=True)
class Category:
    """One data category."""

    id: str
    version: int
    area: str
    sensitivity: int
    pd: str
    label: Label
    description: Label
    model_name: str
    model_reference: str
    recorded: str  # the field that says when the facts were true
    summary: tuple[str, ...]  # the fields that stand for a record in one line
    fields: tuple[Field, ...]
    schema: Mapping[str, Any]

    @cached_property
    def field_by_name(self) -> Mapping[str, Field]:
        """Fields by name."""
        return {field.name: field for field in self.fields}

    @cached_property
    def line_fields(self) -> tuple[Field, ...]:
        """Fields whose history makes a line."""
        return tuple(field for field in self.fields if field.line)

    @cached_property
    def _validator(self) -> "Draft202012Validator":
        from jsonschema import Draft202012Validator

        return Draft202012Validator(self.schema, format_checker=_formats())

    def check(self, data: object, *, now: Millis, pointer: str = "") -> Millis:
        """Hold a record against the schema; when its facts were true, or SchemaViolation with JSON pointers.

        The messages never repeat the offending value: errors may be logged, personal data may not.
        """
        found = sorted(self._validator.iter_errors(data), key=lambda error: list(map(str, error.absolute_path)))
        if found:
            raise SchemaViolation(
                "Correct the fields named in `errors`; the schema is at /api/bank/categories.",
                errors=[_told(error, pointer) for error in found[:20]],
            )
        assert isinstance(data, dict)
        recorded_at = recorded_moment(str(data[self.recorded]))
        if recorded_at > now + DAY:
            raise SchemaViolation(
                "A record cannot lie in the future.",
                errors=[{"pointer": f"{pointer}/{self.recorded}", "detail": "must not lie in the future"}],
            )
        return recorded_at

    def summarise(self, data: Mapping[str, Any], lang: str) -> str:
        """A record in one line."""
        by_name = self.field_by_name
        parts = []
        for name in self.summary:
            if name in data:
                field = by_name[name]
                words = field.text(data[name], lang)
                # a bare number says nothing; a stop or a vaccine speaks for itself
                parts.append(f"{field.label.of(lang)} {words}" if field.kind in {"number", "integer"} else words)
        return ("・" if not lang.startswith("en") else ", ").join(parts)


class Catalogue:
    """All categories, by id."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self._by_id = {category.id: category for category in categories}

    def __iter__(self) -> Iterator[Category]:
        return iter(self._by_id.values())

    def __contains__(self, category_id: object) -> bool:
        return category_id in self._by_id

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in the order of the areas of life."""
        return tuple(self._by_id)

    def find(self, category_id: str) -> Category | None:
        """The category, or None."""
        return self._by_id.get(category_id)

    def get(self, category_id: str) -> Category:
        """The category; UnknownCategory if there is none of that name."""
        category = self._by_id.get(category_id)
        if category is None:
            raise UnknownCategory("There is no such data category; see /api/bank/categories.")
        return category

    def in_area(self, area: str) -> tuple[Category, ...]:
        """The categories of one area of life."""
        return tuple(category for category in self if category.area == area)


@cache
def load() -> Catalogue:
    """The shipped categories, read once: nothing in a catalogue ever changes."""
    folder = resources.files("infobank") / "categories"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".json")), key=lambda e: e.name)
    categories = [_parse(json.loads(entry.read_text("utf-8"))) for entry in files]
    return Catalogue(sorted(categories, key=lambda category: (AREAS.index(category.area), category.id)))


def recorded_moment(text: str) -> Millis:
    """The instant a date (midnight in the city) or a date-time stands for."""
    if len(text) == 10:
        day = datetime.combine(date.fromisoformat(text), datetime.min.time(), CITY_ZONE)
        return round(day.astimezone(UTC).timestamp() * 1000)
    return from_iso(text)


def _parse(document: Mapping[str, Any]) -> Category:
    schema = document["schema"]
    required = frozenset(schema["required"])
    fields = tuple(_field(name, spec, name in required) for name, spec in schema["properties"].items())
    return Category(
        id=document["id"],
        version=document["version"],
        area=document["area"],
        sensitivity=document["sensitivity"],
        pd=document["pd"],
        label=_label(document["label"]),
        description=_label(document["description"]),
        model_name=document["model"]["name"],
        model_reference=document["model"]["reference"],
        recorded=document["recorded"],
        summary=tuple(document["summary"]),
        fields=fields,
        schema=schema,
    )


def _field(name: str, spec: Mapping[str, Any], required: bool) -> Field:
    choices = spec.get("items", spec).get("x-values", {})
    return Field(
        name=name,
        label=_label(spec["x-label"]),
        kind=spec.get("format", spec["type"]),
        unit=_label(spec["x-unit"]) if "x-unit" in spec else None,
        line=bool(spec.get("x-line", False)),
        values={code: _label(words) for code, words in choices.items()},
        required=required,
        minimum=spec.get("minimum"),
        maximum=spec.get("maximum"),
        max_length=spec.get("maxLength"),
        pattern=spec.get("pattern"),
    )


def _label(words: Mapping[str, str]) -> Label:
    return Label(words["ja"], words["en"])


# A moment at either end of the calendar is a day outside of it in another zone. One such record would break every page
# and export it is shown on, so nothing older than the calendar in use, and nothing beyond it, is a moment here.
_FIRST_YEAR = 1583
_EARLIEST, _LATEST = from_iso("1583-01-02T00:00:00Z"), from_iso("9999-12-30T00:00:00Z")


def _is_date(value: object) -> bool:
    # fromisoformat alone also takes 20261122 and 2026-W47-7, which RFC 3339 full-date does not
    return not isinstance(value, str) or (
        len(value) == 10 and value[4] == "-" and date.fromisoformat(value).year >= _FIRST_YEAR
    )


def _is_moment(value: object) -> bool:
    return not isinstance(value, str) or (
        len(value) >= 20 and value[10] in "Tt" and _EARLIEST <= from_iso(value) <= _LATEST
    )


@cache
def _formats() -> "FormatChecker":
    from jsonschema import FormatChecker

    known = FormatChecker(formats=())
    known.checks("date", raises=ValueError)(_is_date)
    known.checks("date-time", raises=ValueError)(_is_moment)
    return known


_SENTENCES: Mapping[str, str] = {
    "additionalProperties": "this field does not belong to the category",
    "enum": "must be one of the values the schema lists",
    "exclusiveMaximum": "must be smaller",
    "exclusiveMinimum": "must be larger",
    "format": "must be written as the schema's format asks, for example 2026-11-22",
    "maxItems": "has too many entries",
    "maxLength": "is too long",
    "minLength": "must not be empty",
    "pattern": "is not written as the schema's pattern asks",
    "required": "is required",
    "uniqueItems": "must not repeat an entry",
}


def _told(error: "ValidationError", base: str) -> dict[str, str]:
    path = [str(part) for part in error.absolute_path]
    keyword = str(error.validator)
    limit: Any = error.validator_value
    if keyword == "required" and isinstance(error.instance, dict):
        # One error for each missing field; only the message says which (the name is the schema's, not the sender's).
        path.append(next(name for name in limit if error.message.startswith(repr(name))))
    elif keyword == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        # The name of an unknown field is the sender's own word; it is cut so that it cannot carry a document.
        path.append(next((str(name)[:60] for name in error.instance if name not in known), ""))
    if keyword == "type":
        detail = f"must be of type {limit if isinstance(limit, str) else ' or '.join(limit)}"
    elif keyword == "minimum":
        detail = f"must be at least {limit}"
    elif keyword == "maximum":
        detail = f"must be at most {limit}"
    else:
        detail = _SENTENCES.get(keyword, "does not fit the schema")
    return {
        "pointer": base + "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path),
        "detail": detail,
    }
