"""Home, my data, who used it, consents, receipt, leaving: over HTTP, on a real database."""

import io
import json
import re
import zipfile
from typing import Any

import httpx2
import pytest

from consent.verify import verify_receipt
from identity.accounts import create_account
from identity.sessions import Sessions
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import DAY
from kit.db import Session
from portal.app import Building
from tests.support.household import Household, settle
from tests.support.relying_party import PROFILE, advance, location, sign_in

RESIDENT_PAGES = ("/home", "/data", "/data/health_checkup", "/data/mobility/add", "/who", "/consents", "/leave")


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident with data and a service with an agreement."""
    return await settle(app, client)


async def _fetched(home: Household) -> tuple[str, str]:
    """The resident agreed and the service fetched: the consent's id and the access token."""
    base = await home.ask()
    _, query = location(await home.answer(base, {"answer": "agree", "category": ["mobility"]}))
    token = (await home.party.exchange(query["code"])).json()["access_token"]
    answer = await home.http.get("/api/bank/records", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return (await home.consents())[0], token


def _notice(answer: httpx2.Response) -> str:
    found = re.search(r"sekisho-notice=([^;]+)", answer.headers.get("set-cookie", ""))
    return found[1] if found else ""


@pytest.mark.parametrize("path", RESIDENT_PAGES)
async def test_page_is_for_residents_who_are_signed_in(home: Household, path: str) -> None:
    assert (await home.get(path)).status_code == 200
    away = await home.get(path, signed_in=False)
    assert (away.status_code, away.headers["location"].split("?")[0]) == (303, "/sign-in")


async def test_staff_find_no_residents_page(home: Household) -> None:
    host = home.building.host

    def staff(session: Session) -> str:
        return create_account(
            session, host.get(Sealer), host.get(TokenHasher), login="analyst", profile=PROFILE, now=host.clock.ms(),
            kind="staff", roles=("analyst",),
        )  # fmt: skip

    account = await host.db.write(staff)
    begin = host.get(Sessions).begin
    home.party.cookie, _ = await host.db.write(begin, account, acr="urn:sekisho:aal:2", amr=("pwd",))
    assert (await home.get("/data")).headers["location"].startswith("/sign-in")
    assert (await home.get("/home")).headers["location"] == "/desk"


async def test_home_is_a_letter_about_the_last_days(home: Household) -> None:
    quiet = (await home.get("/home")).text
    assert "この7日間に、あなたのデータを使った人はいません。" in quiet
    assert "いま同意している利用はないので" in quiet
    await _fetched(home)
    told = (await home.get("/home")).text
    assert "この7日間に、あなたのデータは1回使われました。使ったのは湊浜診療所です。" in told
    advance(home.building, 160 * DAY / 1000)
    await sign_in(home.party)
    assert "に終わります。そのあとは見られなくなります。" in (await home.get("/home")).text


async def test_my_data_shows_the_newest_value_by_area_of_life(home: Household) -> None:
    page = (await home.get("/data")).text
    assert "血圧（上） 128\u00a0mmHg" in page
    assert re.search(r"3件、最新は2026年4月16日、湊浜診療所から", page)
    one = (await home.get("/data/health_checkup")).text
    assert one.count('<figure class="chart"') >= 2, "numbers with a history have a line"
    assert "2024年4月18日" in one


async def test_add_correct_and_delete_a_record(home: Household) -> None:
    typed = {"date": "2026-11-01", "systolic": "１３０", "weight": "61.5", "smoking": "never", "note": "元気\r\nです"}
    added = await home.post("/data/health_checkup/add", typed)
    assert (added.status_code, added.headers["location"]) == (303, "/data/health_checkup")
    assert _notice(added) == "data.added"
    page = (await home.get("/data/health_checkup")).text
    assert "130 mmHg" in page
    assert "あなたが入れた記録です" in page
    [item] = re.findall(r"/data/health_checkup/(itm_\w+)/correct", page)
    filled = (await home.get(f"/data/health_checkup/{item}/correct")).text
    assert 'value="61.5"' in filled
    corrected = await home.post(f"/data/health_checkup/{item}/correct", typed | {"weight": "60"})
    assert _notice(corrected) == "data.corrected"
    assert "60 kg" in (await home.get("/data/health_checkup")).text
    asked = await home.get(f"/data/health_checkup/{item}/delete")
    assert "元には戻せません" in asked.text
    assert _notice(await home.post(f"/data/health_checkup/{item}/delete")) == "data.deleted"
    assert item not in (await home.get("/data/health_checkup")).text


async def test_every_wrong_field_is_told_beside_it_and_what_was_typed_stays(home: Household) -> None:
    typed = {"date": "", "systolic": "high", "weight": "9999", "smoking": "pipe"}
    answer = await home.post("/data/health_checkup/add", typed)
    assert answer.status_code == 422
    for name, words in {
        "date": "書いてください。",
        "systolic": "40から300までの数字で書いてください。",
        "smoking": "この中から選んでください。",
    }.items():
        assert re.search(f'id="{name}-error"[^>]*>[^<]*{words}', answer.text), name
    assert 'value="high"' in answer.text
    assert 'href="#systolic"' in answer.text


async def test_record_of_another_category_field_types_can_be_written(home: Household) -> None:
    ride = {"boarded_at": "2026-11-15T08:05", "mode": "bus", "origin": "潮見町"}
    assert (await home.post("/data/mobility/add", ride)).status_code == 303
    support = {
        "updated": "2026-11-01",
        "walking": "cane",
        "reasons": ["elderly", "illness"],
        "power_dependent": "false",
    }
    assert (await home.post("/data/disaster_support/add", support)).status_code == 303
    page = (await home.get("/data/disaster_support")).text
    assert "高齢、持病" in page


async def test_future_record_and_unknown_category_are_refused(home: Household) -> None:
    late = await home.post("/data/health_checkup/add", {"date": "2030-01-01"})
    assert late.status_code == 422
    assert (await home.get("/data/nothing")).status_code == 404
    assert (await home.post("/data/nothing/add", {"date": "2026-01-01"})).status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        {"date": "2026-10-01", "systolic": 125},
        [{"date": "2026-10-01"}, {"date": "2026-10-02"}],
        {"category": "health_checkup", "records": [{"data": {"date": "2026-10-01"}}]},
        [{"category": "health_checkup", "data": {"date": "2026-10-01"}}],
    ],
)
async def test_file_with_records_is_taken_in(home: Household, content: Any) -> None:
    answer = await home.upload("/data/health_checkup/upload", json.dumps(content).encode())
    assert answer.status_code == 303, answer.text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "JSONではありません"),
        (b"[]", "記録がありませんでした"),
        (b'"x"', "記録がありませんでした"),
        (b'{"category":"mobility","records":[{"data":{}}]}', "別の種類のデータ"),
        (b'[{"date":"2026-10-01"},{"date":"soon"}]', "2件目の「受診日」：きょうまでの日付"),
        (b'[{"date":"2026-10-01","secret":1}]', "1件目に、ここにはない項目「secret」"),
        (b"", "ファイルを選んでください"),
    ],
)
async def test_file_that_does_not_fit_is_refused_whole_with_the_reason(
    home: Household, content: bytes, words: str
) -> None:
    answer = await home.upload("/data/health_checkup/upload", content)
    assert answer.status_code == 422
    assert words in answer.text
    assert "3件" in (await home.get("/data/health_checkup")).text, "nothing was kept"


