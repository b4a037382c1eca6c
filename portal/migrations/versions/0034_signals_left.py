"""Subjects taken out of streams end with their person or session"""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Earlier rows of sessions can't be told from others: they stay until the stream is closed."""
    op.add_column("identity_signal_left", sa.Column("person", sa.LargeBinary(), nullable=True))
    op.add_column("identity_signal_left", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_identity_signal_left_ends_at"), "identity_signal_left", ["ends_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_identity_signal_left_ends_at"), "identity_signal_left")
    op.drop_column("identity_signal_left", "ends_at")
    op.drop_column("identity_signal_left", "person")
