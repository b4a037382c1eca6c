"""Who may pass: one guard for each audience of JSON endpoints. The front table's handlers guard themselves.

* public: anyone; the actor is whoever is signed in, or nobody.
* resident: a resident's browser session.
* operator: a staff browser session, or a service token (whose scopes the endpoint checks; it has no roles).
* service: an access token, checked as of now.
"""

from fastapi import Request

from identity.bearer import Bearer
from identity.sessions import BrowserSession, Sessions, session_cookie
from kit.host import ANONYMOUS, Actor, Audience, Host
from kit.problems import Forbidden, Unauthenticated
from kit.web import Check


def guard(host: Host, audience: Audience) -> Check:
    """The check before every route of an audience; leaves the actor on the request."""
    sessions = host.get(Sessions)
    bearer = host.get(Bearer)
    cookie = session_cookie(host.issuer)

    async def browser(request: Request) -> BrowserSession | None:
        token = request.cookies.get(cookie)
        return await sessions.find(token) if token else None

    async def service(request: Request) -> Actor:
        access = await bearer.verify(request)
        request.state.access = access
        return Actor("service", access.client_id, client_id=access.client_id, scopes=access.scopes)

    async def public(request: Request) -> None:
        found = await browser(request)
        request.state.actor = found.actor() if found else ANONYMOUS

    async def resident(request: Request) -> None:
        found = await browser(request)
        if found is None:
            raise Unauthenticated("Sign in first.")
        if found.kind != "resident":
            raise Forbidden("This is for residents.")
        request.state.actor = found.actor()

    async def operator(request: Request) -> None:
        if "authorization" in request.headers:
            request.state.actor = await service(request)
            return
        found = await browser(request)
        if found is None:
            raise Unauthenticated("Sign in first.")
        if found.kind != "staff":
            raise Forbidden("This is for the city's staff.")
        request.state.actor = found.actor()

    async def token(request: Request) -> None:
        request.state.actor = await service(request)

    return {"public": public, "resident": resident, "operator": operator, "service": token}[audience]
