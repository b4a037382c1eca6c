"""The OpenAPI operations of what stands below /consent/: shapes and words only."""

from collections.abc import Mapping
from typing import Any

from consent.security_events import KINDS, uri

_PROBLEMS: Mapping[str, tuple[str, str]] = {
    "400": ("The request could not be read", "kit/malformed"),
    "401": ("The access token was not accepted", "identity/token-refused"),
    "403": ("This is not allowed for you", "kit/forbidden"),
    "404": ("There is no stream", "consent/unknown-stream"),
    "409": ("This stream is pushed", "consent/stream-is-pushed"),
    "413": ("The request is too large", "kit/too-large"),
    "415": ("This content type is not read here", "kit/unsupported-type"),
    "422": ("Some fields need correction", "kit/invalid"),
    "503": ("Not possible right now; nothing was changed", "kit/unavailable"),
}


def refusals(*statuses: str, **others: tuple[str, str]) -> dict[str, Any]:
    """Error responses by status; `others` as s409=(title, type) for what is told nowhere else."""
    told = {status: _PROBLEMS[status] for status in statuses} | {name[1:]: text for name, text in others.items()}
    return {
        status: {
            "description": title,
            "content": {
                "application/problem+json": {
                    "schema": {
                        "type": "object",
                        "properties": {"type": {"type": "string"}, "title": {"type": "string"}},
                    },
                    "example": {"type": f"/problems/{kind}", "title": title},
                }
            },
        }
        for status, (title, kind) in sorted(told.items())
    }


def json_body(schema: Mapping[str, Any], **examples: Any) -> dict[str, Any]:
    """A JSON content with named examples."""
    shown = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": {"schema": dict(schema), "examples": shown}}


_DELIVERY = {
    "type": "object",
    "required": ["method"],
    "additionalProperties": False,
    "properties": {
        "method": {"enum": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]},
        "endpoint_url": {"type": "string", "format": "uri", "maxLength": 2000},
        "authorization_header": {"type": "string", "maxLength": 1000, "writeOnly": True},
    },
}
_STREAM = {
    "type": "object",
    "required": ["iss", "aud", "delivery", "recipients", "events_delivered", "opened", "waiting", "failed"],
    "properties": {
        "iss": {"type": "string"},
        "aud": {"type": "string"},
        "delivery": _DELIVERY,
        "recipients": {"enum": ["own", "all"]},
        "events_delivered": {"type": "array", "items": {"type": "string"}},
        "opened": {"type": "string", "format": "date-time"},
        "waiting": {"type": "integer"},
        "failed": {"type": "integer"},
    },
}
_SHOWN = {
    "iss": "https://id.city.example",
    "aud": "cli_01kaq3b1m5w6v7x8y9z0a1b2c3",
    "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://bus.example/events"},
    "recipients": "own",
    "events_delivered": [uri(kind) for kind in KINDS],
    "opened": "2026-11-22T09:00:00Z",
    "waiting": 0,
    "failed": 0,
}
_TAGS = ["consent"]

SHOW_OPERATION: dict[str, Any] = {
    "operationId": "consent_stream",
    "summary": "The calling service's stream of changes",
    "description": "How changes come, how many wait, and how many pushes failed since the last one that was taken.",
    "tags": _TAGS,
    "responses": {
        "200": {"description": "The stream", "content": json_body(_STREAM, stream=_SHOWN)},
        **refusals("401", "403", "404", "503"),
    },
}
PUT_OPERATION: dict[str, Any] = {
    "operationId": "consent_follow",
    "summary": "Follow the changes of consents",
    "description": "Every change of a consent for the calling member is told from now on, as a security event token "
    "(RFC 8417): pushed (RFC 8935) or polled (RFC 8936). With `recipients` all, which needs the scope `consent.check`, "
    "those for other members, too. Whoever follows may keep decisions: forget what you keep of a consent, a member or "
    "an agreement when a token names it, and keep nothing past its `until`, nor longer than you go without a complete "
    "poll. A stream that takes nothing for seven days is closed: open it again, and ask anew for all you keep.",
    "tags": _TAGS,
    "requestBody": {
        "required": True,
        "content": json_body(
            {
                "type": "object",
                "required": ["delivery"],
                "additionalProperties": False,
                "properties": {"delivery": _DELIVERY, "recipients": {"enum": ["own", "all"], "default": "own"}},
            },
            poll={"delivery": {"method": "urn:ietf:rfc:8936"}},
            push={"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://bus.example/events"}},
        ),
    },
    "responses": {
        "200": {"description": "The stream as it is now", "content": json_body(_STREAM, stream=_SHOWN)},
        **refusals("400", "401", "403", "413", "415", "422", "503"),
    },
}
DELETE_OPERATION: dict[str, Any] = {
    "operationId": "consent_unfollow",
    "summary": "Follow no longer",
    "description": "What waits is forgotten; a decision kept from before is not safe any more.",
    "tags": _TAGS,
    "responses": {"204": {"description": "Closed"}, **refusals("401", "403", "404", "503")},
}
POLL_OPERATION: dict[str, Any] = {
    "operationId": "consent_poll",
    "summary": "Fetch what changed",
    "description": "RFC 8936 section 2: what waits is given again until its `jti` is acknowledged in `ack` (or refused "
    "in `setErrs`). Held open for up to ten seconds while there is nothing, unless `returnImmediately`. With "
    "`moreAvailable` false, everything that changed before this request is in the answer. At most 100 at a time.",
    "tags": _TAGS,
    "requestBody": {
        "required": True,
        "content": json_body(
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "maxEvents": {"type": "integer", "minimum": 0},
                    "returnImmediately": {"type": "boolean", "default": False},
                    "ack": {"type": "array", "maxItems": 1000, "items": {"type": "string"}},
                    "setErrs": {"type": "object", "maxProperties": 1000},
                },
            },
            poll={"returnImmediately": True, "ack": ["set_01kaq3b1m5w6v7x8y9z0a1b2c3"]},
        ),
    },
    "responses": {
        "200": {
            "description": "Signed tokens by their `jti`",
            "content": json_body(
                {
                    "type": "object",
                    "required": ["sets"],
                    "properties": {
                        "sets": {"type": "object", "additionalProperties": {"type": "string"}},
                        "moreAvailable": {"type": "boolean"},
                    },
                },
                some={"sets": {"set_01kaq3b1m5w6v7x8y9z0a1b2c3": "eyJ…"}, "moreAvailable": False},
            ),
        },
        **refusals("400", "401", "403", "404", "409", "413", "415", "422", "503"),
    },
}
