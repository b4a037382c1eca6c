"""Telling a service that its question is answered: it then asks for the tokens, which never travel this way.

CIBA Core 1.0 section 10.2 (ping). What the service gave us to prove ourselves with (`client_notification_token`) and
the name of its request are kept sealed beside the request, and only until it was told. It moves to the outbox in the
very write that answers; the outbox tells, guarded (`kit.fetch`), until the request runs out. A service that refuses
(4xx) or sends elsewhere is not called again: the section leaves such codes open, and OpenID's FAPI-CIBA plan takes a
second call after a 401 as a fault.
"""

from typing import Final

import orjson
from sqlalchemy import Connection

from identity.clients import Clients
from keys.envelope import Sealer
from kit import audit, outbox
from kit.clock import MINUTE, SECOND, Clock, Millis
from kit.db import Database, Session
from kit.fetch import Fetcher, FetchRefused
from kit.host import SYSTEM
from kit.outbox import DROPPED, Item, Outbox, Sender

TOPIC: Final = "identity.ping"
#: Answers that ask to be asked again: RFC 9110 section 15.5.9, RFC 8470 section 5.2, RFC 6585 section 4.
_LATER = frozenset({408, 425, 429})
_DIGEST = 32  # bytes of a row's digest, before what is sealed under its name


def seal(sealer: Sealer, digest: bytes, *, auth_req_id: str, token: str) -> bytes:
    """What the row keeps until the service was told."""
    return sealer.system().seal(_context(digest), orjson.dumps([auth_req_id, token]))


def answered(
    connection: Connection, digest: bytes, sealed: bytes, *, client_id: str, now: Millis, expires_at: Millis
) -> None:
    """The question is answered: its service is to be told, until the question runs out."""
    outbox.add(connection, [outbox.row(TOPIC, client_id, digest + sealed, now=now, expires_at=expires_at)])


class Pings:
    """Delivers; a job calls `deliver`."""

    def __init__(self, database: Database, clock: Clock, clients: Clients, sealer: Sealer, fetcher: Fetcher) -> None:
        self._database = database
        self._clients = clients
        self._sealer = sealer
        self._fetcher = fetcher
        sender = Sender(TOPIC, self._send, first=2 * SECOND, longest=MINUTE, given_up=_give_up)
        self._outbox = Outbox(database, clock, sender)

    async def deliver(self) -> int:
        """One round; returns how many services were told."""
        return await self._outbox.deliver()

    async def _send(self, item: Item) -> str | None:
        """None if the service took it, else why not."""
        client = await self._clients.get(item.lane)
        if client is None or not client.usable or client.notification_endpoint is None:
            return DROPPED
        digest, sealed = item.body[:_DIGEST], item.body[_DIGEST:]
        auth_req_id, token = orjson.loads(self._sealer.system().open(_context(digest), sealed))
        try:
            answer = await self._fetcher.post(
                client.notification_endpoint,
                orjson.dumps({"auth_req_id": auth_req_id}),
                content_type="application/json",
                headers={"authorization": f"Bearer {token}"},
                limit=8192,
            )
        except FetchRefused as error:
            return error.reason
        if answer.status in (200, 204):
            return None
        why = f"status-{answer.status}"
        if 300 <= answer.status < 500 and answer.status not in _LATER:
            await self._database.write(_give_up, item, why)
            return DROPPED
        return why


def _context(digest: bytes) -> str:
    return f"identity_decoupled|ping|{digest.hex()}"


def _give_up(session: Session, item: Item, why: str) -> None:
    audit.record(
        session,
        "identity.backchannel.undelivered",
        actor=SYSTEM,
        object=("client", item.lane),
        detail={"why": why, "tries": item.tries + 1},
        outcome="failed",
    )
