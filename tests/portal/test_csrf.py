"""Other sites cannot make a browser change anything here."""

import pytest

from portal.csrf import CrossSite, CsrfGuard, check

OURS = "https://sekisho.example"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_passes_from_anywhere(method: str) -> None:
    check(method, {b"sec-fetch-site": b"cross-site"}, OURS)


@pytest.mark.parametrize(
    "headers",
    [
        {b"sec-fetch-site": b"same-origin"},
        {b"sec-fetch-site": b"none"},
        {b"sec-fetch-site": b"same-origin", b"origin": b"null"},
        {b"origin": OURS.encode()},
        {b"authorization": b"Bearer abc"},
        {b"authorization": b"DPoP abc", b"sec-fetch-site": b"cross-site"},
    ],
)
def test_our_own_pages_programs_and_bearers_may_change(headers: dict[bytes, bytes]) -> None:
    check("POST", headers, OURS)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "BREW"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"sec-fetch-site": b"cross-site"},
        {b"sec-fetch-site": b"same-site"},
        {b"sec-fetch-site": b"cross-site", b"origin": OURS.encode()},
        {b"sec-fetch-site": b""},
        {b"origin": b"null"},
        {b"origin": b"https://sekisho.example.evil.example"},
        {b"origin": b"http://sekisho.example"},
        {b"authorization": b"Basic YTpi"},
        {b"referer": OURS.encode()},
    ],
)
def test_changing_without_proof_of_our_own_page_is_refused(method: str, headers: dict[bytes, bytes]) -> None:
    with pytest.raises(CrossSite):
        check(method, headers, OURS)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Send an access token: Authorization: Bearer"),
        ({b"cookie": b"__Host-sekisho=x"}, f"sends the header Origin: {OURS}"),
        ({b"origin": b"null"}, f"Open the page at {OURS} and try again"),
    ],
)
def test_a_refusal_says_what_a_program_and_a_person_can_do(headers: dict[bytes, bytes], words: str) -> None:
    with pytest.raises(CrossSite) as refused:
        check("POST", headers, OURS)
    assert words in str(refused.value.detail)


def test_header_sent_twice_is_refused() -> None:
    """Two readers of one request must not see two origins."""
    import asyncio

    refused: list[str] = []
    passed: list[str] = []

    async def inner(scope, receive, send):  # type: ignore[no-untyped-def]
        passed.append(scope["path"])

    async def refuse(scope, problem):  # type: ignore[no-untyped-def]
        async def answer(scope, receive, send):  # type: ignore[no-untyped-def]
            refused.append(problem.slug)

        return answer

    guard = CsrfGuard(inner, own_origin=OURS, refuse=refuse)
    headers = [(b"origin", b"https://evil.example"), (b"origin", OURS.encode())]
    asyncio.run(guard({"type": "http", "method": "POST", "path": "/x", "headers": headers}, None, None))  # type: ignore[arg-type]
    asyncio.run(guard({"type": "http", "method": "POST", "path": "/y", "headers": headers[1:]}, None, None))  # type: ignore[arg-type]
    assert (refused, passed) == (["cross-site"], ["/y"])
