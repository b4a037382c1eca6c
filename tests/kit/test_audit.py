"""The audit trail: one chain, in the change's own transaction, nothing personal in clear."""

import hashlib

import pytest
from sqlalchemy import Connection

from kit import context
from kit.audit import GENESIS, AuditTrail, audit_table, entries, record, seal_pending, verify_chain
from kit.clock import FrozenClock
from kit.db import Database
from kit.host import SYSTEM, Actor

pytestmark = pytest.mark.anyio

ANALYST = Actor("operator", "acc_analyst", session_id="ses_1")


class PlainSeal:
    """A visible stand-in for the audit key: reversible, but not the clear text."""

    def seal(self, context: str, data: bytes) -> bytes:
        return hashlib.sha256(context.encode()).digest()[:4] + bytes(byte ^ 0x5A for byte in data)

    def open(self, context: str, blob: bytes) -> bytes:
        if blob[:4] != hashlib.sha256(context.encode()).digest()[:4]:
            raise ValueError("sealed for another entry")
        return bytes(byte ^ 0x5A for byte in blob[4:])


@pytest.fixture
def trail(db: Database, clock: FrozenClock) -> AuditTrail:
    return AuditTrail(db, clock, PlainSeal())


def note(connection: Connection, number: int, *, actor: Actor = SYSTEM, fail: bool = False) -> None:
    record(connection, "kit.thing.made", actor=actor, object=("thing", f"thing_{number}"), detail={"number": number})
    if fail:
        raise ValueError("the change itself failed")


async def settle(db: Database) -> None:
    """On PostgreSQL the sealer lays the chain."""
    if not db.single_writer:
        await db.write_core(seal_pending)


async def test_entries_stand_in_one_chain_without_gaps(db: Database, trail: AuditTrail) -> None:
    for number in range(30):
        await db.write_core(note, number)
    await settle(db)
    assert (await db.read_core(lambda c: list(verify_chain(c, chunk=7))))[-1] == 30


async def test_a_change_that_fails_leaves_no_entry(db: Database, trail: AuditTrail) -> None:
    await db.write_core(note, 1)
    with pytest.raises(ValueError, match="failed"):
        await db.write_core(note, 2, fail=True)
    await db.write_core(note, 3)
    await settle(db)
    found = await db.read_core(lambda c: entries(c))
    assert [entry.detail["number"] for entry in found] == [1, 3]
    assert [entry.seq for entry in found] == [1, 2]


@pytest.mark.parametrize("column", ["action", "actor_id", "object_id", "detail", "at", "outcome"])
async def test_any_changed_part_breaks_the_chain_at_its_place(db: Database, trail: AuditTrail, column: str) -> None:
    for number in range(5):
        await db.write_core(note, number)
    await settle(db)

    def tamper(connection: Connection) -> None:
        value = 7 if column == "at" else '{"number":9}' if column == "detail" else "changed"
        connection.execute(audit_table.update().where(audit_table.c.seq == 3).values({column: value}))

    await db.write_core(tamper)
    with pytest.raises(ValueError, match="entry 3"):
        await db.read_core(lambda c: list(verify_chain(c)))


async def test_a_removed_entry_breaks_the_chain(db: Database, trail: AuditTrail) -> None:
    for number in range(5):
        await db.write_core(note, number)
    await settle(db)
    await db.write_core(lambda c: c.execute(audit_table.delete().where(audit_table.c.seq == 2)) and None)
    with pytest.raises(ValueError, match="entry 2"):
        await db.read_core(lambda c: list(verify_chain(c)))


async def test_the_source_address_is_kept_but_never_in_clear(db: Database, trail: AuditTrail) -> None:
    token = context.request.set(context.RequestContext("req_1", "203.0.113.77"))
    try:
        await db.write_core(note, 1, actor=ANALYST)
    finally:
        context.request.reset(token)
    await settle(db)
    (entry,) = await db.read_core(lambda c: entries(c))
    assert entry.request_id == "req_1"
    assert entry.authority == "ses_1"
    assert entry.sealed is not None
    assert b"203.0.113.77" not in entry.sealed
    assert trail.open_personal(entry) == {"source": "203.0.113.77"}


async def test_without_an_audit_key_personal_detail_is_dropped_rather_than_kept_in_clear(
    db: Database, clock: FrozenClock
) -> None:
    AuditTrail(db, clock)
    await db.write_core(
        lambda c: record(c, "kit.thing.made", actor=SYSTEM, object=("thing", "1"), personal={"name": "花子"})
    )
    await settle(db)
    (entry,) = await db.read_core(lambda c: entries(c))
    assert entry.sealed is None


async def test_entries_are_found_by_action_and_everything_below_it(db: Database, trail: AuditTrail) -> None:
    def three(connection: Connection) -> None:
        for action in ("consent.record.given", "consent.record.withdrawn", "consenting.other.made"):
            record(connection, action, actor=SYSTEM, object=("x", "1"))

    await db.write_core(three)
    await settle(db)
    found = await db.read_core(lambda c: entries(c, action="consent"))
    assert [entry.action for entry in found] == ["consent.record.given", "consent.record.withdrawn"]
    found = await db.read_core(lambda c: entries(c, action="consent.record.withdrawn"))
    assert len(found) == 1


async def test_a_restart_continues_the_chain(db: Database, trail: AuditTrail, clock: FrozenClock) -> None:
    await db.write_core(note, 1)
    AuditTrail(db, clock, PlainSeal())  # as a new process would
    await db.write_core(note, 2)
    await settle(db)
    assert (await db.read_core(lambda c: list(verify_chain(c))))[-1] == 2


def test_the_chain_begins_at_zero() -> None:
    assert bytes(32) == GENESIS
