"""Shapes of the resident's JSON API. Domain values are checked against their category's JSON Schema, not here."""

from typing import Any

from pydantic import ConfigDict, Field

from kit.web import Answer, Body


class RecordBody(Body):
    """One record to keep."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={
            "examples": [{"category": "energy_use", "data": {"month_end": "2026-10-31", "electricity": 214.5}}]
        },
    )

    category: str = Field(max_length=60, description="A category id")
    data: dict[str, Any] = Field(description="Fits the category's JSON Schema")


class DepositBody(Body):
    """Records to keep: all of them, or none."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"records": [{"category": "energy_use", "data": {"month_end": "2026-10-31", "electricity": 214.5}}]}
            ]
        },
    )

    records: list[RecordBody] = Field(min_length=1, max_length=1000)


class CorrectionBody(Body):
    """What a record should say instead."""

    data: dict[str, Any] = Field(description="Fits the category's JSON Schema")


class Deposited(Answer):
    """A record taken in."""

    id: str
    category: str
    recorded_at: str


class DepositAnswer(Answer):
    """What was taken in."""

    deposited: list[Deposited]


class RecordAnswer(Answer):
    """A record, opened for its resident."""

    id: str
    category: str
    source: str
    recorded_at: str
    created_at: str
    data: dict[str, Any]


class RecordsAnswer(Answer):
    """Records of one category, newest first."""

    category: str
    records: list[RecordAnswer]
    next: str | None = Field(description="Send it as `before` for the older ones")


class CountAnswer(Answer):
    """How many records of a category there are."""

    category: str
    records: int
    newest: str | None


class OverviewAnswer(Answer):
    """What the bank holds of a resident."""

    categories: list[CountAnswer]


class CategoryCount(Answer):
    """Records of a category in one disclosure."""

    category: str
    records: int


class CategoryReason(Answer):
    """A category that was asked for and withheld."""

    category: str
    reason: str


class UsageAnswer(Answer):
    """One use of the resident's data; field names after Estonia's data tracker."""

    id: str
    logtime: str
    action: str
    receiverCode: str = Field(description="The member organisation")  # noqa: N815
    receiverName: str  # noqa: N815
    receiverSystem: str = Field(description="Its client")  # noqa: N815
    purpose: str
    consent: str
    agreementRevision: str  # noqa: N815
    categories: list[CategoryCount]
    withheld: list[CategoryReason]


class HistoryAnswer(Answer):
    """Who used it, newest first."""

    disclosures: list[UsageAnswer]
    next: int | None = Field(description="Send it as `offset` for the older ones")
