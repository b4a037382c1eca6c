"""What a service is told in `verified_claims`: what it asked for, what a clerk saw, and nothing beside.

OpenID Connect for Identity Assurance 1.0, sections 5.5 and 5.7; OpenID Identity Assurance Schema Definition 1.0,
section 5. The request is template and filter at once. A restriction in `verification` that is not met silences the
whole object, and what is no valid answer any more is silenced with it (section 5.7.5). One on a claim silences that
claim alone (section 5.7.4): `claims` may then be empty (Schema Definition section 5.3), and tells that a clerk verified
the resident. No error tells the service what it was. Claims are those of the day of the visit. Pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from identity.assurance.documents import (
    BY_CHIP,
    BY_EYE,
    BY_FACE,
    RECORD,
    SIGNATURE,
    WIRE,
    WITH_PHOTO,
    Document,
    Electronic,
    name_of,
)
from identity.assurance.verified_request import Asked
from kit.clock import Millis, iso, to_datetime

_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Proof:
    """What stands of a resident: the verification that counts now."""

    ial: int
    claims: Mapping[str, Any]
    documents: tuple[Document, ...]
    face: bool
    verified_at: Millis
    electronic: tuple[Electronic, ...] = ()


def answer(
    asked: Iterable[Asked], proof: Proof | None, *, framework: str, evidence: bool, now: Millis
) -> dict[str, Any] | list[dict[str, Any]] | None:
    """The value of `verified_claims`, or None where nothing is to be told.

    `evidence`: whether the service may be told by which documents. If not, a question about them is not answered at
    all: a filter that is met or not would tell as much (does the number begin so, is it a passport).
    """
    if proof is None:
        return None
    found = []
    for one in asked:
        if "evidence" in one["verification"] and not evidence:
            continue
        verification = _verification(one["verification"], proof, framework, now)
        claims = {
            name: proof.claims[name]
            for name, how in one["claims"].items()
            if name in proof.claims and _met(how, proof.claims[name], now)
        }
        if verification is not None:
            found.append({"verification": verification, "claims": claims})
    if not found:
        return None
    return found[0] if len(found) == 1 else found


def names(told: Any) -> tuple[str, ...]:
    """What an answer tells, by name, for the audit trail."""
    items = told if isinstance(told, list) else [told]
    found = {f"verified:{name}" for one in items for name in one["claims"]}
    found |= {"verified:evidence" for one in items if "evidence" in one["verification"]}
    found |= {"verified:verification" for one in items if not one["claims"]}  # never told without a word in the trail
    return tuple(sorted(found))


def _verification(asked: Asked, proof: Proof, framework: str, now: Millis) -> dict[str, Any] | None:
    seen = {
        "trust_framework": framework,
        "assurance_level": name_of(proof.ial),
        "time": iso(proof.verified_at),
    }
    said = _pick({name: how for name, how in asked.items() if name != "evidence"}, seen, now)
    if said is None:
        return None
    if "evidence" in asked:
        shown = [_first(asked["evidence"], one, now) for one in _evidence(proof)]
        kept = [one for one in shown if one is not None]
        if not kept:
            return None
        said["evidence"] = kept
    return {"trust_framework": framework, **said}


def _evidence(proof: Proof) -> list[dict[str, Any]]:
    at = iso(proof.verified_at)
    found: list[dict[str, Any]] = [_electronic(one, at) for one in proof.electronic]
    for one in proof.documents:
        compared = proof.face and one.kind in WITH_PHOTO
        checks = [BY_EYE, *([BY_CHIP] if one.chip else ()), *([BY_FACE] if compared else ())]
        issuer = {"name": one.issuer} if one.issuer else {}
        if one.kind != "passport":  # of which country, nobody wrote down
            issuer["country_code"] = "JP"
        details: dict[str, Any] = {"type": WIRE[one.kind], **({"issuer": issuer} if issuer else {})}
        if one.number:
            details["document_number"] = one.number
        if one.expires_on:
            details["date_of_expiry"] = one.expires_on
        found.append(
            {
                "type": "document",
                "check_details": [{"check_method": check, "time": at} for check in checks],
                "document_details": details,
            }
        )
    return found


#: What must be there in a valid answer, asked for or not (Schema Definition section 5.4.4).
_ALWAYS: Final = {SIGNATURE: ("type", "signature_type", "issuer", "serial_number")}


def _electronic(one: Electronic, at: str) -> dict[str, Any]:
    """Schema Definition sections 5.4.4.2 and 5.4.4.4."""
    if one.type == RECORD:
        return {
            "type": RECORD,
            **({"check_details": [{"check_method": one.check, "time": at}]} if one.check else {}),
            "record": {"type": one.kind, "source": {"name": one.name}},
        }
    said = {"type": SIGNATURE, "signature_type": one.kind, "issuer": one.name, "serial_number": one.number}
    return {**said, "created_at": at}


def _first(filters: Iterable[Asked], seen: Mapping[str, Any], now: Millis) -> dict[str, Any] | None:
    """What the first filter that fits lets through; None if none fits (they are linked by OR, section 5.4)."""
    for one in filters:
        said = _pick(one, seen, now)
        if said is not None:
            always = _ALWAYS.get(seen.get("type", ""), ("type",))
            return {**{name: seen[name] for name in always if name in seen}, **said}
    return None


def _pick(asked: Asked, seen: Mapping[str, Any], now: Millis) -> dict[str, Any] | None:
    """The elements asked for, as far as we have them; None if a restriction is not met."""
    said: dict[str, Any] = {}
    for name, how in asked.items():
        there = seen.get(name, _NOTHING)
        if isinstance(how, list):  # check_details: filters over what was done
            kept = [] if there is _NOTHING else [found for one in there if (found := _first(how, one, now)) is not None]
            if not kept:
                return None
            said[name] = kept
        elif isinstance(there, dict):
            inner = _pick(how or {}, there, now)
            if inner is None:
                return None
            if inner:
                said[name] = inner
        elif there is _NOTHING:
            if _restricts(how):
                return None
        elif not _met(how, there, now):
            return None
        else:
            said[name] = there
    for name in ("document_details", "record"):
        if name in said and "type" not in said[name]:
            # `type` must be there in a valid answer, asked for or not (Schema Definition section 5.4.4.1).
            said[name] = {"type": seen[name]["type"], **said[name]}
    return said


def _restricts(how: Any) -> bool:
    if not isinstance(how, dict):
        return False
    return bool({"values", "max_age"} & how.keys()) or any(_restricts(inner) for inner in how.values())


def _met(how: Any, value: Any, now: Millis) -> bool:
    if not how:
        return True
    if "values" in how and value not in how["values"]:
        return False
    return "max_age" not in how or _age(str(value), now) <= how["max_age"]


def _age(text: str, now: Millis) -> float:
    """Seconds since a moment; of a day, since its last second (section 5.5.2). Below zero if it is to come."""
    if "T" in text:
        moment = datetime.fromisoformat(text)
    else:
        day = date.fromisoformat(text)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, seconds=-1)
    return (to_datetime(now) - moment).total_seconds()
