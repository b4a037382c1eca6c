"""The part of the settings that belongs to consent. Loaded by the portal; nothing here reads the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class ConsentSettings(BaseModel):
    """The ledger's name, and how often the background work runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_origin: str | None = Field(
        default=None,
        description="The ledger's origin line; without it the issuer's host and /ledger. Never change it afterwards.",
    )
    ledger_add_for_tests: bool = Field(
        default=False,
        description="Open POST /ledger/add for load tests; it writes to a log of its own under /ledger/test/",
    )
    govstack_open_for_tests: bool = Field(
        default=False,
        description="For the official GovStack harness, which sends no token: agreements under /govstack/ are readable "
        "by anybody on this machine; refused for an issuer that is not localhost",
    )
    expiry_every: timedelta = Field(
        default=timedelta(seconds=15),
        description="How often consents that ran out get their event (expiry itself acts by the clock)",
    )
    longest_consent: timedelta = Field(
        default=timedelta(days=731), description="The longest duration an agreement may ask for"
    )
    decisions_kept: int = Field(
        default=100_000, ge=1, description="Consents kept in memory for decisions, checked against the change counter"
    )
    notice_before: timedelta = Field(
        default=timedelta(days=14),
        description="How long before its end a consent's coming end is told; a short consent's in its last third",
    )
    acknowledge_within: timedelta = Field(
        default=timedelta(hours=72),
        description="How long a recipient has to confirm that it stopped using what a consent covered; then the "
        "incident desk hears of it",
    )
    witness_policy: Path | None = Field(
        default=None,
        description="Witness policy file (c2sp.org/tlog-policy): who is asked to cosign the ledger, and the quorum",
    )
    witness_every: timedelta = Field(
        default=timedelta(seconds=30), description="How often witnesses are asked to cosign the newest checkpoint"
    )
    witness_timeout: timedelta = Field(
        default=timedelta(seconds=10), description="How long one witness may take to answer"
    )
    witness_name: str | None = Field(
        default=None, description="Our name as a witness of other logs; without it the issuer's host and /witness"
    )
    witness_logs: tuple[str, ...] = Field(
        default=(), description="Verifier keys of the other logs that we witness at /witness/add-checkpoint"
    )
    audit_root_every: timedelta = Field(
        default=timedelta(hours=1), description="How often the audit trail's newest hash goes into the ledger"
    )
    status_every: timedelta = Field(
        default=timedelta(minutes=5),
        ge=timedelta(seconds=1),
        le=timedelta(days=1),
        description="How often the status lists of receipts are published anew; in between nobody sees who moved",
    )
    dummies_an_hour: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="Ledger entries an hour, on average, that stand for nothing and hide how many consents there are",
    )
