"""The real command in a process of its own, on a free port, with its data in a directory of the test's."""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
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


class Nursery:
    """A process that has imported everything and forks servers: a start then costs a moment instead of seconds.

    The forked process runs the same `serve` command; killing it is killing a server.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def _order(self, order: dict[str, object]) -> int:
        if self._process is None:
            inherited = {key: value for key, value in os.environ.items() if not key.startswith("SEKISHO_")}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.nursery"],
                cwd=ROOT, env=inherited, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def fork(self, options: dict[str, object], environ: dict[str, str], log: Path) -> int:
        """Start `serve` with these options; returns its process id."""
        return self._order({"serve": options, "environ": environ, "log": str(log)})

    def run(
        self, *arguments: Path | str, environ: dict[str, str], place: Path = ROOT, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `sekisho` with these arguments to its end, in this environment and no other."""
        line = [str(each) for each in arguments]
        with tempfile.TemporaryDirectory() as talk:
            files = {name: Path(talk) / name for name in ("stdin", "stdout", "stderr")}
            files["stdin"].write_text(stdin)
            pid = self._order({"run": line, "environ": environ, "place": str(place), "talk": talk})
            code = self.wait(pid)
            return subprocess.CompletedProcess(line, code, files["stdout"].read_text(), files["stderr"].read_text())

    def wait(self, pid: int) -> int:
        """Wait for a server to end; its exit code, negative for a signal."""
        return self._order({"wait": pid})

    def ended(self, pid: int) -> bool:
        """Whether it has ended by itself."""
        return bool(self._order({"ended": pid}))

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@cache
def nursery() -> Nursery:
    """This process's own, started when it is first asked for something."""
    made = Nursery()
    atexit.register(made.close)
    return made


class Served:
    """One `sekisho serve`. `url` is its issuer; `kill()` is kill -9; `start()` again serves the same directory."""

    def __init__(self, data: Path, *, port: int | None = None, environ: dict[str, str] | None = None) -> None:
        self.data = data
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._environ = CITY_ENVIRON if environ is None else environ
        self._process: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._pid is not None
        return self._pid

    def start(self, *, prefix: tuple[str, ...] = (), patience: float = 60) -> "Served":
        """Start and wait for the first answer. Raises RuntimeError with the server's own words if it gives none.

        With a `prefix` (`nice`, `taskset`) it is a new interpreter; else it is forked from the nursery.
        """
        if not prefix:
            options: dict[str, object] = {"port": self.port, "data": str(self.data)}
            self._pid = nursery().fork(options, self._environ, self.log)
        else:
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
            self._pid = self._process.pid
        ends = time.monotonic() + patience
        while time.monotonic() < ends:
            if self._ended():
                raise RuntimeError(f"the server ended: {self.words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                break
            time.sleep(0.01)
        else:
            raise RuntimeError(f"the server does not answer: {self.words()}")
        httpx2.get(f"{self.url}/healthz", timeout=patience).raise_for_status()
        return self

    def _ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        return nursery().ended(self.pid)

    def words(self) -> str:
        """The end of what it printed."""
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def kill(self) -> None:
        """End it without any warning."""
        if self._pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._reap()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        if self._pid is None:
            return 0
        os.kill(self._pid, signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        assert self._pid is not None
        pid, self._pid = self._pid, None
        if self._process is not None:
            process, self._process = self._process, None
            return process.wait(30)
        return nursery().wait(pid)
