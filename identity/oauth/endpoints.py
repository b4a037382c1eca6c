"""The front rows of OAuth and OpenID Connect: path, handler, OpenAPI operation.

Forms are parsed by hand, so their schemas are written by hand too.
"""

from typing import Any, get_args

from identity.oauth.answers import PATH as ANSWER_PATH
from identity.oauth.answers import Answers
from identity.oauth.authorize import Authorize
from identity.oauth.backchannel import PATH as BACKCHANNEL_PATH
from identity.oauth.backchannel import BackchannelAuthentication
from identity.oauth.device import PATH as DEVICE_PATH
from identity.oauth.device import QR_PATH, DeviceAuthorization
from identity.oauth.introspection import Introspection
from identity.oauth.par import PushedRequests
from identity.oauth.registration import PATH as REGISTER_PATH
from identity.oauth.registration import ClientRegistration
from identity.oauth.request import MODES
from identity.oauth.resource_metadata import PATH as RESOURCE_PATH
from identity.oauth.revocation import Revocation
from identity.oauth.token import TokenEndpoint
from identity.oidc.end_session import DONE as DONE_PATH
from identity.oidc.end_session import PATH as END_PATH
from identity.oidc.end_session import EndSession
from identity.oidc.initiate import PATH as START_PATH
from identity.oidc.initiate import Initiate
from identity.oidc.userinfo import UserInfo
from identity.registration import GrantType
from kit.front import Handler
from kit.host import Host

Operation = dict[str, Any]

_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
_AUTH = {
    "client_id": {"type": "string"},
    "client_secret": {"type": "string"},
    "client_assertion_type": {"type": "string"},
    "client_assertion": {"type": "string"},
}
_ASKED = {
    "response_type": {"type": "string", "enum": ["code"]},
    "response_mode": {"type": "string", "enum": list(MODES)},
    "redirect_uri": {"type": "string"},
    "scope": {"type": "string"},
    "state": {"type": "string"},
    "nonce": {"type": "string"},
    "code_challenge": {"type": "string"},
    "code_challenge_method": {"type": "string", "enum": ["S256"]},
    "authorization_details": {"type": "string", "description": "JSON array (RFC 9396)"},
    "resource": {"type": "string", "format": "uri"},
    "dpop_jkt": {"type": "string"},
    "prompt": {"type": "string"},
    "max_age": {"type": "string"},
    "login_hint": {"type": "string"},
    "id_token_hint": {"type": "string"},
    "ui_locales": {"type": "string"},
    "acr_values": {"type": "string"},
    "claims": {"type": "string", "description": "JSON object (OpenID Connect Core section 5.5)"},
    "request": {"type": "string", "description": "The request as a signed JWT (RFC 9101); the rest is then ignored"},
}


def _answer(description: str, schema: dict[str, Any] | None = None, example: Any = None) -> dict[str, Any]:
    if schema is None:
        return {"description": description}
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }


_ANYWHERE = {"413": _problem("The body is too large"), "503": _problem("Busy or stopping; nothing was done")}


def _form(
    name: str,
    summary: str,
    properties: dict[str, Any],
    required: list[str],
    responses: dict[str, Any],
    description: str = "",
) -> Operation:
    return {
        "operationId": f"identity_{name}",
        "tags": ["oauth"],
        "summary": summary,
        "description": description,
        "security": [{"client_secret_basic": []}, {}],
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {"type": "object", "required": required, "properties": properties}
                }
            },
        },
        "responses": {
            **responses,
            "400": _answer("An OAuth error (RFC 6749 section 5.2)", _ERROR, {"error": "invalid_request"}),
            "401": _answer("Client authentication failed", _ERROR, {"error": "invalid_client"}),
            **_ANYWHERE,
        },
    }


