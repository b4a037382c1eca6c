"""The ledger for people: what it is, how it grew, who watches over it, and "check my receipt" in the browser; for
auditors, where everything is."""

from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime

from fastapi import APIRouter
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response

from consent.witnessing import Standing, Witnesses
from kit.clock import DAY, SECOND, Millis
from kit.host import Host
from kit.tlog import growth
from kit.tlog.log import MAIN, Logs
from kit.tlog.reading import Published
from portal import charts, i18n
from portal.contexts.ledger import Ledger, WitnessLine
from portal.i18n import JST, _, ngettext
from portal.visits import pages
from portal.web import render

POINTS = 12
_STEPS = (1, 2, 4, 7, 14, 28, 56, 91, 182, 364)  # days between two points of the chart

Growth = tuple[tuple[Millis, int], ...]


def midnight(ms: Millis) -> Millis:
    """The beginning of a moment's day, in Japan."""
    day = datetime.fromtimestamp(ms / SECOND, JST).replace(hour=0, minute=0, second=0, microsecond=0)
    return round(day.timestamp() * SECOND)


def moments(began: Millis, now: Millis) -> tuple[Millis, ...]:
    """The beginnings of days at which the chart has a point: at most POINTS, and the day of the first line."""
    first, today = midnight(began), midnight(now)
    step = next((days for days in _STEPS if (today - first) <= days * DAY * (POINTS - 1)), _STEPS[-1]) * DAY
    later = tuple(today - n * step for n in range(POINTS - 1) if today - n * step > first)
    return (first, *reversed(later))


def look(connection: Connection, now: Millis) -> Growth:
    """The size of the ledger at those moments."""
    began = growth.began_at(connection, MAIN)
    if began is None:
        return ()
    at = moments(min(began, now), now)
    return tuple(zip(at, growth.sizes_at(connection, MAIN, at), strict=True))


def chart(grown: Growth, size: int, now: Millis) -> charts.LineChart | None:
    """The line, up to now. Pure."""
    if not grown:
        return None
    words = i18n.current()
    rows = [(at, words.day(at), float(found)) for at, found in grown if at < now]
    return charts.line(_("Lines in the ledger"), "", [*rows, (now, _("Now"), float(size))])


def witness_line(standing: Standing, published: Published) -> WitnessLine:
    """One witness in words. Pure."""
    behind = published.size - (standing.size or 0)
    if standing.disputes:
        state, words = "disputes", _("It says that our history does not fit the one it knows.")
    elif standing.size is None:
        state, words = "waiting", _("It has not signed yet.")
    elif behind <= 0:
        state, words = "current", _("It has seen every line.")
    elif standing.trouble:
        state, words = "quiet", _("It did not answer last time. It is asked again.")
    else:
        state, words = "behind", ngettext("%(num)d line is still to come.", "%(num)d lines are still to come.", behind)
    at = None if standing.time is None else standing.time * SECOND
    return WitnessLine(standing.name, state, words, standing.size, at)


def witness_lines(all_of_them: Sequence[Standing], published: Published) -> tuple[WitnessLine, ...]:
    """Every witness, in the policy's order."""
    return tuple(witness_line(each, published) for each in all_of_them)


def router(host: Host) -> APIRouter:
    """/ledger. The checkpoint, the key, the policy and the tiles below it are served in front of the pages."""
    routes = pages(host)
    logs, witnesses = host.get(Logs), host.get(Witnesses)

    @routes.get("/ledger")
    async def ledger(request: Request) -> Response:
        published, now = await logs.published(), host.clock.ms()
        log = logs.get()
        grown = await host.db.read_core(look, now)
        page = Ledger(
            size=published.size,
            began=grown[0][0] if grown else None,
            growth=chart(grown, published.size, now),
            witnesses=witness_lines(await witnesses.standing(), published),
            enough=witnesses.quorum(await witnesses.note(published)).met,
            origin=log.origin,
            root=b64encode(published.root).decode("ascii") if published.size else "",
            vkey=log.vkey,
        )
        return render(request, "ledger/ledger.html", page)

    return routes
