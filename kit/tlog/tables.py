"""The log's tables. Rows are only ever added; on PostgreSQL a leaf's index is filled in once.

What a witness remembers of other logs is the exception: one row for each, replaced by compare and swap.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from kit.db import metadata

leaves = Table(
    "kit_log_leaf",
    metadata,
    Column("leaf_id", String(64), primary_key=True),
    Column("log", String(32), nullable=False),
    Column("idx", BigInteger, nullable=True),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
    Index("uq_kit_log_leaf_log_idx", "log", "idx", unique=True),
    sqlite_with_rowid=False,
    comment="Entries; idx is NULL only while a leaf waits for the sequencer (PostgreSQL)",
)

nodes = Table(
    "kit_log_node",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    comment="Hashes of complete subtrees of height 8 * level, level 1 and up: the hashes in tiles above level 0",
)

checkpoints = Table(
    "kit_log_checkpoint",
    metadata,
    Column("log", String(32), primary_key=True),
    # A second checkpoint of one size cannot be stored: a fork would have to break this key first.
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    comment="Every checkpoint ever published, with our signature",
)

cosignatures = Table(
    "kit_log_cosignature",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("witness", String(400), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Verified cosignatures on our checkpoints; witness is its verifier key's text, time is in seconds",
)

witnessed = Table(
    "kit_witness_log",
    metadata,
    Column("origin", String(400), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("note", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    comment="Other logs that we witness: the latest tree cosigned. Replaced in one statement that compares the old one",
)
