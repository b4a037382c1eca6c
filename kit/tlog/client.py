"""Checking somebody's log from outside, with nothing but a way to fetch a path below its prefix.

Serves the log's own tests, the command line, monitors and strangers alike: no database, no server of ours.
`fetch` raises LookupError or FileNotFoundError for what is not there; where a partial tile is gone, the full
tile is tried and cut (c2sp.org/tlog-tiles, "Partial Tiles"). I/O only through `fetch`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from kit.tlog.errors import BadNote, BadProof, BadTile, Forked
from kit.tlog.merkle import (
    RightEdge,
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    range_hash,
    subtrees,
    tree_hash,
    verify_consistency,
    verify_inclusion,
)
from kit.tlog.note import Checkpoint, Verifier, open_checkpoint
from kit.tlog.places import Fetch
from kit.tlog.proof import format_proof
from kit.tlog.tiles import HEIGHT, WIDTH, Tile, bundles_of, decode_bundle, decode_tile, encode_bundle, widths

Keep = Callable[[str, bytes], None]
"""Called with every part of the log that was fetched for a check: how a copy is made."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a whole-log check went through."""

    checkpoint: Checkpoint
    note: bytes
    tiles: int
    bundles: int


def read_note(fetch: Fetch) -> bytes:
    """The newest checkpoint's bytes, not verified. Raises BadNote."""
    try:
        return fetch("checkpoint")
    except (LookupError, FileNotFoundError):
        raise BadNote("there is no checkpoint here: not a log", check="checkpoint") from None


def read_entries(fetch: Fetch, size: int, start: int = 0) -> Iterator[list[bytes]]:
    """The entries of a log from `start`, bundle by bundle. Not verified: `audit` compares them with the tree."""
    for bundle in bundles_of(size):
        skipped = start - bundle.index * WIDTH
        if skipped < bundle.width:
            yield _decoded(bundle, _fetch(fetch, bundle))[max(0, skipped) :]


def audit(fetch: Fetch, *, origin: str, verifiers: Collection[Verifier], keep: Keep | None = None) -> Audit:
    """Check the whole log byte for byte: signature, every bundle, every tile of every level, the root.

    Raises BadLog (a child of it) naming the first resource that does not fit, and the check it failed: where an entry
    and its leaf hash differ, the signed root decides which of the two is wrong.
    """
    note = read_note(fetch)
    checkpoint = open_checkpoint(note, origin, verifiers)
    kept = _keeping(fetch, keep)
    checker = _TileChecker(kept, checkpoint.size)
    edge, shown = RightEdge(), RightEdge()
    bundles = 0
    suspect: Tile | None = None
    for bundle in bundles_of(checkpoint.size):
        bundles += 1
        tile = Tile(0, bundle.index, bundle.width)
        hashes = _hashes(tile, _fetch(kept, tile))
        for entry, told in zip(_decoded(bundle, _fetch(kept, bundle)), hashes, strict=True):
            leaf = leaf_hash(entry)
            edge.append(leaf)
            shown.append(told)
            checker.add(0, told)
            if leaf != told and suspect is None:
                suspect = bundle
    checker.finish()
    if shown.root() != checkpoint.root:
        if suspect is not None and edge.root() == checkpoint.root:
            raise BadTile(f"{Tile(0, suspect.index, suspect.width).path()} does not fit the entries")
        raise BadTile("the tiles do not give the root that the checkpoint signs", check="root")
    if checker.wrong is not None:
        raise BadTile(f"{checker.wrong.path()} does not fit the tiles below it")
    if suspect is not None:
        raise BadTile(f"{suspect.path()} does not fit the tree", check="entries")
    if keep is not None:
        keep("checkpoint", note)
    return Audit(checkpoint, note, checker.tiles, bundles)


def prove(fetch: Fetch, index: int, *, origin: str, verifiers: Collection[Verifier]) -> str:
    """The tlog-proof of an entry, made from tiles and checked before it is handed out."""
    note = read_note(fetch)
    checkpoint = open_checkpoint(note, origin, verifiers)
    subtree = TileHashes(fetch, checkpoint.size)
    hashes = prove_inclusion(index, checkpoint.size, subtree)
    verify_inclusion(subtree(0, index), index, checkpoint.size, hashes, checkpoint.root)
    return format_proof(index, hashes, note)


