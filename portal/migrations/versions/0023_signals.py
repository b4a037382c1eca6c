"""Streams of signals"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_signal_stream",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("requested", sa.JSON(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=True),
        sa.Column("authorization", sa.LargeBinary(), nullable=True),
        sa.Column("description", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("held_by_us", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("verified_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_signal_stream")),
        sa.UniqueConstraint("client_id", name=op.f("uq_identity_signal_stream_client_id")),
    )
    op.create_table(
        "identity_signal_left",
        sa.Column("stream_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["stream_id"],
            ["identity_signal_stream.id"],
            name=op.f("fk_identity_signal_left_stream_id_identity_signal_stream"),
        ),
        sa.PrimaryKeyConstraint("stream_id", "digest", name=op.f("pk_identity_signal_left")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_signal_left")
    op.drop_table("identity_signal_stream")
