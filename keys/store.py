"""Queries on the tables of keys. Core statements, so that both a Session and a Connection may be passed."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import sqlmodel
from sqlalchemy import Connection, Row, func, select
from sqlmodel import SQLModel

from keys import models  # noqa: F401  (declares the tables)
from kit.db import Quick

Place: TypeAlias = sqlmodel.Session | Connection

root = SQLModel.metadata.tables["keys_root"]
kek = SQLModel.metadata.tables["keys_kek"]
data_key = SQLModel.metadata.tables["keys_data_key"]
signing_key = SQLModel.metadata.tables["keys_signing_key"]

_DATA_KEY = Quick("SELECT kek_id, number, wrapped FROM keys_data_key WHERE owner_id = :owner")


class DataKeyRow(NamedTuple):
    """A wrapped data key; `wrapped` is None when it was destroyed."""

    kek_id: str
    number: int
    wrapped: bytes | None


def connection_of(place: Place) -> Connection:
    """The Core connection beneath."""
    return place if isinstance(place, Connection) else place.connection()


def find_root(place: Place) -> Row[Any] | None:
    """The one row about the root key."""
    return connection_of(place).execute(select(root)).first()


def add_root(place: Place, **values: Any) -> None:
    """Record the root key that is used for the first time."""
    connection_of(place).execute(root.insert().values(id="root", **values))


def list_keks(place: Place) -> Sequence[Row[Any]]:
    """Every key-encryption key and derivation secret, oldest first."""
    return connection_of(place).execute(select(kek).order_by(kek.c.created_at, kek.c.id)).all()


def find_kek(place: Place, kek_id: str) -> Row[Any] | None:
    """One key-encryption key."""
    return connection_of(place).execute(select(kek).where(kek.c.id == kek_id)).first()


def find_active_kek(place: Place, *, purpose: str = "data", lock: bool = False) -> Row[Any] | None:
    """The active one. With `lock`, and where rows can be locked, its retirement waits for our transaction."""
    query = select(kek).where(kek.c.purpose == purpose, kek.c.state == "active")
    return connection_of(place).execute(query.with_for_update(read=True) if lock else query).first()


def add_kek(place: Place, **values: Any) -> None:
    """Store a wrapped key-encryption key."""
    connection_of(place).execute(kek.insert().values(**values))


def set_kek(place: Place, kek_id: str, **values: Any) -> None:
    """Change a key-encryption key's row."""
    connection_of(place).execute(kek.update().where(kek.c.id == kek_id).values(**values))


def find_data_key(place: Place, owner_id: str) -> DataKeyRow | None:
    """The row of an owner. The hot query here."""
    found = _DATA_KEY.one(connection_of(place), owner=owner_id)
    return None if found is None else DataKeyRow(*found)


def add_data_key(place: Place, **values: Any) -> None:
    """Store a wrapped data key."""
    connection_of(place).execute(data_key.insert().values(**values))


def set_data_key(place: Place, owner_id: str, **values: Any) -> None:
    """Change a data key's row."""
    connection_of(place).execute(data_key.update().where(data_key.c.owner_id == owner_id).values(**values))


def list_owners(place: Place, *, prefix: str) -> list[str]:
    """Owners with a living data key whose ids begin so."""
    query = (
        select(data_key.c.owner_id)
        .where(data_key.c.owner_id >= prefix, data_key.c.owner_id < prefix + "\x7f", data_key.c.wrapped.is_not(None))
        .order_by(data_key.c.owner_id)
    )
    return list(connection_of(place).execute(query).scalars())


def list_data_keys_not_under(place: Place, kek_id: str, *, limit: int) -> Sequence[Row[Any]]:
    """Living data keys wrapped by another key than this one."""
    query = (
        select(data_key)
        .where(data_key.c.kek_id != kek_id, data_key.c.wrapped.is_not(None))
        .order_by(data_key.c.owner_id)
        .limit(limit)
    )
    return connection_of(place).execute(query).all()


def count_data_keys_under(place: Place, kek_id: str) -> int:
    """How many living data keys hang from a key-encryption key."""
    query = select(func.count()).where(data_key.c.kek_id == kek_id, data_key.c.wrapped.is_not(None))
    return int(connection_of(place).execute(query).scalar_one())


def list_signing_keys(place: Place) -> Sequence[Row[Any]]:
    """Every signing key there ever was, oldest first."""
    return (
        connection_of(place).execute(select(signing_key).order_by(signing_key.c.published_at, signing_key.c.kid)).all()
    )


def add_signing_key(place: Place, **values: Any) -> None:
    """Store a signing key."""
    connection_of(place).execute(signing_key.insert().values(**values))


def set_signing_key(place: Place, kid: str, **values: Any) -> None:
    """Change a signing key's row."""
    connection_of(place).execute(signing_key.update().where(signing_key.c.kid == kid).values(**values))