TOKEN = _form(
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
        **_AUTH,
    },
    ["grant_type"],
    {
        "200": _answer(
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
                },
            },
            {"access_token": "eyJ0eXAiOiJhdCtqd3QifQ.e30.c2ln", "token_type": "Bearer", "expires_in": 300},
        )
    },
    "Authorization code with PKCE, refresh with rotation, client credentials, device code, token exchange, JWT bearer, "
    "CIBA. A DPoP header binds the tokens, and so does the certificate of a client that registered for it (RFC 8705).",
)
PAR = _form(
    "pushed_authorization_request",
    "Push an authorization request (RFC 9126)",
    {**_ASKED, **_AUTH},
    ["response_type"],
    {
        "201": _answer(
            "The request is kept for a moment",
            {
                "type": "object",
                "required": ["request_uri", "expires_in"],
                "properties": {"request_uri": {"type": "string"}, "expires_in": {"type": "integer"}},
            },
            {"request_uri": "urn:ietf:params:oauth:request_uri:par_6esc_11ACC5bwc014ltc14eY22c", "expires_in": 90},
        ),
        "429": _answer(
            "A public client pushes too often from one network; see Retry-After (section 2.3)",
            _ERROR,
            {"error": "temporarily_unavailable"},
        ),
    },
)
_TOO_OFTEN = _answer("Too often from one network; see Retry-After", _ERROR, {"error": "temporarily_unavailable"})
DEVICE = _form(
    "device_authorization",
    "Ask for a device that a resident answers for elsewhere (RFC 8628)",
    {
        **{name: _ASKED[name] for name in ("scope", "authorization_details", "resource", "acr_values", "claims")},
        **_AUTH,
    },
    [],
    {
        "200": _answer(
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
        "400": _answer("That is no code", _ERROR, {"error": "invalid_request"}),
        "429": _TOO_OFTEN,
        "503": _problem("Busy or stopping; nothing was done"),
    },
}
BACKCHANNEL = _form(
    "backchannel_authentication",
    "Ask a resident who answers on a page of their own (CIBA Core 1.0, poll and ping)",
    {
        **{name: _ASKED[name] for name in ("scope", "authorization_details", "resource", "acr_values", "claims")},
        "login_hint": {"type": "string"},
        "id_token_hint": {"type": "string"},
        "binding_message": {"type": "string"},
        "client_notification_token": {"type": "string"},
        "requested_expiry": {"type": "string"},
        "request": {"type": "string", "description": "The request as a signed JWT (section 7.1.1)"},
        **_AUTH,
    },
    [],
    {
        "200": _answer(
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
INTROSPECT = _form(
    "introspect",
    "Ask what a token is worth now (RFC 7662)",
    {"token": {"type": "string"}, "token_type_hint": {"type": "string"}, **_AUTH},
    ["token"],
    {
        "200": _answer(
            "What the token says, if it is active and the caller may know",
            {"type": "object", "required": ["active"], "properties": {"active": {"type": "boolean"}}},
            {"active": False},
        )
    },
    "Signed (RFC 9701) for who sends `Accept: application/token-introspection+jwt` or registered "
    "`introspection_signed_response_alg`.",
)
REVOKE = _form(
    "revoke",
    "Give up a token (RFC 7009)",
    {"token": {"type": "string"}, "token_type_hint": {"type": "string"}, **_AUTH},
    ["token"],
    {"200": {"description": "The token is not honoured any more, if it ever was"}},
)
_REDIRECTS = {
    "303": {"description": "To the client with a code or an error, or to a page that asks the resident"},
    "400": {
        "description": "Client or redirect_uri could not be proved: a page, never a redirect",
        "content": {"text/html": {"schema": {"type": "string"}}},
    },
    "503": _problem("Busy or stopping; nothing was done"),
}
AUTHORIZE: Operation = {
    "operationId": "identity_authorize",
    "tags": ["oauth"],
    "summary": "Ask a resident's authorization (for browsers)",
    "parameters": [
        {"name": name, "in": "query", "required": name == "client_id", "schema": {"type": "string"}}
        for name in ("client_id", "request_uri", *_ASKED)
    ],
    "responses": _REDIRECTS,
}
ANSWER: Operation = {
    "operationId": "identity_answer",
    "tags": ["oauth"],
    "summary": "Way station of an answer that is signed or goes by a form (for browsers)",
    "parameters": [{"name": "t", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {
            "description": "A form that sends itself to the client",
            "content": {"text/html": {"schema": {"type": "string"}}},
        },
        "303": {"description": "To the client, with `response` (JARM)"},
        "400": {"description": "No such answer, or too old", "content": {"text/html": {"schema": {"type": "string"}}}},
    },
}
_END = {
    name: {"type": "string"}
    for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales")
}
_PAGE = {"text/html": {"schema": {"type": "string"}}}
START: Operation = {
    "operationId": "identity_start_service",
    "tags": ["openid"],
    "summary": "Begin at a service (OpenID Connect Core section 4; for browsers)",
    "parameters": [{"name": "client_id", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "303": {"description": "To the service's own start, with `iss`"},
        "400": {"description": "No such service, or it can't be begun here", "content": _PAGE},
    },
}
CHECK_SESSION: Operation = {
    "operationId": "identity_check_session",
    "tags": ["openid"],
    "summary": "A page for a service's frame (OpenID Connect Session Management section 3.2)",
    "responses": {"200": {"description": "A script that answers messages", "content": _PAGE}, **_ANYWHERE},
}
SIGNED_OUT: Operation = {
    "operationId": "identity_signed_out",
    "tags": ["openid"],
    "summary": "After signing out: the services' frames, and the way on (for browsers)",
    "parameters": [{"name": "t", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {"description": "The page (Front-Channel Logout 1.0)", "content": _PAGE},
        "400": {"description": "No such page, or too old", "content": _PAGE},
    },
}


def _ending(method: str) -> Operation:
    operation: Operation = {
        "operationId": f"identity_end_session_{method}",
        "tags": ["openid"],
        "summary": "Sign out at the wish of a service (for browsers)",
        "responses": {
            "303": {"description": "Signed out, and to the service; or to the page that asks the person"},
            "400": {"description": "An address that is not the client's, or a hint that is not ours", "content": _PAGE},
        },
    }
    if method == "get":
        operation["parameters"] = [{"name": name, "in": "query", "schema": kind} for name, kind in _END.items()]
    else:
        form = {"schema": {"type": "object", "properties": _END}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": form}}
        operation["responses"]["413"] = _problem("The body is too large")
    return operation


AUTHORIZE_POST: Operation = {
    "operationId": "identity_authorize_post",
    "tags": ["oauth"],
    "summary": "The same by POST; taken up again by GET",
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"client_id": {"type": "string"}, **_ASKED}}
            }
        }
    },
    "responses": {**_REDIRECTS, "413": _problem("The body is too large")},
}


def _userinfo(method: str) -> Operation:
    return {
        "operationId": f"identity_userinfo_{method}",
        "tags": ["openid"],
        "summary": "Claims about the resident who authorized the token",
        "security": [{"bearer": []}],
        "responses": {
            "200": _answer(
                "The claims of the granted scopes",
                {"type": "object", "required": ["sub"], "properties": {"sub": {"type": "string"}}},
                {"sub": "3f1c0Qj9n0nDkV1YtJ3s5cQH2vJmWmQ0b0b1c2d3e4f", "name": "湊 花子"},
            ),
            "400": _problem("The token was sent in two ways"),
            "401": _problem("No token, or one that is not honoured"),
            "403": _problem("The token lacks the scope openid"),
            "429": _problem("Asked very often under one grant; Retry-After says when to ask again"),
            "410": _problem("The resident's data was erased"),
            **_ANYWHERE,
        },
    }


_METADATA = {
    "type": "object",
    "additionalProperties": True,
    "properties": {"redirect_uris": {"type": "array", "items": {"type": "string"}}, "client_name": {"type": "string"}},
    "example": {"redirect_uris": ["https://clinic.example/cb"], "client_name": "Clinic", "client_name#ja": "診療所"},
}
_CLIENT_ID = [{"name": "client_id", "in": "path", "required": True, "schema": {"type": "string"}}]
_REGISTERED = _answer(
    "The client as registered (RFC 7591 section 3.2.1)",
    {"type": "object", "required": ["client_id"], "properties": {"client_id": {"type": "string"}}},
    {"client_id": "cli_01k0000000000000000000000", "registration_access_token": "srt_…", "client_secret_expires_at": 0},
)


def _registering(name: str, summary: str, status: str, answer: dict[str, Any], *, below: bool, body: bool) -> Operation:
    operation: Operation = {
        "operationId": f"identity_{name}",
        "tags": ["registration"],
        "summary": summary,
        "security": [{"bearer": []}] if below else [{"bearer": []}, {}],
        "responses": {
            status: answer,
            "400": _answer("Refused (RFC 7591 section 3.2.2)", _ERROR, {"error": "invalid_redirect_uri"}),
            "401": _answer("No token, or one that is not good here", _ERROR, {"error": "invalid_token"}),
            **_ANYWHERE,
        },
    }
    if below:
        operation["parameters"] = _CLIENT_ID
        operation["responses"]["403"] = _answer("The client is suspended", _ERROR, {"error": "access_denied"})
    else:
        operation["responses"]["404"] = _problem("Clients can't register themselves here")
        operation["responses"]["429"] = _answer("Too often", _ERROR, {"error": "temporarily_unavailable"})
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _METADATA}}}
    return operation


