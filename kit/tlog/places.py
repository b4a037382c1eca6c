"""Where a log is read from: an http(s) prefix or a directory. Bounded in time and in size; no redirect is followed.

c2sp.org/tlog-tiles: resources are plain GETs below a prefix; bundles may come compressed with gzip ("Log entries").
A place is a function from a path to its bytes; it raises LookupError (FileNotFoundError) for what is not there and
OSError for a place that does not answer. Standard library only: a stranger needs no framework to check a log.
"""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

from kit.tlog.tiles import LONGEST_ENTRY, WIDTH

Fetch = Callable[[str], bytes]

LARGEST = WIDTH * (LONGEST_ENTRY + 2)  # a full bundle of the longest entries
_AGAIN = (http.client.RemoteDisconnected, http.client.CannotSendRequest, BrokenPipeError, ConnectionResetError)


class Missing(LookupError):
    """The place answers, and does not have this path."""


def place(where: str, *, timeout: float = 30.0) -> Fetch:
    """How to fetch a path below a prefix: an http(s) URL or a directory. Raises ValueError, FileNotFoundError."""
    if urlsplit(where).scheme in ("http", "https"):
        return HttpPlace(where, timeout=timeout)
    if "://" in where:
        raise ValueError("a log is read from an http or https address, or from a directory")
    base = Path(where)
    if not base.is_dir():
        raise FileNotFoundError(2, "there is no such directory", str(base))
    return lambda path: _read_file(base / path)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(0, "larger than any part of a log", str(path))
    return content


class HttpPlace:
    """A prefix over one kept connection."""

    def __init__(self, prefix: str, *, timeout: float) -> None:
        parts = urlsplit(prefix)
        if parts.query or parts.fragment or not parts.hostname:
            raise ValueError("a log's address is a prefix without query")
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = make(parts.hostname, parts.port, timeout=timeout)
        self._path = quote(parts.path.rstrip("/"), safe="/%:@~") + "/"
        self._shown = f"{parts.scheme}://{parts.netloc}"

    def __call__(self, path: str) -> bytes:
        """The bytes at a path."""
        try:
            try:
                return self._get(path)
            except _AGAIN:  # the server closed a kept connection: once more on a new one
                self._connection.close()
                return self._get(path)
        except http.client.HTTPException as error:
            self._connection.close()
            raise OSError(0, f"no proper HTTP answer ({type(error).__name__})", self._shown) from error
        except OSError as error:
            self._connection.close()
            raise OSError(error.errno or 0, error.strerror or str(error), error.filename or self._shown) from error

    def _get(self, path: str) -> bytes:
        headers = {"User-Agent": "sekisho-ledger", "Accept-Encoding": "gzip, identity"}
        self._connection.request("GET", self._path + path, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise OSError(0, f"{path} is larger than any part of a log", self._shown)
        if answer.status in (404, 410):
            raise Missing(path)
        if answer.status != 200:
            raise OSError(0, f"{path} is answered with status {answer.status}", self._shown)
        encoding = answer.headers.get("content-encoding", "identity").lower()
        if encoding == "gzip":
            return _unzip(content, path)
        if encoding != "identity":
            raise OSError(0, f"{path} comes in an encoding nobody asked for", self._shown)
        return content


def _unzip(content: bytes, path: str) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        plain = unzip.decompress(content, LARGEST + 1)
    except zlib.error:
        raise OSError(0, f"{path} is broken gzip") from None
    if len(plain) > LARGEST or unzip.unconsumed_tail or not unzip.eof:  # a bomb, or cut off
        raise OSError(0, f"{path} is larger than any part of a log")
    return plain
