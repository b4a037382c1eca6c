"""The console's page about streams: which services are told what happens, whether it reaches them, and stopping one.

Two kinds: signals about residents (Shared Signals, `identity.signals`) and the changes of consents (`consent.streams`).
Pausing a stream of signals holds what happens, for a week; its receiver is told and can't undo it.
"""

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import streams as consent_streams
from identity.client_paths import segment
from identity.clients import find
from identity.signals import streams
from identity.signals.streams import EVENTS, Status
from kit import outbox
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal.contexts import streams as contexts
from portal.i18n import N_
from portal.staff import OPERATOR
from portal.visits import pages, require_staff, visit_of
from portal.web import notice, redirect, render

PLACE = "/console/streams"
PAUSED = notice("streams.paused", N_("Paused. What happens is held for a week, and the service is told."))
ENABLED = notice("streams.enabled", N_("It goes on, with what was held first."))


def router(host: Host) -> APIRouter:
    """Everything below /console/streams."""
    routes = pages(host)

    @routes.get(PLACE)
    async def show(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        found = await host.db.read(lines, visit_of(request).language.code)
        return render(request, "console/streams.html", contexts.Streams(found))

    async def move(request: Request, stream_id: str, status: Status) -> None:
        actor = require_staff(request, *OPERATOR).actor()

        def write(session: Session) -> None:
            stream = streams.get(session, stream_id)
            if stream is None:
                raise NotFound("There is no such stream.")
            streams.set_status(session, stream, status, reason="", actor=actor, now=host.clock.ms(), by_us=True)

        await host.db.write(write)

    @routes.post(PLACE + "/{stream_id}/pause")
    async def pause(request: Request, stream_id: str) -> Response:
        await move(request, stream_id, "paused")
        return redirect(request, PLACE, notice=PAUSED)

    @routes.post(PLACE + "/{stream_id}/enable")
    async def enable(request: Request, stream_id: str) -> Response:
        await move(request, stream_id, "enabled")
        return redirect(request, PLACE, notice=ENABLED)

    return routes


def lines(session: Session, lang: str) -> tuple[contexts.StreamLine, ...]:
    """Every stream, and how its lane of the outbox stands."""
    signals = [
        _line(session, lang, EVENTS, one.id, one, one.client_id, status=one.status, reason=one.reason)
        for one in streams.list_all(session)
    ]
    consents = [
        _line(session, lang, consent_streams.TOPIC, one.client_id, one, one.client_id)
        for one in consent_streams.list_all(session)
    ]
    return (*signals, *consents)


def _line(
    session: Session,
    lang: str,
    topic: str,
    lane: str,
    stream: Any,
    client_id: str,
    *,
    status: str = "",
    reason: str = "",
) -> contexts.StreamLine:
    backlog, client = outbox.backlog(session.connection(), topic, lane), find(session, client_id)
    return contexts.StreamLine(
        id=lane if topic == EVENTS else "",
        client=client_id if client is None else client.name(lang),
        client_href=f"/console/clients/{segment(client_id)}",
        kind="signals" if topic == EVENTS else "consents",
        pushed_to="" if stream.endpoint is None else urlsplit(stream.endpoint).netloc,
        status=status,
        reason=reason,
        waiting=backlog.waiting,
        since=backlog.since,
        tries=backlog.tries,
        error=backlog.error,
    )
