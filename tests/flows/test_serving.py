"""Serving: an address of one's own, TLS with a second port for client certificates, two processes on PostgreSQL, the
jobs beside them, a clean end."""

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.support.certificates import Authority
from tests.support.server import Served, free_port
from tests.support.source import ROOT


@contextmanager
def serving(*options: str, env: dict[str, str], url: str, verify: Any = True) -> Iterator[subprocess.Popen[bytes]]:
    """The real command until the block ends, once it answers."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "portal", "serve", *options],
        cwd=ROOT, env={**clean, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        ends = time.monotonic() + 90
        while True:
            try:
                httpx2.get(f"{url}/healthz", verify=verify, timeout=5).raise_for_status()
                break
            except httpx2.TransportError:
                assert process.poll() is None, process.stderr and process.stderr.read().decode()
                assert time.monotonic() < ends, "no answer"
                time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stderr is not None
        process.stderr.close()


def test_an_interrupt_ends_it_cleanly(server: Served) -> None:
    """Ctrl-C: exit code 0, and the next start serves the same data."""
    os.kill(server.pid, signal.SIGINT)
    assert server._reap() == 0
    server.start()
    assert httpx2.get(f"{server.url}/ledger/checkpoint").status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
def test_it_serves_tls_and_a_second_port_for_client_certificates(tmp_path: Path) -> None:
    """RFC 8705 with curl: the second port asks for a certificate of the given CA, and lets browsers in without."""
    ca = Authority()
    cert, key = ca.give("server", "localhost").write(tmp_path, "server")
    cas, _ = ca.pair.write(tmp_path, "ca")
    port, second = free_port(), free_port()
    issuer = f"https://localhost:{port}"
    trust = ssl.create_default_context(cafile=str(cas))
    options = [
        "--port", str(port), "--mtls-port", str(second), "--mtls-ca", str(cas), "--data", str(tmp_path / "data"),
        "--tls-cert", str(cert), "--tls-key", str(key), "--issuer", issuer,
    ]  # fmt: skip

    def curl(name: str, url: str, *more: str) -> dict[str, Any]:
        pair = ["--cert", str(tmp_path / f"{name}.pem"), "--key", str(tmp_path / f"{name}.key")] if name else []
        done = subprocess.run(
            ["curl", "-sS", "--max-time", "20", "--cacert", str(cas), *pair, *more, url], capture_output=True, text=True
        )
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {"refused": done.stderr}

    for name, pair in {"meter": ca.give("meter", "meter.example"), "other": ca.give("other", "other.example"),
                       "strange": Authority("Strange").give("meter", "meter.example")}.items():  # fmt: skip
        pair.write(tmp_path, name)
    with serving(*options, env={"SEKISHO_IDENTITY__REGISTRATION": "open"}, url=issuer, verify=trust):
        found = httpx2.get(f"{issuer}/.well-known/openid-configuration", verify=trust).json()
        aliases = found["mtls_endpoint_aliases"]
        assert aliases["token_endpoint"] == f"https://localhost:{second}/oauth/token"
        assert httpx2.get(f"https://localhost:{second}/healthz", verify=trust).status_code == 200
        assert "strict-transport-security" in httpx2.get(f"{issuer}/sign-in", verify=trust).headers
        wish = {
            "client_name": "Meter", "redirect_uris": ["https://meter.example/cb"], "response_types": ["code"],
            "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "meter.example",
            "tls_client_certificate_bound_access_tokens": True,
        }  # fmt: skip
        made = httpx2.post(found["registration_endpoint"], json=wish, verify=trust)
        assert made.status_code == 201, made.text
        ask = ["-d", f"client_id={made.json()['client_id']}", "-d", "token=none"]
        assert curl("meter", aliases["introspection_endpoint"], *ask) == {"active": False}
        assert curl("other", aliases["introspection_endpoint"], *ask)["error"] == "invalid_client"
        assert curl("", aliases["introspection_endpoint"], *ask)["error"] == "invalid_client"
        assert curl("meter", f"{issuer}/oauth/introspect", *ask)["error"] == "invalid_client"
        assert "refused" in curl("strange", aliases["introspection_endpoint"], *ask)  # in the handshake already


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="127.0.0.2 is an address of Linux's loopback only")
def test_it_listens_on_the_address_it_is_given_and_on_no_other(tmp_path: Path) -> None:
    port = free_port()
    with serving("--host", "127.0.0.2", "--port", str(port), "--data", str(tmp_path / "data"), env={},
                 url=f"http://127.0.0.2:{port}"):  # fmt: skip
        assert httpx2.get(f"http://127.0.0.2:{port}/ledger/checkpoint").status_code == 200
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"http://127.0.0.1:{port}/healthz")


def test_an_address_of_another_machine_is_refused_in_one_line(tmp_path: Path) -> None:
    """192.0.2.1 is nobody's (RFC 5737)."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    done = subprocess.run(
        [sys.executable, "-m", "portal", "serve", "--host", "192.0.2.1", "--port", str(free_port()), "--data",
         str(tmp_path / "data")],
        cwd=ROOT, env=clean, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    assert "192.0.2.1" in done.stderr


