"""The city office and the resident over HTTP: who may look, what is shown, two persons, what the resident is told."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from identity.accounts import profile
from identity.levels import AAL1, AAL2
from identity.sessions import Sessions
from keys.envelope import Sealer
from kit import audit
from kit.clock import FrozenClock
from tests.portal.test_signin import PASSWORD, SESSION, add, code_of, json_post, post, session_of
from tests.support.authenticator import Authenticator
from tests.support.authenticator_app import code_at
from tests.support.desk import Colleague, colleague
from tests.support.relying_party import PROFILE, join

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

NEW = "four words nobody ever guesses"
OPEN = {"reason": "lost", "evidence": ["pension-number", "health-insurance"]}


async def two(app: "Building", client: Any) -> tuple[Colleague, Colleague]:
    """Two operators of the city office."""
    first = await colleague(app, client, "operator", login="misaki")
    return first, await colleague(app, client, "operator", login="irie")


async def login_of(app: "Building", account_id: str) -> str:
    """What the resident knows, and the console doesn't tell."""
    return (await app.host.db.read(profile, app.host.get(Sealer), account_id)).login


async def open_reset(who: Colleague, account_id: str) -> str:
    made = await who.post(f"/console/residents/{account_id}/reset", OPEN)
    assert made.status_code == 303, made.text[:400]
    place = str(made.headers["location"])
    assert re.fullmatch(r"/console/resets/rst_[0-9a-z]{26}", place)
    return place


def code_on(page: Any) -> str:
    """The code as it is printed."""
    found = re.search(r'id="code"[^>]*>(.*?)</p>', page.text, re.S)
    assert found, page.text[:400]
    return re.sub(r"<[^>]+>", "", found[1])


async def a_code(app: "Building", client: Any, account_id: str) -> str:
    first, second = await two(app, client)
    return code_on(await second.post(f"{await open_reset(first, account_id)}/approve", {"confirmed": "1"}))


async def test_operators_only_look_up_residents_and_staff_are_not_found(app: "Building", client: Any) -> None:
    account_id, _ = await add(app)
    operator = await colleague(app, client, "operator")
    outsiders = [
        await colleague(app, client, "analyst"),
        await colleague(app, client, "lead"),
        await colleague(app, client, "ethics"),
        await colleague(app, client, kind="resident"),
    ]
    place = f"/console/residents/{account_id}"
    reset = await open_reset(operator, account_id)
    for path in ("/console/residents", place, f"{place}/reset", reset):
        assert (await operator.get(path)).status_code == 200, path
        for other in outsiders:
            assert (await other.get(path)).status_code == 404, path
    for path in (f"{place}/lock", f"{place}/unlock", f"{place}/sessions/end", f"{place}/reset", f"{reset}/approve"):
        for other in outsiders:
            assert (await other.post(path, {"lock_reason": "asked", **OPEN})).status_code == 404, path
    assert (await operator.get(f"/console/residents/{outsiders[0].id}")).status_code == 404
    assert (await operator.post("/console/residents", {"who": "analyst"})).status_code == 422


async def test_a_look_up_takes_the_exact_name_shows_nothing_personal_and_is_told_to_the_resident(
    app: "Building", client: Any
) -> None:
    account_id, _ = await add(app)
    operator = await colleague(app, client, "operator")
    assert code_of(await operator.post("/console/residents", {"who": "han"})) == "unknown"
    found = await operator.post("/console/residents", {"who": " Hana "})
    assert found.headers["location"] == f"/console/residents/{account_id}"
    page = await operator.get(found.headers["location"])
    assert 'data-code="active"' in page.text
    assert "湊 花" not in page.text
    assert "1951" not in page.text
    await operator.get(found.headers["location"])  # the same look

    def entries(session: Any) -> list[audit.AuditEntry]:
        return audit.entries(session, action="identity.account.viewed")

    (entry,) = await app.host.db.read(entries)
    assert (entry.actor_id, entry.object_id) == (operator.id, account_id)
    token, _ = await app.host.db.write(app.host.get(Sessions).begin, account_id, acr=AAL2, amr=("pwd", "otp", "mfa"))
    safety = await Colleague(app, client, account_id, token).get("/safety")
    assert "The city office looked up your account" in safety.text


