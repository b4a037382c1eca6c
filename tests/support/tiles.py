"""The hash tiles of a whole tree."""

from collections.abc import Iterator

from kit.tlog.tiles import HEIGHT, Tile, widths


def tiles_of(size: int) -> Iterator[Tile]:
    """Every hash tile that a tree of this size consists of, level by level."""
    level = 0
    while size >> (HEIGHT * level):
        full, partial = widths(level, size)
        for index in range(full):
            yield Tile(level, index)
        if partial:
            yield Tile(level, full, partial)
        level += 1
