"""What a start loads (portal/cli, portal/app.py): only what its first answers need.

Time is not measured here, since a busy machine would decide the verdict; what takes the time is.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.server import CITY_ENVIRON, free_port
from tests.support.source import ROOT

# Each is loaded by the first request, command or record that has a use for it.
HEAVY = {
    "aiosmtplib", "alembic", "authlib", "babel", "cbor2", "httpx2", "jose", "jsonschema", "jwt", "mako", "psycopg",
    "pydantic.v1", "pyotp", "referencing", "rich", "segno", "sqlalchemy.dialects.postgresql", "webauthn", "zxcvbn",
    "portal.city.seed", "portal.migrations.env", "portal.walk.main",
}  # fmt: skip
# What checks a receipt has no server in it.
SERVER = {"fastapi", "sqlalchemy", "sqlmodel", "starlette", "uvicorn", "jinja2", "portal.app", "portal.settings"}

_COMMAND = """
import atexit, gc, json, sys

def tell():
    found = {"loaded": [name for name, module in sys.modules.items() if module is not None],
             "collecting": gc.isenabled(), "frozen": gc.get_freeze_count()}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)

atexit.register(tell)
from portal.__main__ import app
app(sys.argv[2:])
"""


def _begin(report: Path, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
    """The command in a process that writes at its end what it had loaded."""
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, report, *arguments],
        cwd=ROOT, env=os.environ | CITY_ENVIRON | environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture(scope="module")
def second_start(city: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a server that finds its data says of itself after its first answer."""
    place = tmp_path_factory.mktemp("second-start")
    shutil.copytree(city, place / "data")
    port = free_port()
    process = _begin(place / "report", "serve", "--port", str(port), "--data", str(place / "data"))
    try:
        ends = time.monotonic() + 60
        while True:
            try:
                httpx2.get(f"http://localhost:{port}/healthz", timeout=30).raise_for_status()
                break
            except httpx2.TransportError:
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    found: dict[str, Any] = json.loads((place / "report").read_text())
    return found


def test_a_start_with_data_loads_nothing_that_its_first_answer_has_no_use_for(second_start: dict[str, Any]) -> None:
    loaded = set(second_start["loaded"])
    assert "portal.server" in loaded
    assert loaded & HEAVY == set()


def test_the_cycle_collector_works_again_and_leaves_alone_what_the_start_made(second_start: dict[str, Any]) -> None:
    assert second_start["collecting"]
    assert second_start["frozen"] > 100_000


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["serve", "--help"],
        ["ledger", "verify-receipt", "--help"],
        ["ledger", "verify-receipt", "pyproject.toml", "--vkey", "not a key", "--jwks", "pyproject.toml"],
    ],
    ids=["help", "help-of-serve", "help-of-verify-receipt", "verify-receipt"],
)
def test_a_command_that_serves_nobody_loads_no_server(arguments: list[str], tmp_path: Path) -> None:
    _begin(tmp_path / "report", *arguments).wait(60)
    loaded = set(json.loads((tmp_path / "report").read_text())["loaded"])
    assert "portal.cli.ledger" in loaded
    assert loaded & (HEAVY | SERVER) == set()
