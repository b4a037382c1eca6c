"""What a record is: the unsealed draft before it goes in, and the opened record that comes out.

Pure: no web, no database; the moment is passed in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from infobank.catalogue import Catalogue
from infobank.errors import RecordTooLarge, SchemaViolation
from kit.clock import Millis

SELF = "self"  # the source of what residents put in themselves


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that fits its category and its size; the only thing the vault takes in."""

    category: str
    category_version: int
    recorded_at: Millis
    data: bytes  # JSON


@dataclass(frozen=True, slots=True)
class SealedItem:
    """A stored record, still sealed."""

    id: str
    category: str
    source: str
    recorded_at: Millis
    created_at: Millis
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Item:
    """A record, opened for somebody who may read it."""

    id: str
    category: str
    source: str
    recorded_at: Millis
    created_at: Millis
    data: Mapping[str, Any]


def draft(catalogue: Catalogue, category_id: str, data: object, *, now: Millis, limit: int, pointer: str = "") -> Draft:
    """Check one record. Raises UnknownCategory, SchemaViolation (422) or RecordTooLarge (413)."""
    category = catalogue.get(category_id)
    try:
        encoded = orjson.dumps(data)
    except TypeError as error:  # a number beyond 64 bits: JSON's, but no other system's
        raise SchemaViolation(
            "A number is too large.", errors=[{"pointer": pointer, "detail": "holds a number beyond 64 bits"}]
        ) from error
    if len(encoded) > limit:
        raise RecordTooLarge(f"A record has at most {limit} bytes.", pointer=pointer)
    recorded_at = category.check(data, now=now, pointer=pointer)
    return Draft(category.id, category.version, recorded_at, encoded)


def drafts(
    catalogue: Catalogue, body: object, *, now: Millis, limit: int, most: int, pointer: str = ""
) -> tuple[Draft, ...]:
    """Read a deposit: `{"records": [{"category": …, "data": {…}}, …]}`, a bare list of those, or one of them.

    Everything is checked before anything is kept; all errors are told at once, up to twenty.

    Raises SchemaViolation, RecordTooLarge.
    """
    records: object = body
    base = pointer
    if isinstance(body, Mapping) and "records" in body:
        _only(body, {"records"}, base)
        records, base = body["records"], f"{base}/records"
    elif isinstance(body, Mapping):
        return (_one(catalogue, body, now=now, limit=limit, pointer=base),)
    if not isinstance(records, Sequence) or isinstance(records, str):
        raise SchemaViolation("Send a list of records.", pointer=base)
    if not records:
        raise SchemaViolation("Send at least one record.", pointer=base)
    if len(records) > most:
        raise RecordTooLarge(f"At most {most} records are taken in at once.", pointer=base)
    taken: list[Draft] = []
    errors: list[Mapping[str, str]] = []
    for index, record in enumerate(records):
        try:
            taken.append(_one(catalogue, record, now=now, limit=limit, pointer=f"{base}/{index}"))
        except SchemaViolation as violation:
            errors.extend(violation.document().get("errors", ()))
            if len(errors) >= 20:
                break
    if errors:
        raise SchemaViolation("Correct the fields named in `errors`; nothing was kept.", errors=errors[:20])
    return tuple(taken)


def _one(catalogue: Catalogue, record: object, *, now: Millis, limit: int, pointer: str) -> Draft:
    if not isinstance(record, Mapping):
        raise SchemaViolation("A record is an object with `category` and `data`.", pointer=pointer)
    _only(record, {"category", "data"}, pointer)
    category = record.get("category")
    if not isinstance(category, str) or category not in catalogue:
        raise SchemaViolation("There is no such data category.", pointer=f"{pointer}/category")
    if "data" not in record:
        raise SchemaViolation("A record needs `data`.", pointer=f"{pointer}/data")
    return draft(catalogue, category, record["data"], now=now, limit=limit, pointer=f"{pointer}/data")


def _only(record: Mapping[str, Any], known: set[str], pointer: str) -> None:
    unknown = next((str(name)[:60] for name in record if name not in known), None)
    if unknown is not None:
        raise SchemaViolation("This field is not known here.", pointer=f"{pointer}/{unknown.replace('/', '~1')}")
