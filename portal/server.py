"""Serving: uvicorn with our protocol (portal.protocol), one process per SQLite file."""

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

from portal.app import Building
from portal.protocol import GuardedProtocol, TLSProtocol

#: For TLS 1.2, which is the oldest there is here: what RFC 9325 section 4.2 recommends and no other (FAPI 2.0 Security
#: Profile section 5.2.2 item 1). TLS 1.3 has its own, all of them good.
CIPHERS = ":".join(
    f"ECDHE-{key}-AES{bits}-GCM-SHA{hashed}" for key in ("ECDSA", "RSA") for bits, hashed in ((128, 256), (256, 384))
)


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
        tls = {"ssl_certfile": str(tls_cert), "ssl_keyfile": str(tls_key), "ssl_ciphers": CIPHERS}
    found = [uvicorn.Config(building, port=port, http=GuardedProtocol, **common, **tls)]
    if mtls_port is not None:
        found.append(
            uvicorn.Config(
                building,
                port=mtls_port,
                http=TLSProtocol,
                ssl_cert_reqs=ssl.CERT_OPTIONAL,
                ssl_ca_certs=str(mtls_ca),
                ssl_context_factory=_without_resumption,
                **common,
                **tls,
            )
        )
    return found


def _without_resumption(_config: uvicorn.Config, make: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Each connection proves its key anew: a resumed one shows what was proved hours ago.

    TLS 1.2 has another way to resume, by ids, that can't be switched off from here: `resumed` tells of it.
    """
    context = make()
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


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
