"""Tables of identity assurance. What was seen, and the claims it proved, are sealed under the resident's own key."""

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel

from kit.db import metadata as _metadata  # the naming rules must be set before the first table

assert _metadata is SQLModel.metadata


class VisitCode(SQLModel, table=True):
    """A code that a resident shows at the counter: its holder stands before the clerk. One at a time, used once."""

    __tablename__ = "identity_visit_code"

    account_id: str = Field(primary_key=True, foreign_key="identity_account.id")
    digest: bytes = Field(sa_column=Column(LargeBinary, unique=True, nullable=False))
    expires_at: int = Field(sa_type=BigInteger, index=True)
    used_at: int | None = Field(default=None, sa_type=BigInteger)


class Verification(SQLModel, table=True):
    """One visit to the counter and what came of it. Rows are never changed back: history is the rows."""

    __tablename__ = "identity_verification"

    id: str = Field(primary_key=True)
    account_id: str = Field(foreign_key="identity_account.id", index=True)
    status: str  # "open" | "waiting" | "standing" | "refused" | "abandoned" | "ended"
    ial: int = 0
    method: str = "pipp"  # physical in-person proofing
    documents: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    claims: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    face: bool = False
    opened_by: str = Field(index=True)
    opened_at: int = Field(sa_type=BigInteger)
    recorded_at: int | None = Field(default=None, sa_type=BigInteger)
    confirmed_by: str | None = None
    verified_at: int | None = Field(default=None, sa_type=BigInteger)
    ended_by: str | None = None
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    reason: str | None = None
    expires_at: int = Field(sa_type=BigInteger, index=True)
