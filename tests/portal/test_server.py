"""The server's own limits (portal/protocol.py): heads of any size and requests that never end."""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit import context
from kit.fetch import Fetcher, OutgoingSettings
from kit.front import Call, FrontRow, FrontTable, Reply
from portal import protocol, server

pytestmark = pytest.mark.anyio


async def _app(scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % size})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A listener as `sekisho serve` configures it."""
    (config,) = server.configs(_app, host="127.0.0.1", port=0)  # type: ignore[arg-type]
    opened = asyncio.Event()
    running = server._Server(config, opened.set)
    task = asyncio.create_task(running.serve())
    await opened.wait()
    yield running.servers[0].sockets[0].getsockname()[1]
    running.should_exit = True
    await task


async def _send(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.suppress(ConnectionError):
        for part in parts:
            writer.write(part)
            await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


BIG = [b"A" * 16_384] * 64


@pytest.mark.parametrize("head", [b"GET /", b"GET / HTTP/1.1\r\nhost: x\r\nx-big: "])
async def test_a_head_without_end_is_cut_off(port: int, head: bytes) -> None:
    assert b" 200 " not in await _send(port, head, *BIG)


async def test_many_headers_without_end_are_cut_off(port: int) -> None:
    assert b" 200 " not in await _send(port, b"GET / HTTP/1.1\r\n", *[b"x: " + b"A" * 8000 + b"\r\n"] * 64)


async def test_trailers_without_end_are_cut_off(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-big: "
    assert b" 200 " not in await _send(port, head, *BIG)


async def test_a_long_body_and_many_requests_on_one_connection_pass(port: int) -> None:
    one = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1048576\r\n\r\n"
    many = b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"A" * 30_000 + b"\r\n\r\n"
    last = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    answer = await _send(port, one, *BIG, *[many] * 10, last)
    assert answer.count(b"HTTP/1.1 200") == 12
    assert b"1048576" in answer


async def test_a_request_that_never_ends_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN", 0.05)
    monkeypatch.setattr(protocol, "_LOOK_EVERY", 0.05)
    assert await _send(port, b"") == b""
    assert await _send(port, b"GET / HTTP/1.1\r\nhost: ") == b""
    assert b" 200 " not in await _send(port, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")


# -- the short way to the front table --------------------------------------------------------------------------------


class _Fronted:
    """The application above with a front table before it, as the building has."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.ended: list[str] = []

        async def now(call: Call) -> Reply:
            return Reply(200, b"now:" + await call.body() + b":" + call.query.encode())

        async def later(call: Call) -> Reply:
            await asyncio.sleep(0.01)
            return Reply(200, b"later:" + await call.body())

        async def until(call: Call) -> Reply:
            await self.waiting.wait()
            self.ended.append(context.request.get().source)
            return Reply(200, b"until")

        async def nothing(call: Call) -> Reply:
            return Reply(304, b"", [(b"etag", b'"a"')])

        async def split(call: Call) -> Reply:
            return Reply(200, b"", [(b"x-name", b"a\r\nset-cookie: b")])

        async def large(call: Call) -> Reply:
            return Reply(200, b"L" * 100_000)

        rows = [
            FrontRow(method, path, "public", handler, {}, "portal")
            for path, handler in [
                ("/now", now), ("/later", later), ("/until", until), ("/none", nothing), ("/split", split),
                ("/large", large),
            ]
            for method in ("GET", "POST")
        ]  # fmt: skip
        self.front = FrontTable(rows, _app)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.front(scope, receive, send)


@pytest.fixture
async def fronted() -> AsyncIterator[tuple[int, _Fronted, Any]]:
    app = _Fronted()
    (config,) = server.configs(app, host="127.0.0.1", port=0)  # type: ignore[arg-type]
    opened = asyncio.Event()
    running = server._Server(config, opened.set)
    task = asyncio.create_task(running.serve())
    await opened.wait()
    yield running.servers[0].sockets[0].getsockname()[1], app, running
    app.waiting.set()
    running.should_exit = True
    await task


def _get(path: str, *, close: bool = False, method: str = "GET", more: str = "", body: bytes = b"") -> bytes:
    length = f"content-length: {len(body)}\r\n" if body else ""
    end = "connection: close\r\n" if close else ""
    return f"{method} {path} HTTP/1.1\r\nhost: x\r\n{length}{more}{end}\r\n".encode() + body


def _bodies(answer: bytes) -> list[bytes]:
    """The bodies of answers that say their length, in order."""
    found = []
    while answer:
        head, _, answer = answer.partition(b"\r\n\r\n")
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"transfer-encoding" in fields:
            size, _, rest = answer.partition(b"\r\n")
            body, answer = rest[: int(size, 16)], rest[int(size, 16) + len(b"\r\n0\r\n\r\n") :]
        else:
            size_of = int(fields.get(b"content-length", b"0"))
            body, answer = answer[:size_of], answer[size_of:]
        found.append(body)
    return found


