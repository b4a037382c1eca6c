"""The newest revocation lists that were seen, for every process"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_certificate_list",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_certificate_list")),
    )
    op.create_index(op.f("ix_identity_certificate_list_expires_at"), "identity_certificate_list", ["expires_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_certificate_list")
