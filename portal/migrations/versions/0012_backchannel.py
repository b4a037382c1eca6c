"""Services ask residents who answer on a page of their own"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.add_column(sa.Column("interaction_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True))
        batch_op.create_index(batch_op.f("ix_identity_decoupled_account_id"), ["account_id"], unique=False)


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_decoupled_account_id"))
        batch_op.drop_column("interaction_id")
