"""What a client may be: its metadata, and the rules a registration must pass.

RFC 7591 section 2, OpenID Connect Registration section 2, RFC 9101 section 10.5, RFC 9126 section 6, JARM section 3,
the logout specifications: judged by Authlib's metadata claims and then by our own, narrower rules (exact redirect URIs
without tricks in `addresses`, public keys that are strong enough in `public_keys`, no implicit or hybrid).
Pure: no web, no database, nothing is fetched. `identity.sectors` fetches what `sector_identifier_uri` names.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from identity.addresses import (
    bad,
    check_application_type,
    check_called_uri,
    check_redirect_uri,
    check_same_origin,
    split,
)
from identity.fapi import Profile
from identity.fapi import check as check_profile
from identity.oauth.mtls import NAMES, check_name
from identity.public_keys import check_jwks
from identity.subjects import sector_of
from keys.jwe import find_key

OFFLINE = "offline_access"
STANDARD_SCOPES = ("openid", "profile", "email", "address", "phone", OFFLINE)
#: The device authorization grant (RFC 8628 section 3.4).
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"

#: Token exchange (RFC 8693 section 2.1).
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"

#: Assertions of others as grants (RFC 7523 section 2.1).
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"

#: Backchannel authentication (CIBA Core 1.0 section 4).
CIBA = "urn:openid:params:grant-type:ciba"

AuthMethod = Literal[
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
    "urn:ietf:params:oauth:grant-type:jwt-bearer",
    "urn:openid:params:grant-type:ciba",
]
TokenAlg = Literal["EdDSA", "ES256"]
SigningAlg = Literal["EdDSA", "ES256", "PS256", "RS256"]  # never `none`, nothing symmetric
IdTokenAlg = SigningAlg
EncryptionAlg = Literal["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
ReadAlg = Literal["ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
ContentEnc = Literal["A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM"]
ClientAlg = Literal["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]  # RFC 9864 gave EdDSA here a second name
ResponseMode = Literal["query", "form_post", "jwt", "query.jwt", "form_post.jwt"]

#: What may be encrypted to a client, as the members `<kind>_encrypted_response_alg` and `_enc` name it.
ENCRYPTED = ("id_token", "userinfo", "authorization", "introspection")

#: What a client may sign an assertion or a request with; RS256 because Core sections 6.1 and 9 ask for it.
ASSERTION_ALGS = ("PS256", "ES256", "EdDSA", "Ed25519", "RS256")

_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}", re.ASCII)
_TAGGED = re.compile(r"(client_name|client_uri|logo_uri|policy_uri|tos_uri)#[A-Za-z0-9-]{1,35}", re.ASCII)
_CALLED = (
    "jwks_uri", "sector_identifier_uri", "initiate_login_uri", "backchannel_logout_uri", "frontchannel_logout_uri",
    "backchannel_client_notification_endpoint",
    "client_uri", "logo_uri", "policy_uri", "tos_uri",
)  # fmt: skip

VerifiedClaims = Literal["none", "claims", "evidence"]

Name = Annotated[str, Field(min_length=1, max_length=120)]
Short = Annotated[str, Field(min_length=1, max_length=200)]
Uri = Annotated[str, Field(min_length=1, max_length=2000)]


def _code_and_refresh() -> list[GrantType]:
    return ["authorization_code", "refresh_token"]


class Registration(BaseModel):
    """A client as registered. Wire names where the standard has one."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name_ja: Name
    name_en: Name
    member_id: str | None = Field(None, description="The organisation it belongs to")
    application_type: Literal["web", "native"] | None = None
    redirect_uris: list[str] = Field(default_factory=list, max_length=20)
    post_logout_redirect_uris: list[str] = Field(default_factory=list, max_length=20)
    grant_types: list[GrantType] = Field(default_factory=_code_and_refresh, min_length=1)
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    token_endpoint_auth_signing_alg: ClientAlg | None = Field(None, description="Absent: any we know")
    jwks: dict[str, Any] | None = Field(None, description="Public keys, for private_key_jwt and signed requests")
    jwks_uri: Uri | None = Field(None, description="Where the public keys are, instead")
    scope: str = Field("openid profile email offline_access", description="Scopes it may ask for, space-separated")
    resources: list[str] = Field(default_factory=list, max_length=20, description="Audiences beside this server")
    introspects: list[str] = Field(
        default_factory=list, max_length=20, description="Audiences it is the resource server of, for introspection"
    )
    exchange_audiences: list[str] = Field(
        default_factory=list, max_length=20, description="For which audiences it may exchange tokens (RFC 8693)"
    )
    exchange_scope: str = Field("", description="Scopes an exchanged token may have at most, space-separated")
    exchange_impersonation: bool = Field(False, description="Whether it may exchange without an actor_token")
    assertion_issuers: dict[str, str] = Field(
        default_factory=dict, max_length=10,
        description="Whose assertions it may bring (RFC 7523 section 2.1): issuer to the address of its JWK Set",
    )  # fmt: skip
    may_act: Short | None = Field(None, description="The client that may act with this client's tokens")
    subject_type: Literal["pairwise", "public"] = "pairwise"
    sector_identifier: str | None = Field(None, description="Host that pairwise subjects are made for")
    sector_identifier_uri: Uri | None = Field(
        None, description="A JSON array of all redirect URIs, fetched and checked; its host is the sector"
    )
    profile: Profile = Field("none", description="Of FAPI 2.0, kept whole or refused")
    response_modes: list[ResponseMode] = Field(
        default_factory=list, max_length=5, description="How its answers may travel; absent: any way we know"
    )
    use_mtls_endpoint_aliases: bool = Field(False, description="It calls where client certificates are asked for")
    id_token_signed_response_alg: IdTokenAlg | None = Field(None, description="Absent: RS256, under FAPI 2.0 ES256")
    userinfo_signed_response_alg: SigningAlg | None = Field(None, description="Absent: plain JSON")
    authorization_signed_response_alg: SigningAlg | None = Field(
        None, description="For the response modes with `jwt`; absent: RS256, under FAPI 2.0 ES256"
    )
    request_object_signing_alg: ClientAlg | None = Field(None, description="Absent: any we know")
    request_object_encryption_alg: ReadAlg | None = Field(
        None, description="How it encrypts the request objects it encrypts; absent: any way we know"
    )
    request_object_encryption_enc: ContentEnc | None = Field(None, description="Absent: A128CBC-HS256")
    introspection_signed_response_alg: SigningAlg | None = Field(
        None, description="Absent: plain JSON, or RS256 where the signed form is asked for (RFC 9701 section 6)"
    )
    id_token_encrypted_response_alg: EncryptionAlg | None = Field(None, description="Absent: signed only")
    id_token_encrypted_response_enc: ContentEnc | None = Field(None, description="Absent: A128CBC-HS256")
    userinfo_encrypted_response_alg: EncryptionAlg | None = Field(None, description="Absent: not encrypted")
    userinfo_encrypted_response_enc: ContentEnc | None = None
    authorization_encrypted_response_alg: EncryptionAlg | None = Field(None, description="Of signed answers (JARM)")
    authorization_encrypted_response_enc: ContentEnc | None = None
    introspection_encrypted_response_alg: EncryptionAlg | None = Field(
        None, description="Its answers are then always signed and encrypted (RFC 9701 section 6)"
    )
    introspection_encrypted_response_enc: ContentEnc | None = None
    backchannel_token_delivery_mode: Literal["poll", "ping"] | None = Field(None, description="CIBA Core 1.0 section 4")
    backchannel_client_notification_endpoint: Uri | None = Field(None, description="Where `ping` tells of an answer")
    backchannel_authentication_request_signing_alg: ClientAlg | None = Field(
        None, description="Absent: its backchannel requests need not be signed"
    )
    require_signed_request_object: bool = False
    request_uris: list[Uri] = Field(default_factory=list, max_length=20, description="What `request_uri` may name")
    access_token_signed_alg: TokenAlg = "EdDSA"
    dpop_bound_access_tokens: bool = False
    tls_client_certificate_bound_access_tokens: bool = False
    tls_client_auth_subject_dn: Short | None = Field(None, description="Subject of its certificate (RFC 4514)")
    tls_client_auth_san_dns: Short | None = None
    tls_client_auth_san_uri: Uri | None = None
    tls_client_auth_san_ip: Short | None = None
    tls_client_auth_san_email: Short | None = None
    require_pushed_authorization_requests: bool = False
    require_pkce: bool | None = Field(
        None, description="Absent: the server's default. Public clients must in any case; what is sent is enforced"
    )
    default_max_age: int | None = Field(None, ge=0, le=10**9)
    require_auth_time: bool = False
    default_acr_values: list[Short] = Field(default_factory=list, max_length=10)
    initiate_login_uri: Uri | None = None
    backchannel_logout_uri: Uri | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: Uri | None = None
    frontchannel_logout_session_required: bool = False
    minimum_ial: int = Field(0, ge=0, le=3, description="The least identity assurance level of who signs in to it")
    minimum_aal: int = Field(0, ge=0, le=3, description="The least authentication assurance level of their sign-in")
    verified_claims: VerifiedClaims = Field(
        "none", description="What it may be told of what a clerk verified: nothing, the claims, by which documents too"
    )
    first_party: bool = Field(False, description="The city's own: standard scopes need no page, data always does")
    client_uri: Uri | None = None
    logo_uri: Uri | None = None
    policy_uri: Uri | None = None
    tos_uri: Uri | None = None
    localized: dict[str, str] = Field(
        default_factory=dict, max_length=50, description="The same in other languages, by `tos_uri#fr` and so on"
    )
    contacts: list[Short] = Field(default_factory=list, max_length=10)
    software_id: Short | None = None
    software_version: Short | None = None


