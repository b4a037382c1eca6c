"""The one Settings class: read once, at the roof, and handed down in parts.

From the environment with the prefix `SEKISHO_` and `__` between levels (`SEKISHO_IDENTITY__CODE_SECONDS=30`); command
line options come first. Nothing below the portal reads the environment.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from consent.settings import ConsentSettings
from identity.settings import IdentitySettings
from infobank.settings import InfobankSettings
from keys.settings import KeysSettings
from kit.fetch import OutgoingSettings
from kit.mail import MailSettings

PREFIX = "SEKISHO_"
#: What `sekisho ledger monitor` tells the command it runs, which may be another `sekisho`.
TOLD_TO_COMMANDS = ("SEKISHO_ALARM", "SEKISHO_DETAIL", "SEKISHO_EVIDENCE")


class Environment(EnvSettingsSource):
    """The environment, where a list of words may be written with commas as well as in JSON."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """JSON; else what stands between commas. What has no such list refuses it by name, as it does any mistake."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            if not isinstance(value, str) or value.lstrip()[:1] in ("[", "{"):  # meant as JSON: broken, not a list
                return value
            return [word for part in value.split(",") if (word := part.strip())]


class Settings(BaseSettings):
    """Where things are, and each package's part."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="ignore", secrets_dir=None
    )

    data: Path = Field(
        Path("data"), description="Directory of this city's data: the embedded database, the root key file"
    )
    issuer: str = Field(
        "http://localhost:8080",
        description="Our public origin: https, or http on localhost; no path, no trailing slash",
    )
    database_url: str | None = Field(
        None, description="postgresql://… for a PostgreSQL; without it an SQLite file in the data directory is used"
    )
    root_key: SecretStr | None = Field(None, description="The root key itself, instead of a file")
    root_key_file: Path | None = Field(None, description="File with the root key, mode 0600; default: root.key in data")
    root_passphrase: SecretStr | None = Field(
        None, description="Passphrase the root key is stretched from, instead of a file"
    )
    jobs: bool = Field(True, description="Whether `serve` also runs the periodic jobs")
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed (commas between)",
    )
    client_certificate_header: bool = Field(
        False,
        description="Whether those proxies end TLS for client certificates and send `Client-Cert` (and "
        "`Client-Cert-Chain`; RFC 9440); they must remove both from what strangers send",
    )
    client_certificate_cas: Path | None = Field(
        None,
        description="CAs (PEM) that vouch for certificates in a proxy's `Client-Cert`; our own port has `--mtls-ca`",
    )
    log_json: bool = Field(True, description="Logs as JSON lines; otherwise for reading at a terminal")
    waiting_calls: int = Field(4096, ge=16, description="Writes that may wait for the database; one more gets a 503")
    keys: KeysSettings = Field(default_factory=KeysSettings, description="Keys: lifetimes and where the root key is")
    identity: IdentitySettings = Field(
        default_factory=IdentitySettings, description="Accounts, sessions, OAuth, OpenID Connect"
    )
    consent: ConsentSettings = Field(default_factory=ConsentSettings, description="Agreements, records, the ledger")
    outgoing: OutgoingSettings = Field(
        default_factory=OutgoingSettings, description="Requests to addresses that others gave us"
    )
    mail: MailSettings = Field(default_factory=MailSettings, description="Letters by e-mail")
    infobank: InfobankSettings = Field(default_factory=InfobankSettings, description="The information bank")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options, then the environment; no file."""
        return init_settings, Environment(settings_cls)

    @model_validator(mode="after")
    def _header_of_a_known_proxy(self) -> "Settings":
        if self.client_certificate_header and not self.trusted_proxies:
            raise ValueError("client_certificate_header needs trusted_proxies: from anybody else it is not believed")
        return self

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
            raise ValueError("the database is a PostgreSQL: postgresql://user@host/name")
        return value

    @field_validator("issuer")
    @classmethod
    def _issuer(cls, value: str) -> str:
        from urllib.parse import urlsplit

        parts = urlsplit(value)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ValueError("the issuer must be https (http only on localhost), for example https://id.city.example")
        if parts.path or parts.query or parts.fragment or not parts.netloc:
            raise ValueError(
                "the issuer is an origin without path or trailing slash, for example https://id.city.example"
            )
        return value

    @property
    def url(self) -> str:
        """The database URL in force."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'sekisho.sqlite3'}"

    @property
    def secure(self) -> bool:
        """Whether we are reached by https (Secure cookies, `__Host-` names)."""
        return self.issuer.startswith("https:")

    def keys_part(self) -> KeysSettings:
        """The keys' part with the root key's place filled in."""
        given: dict[str, Any] = {"root_key": self.root_key, "root_passphrase": self.root_passphrase}
        place = self.root_key_file or self.data.absolute() / "root.key"
        return self.keys.model_copy(update={**given, "root_key_file": place})


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Names of our own that set nothing; inside a package's part, the part itself refuses them."""
    return sorted(
        name
        for name in environ
        if name.startswith(PREFIX)
        and name not in TOLD_TO_COMMANDS
        and name.removeprefix(PREFIX).partition("__")[0].lower() not in Settings.model_fields
    )
