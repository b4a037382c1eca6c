"""What the operations share: the parameters of a request, the shapes of errors. Forms are parsed by hand, so their
schemas are written by hand too.
"""

from typing import Any

from identity.oauth.request import MODES

Operation = dict[str, Any]
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}
PAGE = {"text/html": {"schema": {"type": "string"}}}
AUTH = {
    "client_id": {"type": "string"},
    "client_secret": {"type": "string"},
    "client_assertion_type": {"type": "string"},
    "client_assertion": {"type": "string"},
}
ASKED = {
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
    "grant_management_action": {"type": "string", "enum": ["create", "merge", "replace"]},
    "grant_id": {"type": "string", "description": "Of the grant to merge into or to replace"},
    "request": {"type": "string", "description": "The request as a signed JWT (RFC 9101); the rest is then ignored"},
}


def answer(description: str, schema: dict[str, Any] | None = None, example: Any = None) -> dict[str, Any]:
    """A response in JSON, or one without a body where no schema is given."""
    if schema is None:
        return {"description": description}
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {"description": description, "content": {"application/json": content}}


def problem(description: str) -> dict[str, Any]:
    """A response that is a problem document (RFC 9457)."""
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }


ANYWHERE = {"413": problem("The body is too large"), "503": problem("Busy or stopping; nothing was done")}


def form(
    name: str,
    summary: str,
    properties: dict[str, Any],
    required: list[str],
    responses: dict[str, Any],
    description: str = "",
) -> Operation:
    """An endpoint that takes a form from a client, with the errors all of them share."""
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
            "400": answer("An OAuth error (RFC 6749 section 5.2)", ERROR, {"error": "invalid_request"}),
            "401": answer("Client authentication failed", ERROR, {"error": "invalid_client"}),
            **ANYWHERE,
        },
    }
