"""Storage stays bounded: every row that expires is swept, by jobs that are on unless switched off."""

import os
from typing import Any

import pytest
from sqlalchemy import Table, create_engine, text
from sqlmodel import Session, SQLModel

from identity.oauth.grants.shared import note_issued
from kit.clock import DAY
from kit.db import Tx
from tests.support.relying_party import advance

pytestmark = pytest.mark.anyio


# A visit to the counter that stood is history, read by the resident for as long as the account lives: a row in years.
# An unfinished one goes.
UNFINISHED = {"identity_verification": {"status": "open"}}


def expiring() -> list[Table]:
    """Every table whose rows say when they are good for nothing."""
    return [table for table in SQLModel.metadata.tables.values() if "expires_at" in table.columns]


def row(table: Table, expires_at: int) -> dict[str, Any]:
    """A row of nothing in particular that expires then."""
    made: dict[str, Any] = {}
    for column in table.columns:
        kind = column.type.python_type
        if kind is bytes:
            made[column.name] = os.urandom(32)
        elif kind in (dict, list, bool):
            made[column.name] = kind()
        elif kind is not int:
            made[column.name] = os.urandom(16).hex()
        elif not column.primary_key:  # numbers in a key are counted by the database
            made[column.name] = expires_at
    return made | UNFINISHED.get(table.name, {})


async def test_whatever_has_an_end_is_gone_some_days_after_it(app: Any) -> None:
    """Of each table in the building, by the jobs as they are registered; a new table with an end is found here."""
    host = app.host
    tables = expiring()
    assert len(tables) >= 11
    now = host.clock.ms()

    def counts(session: Session) -> dict[str, int]:
        found = {}
        for table in tables:
            found[table.name] = session.connection().execute(text(f"SELECT count(*) FROM {table.name}")).scalar_one()
        return found

    before = await host.db.read(counts)
    engine = create_engine(app.settings.url)  # its own: rows of nobody's account want a connection that permits
    with engine.begin() as connection:
        for table in tables:
            connection.execute(table.insert(), [row(table, now + 1), row(table, now + 60 * DAY)])
    engine.dispose()
    advance(app, 32 * DAY // 1000)
    for job in host.jobs:
        if "sweep" in job.name:
            await job.run()
    after = await host.db.read(counts)
    assert after == {name: count + 1 for name, count in before.items()}  # of two, the living one


@pytest.mark.parametrize(
    ("rounds", "each"), [(8, 2_000), pytest.param(100, 100_000, marks=pytest.mark.long)], ids=["small", "ten million"]
)
async def test_tokens_without_end_leave_a_file_as_large_as_the_living_ones_need(
    app: Any, rounds: int, each: int
) -> None:
    """Each round's tokens have expired when the next begins: rows and pages stay those of one round."""
    host, at_once = app.host, 2_000
    sweeps = [job for job in host.jobs if job.name == "identity.oauth.sweep"]
    assert len(sweeps) == 1
    pages: list[int] = []

    def issue(tx: Tx, first: int) -> None:
        now = host.clock.ms()
        for number in range(first, first + at_once):
            note_issued(tx, f"chn_{number:026d}", "access", client_id="c", grant_id=None, now=now, seconds=300)

    def size(session: Session) -> tuple[int, int]:
        connection = session.connection()
        rows = connection.execute(text("SELECT count(*) FROM identity_issued")).scalar_one()
        return rows, connection.execute(text("PRAGMA page_count")).scalar_one()

    for turn in range(rounds):
        for first in range(0, each, at_once):
            await host.db.append(issue, turn * each + first)
        rows, used = await host.db.read(size)
        assert rows <= each + 10
        pages.append(used)
        advance(app, 2 * 3600)
        await sweeps[0].run()
    assert (await host.db.read(size))[0] <= 10
    assert pages[-1] <= pages[1] * 1.05
