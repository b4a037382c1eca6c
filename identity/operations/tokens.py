"""Operations that clients call: tokens, and what may be asked before and after (tag `oauth`)."""

from typing import Any, get_args

from identity.operations.shared import ANYWHERE, ASKED, AUTH, ERROR, Operation, answer, form, problem
from identity.registration import GrantType

TOKEN = form(
    "token",
    "Get tokens",
    {
        "grant_type": {"type": "string", "enum": list(get_args(GrantType))},
        "code": {"type": "string"},
        "redirect_uri": {"type": "string"},
        "code_verifier": {"type": "string"},
        "refresh_token": {"type": "string"},
        "device_code": {"type": "string"},
        "auth_req_id": {"type": "string"},
        "assertion": {"type": "string"},
        "subject_token": {"type": "string"},
        "subject_token_type": {"type": "string"},
        "actor_token": {"type": "string"},
        "actor_token_type": {"type": "string"},
        "requested_token_type": {"type": "string"},
        "audience": {"type": "string"},
        "scope": {"type": "string"},
        "resource": {"type": "string"},
        **AUTH,
    },
    ["grant_type"],
    {
        "200": answer(
            "Tokens (RFC 6749 section 5.1)",
            {
                "type": "object",
                "required": ["access_token", "token_type", "expires_in"],
                "properties": {
                    "access_token": {"type": "string"},
                    "token_type": {"type": "string", "enum": ["Bearer", "DPoP"]},
                    "expires_in": {"type": "integer"},
                    "scope": {"type": "string"},
                    "refresh_token": {"type": "string"},
                    "issued_token_type": {"type": "string"},
                    "id_token": {"type": "string"},
                    "authorization_details": {"type": "array", "items": {"type": "object"}},
                    "grant_id": {"type": "string", "description": "Where a grant_management_action was asked for"},
                },
            },
            {"access_token": "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln", "token_type": "Bearer", "expires_in": 300},
        )
    },
    "Authorization code with PKCE, refresh with rotation, client credentials, device code, token exchange, JWT bearer, "
    "CIBA. A DPoP header binds the tokens, and so does the certificate of a client that registered for it (RFC 8705).",
)
PAR = form(
    "pushed_authorization_request",
    "Push an authorization request (RFC 9126)",
    {**ASKED, **AUTH},
    ["response_type"],
    {
        "201": answer(
            "The request is kept for a moment",
            {
                "type": "object",
                "required": ["request_uri", "expires_in"],
                "properties": {"request_uri": {"type": "string"}, "expires_in": {"type": "integer"}},
            },
            {"request_uri": "urn:ietf:params:oauth:request_uri:par_6esc_11ACC5bwc014ltc14eY22c", "expires_in": 90},
        ),
        "429": answer(
            "A public client pushes too often from one network; see Retry-After (section 2.3)",
            ERROR,
            {"error": "temporarily_unavailable"},
        ),
    },
)
_ELSEWHERE = (
    "scope", "authorization_details", "resource", "acr_values", "claims", "grant_management_action", "grant_id",
)  # fmt: skip
_TOO_OFTEN = answer("Too often from one network; see Retry-After", ERROR, {"error": "temporarily_unavailable"})
DEVICE = form(
    "device_authorization",
    "Ask for a device that a resident answers for elsewhere (RFC 8628)",
    {
        **{name: ASKED[name] for name in _ELSEWHERE},
        **AUTH,
    },
    [],
    {
        "200": answer(
            "A secret to poll with and a code to show (section 3.2); `verification_qr_uri` is a picture of it",
            {
                "type": "object",
                "required": ["device_code", "user_code", "verification_uri", "expires_in"],
                "properties": {
                    "device_code": {"type": "string"},
                    "user_code": {"type": "string"},
                    "verification_uri": {"type": "string", "format": "uri"},
                    "verification_uri_complete": {"type": "string", "format": "uri"},
                    "verification_qr_uri": {"type": "string", "format": "uri"},
                    "expires_in": {"type": "integer"},
                    "interval": {"type": "integer"},
                },
            },
            {
                "device_code": "dvc_GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
                "user_code": "WDJB-MJHT",
                "verification_uri": "https://id.city.example/device",
                "verification_uri_complete": "https://id.city.example/device?user_code=WDJB-MJHT",
                "verification_qr_uri": "https://id.city.example/oauth/device_qr?user_code=WDJB-MJHT",
                "expires_in": 600,
                "interval": 5,
            },
        ),
        "429": _TOO_OFTEN,
    },
)
QR: Operation = {
    "operationId": "identity_device_qr",
    "tags": ["oauth"],
    "summary": "The address a resident opens, as a picture for a device to show (RFC 8628 section 3.3.1)",
    "parameters": [{"name": "user_code", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {"description": "A QR code", "content": {"image/svg+xml": {"schema": {"type": "string"}}}},
        "400": answer("That is no code", ERROR, {"error": "invalid_request"}),
        "429": _TOO_OFTEN,
        "503": problem("Busy or stopping; nothing was done"),
    },
}
BACKCHANNEL = form(
    "backchannel_authentication",
    "Ask a resident who answers on a page of their own (CIBA Core 1.0, poll and ping)",
    {
        **{name: ASKED[name] for name in _ELSEWHERE},
        "login_hint": {"type": "string"},
        "id_token_hint": {"type": "string"},
        "binding_message": {"type": "string"},
        "client_notification_token": {"type": "string"},
        "requested_expiry": {"type": "string"},
        "request": {"type": "string", "description": "The request as a signed JWT (section 7.1.1)"},
        **AUTH,
    },
    [],
    {
        "200": answer(
            "Accepted, whether or not such a person exists (section 7.3)",
            {
                "type": "object",
                "required": ["auth_req_id", "expires_in"],
                "properties": {
                    "auth_req_id": {"type": "string"},
                    "expires_in": {"type": "integer"},
                    "interval": {"type": "integer"},
                },
            },
            {"auth_req_id": "cba_GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS", "expires_in": 600, "interval": 5},
        )
    },
)
INTROSPECT = form(
    "introspect",
    "Ask what a token is worth now (RFC 7662)",
    {"token": {"type": "string"}, "token_type_hint": {"type": "string"}, **AUTH},
    ["token"],
    {
        "200": answer(
            "What the token says, if it is active and the caller may know",
            {"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}},
            {"active": False},
        )
    },
    "Signed (RFC 9701) for who sends `Accept: application/token-introspection+jwt` or registered "
    "`introspection_signed_response_alg`.",
)
REVOKE = form(
    "revoke",
    "Give up a token (RFC 7009)",
    {"token": {"type": "string"}, "token_type_hint": {"type": "string"}, **AUTH},
    ["token"],
    {"200": {"description": "The token is not honoured any more, if it ever was"}},
)


def _grant(name: str, summary: str, scope: str, status: str, good: dict[str, Any]) -> Operation:
    return {
        "operationId": f"identity_{name}",
        "tags": ["oauth"],
        "summary": summary,
        "description": f"With a token of the client's own that has the scope `{scope}`.",
        "security": [{"bearer": []}],
        "parameters": [{"name": "grant_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {
            status: good,
            "401": problem("No token, or one that is not honoured"),
            "403": problem("The token lacks the scope, or is not the client's own"),
            "404": problem("No grant of this client has this id"),
            **ANYWHERE,
        },
    }


GRANT = _grant(
    "query_grant",
    "What a grant holds now (Grant Management for OAuth 2.0)",
    "grant_management_query",
    "200",
    answer(
        "Scopes, claims and details as granted (section 6.4)",
        {"type": "object", "properties": {"scopes": {"type": "array", "items": {"type": "object"}}}},
        {"scopes": [{"scope": "openid"}], "claims": [], "created_at": 1795312800, "last_updated_at": 1795312800},
    ),
)
REVOKE_GRANT = _grant(
    "give_back_grant",
    "Give a grant back, and every consent it rests on",
    "grant_management_revoke",
    "204",
    {"description": "Nothing under it is honoured any more (section 6.5)"},
)
REHEARSAL: Operation = {
    "operationId": "identity_backchannel_rehearsal",
    "tags": ["oauth"],
    "summary": "Answer in a resident's place (conformance suites only; not there unless a setting asks for it)",
    "parameters": [
        {"name": "auth_req_id", "in": "query", "required": True, "schema": {"type": "string"}},
        {"name": "action", "in": "query", "required": True, "schema": {"enum": ["allow", "deny"]}},
    ],
    "responses": {"200": answer("Answered"), "400": answer("Nothing to answer", ERROR)},
}
