"""The door: what nobody foresaw is answered with a reference, and nobody's data ends in the log (portal/door.py)."""

import io
import logging
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from structlog.testing import capture_logs

from kit import logs
from portal import static_files
from portal.door import Door, Unfinished

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio
SECRET = "湊 花子"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Logs as the server writes them."""
    before, written = structlog.get_config(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure()
    yield written
    structlog.configure(**before)


@pytest.fixture
def broken(app: "Building") -> None:
    """A page whose code has a mistake, and an export that breaks off in the middle."""
    from starlette.responses import StreamingResponse

    async def mistake() -> None:
        raise ValueError(f"input_value={SECRET!r}")

    async def export() -> StreamingResponse:
        async def parts() -> Any:
            yield b"PK"
            raise ValueError(SECRET)

        return StreamingResponse(parts())

    app.fastapi.add_api_route("/broken", mistake)
    app.fastapi.add_api_route("/broken-export", export)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
async def test_a_mistake_is_answered_with_a_reference_and_logged_without_its_text(
    broken: None, client: Any, accept: str, logged: io.StringIO
) -> None:
    answer = await client.get("/broken", headers={"accept": accept})
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html" if accept == "text/html" else "application/problem")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "req_" in answer.text
    said = answer.text + logged.getvalue()
    assert "mistake" in said  # where it happened
    assert SECRET not in said


async def test_a_proxy_nobody_named_is_told_to_the_operator_once_and_not_believed(app: "Building", client: Any) -> None:
    """Behind it everybody is one caller; strangers send the header, too, so the log gets no line of each of theirs."""
    with capture_logs() as told:
        await client.get("/healthz")
        assert not told
        for _ in range(2):
            await client.get("/healthz", headers={"x-forwarded-for": "203.0.113.9"})
    assert [one["event"] for one in told] == ["forwarded-for-ignored"]
    assert "SEKISHO_TRUSTED_PROXIES" in told[0]["hint"]
    assert "203.0.113.9" not in str(told)


async def test_half_an_answer_is_cut_off() -> None:
    """The server closes the connection, so that nobody takes a part for the whole; it never sees the text."""
    sent = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"PK", "more_body": True})
        raise ValueError(SECRET)

    async def send(message: Any) -> None:
        sent.append(message)

    with pytest.raises(Unfinished) as caught:
        await Door(app, secure=True)(
            {"type": "http", "path": "/leave/export", "query_string": b"", "headers": []}, None, send
        )  # type: ignore[arg-type]
    assert caught.value.__suppress_context__
    assert SECRET not in str(caught.value)
    assert (b"strict-transport-security", b"max-age=31536000; includeSubDomains") in sent[0]["headers"]


def test_libraries_log_without_texts_too() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logs.Plain("%(message)s"))
    logger = logging.Logger("library")
    logger.addHandler(handler)
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(SECRET) from error
    except ValueError:
        logger.exception("it broke")
    said = out.getvalue()
    assert "builtins.KeyError" in said
    assert "builtins.ValueError" in said
    assert SECRET not in said.replace("raise KeyError(SECRET)", "")


@pytest.mark.parametrize("path", ["/", "/sign-in", "/oauth/authorize", "/api/consent/purposes", "/no-such-page"])
async def test_raw_bytes_in_a_query_are_no_mistake_of_ours(app: "Building", path: str) -> None:
    """No browser sends them, and the framework stumbles over them."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"lang=\x80&x=\xff", "scheme": "http",
        "headers": [(b"accept", b"text/html")], "client": ("192.0.2.1", 5), "server": ("localhost", 80),
        "http_version": "1.1", "raw_path": path.encode(), "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["status"] < 500


async def test_an_answer_is_kept_by_nobody_unless_it_says_so(client: Any) -> None:
    """JSON about a person, read with a cookie, would otherwise stay on the disk of a shared computer."""
    assert (await client.get("/api/consent/purposes")).headers["cache-control"] == "no-store"
    assert (await client.get(static_files.static_url("site.css"))).headers["cache-control"].endswith("immutable")
    assert (await client.get("/api/bank/categories")).headers["cache-control"] == "public, max-age=3600"
