"""Operations of client registration (RFC 7591, 7592)."""

from typing import Any

from identity.operations.shared import ANYWHERE, ERROR, Operation, answer, problem

_METADATA = {
    "type": "object",
    "additionalProperties": True,
    "properties": {"redirect_uris": {"type": "array", "items": {"type": "string"}}, "client_name": {"type": "string"}},
    "example": {"redirect_uris": ["https://clinic.example/cb"], "client_name": "Clinic", "client_name#ja": "診療所"},
}
_CLIENT_ID = [{"name": "client_id", "in": "path", "required": True, "schema": {"type": "string"}}]
_REGISTERED = answer(
    "The client as registered (RFC 7591 section 3.2.1)",
    {"type": "object", "required": ["client_id"], "properties": {"client_id": {"type": "string"}}},
    {"client_id": "cli_01k0000000000000000000000", "registration_access_token": "srt_…", "client_secret_expires_at": 0},
)


def _registering(name: str, summary: str, status: str, good: dict[str, Any], *, below: bool, body: bool) -> Operation:
    operation: Operation = {
        "operationId": f"identity_{name}",
        "tags": ["registration"],
        "summary": summary,
        "security": [{"bearer": []}] if below else [{"bearer": []}, {}],
        "responses": {
            status: good,
            "400": answer("Refused (RFC 7591 section 3.2.2)", ERROR, {"error": "invalid_redirect_uri"}),
            "401": answer("No token, or one that is not good here", ERROR, {"error": "invalid_token"}),
            **ANYWHERE,
        },
    }
    if below:
        operation["parameters"] = _CLIENT_ID
        operation["responses"]["403"] = answer("The client is suspended", ERROR, {"error": "access_denied"})
    else:
        operation["responses"]["404"] = problem("Clients can't register themselves here")
        operation["responses"]["429"] = answer("Too often", ERROR, {"error": "temporarily_unavailable"})
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

LOGO: Operation = {
    "operationId": "identity_client_logo",
    "tags": ["oauth"],
    "summary": "A service's logo, by the SHA-256 of its bytes",
    "parameters": [{"name": "digest", "in": "path", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {
            "description": "The picture",
            "content": {
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in ("image/png", "image/jpeg", "image/webp")
            },
        },
        "404": problem("No picture has this digest"),
        "503": problem("Busy or stopping; nothing was done"),
    },
}
