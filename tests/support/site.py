"""Somebody else's web server on loopback: it answers as a test tells it, and remembers who asked."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Site:
    """`answer` is given the path of each request, or the whole request if `raw` is set."""

    port: int = 0
    answer: Callable[[str], Any] = lambda _path: reply(b"{}")
    asked: list[bytes] = field(default_factory=list)
    documents: dict[str, Any] = field(default_factory=dict)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def publish(self, path: str, document: Any) -> str:
        """Put a JSON document (or a text) at a path; returns its address."""
        self.documents[path] = document
        self.answer = self._find
        return self.url(path)

    def _find(self, path: str) -> bytes:
        document = self.documents.get(path.partition("#")[0])
        if document is None:
            return reply(b"", "404 Not Found")
        return reply(document.encode() if isinstance(document, str) else json.dumps(document).encode())


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole HTTP/1.1 answer."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    """A site, while the block lasts."""
    made = Site()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = 0
            for line in head.lower().split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            made.asked.append(head + await reader.readexactly(length))
            said = made.answer(head.split(b" ")[1].decode())
            if isinstance(said, Awaitable):
                said = await said
            writer.write(said)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    await asyncio.sleep(0)
    server.close()
