"""Who is at the door of a page, and in which language.

`pages(host)` makes the router of a pages module: each of its handlers finds a `Visit` on the request, a
Problem raised in it becomes a page in the reader's language, and `require_session` sends people to the
sign-in page and back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity.sessions import BrowserSession, Sessions, session_cookie
from kit.host import Host
from kit.problems import NotFound, Problem
from kit.web import LaterRoute
from portal import i18n


@dataclass(frozen=True)
class Visit:
    """One request of a person: language, browser session if signed in, whether the site is on https."""

    language: i18n.Language
    browser: BrowserSession | None
    secure: bool


class SignInNeeded(Exception):
    """The page is for someone signed in; `again` asks for a fresh proof."""

    def __init__(self, *, again: bool = False, staff: bool = False) -> None:
        super().__init__("sign-in needed")
        self.again = again
        self.staff = staff


def _negotiated(request: Request) -> i18n.Language:
    return i18n.negotiate(
        asked=request.query_params.get("lang"),
        cookie=request.cookies.get(i18n.COOKIE),
        accept=request.headers.get("accept-language", ""),
    )


def visit_of(request: Request) -> Visit:
    """The visit of this request; made on the spot, without a session, where no page router was passed."""
    found = getattr(request.state, "visit", None)
    if isinstance(found, Visit):
        return found
    visit = Visit(_negotiated(request), None, request.url.scheme == "https")
    request.state.visit = visit
    return visit


async def begin_visit(host: Host, request: Request) -> Visit:
    """Find language and browser session, once a request."""
    token = request.cookies.get(session_cookie(host.issuer))
    browser = await host.get(Sessions).find(token) if token else None
    visit = Visit(_negotiated(request), browser, host.issuer.startswith("https://"))
    request.state.visit = visit
    if browser is not None:
        request.state.actor = browser.actor()
    return visit


def require_session(request: Request, *, fresh_ms: int | None = None, now: int | None = None) -> BrowserSession:
    """The browser session of a resident. Raises SignInNeeded; with `fresh_ms`, also when the proof is old."""
    browser = visit_of(request).browser
    if browser is None or browser.kind != "resident":
        raise SignInNeeded
    if fresh_ms is not None and now is not None and now - browser.auth_at > fresh_ms:
        raise SignInNeeded(again=True)
    return browser


def require_staff(request: Request, *roles: str) -> BrowserSession:
    """The browser session of staff with at least one of the roles. Raises SignInNeeded or NotFound."""
    browser = visit_of(request).browser
    if browser is None:
        raise SignInNeeded(staff=True)
    if browser.kind != "staff" or (roles and not set(roles) & set(browser.roles)):
        raise NotFound("There is nothing here for you.")
    return browser


def sign_in_address(request: Request, *, again: bool = False) -> str:
    """The sign-in page that leads back here. After a POST it leads to the page the form was on."""
    back = request.url.path
    if request.method in ("GET", "HEAD") and request.url.query:
        back += "?" + request.url.query
    return "/sign-in?" + urlencode({"next": back} | ({"again": "1"} if again else {}))


def pages(host: Host) -> APIRouter:
    """A router for pages: outside the API documents, with visits, and with problems shown as pages."""

    class PageRoute(LaterRoute):
        """One page."""

        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            """Wrap the handler."""
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                from portal.pages.errors import problem_page

                visit = await begin_visit(host, request)
                with i18n.speaking(visit.language):
                    try:
                        return await inner(request)
                    except SignInNeeded as needed:
                        address = sign_in_address(request, again=needed.again)
                        headers = {"cache-control": "no-store"}
                        return RedirectResponse(address, status_code=303, headers=headers)
                    except Problem as problem:
                        return problem_page(request, problem)

            return handle

    return APIRouter(route_class=PageRoute, include_in_schema=False)
