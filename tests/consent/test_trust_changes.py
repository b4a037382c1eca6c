"""Everything that changes trust is in the ledger: in clear what concerns no person, as commitments what does.

The issue's line "Everything that changes trust is logged"; invariants I2 and I3 of the design.
"""

from __future__ import annotations

from typing import Any

import pytest

from consent import dummies, public_entries
from consent.models import Dummy
from identity import members
from identity.clients import Clients
from identity.registration import Registration
from keys.ceremonies import KeyStore
from kit.audit import GENESIS, audit_table, chain_hash
from kit.clock import DAY, HOUR
from tests.consent.bureau import STAFF, Bureau
from tests.support.entries import read_public


async def public(bureau: Bureau) -> list[dict[str, Any]]:
    """The public entries, in order."""
    return [found for entry in await bureau.log_entries() if (found := read_public(entry)) is not None]


async def service(bureau: Bureau) -> str:
    """A client of the member's."""
    registration = Registration(
        name_ja="時刻表", name_en="Times", member_id=bureau.member, grant_types=["client_credentials"]
    )
    client, _ = await bureau.db.write(bureau.host.get(Clients).create, registration, actor=STAFF)
    return client.id


async def test_a_rotation_of_signing_keys_is_told_with_the_keys_names(bureau: Bureau) -> None:
    before = len(await public(bureau))
    bureau.clock.advance(seconds=DAY // 1000)
    store = bureau.host.get(KeyStore)
    (done,) = await store.rotate_signing(actor=STAFF, algs=["EdDSA"])
    await store.rotate_signing(actor=STAFF, algs=["ES256"], compromised=True)
    rotated, compromised = (await public(bureau))[before:]
    assert rotated["type"] == "signing-key-rotated"
    assert (rotated["retired"], rotated["active"], rotated["next"]) == (done.retired, done.active, done.next)
    assert (compromised["type"], compromised["alg"]) == ("signing-key-compromised", "ES256")
    assert set(rotated) == {"type", "alg", "retired", "active", "next", "time"}


async def test_a_rotation_of_encryption_keys_is_told(bureau: Bureau) -> None:
    await bureau.host.get(KeyStore).rotate_kek(actor=STAFF)
    kinds = [each["type"] for each in await public(bureau)]
    assert kinds[-3:] == ["encryption-key-retired", "encryption-key-created", "encryption-key-destroyed"]


async def test_containment_of_services_and_members_and_its_lifting_are_told(bureau: Bureau) -> None:
    registry = bureau.host.get(Clients)
    client_id = await service(bureau)
    before = len(await public(bureau))
    await bureau.db.write(registry.suspend, client_id, actor=STAFF)
    await bureau.db.write(registry.resume, client_id, actor=STAFF)
    await bureau.db.write(members.suspend, bureau.member, actor=STAFF, now=bureau.clock.ms())
    found = (await public(bureau))[before:]
    assert [each["type"] for each in found][:3] == ["client-suspended", "client-resumed", "member-suspended"]
    assert found[0]["client"] == client_id
    assert found[2]["member"] == bureau.member


async def test_what_a_stranger_does_to_its_own_client_is_not_told(bureau: Bureau) -> None:
    """Anybody may register and leave where registration is open; the ledger is for ever."""
    registry = bureau.host.get(Clients)
    registration = Registration(name_ja="誰か", name_en="Somebody", redirect_uris=["https://somebody.example/cb"])
    one, _ = await bureau.db.write(registry.create, registration, actor=STAFF)
    other, _ = await bureau.db.write(registry.create, registration, actor=STAFF)
    before = len(await public(bureau))
    await bureau.db.write(registry.remove, one.id, actor=one.actor())
    await bureau.db.write(registry.suspend, other.id, actor=other.actor())
    assert len(await public(bureau)) == before
    assert [entry.object_id for entry in await bureau.audit("identity.client.left")] == [one.id]
    await bureau.db.write(registry.remove, other.id, actor=STAFF)
    (told,) = (await public(bureau))[before:]
    assert (told["type"], told["client"]) == ("client-removed", other.id)


async def test_a_change_that_is_rolled_back_leaves_no_entry(bureau: Bureau) -> None:
    registry = bureau.host.get(Clients)
    client_id = await service(bureau)
    before = await bureau.log_entries()

    def suspend(session: Any) -> None:
        registry.suspend(session, client_id, actor=STAFF)
        raise LookupError

    with pytest.raises(LookupError):
        await bureau.db.write(suspend)
    assert await bureau.log_entries() == before


async def test_the_audit_trails_hash_is_anchored_once_an_hour_and_is_the_chains(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.give(hanako)
    await bureau.lay()

    async def anchor() -> int | None:
        await bureau.lay()
        return await bureau.db.write_core(public_entries.anchor, now=bureau.clock.ms(), every=HOUR)

    first = await anchor()
    assert first is not None
    assert await anchor() is None
    bureau.clock.advance(seconds=3599)
    assert await anchor() is None
    bureau.clock.advance(seconds=1)
    second = await anchor()
    assert second is not None
    assert second > first
    roots = [each for each in await public(bureau) if each["type"] == "audit-root"]
    assert [each["seq"] for each in roots] == [first, second]

    rows = await bureau.db.read_core(
        lambda connection: [
            dict(row) for row in connection.execute(audit_table.select().order_by(audit_table.c.seq)).mappings()
        ]
    )
    hashes, previous = {}, GENESIS
    for row in rows:
        if row["seq"] is not None:
            previous = hashes[row["seq"]] = chain_hash(previous, row)
    assert all(hashes[each["seq"]].hex() == each["hash"] for each in roots)
    # A rewritten entry gives another hash than the anchored one.
    changed = [{**row, "actor_id": "acc_other"} if row["seq"] == 1 else row for row in rows]
    previous = GENESIS
    for row in changed[:first]:
        previous = chain_hash(previous, row)
    assert previous.hex() != roots[0]["hash"]


async def test_nothing_in_clear_names_a_person(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    await bureau.withdraw(hanako, ref.consent_id)
    await bureau.db.write_core(public_entries.anchor, now=bureau.clock.ms(), every=HOUR)
    everything = b"".join(await bureau.log_entries())
    assert hanako.encode() not in everything
    assert b"acc_" not in everything
    assert ref.consent_id.encode() not in everything


def test_no_published_action_can_be_about_an_account() -> None:
    """The list is short on purpose; a new row is a decision about privacy."""
    assert {action.split(".")[1] for action in public_entries.DOCUMENTS} == {"signing_key", "kek", "client", "member"}


async def test_a_dummy_leaf_looks_like_a_consent_from_outside_and_has_a_row_inside(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.give(hanako)
    leaf = await bureau.db.write_core(dummies.add, now=bureau.clock.ms())
    real, dummy = (await bureau.log_entries())[-2:]
    assert (len(real), real[:2]) == (len(dummy), dummy[:2]) == (34, b"\x01\x01")
    assert real != dummy
    assert [row["leaf_id"] for row in await bureau.rows(Dummy.__tablename__)] == [leaf]
    assert len(await bureau.audit("consent.dummy.added")) == 1


def test_dummies_come_at_random_moments_at_the_rate_asked_for() -> None:
    assert dummies.gaps(0, 1000.0) == []
    counts = [len(dummies.gaps(3600, 10.0)) for _ in range(500)]
    assert 8.5 < sum(counts) / len(counts) < 11.5
    assert len(set(counts)) > 5
