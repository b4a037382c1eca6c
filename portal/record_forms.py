"""A form for any data category: fields from its JSON Schema, and what was typed back into a record.

Pure. The category's schema has the last word (infobank.items.draft); here the words a person typed become JSON
values, and the schema's complaints become sentences beside their fields.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from infobank.catalogue import CITY_ZONE, Category, Field
from portal.contexts.resident import FormField
from portal.i18n import _
from portal.web import Form

LONG_TEXT = 200


class NotARecord(Exception):
    """A file that holds no record of the category; `args[0]` says why, in the reader's language."""


def form_fields(
    category: Category, lang: str, *, typed: Mapping[str, Sequence[str]], errors: Mapping[str, str]
) -> tuple[FormField, ...]:
    """The fields of a category's form, filled with what was typed."""
    return tuple(_form_field(field, lang, list(typed.get(field.name, ())), errors) for field in category.fields)


def _form_field(field: Field, lang: str, typed: list[str], errors: Mapping[str, str]) -> FormField:
    kind, attributes = "text", {}
    options: tuple[tuple[str, str], ...] = ()
    hint = field.unit.of(lang) if field.unit else ""
    if field.kind == "array":
        kind = "checks"
        options = tuple((code, label.of(lang)) for code, label in field.values.items())
    elif field.values:
        kind = "select"
        options = (("", _("Choose")), *((code, label.of(lang)) for code, label in field.values.items()))
    elif field.kind == "boolean":
        kind, options = "select", (("", _("Choose")), ("true", _("Yes")), ("false", _("No")))
    elif field.kind == "date":
        kind = "date"
    elif field.kind == "date-time":
        kind, attributes = "datetime-local", {"step": "60"}
    elif field.kind in ("integer", "number"):
        attributes["inputmode"] = "numeric" if field.kind == "integer" else "decimal"
        attributes["autocomplete"] = "off"
    elif (field.max_length or 0) >= LONG_TEXT:
        kind = "textarea"
    if field.max_length and kind in ("text", "textarea"):
        attributes["maxlength"] = str(field.max_length)
    return FormField(
        name=field.name,
        label=field.label.of(lang),
        kind=kind,
        hint=hint,
        value="" if kind == "checks" else "".join(typed[:1]),
        values=tuple(typed) if kind == "checks" else (),
        error=errors.get(field.name, ""),
        required=field.required,
        options=options,
        attributes=tuple(attributes.items()),
    )


def typed_of(category: Category, data: Mapping[str, Any]) -> dict[str, list[str]]:
    """A record as it would have been typed, to correct it."""
    typed: dict[str, list[str]] = {}
    for field in category.fields:
        value = data.get(field.name)
        if value is None:
            continue
        if isinstance(value, list):
            typed[field.name] = [str(part) for part in value]
        elif isinstance(value, bool):
            typed[field.name] = ["true" if value else "false"]
        elif field.kind == "date-time":
            typed[field.name] = [f"{datetime.fromisoformat(value).astimezone(CITY_ZONE):%Y-%m-%dT%H:%M}"]
        else:
            typed[field.name] = [str(value)]
    return typed


def read_record(category: Category, form: Form) -> tuple[dict[str, Any], dict[str, list[str]], dict[str, str]]:
    """What was typed, as a record; beside it the raw words, and a sentence for each field that is no value."""
    data: dict[str, Any] = {}
    typed: dict[str, list[str]] = {}
    errors: dict[str, str] = {}
    for field in category.fields:
        words = [word.strip() for word in form.all(field.name)]
        typed[field.name] = words
        if field.kind == "array":
            if words:
                data[field.name] = words
            continue
        text = form.one(field.name)
        if not text:
            if field.required:
                errors[field.name] = (
                    complaint(field) if field.values or field.kind == "boolean" else _("Please fill this in.")
                )
            continue
        try:
            data[field.name] = _value(field, text)
        except ValueError:
            errors[field.name] = complaint(field)
    return data, typed, errors


def _value(field: Field, text: str) -> Any:
    if field.kind == "integer":
        return int(_figures(text))
    if field.kind == "number":
        number = float(_figures(text))
        if number != number or number in (float("inf"), float("-inf")):
            raise ValueError(text)
        return int(number) if number == int(number) and abs(number) < 2**53 else number
    if field.kind == "boolean":
        return {"true": True, "false": False}[text] if text in ("true", "false") else text
    if field.kind == "date-time":
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=CITY_ZONE)).isoformat(timespec="seconds")
    return text.replace("\r\n", "\n")


def _figures(text: str) -> str:
    """Figures as people type them: full-width ones and thousands separators are figures too."""
    if len(text) > 40:
        raise ValueError(text)
    return text.translate(str.maketrans("０１２３４５６７８９．－，", "0123456789.-,")).replace(",", "")


def complaint(field: Field) -> str:
    """What a field wants, in a sentence for the person who filled it in."""
    if field.kind in ("integer", "number"):
        if field.minimum is not None and field.maximum is not None:
            low, high = f"{field.minimum:,}", f"{field.maximum:,}"
            return _("Please write a number from %(low)s to %(high)s.", low=low, high=high)
        return _("Please write a number.")
    if field.kind in ("date", "date-time"):
        return _("Please write a date that is not in the future.")
    if field.values or field.kind == "boolean":
        return _("Please choose one of these.")
    if field.max_length:
        return _("Please write at most %(number)s characters.", number=field.max_length)
    return _("Please check how this is written.")


def complaints(category: Category, problems: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The schema's complaints about one record as sentences by field."""
    found: dict[str, str] = {}
    for problem in problems:
        name = problem.get("pointer", "").strip("/").split("/")[0]
        field = category.field_by_name.get(name)
        if field is not None:
            found.setdefault(name, complaint(field))
    return found


def records_of(body: object, category: Category) -> list[object]:
    """The records in a file: one, a list of them, or a file of our own export. Raises NotARecord."""
    rows: object = body
    if isinstance(body, Mapping) and isinstance(body.get("records"), list):
        if body.get("category", category.id) != category.id:
            raise NotARecord(_("This file holds another kind of data."))
        rows = body["records"]
    if isinstance(rows, Mapping):
        rows = [rows]
    if not isinstance(rows, list) or not rows:
        raise NotARecord(_("No record was found in this file."))
    found: list[object] = []
    for row in rows:
        wrapped = isinstance(row, Mapping) and isinstance(row.get("data"), Mapping)
        if wrapped and row.get("category", category.id) != category.id:
            raise NotARecord(_("This file holds another kind of data."))
        found.append(row["data"] if wrapped else row)
    return found


def file_complaint(category: Category, lang: str, number: int, problem: Mapping[str, str]) -> str:
    """The first complaint about a file, with the record it is about."""
    name = problem.get("pointer", "").strip("/").split("/")[0]
    field = category.field_by_name.get(name)
    if field is None:
        return _("Record %(number)s has a field “%(name)s” that does not belong here.", number=number, name=name[:40])
    words = complaint(field)
    return _("Record %(number)s, %(name)s: %(words)s", number=number, name=field.label.of(lang), words=words)
