"""Disclosures to a service that acted for another of its organisation name both"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column(
        "infobank_disclosure", sa.Column("for_client_id", sqlmodel.sql.sqltypes.AutoString(length=120), nullable=True)
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("infobank_disclosure", "for_client_id")
