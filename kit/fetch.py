"""The one way out: guarded requests to addresses that others gave us.

A client's `jwks_uri`, a logout address, a push endpoint are written by strangers, so each could point at our own
neighbours (server-side request forgery, OWASP SSRF prevention cheat sheet, case 2; RFC 7591 section 5, OpenID Connect
Registration section 9.2). Closed here, for everybody who fetches:

- only https, or http to a host the operator's list names;
- a name is resolved once, every address it has must be public (or on the operator's list), and the connection goes to
  the very address that was judged: a second, different answer of the name server is never asked for (DNS rebinding);
- bounded in time from the first look-up to the last byte, and in size; compressed answers are refused;
- a host that never answers holds a small part of the way out, and so does a name server: the others go on;
- a redirect may only stay on the same origin; no cookies, no proxy from the environment, no credentials in addresses.

Impure: it is the network. `judge` and `is_public` are pure.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import SplitResult, urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import httpcore2

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LIMIT = 65_536
_REDIRECTS = 2
_AT_ONCE = 32
_AT_ONE_HOST = 2
_MOST_WAITING = 30  # for one host; whoever comes then is refused at once
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in disguise
#: Said by name, whatever a Python's own tables hold: site-local (RFC 3879), local NAT64 (RFC 8215), IPv4-compatible.
_NEVER = tuple(ipaddress.ip_network(text) for text in ("fec0::/10", "64:ff9b:1::/48", "::/96"))


class OutgoingSettings(BaseModel):
    """What may be reached by requests to addresses that others gave us."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[str, ...] = Field(
        (),
        description="Hosts (`idp.lan`), addresses or networks (`10.1.0.0/16`) that may be fetched from although they "
        "are not public; plain http is for these alone",
    )
    ca_file: Path | None = Field(
        None, description="More certificate authorities to trust when fetching, beside the system's (PEM)"
    )
    seconds: float = Field(5.0, gt=0, le=60, description="How long a fetch may take, look-up to last byte")


class FetchRefused(Exception):
    """The fetch was not made, or its answer not taken. `reason` is a stable word; `private` is for the log."""

    def __init__(self, reason: str, private: str = "") -> None:
        super().__init__(f"{reason}: {private}" if private else reason)
        self.reason = reason
        self.private = private


class NotPublic(FetchRefused):
    """The address is not public, and the settings do not allow it: for who may read the settings, not for the wire."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole answer."""

    status: int
    body: bytes
    content_type: str


class AllowList:
    """The operator's list: names as they are, addresses as networks."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                self._names.add(entry.lower().rstrip("."))

    def has_name(self, host: str) -> bool:
        """Whether this very name is listed."""
        return host.lower().rstrip(".") in self._names

    def has_address(self, address: Address) -> bool:
        """Whether the address is in a listed network."""
        return any(address in network for network in self._networks)


def is_public(address: Address) -> bool:
    """Whether an address leads out into the open, however it is wrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        if any(address in network for network in _NEVER):
            return False
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            return False
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast


def judge(url: str, allow: AllowList) -> SplitResult:
    """The parts of an address that may be fetched, as far as its text can tell; raises FetchRefused."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise FetchRefused("address", "the address does not parse") from None
    if not url.isascii() or not parts.hostname or "@" in parts.netloc or "\\" in url or any(c <= " " for c in url):
        raise FetchRefused("address", "not a plain absolute address")
    if parts.scheme == "https":
        return parts
    listed = allow.has_name(parts.hostname)
    if not listed:
        try:
            listed = allow.has_address(ipaddress.ip_address(parts.hostname))
        except ValueError:
            listed = False
    if parts.scheme != "http" or not listed:
        raise FetchRefused("address", "only https is fetched")
    return parts


class LookUps:
    """Asks for the addresses of names, in threads of its own: one that gets no answer is held until the system gives
    up, long after its caller did. So a name holds few of them, and nobody else's work waits for these."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, "look-up")
        self._held: list[tuple[str, Future[Any]]] = []

    async def find(self, host: str, port: int) -> list[Address]:
        """Every address of a name; raises FetchRefused."""
        self._held = [(name, future) for name, future in self._held if not future.done()]
        if sum(name == host for name, _ in self._held) >= _AT_ONE_HOST:
            raise FetchRefused("busy", f"{host} is being looked up already")
        asked = self._threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        self._held.append((host, asked))
        try:
            answers = await asyncio.wrap_future(asked)
        except (OSError, UnicodeError) as error:
            raise FetchRefused("address", f"{host} can't be looked up") from error
        return [ipaddress.ip_address(str(answer[4][0]).partition("%")[0]) for answer in answers]


@dataclass(slots=True)
class _Door:
    """The way to one host, while somebody is on it."""

    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONE_HOST))
    inside: int = 0


