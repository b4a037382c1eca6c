"""The audit trail (invariant I8): every state change, in the change's own transaction, in one chain.

An entry says who (opaque id), what, when, under which authority, and which request. Personal detail (source address,
names typed at a door) is sealed under an audit key before it is stored; the chain covers the ciphertext, so the key can
be destroyed when its clock runs out without breaking the chain.

The chain: `h(n) = SHA-256(h(n-1) ‖ canonical(entry n))`, `h(0)` = 32 zero bytes. On SQLite the single writer lays it in
the batch that stores the entries; on PostgreSQL `seal_pending` lays it within a second.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import sqlmodel
from sqlalchemy import BigInteger, Column, Connection, Index, LargeBinary, String, Table, Text, or_, select, text

from kit import context
from kit.clock import Clock, Millis, iso
from kit.db import Database, FlushResult, Tx, metadata, tx_of
from kit.encoding import canonical
from kit.host import Actor, AuditFact
from kit.ids import new_id
from kit.problems import Problem

audit_table = Table(
    "kit_audit",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("seq", BigInteger, unique=True, comment="Place in the chain; empty until sealed (PostgreSQL)"),
    Column("at", BigInteger, nullable=False),
    Column("action", String(80), nullable=False),
    Column("outcome", String(24), nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(80), nullable=False),
    Column("authority", String(80), nullable=False, comment="Session or client under which it was done"),
    Column("object_kind", String(40), nullable=False),
    Column("object_id", String(120), nullable=False),
    Column("request_id", String(40), nullable=False),
    Column("detail", Text, nullable=False, comment="Canonical JSON: codes and opaque ids only"),
    Column("sealed", LargeBinary, comment="Personal detail under the audit key"),
    Column("hash", LargeBinary),
    Index("ix_kit_audit_at", "at"),
    Index("ix_kit_audit_action", "action", "at"),
    Index("ix_kit_audit_actor", "actor_id", "at"),
    Index("ix_kit_audit_object", "object_id", "at"),
)

GENESIS = bytes(32)


class AuditSeal(Protocol):
    """Seals and opens personal detail; keys fulfils it."""

    def seal(self, context: str, data: bytes) -> bytes:
        """Encrypt, bound to the entry."""
        ...

    def open(self, context: str, blob: bytes) -> bytes:
        """Decrypt; raises if it is not this entry's."""
        ...


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry as read back."""

    id: str
    seq: int | None
    at: Millis
    action: str
    outcome: str
    actor_kind: str
    actor_id: str
    authority: str
    object_kind: str
    object_id: str
    request_id: str
    detail: dict[str, Any]
    sealed: bytes | None
    hash: bytes | None

    def document(self) -> dict[str, Any]:
        """The entry for JSON Lines: what the chain covers, and the hash."""
        return {
            **_chained(self.__dict_for_chain()),
            "time": iso(self.at),
            "hash": self.hash.hex() if self.hash else None,
        }

    def __dict_for_chain(self) -> dict[str, Any]:
        return {
            "id": self.id, "seq": self.seq, "at": self.at, "action": self.action, "outcome": self.outcome,
            "actor_kind": self.actor_kind, "actor_id": self.actor_id, "authority": self.authority,
            "object_kind": self.object_kind, "object_id": self.object_id, "request_id": self.request_id,
            "detail": canonical(self.detail).decode(), "sealed": self.sealed,
        }  # fmt: skip


def _chained(row: Mapping[str, Any]) -> dict[str, Any]:
    sealed = row["sealed"]
    return {
        "id": row["id"], "seq": row["seq"], "at": row["at"], "action": row["action"], "outcome": row["outcome"],
        "actor": f"{row['actor_kind']}:{row['actor_id']}", "authority": row["authority"],
        "object": f"{row['object_kind']}:{row['object_id']}", "request": row["request_id"],
        "detail": row["detail"],
        "sealed_sha256": hashlib.sha256(sealed).hexdigest() if sealed is not None else None,
    }  # fmt: skip


def chain_hash(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """The hash of an entry after `previous`. Pure."""
    parts = _chained(row)
    # Length before value: no part can pretend to be two.
    texts = ["" if value is None else str(value) for value in parts.values()]
    material = "".join(f"{len(text)}:{text}" for text in texts)
    return hashlib.sha256(previous + material.encode()).digest()


#: What else an entry causes in its own transaction.
Echo = Callable[[Tx, Mapping[str, Any]], object]


class AuditTrail:
    """The writer's end of the trail, one for each database. `listener` hears committed facts."""

    def __init__(self, database: Database, clock: Clock, seal: AuditSeal | None = None) -> None:
        self._database = database
        self._clock = clock
        self.seal = seal
        self.listener: Callable[[AuditFact], None] | None = None
        self._echoes: dict[str, list[Echo]] = {}
        self._head: tuple[int, bytes] | None = None
        database.trail = self
        database.at_flush(audit_table, self._lay)

    def echo(self, action: str, echo: Echo) -> None:
        """Let an entry with this action cause something else in its own transaction (a public entry of the ledger)."""
        echoes = self._echoes.setdefault(action, [])
        if echo not in echoes:
            echoes.append(echo)

    def echoed(self, tx: Tx, row: Mapping[str, Any]) -> None:
        """Run the echoes of an entry."""
        for echo in self._echoes.get(row["action"], ()):
            echo(tx, row)

    def row(
        self,
        action: str,
        actor: Actor,
        about: tuple[str, str],
        *,
        detail: Mapping[str, Any] | None,
        personal: Mapping[str, Any] | None,
        outcome: str,
    ) -> dict[str, Any]:
        """An entry's row, not yet in the chain."""
        request = context.request.get()
        entry_id = new_id("aud")
        private = dict(personal or {})
        if request.source:
            private.setdefault("source", request.source)
        sealed = None
        if private and self.seal is not None:  # without an audit key personal detail is dropped, never kept in clear
            sealed = self.seal.seal(f"kit_audit|sealed|{entry_id}", canonical(private))
        return {
            "id": entry_id, "seq": None, "at": self._clock.ms(), "action": action, "outcome": outcome,
            "actor_kind": actor.kind, "actor_id": actor.id,
            "authority": _authority(actor),
            "object_kind": about[0], "object_id": about[1], "request_id": request.request_id,
            "detail": canonical(dict(detail)).decode() if detail else "{}",
            "sealed": sealed, "hash": None,
        }  # fmt: skip

    def _lay(self, connection: Connection, rows: list[dict[str, Any]]) -> FlushResult:
        """Give the batch's entries their places. Runs in the single writer, just before COMMIT."""
        seq, previous = self._head if self._head is not None else read_head(connection)
        for row in rows:
            seq += 1
            row["seq"] = seq
            previous = row["hash"] = chain_hash(previous, row)
        head = (seq, previous)

        def committed() -> None:
            self._head = head
            if self.listener is not None:
                for row in rows:
                    self.listener(_fact(row))

        def rolled_back() -> None:
            self._head = None  # read again from what is durable

        return FlushResult(rows, committed, rolled_back)

    def open_personal(self, entry: AuditEntry) -> dict[str, Any]:
        """The sealed part of an entry; empty if there is none or its key is gone."""
        if entry.sealed is None or self.seal is None:
            return {}
        try:
            value: dict[str, Any] = orjson.loads(self.seal.open(f"kit_audit|sealed|{entry.id}", entry.sealed))
        except Problem:  # its retention has ended, and its key with it
            return {}
        return value