async def test_no_page_of_the_office_shows_who_a_resident_is(app: "Building", client: Any) -> None:
    """What stands about an account, never the person: name, reading, birthday, address, e-mail; nor in the trail. Nor
    the login name, which may be an e-mail address: one is found by it, and then it is a number and a first letter."""
    party = await join(app, client)
    await party.exchange(await party.code(scope="openid profile email address"))
    operator = await colleague(app, client, "operator")
    place = f"/console/residents/{party.account_id}"
    login = await login_of(app, party.account_id)
    found = await operator.post("/console/residents", {"who": login})
    assert found.headers["location"] == place
    assert "h•••" in (await operator.get(place)).text
    reset = await open_reset(operator, party.account_id)
    wrong = await operator.post(f"{place}/reset", {"reason": "lost"})
    assert (wrong.status_code, login in wrong.text) == (422, False)
    personal = [str(getattr(PROFILE, one)) for one in ("name", "name_kana", "birthdate", "address", "email")]
    assert all(len(one) > 3 for one in personal)
    personal += ["花子", "ハナコ", "1988", "潮見", "hanako", login]
    trail = f"object=account:{party.account_id}"
    for path in (
        place, f"{place}/reset", f"{place}/guardians", reset, "/console/residents", "/console",
        f"/console/audit?{trail}",
        f"/console/audit.jsonl?{trail}", f"/console/clients/{party.client.id}",
        f"/api/identity/clients/{party.client.id}",
    ):  # fmt: skip
        page = await operator.get(path)
        assert page.status_code == 200, path
        assert not [one for one in personal if one in page.text], path


async def test_a_lock_ends_sessions_and_tokens_at_once_and_says_so_before(app: "Building", client: Any) -> None:
    """Invariant I5: refused from the answer on, in every window and at every service."""
    party = await join(app, client)
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    operator = await colleague(app, client, "operator")
    place = f"/console/residents/{party.account_id}"
    page = await operator.get(place)
    assert "Locking ends 1 session and any reset at once. 1 service loses its standing access." in page.text
    assert (
        code_of(await operator.post(f"{place}/lock", {"lock_reason": "I dislike them"})) == "active"
    )  # 422, still open
    assert (await operator.post(f"{place}/lock", {"lock_reason": "stolen"})).status_code == 303
    assert await app.host.get(Sessions).find(party.cookie) is None
    assert await party.introspect(tokens["access_token"]) == {"active": False}
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert 'data-code="suspended"' in (await operator.get(place)).text
    assert (await operator.post(f"{place}/unlock")).status_code == 303
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await party.introspect(tokens["access_token"]) == {"active": False}


async def test_signing_out_everywhere_leaves_the_account_open(app: "Building", client: Any) -> None:
    account_id, _ = await add(app, app_on=False)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    token = client.cookies.get(SESSION)
    operator = await colleague(app, client, "operator")
    await operator.post(f"/console/residents/{account_id}/sessions/end")
    assert await app.host.get(Sessions).find(token) is None
    assert (await post(client, "/sign-in", login="hana", password=PASSWORD)).status_code == 303


async def test_the_code_is_shown_to_the_second_person_once_in_both_languages(app: "Building", client: Any) -> None:
    account_id, _ = await add(app)
    first, second = await two(app, client)
    place = await open_reset(first, account_id)
    assert 'id="approve"' not in (await first.get(place)).text
    assert (await first.post(f"{place}/approve", {"confirmed": "1"})).status_code == 403
    assert place in (await second.get("/console/residents")).text
    unticked = await second.post(f"{place}/approve", {"confirmed_not": "1"})
    assert (unticked.status_code, 'id="confirmed-error"' in unticked.text) == (422, True)
    shown = await second.post(f"{place}/approve", {"confirmed": "1"})
    assert shown.headers["cache-control"] == "no-store"
    assert len(code_on(shown).replace("-", "")) == 25
    assert "入り方を作り直すためのコード" in shown.text
    assert "Code for a new way to sign in" in shown.text
    assert "hana" not in shown.text.split('id="sheet"')[1]  # who finds the sheet has half of it only
    again = await second.post(f"{place}/approve", {"confirmed": "1"})
    assert again.headers["location"] == place
    assert code_on(shown) not in (await second.get(place)).text


