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

    data: dict[str, Any] = Field(
        description="Fits the category's JSON Schema", examples=[{"month_end": "2026-10-31", "electricity": 214.5}]
    )


class Deposited(Answer):
    """A record taken in."""

    id: str = Field(examples=["itm_01kaq39tx5w6v7x8y9z0a1b2c3"])
    category: str = Field(examples=["health_checkup"])
    recorded_at: str = Field(examples=["2026-10-01T15:00:00Z"])


class DepositAnswer(Answer):
    """What was taken in."""

    deposited: list[Deposited]


class RecordAnswer(Answer):
    """A record, opened for its resident."""

    id: str = Field(examples=["itm_01kaq39tx5w6v7x8y9z0a1b2c3"])
    category: str = Field(examples=["health_checkup"])
    source: str = Field(examples=["mem_minato_clinic"])
    recorded_at: str = Field(examples=["2026-10-01T15:00:00Z"])
    created_at: str = Field(examples=["2026-10-03T02:00:00Z"])
    data: dict[str, Any] = Field(examples=[{"date": "2026-10-02", "systolic": 118}])


class RecordsAnswer(Answer):
    """Records of one category, newest first."""

    category: str
    records: list[RecordAnswer]
    next: str | None = Field(description="Send it as `before` for the older ones")


class CountAnswer(Answer):
    """How many records of a category there are."""

    category: str = Field(examples=["health_checkup"])
    records: int = Field(examples=[6])
    newest: str | None = Field(examples=["2026-10-01T15:00:00Z"])


class OverviewAnswer(Answer):
    """What the bank holds of a resident."""

    categories: list[CountAnswer]


class CategoryCount(Answer):
    """Records of a category in one disclosure."""

    category: str = Field(examples=["mobility"])
    records: int = Field(examples=[52])


class CategoryReason(Answer):
    """A category that was asked for and withheld."""

    category: str = Field(examples=["household"])
    reason: str = Field(examples=["category_not_covered"])


class UsageAnswer(Answer):
    """One use of the resident's data; field names after Estonia's data tracker."""

    id: str = Field(examples=["dis_01kaq3c9d5w6v7x8y9z0a1b2c3"])
    logtime: str = Field(examples=["2026-11-19T00:00:00Z"])
    action: str = Field(examples=["read"])
    receiverCode: str = Field(description="The member organisation", examples=["mem_minatohama_transit"])  # noqa: N815
    receiverName: str = Field(examples=["湊浜交通株式会社"])  # noqa: N815
    receiverSystem: str = Field(description="Its client", examples=["minatohama-transit"])  # noqa: N815
    onBehalfOf: str | None = Field(  # noqa: N815
        description="The client the resident dealt with, if another of its organisation acted for it", examples=[None]
    )
    purpose: str = Field(examples=["ImproveTransportMobility"])
    consent: str | None = Field(
        description="None for a sign-in that shared no records", examples=["con_01kaq3b1m5w6v7x8y9z0a1b2c3"]
    )
    agreementRevision: str | None = Field(examples=["rev_01kaq2b1m5w6v7x8y9z0a1b2c3"])  # noqa: N815
    claims: list[str] = Field(description="What of the profile was told at a sign-in", examples=[[]])
    categories: list[CategoryCount]
    withheld: list[CategoryReason]


class HistoryAnswer(Answer):
    """Who used it, newest first."""

    disclosures: list[UsageAnswer]
    next: int | None = Field(description="Send it as `offset` for the older ones")


class EvidenceAnswer(Answer):
    """What proves a disclosure to be in the ledger: hash, path and proof, checkable offline (infobank.anchoring)."""

    format: str = Field(examples=["sekisho-disclosure-evidence/1"])
    disclosure: dict[str, Any] = Field(examples=[{"id": "dis_01kaq3c9d5w6v7x8y9z0a1b2c3", "action": "read"}])
    salt: str = Field(description="32 bytes, base64url", examples=["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    place: int = Field(description="Its place in the batch", examples=[3])
    path: list[str] = Field(description="Inclusion proof in the batch (RFC 9162 section 2.1.3)", examples=[[]])
    batch: dict[str, Any] = Field(examples=[{"batch": "dcb_01kaq3c9d5w6v7x8y9z0a1b2c3", "size": 12}])
    batch_salt: str = Field(examples=["3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"])
    proof: str = Field(description="c2sp.org/tlog-proof", examples=["c2sp.org/tlog-proof@v1\nindex 42\n…"])
