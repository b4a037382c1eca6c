"""Status lists of receipts"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "consent_status",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("idx", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", "idx", name=op.f("pk_consent_status")),
    )
    op.create_index("ix_consent_status_ended", "consent_status", ["number", "ended"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("consent_status")