async def test_requests_sent_ahead_are_answered_in_their_order_whatever_way_they_go(
    fronted: tuple[int, _Fronted, Any],
) -> None:
    """RFC 9112 section 9.3.2: a server must send the answers in the order of the requests."""
    port, _, _ = fronted
    kinds = [
        (_get("/now?q=1"), b"now::q=1"),
        (_get("/later", method="POST", body=b"abc"), b"later:abc"),
        (_get("/now", method="POST", body=b"x" * 10), b"now:xxxxxxxxxx:"),
        (_get("/else", method="POST", body=b"x" * 7), b"7"),
        (_get("/later"), b"later:"),
        (_get("/now", method="POST", more="transfer-encoding: chunked\r\n") + b"2\r\nhi\r\n0\r\n\r\n", b"now:hi:"),
    ]
    order = [0, 0, 1, 2, 3, 0, 4, 1, 5, 3, 2, 0, 5, 5, 4]
    sent = b"".join(kinds[n][0] for n in order) + _get("/now", close=True)
    expected = [kinds[n][1] for n in order] + [b"now::"]
    assert _bodies(await _send(port, sent)) == expected
    in_pieces = [sent[n : n + 7] for n in range(0, len(sent), 7)]
    assert _bodies(await _send(port, *in_pieces)) == expected


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (_get("/now", method="HEAD", close=True), b"content-length: 5\r\n\r\n"),
        (_get("/none", close=True), b'etag: "a"\r\n'),
        (_get("/now", method="PUT", close=True), b"405"),
        (_get("/now#f", close=True), b"now::"),
        (_get("/n%6fw", close=True), b"now::"),
        (_get("/now", method="POST", close=True, more="expect: 100-continue\r\n", body=b"a"), b"now:a:"),
        (_get("/now", method="POST", close=True, body=b"a" * 70_000), b"413"),
        (b"GET /now HTTP/1.0\r\n\r\n", b"now::"),
        (_get("/split", close=True), b""),
    ],
    ids=["head", "not modified", "method", "fragment", "escaped", "expect", "large body", "http 1.0", "split header"],
)
async def test_an_unusual_request_gets_its_answer(
    fronted: tuple[int, _Fronted, Any], request_bytes: bytes, expected: bytes
) -> None:
    answer = await _send(fronted[0], request_bytes)
    assert expected in answer
    assert b"set-cookie" not in answer
    if b"304" in answer:
        assert b"content-length" not in answer  # RFC 9110 section 8.6


async def test_a_caller_who_leaves_does_not_stop_what_was_begun(fronted: tuple[int, _Fronted, Any]) -> None:
    port, app, running = fronted
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_get("/until"))
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.close()
    await asyncio.sleep(0.05)
    app.waiting.set()
    await asyncio.sleep(0.05)
    assert app.ended == ["127.0.0.1"]
    assert not running.server_state.tasks
    assert await _send(port, _get("/now", close=True))


async def test_a_client_that_never_reads_does_not_fill_the_memory(fronted: tuple[int, _Fronted, Any]) -> None:
    port, _, running = fronted
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = _get("/large")
    for _ in range(30):  # 3 MB of answers
        writer.write(request)
    await asyncio.sleep(0.3)
    (connection,) = running.server_state.connections
    assert connection.transport.get_write_buffer_size() < 1_000_000
    total = 0
    while total < 3_000_000:
        total += len(await asyncio.wait_for(reader.read(1_000_000), 5))
    writer.close()


async def test_what_one_request_sets_the_next_on_its_connection_does_not_see(
    fronted: tuple[int, _Fronted, Any],
) -> None:
    port, app, _ = fronted
    seen: list[str] = []
    mark: contextvars.ContextVar[str] = contextvars.ContextVar("mark", default="clean")

    async def leaks(_: Call) -> Reply:
        seen.append(mark.get())
        mark.set("dirty")
        return Reply(200)

    methods = app.front.find("/now")
    assert isinstance(methods, dict)
    methods["GET"] = leaks
    await _send(port, _get("/now") * 3 + _get("/now", close=True))
    assert seen == ["clean"] * 4


async def test_an_idle_connection_is_closed_and_a_stopping_server_finishes_what_runs(
    fronted: tuple[int, _Fronted, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, app, running = fronted
    monkeypatch.setattr(protocol, "_LOOK_EVERY", 0.02)
    for_now = running.config.timeout_keep_alive
    running.config.timeout_keep_alive = 0.03
    assert b"200" in await _send(port, _get("/now"))  # ends though nobody asked to close
    running.config.timeout_keep_alive = for_now
    pending = asyncio.create_task(_send(port, _get("/until")))
    await asyncio.sleep(0.05)
    running.should_exit = True
    await asyncio.sleep(0.2)
    app.waiting.set()
    assert b"connection: close" in await pending


async def test_a_burst_of_requests_behind_one_that_waits_ends_the_connection(
    fronted: tuple[int, _Fronted, Any],
) -> None:
    port, _, running = fronted
    assert await _send(port, _get("/until"), _get("/now") * 5000) == b""
    assert not running.server_state.connections


async def test_a_client_that_does_not_read_is_let_go(
    fronted: tuple[int, _Fronted, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN", 0.1)
    monkeypatch.setattr(protocol, "_LOOK_EVERY", 0.05)
    port, _, running = fronted
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(200):
        writer.write(_get("/large"))
    for _ in range(100):
        await asyncio.sleep(0.05)
        if not running.server_state.connections:
            break
    assert not running.server_state.connections
    writer.close()


async def test_a_handler_may_fetch_in_its_first_step(fronted: tuple[int, _Fronted, Any]) -> None:
    """Timeouts need a task, and the first step on the short way has none."""
    port, app, _ = fronted
    fetcher = Fetcher(OutgoingSettings(allow=("127.0.0.1",)))

    async def fetches(_: Call) -> Reply:
        found = await fetcher.get(f"http://127.0.0.1:{port}/now", accept="*/*")
        return Reply(200, b"fetched " + found.body)

    methods = app.front.find("/now")
    assert isinstance(methods, dict)
    methods["POST"] = fetches
    assert b"fetched now::" in await _send(port, _get("/now", method="POST", close=True))
