"""The page that asks, over HTTP: what it shows, and what one write makes of the answer."""

import re
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from consent import agreements, questions, records
from identity import grants
from keys.envelope import Sealer
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building
from tests.support.catalogue import ANY
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import REDIRECT, advance, join, location, sign_in


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident with data and a service with an agreement."""
    return await settle(app, client)


def _text(page: httpx2.Response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text))


async def test_page_says_who_what_why_until_when_and_what_happens_if_not(home: Household) -> None:
    page = await home.get(await home.ask())
    text = _text(page).replace("\u2060", "")
    assert page.status_code == 200
    assert (
        "湊浜診療所が、医療・健康サービスを良くするために、あなたの健康診断の結果などを2027年5月17日まで見てもよいですか。"
        in text
    )
    assert "2027年5月17日（令和9年）" in text
    assert "128 mmHg" in text, "the resident's own value"
    assert "広告や保険の審査に使うこと" in text
    assert "何も変わりません。" in text
    assert "紙を持って行かなくても" in text
    assert "いつでも「わたしの同意」から取り消せます。" in text


async def test_optional_parts_are_unticked_and_required_ones_are_no_boxes(home: Household) -> None:
    page = await home.get(await home.ask())
    boxes = re.findall(r'<input type="checkbox"[^>]*>', page.text)
    assert len(boxes) == 2
    assert all('name="category"' in box and "checked" not in box for box in boxes)
    assert 'value="health_checkup"' not in "".join(boxes)


async def test_policy_lets_the_form_lead_to_the_client_and_nowhere_else(home: Household) -> None:
    page = await home.get(await home.ask())
    assert page.headers["content-security-policy"].endswith("form-action 'self' https://clinic.example")


async def test_the_sign_in_page_lets_its_form_lead_to_the_service_that_waits(home: Household) -> None:
    """A remembered service is answered without a page: the browser goes from the sign-in form straight to it."""
    page = await home.ask()
    waiting = await home.http.get("/sign-in", params={"next": page, "again": "1"})
    assert waiting.headers["content-security-policy"].endswith("form-action 'self' https://clinic.example")
    alone = await home.http.get("/sign-in", params={"next": "/home"})
    assert alone.headers["content-security-policy"].endswith("form-action 'self'")


async def test_agreeing_gives_the_consent_and_the_code_in_one_go(home: Household) -> None:
    page = await home.ask()
    answer = await home.answer(page, {"answer": "agree", "category": ["mobility"]})
    base, query = location(answer)
    assert base == REDIRECT
    tokens = (await home.party.exchange(query["code"])).json()
    detail = tokens["authorization_details"][0]
    [consent] = await home.consents()
    assert detail["consent"] == consent
    assert detail["datatypes"] == ["health_checkup", "mobility"]
    seen = await home.building.host.db.read(
        records.get, consent, account_id=home.party.account_id, now=home.building.host.clock.ms()
    )
    assert (seen.state, seen.categories) == ("given", ("health_checkup", "mobility"))


async def test_a_sign_in_that_is_put_off_waits_on_the_first_page(home: Household) -> None:
    page = await home.ask(authorization_details=None, scope="openid profile")
    later = await home.answer(page, {"answer": "later"})
    assert (later.status_code, later.headers["location"]) == (303, "/home")
    kept = re.search(r"sekisho-waiting=([^;]+)", later.headers.get("set-cookie", ""))
    assert kept is not None
    cookie = f"sekisho-lang=ja; sekisho-local={home.party.cookie}; sekisho-waiting={kept[1]}"
    headers = {"cookie": cookie, "accept": "text/html"}
    letter = (await home.http.get("/home", headers=headers)).text
    assert "お答えを待っているもの" in letter
    assert f'href="{page}"' in letter
    assert "お答えを待っているもの" not in (await home.get("/home")).text, "another browser could not bring it back"
    _base, query = location(await home.answer(page, {"answer": "agree"}))
    assert "code" in query, "it is answered as if it had been at once"
    assert "お答えを待っているもの" not in (await home.http.get("/home", headers=headers)).text


async def test_a_sign_in_that_was_put_off_runs_out_and_is_nobody_elses(
    app: Building, client: httpx2.AsyncClient, home: Household
) -> None:
    page = await home.ask(authorization_details=None, scope="openid profile")
    await home.answer(page, {"answer": "later"})
    kept = page.rpartition("/")[2]
    other = await settle(app, client)
    for who in (other, home):
        headers = {
            "cookie": f"sekisho-local={who.party.cookie}; sekisho-waiting={kept}.nonsense.int_x",
            "accept": "text/html",
        }
        assert (page in (await home.http.get("/home", headers=headers)).text) is (who is home)
    advance(app, 1801)
    headers = {"cookie": f"sekisho-local={home.party.cookie}; sekisho-waiting={kept}", "accept": "text/html"}
    assert page not in (await home.http.get("/home", headers=headers)).text


async def events_of(home: Household, consent: str) -> list[str]:
    host = home.building.host
    found = await host.db.read(records.history, host.get(Sealer), consent, account_id=home.party.account_id)
    return [each.document["type"] for each in found]


async def test_a_question_for_data_that_is_put_off_waits_with_the_consents_and_the_service_is_told_rfc_6749_4_1_2_1(
    home: Household,
) -> None:
    base, query = location(await home.answer(await home.ask(), {"answer": "later"}))
    assert (base, query["error"], query["error_description"]) == (
        REDIRECT, "access_denied", "the resident will decide later",
    )  # fmt: skip
    [consent] = await home.consents()
    assert await events_of(home, consent) == ["requested", "deferred"]
    assert await home.building.host.db.read(grants.list_for, home.party.account_id) == ()
    page = f"/consents/{consent}/answer"
    for place in ("/home", "/consents"):
        assert page in (await home.get(place)).text
    assert (await home.get(f"/consents/{consent}")).headers["location"] == page
    assert (await home.get(f"/consents/{consent}/receipt.json")).status_code == 404
    again = await home.answer(await home.ask(), {"answer": "later"})  # asked twice, it is one question
    assert location(again)[1]["error"] == "access_denied"
    assert await home.consents() == [consent]
    shown = (await home.get(page, lang="en")).text
    assert "The question waits here until" in shown
    assert (await home.answer(page, {"answer": "later"})).headers["location"] == "/consents"
    done = await home.answer(page, {"answer": "agree", "category": ["mobility"]})
    assert (done.status_code, done.headers["location"]) == (303, f"/consents/{consent}")
    assert (await events_of(home, consent))[-2:] == ["deferred", "given"]
    assert "AGREED" in (await home.get(f"/consents/{consent}", lang="en")).text
    assert (await home.post(page, {"answer": "agree"})).headers["location"] == "/consents"  # from a page left open


async def test_a_waiting_question_is_answered_with_no_or_runs_out(
    app: Building, client: httpx2.AsyncClient, home: Household
) -> None:
    await home.answer(await home.ask(), {"answer": "later"})
    [consent] = await home.consents()
    page = f"/consents/{consent}/answer"
    other = await settle(app, client)
    assert (await other.get(page)).status_code == 404
    assert (await other.post(page, {"answer": "refuse", "shown_in": "ja"})).status_code == 404
    assert (await home.post(page, {"answer": "agree", "shown_in": "ja"})).status_code == 400  # which text?
    assert (await home.answer(page, {"answer": "refuse"})).headers["location"] == f"/consents/{consent}"
    assert await events_of(home, consent) == ["requested", "deferred", "refused"]
    await home.answer(await home.ask(), {"answer": "later"})
    newest = (await home.consents())[0]
    advance(app, questions.WAITS / 1000 + 1)
    await sign_in(home.party)
    assert "never answered" in (await home.get(f"/consents/{newest}", lang="en")).text
    assert newest in (await home.get("/consents", lang="en")).text.partition('id="ended"')[2]
    assert (await home.get(f"/consents/{newest}/answer")).headers["location"] == f"/consents/{newest}"


async def test_refusing_gives_nothing_and_tells_the_service(home: Household) -> None:
    page = await home.ask()
    base, query = location(await home.answer(page, {"answer": "refuse", "category": ["mobility"]}))
    assert (base, query["error"]) == (REDIRECT, "access_denied")
    found = await home.building.host.db.read(records.list_for, home.party.account_id, now=home.building.host.clock.ms())
    assert [each.state for each in found] == ["refused"]
    assert await home.building.host.db.read(grants.list_for, home.party.account_id) == ()


async def test_an_answer_counts_once(home: Household) -> None:
    page = await home.ask()
    assert (await home.answer(page, {"answer": "agree"})).status_code == 303
    assert (await home.answer(page, {"answer": "agree"})).status_code == 404
    assert len(await home.consents()) == 1


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({}, 400),
        ({"answer": "maybe"}, 400),
        ({"answer": ["agree", "refuse"]}, 400),
        ({"answer": "agree", "category": ["energy_use"]}, 400),
    ],
)
async def test_answer_that_makes_no_sense_changes_nothing(
    home: Household, form: dict[str, object], status: int
) -> None:
    page = await home.ask()
    answer = await home.answer(page, form)
    assert answer.status_code == status
    assert "<h1" in answer.text
    assert await home.consents() == []
    assert (await home.get(page)).status_code == 200, "the question still stands"


async def test_answer_from_another_site_is_refused(home: Household) -> None:
    page = await home.ask()
    headers = {"cookie": f"sekisho-local={home.party.cookie}", "origin": "https://evil.example", "accept": "text/html"}
    answer = await home.http.post(page, data={"answer": "agree"}, headers=headers)
    assert answer.status_code == 403
    assert await home.consents() == []


async def test_nobody_signed_in_is_sent_to_sign_in_and_back(home: Household) -> None:
    page = await home.ask()
    for answer in (
        await home.get(page, signed_in=False),
        await home.post(page, {"answer": "agree"}, signed_in=False),
    ):
        parts = urlsplit(answer.headers["location"])
        assert (answer.status_code, parts.path) == (303, "/sign-in")
        assert parse_qs(parts.query)["next"] == [page]


async def test_new_revision_is_asked_with_its_differences_marked(home: Household) -> None:
    await home.give("mobility")
    now = home.building.host.clock.ms()
    wider = proposal(
        categories=[
            {"category": "health_checkup", "required": True, "sensitivity": 3},
            {"category": "mobility", "required": False, "sensitivity": 2},
            {"category": "household", "required": False, "sensitivity": 2},
        ]
    )

    def revise(session: Session) -> None:
        offered = agreements.revise(
            session, home.agreement_id, proposal=wider, sensitivities=ANY, actor=SYSTEM, now=now
        )
        agreements.approve(session, offered.id, actor=SYSTEM, now=now, sealer=None)

    await home.building.host.db.write(revise)
    page = await home.get(await home.ask())
    assert "前の版には、すでに同意されています。" in page.text
    assert len(re.findall(r'<tr role="row" class="is-new">', page.text)) == 1
    assert re.search(r'value="mobility" checked', page.text), "what was agreed to stays as it was"
    assert not re.search(r'value="household" checked', page.text)


async def test_english_reader_gets_english_and_the_english_notice_is_what_is_agreed_to(home: Household) -> None:
    page = await home.ask()
    shown = await home.get(page, lang="en")
    assert "May Minato-hama Clinic see your" in shown.text
    assert "until 17 May 2027 to improve health care?" in shown.text.replace("\u00a0", " ")
    await home.answer(page, {"answer": "agree"}, lang="en")
    receipt = (await home.get(f"/consents/{(await home.consents())[0]}/receipt.json")).json()
    assert receipt["event"]["notice"]["lang"] == "en"


async def test_sign_in_without_data_shows_what_the_service_learns(app: Building, client: httpx2.AsyncClient) -> None:
    party = await join(app, client)
    home = Household(party, "")
    base, _ = location(await party.authorize(party.request(scope="openid profile email")))
    page = await home.get(base.removeprefix(party.issuer))
    assert "湊 花子" in page.text
    assert "hanako@example.jp" in page.text
    base, query = location(await home.answer(base.removeprefix(party.issuer), {"answer": "agree"}))
    assert base == REDIRECT
    assert "code" in query


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("ja", "市はこのサービスを確かめていません。進む先はclinic.exampleです。"),
        ("en", "The city has not checked this service. You go on to clinic.example."),
    ],
)
async def test_a_service_nobody_stands_for_is_shown_as_such(
    app: Building, client: httpx2.AsyncClient, lang: str, words: str
) -> None:
    for changes, told in (({"member_id": None}, True), ({}, False)):
        party = await join(app, client, **changes)
        base, _ = location(await party.authorize(party.request(scope="openid profile")))
        page = await Household(party, "").get(base.removeprefix(party.issuer), lang=lang)
        assert (words in _text(page)) is told


async def test_request_that_cannot_be_redirected_is_told_to_the_person(home: Household) -> None:
    answer = await home.http.get("/oauth/authorize", params={"client_id": "nobody"}, headers={"accept-language": "ja"})
    assert answer.status_code == 400
    assert "サービスからの依頼をお受けできません" in answer.text
    policies = answer.headers.get_list("content-security-policy")
    assert len(policies) == 1, "a second policy would take the page's style away"
    assert "style-src 'self'" in policies[0]
    assert re.search(r'id="reference">req_\w+<', answer.text), "what the person quotes can be found"


async def test_what_is_agreed_to_is_the_text_that_was_read(home: Household) -> None:
    """A revision approved while the resident reads is not agreed to unread."""
    page = await home.ask()
    shown = await home.get(page)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.text))
    assert (await home.post(page, {"answer": "agree"})).status_code == 400
    now = home.building.host.clock.ms()

    def revise(session: Session) -> None:
        offered = agreements.revise(
            session, home.agreement_id, proposal=proposal(), sensitivities=ANY, actor=SYSTEM, now=now
        )
        agreements.approve(session, offered.id, actor=SYSTEM, now=now, sealer=None)

    await home.building.host.db.write(revise)
    late = await home.post(page, hidden | {"answer": "agree"})
    assert late.status_code == 409
    assert "そのあいだに状況が変わりました" in late.text
    assert await home.consents() == []
    assert (await home.answer(page, {"answer": "agree"})).status_code == 303
