"""POST /api/consent/decision: a service asks whether it may, before it does.

A hot path: the token and the consent come from caches that are compared with the change counters on this very call, so
an answer given after a withdrawal has returned already knows of it. The answer is about this moment; do not keep it.
"""

from typing import Any

from consent.decisions import Permit
from consent.gate import Decisions
from identity.bearer import Bearer
from kit.clock import iso
from kit.front import Call, Handler, Reply, reply_json
from kit.problems import Forbidden, Invalid, Malformed

SCOPE_ASK_FOR_OTHERS = "consent.check"
_MEMBERS = frozenset({"consent", "categories", "purpose", "recipient"})
_MOST = 40


def decision_handler(bearer: Bearer, decisions: Decisions) -> Handler:
    """Answer {decision, reason, consent, until}."""

    async def decision(call: Call) -> Reply:
        access = await bearer.verify(call)
        if access.member_id is None:
            raise Forbidden("Only clients of a member organisation may ask.")
        consent_id, categories, purpose, recipient = _read(await call.json())
        if recipient is None:
            recipient = access.member_id
        elif recipient != access.member_id:
            access.require(SCOPE_ASK_FOR_OTHERS)
        outcome = await decisions.ask(
            consent_id,
            recipient=recipient,
            categories=categories,
            purpose=purpose,
            account_id=access.account_id,  # a token about one resident asks about that resident only
        )
        if isinstance(outcome, Permit):
            body: dict[str, Any] = {
                "decision": "permit",
                "reason": None,
                "consent": consent_id,
                "revision": outcome.revision_id,
                "purpose": outcome.purpose,
                "until": iso(outcome.until_at),
            }
        else:
            body = {
                "decision": "refuse",
                "reason": outcome.reason,
                "consent": consent_id,
                "categories": list(outcome.categories),
                "until": None,
            }
        return reply_json(200, body)

    return decision


def _read(value: Any) -> tuple[str, tuple[str, ...], str | None, str | None]:
    if not isinstance(value, dict):
        raise Malformed("Send a JSON object.")
    if unknown := sorted(value.keys() - _MEMBERS):
        raise Invalid("This member is not known here.", pointer=f"/{unknown[0][:40]}")
    consent_id, categories = value.get("consent"), value.get("categories")
    if not isinstance(consent_id, str) or not 1 <= len(consent_id) <= 40:
        raise Invalid("Name the consent: con_…", pointer="/consent")
    if not isinstance(categories, list) or not 1 <= len(categories) <= _MOST:
        raise Invalid(f"Name 1 to {_MOST} categories.", pointer="/categories")
    if not all(isinstance(each, str) and len(each) <= 40 for each in categories):
        raise Invalid("A category is an id of at most 40 characters.", pointer="/categories")
    for name in ("purpose", "recipient"):
        if name in value and not (isinstance(value[name], str) and len(value[name]) <= 80):
            raise Invalid("Send a code.", pointer=f"/{name}")
    return consent_id, tuple(categories), value.get("purpose"), value.get("recipient")


def _problem(title: str, example: str) -> dict[str, Any]:
    return {
        "description": title,
        "content": {
            "application/problem+json": {
                "schema": {"type": "object", "properties": {"type": {"type": "string"}, "title": {"type": "string"}}},
                "example": {"type": f"/problems/{example}", "title": title},
            }
        },
    }


DECISION_OPERATION: dict[str, Any] = {
    "operationId": "consent_decision",
    "summary": "Ask whether a use is covered right now",
    "description": "Three things must fit: the consent stands at this moment, the caller is its recipient, and every "
    "category (and the purpose, if named) is covered. A no comes with its reason. Do not keep an answer, ask again. "
    "To ask for another recipient the token needs the scope `consent.check`.",
    "tags": ["consent"],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["consent", "categories"],
                    "properties": {
                        "consent": {"type": "string", "minLength": 1, "maxLength": 40},
                        "categories": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": _MOST,
                            "items": {"type": "string", "maxLength": 40},
                        },
                        "purpose": {"type": "string", "maxLength": 80},
                        "recipient": {"type": "string", "maxLength": 80},
                    },
                },
                "example": {"consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3", "categories": ["mobility"]},
            }
        },
    },
    "responses": {
        "200": {
            "description": "The decision",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["decision", "reason", "consent", "until"],
                        "properties": {
                            "decision": {"enum": ["permit", "refuse"]},
                            "reason": {"type": ["string", "null"]},
                            "consent": {"type": "string"},
                            "revision": {"type": "string"},
                            "purpose": {"type": "string"},
                            "categories": {"type": "array", "items": {"type": "string"}},
                            "until": {"type": ["string", "null"], "format": "date-time"},
                        },
                    },
                    "examples": {
                        "permit": {
                            "value": {
                                "decision": "permit",
                                "reason": None,
                                "consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3",
                                "revision": "rev_01kaq3b1m5w6v7x8y9z0a1b2c3",
                                "purpose": "ImproveTransportMobility",
                                "until": "2027-05-21T09:00:00Z",
                            }
                        },
                        "refuse": {
                            "value": {
                                "decision": "refuse",
                                "reason": "consent_withdrawn",
                                "consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3",
                                "categories": [],
                                "until": None,
                            }
                        },
                    },
                }
            },
        },
        "400": _problem("The request could not be read", "kit/malformed"),
        "401": _problem("The access token was not accepted", "identity/token-refused"),
        "403": _problem("This is not allowed for you", "kit/forbidden"),
        "413": _problem("The request is too large", "kit/too-large"),
        "415": _problem("This content type is not read here", "kit/unsupported-type"),
        "422": _problem("Some fields need correction", "kit/invalid"),
        "503": _problem("Not possible right now; nothing was changed", "kit/unavailable"),
    },
}
