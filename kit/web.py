"""FastAPI's side of the door: problems as answers, strict models, the actor of a request, documented errors."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import context
from kit.front import WireError, problem_reply
from kit.host import ANONYMOUS, Actor
from kit.logs import log
from kit.problems import (
    Forbidden,
    Internal,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Problem,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedType,
)

Check = Callable[[Request], Awaitable[None]]


class Body(BaseModel):
    """Base of request models: strict types, no unknown fields, nothing half-understood."""

    # Not deferred: FastAPI builds an adapter for it at once, and warns when it finds the model unbuilt.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """Base of answer models."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[dict[str, str]] | None = None


def actor_of(request: Request) -> Actor:
    """Who is asking, as the guard of the audience found."""
    actor = getattr(request.state, "actor", ANONYMOUS)
    return actor if isinstance(actor, Actor) else ANONYMOUS


def require_role(request: Request, *roles: str) -> Actor:
    """The actor, if it has one of the roles; raises Forbidden."""
    actor = actor_of(request)
    if not actor.roles.intersection(roles):
        raise Forbidden(f"This needs the role {' or '.join(roles)}.")
    return actor


def problems(*classes: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an endpoint: the problems it may answer, with an example each.

    What any endpoint may answer (unreadable, too large, rate limit, busy) is always among them.
    """
    by_status: dict[int, list[type[Problem]]] = {}
    always: tuple[type[Problem], ...] = (Malformed, TooLarge, UnsupportedType, Invalid, TooMany, Internal, Unavailable)
    for cls in (*always, *classes):
        known = by_status.setdefault(cls.status, [])
        if cls not in known:
            known.append(cls)
    return {status: _answer(status, tuple(some)) for status, some in sorted(by_status.items())}


@cache
def _answer(status: int, classes: tuple[type[Problem], ...]) -> dict[str, Any]:
    """One answer of an endpoint; the same for all that have it, since there are thousands and nobody changes one."""
    return {
        # By name and without `model`: FastAPI would make an adapter of its own for each answer of each endpoint,
        # five hundred at a start. portal.documents puts the schema into the document.
        "description": "; ".join(cls.title for cls in classes),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
                "examples": {
                    cls.slug: {"value": {"type": cls.type_path(), "title": cls.title, "status": status}}
                    for cls in classes
                },
            }
        },
    }


GUARDED: tuple[type[Problem], ...] = (Unauthenticated, Forbidden)


async def require_json(request: Request) -> None:
    """For every router of JSON endpoints: raise UnsupportedType unless the body, if there is one, is JSON.

    The framework would judge another type as a wrong field (422); asynchronous, since a plain function costs a thread.
    """
    sent = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
    if sent and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedType("Send application/json.")


class Gate:
    """Checks before a route's own application: whoever does not pass is answered before a byte of a body is read."""

    __slots__ = ("_app", "_checks")

    def __init__(self, app: ASGIApp, checks: Sequence[Check]) -> None:
        self._app = app
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then answer."""
        request = Request(scope, receive, send)
        for check in self._checks:
            await check(request)
        await self._app(scope, receive, send)


_compiled = cache(compile_path)  # paths are constants of the code


class LaterRoute(APIRoute):
    """An endpoint that FastAPI analyses when it is first asked for, by a request or for the documents.

    Analysing them all takes as long as everything else that composing the building does, at every start and in every
    test. Until then it has what a router matches by.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        self.path, self.endpoint = path, endpoint
        self.path_regex, self.path_format, self.param_convertors = _compiled(path)
        self.methods = {method.upper() for method in options.get("methods") or ("GET",)}
        self._options = options
        self._checks: Sequence[Check] = ()

    def __getattr__(self, name: str) -> Any:
        """Something the analysis finds out."""
        mine = self.__dict__
        if name.startswith("__") or "_options" not in mine or "app" in mine:
            raise AttributeError(name)
        # Made apart and taken over whole: another thread never sees the application without its gate.
        made: LaterRoute = object.__new__(type(self))
        APIRoute.__init__(made, self.path, self.endpoint, **self._options)
        if self._checks:
            made.app = Gate(made.app, self._checks)
        mine.update(made.__dict__)
        return getattr(self, name)

    def guard(self, checks: Sequence[Check]) -> None:
        """Let nobody in who does not pass; said before the first request."""
        if "app" in self.__dict__:
            raise RuntimeError(f"{self.path} is open already")
        self._checks = checks


def add_routes(app: FastAPI, router: APIRouter, *, checks: Sequence[Check] = ()) -> None:
    """A router's routes into the application, as they are.

    `include_router` would analyse every endpoint a second time, while the first request waits, and put a router in a
    router in the way of each request.
    """
    for route in router.routes:
        if not isinstance(route, LaterRoute):
            raise TypeError(f"{route} is no LaterRoute: its router needs route_class=LaterRoute")
        route.guard(checks)
        app.router.routes.append(route)


def pointer(location: Sequence[str | int]) -> str:
    """A JSON pointer (RFC 6901) from a validation location, without its "body" head."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in location if part != "body"]
    return "/" + "/".join(parts) if parts else ""


def invalid(error: RequestValidationError) -> Problem:
    """A validation error as a problem: 400 for JSON that does not parse, 422 with pointers for wrong fields."""
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return Malformed("The JSON does not parse.")
    return Invalid(
        "Correct the named fields and send again.",
        errors=[
            {"pointer": pointer(item["loc"]), "detail": str(item["msg"]).removeprefix("Value error, ")[:200]}
            for item in found[:20]
        ],
    )


_FROM_FRAMEWORK: dict[type[Problem], str] = {
    Malformed: "The body could not be read.",
    Unauthenticated: "",
    Forbidden: "",
    NotFound: "Check the address.",
    MethodNotAllowed: "",
    TooLarge: "Send less at once.",
    UnsupportedType: "",
}


def from_status(status: int, headers: dict[str, str] | None = None) -> Problem:
    """The problem that a framework's bare status means."""
    for cls, detail in _FROM_FRAMEWORK.items():
        if cls.status == status:
            return cls(detail, headers=headers)
    return Internal(private=f"framework status {status}")


ErrorPage = Callable[[Request, Problem, str], Awaitable[Response | None]]


def install_errors(app: FastAPI, page: ErrorPage | None = None) -> None:
    """Three handlers: problems, validation, everything else. `page` may answer browsers with HTML."""

    async def answer(request: Request, problem: Problem) -> Response:
        request_id = context.request.get().request_id
        if problem.private or problem.status >= 500:
            log.warning("problem", type=problem.type_path(), private=problem.private, request_id=request_id)
        if page is not None:
            html = await page(request, problem, request_id)
            if html is not None:
                return html
        reply = problem_reply(problem, request_id=request_id)
        response = Response(reply.body, status_code=reply.status)
        response.raw_headers.extend(reply.headers)
        return response

    async def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return await answer(request, error)

    async def on_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return await answer(request, invalid(error))

    async def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers) if error.headers else None
        return await answer(request, from_status(error.status_code, headers))

    async def on_wire(_request: Request, error: Exception) -> Response:
        assert isinstance(error, WireError)
        reply = error.reply()
        response = Response(reply.body, status_code=reply.status)
        response.raw_headers.extend(reply.headers)
        return response

    async def on_anything(request: Request, _error: Exception) -> Response:
        # Who logs it is the door around the framework, which gets the error once more after this answer.
        reference = context.request.get().request_id
        return await answer(request, Internal(f"Quote this reference when you ask: {reference}"))

    app.add_exception_handler(Exception, on_anything)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(WireError, on_wire)
