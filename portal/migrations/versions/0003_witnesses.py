"""Cosignatures of witnesses on our ledger, and the other logs that we witness"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "kit_log_cosignature",
        sa.Column("log", sa.String(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness", sa.String(length=400), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("log", "size", "witness", name=op.f("pk_kit_log_cosignature")),
        comment="Verified cosignatures on our checkpoints; witness is its verifier key's text, time is in seconds",
        sqlite_with_rowid=False,
    )
    op.create_table(
        "kit_witness_log",
        sa.Column("origin", sa.String(length=400), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_kit_witness_log")),
        comment="Other logs that we witness: the latest tree cosigned. Replaced in one statement that compares the "
        "old one",
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("kit_witness_log")
    op.drop_table("kit_log_cosignature")
