"""Operations of Shared Signals: a service's stream, its status and subjects, proof of life, and polls."""

from typing import Any

from identity.operations.shared import ANYWHERE, Operation, answer, problem
from identity.signals.events import SUPPORTED

_DELIVERY = {
    "type": "object",
    "required": ["method"],
    "properties": {
        "method": {"enum": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]},
        "endpoint_url": {"type": "string", "format": "uri", "maxLength": 2000},
        "authorization_header": {"type": "string", "maxLength": 1000, "writeOnly": True},
    },
}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_WISH = {"delivery": _DELIVERY, "events_requested": _TEXTS, "description": {"type": "string"}}
_STREAM = {
    "type": "object",
    "required": ["stream_id", "iss", "aud", "delivery", "events_delivered"],
    "properties": {
        "stream_id": {"type": "string"},
        "iss": {"type": "string"},
        "aud": {"type": "string"},
        "events_supported": _TEXTS,
        "events_delivered": _TEXTS,
        "min_verification_interval": {"type": "integer"},
        **_WISH,
    },
}
_SHOWN = {
    "stream_id": "sst_01kaq3b1m5w6v7x8y9z0a1b2c3",
    "iss": "https://id.city.example",
    "aud": "cli_01kaq3b1m5w6v7x8y9z0a1b2c3",
    "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://clinic.example/signals"},
    "events_supported": list(SUPPORTED),
    "events_requested": [SUPPORTED[0]],
    "events_delivered": [SUPPORTED[0]],
    "min_verification_interval": 30,
}
_STATUS = {
    "type": "object",
    "required": ["stream_id", "status"],
    "properties": {
        "stream_id": {"type": "string"},
        "status": {"enum": ["enabled", "paused", "disabled"]},
        "reason": {"type": "string"},
    },
}
_SUBJECT = {
    "type": "object",
    "required": ["stream_id", "subject"],
    "properties": {
        "stream_id": {"type": "string"},
        "subject": {"type": "object", "description": "RFC 9493: iss_sub, email, or complex of user and session"},
        "verified": {"type": "boolean"},
    },
}
_VERIFY = {
    "type": "object",
    "required": ["stream_id"],
    "properties": {"stream_id": {"type": "string"}, "state": {"type": "string", "maxLength": 1024}},
}
_POLL = {
    "type": "object",
    "properties": {
        "maxEvents": {"type": "integer", "minimum": 0},
        "returnImmediately": {"type": "boolean"},
        "ack": _TEXTS,
        "setErrs": {"type": "object"},
    },
}
_SETS = {
    "type": "object",
    "required": ["sets"],
    "properties": {
        "sets": {"type": "object", "additionalProperties": {"type": "string"}},
        "moreAvailable": {"type": "boolean"},
    },
}
_ID = {"name": "stream_id", "in": "query", "schema": {"type": "string"}}
_REFUSED = {
    "400": problem("The request could not be read, or can't be asked of this stream"),
    "401": problem("The access token was not accepted"),
    "403": problem("Not a token of the service's own, or without `ssf.manage` (to read: `ssf.read`)"),
    "404": problem("There is no such stream of yours"),
    **ANYWHERE,
}


def _operation(
    name: str,
    summary: str,
    responses: dict[str, Any],
    *,
    body: dict[str, Any] | None = None,
    required_id: bool | None = None,
    example: Any = None,
    without: tuple[str, ...] = (),
) -> Operation:
    refused = {code: said for code, said in _REFUSED.items() if code not in without}
    made: Operation = {
        "operationId": f"identity_signal_{name}",
        "tags": ["signals"],
        "summary": summary,
        "security": [{"bearer": []}],
        "responses": {**responses, **refused},
    }
    if body is not None:
        content: dict[str, Any] = {"schema": body}
        if example is not None:
            content["example"] = example
        made["requestBody"] = {"required": True, "content": {"application/json": content}}
    if required_id is not None:
        made["parameters"] = [{**_ID, "required": required_id}]
    return made


_NAME = _SHOWN["stream_id"]
_PAUSED = {"stream_id": _NAME, "status": "paused", "reason": "maintenance"}
_CHANGE = {"stream_id": _NAME, "events_requested": [SUPPORTED[0]]}
_PERSON = {
    "stream_id": _NAME,
    "subject": {"format": "iss_sub", "iss": "https://id.city.example", "sub": "24400320"},
}
_NAMED = {"type": "object", "required": ["stream_id"], "properties": {"stream_id": {"type": "string"}, **_WISH}}
_DONE = {"204": answer("Done")}

SHOW = _operation(
    "show",
    "Your stream, or a list of yours (SSF 1.0 section 8.1.1.2)",
    {"200": answer("One stream, or a list", {"anyOf": [_STREAM, {"type": "array", "items": _STREAM}]}, _SHOWN)},
    required_id=False,
)
CREATE = _operation(
    "create",
    "Open your stream (section 8.1.1.1)",
    {"201": answer("Opened", _STREAM, _SHOWN), "409": problem("You have a stream already")},
    body={"type": "object", "properties": _WISH},
    example={"delivery": _SHOWN["delivery"], "events_requested": [SUPPORTED[0]]},
    without=("404",),
)
UPDATE = _operation(
    "update",
    "Change your stream (section 8.1.1.3)",
    {"200": answer("Changed", _STREAM, _SHOWN)},
    body=_NAMED,
    example=_CHANGE,
)
REPLACE = _operation(
    "replace",
    "Replace your stream (section 8.1.1.4)",
    {"200": answer("Replaced", _STREAM, _SHOWN)},
    body=_NAMED,
    example=_CHANGE,
)
DELETE = _operation("delete", "Delete your stream (section 8.1.1.5)", _DONE, required_id=True)
STATUS = _operation(
    "status", "Its status (section 8.1.2.1)", {"200": answer("The status", _STATUS, _PAUSED)}, required_id=True
)
SET_STATUS = _operation(
    "set_status",
    "Enable, pause or disable it (section 8.1.2.2)",
    {"200": answer("Changed", _STATUS, _PAUSED)},
    body=_STATUS,
    example=_PAUSED,
)
ADD = _operation(
    "add_subject",
    "Hear of a subject again (section 8.1.3.2); the same answer whoever it is",
    {"200": answer("Noted"), "429": problem("Too many")},
    body=_SUBJECT,
    example=_PERSON,
)
REMOVE = _operation(
    "remove_subject",
    "Hear of a subject no more (section 8.1.3.3); the same answer whoever it is",
    {**_DONE, "429": problem("Too many")},
    body=_SUBJECT,
    example=_PERSON,
)
VERIFY = _operation(
    "verify",
    "Ask for proof of life (section 8.1.4.2)",
    {**_DONE, "429": problem("Before `min_verification_interval` has passed")},
    body=_VERIFY,
    example={"stream_id": _NAME, "state": "VGhpcyBpcyBhbiBleGFtcGxl"},
)
POLL = _operation(
    "poll",
    "Fetch and acknowledge tokens (RFC 8936)",
    {"200": answer("Tokens by their `jti`", _SETS, {"sets": {}, "moreAvailable": False})},
    body=_POLL,
    example={"maxEvents": 10, "returnImmediately": True, "ack": []},
)
