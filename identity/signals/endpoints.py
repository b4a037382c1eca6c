"""/ssf/…: a service looks after its stream of signals.

OpenID Shared Signals Framework 1.0 sections 7 (metadata) and 8 (management), RFC 8936 (poll). The caller is the client
itself, by an access token of its own with `ssf.manage` (everything) or `ssf.read` (reading and polling; CAEP
Interoperability Profile section 2.7.2); a token about a resident opens nothing. A client has one stream.
"""

import re
from functools import partial
from typing import Any, Final

from identity.bearer import Access, Bearer
from identity.clients import Client, Clients
from identity.errors import SignalRefused
from identity.oauth.errors import InvalidRequest
from identity.oauth.parameters import read_query
from identity.signals import events, streams, subjects
from identity.signals.delivery import POLL, PUSH, Delivery, read_delivery, shown
from identity.signals.feed import Feed
from identity.signals.polling import HeldPolls, Poll, read_poll
from identity.signals.streams import CONTROL, EVENTS, STATUSES, Stream, Wish
from keys.envelope import Sealer
from kit import outbox
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.front import Call, Reply, reply_json
from kit.logs import log
from kit.outbox import Item
from kit.problems import Forbidden, Malformed

MANAGE: Final = "ssf.manage"
READ: Final = "ssf.read"
STREAM_PATH: Final = "/ssf/stream"
STATUS_PATH: Final = "/ssf/status"
ADD_PATH: Final = "/ssf/subjects/add"
REMOVE_PATH: Final = "/ssf/subjects/remove"
VERIFY_PATH: Final = "/ssf/verify"
POLL_PATH: Final = "/ssf/poll/"
_JTI = re.compile(r"[A-Za-z0-9_-]{24}")
_MOST_ACKED = 1000
_LONGEST_STATE = 1024
_LONGEST_REASON = 200
_LONGEST_DESCRIPTION = 255


def _stream_id(call: Call) -> str | None:
    """The query's one parameter. What can't be read is a problem, as every other refusal here is."""
    try:
        return read_query(call.query).get("stream_id")
    except InvalidRequest as error:
        raise Malformed(f"{error.description[:1].upper()}{error.description[1:]}.") from error


