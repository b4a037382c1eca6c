"""The bank on SQLite and on PostgreSQL alike: fetch, deposit, withdrawal against fetches, leaving."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from infobank import disclosures, rights, store
from infobank.settings import InfobankSettings
from keys.hashing import TokenHasher
from kit.clock import FrozenClock
from portal.app import create_app
from portal.settings import Settings
from tests.conftest import make_tables
from tests.support.bank import CHECKUP, Bank


@pytest.fixture
async def either(database_url: str, empty_city: Path, tmp_path: Path) -> AsyncIterator[Bank]:
    """A bank on the database of this run."""
    data = tmp_path / "data"
    shutil.copytree(empty_city, data)
    given: dict[str, Any] = {}
    if database_url.startswith("postgresql"):
        make_tables(database_url)
        given["database_url"] = database_url
    building = create_app(Settings(data=data, issuer="http://localhost:8080", jobs=False, **given), clock=FrozenClock())
    async with building.running(jobs=False):
        transport = httpx2.ASGITransport(app=building)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8080") as http:
            yield await Bank(building, http).open()


async def test_fetch_deposit_history_and_leaving(either: Bank) -> None:
    bank = either
    source = await bank.token(bank.hana, None, scopes=("openid", "bank:deposit"))
    assert (await bank.send(source, {"records": [{"category": "health_checkup", "data": CHECKUP}]})).status_code == 201
    consent = await bank.agree(bank.hana, "health_checkup")
    token = await bank.token(bank.hana, consent, "health_checkup", "mobility")
    body = (await bank.fetch(token)).json()
    assert [record["data"] for record in body["records"]] == [CHECKUP]
    assert body["withheld"] == [{"category": "mobility", "reason": "category_not_covered"}]
    (line,) = await bank.db.read(disclosures.history, bank.hana, category="health_checkup")
    assert line.id == body["disclosure"]
    assert line.counts == (("health_checkup", 1),)
    assert await bank.db.read(
        disclosures.affected, member_ids=("mem_clinic",), since=0, until=bank.now + 1,
        categories=frozenset({"health_checkup"}),
    ) == {bank.hana: 1}  # fmt: skip
    await bank.db.write(
        rights.erase, bank.sealer, bank.app.host.get(TokenHasher), account_id=bank.hana, settings=InfobankSettings(),
        actor=bank.resident(bank.hana), now=bank.now,
    )  # fmt: skip
    assert (await bank.fetch(token)).status_code == 401
    assert await bank.db.read(store.counts, bank.hana) == {}


async def test_withdrawal_wins_over_fetches_in_flight(either: Bank) -> None:
    bank = either
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    for _round in range(4):
        consent = await bank.agree(bank.hana, "health_checkup")
        token = await bank.token(bank.hana, consent, "health_checkup")
        withdrawn = asyncio.Event()
        given: list[str] = []

        async def fetcher(token: str, withdrawn: asyncio.Event, given: list[str]) -> None:
            for _try in range(4):
                late = withdrawn.is_set()
                answer = await bank.fetch(token)
                assert answer.status_code in (200, 401, 403), answer.text
                assert not (late and answer.status_code == 200)
                if answer.status_code == 200:
                    given.append(answer.json()["disclosure"])

        async def withdrawer(consent: str, withdrawn: asyncio.Event) -> None:
            await bank.withdraw(bank.hana, consent)
            withdrawn.set()

        await asyncio.gather(*(fetcher(token, withdrawn, given) for _ in range(3)), withdrawer(consent, withdrawn))
        history = await bank.db.read(disclosures.history, bank.hana, consent_id=consent)
        assert set(given) <= {line.id for line in history}
