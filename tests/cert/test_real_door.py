"""Through the real token endpoint: what is abused there stands in the queue, and what is cut off there is refused."""

from typing import Any

import pytest

from cert import alerts, containment, intake, response
from cert.containment import Action
from cert.desk import Desk
from cert.incidents import Severity
from kit.host import Actor
from tests.support.relying_party import Party, join

pytestmark = pytest.mark.anyio

LEAD = Actor("operator", "acc_lead", frozenset({"lead"}))


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def userinfo(party: Party, token: str) -> int:
    """The status of the protected resource nearest at hand."""
    answer = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    return answer.status_code


async def found(party: Party) -> list[alerts.AlertView]:
    host = party.building.host
    seals = host.get(Desk).seals
    while (await intake.follow(host.db, seals)).more:
        pass
    return await host.db.read(alerts.queue, seals)


async def test_a_refresh_token_used_twice_names_the_client_and_the_grant(party: Party) -> None:
    tokens = (await party.exchange(await party.code(scope="openid offline_access"))).json()
    await party.refresh(tokens["refresh_token"])
    assert await found(party) == []
    await party.refresh(tokens["refresh_token"])
    (alert,) = await found(party)
    assert (alert.kind, alert.severity) == ("refresh-reuse", Severity.HIGH)
    things = {entity.kind: entity.ref for entity in alert.entities}
    assert things["client"] == party.client.id
    assert things["grant"].startswith("grt_")


async def test_a_code_used_again_is_one_alert_however_often_it_is_tried(party: Party) -> None:
    """The first replay ends the chain and is told; more of the same writes nothing, lest strangers fill the trail."""
    code = await party.code(scope="openid")
    for _ in range(4):
        await party.exchange(code)
    (alert,) = await found(party)
    assert (alert.kind, alert.count) == ("code-replay", 1)


async def test_a_suspended_clients_tokens_are_refused_from_the_next_request_on(party: Party) -> None:
    tokens = (await party.exchange(await party.code(scope="openid offline_access"))).json()
    assert await userinfo(party, tokens["access_token"]) == 200
    host = party.building.host
    desk = host.get(Desk)
    now = host.clock.ms()
    incident = await host.db.write(
        response.open_incident, desk.seals, title="Key lost", severity=Severity.HIGH, actor=LEAD, now=now
    )
    made = await host.db.write(
        containment.contain, desk.seals, desk.effects, incident, action=Action.SUSPEND_CLIENT,
        targets=[party.client.id], actor=LEAD, now=now,
    )  # fmt: skip
    assert made.counts == {"clients": 1, "grants": 1, "residents": 1}
    assert await userinfo(party, tokens["access_token"]) == 401
    assert (await party.refresh(tokens["refresh_token"])).status_code == 401
    await host.db.write(containment.lift, desk.seals, desk.effects, incident, made.id, actor=LEAD, now=now)
    assert await userinfo(party, tokens["access_token"]) == 200
