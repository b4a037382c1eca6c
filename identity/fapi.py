"""FAPI 2.0 as a switch of one client: what its profile asks of its registration, and what it narrows.

FAPI 2.0 Security Profile (final) sections 5.3.2 and 5.4.1, FAPI 2.0 Message Signing (final) sections 5.3 and 5.4. The
rules that hold for every client here (only `code`, `iss`, codes of a minute, 303, no password grant, no key under 2048
bits) are where they always were; those that a profile adds are asked of `Client.fapi` and `Client.signs_messages` at
the endpoint they concern. Pure.
"""

from typing import TYPE_CHECKING, Literal

from identity.addresses import bad, split

if TYPE_CHECKING:
    from identity.registration import Registration

Profile = Literal["none", "fapi2-security", "fapi2-message-signing"]

#: Stricter ones come later.
PROFILES: tuple[Profile, ...] = ("none", "fapi2-security", "fapi2-message-signing")
#: Security Profile section 5.4.1: what may sign anything at all, by us or for us. RS256 is not among them.
ALGS = ("PS256", "ES256", "EdDSA", "Ed25519")
#: What we sign with where the client names nothing.
DEFAULT_ALG: Literal["ES256"] = "ES256"
#: Message Signing section 5.4.1: an answer that is not signed is none.
SIGNED_MODES = frozenset({"query.jwt", "form_post.jwt"})

_METHODS = frozenset({"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"})
_SIGNS = (
    "token_endpoint_auth_signing_alg", "id_token_signed_response_alg", "userinfo_signed_response_alg",
    "authorization_signed_response_alg", "request_object_signing_alg", "introspection_signed_response_alg",
    "backchannel_authentication_request_signing_alg",
)  # fmt: skip


def stricter(one: Profile, other: Profile) -> Profile:
    """The stricter of two profiles."""
    return max(one, other, key=PROFILES.index)


def full_mode(mode: str) -> str:
    """A response mode by its full name: `jwt` means the query for a code (JARM section 2.3.4)."""
    return "query.jwt" if mode == "jwt" else mode


def check(registration: "Registration") -> None:
    """Raise InvalidClientMetadata unless the client can keep what its profile asks."""
    if registration.profile == "none":
        return
    if registration.token_endpoint_auth_method not in _METHODS:  # section 5.3.2.1 items 3 and 6
        raise bad("/token_endpoint_auth_method", "FAPI 2.0 clients use private_key_jwt or a client certificate.")
    bound = registration.dpop_bound_access_tokens or registration.tls_client_certificate_bound_access_tokens
    if not bound:  # items 4 and 5
        raise bad(
            "/dpop_bound_access_tokens",
            "FAPI 2.0 tokens are bound: set this, or tls_client_certificate_bound_access_tokens.",
        )
    for name in _SIGNS:  # section 5.4.1
        if getattr(registration, name) not in (None, *ALGS):
            raise bad(f"/{name}", f"FAPI 2.0 signs with {', '.join(ALGS)} only.")
    if registration.require_pkce is False:  # section 5.3.2.2 item 5
        raise bad("/require_pkce", "FAPI 2.0 clients always use PKCE.")
    for number, uri in enumerate(registration.redirect_uris):  # item 8
        parts = split(uri)
        loopback = parts.scheme == "http" and registration.application_type == "native"
        if parts.scheme != "https" and not loopback:
            raise bad(f"/redirect_uris/{number}", "FAPI 2.0 answers travel by https, or on a native app's loopback.")
    if registration.profile == "fapi2-message-signing":
        _check_signing(registration)


def _check_signing(registration: "Registration") -> None:
    redirects = "authorization_code" in registration.grant_types
    if redirects and registration.jwks is None and registration.jwks_uri is None:  # section 5.3.1 item 1
        raise bad("/jwks", "Signed requests need the client's keys: register jwks or jwks_uri.")
    if registration.response_modes and not SIGNED_MODES & {full_mode(mode) for mode in registration.response_modes}:
        raise bad("/response_modes", "Message signing needs a response mode with jwt.")  # section 5.4.1
