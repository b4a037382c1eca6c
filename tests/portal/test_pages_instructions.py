"""Answers in advance, over HTTP: what a service gets without a page, what the person is told, and the way back."""

import re
from typing import Any

import httpx2
import orjson
import pytest
from sqlalchemy import select

from consent import records
from identity.accounts import MAIL_TOPIC
from keys.envelope import Sealer
from kit import outbox
from kit.db import Session
from portal import letters
from portal.app import Building
from tests.portal.test_mandates import agreed, mother, signed_in, somebody
from tests.support.catalogue import ANY
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import REDIRECT, advance, location

pytestmark = pytest.mark.anyio
PLACE = "/consents/instructions"
NO: dict[str, Any] = {"answer": "refuse", "purposes": ["ImproveHealthcare"], "until": "2027-06-30"}
YES: dict[str, Any] = {
    "answer": "agree", "purposes": ["ImproveTransportMobility"], "categories": ["mobility"], "months": "6",
    "until": "2027-06-30",
}  # fmt: skip


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident with data and a service with an agreement."""
    return await settle(app, client)


async def events(home: Household, consent: str) -> list[dict[str, Any]]:
    host = home.building.host
    found = await host.db.read(records.history, host.get(Sealer), consent, account_id=home.party.account_id)
    return [each.document for each in found]


async def buses(home: Household, **changed: Any) -> None:
    """The service's agreement is about bus rides, which are less delicate, and its member is accredited."""
    from consent import agreements
    from identity.models import Member
    from kit.host import SYSTEM

    host, member = home.building.host, str(home.party.client.member_id)
    terms: dict[str, Any] = {
        "purpose": "ImproveTransportMobility",
        "categories": [
            {"category": "mobility", "required": True, "sensitivity": 2},
            {"category": "vaccination", "required": False, "sensitivity": 3},
        ],
        **changed,
    }

    def make(session: Session) -> str:
        row, now = session.get(Member, member), host.clock.ms()
        assert row is not None
        row.accreditation = {"ja": "ISMS", "en": "ISMS"}
        session.add(row)
        offered = agreements.propose(
            session, member_id=member, proposal=proposal(**terms), sensitivities=ANY, actor=SYSTEM, now=now
        )
        return agreements.approve(session, offered.id, actor=SYSTEM, now=now, sealer=None).agreement_id

    home.agreement_id = await host.db.write(make)


async def test_a_refusal_in_advance_answers_without_a_page_and_can_be_undone_at_once(home: Household) -> None:
    await home.known()
    assert (await home.post(PLACE, NO)).headers["location"] == PLACE
    advance(home.building, 1)
    query = await home.sent_on()
    assert (query["error"], query["error_description"]) == ("access_denied", "the resident did not agree")
    [consent] = await home.consents()
    asked, refused = await events(home, consent)
    assert (asked["type"], refused["type"]) == ("requested", "refused")
    assert refused["actor"]["authority"] == "standing-instruction"
    letter = (await home.get("/home", lang="en")).text
    assert f"/consents/{consent}#in-advance" in letter
    page = (await home.get(f"/consents/{consent}", lang="en")).text
    assert "Your answer given in advance did this for you." in page
    assert "Your answer given in advance did this for you." in (await home.get("/consents/history", lang="en")).text
    undone = await home.post(f"/consents/{consent}/undo")
    [question, _refused] = await home.consents()
    assert undone.headers["location"] == f"/consents/{question}/answer"
    await home.answer(f"/consents/{question}/answer", {"answer": "agree"})
    assert [each["type"] for each in await events(home, question)] == ["requested", "given"]
    assert (await events(home, question))[-1]["actor"]["authority"] == "self"
    assert f"/consents/{question}#in-advance" not in (await home.get("/home")).text


async def test_a_yes_in_advance_gives_a_code_and_a_consent_within_its_range(home: Household) -> None:
    await home.known()
    await buses(home)
    await home.post(PLACE, YES)
    advance(home.building, 1)
    query = await home.sent_on()
    detail = (await home.party.exchange(query["code"])).json()["authorization_details"][0]
    [consent] = await home.consents()
    assert (detail["consent"], detail["datatypes"]) == (consent, ["mobility"])
    given = (await events(home, consent))[-1]
    assert (given["type"], given["categories"], given["actor"]["revision"]) == ("given", ["mobility"], 1)
    assert (await home.post(f"/consents/{consent}/undo")).headers["location"] == f"/consents/{consent}"
    assert [each["type"] for each in await events(home, consent)] == ["requested", "given", "withdrawn"]
    again = await home.get(await home.ask())
    assert again.status_code == 200, "what was taken back is not agreed to in advance again"


