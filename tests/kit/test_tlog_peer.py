"""An independent verifier, written by others, accepts our log, and refuses it after a flipped byte."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kit.tlog.tiles import tiles_of
from tests.kit.test_tlog_log import KEY, add_many, check_log, everything, make_file, opened
from tests.support.peers import leave_out, needs

PROGRAM = Path(__file__).parent / "tlog_peer"


@pytest.fixture(scope="session")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Go program, built once; its module comes through the Go module proxy on the first build."""
    built = tmp_path_factory.mktemp("peer") / "tlogpeer"
    done = subprocess.run(["go", "build", "-o", built, "."], cwd=PROGRAM, capture_output=True, text=True, timeout=180)
    if done.returncode != 0:
        leave_out(f"golang.org/x/mod could not be built: {done.stderr[-300:]}")
    return built


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
