"""Delivers security event tokens: pushed (RFC 8935) or made for who polls (RFC 8936).

A push is a POST of the token to the address the service gave, guarded (`kit.fetch`); 202 alone means it was taken
(RFC 8935 section 2.2), and being taken proves nothing but delivery. The outbox keeps the order and tries again.
"""

from collections.abc import Sequence

from consent import endings, streams
from consent.security_events import TYPE, token_claims
from consent.streams import Waiting
from identity.clients import Client, Clients
from identity.signals.delivery import Delivery, push
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.clock import HOUR, SECOND, Clock, Millis, iso
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.host import SYSTEM
from kit.outbox import DROPPED, Item, Outbox, Sender

SCOPE_OF_OTHERS = "consent.check"


class Push:
    """The job `consent.streams.push` calls `deliver`; polls call `token`."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        clients: Clients,
        sealer: Sealer,
        ring: KeyRing,
        fetcher: Fetcher,
        *,
        acknowledge_within: Millis,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clock = clock
        self._clients = clients
        self._sealer = sealer
        self._ring = ring
        self._fetcher = fetcher
        self._within = acknowledge_within
        sender = Sender(streams.TOPIC, self._send, first=5 * SECOND, longest=HOUR, ordered=True, taken=self._taken)
        self._outbox = Outbox(database, clock, sender)

    async def deliver(self) -> int:
        """One round; how many tokens were taken."""
        if await self._database.read(streams.has_unspread):
            await self._database.bulk(streams.spread)
        return await self._outbox.deliver()

    async def close_dead(self) -> int:
        """Close streams that have taken nothing for a week."""
        return await self._database.bulk(streams.close_dead, self._clock.ms())

    def token(self, waiting: Waiting, client: Client) -> str:
        """The signed token (RFC 8417). Signed when it leaves, so a rotated key signs nothing any more."""
        kept = dict(waiting.claims)
        if waiting.ending_id is not None and waiting.member_id == client.member_id:
            by = {"acknowledge_by": iso(waiting.claims["toe"] * SECOND + self._within)}
            kept["events"] = {name: {**event, **by} for name, event in waiting.claims["events"].items()}
        said = token_claims(
            kept,
            issuer=self._issuer,
            audience=client.id,
            token_id=waiting.id,
            issued_at=waiting.created_at,
        )
        return self._ring.sign_jwt(said, typ=TYPE, alg=client.access_token_alg)

    async def _send(self, item: Item) -> str | None:
        """None if the service took it, else why not."""
        client = await self._clients.get(item.lane)
        stream = await self._database.read(streams.find_stream, item.lane)
        waiting = streams.opened(item)
        # A suspended client hears nothing while it lasts, and everything when it is let in again.
        if client is None or not client.usable or stream is None or stream.endpoint is None:
            return "client"
        if not may_hear(client, waiting):
            return DROPPED
        await self._ring.refresh()
        delivery = Delivery(stream.endpoint, streams.authorization_of(self._sealer, stream))
        return await push(self._fetcher, delivery, self.token(waiting, client))

    def _taken(self, session: Session, client_id: str, items: Sequence[Item]) -> None:
        heard = streams.taken(session, client_id, items)
        endings.told(session, heard, client_id=client_id, actor=SYSTEM, now=self._clock.ms())


def may_hear(client: Client, waiting: Waiting) -> bool:
    """Whether a change concerns this service still: its own member's, or it may ask for others."""
    return waiting.member_id == client.member_id or SCOPE_OF_OTHERS in client.scopes
