"""What a request says about how the person is met (OpenID Connect Core section 3.1.2.1): `ui_locales`, `login_hint`,
`prompt=select_account`; and `ui_locales` of a sign-out (RP-Initiated Logout section 2)."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from identity.oidc.locales import LOCALES, wished
from identity.sessions import Sessions
from portal import i18n
from tests.portal.test_signin import PASSWORD, SESSION, add, post
from tests.support.relying_party import Party, advance, join, location, sign_in


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def sent(party: Party, *, signed_in: bool = False, **asked: str | None) -> tuple[str, str]:
    """Where an authorization request leads, and the wish that was laid down on the way."""
    response = await party.authorize(party.request(**asked), signed_in=signed_in)
    assert location(response)[0].startswith(f"{party.issuer}/interaction/")
    (laid,) = re.findall(r"sekisho-wish=(\w*);", response.headers["set-cookie"])
    return urlsplit(response.headers["location"]).path, laid


async def language(party: Party, path: str, *cookies: str, accept: str = "ja") -> str:
    page = await party.http.get(path, headers={"cookie": "; ".join(cookies), "accept-language": accept})
    assert page.status_code == 200, page.text[:200]
    found = re.search(r'<html lang="(\w+)"', page.text)
    assert found is not None
    return found[1]


async def test_the_first_language_we_speak_is_laid_down_for_the_pages_that_follow(party: Party) -> None:
    """RFC 5646 tags in order of preference; what we don't speak is no error."""
    wanted = {"en": "en", "fr-FR en-GB ja": "en", "JA-jp en": "ja", "fr de": "", "%%% ###": "", None: ""}
    for tags, code in wanted.items():
        assert (await sent(party, ui_locales=tags))[1] == code, tags


async def test_the_wish_is_spoken_from_the_sign_in_page_to_the_question(party: Party) -> None:
    place, laid = await sent(party, ui_locales="en ja")
    wish, own = f"sekisho-wish={laid}", f"sekisho-local={party.cookie}"
    to_sign_in = await party.http.get(place, headers={"cookie": wish})
    assert to_sign_in.headers["location"].startswith("/sign-in?next=")
    assert await language(party, to_sign_in.headers["location"], wish) == "en"
    assert await language(party, place, wish, own) == "en"
    pushed = await party.http.post("/oauth/par", data=party.request(ui_locales="en"), headers=party.basic)
    come = {"client_id": party.client.id, "request_uri": pushed.json()["request_uri"]}
    assert "sekisho-wish=en" in (await party.authorize(come)).headers["set-cookie"]


async def test_what_the_person_chose_stands_above_a_services_wish_and_other_pages_do_not_hear_it(party: Party) -> None:
    place, _ = await sent(party, ui_locales="en")
    own, wish = f"sekisho-local={party.cookie}", "sekisho-wish=en"
    assert await language(party, place, own, wish, "sekisho-lang=ja") == "ja"
    assert await language(party, f"{place}?lang=ja", own, wish) == "ja"
    assert await language(party, "/home", own, wish) == "ja"
    assert await language(party, place, own, "sekisho-wish=<script>") == "ja"


async def test_a_service_without_a_wish_takes_the_former_ones_away_and_an_answer_lays_none(party: Party) -> None:
    response = await party.authorize(party.request())
    assert "sekisho-wish=; Max-Age=0" in response.headers["set-cookie"]
    await party.agree(response)
    remembered = await party.authorize(party.request(ui_locales="en"))
    assert "set-cookie" not in remembered.headers


async def test_a_sign_out_that_is_asked_about_is_asked_in_the_wished_language(party: Party) -> None:
    asked = {"client_id": party.client.id, "ui_locales": "fr en"}
    own = f"sekisho-local={party.cookie}"
    response = await party.http.get("/oauth/end-session", params=asked, headers={"cookie": own})
    assert "sekisho-wish=en" in response.headers["set-cookie"]
    assert await language(party, response.headers["location"], own, "sekisho-wish=en") == "en"


async def test_discovery_says_the_languages_that_the_pages_have(client: Any) -> None:
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["ui_locales_supported"] == list(LOCALES) == list(i18n.LANGUAGES)
    assert wished(()) is None


async def test_a_login_hint_is_filled_in_as_text_and_decides_nothing(party: Party) -> None:
    for hint, shown in (
        ("hanako", 'value="hanako"'), ('"><script>x', 'value="&#34;&gt;&lt;script&gt;x"'), ("x" * 300, "x" * 200),
    ):  # fmt: skip
        place, _ = await sent(party, login_hint=hint)
        page = await party.http.get("/sign-in", params={"next": place})
        assert shown in page.text, hint
        assert "<script>x" not in page.text
        assert "x" * 201 not in page.text
    other = party.request(prompt="none", login_hint="somebody-else")
    assert location(await party.authorize(other))[1]["error"] == "consent_required"  # a hint is never believed


async def test_select_account_lets_the_person_choose_by_signing_in_again(app: Any, party: Party, client: Any) -> None:
    """Somebody else may sit at this browser: whoever signs in now is who the service learns of, with a session of their
    own; the one that was there answers nothing."""
    await party.code()  # remembered: without the prompt there would be no page
    page = await party.authorize(party.request(prompt="select_account"))
    place = urlsplit(page.headers["location"]).path
    own = {"cookie": f"sekisho-local={party.cookie}"}
    again = await client.get(place, headers=own)
    assert again.headers["location"].startswith("/sign-in?")
    assert "again=1" in again.headers["location"]
    answered = await client.post(place, data={"answer": "agree"}, headers={**own, "origin": party.issuer})
    assert answered.status_code == 303
    assert urlsplit(answered.headers["location"]).path == "/sign-in"
    advance(app, 1)
    other_id, _ = await add(app, "taro", app_on=False)
    await post(client, "/sign-in", login="taro", password=PASSWORD, next=place)
    other = await join(app, client)
    other.client, other.secret, other.verifier = party.client, party.secret, party.verifier
    other.account_id, other.cookie = other_id, client.cookies[SESSION]
    other.session = await app.host.get(Sessions).find(other.cookie)
    client.cookies.clear()
    tokens = (await other.exchange((await other.agree(page))["code"])).json()
    mine = (await party.exchange(await party.code())).json()
    subjects = [(await party.introspect(one["access_token"]))["sub"] for one in (tokens, mine)]
    assert subjects[0] != subjects[1]


async def test_select_account_without_a_page_is_login_required(party: Party) -> None:
    """Section 3.1.2.6: with `none` it contradicts itself."""
    await party.code()
    both = await party.authorize(party.request(prompt="none select_account"))
    assert location(both)[1]["error"] == "invalid_request"
    advance(party.building, 1)
    await sign_in(party)
    fresh = await party.authorize(party.request(prompt="select_account"))
    assert "/interaction/" in location(fresh)[0]  # of the request, not of a moment ago
