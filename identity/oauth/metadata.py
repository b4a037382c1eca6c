"""What this server can do, for machines.

OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2, RFC 8628 section 4, RFC 9101 section 10.5, JARM section 4,
RFC 9126 section 5, RFC 8705 section 5, RFC 9207 section 3, RFC 9396 section 10, RFC 9449 section 5.1, RFC 9701 section
7, RFC 9728 section 4; section 2.1 of RP-Initiated and Back-Channel Logout 1.0, section 3 of Front-Channel Logout 1.0.
CIBA Core 1.0 section 4, Grant Management for OAuth 2.0 section 7.1. Built once, served as bytes; the tests judge it
with Authlib's `OpenIDProviderMetadata`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, get_args

import orjson

from identity.assurance.documents import CHECKS, RECORD, SIGNATURE
from identity.assurance.verified_request import CLAIMS as VERIFIED
from identity.assurance.verified_request import DOCUMENTS
from identity.levels import ORDER
from identity.oauth.dpop import ALGS as DPOP_ALGS
from identity.oauth.grant_actions import ACTIONS, QUERY, REVOKE
from identity.oauth.grant_management import PATH as GRANTS_PATH
from identity.oauth.mtls import METHODS as TLS_METHODS
from identity.oauth.request import MODES
from identity.oidc.claims import ALL as CLAIMS
from identity.oidc.locales import LOCALES
from identity.registration import ASSERTION_ALGS, ENCRYPTED, STANDARD_SCOPES, GrantType
from keys.jwe import ALGS as JWE_ALGS
from keys.jwe import ENCS as JWE_ENCS
from keys.jwe import READ_ALGS
from kit.front import JSON, Call, Reply

_METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt"]
_ANYBODY = (b"access-control-allow-origin", b"*")


def build(
    issuer: str,
    *,
    id_token_algs: Sequence[str],
    detail_types: Sequence[str],
    registration: bool = True,
    mtls_url: str | None = None,
    check_session: str | None = None,
    acr_values: Sequence[str] = ORDER,
    trust_framework: str = "",
    electronic: "ElectronicProof | None" = None,
) -> dict[str, Any]:
    """The metadata document. `mtls_url`: the origin where client certificates are asked for, if there is one."""
    methods = [*_METHODS, *TLS_METHODS] if mtls_url else _METHODS
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "device_authorization_endpoint": f"{issuer}/oauth/device_authorization",
        "backchannel_authentication_endpoint": f"{issuer}/oauth/backchannel-authentication",
        "backchannel_token_delivery_modes_supported": ["poll", "ping"],
        "backchannel_user_code_parameter_supported": False,
        "backchannel_authentication_request_signing_alg_values_supported": list(ASSERTION_ALGS),
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        **({"registration_endpoint": f"{issuer}/oauth/register"} if registration else {}),
        "end_session_endpoint": f"{issuer}/oauth/end-session",
        **({"check_session_iframe": check_session} if check_session else {}),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "grant_management_endpoint": f"{issuer}{GRANTS_PATH}",
        "grant_management_actions_supported": ["query", "revoke", *ACTIONS],
        "grant_management_action_required": False,
        "scopes_supported": [*STANDARD_SCOPES, QUERY, REVOKE],
        "response_types_supported": ["code"],
        "response_modes_supported": list(MODES),
        "grant_types_supported": list(get_args(GrantType)),
        "subject_types_supported": ["pairwise", "public"],
        "acr_values_supported": list(acr_values),
        "id_token_signing_alg_values_supported": list(id_token_algs),
        "token_endpoint_auth_methods_supported": [*methods, "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "introspection_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "revocation_endpoint_auth_methods_supported": [*methods, "none"],
        "revocation_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGS),
        "dpop_signing_alg_values_supported": list(DPOP_ALGS),
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "authorization_details_types_supported": list(detail_types),
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid",
            *CLAIMS,
            *(["verified_claims"] if trust_framework else []),
        ],
        "claims_parameter_supported": True,
        **(_verified(trust_framework, electronic) if trust_framework else {}),
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "request_object_signing_alg_values_supported": list(ASSERTION_ALGS),
        "request_object_encryption_alg_values_supported": list(READ_ALGS),
        "request_object_encryption_enc_values_supported": list(JWE_ENCS),
        "require_signed_request_object": False,
        "userinfo_signing_alg_values_supported": list(id_token_algs),
        "authorization_signing_alg_values_supported": list(id_token_algs),
        "introspection_signing_alg_values_supported": list(id_token_algs),
        **{
            f"{kind}_encryption_{half}_values_supported": list(values)
            for kind in ENCRYPTED
            for half, values in (("alg", JWE_ALGS), ("enc", JWE_ENCS))
        },
        "protected_resources": [issuer],
        **(_aliases(mtls_url) if mtls_url else {}),
        "ui_locales_supported": list(LOCALES),
        "service_documentation": f"{issuer}/docs",
    }  # fmt: skip


class ElectronicProof(NamedTuple):
    """What can verify somebody without a clerk: the name of its rules, the types of records, whether signatures."""

    framework: str
    records: tuple[str, ...]
    signatures: bool


def _verified(trust_framework: str, electronic: ElectronicProof | None) -> dict[str, Any]:
    """OpenID Connect for Identity Assurance 1.0 section 8: of electronic evidence only where an authority gives it."""
    return {
        "verified_claims_supported": True,
        "trust_frameworks_supported": [trust_framework, *([electronic.framework] if electronic else [])],
        "evidence_supported": [
            "document",
            *([RECORD] if electronic else []),
            *([SIGNATURE] if electronic and electronic.signatures else []),
        ],
        **({"electronic_records_supported": list(electronic.records)} if electronic else {}),
        "documents_supported": list(DOCUMENTS),
        "documents_check_methods_supported": list(CHECKS),
        "claims_in_verified_claims_supported": list(VERIFIED),
    }


def _aliases(mtls_url: str) -> dict[str, Any]:
    """RFC 8705 sections 3.3 and 5: the same endpoints where the TLS listener asks for a certificate."""
    paths = {
        "token_endpoint": "token", "userinfo_endpoint": "userinfo", "introspection_endpoint": "introspect",
        "revocation_endpoint": "revoke", "pushed_authorization_request_endpoint": "par",
        "device_authorization_endpoint": "device_authorization",
        "backchannel_authentication_endpoint": "backchannel-authentication", "grant_management_endpoint": "grants",
    }  # fmt: skip
    aliases = {name: f"{mtls_url}/oauth/{path}" for name, path in paths.items()}
    return {"tls_client_certificate_bound_access_tokens": True, "mtls_endpoint_aliases": aliases}


def handler(make: Callable[[], dict[str, Any]]) -> Callable[[Call], Awaitable[Reply]]:
    """Serve the document as prebuilt bytes; made at the first request, when every package has plugged in."""
    kept: list[Reply] = []

    async def serve(_: Call) -> Reply:
        if not kept:
            headers = [JSON, (b"cache-control", b"public, max-age=300"), _ANYBODY]
            kept.append(Reply(200, orjson.dumps(make()), headers))
        return kept[0]

    return serve
