"""/consent/stream: a service follows the changes of consents, so that it may keep decisions for a while.

GET, PUT and DELETE look after the service's one stream (its delivery is named as in the OpenID Shared Signals
Framework 1.0 section 6.1); POST /consent/stream/poll is RFC 8936 section 2: what waits is given until it is
acknowledged, so nothing is lost between two polls. How to keep a decision safely: forget what you keep of a consent
when a token names it, and keep nothing longer than you are willing to go without a complete poll (or push).
"""

import re
from functools import partial
from typing import Any

from consent import endings, streams
from consent.errors import StreamIsPushed
from consent.push import SCOPE_OF_OTHERS, Push, may_hear
from consent.security_events import KINDS, uri
from consent.streams import StreamView, Waiting
from identity.bearer import Access, Bearer
from identity.clients import Client, Clients
from identity.signals.delivery import Delivery, read_delivery, shown
from identity.signals.polling import HeldPolls, Poll, members, read_poll
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit import outbox
from kit.clock import Clock, Millis, iso
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.front import Call, Reply, reply_json
from kit.logs import log
from kit.problems import Forbidden, Invalid

_ID = re.compile(r"set_[0-9a-z]{26}")


class StreamEndpoints:
    """The handlers."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        bearer: Bearer,
        clients: Clients,
        sealer: Sealer,
        ring: KeyRing,
        fetcher: Fetcher,
        push: Push,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clock = clock
        self._bearer = bearer
        self._clients = clients
        self._sealer = sealer
        self._ring = ring
        self._fetcher = fetcher
        self._push = push
        self._held = HeldPolls(database, streams.TOPIC)

    async def show(self, call: Call) -> Reply:
        """GET /consent/stream."""
        access, _ = await self._caller(call)
        stream, backlog = await self._database.read(streams.stream_of, access.client_id)
        return reply_json(200, self._document(stream, backlog))

    async def put(self, call: Call) -> Reply:
        """PUT /consent/stream."""
        access, member_id = await self._caller(call)
        everyone, delivery = self._read(await call.json())
        if everyone:
            access.require(SCOPE_OF_OTHERS)
        stream = await self._database.write(
            _open,
            self._sealer,
            client_id=access.client_id,
            member_id=member_id,
            everyone=everyone,
            endpoint=delivery.endpoint,
            authorization=delivery.authorization,
            actor=access.actor(),
            now=self._clock.ms(),
        )
        _, backlog = await self._database.read(streams.stream_of, access.client_id)
        return reply_json(200, self._document(stream, backlog))

    async def delete(self, call: Call) -> Reply:
        """DELETE /consent/stream."""
        access, _ = await self._caller(call)
        await self._database.write(streams.close_stream, access.client_id, actor=access.actor())
        return Reply(204)

    async def poll(self, call: Call) -> Reply:
        """POST /consent/stream/poll (RFC 8936 section 2). Raises StreamIsPushed."""
        access, _ = await self._caller(call)
        client = await self._clients.get(access.client_id)
        assert client is not None  # the token's check has just found it
        ask = read_poll(await call.json(), _ID, Invalid)
        stream, _ = await self._database.read(streams.stream_of, client.id)
        if stream.endpoint is not None:
            raise StreamIsPushed("This stream's tokens are pushed. Set its delivery to poll first.")
        done = [*ask.acks, *ask.errors]
        if ask.errors:  # section 2.4: the receiver can't use them; they would never be taken, so they end here
            log.warning("security events refused", client=client.id, errors=ask.errors)
        if done:
            await self._database.write(_done, client, ask, self._clock.ms())
        if ask.most == 0:
            return reply_json(200, {"sets": {}})
        collect = partial(self._collect, client, ask.most)
        found = await (collect() if ask.at_once else self._held.wait(client.id, collect))
        await self._ring.refresh()
        sets = {each.id: self._push.token(each, client) for each in found[: ask.most]}
        return reply_json(200, {"sets": sets, "moreAvailable": len(found) > ask.most})

    async def _caller(self, call: Call) -> tuple[Access, str]:
        """The service itself: what a token about one resident may do ends at that resident."""
        access = await self._bearer.verify(call)
        if access.member_id is None or access.account_id is not None:
            raise Forbidden("Use a token of the service's own (client credentials), of a member organisation.")
        return access, access.member_id

    async def _collect(self, client: Client, most: int) -> tuple[Waiting, ...]:
        """What waits, one more than asked for. What the service may not hear any more is let go."""
        if await self._database.read(streams.has_unspread):
            await self._database.write(streams.spread)
        while True:
            found = await self._database.read(streams.waiting, client.id, most + 1)
            others = [each.id for each in found if not may_hear(client, each)]
            if not others:
                return found
            await self._database.write(_drop, client.id, others)

    def _document(self, stream: StreamView, backlog: outbox.Backlog) -> dict[str, Any]:
        delivery = shown(Delivery(stream.endpoint), f"{self._issuer}/consent/stream/poll")
        return {
            "iss": self._issuer,
            "aud": stream.client_id,
            "delivery": delivery,
            "recipients": "all" if stream.everyone else "own",
            "events_delivered": [uri(kind) for kind in KINDS],
            "opened": iso(stream.opened_at),
            "waiting": backlog.waiting,
            "failed": backlog.tries,
        }

    def _read(self, value: Any) -> tuple[bool, Delivery]:
        """Whose changes, and how they come."""
        body = members(value, "", {"delivery", "recipients"}, Invalid)
        recipients = body.get("recipients", "own")
        if recipients not in ("own", "all"):
            raise Invalid("Say own or all.", pointer="/recipients")
        return recipients == "all", read_delivery(body.get("delivery"), self._fetcher, Invalid)


def _open(session: Session, /, sealer: Sealer, *, client_id: str, member_id: str, **more: Any) -> StreamView:
    stream, news = streams.open_stream(session, sealer, client_id=client_id, member_id=member_id, **more)
    if news:  # what its member has not confirmed yet is not lost because nobody listened
        endings.tell_outstanding(session, client_id, member_id, now=more["now"])
    return stream


def _done(session: Session, client: Client, ask: Poll, now: Millis) -> None:
    connection = session.connection()
    heard = streams.taken(session, client.id, outbox.find(connection, streams.TOPIC, client.id, ask.acks))
    endings.told(session, heard, client_id=client.id, actor=client.actor(), now=now)
    _drop(session, client.id, [*ask.acks, *ask.errors])


def _drop(session: Session, client_id: str, ids: list[str]) -> None:
    outbox.remove(session.connection(), streams.TOPIC, client_id, ids)
