"""Disclosures in the ledger in batches, and ledger entries that stand for nothing"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "consent_dummy",
        sa.Column("leaf_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_id", name=op.f("pk_consent_dummy")),
    )
    op.create_table(
        "infobank_disclosure_batch",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("through", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("leaf_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_infobank_disclosure_batch")),
    )
    op.create_index("ix_infobank_disclosure_batch_through", "infobank_disclosure_batch", ["through"])
    op.create_table(
        "infobank_disclosure_mark",
        sa.Column("disclosure_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("disclosure_id", name=op.f("pk_infobank_disclosure_mark")),
    )
    op.create_index("ix_infobank_disclosure_mark_resident", "infobank_disclosure_mark", ["account_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("infobank_disclosure_mark")
    op.drop_table("infobank_disclosure_batch")
    op.drop_table("consent_dummy")
