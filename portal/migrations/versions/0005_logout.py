"""Clients are told that a session ended"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_session_client",
        sa.Column("session_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("named", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "client_id", "named", name=op.f("pk_identity_session_client")),
    )
    with op.batch_alter_table("identity_session_client", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_session_client_created_at"), ["created_at"], unique=False)
    op.create_table(
        "identity_logout_notice",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("named", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_logout_notice")),
    )
    with op.batch_alter_table("identity_logout_notice", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_logout_notice_next_at"), ["next_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_logout_notice")
    op.drop_table("identity_session_client")
