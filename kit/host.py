"""What a package may plug into the building, and who is asking.

Every package has one `wiring.include(host)`, called in floor order; nothing registers anything anywhere else.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from fastapi import APIRouter

from kit.clock import Clock, Millis
from kit.db import Database
from kit.front import FrontRow, Handler
from kit.problems import COMMON, Problem

T = TypeVar("T")

Audience = Literal["public", "resident", "operator", "service"]
ActorKind = Literal["resident", "operator", "service", "device", "system", "anonymous"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is asking, under which authority. `id` is opaque: an account, a client, a job."""

    kind: ActorKind
    id: str
    roles: frozenset[str] = frozenset()
    session_id: str | None = None
    client_id: str | None = None
    scopes: frozenset[str] = frozenset()
    mandate_id: str | None = None  # acting for somebody else: the object is theirs, and this is why it may be


SYSTEM = Actor("system", "sekisho")
ANONYMOUS = Actor("anonymous", "")


@dataclass(frozen=True, slots=True)
class Job:
    """A periodic function: idempotent, one transaction a run."""

    name: str
    every: float
    run: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class AuditFact:
    """A committed audit entry as listeners see it: nothing personal in it."""

    id: str
    at: Millis
    action: str
    actor_kind: str
    actor_id: str
    object_kind: str
    object_id: str
    detail: Mapping[str, Any]


@dataclass(slots=True)
class Host:
    """Resources of the building and the register of what the packages plug in."""

    db: Database
    clock: Clock
    settings: Any
    issuer: str
    _things: dict[type[Any], Any] = field(default_factory=dict)
    routers: list[tuple[str, Audience, APIRouter]] = field(default_factory=list)
    rows: list[FrontRow] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    listeners: list[tuple[str, Callable[[AuditFact], None]]] = field(default_factory=list)
    starters: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    stoppers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    problem_types: dict[str, type[Problem]] = field(default_factory=lambda: {p.type_path(): p for p in COMMON})
    package: str = "kit"

    def provide(self, kind: type[T], thing: T) -> None:
        """Offer a service to the packages above."""
        if kind in self._things:
            raise RuntimeError(f"{kind.__name__} is provided twice")
        self._things[kind] = thing

    def get(self, kind: type[T]) -> T:
        """A service of a package below; raises RuntimeError if it was not included."""
        try:
            thing: T = self._things[kind]
        except KeyError:
            raise RuntimeError(f"nobody provides {kind.__name__}; check the order of packages in portal.app") from None
        return thing

    def routes(self, audience: Audience, router: APIRouter) -> None:
        """JSON endpoints for one audience; the portal attaches the guard, endpoints read `request.state.actor`."""
        self.routers.append((self.package, audience, router))

    def front(
        self,
        method: str,
        path: str,
        audience: Audience,
        handler: Handler,
        operation: Mapping[str, Any],
        *,
        prefix: bool = False,
        cors: bool = False,
    ) -> None:
        """A hot path, reached by an exact-path table in front of everything else.

        `operation` is its OpenAPI operation object. With `prefix` the row takes every path that begins with `path`;
        with `cors` pages of other sites may call it and read its answers (kit.cors).
        """
        self.rows.append(FrontRow(method, path, audience, handler, dict(operation), self.package, prefix, cors))

    def job(self, name: str, every: float, run: Callable[[], Awaitable[object]]) -> None:
        """Run an idempotent function every so many seconds."""
        self.jobs.append(Job(name, every, run))

    def listen(self, action_prefix: str, fn: Callable[[AuditFact], None]) -> None:
        """Be told of committed audit entries whose action begins so; must be quick (set a flag, fill a queue)."""
        self.listeners.append((action_prefix, fn))

    def problems(self, *classes: type[Problem]) -> None:
        """Register problem types: each gets a page at its type address."""
        for cls in classes:
            self.problem_types[cls.type_path()] = cls

    def on_start(self, fn: Callable[[], Awaitable[None]]) -> None:
        """Run after the database is open, in order of registration."""
        self.starters.append(fn)

    def on_stop(self, fn: Callable[[], Awaitable[None]]) -> None:
        """Run before the database closes, in reverse order."""
        self.stoppers.append(fn)