async def test_file_that_is_too_large_is_refused(home: Household) -> None:
    answer = await home.upload("/data/health_checkup/upload", b" " * (1024 * 1024 + 10))
    assert answer.status_code == 413


async def test_records_of_sources_are_not_corrected_here(home: Household) -> None:
    [item] = await home.deposit("health_checkup", {"date": "2026-10-01"}, source=str(home.party.client.member_id))
    assert (await home.get(f"/data/health_checkup/{item}/correct")).status_code == 404
    assert (await home.post(f"/data/health_checkup/{item}/correct", {"date": "2026-10-02"})).status_code == 404


async def test_another_residents_things_are_as_absent_as_none(app: Building, client: httpx2.AsyncClient) -> None:
    mine, theirs = await settle(app, client), await settle(app, client)
    [item] = await theirs.deposit("mobility", {"boarded_at": "2026-11-01T08:00:00+09:00", "mode": "bus", "origin": "x"})
    consent = await theirs.give()
    for path in (
        f"/data/mobility/{item}/correct",
        f"/data/mobility/{item}/delete",
        f"/consents/{consent}",
        f"/consents/{consent}/withdraw",
        f"/consents/{consent}/receipt",
        f"/consents/{consent}/receipt.json",
    ):
        assert (await mine.get(path)).status_code == 404, path
        assert (await theirs.get(path)).status_code == 200, path
    assert (await mine.post(f"/data/mobility/{item}/delete")).status_code == 404
    assert (await mine.post(f"/consents/{consent}/withdraw")).status_code == 404


