"""Disclosures in the ledger, in batches; the ledger's own entry about an erasure (infobank/anchoring.py, rights.py).

Private entries of the design: no subject, no time, no kind of event outside; nothing left that opens one afterwards.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from consent.ledger import DISCLOSURE_ROOT, commitment
from infobank import anchoring, rights
from infobank.settings import InfobankSettings
from keys.hashing import TokenHasher
from keys.notes import NoteVerifier
from kit.encoding import b64url_decode
from kit.tlog.log import MAIN, Logs
from kit.tlog.proof import parse_proof, verify_proof
from kit.tlog.tables import leaves
from tests.support.bank import CHECKUP, Bank


async def anchor(bank: Bank, limit: int = 500) -> int:
    laid: int = await bank.db.bulk(anchoring.anchor, bank.sealer, now=bank.now, limit=limit)
    return laid


async def entries(bank: Bank) -> list[bytes]:
    def read(connection: Any) -> list[bytes]:
        query = leaves.select().where(leaves.c.log == MAIN).order_by(leaves.c.idx)
        return [bytes(row.entry) for row in connection.execute(query)]

    found: list[bytes] = await bank.db.read_core(read)
    return found


async def disclosed(bank: Bank, account_id: str, times: int) -> list[str]:
    """So many disclosures to the clinic; their ids, oldest first."""
    await bank.put(account_id, "health_checkup", CHECKUP)
    consent = await bank.agree(account_id, "health_checkup")
    token = await bank.token(account_id, consent, "health_checkup")
    for _ in range(times):
        assert (await bank.fetch(token)).status_code == 200
    rows = await bank.db.read_core(
        lambda c: c.exec_driver_sql(
            f"SELECT id FROM infobank_disclosure WHERE account_id = '{account_id}' ORDER BY id"
        ).all()
    )
    return [row[0] for row in rows]


async def evidence(bank: Bank, account_id: str, disclosure_id: str) -> dict[str, Any]:
    answer = await bank.http.get(
        f"/api/bank/my/disclosures/{disclosure_id}/evidence", headers=await bank.sign_in(account_id)
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_every_disclosure_is_in_a_batch_once_and_its_evidence_verifies_offline(bank: Bank) -> None:
    ids = await disclosed(bank, bank.hana, 7)
    before = len(await entries(bank))
    assert [await anchor(bank, 3) for _ in range(4)] == [3, 3, 1, 0]
    new = (await entries(bank))[before:]
    assert [(len(entry), entry[:2]) for entry in new] == [(34, b"\x01" + DISCLOSURE_ROOT)] * 3
    verifier = NoteVerifier(bank.app.host.get(Logs).get().vkey)
    for number, disclosure_id in enumerate(ids):
        found = await evidence(bank, bank.hana, disclosure_id)
        assert found["disclosure"]["id"] == disclosure_id
        entry = anchoring.opens(found)
        assert entry == new[number // 3]
        verify_proof(parse_proof(found["proof"]), entry, expected_origin=verifier.name, verifiers=[verifier])


async def test_evidence_with_anything_changed_leads_nowhere(bank: Bank) -> None:
    (disclosure_id,) = await disclosed(bank, bank.hana, 1)
    await anchor(bank)
    good = await evidence(bank, bank.hana, disclosure_id)
    entry = anchoring.opens(good)
    for part, name, value in (
        ("disclosure", "recipient", "mem_other"),
        ("disclosure", "time", "2026-11-18T00:00:00Z"),
        ("batch", "size", 2),
        ("batch", "time", "2026-11-18T00:00:00Z"),
    ):
        changed = copy.deepcopy(good)
        changed[part][name] = value
        try:
            assert anchoring.opens(changed) != entry
        except ValueError:
            continue


async def test_nobody_elses_disclosure_has_evidence_for_me(bank: Bank) -> None:
    (disclosure_id,) = await disclosed(bank, bank.hana, 1)
    headers = await bank.sign_in(bank.hana)
    address = f"/api/bank/my/disclosures/{disclosure_id}/evidence"
    assert (await bank.http.get(address, headers=headers)).status_code == 404  # not laid yet
    await anchor(bank)
    assert (await bank.http.get(address, headers=await bank.sign_in(bank.taro))).status_code == 404


async def test_after_an_erasure_nothing_of_ours_opens_a_batch_or_the_erasure_itself(bank: Bank) -> None:
    ids = await disclosed(bank, bank.hana, 2)
    await anchor(bank)
    kept = await evidence(bank, bank.hana, ids[0])
    before = len(await entries(bank))
    done = await bank.db.write(
        rights.erase, bank.sealer, bank.app.host.get(TokenHasher), account_id=bank.hana, settings=InfobankSettings(),
        actor=bank.resident(bank.hana), now=bank.now,
    )  # fmt: skip
    withdrawn, erased = (await entries(bank))[before:]
    # Outside the two look alike: somebody changed a consent, twice.
    assert [(len(entry), entry[:2]) for entry in (withdrawn, erased)] == [(34, b"\x01\x01")] * 2
    # The person's own file opens it ...
    document = done.evidence.document()
    opened = commitment(b64url_decode(document["salt"]), document["event"])
    assert b64url_decode(document["entry"]) == erased == b"\x01\x01" + opened
    # ... and the evidence taken home before still leads to the ledger.
    assert anchoring.opens(kept) in await entries(bank)
    # With us no salt is left, in no table.
    salts = [done.evidence.salt, b64url_decode(kept["salt"])]

    def everything(connection: Any) -> bytes:
        from kit.db import metadata

        return b"".join(
            repr(tuple(row)).encode() for table in metadata.sorted_tables for row in connection.execute(table.select())
        )

    stored = await bank.db.read_core(everything)
    assert not any(repr(salt)[2:-1].encode() in stored for salt in salts)
    assert document["salt"].encode() not in stored
    marks = await bank.db.read_core(
        lambda c: c.exec_driver_sql("SELECT COUNT(*) FROM infobank_disclosure_mark").scalar()
    )
    assert marks == 0


async def test_disclosures_of_somebody_who_left_before_the_batch_are_in_it_without_a_salt(bank: Bank) -> None:
    await disclosed(bank, bank.hana, 2)
    await disclosed(bank, bank.taro, 1)
    await bank.db.write(
        rights.erase, bank.sealer, bank.app.host.get(TokenHasher), account_id=bank.hana, settings=InfobankSettings(),
        actor=bank.resident(bank.hana), now=bank.now,
    )  # fmt: skip
    assert await anchor(bank) == 3
    accounts = await bank.db.read_core(
        lambda c: [row[0] for row in c.exec_driver_sql("SELECT account_id FROM infobank_disclosure_mark")]
    )
    assert accounts == [bank.taro]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
async def test_a_batch_of_any_size_proves_each_of_its_disclosures(bank: Bank, size: int) -> None:
    ids = await disclosed(bank, bank.hana, size)
    assert await anchor(bank) == size
    for disclosure_id in ids:
        assert anchoring.opens(await evidence(bank, bank.hana, disclosure_id))
