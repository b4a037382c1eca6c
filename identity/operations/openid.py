"""Operations of OpenID Connect: signing out, starting a service, userinfo; discovery."""

from identity.operations.shared import ANYWHERE, PAGE, Operation, answer, problem

START: Operation = {
    "operationId": "identity_start_service",
    "tags": ["openid"],
    "summary": "Begin at a service (OpenID Connect Core section 4; for browsers)",
    "parameters": [{"name": "client_id", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "303": {"description": "To the service's own start, with `iss`"},
        "400": {"description": "No such service, or it can't be begun here", "content": PAGE},
    },
}
CHECK_SESSION: Operation = {
    "operationId": "identity_check_session",
    "tags": ["openid"],
    "summary": "A page for a service's frame (OpenID Connect Session Management section 3.2)",
    "responses": {"200": {"description": "A script that answers messages", "content": PAGE}, **ANYWHERE},
}
SHOW_CERTIFICATE: Operation = {
    "operationId": "identity_show_certificate",
    "tags": ["openid"],
    "summary": "Where a browser shows its certificate (for browsers, at the listener that asks for one)",
    "parameters": [
        {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
        for name in ("begun", "authority")
    ],
    "responses": {"303": {"description": "Back to the sign-in, with a ticket for one use or a word why not"}},
}
SIGNED_OUT: Operation = {
    "operationId": "identity_signed_out",
    "tags": ["openid"],
    "summary": "After signing out: the services' frames, and the way on (for browsers)",
    "parameters": [{"name": "t", "in": "query", "required": True, "schema": {"type": "string"}}],
    "responses": {
        "200": {"description": "The page (Front-Channel Logout 1.0)", "content": PAGE},
        "400": {"description": "No such page, or too old", "content": PAGE},
    },
}
_END = {
    name: {"type": "string"}
    for name in ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales")
}


def end_session(method: str) -> Operation:
    """One of the two rows of `/oauth/end-session`."""
    operation: Operation = {
        "operationId": f"identity_end_session_{method}",
        "tags": ["openid"],
        "summary": "Sign out at the wish of a service (for browsers)",
        "responses": {
            "303": {"description": "Signed out, and to the service; or to the page that asks the person"},
            "400": {"description": "An address that is not the client's, or a hint that is not ours", "content": PAGE},
        },
    }
    if method == "get":
        operation["parameters"] = [{"name": name, "in": "query", "schema": kind} for name, kind in _END.items()]
    else:
        form = {"schema": {"type": "object", "properties": _END}}
        operation["requestBody"] = {"content": {"application/x-www-form-urlencoded": form}}
        operation["responses"]["413"] = problem("The body is too large")
    return operation


def userinfo(method: str) -> Operation:
    """One of the two rows of `/oauth/userinfo`."""
    return {
        "operationId": f"identity_userinfo_{method}",
        "tags": ["openid"],
        "summary": "Claims about the resident who authorized the token",
        "security": [{"bearer": []}],
        "responses": {
            "200": answer(
                "The claims of the granted scopes",
                {"type": "object", "required": ["sub"], "properties": {"sub": {"type": "string"}}},
                {"sub": "3f1c0Qj9n0nDkV1YtJ3s5cQH2vJmWmQ0b0b1c2d3e4f", "name": "湊 花子"},
            ),
            "400": problem("The token was sent in two ways"),
            "401": problem("No token, or one that is not honoured"),
            "403": problem("The token lacks the scope openid"),
            "429": problem("Asked very often under one grant; Retry-After says when to ask again"),
            "410": problem("The resident's data was erased"),
            **ANYWHERE,
        },
    }


def metadata(name: str, summary: str, key: str = "issuer") -> Operation:
    """A metadata document; `key` is the member that names whom it is about."""
    return {
        "operationId": f"identity_{name}",
        "tags": ["discovery"],
        "summary": summary,
        "responses": {
            "200": answer(
                "The metadata document",
                {"type": "object", "required": [key], "properties": {key: {"type": "string"}}},
                {key: "https://id.city.example", "jwks_uri": "https://id.city.example/oauth/jwks"},
            )
        },
    }
