"""`sekisho ledger` as a stranger uses it: real processes, against a directory, a file server, and the real server.

Specifications: c2sp.org/tlog-tiles, tlog-checkpoint, tlog-proof, tlog-policy, tlog-cosignature.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kit.tlog.proof import parse_proof, verify_proof
from tests.kit.tlog_support import TestKey
from tests.support.command import sekisho
from tests.support.go import program
from tests.support.log_directory import served, write_log
from tests.support.peers import needs
from tests.support.server import CITY_ENVIRON, Served
from tests.support.source import ROOT
from tests.support.witness import Stand, go_witness

KEY = TestKey("city.example/log")
ENTRIES = [b"entry %d" % n for n in range(300)]


def ledger(*args: Path | str, cwd: Path = ROOT, fresh: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the command, as somebody without a server or a database would."""
    return sekisho("ledger", *args, cwd=cwd, fresh=fresh)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 300 entries: a full and a partial tile, and a level above."""
    return write_log(tmp_path_factory.mktemp("log") / "log", ENTRIES, KEY)


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An empty city, served by the real command, whose test log takes entries."""
    data = tmp_path_factory.mktemp("open") / "data"
    server = Served(data, environ={"SEKISHO_CONSENT__LEDGER_ADD_FOR_TESTS": "true"}).start()
    yield server
    server.stop()


# -- verify -----------------------------------------------------------------------------------------------------------


def test_verify_accepts_a_log_in_a_directory_and_behind_a_file_server(log: Path) -> None:
    with served(log) as url:
        for place in (str(log), url):
            done = ledger("verify", "--url", place, "--vkey", KEY.vkey, "--json", fresh=True)
            assert done.returncode == 0, done.stderr
            found = told(done)
            assert (found["held"], found["size"], found["tiles"], found["bundles"]) == (True, 300, 3, 2)
            assert found["quorum"] is None


