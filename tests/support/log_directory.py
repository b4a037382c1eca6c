"""A log laid out as files, made from its entries by the specification's plain words: no database, no server."""

from __future__ import annotations

import contextlib
import struct
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from kit.tlog.note import Checkpoint, sign_note
from tests.kit.tlog_support import TestKey, naive_root


def number(index: int) -> str:
    """tlog-tiles, "Merkle Tree": groups of three digits."""
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text


def write_log(directory: Path, entries: Sequence[bytes], key: TestKey) -> Path:
    """Write checkpoint, tiles and bundles of a log with these entries."""
    levels = [[sha256(b"\x00" + entry).digest() for entry in entries]]
    while len(levels[-1]) >= 256:
        below = levels[-1]
        levels.append([_root(below[at : at + 256]) for at in range(0, len(below) // 256 * 256, 256)])
    for level, hashes in enumerate(levels):
        for at in range(0, len(hashes), 256):
            row = hashes[at : at + 256]
            _write(directory, str(level), at // 256, len(row), b"".join(row))
    for at in range(0, len(entries), 256):
        some = entries[at : at + 256]
        content = b"".join(struct.pack(">H", len(each)) + each for each in some)
        _write(directory, "entries", at // 256, len(some), content)
    directory.mkdir(parents=True, exist_ok=True)
    root = naive_root(entries) if len(entries) < 1000 else _root(levels[0])
    (directory / "checkpoint").write_bytes(sign_note(Checkpoint(key.name, len(entries), root).text(), [key]))
    return directory


def _write(directory: Path, level: str, index: int, width: int, content: bytes) -> None:
    file = directory / "tile" / level / (number(index) + ("" if width == 256 else f".p/{width}"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _root(hashes: Sequence[bytes]) -> bytes:
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return sha256(b"\x01" + _root(hashes[:split]) + _root(hashes[split:])).digest()


class _Quiet(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """The directory behind an ordinary file server; gives its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
