"""Standing instructions: what residents answer in advance, and which answers came of it"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "consent_instruction",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_instruction")),
    )
    op.create_index("ix_consent_instruction_account_state", "consent_instruction", ["account_id", "state"])
    op.create_index(op.f("ix_consent_instruction_until_at"), "consent_instruction", ["until_at"])
    op.create_table(
        "consent_instruction_event",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("instruction_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instruction_id"],
            ["consent_instruction.id"],
            name=op.f("fk_consent_instruction_event_instruction_id_consent_instruction"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_instruction_event")),
    )
    op.create_index(op.f("ix_consent_instruction_event_account_id"), "consent_instruction_event", ["account_id"])
    op.create_index(
        "uq_consent_instruction_event_seq", "consent_instruction_event", ["instruction_id", "seq"], unique=True
    )
    op.add_column(
        "consent_record",
        sa.Column("instruction_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("consent_record", "instruction_id")
    op.drop_table("consent_instruction_event")
    op.drop_table("consent_instruction")
