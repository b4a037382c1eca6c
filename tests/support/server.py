"""The real command in a process of its own, on a free port, with its data in a directory of the test's."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2

from tests.support.source import ROOT


# A ledger keeps its name for life; the same directory is served on another port in each test.
CITY_ENVIRON = {"SEKISHO_CONSENT__LOG_ORIGIN": "minatohama.example/ledger"}


def free_port() -> int:
    """A port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Served:
    """One `sekisho serve`. `url` is its issuer; `kill()` is kill -9; `start()` again serves the same directory."""

    def __init__(self, data: Path, *, port: int | None = None, environ: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._environ = CITY_ENVIRON if environ is None else environ
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._process is not None
        return self._process.pid

    def start(self, *, prefix: tuple[str, ...] = (), patience: float = 30) -> "Served":
        """Start and wait for the first answer. Raises RuntimeError with the server's own words if it gives none."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "portal", "serve", "--port", str(self.port), "--data", self.data],
                cwd=ROOT,
                env=inherited | {"PYTHONUNBUFFERED": "1"} | self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            if self._process.poll() is not None:
                raise RuntimeError(f"the server ended with {self._process.returncode}: {self.words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            time.sleep(0.01)
        else:
            raise RuntimeError(f"the server does not answer: {self.words()}")
        httpx2.get(f"{self.url}/healthz", timeout=patience).raise_for_status()
        return self

    def words(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def kill(self) -> None:
        """End it without any warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            self._process = None
