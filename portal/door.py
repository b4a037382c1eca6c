"""The door in front of FastAPI: what every request that is not of the front table passes.

In this order: the request's id and source address (for audit and logs), security headers for whatever did not bring its
own, then the body limit and the cross-site check (portal.csrf). Pure ASGI; nothing here reads a body.
"""

from collections.abc import Collection
from typing import Any

from kit import context
from kit.front import API_SECURITY, ASGIApp, Message, Receive, Scope, Send
from kit.ids import new_id


class Door:
    """Outermost middleware of the FastAPI side."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._extra = [(b"strict-transport-security", b"max-age=31536000; includeSubDomains")] if secure else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        token = context.request.set(context.RequestContext(new_id("req"), str(client[0]) if client else ""))

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                present = {name.lower() for name, _ in headers}
                for name, value in (*API_SECURITY, *self._extra):
                    if name not in present:
                        headers.append((name, value))
                message["headers"] = headers
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        finally:
            context.request.reset(token)


class TrustedProxy:
    """Believe X-Forwarded-For and -Proto from these addresses only; from others they are ignored.

    Closes: a stranger choosing the address that throttling and the audit trail see.
    """

    def __init__(self, app: ASGIApp, *, proxies: Collection[str]) -> None:
        self._app = app
        self._proxies = frozenset(proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Rewrite the client address when the peer is one of ours."""
        if scope["type"] == "http" and scope.get("client") and scope["client"][0] in self._proxies:
            headers: dict[bytes, Any] = dict(scope["headers"])
            forwarded = headers.get(b"x-forwarded-for")
            if forwarded is not None:
                chain = [part.strip() for part in forwarded.decode("latin-1").split(",")]
                while len(chain) > 1 and chain[-1] in self._proxies:
                    chain.pop()
                scope = {**scope, "client": (chain[-1], 0)}
            if headers.get(b"x-forwarded-proto") == b"https":
                scope = {**scope, "scheme": "https"}
        await self._app(scope, receive, send)
