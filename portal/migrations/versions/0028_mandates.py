"""Mandates"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    text = sqlmodel.sql.sqltypes.AutoString
    op.create_table(
        "identity_mandate",
        sa.Column("id", text(), nullable=False),
        sa.Column("kind", text(), nullable=False),
        sa.Column("subject_id", text(), nullable=False),
        sa.Column("holder_id", text(), nullable=True),
        sa.Column("status", text(), nullable=False),
        sa.Column("actions", sa.JSON(), nullable=False),
        sa.Column("purposes", sa.JSON(), nullable=False),
        sa.Column("proof", text(), nullable=False),
        sa.Column("opened_by", text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=True),
        sa.Column("code_until", sa.BigInteger(), nullable=True),
        sa.Column("changed_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("why", text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_id"], ["identity_account.id"], name=op.f("fk_identity_mandate_subject_id_identity_account")
        ),
        sa.ForeignKeyConstraint(
            ["holder_id"], ["identity_account.id"], name=op.f("fk_identity_mandate_holder_id_identity_account")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_mandate")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_identity_mandate_code_hash")),
    )
    for column in ("subject_id", "holder_id", "until_at"):
        op.create_index(op.f(f"ix_identity_mandate_{column}"), "identity_mandate", [column])
    with op.batch_alter_table("identity_session") as batch_op:
        batch_op.add_column(sa.Column("mandate_id", text(), nullable=True))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("identity_session") as batch_op:
        batch_op.drop_column("mandate_id")
    op.drop_table("identity_mandate")
