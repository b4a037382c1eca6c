"""“This wasn't me”: one button that signs everybody out and stops what waits to change the account.

Reached from a letter, with its ticket and without a sign-in, or from Safety, where this browser stays signed in. The
page itself changes nothing: mail scanners open links.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consent import instructions
from identity.alarm import Alarm, Ended
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from kit.db import Session
from kit.host import ANONYMOUS, Host
from portal.contexts import safety as pages_of
from portal.pages.safety import who
from portal.visits import pages, visit_of
from portal.web import read_form, render


def router(host: Host) -> Any:
    """/not-me."""
    routes = pages(host)
    alarm, sealer = host.get(Alarm), host.get(Sealer)

    @routes.get("/not-me")
    async def ask(request: Request) -> Response:
        ticket = request.query_params.get("ticket", "")
        if ticket:
            alarm.opened(ticket)  # an old link says so before anybody presses
        else:
            who(request)
        return render(request, "safety/not_me.html", pages_of.NotMe(ticket))

    @routes.post("/not-me")
    async def sound(request: Request) -> Response:
        ticket = (await read_form(request)).one("ticket")
        here = visit_of(request).browser
        account_id, actor, keep = (alarm.opened(ticket), ANONYMOUS, None) if ticket else _own(request)

        def write(session: Session) -> Ended:
            done = alarm.sound(session, account_id, actor=actor, keep=keep)
            # Whoever was in as this person may have said yes in advance: it would outlive every session and password.
            instructions.stop_all(session, sealer, account_id=account_id, actor=actor, now=host.clock.ms())
            return done

        done = await host.db.write(write)
        still_in = keep is not None and isinstance(here, BrowserSession)
        page = pages_of.NotMeDone(done.sessions, done.families, still_in)
        return render(request, "safety/not_me_done.html", page)

    def _own(request: Request) -> tuple[str, Any, str | None]:
        current = who(request)
        return current.account_id, current.actor(), current.id

    return routes
