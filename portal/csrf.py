"""Requests that change something must come from our own pages.

A browser attaches cookies to requests that other sites cause; this refuses those, without tokens:

1. Safe methods pass (RFC 9110 section 9.2.1): they change nothing here.
2. A request with an `Authorization: Bearer` or `DPoP` header passes: browsers never add these by themselves,
   and such a request is judged by its token, not by a cookie.
3. `Sec-Fetch-Site` decides if it is there: `same-origin`, or `none` for what the person typed or opened.
   `same-site` is refused: a sibling host of the city is not us. Pages cannot forge this header.
4. Otherwise `Origin` must be there and be ours. A program that is not a browser sends it.

Pure ASGI. Cookies are SameSite=Lax besides.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from kit.problems import Forbidden, Problem

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

Refuse = Callable[[Scope, Problem], Awaitable[ASGIApp]]


class CrossSite(Forbidden):
    """The request was caused by another site."""

    slug = "cross-site"
    title = "Request from another site"


def check(method: str, headers: Mapping[bytes, bytes], own_origin: str) -> None:
    """Raise CrossSite unless the request may change something. Header names are lower-case bytes."""
    if method in SAFE:
        return
    scheme = headers.get(b"authorization", b"").split(b" ", 1)[0].lower()
    if scheme in (b"bearer", b"dpop"):
        return
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        if site in (b"same-origin", b"none"):
            return
        raise CrossSite("This request came from another site. Open the page here and try again.")
    if headers.get(b"origin") == own_origin.encode("ascii"):
        return
    by_hand = f"the header Origin: {own_origin}"
    if b"cookie" in headers or b"origin" in headers:
        raise CrossSite(f"Open the page at {own_origin} and try again. A program that uses a session sends {by_hand}.")
    raise CrossSite(f"Send an access token: Authorization: Bearer … (or DPoP). With a session cookie, send {by_hand}.")


class CsrfGuard:
    """Middleware around the pages and the JSON APIs. `refuse` renders the problem for the reader."""

    def __init__(self, app: ASGIApp, *, own_origin: str, refuse: Refuse) -> None:
        self.app = app
        self.own_origin = own_origin
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "http":
            headers: dict[bytes, bytes] = {}
            for name, value in scope["headers"]:
                if name in (b"origin", b"sec-fetch-site") and name in headers:
                    value = b"sent twice"  # two different readings of one header end here
                headers[name] = value
            try:
                check(scope["method"], headers, self.own_origin)
            except CrossSite as problem:
                answer = await self.refuse(scope, problem)
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)