class SignalEndpoints:
    """The handlers."""

    def __init__(
        self,
        issuer: str,
        database: Database,
        clock: Clock,
        bearer: Bearer,
        clients: Clients,
        sealer: Sealer,
        fetcher: Fetcher,
        feed: Feed,
        verification_seconds: int,
    ) -> None:
        self._issuer = issuer
        self._database = database
        self._clock = clock
        self._bearer = bearer
        self._clients = clients
        self._sealer = sealer
        self._fetcher = fetcher
        self._feed = feed
        self._every = verification_seconds
        self._held = HeldPolls(database, EVENTS)

    def metadata(self) -> dict[str, Any]:
        """Section 7.1. Subjects are ALL: every resident with a grant for the receiver, until it takes one out."""
        return {
            "spec_version": "1_0",
            "issuer": self._issuer,
            "jwks_uri": f"{self._issuer}/oauth/jwks",
            "delivery_methods_supported": [PUSH, POLL],
            "configuration_endpoint": self._issuer + STREAM_PATH,
            "status_endpoint": self._issuer + STATUS_PATH,
            "add_subject_endpoint": self._issuer + ADD_PATH,
            "remove_subject_endpoint": self._issuer + REMOVE_PATH,
            "verification_endpoint": self._issuer + VERIFY_PATH,
            "critical_subject_members": ["user", "session"],
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
        }

    # -- the stream --------------------------------------------------------------------------------------------------

    async def show(self, call: Call) -> Reply:
        """GET /ssf/stream (section 8.1.1.2): one by its id, or a list of what there is."""
        access = await self._caller(call, reads=True)
        stream_id = _stream_id(call)
        if stream_id is None:
            found = await self._database.read(streams.of_client, access.client_id)
            return reply_json(200, [] if found is None else [self._document(found)])
        return reply_json(200, self._document(await self._own(access, stream_id)))

    async def create(self, call: Call) -> Reply:
        """POST /ssf/stream (section 8.1.1.1)."""
        access = await self._caller(call)
        body = await _object(call)
        wish = Wish(_requested(body), self._delivery(body, None), _description(body))
        stream = await self._database.write(
            streams.open_stream, self._sealer, client_id=access.client_id, wish=wish, actor=access.actor(),
            now=self._clock.ms(),
        )  # fmt: skip
        return reply_json(201, self._document(stream))

    async def update(self, call: Call) -> Reply:
        """PATCH /ssf/stream (section 8.1.1.3): what is named is changed, the rest stays."""
        access, body, stream = await self._named(call)
        self._check_ours(body, stream)
        keeps = "delivery" not in body
        wish = Wish(
            _requested(body) if "events_requested" in body else stream.requested,
            Delivery(stream.endpoint) if keeps else self._delivery(body, stream),
            _description(body) if "description" in body else stream.description,
        )
        return await self._changed(access, stream, wish, keeps_header=keeps)

    async def replace(self, call: Call) -> Reply:
        """PUT /ssf/stream (section 8.1.1.4): what is not named is gone, the header of its pushes too."""
        access, body, stream = await self._named(call)
        self._check_ours(body, stream)
        wish = Wish(_requested(body), self._delivery(body, stream), _description(body))
        return await self._changed(access, stream, wish, keeps_header=False)

    async def delete(self, call: Call) -> Reply:
        """DELETE /ssf/stream?stream_id=… (section 8.1.1.5)."""
        access = await self._caller(call)
        stream_id = _stream_id(call) or ""

        def close(session: Session) -> None:
            streams.close_stream(session, streams.own(session, access.client_id, stream_id), actor=access.actor())

        await self._database.write(close)
        return Reply(204)

    # -- its status, its subjects, proof of life -------------------------------------------------------------------

    async def status(self, call: Call) -> Reply:
        """GET /ssf/status?stream_id=… (section 8.1.2.1)."""
        access = await self._caller(call, reads=True)
        return reply_json(200, _status(await self._own(access, _stream_id(call) or "")))

    async def set_status(self, call: Call) -> Reply:
        """POST /ssf/status (section 8.1.2.2). Raises SignalRefused."""
        access, body, stream = await self._named(call)
        status, reason = body.get("status"), body.get("reason", "")
        if status not in STATUSES:
            raise SignalRefused("Say enabled, paused or disabled.", pointer="/status")
        if not isinstance(reason, str):
            raise SignalRefused("Send a text.", pointer="/reason")
        changed = await self._database.write(
            streams.set_status, stream, status, reason=reason[:_LONGEST_REASON], actor=access.actor(),
            now=self._clock.ms(),
        )  # fmt: skip
        return reply_json(200, _status(changed))

    async def add_subject(self, call: Call) -> Reply:
        """POST /ssf/subjects/add (section 8.1.3.2). The same answer whoever it is. Raises SignalRefused."""
        access, body, stream = await self._named(call)
        if not isinstance(body.get("verified", True), bool):
            raise SignalRefused("Send true or false.", pointer="/verified")
        row = self._row(body, stream)
        await self._database.write(streams.take_in, stream, row["digest"], actor=access.actor())
        return Reply(200)

    async def remove_subject(self, call: Call) -> Reply:
        """POST /ssf/subjects/remove (section 8.1.3.3). The same answer whoever it is."""
        access, body, stream = await self._named(call)
        row = self._row(body, stream)
        await self._database.write(streams.leave_out, stream, row, actor=access.actor())
        return Reply(204)

    async def verify(self, call: Call) -> Reply:
        """POST /ssf/verify (section 8.1.4.2). Raises SignalRefused."""
        access, body, stream = await self._named(call)
        state = body.get("state")
        if state is not None and not (isinstance(state, str) and len(state) <= _LONGEST_STATE):
            raise SignalRefused(f"Send a text of at most {_LONGEST_STATE} characters.", pointer="/state")
        await self._database.write(
            streams.ask_proof, stream, state, actor=access.actor(), every=self._every * SECOND, now=self._clock.ms()
        )
        return Reply(204)

    # -- polling -----------------------------------------------------------------------------------------------------

    async def poll(self, call: Call) -> Reply:
        """POST /ssf/poll/{stream_id} (RFC 8936 section 2). Raises SignalRefused."""
        access = await self._caller(call, reads=True)
        stream = await self._own(access, call.path.removeprefix(POLL_PATH))
        ask = read_poll(await call.json(), _JTI, SignalRefused)
        if stream.endpoint is not None:
            raise SignalRefused("This stream's tokens are pushed. Set its delivery to poll first.")
        if ask.errors:  # section 2.4: it can't use them; they would never be taken, so they end here
            log.warning("signals refused", client=access.client_id, errors=sorted(set(ask.errors.values())))
        if ask.acks or ask.errors:
            await self._database.write(self._done, stream, ask)
        if ask.most == 0:
            return reply_json(200, {"sets": {}})
        client = await self._clients.get(access.client_id)
        assert client is not None  # the token's check has just found it
        collect = partial(self._collect, client, stream.id, ask.most)
        found = await (collect() if ask.at_once else self._held.wait(client.id, collect))
        return reply_json(
            200, {"sets": {jti: token for _, jti, token in found[: ask.most]}, "moreAvailable": len(found) > ask.most}
        )

    async def _collect(self, client: Client, stream_id: str, most: int) -> tuple[tuple[Item, str, str], ...]:
        """What waits, one more than asked for, with its tokens. A stream that is not enabled gives no events."""
        while True:
            stream, items = await self._database.read(_waiting, stream_id, most + 1)
            if stream is None or not items:
                return ()
            found = await self._feed.ready(client, stream, items)
            if found:
                return tuple(found)

    def _done(self, session: Session, stream: Stream, ask: Poll) -> None:
        """Acknowledged tokens go: of this stream's own lane only, by the names this stream knows them by."""
        named, connection = {*ask.acks, *ask.errors}, session.connection()
        for topic in (CONTROL, EVENTS):
            lane = outbox.waiting(connection, topic, stream.id, _MOST_ACKED)
            ids = [item.id for item in lane if self._feed.jti(stream, item.id) in named]
            outbox.remove(connection, topic, stream.id, ids)

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _caller(self, call: Call, *, reads: bool = False) -> Access:
        access = await self._bearer.verify(call)
        if access.account_id is not None:
            raise Forbidden("Use a token of the service's own (client credentials).")
        if not (MANAGE in access.scopes or (reads and READ in access.scopes)):
            access.require(READ if reads else MANAGE)
        return access

    async def _own(self, access: Access, stream_id: str) -> Stream:
        return await self._database.read(streams.own, access.client_id, stream_id)

    async def _named(self, call: Call) -> tuple[Access, dict[str, Any], Stream]:
        access = await self._caller(call)
        body = await _object(call)
        stream_id = body.get("stream_id")
        if not isinstance(stream_id, str):
            raise SignalRefused("Send the id of your stream.", pointer="/stream_id")
        return access, body, await self._own(access, stream_id)

    async def _changed(self, access: Access, stream: Stream, wish: Wish, *, keeps_header: bool) -> Reply:
        changed = await self._database.write(
            streams.change, self._sealer, stream, wish, keeps_header=keeps_header, actor=access.actor(),
            now=self._clock.ms(),
        )  # fmt: skip
        return reply_json(200, self._document(changed))

    def _delivery(self, body: dict[str, Any], stream: Stream | None) -> Delivery:
        said = body.get("delivery", {"method": POLL})  # section 8.1.1.1: without one it is polled
        polled_at = None if stream is None else self._polled_at(stream)
        return read_delivery(said, self._fetcher, SignalRefused, polled_at=polled_at)

    def _check_ours(self, body: dict[str, Any], stream: Stream) -> None:
        """Section 8.1.1.3: what we supply may be repeated, but not changed."""
        ours = self._document(stream)
        for name in ("iss", "aud", "events_supported", "events_delivered", "min_verification_interval"):
            if name in body and body[name] != ours[name]:
                raise SignalRefused("This is ours to say.", pointer=f"/{name}")

    def _row(self, body: dict[str, Any], stream: Stream) -> dict[str, Any]:
        return self._feed.left_row(stream.id, subjects.read(body.get("subject"), self._issuer))

    def _polled_at(self, stream: Stream) -> str:
        return f"{self._issuer}{POLL_PATH}{stream.id}"

    def _document(self, stream: Stream) -> dict[str, Any]:
        document: dict[str, Any] = {
            "stream_id": stream.id,
            "iss": self._issuer,
            "aud": stream.client_id,
            "delivery": shown(Delivery(stream.endpoint), self._polled_at(stream)),
            "events_supported": list(events.SUPPORTED),
            "events_requested": list(stream.requested),
            "events_delivered": list(events.delivered(stream.requested)),
            "min_verification_interval": self._every,
        }
        return {**document, "description": stream.description} if stream.description else document


