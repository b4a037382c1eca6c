"""Delivers security event tokens: pushed (RFC 8935) or made for who polls (RFC 8936).

A push is a POST of the token to the address the service gave, guarded (`kit.fetch`); 202 alone means it was taken
(RFC 8935 section 2.2), and being taken proves nothing but delivery. What fails is tried again, ever later, for a week.
"""

import asyncio
from time import monotonic

from consent import endings, streams
from consent.security_events import MEDIA_TYPE, TYPE, token_claims
from consent.streams import StreamView, Waiting
from identity.clients import Client, Clients
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit.clock import HOUR, SECOND, Clock, Millis, iso
from kit.db import Database, Session
from kit.fetch import Fetcher, FetchRefused
from kit.host import SYSTEM

SCOPE_OF_OTHERS = "consent.check"
_FIRST: Millis = 5 * SECOND
_LONGEST: Millis = HOUR
_SHARE = 1.0  # seconds of a round for one stream, begun pushes aside: who is slow to take holds up nobody else


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

    async def deliver(self) -> int:
        """One round; how many tokens were taken."""
        if await self._database.read(streams.has_unspread):
            await self._database.bulk(streams.spread)
        found = await self._database.read(streams.due, self._clock.ms())
        if not found:
            return 0
        await self._ring.refresh()
        return sum(await asyncio.gather(*(self._stream(*batch) for batch in found)))

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

    async def _stream(self, stream: StreamView, batch: tuple[Waiting, ...]) -> int:
        """In order, until one is not taken: then all of the stream wait, so a dead address costs one try a round."""
        client = await self._clients.get(stream.client_id)
        done: list[str] = []
        told, why, began = 0, None, monotonic()
        for waiting in batch:
            if monotonic() - began >= _SHARE:
                break
            # A suspended client hears nothing while it lasts, and everything when it is let in again.
            if client is None or not client.usable:
                why = "client"
            elif may_hear(client, waiting):
                why = await self._post(stream, waiting, client)
                told += why is None
            if why is not None:
                break
            done.append(waiting.id)
        tries = 0 if why is None else 1 if done else stream.tries + 1
        wait = min(_FIRST * 2 ** min(tries - 1, 20), _LONGEST) if tries else 0
        await self._database.bulk(_round_over, stream.client_id, done, tries=tries, wait=wait, now=self._clock.ms())
        return told

    async def _post(self, stream: StreamView, waiting: Waiting, client: Client) -> str | None:
        """None if the service took it, else why not."""
        headers = {"accept": "application/json"}
        authorization = streams.authorization_of(self._sealer, stream)
        if authorization is not None:
            headers["authorization"] = authorization
        body = self.token(waiting, client).encode()
        try:
            answer = await self._fetcher.post(
                str(stream.endpoint), body, content_type=MEDIA_TYPE, headers=headers, limit=8192
            )
        except FetchRefused as error:
            return error.reason
        return None if answer.status == 202 else f"status-{answer.status}"


def _round_over(session: Session, client_id: str, done: list[str], *, tries: int, wait: Millis, now: Millis) -> None:
    if done:
        endings.told(session, streams.taken(session, client_id, done), client_id=client_id, actor=SYSTEM, now=now)
    streams.pushed(session, client_id, tries=tries, next_at=now + wait)


def may_hear(client: Client, waiting: Waiting) -> bool:
    """Whether a change concerns this service still: its own member's, or it may ask for others."""
    return waiting.member_id == client.member_id or SCOPE_OF_OTHERS in client.scopes