def check(registration: Registration) -> Registration:
    """The registration, if it may stand; raises InvalidClientMetadata with a pointer."""
    _check_keys(registration)
    _check_addresses(registration)  # ours first: they say what to do
    _check_standard(registration)
    _check_certificate(registration)
    _check_encryption(registration)
    check_profile(registration)
    method = registration.token_endpoint_auth_method
    uses_redirects = "authorization_code" in registration.grant_types
    if (
        "refresh_token" in registration.grant_types
        and not uses_redirects
        and not {DEVICE, CIBA} & set(registration.grant_types)
    ):
        raise bad("/grant_types", "refresh_token goes with a grant type that a resident answers.")
    if method == "none" and "client_credentials" in registration.grant_types:
        raise bad("/token_endpoint_auth_method", "A public client can't use client_credentials.")
    if (EXCHANGE in registration.grant_types) != bool(registration.exchange_audiences):
        raise bad(
            "/exchange_audiences", "Token exchange needs the audiences that an operator allows, and they need it."
        )
    if (JWT_BEARER in registration.grant_types) != bool(registration.assertion_issuers):
        raise bad(
            "/assertion_issuers", "Assertions need issuers that an operator trusts, and they need the grant type."
        )
    for issuer, address in registration.assertion_issuers.items():
        if not 0 < len(issuer) <= 500:
            raise bad("/assertion_issuers", "An issuer has a name of 500 characters at most.")
        check_called_uri(address, pointer="/assertion_issuers")
    if method == "none" and {EXCHANGE, JWT_BEARER, CIBA} & set(registration.grant_types):
        raise bad("/token_endpoint_auth_method", "A public client has no tokens exchanged, vouched or asked for.")
    if (CIBA in registration.grant_types) != (registration.backchannel_token_delivery_mode is not None):
        raise bad("/backchannel_token_delivery_mode", "Backchannel authentication needs it, and it the grant type.")
    pinged = registration.backchannel_client_notification_endpoint is not None
    if pinged != (registration.backchannel_token_delivery_mode == "ping"):
        raise bad("/backchannel_client_notification_endpoint", "Delivery by ping needs it, and nothing else does.")
    for scope in (*registration.scope.split(), *registration.exchange_scope.split()):
        if not _SCOPE.fullmatch(scope):
            raise bad("/scope", f"{scope[:40]} is not a scope name.")
    for name in ("resources", "introspects", "exchange_audiences"):
        for number, uri in enumerate(getattr(registration, name)):
            parts = split(uri)
            if parts is None or not parts.scheme or parts.fragment or "#" in uri:
                raise bad(f"/{name}/{number}", "A resource is an absolute URI without a fragment (RFC 8707).")
    sectors = {sector_of(uri) for uri in registration.redirect_uris}
    chosen = registration.sector_identifier or registration.sector_identifier_uri
    if len(sectors) > 1 and chosen is None and registration.subject_type == "pairwise":
        # OpenID Connect Core section 8.1: several hosts need a registered sector.
        raise bad("/sector_identifier", "Redirect URIs on several hosts need a sector_identifier.")
    return registration


