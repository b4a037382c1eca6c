"""Residents are told of a coming end and of changed offers"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.add_column(sa.Column("notified_until", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("seen_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("consent_record", schema=None) as batch_op:
        batch_op.drop_column("seen_id")
        batch_op.drop_column("notified_until")
