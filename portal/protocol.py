"""The server's end of a connection: uvicorn's HTTP/1.1 protocol with two limits it lacks and a short way to the front
table.

uvicorn gives every request an ASGI cycle: a task, an event, five coroutines, two messages, a timer. That is right for
pages; for an answer that exists already it is two thirds of the cost. So a request whose path stands in the front table
and whose body is small is collected here, handed to its handler directly and answered with one write. The handler's
first step runs at once, outside any task (so no timeout may begin in it: kit.fetch waits a turn first); only if it must
wait does it get one. Everything else (long or chunked bodies, followers of
an unfinished request, upgrades, `Expect`, a client that does not read) goes uvicorn's way, to the same handlers.

uvicorn does not hand the TLS client certificate to the application; `TLSProtocol` does, under the keys of the ASGI TLS
extension, so it can be dropped when uvicorn ships its own.
"""

import contextvars
import ssl
import types
from collections.abc import Coroutine, Generator
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from keys.certificates import MOST_SENT
from kit.front import FORM_LIMIT, Call, FrontTable, Methods, Reply
from kit.logs import log

PIPELINED = 32  # requests waiting behind one that is not answered yet
SILENCE_BYTES = 65_536  # of a head, of trailers: what is no body and ends no request
REQUEST_WITHIN = 60.0  # seconds for a whole request, head and body
_LOOK_EVERY = 10.0


class TooManyAhead(Exception):
    """A client sends ahead more requests than anybody needs."""


class _NoEvent:
    """uvicorn wakes a request's reader by an event; a collected request has none."""

    __slots__ = ()

    def set(self) -> None:
        """Nobody waits."""


_NO_EVENT = _NoEvent()


class Collected:
    """A request on the short way. It stands where uvicorn keeps its cycle and says the same of itself, so that
    followers on the connection, a lost connection and a shutdown are handled by uvicorn's own code."""

    __slots__ = ("body", "call_scope", "disconnected", "keep_alive", "methods", "more_body", "response_complete")

    message_event = _NO_EVENT

    def __init__(self, methods: Methods, scope: Any, *, keep_alive: bool) -> None:
        self.methods = methods
        self.call_scope = scope
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits, since its parser keeps a head of any size for any time, and with the short way.

    Closes: a stranger's endless header filling the memory, and a thousand half-sent requests holding every file
    descriptor. A request that is complete may take as long as it needs.
    """

    cycle: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._front: FrontTable | None = getattr(self.config.loaded_app, "front", None)
        self._length = 0  # of the body announced; -1 where the short way may not be taken
        self._extensions: dict[str, Any] | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._silent = 0
        self._moved = False
        self._idle = 0
        self._stuck: float | None = None  # since when it does not read, or does not end
        self._since: float | None = self.loop.time()
        self._look = self.loop.call_later(_LOOK_EVERY, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; count what brought neither body nor the end of a request."""
        self._moved = False
        self._idle = 0
        super().data_received(data)
        if not self._moved:
            self._silent += len(data)
            if self._silent > SILENCE_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._since = self.loop.time()
        self._length = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those that tell of the body decide the way."""
        name = name.lower()
        self.headers.append((name, value))
        if name == b"content-length":
            # The parser has refused what is no number, and a second length.
            self._length = int(value) if len(value) < 8 and value.isdigit() and self._length == 0 else -1
        elif name in (b"transfer-encoding", b"upgrade"):
            self._length = -1
        elif name == b"expect":
            self._length = -1
            if value.lower() == b"100-continue":
                self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """The head is whole: collect the request, or let uvicorn make its cycle."""
        target, _, query = self.url.partition(b"?")
        methods = self._short_way(target)
        if methods is None:
            super().on_headers_complete()
            if len(self.pipeline) > PIPELINED:  # closes: thousands of requests in one burst, each a cycle in memory
                self.transport.abort()
                raise TooManyAhead  # ends the parsing of what has come already
            return
        scope = self.scope
        scope["method"] = self.parser.get_method().decode("ascii")
        scope["path"] = target.decode("ascii")
        scope["raw_path"] = target
        scope["query_string"] = query
        if self._extensions is not None:
            scope["extensions"] = self._extensions
        self.cycle = Collected(methods, scope, keep_alive=self.parser.should_keep_alive())

    def _short_way(self, target: bytes) -> Methods | None:
        front, url, before = self._front, self.url, self.cycle
        if (
            front is None
            or not 0 <= self._length <= FORM_LIMIT
            or not target.startswith(b"/")
            or b"%" in target
            or b"#" in url
            or not url.isascii()
            or (before is not None and not before.response_complete)
            or self.flow.write_paused
            or self.root_path
            or self.parser.get_http_version() != "1.1"
        ):
            return None
        return front.find(target.decode("ascii"))

    def on_body(self, body: bytes) -> None:
        """A part of the body; its size is the application's to limit, or was announced to be small."""
        self._moved = True
        cycle = self.cycle
        if cycle.__class__ is Collected:
            cycle.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._moved, self._silent, self._since = True, 0, None
        cycle = self.cycle
        if cycle.__class__ is Collected:
            if cycle.more_body:
                cycle.more_body = False
                self._answer(cycle)
        else:
            super().on_message_complete()

    # -- the short way ----------------------------------------------------------------------------------------------

    def _answer(self, request: Collected) -> None:
        """Run the handler's first step now; the rest, if it waits for something, in a task."""
        front = self._front
        assert front is not None
        scope = request.call_scope if front.seen is None else front.seen(request.call_scope)
        coroutine = front.reply(request.methods, Call(scope, body=request.body))
        # A context of its own, as a task would have: what one request sets, the next on this connection must not see.
        context = contextvars.copy_context()
        try:
            waits_for = context.run(coroutine.send, None)
        except StopIteration as done:
            self._write(request, done.value)
            return
        task = self.loop.create_task(self._later(request, coroutine, waits_for), context=context)
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    async def _later(self, request: Collected, coroutine: Coroutine[Any, Any, Reply], waits_for: Any) -> None:
        self._write(request, await _resumed(coroutine, waits_for))

    def _write(self, request: Collected, reply: Reply) -> None:
        request.response_complete = True
        self.server_state.total_requests += 1
        if request.disconnected or self.transport.is_closing():
            return
        front = self._front
        assert front is not None
        try:
            parts = [STATUS_LINE[reply.status], front.block(reply)]
        except ValueError:  # a line break in a header: nothing of it leaves
            log.exception("answer", path=request.call_scope["path"])
            self.transport.close()
            return
        for name, value in self.server_state.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not request.keep_alive:
            parts.append(b"connection: close\r\n")
        if reply.has_body:
            parts.append(b"content-length: %d\r\n\r\n" % len(reply.body))
            if request.call_scope["method"] != "HEAD":
                parts.append(reply.body)
        else:
            parts.append(b"\r\n")
        self.transport.write(b"".join(parts))
        if not request.keep_alive:
            self.transport.close()
        elif self.pipeline or self.flow.read_paused:
            self.on_response_complete()
            self.server_state.total_requests -= 1  # counted above

    def _check(self) -> None:
        now = self.loop.time()
        if self.transport.is_closing() or self.flow.write_paused:
            # Closes: a client that asks for much and reads nothing, whose answers would stay in memory for ever.
            if self._stuck is None:
                self._stuck = now
            elif now - self._stuck > REQUEST_WITHIN:
                self.transport.abort()
                return
            self._look = self.loop.call_later(_LOOK_EVERY, self._check)
            return
        self._stuck = None
        if self._since is not None and now - self._since > REQUEST_WITHIN:
            self.transport.close()
        # uvicorn's own timer ends connections that were last used its way; this ends those of the short way.
        if self.cycle.__class__ is Collected and self.cycle.response_complete and self._since is None:
            self._idle += 1
            if self._idle * _LOOK_EVERY > self.timeout_keep_alive:
                self.transport.close()
        self._look = self.loop.call_later(_LOOK_EVERY, self._check)