def _check_keys(registration: Registration) -> None:
    if registration.jwks is not None and registration.jwks_uri is not None:
        raise bad("/jwks_uri", "Register jwks or jwks_uri, not both (RFC 7591 section 2).")
    signs = (
        registration.token_endpoint_auth_method in ("private_key_jwt", "self_signed_tls_client_auth")
        or registration.request_object_signing_alg is not None
        or registration.backchannel_authentication_request_signing_alg is not None
        or registration.require_signed_request_object
    )
    if registration.jwks is not None or (signs and registration.jwks_uri is None):
        check_jwks(registration.jwks)


def _check_encryption(registration: Registration) -> None:
    """OpenID Connect Registration section 2: `enc` goes with `alg`, and there is a key to encrypt to."""
    if registration.request_object_encryption_enc and not registration.request_object_encryption_alg:
        raise bad("/request_object_encryption_enc", "This goes with request_object_encryption_alg.")
    for kind in ENCRYPTED:
        name = f"{kind}_encrypted_response_alg"
        alg = getattr(registration, name)
        if alg is None:
            if getattr(registration, f"{kind}_encrypted_response_enc") is not None:
                raise bad(f"/{kind}_encrypted_response_enc", f"This goes with {name}.")
            continue
        if kind == "userinfo" and registration.userinfo_signed_response_alg is None:
            # Encrypted alone, anybody could have made it: everybody has the key.
            raise bad(f"/{name}", "What is encrypted is signed first: register userinfo_signed_response_alg too.")
        if registration.jwks_uri is None and find_key(registration.jwks or {}, alg) is None:
            raise bad("/jwks", f"{name} {alg} needs a public key with use enc that fits it.")


