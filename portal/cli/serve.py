"""`sekisho serve`, `sekisho jobs`, `sekisho migrate`."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from uvicorn import Config

    from portal.app import Building
    from portal.settings import Settings

from portal.cli.common import (
    HERE,
    Data,
    can_listen,
    fail,
    load_settings,
    one_line,
    prepare,
    prepare_root_key,
    quick_start,
)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    data: Data = HERE,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes; more than one needs PostgreSQL.")] = 1,
    issuer: Annotated[str | None, typer.Option(help="Our public origin, for example https://id.city.example.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM) to serve https ourselves.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
    mtls_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="A second TLS port, for devices with client certificates.")
    ] = None,
    mtls_ca: Annotated[
        Path | None, typer.Option(help="CA certificates (PEM) that client certificates must come from.")
    ] = None,
) -> None:
    """Serve the city.

    Without options: http://localhost:8080 on the embedded database in ./data, which is made on the first start.

    Examples:

      sekisho serve --port 8080 --data /srv/sekisho

      SEKISHO_DATABASE_URL=postgresql://… sekisho serve --workers 2 --issuer https://id.city.example
    """
    if (tls_cert is None) != (tls_key is None):
        fail("--tls-cert and --tls-key go together; give both")
    if mtls_port is not None and tls_cert is None:
        fail("--mtls-port needs --tls-cert and --tls-key: client certificates exist only inside TLS")
    if (mtls_port is None) != (mtls_ca is None):
        fail("--mtls-port and --mtls-ca go together: a certificate nobody vouches for proves nothing; give both")
    with one_line():
        settings = load_settings(
            data, issuer=issuer or (None if port == 8080 or _issuer_is_set() else f"http://localhost:{port}")
        )
        if mtls_port is not None and settings.identity.mtls_url is None:
            settings = with_mtls_url(settings, mtls_port)
        if workers > 1 and settings.database_url is None:
            fail("one SQLite file has one writing process; set SEKISHO_DATABASE_URL to a PostgreSQL for --workers")
        if workers > 1 and mtls_port is not None:
            fail("--mtls-port goes with one process; leave out --workers, or give devices a server of their own")
        if not settings.secure:
            print(
                "sekisho: the issuer is http on localhost: cookies are not Secure. Beyond a demonstration give "
                "an https --issuer.",
                file=sys.stderr,
            )
        for file in (tls_cert, tls_key, mtls_ca):
            if file is not None and not file.is_file():
                fail(f"there is no file {file}")
        for number in (port, mtls_port):
            if number is not None and not can_listen(host, number):
                fail(f"nothing can listen on {host} port {number}: it is in use, not ours or not allowed; try --port")
        if settings.mail.host is None:
            print(
                f"sekisho: letters are files below {settings.data / 'mail'}, with addresses and codes in clear, and"
                f" reach nobody; each is deleted after {settings.mail.keep_days} days."
                " Set SEKISHO_MAIL__HOST before real people come.",
                file=sys.stderr,
            )
        listen: dict[str, Any] = {
            "host": host,
            "port": port,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "mtls_port": mtls_port,
            "mtls_ca": mtls_ca,
        }
        with quick_start() as opened:
            first = os.getpid()

            def told() -> None:
                opened()
                if os.getpid() == first:  # its workers need not say it again
                    print(f"sekisho: serving {settings.issuer} on {host} port {port}; Ctrl-C ends it", file=sys.stderr)

            _serve(settings, workers, listen, told)


def _issuer_is_set() -> bool:
    """Whether the environment names our origin; then a port behind a proxy says nothing of it."""
    return any(name.upper() == "SEKISHO_ISSUER" for name in os.environ)


def _serve(settings: "Settings", workers: int, listen: dict[str, Any], opened: Callable[[], None]) -> None:
    """Load the building and open its doors; a mistake in the options was told before this, at once."""
    from kit.logs import configure
    from portal.app import create_app
    from portal.server import configs, exclusive, run, run_workers

    configure(json=settings.log_json and not sys.stderr.isatty())

    def listeners(building: "Building") -> "list[Config]":
        if workers > 1:
            opened()
        return configs(building, **listen)

    if workers > 1:
        prepare(settings, create=False)
        raise typer.Exit(run_workers(workers, lambda: create_app(settings), listeners))
    if settings.database_url is not None:
        prepare(settings, create=False)
        building = create_app(settings)
        run(building, listeners(building), on_open=opened)
        return
    with exclusive(settings.data):
        prepare_root_key(settings)
        prepare(settings, create=True)
        building = create_app(settings)
        run(building, listeners(building), on_open=opened)


def with_mtls_url(settings: "Settings", port: int) -> "Settings":
    """The settings, publishing the second port on the issuer's host (RFC 8705 section 5)."""
    from urllib.parse import urlsplit

    host = urlsplit(settings.issuer).hostname or "localhost"
    named = f"[{host}]" if ":" in host else host
    identity = settings.identity.model_copy(update={"mtls_url": f"https://{named}:{port}"})
    return settings.model_copy(update={"identity": identity})


def jobs(data: Data = HERE) -> None:
    """Run the periodic jobs alone, beside `serve` processes with SEKISHO_JOBS=false (PostgreSQL only).

    Example: SEKISHO_DATABASE_URL=postgresql://… sekisho jobs
    """
    with one_line():
        import asyncio
        import signal

        from portal.app import create_app

        settings = load_settings(data, jobs=True)
        if settings.database_url is None:
            fail("the embedded database has one process: `sekisho serve` runs the jobs itself")
        prepare(settings, create=False)

        async def until_told() -> None:
            told = asyncio.Event()
            for end in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C, and what a service manager sends
                asyncio.get_running_loop().add_signal_handler(end, told.set)
            async with create_app(settings).running(jobs=True):
                print("sekisho: the jobs are running", file=sys.stderr)
                await told.wait()

        asyncio.run(until_told())


def migrate(data: Data = HERE) -> None:
    """Bring the database to this release's schema; makes it if it is empty. Safe to run again.

    Example: sekisho migrate --data /srv/sekisho
    """
    with one_line():
        import contextlib

        from portal import migrations
        from portal.server import exclusive

        settings = load_settings(data)
        lock = exclusive(settings.data) if settings.database_url is None else contextlib.nullcontext()
        with lock:
            if prepare_root_key(settings):
                print(f"made a root key in {settings.keys_part().root_key_file}: keep a copy apart from the data")
            migrations.upgrade(settings.url)
        print(f"the database is at revision {migrations.HEAD}")
