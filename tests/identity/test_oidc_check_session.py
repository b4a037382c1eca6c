"""Session Management: what a service gets with its code, the cookie behind it, and the page for frames
(OpenID Connect Session Management 1.0). What the frame answers, a browser shows: tests/browser/test_session_frame.py.
"""

import hashlib
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from identity.oidc.check_session import COOKIE, PATH, SIGNED_OUT, BrowserState, origin_of
from kit.encoding import b64url
from tests.portal.test_signin import PASSWORD, add
from tests.support.relying_party import Party, join

CITY = "https://id.city.example"


@pytest.fixture
def settings(settings: Any) -> Any:
    identity = settings.identity.model_copy(update={"session_management": True})
    return settings.model_copy(update={"issuer": CITY, "identity": identity})


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def ask(party: Party, **changes: str | None) -> dict[str, str]:
    """The answer to a request of somebody signed in, by way of the page if there is one."""
    headers = {"cookie": f"__Host-sekisho={party.cookie}"}
    response = await party.http.get("/oauth/authorize", params=party.request(**changes), headers=headers)
    if "/interaction/" in response.headers["location"]:
        return await party.agree(response)
    query = parse_qs(urlsplit(response.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


def fits(said: str, client_id: str, origin: str, state: str) -> bool:
    """Section 3.2, as the frame computes it."""
    digest, _, salt = said.partition(".")
    return digest == b64url(hashlib.sha256(f"{client_id} {origin} {state} {salt}".encode()).digest())


async def test_a_code_comes_with_the_session_s_state(party: Party) -> None:
    """Section 2: by the page and without it; salted, so that two are never alike; no spaces."""
    assert party.session is not None
    state = party.building.host.get(BrowserState).of(party.session.id)
    said = [(await ask(party))["session_state"] for _ in range(3)]
    assert len(set(said)) == 3
    assert all(fits(one, party.client.id, "https://clinic.example", state) for one in said)
    assert all(" " not in one for one in said)
    assert party.session.id not in state
    assert party.cookie not in state


async def test_an_error_a_request_without_openid_and_a_fapi_client_get_none(app: Any, client: Any) -> None:
    from tests.identity.test_oauth_fapi import fapi

    party = await join(app, client, scope="profile openid")
    assert "session_state" not in await ask(party, scope="profile")
    assert "session_state" not in await ask(party, prompt="none", scope="openid")
    assert "session_state" in await ask(party)
    strict = await fapi(app, client)
    headers = {"cookie": f"__Host-sekisho={strict.party.cookie}"}
    asked = {"client_id": strict.party.client.id, "request_uri": (await strict.push()).json()["request_uri"]}
    answer = await strict.party.agree(await client.get("/oauth/authorize", params=asked, headers=headers))
    assert "code" in answer
    assert "session_state" not in answer


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://RP.example:443/cb?x=1", "https://rp.example"),
        ("https://rp.example:8443/cb", "https://rp.example:8443"),
        ("http://localhost:80/", "http://localhost"),
        ("http://[::1]:9/cb", "http://[::1]:9"),
        ("com.example.app:/cb", None),
    ],
)
def test_the_origin_is_what_a_browser_will_say(uri: str, origin: str | None) -> None:
    """RFC 6454 section 4."""
    assert origin_of(uri) == origin


async def test_signing_in_and_out_changes_the_cookie_that_scripts_may_read(
    app: Any, client: httpx2.AsyncClient
) -> None:
    """Random, not the session's, SameSite=None and Secure, and readable: the session's own cookie is none of that."""
    await add(app, app_on=False)
    headers = {"origin": CITY}
    done = await client.post("/sign-in", data={"login": "hana", "password": PASSWORD, "next": "/home"}, headers=headers)
    assert done.status_code == 303
    cookies = {cookie.partition("=")[0]: cookie for cookie in done.headers.get_list("set-cookie")}
    state, session = cookies[COOKIE], cookies["__Host-sekisho"]
    value = state.partition("=")[2].partition(";")[0]
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", value)
    assert state == f"{COOKIE}={value}; Path=/; Secure; SameSite=None"
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    gone = await client.post("/sign-out", headers=headers)
    assert f"{COOKIE}={SIGNED_OUT}; Path=/; Secure; SameSite=None" in gone.headers.get_list("set-cookie")


async def test_signing_out_at_a_service_s_wish_changes_it_too(app: Any, client: Any) -> None:
    party = await join(app, client)
    code = (await ask(party))["code"]
    hint = (await party.exchange(code)).json()["id_token"]
    headers = {"cookie": f"__Host-sekisho={party.cookie}"}
    gone = await client.get("/oauth/end-session", params={"id_token_hint": hint}, headers=headers)
    assert f"{COOKIE}={SIGNED_OUT}; Path=/; Secure; SameSite=None" in gone.headers.get_list("set-cookie")


async def test_the_frame_is_the_only_page_that_may_be_framed_and_can_do_nothing_else(
    client: httpx2.AsyncClient,
) -> None:
    """Section 3.2 and 3.3; its policy lets its own script run and no other, and reach nothing."""
    page = await client.get(PATH)
    policy = page.headers["content-security-policy"]
    assert "frame-ancestors https:" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "x-frame-options" not in page.headers
    assert "set-cookie" not in page.headers
    for other in ("/", "/sign-in", "/oauth/end-session", "/docs"):
        assert "frame-ancestors 'none'" in (await client.get(other)).headers["content-security-policy"], other


async def test_the_metadata_name_the_frame(client: httpx2.AsyncClient) -> None:
    """Section 3.3."""
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["check_session_iframe"] == f"{CITY}{PATH}"


def test_it_is_off_unless_asked_for_and_never_without_https() -> None:
    from identity.settings import IdentitySettings
    from keys.hashing import TokenHasher

    hasher = TokenHasher(bytes(32))
    assert not BrowserState(CITY, IdentitySettings(), hasher).on
    assert not BrowserState("http://localhost:8080", IdentitySettings(session_management=True), hasher).on
    assert BrowserState("http://localhost:8080", IdentitySettings(session_management=True), hasher).cookie("x") is None