def _check_certificate(registration: Registration) -> None:
    """RFC 8705 section 2.1.2: exactly one name for the method that needs one, none for the others."""
    given = {name: getattr(registration, name) for name in NAMES if getattr(registration, name) is not None}
    if registration.token_endpoint_auth_method != "tls_client_auth":
        if given:
            raise bad(f"/{next(iter(given))}", "This goes with token_endpoint_auth_method tls_client_auth only.")
        return
    if len(given) != 1:
        raise bad("/token_endpoint_auth_method", "tls_client_auth needs exactly one name of the certificate.")
    for name, value in given.items():
        problem = check_name(name, value)
        if problem is not None:
            raise bad(f"/{name}", f"{value[:60]} {problem}.")


def _check_addresses(registration: Registration) -> None:
    if "authorization_code" in registration.grant_types and not registration.redirect_uris:
        raise bad("/redirect_uris", "The authorization code flow needs at least one redirect URI.")
    for name in ("redirect_uris", "post_logout_redirect_uris"):
        for number, uri in enumerate(getattr(registration, name)):
            check_redirect_uri(uri, pointer=f"/{name}/{number}")
    if registration.application_type is not None:
        check_application_type(registration.application_type, registration.redirect_uris)
    for name in _CALLED:
        if getattr(registration, name) is not None:
            check_called_uri(getattr(registration, name), pointer=f"/{name}")
    if registration.initiate_login_uri is not None and not registration.initiate_login_uri.startswith("https:"):
        # Core section 4, Registration section 2: https, on loopback too (oidcc-3rd_party-init-login-nohttps).
        raise bad("/initiate_login_uri", "This address is an https address.")
    for number, uri in enumerate(registration.request_uris):
        # Core section 6.2: a fragment may carry the hash of what is there, so that a change can be seen.
        check_called_uri(uri, pointer=f"/request_uris/{number}", fragment=True)
    if registration.frontchannel_logout_uri is not None:
        check_same_origin(
            registration.frontchannel_logout_uri, registration.redirect_uris, pointer="/frontchannel_logout_uri"
        )
    for name, value in registration.localized.items():
        if not _TAGGED.fullmatch(name) or len(value) > 2000:
            raise bad("/localized", f"{name[:60]} is not a name or address with a language tag (BCP 47).")
        if not name.startswith("client_name"):
            check_called_uri(value, pointer=f"/{name}")


def _check_standard(registration: Registration) -> None:
    """Authlib's reading of RFC 7591 and of OpenID Connect Registration. Imported late: it is heavy and rarely used."""
    from authlib.oauth2.claims import InvalidClaimError
    from authlib.oauth2.rfc7591 import ClientMetadataClaims as OAuthClaims
    from authlib.oidc.registration import ClientMetadataClaims as OidcClaims

    known = {*OAuthClaims.REGISTERED_CLAIMS, *OidcClaims.REGISTERED_CLAIMS}
    claims = {key: value for key, value in registration.model_dump(exclude_none=True).items() if key in known}
    claims["client_name"] = registration.name_en
    claims["response_types"] = ["code"] if "authorization_code" in registration.grant_types else []
    # Authlib reads http(s) addresses only; an app's own scheme is judged by `addresses`.
    claims["redirect_uris"] = [uri for uri in registration.redirect_uris if uri.startswith(("https:", "http:"))]
    for kind in (OAuthClaims, OidcClaims):
        try:
            kind(claims, {}).validate()
        except InvalidClaimError as error:
            name = str(getattr(error, "claim", "") or "")
            raise bad(f"/{name}", f"{name} does not meet the registration standard (RFC 7591 section 2).") from error
