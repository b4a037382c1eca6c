"""The door in front of FastAPI: what every request that is not of the front table passes.

In this order: the request's id and source address (for audit and logs), security headers for whatever did not bring its
own, then the body limit and the cross-site check (portal.csrf). An error nobody foresaw ends here: it was answered with
a reference inside (kit.web), the log gets the places it came through, and the server below never sees it: it would
print the error's text, which may repeat somebody's data. Pure ASGI; nothing here reads a body.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from starlette.exceptions import HTTPException

from kit import context
from kit.front import API_SECURITY, NO_STORE, ASGIApp, HeaderList, Message, Receive, Scope, Send, ascii_query
from kit.ids import new_id
from kit.logs import log

BODY_LIMIT = 1_114_112  # bytes: a file of a resident with the form around it; most endpoints take far less
HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


def security_headers(*, secure: bool) -> HeaderList:
    """What every answer carries that brings nothing of its own."""
    return [*API_SECURITY, HSTS] if secure else list(API_SECURITY)


class Door:
    """Outermost middleware of the FastAPI side."""

    def __init__(self, app: ASGIApp, *, secure: bool, limit: int = BODY_LIMIT) -> None:
        self._app = app
        self._limit = limit
        # An answer that does not say who may keep it is somebody's own: a browser would keep it on its disk by rule of
        # thumb (RFC 9111 section 4.2.2), past the end of the session.
        self._headers = [*security_headers(secure=secure), NO_STORE]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Wrap the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if not scope["query_string"].isascii():
            scope = {**scope, "query_string": ascii_query(scope["query_string"])}
        request_id = new_id("req")
        about = context.RequestContext(request_id, str(client[0]) if client else "")
        token = context.request.set(about)
        whole = False

        async def with_headers(message: Message) -> None:
            nonlocal whole
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", []), *about.headers]
                present = {name.lower() for name, _ in headers}
                for name, value in self._headers:
                    if name not in present:
                        headers.append((name, value))
                message["headers"] = headers
            elif message["type"] == "http.response.body":
                whole = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), with_headers)
        except Exception:
            log.exception("unexpected", path=scope["path"], request_id=request_id)
            if not whole:  # half an answer: the server must cut it off, so that nobody takes it for a whole one
                raise Unfinished from None
        finally:
            context.request.reset(token)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """The body, up to the limit; beyond it whoever reads is stopped, and answers 413.

        Closes: the framework holds a JSON body whole, before it looks who sends it.
        """
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        announced = not declared.isdigit() or len(declared) > 18 or int(declared) > self._limit
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = None if announced else await receive()
            if message is not None:
                size += len(message.get("body", b""))
            if message is None or size > self._limit:
                raise HTTPException(413)  # not a Problem: the framework takes that for JSON that does not parse
            return message

        return limited


class Unfinished(Exception):
    """An answer broke off in the middle; what happened is in the log."""


_UNNAMED_PROXY = (
    "a peer that is not named in SEKISHO_TRUSTED_PROXIES sent X-Forwarded-For. If it is your own proxy, name its "
    "address there: until then throttles and the audit trail take all its callers for one. Told once."
)


def seen_through(
    proxies: Collection[str], certificates: Callable[[bytes, Sequence[bytes]], dict[str, Any] | None] | None = None
) -> Callable[[Scope], Scope]:
    """Believe X-Forwarded-For and -Proto from these addresses only; from others they are ignored.

    `certificates` reads a `Client-Cert` header, with `Client-Cert-Chain` beside it (RFC 9440), where the proxies are
    trusted with that, too.

    The first one that is ignored is told, once: behind a proxy nobody named, all residents share one address, and the
    throttles and the audit trail see the proxy. Once, and without the address: strangers send the header, too.

    Closes: a stranger choosing the address that throttling and the audit trail see.
    """
    trusted = frozenset(proxies)
    told = False

    def seen(scope: Scope) -> Scope:
        """The scope with the caller's own address, when the peer is one of ours."""
        nonlocal told
        if not scope.get("client") or scope["client"][0] not in trusted:
            if not told and any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
                told = True
                log.warning("forwarded-for-ignored", hint=_UNNAMED_PROXY)
            return scope
        headers: dict[bytes, Any] = dict(scope["headers"])
        forwarded = headers.get(b"x-forwarded-for")
        if forwarded is not None:
            chain = [part.strip() for part in forwarded.decode("latin-1").split(",")]
            while len(chain) > 1 and chain[-1] in trusted:
                chain.pop()
            scope = {**scope, "client": (chain[-1], 0)}
        if headers.get(b"x-forwarded-proto") == b"https":
            scope = {**scope, "scheme": "https"}
        if certificates is not None:
            sent = [value for name, value in scope["headers"] if name == b"client-cert"]
            along = [value for name, value in scope["headers"] if name == b"client-cert-chain"]
            tls = certificates(sent[0], along) if len(sent) == 1 else None  # two: the proxy let a stranger's pass
            scope = {**scope, "extensions": {**scope.get("extensions", {}), "tls": tls}}
        return scope

    return seen