async def test_both_persons_show_two_factors_and_lately(app: "Building", client: Any, clock: FrozenClock) -> None:
    """A reset must not be weaker than the sign-in it replaces (NIST SP 800-63B-4 section 4.2)."""
    account_id, _ = await add(app)
    first, second = await two(app, client)
    place = await open_reset(first, account_id)
    token, _ = await app.host.db.write(app.host.get(Sessions).begin, second.id, acr=AAL1, amr=("pwd",))
    weak = Colleague(app, client, second.id, token)
    assert (await weak.post(f"{place}/approve", {"confirmed": "1"})).status_code == 403
    assert (await weak.get(f"/console/residents/{account_id}/reset")).status_code == 403
    clock.advance(seconds=601)
    late = await second.post(f"{place}/approve", {"confirmed": "1"})
    assert late.headers["location"] == f"/sign-in?next={place.replace('/', '%2F')}&again=1"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"reason": "she is my aunt"}, "reason"),
        ({"evidence": ["pension-number"]}, "evidence"),
        ({"evidence": []}, "evidence"),
    ],
)
async def test_an_incomplete_reset_is_told_what_is_missing(
    app: "Building", client: Any, wrong: dict[str, Any], field: str
) -> None:
    account_id, _ = await add(app)
    operator = await colleague(app, client, "operator")
    page = await operator.post(f"/console/residents/{account_id}/reset", OPEN | wrong)
    assert (page.status_code, f'href="#{field}"' in page.text) == (422, True)


async def test_wrong_login_and_wrong_code_show_the_same_page(app: "Building", client: Any) -> None:
    account_id, _ = await add(app)
    code = await a_code(app, client, account_id)
    await client.get("/sign-in/reset")  # takes up the operator's notice, which shares this browser
    unknown = await post(client, "/sign-in/reset", login="nobody", code=code)
    wrong = await post(client, "/sign-in/reset", login="hana", code="7K2QM-9XW4T-0H3ZR-51BNC-QY8VD")
    assert (unknown.status_code, code_of(unknown)) == (422, "refused")
    assert unknown.text.replace("nobody", "LOGIN") == wrong.text.replace("hana", "LOGIN")
    for _ in range(30):
        answer = await post(client, "/sign-in/reset", login="hana", code="wrong")
    assert (answer.status_code, code_of(answer), "retry-after" in answer.headers) == (429, "throttled", True)


async def test_a_new_passkey_after_a_reset_ends_every_session_and_token_and_is_told_on_the_first_page(
    app: "Building", client: Any
) -> None:
    account_id, _ = await add(app)
    old, _ = await app.host.db.write(app.host.get(Sessions).begin, account_id, acr=AAL2, amr=("pwd", "otp", "mfa"))
    code = await a_code(app, client, account_id)
    warned = await Colleague(app, client, account_id, old).get("/home")
    assert "the city office began to make a new way in for you" in warned.text
    entered = await post(client, "/sign-in/reset", login="hana", code=code.lower())
    assert entered.headers["location"] == "/sign-in/reset/new"
    assert 'id="passkey-create"' in (await client.get("/sign-in/reset/new")).text
    device = Authenticator()
    options = await json_post(client, "/sign-in/reset/passkey/begin")
    made = await json_post(client, "/sign-in/reset/passkey/finish", device.create(options.text))
    assert made.json() == {"next": "/home"}
    session = await session_of(app, client)
    assert session is not None
    assert (session.account_id, session.acr, session.amr) == (account_id, AAL2, ("hwk", "user", "mfa"))
    assert await app.host.get(Sessions).find(old) is None
    home = await client.get("/home", headers={"accept-language": "en"})
    assert 'id="notice-reset-done"' in home.text
    assert "your ways to sign in were replaced with a code from the city office" in home.text
    assert (await post(client, "/sign-in", login="hana", password=PASSWORD)).status_code == 422
    assert code_of(await post(client, "/sign-in/reset", login="hana", code=code)) == "refused"
    gone = await json_post(client, "/sign-in/reset/passkey/begin")
    assert (gone.status_code, gone.json()) == (409, {"go": "/sign-in/reset?expired=1"})


