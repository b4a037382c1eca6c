"""Appending to a log, and serving it.

A leaf is appended inside the transaction of the change it stands for (`append`), so that both are kept or neither.

On SQLite the hallway's single writer lays the leaves of a whole batch just before its COMMIT: contiguous indices, the
tree's new right edge, one signed checkpoint. What is in memory changes only after COMMIT returned. Before every batch
the newest stored checkpoint is compared with memory, and memory is built again from the tables whenever they differ: a
start, a failed commit, and a commit that was kept though it seemed to fail, are all this one path.

On PostgreSQL a leaf goes in without an index, and `sequence` (a job, one at a time under an advisory lock) lays the
waiting ones with the same function.

A log never signs two checkpoints of one size: the index and the size are unique in the tables, in the same transaction
as the signature, and an unkept signature is never shown.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, text, update
from sqlmodel import Session

from kit.db import Database, FlushResult, Quick, Tx, tx_of
from kit.ids import new_id
from kit.tlog import reading
from kit.tlog.errors import BadLog
from kit.tlog.merkle import RightEdge, leaf_hash, node_hash
from kit.tlog.note import Checkpoint, Signer, sign_note
from kit.tlog.reading import Published
from kit.tlog.tables import checkpoints, leaves, nodes
from kit.tlog.tiles import HEIGHT, LONGEST_ENTRY, WIDTH, Tile

MAIN = "main"
SEQUENCE_AT_MOST = 4096
_HANDLE = "handle"
_LOCK = 0x5EC1540_106  # advisory lock of the sequencer; a number of our own
_FULL_TILES_KEPT = 4096  # 8 KiB each

_STORE = Quick("INSERT INTO kit_log_checkpoint (log, size, root, note) VALUES (:log, :size, :root, :note)")

Row = dict[str, Any]


@dataclass(slots=True)
class Leaf:
    """An appended leaf. `index` is known when the write has returned (SQLite) or after the sequencer (PostgreSQL)."""

    leaf_id: str
    index: int | None = None


def append(place: Session | Connection | Tx, entry: bytes, leaf_id: str | None = None, *, log: str = MAIN) -> Leaf:
    """Append an entry in the running write; it is in the log exactly when that write is kept."""
    if len(entry) > LONGEST_ENTRY:
        raise BadLog(f"an entry has at most {LONGEST_ENTRY} bytes")
    tx = tx_of(place)
    leaf = Leaf(leaf_id or new_id("lea"))
    row: Row = {"leaf_id": leaf.leaf_id, "log": log, "idx": None, "entry": entry, "leaf_hash": leaf_hash(entry)}
    if tx.database.single_writer:
        row[_HANDLE] = leaf
    tx.append(leaves, row)
    return leaf


@dataclass(slots=True)
class _Laid:
    """What laying some leaves gives: the rows and the state after them."""

    edge: RightEdge
    nodes: list[Row]
    published: Published


class Log:
    """One log: its origin, its signer, its present state."""

    def __init__(self, name: str, origin: str, signer: Signer) -> None:
        self.name = name
        self.origin = origin
        self.vkey = signer.vkey
        self._signer = signer
        # The right edge and the checkpoint it stands for; one tuple, so that no thread sees half a step.
        self._state: tuple[RightEdge, Published | None] = (RightEdge(), None)

    def recover(self, connection: Connection) -> None:
        """Make memory equal the tables. Does nothing when they already agree on the newest size and root."""
        stored = reading.latest(connection, self.name)
        if stored is None:
            self._state = (RightEdge(), None)
            return
        known = self.published
        if known is not None and known.size == stored.size and known.root == stored.root:
            return
        edge = reading.right_edge(connection, self.name, stored.size)
        if edge.root() != stored.root:  # never append to a tree that is not the one we signed
            raise BadLog(f"the stored leaves of the log {self.name} do not give its stored root")
        self._state = (edge, stored)

    def lay(self, rows: list[Row]) -> _Laid:
        """Give the rows their indices, and sign the tree that has them. Changes nothing here: `keep` does."""
        edge = self._state[0].copy()
        complete: list[Row] = []
        append, size = edge.append, edge.size
        for row in rows:
            leaf = row["leaf_hash"]
            row["idx"] = size
            size += 1
            if size % WIDTH == 0:
                complete += _completed(self.name, edge, leaf)
            append(leaf)
        checkpoint = Checkpoint(self.origin, edge.size, edge.root())
        note = sign_note(checkpoint.text(), [self._signer])
        return _Laid(edge, complete, Published(edge.size, checkpoint.root, note))

    def keep(self, laid: _Laid) -> None:
        """The rows are durable: this is the log's state now."""
        self._state = (laid.edge, laid.published)

    @property
    def published(self) -> Published | None:
        """The checkpoint this process knows to be durable."""
        return self._state[1]


