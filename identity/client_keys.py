"""A client's public keys: registered by value, or fetched from its `jwks_uri` (RFC 7591 section 2).

After a change the former keys may stay good for a while beside the new ones, as with secrets, so that every instance
of a client can change over without a break. Their end is asked of the clock at each use.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Table, delete, select, text, update
from sqlmodel import SQLModel

from identity.clients import Client
from identity.remote_keys import RemoteKeys
from keys.errors import BadToken
from keys.hashing import same
from keys.jose import LONGEST, thumbprint, verify_and_tell
from kit.clock import MINUTE, Clock, Millis
from kit.db import Database, Session
from kit.problems import Unavailable

#: How exact "last used" is: a write for each use would cost more than the signature.
COARSE: Millis = 10 * MINUTE
_REMEMBERED = 20
_MOST = 10_000
_uses: Table = SQLModel.metadata.tables["identity_client_key_use"]


class ClientKeys:
    """Verifies what clients sign: assertions and request objects."""

    def __init__(self, remote: RemoteKeys, database: Database, clock: Clock) -> None:
        self._remote = remote
        self._database = database
        self._clock = clock
        self._noted: dict[tuple[str, str], Millis] = {}

    async def verify(
        self, client: Client, token: str, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a JWT signed by the client; raises BadToken. No claim is checked."""
        header, claims, _key = await self.verify_under(client, token, algs=algs, typ=typ, longest=longest)
        return header, claims

    async def verify_under(
        self, client: Client, token: str, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """Header, claims, and the very key they are signed with: evidence must outlast a rotation."""
        try:
            header, claims, key = await self._under(
                client.jwks, client.jwks_uri, token, algs=algs, typ=typ, longest=longest
            )
        except BadToken:
            former = self._former(client)
            if former is None:
                raise
            header, claims, key = await self._under(
                former.get("jwks"), former.get("jwks_uri"), token, algs=algs, typ=typ, longest=longest
            )
        await self._note(client, key)
        return header, claims, dict(key)

    async def has(self, client: Client, thumb: str) -> bool:
        """Whether a key with this thumbprint (RFC 7638) is one of the client's, for a certificate it shows."""
        found = await self._has(client.jwks, client.jwks_uri, thumb)
        former = self._former(client)
        if found is None and former is not None:
            found = await self._has(former.get("jwks"), former.get("jwks_uri"), thumb)
        if found is not None:
            await self._note(client, found)
        return found is not None

    async def _under(
        self,
        jwks: Mapping[str, Any] | None,
        uri: str | None,
        token: str,
        *,
        algs: Collection[str],
        typ: str | None,
        longest: int,
    ) -> tuple[dict[str, Any], dict[str, Any], Mapping[str, Any]]:
        if jwks is not None:
            return verify_and_tell(token, jwks, algs=algs, typ=typ, longest=longest)
        if uri is None:
            raise BadToken(private="this client registered no keys")
        return await self._remote.verify_and_tell(uri, token, algs=algs, typ=typ, longest=longest)

    async def _has(self, jwks: Mapping[str, Any] | None, uri: str | None, thumb: str) -> Mapping[str, Any] | None:
        try:
            held = jwks if uri is None else await self._remote.get(uri)
        except BadToken:
            return None
        found: Mapping[str, Any] | None = None
        for key in (held or {}).get("keys", ()):
            try:
                if same(thumbprint(key), thumb):
                    found = key
            except BadToken:  # a kind we don't know, in a set somebody else keeps
                continue
        return found

    def _former(self, client: Client) -> Mapping[str, Any] | None:
        until = client.former_keys_until
        return client.former_keys if until is not None and self._clock.ms() < until else None

    async def _note(self, client: Client, key: Mapping[str, Any]) -> None:
        """That a key was used, written every ten minutes at most; only what verified gets here."""
        now = self._clock.ms()
        place = client.id, str(key.get("x") or key.get("n"))
        if now - self._noted.get(place, -COARSE) < COARSE:
            return
        if len(self._noted) >= _MOST:
            del self._noted[next(iter(self._noted))]
        self._noted[place] = now
        try:
            await self._database.write(_used, client.id, thumbprint(key), now)
        except Unavailable:  # a busy house signs people in; it writes this down the next time
            del self._noted[place]


def last_uses(session: Session, client_id: str) -> dict[str, Millis]:
    """When each of a client's keys was last used, by thumbprint; no older than their ten minutes."""
    rows = session.connection().execute(select(_uses).where(_uses.c.client_id == client_id)).mappings()
    return {row["thumbprint"]: row["used_at"] for row in rows}


def _used(session: Session, client_id: str, thumb: str, now: Millis) -> None:
    connection = session.connection()
    mine = (_uses.c.client_id == client_id) & (_uses.c.thumbprint == thumb)
    if connection.execute(update(_uses).where(mine).values(used_at=now)).rowcount:
        return
    # Whoever rotates every minute leaves no more rows than a sane client.
    kept = select(_uses.c.thumbprint).where(_uses.c.client_id == client_id)
    oldest = connection.execute(kept.order_by(_uses.c.used_at.desc()).offset(_REMEMBERED - 1)).scalars().all()
    if oldest:
        connection.execute(delete(_uses).where(_uses.c.client_id == client_id, _uses.c.thumbprint.in_(oldest)))
    connection.execute(
        text(  # two processes may see the same key for the first time
            "INSERT INTO identity_client_key_use (client_id, thumbprint, used_at) VALUES (:client, :thumb, :now)"
            " ON CONFLICT (client_id, thumbprint) DO NOTHING"
        ),
        {"client": client_id, "thumb": thumb, "now": now},
    )
