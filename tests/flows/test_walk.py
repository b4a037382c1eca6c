"""The main walk (walks 1 to 4, and the start of 7), from outside, against the real command and a real database file."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.support.server import Served
from tests.support.sessions import signed_in
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


def sekisho(*args: str) -> subprocess.CompletedProcess[str]:
    """Another command, as a stranger to the server would give it."""
    command = [sys.executable, "-m", "portal", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_only_their_owner_reads_the_credentials_and_the_root_key(city: Path) -> None:
    for name in ("demo-credentials.json", "root.key"):
        assert stat.S_IMODE((city / name).stat().st_mode) == 0o600


def test_the_ledger_holds_after_the_walk_and_only_grew(server: Served, tmp_path: Path) -> None:
    vkey, older = tmp_path / "ledger.vkey", tmp_path / "older.checkpoint"
    vkey.write_text(httpx2.get(f"{server.url}/ledger/vkey").text)
    older.write_text(httpx2.get(f"{server.url}/ledger/checkpoint").text)
    for command in (["verify"], ["consistency", str(older)]):
        done = sekisho("ledger", *command, "--url", f"{server.url}/ledger", "--vkey", str(vkey))
        assert done.returncode == 0, done.stderr
    assert "entries" in done.stdout


def test_a_receipt_is_verified_offline_by_the_command(server: Served, tmp_path: Path) -> None:
    """The two keys are fetched once; then the server is gone."""
    person = json.loads((server.data / "demo-credentials.json").read_text())["residents"]["hanako"]
    server.stop()
    (token,) = signed_in(server.data, [person["account_id"]], issuer=server.url)
    server.start()
    kept = {name: tmp_path / name for name in ("ledger.vkey", "jwks.json", "mine.sekisho-receipt.json", "changed.json")}
    with httpx2.Client(base_url=server.url, cookies={"sekisho-local": token}) as http:
        kept["ledger.vkey"].write_text(http.get("/ledger/vkey").text)
        kept["jwks.json"].write_text(http.get("/oauth/jwks").text)
        consent = http.get("/api/consent/records").json()["records"][0]["id"]
        content = http.get(f"/api/consent/records/{consent}/receipt").content
    kept["mine.sekisho-receipt.json"].write_bytes(content)
    kept["changed.json"].write_bytes(content + b" ")
    keys = ["--vkey", str(kept["ledger.vkey"]), "--jwks", str(kept["jwks.json"])]
    online = ["ledger", "verify-receipt", str(kept["mine.sekisho-receipt.json"]), *keys, "--online", "--json"]
    done = sekisho(*online)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "valid"), done.stderr
    server.stop()
    done = sekisho(*online)  # genuine, but nobody says whether something replaced it
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    done = sekisho("ledger", "verify-receipt", str(kept["mine.sekisho-receipt.json"]), *keys, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verified"]
    done = sekisho("ledger", "verify-receipt", str(kept["changed.json"]), *keys)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    server.start()
