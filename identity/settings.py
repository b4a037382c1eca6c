"""This package's part of the settings. Durations are seconds unless the name says otherwise."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from identity.certificates.settings import AuthoritySettings
from identity.federation.settings import FederationSettings
from identity.levels import ORDER
from identity.upstream.settings import UpstreamSettings


class IdentitySettings(BaseModel):
    """Lifetimes and policies of accounts, sessions, OAuth and OpenID Connect."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_seconds: int = Field(60, ge=5, le=60, description="Lifetime of an authorization code (at most 60)")
    device_code_seconds: int = Field(600, ge=10, le=1800, description="How long a device's code may be answered")
    device_poll_seconds: int = Field(5, ge=1, le=30, description="How long a device waits between two questions")
    backchannel_quiet_seconds: int = Field(
        600,
        ge=0,
        le=3600,
        description="How long after a refused question of a counter would have run out its service can't ask that"
        " resident again; 0: at once",
    )
    backchannel_waiting: int = Field(
        2, ge=1, le=1000, description="How many unanswered questions of one service wait for a resident at a time"
    )
    backchannel_rehearsal: Literal["off", "loopback", "anybody-may-answer-for-residents"] = Field(
        "off",
        description="For conformance suites only: an address that answers counters' questions in residents' place; on"
        " `loopback` it starts for a localhost issuer alone, elsewhere the setting must spell out what it does",
    )
    par_seconds: int = Field(90, ge=10, lt=600, description="Lifetime of a pushed authorization request (under 600)")
    interaction_seconds: int = Field(1800, ge=60, le=7200, description="How long a sign-in or consent page may wait")
    access_token_seconds: int = Field(300, ge=10, le=3600, description="Lifetime of an access token")
    id_token_seconds: int = Field(300, ge=10, le=3600, description="Lifetime of an ID token")
    refresh_idle_seconds: int = Field(30 * 86_400, ge=60, description="An unused refresh token dies after this")
    refresh_seconds: int = Field(180 * 86_400, ge=60, description="A refresh token family dies after this, used or not")
    dpop_proof_seconds: int = Field(300, ge=5, le=600, description="How old a DPoP proof may be")
    dpop_nonce: Literal["off", "fapi", "required"] = Field(
        "off", description="Whose DPoP proofs must carry our nonce: nobody's, FAPI 2.0 clients', everybody's"
    )
    mtls_url: str | None = Field(
        None, description="Origin where clients with certificates call, published as `mtls_endpoint_aliases` (RFC 8705)"
    )
    step_up_acr: dict[str, str] = Field(
        default_factory=dict,
        description="The least `acr` for which a scope or type of authorization details may be used at our APIs"
        " (RFC 9470), as a JSON object",
    )
    step_up_max_age: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="The same for the age of the sign-in, in seconds"
    )
    assertion_seconds: int = Field(3600, ge=10, le=3600, description="How far ahead a client assertion may expire")
    registration: Literal["off", "token", "open"] = Field(
        "token",
        description="Who may register clients at `/oauth/register`: nobody, who has an initial access token, anybody",
    )
    registration_idle_seconds: int = Field(
        30 * 86_400,
        ge=3600,
        description="One that registered openly or by a trust chain and met nobody is swept after this",
    )
    software_statement_issuers: dict[str, str] = Field(
        default_factory=dict,
        description="Whose software statements are believed: issuer to the address of its JWK Set, as a JSON object",
    )
    require_pkce: bool = Field(
        True, description="Whether a newly registered confidential client must use PKCE, unless its registration says"
    )
    client_secret_seconds: int = Field(
        0, ge=0, description="Lifetime of the secret of a client that registered itself; 0: it does not expire"
    )
    client_secret_overlap_seconds: int = Field(
        86_400, ge=0, le=30 * 86_400, description="How long the old secret of such a client stays good beside a new one"
    )
    client_changes_by_two: bool = Field(
        False, description="Whether new keys or a new secret for a client take two operators at the console"
    )
    session_management: bool = Field(
        False,
        description="Whether services may watch for sign-out in a frame of ours (OpenID Connect Session Management)",
    )
    signal_verification_seconds: int = Field(
        30, ge=1, le=3600, description="How often a receiver of signals may ask for proof of life"
    )
    session_idle_seconds: int = Field(3600, ge=60, le=86_400, description="A browser session ends after this unused")
    session_seconds: int = Field(
        86_400, ge=300, le=604_800, description="A browser session ends after this in any case"
    )
    reset_code_seconds: int = Field(
        86_400, ge=600, le=604_800, description="How long the city office's reset, and then its code, is good"
    )
    reset_wait_seconds: int = Field(
        86_400,
        ge=0,
        le=14 * 86_400,
        description="How long the city office's code waits where a verified address is warned of it, unless a recovery"
        " code is typed beside it",
    )
    recovery_wait_seconds: int = Field(
        3 * 86_400,
        ge=0,
        le=14 * 86_400,
        description="How long a recovery with a recovery code and the e-mail address waits: the owner can stop it",
    )
    change_wait_seconds: int = Field(
        3 * 86_400,
        ge=0,
        le=14 * 86_400,
        description="How long another e-mail address waits before it takes the place of a verified one",
    )
    password_list: Path | None = Field(
        None,
        description="List of breached passwords as Have I Been Pwned's downloader writes it: one sorted file, or a"
        " directory of ranges. Without it new passwords are judged by zxcvbn's 30,000 and by patterns only",
    )
    visit_code_seconds: int = Field(
        600, ge=60, le=3600, description="How long the code that a resident shows at the counter is good"
    )
    verification_seconds: int = Field(
        5 * 365 * 86_400, ge=3600, description="How long a verification at the counter counts"
    )
    trust_framework: str = Field(
        "urn:sekisho:trust-framework:counter",
        min_length=1,
        max_length=200,
        description="The name of the rules by which the counter verifies, for `verified_claims`",
    )
    electronic_framework: str = Field(
        "urn:sekisho:trust-framework:electronic",
        min_length=1,
        max_length=200,
        description="The same of what a certificate's register says, where an authority has `ial`",
    )
    scope_ial: dict[str, Annotated[int, Field(ge=1, le=3)]] = Field(
        default_factory=dict,
        description="The least identity assurance level for which a scope is given to a service, as a JSON object",
    )
    scope_aal: dict[str, Annotated[int, Field(ge=1, le=3)]] = Field(
        default_factory=dict,
        description="The same for the authentication assurance level of the sign-in",
    )
    aal3_passkeys: bool = Field(
        False,
        description="Whether a passkey that can't leave its device counts as authentication level 3; its make is not"
        " attested, so only where the city hands the devices out",
    )
    two_clerks_from: int = Field(
        3, ge=1, le=4, description="From which identity assurance level a second clerk must confirm; 4: never"
    )
    upstreams: tuple[UpstreamSettings, ...] = Field(
        (),
        description="OpenID providers that residents may sign in by, as a JSON list; see identity/README.md,"
        " Signing in by others",
    )
    certificate_authorities: tuple[AuthoritySettings, ...] = Field(
        (),
        description="Certificate authorities whose certificates let services, residents or staff in, and how their"
        " status is checked, as a JSON list; see identity/README.md, Certificates",
    )
    federation: FederationSettings = Field(
        default_factory=FederationSettings, description="OpenID Federation; see identity/README.md, In a federation"
    )
    account_tries: int = Field(5, ge=3, le=20, description="Wrong passwords or codes in a row before an account waits")
    source_tries: int = Field(30, ge=5, le=100_000, description="Failed sign-ins at once from one network address")

    @field_validator("password_list")
    @classmethod
    def _readable_list(cls, value: Path | None) -> Path | None:
        """A list that isn't there is told at the start, not to the first resident who changes a password."""
        if value is not None and not value.exists():
            raise ValueError(f"there is no list of passwords at {value}")
        return value

    @field_validator("upstreams")
    @classmethod
    def _one_of_each(cls, value: tuple[UpstreamSettings, ...]) -> tuple[UpstreamSettings, ...]:
        """Two of one name would share a redirect URI."""
        if len({upstream.id for upstream in value}) != len(value):
            raise ValueError("two upstreams have the same id")
        if len({upstream.alg for upstream in value if upstream.federated}) > 1:
            raise ValueError("federated upstreams share one alg: this city has one metadata as a relying party")
        return value

    @model_validator(mode="after")
    def _one_of_each_way(self) -> "IdentitySettings":
        """Links of people are kept by these ids."""
        ids = [*(one.id for one in self.upstreams), *(one.id for one in self.certificate_authorities)]
        if len(set(ids)) != len(ids):
            raise ValueError("two upstreams or certificate authorities have the same id")
        return self

    @field_validator("step_up_acr")
    @classmethod
    def _known_levels(cls, value: dict[str, str]) -> dict[str, str]:
        """A level nobody can reach would lock everybody out."""
        if not set(value.values()) <= set(ORDER):
            raise ValueError(f"levels are {', '.join(ORDER)}")
        return value