async def test_use_is_told_in_one_sentence_with_its_consent_and_a_way_to_stop_it(home: Household) -> None:
    consent, _ = await _fetched(home)
    page = (await home.get("/who")).text
    assert "湊浜診療所が、あなたの健康診断の結果3件、" in page
    assert "医療・健康サービスを良くするため" in page
    assert f'href="/consents/{consent}/withdraw"' in page
    for path in (
        "/who?span=year",
        f"/who?consent={consent}",
        "/who?category=mobility",
        f"/who?who={home.party.client.member_id}",
        "/who?day=2026-11-18",
    ):
        assert f'href="/consents/{consent}"' in (await home.get(path)).text, path
    for path in ("/who?category=household", "/who?day=2026-11-17", "/who?who=mem_none"):
        assert f'href="/consents/{consent}"' not in (await home.get(path)).text, path
    for path in ("/who?day=nonsense&page=-1&span=x", "/who?page=99999999", "/who?day=2026-99-99"):
        assert (await home.get(path)).status_code == 200
    squares = [(await home.get(path)).text.count('<rect class="heat-') for path in ("/who", "/who?span=year")]
    assert squares == [91, 365]
    export = await home.get("/who/export")
    assert export.headers["content-disposition"].startswith("attachment")
    assert export.json()[0]["receiverCode"] == home.party.client.member_id


async def _signed_in_with_profile(home: Household) -> str:
    """The resident went on to the service, and it asked who that is: the access token."""
    page = await home.ask(authorization_details=None, scope="openid profile email")
    _, query = location(await home.answer(page, {"answer": "agree"}))
    token = str((await home.party.exchange(query["code"])).json()["access_token"])
    told = await home.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert told.status_code == 200, told.text
    assert "name" in told.json()
    return token


async def test_what_a_service_was_told_at_sign_in_stands_in_the_history(home: Household) -> None:
    """Invariant I4 speaks of every disclosure: who, what, when and why, and a way to stop it; never the value."""
    await _signed_in_with_profile(home)
    page = (await home.get("/who")).text
    assert "サインインのとき、湊浜診療所に、あなたのお名前" in page
    assert "サインインのため" in page
    assert PROFILE.name not in page
    english = (await home.get("/who", lang="en")).text
    assert "When you signed in, Minato-hama Clinic was told your name" in english
    for path in ("/who?category=profile", f"/who?who={home.party.client.member_id}", "/who?day=2026-11-18"):
        assert "サインインのとき" in (await home.get(path)).text, path
    for path in ("/who?category=mobility", "/who?who=mem_none", "/who?day=2026-11-17", "/who?consent=con_x"):
        assert "サインインのとき" not in (await home.get(path)).text, path
    assert "あなたのデータは1回使われました" in (await home.get("/home")).text


async def test_what_was_told_at_sign_in_is_taken_home_too(home: Household) -> None:
    await _signed_in_with_profile(home)
    api = await home.http.get(
        "/api/bank/my/disclosures",
        headers={"cookie": f"sekisho-local={home.party.cookie}", "accept": "application/json"},
    )
    (mine,) = (await home.get("/who/export")).json()
    assert mine == api.json()["disclosures"][0]
    assert mine["receiverCode"] == home.party.client.member_id
    assert (mine["purpose"], mine["action"]) == ("IdentityAuthentication", "sign-in")
    assert "name" in mine["claims"]
    assert (mine["consent"], mine["categories"]) == (None, [])
    archive = zipfile.ZipFile(io.BytesIO((await home.get("/leave/export")).content))
    assert json.loads(archive.read("disclosures.json")) == [mine]
    assert "お名前" in archive.read("index.html").decode()
    assert "reading of the name" in archive.read("index.en.html").decode()


