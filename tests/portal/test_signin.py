"""The doors over HTTP: forms and redirects as a program without a script meets them."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity import totp
from identity.accounts import Profile, create_account
from identity.credentials import Credentials
from identity.levels import AAL1, AAL2
from identity.sessions import BrowserSession, Sessions
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.host import Actor
from portal.app import Building
from tests.support.authenticator import Authenticator
from tests.support.authenticator_app import code_at

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse battery staple"
ORIGIN = {"origin": "http://localhost:8080"}
SESSION, ATTEMPT = "sekisho-local", "sekisho-local-attempt"


async def add(app: Building, login: str = "hana", *, app_on: bool = True, kind: Any = "resident") -> tuple[str, str]:
    """A person with a password and, unless told otherwise, an authenticator app; returns id and secret."""
    host = app.host
    hashed = await host.get(Credentials).hash(PASSWORD)
    account_id = await host.db.write(
        create_account,
        host.get(Sealer),
        host.get(TokenHasher),
        login=login,
        profile=Profile(name="湊 花", birthdate="1951-04-02"),
        now=host.clock.ms(),
        kind=kind,
        password_hash=hashed,
    )
    secret = totp.new_secret()
    if app_on:
        await host.db.write(
            totp.turn_on, host.get(Sealer), account_id, secret=secret, now=host.clock.ms(),
            actor=Actor("resident", account_id),
        )  # fmt: skip
    return account_id, secret


async def post(client: Any, path: str, **fields: str) -> Any:
    return await client.post(path, data=fields, headers=ORIGIN)


async def half_in(client: Any, next: str = "/consents") -> None:
    answer = await post(client, "/sign-in", login="hana", password=PASSWORD, next=next)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in/code")


async def session_of(app: Building, client: Any) -> BrowserSession | None:
    return await app.host.get(Sessions).find(client.cookies.get(SESSION))


def code_of(answer: Any) -> str:
    """The stable code of what is wrong on a page."""
    found = re.search(r'data-code="([a-z-]+)"', answer.text)
    return found[1] if found else ""


# -- password and app


async def test_password_then_code_then_where_one_wanted_to_go(app: Building, client: Any) -> None:
    account_id, secret = await add(app)
    await half_in(client)
    assert client.cookies.get(SESSION) is None
    answer = await post(client, "/sign-in/code", code=code_at(secret, app.host.clock.ms()))
    assert (answer.status_code, answer.headers["location"]) == (303, "/consents")
    session = await session_of(app, client)
    assert session is not None
    assert (session.account_id, session.acr) == (account_id, AAL2)
    assert client.cookies.get(ATTEMPT) is None


async def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(app: Building, client: Any) -> None:
    _, secret = await add(app)
    await half_in(client)
    answer = await post(client, "/sign-in/code", code=code_at(secret, app.host.clock.ms()))
    cookies = answer.headers.get_list("set-cookie")
    (session,) = [cookie for cookie in cookies if cookie.startswith(f"{SESSION}=")]
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert "Path=/" in session


async def test_without_an_app_the_password_signs_in_at_level_one_and_the_next_page_says_so(
    app: Building, client: Any
) -> None:
    await add(app, app_on=False)
    answer = await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert (answer.status_code, answer.headers["location"]) == (303, "/home")
    session = await session_of(app, client)
    assert session is not None
    assert session.acr == AAL1
    safety = await client.get("/safety")
    assert 'id="notice-signin-password-only"' in safety.text
    assert 'id="weak"' in safety.text


async def test_staff_begin_at_the_desk(app: Building, client: Any) -> None:
    await add(app, app_on=False, kind="staff")
    answer = await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert answer.headers["location"] == "/desk"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aset-cookie:x",
        "\t//evil.example",
        "http:evil",
        "/\x00",
    ],
)
async def test_next_leads_nowhere_but_to_a_path_of_ours(app: Building, client: Any, elsewhere: str) -> None:
    await add(app, app_on=False)
    if "\x00" not in elsewhere:
        answer = await post(client, "/sign-in", login="hana", password=PASSWORD, next=elsewhere)
        assert answer.status_code == 303
        place = urlsplit(answer.headers["location"])
        assert (place.scheme, place.netloc) == ("", "")
        assert answer.headers["location"].startswith("/")
    page = await client.get("/sign-in", params={"next": elsewhere, "again": "1"})
    found = re.search(r'name="next" value="([^"]*)"', page.text)
    assert found
    assert "evil" not in found[1]


async def test_a_wrong_password_and_an_unknown_login_show_the_same_page(app: Building, client: Any) -> None:
    await add(app)
    wrong = await post(client, "/sign-in", login="hana", password="wrong")
    unknown = await post(client, "/sign-in", login="nobody", password="wrong")
    assert wrong.status_code == unknown.status_code == 422
    assert code_of(wrong) == "refused"
    assert wrong.text.replace("hana", "LOGIN") == unknown.text.replace("nobody", "LOGIN")
    assert "wrong" not in re.sub(r"field-wrong|notice-warn", "", wrong.text)


async def test_too_many_tries_answer_429_with_retry_after(app: Building, client: Any) -> None:
    await add(app)
    for _ in range(5):
        await post(client, "/sign-in", login="hana", password="wrong")
    answer = await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "30"
    assert code_of(answer) == "throttled"


async def test_a_wrong_code_may_be_tried_again_and_then_the_password_is_asked(app: Building, client: Any) -> None:
    await add(app)
    await half_in(client)
    answer = await post(client, "/sign-in/code", code="000000")
    assert (answer.status_code, code_of(answer)) == (422, "refused")
    while True:
        answer = await post(client, "/sign-in/code", code="000000")
        if answer.status_code == 303:
            break
        if answer.status_code == 429:
            app.host.clock.advance(seconds=int(answer.headers["retry-after"]))  # type: ignore[attr-defined]
    assert answer.headers["location"] == "/sign-in?expired=1"
    assert code_of(await client.get("/sign-in?expired=1")) == "expired"


@pytest.mark.parametrize("path", ["/sign-in/code", "/sign-in/recovery"])
async def test_the_second_step_without_the_first_begins_again(app: Building, client: Any, path: str) -> None:
    assert (await client.get(path)).headers["location"] == "/sign-in?expired=1"
    assert (await post(client, path, code="123456")).headers["location"] == "/sign-in?expired=1"


async def test_somebody_who_is_signed_in_goes_on(app: Building, client: Any) -> None:
    await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    answer = await client.get("/sign-in", params={"next": "/data"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/data")
    assert (await client.get("/sign-up")).headers["location"] == "/home"


async def test_signing_in_again_gives_a_new_token_and_ends_the_old(app: Building, client: Any) -> None:
    await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    old = client.cookies.get(SESSION)
    page = await client.get("/sign-in", params={"next": "/safety", "again": "1"})
    assert 'id="again"' in page.text
    await post(client, "/sign-in", login="hana", password=PASSWORD, again="1", next="/safety")
    assert client.cookies.get(SESSION) != old
    assert await app.host.get(Sessions).find(old) is None


async def test_a_form_sent_from_another_site_is_refused(app: Building, client: Any) -> None:
    """Login fixation: a page elsewhere must not sign this browser in as somebody it chose."""
    await add(app, app_on=False)
    fields = {"login": "hana", "password": PASSWORD}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {}):
        answer = await client.post("/sign-in", data=fields, headers=headers)
        assert answer.status_code == 403
        assert client.cookies.get(SESSION) is None


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/code", "/sign-up"])
async def test_a_form_that_is_no_form_is_refused(app: Building, client: Any, path: str) -> None:
    assert (await client.post(path, json={"login": "hana"}, headers=ORIGIN)).status_code == 415
    huge = await client.post(path, data={"login": "x" * 200_000}, headers=ORIGIN)
    assert huge.status_code == 413
    twice = await client.post(
        path,
        content="login=a&login=b&password=c&name=d&name=e&code=1&code=2",
        headers=ORIGIN | {"content-type": "application/x-www-form-urlencoded"},
    )
    assert twice.status_code == 400


async def test_pages_carry_the_strict_policy_and_are_not_kept(app: Building, client: Any) -> None:
    for path in ("/sign-in", "/sign-up", "/sign-out"):
        answer = await client.get(path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert "style=" not in answer.text
        assert not re.search(r"<script(?![^>]* src=)", answer.text)


# -- signing out


async def test_signing_out_ends_the_session_and_empties_the_cookie(app: Building, client: Any) -> None:
    await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    token = client.cookies.get(SESSION)
    page = await client.get("/sign-out")
    assert 'id="sign-out-submit"' in page.text
    assert await app.host.get(Sessions).find(token) is not None  # a link alone signs nobody out
    answer = await post(client, "/sign-out")
    assert answer.status_code == 303
    assert client.cookies.get(SESSION) is None
    assert await app.host.get(Sessions).find(token) is None


# -- signing up

PERSON = {"name": "湊 花", "name_kana": "みなと はな", "birthdate": "昭和26年4月2日", "login": "Hana"}


async def test_signing_up_with_password_and_app_ends_at_level_two_with_codes(app: Building, client: Any) -> None:
    answer = await post(client, "/sign-up", **PERSON, next="/data")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-up/key")
    page = await client.get("/sign-up/key")
    assert "湊 花" in page.text
    answer = await post(client, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert place.path == "/safety/app"
    assert parse_qs(place.query) == {"first": ["1"], "next": ["/data"]}
    page = await client.get(answer.headers["location"])
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)
    assert found
    code = code_at(found[1].replace(" ", ""), app.host.clock.ms())
    answer = await post(client, "/safety/app", code=code, first="1", next="/data")
    assert urlsplit(answer.headers["location"]).path == "/safety/codes"
    session = await session_of(app, client)
    assert session is not None
    assert session.acr == AAL2
    page = await post(client, "/safety/codes", next="/data")
    codes = re.findall(r'<li class="code">([0-9A-Z]{5}-[0-9A-Z]{5})</li>', page.text)
    assert len(codes) == 10
    assert 'href="/data"' in page.text
    # And the account works: sign out, sign in with one of the codes.
    await post(client, "/sign-out")
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    answer = await post(client, "/sign-in/recovery", code=codes[0].lower())
    assert (answer.status_code, answer.headers["location"]) == (303, "/home")


async def test_what_is_wrong_is_said_at_each_field_and_what_was_typed_is_kept(app: Building, client: Any) -> None:
    answer = await post(client, "/sign-up", name="", name_kana="minato", birthdate="someday", login="花子")
    assert answer.status_code == 422
    for name in PERSON:
        assert f'id="{name}-error"' in answer.text
        assert f'href="#{name}"' in answer.text
    assert 'value="minato"' in answer.text


async def test_a_taken_login_name_is_said_and_asking_is_throttled(app: Building, client: Any) -> None:
    """The one place that must tell whether a login name exists: so it is slow."""
    await add(app)
    answer = await post(client, "/sign-up", **PERSON)
    assert answer.status_code == 422
    assert 'id="login-error"' in answer.text
    for _ in range(10):
        answer = await post(client, "/sign-up", **PERSON)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("password", "repeat", "code"),
    [
        ("short", "short", "short"),
        ("passwordpassword", "passwordpassword", "common"),
        (PASSWORD, "something else entirely", "repeat"),
        ("", "", "blank"),
    ],
)
async def test_a_weak_password_makes_no_account(
    app: Building, client: Any, password: str, repeat: str, code: str
) -> None:
    await post(client, "/sign-up", **PERSON)
    answer = await post(client, "/sign-up/password", password=password, repeat=repeat)
    assert (answer.status_code, code_of(answer)) == (422, code)
    assert f'value="{password}"' not in answer.text or not password
    assert await session_of(app, client) is None


async def test_the_second_page_without_the_first_goes_back(app: Building, client: Any) -> None:
    assert (await client.get("/sign-up/key")).headers["location"] == "/sign-up"
    answer = await post(client, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)
    assert answer.headers["location"] == "/sign-up"


async def test_sending_the_last_page_twice_makes_one_account(app: Building, client: Any) -> None:
    await post(client, "/sign-up", **PERSON)
    attempt = client.cookies.get(ATTEMPT)
    await post(client, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)
    client.cookies.clear()
    client.cookies.set(ATTEMPT, attempt)
    answer = await post(client, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)
    assert answer.headers["location"] == "/sign-up"


# -- passkeys, by their JSON endpoints


async def json_post(client: Any, path: str, body: bytes = b"{}") -> Any:
    return await client.post(path, content=body, headers=ORIGIN | {"content-type": "application/json"})


async def test_signing_up_and_in_with_a_passkey(app: Building, client: Any) -> None:
    await post(client, "/sign-up", **PERSON, next="/data")
    device = Authenticator()
    options = await json_post(client, "/sign-up/passkey/begin")
    assert options.status_code == 200
    made = await json_post(client, "/sign-up/passkey/finish", device.create(options.text))
    assert made.json() == {"next": "/data"}
    session = await session_of(app, client)
    assert session is not None
    assert (session.acr, session.amr) == (AAL2, ("hwk", "user", "mfa"))
    await post(client, "/sign-out")
    options = await json_post(client, "/sign-in/passkey/begin")
    answer = await json_post(client, "/sign-in/passkey/finish?next=/consents", device.get(options.text))
    assert answer.json() == {"next": "/consents"}
    assert await session_of(app, client) is not None


async def test_a_refused_passkey_is_a_problem_with_a_stable_type(app: Building, client: Any) -> None:
    answer = await json_post(client, "/sign-in/passkey/finish", b"{}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/identity/passkey-refused"
    assert (await client.post("/sign-in/passkey/finish", data={"a": "b"}, headers=ORIGIN)).status_code == 415


async def test_the_script_is_told_where_to_go_when_the_sign_up_is_over(app: Building, client: Any) -> None:
    answer = await json_post(client, "/sign-up/passkey/begin")
    assert (answer.status_code, answer.json()) == (409, {"go": "/sign-up"})


async def test_passkey_sign_in_leads_nowhere_but_to_a_path_of_ours(app: Building, client: Any) -> None:
    await post(client, "/sign-up", **PERSON)
    device = Authenticator()
    options = await json_post(client, "/sign-up/passkey/begin")
    await json_post(client, "/sign-up/passkey/finish", device.create(options.text))
    options = await json_post(client, "/sign-in/passkey/begin")
    path = "/sign-in/passkey/finish?next=https://evil.example/"
    answer = await json_post(client, path, device.get(options.text))
    assert answer.json() == {"next": "/home"}
