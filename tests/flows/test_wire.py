"""Bytes on a connection: the short way for whole answers keeps every promise HTTP makes (RFC 9110, RFC 9112)."""

import re
import socket

import pytest

from tests.support.server import Served

JWKS = b"GET /oauth/jwks HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"POST /oauth/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"


def exchange(server: Served, data: bytes, *, until: int = 1, half_close: bool = False) -> bytes:
    """Send bytes, read until `until` whole answers came or the other side closed."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
        wire.sendall(data)
        if half_close:
            wire.shutdown(socket.SHUT_WR)
        got = b""
        while len(split(got)) < until:
            part = wire.recv(65_536)
            if not part:
                break
            got += part
        return got


def split(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The whole answers in a stream: status, head, body. Understands lengths only: hot paths always send one."""
    found = []
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            break
        found.append((int(head.split(b" ", 2)[1]), head, rest[:size]))
        data = rest[size:]
    return found


def test_a_connection_serves_request_after_request(server: Served) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
        for _ in range(5):
            wire.sendall(JWKS + b"\r\n")
            got = b""
            while not split(got):
                got += wire.recv(65_536)
            ((status, head, body),) = split(got)
            assert (status, body[:9]) == (200, b'{"keys":[')
            assert b"connection: close" not in head
            assert head.lower().count(b"content-length") == 1
            assert b"\r\ndate: " in head
            assert b"x-content-type-options: nosniff" in head


def test_pipelined_requests_are_answered_in_their_order(server: Served) -> None:
    """RFC 9112 section 9.3.2, across the short way, the long way and the framework."""
    page = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    missing = b"GET /ledger/tile/0/999 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    data = JWKS + b"\r\n" + page + missing + FORM + b"Content-Length: 3\r\n\r\na=b" + JWKS + b"\r\n"
    assert [status for status, _, _ in split(exchange(server, data, until=5))] == [200, 200, 404, 401, 200]


@pytest.mark.parametrize("size", [1, 7])
def test_a_body_may_come_in_pieces(server: Served, size: int) -> None:
    body = b"grant_type=client_credentials"
    with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        whole = FORM + b"Content-Length: %d\r\n\r\n" % len(body) + body
        for start in range(0, len(whole), size):
            wire.sendall(whole[start : start + size])
        got = b""
        while not split(got):
            got += wire.recv(65_536)
    assert split(got)[0][0] == 401


def test_a_chunked_body_is_read(server: Served) -> None:
    got = exchange(server, FORM + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n")
    assert split(got)[0][0] == 401


def test_a_body_over_the_limit_is_refused(server: Served) -> None:
    got = exchange(server, FORM + b"Content-Length: 70000\r\n\r\na=" + b"x" * 69_998)
    assert split(got)[0][0] == 413


def test_a_client_that_expects_a_hundred_gets_it(server: Served) -> None:
    """RFC 9110 section 10.1.1."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
        wire.sendall(FORM + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert wire.recv(100).startswith(b"HTTP/1.1 100")
        wire.sendall(b"a=b")
        got = b""
        while not split(got):
            got += wire.recv(65_536)
        assert split(got)[0][0] == 401


@pytest.mark.parametrize(
    "request_line",
    [b"GET /oauth/jwks HTTP/1.0\r\n\r\n", JWKS + b"Connection: close\r\n\r\n"],
)
def test_a_client_that_wants_no_more_is_left_alone(server: Served, request_line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
        wire.sendall(request_line)
        got = b""
        while part := wire.recv(65_536):  # ends only when the server closes
            got += part
    ((status, head, _body),) = split(got)
    assert status == 200
    assert b"connection: close" in head


def test_head_and_not_modified_have_no_body(server: Served) -> None:
    got = exchange(server, JWKS.replace(b"GET", b"HEAD") + b"Connection: close\r\n\r\n", until=9)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""
    tag = re.search(rb"etag: (\S+)", head)
    assert tag
    got = exchange(server, JWKS + b"If-None-Match: " + tag[1] + b"\r\nConnection: close\r\n\r\n", until=9)
    assert got.startswith(b"HTTP/1.1 304")
    assert got.endswith(b"\r\n\r\n")


def test_a_client_that_goes_away_disturbs_nobody(server: Served) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), 10) as wire:
            wire.sendall(JWKS + b"\r\n" + JWKS)
    assert split(exchange(server, JWKS + b"\r\n"))[0][0] == 200