async def test_a_service_that_asks_without_end_is_told_to_wait_and_counted_right(home: Household) -> None:
    """RFC 6585 section 4: each answer of userinfo is a row for ever, and the resident's page must stand it."""
    token = await _signed_in_with_profile(home)

    async def ask() -> httpx2.Response:
        return await home.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})

    assert {(await ask()).status_code for _ in range(59)} == {200}
    refused = await ask()
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    advance(home.party.building, 2)
    assert [(await ask()).status_code for _ in range(3)] == [200, 200, 429]
    page = (await home.get("/who")).text
    assert "あなたのデータは62回使われました" in page
    assert page.count('name="grant"') == 60
    older = (await home.get("/who?page=2")).text
    assert older.count('name="grant"') == 2
    assert len((await home.get("/who/export")).json()) == 62


async def test_tellings_and_fetches_are_one_list_in_their_order(home: Household) -> None:
    await _fetched(home)
    advance(home.building, 60)
    await sign_in(home.party)
    await _signed_in_with_profile(home)
    advance(home.building, 60)
    await sign_in(home.party)
    await _fetched(home)
    found = (await home.get("/who/export")).json()
    assert [one["action"] for one in found] == ["read", "sign-in", "read"]
    assert found == sorted(found, key=lambda one: one["logtime"], reverse=True)
    cookie = {"cookie": f"sekisho-local={home.party.cookie}", "accept": "application/json"}
    pages: list[dict[str, Any]] = []
    offset: int | None = 0
    while offset is not None:
        part = (await home.http.get(f"/api/bank/my/disclosures?limit=1&offset={offset}", headers=cookie)).json()
        pages += part["disclosures"]
        offset = part["next"]
    assert pages == found


async def test_a_sign_in_that_is_stopped_tells_nothing_more(home: Household) -> None:
    token = await _signed_in_with_profile(home)
    page = (await home.get("/who")).text
    grant = re.search(r'name="grant" value="([^"]+)"', page)
    assert grant is not None
    assert _notice(await home.post("/who/stop", {"grant": grant[1]})) == "who.stopped"
    refused = await home.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert refused.status_code == 401
    after = (await home.get("/who")).text
    assert "サインインのとき" in after, "what was told stays told"
    assert 'name="grant"' not in after


async def test_nobody_sees_or_stops_what_was_told_about_another(
    app: Building, client: httpx2.AsyncClient, home: Household
) -> None:
    token = await _signed_in_with_profile(home)
    found = re.search(r'name="grant" value="([^"]+)"', (await home.get("/who")).text)
    assert found is not None
    other = await settle(app, client)
    assert "サインインのとき" not in (await other.get("/who")).text
    assert (await other.post("/who/stop", {"grant": found[1]})).status_code == 404
    again = await home.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert again.status_code == 200


async def test_withdrawal_says_its_effect_first_and_acts_before_the_page_answers(home: Household) -> None:
    consent, token = await _fetched(home)
    asked = (await home.get(f"/consents/{consent}/withdraw")).text
    assert "湊浜診療所に見せるのをやめますか" in asked
    assert "診療所の予約" in asked, "the service that loses access"
    assert "これまで1回見たこと" in asked
    done = await home.post(f"/consents/{consent}/withdraw", {"answer": "withdraw"})
    assert (done.status_code, _notice(done)) == (303, "consent.withdrawn")
    refused = await home.http.get("/api/bank/records", headers={"authorization": f"Bearer {token}"})
    assert refused.status_code in (401, 403)
    page = (await home.get(f"/consents/{consent}")).text
    assert "取り消しました" in page
    assert "あなたが取り消しました。" in page
    assert f"/consents/{consent}/withdraw" not in page
    again = await home.post(f"/consents/{consent}/withdraw")
    assert _notice(again) == "consent.over"
    assert "止める" not in (await home.get("/who")).text


async def test_consent_shows_what_was_and_what_was_not_agreed_to(home: Household) -> None:
    consent = await home.give("mobility")
    page = (await home.get(f"/consents/{consent}")).text
    assert "湊浜診療所が、医療・健康サービスを良くするために、あなたの健康診断の結果、" in page
    assert "同意していないもの：予防接種の記録" in page
    assert "2026.11.18" in page, "the seal carries the date"
    listed = (await home.get("/consents")).text
    assert "いま、1つの利用に同意しています。" in listed


