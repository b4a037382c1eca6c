"""Self-registered clients are judged again by the rules of their sector"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. 0: judged when the city starts (`identity.judged_again`)."""
    op.add_column(
        "identity_client_enrolment", sa.Column("sector_rule", sa.Integer(), server_default="0", nullable=False)
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("identity_client_enrolment", "sector_rule")
