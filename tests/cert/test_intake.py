"""The follower: real sign-ins in, alerts out, each entry once."""

import asyncio

import pytest

from cert import alerts, intake, response
from cert.alerts import AlertView
from cert.detection import Entity
from cert.incidents import Severity
from identity.credentials import Refused, Throttled
from identity.sign_ins import Browser
from kit import audit
from kit.clock import HOUR, MINUTE
from kit.db import Session
from kit.host import ANONYMOUS, SYSTEM
from tests.cert.conftest import ANALYST, DeskOffice
from tests.support.office import PASSWORD

pytestmark = pytest.mark.anyio

ATTACKER = "203.0.113.77"


async def fail(desk: DeskOffice, login: str, source: str = ATTACKER) -> None:
    outcome = await desk.office.credentials.sign_in(login, "wrong password 1", Browser(source))
    assert isinstance(outcome, Refused | Throttled)
    desk.office.clock.advance(seconds=2)


async def queue(desk: DeskOffice) -> list[AlertView]:
    found: list[AlertView] = await desk.read(alerts.queue, states=alerts.STATES)
    return found


def reused(session: Session, grant: str) -> None:
    audit.record(
        session,
        "identity.refresh.reused",
        actor=ANONYMOUS,
        object=("grant", grant),
        detail={"client": "cli_bus"},
        outcome="refused",
    )


async def test_failed_sign_ins_to_five_accounts_from_one_source_raise_one_alert(desk: DeskOffice) -> None:
    """The entries are written by the real sign-in; the source is read out of their sealed part."""
    known = await desk.office.add("hana")
    for login in ("hana", "nobody1", "nobody2", "nobody3"):
        await fail(desk, login)
    await desk.follow()
    assert await queue(desk) == []
    await fail(desk, "nobody4")
    await desk.follow()
    (alert,) = await queue(desk)
    assert (alert.kind, alert.severity, alert.count, alert.state) == ("credential-stuffing", Severity.HIGH, 5, "new")
    assert Entity("source", ATTACKER) in alert.entities
    assert Entity("account", known) in alert.entities
    (raised,) = await desk.audit("cert.alert.raised")
    assert ATTACKER not in repr(raised.detail)


async def test_failures_from_several_sources_or_over_a_long_time_raise_none(desk: DeskOffice) -> None:
    for n in range(8):
        await fail(desk, f"nobody{n}", source=f"192.0.2.{n}")
    for n in range(8):
        desk.office.clock.advance(seconds=700)
        await fail(desk, f"nobody{n}")
    await desk.follow()
    assert await queue(desk) == []


async def test_more_of_the_same_is_counted_and_not_raised_again(desk: DeskOffice) -> None:
    for n in range(6):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    for n in range(6, 9):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    (alert,) = await queue(desk)
    assert alert.count == 9
    assert len(await desk.audit("cert.alert.raised")) == 1
    assert len(await desk.audit("cert.alert.repeated")) == 1


async def test_the_same_entries_make_the_same_alert_however_they_are_cut_into_runs(desk: DeskOffice) -> None:
    for n in range(9):
        await fail(desk, f"nobody{n}")
        if n in (1, 4, 5):
            await desk.follow()
    await desk.follow()
    (alert,) = await queue(desk)
    assert alert.count == 9


async def test_someone_who_gets_in_after_the_failures_is_named_and_it_becomes_critical(desk: DeskOffice) -> None:
    victim = await desk.office.add("hana")
    for n in range(5):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    await desk.office.sign_in("hana", PASSWORD, source=ATTACKER)
    await desk.follow()
    (alert,) = await queue(desk)
    assert alert.severity is Severity.CRITICAL
    assert Entity("account", victim, "entered") in alert.entities
    assert alert.count == 5


async def test_a_sign_in_from_a_quiet_source_is_no_signal_of_anything(desk: DeskOffice) -> None:
    await desk.office.add("hana")
    await desk.office.sign_in("hana")
    await desk.follow()
    assert await queue(desk) == []


async def test_a_refresh_token_used_twice_is_an_alert_at_once(desk: DeskOffice) -> None:
    await desk.db.write(reused, "grt_1")
    await desk.follow()
    (alert,) = await queue(desk)
    assert (alert.kind, alert.severity) == ("refresh-reuse", Severity.HIGH)
    assert {(e.kind, e.ref) for e in alert.entities} == {("grant", "grt_1"), ("client", "cli_bus")}


