"""The desk's pages, over HTTP, in the whole building: triage, workbench, containment that holds at once."""

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from cert import alerts, intake, response
from cert.desk import Desk
from cert.detection import Entity
from cert.incidents import Severity
from identity import members
from identity.clients import Clients
from identity.registration import Registration
from kit import audit
from kit.db import Session
from kit.host import SYSTEM, Actor
from tests.support.desk import Colleague, colleague

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

SUMMARY = "A laptop with a signing key was lost; the key was replaced within four hours."


@pytest.fixture
async def analyst(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "analyst")


@pytest.fixture
async def lead(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "lead")


async def log(app: "Building", title: str = "A mail asks for passwords", **more: Any) -> str:
    given: dict[str, Any] = {
        "source": "hand", "kind": "phishing", "severity": Severity.HIGH, "dedup": title, "title": title,
        "actor": Actor("operator", "acc_x"), "now": app.host.clock.ms(),
    }  # fmt: skip
    raised = await app.host.db.write(alerts.raise_alert, app.host.get(Desk).seals, **(given | more))
    return raised.alert_id


async def opened(app: "Building", **more: Any) -> str:
    given: dict[str, Any] = {
        "title": "Key lost", "severity": Severity.HIGH, "actor": Actor("operator", "acc_x"),
        "now": app.host.clock.ms(),
    }  # fmt: skip
    return await app.host.db.write(response.open_incident, app.host.get(Desk).seals, **(given | more))


async def bus(app: "Building") -> tuple[str, str]:
    """A member and its client."""

    def make(session: Session) -> tuple[str, str]:
        now = app.host.clock.ms()
        member = members.apply(session, name_ja="湊浜バス", name_en="Minato-hama Bus", actor=SYSTEM, now=now)
        members.approve(session, member.id, actor=SYSTEM, now=now)
        registration = Registration(
            name_ja="乗換案内", name_en="Journeys", member_id=member.id, redirect_uris=["https://bus.example/cb"]
        )
        made, _secret = app.host.get(Clients).create(session, registration, actor=SYSTEM)
        return member.id, made.id

    return await app.host.db.write(make)


def version(page: Any) -> str:
    found = re.search(r'name="version" value="(\d+)"', page.text)
    assert found
    return found[1]


async def follow(page: Any, who: Colleague) -> Any:
    """The page a POST leads to."""
    assert page.status_code == 303, page.text[:400]
    return await who.get(page.headers["location"])


async def test_nobody_but_the_desk_sees_the_desk(app: "Building", client: Any) -> None:
    stranger = await client.get("/desk", headers={"accept": "text/html"})
    assert stranger.status_code == 303
    assert stranger.headers["location"].startswith("/sign-in?next=%2Fdesk")
    resident = await colleague(app, client, kind="resident")
    assert (await resident.get("/desk")).status_code == 404
    operator = await colleague(app, client, "operator")
    assert (await operator.get("/desk")).headers["location"] == "/console"
    incident = await opened(app)
    for path in ("/desk/alerts", "/desk/alerts/new", f"/desk/incidents/{incident}", "/desk/incidents/new"):
        assert (await operator.get(path)).status_code == 404, path
        assert (await resident.get(path)).status_code == 404, path
    assert (await operator.post(f"/desk/incidents/{incident}/timeline", {"text": "x"})).status_code == 404


async def test_an_empty_desk_says_so(analyst: Colleague) -> None:
    page = await analyst.get("/desk")
    assert page.status_code == 200
    assert 'id="no-incidents"' in page.text
    assert 'id="no-alerts"' in page.text


