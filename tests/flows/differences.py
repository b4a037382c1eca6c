"""Where ours and npm oidc-provider answer the same request differently, and why: ours first, then theirs.

Checked by test_differential.py in both directions: nothing is missing here, and nothing is here that is gone.
"""

DIFFERENCES: dict[str, dict[str, tuple[str, str]]] = {
    (
        "A parameter that is not UTF-8, holds a control character, is badly escaped or has no name spoils the "
        "request; they read on. What two programs read differently is how one of them is deceived."
    ): {
        "authorize: response_type with a NUL": (
            "to the client: invalid_request",
            "to the client: unsupported_response_type",
        ),
        "authorize: response_type with a broken escape": (
            "to the client: invalid_request",
            "to the client: unsupported_response_type",
        ),
        "authorize: response_type that is not UTF-8": (
            "to the client: invalid_request",
            "to the client: unsupported_response_type",
        ),
        "authorize: scope with a NUL": ("to the client: invalid_request", "to the client: invalid_scope"),
        "authorize: scope with a broken escape": ("to the client: invalid_request", "goes on"),
        "authorize: scope that is not UTF-8": ("to the client: invalid_request", "to the client: invalid_scope"),
        "authorize: state with a NUL": ("to the client: invalid_request", "goes on"),
        "authorize: state with a broken escape": ("to the client: invalid_request", "goes on"),
        "authorize: state that is not UTF-8": ("to the client: invalid_request", "goes on"),
        "authorize: nonce with a NUL": ("to the client: invalid_request", "goes on"),
        "authorize: nonce with a broken escape": ("to the client: invalid_request", "goes on"),
        "authorize: nonce that is not UTF-8": ("to the client: invalid_request", "goes on"),
        "authorize: scope 'openid\\tprofile'": ("to the client: invalid_request", "to the client: invalid_scope"),
        "token: a parameter without a name": ("400 invalid_request", "accepted"),
        "token: a broken escape": ("400 invalid_request", "accepted"),
        "token: a NUL": ("400 invalid_request", "400 invalid_scope"),
        "token: not UTF-8": ("400 invalid_request", "400 invalid_scope"),
        "device: a broken escape": ("400 invalid_request", "accepted"),
        "ciba: a broken escape": ("400 invalid_request", "400 unknown_user_id"),
        "ciba: a message of many lines": ("400 invalid_request", "400 invalid_binding_message"),
    },
    (
        "redirect_uri is required with openid, pushed or not (OpenID Connect Core 3.1.2.1); they take the only "
        "registered one."
    ): {
        "authorize: without redirect_uri": ("400 page", "goes on"),
        "authorize: redirect_uri empty": ("400 page", "goes on"),
        "par: no redirect_uri": ("400 invalid_request", "accepted"),
    },
    ("An address sent twice proves nothing, so the error is a page; they answer at the registered one."): {
        "authorize: redirect_uri twice": ("400 page", "to the client: invalid_request"),
    },
    (
        "A request without openid is plain OAuth, in which a nonce means nothing; they refuse a nonce without "
        "openid, whatever the scope."
    ): {
        "authorize: without scope": ("to the client: invalid_scope", "to the client: invalid_request"),
        "authorize: scope empty": ("to the client: invalid_scope", "to the client: invalid_request"),
        "authorize: scope 'bogus'": ("to the client: invalid_scope", "to the client: invalid_request"),
        "authorize: scope 'profile'": ("goes on", "to the client: invalid_request"),
    },
    (
        "Every response type but code is unsupported_response_type (RFC 9700 2.1.2); they have more, which this "
        "client did not register, and read `code code` as one word."
    ): {
        "authorize: response_type 'id_token'": (
            "to the client: unsupported_response_type",
            "to the client: invalid_request",
        ),
        "authorize: response_type 'code id_token'": (
            "to the client: unsupported_response_type",
            "to the client: invalid_request",
        ),
        "authorize: response_type 'none'": (
            "to the client: unsupported_response_type",
            "to the client: invalid_request",
        ),
        "authorize: response_type 'code code'": ("to the client: unsupported_response_type", "goes on"),
    },
    (
        "No answer is ever put in a fragment (RFC 9700 2.1.2), and a mode that is not there is invalid_request: "
        "unsupported_response_mode is in no specification."
    ): {
        "authorize: response_mode 'fragment'": ("to the client: invalid_request", "goes on"),
        "authorize: response_mode 'bogus'": (
            "to the client: invalid_request",
            "to the client: unsupported_response_mode",
        ),
        "authorize: response_mode 'web_message'": (
            "to the client: invalid_request",
            "to the client: unsupported_response_mode",
        ),
        "authorize: response_mode 'fragment.jwt'": ("to the client: invalid_request", "goes on"),
    },
    ("A scope that a client may not have is invalid_scope (RFC 6749 3.3, 4.1.2.1, 5.2); they leave it out."): {
        "authorize: scope 'openid bogus'": ("to the client: invalid_scope", "goes on"),
        "token: its own scope 'bogus'": ("400 invalid_scope", "accepted"),
        "token: its own scope 'openid'": ("400 invalid_scope", "accepted"),
        "token: its own scope 'read bogus'": ("400 invalid_scope", "accepted"),
        "par: a bogus scope": ("400 invalid_scope", "accepted"),
        "device: a bogus scope": ("400 invalid_scope", "accepted"),
        "ciba: a bogus scope": ("400 invalid_scope", "400 unknown_user_id"),
    },
    (
        "Whole seconds in digits, and not thousands of years (Core 3.1.2.1); they take what JavaScript reads as a "
        "number."
    ): {
        "authorize: max_age '1e3'": ("to the client: invalid_request", "goes on"),
        "authorize: max_age '99999999999999'": ("to the client: invalid_request", "goes on"),
    },
    ("An empty claims object asks for nothing and is no error (Core 5.5: both members are optional)."): {
        "authorize: claims '{}'": ("goes on", "to the client: invalid_request"),
    },
    ("A SHA-256 in base64url has 43 characters (RFC 7636 4.2, RFC 9449 10)."): {
        "authorize: code_challenge 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'": (
            "to the client: invalid_request",
            "goes on",
        ),
        "authorize: dpop_jkt 'short'": ("to the client: invalid_request", "goes on"),
    },
    ("Both have limits of the whole request, met at different places."): {
        "authorize: request 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'": (
            "to the client: invalid_request_object",
            "431 refused",
        ),
        "token: a long body": ("413 refused", "400 invalid_request"),
    },
    (
        "Registered addresses are supported in request_uri here (RFC 9101), so an address that is not registered "
        "is an invalid one; with a pushed request that is unknown no redirect is proved, which makes it a page. "
        "They support none, and answer at the address beside it."
    ): {
        "authorize: request_uri 'https://evil.example/r'": (
            "to the client: invalid_request_uri",
            "to the client: request_uri_not_supported",
        ),
        "authorize: request_uri 'urn:ietf:params:oauth:request_uri:nothing'": (
            "400 page",
            "to the client: invalid_request_uri",
        ),
        "authorize: request_uri 'bogus'": (
            "to the client: invalid_request_uri",
            "to the client: request_uri_not_supported",
        ),
        "par: request_uri": ("400 invalid_request", "400 request_uri_not_supported"),
    },
    ("An unknown resource is invalid_target (RFC 8707 2); theirs asks its host program, which here has no answer."): {
        "authorize: resource 'https://bank.example/'": ("to the client: invalid_target", "500 page"),
        "token: an unknown resource": ("400 invalid_target", "500 server_error"),
    },
    ("Rich authorization requests (RFC 9396) are supported here; they ignore the parameter."): {
        "authorize: authorization_details '{'": ("to the client: invalid_authorization_details", "goes on"),
        "authorize: authorization_details '[]'": ("to the client: invalid_authorization_details", "goes on"),
        'authorize: authorization_details \'[{"type":"bogus"}]\'': (
            "to the client: invalid_authorization_details",
            "goes on",
        ),
        "device: authorization_details that are no JSON": ("400 invalid_authorization_details", "accepted"),
        "ciba: authorization_details that are no JSON": ("400 invalid_authorization_details", "400 unknown_user_id"),
    },
    ("There is a limit on what is handed back or kept, so that nobody fills our tables."): {
        "authorize: state 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'": (
            "to the client: invalid_request",
            "goes on",
        ),
        "authorize: nonce 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'": (
            "to the client: invalid_request",
            "goes on",
        ),
    },
    ("The authorization endpoint takes POST (Core 3.1.2.1); theirs has it off unless asked for."): {
        "authorize: by POST": ("goes on", "404 refused"),
        "authorize: by POST, JSON": ("400 page", "404 refused"),
    },
    ("A method that a path does not take is 405 (RFC 9110 15.5.6), not 404."): {
        "authorize: by PUT": ("405 refused", "404 refused"),
        "token: by GET": ("405 refused", "404 refused"),
        "token: by PUT": ("405 refused", "404 refused"),
        "par: by GET": ("405 refused", "404 refused"),
        "introspect: by GET": ("405 refused", "404 refused"),
        "revoke: by GET": ("405 refused", "404 refused"),
        "userinfo: by DELETE": ("405 refused", "404 refused"),
        "register: by PUT": ("405 refused", "404 refused"),
        "register: by GET": ("405 refused", "404 refused"),
        "end_session: by PUT": ("405 refused", "404 refused"),
        "ciba: by GET": ("405 refused", "404 refused"),
    },
    ("This grant type is known here, but not this client's."): {
        "token: grant_type 'urn:ietf:params:oauth:grant-type:jwt-bearer'": (
            "400 unauthorized_client",
            "400 unsupported_grant_type",
        ),
    },
    (
        "Client authentication that is missing, unknown or can't be read is invalid_client with 401 (RFC 6749 "
        "5.2); they say invalid_request."
    ): {
        "token: no proof": ("401 invalid_client", "400 invalid_request"),
        "token: an unknown client": ("401 invalid_client", "400 invalid_request"),
        "token: Basic that is not base64": ("401 invalid_client", "400 invalid_request"),
        "token: Basic without a colon": ("401 invalid_client", "400 invalid_request"),
        "token: Basic that is empty": ("401 invalid_client", "400 invalid_request"),
        "token: another scheme": ("401 invalid_client", "400 invalid_request"),
        "token: a bearer token": ("401 invalid_client", "400 invalid_request"),
        "token: a secret in the address": ("401 invalid_client", "400 invalid_request"),
        "token: an assertion that is garbage": ("401 invalid_client", "400 invalid_request"),
        "introspect: no proof": ("401 invalid_client", "400 invalid_request"),
        "revoke: no proof": ("401 invalid_client", "400 invalid_request"),
        "device: no proof": ("401 invalid_client", "400 invalid_request"),
        "ciba: no proof": ("401 invalid_client", "400 invalid_request"),
        "token: device, polling without proof": ("401 invalid_client", "400 invalid_request"),
        "token: ciba, polling without proof": ("401 invalid_client", "400 invalid_request"),
    },
    ("The same answer; they put error into a Basic challenge, which has no such parameter (RFC 7617 2)."): {
        "token: a wrong secret": ("401 invalid_client", "401 challenge invalid_client"),
        "par: a wrong secret": ("401 invalid_client", "401 challenge invalid_client"),
        "device: a wrong secret": ("401 invalid_client", "401 challenge invalid_client"),
        "ciba: a wrong secret": ("401 invalid_client", "401 challenge invalid_client"),
    },
    ("A client uses the one method it registered (Core 9); they take the secret by Basic and by body alike."): {
        "token: a way not registered": ("401 invalid_client", "accepted"),
    },
    ("A public client may not use this grant (RFC 6749 4.4) or this endpoint (RFC 7662 2.1) at all."): {
        "token: a public client for itself": ("400 unauthorized_client", "400 invalid_request"),
        "introspect: a public client": ("400 unauthorized_client", "accepted"),
    },
    (
        "A request without a token that can be read gets a challenge without an error, and one whose token is not "
        "honoured invalid_token (RFC 6750 3.1); they say invalid_request to every shape they do not take. Two "
        "tokens at once are 400 at both, named in the body here (RFC 6750 2)."
    ): {
        "userinfo: no token": ("401 refused", "401 invalid_token"),
        "userinfo: another scheme": ("401 refused", "400 challenge invalid_request"),
        "userinfo: an empty token": ("401 refused", "400 challenge invalid_request"),
        "userinfo: a made-up bound token": ("401 challenge invalid_token", "400 challenge invalid_request"),
        "userinfo: a token with spaces": ("401 challenge invalid_token", "400 challenge invalid_request"),
        "userinfo: the token in the address": ("401 refused", "400 challenge invalid_request"),
        "userinfo: two tokens": ("400 refused", "400 challenge invalid_request"),
    },
    (
        "What is wrong with a redirect address has an error of its own (RFC 7591 3.2.2, invalid_redirect_uri); they "
        "use it for some shapes only."
    ): {
        "register: redirect_uris []": ("400 invalid_redirect_uri", "400 invalid_client_metadata"),
        'register: redirect_uris ["/cb"]': ("400 invalid_redirect_uri", "400 invalid_client_metadata"),
        'register: redirect_uris ["https://clinic.example/cb#f"]': (
            "400 invalid_redirect_uri",
            "400 invalid_client_metadata",
        ),
        'register: redirect_uris ["http://clinic.example/cb"]': (
            "400 invalid_redirect_uri",
            "400 invalid_client_metadata",
        ),
        'register: redirect_uris ["javascript:alert(1)"]': ("400 invalid_redirect_uri", "400 invalid_client_metadata"),
        'register: redirect_uris ["https://clinic.example/cb", "https://clinic.example/cb#f"]': (
            "400 invalid_redirect_uri",
            "400 invalid_client_metadata",
        ),
        'register: redirect_uris ["https://["]': ("400 invalid_redirect_uri", "400 invalid_client_metadata"),
    },
    (
        "A name that is empty says nothing, as if it were not there; an unknown scope is left out of the answer, which "
        "holds what was registered (RFC 7591 3.2.1, 2). They refuse both."
    ): {
        'register: client_name ""': ("accepted", "400 invalid_client_metadata"),
        'register: scope "openid bogus"': ("accepted", "400 invalid_client_metadata"),
    },
    (
        "Who signs out is a person at a browser, so a refusal is a page, whatever was asked for; they answer JSON to "
        "who does not ask for HTML. An address without a client is refused here (RP-Initiated Logout 3.1); they drop "
        "it and ask about the sign-out, as they read past a broken escape."
    ): {
        "end_session: an address of nobody": ("400 page", "accepted"),
        "end_session: an address that is not registered": ("400 page", "400 invalid_request"),
        "end_session: a made-up hint": ("400 page", "400 invalid_request"),
        "end_session: an unsigned hint": ("400 page", "400 invalid_client"),
        "end_session: an unknown client": ("400 page", "400 invalid_client"),
        "end_session: client_id twice": ("400 page", "400 invalid_request"),
        "end_session: a broken escape": ("400 page", "accepted"),
    },
    ("Signing out takes POST too (RP-Initiated Logout 2); theirs wants the form of its own page there."): {
        "end_session: by POST, JSON": ("400 page", "404 refused"),
    },
    (
        "A client that did not register a grant is not authorized to use it: unauthorized_client (RFC 6749 5.2, which "
        "RFC 8628 3.2 and 3.5 take over; CIBA 13); they say invalid_request."
    ): {
        "device: a client without the grant": ("400 unauthorized_client", "400 invalid_request"),
        "device: a public client without the grant": ("400 unauthorized_client", "400 invalid_request"),
        "token: device, polling by a client without the grant": ("400 unauthorized_client", "400 invalid_request"),
        "ciba: a client without the grant": ("400 unauthorized_client", "400 invalid_request"),
        "ciba: a public client": ("400 unauthorized_client", "400 invalid_request"),
        "token: ciba, polling by a client without the grant": ("400 unauthorized_client", "400 invalid_request"),
    },
    ("Theirs has a page for the person behind the same address, which finds no session; here it takes POST alone."): {
        "device: by GET": ("405 refused", "400 page"),
    },
    (
        "max_age and request objects are parameters of the authorization endpoint (Core 3.1.2.1, RFC 9101 5), neither "
        "of RFC 8628 3.1's, nor max_age and request_uri of CIBA 7.1's: what is unknown is ignored (RFC 6749 3.1), the "
        "more as the resident always sees the page. They read them there too."
    ): {
        "device: max_age -1": ("accepted", "400 invalid_request"),
        "ciba: max_age -1": ("accepted", "400 invalid_request"),
        "device: a request object that is garbage": ("accepted", "400 invalid_request_object"),
        "ciba: request_uri": ("accepted", "400 request_uri_not_supported"),
    },
    (
        "A request that names no scope, or lacks openid where that is required (CIBA 7.1), is invalid_scope: there is "
        "no default (RFC 6749 3.3). They let a device ask for nothing, and say invalid_request to the other."
    ): {
        "device: no scope": ("400 invalid_scope", "accepted"),
        "ciba: no scope": ("400 invalid_scope", "400 invalid_request"),
        "ciba: no openid": ("400 invalid_scope", "400 invalid_request"),
    },
    (
        "Whether a login name is somebody's is told to nobody: the question is kept and runs out, where CIBA 13 has "
        "unknown_user_id, which they say."
    ): {
        "ciba: nobody": ("accepted", "400 unknown_user_id"),
    },
    ("login_hint_token is not supported, whatever is in it; theirs asks its host program, which knows nobody."): {
        "ciba: a made-up hint token": ("400 invalid_request", "400 unknown_user_id"),
    },
}
