"""The checks of an authorization request, in the order they are made.

RFC 6749 section 4.1.1 and 4.1.2.1, OpenID Connect Core section 3.1.2.1, 3.1.2.2 and 5.5, RFC 7636, RFC 8707, RFC 9126,
RFC 9396, RFC 9449 section 10, Grant Management for OAuth 2.0. Pure: each check reads the parameters and the client,
raises an OAuthError or returns the fields of the request it has proved. The same list serves /oauth/authorize and
/oauth/par.
"""

import re
from collections.abc import Callable
from typing import Any

from identity.assurance.verified_request import Asked, narrowed
from identity.clients import Client
from identity.fapi import SIGNED_MODES, full_mode
from identity.oauth import pkce
from identity.oauth.errors import (
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    RegistrationNotSupported,
    UnauthorizedClient,
    UnsupportedResponseType,
)
from identity.oauth.grant_actions import QUERY, REVOKE, read_action
from identity.oauth.parameters import Parameters, read_scopes, read_seconds, require
from identity.oauth.request import MODES, AuthorizationRequest
from identity.oidc import claims
from identity.registration import OFFLINE, STANDARD_SCOPES

PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_STANDARD = frozenset(STANDARD_SCOPES)
_NO_RESIDENTS = frozenset({QUERY, REVOKE})  # the client's own business
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)

Fields = dict[str, Any]
Check = Callable[[Parameters, Client], Fields]


def check_redirect_uri(parameters: Parameters, client: Client) -> str:
    """The address the browser may be sent to: one the client registered, character for character.

    RFC 9700 section 2.1: no pattern, no normalisation; whatever needs interpretation is not equal. Until this has
    passed nothing may be redirected (RFC 6749 section 4.1.2.1). Raises InvalidRequest.
    """
    asked = parameters.get("redirect_uri")
    if asked is None:
        alone = len(client.redirect_uris) == 1 and not client.fapi  # FAPI 2.0 Security Profile section 5.3.2.2 item 6
        if alone and "openid" not in parameters.get("scope", "").split(" "):
            return client.redirect_uris[0]
        raise InvalidRequest("redirect_uri is required")
    if asked not in client.redirect_uris:
        raise InvalidRequest("redirect_uri is not registered for this client")
    return asked


def refuse_registration(parameters: Parameters, _: Client) -> Fields:
    """OpenID Connect Core section 7.2.1: what we do not support is refused by its own name."""
    if "registration" in parameters:
        raise RegistrationNotSupported("registration is not supported")
    return {}


def check_response_type(parameters: Parameters, client: Client) -> Fields:
    """Only `code`: RFC 9700 section 2.1.2 leaves no room for tokens in the front channel.

    Raises UnsupportedResponseType, UnauthorizedClient.
    """
    if require(parameters, "response_type") != "code":
        raise UnsupportedResponseType("response_type must be code")
    if "authorization_code" not in client.grant_types:
        raise UnauthorizedClient("this client may not use the authorization code flow")
    return {}


def check_response_mode(parameters: Parameters, client: Client) -> Fields:
    """A mode we would silently ignore is refused, and so is one the client did not register.

    FAPI 2.0 Message Signing section 5.4.1: a client of that profile takes signed answers only; section 5.3.3:
    `response_modes`.
    """
    mode = parameters.get("response_mode", "query")
    if mode not in MODES:
        raise InvalidRequest(f"response_mode must be one of {', '.join(MODES)}")
    mode = full_mode(mode)
    if client.signs_messages and mode not in SIGNED_MODES:
        raise InvalidRequest("response_mode must be jwt: this client takes signed answers only")
    if client.response_modes and mode not in client.response_modes:
        raise InvalidRequest("response_mode is not registered for this client")
    return {"response_mode": mode}


def read_challenge(parameters: Parameters, client: Client) -> Fields:
    """RFC 7636 section 4.3; RFC 9700 section 2.1.1: always of a client that has no secret."""
    challenge, method = parameters.get("code_challenge"), parameters.get("code_challenge_method")
    return {"challenge": pkce.read_challenge(challenge, method, required=client.require_pkce)}


def check_scope(parameters: Parameters, client: Client) -> Fields:
    """Standard scopes for everybody; others only for an approved member's client that registered them.

    offline_access of a client that has no refresh tokens is ignored (OpenID Connect Core section 11): the resident
    would be asked for lasting access that nobody gets, and the answer's `scope` would promise it (RFC 6749 section
    3.3). Raises InvalidScope.
    """
    scopes = read_scopes(parameters.get("scope"))
    if "refresh_token" not in client.grant_types:
        scopes = tuple(scope for scope in scopes if scope != OFFLINE)
    for scope in scopes:
        if scope in _NO_RESIDENTS or scope not in client.scopes or (scope not in _STANDARD and not client.may_use_data):
            raise InvalidScope(f"scope {scope[:60]} is not allowed to this client")
    if not scopes and "authorization_details" not in parameters:
        raise InvalidScope("scope is required")
    return {"scopes": scopes}


