"""The two pages this package can't leave to a redirect. The portal puts its own renderers in; until then bare pages.

An authorization request whose client or address is not proved: tell the person, never redirect (RFC 6749 section
4.1.2.1). And an answer that goes to the client by a form (OAuth 2.0 Form Post Response Mode): a script of ours sends it
at once, a button sends it without.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from identity.oauth.errors import OAuthError
from kit.front import NO_STORE, Call, Reply

Renderer = Callable[[Call, OAuthError], Reply]


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """A form that carries an answer: to whom, where it goes (proved to be the client's), what is in it."""

    name_ja: str
    name_en: str
    action: str
    fields: tuple[tuple[str, str], ...]


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


def plain_form(_: Call, form: AnswerForm) -> Reply:
    """The form without style or script, in both languages."""
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in form.fields
    )
    body = (
        '<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>Continue</title></head><body><main>'
        f'<form method="post" id="answer" action="{escape(form.action)}">{fields}'
        '<button id="continue">つづける / Continue</button></form></main></body></html>'
    )
    return Reply(200, body.encode(), [(b"content-type", b"text/html; charset=utf-8"), NO_STORE])


class FormPost:
    """Who renders the form: `host.get(FormPost).render = …`."""

    def __init__(self) -> None:
        self.render: Callable[[Call, AnswerForm], Reply] = plain_form
