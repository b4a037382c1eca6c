"""May I, right now? A service asks before it acts: POST /consent/decisions, about one consent or up to 200.

Three answers, as XACML 3.0 section 7 tells them apart: *permit*; *deny*, where a consent is there and does not cover
the use; *not_applicable*, where there is none between this recipient and anybody by that name. Whoever enforces takes
everything but a permit for a no (section 7.2.2, a deny-biased enforcement point). Each no has a reason to act on.

A hot path: the token and the consents come from caches that are compared with the change counters on this very call, so
an answer given after a withdrawal has returned already knows of it. All answers of one call are of one moment. Without
a stream of changes (`consent.stream_routes`) they are good for that moment only.

POST /api/consent/decision is the former address, about one consent, with `refuse` for both kinds of no.
"""

from collections.abc import Sequence
from typing import Any, Final, get_args

from consent.decisions import Permit, Reason, Refusal
from consent.gate import Decisions, Question
from consent.operations import json_body, refusals
from identity.bearer import Access, Bearer
from kit.clock import Clock, iso
from kit.front import Call, Handler, Reply, reply_json
from kit.problems import Forbidden, Invalid, Malformed

SCOPE_ASK_FOR_OTHERS = "consent.check"
MOST_AT_ONCE = 200
_MEMBERS = frozenset({"consent", "categories", "purpose", "recipient"})
_MOST = 40
_LONGEST_BODY = 262_144
_NONE_THERE: Final = frozenset({"no_consent"})


def decision_handler(bearer: Bearer, decisions: Decisions) -> Handler:
    """Answer {decision, reason, consent, until}."""

    async def decision(call: Call) -> Reply:
        access = await bearer.verify(call)
        question = _question(access, await call.json(), "")
        (outcome,) = await decisions.ask_all([question])
        if isinstance(outcome, Permit):
            body: dict[str, Any] = {
                "decision": "permit",
                "reason": None,
                "consent": question.consent_id,
                "revision": outcome.revision_id,
                "purpose": outcome.purpose,
                "until": iso(outcome.until_at),
            }
        else:
            body = {
                "decision": "refuse",
                "reason": outcome.reason,
                "consent": question.consent_id,
                "categories": list(outcome.categories),
                "until": None,
            }
        return reply_json(200, body)

    return decision


def decisions_handler(bearer: Bearer, decisions: Decisions, clock: Clock) -> Handler:
    """Answer one question, or `{decisions: [...]}` in the order asked."""

    async def decide(call: Call) -> Reply:
        access = await bearer.verify(call)
        value = await call.json(_LONGEST_BODY)
        as_of = iso(clock.ms())  # read before the facts: never later than what the answer knows
        if not isinstance(value, dict) or "decisions" not in value:
            question = _question(access, value, "")
            (outcome,) = await decisions.ask_all([question])
            return reply_json(200, {**_answer(question, outcome), "as_of": as_of})
        questions = _questions(access, value)
        outcomes = await decisions.ask_all(questions)
        answers = [_answer(*each) for each in zip(questions, outcomes, strict=True)]
        return reply_json(200, {"decisions": answers, "as_of": as_of})

    return decide


def _answer(question: Question, outcome: Permit | Refusal) -> dict[str, Any]:
    body: dict[str, Any] = {"consent": question.consent_id, "recipient": question.recipient}
    if isinstance(outcome, Permit):
        return {
            "decision": "permit",
            "reason": "covered",
            **body,
            "revision": outcome.revision_id,
            "purpose": outcome.purpose,
            "categories": list(outcome.categories),
            "until": iso(outcome.until_at),
        }
    decision = "not_applicable" if outcome.reason in _NONE_THERE else "deny"
    missing = {"missing": list(outcome.categories)} if outcome.categories else {}
    return {"decision": decision, "reason": outcome.reason, **body, **missing}


def _questions(access: Access, value: dict[str, Any]) -> Sequence[Question]:
    if unknown := sorted(value.keys() - {"decisions"}):
        raise Invalid("This member is not known here.", pointer=f"/{unknown[0][:40]}")
    asked = value["decisions"]
    if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_AT_ONCE:
        raise Invalid(f"Ask 1 to {MOST_AT_ONCE} questions.", pointer="/decisions")
    return [_question(access, each, f"/decisions/{place}") for place, each in enumerate(asked)]


def _question(access: Access, value: Any, place: str) -> Question:
    """One question, and whether this caller may ask it."""
    if access.member_id is None:
        raise Forbidden("Only clients of a member organisation may ask.")
    consent_id, categories, purpose, recipient = _read(value, place)
    if recipient is None:
        recipient = access.member_id
    elif recipient != access.member_id:
        access.require(SCOPE_ASK_FOR_OTHERS)
    # A token about one resident asks about that resident only.
    return Question(consent_id, recipient, categories, purpose, access.account_id)


