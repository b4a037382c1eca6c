"""Tables of keys. No private key is ever in clear here: columns named `wrapped` and `sealed_…` hold
ciphertext.

`wrapped` is null once a key is destroyed: the row stays as the record that there was one.
"""

from sqlalchemy import JSON, BigInteger, LargeBinary, String
from sqlmodel import Field, SQLModel

from kit.clock import Millis
from kit.db import metadata as _metadata  # the naming rules must be set before the first table
from kit.db import unique_where

assert _metadata is SQLModel.metadata


class Root(SQLModel, table=True):
    """One row about the root key: the salt of a passphrase and the key-check value."""

    __tablename__ = "keys_root"

    id: str = Field(primary_key=True, sa_type=String(16))
    salt: bytes = Field(sa_type=LargeBinary, description="salt of the passphrase")
    key_check: bytes = Field(sa_type=LargeBinary, description="recognises the right root key")
    created_at: Millis = Field(sa_type=BigInteger)


class Kek(SQLModel, table=True):
    """A key-encryption key, or the secret that digests are derived from, wrapped by the root key."""

    __tablename__ = "keys_kek"
    __table_args__ = (unique_where("uq_keys_kek_active", "purpose", where="state = 'active'"),)

    id: str = Field(primary_key=True, sa_type=String(32))
    purpose: str = Field(sa_type=String(16), description="data or derive")
    state: str = Field(sa_type=String(16), description="active, retired, destroyed")
    wrapped: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: Millis = Field(sa_type=BigInteger)
    retired_at: Millis | None = Field(default=None, sa_type=BigInteger)
    destroyed_at: Millis | None = Field(default=None, sa_type=BigInteger)


class DataKey(SQLModel, table=True):
    """The data key of one owner (a resident, or the system), wrapped by a key-encryption key."""

    __tablename__ = "keys_data_key"

    owner_id: str = Field(primary_key=True, sa_type=String(64))
    number: int = Field(description="which key of this owner; written into every blob")
    kek_id: str = Field(sa_type=String(32), foreign_key="keys_kek.id", index=True)
    wrapped: bytes | None = Field(default=None, sa_type=LargeBinary)
    created_at: Millis = Field(sa_type=BigInteger)
    destroyed_at: Millis | None = Field(default=None, sa_type=BigInteger)


class SigningKey(SQLModel, table=True):
    """One signing key of one algorithm's set; the private half is sealed, and gone once the key retires."""

    __tablename__ = "keys_signing_key"
    __table_args__ = (unique_where("uq_keys_signing_key_one", "alg", "state", where="state in ('next', 'active')"),)

    kid: str = Field(primary_key=True, sa_type=String(64), description="RFC 7638 thumbprint")
    alg: str = Field(sa_type=String(16))
    state: str = Field(sa_type=String(16))
    public_jwk: dict[str, str] = Field(sa_type=JSON)
    sealed_private: bytes | None = Field(default=None, sa_type=LargeBinary)
    published_at: Millis = Field(sa_type=BigInteger)
    activated_at: Millis | None = Field(default=None, sa_type=BigInteger)
    retired_at: Millis | None = Field(default=None, sa_type=BigInteger)
    verify_until: Millis | None = Field(default=None, sa_type=BigInteger)
