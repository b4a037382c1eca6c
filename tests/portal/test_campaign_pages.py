"""Asking again, from the wire: the plan in the console, the question on the resident's pages, numbers in neither."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from consent import agreements, campaigns, records
from keys.envelope import Sealer
from kit.clock import DAY
from kit.host import SYSTEM
from portal.pages.campaigns import suggested
from tests.portal.test_console import follow, follow_notice
from tests.support.catalogue import ANY
from tests.support.desk import Colleague, colleague
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import advance, sign_in

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio


@pytest.fixture
async def operator(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "operator")


async def changed(home: Household, **more: Any) -> str:
    """A material change comes into force; its revision."""
    host = home.building.host

    def revise(session: Any) -> str:
        now = host.clock.ms()
        made = agreements.revise(
            session,
            home.agreement_id,
            proposal=proposal(**{"retention": "P90D", **more}),
            sensitivities=ANY,
            actor=SYSTEM,
            now=now,
        )
        return agreements.approve(session, made.id, actor=SYSTEM, now=now, sealer=None).id

    made: str = await host.db.write(revise)
    return made


async def run(app: "Building") -> int:
    return await campaigns.run(app.host.db, app.host.get(Sealer), app.host.clock)


def fields(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


async def planned(operator: Colleague, home: Household, **more: str) -> Any:
    sent = suggested(home.building.host.clock.ms())
    return await operator.post(f"/console/agreements/{home.agreement_id}/campaign", sent | more)


async def test_a_campaign_is_planned_paused_and_cancelled_and_shows_nobody(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    place = f"/console/agreements/{home.agreement_id}"
    assert 'id="nothing"' in (await operator.get(f"{place}/campaign")).text
    assert 'id="to-campaign"' not in (await operator.get(place)).text
    consent_id = await home.give()
    await changed(home)
    assert f"{place}/campaign" in (await operator.get("/console")).text  # it waits for somebody to begin
    assert 'id="to-campaign"' in (await operator.get(place)).text
    page = await follow(await planned(operator, home), operator)
    assert 'data-state="scheduled"' in page.text
    assert await follow_notice(await planned(operator, home)) == "campaign.not-now", "a double start is one"
    assert await run(app) == 1
    page = (await operator.get(f"{place}/campaign")).text
    assert 'data-state="running"' in page
    assert 'id="no-progress"' in page
    assert not re.search(r'class="num">', page), "one person is in no number"
    for step, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        page = (await follow(await operator.post(f"{place}/campaign/{step}"), operator)).text
        assert f'data-state="{state}"' in page
    assert await follow_notice(await operator.post(f"{place}/campaign/resume")) == "campaign.not-now"
    assert (await operator.post(f"{place}/campaign/burn")).status_code == 404
    assert f"{place}/campaign" not in (await operator.get("/console")).text
    view = await app.host.db.read(records.get, consent_id, account_id=None, now=app.host.clock.ms())
    assert view.stands


WRONG = [
    ({"begins": "soon"}, "begins"),
    ({"begins": "2020-01-01T00:00"}, "begins"),
    ({"deadline": ""}, "deadline"),
    ({"deadline": "2199-01-01"}, "deadline"),
    ({"per_hour": "1000000"}, "per_hour"),
    ({"per_hour": "0"}, "per_hour"),
    ({"reminders": "9"}, "reminders"),
]


async def test_a_plan_against_the_rules_is_told_beside_its_field(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    await changed(home)
    for wrong, field in WRONG:
        page = await planned(operator, home, **wrong)
        assert page.status_code == 422, wrong
        assert f'href="#{field}"' in page.text
    assert await app.host.db.read(campaigns.find, home.agreement_id) is None


async def test_who_is_asked_reads_the_difference_the_day_and_two_equal_answers_and_a_no_is_heard(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    newer = await changed(home)
    path = f"/consents/{consent_id}/renew"
    assert 'value="refuse"' not in (await home.get(path, lang="en")).text  # nobody asks yet
    await planned(operator, home)
    await run(app)
    assert re.search(r"You are asked again, until \d+ \w+ \d{4}", (await home.get("/home", lang="en")).text)
    page = (await home.get(path, lang="en")).text
    assert 'id="answer-by"' in page
    buttons = re.findall(r'<button type="submit" class="([^"]+)" id="(agree|refuse)"', page)
    assert len(buttons) == 2
    assert len({look for look, _name in buttons}) == 1
    foreign = await home.post(path, {"answer": "refuse", "shown_in": "en", "revision": "rev_other"}, lang="en")
    assert foreign.status_code == 404
    done = await home.post(path, fields(page) | {"answer": "refuse"}, lang="en")
    assert done.headers["location"] == f"/consents/{consent_id}"
    assert "You said no to the change" in (await home.get(f"/consents/{consent_id}", lang="en")).text
    assert "You are asked again" not in (await home.get("/home", lang="en")).text
    page = (await home.get(path, lang="en")).text
    assert 'value="refuse"' not in page
    assert 'id="declined"' in page
    done = await home.post(path, fields(page) | {"answer": "agree"}, lang="en")  # until then they may change their mind
    assert done.status_code == 303
    view = await app.host.db.read(records.get, consent_id, account_id=None, now=app.host.clock.ms())
    assert (view.stands, view.revision_id) == (True, newer)


async def test_who_does_not_answer_reads_afterwards_that_it_ended_and_why(
    app: "Building", client: Any, operator: Colleague
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    await changed(home)
    await planned(operator, home, reminders="0")
    page = (await home.get(f"/consents/{consent_id}/renew", lang="en")).text
    await run(app)
    advance(app, 32 * DAY / 1000)
    await run(app)
    await sign_in(home.party)
    shown = (await home.get(f"/consents/{consent_id}", lang="en")).text
    assert "did not agree to the changed offer in time" in shown
    assert 'data-confirmed="no"' in shown  # and the recipient owes its confirmation, as after any end
    late = await home.post(f"/consents/{consent_id}/renew", fields(page) | {"answer": "agree"}, lang="en")
    assert late.status_code == 303
    view = await app.host.db.read(records.get, consent_id, account_id=None, now=app.host.clock.ms())
    assert view.state == "expired"


async def test_only_operators_ask_again(app: "Building", client: Any, operator: Colleague) -> None:
    home = await settle(app, client)
    place = f"/console/agreements/{home.agreement_id}/campaign"
    reviewer = await colleague(app, client, "ethics")
    assert (await reviewer.get(place)).status_code == 404
    for path in (place, f"{place}/cancel"):
        assert (await reviewer.post(path)).status_code == 404
    assert (await operator.get("/console/agreements/agr_none/campaign")).status_code == 404
    assert await follow_notice(await operator.post(f"{place}/pause")) == "campaign.not-now"