@pytest.mark.parametrize(
    ("path", "at", "check"),
    [
        ("tile/0/000", 4000, "tile"),
        ("tile/0/001.p/44", 0, "tile"),
        ("tile/1/000.p/1", 31, "tile"),
        ("tile/entries/000", 700, "entries"),
        ("tile/entries/001.p/44", 3, "entries"),
        ("checkpoint", 2, "signature"),  # origin
        ("checkpoint", 18, "signature"),  # size
        ("checkpoint", 30, "signature"),  # root
        ("checkpoint", -10, "signature"),  # our signature line
    ],
)
def test_verify_refuses_a_flipped_byte_and_names_the_check_and_the_place(
    log: Path, tmp_path: Path, path: str, at: int, check: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(log, copy)
    content = bytearray((copy / path).read_bytes())
    content[at] ^= 1
    (copy / path).write_bytes(content)
    done = ledger("verify", "--url", copy, "--vkey", KEY.vkey, "--json")
    assert done.returncode == 1
    assert (told(done)["held"], told(done)["check"]) == (False, check)
    assert done.stderr.count("\n") == 1
    if path != "checkpoint":
        assert path in done.stderr


def test_verify_refuses_another_logs_key(log: Path) -> None:
    other = TestKey("city.example/log", b"\x05" * 32)
    done = ledger("verify", "--url", log, "--vkey", other.vkey)
    assert (done.returncode, done.stdout) == (1, "")
    assert "(signature)" in done.stderr


def test_verify_says_in_one_line_that_nobody_answers(tmp_path: Path) -> None:
    for place in ("http://127.0.0.1:9/ledger", str(tmp_path / "nowhere")):
        done = ledger("verify", "--url", place, "--vkey", KEY.vkey)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = ledger("verify", "--url", tmp_path, "--vkey", KEY.vkey)
    assert (done.returncode, "not a log" in done.stderr) == (1, True)
    done = ledger("verify", "--url", tmp_path)
    assert (done.returncode, "--vkey" in done.stderr) == (2, True)


def test_a_real_server_is_verified_proved_followed_and_copied(open_server: Served, tmp_path: Path) -> None:
    """Every command against the real server, from an empty directory, with the key alone."""
    base = f"{open_server.url}/ledger/test"
    here = tmp_path / "elsewhere"
    here.mkdir()
    with httpx2.Client() as http:
        (here / "key").write_text(http.get(f"{base}/vkey").text)
        (here / "first").write_text(http.get(f"{base}/checkpoint").text)
        places = ["--url", base, "--vkey", "key"]
        assert "0 entries" in ledger("verify", *places, cwd=here).stdout
        state = ["--state", "state", "--once"]
        assert ledger("monitor", *places, *state, cwd=here).returncode == 0
        for n in range(260):
            http.post(f"{open_server.url}/ledger/add", content=b"raw %d" % n).raise_for_status()
        done = ledger("monitor", *places, *state, "--json", cwd=here)
        assert done.returncode == 0, done.stderr
        assert (told(done)["before"], told(done)["size"], told(done)["new"]) == (0, 260, 260)
        done = ledger("consistency", "first", *places, "--json", cwd=here)
        assert (done.returncode, told(done)["older"], told(done)["size"]) == (0, 0, 260)
        (here / "second").write_text(http.get(f"{base}/checkpoint").text)
        done = ledger("export", "copy", *places, cwd=here)
        assert done.returncode == 0, done.stderr
        http.post(f"{open_server.url}/ledger/add", content=b"one more").raise_for_status()
        done = ledger("consistency", "second", *places, "--json", cwd=here)
        assert (done.returncode, told(done)["older"], told(done)["size"]) == (0, 260, 261)
        done = ledger("prove", "257", *places, "-o", "proof", cwd=here)
        assert done.returncode == 0, done.stderr
    proof = parse_proof((here / "proof").read_text())
    from keys.notes import NoteVerifier

    verifier = NoteVerifier((here / "key").read_text().strip())
    verify_proof(proof, b"raw 257", expected_origin=verifier.name, verifiers=[verifier])
    done = ledger("verify", "--url", "copy", "--vkey", "key", "--json", cwd=here)
    assert (done.returncode, told(done)["size"]) == (0, 260)
    assert ledger("export", "copy", *places, cwd=here).returncode == 0
    assert told(ledger("verify", "--url", "copy", "--vkey", "key", "--json", cwd=here))["size"] == 261


@needs("go")
def test_a_verifier_of_other_make_accepts_the_real_servers_log_over_http(open_server: Served) -> None:
    base = f"{open_server.url}/ledger/test"
    with httpx2.Client() as http:
        http.post(f"{open_server.url}/ledger/add", content=b"for the verifier").raise_for_status()
        vkey = http.get(f"{base}/vkey").text.strip()
        size = http.get(f"{base}/checkpoint").text.split("\n")[1]
    done = subprocess.run([program("tlog_peer"), base, vkey], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"{size}\n"), done.stderr


def test_a_proof_is_refused_for_an_entry_that_is_not_there(log: Path) -> None:
    done = ledger("prove", "300", "--url", log, "--vkey", KEY.vkey)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    done = ledger("prove", "299", "--url", log, "--vkey", KEY.vkey, "--json")
    verify_proof(parse_proof(told(done)["proof"]), ENTRIES[299], expected_origin=KEY.name, verifiers=[KEY])


# -- consistency and export refuse another history --------------------------------------------------------------------


@pytest.fixture
def forked(tmp_path: Path) -> Path:
    """A log of the same key that once had another entry 5."""
    return write_log(tmp_path / "forked", [*ENTRIES[:5], b"another", *ENTRIES[6:], b"more"], KEY)


def test_consistency_refuses_a_rewritten_history_and_tells_it_from_damage(
    log: Path, forked: Path, tmp_path: Path
) -> None:
    done = ledger("consistency", log / "checkpoint", "--url", forked, "--vkey", KEY.vkey, "--json")
    assert (done.returncode, told(done)["check"]) == (1, "fork")
    done = ledger("consistency", forked / "checkpoint", "--url", log, "--vkey", KEY.vkey, "--json")
    assert (done.returncode, told(done)["check"]) == (1, "rollback")
    older = write_log(tmp_path / "older", ENTRIES[:256], KEY)
    damaged = tmp_path / "damaged"
    shutil.copytree(log, damaged)
    tile = bytearray((damaged / "tile/0/001.p/44").read_bytes())
    tile[0] ^= 1
    (damaged / "tile/0/001.p/44").write_bytes(tile)
    done = ledger("consistency", older / "checkpoint", "--url", damaged, "--vkey", KEY.vkey, "--json")
    assert (done.returncode, told(done)["check"]) == (1, "root")


def test_an_export_is_never_laid_over_another_history(log: Path, forked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert ledger("export", copy, "--url", log, "--vkey", KEY.vkey).returncode == 0
    done = ledger("export", copy, "--url", forked, "--vkey", KEY.vkey)
    assert (done.returncode, "(fork)" in done.stderr) == (1, True)
    assert ledger("verify", "--url", copy, "--vkey", KEY.vkey).returncode == 0


# -- monitor ----------------------------------------------------------------------------------------------------------


def look(place: Path | str, state: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return ledger("monitor", "--url", place, "--vkey", KEY.vkey, "--state", state, "--once", *more)


@pytest.mark.parametrize(
    ("shown", "kind", "code"),
    [
        ([*ENTRIES[:5], b"another", *ENTRIES[6:]], "fork", 10),  # one size, two roots
        ([*ENTRIES[:5], b"another", *ENTRIES[6:], b"more"], "fork", 10),
        (ENTRIES[:299], "rollback", 11),
    ],
)
def test_the_monitor_alarms_with_a_code_a_line_a_command_and_the_evidence(
    log: Path, tmp_path: Path, shown: list[bytes], kind: str, code: int
) -> None:
    state = tmp_path / "state"
    assert look(log, state).returncode == 0
    good = state.read_bytes()
    other = write_log(tmp_path / "other", shown, KEY)
    heard = tmp_path / "heard"
    command = f"sh -c 'echo $SEKISHO_ALARM > {heard}'"
    for _ in range(2):  # and again: a broken log does not become good by waiting
        done = look(other, state, "--json", "--command", command)
        assert done.returncode == code, done.stderr
        assert (told(done)["alarm"], heard.read_text().strip()) == (kind, kind)
        assert done.stderr.startswith(f"sekisho: ALARM {kind}: ")
        assert done.stderr.count("\n") == 1
    assert state.read_bytes() == good
    assert (tmp_path / "state.alarm").read_bytes() == (other / "checkpoint").read_bytes()
    assert look(log, state).returncode == 0


def test_the_monitor_alarms_on_a_wrong_signature_and_on_entries_that_were_not_signed(log: Path, tmp_path: Path) -> None:
    state, other = tmp_path / "state", tmp_path / "other"
    write_log(tmp_path / "older", ENTRIES[:100], KEY)
    assert look(tmp_path / "older", state).returncode == 0
    write_log(other, ENTRIES, TestKey(KEY.name, b"\x05" * 32))
    assert look(other, state).returncode == 12
    shutil.rmtree(other)
    shutil.copytree(log, other)
    content = bytearray((other / "tile/entries/001.p/44").read_bytes())
    content[-1] ^= 1
    (other / "tile/entries/001.p/44").write_bytes(content)
    assert look(other, state).returncode == 13
    assert look(tmp_path / "nowhere", state).returncode == 2
    assert look(log, state).returncode == 0


def test_the_monitor_goes_on_looking_until_the_alarm(log: Path, tmp_path: Path) -> None:
    """One process follows a growing log over HTTP, outlives a server that is away, and ends at the fork."""
    shown, state = tmp_path / "shown", tmp_path / "state"
    write_log(shown, ENTRIES[:10], KEY)
    with served(shown) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal", "ledger", "monitor", "--url", url, "--vkey", KEY.vkey, "--state", state,
             "--every", "0.1", "--json"],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["size"] == 10
        (shown / "checkpoint").rename(shown / "away")
        write_log(shown, ENTRIES[:20], KEY)
        while (seen := json.loads(process.stdout.readline())).get("size") != 20:
            assert seen.get("size", 10) == 10
        write_log(shown, [b"another", *ENTRIES[1:30]], KEY)
        _, said = process.communicate(timeout=30)
    assert process.returncode in (10, 13)  # 13 when it looked while the files were being replaced
    assert "ALARM" in said


# -- witnesses --------------------------------------------------------------------------------------------------------


def test_verify_states_the_quorum_and_refuses_a_wrong_cosignature(log: Path, tmp_path: Path) -> None:
    one, two = Stand("one.example/w", b"\x01" * 32), Stand("two.example/w", b"\x02" * 32)
    copy, policy = tmp_path / "copy", tmp_path / "policy"
    shutil.copytree(log, copy)
    policy.write_text(
        f"log {KEY.vkey}\nwitness one {one.vkey}\nwitness two {two.vkey}\ngroup both all one two\nquorum both\n"
    )
    note = (log / "checkpoint").read_bytes()
    verify = ["verify", "--url", str(copy), "--policy", str(policy)]
    (copy / "checkpoint").write_bytes(note + one.cosign(note, 1_800_000_000))
    found = told(ledger(*verify, "--json"))
    assert (found["held"], found["quorum"], found["witnesses"]) == (True, False, 2)
    assert found["cosigned"] == [{"witness": "one.example/w", "time": 1_800_000_000}]
    done = ledger(*verify, "--quorum", "--json")
    assert (done.returncode, told(done)["check"]) == (1, "quorum")
    (copy / "checkpoint").write_bytes(note + one.cosign(note, 1_800_000_000) + two.cosign(note, 1_800_000_001))
    assert told(ledger(*verify, "--quorum", "--json"))["quorum"] is True
    wrong = bytearray((copy / "checkpoint").read_bytes())
    wrong[-20] = ord("A") if wrong[-20] != ord("A") else ord("B")
    (copy / "checkpoint").write_bytes(wrong)
    done = ledger(*verify, "--json")
    assert (done.returncode, told(done)["check"]) == (1, "cosignature")
    done = ledger("verify", "--url", copy, "--vkey", KEY.vkey)  # nobody asked for that witness: unknown to us
    assert done.returncode == 0


@needs("go")
def test_a_served_ledger_is_cosigned_by_a_witness_of_other_make(tmp_path: Path) -> None:
    """The real command with a policy file: cosignatures appear under the same text, `verify --quorum` is content."""
    data, policy = tmp_path / "data", tmp_path / "policy"
    server = Served(data).start()
    vkey = httpx2.get(f"{server.url}/ledger/vkey").text.strip()
    bare = httpx2.get(f"{server.url}/ledger/checkpoint").text
    server.stop()
    with go_witness("w.example/one", vkey) as (witness, url):
        policy.write_text(f"log {vkey}\nwitness one {witness} {url}\nquorum one\n")
        settings = {"SEKISHO_CONSENT__WITNESS_POLICY": str(policy), "SEKISHO_CONSENT__WITNESS_EVERY": "PT0.2S"}
        server = Served(data, environ=CITY_ENVIRON | settings).start()
        try:
            ends = time.monotonic() + 20
            while (note := httpx2.get(f"{server.url}/ledger/checkpoint").text) == bare and time.monotonic() < ends:
                time.sleep(0.1)
            assert note.startswith(bare)
            done = ledger("verify", "--url", f"{server.url}/ledger", "--policy", policy, "--quorum", "--json")
            assert done.returncode == 0, done.stderr
            assert (told(done)["quorum"], told(done)["cosigned"][0]["witness"]) == (True, "w.example/one")
        finally:
            server.stop()


def test_a_policy_that_does_not_hold_ends_serve_in_one_line(tmp_path: Path) -> None:
    policy = tmp_path / "policy"
    policy.write_text("quorum nobody\n")
    done = sekisho(
        "serve", "--data", tmp_path / "data", "--port", "0", env={"SEKISHO_CONSENT__WITNESS_POLICY": str(policy)}
    )
    assert done.returncode == 2
    assert "line 1: nobody is not defined above" in done.stderr
    assert "Traceback" not in done.stderr
