"""Every error code an OAuth or OpenID Connect endpoint of ours can answer: one class, one row, each.

`code` is the word on the wire, `status` what a JSON endpoint answers, `spec` where it is defined. The description
goes to the client: ASCII, names the parameter, leaks nothing. `private` goes to the log only. No web, no database.
"""

from typing import ClassVar

import orjson

from kit.front import JSON, NO_STORE, Reply, WireError

#: One text for every cause, so that it tells nobody who is a client here and by what method; the log knows more.
UNPROVEN = (
    "unknown or suspended client, wrong secret or key, or not by the method it registered (token_endpoint_auth_method)"
)


class OAuthError(WireError):
    """An OAuth refusal; rendered as JSON by the front table, as a redirect or a page by `authorize`."""

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 500
    spec: ClassVar[str] = "RFC 6749 s.4.1.2.1"

    def __init__(
        self,
        description: str,
        *,
        private: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        status: int | None = None,
    ) -> None:
        super().__init__(description)
        self.description = printable(description)
        self.private = private
        self.headers = headers
        self.http_status = status or self.status

    def body(self) -> dict[str, str]:
        """The members of the error response (RFC 6749 section 5.2)."""
        return {"error": self.code, "error_description": self.description}

    def reply(self) -> Reply:
        """Never cached, always JSON, plus what this refusal adds (a challenge, a nonce)."""
        return Reply(self.http_status, orjson.dumps(self.body()), [JSON, NO_STORE, *self.headers])


def printable(text: str) -> str:
    """Only what RFC 6749 section 5.2 allows in `error_description`: printable ASCII without `"` and `\\`."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" if c in '"\\' else "?" for c in text)


class InvalidRequest(OAuthError):
    """A parameter is missing, repeated, malformed, or contradicts another."""

    code, status, spec = "invalid_request", 400, "RFC 6749 s.4.1.2.1, s.5.2"


class InvalidClient(OAuthError):
    """Client authentication failed: unknown client, wrong proof, wrong method."""

    code, status, spec = "invalid_client", 401, "RFC 6749 s.5.2"


class InvalidGrant(OAuthError):
    """The code or refresh token is unknown, expired, spent, revoked, or somebody else's."""

    code, status, spec = "invalid_grant", 400, "RFC 6749 s.5.2"


class InvalidGrantId(OAuthError):
    """No grant of this client and this resident has the `grant_id`; never said which of the two it is."""

    code, status, spec = "invalid_grant_id", 400, "Grant Management for OAuth 2.0 (draft 03) s.5.4"


class UnauthorizedClient(OAuthError):
    """This client may not use this grant type or this endpoint."""

    code, status, spec = "unauthorized_client", 400, "RFC 6749 s.4.1.2.1, s.5.2"


class UnsupportedGrantType(OAuthError):
    """We have no such grant type."""

    code, status, spec = "unsupported_grant_type", 400, "RFC 6749 s.5.2"


class UnsupportedResponseType(OAuthError):
    """Only `code`: implicit and hybrid stay out (RFC 9700 section 2.1.2)."""

    code, status, spec = "unsupported_response_type", 400, "RFC 6749 s.4.1.2.1"


class InvalidScope(OAuthError):
    """A scope is unknown, malformed, or more than this client may ask."""

    code, status, spec = "invalid_scope", 400, "RFC 6749 s.4.1.2.1, s.5.2"


class TemporarilyUnavailable(OAuthError):
    """Asked too often from one network; nothing was done."""

    code, status, spec = "temporarily_unavailable", 429, "RFC 6749 s.4.1.2.1, RFC 9126 s.2.3"


class InvalidTrustAnchor(OAuthError):
    """No trust anchor in common with a client that came by a federation. Never redirected (section 12.1.3)."""

    code, status, spec = "invalid_trust_anchor", 404, "OpenID Federation 1.0 s.8.9, s.12.1.3"


class InvalidTrustChain(OAuthError):
    """No chain leads from such a client to a trust anchor. Never redirected."""

    code, status, spec = "invalid_trust_chain", 400, "OpenID Federation 1.0 s.8.9, s.12.1.3"


class InvalidFederationMetadata(OAuthError):
    """Such a client's resolved metadata can't be a client's here. Never redirected."""

    code, status, spec = "invalid_metadata", 400, "OpenID Federation 1.0 s.8.9, s.12.1.3"


class AccessDenied(OAuthError):
    """The resident refused, or the server did on their behalf."""

    code, status, spec = "access_denied", 403, "RFC 6749 s.4.1.2.1"


class InvalidTarget(OAuthError):
    """The requested resource is unknown or not allowed to this client."""

    code, status, spec = "invalid_target", 400, "RFC 8707 s.2"


