"""The part of the settings that belongs to keys. Loaded by the portal; nothing here reads the environment."""

from datetime import timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class KeysSettings(BaseModel):
    """Where the root key comes from, and how long keys live."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root_key_file: Path | None = Field(
        default=None,
        description="File with the root key, mode 0600. Used when neither of the next two is given.",
    )
    root_key: SecretStr | None = Field(
        default=None, description="The root key itself, handed over by the environment (SEKISHO_ROOT_KEY)."
    )
    root_passphrase: SecretStr | None = Field(
        default=None, description="A passphrase the root key is stretched from, at least 16 characters."
    )
    signing_key_lifetime: timedelta = Field(
        default=timedelta(days=30),
        ge=timedelta(seconds=1),
        description="A signing key signs for so long; then the next one takes over by itself.",
    )
    token_lifetime: timedelta = Field(
        default=timedelta(hours=24),
        description="A retired key verifies at least so long, and longer where a token of ours lives longer.",
    )
    clock_skew: timedelta = Field(
        default=timedelta(minutes=1), description="How far clocks of verifiers may differ from ours."
    )
    jwks_max_age: timedelta = Field(
        default=timedelta(minutes=5), description="How long verifiers may keep the published key set."
    )
    audit_retention: timedelta = Field(
        default=timedelta(days=400),
        description="How long personal detail in the audit trail (source addresses, names) can be read",
    )
    password_workers: int = Field(
        default=2,
        ge=1,
        le=2,
        description="Threads that hash passwords; each takes a core and 19 MiB while it works.",
    )
    password_queue: int = Field(
        default=32,
        ge=0,
        le=1000,
        description="Sign-ins that may wait for a hashing thread; one more gets a 503.",
    )
