"""Services are told that their question is answered"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ping", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("ping_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("ping_tries", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index(batch_op.f("ix_identity_decoupled_ping_at"), ["ping_at"], unique=False)
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.alter_column("ping_tries", server_default=None)


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_decoupled_ping_at"))
        batch_op.drop_column("ping_tries")
        batch_op.drop_column("ping_at")
        batch_op.drop_column("ping")
