"""`sekisho demo` greets a stranger, keeps the data, and what it hands out can be checked by command."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2

from portal.walk.browser import Browser, Page
from portal.walk.main import Credentials, Walk
from portal.walk.report import Report
from tests.support.server import Served, free_port
from tests.support.source import ROOT


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Run the real command to its end."""
    return subprocess.run([sys.executable, "-m", "portal", *args], cwd=ROOT, capture_output=True, text=True, timeout=90)


def greeting(data: Path, port: int) -> tuple[str, int]:
    """Start the demo, read its greeting, end it with Ctrl-C; the greeting and the exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "portal", "demo", "--port", str(port), "--data", str(data)],
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            break
    assert httpx2.get(f"http://localhost:{port}/", timeout=60).status_code == 200
    process.send_signal(signal.SIGINT)
    code = process.wait(60)
    process.stdout.close()
    return "".join(lines), code


def test_the_demo_greets_keeps_its_data_and_ends_on_ctrl_c(city: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(city, data)
    credentials = data / "demo-credentials.json"
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    before = credentials.read_bytes()
    port = free_port()
    text, code = greeting(data, port)
    assert code == 0
    assert f"http://localhost:{port}" in text
    hanako = json.loads(before)["residents"]["hanako"]
    assert hanako["password"] in text
    assert hanako["totp_secret"] not in text
    assert " walk" in text
    again, code = greeting(data, port)
    assert code == 0
    assert credentials.read_bytes() == before
    assert hanako["password"] in again


def test_a_receipt_taken_home_is_verified_by_command_and_a_changed_one_is_not(server: Served, tmp_path: Path) -> None:
    credentials = Credentials.read(server.data / "demo-credentials.json")
    with Walk(server.url, credentials, Report(quiet=True), resident="megumi") as walk:
        walk.report.step("take a receipt home")
        browser = Browser(server.url, walk.report)
        walk._open.append(browser.http)
        page = browser.open(f"{server.url}/sign-in?next=/consents")
        assert isinstance(page, Page)
        walk.sign_in(browser, page, walk.me)
        found = re.search(r"/consents/(con_[a-z0-9]+)", browser.get("/consents").text)
        assert found
        receipt = browser.get(f"/api/consent/records/{found[1]}/receipt", accept="application/json").content
    file, vkey, jwks = tmp_path / "my.sekisho-receipt.json", tmp_path / "ledger.vkey", tmp_path / "jwks.json"
    file.write_bytes(receipt)
    vkey.write_text(httpx2.get(f"{server.url}/ledger/vkey").text)
    jwks.write_text(httpx2.get(f"{server.url}/oauth/jwks").text)
    keys = ["--vkey", str(vkey), "--jwks", str(jwks)]
    server.stop()  # offline: nobody is left to ask
    done = run("ledger", "verify-receipt", str(file), *keys)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓") == 8
    file.write_bytes(receipt.replace(b'"given"', b'"given "', 1))
    done = run("ledger", "verify-receipt", str(file), *keys, "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["verified"] is False
    server.start()


def test_an_older_checkpoint_is_found_again_in_the_grown_ledger(server: Served, tmp_path: Path) -> None:
    vkey = httpx2.get(f"{server.url}/ledger/vkey").text.strip()
    older = tmp_path / "older.checkpoint"
    older.write_bytes(httpx2.get(f"{server.url}/ledger/checkpoint").content)
    done = run("ledger", "grown", str(older), "--url", f"{server.url}/ledger", "--vkey", vkey)
    assert done.returncode == 0, done.stderr
    older.write_bytes(older.read_bytes().replace(b"\n", b"\n1", 1))
    assert run("ledger", "grown", str(older), "--url", f"{server.url}/ledger", "--vkey", vkey).returncode == 1
