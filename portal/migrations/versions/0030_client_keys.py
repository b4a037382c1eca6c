"""A client's keys change with an overlap, by two people where the city wants that, and say when they were used"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("identity_client", sa.Column("former_keys", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("identity_client", sa.Column("former_keys_until", sa.BigInteger(), nullable=True))
    op.create_table(
        "identity_client_key_use",
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("thumbprint", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("client_id", "thumbprint", name=op.f("pk_identity_client_key_use")),
    )
    op.create_table(
        "identity_client_change",
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("keys", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("overlap_seconds", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["identity_client.id"], name=op.f("fk_identity_client_change_client_id_identity_client")
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_identity_client_change")),
    )
    op.create_index(op.f("ix_identity_client_change_expires_at"), "identity_client_change", ["expires_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_client_change")
    op.drop_table("identity_client_key_use")
    op.drop_column("identity_client", "former_keys_until")
    op.drop_column("identity_client", "former_keys")