def _completed(log: str, edge: RightEdge, leaf: bytes) -> list[Row]:
    """The rows of the subtrees of height 8, 16, … that this leaf completes."""
    found: list[Row] = []
    index = edge.size
    for height, left in enumerate(reversed(edge.nodes), start=1):
        if not index & 1:
            break
        leaf = node_hash(left, leaf)
        index >>= 1
        if height % HEIGHT == 0:
            found.append({"log": log, "level": height // HEIGHT, "idx": index, "hash": leaf})
    return found


class Logs:
    """All logs of a database: lays appended leaves, publishes checkpoints, serves tiles."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._logs: dict[str, Log] = {}
        self._full: OrderedDict[tuple[str, Tile], bytes] = OrderedDict()
        database.at_flush(leaves, self._flush)

    def add(self, name: str, origin: str, signer: Signer) -> Log:
        """Register a log before `start`."""
        if name in self._logs:
            raise RuntimeError(f"the log {name} is registered twice")
        self._logs[name] = Log(name, origin, signer)
        return self._logs[name]

    def get(self, name: str = MAIN) -> Log:
        """A registered log."""
        return self._logs[name]

    async def start(self) -> None:
        """Read the state; a log without a checkpoint gets one of size 0."""
        for log in self._logs.values():
            await self._db.write_core(self._found, log)

    def _found(self, connection: Connection, log: Log) -> None:
        self._lock(connection)
        log.recover(connection)
        if log.published is None:
            laid = log.lay([])
            connection.execute(checkpoints.insert(), _checkpoint_row(log.name, laid.published))
            tx_of(connection).after_commit(lambda: log.keep(laid))

    # -- SQLite: in the writer, once a batch ------------------------------------------------------------------------

    def _flush(self, connection: Connection, rows: list[Row]) -> FlushResult:
        laid: list[tuple[Log, _Laid]] = []
        by_log: dict[str, list[Row]] = {}
        for row in rows:
            by_log.setdefault(row["log"], []).append(row)
        for name, some in by_log.items():
            log = self._logs[name]
            log.recover(connection)
            result = log.lay(some)
            if result.nodes:
                connection.execute(nodes.insert(), result.nodes)
            _STORE.run(connection, **_checkpoint_row(name, result.published))
            laid.append((log, result))
        for row in rows:
            leaf: Leaf | None = row.pop(_HANDLE, None)
            if leaf is not None:
                leaf.index = row["idx"]

        def kept() -> None:
            for log, result in laid:
                log.keep(result)

        return FlushResult(rows, after_commit=kept)

    # -- PostgreSQL: a job ------------------------------------------------------------------------------------------

    async def sequence(self) -> int:
        """Lay the waiting leaves; how many. Nothing to do on SQLite."""
        if self._db.single_writer:
            return 0
        total = 0
        for log in self._logs.values():
            while laid := await self._db.write_core(self._sequence, log):
                total += laid
                if laid < SEQUENCE_AT_MOST:
                    break
        return total

    def _sequence(self, connection: Connection, log: Log) -> int:
        self._lock(connection)
        wanted = select(leaves.c.leaf_id, leaves.c.leaf_hash).where(leaves.c.log == log.name, leaves.c.idx.is_(None))
        found = connection.execute(wanted.order_by(leaves.c.leaf_id).limit(SEQUENCE_AT_MOST)).all()
        if not found:
            return 0
        log.recover(connection)
        rows: list[Row] = [{"key": each.leaf_id, "leaf_hash": each.leaf_hash} for each in found]
        laid = log.lay(rows)
        place = update(leaves).where(leaves.c.leaf_id == bindparam("key")).values(idx=bindparam("place"))
        connection.execute(place, [{"key": row["key"], "place": row["idx"]} for row in rows])
        if laid.nodes:
            connection.execute(nodes.insert(), laid.nodes)
        connection.execute(checkpoints.insert(), _checkpoint_row(log.name, laid.published))
        tx_of(connection).after_commit(lambda: log.keep(laid))
        return len(rows)

    def _lock(self, connection: Connection) -> None:
        """One sequencer at a time. Read committed, so that what is read after the lock is what its last holder left:
        under a snapshot taken before the lock was granted, a second sequencer would lay on an old tree."""
        if self._db.dialect == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL READ COMMITTED"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})

    # -- reading ----------------------------------------------------------------------------------------------------

    async def published(self, name: str = MAIN) -> Published:
        """The newest checkpoint. From memory on SQLite; from the primary on PostgreSQL, where others lay too."""
        if self._db.single_writer:
            known = self._logs[name].published
        else:
            known = await self._db.peek(reading.latest, name)
        if known is None:
            raise BadLog(f"the log {name} has no checkpoint yet")
        return known

    async def tile(self, tile: Tile, name: str = MAIN) -> bytes | None:
        """A tile's or bundle's bytes; None unless a published size has it."""
        kept = self._full.get((name, tile))
        if kept is not None:
            self._full.move_to_end((name, tile))
            return kept
        if not tile.exists_in((await self.published(name)).size):
            return None
        content = await self._db.read_core(reading.tile_bytes, name, tile)
        if tile.full:  # immutable for ever
            self._full[name, tile] = content
            if len(self._full) > _FULL_TILES_KEPT:
                self._full.popitem(last=False)
        return content

    async def integrated(self, leaf: Leaf, *, every: float = 0.02, timeout: float = 10.0) -> int | None:
        """The leaf's index as soon as a checkpoint covers it; None when the sequencer did not come in time."""
        if leaf.index is not None:
            return leaf.index
        deadline = asyncio.get_running_loop().time() + timeout
        while (index := await self._db.read_core(reading.index_of, leaf.leaf_id)) is None:
            if asyncio.get_running_loop().time() > deadline:
                return None
            await asyncio.sleep(every)
        return index


def _checkpoint_row(log: str, published: Published) -> Row:
    return {"log": log, "size": published.size, "root": published.root, "note": published.note}
