"""The safety pages over HTTP: for their owner, with a fresh proof where it matters."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.accounts import profile
from identity.breached import Breached
from identity.sessions import RECENT
from keys.envelope import Sealer
from kit import audit
from portal import i18n
from portal.app import Building
from tests.identity.test_breached import LEAKED, as_file
from tests.portal.test_signin import PASSWORD, SESSION, add, code_of, json_post, post, session_of
from tests.support.authenticator import Authenticator
from tests.support.authenticator_app import code_at

pytestmark = pytest.mark.anyio

NEW = "another fine long password"


async def sign_in(app: Building, client: Any, *, app_on: bool = False, login: str = "hana") -> str:
    """Sign a new person in; returns the secret of their app."""
    _, secret = await add(app, login, app_on=app_on)
    await post(client, "/sign-in", login=login, password=PASSWORD, next="/safety")
    if app_on:
        await post(client, "/sign-in/code", code=code_at(secret, app.host.clock.ms()))
    assert await session_of(app, client) is not None
    return secret


async def add_passkey(client: Any, name: str) -> Authenticator:
    device = Authenticator()
    options = await json_post(client, "/safety/passkeys/begin")
    answer = await json_post(client, f"/safety/passkeys/finish?name={name}", device.create(options.text))
    assert answer.json() == {"next": "/safety"}, answer.text
    return device


def passkey_ids(page: Any) -> list[str]:
    return re.findall(r'id="passkey-(pky_\w+)"', page.text)


@pytest.mark.parametrize(
    "path", ["/safety", "/safety/app", "/safety/codes", "/safety/password", "/safety/passkeys/new"]
)
async def test_strangers_are_sent_to_sign_in_and_back(app: Building, client: Any, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [path]


@pytest.mark.parametrize("path", ["/safety/app", "/safety/password", "/safety/passkeys/new"])
async def test_changing_how_one_signs_in_asks_for_a_fresh_sign_in(app: Building, client: Any, path: str) -> None:
    """A browser left open on a shared table must not become a new way in."""
    await sign_in(app, client)
    app.host.clock.advance(ms=RECENT + 1)  # type: ignore[attr-defined]
    answer = await client.get(path)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query) == {"next": [path], "again": ["1"]}
    assert (await client.get("/safety")).status_code == 200


async def test_every_change_itself_asks_for_a_fresh_sign_in(app: Building, client: Any) -> None:
    await sign_in(app, client, app_on=True)
    await add_passkey(client, "phone")
    (passkey_id,) = passkey_ids(await client.get("/safety"))
    app.host.clock.advance(ms=RECENT + 1)  # type: ignore[attr-defined]
    changes = [
        ("/safety/password", {"password": NEW, "repeat": NEW}),
        ("/safety/app", {"code": "123456"}),
        ("/safety/codes", {}),
        (f"/safety/passkeys/{passkey_id}/rename", {"name": "x"}),
        (f"/safety/passkeys/{passkey_id}/remove", {}),
    ]
    for path, fields in changes:
        answer = await post(client, path, **fields)
        assert answer.status_code == 303, path
        assert urlsplit(answer.headers["location"]).path == "/sign-in", path
    for path in ("/safety/passkeys/begin", "/safety/passkeys/finish"):
        answer = await json_post(client, path)
        assert answer.status_code == 403
        assert answer.json()["go"].startswith("/sign-in?next=%2Fsafety%2Fpasskeys%2Fnew&again=1")


async def test_a_passkey_is_added_renamed_and_removed(app: Building, client: Any) -> None:
    await sign_in(app, client, app_on=True)
    await add_passkey(client, "phone")
    page = await client.get("/safety")
    (passkey_id,) = passkey_ids(page)
    assert "phone" in page.text
    assert 'id="notice-safety-passkey-added"' in page.text
    answer = await post(client, f"/safety/passkeys/{passkey_id}/rename", name="玄関のタブレット")
    assert answer.status_code == 303
    assert "玄関のタブレット" in (await client.get("/safety")).text
    blank = await post(client, f"/safety/passkeys/{passkey_id}/rename", name="  ")
    assert blank.status_code == 422
    answer = await post(client, f"/safety/passkeys/{passkey_id}/remove")
    assert answer.status_code == 303
    assert passkey_ids(await client.get("/safety")) == []


async def test_the_last_way_in_stays(app: Building, client: Any) -> None:
    await sign_in(app, client)  # a password alone is no complete way
    await add_passkey(client, "phone")
    (passkey_id,) = passkey_ids(await client.get("/safety"))
    page = await client.get(f"/safety/passkeys/{passkey_id}")
    assert code_of(page) == "last-way-in"
    assert 'id="remove-form"' not in page.text
    answer = await post(client, f"/safety/passkeys/{passkey_id}/remove")
    assert answer.status_code == 409
    assert passkey_ids(await client.get("/safety")) == [passkey_id]


async def test_somebody_elses_passkey_and_session_do_not_exist(app: Building, client: Any) -> None:
    await sign_in(app, client)
    await add_passkey(client, "phone")
    (passkey_id,) = passkey_ids(await client.get("/safety"))
    hanas = await session_of(app, client)
    assert hanas is not None
    client.cookies.clear()
    await sign_in(app, client, login="taro")
    for path in (f"/safety/passkeys/{passkey_id}/rename", f"/safety/passkeys/{passkey_id}/remove"):
        assert (await post(client, path, name="mine")).status_code == 404
    assert (await client.get(f"/safety/passkeys/{passkey_id}")).status_code == 404
    assert (await post(client, f"/safety/sessions/{hanas.id}/end")).status_code == 404


async def test_sessions_are_listed_and_ended_one_or_all(app: Building, client: Any) -> None:
    await sign_in(app, client)
    tokens = [client.cookies.get(SESSION)]
    for _ in range(2):
        client.cookies.clear()
        await post(client, "/sign-in", login="hana", password=PASSWORD)
        tokens.append(client.cookies.get(SESSION))
    page = await client.get("/safety")
    others = re.findall(r'action="/safety/sessions/(ses_\w+)/end"', page.text)
    assert len(others) == 2
    assert (await post(client, f"/safety/sessions/{others[0]}/end")).status_code == 303
    page = await client.get("/safety")
    assert re.findall(r'action="/safety/sessions/(ses_\w+)/end"', page.text) == others[1:]
    assert (await post(client, "/safety/sessions/end-others")).status_code == 303
    page = await client.get("/safety")
    assert 'id="end-others"' not in page.text
    for token in tokens[:2]:
        client.cookies.clear()
        client.cookies.set(SESSION, token)
        assert (await client.get("/safety")).status_code == 303


async def test_a_new_password_that_leaked_elsewhere_is_refused_and_says_why(
    app: Building, client: Any, tmp_path: Path
) -> None:
    await sign_in(app, client, app_on=True)
    app.host.get(Breached).place = as_file(tmp_path / "pwnedpasswords.txt")
    leaked = await post(client, "/safety/password", password=LEAKED[0], repeat=LEAKED[0])
    assert (leaked.status_code, code_of(leaked)) == (422, "breached")
    assert (await post(client, "/safety/password", password=NEW, repeat=NEW)).status_code == 303


async def test_a_new_password_works_and_the_old_does_not(app: Building, client: Any) -> None:
    await sign_in(app, client, app_on=True)
    weak = await post(client, "/safety/password", password="passwordpassword", repeat="passwordpassword")
    assert (weak.status_code, code_of(weak)) == (422, "common")
    answer = await post(client, "/safety/password", password=NEW, repeat=NEW)
    assert (answer.status_code, answer.headers["location"]) == (303, "/safety")
    client.cookies.clear()
    assert (await post(client, "/sign-in", login="hana", password=PASSWORD)).status_code == 422
    assert (await post(client, "/sign-in", login="hana", password=NEW)).headers["location"] == "/sign-in/code"


async def test_the_app_is_moved_to_another_phone(app: Building, client: Any) -> None:
    await sign_in(app, client, app_on=True)
    page = await client.get("/safety/app")
    found = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)
    assert found
    secret = found[1].replace(" ", "")
    wrong = await post(client, "/safety/app", code="000000")
    assert (wrong.status_code, code_of(wrong)) == (422, "refused")
    assert found[0] in wrong.text  # the same secret: the phone has scanned it already
    answer = await post(client, "/safety/app", code=code_at(secret, app.host.clock.ms()))
    assert urlsplit(answer.headers["location"]).path == "/safety/codes"


async def test_codes_are_shown_once_and_only_with_an_app(app: Building, client: Any) -> None:
    await sign_in(app, client)
    assert (await client.get("/safety/codes")).headers["location"] == "/safety/app"
    client.cookies.clear()
    await sign_in(app, client, app_on=True, login="taro")
    shown = await post(client, "/safety/codes", next="/safety")
    assert len(re.findall(r'<li class="code">', shown.text)) == 10
    assert shown.headers["cache-control"] == "no-store"
    again = await client.get("/safety/codes")
    assert '<li class="code">' not in again.text
    assert 'id="replaces"' in again.text


async def test_without_a_password_the_app_asks_for_one_first(app: Building, client: Any) -> None:
    await post(client, "/sign-up", name="湊", name_kana="", birthdate="1951-04-02", login="minato")
    device = Authenticator()
    options = await json_post(client, "/sign-up/passkey/begin")
    await json_post(client, "/sign-up/passkey/finish", device.create(options.text))
    assert (await client.get("/safety/app")).headers["location"] == "/safety/password"
    answer = await post(client, "/safety/password", password=NEW, repeat=NEW)
    assert answer.headers["location"] == "/safety/app"


async def test_what_happened_at_the_door_is_told_without_saying_from_where(app: Building, client: Any) -> None:
    await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password="wrong")
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    page = await client.get("/safety", headers={"accept-language": "en"})
    assert "A wrong password was typed" in page.text
    assert "You signed in with your password" in page.text
    assert "127.0.0.1" not in page.text


@pytest.mark.parametrize(
    "name",
    ["葛\U000e0100城 花子", "渡邉 花子", "𠮷田 花子", "髙橋 神\ufa19 花", "Zoe\u0301 O'Neill", "グエン ティ ラン"],
)
async def test_a_name_is_kept_character_for_character(app: Building, client: Any, name: str) -> None:
    """Variation sequences (UTS #37), compatibility ideographs, letters beyond the BMP, decomposed accents."""
    await sign_in(app, client)
    answer = await post(client, "/safety/profile", name=name, name_kana="かつらぎ はなこ", locale="en")
    assert (answer.status_code, answer.headers["location"]) == (303, "/safety/profile")
    session = await session_of(app, client)
    assert session is not None
    known = await app.host.db.read(profile, app.host.get(Sealer), session.account_id)
    assert (known.name, known.name_kana, known.locale) == (name, "カツラギ ハナコ", "en")
    assert known.birthdate == "1951-04-02"
    assert name in (await client.get("/safety/profile")).text.replace("&#39;", "'")


async def test_a_name_that_is_none_is_said_beside_the_field(app: Building, client: Any) -> None:
    await sign_in(app, client)
    for form, field in (
        ({"name": " "}, "name"),
        ({"name": "花\u202e"}, "name"),
        ({"name": "\u3164"}, "name"),
        ({"nickname": "花\u2800"}, "nickname"),
        ({"name": "花" + "\u0301" * 9}, "name"),
        ({"name_kana": "Hana"}, "name_kana"),
    ):
        wrong = await post(client, "/safety/profile", **({"name": "湊 花", "name_kana": "", "locale": "ja"} | form))
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (422, True), field


async def test_a_resident_says_where_the_name_parts_and_how_to_reach_them(app: Building, client: Any) -> None:
    """OpenID Connect Core section 5.1: the claims of the standard scopes have a place where they are said."""
    await sign_in(app, client)
    offered = await client.get("/safety/profile")
    assert re.search(r'id="family_name"[^>]* value="湊"', offered.text)  # a name of two words is offered as two
    said = {
        "name": "葛\U000e0100城 花子", "family_name": "葛\U000e0100城", "given_name": "花子",
        "name_kana": "かつらぎ はなこ", "nickname": "はな", "gender": "female", "address": "湊浜市潮見1-2-3",
        "phone": "（０９０）１２３４ー５６７８", "locale": "ja",
    }  # fmt: skip
    assert (await post(client, "/safety/profile", **said)).status_code == 303
    session = await session_of(app, client)
    assert session is not None
    known = await app.host.db.read(profile, app.host.get(Sealer), session.account_id)
    assert (known.family_name, known.given_name) == ("葛\U000e0100城", "花子")
    assert (known.family_name_kana, known.given_name_kana) == ("カツラギ", "ハナコ")
    assert (known.phone, known.phone_verified) == ("+819012345678", False)
    assert (known.gender, known.address, known.nickname) == ("female", "湊浜市潮見1-2-3", "はな")
    page = (await client.get("/safety/profile")).text
    assert 'value="09012345678"' in page
    assert "A clerk at the counter can" in page or "窓口で職員がかけて" in page
    entries = await app.host.db.read(audit.entries, action="identity.phone.changed")
    assert [(one.object_id, one.detail) for one in entries] == [(session.account_id, {})]  # the letter follows it
    former = {"name": known.name, "name_kana": "かつらぎ はなこ", "locale": "en"}  # a page from before an update
    changed = await post(client, "/safety/profile", **former)
    assert (changed.status_code, "set-cookie" in changed.headers) == (303, True)
    same = await post(client, "/safety/profile", **former)  # a choice that stays turns no page over
    assert i18n.COOKIE not in " ".join(same.headers.get_list("set-cookie"))
    again = await app.host.db.read(profile, app.host.get(Sealer), session.account_id)
    assert (again.phone, again.address, again.family_name) == (known.phone, known.address, known.family_name)


async def test_another_name_is_not_let_in_by_its_parts(app: Building, client: Any) -> None:
    """What a clerk compared is the whole name: its parts are the same characters, or the form says what is wrong."""
    await sign_in(app, client)
    whole = {"name": "湊 花子", "family_name": "湊", "given_name": "花子", "name_kana": "", "locale": "en"}
    for form, field in (
        ({"family_name": "別府"}, "family_name"), ({"name": "別府 太郎"}, "family_name"),
        ({"given_name": "花子\u202e"}, "given_name"), ({"phone": "12"}, "phone"), ({"nickname": "n" * 41}, "nickname"),
        ({"address": "a" * 201}, "address"),
    ):  # fmt: skip
        wrong = await post(client, "/safety/profile", **(whole | form))
        assert (wrong.status_code, f'id="{field}-error"' in wrong.text) == (422, True), field
