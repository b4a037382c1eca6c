"""Trust in a federation that waits for a second person"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_federation_change",
        sa.Column("id", _TEXT(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("entity_id", _TEXT(), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=False),
        sa.Column("proposed_by", _TEXT(), nullable=False),
        sa.Column("proposed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_federation_change")),
    )
    op.create_index(op.f("ix_identity_federation_change_expires_at"), "identity_federation_change", ["expires_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_federation_change")
