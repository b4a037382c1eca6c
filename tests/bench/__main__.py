"""`make bench`: ours beside npm oidc-provider and PyPI pymerkle, in one interleaved run, as ratios.

One server process pinned to core 0, the load on core 1. Ours is durable (synced before the answer) and audited; the
peers keep everything in memory, but for pymerkle, which keeps its tree in SQLite. A figure is the median of the rounds,
with the least and the most beside it; a ratio is median by median of the same rounds. Absolute figures say little about
another day: compare the ratios. "CPU" is the same ratio in server CPU time an operation, steadier on a busy machine.

    python -m tests.bench [--rounds 5] [--seconds 4] [case …]
"""

import argparse
import asyncio
import gc
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.bench import ours as our_side
from tests.bench.load import FORM, Measured, basic, flow, wrk
from tests.support.server import free_port

PEERS = Path(__file__).parent / "peers"
PEER_SECRET = "bench-secret-of-the-peer-which-is-long-enough-1234567"

Run = Callable[[float], Measured]


@dataclass
class Case:
    """One comparison: how to run ours and the peer's, and what DESIGN asks of the ratio."""

    name: str
    ours: Run
    peer: Run | None
    must: float | None
    goal: float | None
    unit: str = "/s"
    our_pid: int | None = None
    peer_pid: int | None = None
    rates: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "peer": []})
    costs: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "peer": []})
    p99: list[float] = field(default_factory=list)

    def round(self, seconds: float) -> None:
        """Ours, then the peer's."""
        for side, run, pid in (("ours", self.ours, self.our_pid), ("peer", self.peer, self.peer_pid)):
            if run is None:
                continue
            before = our_side.cpu_seconds(pid) if pid else 0.0
            measured = run(seconds)
            if measured.failed:
                print(f"  {self.name}, {side}: {measured.failed} failed", file=sys.stderr)
            self.rates[side].append(measured.rate)
            if pid:
                spent = our_side.cpu_seconds(pid) - before
                self.costs[side].append(spent / max(1.0, measured.rate * seconds) * 1e6)
            if side == "ours":
                self.p99.append(measured.p99)

    def row(self) -> str:
        """The line of the report."""

        def spread(values: list[float]) -> str:
            return f"{min(values):,.0f} / {statistics.median(values):,.0f} / {max(values):,.0f}" if values else "-"

        def ratio(ours: list[float], peer: list[float]) -> float | None:
            return statistics.median(ours) / statistics.median(peer) if ours and peer else None

        found = ratio(self.rates["ours"], self.rates["peer"])
        by_cpu = ratio(self.costs["peer"], self.costs["ours"])
        asked = f"{self.must:g}x / {self.goal:g}x" if self.peer and self.must and self.goal else (
            f"{self.must:,.0f} / {self.goal:,.0f}" if self.must and self.goal else "-"
        )  # fmt: skip
        reached = found if self.peer else statistics.median(self.rates["ours"])
        verdict = "" if self.must is None or reached is None else (
            "goal" if self.goal and reached >= self.goal else "must" if reached >= self.must else "BELOW"
        )  # fmt: skip
        return " | ".join(
            (
                f"{self.name:<28}", f"{spread(self.rates['ours']):>25}", f"{spread(self.rates['peer']):>25}",
                f"{found:6.2f}x" if found else "      -", f"{by_cpu:6.2f}x" if by_cpu else "      -",
                f"{statistics.median(self.p99):7.1f}", f"{asked:>14}", verdict,
            )
        )  # fmt: skip


HEADER = " | ".join(
    (f"{'case':<28}", f"{'ours, min / median / max':>25}", f"{'peer, min / median / max':>25}", "  ratio", "    CPU",
     "p99, ms", f"{'must / goal':>14}", "reached")
)  # fmt: skip


