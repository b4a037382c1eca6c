"""The bank's two tables. Nothing personal in clear: contents are sealed under the resident's data key, and what
stands beside them are codes, opaque ids and times.

Both tables carry the resident's id and a time first in their indexes, so that they partition by resident and month.
No unique constraint but the ids (DESIGN, "Storage and scale").
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel


class Item(SQLModel, table=True):
    """One record of one resident, sealed; `sealed` opens only under the context `infobank_item|sealed|<id>`."""

    __tablename__ = "infobank_item"
    __table_args__ = (Index("ix_infobank_item_resident", "account_id", "category", "recorded_at", "id"),)

    id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    category: str = Field(max_length=60)
    category_version: int
    source: str = Field(max_length=60)  # "self", or the id of the member that deposited it
    client_id: str | None = Field(default=None, max_length=120)
    recorded_at: int = Field(sa_type=BigInteger)  # when the facts were true
    created_at: int = Field(sa_type=BigInteger)  # when the bank took them in
    size: int  # bytes before sealing, for quotas and pages
    sealed: bytes = Field(sa_type=LargeBinary)


class Disclosure(SQLModel, table=True):
    """One provision of data: who got what, when, why and under which consent (APPI articles 29 and 30)."""

    __tablename__ = "infobank_disclosure"
    __table_args__ = (
        Index("ix_infobank_disclosure_resident", "account_id", "at"),
        Index("ix_infobank_disclosure_member", "member_id", "at"),
        Index("ix_infobank_disclosure_consent", "consent_id", "at"),
    )

    id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    at: int = Field(sa_type=BigInteger)
    member_id: str = Field(max_length=60)
    client_id: str = Field(max_length=120)
    for_client_id: str | None = Field(
        default=None, max_length=120, description="The service whose grant it was, if another acted for it (RFC 8693)"
    )
    consent_id: str = Field(max_length=40)
    revision_id: str = Field(max_length=60)  # the agreement revision whose words were agreed to
    grant_id: str | None = Field(default=None, max_length=40)
    purpose: str = Field(max_length=120)  # DPV term
    action: str = Field(default="read", max_length=20)
    counts: dict[str, int] = Field(sa_column=Column(JSON, nullable=False))  # category -> records provided
    item_ids: list[str] = Field(sa_column=Column(JSON, nullable=False))
    withheld: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    request_id: str | None = Field(default=None, max_length=64)


class DisclosureBatch(SQLModel, table=True):
    """A batch of disclosures in the ledger. `marks` are their commitments, 32 bytes each, in the batch's order."""

    __tablename__ = "infobank_disclosure_batch"
    __table_args__ = (Index("ix_infobank_disclosure_batch_through", "through"),)

    id: str = Field(primary_key=True, max_length=40)
    at: int = Field(sa_type=BigInteger)
    through: str = Field(max_length=40)  # the last disclosure in it
    leaf_id: str = Field(max_length=64)
    marks: bytes = Field(sa_type=LargeBinary)
    sealed: bytes = Field(sa_type=LargeBinary)  # what opens the ledger's entry, under the system's key


class DisclosureMark(SQLModel, table=True):
    """Where a disclosure stands in its batch, and its salt under the resident's data key. Deleted when they leave."""

    __tablename__ = "infobank_disclosure_mark"
    __table_args__ = (Index("ix_infobank_disclosure_mark_resident", "account_id"),)

    disclosure_id: str = Field(primary_key=True, max_length=40)
    account_id: str = Field(max_length=40)
    batch_id: str = Field(max_length=40)
    place: int
    sealed: bytes = Field(sa_type=LargeBinary)
