"""The whole building on one screen.

How `POST /oauth/token` travels: front table → identity.oauth.token reads the form strictly → client_auth → the
grant's handler → one durable write in the hallway → body. How `GET /api/bank/records` travels: front table →
identity.bearer → one write: consent.gate judges, the disclosure is recorded, rows are read → commit → decrypt → body.
Pages and JSON APIs: door → cross-site check → FastAPI → guard of the audience → a thin endpoint → a domain function in
the hallway.

There is no module-level app: `create_app(settings)` is called by the command line and by tests.
"""

import contextlib
from asyncio import to_thread
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from starlette.responses import PlainTextResponse

import cert.wiring
import consent.wiring
import identity.wiring
import infobank.wiring
import keys.wiring
from kit.audit import AuditTrail
from kit.clock import DAY, Clock, SystemClock
from kit.db import open_database
from kit.fetch import Fetcher
from kit.front import FORM_LIMIT, ASGIApp, FrontTable, Receive, Scope, Send, problem_reply
from kit.host import Host
from kit.mail import Mailbox, mailbox, sweep
from kit.problems import Problem
from kit.web import add_routes, install_errors, require_json
from portal import containment, letters, static_files
from portal.csrf import CsrfGuard
from portal.door import BODY_LIMIT, Door, security_headers, seen_through
from portal.guards import guard
from portal.jobs import JobRunner
from portal.pages import (
    alarm,
    campaigns,
    client_keys,
    client_policy,
    console,
    counter,
    desk,
    device,
    docs,
    email,
    federation,
    guardians,
    interaction,
    landing,
    ledger,
    mandates,
    profile,
    proposals,
    recover,
    registry,
    reset,
    resident,
    residents,
    safety,
    showing,
    signin,
    streams,
    upstream,
    verified,
)
from portal.pages.errors import problem_page, wants_page
from portal.proxied import ProxiedCertificates
from portal.settings import Settings

PACKAGES = (keys, identity, consent, infobank, cert)
PAGES = (
    landing,
    signin,
    upstream,
    reset,
    recover,
    safety,
    verified,
    profile,
    email,
    alarm,
    mandates,
    interaction,
    device,
    resident,
    showing,
    ledger,
    desk,
    proposals,
    campaigns,
    console,
    client_keys,
    client_policy,
    registry,
    residents,
    guardians,
    counter,
    docs,
    streams,
    federation,
)
DESCRIPTION = "Sekisho: OpenID provider, consent ledger, information bank and CERT desk of a city."


@dataclass(slots=True)
class Building:
    """A composed system: an ASGI application that opens its doors with `running()` or an ASGI lifespan."""

    host: Host
    settings: Settings
    fastapi: FastAPI
    front: FrontTable
    _jobs: JobRunner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await self.front(scope, receive, send)

    @contextlib.asynccontextmanager
    async def running(self, *, jobs: bool | None = None) -> AsyncIterator["Building"]:
        """Open the database, start the packages and the jobs; close in reverse."""
        host = self.host
        await host.db.start()
        try:
            for start in host.starters:
                await start()
            if self.settings.jobs if jobs is None else jobs:
                self._jobs.start()
            yield self
        finally:
            await self._jobs.stop()
            for stop in reversed(host.stoppers):
                await stop()
            await host.db.stop()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with self.running():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})


def create_app(settings: Settings, *, clock: Clock | None = None) -> Building:
    """Compose the building from settings. Nothing is opened yet."""
    clock = clock or SystemClock()
    database = open_database(settings.url, waiting=settings.waiting_calls)
    AuditTrail(database, clock)
    host = Host(db=database, clock=clock, settings=_parts(settings), issuer=settings.issuer)
    host.provide(Fetcher, Fetcher(settings.outgoing))
    place, kept = settings.data / "mail", settings.mail.keep_days * DAY
    host.provide(Mailbox, mailbox(settings.mail, place))
    host.job("kit.mail.sweep", 3600, lambda: to_thread(sweep, place, clock.ms() - kept))
    for package in PACKAGES:
        host.package = package.__name__
        package.wiring.include(host)
    host.package = "portal"
    containment.include(host)
    letters.include(host)

    app = FastAPI(
        title="Sekisho", description=DESCRIPTION, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False, strict_content_type=False,
    )  # fmt: skip
    install_errors(app, _page)
    for _package, audience, router in host.routers:
        # The guard comes first: a stranger learns nothing from how a body is judged.
        add_routes(app, router, checks=(guard(host, audience), require_json))
    add_routes(app, static_files.router())
    for area in PAGES:
        add_routes(app, area.router(host))
    _health(app)

    async def refuse(scope: Scope, problem: Problem) -> ASGIApp:
        page = await _page(Request(scope), problem, "")
        if page is not None:
            return page
        reply = problem_reply(problem)
        response = Response(reply.body, status_code=reply.status)
        response.raw_headers.extend(reply.headers)
        return response

    inner: ASGIApp = CsrfGuard(app, own_origin=settings.issuer, refuse=refuse)
    inner = Door(inner, secure=settings.secure, limit=max(BODY_LIMIT, settings.infobank.upload_limit + FORM_LIMIT))
    certificates = None
    if settings.trusted_proxies and settings.client_certificate_header:
        certificates = ProxiedCertificates(settings.client_certificate_cas)
    seen = seen_through(settings.trusted_proxies, certificates)
    front = FrontTable(host.rows, inner, security=security_headers(secure=settings.secure), seen=seen)
    return Building(host, settings, app, front, JobRunner(host))


async def _page(request: Request, problem: Problem, _request_id: str) -> Response | None:
    return problem_page(request, problem) if wants_page(request) else None


def _parts(settings: Settings) -> Settings:
    """The settings as packages see them: `host.settings.<package>`."""
    return settings.model_copy(update={"keys": settings.keys_part()})


def _health(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        """Alive: the process answers. For load balancers and start scripts."""
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})