@types.coroutine
def _resumed(coroutine: Coroutine[Any, Any, Reply], waits_for: Any) -> Generator[Any, Any, Reply]:
    """Go on with a coroutine whose first step has been taken and waits for something."""
    while True:
        thrown: BaseException | None = None
        try:
            sent = yield waits_for
        except BaseException as error:  # a cancellation is the coroutine's to hear
            thrown = error
        try:
            waits_for = coroutine.send(sent) if thrown is None else coroutine.throw(thrown)
        except StopIteration as done:
            reply: Reply = done.value
            return reply


_DER = 2  # _ssl.ENCODING_DER


def _sent(found: Any) -> list[bytes]:
    """The certificates that came along with the client's own, as DER; `found` is an `ssl.SSLObject`.

    Python publishes the chain since 3.13 (`get_unverified_chain`, the client's own first); 3.11 and 3.12 have the same
    below their public names. Where neither is there, authorities between belong in the operator's files.
    """
    ask = getattr(found, "get_unverified_chain", None) or getattr(
        getattr(found, "_sslobj", None), "get_unverified_chain", None
    )
    chain = (ask() if ask is not None else None) or ()  # none where a TLS 1.2 session was resumed
    ders = [one if isinstance(one, bytes) else one.public_bytes(_DER) for one in chain][1:]
    return ders if len(ders) <= MOST_SENT else []


class TLSProtocol(GuardedProtocol):
    """Adds `scope["extensions"]["tls"]` with the verified client certificate chain."""

    def connection_made(self, transport: Any) -> None:
        """Read the certificate once for each connection."""
        super().connection_made(transport)
        found = transport.get_extra_info("ssl_object")
        if found is None:
            return
        der, app = found.getpeercert(binary_form=True), self.app
        tls = {
            "tls_version": found.version(),
            "cipher_suite": found.cipher()[0],
            "client_cert_chain": [ssl.DER_cert_to_PEM_cert(one) for one in (der, *_sent(found))] if der else [],
            "trusted": True,  # others do not pass the handshake
            "resumed": bool(found.session_reused),  # the key was proved in an earlier connection
        }
        self._extensions = {"tls": tls}

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope.setdefault("extensions", {})["tls"] = tls
            await app(scope, receive, send)

        self.app = wrapped