@pytest.fixture
def moved_in(postgres: Any, tmp_path: Path) -> dict[str, str]:
    """The environment of a city on PostgreSQL: an empty database with the schema, and a root key."""
    env = {"SEKISHO_DATABASE_URL": postgres.create(), "SEKISHO_DATA": str(tmp_path / "data")}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    (tmp_path / "data").mkdir()
    for command in (["keys", "new-root", str(tmp_path / "data" / "root.key")], ["migrate"]):
        done = subprocess.run(
            [sys.executable, "-m", "portal", *command], cwd=ROOT, env={**clean, **env}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return env


def _unsealed(url: str) -> tuple[int, int]:
    """How many audit entries there are, and how many have no place in the chain yet."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        row = connection.execute("SELECT count(*), count(*) FILTER (WHERE seq IS NULL) FROM kit_audit").fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.postgres
def test_the_jobs_run_alone_beside_a_server_that_runs_none(moved_in: dict[str, str]) -> None:
    """What a server without jobs wrote down stays without its place in the chain until `sekisho jobs` lays it."""
    port = free_port()
    url = f"http://localhost:{port}"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    database = moved_in["SEKISHO_DATABASE_URL"]
    with serving("--port", str(port), env={**moved_in, "SEKISHO_JOBS": "false"}, url=url):
        for ending in (signal.SIGTERM, signal.SIGINT):  # a service manager's word, and Ctrl-C
            form = {"login": "nobody", "password": "not this one"}
            assert httpx2.post(f"{url}/sign-in", data=form, headers={"origin": url}).status_code == 422
            written, waiting = _unsealed(database)
            assert waiting > 0
            beside = subprocess.Popen(
                [sys.executable, "-m", "portal", "jobs"],
                cwd=ROOT, env={**clean, **moved_in}, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            try:
                ends = time.monotonic() + 60
                while waiting:
                    assert beside.poll() is None, beside.stderr and beside.stderr.read()
                    assert time.monotonic() < ends, "nothing was sealed"
                    time.sleep(0.1)
                    total, waiting = _unsealed(database)
                    assert total >= written
                beside.send_signal(ending)
                assert beside.wait(30) == 0
            finally:
                beside.kill()
                _out, said = beside.communicate()
            assert "Traceback" not in said


def test_jobs_say_that_an_embedded_database_needs_none(tmp_path: Path) -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
    done = subprocess.run(
        [sys.executable, "-m", "portal", "jobs", "--data", str(tmp_path / "data")],
        cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "sekisho serve" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.postgres
def test_two_workers_share_a_postgresql_and_end_together(moved_in: dict[str, str]) -> None:
    port = free_port()
    url = f"http://localhost:{port}"
    with serving("--workers", "2", "--port", str(port), env=moved_in, url=url) as process:
        answers = [httpx2.get(f"{url}/oauth/jwks") for _ in range(20)]  # a connection each: both workers answer
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1, "the workers publish different keys"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
