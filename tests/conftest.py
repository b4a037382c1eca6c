"""Fixtures everybody may use: a clock that stands still, a database of either kind, a served city, a browser.

`clock` and `db` need nothing but kit; `app` and `client` hold the whole building in this process; `server` is the
real command in a process of its own. Asynchronous tests and fixtures run on anyio's asyncio backend, unmarked.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from kit.clock import FrozenClock
from kit.db import Database, metadata, open_database
from tests.support import peers


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing peer skips a test here and fails it in continuous integration."""
    peers.require(item)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What uses the PostgreSQL database needs PostgreSQL."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and callspec.params.get("database_url") == "postgresql":
            item.add_marker("postgres")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """One event loop family for all."""
    return "asyncio"


@pytest.fixture
def clock() -> FrozenClock:
    """Stands at 2026-11-18T11:06:40Z until it is advanced."""
    return FrozenClock()


# -- databases --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """One PostgreSQL server for the session (each test worker its own)."""
    from tests.support.postgres import Postgres

    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: an SQLite file, then a PostgreSQL database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'sekisho.db'}"
    if reason := peers.missing("postgres"):
        peers.leave_out(reason)
    url: str = request.getfixturevalue("postgres").create()
    return url


def make_tables(url: str) -> None:
    """Create every table that has been imported so far. Faster than migrating; a house test compares the two."""
    engine = create_engine(url)
    metadata.create_all(engine)
    engine.dispose()


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


@pytest.fixture(autouse=True)
def _quiet_loggers() -> None:
    """Third-party debug chatter would drown a failing test's own log."""
    for name in ("asyncio", "httpcore2", "httpx2", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
