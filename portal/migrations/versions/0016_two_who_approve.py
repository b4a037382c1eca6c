"""The client that proposed a revision, and the first of two who approve it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("consent_revision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proposed_via", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
        batch_op.add_column(sa.Column("endorsed_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
        batch_op.add_column(sa.Column("endorsed_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("consent_revision", schema=None) as batch_op:
        batch_op.drop_column("endorsed_at")
        batch_op.drop_column("endorsed_by")
        batch_op.drop_column("proposed_via")
