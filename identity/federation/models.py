"""Tables of the federation: its keys, who stands below this city, trust marks given, clients that came by a chain, and
what one operator wants and a second one has yet to want."""

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary
from sqlmodel import Field, SQLModel

from kit.db import metadata as _metadata  # the naming rules must be set before the first table
from kit.db import unique_where

assert _metadata is SQLModel.metadata


class FederationKey(SQLModel, table=True):
    """One federation key; the private half is sealed, and gone once it signs no more. The public half stays."""

    __tablename__ = "identity_federation_key"
    __table_args__ = (unique_where("uq_identity_federation_key_one", "state", where="state in ('next', 'active')"),)

    kid: str = Field(primary_key=True, description="RFC 7638 thumbprint")
    state: str = Field(description="next | active | retired | compromised")
    public_jwk: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    sealed_private: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    published_at: int = Field(sa_type=BigInteger)
    activated_at: int | None = Field(default=None, sa_type=BigInteger)
    retired_at: int | None = Field(default=None, sa_type=BigInteger)
    verify_until: int | None = Field(
        default=None, sa_type=BigInteger, description="Published among the keys until then"
    )


class Subordinate(SQLModel, table=True):
    """An entity this city vouches for, with what it says of it."""

    __tablename__ = "identity_federation_subordinate"

    entity_id: str = Field(primary_key=True)
    jwks: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    entity_types: list[str] = Field(sa_column=Column(JSON, nullable=False))
    intermediate: bool = Field(default=False)
    said: dict[str, Any] = Field(
        sa_column=Column(JSON, nullable=False), description="metadata, metadata_policy, constraints; each may be absent"
    )
    status: str = Field(default="active", description="active | suspended | ended")
    registered_at: int = Field(sa_type=BigInteger)
    changed_at: int = Field(sa_type=BigInteger)


class TrustMark(SQLModel, table=True):
    """A trust mark this city gave. Its JWTs name the row by `jti`."""

    __tablename__ = "identity_federation_mark"
    __table_args__ = (Index("ix_identity_federation_mark_kind_entity_id", "kind", "entity_id"),)

    id: str = Field(primary_key=True)
    kind: str = Field(description="trust_mark_type")
    entity_id: str
    issued_at: int = Field(sa_type=BigInteger)
    expires_at: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at: int | None = Field(default=None, sa_type=BigInteger)


class FederationChange(SQLModel, table=True):
    """Trust that one operator wants to give, where a second one must want it too."""

    __tablename__ = "identity_federation_change"

    id: str = Field(primary_key=True, description="What was looked at is what is approved")
    kind: str = Field(description="vouch | mark")
    entity_id: str
    wanted: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False), description="What the write takes")
    proposed_by: str
    proposed_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)


class FederatedClient(SQLModel, table=True):
    """A client that came by a trust chain; it is worth nothing after `expires_at`."""

    __tablename__ = "identity_federated_client"

    client_id: str = Field(primary_key=True, foreign_key="identity_client.id")
    entity_id: str = Field(index=True)
    kind: str = Field(description="automatic | explicit")
    anchor: str
    superior: str
    registered_at: int = Field(sa_type=BigInteger)
    expires_at: int = Field(sa_type=BigInteger, index=True)
