"""Who proposed a revision; how many people an agreement reached, in tens"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("consent_revision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proposed_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
        batch_op.add_column(sa.Column("decided_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True))
    op.create_table(
        "consent_reach",
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("enough", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", name=op.f("pk_consent_reach")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("consent_reach")
    with op.batch_alter_table("consent_revision", schema=None) as batch_op:
        batch_op.drop_column("decided_by")
        batch_op.drop_column("proposed_by")
