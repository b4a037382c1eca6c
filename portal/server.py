"""Serving: uvicorn with the client certificate shown to the application, one process per SQLite file.

uvicorn does not hand the TLS client certificate to the application; `TLSProtocol` does, under the keys of the ASGI TLS
extension, so it can be dropped when uvicorn ships its own.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from kit.front import WHOLE
from portal.app import Building

SILENCE_BYTES = 65_536  # of a head, of trailers: what is no body and ends no request
REQUEST_WITHIN = 60.0  # seconds for a whole request, head and body
_LOOK_EVERY = 10.0


class WholeAnswer:
    """uvicorn's request, for answers that are whole: head and body in one write instead of two, and no message passing.

    `kit.front` uses it for the hot paths; a third of what a small answer costs is saved. What uvicorn keeps of a
    request (keep-alive, pipelined followers, shutdown) is told to it exactly as its own `send` does.
    """

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def body(self) -> bytes | None:
        """The request's body if all of it has arrived."""
        cycle = self._cycle
        return None if cycle.more_body or cycle.disconnected else bytes(cycle.body)

    def answer(self, status: int, headers: bytes, body: bytes) -> bool:
        """Write everything at once; False where the connection's buffer is full and the long way must wait for it."""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.response_started:
            return False
        if cycle.disconnected:
            return True
        date = b"".join([name + b": " + value + b"\r\n" for name, value in cycle.default_headers])
        close = b"" if cycle.keep_alive else b"connection: close\r\n"
        length = b"content-length: %d\r\n\r\n" % len(body)
        cycle.response_started = True
        cycle.transport.write(b"".join((STATUS_LINE[status], date, headers, close, length, body)))
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with the two limits it lacks, since its parser keeps a head of any size for any time.

    Closes: a stranger's endless header filling the memory, and a thousand half-sent requests holding every file
    descriptor. A request that is complete may take as long as it needs.
    """

    def connection_made(self, transport: Any) -> None:
        """Begin to watch."""
        super().connection_made(transport)
        self._silent = 0
        self._moved = False
        self._since: float | None = self.loop.time()
        self._look = self.loop.call_later(_LOOK_EVERY, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop watching."""
        self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; count what brought neither body nor the end of a request."""
        self._moved = False
        super().data_received(data)
        if not self._moved:
            self._silent += len(data)
            if self._silent > SILENCE_BYTES and not self.transport.is_closing():
                self.send_400_response("The request's head is too large.")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._since = self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole: uvicorn makes its request, whose task begins later, with our short way beside it."""
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            extensions: dict[str, Any] = {WHOLE: WholeAnswer(self.cycle)}
            self.scope["extensions"] = extensions

    def on_body(self, body: bytes) -> None:
        """A part of the body; its size is the application's to limit."""
        self._moved = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._moved, self._silent, self._since = True, 0, None
        super().on_message_complete()

    def _check(self) -> None:
        if self._since is not None and self.loop.time() - self._since > REQUEST_WITHIN:
            self.transport.close()
        else:
            self._look = self.loop.call_later(_LOOK_EVERY, self._check)


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
            "client_cert_chain": [ssl.DER_cert_to_PEM_cert(der)] if der else [],
        }

        async def wrapped(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope.setdefault("extensions", {})["tls"] = tls
            await app(scope, receive, send)

        self.app = wrapped


class DataInUse(Exception):
    """Another process serves or changes this data directory."""


@contextlib.contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Hold the data directory: one SQLite file has one writing process. Raises DataInUse."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataInUse(
                f"{data} is in use by another sekisho process; stop it first, or use the pages of the running one"
            ) from None
        yield
    finally:
        os.close(handle)


def configs(
    building: Building,
    *,
    host: str,
    port: int,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    mtls_port: int | None = None,
    mtls_ca: Path | None = None,
) -> list[uvicorn.Config]:
    """One listener, or two: the second asks for client certificates, on a port of its own so browsers never see it."""
    common: dict[str, Any] = {
        "host": host, "log_config": None, "access_log": False, "server_header": False, "date_header": True,
        "lifespan": "off", "proxy_headers": False, "timeout_keep_alive": 30, "timeout_graceful_shutdown": 10,
        "h11_max_incomplete_event_size": 65_536, "backlog": 1024, "ws": "none",
    }  # fmt: skip
    tls: dict[str, Any] = {}
    if tls_cert is not None:
        tls = {"ssl_certfile": str(tls_cert), "ssl_keyfile": str(tls_key)}
    found = [uvicorn.Config(building, port=port, http=GuardedProtocol, **common, **tls)]
    if mtls_port is not None:
        found.append(
            uvicorn.Config(
                building,
                port=mtls_port,
                http=TLSProtocol,
                ssl_cert_reqs=ssl.CERT_OPTIONAL if mtls_ca else ssl.CERT_NONE,
                ssl_ca_certs=str(mtls_ca) if mtls_ca else None,
                **common,
                **tls,
            )
        )
    return found


async def serve(
    building: Building,
    listeners: list[uvicorn.Config],
    *,
    on_open: Callable[[], None] | None = None,
    sockets: list[socket.socket] | None = None,
) -> None:
    """Open the building, listen, and stop cleanly on SIGINT or SIGTERM: waiting writes are finished first."""
    servers = [_Server(config, on_open if number == 0 else None) for number, config in enumerate(listeners)]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            if server.should_exit:
                server.force_exit = True
            server.should_exit = True

    async with building.running():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        await asyncio.gather(*(server.serve(sockets=sockets) for server in servers))


class _Server(uvicorn.Server):
    """uvicorn, leaving signals to us, and saying when it listens."""

    def __init__(self, config: uvicorn.Config, on_open: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_open = on_open

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets=sockets)
        if self._on_open is not None and self.started:
            self._on_open()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing to capture."""
        yield


def run(
    building: Building,
    listeners: list[uvicorn.Config],
    *,
    on_open: Callable[[], None] | None = None,
    sockets: list[socket.socket] | None = None,
) -> None:
    """`serve` on uvloop where there is one."""
    main = serve(building, listeners, on_open=on_open, sockets=sockets)
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


def run_workers(count: int, make: Callable[[], Building], config: Callable[[Building], list[uvicorn.Config]]) -> int:
    """Several processes on one socket (PostgreSQL only). Returns the first exit code that is not zero.

    A worker that dies ends the others: whoever supervises us starts afresh, rather than us hiding a crash loop.
    """
    probe = config(make())
    sockets = [listener.bind_socket() for listener in probe[:1]]
    children: list[int] = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            building = make()
            run(building, config(building)[:1], sockets=sockets)
            os._exit(0)
        children.append(pid)

    def forward(number: int, _frame: object) -> None:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    worst = 0
    while children:
        pid, status = os.wait()
        children.remove(pid)
        code = os.waitstatus_to_exitcode(status)
        if code != 0 and worst == 0:
            worst = abs(code)
            forward(signal.SIGTERM, None)
    return worst
