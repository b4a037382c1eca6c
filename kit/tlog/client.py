"""Checking somebody's log from outside, with nothing but a way to fetch a path below its prefix.

Serves the log's own tests, the command line, monitors and strangers alike: no database, no server of ours.
`fetch` raises LookupError or FileNotFoundError for what is not there; where a partial tile is gone, the full
tile is tried and cut (c2sp.org/tlog-tiles, "Partial Tiles"). I/O only through `fetch`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from kit.tlog.errors import BadTile
from kit.tlog.merkle import (
    RightEdge,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)
from kit.tlog.note import Checkpoint, Verifier, open_checkpoint
from kit.tlog.proof import format_proof
from kit.tlog.tiles import HEIGHT, WIDTH, Tile, bundles_of, decode_bundle, decode_tile, encode_bundle, widths

Fetch = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Audit:
    """What a whole-log check went through."""

    checkpoint: Checkpoint
    tiles: int
    bundles: int


def read_checkpoint(fetch: Fetch, origin: str, verifiers: Collection[Verifier]) -> Checkpoint:
    """The log's newest checkpoint, signature verified."""
    return open_checkpoint(fetch("checkpoint"), origin, verifiers)


def read_entries(fetch: Fetch, size: int) -> Iterator[list[bytes]]:
    """The entries of a log, bundle by bundle. Not verified: `audit` compares them with the tree."""
    for bundle in bundles_of(size):
        yield decode_bundle(_fetch(fetch, bundle), bundle.width)


def audit(fetch: Fetch, *, origin: str, verifiers: Collection[Verifier]) -> Audit:
    """Check the whole log byte for byte: signature, every bundle, every tile of every level, the root.

    Raises BadLog (a child of it) naming the first resource that does not fit.
    """
    checkpoint = read_checkpoint(fetch, origin, verifiers)
    checker = _TileChecker(fetch, checkpoint.size)
    edge = RightEdge()
    bundles = 0
    for entries in read_entries(fetch, checkpoint.size):
        bundles += 1
        for entry in entries:
            leaf = leaf_hash(entry)
            edge.append(leaf)
            checker.add(0, leaf)
    checker.finish()
    if edge.root() != checkpoint.root:
        raise BadTile("the entries do not give the root that the checkpoint signs")
    return Audit(checkpoint, checker.tiles, bundles)


def prove(fetch: Fetch, index: int, *, origin: str, verifiers: Collection[Verifier]) -> str:
    """The tlog-proof of an entry, made from tiles and checked before it is handed out."""
    note = fetch("checkpoint")
    checkpoint = open_checkpoint(note, origin, verifiers)
    subtree = TileHashes(fetch, checkpoint.size)
    hashes = prove_inclusion(index, checkpoint.size, subtree)
    verify_inclusion(subtree(0, index), index, checkpoint.size, hashes, checkpoint.root)
    return format_proof(index, hashes, note)


def check_consistency(fetch: Fetch, older: Checkpoint, newer: Checkpoint) -> None:
    """Raise BadProof unless the newer checkpoint's tree begins with the older one's. Both must be verified already."""
    subtree = TileHashes(fetch, newer.size)
    proof = prove_consistency(older.size, newer.size, subtree) if older.size < newer.size else []
    verify_consistency(older.size, newer.size, older.root, newer.root, proof)


class TileHashes:
    """Complete subtrees' hashes from fetched tiles. Not verified by themselves: the proof they form is."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, height: int, index: int) -> bytes:
        """The hash of the complete subtree over leaves [index << height, (index + 1) << height)."""
        level, above = divmod(height, HEIGHT)
        number, at = divmod(index << above, WIDTH)
        row = self._tile(level, number)[at : at + (1 << above)]
        if len(row) != 1 << above:
            raise BadTile("the tree does not have this subtree")
        return tree_hash(row)

    def _tile(self, level: int, index: int) -> list[bytes]:
        known = self._tiles.get((level, index))
        if known is None:
            full, partial = widths(level, self._size)
            tile = Tile(level, index, WIDTH if index < full else partial)
            if index > full or not tile.width:
                raise BadTile("the tree does not have this tile")
            known = self._tiles[level, index] = decode_tile(_fetch(self._fetch, tile), tile.width)
        return known


class _TileChecker:
    """Rebuilds every level from the leaves and compares each tile as soon as it is complete."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._rows: list[list[bytes]] = []
        self._next: list[int] = []
        self.tiles = 0

    def add(self, level: int, digest: bytes) -> None:
        if level == len(self._rows):
            self._rows.append([])
            self._next.append(0)
        row = self._rows[level]
        row.append(digest)
        if len(row) == WIDTH:
            self._compare(level)
            above = row
            while len(above) > 1:
                above = [node_hash(above[at], above[at + 1]) for at in range(0, len(above), 2)]
            row.clear()
            self.add(level + 1, above[0])

    def finish(self) -> None:
        for level, row in enumerate(self._rows):
            if row:
                self._compare(level)

    def _compare(self, level: int) -> None:
        row = self._rows[level]
        tile = Tile(level, self._next[level], len(row))
        if _fetch(self._fetch, tile) != b"".join(row):
            raise BadTile(f"{tile.path()} does not fit the entries")
        self._next[level] += 1
        self.tiles += 1


def _fetch(fetch: Fetch, tile: Tile) -> bytes:
    try:
        return fetch(tile.path())
    except (LookupError, FileNotFoundError):
        if tile.full:
            raise BadTile(f"{tile.path()} is missing") from None
    try:
        whole = fetch(Tile(tile.level, tile.index).path())
    except (LookupError, FileNotFoundError):
        raise BadTile(f"{tile.path()} is missing, and so is the full tile") from None
    if tile.level is None:
        return encode_bundle(decode_bundle(whole, WIDTH)[: tile.width])
    return b"".join(decode_tile(whole, WIDTH)[: tile.width])
