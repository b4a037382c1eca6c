"""What else becomes a public ledger entry, by the audit action it comes from: one place to read what is told in clear.

Every change of trust that concerns no person: keys that sign for this city, services and members cut off and let in
again, the audit trail's own newest hash. An entry is laid in the very transaction of its audit entry, so neither is
without the other. Agreements and holds write theirs where they happen (`agreements`, `holds`).

Never here: anything with an account in it. Sessions ended by the incident desk concern people; they are in the audit
trail, whose hash is anchored. Pure, but for `anchor`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from consent import streams
from consent.ledger import public_entry
from consent.security_events import Kind
from kit import audit
from kit.audit import audit_table, read_head
from kit.clock import Millis, iso
from kit.db import Tx
from kit.host import SYSTEM
from kit.tlog.log import append

Row = Mapping[str, Any]

ANCHORED: Final = "consent.audit.anchored"


def _signing_key(kind: str) -> Callable[[Row], dict[str, Any]]:
    def document(row: Row) -> dict[str, Any]:
        detail = orjson.loads(row["detail"])
        names = {"alg": detail["alg"], "retired": row["object_id"], "active": detail["active"], "next": detail["next"]}
        return {"type": kind, **names, "time": iso(row["at"])}

    return document


def _named(kind: str, what: str) -> Callable[[Row], dict[str, Any]]:
    return lambda row: {"type": kind, what: row["object_id"], "time": iso(row["at"])}


def _client_keys(row: Row) -> dict[str, Any]:
    """The keys by thumbprint (RFC 7638), so that whoever holds a signature can see when its key came. None for keys at
    an address: what is there changes without us."""
    detail = orjson.loads(row["detail"])
    names = {"client": row["object_id"], "keys": detail["keys"], "overlap_seconds": detail["overlap_seconds"]}
    return {"type": "client-keys-rotated", **names, "time": iso(row["at"])}


DOCUMENTS: Final[Mapping[str, Callable[[Row], dict[str, Any]]]] = {
    "keys.signing_key.rotated": _signing_key("signing-key-rotated"),
    "keys.signing_key.compromised": _signing_key("signing-key-compromised"),
    "keys.kek.created": _named("encryption-key-created", "key"),
    "keys.kek.retired": _named("encryption-key-retired", "key"),
    "keys.kek.destroyed": _named("encryption-key-destroyed", "key"),
    "identity.client.keys_rotated": _client_keys,
    "identity.client.suspended": _named("client-suspended", "client"),
    "identity.client.resumed": _named("client-resumed", "client"),
    "identity.client.removed": _named("client-removed", "client"),
    "identity.member.suspended": _named("member-suspended", "member"),
    "identity.member.resumed": _named("member-resumed", "member"),
}


def _concerns_trust(row: Row) -> bool:
    """Not what a stranger's client does to itself: the ledger is for ever, and anybody could fill it."""
    if row["object_kind"] != "client" or row["actor_kind"] in ("operator", "system"):
        return True
    return bool(orjson.loads(row["detail"]).get("member"))


def _echo(document: Callable[[Row], dict[str, Any]]) -> Callable[[Tx, Row], object]:
    def lay(tx: Tx, row: Row) -> None:
        if _concerns_trust(row):
            append(tx, public_entry(document(row)))

    return lay


_TOLD: Final[Mapping[str, Kind]] = {
    "identity.member.suspended": "member-suspended",
    "identity.member.resumed": "member-resumed",
}


def _follow(action: str, lay: Callable[[Tx, Row], object]) -> Callable[[Tx, Row], object]:
    """And word of it to the services that keep decisions (`consent.streams`)."""

    def both(tx: Tx, row: Row) -> None:
        lay(tx, row)
        streams.tell_later(tx, _TOLD[action], row["object_id"], member_id=row["object_id"], now=row["at"])

    return both if action in _TOLD else lay


ECHOES: Final[Mapping[str, Callable[[Tx, Row], object]]] = {
    action: _follow(action, _echo(document)) for action, document in DOCUMENTS.items()
}


def anchor(connection: Connection, *, now: Millis, every: Millis) -> int | None:
    """Put the audit trail's newest sealed hash into the ledger, if the last time is long enough ago; its place."""
    last = select(audit_table.c.at).where(audit_table.c.action == ANCHORED).order_by(audit_table.c.at.desc()).limit(1)
    before: int | None = connection.execute(last).scalar()
    if before is not None and before <= now < before + every:
        return None
    seq, digest = read_head(connection)
    if seq == 0:
        return None
    append(connection, public_entry({"type": "audit-root", "seq": seq, "hash": digest.hex(), "time": iso(now)}))
    audit.record(
        connection, ANCHORED, actor=SYSTEM, object=("audit", str(seq)), detail={"seq": seq, "hash": digest.hex()}
    )
    return seq