class InvalidDpopProof(OAuthError):
    """The DPoP proof is missing, malformed, old, replayed, or for another request."""

    code, status, spec = "invalid_dpop_proof", 400, "RFC 9449 s.5"


class UseDpopNonce(OAuthError):
    """The proof must carry the nonce given in the DPoP-Nonce header."""

    code, status, spec = "use_dpop_nonce", 400, "RFC 9449 s.8"


class InvalidAuthorizationDetails(OAuthError):
    """An element of authorization_details is of an unknown type, malformed, or not allowed."""

    code, status, spec = "invalid_authorization_details", 400, "RFC 9396 s.5"


class InvalidRequestUri(OAuthError):
    """The request_uri is unknown, expired, spent, another client's, not registered, or could not be fetched."""

    code, status, spec = "invalid_request_uri", 400, "OpenID Connect Core s.3.1.2.6, RFC 9101 s.7, RFC 9126 s.2.2"


class InvalidRequestObject(OAuthError):
    """The request object does not verify, or says what it must not."""

    code, status, spec = "invalid_request_object", 400, "OpenID Connect Core s.3.1.2.6, RFC 9101 s.7"


class RegistrationNotSupported(OAuthError):
    """The `registration` parameter is not supported."""

    code, status, spec = "registration_not_supported", 400, "OpenID Connect Core s.3.1.2.6"


class LoginRequired(OAuthError):
    """prompt=none, and nobody (or the wrong person, or too long ago) is signed in."""

    code, status, spec = "login_required", 400, "OpenID Connect Core s.3.1.2.6"


class ConsentRequired(OAuthError):
    """prompt=none, and the resident has to be asked."""

    code, status, spec = "consent_required", 400, "OpenID Connect Core s.3.1.2.6"


class UnmetAuthentication(OAuthError):
    """The client can't do without a level of authentication that was not reached."""

    code, status, spec = "unmet_authentication_requirements", 400, "Unmet Authentication Requirements 1.0 s.2"


class InvalidRedirectUri(OAuthError):
    """A redirect URI can't be registered."""

    code, status, spec = "invalid_redirect_uri", 400, "RFC 7591 s.3.2.2"


class InvalidMetadata(OAuthError):
    """A member of the client's metadata can't be registered."""

    code, status, spec = "invalid_client_metadata", 400, "RFC 7591 s.3.2.2"


class InvalidSoftwareStatement(OAuthError):
    """The software statement does not verify."""

    code, status, spec = "invalid_software_statement", 400, "RFC 7591 s.3.2.2"


class UnapprovedSoftwareStatement(OAuthError):
    """The software statement's issuer is not trusted here."""

    code, status, spec = "unapproved_software_statement", 400, "RFC 7591 s.3.2.2"


class InvalidToken(OAuthError):
    """The initial or registration access token is missing, unknown, used up or expired."""

    code, status, spec = "invalid_token", 401, "RFC 6750 s.3.1, RFC 7592 s.2"


class AuthorizationPending(OAuthError):
    """The resident has not answered on their own device yet; ask again after the interval."""

    code, status, spec = "authorization_pending", 400, "RFC 8628 s.3.5"


class SlowDown(OAuthError):
    """Asked before the interval had passed; it is five seconds longer from now on."""

    code, status, spec = "slow_down", 400, "RFC 8628 s.3.5"


class ExpiredToken(OAuthError):
    """Nobody answered in time; the device begins anew."""

    code, status, spec = "expired_token", 400, "RFC 8628 s.3.5"


class UnknownUserId(OAuthError):
    """The hint names nobody; told for ID tokens only, never for login names."""

    code, status, spec = "unknown_user_id", 400, "CIBA Core s.13"


class InvalidBindingMessage(OAuthError):
    """The binding message is too long, or not plain text that two people could compare."""

    code, status, spec = "invalid_binding_message", 400, "CIBA Core s.13"


ROWS: tuple[type[OAuthError], ...] = (
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    InvalidGrantId,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    TemporarilyUnavailable,
    AccessDenied,
    InvalidTarget,
    InvalidDpopProof,
    UseDpopNonce,
    InvalidAuthorizationDetails,
    InvalidRequestUri,
    InvalidRequestObject,
    RegistrationNotSupported,
    LoginRequired,
    ConsentRequired,
    UnmetAuthentication,
    InvalidRedirectUri,
    InvalidMetadata,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
    InvalidToken,
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    UnknownUserId,
    InvalidBindingMessage,
    InvalidTrustAnchor,
    InvalidTrustChain,
    InvalidFederationMetadata,
)
