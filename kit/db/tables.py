"""The tables of the hallway itself. One MetaData for the house: SQLModel's."""

from sqlalchemy import BigInteger, Column, String, Table
from sqlmodel import SQLModel

metadata = SQLModel.metadata
metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

counters = Table(
    "kit_counter",
    metadata,
    Column("topic", String(64), primary_key=True),
    Column("n", BigInteger, nullable=False),
    comment="Change counters that caches are checked against (PostgreSQL; SQLite keeps them in the one process)",
)
