"""One upstream as the operator writes it down."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from identity.levels import ORDER
from identity.upstream.profiles import READY


class UpstreamSettings(BaseModel):
    """An OpenID provider that residents may sign in by. What is left out comes from the profile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    profile: Literal["openid", "digital-auth-app", "gbizid"] = "openid"
    label_ja: str = Field("", max_length=60)
    label_en: str = Field("", max_length=60)
    issuer: str = ""
    client_id: str = Field("", max_length=255)
    federated: bool = False
    client_secret: SecretStr | None = None
    key_file: Path | None = None
    alg: Literal["", "ES256", "PS256", "RS256", "EdDSA"] = ""
    acr: dict[str, str] | None = None
    acr_values: tuple[str, ...] | None = None
    max_age: int | None = Field(None, ge=0, le=600)
    pages_at: str = ""
    ial: Literal[0, 1, 2] = 0
    record: str = Field("urn:sekisho:record:upstream", min_length=1, max_length=100)
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"

    @model_validator(mode="after")
    def _whole(self) -> "UpstreamSettings":
        ready = READY[self.profile]
        if not (self.issuer or ready.issuer):
            raise ValueError(f"upstream {self.id}: issuer is missing")
        if not (self.label_ja or ready.label_ja) or not (self.label_en or ready.label_en):
            raise ValueError(f"upstream {self.id}: label_ja and label_en are missing")
        if self.federated:
            # OpenID Federation 1.0 section 12.1: our address is who we are there, and a key the only proof.
            if self.profile != "openid" or self.client_id or self.client_secret is not None or self.key_file is None:
                raise ValueError(f"upstream {self.id}: a federated one has a key_file, no client_id and no secret")
        elif not self.client_id:
            raise ValueError(f"upstream {self.id}: client_id is missing")
        if (self.client_secret is None) == (self.key_file is None):
            raise ValueError(f"upstream {self.id}: give either key_file or client_secret")
        if ready.key_only and self.key_file is None:
            raise ValueError(f"upstream {self.id}: this provider takes private_key_jwt only: give key_file")
        if self.acr is not None and not set(self.acr.values()) <= set(ORDER):
            raise ValueError(f"upstream {self.id}: levels are {', '.join(ORDER)}")
        if self.acr_values and not (self.acr if self.acr is not None else ready.levels):
            raise ValueError(f"upstream {self.id}: acr_values are asked for, but acr gives no level for any answer")
        if self.ial and not {"name", "birthdate"} <= set(ready.attributes):
            raise ValueError(f"upstream {self.id}: ial takes a profile that tells name and birthdate when it is linked")
        return self
