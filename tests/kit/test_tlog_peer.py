"""An independent verifier, written by others, accepts our log, and refuses it after a flipped byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.kit.test_tlog_log import KEY, add_many, check_log, everything, make_file, opened
from tests.support.go import program
from tests.support.log_directory import served
from tests.support.peers import needs
from tests.support.tiles import tiles_of


@pytest.fixture(scope="session")
def peer() -> Path:
    """The Go program."""
    return program("tlog_peer")


def write(place: Path, resources: dict[str, bytes]) -> Path:
    for path, content in resources.items():
        file = place / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return place


def check(peer: Path, *arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([peer, *arguments], capture_output=True, text=True, timeout=120, check=False)


@needs("go")
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700])
async def test_go_accepts_every_entry_and_the_growth(tmp_path: Path, peer: Path, size: int) -> None:
    entries = [b"%d" % n for n in range(size)]
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, entries[: size // 2 + 1])
        older = tmp_path / "older"
        older.write_bytes((await logs.published()).note)
        await database.write_core(add_many, entries[size // 2 + 1 :])
        await check_log(logs, entries)
        place = write(tmp_path / "log", await everything(logs))
    done = check(peer, place, KEY.vkey, older)
    assert (done.returncode, done.stdout) == (0, f"{size}\n"), done.stderr


@needs("go")
async def test_go_refuses_a_flipped_byte_anywhere(tmp_path: Path, peer: Path) -> None:
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, [b"entry %d" % n for n in range(300)])
        resources = await everything(logs)
    place = write(tmp_path / "log", resources)
    assert check(peer, place, KEY.vkey).returncode == 0
    assert {tile.path() for tile in tiles_of(300)} < resources.keys()
    for path, content in resources.items():
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        (place / path).write_bytes(damaged)
        assert check(peer, place, KEY.vkey).returncode == 1, path
        (place / path).write_bytes(content)


@needs("go")
async def test_go_accepts_the_log_over_http_and_refuses_every_flipped_byte_there(tmp_path: Path, peer: Path) -> None:
    """In any tile or bundle the checkpoint requires, in the checkpoint's text, in our signature line."""
    async with opened(make_file(tmp_path / "log.db")) as (database, logs):
        await database.write_core(add_many, [b"entry %d" % n for n in range(300)])
        resources = await everything(logs)
    place = write(tmp_path / "log", resources)
    note = resources["checkpoint"]
    blank = note.index(b"\n\n")
    spots = {path: [0, len(content) // 2, len(content) - 1] for path, content in resources.items()}
    spots["checkpoint"] = [0, note.index(b"\n") + 1, blank - 2, blank + 10, blank + 30, len(note) - 5]
    with served(place) as url:
        assert check(peer, url, KEY.vkey).stdout == "300\n"
        for path, content in resources.items():
            for at in spots[path]:
                damaged = bytearray(content)
                damaged[at] ^= 1
                (place / path).write_bytes(damaged)
                done = check(peer, url, KEY.vkey)
                assert (done.returncode, done.stdout) == (1, ""), (path, at)
            (place / path).write_bytes(content)
        assert check(peer, url, KEY.vkey).returncode == 0
