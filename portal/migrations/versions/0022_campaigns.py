"""Asking again about a material change; who stands under an earlier revision"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_STANDS = sa.text("state = 'given'")


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_consent_record_standing_revision",
        "consent_record",
        ["revision_id", "seen_id"],
        sqlite_where=_STANDS,
        postgresql_where=_STANDS,
    )
    op.create_table(
        "consent_campaign",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("agreement_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("revision_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("deadline_at", sa.BigInteger(), nullable=False),
        sa.Column("last_until_at", sa.BigInteger(), nullable=False),
        sa.Column("per_hour", sa.Integer(), nullable=False),
        sa.Column("reminders", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("started_by", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("shown_at", sa.BigInteger(), nullable=False),
        sa.Column("enough", sa.Integer(), nullable=False),
        sa.Column("agreed", sa.Integer(), nullable=False),
        sa.Column("partly", sa.Integer(), nullable=False),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("ended", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["consent_agreement.id"],
            name=op.f("fk_consent_campaign_agreement_id_consent_agreement"),
        ),
        sa.ForeignKeyConstraint(
            ["revision_id"], ["consent_revision.id"], name=op.f("fk_consent_campaign_revision_id_consent_revision")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_campaign")),
        sa.UniqueConstraint("revision_id", name=op.f("uq_consent_campaign_revision_id")),
    )
    op.create_index(op.f("ix_consent_campaign_agreement_id"), "consent_campaign", ["agreement_id"])
    op.create_table(
        "consent_ask",
        sa.Column("campaign_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("record_id", sqlmodel.sql.sqltypes.AutoString(length=40), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["consent_campaign.id"], name=op.f("fk_consent_ask_campaign_id_consent_campaign")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "record_id", name=op.f("pk_consent_ask")),
    )
    op.create_index("ix_consent_ask_campaign_due", "consent_ask", ["campaign_id", "due_at"])
    op.create_index(op.f("ix_consent_ask_record_id"), "consent_ask", ["record_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("consent_ask")
    op.drop_table("consent_campaign")
    op.drop_index("ix_consent_record_standing_revision", table_name="consent_record")
