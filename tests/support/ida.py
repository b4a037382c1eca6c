"""What OpenID Identity Assurance Schema Definition 1.0 says of an answer, as a JSON Schema of this project's own.

Only of what this provider can answer (evidence of type document, electronic_record, electronic_signature); anything
beyond is refused.
"""

from typing import Any

_TEXT = {"type": "string", "minLength": 1}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_TIME = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"}  # UTC: section 9 (privacy)
_DAY = {"type": "string", "format": "date"}
_DOCUMENT = _object(
    ["type"],
    type={"const": "document"},
    check_details={"type": "array", "minItems": 1, "items": _object(["check_method"], check_method=_TEXT, time=_TIME)},
    document_details=_object(
        ["type"],
        type=_TEXT,
        document_number=_TEXT,
        date_of_expiry=_DAY,
        issuer=_object([], name=_TEXT, country_code=_TEXT),
    ),
)
_CHECKS = _DOCUMENT["properties"]["check_details"]
_RECORD = _object(
    ["type"],
    type={"const": "electronic_record"},
    check_details=_CHECKS,
    record=_object(["type"], type=_TEXT, created_at=_TIME, source=_object([], name=_TEXT)),
)
_SIGNATURE = _object(
    ["type", "signature_type", "issuer", "serial_number"],
    type={"const": "electronic_signature"},
    signature_type=_TEXT,
    issuer=_TEXT,
    serial_number=_TEXT,
    created_at=_TIME,
)
_ONE = _object(
    ["verification", "claims"],
    verification=_object(
        ["trust_framework"],
        trust_framework=_TEXT,
        assurance_level=_TEXT,
        time=_TIME,
        evidence={"type": "array", "minItems": 1, "items": {"anyOf": [_DOCUMENT, _RECORD, _SIGNATURE]}},
    ),
    claims={"type": "object"},  # section 5.3: may be empty
)
ANSWER: dict[str, Any] = {"anyOf": [_ONE, {"type": "array", "minItems": 1, "items": _ONE}]}


def check_answer(value: Any) -> Any:
    """The value, if it is a valid `verified_claims`."""
    from jsonschema import Draft202012Validator, FormatChecker

    Draft202012Validator(ANSWER, format_checker=FormatChecker()).validate(value)
    return value
