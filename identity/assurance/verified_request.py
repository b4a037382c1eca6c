"""What a service asks for in `verified_claims`: read strictly, kept small, no restriction forgotten.

OpenID Connect for Identity Assurance 1.0, sections 5.3 to 5.6. A request names claims and, beside them, what it wants
to know of their verification; `value`, `values` and `max_age` restrict. The normal form holds only what this city has:

- an element we never have and that is merely asked for is left out (section 5.7.2);
- one that is restricted can never be met, and a restriction must not be ignored (section 5.5.1), so what it stands in
  is left out instead: the evidence entry, or the whole object.

So a normal form is at most a few hundred bytes of our own names and the service's values, fit for a token. Pure.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from identity.assurance.documents import RECORD, SIGNATURE, WIRE
from identity.oauth.errors import InvalidRequest
from kit.clock import Millis

#: What a clerk compares, and so what can be told as verified (`claims_in_verified_claims_supported`).
CLAIMS: Final = ("name", "family_name", "given_name", "birthdate", "address", "gender")
EVIDENCE: Final = ("document", RECORD, SIGNATURE)
DOCUMENTS: Final = tuple(WIRE.values())

#: How a grant remembers one (`marks`).
MARK: Final = "verified:"

Asked = dict[str, Any]
_MOST = 10
_LONGEST = 200
#: Leaves that hold a point in time: there `max_age` means something (section 5.5.2).
_TIMES: Final = frozenset({"time", "date_of_expiry", "created_at", "birthdate"})
#: Of each type of evidence: what is read as it stands, and what has a reader of its own.
_SIGNATURE: Final = ("signature_type", "issuer", "serial_number", "created_at")


class _Unmet(Exception):
    """A restriction on what this city never has."""


def read(value: Any) -> tuple[Asked, ...]:
    """The normal form of `verified_claims` in the claims parameter; raises InvalidRequest where it is malformed.

    Several objects are several questions, each answered by itself (section 5.6).
    """
    if value is None:
        return ()
    items = value if isinstance(value, list) else [value]
    if len(items) > _MOST:
        raise InvalidRequest("verified_claims holds too many objects")
    found = []
    for item in items:
        try:
            asked = _item(item)
        except _Unmet:
            continue
        if asked["claims"] and asked not in found:
            found.append(asked)
    return tuple(found)


def names(asked: tuple[Asked, ...]) -> frozenset[str]:
    """The claims that are asked for."""
    return frozenset(name for one in asked for name in one["claims"])


def dated(marks: Iterable[str], at: Millis) -> tuple[str, ...]:
    """The same of the verification of that moment, which the resident saw; 0: they saw that there is none."""
    return tuple(f"{mark}@{at}" for mark in marks)


def marks(*asked: tuple[Asked, ...]) -> tuple[str, ...]:
    """How a grant remembers what a resident let a service be told: `verified:name`, `verified:evidence`, …"""
    found = set()
    for one in (each for some in asked for each in some):
        found |= {f"{MARK}{name}" for name in one["claims"]}
        for entry in one["verification"].get("evidence", ()):
            found.add(f"{MARK}evidence")
            if "document_number" in entry.get("document_details", {}) or SIGNATURE in entry["type"]["values"]:
                found.add(f"{MARK}number")  # a signature is never told of without its certificate's
    return tuple(sorted(found))


def narrowed(asked: tuple[Asked, ...], allowed: frozenset[str]) -> tuple[Asked, ...]:
    """The same with these claims at most; what then asks for nothing is left out."""
    kept = ({**one, "claims": {name: how for name, how in one["claims"].items() if name in allowed}} for one in asked)
    return tuple(one for one in kept if one["claims"])


def _item(item: Any) -> Asked:
    if not isinstance(item, dict) or not {"verification", "claims"} <= item.keys():
        raise InvalidRequest("verified_claims needs verification and claims")
    verification, claims = item["verification"], item["claims"]
    if not isinstance(verification, dict) or "trust_framework" not in verification:
        raise InvalidRequest("verification needs trust_framework")
    if claims is not None and not isinstance(claims, dict):
        raise InvalidRequest("claims of verified_claims must be an object")
    return {"verification": _verification(verification), "claims": _claims(claims or {})}


def _claims(asked: Mapping[str, Any]) -> Asked:
    found: Asked = {}
    for name, how in asked.items():
        try:
            leaf = _leaf(name, how)
        except _Unmet:
            continue  # section 5.7.4: a claim that can't be as wanted is left out by itself
        if name in CLAIMS:
            found[name] = leaf
    return found


def _verification(asked: Mapping[str, Any]) -> Asked:
    found: Asked = {}
    for name, how in asked.items():
        if name == "evidence":
            found[name] = _some(how, "evidence", _evidence)
        else:
            _take(found, name, how, ("trust_framework", "assurance_level", "time"))
    return found


def _evidence(entry: Any) -> Asked:
    """One filter: by its type, which it must name by `value` alone (section 5.4)."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), dict):
        raise InvalidRequest("evidence needs a type with a value")
    kind = entry["type"]
    if not isinstance(kind.get("value"), str) or "values" in kind:
        raise InvalidRequest("the type of evidence is named by value")
    if kind["value"] not in EVIDENCE:
        raise _Unmet
    found: Asked = {}
    for name, how in entry.items():
        if name == "type":
            found[name] = {"values": [kind["value"]]}
        elif name == "check_details" and kind["value"] != SIGNATURE:
            found[name] = _some(how, name, _check)
        elif name == "document_details" and kind["value"] == "document":
            found[name] = _document(how)
        elif name == "record" and kind["value"] == RECORD:
            found[name] = _record(how)
        elif kind["value"] == SIGNATURE:
            _take(found, name, how, _SIGNATURE)
        else:
            _refuse_restricted(how)
    return found


