"""c2sp.org/tlog-tiles: paths, which tiles a size has, and what is in them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.tlog.errors import BadTile, BadTilePath
from kit.tlog.tiles import (
    Tile,
    bundles_of,
    decode_bundle,
    decode_tile,
    encode_bundle,
    index_path,
    parse_path,
    widths,
)
from tests.support.tiles import tiles_of


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (1234067, "x001/x234/067"),  # the specification's example
        (0, "000"),
        (5, "005"),
        (999, "999"),
        (1000, "x001/000"),
        (999_999, "x999/999"),
        (1_000_000, "x001/x000/000"),
    ],
)
def test_writes_the_index_in_groups_of_three_digits(index: int, expected: str) -> None:
    assert index_path(index) == expected
    assert parse_path(f"tile/0/{expected}") == Tile(0, index)


@given(
    st.one_of(st.none(), st.integers(0, 63)),
    st.integers(0, 10**18),
    st.one_of(st.just(256), st.integers(1, 255)),
)
def test_every_path_reads_back_to_itself(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert parse_path(tile.path()) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/01/000",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/005",
        "tile/0/001/000",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "tile//000",
        "tile/entries",
        "tile/entries/",
        "tile/entry/000",
        "tile/Entries/000",
        "tile/8/0/000",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/../000",
        "/tile/0/000",
        "",
    ],
)
def test_refuses_a_path_that_the_specification_would_not_write(path: str) -> None:
    with pytest.raises(BadTilePath):
        parse_path(path)


def test_a_tree_of_70_000_has_the_tiles_the_specification_lists() -> None:
    """273 full and a partial of 112 at level 0; one full and one of 17 at level 1; one of 1 at level 2."""
    tiles = list(tiles_of(70_000))
    assert Counter((each.level, each.full) for each in tiles) == {
        (0, True): 273,
        (0, False): 1,
        (1, True): 1,
        (1, False): 1,
        (2, False): 1,
    }
    assert [each.path() for each in tiles if not each.full] == [
        "tile/0/273.p/112",
        "tile/1/001.p/17",
        "tile/2/000.p/1",
    ]
    assert sum(each.width for each in bundles_of(70_000)) == 70_000


def test_a_tree_of_256_has_a_full_tile_and_a_partial_one_above_it() -> None:
    assert [each.path() for each in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]


def test_an_empty_tree_has_no_tiles() -> None:
    assert list(tiles_of(0)) == []
    assert list(bundles_of(0)) == []
    assert widths(0, 0) == (0, 0)


@given(st.integers(0, 200_000))
def test_every_tile_of_a_tree_exists_in_it_and_the_next_one_does_not(size: int) -> None:
    for tile in [*tiles_of(size), *bundles_of(size)]:
        assert tile.exists_in(size)
        if not tile.full:
            assert not Tile(tile.level, tile.index, tile.width + 1).exists_in(size)
            assert not Tile(tile.level, tile.index).exists_in(size)
    full, _ = widths(0, size)
    assert not Tile(0, full).exists_in(size)
    assert not Tile(0, full + 1, 1).exists_in(size)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_reads_back_to_its_entries(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


def test_an_entry_has_at_most_65_535_bytes() -> None:
    assert decode_bundle(encode_bundle([b"x" * 65_535]), 1) == [b"x" * 65_535]
    with pytest.raises(BadTile):
        encode_bundle([b"x" * 65_536])


@pytest.mark.parametrize("bundle", [b"", b"\x00", b"\x00\x02a", b"\x00\x01ab"])
def test_refuses_a_bundle_that_ends_early_or_late(bundle: bytes) -> None:
    with pytest.raises(BadTile):
        decode_bundle(bundle, 1)


def test_refuses_a_tile_of_the_wrong_length() -> None:
    assert decode_tile(b"a" * 64, 2) == [b"a" * 32, b"a" * 32]
    with pytest.raises(BadTile):
        decode_tile(b"a" * 63, 2)
