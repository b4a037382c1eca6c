"""The desk at work on incidents: edits, tasks, the record, closing; and alerts in people's hands."""

from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import select

from cert import alerts, response, tasks, timeline
from cert.alerts import AlertView
from cert.deadlines import Body
from cert.errors import CloseNeedsSummary, FieldInvalid, IncidentNotFound, MoveRefused, OpenTasks, RoleNeeded, Stale
from cert.fields import Asset, Change
from cert.incidents import OPEN_STATES, Severity, State, Tlp
from cert.models import TimelineEntry
from cert.response import IncidentView
from kit.clock import DAY, HOUR, MINUTE
from kit.db import Session
from tests.cert.conftest import ANALYST, LEAD, DeskOffice

pytestmark = pytest.mark.anyio

SUMMARY = "A laptop with a signing key was lost; the key was replaced within four hours."


async def log(desk: DeskOffice, title: str = "A mail asks for passwords", **more: Any) -> alerts.Raised:
    given: dict[str, Any] = {
        "source": "hand", "kind": "phishing", "severity": Severity.MEDIUM, "dedup": title, "actor": ANALYST,
        "now": desk.now, "title": title,
    }  # fmt: skip
    made: alerts.Raised = await desk.write(alerts.raise_alert, **(given | more))
    return made


async def opened(desk: DeskOffice, **more: Any) -> str:
    given: dict[str, Any] = {"title": "Key lost", "severity": Severity.HIGH, "actor": ANALYST, "now": desk.now}
    made: str = await desk.write(response.open_incident, **(given | more))
    return made


async def get(desk: DeskOffice, incident_id: str) -> IncidentView:
    found: IncidentView = await desk.read(response.get, incident_id)
    return found


async def lines(desk: DeskOffice, incident_id: str) -> list[timeline.Line]:
    found: list[timeline.Line] = await desk.read(timeline.read, incident_id)
    return found


async def move(desk: DeskOffice, incident_id: str, to: State, actor: Any = LEAD) -> None:
    version = (await get(desk, incident_id)).version
    await desk.write(response.move, incident_id, version=version, to=to, actor=actor, now=desk.now)


async def test_an_incident_takes_its_alerts_their_things_and_their_times(desk: DeskOffice) -> None:
    from cert.detection import Entity

    began = desk.now - 3 * HOUR
    alert = await log(desk, last_seen_at=began, entities=[Entity("client", "cli_bus"), Entity("source", "203.0.113.9")])
    desk.office.clock.advance(seconds=600)
    incident_id = await opened(desk, alert_ids=[alert.alert_id, alert.alert_id], layers=[9, 5])
    found = await get(desk, incident_id)
    assert found.reference == "2026-001"
    assert (found.state, found.severity, found.tlp, found.layers) == (State.NEW, Severity.HIGH, Tlp.AMBER, (5, 9))
    assert found.assets == (Asset("client", "cli_bus"),)
    assert found.began_at == began
    assert found.aware_at == desk.now - 10 * MINUTE
    (one,) = await desk.read(alerts.queue, states=["in_incident"], incident_id=incident_id)
    assert one.incident_id == incident_id
    record = await lines(desk, incident_id)
    assert [line.kind for line in record] == ["alert", "opened"]
    assert record[0].happened_at == began
    assert record[0].written_at == desk.now


async def test_an_alert_belongs_to_one_incident_only(desk: DeskOffice) -> None:
    alert = await log(desk)
    await opened(desk, alert_ids=[alert.alert_id])
    with pytest.raises(MoveRefused):
        await opened(desk, alert_ids=[alert.alert_id])
    assert len(await desk.read(response.board)) == 1


async def test_references_run_through_the_year_in_the_citys_calendar(desk: DeskOffice) -> None:
    first, second = await opened(desk), await opened(desk)
    assert [(await get(desk, one)).reference for one in (first, second)] == ["2026-001", "2026-002"]
    desk.office.clock.set(1_798_729_200_000)  # 2026-12-31T15:00:00Z is the first of January in Japan
    assert (await get(desk, await opened(desk))).reference == "2027-001"


