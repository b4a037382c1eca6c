"""One outbox for all that is sent out"""

from typing import Any

import orjson
import sqlalchemy as sa
import sqlmodel
from alembic import op

from kit.encoding import canonical

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

HOUR = 3_600_000
DAY = 24 * HOUR


def upgrade() -> None:
    """Apply; what was on its way stays on its way."""
    outbox = op.create_table(
        "kit_outbox",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=60), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_kit_outbox")),
    )
    op.create_index("ix_kit_outbox_lane", "kit_outbox", ["topic", "lane", "id"])
    op.create_index("ix_kit_outbox_next", "kit_outbox", ["topic", "lane", "next_at"])
    op.create_index(op.f("ix_kit_outbox_expires_at"), "kit_outbox", ["expires_at"])
    rows = [*_notices(), *_pings(), *_changes()]
    if rows:
        op.bulk_insert(outbox, [{"tries": 0, "error": "", **row} for row in rows])
    op.drop_table("identity_logout_notice")
    op.drop_table("consent_delivery")
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identity_decoupled_ping_at"))
        batch_op.drop_column("ping_tries")
        batch_op.drop_column("ping_at")
    with op.batch_alter_table("consent_stream", schema=None) as batch_op:
        batch_op.drop_column("tries")
        batch_op.drop_column("next_at")


def _found(query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in op.get_bind().execute(sa.text(query)).mappings()]


def _notices() -> list[dict[str, Any]]:
    return [
        {
            "id": row["id"], "topic": "identity.logout", "lane": row["client_id"],
            "body": orjson.dumps([row["account_id"], row["named"]]), "created_at": row["created_at"],
            "next_at": row["next_at"], "expires_at": row["created_at"] + DAY,
        }
        for row in _found("SELECT * FROM identity_logout_notice")
    ]  # fmt: skip


def _pings() -> list[dict[str, Any]]:
    return [
        {
            "id": "out_" + bytes(row["digest"]).hex()[:26], "topic": "identity.ping", "lane": row["client_id"],
            "body": bytes(row["digest"]) + bytes(row["ping"]), "created_at": row["ping_at"],
            "next_at": row["ping_at"], "expires_at": row["expires_at"],
        }
        for row in _found(
            "SELECT digest, ping, client_id, ping_at, expires_at FROM identity_decoupled"
            " WHERE ping IS NOT NULL AND ping_at IS NOT NULL"
        )
    ]  # fmt: skip


def _changes() -> list[dict[str, Any]]:
    pushed = {row["client_id"] for row in _found("SELECT client_id FROM consent_stream WHERE endpoint IS NOT NULL")}
    return [
        {
            "id": row["id"], "topic": "consent.stream" if row["client_id"] else "consent.change",
            "lane": row["client_id"],
            "body": canonical([row["member_id"], row["ending_id"], orjson.loads(row["claims"])]),
            "created_at": row["created_at"], "next_at": row["created_at"] if row["client_id"] in pushed else None,
            "expires_at": row["created_at"] + 8 * DAY,
        }
        for row in _found("SELECT * FROM consent_delivery")
    ]  # fmt: skip


def downgrade() -> None:
    """Take back; what is on its way is forgotten, so services that follow changes open their streams anew."""
    with op.batch_alter_table("consent_stream", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("next_at", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("consent_stream", schema=None) as batch_op:
        batch_op.alter_column("tries", server_default=None)
        batch_op.alter_column("next_at", server_default=None)
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ping_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("ping_tries", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index(batch_op.f("ix_identity_decoupled_ping_at"), ["ping_at"], unique=False)
    with op.batch_alter_table("identity_decoupled", schema=None) as batch_op:
        batch_op.alter_column("ping_tries", server_default=None)
    op.create_table(
        "consent_delivery",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("member_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("claims", sa.Text(), nullable=False),
        sa.Column("ending_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_delivery")),
    )
    op.create_index("ix_consent_delivery_client_created", "consent_delivery", ["client_id", "created_at", "id"])
    op.create_table(
        "identity_logout_notice",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("client_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("account_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("named", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_logout_notice")),
    )
    op.create_index(op.f("ix_identity_logout_notice_next_at"), "identity_logout_notice", ["next_at"])
    op.drop_table("kit_outbox")
