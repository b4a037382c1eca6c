"""Operations of OpenID Federation: what an entity says of itself and of others, trust marks, explicit registration."""

from typing import Any

from identity.operations.shared import ERROR, Operation

_TEXT = {"schema": {"type": "string"}}
_ENTITIES = {"type": "array", "items": {"type": "string", "format": "uri"}}
_NAMES = {"application/json": {"schema": _ENTITIES, "example": ["https://clinic.example"]}}
_CHAIN = {"schema": {"type": "array", "items": {"type": "string"}}, "example": ["eyJ0eXAiOiJlbnRpdHktc3RhdGVtZW50…"]}
_REFUSED = {"application/json": {"schema": ERROR, "example": {"error": "not_found", "error_description": "…"}}}


def _parameter(name: str, description: str, *, required: bool = False, many: bool = False) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if many:
        schema = {"type": "array", "items": schema}
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def _operation(
    name: str, summary: str, answer: str, content: dict[str, Any], *parameters: dict[str, Any], **more: Any
) -> Operation:
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["federation"],
        "parameters": list(parameters),
        "responses": {
            "200": {"description": answer, "content": content},
            "400": {
                "description": "The request is incomplete (OpenID Federation 1.0 section 8.9)",
                "content": _REFUSED,
            },
            "404": {"description": "Not known here, or this city takes part in no federation", "content": _REFUSED},
        },
        **more,
    }


def _jwt(kind: str) -> dict[str, Any]:
    return {f"application/{kind}": _TEXT}


_SUB = _parameter("sub", "Entity id", required=True)
_KIND = _parameter("trust_mark_type", "Type of the trust mark", required=True)

CONFIGURATION = _operation(
    "federation_configuration", "This city's entity configuration (section 9)", "Signed", _jwt("entity-statement+jwt")
)
FETCH = _operation(
    "federation_fetch", "What this city says of an entity below it (section 8.1)", "Signed",
    _jwt("entity-statement+jwt"), _SUB,
)  # fmt: skip
LIST = _operation(
    "federation_list", "Who stands directly below this city (section 8.2)", "Entity ids", _NAMES,
    _parameter("entity_type", "Only those of all these types", many=True),
    _parameter("trust_marked", "`true`: only those with a trust mark of this city's"),
    _parameter("trust_mark_type", "Only those with this trust mark"),
    _parameter("intermediate", "Only intermediates, or only others"),
)  # fmt: skip
RESOLVE = _operation(
    "federation_resolve", "Metadata of an entity that this city resolved (section 8.3)", "Signed",
    _jwt("resolve-response+jwt"), _SUB,
    _parameter("trust_anchor", "To which trust anchor; several: to any of them", required=True, many=True),
    _parameter("entity_type", "Only these types", many=True),
)  # fmt: skip
HISTORY = _operation(
    "federation_historical_keys", "Keys that sign no more, and why (section 8.7)", "Signed", _jwt("jwk-set+jwt")
)
MARK = _operation(
    "federation_trust_mark", "A trust mark this city gave (section 8.6)", "Signed", _jwt("trust-mark+jwt"), _KIND, _SUB
)
MARK_STATUS = _operation(
    "federation_trust_mark_status", "Whether a trust mark still stands (section 8.4)", "Its status, signed",
    _jwt("trust-mark-status-response+jwt"),
    requestBody={
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object", "required": ["trust_mark"], "properties": {"trust_mark": {"type": "string"}},
                }
            }
        },
    },
)  # fmt: skip
MARKED = _operation(
    "federation_trust_marked", "Who has a trust mark of this city's (section 8.5)", "Entity ids", _NAMES, _KIND,
    _parameter("sub", "Only this entity"),
)  # fmt: skip
REGISTER = _operation(
    "federation_register", "Explicit registration (section 12.2)", "Signed: the client as registered",
    _jwt("explicit-registration-response+jwt"),
    requestBody={
        "required": True,
        "content": {"application/entity-statement+jwt": _TEXT, "application/trust-chain+json": _CHAIN},
    },
)  # fmt: skip
REGISTER["responses"] |= {
    "401": {"description": "The entity was suspended here", "content": _REFUSED},
    "413": {"description": "The request is too large"},
    "503": {"description": "Too many requests; try again", "content": _REFUSED},
}
