"""Linked identities: who signs in by way of another provider"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_upstream_link",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("upstream", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject_hash", sa.LargeBinary(), nullable=False),
        sa.Column("told", sa.LargeBinary(), nullable=True),
        sa.Column("linked_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["identity_account.id"], name=op.f("fk_identity_upstream_link_account_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_upstream_link")),
        sa.UniqueConstraint("account_id", "upstream", name="uq_identity_upstream_link_account_id_upstream"),
        sa.UniqueConstraint("subject_hash", name=op.f("uq_identity_upstream_link_subject_hash")),
    )
    op.create_index(op.f("ix_identity_upstream_link_account_id"), "identity_upstream_link", ["account_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_upstream_link")
