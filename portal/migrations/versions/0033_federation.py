"""OpenID Federation: keys, subordinates, trust marks, clients that came by a chain"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "identity_federation_key",
        sa.Column("kid", _TEXT(), nullable=False),
        sa.Column("state", _TEXT(), nullable=False),
        sa.Column("public_jwk", sa.JSON(), nullable=False),
        sa.Column("sealed_private", sa.LargeBinary(), nullable=True),
        sa.Column("published_at", sa.BigInteger(), nullable=False),
        sa.Column("activated_at", sa.BigInteger(), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("verify_until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_identity_federation_key")),
    )
    op.create_index(
        "uq_identity_federation_key_one",
        "identity_federation_key",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state in ('next', 'active')"),
        postgresql_where=sa.text("state in ('next', 'active')"),
    )
    op.create_table(
        "identity_federation_subordinate",
        sa.Column("entity_id", _TEXT(), nullable=False),
        sa.Column("jwks", sa.JSON(), nullable=False),
        sa.Column("entity_types", sa.JSON(), nullable=False),
        sa.Column("intermediate", sa.Boolean(), nullable=False),
        sa.Column("said", sa.JSON(), nullable=False),
        sa.Column("status", _TEXT(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entity_id", name=op.f("pk_identity_federation_subordinate")),
    )
    op.create_table(
        "identity_federation_mark",
        sa.Column("id", _TEXT(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("entity_id", _TEXT(), nullable=False),
        sa.Column("issued_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_federation_mark")),
    )
    op.create_index("ix_identity_federation_mark_kind_entity_id", "identity_federation_mark", ["kind", "entity_id"])
    op.create_table(
        "identity_federated_client",
        sa.Column("client_id", _TEXT(), nullable=False),
        sa.Column("entity_id", _TEXT(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("anchor", _TEXT(), nullable=False),
        sa.Column("superior", _TEXT(), nullable=False),
        sa.Column("registered_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["identity_client.id"], name=op.f("fk_identity_federated_client_client_id_identity_client")
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_identity_federated_client")),
    )
    op.create_index(op.f("ix_identity_federated_client_entity_id"), "identity_federated_client", ["entity_id"])
    op.create_index(op.f("ix_identity_federated_client_expires_at"), "identity_federated_client", ["expires_at"])


def downgrade() -> None:
    """Take back."""
    for table in ("identity_federated_client", "identity_federation_mark", "identity_federation_subordinate"):
        op.drop_table(table)
    op.drop_table("identity_federation_key")