def check_prompt(parameters: Parameters, client: Client) -> Fields:
    """OpenID Connect Core section 3.1.2.1: `none` stands alone; a registered age holds where none is asked for.

    Raises InvalidRequest.
    """
    prompt = tuple(parameters["prompt"].split()) if "prompt" in parameters else ()
    if not set(prompt) <= PROMPTS:
        raise InvalidRequest("prompt holds an unknown value")
    if "none" in prompt and len(prompt) > 1:
        raise InvalidRequest("prompt=none can't be combined")
    asked = read_seconds(parameters, "max_age")
    return {"prompt": prompt, "max_age": client.default_max_age if asked is None else asked}


def read_wishes(parameters: Parameters, client: Client) -> Fields:
    """What the client would like: languages, levels, a name to fill in. Wishes never fail a request.

    A level asked for as an essential claim is no wish (OpenID Connect Core section 5.5.1.1). A single claim is asked
    for only within the scopes the client registered; others are left out, as section 5.5.1 allows.
    """
    wanted = claims.read(parameters.get("claims"))
    covered = claims.names_of(client.scopes)
    asked = _wished(parameters, "acr_values")
    levels = () if wanted.acr_essential else wanted.acr_values
    return {
        "userinfo_claims": tuple(name for name in wanted.userinfo if name in covered),
        "id_token_claims": tuple(name for name in wanted.id_token if name in covered),
        "userinfo_verified": _hearable(wanted.userinfo_verified, client),
        "id_token_verified": _hearable(wanted.id_token_verified, client),
        "essential_acr": wanted.acr_values if wanted.acr_essential else (),
        "acr_values": (*asked, *levels) or client.default_acr_values,
        "hinted_subject": wanted.subject,
        "login_hint": parameters.get("login_hint", "")[:200] or None,
        "ui_locales": _wished(parameters, "ui_locales"),
    }


def _hearable(asked: tuple[Asked, ...], client: Client) -> tuple[Asked, ...]:
    """Verified claims are bounded by the scopes the client registered, as the others are, and by an operator's word."""
    if client.verified_claims == "none":
        return ()
    return narrowed(asked, claims.names_of(client.scopes))


def _wished(parameters: Parameters, name: str) -> tuple[str, ...]:
    """The first ten of a list; what is longer than any level or language is left out, since all of it is kept."""
    return tuple(one for one in parameters.get(name, "").split()[:10] if len(one) <= 200)


def check_sizes(parameters: Parameters, _: Client) -> Fields:
    """What is handed back or kept must not be a way to fill our tables. Raises InvalidRequest."""
    for name, limit in (("state", 2048), ("nonce", 512), ("code_challenge", 128)):
        if len(parameters.get(name, "")) > limit:
            raise InvalidRequest(f"{name} is longer than {limit} characters")
    return {"nonce": parameters.get("nonce")}


def check_resource(parameters: Parameters, client: Client) -> Fields:
    """RFC 8707 section 2.1: only audiences this client registered. Raises InvalidTarget."""
    resources = tuple(parameters["resource"].split(" ")) if "resource" in parameters else ()
    for resource in resources:
        if resource not in client.resources:
            raise InvalidTarget("a resource is not allowed to this client")
    return {"resources": resources}


def check_dpop_jkt(parameters: Parameters, _: Client) -> Fields:
    """RFC 9449 section 10: the code will be bound to this key. Raises InvalidRequest."""
    jkt = parameters.get("dpop_jkt")
    if jkt is not None and not _THUMBPRINT.fullmatch(jkt):
        raise InvalidRequest("dpop_jkt must be a SHA-256 JWK thumbprint")
    return {"dpop_jkt": jkt}


CHECKS: tuple[Check, ...] = (
    refuse_registration,
    check_response_type,
    check_response_mode,
    read_challenge,
    check_scope,
    check_prompt,
    check_sizes,
    read_wishes,
    check_resource,
    check_dpop_jkt,
    read_action,
)


def check_request(parameters: Parameters, client: Client, redirect_uri: str) -> AuthorizationRequest:
    """Every check in order; authorization details follow, since their meaning is in the database."""
    fields: Fields = {}
    for check in CHECKS:
        fields.update(check(parameters, client))
    return AuthorizationRequest(client_id=client.id, redirect_uri=redirect_uri, state=parameters.get("state"), **fields)
