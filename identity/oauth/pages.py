"""The one page this package can't leave to a redirect: an authorization request whose client or address is not proved.

RFC 6749 section 4.1.2.1: tell the person, never redirect. The portal puts its own renderer in; until then a bare page.
"""

from collections.abc import Callable
from html import escape

from identity.oauth.errors import OAuthError
from kit.front import NO_STORE, Call, Reply

Renderer = Callable[[Call, OAuthError], Reply]


def plain(_: Call, error: OAuthError) -> Reply:
    """A page without style, in both languages."""
    text = escape(error.description)
    body = (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Request refused</title></head><body><main>'
        "<h1>サービスからの依頼を受け付けられません</h1><p>サービスにもどって、もう一度お試しください。</p>"
        '<div lang="en"><h1>This request can’t be accepted</h1><p>Go back to the service and try again.</p></div>'
        f'<p><code id="error">{error.code}</code> <span id="error-description" lang="en">{text}</span></p>'
        "</main></body></html>"
    )
    return Reply(400, body.encode(), [(b"content-type", b"text/html; charset=utf-8"), NO_STORE])


class ErrorPage:
    """Who renders the page: `host.get(ErrorPage).render = …`."""

    def __init__(self) -> None:
        self.render: Renderer = plain