async def test_what_the_law_keeps_for_the_person_is_asked_whatever_was_said_in_advance(home: Household) -> None:
    """Check-ups are special care-required: the page cannot even state a yes that would cover them."""
    await home.known()
    await home.post(PLACE, YES | {"purposes": ["ImproveHealthcare"], "categories": ["health_checkup"]})
    advance(home.building, 1)
    assert (await home.get(await home.ask())).status_code == 200
    assert await home.consents() == []


@pytest.mark.parametrize("changes", [{"prompt": "consent"}, {"scope": "openid profile email"}])
async def test_a_service_that_wants_the_page_or_learns_more_gets_the_page(
    home: Household, changes: dict[str, str]
) -> None:
    await home.known()
    await home.post(PLACE, NO)
    advance(home.building, 1)
    assert (await home.get(await home.ask(**changes))).status_code == 200
    assert await home.consents() == []


async def test_a_service_nobody_knows_yet_and_a_request_made_before_are_asked_about(home: Household) -> None:
    await home.post(PLACE, NO)
    advance(home.building, 1)
    assert (await home.get(await home.ask())).status_code == 200
    [instruction] = re.findall(rf"{PLACE}/(ins_\w+)/stop", (await home.get(PLACE)).text)
    await home.known()
    waiting = await home.ask()
    advance(home.building, 1)
    await home.post(PLACE, NO | {"instruction": instruction})  # another revision: it answers what is asked from now on
    assert (await home.get(waiting)).status_code == 200
    assert "error" in await home.sent_on()


async def test_stopped_by_one_tap_the_next_request_is_asked_about(home: Household) -> None:
    await home.known()
    await home.post(PLACE, NO)
    [instruction] = re.findall(rf"{PLACE}/(ins_\w+)/stop", (await home.get(PLACE)).text)
    assert (await home.post(f"{PLACE}/{instruction}/stop")).headers["location"] == PLACE
    advance(home.building, 1)
    assert (await home.get(await home.ask())).status_code == 200
    assert (await home.post(f"{PLACE}/{instruction}/stop")).status_code == 303, "said twice it is said once"
    assert 'data-code="stopped"' in (await home.get(PLACE)).text


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"answer": ""}, "answer"),
        ({"purposes": []}, "purposes"),
        ({"categories": []}, "categories"),
        ({"categories": ["no-such-data"]}, "categories"),
        ({"until": "2029-01-01"}, "until"),
        ({"until": "soon"}, "until"),
    ],
)
async def test_the_form_says_what_is_missing_and_keeps_what_was_ticked(
    home: Household, change: dict[str, Any], problem: str
) -> None:
    page = await home.post(PLACE, YES | change)
    assert (page.status_code, f'data-code="{problem}"' in page.text) == (422, True)
    if change.get("purposes") is None:
        assert re.search(r'id="purpose-ImproveTransportMobility"[^>]* checked', page.text)
    assert 'id="none"' in (await home.get(PLACE)).text


async def test_who_acts_for_somebody_states_nothing_and_may_stop_only_with_the_whole_mandate(
    app: Building, client: Any
) -> None:
    home, giver = await mother(app, client)
    await home.post(PLACE, NO)
    [instruction] = re.findall(rf"{PLACE}/(ins_\w+)/stop", (await home.get(PLACE)).text)
    son = await somebody(app, client, "健一")
    narrow = await agreed(giver, son, "see", "answer", "withdraw", purposes=("ImproveHealthcare",))
    await son.post(f"/mandates/{narrow}/act")
    for path, form in ((PLACE, NO), (f"{PLACE}/{instruction}/stop", {})):
        assert (await son.post(path, form)).status_code == 403
    await son.post("/mandates/back")
    whole = await agreed(giver, son, "see", "answer", "withdraw")
    await son.post(f"/mandates/{whole}/act")
    assert 'id="state-form"' not in (await son.get(PLACE)).text
    for path, form in ((PLACE, NO), (PLACE, NO | {"instruction": instruction})):
        assert (await son.post(path, form)).status_code == 403
    (consent, *_) = await home.consents()
    assert (await son.post(f"/consents/{consent}/undo")).status_code == 403
    assert (await son.post(f"{PLACE}/{instruction}/stop")).status_code == 303
    assert 'data-code="stopped"' in (await home.get(PLACE)).text


async def test_this_was_not_me_stops_what_a_thief_said_in_advance(home: Household) -> None:
    await home.post(PLACE, NO)
    assert (await home.post("/not-me")).status_code == 200
    me = await signed_in(home.building, home.http, home.party.account_id)
    assert 'data-code="stopped"' in (await me.get(PLACE)).text


