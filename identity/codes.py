"""Authorization codes: made when an authorization completes, exchanged once.

RFC 6749 section 4.1.2 and 10.5, RFC 9700 section 2.1.1. A code is 256 random bits, kept as a keyed hash for at most 60
seconds. It begins a *chain*: every token that comes from it, by exchange or refresh, carries the chain's name in its
`jti`, so that a replayed code takes everything with it.
"""

from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Connection, Table
from sqlmodel import SQLModel

from identity.models import Issued
from identity.oauth.errors import InvalidRequestUri
from identity.oauth.request import AuthorizationRequest
from keys.hashing import TokenHasher
from kit.clock import SECOND, Millis
from kit.db import Quick, tx_of
from kit.ids import new_id, secret

_ADD = Quick(
    "INSERT INTO identity_code (digest, chain, client_id, account_id, grant_id, request, used_at, expires_at)"
    " VALUES (:digest, :chain, :client_id, :account_id, :grant_id, :request, NULL, :expires_at)"
)
_SPEND = Quick("UPDATE identity_par SET used_at = :now WHERE digest = :digest AND used_at IS NULL")
issued_table: Table = SQLModel.metadata.tables[str(Issued.__tablename__)]


@dataclass(frozen=True, slots=True)
class Authorized:
    """What the resident's authorization carries into every token of its chain."""

    scopes: tuple[str, ...]
    details: tuple[dict[str, Any], ...]
    resources: tuple[str, ...]
    redirect_uri: str
    challenge: str
    nonce: str | None
    session_id: str
    auth_at: Millis
    acr: str
    amr: tuple[str, ...]
    dpop_jkt: str | None
    x5t: str | None = None
    userinfo_claims: tuple[str, ...] = ()
    id_token_claims: tuple[str, ...] = ()
    generation: int = 0  # of the grant (`grants.replace`)
    userinfo_verified: tuple[dict[str, Any], ...] = ()
    id_token_verified: tuple[dict[str, Any], ...] = ()
    managed: bool = False  # the client is told which grant it is (Grant Management for OAuth 2.0, section 5.5)

    def pack(self) -> str:
        """As JSON text, for a row."""
        return orjson.dumps(self).decode()


_TUPLES = ("scopes", "details", "resources", "amr", "userinfo_claims", "id_token_claims",
           "userinfo_verified", "id_token_verified")  # fmt: skip


def unpack(text: str) -> Authorized:
    """Read what `pack` wrote."""
    raw: dict[str, Any] = orjson.loads(text)
    for name in _TUPLES:
        if name in raw:
            raw[name] = tuple(raw[name])
    return Authorized(**raw)


def bound_to(authorized: Authorized, jkt: str | None, x5t: str | None) -> Authorized:
    """The same, bound to what was proved at the exchange (RFC 9449 section 5, RFC 8705 section 4)."""
    return replace(authorized, dpop_jkt=jkt, x5t=x5t)


def issue(
    connection: Connection,
    hasher: TokenHasher,
    request: AuthorizationRequest,
    authorized: Authorized,
    *,
    account_id: str,
    grant_id: str,
    par: bytes | None,
    now: Millis,
    lifetime: int,
) -> str:
    """A new code; spends the pushed request it answers. Raises InvalidRequestUri if that was spent already."""
    if par is not None:
        spend_par(connection, par, now)
    code = secret("skc")
    chain = new_id("chn")
    expires_at = now + lifetime * SECOND
    _ADD.run(
        connection, digest=hasher.digest("code", code), chain=chain, client_id=request.client_id, account_id=account_id,
        grant_id=grant_id, request=authorized.pack(), expires_at=expires_at,
    )  # fmt: skip
    tx_of(connection).append(
        issued_table,
        {
            "jti": chain, "client_id": request.client_id, "grant_id": grant_id, "kind": "code", "issued_at": now,
            "expires_at": expires_at,
        },
    )  # fmt: skip
    return code


def spend_par(connection: Connection, par: bytes, now: Millis) -> None:
    """A pushed request counts as used when its authorization completes (RFC 9126 section 4, invariant I7).

    Raises InvalidRequestUri.
    """
    if _SPEND.run(connection, digest=par, now=now) != 1:
        raise InvalidRequestUri("request_uri was used already")
