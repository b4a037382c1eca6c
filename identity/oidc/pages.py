"""The page after signing out, where services are told through the browser (Front-Channel Logout 1.0 section 2).

The portal puts its own renderer in; until then a bare page. Third-party cookies are partitioned or gone in most
browsers, so what a frame does at the service may reach nothing: Back-Channel Logout is the dependable path.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from kit.front import CSP, NO_STORE, Call, Reply


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The services' own addresses to be framed, and where to go on ("" for nowhere)."""

    frames: tuple[str, ...]
    to: str

    @property
    def frame_sources(self) -> str:
        """The origins of the frames, for the page's policy: exactly this session's services."""
        return " ".join(sorted({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, self.frames)}))


def plain(_: Call, page: SignedOut) -> Reply:
    """Without style or script, in both languages."""
    frames = "".join(f'<iframe src="{escape(uri)}" hidden></iframe>' for uri in page.frames)
    onward = f'<p><a id="continue" href="{escape(page.to)}">つづける / Continue</a></p>' if page.to else ""
    body = (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>Signed out</title></head><body><main>'
        f"<h1>サインアウトしました / You are signed out</h1>{onward}{frames}</main></body></html>"
    )
    policy = f"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; frame-src {page.frame_sources}"
    return Reply(
        200, body.encode(), [(b"content-type", b"text/html; charset=utf-8"), NO_STORE, (CSP, policy.encode("ascii"))]
    )


class SignedOutPage:
    """Who renders the page: `host.get(SignedOutPage).render = …`."""

    def __init__(self) -> None:
        self.render: Callable[[Call, SignedOut], Reply] = plain
