"""Disclosures in the ledger: batched, so that strangers can check the history's integrity and nobody can count it.

Each disclosure is committed to under a salt of its own (`HMAC-SHA-256(salt, JCS(disclosure))`), sealed under the
resident's data key. The commitments of a batch are the leaves of a Merkle tree (RFC 6962 section 2.1); its root, size
and time are committed to in one private ledger entry, kind *disclosure root*: `0x01 ‖ 0x02 ‖ HMAC`. With a disclosure's
evidence, a resident can show that it was recorded then and not changed since. With the resident's key gone, nothing of
ours opens the commitment (DESIGN, walk 9); what law obliges to keep stands beside it without a salt.

Batches go by the ids' order. On PostgreSQL, where a write with an earlier id may commit later, the newest few minutes
wait for the next batch.
"""

import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Table, desc, select
from sqlmodel import Session, SQLModel

from consent.ledger import DISCLOSURE_ROOT, commit, commitment
from infobank.errors import RecordNotFound
from infobank.models import DisclosureBatch, DisclosureMark
from infobank.store import DISCLOSURE
from infobank.vault import owner_key
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit import audit
from kit.clock import MINUTE, Millis, iso
from kit.db import tx_of
from kit.encoding import b64url, b64url_decode, canonical
from kit.host import SYSTEM
from kit.ids import new_id
from kit.tlog import reading
from kit.tlog.log import MAIN, append
from kit.tlog.merkle import leaf_hash, prove_inclusion, root_from_inclusion, tree_hash

BATCH: Final = 500
SETTLED: Final = 5 * MINUTE  # PostgreSQL: the hallway ends every statement and every idle transaction long before
SCHEMA: Final = "urn:sekisho:disclosure-batch:1"
_BATCHES: Table = SQLModel.metadata.tables[DisclosureBatch.__tablename__]
_MARKS: Table = SQLModel.metadata.tables[DisclosureMark.__tablename__]


def document(row: Mapping[str, Any]) -> dict[str, Any]:
    """What of a disclosure is committed to: who got what, when, why, under which consent. Opaque ids only."""
    return {
        "schema": "urn:sekisho:disclosure:1", "id": row["id"], "time": iso(row["at"]), "subject": row["account_id"],
        "recipient": row["member_id"], "client": row["client_id"], "consent": row["consent_id"],
        "revision": row["revision_id"], "purpose": row["purpose"], "action": row["action"],
        "counts": dict(row["counts"]), "items": list(row["item_ids"]), "withheld": list(row["withheld"]),
        **({"for": row["for_client_id"]} if row["for_client_id"] else {}),
    }  # fmt: skip


def anchor(session: Session, sealer: Sealer, *, now: Millis, limit: int = BATCH) -> int:
    """Lay one batch; how many disclosures it holds. Run again while it is full."""
    connection = session.connection()
    through = connection.execute(select(_BATCHES.c.through).order_by(desc(_BATCHES.c.through)).limit(1)).scalar()
    wanted = select(DISCLOSURE).where(DISCLOSURE.c.id > (through or "")).order_by(DISCLOSURE.c.id).limit(limit)
    rows = [dict(row._mapping) for row in connection.execute(wanted)]
    if not tx_of(session).database.single_writer:
        young = next((at for at, row in enumerate(rows) if row["at"] > now - SETTLED), len(rows))
        rows = rows[:young]
    if not rows:
        return 0
    batch_id = new_id("dcb")
    values: list[bytes] = []
    marks: list[dict[str, Any]] = []
    for place, row in enumerate(rows):
        salt = secrets.token_bytes(32)
        values.append(commitment(salt, document(row)))
        try:
            sealed = sealer.owner(session, row["account_id"]).seal(_mark_context(row["id"]), salt)
        except KeyDestroyed:  # the resident has left: the commitment stays, and nobody can open it
            continue
        marks.append(
            {"disclosure_id": row["id"], "account_id": row["account_id"], "batch_id": batch_id, "place": place,
             "sealed": sealed}
        )  # fmt: skip
    root = tree_hash([leaf_hash(value) for value in values])
    event = {"schema": SCHEMA, "batch": batch_id, "size": len(values), "root": root.hex(), "time": iso(now)}
    envelope = commit(event, kind=DISCLOSURE_ROOT)
    leaf = append(session, envelope.entry)
    opened = canonical({"event": event, "salt": b64url(envelope.salt)})
    connection.execute(
        _BATCHES.insert(),
        {"id": batch_id, "at": now, "through": rows[-1]["id"], "leaf_id": leaf.leaf_id, "marks": b"".join(values),
         "sealed": sealer.system().seal(_batch_context(batch_id), opened)},
    )  # fmt: skip
    if marks:
        connection.execute(_MARKS.insert(), marks)
    audit.record(
        session, "infobank.disclosures.anchored", actor=SYSTEM, object=("batch", batch_id), detail={"size": len(values)}
    )
    return len(values)


