"""Session Management: a page of ours in a service's frame that says whether the browser's sign-in has changed.

OpenID Connect Session Management 1.0 sections 2 and 3. The service asks the frame by a message, and the frame compares
what the service got with its code (`session_state`) with a cookie of ours that scripts may read. The cookie is a keyed
hash of the session's id: it opens nothing and tells nothing but "the same" or "another". It must be `SameSite=None`, so
there is one only where the operator asks for this, and under https.

Browsers that keep third-party cookies apart show the frame no cookie at all. Then it answers `error`, upon which a
service must not ask again (section 3.2): `changed` would send it round in circles. Back-Channel Logout is the
dependable path.
"""

import base64
import hashlib
import secrets
from urllib.parse import urlsplit

from identity.clients import Client
from identity.oauth.request import AuthorizationRequest
from identity.settings import IdentitySettings
from keys.hashing import TokenHasher
from kit.encoding import b64url
from kit.front import CSP, Call, Reply

PATH = "/oauth/check-session"
COOKIE = "__Host-sekisho-state"
SIGNED_OUT = "-"

_SCRIPT = r"""'use strict';
addEventListener('message', async (event) => {
  if (event.source === null || event.origin === 'null') return;
  const answer = (word) => event.source.postMessage(word, event.origin);
  const said = typeof event.data === 'string' ? event.data : '';
  const asked = /^(.+) ([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})$/.exec(said);
  const state = /(?:^|; )COOKIE=([^;]+)/.exec(document.cookie);
  if (asked === null || state === null) return answer('error');
  const bytes = new TextEncoder().encode(`${asked[1]} ${event.origin} ${state[1]} ${asked[3]}`);
  const hash = String.fromCharCode(...new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
  const found = btoa(hash).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
  answer(found === asked[2] ? 'unchanged' : 'changed');
});
""".replace("COOKIE", COOKIE)
_PAGE = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>-</title><script>{_SCRIPT}</script></html>'
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors https:; script-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    + "'"
)
_REPLY = Reply(
    200,
    _PAGE.encode(),
    [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"public, max-age=3600"),
        (CSP, _POLICY.encode()),
        (b"cross-origin-resource-policy", b"cross-origin"),  # also in pages that isolate themselves
    ],
)


class BrowserState:
    """What services may learn of a browser's session, if the city lets them."""

    def __init__(self, issuer: str, settings: IdentitySettings, hasher: TokenHasher) -> None:
        self.on = settings.session_management and issuer.startswith("https:")
        self._hasher = hasher

    def of(self, session_id: str) -> str:
        """The value of the cookie for a session (section 3.2, "OP User Agent state")."""
        return b64url(self._hasher.digest("browser-state", session_id))

    def cookie(self, session_id: str | None) -> str | None:
        """The header that puts it into the browser, or says that nobody is signed in; None if this is off."""
        if not self.on:
            return None
        value = SIGNED_OUT if session_id is None else self.of(session_id)
        return f"{COOKIE}={value}; Path=/; Secure; SameSite=None"

    def answer(self, request: AuthorizationRequest, client: Client, session_id: str) -> dict[str, str]:
        """What goes to the client with its code (section 2). FAPI 2.0 clients get nothing they can't need."""
        origin = origin_of(request.redirect_uri)
        if not self.on or origin is None or client.fapi or "openid" not in request.scopes:
            return {}
        return {"session_state": session_state(client.id, origin, self.of(session_id))}

    async def frame(self, _: Call) -> Reply:
        """GET /oauth/check-session: the one page of ours that others may frame."""
        return _REPLY


def session_state(client_id: str, origin: str, state: str) -> str:
    """Section 3.2: salted, so that two answers tell nobody that the session was the same. Pure but for the salt."""
    salt = secrets.token_urlsafe(16)
    return f"{b64url(hashlib.sha256(f'{client_id} {origin} {state} {salt}'.encode()).digest())}.{salt}"


def origin_of(uri: str) -> str | None:
    """The origin a browser will name for an address (RFC 6454 section 4); None for an app's own scheme."""
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http") or parts.hostname is None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    default = {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, default) else f":{parts.port}")
