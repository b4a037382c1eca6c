"""Telling a service that its question is answered: it then asks for the tokens, which never travel this way.

CIBA Core 1.0 section 10.2 (ping). What the service gave us to prove ourselves with (`client_notification_token`) and
the name of its request are kept sealed beside the request, and only until it was told. The row says when to tell in the
very write that answers; a job tells, guarded (`kit.fetch`), ever later when it fails, until the request runs out.
"""

import asyncio
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from identity.clients import Clients
from keys.envelope import Sealer
from kit import audit
from kit.clock import MINUTE, SECOND, Clock, Millis
from kit.db import Database, Quick, Session
from kit.fetch import Fetcher, FetchRefused
from kit.host import SYSTEM

_FIRST: Millis = 2 * SECOND
_LONGEST: Millis = MINUTE
_AT_ONCE = 50

_DUE = Quick(
    "SELECT digest, client_id, ping, ping_tries, expires_at FROM identity_decoupled WHERE ping_at <= :now"
    " ORDER BY ping_at LIMIT :limit"
)
_DONE = Quick("UPDATE identity_decoupled SET ping = NULL, ping_at = NULL WHERE digest = :digest")
_LATER = Quick("UPDATE identity_decoupled SET ping_at = :at, ping_tries = :tries WHERE digest = :digest")


@dataclass(frozen=True, slots=True)
class Ping:
    """One service to be told."""

    digest: bytes
    client_id: str
    sealed: bytes
    tries: int
    expires_at: Millis


def seal(sealer: Sealer, digest: bytes, *, auth_req_id: str, token: str) -> bytes:
    """What the row keeps until the service was told."""
    return sealer.system().seal(_context(digest), orjson.dumps([auth_req_id, token]))


class Pings:
    """Delivers; a job calls `deliver`."""

    def __init__(self, database: Database, clock: Clock, clients: Clients, sealer: Sealer, fetcher: Fetcher) -> None:
        self._database = database
        self._clock = clock
        self._clients = clients
        self._sealer = sealer
        self._fetcher = fetcher

    async def deliver(self) -> int:
        """One round; returns how many services were told."""
        due = await self._database.read(_due, self._clock.ms())
        return sum(await asyncio.gather(*(self._one(ping) for ping in due)))

    async def _one(self, ping: Ping) -> bool:
        client = await self._clients.get(ping.client_id)
        if client is None or not client.usable or client.notification_endpoint is None:
            await self._database.bulk(_done, ping.digest)
            return False
        auth_req_id, token = orjson.loads(self._sealer.system().open(_context(ping.digest), ping.sealed))
        why = await self._post(client.notification_endpoint, auth_req_id, token)
        if why is None:
            await self._database.bulk(_done, ping.digest)
            return True
        again = self._clock.ms() + min(_FIRST * 2**ping.tries, _LONGEST)
        if again >= ping.expires_at:  # who was not told can still ask, until then
            await self._database.bulk(_give_up, ping, why)
        else:
            await self._database.bulk(_later, ping.digest, ping.tries + 1, again)
        return False

    async def _post(self, uri: str, auth_req_id: str, token: str) -> str | None:
        """None if the service took it, else why not."""
        try:
            answer = await self._fetcher.post(
                uri,
                orjson.dumps({"auth_req_id": auth_req_id}),
                content_type="application/json",
                headers={"authorization": f"Bearer {token}"},
                limit=8192,
            )
        except FetchRefused as error:
            return error.reason
        return None if answer.status in (200, 204) else f"status-{answer.status}"


def _context(digest: bytes) -> str:
    return f"identity_decoupled|ping|{digest.hex()}"


def _due(session: Session, now: Millis) -> tuple[Ping, ...]:
    rows = _DUE.all(session.connection(), now=now, limit=_AT_ONCE)
    return tuple(Ping(bytes(row[0]), row[1], bytes(row[2]), row[3], row[4]) for row in rows)


def _done(session: Session, digest: bytes) -> None:
    _DONE.run(session.connection(), digest=digest)


def _later(session: Session, digest: bytes, tries: int, at: Millis) -> None:
    _LATER.run(session.connection(), digest=digest, tries=tries, at=at)


def _give_up(session: Session, ping: Ping, why: str) -> None:
    connection: Connection = session.connection()
    _DONE.run(connection, digest=ping.digest)
    audit.record(
        session,
        "identity.backchannel.undelivered",
        actor=SYSTEM,
        object=("client", ping.client_id),
        detail={"why": why, "tries": ping.tries + 1},
        outcome="failed",
    )
