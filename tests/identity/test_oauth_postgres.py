"""The token state machine on PostgreSQL: the same races, where transactions really run side by side (invariant I7)."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import select

from identity import grants
from identity.clients import Clients
from identity.sessions import Sessions
from kit.audit import audit_table
from kit.db import Session
from kit.host import SYSTEM
from tests.identity import test_oauth_backchannel as backchannel
from tests.identity import test_oauth_exchange as exchange
from tests.identity.test_oauth_device import KIOSK, ask, poll, press, type_code
from tests.support import counter
from tests.support.desk import colleague
from tests.support.relying_party import Party, Prover, join

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
async def party(database_url: str, empty_city: Path, tmp_path: Path, clock: Any) -> AsyncIterator[Party]:
    from portal.app import create_app
    from portal.settings import Settings
    from tests.conftest import make_tables

    make_tables(database_url)
    shutil.copy(empty_city / "root.key", tmp_path / "root.key")
    settings = Settings(data=tmp_path, database_url=database_url, issuer="http://localhost:8080", jobs=False)
    async with create_app(settings, clock=clock).running(jobs=False) as building:
        transport = httpx2.ASGITransport(app=building)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
            yield await join(
                building, http, grant_types=["authorization_code", "refresh_token", "client_credentials"],
                scope="openid profile offline_access read",
            )  # fmt: skip


async def test_codes_refresh_tokens_and_proofs_are_used_once(party: Party) -> None:
    code = await party.code(scope="openid offline_access")
    answers = await asyncio.gather(*(party.exchange(code) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    (spent,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert await party.introspect(spent["access_token"]) == {"active": False}
    body = (await party.exchange(await party.code(scope="openid offline_access"))).json()
    answers = await asyncio.gather(*(party.refresh(body["refresh_token"]) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert await party.introspect(body["access_token"]) == {"active": False}
    proof = Prover().proof("POST", party.issuer + "/oauth/token", now_ms=party.building.host.clock.ms())
    answers = await asyncio.gather(
        *(party.token(headers={"dpop": proof}, grant_type="client_credentials") for _ in range(8))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}


async def test_a_device_code_is_taken_up_by_one_person_and_spent_once(party: Party) -> None:
    """RFC 8628 section 3.5, invariant I7."""
    kiosk = await join(party.building, party.http, **KIOSK)
    others = [await join(party.building, party.http, **KIOSK) for _ in range(2)]
    said = (await ask(kiosk)).json()
    typed = await asyncio.gather(*(type_code(one, said["user_code"]) for one in (kiosk, *others)))
    assert Counter(answer.status_code for answer in typed) == {303: 1, 422: 2}
    (winner,) = [n for n, answer in enumerate(typed) if answer.status_code == 303]
    await press((kiosk, *others)[winner], typed[winner].headers["location"], "agree")
    answers = await asyncio.gather(*(poll(kiosk, said["device_code"]) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}


async def test_a_counters_question_is_answered_once_and_told_of(party: Party) -> None:
    """CIBA Core sections 10.1.1 and 10.2, invariant I7."""
    counter = await join(
        party.building, party.http, **backchannel.COUNTER | {"backchannel_token_delivery_mode": "ping"},
        backchannel_client_notification_endpoint="https://clinic.example/ping",
    )  # fmt: skip
    said = (await backchannel.ask(counter, client_notification_token="t")).json()
    (page,) = await backchannel.questions(counter)
    headers = {"cookie": f"sekisho-local={counter.cookie}", "origin": counter.issuer}
    done = await asyncio.gather(
        *(party.http.post(page, data={"answer": one}, headers=headers) for one in ("agree", "refuse", "agree"))
    )
    assert Counter(answer.status_code for answer in done) == {303: 1, 404: 2}
    assert await backchannel.deliver(counter) == 0  # nobody is there; it is kept for later
    answers = await asyncio.gather(*(backchannel.poll(counter, said["auth_req_id"]) for _ in range(4)))
    assert Counter(answer.status_code for answer in answers) in ({200: 1, 400: 3}, {400: 4})


async def test_an_exchanged_token_dies_with_the_one_it_came_from(party: Party) -> None:
    """RFC 8693, invariant I5."""
    front = await join(party.building, party.http, scope=exchange.SCOPES, resources=[exchange.BOOKING])
    back = await exchange.back(party.building, party.http)
    token = await exchange.subject(front)
    after = (await exchange.swap(back, token)).json()["access_token"]
    assert (await back.introspect(after))["active"]
    await party.http.post("/oauth/revoke", data={"token": token}, headers=front.basic)
    assert await back.introspect(after) == {"active": False}


async def test_withdrawal_is_effective_before_it_is_answered(party: Party) -> None:
    """Invariant I5."""
    token = (await party.exchange(await party.code())).json()["access_token"]
    assert (await party.introspect(token))["active"]
    host = party.building.host
    (grant,) = await host.db.read(grants.list_for, party.account_id)
    await host.db.write(grants.revoke, grant.id, actor=SYSTEM, now=host.clock.ms())
    assert await party.introspect(token) == {"active": False}


async def test_what_ends_in_one_process_has_ended_in_the_other_before_anybody_is_answered(party: Party) -> None:
    """Invariant I5: two servers at one database, both of which had just said yes; nothing waits for a cache to age."""
    from portal.app import create_app

    first, host = party.http, party.building.host
    offline = await party.code(scope="openid offline_access", prompt="consent")
    tokens = (await party.exchange(offline)).json()
    token, cookie = tokens["access_token"], f"sekisho-local={party.cookie}"
    async with create_app(party.building.settings, clock=host.clock).running(jobs=False) as other:
        transport = httpx2.ASGITransport(app=other)
        async with httpx2.AsyncClient(transport=transport, base_url=party.issuer) as second:

            async def alive(http: httpx2.AsyncClient) -> tuple[int, int]:
                told = await http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
                return told.status_code, (await http.get("/home", headers={"cookie": cookie})).status_code

            for http in (first, second, first, second):
                assert await alive(http) == (200, 200)
            await first.post("/oauth/revoke", data={"token": token}, headers=party.basic)
            assert await alive(second) == (401, 200)
            await host.db.write(host.get(Sessions).end_all, party.account_id, SYSTEM)
            assert await alive(second) == (401, 303)
            party.http = second
            assert (await party.refresh(tokens["refresh_token"])).status_code == 200
            await host.db.write(host.get(Clients).suspend, party.client.id, actor=SYSTEM)
            assert (await party.token(grant_type="client_credentials")).status_code == 401


async def test_a_code_for_the_counter_opens_one_visit_and_one_second_clerk_confirms_it(party: Party) -> None:
    """Invariant I7, where transactions really run side by side; the level is raised once."""
    app, http = party.building, party.http
    clerks = [await colleague(app, http, "clerk", login=f"clerk-{number}") for number in range(4)]
    code = await counter.shown_code(await counter.phone(app, http, party.account_id))
    answers = await asyncio.gather(*(clerk.post("/counter", {"code": code}) for clerk in clerks))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 422: 3}
    (first, visit) = next(
        (clerk, str(answer.headers["location"]))
        for clerk, answer in zip(clerks, answers, strict=True)
        if answer.status_code == 303
    )
    assert (await first.post(visit, counter.CHIP)).status_code == 303
    others = [clerk for clerk in clerks if clerk is not first]
    said = await asyncio.gather(*(clerk.post(f"{visit}/confirm", {"confirmed": "1"}) for clerk in others))
    assert {answer.status_code for answer in said} <= {303, 404}

    def told(session: Session) -> list[str]:  # the chain is laid a moment later: the rows themselves
        rows = select(audit_table.c.detail).where(audit_table.c.action == "identity.assurance.changed")
        return list(session.connection().execute(rows).scalars())

    assert [orjson.loads(detail)["to"] for detail in await app.host.db.read(told)] == [3]
