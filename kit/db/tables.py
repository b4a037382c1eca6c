"""The tables of the hallway itself. One MetaData for the house: SQLModel's."""

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Index, MetaData, String, Table, event, text
from sqlmodel import SQLModel

metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# Rows are never validated by their table's model (SQLModel does not), so its validator is built by whoever asks for it.
SQLModel.model_config["defer_build"] = True


def unique_where(name: str, *columns: str, where: str) -> Index:
    """A unique index over the rows that fit a condition, on both databases.

    PostgreSQL's half is added when its tables are made or compared: with an option of its own in every model, each
    start on SQLite would load PostgreSQL's dialect and six of its drivers to have that option checked.
    """
    return Index(name, *columns, unique=True, sqlite_where=text(where), info={"where": where})


def for_postgresql(tables: MetaData) -> None:
    """Say the conditions of `unique_where` in PostgreSQL's words too."""
    for table in tables.tables.values():
        for index in table.indexes:
            if "where" in index.info:
                index.dialect_options["postgresql"]["where"] = text(index.info["where"])


@event.listens_for(metadata, "before_create")
def _before_create(target: MetaData, connection: Connection, **_: Any) -> None:
    if connection.dialect.name == "postgresql":
        for_postgresql(target)


counters = Table(
    "kit_counter",
    metadata,
    Column("topic", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="Change counters that caches are checked against (PostgreSQL; SQLite keeps them in the one process)",
)
