"""Cases of tests.portal.test_every_write. The desk: its pages and its API."""

from typing import Any

from tests.portal.test_desk import SUMMARY, bus, log, opened, version
from tests.portal.writes.base import World, case
from tests.support.desk import Colleague

ALERT = {"title": "A kiosk shows a strange page", "kind": "equipment", "severity": "medium", "things": "device d-1"}
TRIAGED = {"title": "Mails", "severity": "high", "tlp": "TLP:AMBER+STRICT", "layer": ["5", "9"]}


async def at_incident(w: World) -> tuple[Colleague, str, str]:
    """Somebody of the desk, an incident's page, and its version."""
    who, place = await w.staff("lead", "analyst"), f"/desk/incidents/{await opened(w.app)}"
    return who, place, version(await who.get(place))


async def contained(w: World, *, api: bool = False) -> tuple[Colleague, Any, str, dict[str, Any]]:
    who, place, _ = await at_incident(w)
    _member, client_id = await bus(w.app)
    if api:
        place = place.replace("/desk/", "/api/cert/")
        cut: dict[str, Any] = {"action": "suspend_client", "targets": [client_id], "reason": "key lost"}
        return who, await who.api("POST", f"{place}/containment", cut), place, cut
    form = {"action": "suspend_client", "target": client_id}
    return who, await who.post(f"{place}/contain", form), place, form


@case("POST /desk/alerts/new")
async def post_desk_alerts_new(w: World) -> Any:
    return await (await w.staff("analyst")).post("/desk/alerts/new", ALERT)


@case("POST /desk/alerts/{alert_id}/triage")
async def post_desk_alerts_alert_id_triage(w: World) -> Any:
    who, alert = await w.staff("analyst"), await log(w.app)
    for form in ({"decision": "dismiss", "reason": "expected"}, {"decision": "put_back"}):
        assert (await who.post(f"/desk/alerts/{alert}/triage", form)).status_code == 303
    return await who.post(f"/desk/alerts/{alert}/triage", {"decision": "take"})


@case("POST /desk/alerts/attach")
async def post_desk_alerts_attach(w: World) -> Any:
    who, place, _ = await at_incident(w)
    return await who.post("/desk/alerts/attach", {"alert": await log(w.app), "incident": place.rsplit("/", 1)[1]})


@case("POST /desk/incidents/new")
async def post_desk_incidents_new(w: World) -> Any:
    return await (await w.staff("analyst")).post("/desk/incidents/new", TRIAGED | {"alert": await log(w.app)})


@case("POST /desk/incidents/{incident_id}/edit")
async def post_desk_incidents_incident_id_edit(w: World) -> Any:
    who, place, at = await at_incident(w)
    form = {"version": at, "title": "First", "severity": "low", "tlp": "TLP:RED", "assets": "system kiosk 4"}
    return await who.post(f"{place}/edit", form)


@case("POST /desk/incidents/{incident_id}/move")
async def post_desk_incidents_incident_id_move(w: World) -> Any:
    who, place, at = await at_incident(w)
    return await who.post(f"{place}/move", {"version": at, "to": "triage"})


@case("POST /desk/incidents/{incident_id}/facts")
async def post_desk_incidents_incident_id_facts(w: World) -> Any:
    who, place, at = await at_incident(w)
    return await who.post(f"{place}/facts", {"version": at, "body": "city", "personal_data": "yes"})


@case("POST /desk/incidents/{incident_id}/timeline")
async def post_desk_incidents_incident_id_timeline(w: World) -> Any:
    who, place, _at = await at_incident(w)
    return await who.post(f"{place}/timeline", {"text": "The operator phoned.", "source": "phone"})


async def task_at(w: World) -> tuple[Colleague, str, str]:
    who, place, _at = await at_incident(w)
    assert (await who.post(f"{place}/tasks", {"task": "Call"})).status_code == 303
    (task,) = w.watch.last["cert_task"]
    return who, place, str(task[0])


@case("POST /desk/incidents/{incident_id}/tasks")
async def post_desk_incidents_incident_id_tasks(w: World) -> Any:
    return await task_at(w)


@case("POST /desk/incidents/{incident_id}/tasks/{task_id}")
async def post_desk_incidents_incident_id_tasks_task_id(w: World) -> Any:
    who, place, task = await task_at(w)
    return await who.post(f"{place}/tasks/{task}", {"state": "done"})


@case("POST /desk/incidents/{incident_id}/contain")
async def post_desk_incidents_incident_id_contain(w: World) -> Any:
    return await contained(w)


