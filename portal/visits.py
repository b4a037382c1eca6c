"""Who is at the door of a page, and in which language.

`pages(host)` makes the router of a pages module: each of its handlers finds a `Visit` on the request, a
Problem raised in it becomes a page in the reader's language, and `require_session` sends people to the
sign-in page and back.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, fields
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from identity import mandates
from identity.errors_account import OutsideMandate
from identity.mandates import MandateView
from identity.oidc import locales
from identity.sessions import BrowserSession, Sessions, session_cookie
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor, Host
from kit.problems import NotFound, Problem
from kit.web import LaterRoute
from portal import i18n


@dataclass(frozen=True)
class Acting:
    """Somebody acts for somebody else: for whom, under what. No mandate: it has ended, and nothing goes on."""

    mandate: MandateView | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class ActingSession(BrowserSession):
    """A browser that acts: the account is the other person's, the actor the one who signed in."""

    holder_id: str = ""

    def actor(self) -> Actor:
        """Who it really is, and why it may be."""
        return Actor("resident", self.holder_id, session_id=self.id, mandate_id=self.mandate_id)


_acting: ContextVar[MandateView | None] = ContextVar("acting", default=None)


def may_see(purpose: str) -> bool:
    """Whether a consent for this purpose is within the mandate of the visit; everything is, in one's own."""
    mandate = _acting.get()
    return mandate is None or mandate.allows("see", purpose)


@dataclass(frozen=True)
class Visit:
    """One request of a person: language, browser session if signed in, whether the site is on https."""

    language: i18n.Language
    browser: BrowserSession | None
    secure: bool
    acting: Acting | None = None


class SignInNeeded(Exception):
    """The page is for someone signed in; `again` asks for a fresh proof."""

    def __init__(self, *, again: bool = False, staff: bool = False) -> None:
        super().__init__("sign-in needed")
        self.again = again
        self.staff = staff


#: Pages that services lead people to: there a service's `ui_locales` counts, where the person chose no language.
_SERVED = ("/interaction/", "/sign-in", "/sign-up", "/sign-out")


def _negotiated(request: Request) -> i18n.Language:
    return i18n.negotiate(
        asked=request.query_params.get("lang"),
        cookie=request.cookies.get(i18n.COOKIE),
        wished=request.cookies.get(locales.COOKIE) if request.url.path.startswith(_SERVED) else None,
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
    acting = None
    if browser is not None and browser.mandate_id is not None:
        found = (browser.mandate_id, browser.account_id, host.clock.ms())
        acting = await host.db.read(_find_acting, host.get(Sealer), *found)
    visit = Visit(_negotiated(request), browser, host.issuer.startswith("https://"), acting)
    _acting.set(acting.mandate if acting else None)
    request.state.visit = visit
    if browser is not None:
        request.state.actor = browser.actor()
    return visit


def _find_acting(session: Session, sealer: Sealer, mandate_id: str, holder_id: str, now: Millis) -> Acting:
    found = mandates.standing(session, mandate_id, holder_id=holder_id, now=now)
    return Acting(found, mandates.name_of(session, sealer, found.subject_id) if found else "")


def require_own(request: Request) -> None:
    """Nobody does this for somebody else, and nobody does their own while they act: whose it was would be unclear.
    Raises OutsideMandate."""
    if visit_of(request).acting is not None:
        raise OutsideMandate("This needs your own account, not the one you act for.")


def require_session(
    request: Request, *, fresh_ms: int | None = None, now: int | None = None, may: str = "", whole: bool = False
) -> BrowserSession:
    """The browser session of a resident. Raises SignInNeeded; with `fresh_ms`, also when the proof is old.

    A page that may be used for somebody else says what it does (`may`: see, answer or withdraw); all others are closed
    while a mandate is in use (OutsideMandate), and so is a `whole` view to a mandate for some purposes only.
    """
    visit = visit_of(request)
    browser = visit.browser
    if browser is not None and visit.acting is not None:
        mandate = visit.acting.mandate
        if mandate is None:
            raise OutsideMandate("This mandate has ended. Go back to your own account.")
        if not may:
            require_own(request)
        if not mandate.allows(may) or (whole and mandate.purposes):
            raise OutsideMandate("Your mandate does not cover this.")
        own = {each.name: getattr(browser, each.name) for each in fields(BrowserSession)}
        return ActingSession(**own | {"account_id": mandate.subject_id}, holder_id=browser.account_id)
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
