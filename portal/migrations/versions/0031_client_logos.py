"""Services' logos are fetched and kept"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. Clients that named a logo before are looked at with the first round."""
    made = op.create_table(
        "identity_client_logo",
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("uri", sa.Text(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("media_type", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["identity_client.id"], name=op.f("fk_identity_client_logo_client_id_identity_client")
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_identity_client_logo")),
    )
    op.create_index(op.f("ix_identity_client_logo_digest"), "identity_client_logo", ["digest"])
    op.create_index(op.f("ix_identity_client_logo_next_at"), "identity_client_logo", ["next_at"])
    clients = sa.table("identity_client", sa.column("id", sa.String()), sa.column("settings", sa.JSON()))
    rows = op.get_bind().execute(sa.select(clients.c.id, clients.c.settings)).all()
    found = [
        {"client_id": one, "uri": settings["logo_uri"], "status": "waiting", "reason": "", "next_at": 0}
        for one, settings in rows
        if settings.get("logo_uri")
    ]
    if found:
        op.bulk_insert(made, found)


def downgrade() -> None:
    """Take back."""
    op.drop_table("identity_client_logo")
