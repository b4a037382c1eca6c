"""What the grants share: the audience of a token, its compact row, the body of the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from identity.assurance.enough import missing
from identity.assurance.minimums import Floors
from identity.clients import Client
from identity.codes import Authorized, issued_table
from identity.oauth.errors import InvalidDpopProof, InvalidGrant, InvalidRequest, InvalidTarget
from identity.oauth.holder import Holder
from identity.settings import IdentitySettings
from identity.tokens import Tokens
from kit.clock import SECOND, Millis
from kit.db import Tx, tx_of

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What a write found and recorded; the tokens are signed after it is durable."""

    jti: str
    account_id: str
    grant_id: str
    authorized: Authorized
    scopes: tuple[str, ...]
    audience: str
    refresh_token: str | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """A spent code or refresh token came back. Returned, not raised: what it ended stays ended."""


def read_audience(asked: str | None, allowed: Sequence[str], default: str) -> str:
    """The one audience of the token (RFC 8707 section 2): the one asked for, or the first allowed, or ourselves.

    Raises InvalidTarget.
    """
    if asked is None:
        return allowed[0] if allowed else default
    if " " in asked:
        raise InvalidTarget("ask for one resource at a time")
    if asked != default and asked not in allowed:
        raise InvalidTarget("this resource is not allowed to this client")
    if allowed and asked not in allowed:
        raise InvalidTarget("this resource was not authorized")
    return asked


def require_binding(client: Client, holder: Holder) -> None:
    """A client registered for bound tokens never gets a bearer token (RFC 9449 section 5.2, RFC 8705 section 3.4).

    Raises InvalidDpopProof, InvalidRequest.
    """
    if client.dpop_bound and holder.jkt is None:
        raise InvalidDpopProof("this client must send a DPoP proof")
    if client.certificate_bound and holder.x5t is None:
        raise InvalidRequest("this client must use its client certificate, at the port that asks for one")


def require_enough(
    connection: Connection,
    floors: Floors,
    client: Client,
    scopes: Sequence[str],
    authorized: Authorized,
    account_id: str,
    now: Millis,
) -> None:
    """A grant lives longer than a sign-in or a verification: what it rests on is asked again, by the minimums of now.

    Raises InvalidGrant and changes nothing: sent through the authorization endpoint the resident is told what to do.
    """
    verified = bool(authorized.userinfo_verified or authorized.id_token_verified)
    short = missing(
        connection, floors, client, scopes, verified=verified, account_id=account_id, acr=authorized.acr, now=now
    )
    if short.any:
        raise InvalidGrant("the resident is not as surely known as this client needs; send them to sign in again")


def note_issued(
    place: Connection | Tx, jti: str, kind: str, *, client_id: str, grant_id: str | None, now: Millis, seconds: int
) -> None:
    """The compact row of a token (invariant I8)."""
    tx_of(place).append(
        issued_table,
        {
            "jti": jti, "client_id": client_id, "grant_id": grant_id, "kind": kind, "issued_at": now,
            "expires_at": now + seconds * SECOND,
        },
    )  # fmt: skip


def _came_from(exchanged: Exchanged) -> dict[str, Any]:
    """What an ID token says that may come back to be exchanged."""
    said: dict[str, Any] = {"jti": exchanged.jti, "grant_id": exchanged.grant_id}
    if exchanged.authorized.generation:
        said["grant_generation"] = exchanged.authorized.generation
    return said


def answer(
    tokens: Tokens,
    settings: IdentitySettings,
    client: Client,
    exchanged: Exchanged,
    *,
    holder: Holder,
    now: Millis,
    first: bool,
    told: Mapping[str, Any] = NOTHING,
) -> dict[str, Any]:
    """Sign and say (RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3, RFC 9396 section 7)."""
    authorized = exchanged.authorized
    access_token = tokens.access_token(
        client,
        jti=exchanged.jti,
        audience=exchanged.audience,
        scopes=exchanged.scopes,
        now=now,
        holder=holder,
        account_id=exchanged.account_id,
        grant_id=exchanged.grant_id,
        authorized=authorized,
    )
    body: dict[str, Any] = {
        "access_token": access_token,
        "token_type": holder.token_type,
        "expires_in": settings.access_token_seconds,
        "scope": " ".join(exchanged.scopes),
    }
    if exchanged.refresh_token is not None:
        body["refresh_token"] = exchanged.refresh_token
    if "openid" in exchanged.scopes:
        body["id_token"] = tokens.id_token(
            client,
            account_id=exchanged.account_id,
            authorized=authorized,
            access_token=access_token,
            now=now,
            with_nonce=first,
            told=told,
            more=_came_from(exchanged) if client.names_grants else NOTHING,
        )
    if authorized.details:
        body["authorization_details"] = authorized.details
    if authorized.managed:
        body["grant_id"] = exchanged.grant_id
    return body
