"""Fixtures everybody may use: a clock that stands still, a database of either kind, a served city, a browser.

`clock` and `db` need nothing but kit; `app` and `client` hold the whole building in this process; `server` is the
real command in a process of its own. Asynchronous tests and fixtures run on anyio's asyncio backend, unmarked.
"""

import asyncio
import fcntl
import gc
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastapi.dependencies.models
import pytest
from argon2 import PasswordHasher
from sqlalchemy import create_engine, event, make_url

from kit.clock import FrozenClock
from kit.db import Database, metadata, open_database
from tests.support import peers

_CLASSIFIED: list[Any] = [each for each in vars(fastapi.dependencies.models).values() if hasattr(each, "cache_clear")]

if TYPE_CHECKING:
    from portal.app import Building
    from tests.support.server import Served
    from tests.support.site import Site


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing peer skips a test here and fails it in continuous integration."""
    peers.require(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses PostgreSQL or a browser is marked so."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("database_url") == "postgresql":
            item.add_marker("postgres")
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


def pytest_collection_finish() -> None:
    """What is imported stays: the cycle collector need not look through it again and again.

    A building is twelve thousand objects in cycles; a young generation of its size is cleared in one look.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop family for all."""
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def rsa_keys() -> Iterator[None]:
    """Key stores in this process find their RSA keys quickly; how they are really made, tests/keys tests."""
    from keys import ceremonies
    from tests.support.rsa import RsaSupply

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ceremonies, "generate", RsaSupply(ceremonies.generate))
        yield


@pytest.fixture(scope="session", autouse=True)
def _quick_passwords() -> Iterator[None]:
    """Argon2id at its smallest: thousands of accounts are made here, and what hashing costs is tests/keys' matter."""
    from keys import hashing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "PasswordHasher", lambda **_costs: PasswordHasher(1, 8, 1))
        yield


@pytest.fixture
def dear_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashing costs what it costs in a city, for tests of time and of the queue."""
    from keys import hashing

    monkeypatch.setattr(hashing, "PasswordHasher", PasswordHasher)


@pytest.fixture
def clock() -> FrozenClock:
    """Stands at 2026-11-18T11:06:40Z until it is advanced."""
    return FrozenClock()


@pytest.fixture
async def site() -> AsyncIterator["Site"]:
    """Somebody else's web server on loopback: a service's, an issuer's; a test says what it answers."""
    from tests.support.site import serving

    async with serving() as made:
        yield made


# -- databases --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """One PostgreSQL server for the session (each test worker its own)."""
    from tests.support.postgres import Postgres

    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database: an SQLite file, then a PostgreSQL database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'sekisho.db'}"
        return
    if reason := peers.missing("postgres"):
        peers.leave_out(reason)
    server = request.getfixturevalue("postgres")
    url: str = server.create(metadata if "db" in request.fixturenames else None)
    yield url
    server.drop(url)


_FILLED: dict[frozenset[str], bytes] = {}  # names of tables -> an SQLite file that has them, and nothing else


def make_tables(url: str) -> None:
    """Create every table that has been imported so far, in an empty database.

    Made once for each set of tables, copied from then on. Faster than migrating; a house test compares the two.
    """
    from tests.support.postgres import Postgres

    if url.startswith("postgresql") and Postgres.running is not None:
        Postgres.running.fill(url, metadata)
        return
    path = Path(make_url(url).database or "")
    tables = frozenset(metadata.tables)
    if url.startswith("sqlite:") and tables in _FILLED and not path.exists():
        path.write_bytes(_FILLED[tables])
        return
    engine = create_engine(url)
    if url.startswith("sqlite:"):  # a sync for each of a hundred statements is seconds; an empty file may be lost
        event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA synchronous=OFF"))
    fresh = not path.exists()
    metadata.create_all(engine)
    engine.dispose()
    if url.startswith("sqlite:") and fresh:
        _FILLED[tables] = path.read_bytes()


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    """A started database with every table of the modules imported so far, on SQLite and on PostgreSQL.

    A test for one kind only says `@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)`.
    """
    make_tables(database_url)
    database = open_database(database_url)
    await database.start()
    yield database
    await database.stop()


# -- the building in this process --------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def empty_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with every table and the keys of a first start, to be copied: making them takes longer."""
    import portal.tables  # noqa: F401 - the metadata is whole from here on
    from keys.ceremonies import KeyStore
    from keys.root import create_file
    from keys.settings import KeysSettings
    from kit.audit import AuditTrail

    data = tmp_path_factory.mktemp("empty-city")
    url = f"sqlite:///{data / 'sekisho.sqlite3'}"
    make_tables(url)
    create_file(data / "root.key")

    async def make_keys() -> None:
        database, clock = open_database(url), FrozenClock()
        AuditTrail(database, clock)
        await database.start()
        await KeyStore(database, clock, KeysSettings(root_key_file=data / "root.key")).open()
        await database.stop()

    asyncio.run(make_keys())
    return data


@pytest.fixture
def settings(empty_city: Path, tmp_path: Path) -> Any:
    """Settings of an empty city on SQLite, without background jobs."""
    from portal.settings import Settings

    data = tmp_path / "data"
    shutil.copytree(empty_city, data)
    return Settings(data=data, issuer="http://localhost:8080", jobs=False)


@pytest.fixture
async def app(settings: Any, clock: FrozenClock) -> AsyncIterator["Building"]:
    """The whole building, open, on a frozen clock. `app.host` is the host: `app.host.db`, `app.host.get(Sealer)`."""
    from portal.app import create_app

    async with create_app(settings, clock=clock).running(jobs=False) as building:
        yield building


@pytest.fixture
async def client(app: "Building") -> AsyncIterator[Any]:
    """An HTTP client of the building, without a network; cookies are kept, redirects are not followed."""
    import httpx2

    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=app.settings.issuer) as made:
        yield made


# -- the building as a process, and a browser in front of it -----------------------------------------------------------


@pytest.fixture(scope="session")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with the fictional city in it, seeded once for all workers; copy it before changing it."""
    from tests.support.command import sekisho
    from tests.support.server import CITY_ENVIRON

    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # a worker's directory lies in the run's
        place = place.parent
    data = place / "city"
    with (place / "city.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (data / "demo-made").exists():
            done = sekisho("demo", "--data", data, "--seed-only", env=CITY_ENVIRON)
            assert done.returncode == 0, done.stdout + done.stderr
    return data


@pytest.fixture(scope="module")
def server(city: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator["Served"]:
    """The fictional city, served by the real command; one for each test module. `server.url`, `server.data`."""
    from tests.support.server import Served

    data = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(city, data)
    served = Served(data).start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Tests in the module must be plain functions: Playwright brings an event loop of its own."""
    from tests.support.browsing import launched

    with launched() as made:
        yield made


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A fresh window without cookies: 1280 by 800, Japanese."""
    context = browser.new_context(locale="ja-JP", timezone_id="Asia/Tokyo", viewport={"width": 1280, "height": 800})
    yield context.new_page()
    context.close()


@pytest.fixture(autouse=True)
def _forgotten_buildings() -> Iterator[None]:
    """FastAPI remembers the last 4096 endpoints it classified, and each endpoint of ours holds its whole building.

    In a process that serves one building that is nothing; in one that makes thousands it is a gigabyte.
    """
    yield
    for cached in _CLASSIFIED:
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _quiet_loggers() -> None:
    """Third-party debug chatter would drown a failing test's own log."""
    for name in ("asyncio", "httpcore2", "httpx2", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