REGISTER = _registering("register_client", "Register a client (RFC 7591)", "201", _REGISTERED, below=False, body=True)
REGISTERED = _registering(
    "read_registration", "A client's own registration (RFC 7592)", "200", _REGISTERED, below=True, body=False
)
REREGISTER = _registering(
    "replace_registration", "Replace a client's registration", "200", _REGISTERED, below=True, body=True
)
UNREGISTER = _registering(
    "delete_registration", "End a client", "204", {"description": "Ended"}, below=True, body=False
)


def _document(name: str, summary: str, key: str = "issuer") -> Operation:
    return {
        "operationId": f"identity_{name}",
        "tags": ["discovery"],
        "summary": summary,
        "responses": {
            "200": _answer(
                "The metadata document",
                {"type": "object", "required": [key], "properties": {key: {"type": "string"}}},
                {key: "https://id.city.example", "jwks_uri": "https://id.city.example/oauth/jwks"},
            )
        },
    }


def register(
    host: Host,
    *,
    authorize: Authorize,
    token: TokenEndpoint,
    pushed: PushedRequests,
    device: DeviceAuthorization,
    backchannel: BackchannelAuthentication,
    introspection: Introspection,
    revocation: Revocation,
    userinfo: UserInfo,
    registration: ClientRegistration,
    answers: Answers,
    end_session: EndSession,
    initiate: Initiate,
    document: Handler,
    resource: Handler,
) -> None:
    """Put the rows into the front table. The callers prove themselves here, so the audience is `public`."""
    openid = _document("openid_configuration", "OpenID Connect discovery")
    server = _document("authorization_server", "Authorization server metadata (RFC 8414)")
    host.front("GET", "/.well-known/openid-configuration", "public", document, openid, cors=True)
    host.front("GET", "/.well-known/oauth-authorization-server", "public", document, server, cors=True)
    described = _document("protected_resource", "Protected resource metadata (RFC 9728)", "resource")
    host.front("GET", RESOURCE_PATH, "public", resource, described, cors=True)
    host.front("GET", "/oauth/authorize", "public", authorize.get, AUTHORIZE)
    host.front("POST", "/oauth/authorize", "public", authorize.post, AUTHORIZE_POST)
    host.front("GET", ANSWER_PATH, "public", answers.endpoint, ANSWER)
    host.front("GET", END_PATH, "public", end_session.get, _ending("get"))
    host.front("POST", END_PATH, "public", end_session.post, _ending("post"))
    host.front("GET", START_PATH, "public", initiate.get, START)
    host.front("GET", DONE_PATH, "public", end_session.done, SIGNED_OUT)
    host.front("POST", "/oauth/token", "public", token.endpoint, TOKEN, cors=True)
    host.front("POST", "/oauth/par", "public", pushed.endpoint, PAR, cors=True)
    host.front("POST", DEVICE_PATH, "public", device.endpoint, DEVICE, cors=True)
    host.front("POST", BACKCHANNEL_PATH, "public", backchannel.endpoint, BACKCHANNEL)
    host.front("GET", QR_PATH, "public", device.picture, QR)
    host.front("POST", "/oauth/introspect", "public", introspection.endpoint, INTROSPECT)
    host.front("POST", "/oauth/revoke", "public", revocation.endpoint, REVOKE, cors=True)
    host.front("POST", REGISTER_PATH, "public", registration.register, REGISTER)
    below = REGISTER_PATH + "/"
    host.front("GET", below, "public", registration.read, REGISTERED, prefix=True)
    host.front("PUT", below, "public", registration.update, REREGISTER, prefix=True)
    host.front("DELETE", below, "public", registration.delete, UNREGISTER, prefix=True)
    host.front("GET", "/oauth/userinfo", "public", userinfo.endpoint, _userinfo("get"), cors=True)
    host.front("POST", "/oauth/userinfo", "public", userinfo.endpoint, _userinfo("post"), cors=True)
