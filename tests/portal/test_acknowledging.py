"""The demo's services answer when a consent ends, so a demo left running raises no alert of its own."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from consent import endings, records, streams
from identity import clients, members
from keys.envelope import Sealer
from keys.jose import verify_with_jwks
from kit import audit
from kit.clock import FrozenClock
from kit.db import Session
from kit.host import Actor
from portal.app import Building
from portal.city.credentials import Credentials
from portal.city.seed import MEMBER_ID, seed
from portal.cli.demo import services_answer

STAFF = Actor("operator", "acc_staff")
HOURS = 3600


@pytest.fixture
async def people(app: Building) -> Credentials:
    """A fresh city, whose services answer."""
    made = await seed(app.host, now_ms=app.host.clock.ms())
    assert made is not None
    services_answer(app, made.document())
    return made


def job(app: Building, name: str) -> Callable[[], Awaitable[Any]]:
    (found,) = (each.run for each in app.host.jobs if each.name == name)
    return found


async def withdraw(app: Building, account_id: str, member: str) -> str:
    """The consent that this resident takes back from this organisation."""
    now, sealer = app.host.clock.ms(), app.host.get(Sealer)

    def act(session: Session) -> str:
        (one,) = (
            each
            for each in records.list_for(session, account_id, now=now)
            if each.stands and each.member_id == MEMBER_ID[member]
        )
        actor = Actor("resident", account_id)
        records.withdraw(session, sealer, consent_id=one.id, account_id=account_id, actor=actor, now=now)
        return one.id

    return await app.host.db.write(act)


async def end_of(app: Building, consent_id: str) -> endings.EndingView:
    found = await app.host.db.read(endings.of_consent, consent_id)
    assert found is not None
    return found


async def missed(app: Building) -> list[str]:
    """The services' members that did not confirm within 72 hours."""
    await job(app, "consent.endings.escalate")()
    found = await app.host.db.read(lambda session: audit.entries(session, action=endings.MISSED))
    return [each.detail["member"] for each in found]


async def test_a_withdrawal_in_the_demo_is_confirmed_and_after_three_days_nobody_is_alarmed(
    app: Building, people: Credentials, clock: FrozenClock
) -> None:
    hanako, kenichi = (people.residents[login].account_id for login in ("hanako", "kenichi"))
    answer = job(app, "demo.acknowledge")
    assert await answer() == 0
    taken = [await withdraw(app, *each) for each in ((kenichi, "clinic"), (hanako, "transit"), (hanako, "welfare"))]
    assert await answer() == 3
    clinic, *others = [await end_of(app, each) for each in taken]
    for each in (clinic, *others):
        assert (each.data, each.told_at, each.confirmed_at) == ("erased", clock.ms(), clock.ms())
    registered = (await app.host.db.read(clients.get, "minato-clinic")).jwks
    assert clinic.statement is not None
    assert registered is not None
    _, said = verify_with_jwks(clinic.statement, registered, algs=["ES256"], typ="consent-acknowledgement+jwt")
    assert (said["iss"], said["txn"]) == ("minato-clinic", clinic.id)
    assert [each.statement_key for each in others] == [None, None], "who has a secret only can't sign"
    assert await answer() == 0

    clock.advance(seconds=73 * HOURS)
    assert await missed(app) == []
    later = await withdraw(app, people.residents["tadashi"].account_id, "clinic")
    assert await answer() == 1, "its first access token has run out, and it goes on"
    assert (await end_of(app, later)).confirmed_at == clock.ms()


async def test_a_suspended_service_stays_silent_and_a_stream_set_to_push_is_left_to_its_developer(
    app: Building, people: Credentials, clock: FrozenClock
) -> None:
    host, hanako = app.host, people.residents["hanako"].account_id
    answer = job(app, "demo.acknowledge")
    for member in ("transit", "welfare"):
        await withdraw(app, hanako, member)
    await host.db.write(members.suspend, MEMBER_ID["transit"], actor=STAFF, now=clock.ms())
    await host.db.write(
        streams.open_stream, host.get(Sealer), client_id="welfare-office", member_id=MEMBER_ID["welfare"],
        everyone=False, endpoint="http://127.0.0.1:9/events", authorization=None, actor=STAFF, now=clock.ms(),
    )  # fmt: skip
    with capture_logs() as told:
        assert (await answer(), await answer()) == (0, 0)
    assert [each["client"] for each in told if each["event"] == "demo service"] == ["minatohama-transit"]
    clock.advance(seconds=73 * HOURS)
    assert sorted(await missed(app)) == sorted(MEMBER_ID[member] for member in ("transit", "welfare"))
    await host.db.write(members.approve, MEMBER_ID["transit"], actor=STAFF, now=clock.ms())
    assert await answer() == 1, "late, and kept"
