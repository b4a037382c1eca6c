"""The front table: exact paths answered before any framework is asked.

A request for a path of the table costs a dictionary look-up instead of a walk through routes and middleware; it gets
the same security headers and the same error shapes. A row is (method, path, audience, handler, OpenAPI operation), and
the API documents read the same rows.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote_from_bytes

import orjson

from kit import context
from kit.logs import log
from kit.problems import Internal, Malformed, MethodNotAllowed, Problem, TooLarge, UnsupportedType

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
HeaderList: TypeAlias = list[tuple[bytes, bytes]]

JSON = (b"content-type", b"application/json")
PROBLEM = (b"content-type", b"application/problem+json")
NO_STORE = (b"cache-control", b"no-store")
CSP = b"content-security-policy"

# Sent with every answer that is not a page (pages have their own, wider policy).
API_SECURITY: HeaderList = [
    (b"x-content-type-options", b"nosniff"),
    (CSP, b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-site"),
]

FORM_LIMIT = 65_536


@dataclass(slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: HeaderList = field(default_factory=list)

    @property
    def has_body(self) -> bool:
        """Whether the status has a body and says its length (RFC 9110 section 8.6)."""
        return self.status not in (204, 304)


def reply_json(status: int, value: Any, *, no_store: bool = True, headers: Iterable[tuple[bytes, bytes]] = ()) -> Reply:
    """A JSON answer; not to be stored unless said otherwise."""
    return Reply(status, orjson.dumps(value), [JSON, *([NO_STORE] if no_store else []), *headers])


class Call:
    """A request at the front table. Header names are lower case."""

    __slots__ = ("_body", "_headers", "_receive", "scope")

    def __init__(self, scope: Scope, receive: Receive | None = None, *, body: bytes | None = None) -> None:
        """The body is given where the server has read it whole, else `receive` reads it."""
        self.scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] | None = None
        self._body = body

    @property
    def method(self) -> str:
        """The HTTP method, upper case."""
        method: str = self.scope["method"]
        return method

    @property
    def path(self) -> str:
        """The decoded path."""
        path: str = self.scope["path"]
        return path

    @property
    def query(self) -> str:
        """The raw query string."""
        raw: bytes = self.scope["query_string"]
        return raw.decode("latin-1")

    @property
    def source(self) -> str:
        """The network address the request came from."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Headers by name; of repeated ones the last. Use `header_values` where repetition must be refused."""
        if self._headers is None:
            self._headers = dict(self.scope["headers"])
        return self._headers

    def header_values(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for key, value in self.scope["headers"] if key == name]

    async def body(self, limit: int = FORM_LIMIT) -> bytes:
        """The whole body; raises TooLarge beyond `limit` bytes without reading on."""
        if self._body is not None:
            if len(self._body) > limit:
                raise TooLarge(f"At most {limit} bytes are read here.")
            return self._body
        assert self._receive is not None
        message = await self._receive()
        data: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [data], len(data)
            while message.get("more_body"):
                if size > limit:
                    break
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise Malformed("The connection closed before the request was complete.")
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
            data = b"".join(parts)
        if len(data) > limit:
            raise TooLarge(f"At most {limit} bytes are read here.")
        self._body = data
        return data

    async def form(self, limit: int = FORM_LIMIT) -> dict[str, str]:
        """An urlencoded form; raises UnsupportedType for other types and Malformed for a field sent twice."""
        kind = self.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if kind != b"application/x-www-form-urlencoded":
            raise UnsupportedType("Send application/x-www-form-urlencoded.")
        return parse_form(await self.body(limit))

    async def json(self, limit: int = FORM_LIMIT) -> Any:
        """A JSON body; raises UnsupportedType or Malformed."""
        kind = self.headers.get(b"content-type", b"").split(b";", 1)[0].strip().lower()
        if kind != b"application/json":
            raise UnsupportedType("Send application/json.")
        data = await self.body(limit)
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise Malformed(f"The JSON does not parse: {error.msg} at byte {error.pos}.") from error


def parse_form(data: bytes) -> dict[str, str]:
    """Read an urlencoded form or query strictly: UTF-8, no field twice (RFC 6749 section 3.1), no empty names.

    Raises Malformed.
    """
    try:
        text = data.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=200)
    except (UnicodeDecodeError, ValueError) as error:
        raise Malformed("The form does not parse.") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Malformed("A field was sent more than once.")
    if "" in fields:
        raise Malformed("A field has no name.")
    return fields


def ascii_query(raw: bytes) -> bytes:
    """A query as frameworks can read it: bytes beyond ASCII, which no browser sends, percent-encoded."""
    return raw if raw.isascii() else quote_from_bytes(raw, safe=bytes(range(0x21, 0x7F))).encode()


Handler: TypeAlias = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class FrontRow:
    """One hot path."""

    method: str
    path: str
    audience: str
    handler: Handler
    operation: dict[str, Any]
    package: str
    prefix: bool = False
    cors: bool = False  # pages of other sites may read the answers (kit.cors); never where a cookie counts