def start_peer() -> tuple[subprocess.Popen[bytes], str]:
    """Install the pinned packages if need be, and start oidc-provider on core 0."""
    if not (PEERS / "node_modules").is_dir():
        print("installing the peer (npm ci)", file=sys.stderr)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=PEERS, check=True)
    port = free_port()
    command = ["nice", "-n", "-10", "taskset", "-c", "0", "node", "provider.mjs", str(port)]
    process = subprocess.Popen(command, cwd=PEERS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    for _ in range(400):
        try:
            httpx2.get(f"{url}/jwks").raise_for_status()
            return process, url
        except httpx2.TransportError:
            time.sleep(0.05)
    process.kill()
    raise RuntimeError("oidc-provider did not start")


def oauth_cases(ours: our_side.Ours, peer: subprocess.Popen[bytes], peer_url: str) -> list[Case]:
    """The protocol paths."""
    side = ours.side
    url = side["url"]
    peer_side = {
        "url": peer_url, "client_id": "bench", "client_secret": PEER_SECRET, "scope": "openid offline_access",
        "redirect_uri": "https://client.example/cb", "authorize": "/auth", "token": "/token",
    }  # fmt: skip
    mine = {**FORM, "authorization": basic("bench", ours.secrets["bench"])}
    mine_es256 = {**FORM, "authorization": basic("bench-es256", ours.secrets["bench-es256"])}
    theirs = {**FORM, "authorization": basic("bench", PEER_SECRET)}
    grant = "grant_type=client_credentials&scope=read"
    token = httpx2.post(f"{url}/oauth/token", headers=mine, content=grant).json()["access_token"]
    peer_token = httpx2.post(f"{peer_url}/token", headers=theirs, content="grant_type=client_credentials")
    peer_opaque = peer_token.json()["access_token"]

    def post(base: str, path: str, headers: dict[str, str], body: str) -> Run:
        return lambda seconds: wrk(f"{base}{path}", seconds=seconds, method="POST", headers=headers, body=body)

    def get(base: str, path: str) -> Run:
        return lambda seconds: wrk(f"{base}{path}", seconds=seconds)

    def walk(case: str, of: dict[str, object]) -> Run:
        return lambda seconds: flow(case, of, seconds=seconds, users=our_side.USERS)

    eddsa, es256 = f"{grant}&resource=urn:bench:eddsa", f"{grant}&resource=urn:bench:es256"
    configuration = "/.well-known/openid-configuration"
    cases = [
        Case("client credentials, EdDSA", post(url, "/oauth/token", mine, grant),
             post(peer_url, "/token", theirs, eddsa), 2, 3),
        Case("client credentials, ES256", post(url, "/oauth/token", mine_es256, grant),
             post(peer_url, "/token", theirs, es256), 2, 3),
        Case("introspection", post(url, "/oauth/introspect", mine, f"token={token}"),
             post(peer_url, "/token/introspection", theirs, f"token={peer_opaque}"), 2.5, 4),
        Case("discovery", get(url, configuration), get(peer_url, configuration), 3, 4),
        Case("JWKS", get(url, "/oauth/jwks"), get(peer_url, "/jwks"), 2.2, 3),
        Case("code flow with PKCE", walk("flow", side), walk("flow", peer_side), 1.5, 2.5),
        Case("refresh with rotation", walk("refresh", side), walk("refresh", peer_side), 1.5, 2.5),
    ]  # fmt: skip
    for case in cases:
        case.our_pid, case.peer_pid = ours.served.pid, peer.pid
    return cases


def entries() -> Callable[[], bytes]:
    """Gives entries of 256 bytes, no two alike, at no cost that would be measured with what is done with them."""
    same, number = os.urandom(248), itertools.count()
    return lambda: same + next(number).to_bytes(8)


class Pymerkle:
    """PyPI pymerkle's tree in an SQLite file, in this process: one append, one commit."""

    def __init__(self, path: Path) -> None:
        from pymerkle import SqliteTree

        self._tree = SqliteTree(str(path))
        self._entry = entries()

    def __call__(self, seconds: float) -> Measured:
        """Append 256 bytes, one after another."""
        taken = []
        ends = time.perf_counter() + seconds
        began = time.perf_counter()
        while (started := time.perf_counter()) < ends:
            self._tree.append_entry(self._entry())
            taken.append(time.perf_counter() - started)
        return measured(taken, time.perf_counter() - began)


def measured(taken: list[float], elapsed: float) -> Measured:
    """Rate and latencies of operations that took so long each."""
    taken.sort()
    return Measured(len(taken) / elapsed, taken[len(taken) // 2] * 1000, taken[int(len(taken) * 0.99)] * 1000, failed=0)


def our_log(path: Path) -> Run:
    """Our log in this process, 64 callers waiting at a time, each answered when its entry is durable and signed for."""

    async def run(seconds: float) -> Measured:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from sqlalchemy import create_engine

        from keys.notes import LogSigner
        from kit.db import metadata, open_database
        from kit.tlog.log import Logs, append

        url = f"sqlite:///{path}"
        engine = create_engine(url)
        metadata.create_all(engine)
        engine.dispose()
        database = open_database(url)
        logs = Logs(database)
        logs.add("main", "bench.example/log", LogSigner("bench.example/log", Ed25519PrivateKey.generate()))
        await database.start()
        await logs.start()
        taken: list[float] = []
        entry = entries()
        ends = time.perf_counter() + seconds

        async def caller() -> None:
            while (started := time.perf_counter()) < ends:
                await database.append(append, entry())
                taken.append(time.perf_counter() - started)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(64)))
        elapsed = time.perf_counter() - began
        await database.stop()
        return measured(taken, elapsed)

    def go(seconds: float) -> Measured:
        import uvloop

        gc.collect()
        gc.freeze()  # as `serve` does when its doors are open (portal.cli.common.quick_start)
        try:
            return uvloop.run(run(seconds))
        finally:
            gc.unfreeze()

    return go


def ledger_cases(ours: our_side.Ours, folder: Path) -> list[Case]:
    """Appends to the transparency log."""
    url = ours.side["url"]
    peer = Pymerkle(folder / "pymerkle.db")
    entry = {"content-type": "application/octet-stream"}
    body = "x" * 256
    over_http: Run = lambda seconds: wrk(  # noqa: E731
        f"{url}/ledger/add", seconds=seconds, connections=64, method="POST", headers=entry, body=body
    )
    return [
        Case("ledger append, 64 over HTTP", over_http, peer, 12, 20),
        Case("ledger append, in process", our_log(folder / "log.db"), peer, 30, 60),
    ]


def alone_cases(ours: our_side.Ours) -> list[Case]:
    """What has no peer here."""
    url = ours.side["url"]
    bearer = {"authorization": f"Bearer {ours.access}"}
    as_json = {**bearer, "content-type": "application/json"}

    def decide(seconds: float) -> Measured:
        return wrk(f"{url}/api/consent/decision", seconds=seconds, method="POST", headers=as_json,
                   body=json.dumps(ours.decision))  # fmt: skip

    def read(seconds: float) -> Measured:
        return wrk(f"{url}/api/bank/records?category=mobility&limit=5", seconds=seconds, connections=8, headers=bearer)

    def write(seconds: float) -> Measured:
        return wrk(f"{url}/api/bank/records", seconds=seconds, connections=8, method="POST", headers=as_json,
                   body=our_side.deposit())  # fmt: skip

    cases = [
        Case("consent decision", decide, None, 2500, 4500),
        Case("bank read, 1 KiB", read, None, None, None),
        Case("bank write, 1 KiB", write, None, None, None),
    ]
    for case in cases:
        case.our_pid = ours.served.pid
    return cases


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("cases", nargs="*", help="only cases whose name contains one of these words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    chosen = parser.parse_args()
    for needed in ("wrk", "node", "npm", "taskset"):
        if shutil.which(needed) is None:
            sys.exit(f"make bench needs {needed}, which is not on this machine")
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-") as name:
        folder = Path(name)
        peer, peer_url = start_peer()
        ours = our_side.prepare(folder / "data")
        try:
            cases = [*oauth_cases(ours, peer, peer_url), *ledger_cases(ours, folder), *alone_cases(ours)]
            if chosen.cases:
                cases = [case for case in cases if any(word.lower() in case.name.lower() for word in chosen.cases)]
            for case in cases:  # warm-up: caches, just-in-time compilation, the first pages of the files
                case.ours(1)
                if case.peer:
                    case.peer(1)
            for number in range(chosen.rounds):
                print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr)
                for case in cases:
                    case.round(chosen.seconds)
            print(f"\n{HEADER}\n{'-' * len(HEADER)}")
            for case in cases:
                print(case.row())
            memory = Path(f"/proc/{ours.served.pid}/status").read_text().split("VmRSS:")[1].split()[0]
            peer_memory = Path(f"/proc/{peer.pid}/status").read_text().split("VmRSS:")[1].split()[0]
            print(f"\nmemory in use: ours {int(memory) // 1024} MiB, oidc-provider {int(peer_memory) // 1024} MiB")
            ours.served.kill()
            starts = sorted(our_side.start_to_first_answer(folder / "data") for _ in range(3))
            print(
                f"start to first answer: ours {starts[0]:.2f} / {starts[1]:.2f} / {starts[2]:.2f} s (the peer: 0.8 s)"
            )
        finally:
            peer.kill()
            ours.served.kill()


if __name__ == "__main__":
    main()