async def test_a_run_that_finds_nothing_new_changes_nothing(desk: DeskOffice) -> None:
    await desk.db.write(reused, "grt_1")
    await desk.follow()
    before = await queue(desk)
    assert (await desk.follow()).read == 0
    assert await queue(desk) == before


async def test_a_failed_run_leaves_neither_alert_nor_cursor_and_the_next_finds_all(desk: DeskOffice) -> None:
    await desk.db.write(reused, "grt_1")
    await desk.audit("identity")

    def crash(session: Session) -> None:
        assert intake.step(session, desk.seals).alerts
        raise OSError("power gone")

    with pytest.raises(OSError, match="power gone"):
        await desk.db.write(crash)
    assert await queue(desk) == []
    await desk.follow()
    (alert,) = await queue(desk)
    assert alert.count == 1


async def test_two_followers_at_once_count_nothing_twice(desk: DeskOffice) -> None:
    for n in range(7):
        await fail(desk, f"nobody{n}")
    await desk.audit("identity")
    await asyncio.gather(*(intake.follow(desk.db, desk.seals) for _ in range(4)))
    (alert,) = await queue(desk)
    assert alert.count == 7


async def test_what_was_dismissed_stays_dismissed_while_it_goes_on_but_not_when_it_gets_worse(desk: DeskOffice) -> None:
    await desk.office.add("hana")
    for n in range(5):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    (alert,) = await queue(desk)
    await desk.db.write(alerts.dismiss, alert.id, reason="expected", actor=ANALYST)
    await fail(desk, "nobody6")
    await desk.follow()
    (alert,) = await queue(desk)
    assert (alert.state, alert.count) == ("dismissed", 6)
    await desk.office.sign_in("hana", source=ATTACKER)
    await desk.follow()
    (alert,) = await queue(desk)
    assert alert.state == "new"


async def test_after_a_quiet_time_or_a_closed_incident_a_new_alert_begins(desk: DeskOffice) -> None:
    for n in range(5):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    desk.office.clock.advance(ms=HOUR + 11 * MINUTE)
    for n in range(5):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    assert len(await queue(desk)) == 2
    await desk.db.write(reused, "grt_1")
    await desk.follow()
    alert = next(one for one in await queue(desk) if one.kind == "refresh-reuse")
    made = await desk.write(
        response.open_incident,
        title="reuse",
        severity=Severity.LOW,
        alert_ids=[alert.id],
        actor=ANALYST,
        now=desk.now,
    )
    await desk.write(
        response.close,
        made,
        version=1,
        summary="A retry of the app itself, confirmed by the member.",
        actor=ANALYST.__class__("operator", "acc_lead", frozenset({"lead"})),
        now=desk.now,
    )
    await desk.db.write(reused, "grt_1")
    await desk.follow()
    assert len([one for one in await queue(desk) if one.kind == "refresh-reuse"]) == 2


async def test_no_source_address_lies_in_clear_in_the_desks_tables(desk: DeskOffice) -> None:
    for n in range(5):
        await fail(desk, f"nobody{n}")
    await desk.follow()
    tables = ("cert_alert", "cert_alert_entity", "cert_signal")
    stored = await desk.db.read(
        lambda session: [repr(session.connection().exec_driver_sql(f"SELECT * FROM {name}").all()) for name in tables]
    )
    assert all(len(text) > 10 for text in stored)
    assert ATTACKER not in "".join(stored)


async def test_a_recipient_that_does_not_confirm_an_end_is_one_alert_however_many_consents_it_owes(
    desk: DeskOffice,
) -> None:
    """Told through the audit trail alone: the desk does not know the ledger, nor the ledger the desk."""

    def missed(session: Session, consent: str, member: str) -> None:
        audit.record(
            session,
            "consent.acknowledgement.missed",
            actor=SYSTEM,
            object=("consent", consent),
            detail={"member": member, "account": f"acc_{consent}", "told": True},
            outcome="failed",
        )

    for number in range(3):
        await desk.office.db.write(missed, f"con_{number}", "mem_bus")
    await desk.office.db.write(missed, "con_9", "mem_clinic")
    await desk.follow()
    found = {alert.count: alert for alert in await queue(desk)}
    assert found.keys() == {1, 3}
    assert found[3].kind == "end-not-confirmed"
    assert Entity("member", "mem_bus") in found[3].entities
    assert Entity("account", "acc_con_2") in found[3].entities
