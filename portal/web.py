"""Pages: one template, one dataclass, one answer.

`render` gives a template exactly one dataclass; its fields are the template's variables, beside `page`
(the frame around every page: language, navigation, notice). Autoescape and strict undefined are on, so a
field that is missing fails loudly and a field nobody shows fails a test.

Also here: strict reading of forms, redirects after a POST with a one-time notice, and the headers every
page carries. The Content-Security-Policy has no inline anything; a page whose form ends in a redirect to a
service names that origin in `form_action`, because Chromium applies `form-action` along redirects.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from identity.client_paths import segment
from kit.problems import Malformed, TooLarge, UnsupportedType
from portal import i18n, mistakes
from portal.static_files import static_url
from portal.visits import Visit, visit_of

TEMPLATES = Path(__file__).parent / "templates"
FORM_LIMIT = 64 * 1024
UPLOAD_LIMIT = 1024 * 1024  # below Starlette's spooling size: an upload never touches the disk in clear (I6)
NOTICE_COOKIE = "sekisho-notice"


# -- headers


def content_security_policy(form_action: Sequence[str] = ()) -> str:
    """The policy of every page; `form_action` lists validated origins a form of this page may lead to."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            " ".join(("form-action 'self'", *form_action)),
        )
    )


def origin_of(url: str) -> str:
    """The origin of a validated redirect address, for `form_action`.

    An address with a scheme of its own (a native app) yields the bare scheme, as CSP wants it.
    """
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    return f"{parts.scheme}:"


def page_headers(form_action: Sequence[str] = ()) -> dict[str, str]:
    """Security headers of a page. Pages are personal: nobody but the reader's browser may keep them."""
    return {
        "content-security-policy": content_security_policy(form_action),
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
        "vary": "Accept-Language, Cookie",
    }


# -- notices: one sentence on the next page, once


@dataclass(frozen=True)
class Notice:
    """What the next page says about what was just done. `kind` is done, info or warn."""

    kind: str
    text: str


_NOTICES: dict[str, Notice] = {}


def notice(code: str, text: str, *, kind: str = "done") -> str:
    """Register a notice under a stable code: `SAVED = notice("data.saved", N_("Saved."))`."""
    _NOTICES[code] = Notice(kind, text)
    return code


# -- the frame around every page


@dataclass(frozen=True)
class LanguageLink:
    """A link to this very page in a language."""

    code: str
    name: str
    href: str
    current: bool


@dataclass(frozen=True)
class Frame:
    """What base.html knows besides the template's own dataclass; the variable is `page`."""

    lang: str
    path: str
    languages: tuple[LanguageLink, ...]
    signed_in: bool
    staff: bool
    roles: frozenset[str]
    notice: Notice | None
    notice_code: str
    acting: str | None = None  # the name of whom the reader acts for; "" after the mandate has ended


def _frame(request: Request, visit: Visit) -> Frame:
    kept = [(k, v) for k, v in parse_qsl(request.url.query, keep_blank_values=True) if k != "lang"]
    links = tuple(
        LanguageLink(code, name, "?" + urlencode([*kept, ("lang", code)]), code == visit.language.code)
        for code, name in i18n.LANGUAGES.items()
    )
    code = request.cookies.get(NOTICE_COOKIE, "")
    browser = visit.browser
    return Frame(
        lang=visit.language.code,
        path=request.url.path,
        languages=links,
        signed_in=browser is not None,
        staff=browser is not None and browser.kind == "staff",
        roles=frozenset(browser.roles) if browser else frozenset(),
        notice=_NOTICES.get(code),
        notice_code=code if code in _NOTICES else "",
        acting=visit.acting.name if visit.acting else None,
    )


# -- templates


@cache
def environment() -> Environment:
    """The Jinja environment of all pages."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.policies["ext.i18n.trimmed"] = True
    env.install_gettext_callables(  # type: ignore[attr-defined]  # the i18n extension adds it
        lambda message: i18n.current().gettext(message),
        lambda one, many, number: i18n.current().ngettext(one, many, number),
        newstyle=True,
    )
    env.globals["static"] = static_url
    for name in (
        "day",
        "long_day",
        "weekday",
        "month",
        "clock",
        "moment",
        "short_moment",
        "number",
        "plain_day",
        "pick",
        "join",
    ):
        env.filters[name if name != "join" else "sentence_list"] = _language_filter(name)
    env.filters["ago"] = lambda ms, now: i18n.current().ago(ms, now)
    env.filters["days_left"] = lambda ms, now: i18n.current().days_left(ms, now)
    env.filters["iso"] = _iso
    env.filters["segment"] = segment
    env.filters["mistake"] = mistakes.code_of
    env.filters["t"] = lambda message: i18n.current().gettext(str(message))
    return env


def _language_filter(name: str) -> Any:
    def apply(value: object) -> str:
        return str(getattr(i18n.current(), name)(value))

    return apply


def _iso(ms: int) -> str:
    from kit.clock import iso

    return iso(ms)


def variables(context: object) -> dict[str, object]:
    """The template variables of a context dataclass: its fields, not deeper."""
    return {f.name: getattr(context, f.name) for f in fields(context)}  # type: ignore[arg-type]  # any dataclass


def compose(template: str, context: object, frame: Frame) -> str:
    """The text of a page, in the current language. For `render`, the samples and their tests."""
    return environment().get_template(template).render(page=frame, **variables(context))


def render(
    request: Request,
    template: str,
    context: object,
    *,
    status: int = 200,
    form_action: Sequence[str] = (),
) -> HTMLResponse:
    """Answer with a page in the reader's language."""
    visit = visit_of(request)
    frame = _frame(request, visit)
    with i18n.speaking(visit.language):
        body = compose(template, context, frame)
    headers = page_headers(form_action) | {"content-language": visit.language.code}
    response = HTMLResponse(body, status_code=status, headers=headers)
    if request.query_params.get("lang") in i18n.LANGUAGES:
        response.set_cookie(
            i18n.COOKIE,
            visit.language.code,
            max_age=365 * 86400,
            secure=visit.secure,
            httponly=True,
            samesite="lax",
        )
    if NOTICE_COOKIE in request.cookies:
        response.delete_cookie(NOTICE_COOKIE, secure=visit.secure, httponly=True, samesite="lax")
    return response


