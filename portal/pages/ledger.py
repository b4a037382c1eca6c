"""The ledger for people: what it is, and "check my receipt" in the browser; for auditors, where everything is."""

from base64 import b64encode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kit.host import Host
from kit.tlog.log import Logs
from portal.contexts.ledger import Ledger
from portal.visits import pages
from portal.web import render


def router(host: Host) -> APIRouter:
    """/ledger. The checkpoint, the key and the tiles below it are served in front of the pages."""
    routes = pages(host)
    logs = host.get(Logs)

    @routes.get("/ledger")
    async def ledger(request: Request) -> Response:
        published = await logs.published()
        log = logs.get()
        page = Ledger(
            size=published.size,
            origin=log.origin,
            root=b64encode(published.root).decode("ascii") if published.size else "",
            vkey=log.vkey,
        )
        return render(request, "ledger/ledger.html", page)

    return routes
