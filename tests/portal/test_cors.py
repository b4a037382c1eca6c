"""Pages of other sites (the Fetch standard's CORS protocol): which paths they may read, and no other."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.relying_party import REDIRECT, Prover, join

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

ELSEWHERE = "https://app.example"
OPEN = {
    "/.well-known/openid-configuration": "GET",
    "/.well-known/oauth-authorization-server": "GET",
    "/.well-known/oauth-protected-resource": "GET",
    "/.well-known/ssf-configuration": "GET",
    "/.well-known/openid-federation": "GET",
    "/federation/fetch": "GET",
    "/federation/historical-keys": "GET",
    "/federation/list": "GET",
    "/federation/resolve": "GET",
    "/federation/trust-mark": "GET",
    "/federation/trust-marked": "GET",
    "/federation/trust-mark-status": "POST",
    "/oauth/jwks": "GET",
    "/oauth/token": "POST",
    "/oauth/par": "POST",
    "/oauth/revoke": "POST",
    "/oauth/device_authorization": "POST",
    "/oauth/userinfo": "GET, POST",
}
# Public files that say so themselves: a page of anybody's may check a receipt.
FILES = ("/ledger/", "/witness/", "/ledger-", "/status-lists")


def asks(method: str) -> dict[str, str]:
    return {"origin": ELSEWHERE, "access-control-request-method": method,
            "access-control-request-headers": "authorization,dpop,content-type"}  # fmt: skip


@pytest.mark.parametrize("path", OPEN)
async def test_a_preflight_allows_what_the_endpoint_takes(client: Any, path: str) -> None:
    """Fetch section 3.2.2; `*` does not stand for Authorization, so that is named."""
    answer = await client.options(path, headers=asks("POST"))
    assert answer.status_code == 204
    assert answer.content == b""
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == OPEN[path]
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed == {"authorization", "content-type", "dpop"}
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("path", OPEN)
async def test_every_answer_there_may_be_read_errors_too(client: Any, path: str) -> None:
    """Section 3.2.3: else a page's program could not tell a refusal from a broken line."""
    method = OPEN[path].partition(",")[0]
    for content in (b"", b"x" * 70_000):
        answer = await client.request(method, path, headers={"origin": ELSEWHERE}, content=content)
        assert answer.headers.get_list("access-control-allow-origin") == ["*"], answer.text
        exposed = answer.headers["access-control-expose-headers"]
        assert "DPoP-Nonce" in exposed
        assert "WWW-Authenticate" in exposed
        assert "access-control-allow-credentials" not in answer.headers


async def test_no_path_where_a_cookie_counts_says_a_word(app: "Building", client: Any) -> None:
    """Neither to a preflight nor to the request itself: authorization, sign-in, the JSON APIs, every page.

    FAPI 2.0 Security Profile section 5.2.3 item 3: the authorization endpoint least of all.
    """
    paths = {(row.method, row.path + ("x" if row.prefix else "")) for row in app.host.rows if not row.cors}
    paths |= {
        (method, route.path.replace("{", "").replace("}", ""))
        for route in app.fastapi.routes
        for method in getattr(route, "methods", None) or ("GET",)
    }
    asked = 0
    for method, path in sorted(paths):
        if path.startswith(FILES):
            continue
        for sent in ("OPTIONS", method):
            answer = await client.request(sent, path, headers={**asks(method), "cookie": "sekisho-local=x"})
            found = [name for name in answer.headers if name.startswith("access-control-")]
            assert not found, (sent, path, found)
            asked += 1
    assert asked > 300
    assert {row.path for row in app.host.rows if row.cors} == set(OPEN)


async def test_a_program_in_a_page_gets_tokens_and_the_profile(app: "Building", client: Any) -> None:
    """A public client whose home is the browser: what it needs to know is exposed, a challenge among it."""
    party = await join(app, client, token_endpoint_auth_method="none")
    key, now, page = Prover(), app.host.clock.ms(), {"origin": ELSEWHERE}

    def proof(method: str, path: str, **more: Any) -> dict[str, str]:
        return {**page, "dpop": key.proof(method, party.issuer + path, now_ms=now, **more)}

    code = await party.code()
    form = {"grant_type": "authorization_code", "code": code, "client_id": party.client.id,
            "redirect_uri": REDIRECT, "code_verifier": party.verifier}  # fmt: skip
    answer = await client.post("/oauth/token", data=form, headers=proof("POST", "/oauth/token"))
    assert answer.headers["access-control-allow-origin"] == "*"
    token = answer.json()["access_token"]
    bearing = {"authorization": f"DPoP {token}", **proof("GET", "/oauth/userinfo", token=token)}
    known = await client.get("/oauth/userinfo", headers=bearing)
    assert (known.status_code, known.headers["access-control-allow-origin"]) == (200, "*")
    again = await client.get("/oauth/userinfo", headers=bearing)
    assert again.status_code == 401
    assert "WWW-Authenticate" in again.headers["access-control-expose-headers"]


async def test_who_is_no_page_is_told_nothing_of_it(client: Any) -> None:
    answer = await client.post("/oauth/token", data={"grant_type": "x"})
    assert "access-control-allow-origin" not in answer.headers
