"""Tiles: where a tree's hashes and entries are found, and the bytes there.

c2sp.org/tlog-tiles: `tile/<L>/<N>[.p/<W>]` and `tile/entries/<N>[.p/<W>]`, N in groups of three digits.
Strict: a path that would not be written in the same way is refused. Pure.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kit.tlog.errors import BadTile, BadTilePath
from kit.tlog.merkle import HASH_SIZE

WIDTH = 256
HEIGHT = 8
LONGEST_ENTRY = 65_535  # uint16 length prefix

_PATH = re.compile(
    r"tile/(?:(?P<entries>entries)|(?P<level>0|[1-9]|[1-5][0-9]|6[0-3]))"
    r"/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One resource: a tile of hashes, or (level None) a bundle of entries. Width 256 is a full one."""

    level: int | None
    index: int
    width: int = WIDTH

    @property
    def full(self) -> bool:
        return self.width == WIDTH

    def path(self) -> str:
        level = "entries" if self.level is None else str(self.level)
        return f"tile/{level}/{index_path(self.index)}" + ("" if self.full else f".p/{self.width}")

    def exists_in(self, size: int) -> bool:
        """Whether a tree of that size, or any smaller one, has this tile: its last hash is complete."""
        level = 0 if self.level is None else self.level
        return (self.index * WIDTH + self.width) <= size >> (HEIGHT * level)


def index_path(index: int) -> str:
    """`1234067` -> `x001/x234/067`."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def parse_path(path: str) -> Tile:
    """Read `tile/...`; raises BadTilePath."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise BadTilePath("not a tile path")
    width = int(match["width"]) if match["width"] else WIDTH
    if match["width"] and width >= WIDTH:
        raise BadTilePath("a partial tile has a width of 1 to 255")
    index = int(match["index"].replace("x", "").replace("/", ""))
    tile = Tile(int(match["level"]) if match["level"] else None, index, width)
    if tile.path() != path:  # refuses `x000/005`, which would be a second name for `005`
        raise BadTilePath("the tile's index has leading groups of zeros")
    return tile


def widths(level: int, size: int) -> tuple[int, int]:
    """How many full tiles a level has at this size, and the width of the partial one after them (0: none)."""
    return divmod(size >> (HEIGHT * level), WIDTH)


def bundles_of(size: int) -> Iterator[Tile]:
    """Every entry bundle of a tree of this size."""
    full, partial = widths(0, size)
    for index in range(full):
        yield Tile(None, index)
    if partial:
        yield Tile(None, full, partial)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries, each behind its length as a big-endian uint16. Raises BadTile."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > LONGEST_ENTRY:
            raise BadTile("an entry has at most 65,535 bytes")
        parts += (struct.pack(">H", len(entry)), entry)
    return b"".join(parts)


def decode_bundle(bundle: bytes, width: int) -> list[bytes]:
    """The entries of a bundle: exactly `width`, with nothing left over. Raises BadTile."""
    entries = []
    at = 0
    for _ in range(width):
        if at + 2 > len(bundle):
            raise BadTile("the bundle ends early")
        end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
        if end > len(bundle):
            raise BadTile("the bundle ends within an entry")
        entries.append(bundle[at + 2 : end])
        at = end
    if at != len(bundle):
        raise BadTile("the bundle goes on after its last entry")
    return entries


def decode_tile(content: bytes, width: int) -> list[bytes]:
    """The hashes of a tile: exactly `width`. Raises BadTile."""
    if len(content) != width * HASH_SIZE:
        raise BadTile("the tile has the wrong length")
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]
