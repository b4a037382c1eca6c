"""The main walk (walks 1 to 4, and the start of 7), from outside, against the real command and a real database file."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.server import Served
from tests.support.source import ROOT


def walk(server: Served, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `sekisho walk` against a server."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    return subprocess.run(
        [sys.executable, "-m", "portal", "walk", "--url", server.url,
         "--credentials", str(server.data / "demo-credentials.json"), *options],
        cwd=ROOT, env=inherited, capture_output=True, text=True, timeout=180,
    )  # fmt: skip


def test_the_walk_keeps_every_promise_twice_in_a_row(server: Served) -> None:
    """Twice: what the first walk leaves behind (a used code, a spent family) must not stand in the second's way."""
    for _ in range(2):
        done = walk(server, "--json")
        told = json.loads(done.stdout or "{}")
        assert done.returncode == 0, told.get("broken") or done.stderr
        assert told["held"]
        proved = " ".join(sentence for step in told["steps"] for sentence in step["proved"])
        for library in ("Authlib", "PyJWT", "python-jose"):
            assert library in proved


def test_the_walk_ends_with_exit_code_1_at_a_broken_promise(server: Served, tmp_path: Path) -> None:
    """A walk that cannot fail proves nothing: with another agreement's name it must."""
    known = json.loads((server.data / "demo-credentials.json").read_text())
    known["clients"]["minato-clinic"]["agreement"] = known["clients"]["minatohama-transit"]["agreement"]
    wrong = tmp_path / "credentials.json"
    wrong.write_text(json.dumps(known))
    done = walk(server, "--credentials", str(wrong))
    assert done.returncode == 1
    assert "Broken promise" in done.stderr


def test_the_ledger_and_the_audit_chain_hold_after_the_walk(server: Served) -> None:
    command = [sys.executable, "-m", "portal", "ledger", "verify", "--url", f"{server.url}/ledger", "--vkey"]
    import httpx2

    vkey = httpx2.get(f"{server.url}/ledger/vkey").text.strip()
    done = subprocess.run([*command, vkey], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "holds" in done.stdout