class WireError(Exception):
    """An error with a wire shape of its own (OAuth's); the front table asks it for its reply."""

    def reply(self) -> Reply:
        """The answer."""
        raise NotImplementedError


def problem_reply(problem: Problem, *, request_id: str = "") -> Reply:
    """A problem as application/problem+json (RFC 9457)."""
    document = problem.document()
    if request_id and problem.status >= 500:
        document["instance"] = f"urn:sekisho:request:{request_id}"
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers.items()]
    return Reply(problem.status, orjson.dumps(document), [PROBLEM, NO_STORE, *headers])


def _line(header: tuple[bytes, bytes]) -> bytes:
    name, value = header
    if b"\r" in value or b"\n" in value:  # closes: a value that begins a header of its own
        raise ValueError(f"a line break in the header {name!r}")
    return name + b": " + value + b"\r\n"


Methods: TypeAlias = Mapping[str, Handler]


class FrontTable:
    """An ASGI application: rows first, then `inner`.

    A server that has a request whole may ask the rows without ASGI's messages and task: `find`, `reply`, `block`.
    `seen` is applied to every scope first: a trusted proxy's word about the caller's address.
    """

    def __init__(
        self,
        rows: Iterable[FrontRow],
        inner: ASGIApp,
        *,
        security: HeaderList | None = None,
        seen: Callable[[Scope], Scope] | None = None,
    ) -> None:
        self._exact: dict[str, dict[str, Handler]] = {}
        self._prefixes: list[tuple[str, dict[str, Handler]]] = []
        self._inner = inner
        self._security = API_SECURITY if security is None else security
        self._security_block = b"".join(map(_line, self._security))
        self.seen = seen
        from kit import cors  # not before: it is made of what stands here

        by_prefix: dict[str, dict[str, Handler]] = {}
        opened: dict[tuple[str, bool], set[str]] = {}
        for row in rows:
            table = by_prefix if row.prefix else self._exact
            methods = table.setdefault(row.path, {})
            if row.method in methods:
                raise ValueError(f"{row.method} {row.path} is in the front table twice")
            handler = row.handler
            if row.cors:
                handler = cors.opened(handler)
                methods["OPTIONS"] = cors.preflight({row.method, *opened.get((row.path, row.prefix), ())})
                opened.setdefault((row.path, row.prefix), set()).add(row.method)
            methods[row.method] = handler
            if row.method == "GET":
                methods.setdefault("HEAD", handler)
        self._prefixes = sorted(by_prefix.items(), key=lambda item: -len(item[0]))

    def find(self, path: str) -> Methods | None:
        """The handlers of a path by method; None where the framework answers."""
        methods = self._exact.get(path)
        if methods is None:
            for prefix, candidates in self._prefixes:
                if path.startswith(prefix):
                    return candidates
        return methods

    async def reply(self, methods: Methods, call: Call) -> Reply:
        """What is answered; every error has become its wire shape."""
        about = context.RequestContext(None, call.source)
        reply = await self._asked(methods, call, about)
        if about.headers:
            own = {name for name, _ in reply.headers}
            more = [header for header in about.headers if header[0] not in own]
            return Reply(reply.status, reply.body, [*reply.headers, *more])
        return reply

    async def _asked(self, methods: Methods, call: Call, about: context.RequestContext) -> Reply:
        token = context.request.set(about)
        try:
            handler = methods.get(call.scope["method"])
            if handler is None:
                raise MethodNotAllowed(headers={"Allow": ", ".join(sorted(methods))})
            return await handler(call)
        except WireError as error:
            return error.reply()
        except Problem as problem:
            if problem.private or problem.status >= 500:
                log.warning("problem", type=problem.type_path(), private=problem.private, request_id=about.request_id)
            return problem_reply(problem, request_id=about.request_id)
        except Exception:
            log.exception("unexpected", path=call.path, request_id=about.request_id)
            internal = Internal(f"Quote this reference when you ask: {about.request_id}")
            return problem_reply(internal, request_id=about.request_id)
        finally:
            context.request.reset(token)

    def headers(self, reply: Reply) -> HeaderList:
        """The reply's headers and those of security, but the length."""
        if any(name == CSP for name, _ in reply.headers):  # a page: two policies would both bind it
            own = {name for name, _ in reply.headers}
            return [*reply.headers, *(header for header in self._security if header[0] not in own)]
        return [*reply.headers, *self._security]

    def block(self, reply: Reply) -> bytes:
        """The same as the bytes of a head."""
        block = b""
        for name, value in reply.headers:
            if b"\r" in value or b"\n" in value or name == CSP:
                return b"".join(map(_line, self.headers(reply)))
            block += name + b": " + value + b"\r\n"
        return block + self._security_block

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer from the table, or pass on."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if self.seen is not None:
            scope = self.seen(scope)
        methods = self.find(scope["path"])
        if methods is None:
            await self._inner(scope, receive, send)
            return
        reply = await self.reply(methods, Call(scope, receive))
        headers = self.headers(reply)
        if reply.has_body:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})
