"""One open question for each resident and agreement"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_OPEN = sa.text("state = 'requested'")


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "uq_consent_record_open",
        "consent_record",
        ["account_id", "agreement_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("uq_consent_record_open", table_name="consent_record")