class Fetcher:
    """Makes the requests. One for the building: `host.get(Fetcher)`."""

    def __init__(self, settings: OutgoingSettings | None = None) -> None:
        self._settings = settings or OutgoingSettings()
        self._allow = AllowList(self._settings.allow)
        self.look_up = LookUps().find
        self._tls: ssl.SSLContext | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._doors: dict[str, _Door] = {}

    def reaching(self, hosts: Iterable[str], *, seconds: float) -> "Fetcher":
        """Another one that may also reach these hosts: the operator of this house wrote them down, not a stranger."""
        allow = (*self._settings.allow, *hosts)
        return Fetcher(self._settings.model_copy(update={"allow": allow, "seconds": seconds}))

    def check(self, url: str) -> None:
        """Whether an address could be fetched, as far as its text can tell; raises FetchRefused. Asks nobody."""
        judge(url, self._allow)

    async def get(self, url: str, *, limit: int = LIMIT, accept: str = "application/json") -> Fetched:
        """GET an address; raises FetchRefused. The answer may have any status: the caller judges it."""
        return await self._fetch("GET", url, {"accept": accept}, b"", limit)

    async def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        limit: int = LIMIT,
    ) -> Fetched:
        """POST to an address; redirects are not followed. Raises FetchRefused."""
        return await self._fetch("POST", url, {"content-type": content_type, **(headers or {})}, body, limit)

    async def _fetch(self, method: str, url: str, headers: dict[str, str], body: bytes, limit: int) -> Fetched:
        import httpcore2  # a start that fetches nothing does without

        if asyncio.current_task() is None:
            # A handler's first step on the short way (portal.protocol) has no task yet, and a timeout needs one.
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._settings.seconds), self._door(url), self._gate:
                return await self._follow(method, url, headers, body, limit)
        except TimeoutError:
            raise FetchRefused("time", "it took too long") from None
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            raise FetchRefused("network", f"{type(error).__name__}: {error}"[:200]) from error

    @asynccontextmanager
    async def _door(self, url: str) -> AsyncIterator[None]:
        """A place on the way to this host; asked for before the building's gate, so that waiting here holds nothing."""
        host = str(judge(url, self._allow).hostname)
        door = self._doors.setdefault(host, _Door())
        if door.inside >= _AT_ONE_HOST + _MOST_WAITING:
            raise FetchRefused("busy", f"too many requests to {host} at once")
        door.inside += 1
        try:
            async with door.gate:
                yield
        finally:
            door.inside -= 1
            if not door.inside:
                del self._doors[host]

    async def _follow(self, method: str, url: str, headers: dict[str, str], body: bytes, limit: int) -> Fetched:
        for _ in range(_REDIRECTS + 1):
            parts = judge(url, self._allow)
            answer, target = await self._once(method, parts, headers, body, limit)
            if target is None or method != "GET":
                return answer
            url = urljoin(url, target)
            if _origin(judge(url, self._allow)) != _origin(parts):
                raise FetchRefused("redirect", "it redirects to another origin")
        raise FetchRefused("redirect", "it redirects too often")

    async def _once(
        self, method: str, parts: SplitResult, headers: dict[str, str], body: bytes, limit: int
    ) -> tuple[Fetched, str | None]:
        import httpcore2

        url = parts._replace(fragment="").geturl()
        sent = {"host": parts.netloc, "user-agent": "sekisho", "accept-encoding": "identity", **headers}
        if method != "GET":
            sent["content-length"] = str(len(body))
        async with (
            httpcore2.AsyncConnectionPool(
                ssl_context=self._trust() if parts.scheme == "https" else None,
                network_backend=self._backend(),
                max_connections=1,
                max_keepalive_connections=0,
            ) as pool,
            pool.stream(method, url, headers=list(sent.items()), content=body or None) as response,
        ):
            told = {name.lower(): value for name, value in response.headers}
            if told.get(b"content-encoding", b"identity") != b"identity":
                raise FetchRefused("encoding", "the answer is compressed although we said no")
            chunks, size = [], 0
            async for chunk in response.aiter_stream():
                size += len(chunk)
                if size > limit:
                    raise FetchRefused("size", f"more than {limit} bytes")
                chunks.append(chunk)
            content_type = told.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
            target = told.get(b"location") if response.status in (301, 302, 303, 307, 308) else None
            return Fetched(response.status, b"".join(chunks), content_type), target.decode(
                "latin-1"
            ) if target else None

    async def _address(self, host: str, port: int) -> Address:
        """Look the name up once, judge every answer, take the first."""
        found = await self.look_up(host, port)
        if not found:
            raise FetchRefused("address", f"{host} has no address")
        if not self._allow.has_name(host):
            for address in found:
                # One private answer among public ones is how a name server lies: refuse the whole name.
                if not is_public(address) and not self._allow.has_address(address):
                    raise NotPublic("address", f"{host} leads to {address}, which is not public")
        return found[0]

    def _backend(self) -> "httpcore2.AsyncNetworkBackend":
        """Connects to the address that was judged, and to no other."""
        import httpcore2

        real, choose = httpcore2.AnyIOBackend(), self._address

        class Pinned(httpcore2.AsyncNetworkBackend):
            async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> Any:
                return await real.connect_tcp(str(await choose(host, port)), port, *args, **options)

            async def sleep(self, seconds: float) -> None:
                await asyncio.sleep(seconds)

        return Pinned()

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._settings.ca_file is not None:
                context.load_verify_locations(cafile=self._settings.ca_file)
            self._tls = context
        return self._tls


def _origin(parts: SplitResult) -> tuple[str, str | None, int]:
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