async def test_an_edit_on_an_old_version_is_refused_with_the_new_one(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    change = Change(severity=Severity.LOW, tlp=Tlp.RED, layers=[3], title="Laptop lost", body=Body.COMPANY)
    assert await desk.write(response.edit, incident_id, version=1, change=change, actor=ANALYST, now=desk.now) == 2
    with pytest.raises(Stale) as refused:
        await desk.write(response.edit, incident_id, version=1, change=change, actor=ANALYST, now=desk.now)
    assert refused.value.extra == {"version": 2}
    found = await get(desk, incident_id)
    assert (found.title, found.tlp, found.body) == ("Laptop lost", Tlp.RED, Body.COMPANY)
    edited = (await lines(desk, incident_id))[-1]
    assert set(edited.data["fields"]) == {"title", "severity", "tlp", "layers", "facts"}
    assert "Laptop" not in repr(edited.data)


async def test_an_edit_that_changes_nothing_writes_nothing(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    change = Change(title="Key  lost", severity=Severity.HIGH)
    assert await desk.write(response.edit, incident_id, version=1, change=change, actor=ANALYST, now=desk.now) == 1
    assert len(await lines(desk, incident_id)) == 1


@pytest.mark.parametrize(
    "change",
    [
        Change(title=" "),
        Change(title="x" * 201),
        Change(layers=[0]),
        Change(assets=[Asset("person", "Hana")]),
        Change(facts={"weather": "yes"}),
        Change(facts={"sensitive": "maybe"}),
        Change(aware_at=4_000_000_000_000),
    ],
)
async def test_an_edit_with_a_wrong_field_is_refused_and_leaves_nothing(desk: DeskOffice, change: Change) -> None:
    incident_id = await opened(desk)
    before = await get(desk, incident_id)
    with pytest.raises(FieldInvalid):
        await desk.write(response.edit, incident_id, version=1, change=change, actor=ANALYST, now=desk.now)
    assert await get(desk, incident_id) == before


async def test_the_whole_way_from_new_to_closed_and_back(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    await move(desk, incident_id, State.TRIAGE, ANALYST)
    with pytest.raises(RoleNeeded):
        await move(desk, incident_id, State.CONTAINED, ANALYST)
    for state in (State.CONTAINED, State.ERADICATED, State.RECOVERING):
        await move(desk, incident_id, state)
    version = (await get(desk, incident_id)).version
    close = {"version": version, "summary": SUMMARY, "now": desk.now}
    with pytest.raises(RoleNeeded):
        await desk.write(response.close, incident_id, actor=ANALYST, **close)
    with pytest.raises(CloseNeedsSummary):
        await desk.write(response.close, incident_id, actor=LEAD, **(close | {"summary": "ok"}))
    await desk.write(response.close, incident_id, actor=LEAD, **close)
    found = await get(desk, incident_id)
    assert (found.state, found.summary, found.closed_at) == (State.CLOSED, SUMMARY, desk.now)
    with pytest.raises(MoveRefused):
        await desk.write(
            response.edit, incident_id, version=found.version, change=Change(title="x"), actor=LEAD, now=desk.now
        )
    await move(desk, incident_id, State.TRIAGE)
    found = await get(desk, incident_id)
    assert (found.state, found.closed_at) == (State.TRIAGE, None)
    kinds = [line.kind for line in await lines(desk, incident_id)]
    assert sorted(kinds) == ["closed", "moved", "moved", "moved", "moved", "opened", "reopened"]
    assert len(await desk.audit("cert.incident")) == 7


async def test_closing_by_a_plain_move_is_no_way_around_the_summary(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    with pytest.raises(MoveRefused):
        await desk.write(response.move, incident_id, version=1, to=State.CLOSED, actor=LEAD, now=desk.now)


async def test_open_tasks_hold_an_incident_open(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    task = await desk.write(tasks.add, incident_id, title="Ask the member", actor=ANALYST, now=desk.now)
    close = {"version": 1, "summary": SUMMARY, "actor": LEAD, "now": desk.now}
    with pytest.raises(OpenTasks):
        await desk.write(response.close, incident_id, **close)
    await desk.write(tasks.end, incident_id, task, state="dropped", actor=ANALYST, now=desk.now)
    await desk.write(response.close, incident_id, **close)
    (view,) = await desk.read(tasks.list_for, incident_id)
    assert (view.title, view.state, view.ended_at) == ("Ask the member", "dropped", desk.now)


async def test_a_line_tells_when_it_happened_and_when_it_was_written(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    await desk.write(
        response.note,
        incident_id,
        text="The operator phoned.",
        source="phone",
        happened_at=desk.now - DAY,
        exact=False,
        actor=ANALYST,
        now=desk.now,
    )
    first = (await lines(desk, incident_id))[0]
    assert (first.text, first.source, first.exact, first.late) == ("The operator phoned.", "phone", False, True)
    with pytest.raises(FieldInvalid):
        await desk.write(response.note, incident_id, text=" ", actor=ANALYST, now=desk.now)
    with pytest.raises(FieldInvalid):
        await desk.write(response.note, incident_id, text="x", happened_at=desk.now + HOUR, actor=ANALYST, now=desk.now)


async def test_a_line_of_the_record_can_not_be_changed_or_deleted(desk: DeskOffice) -> None:
    await opened(desk)

    def change(session: Session) -> None:
        row = session.exec(select(TimelineEntry)).one()
        row.source = "press"
        session.add(row)
        session.flush()

    def remove(session: Session) -> None:
        session.delete(session.exec(select(TimelineEntry)).one())
        session.flush()

    for attack in (change, remove):
        with pytest.raises(RuntimeError, match="may not be changed"):
            await desk.db.write(attack)


async def test_what_people_write_lies_sealed_under_the_incidents_own_key(desk: DeskOffice) -> None:
    incident_id = await opened(desk, title="Hana Minato's laptop", note="She phoned at nine")
    await desk.write(tasks.add, incident_id, title="Call Hana", actor=ANALYST, now=desk.now)
    await desk.write(
        response.close, await opened(desk), version=1, summary=f"Hana: {SUMMARY}", actor=LEAD, now=desk.now
    )
    await log(desk, "Hana reports a mail", note="Hana's mail")

    def stored(session: Session) -> str:
        names = ("cert_incident", "cert_timeline", "cert_task", "cert_alert", "kit_audit")
        return "".join(repr(session.execute(text(f"SELECT * FROM {name}")).all()) for name in names)

    assert "Hana" not in await desk.db.read(stored)
    await desk.db.write(desk.office.sealer.destroy_owner, incident_id)
    found = await get(desk, incident_id)
    assert (found.title, found.state) == ("—", State.NEW)


async def test_every_change_leaves_an_audit_entry_in_its_own_transaction(desk: DeskOffice) -> None:
    incident_id = await opened(desk)
    task = await desk.write(tasks.add, incident_id, title="x", actor=ANALYST, now=desk.now)
    await desk.write(tasks.end, incident_id, task, state="done", actor=ANALYST, now=desk.now)
    await desk.write(response.note, incident_id, text="x", actor=ANALYST, now=desk.now)
    await move(desk, incident_id, State.TRIAGE)
    actions = [entry.action for entry in await desk.audit("cert")]
    assert actions == [
        "cert.incident.opened",
        "cert.task.added",
        "cert.task.changed",
        "cert.timeline.added",
        "cert.incident.moved",
    ]


async def test_triage_takes_dismisses_and_puts_back(desk: DeskOffice) -> None:
    alert = (await log(desk)).alert_id

    async def now() -> AlertView:
        found: AlertView = await desk.read(alerts.get, alert)
        return found

    await desk.db.write(alerts.take, alert, actor=ANALYST)
    assert ((await now()).state, (await now()).owner_id) == ("triaged", ANALYST.id)
    await desk.db.write(alerts.dismiss, alert, reason="test", actor=ANALYST)
    assert ((await now()).state, (await now()).reason) == ("dismissed", "test")
    with pytest.raises(MoveRefused):
        await desk.db.write(alerts.dismiss, alert, reason="test", actor=ANALYST)
    await desk.db.write(alerts.put_back, alert, actor=ANALYST)
    assert ((await now()).state, (await now()).reason) == ("new", None)
    with pytest.raises(FieldInvalid):
        await desk.db.write(alerts.dismiss, alert, reason="because", actor=ANALYST)


async def test_reports_of_the_same_are_counted_and_the_queue_pages_by_last_seen(desk: DeskOffice) -> None:
    made = []
    for n in range(5):
        desk.office.clock.advance(seconds=60)
        made.append((await log(desk, f"report {n}")).alert_id)
    again = await log(desk, "report 1")
    assert (again.new, again.count, again.alert_id) == (False, 2, made[1])
    first = await desk.read(alerts.queue, limit=3)
    last = first[-1]
    second = await desk.read(alerts.queue, limit=3, before=(last.last_seen_at, last.id))
    assert [one.id for one in [*first, *second]] == [made[4], made[1], made[3], made[2], made[0]]


async def test_the_board_pages_through_open_incidents(desk: DeskOffice) -> None:
    made = [await opened(desk) for _ in range(3)]
    await desk.write(response.close, made[0], version=1, summary=SUMMARY, actor=LEAD, now=desk.now)
    assert {one.id for one in await desk.read(response.board)} == set(made[1:])
    first = await desk.read(response.board, limit=1, states=OPEN_STATES)
    second = await desk.read(response.board, limit=1, before=(first[0].opened_at, first[0].id))
    assert {first[0].id, second[0].id} == set(made[1:])


async def test_an_unknown_incident_is_not_found(desk: DeskOffice) -> None:
    with pytest.raises(IncidentNotFound):
        await get(desk, "inc_nothing")
