"""The load generators of `make bench`: wrk for one repeated request, a small asyncio client for whole flows.

Run as a program of its own, pinned to a core of its own, so that what it costs is not charged to a server:

    taskset -c 1 python -m tests.bench.load flow '{"url": …}' SECONDS USERS

It prints one JSON object: how many, how many failed, and the latencies.
"""

import asyncio
import base64
import hashlib
import json
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

LOAD_CORE = "1"
PINNED = ["nice", "-n", "-10", "taskset", "-c"]  # the niceness needs root; without, nice warns and goes on


@dataclass(frozen=True)
class Measured:
    """One timed run: operations a second, and the latency's median and 99th percentile in milliseconds."""

    rate: float
    p50: float
    p99: float
    failed: int


class Connection:
    """One keep-alive HTTP/1.1 connection of one virtual user, with a cookie jar."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80
        self.cookies: dict[str, tuple[str, str]] = {}  # name: (path, value)

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def request(
        self, method: str, target: str, headers: dict[str, str], body: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request, read one answer (Content-Length or chunked), keep its cookies."""
        lines = [f"{method} {target} HTTP/1.1", f"host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        sent = [f"{name}={value}" for name, (path, value) in self.cookies.items() if target.startswith(path)]
        if sent:
            lines.append("cookie: " + "; ".join(sent))
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        got: dict[str, str] = {}
        for line in head[1:]:
            name, _, value = line.partition(": ")
            name = name.lower()
            if name == "set-cookie":
                key, content = value.partition(";")[0].split("=", 1)
                path = re.search(r"; *path=([^;]+)", value, re.IGNORECASE)
                self.cookies[key] = (path[1] if path else "/", content)
            elif name:
                got[name] = value
        if "content-length" in got:
            answer = await self.reader.readexactly(int(got["content-length"]))
        elif got.get("transfer-encoding") == "chunked":
            answer = b""
            while size := int(await self.reader.readline(), 16):
                answer += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
        else:
            answer = b""
        return int(head[0].split(" ")[1]), got, answer


def basic(client_id: str, client_secret: str) -> str:
    """The Authorization header of client_secret_basic."""
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def pkce() -> tuple[str, str]:
    """A verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(32)
    digest = hashlib.sha256(verifier.encode()).digest()
    return verifier, base64.urlsafe_b64encode(digest).decode().rstrip("=")


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def code_flow(connection: Connection, side: dict[str, Any]) -> dict[str, Any]:
    """Authorization request with a session present, then the token request: two requests on either side."""
    verifier, challenge = pkce()
    query = urlencode(
        {
            "client_id": side["client_id"], "response_type": "code", "scope": side["scope"],
            "redirect_uri": side["redirect_uri"], "code_challenge": challenge,
            "code_challenge_method": "S256", "state": "s", "nonce": "n",
        }
    )  # fmt: skip
    target = f"{side['authorize']}?{query}"
    location = ""
    for _ in range(6):  # the first flow of a user signs in on the way; later ones answer at once
        status, headers, body = await connection.request("GET", target, {})
        location = headers.get("location", "")
        if status not in (302, 303) or not location:
            raise RuntimeError(f"authorization answered {status}: {body[:300]!r}")
        if location.startswith(side["redirect_uri"]):
            break
        target = re.sub(r"^https?://[^/]+", "", location)
    code = parse_qs(urlsplit(location).query)["code"][0]
    fields = {
        "grant_type": "authorization_code", "code": code,
        "redirect_uri": side["redirect_uri"], "code_verifier": verifier,
    }  # fmt: skip
    return await token_request(connection, side, fields)


async def token_request(connection: Connection, side: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    """POST to the token endpoint; anything but 200 is a failure."""
    headers = {**FORM, "authorization": basic(side["client_id"], side["client_secret"])}
    status, _, body = await connection.request("POST", side["token"], headers, urlencode(fields).encode())
    if status != 200:
        raise RuntimeError(f"token endpoint answered {status}: {body[:300]!r}")
    answer: dict[str, Any] = json.loads(body)
    return answer


async def _flow(side: dict[str, Any]) -> Callable[[], Awaitable[None]]:
    connection = Connection(side["url"])
    connection.cookies = {name: ("/", value) for name, value in side.get("cookies", {}).items()}
    await connection.open()
    await code_flow(connection, side)

    async def again() -> None:
        await code_flow(connection, side)

    return again


async def _refresh(side: dict[str, Any]) -> Callable[[], Awaitable[None]]:
    connection = Connection(side["url"])
    connection.cookies = {name: ("/", value) for name, value in side.get("cookies", {}).items()}
    await connection.open()
    held = (await code_flow(connection, side))["refresh_token"]

    async def again() -> None:
        nonlocal held
        answer = await token_request(connection, side, {"grant_type": "refresh_token", "refresh_token": held})
        if answer["refresh_token"] == held:
            raise RuntimeError("the refresh token did not rotate")
        held = answer["refresh_token"]

    return again


CASES = {"flow": _flow, "refresh": _refresh}


async def drive(case: str, side: dict[str, Any], seconds: float, users: int) -> Measured:
    """Run the case in a closed loop with so many virtual users for so long."""
    steps = [await CASES[case](side) for _ in range(users)]
    taken: list[float] = []
    failures: list[str] = []
    end = time.perf_counter() + seconds

    async def user(step: Callable[[], Awaitable[None]]) -> None:
        while (started := time.perf_counter()) < end:
            try:
                await step()
            except Exception as error:
                failures.append(repr(error))
                if len(failures) > 20:
                    raise
            taken.append(time.perf_counter() - started)

    began = time.perf_counter()
    await asyncio.gather(*(user(step) for step in steps))
    elapsed = time.perf_counter() - began
    if failures:
        print(failures[0], file=sys.stderr)
    taken.sort()
    return Measured(
        rate=(len(taken) - len(failures)) / elapsed,
        p50=taken[len(taken) // 2] * 1000,
        p99=taken[int(len(taken) * 0.99)] * 1000,
        failed=len(failures),
    )


def flow(case: str, side: dict[str, Any], *, seconds: float, users: int) -> Measured:
    """The same in a process of its own on the load generator's core."""
    command = [
        "nice",
        "-n",
        "-10",
        "taskset",
        "-c",
        LOAD_CORE,
        sys.executable,
        "-m",
        "tests.bench.load",
        case,
        json.dumps(side),
    ]
    done = subprocess.run(
        [*command, str(seconds), str(users)], check=True, stdout=subprocess.PIPE, text=True, timeout=120
    )
    return Measured(**json.loads(done.stdout))


def wrk(
    url: str,
    *,
    seconds: float,
    connections: int = 32,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    body: str = "",
) -> Measured:
    """One request, repeated by wrk on its own core; any status but 2xx counts as failed."""

    def quoted(text: str) -> str:
        return json.dumps(text)  # a JSON string of ASCII is a Lua string too

    script = f"wrk.method = {quoted(method)}\nwrk.body = {quoted(body)}\n"
    for name, value in (headers or {}).items():
        script += f"wrk.headers[{quoted(name)}] = {quoted(value)}\n"
    script += (
        "done = function(summary, latency)\n"
        '  io.write(string.format("RESULT %d %d %f %f %d\\n", summary.requests, summary.duration,'
        " latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.timeout +"
        " summary.errors.read + summary.errors.write + summary.errors.connect))\nend\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        Path(file.name).write_text(script)
        done = subprocess.run(
            [*PINNED, LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
             "-s", file.name, url],
            check=True, stdout=subprocess.PIPE, text=True, timeout=120,
        )  # fmt: skip
    found = re.search(r"RESULT (\d+) (\d+) ([\d.]+) ([\d.]+) (\d+)", done.stdout)
    if not found:
        raise RuntimeError(f"wrk said: {done.stdout}")
    requests, micros, p50, p99, failed = (float(group) for group in found.groups())
    return Measured((requests - failed) / (micros / 1e6), p50 / 1000, p99 / 1000, int(failed))


def main() -> None:
    """See the module's docstring."""
    case, side, seconds, users = sys.argv[1:]
    import uvloop

    print(json.dumps(asdict(uvloop.run(drive(case, json.loads(side), float(seconds), int(users))))))


if __name__ == "__main__":
    main()
