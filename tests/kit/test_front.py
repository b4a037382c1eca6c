"""The front table: exact paths, strict reading, the same error shapes and headers as everywhere."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.front import Call, FrontRow, FrontTable, Reply, parse_form, reply_json
from kit.problems import Conflict, Malformed

pytestmark = pytest.mark.anyio


async def ask(
    table: FrontTable, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, read bytes."""
    scope = {
        "type": "http", "method": method, "path": path, "query_string": b"", "client": ("192.0.2.1", 5),
        "headers": [(k.encode(), v.encode()) for k, v in (headers or {}).items()],
    }  # fmt: skip
    chunks = [body[i : i + 1000] for i in range(0, len(body), 1000)] or [b""]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        part = chunks.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(chunks)}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await table(scope, receive, send)
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, sent[1]["body"]


async def inner(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"inner"})


async def echo(call: Call) -> Reply:
    return reply_json(200, await call.form())


async def broken(call: Call) -> Reply:
    raise RuntimeError("secret inside")


async def conflicted(call: Call) -> Reply:
    raise Conflict("Do it otherwise.", private="the reason")


async def reads_json(call: Call) -> Reply:
    return reply_json(200, await call.json())


@pytest.fixture
def table() -> FrontTable:
    rows = [
        FrontRow("POST", "/form", "public", echo, {}, "kit"),
        FrontRow("POST", "/json", "public", reads_json, {}, "kit"),
        FrontRow("GET", "/broken", "public", broken, {}, "kit"),
        FrontRow("GET", "/conflict", "public", conflicted, {}, "kit"),
        FrontRow("GET", "/tile/", "public", conflicted, {}, "kit", prefix=True),
    ]
    return FrontTable(rows, inner)


FORM = {"content-type": "application/x-www-form-urlencoded"}


async def test_other_paths_go_on_to_the_framework(table: FrontTable) -> None:
    assert (await ask(table, "GET", "/else"))[0] == 299
    assert (await ask(table, "GET", "/form/"))[0] == 299


async def test_a_known_path_refuses_other_methods_by_name(table: FrontTable) -> None:
    status, headers, _ = await ask(table, "PUT", "/form")
    assert (status, headers["allow"]) == (405, "POST")


async def test_a_prefix_row_takes_what_lies_below(table: FrontTable) -> None:
    assert (await ask(table, "GET", "/tile/0/000"))[0] == 409


async def test_a_body_over_the_limit_is_refused_with_413(table: FrontTable) -> None:
    status, headers, body = await ask(table, "POST", "/form", b"a=" + b"x" * 70_000, FORM)
    assert status == 413
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["type"] == "/problems/kit/too-large"


async def test_another_content_type_is_refused_with_415(table: FrontTable) -> None:
    assert (await ask(table, "POST", "/form", b"{}", {"content-type": "application/json"}))[0] == 415
    assert (await ask(table, "POST", "/json", b"{}"))[0] == 415


async def test_json_that_does_not_parse_is_refused_with_400(table: FrontTable) -> None:
    assert (await ask(table, "POST", "/json", b"{", {"content-type": "application/json"}))[0] == 400


async def test_an_unexpected_error_tells_a_reference_and_nothing_else(table: FrontTable) -> None:
    status, _, body = await ask(table, "GET", "/broken")
    assert status == 500
    assert b"secret inside" not in body
    assert json.loads(body)["instance"].startswith("urn:sekisho:request:req_")


async def test_a_problem_keeps_its_private_text_to_itself(table: FrontTable) -> None:
    status, headers, body = await ask(table, "GET", "/conflict")
    assert status == 409
    assert b"the reason" not in body
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_page_keeps_its_own_policy_as_the_only_one() -> None:
    async def page(call: Call) -> Reply:
        return Reply(200, b"<p>", [(b"content-security-policy", b"style-src 'self'")])

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    row = FrontRow("GET", "/page", "public", page, {}, "kit")
    scope = {"type": "http", "method": "GET", "path": "/page", "headers": [], "query_string": b"", "client": None}
    await FrontTable([row], inner)(scope, receive, send)
    names = [name for name, _ in sent[0]["headers"]]
    assert names.count(b"content-security-policy") == 1
    assert b"x-content-type-options" in names


async def test_head_is_get_without_a_body(table: FrontTable) -> None:
    status, headers, body = await ask(table, "HEAD", "/conflict")
    assert (status, body) == (409, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("data", [b"a=1&a=2", b"a=%ff", b"=1&=2", b"=1", b"a=1&=2", b"a;b", "a=é".encode(), b"&&"])
def test_a_form_with_two_readings_is_refused(data: bytes) -> None:
    """RFC 6749 section 3.1: parameters must not be included more than once."""
    with pytest.raises(Malformed):
        parse_form(data)


@given(st.binary(max_size=300))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    try:
        fields = parse_form(data)
    except Malformed:
        return
    assert all(isinstance(name, str) for name in fields)


def test_a_path_stands_in_the_table_once() -> None:
    row = FrontRow("GET", "/x", "public", broken, {}, "kit")
    with pytest.raises(ValueError, match="twice"):
        FrontTable([row, row], inner)