async def test_an_alert_is_logged_dismissed_and_put_back_without_leaving_the_list(analyst: Colleague) -> None:
    sent = {"title": "A kiosk shows a strange page", "kind": "equipment", "severity": "medium", "things": "device d-1"}
    page = await follow(await analyst.post("/desk/alerts/new", sent), analyst)
    assert "A kiosk shows a strange page" in page.text
    found = re.search(r'id="(alr_\w+)"', page.text)
    assert found
    alert = found[1]
    form = {"decision": "dismiss", "reason": "expected", "back": "/desk"}
    page = await follow(await analyst.post(f"/desk/alerts/{alert}/triage", form), analyst)
    assert 'id="undo"' in page.text
    assert f'id="{alert}"' not in page.text
    page = await analyst.get("/desk/alerts?state=dismissed")
    assert "Expected" in page.text
    form = {"decision": "put_back", "back": "/desk/alerts?state=dismissed"}
    page = await follow(await analyst.post(f"/desk/alerts/{alert}/triage", form), analyst)
    assert 'id="no-alerts"' in page.text
    page = await follow(await analyst.post(f"/desk/alerts/{alert}/triage", {"decision": "take"}), analyst)
    assert "Taken by 湊 analyst" in page.text
    again = await analyst.post(f"/desk/alerts/{alert}/triage", {"decision": "put_back", "back": "//evil.example"})
    assert again.headers["location"].startswith("/desk?")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"title": ""}, "title"),
        ({"kind": "weather"}, "kind"),
        ({"severity": "dire"}, "severity"),
        ({"seen_at": "tomorrow"}, "seen_at"),
        ({"seen_at": "2199-01-01T00:00"}, "seen_at"),
        ({"things": "person Hana"}, "things"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_lost(
    analyst: Colleague, wrong: dict[str, str], field: str
) -> None:
    sent = {"title": "Seen", "kind": "leak", "severity": "low", "note": "What I typed"} | wrong
    page = await analyst.post("/desk/alerts/new", sent)
    assert page.status_code == 422
    assert f'href="#{field}"' in page.text
    assert "What I typed" in page.text


@pytest.mark.parametrize("layer", ["²", "9" * 5000, "٩"])
async def test_a_layer_that_is_no_digit_is_shown_as_a_mistake(analyst: Colleague, layer: str) -> None:
    page = await analyst.post("/desk/incidents/new", {"title": "", "severity": "low", "tlp": "TLP:RED", "layer": layer})
    assert page.status_code == 422


async def test_alerts_that_share_a_source_stand_together_with_the_reason(app: "Building", analyst: Colleague) -> None:
    for title in ("one", "two"):
        await log(app, title, entities=[Entity("source", "203.0.113.77")])
    await log(app, "three")
    page = await analyst.get("/desk")
    assert "2 alerts together" in page.text
    assert "same source" in page.text


async def test_the_queue_pages_and_shows_ten_thousand_as_quickly_as_ten(app: "Building", analyst: Colleague) -> None:
    for n in range(55):
        await log(app, f"report {n:02}")
    first = await analyst.get("/desk/alerts")
    assert len(re.findall(r'<li class="alert"', first.text)) == 50
    older = unescape(re.search(r'href="([^"]+)" rel="next"', first.text)[1])  # type: ignore[index]
    second = await analyst.get(older)
    assert len(re.findall(r'<li class="alert"', second.text)) == 5
    assert (await analyst.get("/desk/alerts?after=nonsense")).status_code == 200


async def test_from_alert_to_closed_incident_by_forms_alone(
    app: "Building", analyst: Colleague, lead: Colleague
) -> None:
    alert = await log(app)
    form = await analyst.get(f"/desk/incidents/new?alert={alert}")
    assert "A mail asks for passwords" in form.text
    sent = {"title": "Mails", "severity": "high", "tlp": "TLP:AMBER+STRICT", "alert": alert, "layer": ["5", "9"]}
    made = await analyst.post("/desk/incidents/new", sent)
    place = made.headers["location"]
    page = await follow(made, analyst)
    assert "TLP:AMBER+STRICT" in page.text

    for to, who in (("triage", analyst), ("contained", lead), ("eradicated", analyst)):
        page = await who.get(place)
        page = await follow(await who.post(f"{place}/move", {"version": version(page), "to": to}), who)
        assert f"state-{to}" in page.text
    task = {"task": "Call the provider", "due_at": "2026-12-01T09:00"}
    page = await follow(await analyst.post(f"{place}/tasks", task), analyst)
    task_id = re.search(r"done-(tsk_\w+)", page.text)[1]  # type: ignore[index]

    closing = await lead.get(f"{place}/close")
    assert 'id="open-tasks"' in closing.text
    sent = {"version": version(closing), "summary": SUMMARY}
    held = await lead.post(f"{place}/close", sent)
    assert (held.status_code, 'id="open-tasks"' in held.text) == (200, True)
    await analyst.post(f"{place}/tasks/{task_id}", {"state": "done"})
    short = await lead.post(f"{place}/close", sent | {"summary": "done"})
    assert (short.status_code, "at least 20" in short.text) == (422, True)
    page = await follow(await lead.post(f"{place}/close", sent), lead)
    assert SUMMARY in page.text
    assert 'id="reopen"' in page.text
    assert (await analyst.get(f"{place}/close")).status_code == 404


async def test_two_people_at_one_incident_do_not_overwrite_each_other(app: "Building", analyst: Colleague) -> None:
    incident = await opened(app)
    place = f"/desk/incidents/{incident}"
    form = {
        "version": "1", "title": "First", "severity": "low", "tlp": "TLP:RED", "aware_at": "2026-11-18T12:00",
        "assets": "system kiosk 4", "layer": "8",
    }  # fmt: skip
    page = await follow(await analyst.post(f"{place}/edit", form), analyst)
    assert "First" in page.text
    page = await analyst.post(f"{place}/edit", form | {"title": "Second"})
    assert page.status_code == 422
    assert "Second" in page.text
    assert version(page) == "2"
    page = await follow(await analyst.post(f"{place}/move", {"version": "1", "to": "triage"}), analyst)
    assert "state-new" in page.text
    page = await follow(await analyst.post(f"{place}/edit", form | {"title": "Second", "version": "2"}), analyst)
    assert "Second" in page.text


async def test_a_line_is_written_and_a_mistake_in_it_loses_nothing(app: "Building", analyst: Colleague) -> None:
    place = f"/desk/incidents/{await opened(app)}"
    sent = {"text": "The operator phoned.", "source": "phone", "happened_at": "2026-11-18T09:00", "about": "1"}
    page = await follow(await analyst.post(f"{place}/timeline", sent), analyst)
    assert "The operator phoned." in page.text
    assert "by phone" in page.text
    page = await analyst.post(f"{place}/timeline", sent | {"happened_at": "2030-01-01T00:00"})
    assert (page.status_code, page.text.count("The operator phoned.")) == (422, 2)
    assert (await analyst.post(f"{place}/timeline", {"text": " "})).status_code == 422


async def test_the_laws_questions_move_the_clocks(app: "Building", analyst: Colleague) -> None:
    place = f"/desk/incidents/{await opened(app)}"
    page = await analyst.get(place)
    assert "clock-possible" in page.text
    answers = {"version": version(page), "body": "city", "personal_data": "yes", "sensitive": "yes", "protected": "no"}
    page = await follow(await analyst.post(f"{place}/facts", answers), analyst)
    assert "clock-runs" in page.text
    filed = {"version": version(page), "file": "appi-preliminary"}
    page = await follow(await analyst.post(f"{place}/facts", filed), analyst)
    assert "clock-filed" in page.text
    record = page.text.split("timeline-title")[-1]
    assert "Filed: Preliminary report" in record
    assert record.count("legal facts") == 1, "the answers above; what was filed is told by its name"
    board = await analyst.get("/desk")
    assert "Final report" in board.text
    page = await follow(
        await analyst.post(f"{place}/facts", {"version": version(page), "unfile": "appi-preliminary"}), analyst
    )
    assert "clock-filed" not in page.text
    assert "Not filed after all: Preliminary report" in page.text


# -- containment


async def test_ended_sessions_are_refused_from_the_next_request_on(
    app: "Building", client: Any, analyst: Colleague, lead: Colleague
) -> None:
    victim = await colleague(app, client, login="hana", kind="resident")
    assert (await victim.api("GET", "/api/cert/reference")).status_code == 403  # signed in, but no staff
    incident = await opened(app)
    place = f"/desk/incidents/{incident}"
    query = f"{place}/contain?action=end_sessions&target={victim.id}"
    dry = await lead.get(query)
    assert "1 live session" in dry.text
    assert 'id="confirm"' in dry.text
    shown = await analyst.get(query)
    assert 'id="confirm"' not in shown.text
    assert (await analyst.post(f"{place}/contain", {"action": "end_sessions", "target": victim.id})).status_code == 404
    assert (await victim.api("GET", "/api/cert/reference")).status_code == 403
    page = await follow(await lead.post(f"{place}/contain", {"action": "end_sessions", "target": victim.id}), lead)
    assert (await victim.api("GET", "/api/cert/reference")).status_code == 401
    assert "record-contained" in page.text
    assert 'id="lift-' not in page.text


async def test_a_suspended_client_is_unusable_at_once_and_lifting_resumes_it(app: "Building", lead: Colleague) -> None:
    _member, client_id = await bus(app)
    registry = app.host.get(Clients)
    place = f"/desk/incidents/{await opened(app)}"
    page = await follow(await lead.post(f"{place}/contain", {"action": "suspend_client", "target": client_id}), lead)
    found = await registry.get(client_id)
    assert found is not None
    assert not found.usable
    lift = re.search(r'action="([^"]+/lift)"', page.text)[1]  # type: ignore[index]
    page = await follow(await lead.post(lift), lead)
    found = await registry.get(client_id)
    assert found is not None
    assert found.usable
    again = await follow(await lead.post(lift), lead)
    assert "record-lifted" in again.text


async def test_sharing_held_by_two_incidents_goes_on_when_the_last_lifts(app: "Building", lead: Colleague) -> None:
    from consent import holds

    member_id, _client = await bus(app)
    lifts = []
    for _ in range(2):
        place = f"/desk/incidents/{await opened(app)}"
        page = await follow(
            await lead.post(f"{place}/contain", {"action": "suspend_sharing", "target": member_id, "reason": "leak"}),
            lead,
        )
        lifts.append(re.search(r'action="([^"]+/lift)"', page.text)[1])  # type: ignore[index]
    assert await app.host.db.read(holds.is_held, member_id)
    page = await follow(await lead.post(lifts[0]), lead)
    assert "another incident still holds it" in page.text
    assert await app.host.db.read(holds.is_held, member_id)
    await lead.post(lifts[1])
    assert not await app.host.db.read(holds.is_held, member_id)


async def test_lifting_does_not_resume_what_an_operator_had_suspended_before(app: "Building", lead: Colleague) -> None:
    _member, client_id = await bus(app)
    registry = app.host.get(Clients)
    await app.host.db.write(lambda session: registry.suspend(session, client_id, actor=SYSTEM).id)
    place = f"/desk/incidents/{await opened(app)}"
    page = await follow(await lead.post(f"{place}/contain", {"action": "suspend_client", "target": client_id}), lead)
    await lead.post(re.search(r'action="([^"]+/lift)"', page.text)[1])  # type: ignore[index]
    found = await registry.get(client_id)
    assert found is not None
    assert not found.usable


async def test_lifting_goes_on_past_a_client_that_was_removed_meanwhile(app: "Building", lead: Colleague) -> None:
    (_, gone), (_, stays) = await bus(app), await bus(app)
    registry = app.host.get(Clients)
    place = f"/desk/incidents/{await opened(app)}"
    both = {"action": "suspend_client", "target": [gone, stays]}
    page = await follow(await lead.post(f"{place}/contain", both), lead)
    assert not (await registry.get(stays)).usable  # type: ignore[union-attr]
    await app.host.db.write(registry.remove, gone, actor=SYSTEM)
    page = await follow(await lead.post(re.search(r'action="([^"]+/lift)"', page.text)[1]), lead)  # type: ignore[index]
    assert "record-lifted" in page.text
    assert (await registry.get(stays)).usable  # type: ignore[union-attr]
    assert (await registry.get(gone)).status == "removed"  # type: ignore[union-attr]


async def test_a_target_that_does_not_exist_changes_nothing(app: "Building", lead: Colleague) -> None:
    place = f"/desk/incidents/{await opened(app)}"
    for action, target in (("end_sessions", "acc_no"), ("suspend_client", "cli_no"), ("suspend_sharing", "mem_no")):
        page = await lead.get(f"{place}/contain?action={action}&target={target}")
        assert page.status_code == 422
        page = await follow(await lead.post(f"{place}/contain", {"action": action, "target": target}), lead)
        assert "record-contained" not in page.text
    assert (await lead.get(f"{place}/contain?action=set_fire&target=x")).status_code == 404


# -- the JSON API, beside the pages


async def test_the_api_takes_alerts_from_staff_and_refuses_the_rest(
    app: "Building", client: Any, analyst: Colleague
) -> None:
    body = {"kind": "phishing", "severity": "low", "title": "Mail"}
    made = await analyst.api("POST", "/api/cert/alerts", body)
    assert (made.status_code, made.json()["new"]) == (201, True)
    assert (await analyst.api("POST", "/api/cert/alerts", body)).json()["count"] == 2
    operator = await colleague(app, client, "operator")
    refused = await operator.api("POST", "/api/cert/alerts", body)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/cert/role-needed")
    nobody = await client.post("/api/cert/alerts", json=body, headers={"origin": app.settings.issuer})
    assert nobody.status_code == 401
    wrong = await analyst.api("POST", "/api/cert/alerts", body | {"severity": "dire"})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/severity"


async def test_an_incident_through_the_api_and_a_conflict_names_the_version(
    app: "Building", analyst: Colleague, lead: Colleague
) -> None:
    made = await analyst.api("POST", "/api/cert/incidents", {"title": "Key lost", "severity": "high", "layers": [9]})
    place = f"/api/cert/incidents/{made.json()['id']}"
    changed = await analyst.api("PATCH", place, {"version": 1, "facts": {"sensitive": "yes"}, "filed": ["appi-final"]})
    assert changed.json() == {"version": 2}
    stale = await analyst.api("PATCH", place, {"version": 1, "title": "x"})
    assert (stale.status_code, stale.json()["type"], stale.json()["version"]) == (409, "/problems/cert/stale", 2)
    assert (await analyst.api("POST", f"{place}/move", {"version": 2, "to": "triage"})).status_code == 200
    refused = await analyst.api("POST", f"{place}/move", {"version": 3, "to": "contained"})
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/cert/role-needed")
    _member, client_id = await bus(app)
    cut = {"action": "suspend_client", "targets": [client_id], "reason": "key lost"}
    assert (await analyst.api("POST", f"{place}/containment", cut)).status_code == 403
    dry = await analyst.api(
        "POST", f"{place}/containment/preview", {"action": cut["action"], "targets": cut["targets"]}
    )
    assert dry.json()["counts"] == {"clients": 1, "grants": 0, "residents": 0}
    done = await lead.api("POST", f"{place}/containment", cut)
    assert done.json()["holds"] is True
    lifted = await lead.api("POST", f"{place}/containment/{done.json()['id']}/lift", {})
    assert lifted.json()["holds"] is False
    again = await lead.api("POST", f"{place}/containment/{done.json()['id']}/lift", {})
    assert again.json()["type"] == "/problems/cert/cannot-undo"
    bench = (await analyst.api("GET", place)).json()
    assert [line["kind"] for line in bench["timeline"]] == ["opened", "edited", "moved", "contained", "lifted"]
    assert bench["moves"] == []
    assert {clock["standing"] for clock in bench["clocks"]} >= {"possible", "filed"}


async def test_what_the_system_finds_in_its_own_trail_stands_in_the_queue(app: "Building", analyst: Colleague) -> None:
    def reuse(session: Session) -> None:
        audit.record(
            session, "identity.refresh.reused", actor=SYSTEM, object=("grant", "grt_1"), detail={"client": "cli_1"}
        )

    await app.host.db.write(reuse)
    await intake.follow(app.host.db, app.host.get(Desk).seals)
    page = await analyst.get("/desk")
    assert "Refresh token used twice" in page.text
