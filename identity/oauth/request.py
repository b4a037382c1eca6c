"""An authorization request after its checks: the one typed value that authorize, PAR and the pages hand on.

RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1. Pure.
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from identity.assurance import verified_request
from identity.levels import ORDER, rank, satisfies_any
from identity.oidc.claims import marks
from kit.clock import SECOND, Millis

#: How an answer may travel. Never in a fragment: no token is ever in an answer.
MODES = ("query", "form_post", "jwt", "query.jwt", "form_post.jwt")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Checked: the client exists, the redirect URI is its own, PKCE is there, scopes and details are allowed."""

    client_id: str
    redirect_uri: str
    challenge: str
    scopes: tuple[str, ...] = ()
    details: tuple[dict[str, Any], ...] = ()
    state: str | None = None
    nonce: str | None = None
    prompt: tuple[str, ...] = ()
    max_age: int | None = None
    login_hint: str | None = None
    ui_locales: tuple[str, ...] = ()
    acr_values: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    dpop_jkt: str | None = None
    hinted_subject: str | None = None
    response_mode: str = "query"
    userinfo_claims: tuple[str, ...] = ()
    id_token_claims: tuple[str, ...] = ()
    userinfo_verified: tuple[dict[str, Any], ...] = ()
    id_token_verified: tuple[dict[str, Any], ...] = ()
    essential_acr: tuple[str, ...] = ()
    least_aal: int = 0  # what the operator asks of who answers this, as it stood when it came
    decoupled: str | None = None  # asked on another device: which `identity_decoupled` row waits for the answer
    binding_message: str | None = None  # what the service shows there, to be compared (CIBA Core section 7.1)
    grant_action: str | None = None  # create | merge | replace (Grant Management for OAuth 2.0, section 5.2)
    grant_id: str | None = None  # which grant is merged into or replaced
    user_code: str | None = None  # as that device shows it; taken up by this account, so worth nothing any more

    @property
    def remembered(self) -> tuple[str, ...]:
        """Scopes, claims that no scope covers, and what a clerk verified."""
        return (*self._plain, *verified_request.marks(self.userinfo_verified, self.id_token_verified))

    def agreed(self, verified_at: Millis) -> tuple[str, ...]:
        """The same as a grant must hold it to answer this without a page: what a clerk verified is of one visit."""
        marks = verified_request.marks(self.userinfo_verified, self.id_token_verified)
        return (*self._plain, *verified_request.dated(marks, verified_at))

    @property
    def _plain(self) -> tuple[str, ...]:
        return (*self.scopes, *marks(frozenset(self.scopes), (*self.userinfo_claims, *self.id_token_claims)))

    @property
    def verified(self) -> bool:
        """Whether it asks what a clerk verified (OpenID Connect for Identity Assurance)."""
        return bool(self.userinfo_verified or self.id_token_verified)

    def pack(self) -> str:
        """As JSON text, for a row."""
        return orjson.dumps(self).decode()

    def needs_sign_in(self, *, auth_at: Millis | None, acr: str | None, asked_at: Millis, now: Millis) -> bool:
        """Whether this request wants the person to prove themselves (again). `auth_at` None: nobody is signed in.

        A sign-in after the request was made answers prompt=login and max_age; asked for a level, the resident is
        given one chance to reach it, for acr_values is a wish (OpenID Connect Core section 3.1.2.1).
        """
        if auth_at is None or acr is None:
            return True
        if auth_at > asked_at:
            return False
        if "login" in self.prompt or "select_account" in self.prompt:
            return True
        if self.max_age is not None and (self.max_age == 0 or now - auth_at > self.max_age * SECOND):
            return True  # section 3.1.2.1: max_age=0 means the same as prompt=login
        wanted = [value for value in (*self.essential_acr, *self.acr_values) if value in ORDER]
        return rank(acr) < self.least_aal or self.unmet(acr) or (bool(wanted) and not satisfies_any(acr, wanted))

    def unmet(self, acr: str) -> bool:
        """Whether a level the client can't do without is missing (OpenID Connect Core section 5.5.1.1)."""
        return bool(self.essential_acr) and not satisfies_any(acr, self.essential_acr)

    @property
    def reachable(self) -> bool:
        """Whether signing in again could bring the level the client can't do without."""
        return not self.essential_acr or any(value in ORDER for value in self.essential_acr)

    def answer(self, issuer: str, values: dict[str, str]) -> dict[str, str]:
        """The parameters of an answer, with `state` and `iss` (RFC 6749 section 4.1.2, RFC 9207 section 2)."""
        return {**values, **({} if self.state is None else {"state": self.state}), "iss": issuer}


def unpack(text: str) -> AuthorizationRequest:
    """Read what `pack` wrote."""
    raw: dict[str, Any] = orjson.loads(text)
    for name in ("scopes", "details", "prompt", "ui_locales", "acr_values", "resources",
                 "userinfo_claims", "id_token_claims", "userinfo_verified", "id_token_verified",
                 "essential_acr"):  # fmt: skip
        raw[name] = tuple(raw.get(name, ()))
    return AuthorizationRequest(**raw)


def with_query(uri: str, values: dict[str, str]) -> str:
    """A registered address with parameters added to its query (RFC 6749 section 3.1.2)."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(values)}"


def narrowed(request: AuthorizationRequest, details: list[dict[str, Any]]) -> AuthorizationRequest:
    """The request with its details normalised by their checkers."""
    return replace(request, details=tuple(details))


def bound(request: AuthorizationRequest, jkt: str) -> AuthorizationRequest:
    """The request with its code bound to a key (RFC 9449 section 10)."""
    return replace(request, dpop_jkt=jkt)