def redirect(request: Request, url: str, *, notice: str | None = None) -> Response:
    """303 See Other after a POST, with a one-time notice for the next page."""
    response = RedirectResponse(url, status_code=303, headers=page_headers())
    if notice is not None:
        if notice not in _NOTICES:
            raise KeyError(notice)
        response.set_cookie(
            NOTICE_COOKIE,
            notice,
            max_age=120,
            secure=visit_of(request).secure,
            httponly=True,
            samesite="lax",
        )
    return response


_LOCAL_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def local_path(value: str | None, default: str = "/home") -> str:
    """Where to go next, if it is a path of ours; the default otherwise. Closes open redirects."""
    return value if value and len(value) <= 2000 and _LOCAL_PATH.fullmatch(value) else default


# -- forms


class Form:
    """A form as sent. `one` refuses a field that came twice: no two readers may see two values."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def one(self, name: str, default: str = "") -> str:
        """The single value of a field, trimmed of surrounding space; the default if it was not sent.

        Raises Malformed.
        """
        values = self._values.get(name)
        if not values:
            return default
        if len(values) > 1:
            raise Malformed(f"The field {name} was sent more than once.")
        return values[0].strip()

    def raw(self, name: str) -> str:
        """The single value exactly as typed, for passwords. Raises Malformed."""
        values = self._values.get(name, [""])
        if len(values) > 1:
            raise Malformed(f"The field {name} was sent more than once.")
        return values[0]

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order: ticked boxes."""
        return list(self._values.get(name, []))

    def has(self, name: str) -> bool:
        """Whether the field was sent: which button was pressed."""
        return name in self._values

    def names(self) -> list[str]:
        """The names of all fields sent."""
        return list(self._values)

    def as_dict(self) -> Mapping[str, str]:
        """The first value of each field, to fill the form again after an error."""
        return {name: values[0] for name, values in self._values.items()}


async def _body(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise TooLarge(f"The form is larger than {limit} bytes.")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The form is larger than {limit} bytes.")
        chunks.append(chunk)
    return b"".join(chunks)


async def read_form(request: Request, *, limit: int = FORM_LIMIT) -> Form:
    """Read a urlencoded form strictly: content type, size, UTF-8. Raises UnsupportedType, Malformed."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise UnsupportedType("Send the form as application/x-www-form-urlencoded.")
    body = await _body(request, limit)
    if not body:
        return Form([])
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=500
        )
    except (UnicodeError, ValueError):
        raise Malformed("The form could not be read.") from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise Malformed("The form contains a character that cannot be stored.")
    return Form(pairs)


@dataclass(frozen=True)
class Upload:
    """A file sent with a form, in memory."""

    name: str
    content: bytes


async def read_upload(request: Request, field: str, *, limit: int = UPLOAD_LIMIT) -> tuple[Form, Upload | None]:
    """Read a multipart form with at most one file, entirely in memory. Raises UnsupportedType, Malformed."""
    from starlette.datastructures import Headers, UploadFile
    from starlette.formparsers import MultiPartException, MultiPartParser

    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedType("Send the form as multipart/form-data.")
    body = await _body(request, limit)

    async def stream() -> Any:
        yield body

    parser = MultiPartParser(Headers(raw=request.headers.raw), stream(), max_files=1, max_fields=50)
    try:
        data = await parser.parse()
    except (MultiPartException, KeyError, ValueError):
        raise Malformed("The form could not be read.") from None
    pairs = [(name, value) for name, value in data.multi_items() if isinstance(value, str)]
    file = data.get(field)
    upload = None
    if isinstance(file, UploadFile) and file.filename:
        upload = Upload(file.filename, await file.read())
    await data.close()
    return Form(pairs), upload
