"""Client metadata on the wire, and back.

RFC 7591 section 2 (members, defaults, language tags in section 2.2; what is not understood is ignored) and section
3.2.1 (the answer holds everything as registered); OpenID Connect Registration section 2. Pure: a JSON object in, a
`Registration` out, and the reverse. Judging is `registration.check`'s business.
"""

from collections.abc import Mapping
from typing import Any
from unicodedata import category

from pydantic import ValidationError

from identity import fapi
from identity.addresses import bad, split
from identity.oauth.mtls import NAMES
from identity.registration import ENCRYPTED, OFFLINE, STANDARD_SCOPES, Registration
from keys.jwe import DEFAULT_ENC

# What a client may say of itself, in the words we keep it in.
_SAME = (
    "application_type", "redirect_uris", "post_logout_redirect_uris", "token_endpoint_auth_signing_alg", "jwks",
    "jwks_uri", "subject_type", "sector_identifier_uri", "id_token_signed_response_alg",
    "userinfo_signed_response_alg", "authorization_signed_response_alg", "request_object_signing_alg",
    "request_object_encryption_alg", "request_object_encryption_enc",
    "introspection_signed_response_alg", *(f"{kind}_encrypted_response_{half}" for kind in ENCRYPTED for half in
    ("alg", "enc")), "backchannel_token_delivery_mode",
    "backchannel_client_notification_endpoint",
    "backchannel_authentication_request_signing_alg",
    "require_signed_request_object", "request_uris", "response_modes", "profile", "dpop_bound_access_tokens",
    "tls_client_certificate_bound_access_tokens", "use_mtls_endpoint_aliases", *NAMES,
    "require_pushed_authorization_requests", "default_max_age", "require_auth_time", "default_acr_values",
    "initiate_login_uri", "backchannel_logout_uri", "backchannel_logout_session_required", "frontchannel_logout_uri",
    "frontchannel_logout_session_required", "client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts",
    "software_id", "software_version",
)  # fmt: skip
_TAGGED = ("client_name#", "client_uri#", "logo_uri#", "policy_uri#", "tos_uri#")


def from_wire(document: Mapping[str, Any], *, kept: Mapping[str, Any], scopes: frozenset[str]) -> Registration:
    """The registration a client asks for; raises InvalidClientMetadata. `kept` is what it can't decide itself.

    Scopes beyond `scopes` are left out, as RFC 7591 section 2 allows, and offline_access where refresh_token is not
    among the grant types: it would come to nothing. The answer tells.
    """
    if document.get("subject_type") == "public":
        # One number for a resident at all services would let them be linked: an operator's decision.
        raise bad("/subject_type", "Only an operator registers public subjects.")
    types = document.get("response_types", ["code"])
    grants = document.get("grant_types", ["authorization_code"])  # the default of section 2
    if not isinstance(types, list) or not isinstance(grants, list):
        raise bad("/response_types", "response_types and grant_types are arrays.")
    uses_redirects = "authorization_code" in grants
    if any(kind != "code" for kind in types):
        raise bad("/response_types", "Only the response type code is supported (RFC 9700 section 2.1.2).")
    if bool(types) != uses_redirects and "response_types" in document:
        raise bad("/response_types", "The response type code goes with the grant type authorization_code.")
    fields: dict[str, Any] = {name: document[name] for name in _SAME if document.get(name) is not None}
    fields |= _names(document)
    fields |= {
        "grant_types": grants,
        "token_endpoint_auth_method": document.get("token_endpoint_auth_method", "client_secret_basic"),
        "application_type": document.get("application_type", "web"),
        "scope": _scope(document, scopes if "refresh_token" in grants else scopes - {OFFLINE}),
        "localized": {name: value for name, value in document.items() if name.startswith(_TAGGED)},
        "require_pkce": True if document.get("require_pkce") is True else None,  # a client may ask for more, not less
    }
    try:
        return Registration(**(fields | dict(kept)))
    except ValidationError as error:
        first = error.errors()[0]
        pointer = "/" + "/".join(str(part) for part in first["loc"])
        raise bad(pointer, f"{pointer[1:]}: {first['msg']}.") from error


def to_wire(registration: Registration) -> dict[str, Any]:
    """Everything as registered (section 3.2.1), defaults included."""
    fields = registration.model_dump(mode="json", exclude_none=True)
    said = {name: fields[name] for name in _SAME if fields.get(name) not in (None, [])}
    uses_redirects = "authorization_code" in registration.grant_types
    encs = {
        f"{kind}_encrypted_response_enc": DEFAULT_ENC
        for kind in ENCRYPTED
        if f"{kind}_encrypted_response_alg" in said and f"{kind}_encrypted_response_enc" not in said
    }
    if registration.request_object_encryption_alg:
        encs["request_object_encryption_enc"] = registration.request_object_encryption_enc or DEFAULT_ENC
    return {
        **said,
        **encs,
        "client_name": registration.name_en,
        "client_name#ja": registration.name_ja,
        **registration.localized,
        "grant_types": list(registration.grant_types),
        "response_types": ["code"] if uses_redirects else [],
        "token_endpoint_auth_method": registration.token_endpoint_auth_method,
        "scope": registration.scope,
        "id_token_signed_response_alg": registration.id_token_signed_response_alg or _default_alg(registration),
        "authorization_signed_response_alg": (
            registration.authorization_signed_response_alg or _default_alg(registration)
        ),
        "require_pkce": registration.require_pkce is not False or registration.token_endpoint_auth_method == "none",
    }


def _default_alg(registration: Registration) -> str:
    return "RS256" if registration.profile == "none" else fapi.DEFAULT_ALG


def _names(document: Mapping[str, Any]) -> dict[str, Any]:
    """The two names our pages show: by language tag, else the plain name, else the host."""
    uris = document.get("redirect_uris")
    parts = split(uris[0]) if isinstance(uris, list) and uris and isinstance(uris[0], str) else None
    plain = document.get("client_name") or (parts.hostname if parts is not None else None) or "client"
    for name, value in document.items():
        if name.partition("#")[0] == "client_name" and isinstance(value, str):
            _check_name(name, value)
    return {
        "name_ja": document.get("client_name#ja", document.get("client_name#ja-JP", plain)),
        "name_en": document.get("client_name#en", plain),
    }


def _check_name(name: str, value: str) -> None:
    """A name is shown to residents: nothing in it that turns or hides what stands around it."""
    if any(category(letter) in ("Cc", "Cf") for letter in value):
        raise bad(f"/{name}", f"{name[:60]} holds a control or formatting character.")


def _scope(document: Mapping[str, Any], scopes: frozenset[str]) -> str:
    asked = document.get("scope")
    if asked is None:
        return " ".join(scope for scope in STANDARD_SCOPES if scope in scopes)
    if not isinstance(asked, str):
        raise bad("/scope", "scope is a string of names with spaces between them.")
    return " ".join(scope for scope in dict.fromkeys(asked.split()) if scope in scopes)