def evidence(session: Session, sealer: Sealer, *, account_id: str, disclosure_id: str) -> dict[str, Any]:
    """Everything that proves a disclosure to be in the ledger; raises RecordNotFound until its batch is laid."""
    connection = session.connection()
    mark = connection.execute(
        select(_MARKS).where(_MARKS.c.disclosure_id == disclosure_id, _MARKS.c.account_id == account_id)
    ).first()
    row = connection.execute(
        select(DISCLOSURE).where(DISCLOSURE.c.id == disclosure_id, DISCLOSURE.c.account_id == account_id)
    ).first()
    if mark is None or row is None:
        raise RecordNotFound(
            "There is no evidence of such a disclosure of yours yet. It is made every few minutes. What a service was "
            "told at sign-in stands in the audit trail, whose hash is in the ledger every hour."
        )
    batch = connection.execute(select(_BATCHES).where(_BATCHES.c.id == mark.batch_id)).one()
    proof = reading.proof_text(connection, MAIN, batch.leaf_id)
    if proof is None:
        raise RecordNotFound("The ledger has not laid the entry yet. Try again in a second.")
    hashes = [leaf_hash(batch.marks[at : at + 32]) for at in range(0, len(batch.marks), 32)]

    def subtree(height: int, index: int) -> bytes:
        return tree_hash(hashes[index << height : (index + 1) << height])

    opened = orjson.loads(sealer.system().open(_batch_context(batch.id), bytes(batch.sealed)))
    salt = owner_key(session, sealer, account_id).open(_mark_context(disclosure_id), bytes(mark.sealed))
    return {
        "format": "sekisho-disclosure-evidence/1",
        "disclosure": document(dict(row._mapping)),
        "salt": b64url(salt),
        "place": mark.place,
        "path": [b64url(each) for each in prove_inclusion(mark.place, len(hashes), subtree)],
        "batch": opened["event"],
        "batch_salt": opened["salt"],
        "proof": proof,
    }


def opens(evidence: Mapping[str, Any]) -> bytes:
    """The ledger entry that evidence leads to, by its own contents alone; raises ValueError if it does not hold.

    The caller then checks the entry against `evidence["proof"]` (kit.tlog.proof.verify_proof).
    """
    value = commitment(b64url_decode(evidence["salt"]), evidence["disclosure"])
    event = evidence["batch"]
    path = [b64url_decode(each) for each in evidence["path"]]
    root = root_from_inclusion(leaf_hash(value), evidence["place"], event["size"], path)
    if root.hex() != event["root"]:
        raise ValueError("the disclosure is not in the batch")
    return b"\x01" + DISCLOSURE_ROOT + commitment(b64url_decode(evidence["batch_salt"]), event)


def forget(session: Session, account_id: str) -> None:
    """Delete a resident's salts, before their key is destroyed: what law keeps of disclosures stands without them."""
    session.connection().execute(_MARKS.delete().where(_MARKS.c.account_id == account_id))


def _mark_context(disclosure_id: str) -> str:
    return f"infobank_disclosure_mark|sealed|{disclosure_id}"


def _batch_context(batch_id: str) -> str:
    return f"infobank_disclosure_batch|sealed|{batch_id}"