def check_consistency(fetch: Fetch, older: Checkpoint, newer: Checkpoint) -> list[bytes]:
    """The proof that the newer checkpoint's tree begins with the older one's. Both must be verified already.

    Raises Forked when it does not, and BadTile when the tiles are not those of the newer tree (then nothing is known).
    """
    if older.size > newer.size:
        raise BadProof(f"a log does not shrink from {older.size} to {newer.size}", check="rollback")
    subtree = TileHashes(fetch, newer.size)
    proof = prove_consistency(older.size, newer.size, subtree) if older.size < newer.size else []
    try:
        verify_consistency(older.size, newer.size, older.root, newer.root, proof)
    except BadProof:
        # With the older root as these tiles have it in place of the one we know: if that proof holds, the tiles are
        # the signed ones, and the log has signed two histories. If not, the tiles are not what was signed.
        ours = range_hash(0, older.size, subtree) if older.size < newer.size else newer.root  # or: one size, two roots
        try:
            verify_consistency(older.size, newer.size, ours, newer.root, proof)
        except BadProof:
            raise BadTile("the tiles do not give the root that the newer checkpoint signs", check="root") from None
        raise Forked(
            f"the log signed two histories: the tree of {newer.size} does not begin with the known tree of {older.size}"
        ) from None
    return proof


def follow(fetch: Fetch, older: Checkpoint, newer: Checkpoint) -> Iterator[bytes]:
    """The entries between two consistent checkpoints, given out only after they led to the newer root.

    Raises BadTile when they do not.
    """
    subtree = TileHashes(fetch, newer.size)
    edge = RightEdge(older.size, [subtree(height, index) for height, index in subtrees(0, older.size)])
    if edge.root() != older.root:
        raise BadTile("the tiles do not give the root of the older checkpoint", check="root")
    entries = [entry for some in read_entries(fetch, newer.size, older.size) for entry in some]
    for entry in entries:
        edge.append(leaf_hash(entry))
    if edge.root() != newer.root:
        raise BadTile("the new entries do not give the root that the newer checkpoint signs", check="entries")
    return iter(entries)


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
            known = self._tiles[level, index] = _hashes(tile, _fetch(self._fetch, tile))
        return known


class _TileChecker:
    """Rebuilds every level above the leaves and compares each tile as soon as it is complete."""

    def __init__(self, fetch: Fetch, size: int) -> None:
        self._fetch = fetch
        self._size = size
        self._rows: list[list[bytes]] = []
        self._next: list[int] = []
        self.tiles = 0
        self.wrong: Tile | None = None

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
        # Level 0 is where the row comes from; what is above is rebuilt from it.
        if level and self.wrong is None and _fetch(self._fetch, tile) != b"".join(row):
            self.wrong = tile
        self._next[level] += 1
        self.tiles += 1


def _keeping(fetch: Fetch, keep: Keep | None) -> Fetch:
    if keep is None:
        return fetch

    def kept(path: str) -> bytes:
        content = fetch(path)
        keep(path, content)
        return content

    return kept


def _hashes(tile: Tile, content: bytes) -> list[bytes]:
    try:
        return decode_tile(content, tile.width)
    except BadTile as bad:
        raise BadTile(f"{tile.path()}: {bad}") from None


def _decoded(bundle: Tile, content: bytes) -> list[bytes]:
    try:
        return decode_bundle(content, bundle.width)
    except BadTile as bad:
        raise BadTile(f"{bundle.path()}: {bad}", check="entries") from None


def _fetch(fetch: Fetch, tile: Tile) -> bytes:
    what = "entries" if tile.level is None else "tile"
    try:
        return fetch(tile.path())
    except (LookupError, FileNotFoundError):
        if tile.full:
            raise BadTile(f"{tile.path()} is missing", check=what) from None
    try:
        whole = fetch(Tile(tile.level, tile.index).path())
    except (LookupError, FileNotFoundError):
        raise BadTile(f"{tile.path()} is missing, and so is the full tile", check=what) from None
    if tile.level is None:
        return encode_bundle(_decoded(Tile(None, tile.index), whole)[: tile.width])
    return b"".join(_hashes(Tile(tile.level, tile.index), whole)[: tile.width])
