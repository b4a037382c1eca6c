"""A new way in may have to wait"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("identity_reset") as batch_op:
        batch_op.add_column(sa.Column("ready_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("identity_reset") as batch_op:
        batch_op.drop_column("ready_at")
