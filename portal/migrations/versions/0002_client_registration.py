"""Clients register themselves; two secrets overlap"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("identity_client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("secret_expires_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("former_digest", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("former_until", sa.BigInteger(), nullable=True))
    op.create_table(
        "identity_initial_token",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("member_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("scope", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["member_id"], ["identity_member.id"], name=op.f("fk_identity_initial_token_member_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_initial_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_identity_initial_token_digest")),
    )
    with op.batch_alter_table("identity_initial_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_initial_token_expires_at"), ["expires_at"], unique=False)
    op.create_table(
        "identity_client_enrolment",
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scope", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("former_digest", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["identity_client.id"], name=op.f("fk_identity_client_enrolment_client_id")
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_identity_client_enrolment")),
    )
    with op.batch_alter_table("identity_client_enrolment", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identity_client_enrolment_seen_at"), ["seen_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_client_enrolment")
    op.drop_table("identity_initial_token")
    with op.batch_alter_table("identity_client", schema=None) as batch_op:
        batch_op.drop_column("former_until")
        batch_op.drop_column("former_digest")
        batch_op.drop_column("secret_expires_at")
