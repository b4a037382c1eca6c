"""Operations that browsers are sent to: the request for authorization and its answer."""

from identity.operations.shared import ASKED, Operation, problem

_REDIRECTS = {
    "303": {"description": "To the client with a code or an error, or to a page that asks the resident"},
    "400": {
        "description": "Client or redirect_uri could not be proved: a page, never a redirect",
        "content": {"text/html": {"schema": {"type": "string"}}},
    },
    "503": problem("Busy or stopping; nothing was done"),
}
AUTHORIZE: Operation = {
    "operationId": "identity_authorize",
    "tags": ["oauth"],
    "summary": "Ask a resident's authorization (for browsers)",
    "parameters": [
        {"name": name, "in": "query", "required": name == "client_id", "schema": {"type": "string"}}
        for name in ("client_id", "request_uri", *ASKED)
    ],
    "responses": _REDIRECTS,
}
AUTHORIZE_POST: Operation = {
    "operationId": "identity_authorize_post",
    "tags": ["oauth"],
    "summary": "The same by POST; taken up again by GET",
    "requestBody": {
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {"type": "object", "properties": {"client_id": {"type": "string"}, **ASKED}}
            }
        }
    },
    "responses": {**_REDIRECTS, "413": problem("The body is too large")},
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
