"""`id_token_hint`: the client says whom it means by an ID token of ours.

OpenID Connect Core section 3.1.2.1. It may have expired; it must be ours. Whoever else is signed in is asked to sign in
as that person, and nobody else gets a code for the request.
"""

from dataclasses import replace
from typing import Any

from identity.oauth.errors import InvalidRequest
from identity.oauth.parameters import Parameters
from identity.oauth.request import AuthorizationRequest
from keys.errors import BadToken
from keys.ring import KeyRing


class IdTokenHints:
    """Reads hints."""

    def __init__(self, issuer: str, ring: KeyRing) -> None:
        self._issuer = issuer
        self._ring = ring

    def read(self, parameters: Parameters, request: AuthorizationRequest) -> AuthorizationRequest:
        """The request with the person it is about; raises InvalidRequest."""
        hint = parameters.get("id_token_hint")
        if hint is None:
            return request
        subject = self.subject(hint)
        if request.hinted_subject not in (None, subject):
            raise InvalidRequest("id_token_hint and claims name two people")
        return replace(request, hinted_subject=subject)

    def subject(self, hint: str) -> str:
        """The subject of an ID token of ours."""
        return str(self.claims(hint)["sub"])

    def claims(self, hint: str) -> dict[str, Any]:
        """What an ID token of ours says; raises InvalidRequest."""
        try:
            claims = self._ring.verify_jwt(hint, typ="JWT")
        except BadToken as error:
            raise InvalidRequest("id_token_hint is not an ID token of this issuer") from error
        # `auth_time` stands in every ID token of ours and in nothing else: a signed userinfo answer is no ID token.
        named = isinstance(claims.get("sub"), str) and "aud" in claims and "auth_time" in claims
        if not named or claims.get("iss") != self._issuer:
            raise InvalidRequest("id_token_hint is not an ID token of this issuer")
        return claims
