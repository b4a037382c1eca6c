"""What the federation writes, on PostgreSQL: registrations, subordinates, marks, changes, sweeping; and their races.

The tests are those of SQLite, on one city that several of them share; races are here, where transactions really run
side by side.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import SQLModel, select

from identity.federation import mark_book, subordinates
from identity.federation.models import FederatedClient, FederationKey
from kit.clock import FrozenClock
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from portal.app import create_app
from portal.settings import Settings
from tests.identity import federated as leaf
from tests.identity import test_federation_automatic as automatic
from tests.portal import test_federation_console as console
from tests.support.desk import colleague
from tests.support.federation import World
from tests.support.relying_party import join, location
from tests.support.site import serving

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]

Both = tuple[leaf.City, console.City]


@pytest.fixture(scope="module")
async def both(postgres: Any, empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Both]:
    """One building, as a service sees it and as its operators do."""
    clock, data, url = FrozenClock(), tmp_path_factory.mktemp("federation-pg"), postgres.create(SQLModel.metadata)
    shutil.copy(empty_city / "root.key", data / "root.key")
    async with serving() as site:
        world = World(site, lambda: clock.ms() // 1000)
        told = {"on": True, "subordinates": True, "own_anchor": True, "trust_anchors": world.anchors,
                "authority_hints": [world.url("pref")], "mark_issuers": {console.MARK: [leaf.ISSUER]}}  # fmt: skip
        identity = Settings(data=data).identity.model_validate({"federation": told, "source_tries": 1000})
        settings = Settings(
            data=data, database_url=url, issuer=leaf.ISSUER, jobs=False, identity=identity,
            outgoing=OutgoingSettings(allow=("127.0.0.1",)),
        )  # fmt: skip
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=leaf.ISSUER) as http:
                party = await join(app, http)
                who = [await colleague(app, http, "operator", login=name) for name in ("first", "second")]
                who.append(await colleague(app, http, "analyst", login="analyst"))
                yield leaf.City(app, http, world, party), console.City(app, http, world, who)
    postgres.drop(url)


async def test_the_keys_of_a_first_start_are_one_set(both: Both) -> None:
    states = await both[0].app.host.db.read(lambda session: list(session.exec(select(FederationKey.state))))
    assert sorted(states) == ["active", "next"]


async def test_services_register_are_proved_renewed_and_swept(both: Both) -> None:
    city = both[0]
    await automatic.test_nothing_is_written_before_the_key_is_proved_12_1_1_1_2(city)
    await automatic.test_a_request_object_counts_once(city)
    await automatic.test_who_came_by_a_chain_and_met_nobody_is_forgotten_after_it(city)


async def test_six_first_requests_at_once_make_one_client(both: Both) -> None:
    city = both[0]
    city.world.service("sudden")
    tokens = [city.request_object("sudden") for _ in range(6)]
    answers = await asyncio.gather(*(city.come("sudden", token) for token in tokens))
    assert all("/interaction/" in location(answer)[0] for answer in answers), [one.status_code for one in answers]
    rows = select(FederatedClient).where(FederatedClient.entity_id == city.world.url("sudden"))
    assert len(await city.app.host.db.read(lambda session: list(session.exec(rows)))) == 1


async def test_trust_is_given_by_two_and_taken_by_one_and_six_approvals_are_one(both: Both) -> None:
    city = both[1]
    names = iter(("anew", "anew-2", "anew-3"))
    city.first, city.second = [await colleague(city.app, city.http, "operator", login=next(names)) for _ in "12"]
    city.analyst = await colleague(city.app, city.http, "analyst", login=next(names))
    await console.test_a_suspended_entity_is_not_spoken_of_until_the_same_words_count_again(city)
    await console.test_a_trust_mark_is_given_and_taken_back_with_a_reason(city)
    party = city.world.service("raced")
    body = {"entity_id": party.entity_id, "jwks": party.jwks, "entity_types": [console.RP]}
    city.changes.by_two = True
    try:
        change = (await city.first.api("POST", f"{console.API}/subordinates", body)).json()["id"]
    finally:
        city.changes.by_two = False
    answers = await asyncio.gather(
        *(city.second.api("POST", f"{console.API}/changes/{change}/approve") for _ in range(6))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 5}


async def test_lists_go_on_by_pages(both: Both) -> None:
    database, clock = both[1].app.host.db, both[1].app.host.clock
    entity = "https://paged.example"
    for kind in ("https://pref.example/one", "https://pref.example/two"):
        await database.write(mark_book.give, kind, entity, expires_at=None, actor=SYSTEM, now=clock.ms())
    newest = await database.read(mark_book.list_all, entity_id=entity, limit=1)
    older = await database.read(mark_book.list_all, entity_id=entity, before=newest[0].id)
    assert [one.kind.rpartition("/")[2] for one in (*newest, *older)] == ["two", "one"]
    below = await database.read(subordinates.list_all, ended=True)
    after = await database.read(subordinates.list_all, ended=True, after=below[0].entity_id)
    assert [one.entity_id for one in after] == [one.entity_id for one in below[1:]]