def _authority(actor: Actor) -> str:
    """The session or client; of who acts for somebody else the mandate, and then the session too."""
    under = actor.session_id or actor.client_id or ""
    return f"{actor.mandate_id} {under}".rstrip() if actor.mandate_id else under


def _fact(row: Mapping[str, Any]) -> AuditFact:
    return AuditFact(
        row["id"], row["at"], row["action"], row["actor_kind"], row["actor_id"], row["object_kind"],
        row["object_id"], orjson.loads(row["detail"]),
    )  # fmt: skip


def record(
    place: sqlmodel.Session | Connection,
    action: str,
    *,
    actor: Actor,
    object: tuple[str, str],
    detail: Mapping[str, Any] | None = None,
    personal: Mapping[str, Any] | None = None,
    outcome: str = "ok",
) -> None:
    """Write an audit entry in the running transaction.

    `action` is "<package>.<noun>.<verb in the past>"; `object` is (kind, opaque id); `detail` holds codes and opaque
    ids only; `personal` is sealed. The source address is added by itself. Raises RuntimeError outside a write.
    """
    tx = tx_of(place)
    trail = tx.database.trail
    if trail is None:
        raise RuntimeError("this database has no audit trail; make an AuditTrail for it at the roof")
    row = trail.row(action, actor, object, detail=detail, personal=personal, outcome=outcome)
    tx.append(audit_table, row)
    trail.echoed(tx, row)


