"""Receipts that are shown to somebody for a few minutes"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "consent_showing",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("consent_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_showing")),
    )
    op.create_index("uq_consent_showing_digest", "consent_showing", ["digest"], unique=True)
    op.create_index("uq_consent_showing_consent", "consent_showing", ["consent_id"], unique=True)
    op.create_index(op.f("ix_consent_showing_account_id"), "consent_showing", ["account_id"])
    op.create_index(op.f("ix_consent_showing_until_at"), "consent_showing", ["until_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("consent_showing")
