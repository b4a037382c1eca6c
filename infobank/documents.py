"""OpenAPI operation objects of the bank's hot paths (they stand in the front table, so no framework writes them)."""

from typing import Any

from infobank.errors import (
    AccountClosed,
    NoCoverage,
    NoMember,
    NoSubject,
    NotASource,
    RecordTooLarge,
    SchemaViolation,
    UnknownCategory,
)
from kit.problems import Invalid, Malformed, Unauthenticated, Unavailable, UnsupportedType
from kit.web import problems

_RECORD: dict[str, Any] = {
    "type": "object",
    "required": ["id", "category", "recorded_at", "source", "data"],
    "properties": {
        "id": {"type": "string"},
        "category": {"type": "string"},
        "recorded_at": {"type": "string", "format": "date-time"},
        "source": {"type": "string", "description": "`self`, or the member that deposited it"},
        "data": {"type": "object", "description": "Fits the category's JSON Schema"},
    },
}

_WITHHELD: dict[str, Any] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["category", "reason"],
        "properties": {"category": {"type": "string"}, "reason": {"type": "string"}},
    },
}


def _answers(*classes: Any) -> dict[str, Any]:
    return {str(status): answer for status, answer in problems(*classes).items()}


FETCH: dict[str, Any] = {
    "operationId": "fetch_records",
    "summary": "Fetch a resident's records under consent",
    "description": (
        "The access token names the resident and the consent; the bank judges that consent as it is now. Categories "
        "asked for and not covered are listed in `withheld` with a reason. If nothing is covered the answer is 403. "
        "The disclosure is recorded, and shown to the resident, before this answers."
    ),
    "tags": ["records"],
    "security": [{"bearer": []}],
    "parameters": [
        {
            "name": "category",
            "in": "query",
            "description": "A category id; may be repeated. Left out: everything the token covers.",
            "schema": {"type": "array", "items": {"type": "string"}},
            "example": ["health_checkup"],
        },
        {
            "name": "consent",
            "in": "query",
            "description": "Which consent, when the token carries several",
            "schema": {"type": "string"},
        },
        {
            "name": "since",
            "in": "query",
            "description": "Only records of this moment or later",
            "schema": {"type": "string", "format": "date-time"},
        },
        {
            "name": "until",
            "in": "query",
            "description": "Only records before this moment",
            "schema": {"type": "string", "format": "date-time"},
        },
        {
            "name": "before",
            "in": "query",
            "description": "Continue where `next` of an earlier answer says; needs exactly one `category`",
            "schema": {"type": "string"},
        },
        {
            "name": "limit",
            "in": "query",
            "description": "Most records of each category",
            "schema": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        },
    ],
    "responses": {
        "200": {
            "description": "The records, newest first within each category",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["subject", "consent", "disclosure", "records", "withheld", "next"],
                        "properties": {
                            "subject": {"type": "string", "description": "The resident as this client knows them"},
                            "consent": {"type": "string"},
                            "disclosure": {"type": "string", "description": "Names the record of this provision"},
                            "records": {"type": "array", "items": _RECORD},
                            "withheld": _WITHHELD,
                            "next": {
                                "type": "object",
                                "description": "For each category with more: what to send as `before`",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                    },
                    "example": {
                        "subject": "u3XkP1m0c5b2Jt0sQm8c1dXl0S3b9sVqk2nq5fJ7w0E",
                        "consent": "con_01kaq3b1m5w6v7x8y9z0a1b2c3",
                        "disclosure": "dis_01kaq3c9d5w6v7x8y9z0a1b2c3",
                        "records": [
                            {
                                "id": "itm_01kaq39tx5w6v7x8y9z0a1b2c3",
                                "category": "health_checkup",
                                "recorded_at": "2026-10-01T15:00:00Z",
                                "source": "mem_clinic",
                                "data": {"date": "2026-10-02", "systolic": 118, "diastolic": 74},
                            }
                        ],
                        "withheld": [{"category": "mobility", "reason": "category_not_agreed"}],
                        "next": {},
                    },
                }
            },
        },
        **_answers(Unauthenticated, NoCoverage, NoSubject, NoMember, Invalid, AccountClosed),
    },
}

DEPOSIT: dict[str, Any] = {
    "operationId": "deposit_records",
    "summary": "Deposit records for a resident",
    "description": (
        "For a source: a member organisation's client whose access token speaks for the resident and has the scope "
        "`bank:deposit`, in the categories its member is registered as a source of. All records are kept, or none."
    ),
    "tags": ["records"],
    "security": [{"bearer": ["bank:deposit"]}],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["records"],
                    "additionalProperties": False,
                    "properties": {
                        "records": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 500,
                            "items": {
                                "type": "object",
                                "required": ["category", "data"],
                                "additionalProperties": False,
                                "properties": {"category": {"type": "string"}, "data": {"type": "object"}},
                            },
                        }
                    },
                },
                "example": {
                    "records": [
                        {"category": "energy_use", "data": {"month_end": "2026-10-31", "electricity": 214.5}}
                    ]
                },
            }
        },
    },
    "responses": {
        "201": {
            "description": "Kept, sealed under the resident's own key",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["deposited"],
                        "properties": {
                            "deposited": {
                                "type": "array",
                                "items": {
                                    "type": "object",
                                    "required": ["id", "category", "recorded_at"],
                                    "properties": {
                                        "id": {"type": "string"},
                                        "category": {"type": "string"},
                                        "recorded_at": {"type": "string", "format": "date-time"},
                                    },
                                },
                            }
                        },
                    },
                    "example": {
                        "deposited": [
                            {
                                "id": "itm_01kaq39tx5w6v7x8y9z0a1b2c3",
                                "category": "energy_use",
                                "recorded_at": "2026-10-30T15:00:00Z",
                            }
                        ]
                    },
                }
            },
        },
        **_answers(
            Unauthenticated, NotASource, NoSubject, NoMember, SchemaViolation, UnknownCategory, RecordTooLarge,
            Malformed, UnsupportedType, AccountClosed, Unavailable,
        ),
    },
}  # fmt: skip

CATEGORIES: dict[str, Any] = {
    "operationId": "list_categories",
    "summary": "The data categories and their JSON Schemas",
    "tags": ["categories"],
    "security": [],
    "responses": {
        "200": {
            "description": "Every category the bank holds",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["categories"],
                        "properties": {"categories": {"type": "array", "items": {"type": "object"}}},
                    },
                    "example": {
                        "categories": [
                            {
                                "id": "energy_use",
                                "version": 1,
                                "area": "home",
                                "sensitivity": 1,
                                "personal_data": "https://w3id.org/dpv/pd#ServiceConsumptionBehaviour",
                                "label": {"ja": "電気とガスの使用量", "en": "Electricity and gas use"},
                                "description": {"ja": "月ごとに使った電気とガスの量です。", "en": "Use by month."},
                                "model": {
                                    "name": "Smart Data Models: SmartMeteringObservation",
                                    "reference": "https://github.com/smart-data-models/dataModel.Device",
                                },
                                "schema": {"type": "object", "required": ["month_end"]},
                            }
                        ]
                    },
                }
            },
        },
        **_answers(),
    },
}