def read_head(connection: Connection) -> tuple[int, bytes]:
    """The last sealed place and its hash."""
    found = connection.execute(
        select(audit_table.c.seq, audit_table.c.hash)
        .where(audit_table.c.seq.is_not(None))
        .order_by(audit_table.c.seq.desc())
        .limit(1)
    ).first()
    return (found[0], bytes(found[1])) if found else (0, GENESIS)


def seal_pending(connection: Connection, *, limit: int = 1000) -> int:
    """PostgreSQL: lay the chain over entries that have no place yet, oldest first; returns how many.

    One sealer at a time, by an advisory lock that ends with the transaction.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('kit_audit'))"))
    seq, previous = read_head(connection)
    waiting = connection.execute(
        select(audit_table).where(audit_table.c.seq.is_(None)).order_by(audit_table.c.at, audit_table.c.id).limit(limit)
    ).mappings()
    count = 0
    for found in list(waiting):
        seq += 1
        row = {**found, "seq": seq}
        previous = chain_hash(previous, row)
        connection.execute(audit_table.update().where(audit_table.c.id == row["id"]).values(seq=seq, hash=previous))
        count += 1
    return count


def entries(
    place: sqlmodel.Session | Connection,
    *,
    after_seq: int | None = None,
    before_seq: int | None = None,
    action: str | Sequence[str] | None = None,
    actor_id: str | None = None,
    object_id: str | None = None,
    since: Millis | None = None,
    until: Millis | None = None,
    newest_first: bool = False,
    limit: int = 200,
) -> list[AuditEntry]:
    """Sealed entries, filtered. `action` matches itself and everything below it ("consent" finds all of consent);
    of several, any."""
    column = audit_table.c
    query = select(audit_table).where(column.seq.is_not(None))
    if after_seq is not None:
        query = query.where(column.seq > after_seq)
    if before_seq is not None:
        query = query.where(column.seq < before_seq)
    if action:
        lows = [each.rstrip(".") for each in ([action] if isinstance(action, str) else action)]
        query = query.where(
            or_(*((column.action == low) | ((column.action > low + ".") & (column.action < low + "/")) for low in lows))
        )
    if actor_id:
        query = query.where(column.actor_id == actor_id)
    if object_id:
        query = query.where(column.object_id == object_id)
    if since is not None:
        query = query.where(column.at >= since)
    if until is not None:
        query = query.where(column.at < until)
    query = query.order_by(column.seq.desc() if newest_first else column.seq).limit(limit)
    connection = place if isinstance(place, Connection) else place.connection()
    return [_entry(row) for row in connection.execute(query).mappings()]


def _entry(row: Mapping[Any, Any]) -> AuditEntry:
    values = dict(row)
    values["detail"] = orjson.loads(values["detail"])
    for name in ("sealed", "hash"):
        values[name] = bytes(values[name]) if values[name] is not None else None
    return AuditEntry(**values)


def verify_chain(connection: Connection, *, chunk: int = 2000) -> Iterator[int]:
    """Walk the whole chain, yielding how many entries held so far; raises ValueError at the first that does not."""
    seq, previous = 0, GENESIS
    while True:
        found = list(
            connection.execute(
                select(audit_table).where(audit_table.c.seq > seq).order_by(audit_table.c.seq).limit(chunk)
            ).mappings()
        )
        for row in found:
            if row["seq"] != seq + 1 or row["hash"] is None or chain_hash(previous, dict(row)) != bytes(row["hash"]):
                raise ValueError(f"the audit chain does not hold at entry {seq + 1}")
            seq, previous = row["seq"], bytes(row["hash"])
        if not found:
            return
        yield seq
