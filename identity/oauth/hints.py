"""A login hint is often an e-mail address: while a request waits in a table it is sealed (invariant I6)."""

from dataclasses import replace

from identity.oauth.request import AuthorizationRequest
from keys.envelope import Sealer
from kit.encoding import b64url, b64url_decode


def sealed(request: AuthorizationRequest, sealer: Sealer, row: str) -> AuthorizationRequest:
    """The request as a row may hold it."""
    if request.login_hint is None:
        return request
    blob = sealer.system().seal(f"identity|login_hint|{row}", request.login_hint.encode())
    return replace(request, login_hint=b64url(blob))


def opened(request: AuthorizationRequest, sealer: Sealer, row: str) -> AuthorizationRequest:
    """The reverse."""
    if request.login_hint is None:
        return request
    hint = sealer.system().open(f"identity|login_hint|{row}", b64url_decode(request.login_hint))
    return replace(request, login_hint=hint.decode())
