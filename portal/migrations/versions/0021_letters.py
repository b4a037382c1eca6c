"""E-mail addresses on their way, and known browsers"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_email_change",
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("ready_at", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["identity_account.id"], name=op.f("fk_identity_email_change_account_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_identity_email_change")),
    )
    op.create_index(op.f("ix_identity_email_change_expires_at"), "identity_email_change", ["expires_at"])
    op.create_index(op.f("ix_identity_email_change_ready_at"), "identity_email_change", ["ready_at"])
    op.create_table(
        "identity_browser",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["identity_account.id"], name=op.f("fk_identity_browser_account_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_identity_browser")),
    )
    op.create_index(op.f("ix_identity_browser_account_id"), "identity_browser", ["account_id"])
    op.create_index(op.f("ix_identity_browser_seen_at"), "identity_browser", ["seen_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_browser")
    op.drop_table("identity_email_change")
