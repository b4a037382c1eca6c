"""/consent/stream: a service follows the changes of consents, so that it may keep decisions for a while.

GET, PUT and DELETE look after the service's one stream (its delivery is named as in the OpenID Shared Signals
Framework 1.0 section 6.1); POST /consent/stream/poll is RFC 8936 section 2: what waits is given until it is
acknowledged, so nothing is lost between two polls. How to keep a decision safely: forget what you keep of a consent
when a token names it, and keep nothing longer than you are willing to go without a complete poll (or push).
"""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent import endings, streams
from consent.errors import StreamIsPushed
from consent.push import SCOPE_OF_OTHERS, Push, may_hear
from consent.security_events import KINDS, uri
from consent.streams import StreamView, Waiting
from identity.bearer import Access, Bearer
from identity.clients import Client, Clients
from keys.envelope import Sealer
from keys.ring import KeyRing
from kit import outbox
from kit.clock import Clock, Millis, iso
from kit.db import Database, Session
from kit.fetch import Fetcher, FetchRefused
from kit.front import Call, Reply, reply_json
from kit.logs import log
from kit.problems import Forbidden, Invalid, Malformed

PUSH: Final = "urn:ietf:rfc:8935"
POLL: Final = "urn:ietf:rfc:8936"
LONGEST_WAIT = 10.0  # seconds a poll is held open while there is nothing to tell
_LOOK_EVERY = 0.2
_MOST_HELD, _MOST_OF_ONE = 64, 4  # polls held open at once, and of one client; more are answered at once
_MOST = 100
_MOST_ACKS = 1000
_ID = re.compile(r"set_[0-9a-z]{26}")
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}")
_HEADER = re.compile(r"[!-~](?:[ -~]{0,998}[!-~])?")


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
        self._held: Counter[str] = Counter()

    async def show(self, call: Call) -> Reply:
        """GET /consent/stream."""
        access, _ = await self._caller(call)
        stream, backlog = await self._database.read(streams.stream_of, access.client_id)
        return reply_json(200, self._document(stream, backlog))

    async def put(self, call: Call) -> Reply:
        """PUT /consent/stream."""
        access, member_id = await self._caller(call)
        everyone, endpoint, authorization = self._read(await call.json())
        if everyone:
            access.require(SCOPE_OF_OTHERS)
        stream = await self._database.write(
            _open,
            self._sealer,
            client_id=access.client_id,
            member_id=member_id,
            everyone=everyone,
            endpoint=endpoint,
            authorization=authorization,
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
        """POST /consent/stream/poll (RFC 8936 section 2)."""
        access, _ = await self._caller(call)
        client = await self._clients.get(access.client_id)
        assert client is not None  # the token's check has just found it
        ask = _read_poll(await call.json())
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
        found = await (self._collect if ask.at_once else self._hold)(client, ask.most)
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

    async def _hold(self, client: Client, most: int) -> tuple[Waiting, ...]:
        """A long poll (RFC 8936 section 2.2), bounded in time and number: the change counter says when to look."""
        if self._held.total() >= _MOST_HELD or self._held[client.id] >= _MOST_OF_ONE:
            return await self._collect(client, most)
        self._held[client.id] += 1
        try:
            count = -1
            for _ in range(round(LONGEST_WAIT / _LOOK_EVERY)):
                before, count = count, await self._database.counter(streams.TOPIC)
                if count != before and (found := await self._collect(client, most)):
                    return found
                await asyncio.sleep(_LOOK_EVERY)
            return ()
        finally:
            self._held[client.id] -= 1
            self._held += Counter()  # forget who holds none

    def _document(self, stream: StreamView, backlog: outbox.Backlog) -> dict[str, Any]:
        delivery: dict[str, Any] = {"method": PUSH, "endpoint_url": stream.endpoint}
        if stream.endpoint is None:
            delivery = {"method": POLL, "endpoint_url": f"{self._issuer}/consent/stream/poll"}
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

    def _read(self, value: Any) -> tuple[bool, str | None, str | None]:
        """Whose changes, the address to push to, the header to push with."""
        body = _members(value, "", {"delivery", "recipients"})
        recipients = body.get("recipients", "own")
        if recipients not in ("own", "all"):
            raise Invalid("Say own or all.", pointer="/recipients")
        delivery = _members(body.get("delivery"), "/delivery", {"method", "endpoint_url", "authorization_header"})
        if delivery.get("method") == POLL:
            if extra := sorted(delivery.keys() - {"method"}):
                raise Invalid("A stream that is polled has no address.", pointer=f"/delivery/{extra[0]}")
            return recipients == "all", None, None
        if delivery.get("method") != PUSH:
            raise Invalid(f"Say {PUSH} or {POLL}.", pointer="/delivery/method")
        endpoint, authorization = delivery.get("endpoint_url"), delivery.get("authorization_header")
        if not isinstance(endpoint, str) or len(endpoint) > 2000 or "#" in endpoint:
            raise Invalid("Send an address of at most 2000 characters.", pointer="/delivery/endpoint_url")
        try:
            self._fetcher.check(endpoint)
        except FetchRefused:
            raise Invalid("Send an https address.", pointer="/delivery/endpoint_url") from None
        if authorization is not None and not _is_header(authorization):
            raise Invalid("Send a header's value in visible ASCII.", pointer="/delivery/authorization_header")
        return recipients == "all", endpoint, authorization


@dataclass(frozen=True, slots=True)
class _Poll:
    """What a poll asks (RFC 8936 section 2.2)."""

    most: int
    at_once: bool
    acks: tuple[str, ...]
    errors: Mapping[str, str]


def _open(session: Session, /, sealer: Sealer, *, client_id: str, member_id: str, **more: Any) -> StreamView:
    stream, news = streams.open_stream(session, sealer, client_id=client_id, member_id=member_id, **more)
    if news:  # what its member has not confirmed yet is not lost because nobody listened
        endings.tell_outstanding(session, client_id, member_id, now=more["now"])
    return stream


def _done(session: Session, client: Client, ask: _Poll, now: Millis) -> None:
    connection = session.connection()
    heard = streams.taken(session, client.id, outbox.find(connection, streams.TOPIC, client.id, ask.acks))
    endings.told(session, heard, client_id=client.id, actor=client.actor(), now=now)
    _drop(session, client.id, [*ask.acks, *ask.errors])


def _drop(session: Session, client_id: str, ids: list[str]) -> None:
    outbox.remove(session.connection(), streams.TOPIC, client_id, ids)


def _read_poll(value: Any) -> _Poll:
    body = _members(value, "", {"maxEvents", "returnImmediately", "ack", "setErrs"})
    most, at_once = body.get("maxEvents", _MOST), body.get("returnImmediately", False)
    acks, errors = body.get("ack", []), body.get("setErrs", {})
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise Invalid("Send a number, 0 or more.", pointer="/maxEvents")
    if not isinstance(at_once, bool):
        raise Invalid("Send true or false.", pointer="/returnImmediately")
    if not isinstance(acks, list) or len(acks) > _MOST_ACKS or not all(_is_id(each) for each in acks):
        raise Invalid(f"Send the `jti` of at most {_MOST_ACKS} tokens.", pointer="/ack")
    if not isinstance(errors, dict) or len(errors) > _MOST_ACKS or not all(_is_id(each) for each in errors):
        raise Invalid(f"Send an error for the `jti` of at most {_MOST_ACKS} tokens.", pointer="/setErrs")
    codes = {}
    for name, error in errors.items():
        code = _members(error, f"/setErrs/{name}", {"err", "description"}).get("err")
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Invalid("Send an error code.", pointer=f"/setErrs/{name}/err")
        codes[name] = code
    return _Poll(min(most, _MOST), at_once, tuple(acks), codes)


def _members(value: Any, place: str, known: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        if place:
            raise Invalid("Send an object.", pointer=place)
        raise Malformed("Send a JSON object.")
    if unknown := sorted(value.keys() - known):
        raise Invalid("This member is not known here.", pointer=f"{place}/{unknown[0][:40]}")
    return value


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_header(value: Any) -> bool:
    return isinstance(value, str) and _HEADER.fullmatch(value) is not None