def _waiting(session: Session, stream_id: str, most: int) -> tuple[Stream | None, tuple[Item, ...]]:
    stream, connection = streams.get(session, stream_id), session.connection()
    if stream is None:
        return None, ()
    items = outbox.waiting(connection, CONTROL, stream_id, most)
    if stream.status == "enabled" and len(items) < most:
        items += outbox.waiting(connection, EVENTS, stream_id, most - len(items))
    return stream, items


def _status(stream: Stream) -> dict[str, str]:
    said = {"stream_id": stream.id, "status": stream.status}
    return {**said, "reason": stream.reason} if stream.reason else said


async def _object(call: Call) -> dict[str, Any]:
    body = await call.json()
    if not isinstance(body, dict):
        raise Malformed("Send a JSON object.")
    return body


def _requested(body: dict[str, Any]) -> tuple[str, ...]:
    """What we know of what is asked for (section 8.1.1: the rest is ignored)."""
    asked = body.get("events_requested", [])
    if not isinstance(asked, list) or len(asked) > 100 or not all(isinstance(each, str) for each in asked):
        raise SignalRefused("Send a list of event types.", pointer="/events_requested")
    return tuple(dict.fromkeys(each[:200] for each in asked))


def _description(body: dict[str, Any]) -> str:
    said = body.get("description", "")
    if not isinstance(said, str):
        raise SignalRefused("Send a text.", pointer="/description")
    return said[:_LONGEST_DESCRIPTION]
