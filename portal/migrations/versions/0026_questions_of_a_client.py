"""How many questions of a client wait is asked each time it asks"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_identity_decoupled_client_id"), "identity_decoupled", ["client_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_identity_decoupled_client_id"), table_name="identity_decoupled")
