"""The server's own limits (portal/server.py): heads of any size and requests that never end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portal import server

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
    monkeypatch.setattr(server, "REQUEST_WITHIN", 0.05)
    monkeypatch.setattr(server, "_LOOK_EVERY", 0.05)
    assert await _send(port, b"") == b""
    assert await _send(port, b"GET / HTTP/1.1\r\nhost: ") == b""
    assert b" 200 " not in await _send(port, b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
