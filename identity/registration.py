"""What a client may be: its metadata, and the rules a registration must pass.

RFC 7591 section 2 and OpenID Connect Registration section 2, judged by Authlib's metadata claims and then by our own,
narrower rules: exact redirect URIs without tricks, no implicit or hybrid, keys that are public and strong enough.
Pure: no web, no database.
"""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from identity.errors import InvalidClientMetadata
from identity.subjects import sector_of

STANDARD_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")

AuthMethod = Literal["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
GrantType = Literal["authorization_code", "refresh_token", "client_credentials"]
TokenAlg = Literal["EdDSA", "ES256"]
IdTokenAlg = Literal["EdDSA", "ES256", "RS256"]

ASSERTION_ALGS = ("PS256", "ES256", "EdDSA")

_URI = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]{1,2000}", re.ASCII)
_SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}", re.ASCII)
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NEVER = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "mailto", "tel"})

Name = Annotated[str, Field(min_length=1, max_length=120)]


def _code_and_refresh() -> list[GrantType]:
    return ["authorization_code", "refresh_token"]


class Registration(BaseModel):
    """A client as registered. Wire names where the standard has one."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name_ja: Name
    name_en: Name
    member_id: str | None = Field(None, description="The organisation it belongs to")
    redirect_uris: list[str] = Field(default_factory=list, max_length=20)
    grant_types: list[GrantType] = Field(default_factory=_code_and_refresh, min_length=1)
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"
    jwks: dict[str, Any] | None = Field(None, description="Public keys, for private_key_jwt")
    scope: str = Field("openid profile email offline_access", description="Scopes it may ask for, space-separated")
    resources: list[str] = Field(default_factory=list, max_length=20, description="Audiences beside this server")
    introspects: list[str] = Field(
        default_factory=list, max_length=20, description="Audiences it is the resource server of, for introspection"
    )
    id_token_signed_response_alg: IdTokenAlg | None = Field(None, description="Absent: RS256 if we hold such a key")
    access_token_signed_alg: TokenAlg = "EdDSA"
    dpop_bound_access_tokens: bool = False
    require_pushed_authorization_requests: bool = False
    first_party: bool = Field(False, description="The city's own: standard scopes need no page, data always does")
    sector_identifier: str | None = Field(None, description="Host that pairwise subjects are made for")
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None


def check(registration: Registration) -> Registration:
    """The registration, if it may stand; raises InvalidClientMetadata with a pointer."""
    method = registration.token_endpoint_auth_method
    if method == "private_key_jwt" or registration.jwks is not None:
        _check_jwks(registration.jwks)
    _check_standard(registration)
    uses_redirects = "authorization_code" in registration.grant_types
    if uses_redirects and not registration.redirect_uris:
        raise _bad("/redirect_uris", "The authorization code flow needs at least one redirect URI.")
    for number, uri in enumerate(registration.redirect_uris):
        check_redirect_uri(uri, pointer=f"/redirect_uris/{number}")
    if "refresh_token" in registration.grant_types and not uses_redirects:
        raise _bad("/grant_types", "refresh_token goes with authorization_code.")
    if method == "none" and "client_credentials" in registration.grant_types:
        raise _bad("/token_endpoint_auth_method", "A public client can't use client_credentials.")
    for scope in registration.scope.split():
        if not _SCOPE.fullmatch(scope):
            raise _bad("/scope", f"{scope[:40]} is not a scope name.")
    for name in ("resources", "introspects"):
        for number, uri in enumerate(getattr(registration, name)):
            parts = _split(uri)
            if parts is None or not parts.scheme or parts.fragment or "#" in uri:
                raise _bad(f"/{name}/{number}", "A resource is an absolute URI without a fragment (RFC 8707).")
    sectors = {sector_of(uri) for uri in registration.redirect_uris}
    if len(sectors) > 1 and registration.sector_identifier is None:
        # OpenID Connect Core section 8.1: several hosts need a registered sector.
        raise _bad("/sector_identifier", "Redirect URIs on several hosts need a sector_identifier.")
    return registration


def check_redirect_uri(uri: str, *, pointer: str) -> None:
    """Refuse what could be read as two addresses: only plain ASCII, https, or http on loopback, or an app's scheme."""
    if not _URI.fullmatch(uri):
        raise _bad(pointer, "A redirect URI holds printable ASCII only, without spaces, quotes or backslashes.")
    parts = _split(uri)
    if parts is None or not parts.scheme:
        raise _bad(pointer, "A redirect URI must be absolute.")
    if "#" in uri:
        raise _bad(pointer, "A redirect URI has no fragment (RFC 6749 section 3.1.2).")
    if "*" in uri:
        raise _bad(pointer, "Redirect URIs are compared exactly; a wildcard would never match.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise _bad(pointer, "A redirect URI holds no user name.")
    if any(segment in {".", ".."} for segment in parts.path.split("/")) or "%2e" in uri.lower():
        raise _bad(pointer, "A redirect URI holds no relative path segments.")
    if parts.scheme in {"https", "http"}:
        if not parts.hostname:
            raise _bad(pointer, "A redirect URI needs a host.")
        if not _HOST.fullmatch(parts.hostname):  # its origin goes into the policy of a page: no `;` and no `,` there
            raise _bad(pointer, "A host is made of letters, digits, hyphens and dots, or is an IP address.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise _bad(pointer, "Use https; plain http is for loopback addresses only.")
        return
    if parts.scheme in _NEVER or "." not in parts.scheme:
        # RFC 8252 section 7.1: a private-use scheme is a reversed domain name, so that apps don't collide.
        raise _bad(pointer, "An app's scheme is a domain name it owns, reversed (RFC 8252 section 7.1).")


def _split(uri: str) -> Any:
    try:
        parts = urlsplit(uri)
        _ = parts.port  # raises for a port that is no number
        return parts
    except ValueError:
        return None


def _check_standard(registration: Registration) -> None:
    """Authlib's reading of RFC 7591 and of OpenID Connect Registration. Imported late: it is heavy and rarely used."""
    from authlib.oauth2.claims import InvalidClaimError
    from authlib.oauth2.rfc7591 import ClientMetadataClaims as OAuthClaims
    from authlib.oidc.registration import ClientMetadataClaims as OidcClaims

    known = {*OAuthClaims.REGISTERED_CLAIMS, *OidcClaims.REGISTERED_CLAIMS}
    claims = {key: value for key, value in registration.model_dump(exclude_none=True).items() if key in known}
    claims["client_name"] = registration.name_en
    claims["response_types"] = ["code"] if "authorization_code" in registration.grant_types else []
    # Authlib reads http(s) addresses only; an app's own scheme is judged below.
    claims["redirect_uris"] = [uri for uri in registration.redirect_uris if uri.startswith(("https:", "http:"))]
    for kind in (OAuthClaims, OidcClaims):
        try:
            kind(claims, {}).validate()
        except InvalidClaimError as error:
            name = str(getattr(error, "claim", "") or "")
            raise _bad(f"/{name}", f"{name} does not meet the registration standard (RFC 7591 section 2).") from error


def _check_jwks(jwks: dict[str, Any] | None) -> None:
    keys = jwks.get("keys") if jwks else None
    if not isinstance(keys, list) or not keys or len(keys) > 10:
        raise _bad("/jwks", "private_key_jwt needs a JWK Set with one to ten public keys.")
    for number, key in enumerate(keys):
        pointer = f"/jwks/keys/{number}"
        if not isinstance(key, dict):
            raise _bad(pointer, "Each key is a JSON object.")
        if any(name in key for name in ("d", "k", "p", "q", "dp", "dq", "qi", "oth")):
            raise _bad(pointer, "This key is private or symmetric. Register the public half only, and replace it.")
        kty, crv = key.get("kty"), key.get("crv")
        if (kty, crv) in {("EC", "P-256"), ("OKP", "Ed25519")}:
            continue
        if kty == "RSA" and isinstance(key.get("n"), str) and len(key["n"]) >= 342:  # 2048 bits in base64url
            continue
        raise _bad(pointer, "Keys are EC P-256, OKP Ed25519, or RSA of at least 2048 bits.")


def _bad(pointer: str, detail: str) -> InvalidClientMetadata:
    return InvalidClientMetadata(detail, pointer=pointer)
