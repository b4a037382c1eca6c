"""The table of linked identities. Of the upstream's subject only a keyed hash is kept."""

from sqlalchemy import BigInteger, Column, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from kit.db import metadata as _metadata  # the naming rules must be set before the first table

assert _metadata is SQLModel.metadata


class UpstreamLink(SQLModel, table=True):
    """An upstream's subject that opens an account here. One account for each subject, one subject for each upstream."""

    __tablename__ = "identity_upstream_link"
    __table_args__ = (UniqueConstraint("account_id", "upstream", name="uq_identity_upstream_link_account_id_upstream"),)

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    upstream: str
    subject_hash: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    told: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))  # sealed attributes
    linked_at: int = Field(sa_type=BigInteger)
    used_at: int | None = Field(default=None, sa_type=BigInteger)
