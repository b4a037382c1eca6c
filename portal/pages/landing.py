"""The front door: what Sekisho is, for a stranger; residents go on to their home, staff to the desk."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kit.host import Host
from kit.tlog.log import Logs
from portal.contexts.base import Landing
from portal.visits import pages, visit_of
from portal.web import render


def router(host: Host) -> APIRouter:
    """The page at /."""
    routes = pages(host)
    logs = host.get(Logs)

    @routes.get("/")
    async def landing(request: Request) -> Response:
        browser = visit_of(request).browser
        if browser is not None:
            place = "/desk" if browser.kind == "staff" else "/home"
            return RedirectResponse(place, status_code=303, headers={"cache-control": "no-store"})
        return render(request, "landing.html", Landing(ledger_size=(await logs.published()).size))

    return routes