def _read(value: Any, place: str) -> tuple[str, tuple[str, ...], str | None, str | None]:
    if not isinstance(value, dict):
        if place:
            raise Invalid("Send an object.", pointer=place)
        raise Malformed("Send a JSON object.")
    if unknown := sorted(value.keys() - _MEMBERS):
        raise Invalid("This member is not known here.", pointer=f"{place}/{unknown[0][:40]}")
    consent_id, categories = value.get("consent"), value.get("categories")
    if not isinstance(consent_id, str) or not 1 <= len(consent_id) <= 40:
        raise Invalid("Name the consent: con_…", pointer=f"{place}/consent")
    if not isinstance(categories, list) or not 1 <= len(categories) <= _MOST:
        raise Invalid(f"Name 1 to {_MOST} categories.", pointer=f"{place}/categories")
    if not all(isinstance(each, str) and len(each) <= 40 for each in categories):
        raise Invalid("A category is an id of at most 40 characters.", pointer=f"{place}/categories")
    for name in ("purpose", "recipient"):
        if name in value and not (isinstance(value[name], str) and len(value[name]) <= 80):
            raise Invalid("Send a code.", pointer=f"{place}/{name}")
    return consent_id, tuple(categories), value.get("purpose"), value.get("recipient")


_QUESTION: dict[str, Any] = {
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
}
_ASKED = {"consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3", "categories": ["mobility"]}
_WHO = {"consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3", "recipient": "mem_01kaq3b1m5w6v7x8y9z0a1b2c3"}
_PERMIT = {
    "decision": "permit",
    "reason": "covered",
    **_WHO,
    "revision": "rev_01kaq3b1m5w6v7x8y9z0a1b2c3",
    "purpose": "ImproveTransportMobility",
    "categories": ["mobility"],
    "until": "2027-05-21T09:00:00Z",
}
_DENY = {"decision": "deny", "reason": "category_not_covered", **_WHO, "missing": ["household"]}
_NONE = {"decision": "not_applicable", "reason": "no_consent", **_WHO}
_AS_OF = {"as_of": "2026-11-22T09:00:00Z"}
_MOMENT = {"type": "string", "format": "date-time"}
_OUTCOME: dict[str, Any] = {
    "type": "object",
    "required": ["decision", "reason", "consent", "recipient"],
    "properties": {
        "decision": {"enum": ["permit", "deny", "not_applicable"]},
        "reason": {"enum": ["covered", *get_args(Reason)]},
        "consent": {"type": "string"},
        "recipient": {"type": "string"},
        "revision": {"type": "string"},
        "purpose": {"type": "string"},
        "categories": {"type": "array", "items": {"type": "string"}},
        "missing": {"type": "array", "items": {"type": "string"}},
        "until": _MOMENT,
        "as_of": _MOMENT,
    },
}
DECISIONS_OPERATION: dict[str, Any] = {
    "operationId": "consent_decisions",
    "summary": "Ask whether uses are covered right now",
    "description": "One question, or up to 200 in `decisions`. Three answers: `permit`; `deny`, with the reason; "
    "`not_applicable`, where this recipient has no consent by that name. Take everything but `permit` for a no. All "
    "answers of a call are of one moment. Without a stream of changes (`/consent/stream`) do not keep them. To ask for "
    "another recipient the token needs the scope `consent.check`.",
    "tags": ["consent"],
    "requestBody": {
        "required": True,
        "content": json_body(
            {
                "anyOf": [
                    _QUESTION,
                    {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["decisions"],
                        "properties": {
                            "decisions": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": MOST_AT_ONCE,
                                "items": _QUESTION,
                            }
                        },
                    },
                ]
            },
            one=_ASKED,
            many={"decisions": [_ASKED]},
        ),
    },
    "responses": {
        "200": {
            "description": "The decision, or all in the order asked",
            "content": json_body(
                {
                    "anyOf": [
                        _OUTCOME,
                        {
                            "type": "object",
                            "required": ["decisions", "as_of"],
                            "properties": {"decisions": {"type": "array", "items": _OUTCOME}, "as_of": _MOMENT},
                        },
                    ]
                },
                permit={**_PERMIT, **_AS_OF},
                deny={**_DENY, **_AS_OF},
                none={**_NONE, **_AS_OF},
                many={"decisions": [_PERMIT, _DENY, _NONE], **_AS_OF},
            ),
        },
        **refusals("400", "401", "403", "413", "415", "422", "503"),
    },
}

DECISION_OPERATION: dict[str, Any] = {
    "operationId": "consent_decision",
    "summary": "Ask about one consent (former address)",
    "deprecated": True,
    "description": "Three things must fit: the consent stands at this moment, the caller is its recipient, and every "
    "category (and the purpose, if named) is covered. A no comes with its reason. Do not keep an answer, ask again. "
    "To ask for another recipient the token needs the scope `consent.check`.",
    "tags": ["consent"],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _QUESTION,
                "example": _ASKED,
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
        **refusals("400", "401", "403", "413", "415", "422", "503"),
    },
}