async def test_refresh_tokens_end_with_a_reset_and_the_consents_stay(app: "Building", client: Any) -> None:
    party = await join(app, client)
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    first, second = await two(app, client)
    place = await open_reset(first, party.account_id)
    code = code_on(await second.post(f"{place}/approve", {"confirmed": "1"}))
    await post(client, "/sign-in/reset", login=await login_of(app, party.account_id), code=code)
    assert (await post(client, "/sign-in/reset/password", password=NEW, repeat=NEW)).status_code == 303
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert await party.introspect(tokens["access_token"]) == {"active": False}
    assert 'data-code="used"' in (await first.get(place)).text


async def test_a_new_password_leads_on_to_app_and_codes_and_is_worth_what_was_set_up(
    app: "Building", client: Any
) -> None:
    account_id, old_secret = await add(app)
    code = await a_code(app, client, account_id)
    await post(client, "/sign-in/reset", login="hana", code=code)
    weak = await post(client, "/sign-in/reset/password", password="short", repeat="short")
    assert (weak.status_code, code_of(weak)) == (422, "short")
    done = await post(client, "/sign-in/reset/password", password=NEW, repeat=NEW)
    assert done.headers["location"] == "/safety/app?first=1&next=/home"
    session = await session_of(app, client)
    assert session is not None
    assert (session.acr, session.amr) == (AAL1, ("pwd",))
    page = await client.get(done.headers["location"])
    secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")  # type: ignore[index]
    assert secret != old_secret
    now = app.host.clock.ms()
    confirmed = await post(client, "/safety/app", code=code_at(secret, now), first="1", next="/home")
    assert confirmed.headers["location"].startswith("/safety/codes?first=1")
    session = await session_of(app, client)
    assert session is not None
    assert session.acr == AAL2
    shown = await post(client, "/safety/codes", next="/home")
    assert len(re.findall(r'<li class="code">', shown.text)) == 10


@pytest.mark.parametrize("end", ["withdraw", "lock", "time"])
async def test_a_reset_that_ended_halfway_leads_back_to_the_code(
    app: "Building", client: Any, clock: FrozenClock, end: str
) -> None:
    account_id, _ = await add(app)
    first, second = await two(app, client)
    place = await open_reset(first, account_id)
    code = code_on(await second.post(f"{place}/approve", {"confirmed": "1"}))
    clock.advance(seconds=86_400 - 700 if end == "time" else 60)
    assert (await post(client, "/sign-in/reset", login="hana", code=code)).status_code == 303
    if end == "withdraw":
        assert (await second.post(f"{place}/withdraw")).status_code == 303
    elif end == "lock":
        await first.post(f"/console/residents/{account_id}/lock", {"lock_reason": "misuse"})
    else:
        clock.advance(seconds=701)
    for answer in (
        await client.get("/sign-in/reset/new"),
        await post(client, "/sign-in/reset/password", password=NEW, repeat=NEW),
    ):
        assert answer.headers["location"] == "/sign-in/reset?expired=1"
    assert code_of(await client.get("/sign-in/reset?expired=1")) == "expired"
    assert code_of(await post(client, "/sign-in/reset", login="hana", code=code)) == "refused"


async def test_without_a_right_code_there_is_no_second_step(app: "Building", client: Any) -> None:
    await add(app)
    await post(client, "/sign-in", login="hana", password=PASSWORD)  # another attempt's cookie is no reset's
    assert (await client.get("/sign-in/reset/new")).headers["location"] == "/sign-in/reset?expired=1"
    assert (await json_post(client, "/sign-in/reset/passkey/finish")).status_code == 409
