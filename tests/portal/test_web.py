"""Rendering, strict forms, notices, static files."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from kit.problems import Malformed, NotFound, TooLarge, UnsupportedType
from portal import static_files, web
from portal.contexts.base import Landing
from portal.i18n import N_


def _request(
    *,
    method: str = "GET",
    path: str = "/",
    query: str = "",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    raw = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": raw,
        "scheme": "https",
        "server": ("sekisho.example", 443),
        "state": {},
    }
    return Request(scope, receive)


def _form(body: bytes | dict[str, str], kind: str = "application/x-www-form-urlencoded") -> web.Form:
    data = body if isinstance(body, bytes) else urlencode(body).encode()
    return asyncio.run(web.read_form(_request(method="POST", body=data, headers={"content-type": kind})))


def test_page_carries_the_strict_policy_and_is_kept_by_nobody() -> None:
    response = web.render(_request(), "landing.html", Landing(ledger_size=1))
    assert response.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-language"] == "ja"


def test_form_action_names_the_validated_origin_and_nothing_else() -> None:
    origin = web.origin_of("https://user@clinic.example:8443/callback?x=1#y")
    assert origin == "https://clinic.example:8443"
    assert web.origin_of("jp.example.app:/callback") == "jp.example.app:"
    policy = web.content_security_policy((origin,))
    assert policy.endswith("form-action 'self' https://clinic.example:8443")


def test_asking_for_a_language_is_remembered() -> None:
    response = web.render(_request(query="lang=en"), "landing.html", Landing(ledger_size=1))
    assert "sekisho-lang=en" in response.headers["set-cookie"]
    assert "Secure" in response.headers["set-cookie"]
    assert '<html lang="en">' in bytes(response.body).decode()


def test_language_links_keep_the_rest_of_the_query() -> None:
    response = web.render(_request(query="q=%22x%22&lang=ja"), "landing.html", Landing(ledger_size=1))
    assert "?q=%22x%22&amp;lang=en" in bytes(response.body).decode()


def test_notice_is_shown_once() -> None:
    web.notice("test.saved", N_("Today"))
    sent = web.redirect(_request(method="POST"), "/data", notice="test.saved")
    assert (sent.status_code, sent.headers["location"]) == (303, "/data")
    shown = web.render(
        _request(headers={"cookie": "sekisho-notice=test.saved"}), "landing.html", Landing(ledger_size=1)
    )
    assert "きょう" in bytes(shown.body).decode()
    assert 'sekisho-notice=""; expires=' in shown.headers["set-cookie"].lower()
    forged = web.render(_request(headers={"cookie": "sekisho-notice=<b>"}), "landing.html", Landing(ledger_size=1))
    assert "<b>" not in bytes(forged.body).decode()


def test_unregistered_notice_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        web.redirect(_request(), "/data", notice="no.such")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/data?x=1", "/data?x=1"),
        (None, "/home"),
        ("", "/home"),
        ("//evil.example", "/home"),
        ("/\\evil.example", "/home"),
        ("https://evil.example", "/home"),
        ("/a\r\nset-cookie: x", "/home"),
        ("/a\\b", "/home"),
        ("javascript:alert(1)", "/home"),
    ],
)
def test_only_paths_of_ours_are_followed(value: str | None, expected: str) -> None:
    assert web.local_path(value) == expected


def test_form_gives_single_values_and_lists() -> None:
    form = _form(b"a=+x+&c=1&c=2&e=")
    assert (form.one("a"), form.raw("a"), form.all("c"), form.one("e"), form.one("z", "d")) == (
        "x",
        " x ",
        ["1", "2"],
        "",
        "d",
    )
    with pytest.raises(Malformed):
        form.one("c")


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        (b"a=1", "multipart/form-data", UnsupportedType),
        (b"a=1", "", UnsupportedType),
        (b"a", "application/x-www-form-urlencoded", Malformed),
        (b"a=%ff", "application/x-www-form-urlencoded", Malformed),
        (b"a=%00", "application/x-www-form-urlencoded", Malformed),
        (b"a=1&" * 600 + b"a=1", "application/x-www-form-urlencoded", Malformed),
        (b"a=" + b"x" * web.FORM_LIMIT, "application/x-www-form-urlencoded", TooLarge),
    ],
)
def test_form_that_is_not_one_is_refused(body: bytes, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        _form(body, kind)


def _upload(body: bytes) -> tuple[web.Form, web.Upload | None]:
    headers = {"content-type": "multipart/form-data; boundary=b", "content-length": str(len(body))}
    reader: Callable[..., Awaitable[tuple[web.Form, web.Upload | None]]] = web.read_upload
    return asyncio.run(reader(_request(method="POST", body=body, headers=headers), "file"))  # type: ignore[arg-type]


def test_upload_is_read_in_memory() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="note"\r\n\r\nhi\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n{"a":1}\r\n--b--\r\n'
    )
    form, upload = _upload(body)
    assert form.one("note") == "hi"
    assert upload == web.Upload("a.json", b'{"a":1}')


@pytest.mark.parametrize("body", [b"nonsense", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"])
def test_upload_that_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        _upload(body)


def test_upload_over_the_limit_is_refused() -> None:
    with pytest.raises(TooLarge):
        _upload(b"x" * (web.UPLOAD_LIMIT + 1))


def test_static_file_with_its_hash_is_kept_for_a_year_and_without_it_is_asked_again() -> None:
    url = static_files.static_url("site.css")
    version = url.rpartition("=")[2]
    assert "immutable" in static_files.serve("site.css", version, None).headers["cache-control"]
    assert static_files.serve("site.css", "old", None).headers["cache-control"] == "no-cache"
    assert static_files.serve("site.css", None, f'"{version}"').status_code == 304


@pytest.mark.parametrize("name", ["../app.py", "nothing.css", "", "vendor/design-tokens/README.md"])
def test_only_listed_static_files_are_served(name: str) -> None:
    with pytest.raises(NotFound):
        static_files.serve(name, None, None)
