"""Verifications at the counter"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_visit_code",
        sa.Column("account_id", _TEXT(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["identity_account.id"], name=op.f("fk_identity_visit_code_account_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_identity_visit_code")),
        sa.UniqueConstraint("digest", name=op.f("uq_identity_visit_code_digest")),
    )
    op.create_index(op.f("ix_identity_visit_code_expires_at"), "identity_visit_code", ["expires_at"])
    op.create_table(
        "identity_verification",
        sa.Column("id", _TEXT(), nullable=False),
        sa.Column("account_id", _TEXT(), nullable=False),
        sa.Column("status", _TEXT(), nullable=False),
        sa.Column("ial", sa.Integer(), nullable=False),
        sa.Column("method", _TEXT(), nullable=False),
        sa.Column("documents", sa.LargeBinary(), nullable=True),
        sa.Column("claims", sa.LargeBinary(), nullable=True),
        sa.Column("face", sa.Boolean(), nullable=False),
        sa.Column("opened_by", _TEXT(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by", _TEXT(), nullable=True),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", _TEXT(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["identity_account.id"], name=op.f("fk_identity_verification_account_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_verification")),
    )
    for column in ("account_id", "opened_by", "expires_at"):
        op.create_index(op.f(f"ix_identity_verification_{column}"), "identity_verification", [column])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_verification")
    op.drop_table("identity_visit_code")
