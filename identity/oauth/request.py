"""An authorization request after its checks: the one typed value that authorize, PAR and the pages hand on.

RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1. Pure.
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import orjson

from identity.levels import ORDER, satisfies_any
from kit.clock import SECOND, Millis


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
        if self.max_age is not None and now - auth_at > self.max_age * SECOND:
            return True
        wanted = [value for value in self.acr_values if value in ORDER]
        return bool(wanted) and not satisfies_any(acr, wanted)

    def answered(self, issuer: str, **values: str) -> str:
        """The redirect back to the client, with `state` and `iss` (RFC 6749 section 4.1.2, RFC 9207 section 2)."""
        if self.state is not None:
            values["state"] = self.state
        values["iss"] = issuer
        mark = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{mark}{urlencode(values)}"


def unpack(text: str) -> AuthorizationRequest:
    """Read what `pack` wrote."""
    raw: dict[str, Any] = orjson.loads(text)
    for name in ("scopes", "details", "prompt", "ui_locales", "acr_values", "resources"):
        raw[name] = tuple(raw[name])
    return AuthorizationRequest(**raw)


def narrowed(request: AuthorizationRequest, details: list[dict[str, Any]]) -> AuthorizationRequest:
    """The request with its details normalised by their checkers."""
    return replace(request, details=tuple(details))


def bound(request: AuthorizationRequest, jkt: str) -> AuthorizationRequest:
    """The request with its code bound to a key (RFC 9449 section 10)."""
    return replace(request, dpop_jkt=jkt)
