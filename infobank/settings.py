"""The bank's part of the settings."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field


class InfobankSettings(BaseModel):
    """Limits of the information bank."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    record_limit: int = Field(default=16_384, ge=256, description="Largest single record, in bytes of JSON")
    deposit_limit: int = Field(default=262_144, ge=1024, description="Largest deposit by a service, in bytes")
    upload_limit: int = Field(
        default=1_048_576, ge=1024, description="Largest JSON file a resident may deposit, in bytes"
    )
    deposit_records: int = Field(default=500, ge=1, le=1000, description="Most records in one deposit")
    page_records: int = Field(
        default=100, ge=1, le=1000, description="Records of a category in one answer, unless asked"
    )
    disclosure_retention: timedelta = Field(
        default=timedelta(days=3 * 365),
        description="How long provision records are kept (APPI articles 29 and 30), also after a resident has left",
    )
    key_backup_days: int = Field(
        default=35,
        ge=0,
        description="After how many days backups of the key store are gone; told to a resident who leaves",
    )
    disclosures_anchored_every: timedelta = Field(
        default=timedelta(minutes=10), description="How often new disclosures go into the ledger, as one entry a batch"
    )
