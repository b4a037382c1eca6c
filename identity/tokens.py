"""Tokens: their claims, their signatures, and the refresh token's shape.

Access tokens are JWTs after RFC 9068; ID tokens after OpenID Connect Core section 2. Nothing is stored of either but a
compact row (`identity_issued`). A token's `jti` begins with the chain it belongs to, so that one row can revoke all of
a chain.

A refresh token is `skr_<chain>.<generation>.<256 random bits>.<mac>`. The mac says that we made it, so that only a
token that once was good can raise the alarm of reuse; the row of its family holds the keyed hash of the newest.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from identity.clients import Client
from identity.codes import Authorized
from identity.oauth.holder import NOTHING, Holder
from identity.settings import IdentitySettings
from identity.subjects import pairwise, sector_of
from keys.hashing import TokenHasher, same
from keys.ring import KeyRing
from kit.clock import Millis
from kit.encoding import b64url
from kit.ids import new_id

_REFRESH = re.compile(r"skr_([0-9a-z]{26})\.([0-9]{1,9})\.[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{22})", re.ASCII)
_HALF = {"EdDSA": hashlib.sha512, "ES256": hashlib.sha256, "RS256": hashlib.sha256, "PS256": hashlib.sha256}
_NAMES = 16_384  # remembered: some 300 bytes each

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token that we once made. Whether it is still good, its family's row says."""

    family_id: str
    generation: int
    digest: bytes


def new_jti(chain: str | None = None) -> str:
    """A token's name: its chain and a name of its own in it; a token without a chain is a chain of its own."""
    own = new_id("chn")
    return own if chain is None else f"{chain}.{own[-16:]}"


def derived_jti(jti: str) -> str:
    """The name of a token that was exchanged for another: whatever ends that one ends it too (`bearer.alive`)."""
    return f"{jti}.{new_id('chn')[-16:]}"


class Tokens:
    """Makes tokens."""

    def __init__(
        self, issuer: str, settings: IdentitySettings, ring: KeyRing, hasher: TokenHasher, default_id_token_alg: str
    ) -> None:
        self.issuer = issuer
        self._settings = settings
        self._ring = ring
        self._hasher = hasher
        self._default_alg = default_id_token_alg
        self._own_sector = sector_of(issuer)
        # Of a resident who comes again and again, the same names each time.
        self._subject = lru_cache(_NAMES)(partial(pairwise, hasher))
        self._session_name = lru_cache(_NAMES)(partial(_session_name, hasher))

    def subject(self, account_id: str, sector: str) -> str:
        """The pairwise subject of a resident in a sector."""
        return self._subject(account_id, sector)

    def access_token(
        self,
        client: Client,
        *,
        jti: str,
        audience: str,
        scopes: Sequence[str],
        now: Millis,
        holder: Holder,
        account_id: str | None = None,
        grant_id: str | None = None,
        authorized: Authorized | None = None,
        more: Mapping[str, Any] = _NOTHING,
    ) -> str:
        """A signed access token (RFC 9068 section 2). Without a resident the subject is the client itself.

        `more` is what a token that was exchanged says otherwise (RFC 8693 section 4).
        """
        issued_at = now // 1000
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": client.id,
            "aud": audience,
            "exp": issued_at + self._settings.access_token_seconds,
            "iat": issued_at,
            "jti": jti,
            "client_id": client.id,
            "scope": " ".join(scopes),
        }
        if account_id is not None and authorized is not None:
            own = audience == self.issuer
            claims["sub"] = self.subject(account_id, self._own_sector if own else sector_of(audience))
            claims["grant_id"] = grant_id
            if authorized.generation:
                claims["grant_generation"] = authorized.generation
            claims["auth_time"] = authorized.auth_at // 1000
            claims["acr"] = authorized.acr
            claims["amr"] = authorized.amr
            if authorized.userinfo_claims:
                claims["claims"] = {"userinfo": authorized.userinfo_claims}  # asked for one by one
            if authorized.userinfo_verified:
                claims.setdefault("claims", {})["verified"] = authorized.userinfo_verified
            if authorized.details:
                claims["authorization_details"] = authorized.details
        # Whose token was exchanged says who may go on from there (RFC 8693 section 4.4), not who exchanged it.
        if client.may_act is not None and "exchanged_from" not in more:
            claims["may_act"] = {"sub": client.may_act}
        if holder is not NOTHING:
            claims["cnf"] = holder.cnf()
        if more:
            claims |= more
        return self._ring.sign_jwt(claims, typ="at+jwt", alg=client.access_token_alg)

    def id_token(
        self,
        client: Client,
        *,
        account_id: str,
        authorized: Authorized,
        access_token: str,
        now: Millis,
        with_nonce: bool,
        told: Mapping[str, Any] = _NOTHING,
        more: Mapping[str, Any] = _NOTHING,
    ) -> str:
        """A signed ID token (OpenID Connect Core sections 2 and 3.1.3.6); at refresh without nonce (section 12.2)."""
        alg = client.id_token_alg or self._default_alg
        issued_at = now // 1000
        half = _HALF[alg](access_token.encode()).digest()
        claims: dict[str, Any] = {
            **told,
            "iss": self.issuer,
            "sub": self.subject(account_id, client.sector),
            "aud": client.id,
            "exp": issued_at + self._settings.id_token_seconds,
            "iat": issued_at,
            "auth_time": authorized.auth_at // 1000,
            "acr": authorized.acr,
            "amr": authorized.amr,
            "sid": self.session_name(authorized.session_id, client),
            "at_hash": b64url(half[: len(half) // 2]),
        }
        if with_nonce and authorized.nonce is not None:
            claims["nonce"] = authorized.nonce
        if more:
            claims |= more
        return self._ring.sign_jwt(claims, typ="JWT", alg=alg)

    def session_name(self, session_id: str, client: Client) -> str:
        """`sid`: one name of the session for each sector, so that clients can't compare notes by it."""
        return self._session_name(client.sector, session_id)

    def message_name(self, client_id: str, item_id: str) -> str:
        """`jti` of what is told to a client: one for each thing told, however often. A keyed hash, since ids of rows
        made in one moment are neighbours, and two receivers must not find out that they were told of one thing."""
        return b64url(self._hasher.digest("message-jti", f"{client_id}|{item_id}")[:18])

    def new_refresh(self, family_id: str, generation: int) -> tuple[str, bytes]:
        """A fresh refresh token of a family, and its keyed hash."""
        body = f"skr_{family_id.removeprefix('chn_')}.{generation}.{b64url(secrets.token_bytes(32))}"
        token = f"{body}.{self._mac(body)}"
        return token, self._hasher.digest("refresh", token)

    def read_refresh(self, token: str) -> Refresh | None:
        """What a refresh token says, if we made it."""
        match = _REFRESH.fullmatch(token)
        if match is None or not same(match[3], self._mac(token[: -len(match[3]) - 1])):
            return None
        return Refresh(f"chn_{match[1]}", int(match[2]), self._hasher.digest("refresh", token))

    def _mac(self, body: str) -> str:
        return b64url(self._hasher.digest("refresh-mac", body)[:16])


def _session_name(hasher: TokenHasher, sector: str, session_id: str) -> str:
    return b64url(hasher.digest("session-name", f"{sector}|{session_id}")[:16])
