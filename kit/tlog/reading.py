"""Reading a log from its tables: tiles, bundles, checkpoints, proofs.

Every function takes a Core connection first and reads only what a published checkpoint of the given size covers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from kit.db import Quick
from kit.tlog.errors import BadLog
from kit.tlog.merkle import RightEdge, node_hash, prove_consistency, prove_inclusion, subtrees
from kit.tlog.proof import format_proof
from kit.tlog.tables import leaves, nodes
from kit.tlog.tiles import HEIGHT, WIDTH, Tile, encode_bundle


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint as it was published."""

    size: int
    root: bytes
    note: bytes


_LATEST = Quick("SELECT size, root, note FROM kit_log_checkpoint WHERE log = :log ORDER BY size DESC LIMIT 1")


def latest(connection: Connection, log: str) -> Published | None:
    """The newest checkpoint; None before the log's first."""
    row = _LATEST.one(connection, log=log)
    return None if row is None else Published(row[0], bytes(row[1]), bytes(row[2]))


def index_of(connection: Connection, leaf_id: str) -> int | None:
    """Where a leaf lies; None while it waits or when there is none."""
    index: int | None = connection.execute(select(leaves.c.idx).where(leaves.c.leaf_id == leaf_id)).scalar()
    return index


def hashes(connection: Connection, log: str, level: int, start: int, end: int) -> list[bytes]:
    """The hashes [start, end) of a tile level; raises BadLog if any is missing."""
    if level == 0:
        wanted: Select[tuple[bytes]] = (
            select(leaves.c.leaf_hash)
            .where(leaves.c.log == log, leaves.c.idx >= start, leaves.c.idx < end)
            .order_by(leaves.c.idx)
        )
    else:
        wanted = (
            select(nodes.c.hash)
            .where(nodes.c.log == log, nodes.c.level == level, nodes.c.idx >= start, nodes.c.idx < end)
            .order_by(nodes.c.idx)
        )
    found: list[bytes] = list(connection.scalars(wanted))
    if len(found) != end - start:
        raise BadLog(f"the log {log} lacks hashes at level {level} between {start} and {end}")
    return found


def tile_bytes(connection: Connection, log: str, tile: Tile) -> bytes:
    """A tile's or bundle's content. The caller has checked that the published size covers it."""
    start = tile.index * WIDTH
    if tile.level is not None:
        return b"".join(hashes(connection, log, tile.level, start, start + tile.width))
    wanted = (
        select(leaves.c.entry)
        .where(leaves.c.log == log, leaves.c.idx >= start, leaves.c.idx < start + tile.width)
        .order_by(leaves.c.idx)
    )
    entries = list(connection.execute(wanted).scalars())
    if len(entries) != tile.width:
        raise BadLog(f"the log {log} lacks entries between {start} and {start + tile.width}")
    return encode_bundle(entries)


class Subtrees:
    """Hashes of complete subtrees out of tile hashes; remembers what it read. One use, one connection."""

    def __init__(self, connection: Connection, log: str) -> None:
        self._connection = connection
        self._log = log
        self._seen: dict[tuple[int, int], bytes] = {}

    def __call__(self, height: int, index: int) -> bytes:
        """The hash of the complete subtree over leaves [index << height, (index + 1) << height)."""
        found = self._seen.get((height, index))
        if found is not None:
            return found
        above = height % HEIGHT
        row = hashes(self._connection, self._log, height // HEIGHT, index << above, (index + 1) << above)
        while len(row) > 1:
            row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
        self._seen[height, index] = row[0]
        return row[0]


def right_edge(connection: Connection, log: str, size: int) -> RightEdge:
    """Everything an append needs, out of the tables alone: how a start, and every doubt, is resolved."""
    subtree = Subtrees(connection, log)
    return RightEdge(size, [subtree(height, index) for height, index in subtrees(0, size)])


def inclusion_proof(connection: Connection, log: str, index: int, size: int) -> list[bytes]:
    """Proof of leaf `index` in the tree of `size`."""
    return prove_inclusion(index, size, Subtrees(connection, log))


def consistency_proof(connection: Connection, log: str, older: int, newer: int) -> list[bytes]:
    """Proof that the tree of size `newer` begins with the tree of size `older`."""
    return prove_consistency(older, newer, Subtrees(connection, log)) if older < newer else []


def proof_text(
    connection: Connection, log: str, leaf_id: str, *, vouch: Callable[[int, Published], Published] | None = None
) -> str | None:
    """The tlog-proof of a leaf under the newest checkpoint, or the one `vouch` prefers; None while the leaf waits."""
    index = index_of(connection, leaf_id)
    published = latest(connection, log)
    if index is None or published is None or index >= published.size:
        return None
    if vouch is not None:
        published = vouch(index, published)
    return format_proof(index, inclusion_proof(connection, log, index, published.size), published.note)


def waiting(connection: Connection, log: str) -> int:
    """How many leaves the sequencer has not laid yet (always 0 on SQLite)."""
    wanted = select(func.count()).select_from(leaves).where(leaves.c.log == log, leaves.c.idx.is_(None))
    return connection.execute(wanted).scalar_one()
