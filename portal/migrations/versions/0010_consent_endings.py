"""Recipients confirm that an ended consent is honoured"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("consent_delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ending_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
    op.create_table(
        "consent_ending",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("consent_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("member_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("cause", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_at", sa.BigInteger(), nullable=True),
        sa.Column("confirmed_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("data", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=True),
        sa.Column("statement", sa.Text(), nullable=True),
        sa.Column("statement_key", sa.Text(), nullable=True),
        sa.Column("escalated_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_ending")),
    )
    with op.batch_alter_table("consent_ending", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_ending_account_id"), ["account_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_ending_consent_id"), ["consent_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_consent_ending_member_id"), ["member_id"], unique=False)
        batch_op.create_index("ix_consent_ending_open", ["confirmed_at", "escalated_at", "made_at"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_table("consent_ending")
    with op.batch_alter_table("consent_delivery", schema=None) as batch_op:
        batch_op.drop_column("ending_id")
