"""`sekisho demo` greets a stranger, keeps its data, and ends on Ctrl-C."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.support.server import free_port
from tests.support.source import ROOT


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
