"""Token introspection.

RFC 7662, RFC 9701 (signed, for who asks by `Accept` or registered an algorithm). A resource server asks about tokens
for its audiences, a client about its own; for everybody else, and for everything else, the answer is
`{"active": false}` and no more (section 2.2). Answers are as of now: the verdict comes from the cache that compares the
change counter (identity.bearer).
"""

from typing import Any

import orjson
from sqlalchemy import Connection, text

from identity import fapi
from identity.bearer import Access, AccessTokens
from identity.certificates.check import Certificates
from identity.clients import Client
from identity.encryption import Envelope, Envelopes
from identity.oauth.client_auth import ClientAuth
from identity.oauth.errors import UnauthorizedClient
from identity.oauth.parameters import read_form, require
from identity.tokens import Refresh, Tokens
from keys.ring import KeyRing
from kit.clock import SECOND, Clock
from kit.db import Database
from kit.front import JSON, NO_STORE, Call, Reply

_NO = b'{"active":false}'
#: RFC 9701 section 5.
SIGNED = "token-introspection+jwt"
_SIGNED_TYPE = f"application/{SIGNED}"
_PASSED_ON = (
    "iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "auth_time", "acr", "amr", "grant_id", "cnf",
    "authorization_details", "act", "may_act",
)  # fmt: skip
_KEPT = 20_000

_FAMILY = text(
    "SELECT f.client_id, f.current, f.request, f.status, f.ends_at, f.expires_at, g.status, a.status"
    " FROM identity_refresh f JOIN identity_grant g ON g.id = f.grant_id"
    " JOIN identity_account a ON a.id = f.account_id WHERE f.id = :id"
)


class Introspection:
    """Handles POST /oauth/introspect."""

    def __init__(
        self,
        auth: ClientAuth,
        access_tokens: AccessTokens,
        tokens: Tokens,
        ring: KeyRing,
        database: Database,
        clock: Clock,
        envelopes: Envelopes,
        certificates: Certificates,
    ) -> None:
        self._auth = auth
        self._access_tokens = access_tokens
        self._tokens = tokens
        self._ring = ring
        self._database = database
        self._clock = clock
        self._envelopes = envelopes
        self._certificates = certificates
        self._bodies: dict[str, bytes] = {}  # by jti: what is said of a live token never changes

    async def endpoint(self, call: Call) -> Reply:
        """Section 2.1: the caller must authenticate, so a public client can't ask. Raises UnauthorizedClient."""
        form = read_form(call.headers.get(b"content-type", b""), await call.body())
        client = await self._auth.authenticate(call, form)
        if client.public:
            raise UnauthorizedClient("a public client can't introspect tokens")
        envelope = await self._envelopes.find(client, "introspection") if client.encryptions else None
        body = await self._judge(require(form, "token"), client)
        if client.introspection_alg is None and envelope is None and not _wants_signed(call):
            return Reply(200, body, [JSON, NO_STORE])
        return await self._signed(body, client, envelope)

    async def _judge(self, token: str, client: Client) -> bytes:
        if token.startswith("skr_"):
            return await self._of_refresh(token, client)
        access = await self._access_tokens.find(token)
        if access is None or not _may_know(client, access):
            return _NO
        if access.x5t is not None and self._certificates.known_disowned(access.x5t):
            return _NO
        body = self._bodies.get(access.jti)
        if body is None:
            if len(self._bodies) >= _KEPT:
                self._bodies.clear()
            body = self._bodies[access.jti] = orjson.dumps(describe(access))
        return body

    async def _signed(self, body: bytes, client: Client, envelope: Envelope | None) -> Reply:
        """RFC 9701 section 5: for this caller alone, and of a type of its own, so that it passes for no other token;
        no `sub` and no `exp` beside what is said of the token."""
        await self._ring.refresh()
        claims = {
            "iss": self._tokens.issuer,
            "aud": client.id,
            "iat": self._clock.ms() // SECOND,
            "token_introspection": orjson.loads(body),
        }
        alg = client.introspection_alg or (fapi.DEFAULT_ALG if client.fapi else "RS256")  # section 6
        token = self._ring.sign_jwt(claims, typ=SIGNED, alg=alg)
        if envelope is not None:
            token = envelope.close(token)
        return Reply(200, token.encode(), [(b"content-type", _SIGNED_TYPE.encode()), NO_STORE])

    async def _of_refresh(self, token: str, client: Client) -> bytes:
        presented = self._tokens.read_refresh(token)
        if presented is None:
            return _NO
        found = await self._database.peek(_family, presented, client.id, self._clock.ms())
        return _NO if found is None else orjson.dumps(found)


def describe(access: Access) -> dict[str, Any]:
    """Section 2.2: `sub` is the resource's, as in the token (pairwise)."""
    claims = access.claims
    said = {name: claims[name] for name in _PASSED_ON if name in claims}
    return {"active": True, "token_type": "DPoP" if access.jkt else "Bearer", **said}


def _wants_signed(call: Call) -> bool:
    """RFC 9701 section 4: the caller accepts the signed form by name."""
    asked = b",".join(call.header_values(b"accept")).lower().split(b",")
    return any(one.split(b";", 1)[0].strip() == _SIGNED_TYPE.encode() for one in asked)


def _may_know(client: Client, access: Access) -> bool:
    return access.client_id == client.id or any(audience in client.introspects for audience in access.audience)


def _family(connection: Connection, presented: Refresh, client_id: str, now: int) -> dict[str, Any] | None:
    row = connection.execute(_FAMILY, {"id": presented.family_id}).first()
    if row is None or row[0] != client_id or bytes(row[1]) != presented.digest:
        return None
    if row[3] != "active" or row[6] != "active" or row[7] != "active" or min(row[4], row[5]) <= now:
        return None
    scopes = orjson.loads(row[2])["scopes"]
    return {"active": True, "client_id": client_id, "scope": " ".join(scopes), "exp": min(row[4], row[5]) // 1000}