async def test_receipt_is_printed_with_the_seal_and_verifies_offline(home: Household) -> None:
    consent = await home.give()
    page = (await home.get(f"/consents/{consent}/receipt")).text
    assert 'id="code"' in page, "the code on paper leads to where the file is checked"
    assert "湊 花子" in page
    assert 'class="seal seal-given"' in page
    assert "取り消すには" in page
    file = await home.get(f"/consents/{consent}/receipt.json")
    assert file.headers["content-disposition"].endswith('.sekisho-receipt.json"')
    vkey = (await home.http.get("/ledger/vkey")).text
    jwks = (await home.http.get("/oauth/jwks")).json()
    verified = verify_receipt(file.content, vkey=vkey, jwks=jwks)
    assert verified.event["record"] == consent
    assert re.search(rf'<span class="num">{verified.index}</span>', page)


async def test_everything_can_be_taken_home(home: Household) -> None:
    await _fetched(home)
    answer = await home.get("/leave/export")
    assert answer.headers["content-type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"profile.json", "data/health_checkup.json", "disclosures.json", "index.html"} <= set(names)


async def test_erasing_asks_who_you_are_again_and_for_a_word(home: Household) -> None:
    consent, token = await _fetched(home)
    advance(home.building, 6 * 60)
    stale = await home.get("/leave/erase")
    assert stale.headers["location"] == "/sign-in?next=%2Fleave%2Ferase&again=1"
    assert (await home.post("/leave/erase", {"confirm": "消す"})).headers["location"].startswith("/sign-in")
    await sign_in(home.party)
    assert (await home.get("/leave/erase")).status_code == 200
    wrong = await home.post("/leave/erase", {"confirm": "はい"})
    assert wrong.status_code == 422
    assert "「消す」と書いてください" in wrong.text
    done = await home.post("/leave/erase", {"confirm": " 「消す」 "})
    assert done.status_code == 200
    assert "あなたのデータを消しました" in done.text
    assert "sekisho-local=" in done.headers["set-cookie"]
    assert (await home.get("/data")).status_code == 303, "signed out everywhere"
    gone = await home.http.get("/api/bank/records", headers={"authorization": f"Bearer {token}"})
    assert gone.status_code in (401, 403)
    assert consent not in done.text


async def test_ledger_page_is_open_to_anyone(home: Household) -> None:
    await home.give()
    page = await home.get("/ledger", signed_in=False)
    assert page.status_code == 200
    assert (await home.http.get("/ledger/vkey")).text.strip() in page.text.replace("&#43;", "+")
    assert re.search(r'id="size">いま\d+行', page.text)


async def test_front_page_leads_residents_home_and_tells_strangers(home: Household) -> None:
    assert (await home.get("/")).headers["location"] == "/home"
    assert "決めるのは、あなたです。" in (await home.get("/", signed_in=False)).text


async def test_unknown_page_is_an_error_page_in_the_readers_language(home: Household) -> None:
    for lang, words in (("ja", "このページはありません"), ("en", "This page does not exist")):
        answer = await home.get("/no/such/page", lang=lang)
        assert answer.status_code == 404
        assert words in answer.text


async def test_what_is_seen_can_be_changed_without_taking_everything_back(home: Household) -> None:
    consent, token = await _fetched(home)
    page = (await home.get(f"/consents/{consent}")).text
    assert re.search(r'value="mobility" checked', page)
    done = await home.post(f"/consents/{consent}/change", {"category": ["vaccination"]})
    assert (done.status_code, _notice(done)) == (303, "consent.changed")
    page = (await home.get(f"/consents/{consent}")).text
    assert "あなたが見せるものを変えました。" in page
    assert "同意していないもの：移動の記録" in page
    answer = await home.http.get("/api/bank/records", headers={"authorization": f"Bearer {token}"})
    assert {each["category"] for each in answer.json()["records"]} == {"health_checkup"}
    nonsense = await home.post(f"/consents/{consent}/change", {"category": ["energy_use"]})
    assert nonsense.headers["location"].endswith("/withdraw")
    await home.post(f"/consents/{consent}/withdraw")
    late = await home.post(f"/consents/{consent}/change", {"category": []})
    assert _notice(late) == "consent.over"
