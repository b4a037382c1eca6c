"""Personal detail of the audit trail: a key for each month, gone when its retention has ended, the chain whole."""

from datetime import timedelta

import pytest

from keys.auditseal import AuditSeal, month_of, month_of_owner, months_kept, owner_of
from keys.ceremonies import KeyStore
from keys.errors import KeyDestroyed, SealBroken
from keys.store import list_owners
from kit import audit
from kit.audit import AuditTrail
from kit.clock import DAY, FrozenClock, from_iso
from kit.db import Database, Session
from kit.host import SYSTEM
from tests.keys.conftest import Opener

pytestmark = pytest.mark.anyio


def test_a_month_has_a_name() -> None:
    assert owner_of(month_of(from_iso("2026-11-30T23:59:59Z"))) == "audit-2026-11"
    assert owner_of(month_of(from_iso("2026-12-01T00:00:00Z"))) == "audit-2026-12"
    assert owner_of(month_of(from_iso("2027-01-01T00:00:00Z"))) == "audit-2027-01"
    assert [month_of_owner(owner_of(month)) for month in range(24_300, 24_330)] == list(range(24_300, 24_330))


def test_a_month_is_kept_while_any_day_of_it_is_within_the_retention() -> None:
    kept = months_kept(from_iso("2026-11-22T00:00:00Z"), 30 * DAY)
    assert [owner_of(month) for month in kept] == ["audit-2026-10", "audit-2026-11", "audit-2026-12"]


def test_a_seal_without_keys_refuses_to_work(clock: FrozenClock) -> None:
    with pytest.raises(RuntimeError, match="not loaded"):
        AuditSeal(clock).seal("c", b"x")


async def test_a_sealed_detail_opens_in_its_own_entry_only(keys: KeyStore) -> None:
    blob = keys.audit_seal.seal("kit_audit|sealed|aud_1", b"192.0.2.7")
    assert keys.audit_seal.open("kit_audit|sealed|aud_1", blob) == b"192.0.2.7"
    with pytest.raises(SealBroken):
        keys.audit_seal.open("kit_audit|sealed|aud_2", blob)
    with pytest.raises(KeyDestroyed):  # the month is bound too: another one has another key, or none
        keys.audit_seal.open("kit_audit|sealed|aud_1", b"\x00\x01" + blob[2:])


async def test_when_the_retention_has_ended_the_detail_is_gone_and_the_chain_holds(
    db: Database, open_keys: Opener, clock: FrozenClock
) -> None:
    keys = await open_keys(audit_retention=timedelta(days=60))
    trail = db.trail
    assert isinstance(trail, AuditTrail)

    def entry(session: Session, name: str) -> None:
        audit.record(session, "test.thing.done", actor=SYSTEM, object=("thing", name), personal={"name": name})

    async def personal() -> dict[str, str | None]:
        if db.dialect == "postgresql":
            await db.write_core(audit.seal_pending)
        found = await db.read(lambda session: audit.entries(session, action="test"))
        return {item.object_id: trail.open_personal(item).get("name") for item in found}

    await db.write(entry, "first")
    clock.advance(seconds=45 * 86400)
    other = await open_keys(audit_retention=timedelta(days=60))
    await db.write(entry, "second")  # by a process that did not notice the turn of the month
    await keys.tend_audit_keys()
    assert await personal() == {"first": "first", "second": "second"}
    clock.advance(seconds=50 * 86400)
    await keys.tend_audit_keys()
    await db.write(entry, "third")
    assert await personal() == {"first": None, "second": "second", "third": "third"}
    await other.ring.refresh()
    assert len(await db.read(lambda session: list_owners(session, prefix="audit-"))) == 4
    assert sum(await db.read_core(lambda connection: list(audit.verify_chain(connection)))) > 0