def _check(entry: Any) -> Asked:
    if not isinstance(entry, dict) or "check_method" not in entry:
        raise InvalidRequest("check_details needs check_method")
    found: Asked = {}
    for name, how in entry.items():
        _take(found, name, how, ("check_method", "time"))
    return found


def _record(asked: Any) -> Asked:
    """A register's record: its type, and whose it is. When it was made, the register does not tell."""
    return _details(asked, "record", own=("type",), whose="source", parts=("name",))


def _document(asked: Any) -> Asked:
    own = ("type", "document_number", "date_of_expiry")
    return _details(asked, "document_details", own=own, whose="issuer", parts=("name", "country_code"))


def _details(asked: Any, what: str, *, own: tuple[str, ...], whose: str, parts: tuple[str, ...]) -> Asked:
    if asked is None:
        return {"type": None}
    if not isinstance(asked, dict):
        raise InvalidRequest(f"{what} must be an object")
    found: Asked = {}
    for name, how in asked.items():
        if name == whose:
            if how is not None and not isinstance(how, dict):
                raise InvalidRequest(f"{whose} must be an object")
            inner: Asked = {}
            for part, wanted in (how or {"name": None}).items():
                _take(inner, part, wanted, parts)
            if inner:
                found[name] = inner
        else:
            _take(found, name, how, own)
    return found


def _some(entries: Any, name: str, one: Any) -> list[Asked]:
    """Filters linked by OR: those that can't be met fall away; if none is left nothing can be met."""
    if not isinstance(entries, list) or not 0 < len(entries) <= _MOST:
        raise InvalidRequest(f"{name} must be an array of one to {_MOST} objects")
    found = []
    for entry in entries:
        try:
            found.append(one(entry))
        except _Unmet:
            continue
    if not found:
        raise _Unmet
    return found


def _take(into: Asked, name: str, how: Any, known: tuple[str, ...]) -> None:
    if name in known:
        into[name] = _leaf(name, how)
    else:
        _refuse_restricted(how)


def _refuse_restricted(how: Any) -> None:
    """What we never have may be asked for, in any shape; restricted anywhere inside, it can't be met."""
    if isinstance(how, dict):
        if {"value", "values", "max_age"} & how.keys():
            raise _Unmet
        for inner in how.values():
            _refuse_restricted(inner)
    elif isinstance(how, list):
        for inner in how:
            _refuse_restricted(inner)


def _leaf(name: str, how: Any) -> Asked | None:
    """`null`, or what it must be. `essential` and `purpose` change nothing here (section 5.7)."""
    if how is None:
        return None
    if not isinstance(how, dict):
        raise InvalidRequest(f"{name[:60]} must be null or an object")
    found: Asked = {}
    if "max_age" in how:
        age = how["max_age"]
        if not isinstance(age, int) or isinstance(age, bool) or age < 0:
            raise InvalidRequest("max_age must be a number of seconds")
        if name not in _TIMES:
            raise _Unmet  # only applicable to dates and timestamps (section 5.5.2)
        found["max_age"] = age
    values = how.get("values", [how["value"]] if "value" in how else None)
    if "values" in how and not isinstance(values, list):
        raise InvalidRequest(f"values must be an array of one to {_MOST}")
    if "value" in how and "values" in how and how["value"] not in how["values"]:
        raise _Unmet
    if "value" in how:
        values = [how["value"]]
    if values is not None:
        if not isinstance(values, list) or not 0 < len(values) <= _MOST:
            raise InvalidRequest(f"values must be an array of one to {_MOST}")
        texts = [one for one in values if isinstance(one, str) and len(one) <= _LONGEST]
        if not texts:
            raise _Unmet
        found["values"] = texts
    return found or None