@case("POST /desk/incidents/{incident_id}/containment/{containment_id}/lift")
async def post_desk_incidents_incident_id_containment_containment_id_lift(w: World) -> Any:
    who, _made, place, _form = await contained(w)
    (cut,) = w.watch.last["cert_containment"]
    return await who.post(f"{place}/containment/{cut[0]}/lift")


@case("POST /desk/incidents/{incident_id}/close")
async def post_desk_incidents_incident_id_close(w: World) -> Any:
    who, place, at = await at_incident(w)
    for to in ("triage", "contained", "eradicated"):
        await who.post(f"{place}/move", {"version": at, "to": to})
        at = version(await who.get(place))
    return await who.post(f"{place}/close", {"version": at, "summary": SUMMARY})


@case("POST /api/cert/alerts")
async def post_api_cert_alerts(w: World) -> Any:
    body = {"kind": "phishing", "severity": "low", "title": "Mail"}
    return await (await w.staff("analyst")).api("POST", "/api/cert/alerts", body)


@case("POST /api/cert/alerts/{alert_id}/triage")
async def post_api_cert_alerts_alert_id_triage(w: World) -> Any:
    who, alert = await w.staff("analyst"), await log(w.app)
    return await who.api("POST", f"/api/cert/alerts/{alert}/triage", {"decision": "take"})


@case("POST /api/cert/incidents")
async def post_api_cert_incidents(w: World) -> Any:
    body = {"title": "Key lost", "severity": "high", "layers": [9]}
    return await (await w.staff("analyst")).api("POST", "/api/cert/incidents", body)


async def api_incident(w: World) -> tuple[Colleague, str, int]:
    who, place, at = await at_incident(w)
    return who, place.replace("/desk/", "/api/cert/"), int(at)


@case("PATCH /api/cert/incidents/{incident_id}")
async def patch_api_cert_incidents_incident_id(w: World) -> Any:
    who, place, at = await api_incident(w)
    return await who.api("PATCH", place, {"version": at, "facts": {"sensitive": "yes"}})


@case("POST /api/cert/incidents/{incident_id}/move")
async def post_api_cert_incidents_incident_id_move(w: World) -> Any:
    who, place, at = await api_incident(w)
    return await who.api("POST", f"{place}/move", {"version": at, "to": "triage"})


@case("POST /api/cert/incidents/{incident_id}/close")
async def post_api_cert_incidents_incident_id_close(w: World) -> Any:
    who, place, at = await api_incident(w)
    for to in ("triage", "contained", "eradicated"):
        at = (await who.api("POST", f"{place}/move", {"version": at, "to": to})).json()["version"]
    return await who.api("POST", f"{place}/close", {"version": at, "summary": SUMMARY})


@case("POST /api/cert/incidents/{incident_id}/timeline")
async def post_api_cert_incidents_incident_id_timeline(w: World) -> Any:
    who, place, _at = await api_incident(w)
    return await who.api("POST", f"{place}/timeline", {"text": "The operator phoned."})


@case("POST /api/cert/incidents/{incident_id}/tasks")
async def post_api_cert_incidents_incident_id_tasks(w: World) -> Any:
    who, place, _at = await api_incident(w)
    return await who.api("POST", f"{place}/tasks", {"title": "Call"})


@case("POST /api/cert/incidents/{incident_id}/tasks/{task_id}")
async def post_api_cert_incidents_incident_id_tasks_task_id(w: World) -> Any:
    who, place, task = await task_at(w)
    return await who.api("POST", f"{place.replace('/desk/', '/api/cert/')}/tasks/{task}", {"state": "done"})


@case("POST /api/cert/incidents/{incident_id}/containment/preview")
async def post_api_cert_incidents_incident_id_containment_preview(w: World) -> Any:
    who, place, _at = await api_incident(w)
    _member, client_id = await bus(w.app)
    body = {"action": "suspend_client", "targets": [client_id]}
    return await who.api("POST", f"{place}/containment/preview", body)


@case("POST /api/cert/incidents/{incident_id}/containment")
async def post_api_cert_incidents_incident_id_containment(w: World) -> Any:
    return (await contained(w, api=True))[1]


@case("POST /api/cert/incidents/{incident_id}/containment/{containment_id}/lift")
async def post_api_cert_incidents_incident_id_containment_containment_id_lift(w: World) -> Any:
    who, made, place, _cut = await contained(w, api=True)
    return await who.api("POST", f"{place}/containment/{made.json()['id']}/lift", {})
