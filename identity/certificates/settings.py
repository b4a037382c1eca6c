"""One certificate authority as the operator writes it down."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from identity.levels import AAL1, AAL3, ORDER
from keys.pki.paths import CLIENT_AUTH

Oid = Annotated[str, Field(pattern=r"^[0-2](\.(0|[1-9][0-9]*))+$")]
Web = Annotated[str, Field(pattern=r"^(https?://[!-~]+)?$", max_length=500)]


class AdapterSettings(BaseModel):
    """Where a status adapter asks: a service in the city's own network or of its contractor (adapters.py)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str = Field("https-json", pattern=r"^[a-z][a-z0-9-]{0,31}$")
    url: Web = ""
    secret: SecretStr | None = None
    identifies: bool = False


class AuthoritySettings(BaseModel):
    """Certificates of one authority: whom they may let in, how they are checked, what they are worth."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    label_ja: str = Field("", max_length=60)
    label_en: str = Field("", max_length=60)
    uses: frozenset[Literal["clients", "residents", "staff"]]
    anchors: Path
    intermediates: Path | None = None
    checking: tuple[Literal["crl", "ocsp", "adapter", "none"], ...] = Field(min_length=1, max_length=3)
    crl_url: Web = ""
    ocsp_url: Web = ""
    ocsp_nonce: Literal["required", "asked"] = "required"
    ocsp_hash: Literal["sha256", "sha1"] = "sha256"
    adapter: AdapterSettings | None = None
    soft_fail: bool = False
    fresh_seconds: int = Field(3600, ge=10, le=7 * 86_400)
    grace_seconds: int = Field(0, ge=0, le=86_400)
    stale_seconds: int = Field(0, ge=0, le=7 * 86_400)
    crl_limit: int = Field(8_388_608, ge=1024, le=67_108_864)
    usages: tuple[Oid, ...] = Field((CLIENT_AUTH,), min_length=1)
    policies: tuple[Oid, ...] = ()
    subject: Literal["names", "serial-number", "certificate", "adapter"] = "names"
    key: Literal["software", "hardware", "smart-card"] = "software"
    pin: bool = False
    acr: str = AAL1
    ial: Literal[0, 1, 2] = 0
    ial_policies: dict[Oid, Literal[1, 2]] = {}
    record: str = Field("urn:sekisho:record:register", min_length=1, max_length=100)

    @model_validator(mode="after")
    def _whole(self) -> "AuthoritySettings":
        who = f"certificate authority {self.id}"
        for file in (self.anchors, self.intermediates):
            if file is not None and not file.is_file():
                raise ValueError(f"{who}: there is no file {file}")
        if self.id in ("clients", "residents", "staff"):
            raise ValueError(f"{who}: that is the name of a use; choose another id")
        if not self.uses:
            raise ValueError(f"{who}: uses is empty: say clients, residents or staff")
        if self.uses & {"residents", "staff"} and not (self.label_ja and self.label_en):
            raise ValueError(f"{who}: label_ja and label_en are missing")
        if "none" in self.checking and len(self.checking) > 1:
            raise ValueError(f"{who}: checking is either none or ways to check")
        if ("adapter" in self.checking) != (self.adapter is not None):
            raise ValueError(f"{who}: checking by adapter and the adapter's settings go together")
        if self.subject == "adapter" and (self.adapter is None or not self.adapter.identifies or self.soft_fail):
            raise ValueError(f"{who}: subjects by adapter need one that identifies, and no soft_fail")
        if self.subject == "adapter" and self.checking != ("adapter",):
            raise ValueError(f"{who}: subjects by adapter need checking by adapter alone")
        if self.acr not in ORDER:
            raise ValueError(f"{who}: levels are {', '.join(ORDER)}")
        if self.acr != AAL1 and not self.pin:
            # NIST SP 800-63B-4 section 2.2: two factors; a key alone is something one has.
            raise ValueError(f"{who}: level 2 takes a key that asks for its PIN: pin must be true")
        if self.acr == AAL3 and self.key == "software":
            raise ValueError(f"{who}: level 3 takes a key that can't leave its hardware")
        if (self.ial or self.ial_policies) and (self.adapter is None or not self.adapter.identifies):
            # A key says that somebody is there again; who it is, a register says.
            raise ValueError(f"{who}: ial takes an adapter that identifies")
        if (self.ial or self.ial_policies) and (self.acr == AAL1 or "residents" not in self.uses):
            raise ValueError(f"{who}: ial takes residents in uses, and acr of level 2: keys that ask for their PIN")
        return self