async def test_the_api_names_what_is_wrong_and_shows_every_revision(home: Household) -> None:
    me = await signed_in(home.building, home.http, home.party.account_id)
    body = {"answer": "refuse", "purposes": ["ImproveHealthcare"], "days": 200}
    for wrong, pointer in (
        ({"purposes": ["Nonsense"]}, "/purposes"),
        ({"answer": "agree"}, "/categories"),
    ):
        answer = await me.api("POST", "/api/consent/instructions", body | wrong)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    for wrong in ({"why": "because"}, {"days": 367}, {"days": 0}, {"sensitivity": 3}, {"answer": "maybe"}):
        assert (await me.api("POST", "/api/consent/instructions", body | wrong)).status_code == 422
    made = (await me.api("POST", "/api/consent/instructions", body)).json()
    path = f"/api/consent/instructions/{made['id']}"
    changed = (await me.api("PUT", path, body | {"purposes": ["DirectMarketing"]})).json()
    assert (changed["revision"], changed["purposes"]) == (2, ["DirectMarketing"])
    assert (await me.api("POST", f"{path}/stop")).status_code == 204
    whole = (await me.api("GET", path)).json()
    assert [(each["type"], each["revision"]) for each in whole["events"]] == [
        ("set", 1),
        ("changed", 2),
        ("stopped", 2),
    ]
    assert (await me.api("GET", "/api/consent/instructions")).json()["instructions"][0]["state"] == "stopped"
    assert (await me.api("GET", "/api/consent/instructions/ins_none")).status_code == 404


async def test_the_person_gets_a_letter_each_time_and_when_one_is_stated(home: Household) -> None:
    await home.known()
    await home.post(PLACE, NO)
    advance(home.building, 1)
    await home.sent_on()

    def on_their_way(session: Session) -> list[str]:
        table = outbox.outbox_table
        found = session.connection().execute(select(table.c.body).where(table.c.topic == MAIL_TOPIC)).scalars()
        return [orjson.loads(body)["kind"] for body in found]

    kinds = await home.building.host.db.read(on_their_way)
    assert [kind for kind in kinds if kind.startswith("instruction")] == ["instruction-stated", "instruction-answered"]
    assert {"instruction-stated", "instruction-answered"} <= set(letters.KINDS)


# -- asked again


async def test_what_is_in_force_and_the_same_is_not_asked_again(home: Household) -> None:
    page = await home.ask()
    await home.answer(page, {"answer": "agree", "category": ["mobility"]})
    [consent] = await home.consents()
    before = await events(home, consent)
    base, query = location(await home.get(await home.ask()))
    assert base == REDIRECT
    detail = (await home.party.exchange(query["code"])).json()["authorization_details"][0]
    assert (detail["consent"], detail["datatypes"]) == (consent, ["health_checkup", "mobility"])
    assert await events(home, consent) == before, "nothing was agreed to anew, and it ends when it was said to"


async def test_asked_for_more_or_with_prompt_consent_it_is_asked_again_openid_connect_core_3_1_2_1(
    home: Household,
) -> None:
    import json

    def asking(**more: Any) -> str:
        return json.dumps([{"type": "data_use", "agreement": home.agreement_id, **more}])

    narrow = asking(datatypes=["health_checkup"], duration="P30D")
    await home.answer(await home.ask(authorization_details=narrow), {"answer": "agree"})
    assert "code" in await home.sent_on(authorization_details=narrow)
    for more in (
        {"authorization_details": asking(datatypes=["health_checkup", "mobility"], duration="P30D")},
        {"authorization_details": asking(datatypes=["health_checkup"], duration="P31D")},
        {"authorization_details": narrow, "prompt": "consent"},
        {"authorization_details": narrow, "scope": "openid profile email"},
    ):
        assert (await home.get(await home.ask(**more))).status_code == 200


async def test_what_was_left_unticked_is_not_asked_for_again_and_what_was_taken_back_is(home: Household) -> None:
    consent = await home.give()
    assert (await home.party.exchange((await home.sent_on())["code"])).json()["authorization_details"][0][
        "datatypes"
    ] == ["health_checkup"]
    await home.post(f"/consents/{consent}/withdraw")
    assert (await home.get(await home.ask())).status_code == 200


async def test_a_changed_offer_and_a_stopped_member_are_never_passed_by(home: Household) -> None:
    from consent import agreements, holds
    from kit.host import SYSTEM

    await home.give()
    host, member = home.building.host, str(home.party.client.member_id)
    waiting = await home.ask()
    await host.db.write(holds.hold, member, reason="inc_1", actor=SYSTEM, now=host.clock.ms())
    assert (await home.get(waiting)).status_code == 200
    await host.db.write(holds.release, member, actor=SYSTEM, now=host.clock.ms())
    assert "code" in await home.sent_on()

    def revise(session: Any) -> None:
        now = host.clock.ms()
        made = agreements.revise(
            session, home.agreement_id, proposal=proposal(retention="P60D"), sensitivities=ANY, actor=SYSTEM, now=now
        )
        agreements.approve(session, made.id, actor=SYSTEM, now=now, sealer=None)

    await host.db.write(revise)
    assert (await home.get(await home.ask())).status_code == 200
