"""What is in force, by recipient and by kind; stopping one, and all of a kind at once; and what happened so far."""

import re
from typing import Any

import httpx2
import pytest

from consent import agreements, records
from identity import members
from keys.envelope import Sealer
from kit.clock import DAY
from kit.db import Session
from kit.host import SYSTEM
from kit.tlog.log import Logs
from portal.app import Building
from portal.pages import consent_history
from tests.support.catalogue import ANY
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import advance, sign_in

CATEGORIES = {
    "needs": [{"category": "mobility", "required": True}],
    "can do without": [{"category": "health_checkup", "required": True}, {"category": "mobility", "required": False}],
}


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    return await settle(app, client)


async def agree(home: Household, *agreed: str, member: str = "", **changed: Any) -> str:
    """A consent under an agreement of its own: of the clinic, or of a member by that name."""
    host, now = home.building.host, home.building.host.clock.ms()

    def make(session: Session) -> str:
        member_id = str(home.party.client.member_id)
        if member:
            made = members.apply(session, name_ja=member, name_en=member, actor=SYSTEM, now=now)
            members.approve(session, made.id, actor=SYSTEM, now=now)
            member_id = made.id
        offered = agreements.propose(
            session, member_id=member_id, proposal=proposal(**changed), sensitivities=ANY, actor=SYSTEM, now=now
        )
        revision = agreements.approve(session, offered.id, actor=SYSTEM, now=now, sealer=None)
        given = records.give(
            session, host.get(Sealer), account_id=home.session.account_id, revision_id=revision.id, categories=agreed,
            notice_lang="ja", actor=home.session.actor(), now=now,
        )  # fmt: skip
        return given.consent_id

    return await host.db.write(make)


def states(home: Household, session: Session) -> dict[str, tuple[str, tuple[str, ...]]]:
    now = home.building.host.clock.ms()
    return {
        each.id: (each.state, each.categories) for each in records.list_for(session, home.session.account_id, now=now)
    }


async def standing(home: Household) -> dict[str, tuple[str, tuple[str, ...]]]:
    def read(session: Session) -> dict[str, tuple[str, tuple[str, ...]]]:
        return states(home, session)

    return await home.building.host.db.read(read)


def notice(answer: httpx2.Response) -> str:
    found = re.search(r"sekisho-notice=([^;]+)", answer.headers.get("set-cookie", ""))
    return found[1] if found else ""


def groups(page: str) -> list[str]:
    return re.findall(r'<div class="group-head"><h2>([^<]+)</h2>', page)


async def test_consents_stand_together_by_recipient_by_kind_and_by_end(home: Household) -> None:
    await home.give("mobility")
    await agree(home, "mobility", member="みなとバス", categories=CATEGORIES["needs"], duration="P10D")
    page = (await home.get("/consents")).text
    assert sorted(groups(page)) == ["みなとバス", "湊浜診療所"]
    page = (await home.get("/consents?by=category")).text
    by_kind = groups(page)
    assert len(by_kind) == 2
    assert page.count('class="card-name"') == 3, "what shows two kinds of data stands under both"
    page = (await home.get("/consents?by=end")).text
    assert groups(page) == []
    assert page.index("みなとバスが") < page.index("湊浜診療所が"), "the soonest end comes first"
    assert "あと10日" in page
    assert (await home.get("/consents?by=nonsense")).status_code == 200


async def test_one_touch_in_the_list_stops_a_consent_at_once(home: Household) -> None:
    consent = await home.give()
    page = (await home.get("/consents")).text
    assert f'<form method="post" action="/consents/{consent}/withdraw">' in page
    stopped = await home.post(f"/consents/{consent}/withdraw")
    assert notice(stopped) == "consent.withdrawn"
    assert (await standing(home))[consent][0] == "withdrawn"


async def test_stopping_a_recipient_ends_each_of_its_consents_with_an_event_of_its_own(home: Household) -> None:
    mine = [await home.give("mobility"), await agree(home, "mobility", categories=CATEGORIES["needs"])]
    other = await agree(home, "mobility", member="みなとバス", categories=CATEGORIES["needs"])
    member = str(home.party.client.member_id)
    asked = await home.get(f"/consents/stop?recipient={member}")
    assert asked.text.count("<li><strong>") == 2
    assert "湊浜診療所に見せることを、すべてやめますか" in asked.text
    assert (await standing(home))[mine[0]][0] == "given", "asking changes nothing"
    before = (await home.building.host.get(Logs).published()).size
    done = await home.post("/consents/stop", {"recipient": member})
    assert (notice(done), done.headers["location"]) == ("consents.stopped", "/consents")
    now = await standing(home)
    assert [now[each][0] for each in (*mine, other)] == ["withdrawn", "withdrawn", "given"]
    assert (await home.building.host.get(Logs).published()).size == before + 2
    for each in mine:
        receipt = (await home.get(f"/consents/{each}/receipt.json")).json()
        assert (receipt["event"]["type"], receipt["event"]["actor"]["authority"]) == ("withdrawn", "self")
    assert notice(await home.post("/consents/stop", {"recipient": member})) == "consents.nothing"
    assert notice(await home.get(f"/consents/stop?recipient={member}")) == "consents.nothing"


async def test_stopping_a_kind_of_data_ends_what_needs_it_and_narrows_what_does_not(home: Household) -> None:
    narrowed = await agree(home, "health_checkup", "mobility", categories=CATEGORIES["can do without"])
    ended = await agree(home, "mobility", member="みなとバス", categories=CATEGORIES["needs"])
    untouched = await agree(home, "health_checkup", categories=CATEGORIES["can do without"])
    asked = (await home.get("/consents/stop?category=mobility")).text
    assert "このデータが必要なので、同意は終わります。" in asked
    assert "だけを外して、続きます。" in asked
    await home.post("/consents/stop", {"category": "mobility"})
    assert await standing(home) == {
        narrowed: ("given", ("health_checkup",)),
        ended: ("withdrawn", ("mobility",)),
        untouched: ("given", ("health_checkup",)),
    }


async def test_stopping_everything_is_one_transaction(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    """If one of them cannot be stopped, none is: no half of what was asked for."""
    for _ in range(2):
        await agree(home, "mobility", categories=CATEGORIES["needs"])
    real, calls = records.withdraw, []

    def fails_at_the_second(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) % 2 == 0:
            raise OSError("disk full")
        return real(*args, **kwargs)

    with monkeypatch.context() as broken:
        broken.setattr(records, "withdraw", fails_at_the_second)
        answer = await home.post("/consents/stop", {"category": "mobility"})
    assert answer.status_code == 500
    assert {state for state, _ in (await standing(home)).values()} == {"given"}


async def test_only_ones_own_consents_are_stopped_and_only_what_was_named(home: Household) -> None:
    consent = await home.give()
    for wrong in ({}, {"recipient": "mem_1", "category": "mobility"}):
        assert (await home.post("/consents/stop", wrong)).status_code == 404
    for nothing in ({"recipient": "mem_other"}, {"category": "household"}):
        assert notice(await home.post("/consents/stop", nothing)) == "consents.nothing"
    away = await home.post("/consents/stop", {"category": "health_checkup"}, signed_in=False)
    assert away.headers["location"].startswith("/sign-in")
    assert (await standing(home))[consent][0] == "given"


async def test_what_happened_is_told_in_sentences_newest_first_with_each_moments_receipt(home: Household) -> None:
    consent = await home.give("mobility")
    advance(home.building, DAY / 1000)
    await sign_in(home.party)
    await home.post(f"/consents/{consent}/change", {"category": []})
    await home.post(f"/consents/{consent}/withdraw")
    page = (await home.get("/consents/history")).text
    told = [
        "を見ることを、取り消しました。",
        "に変えました。",
        "を見ることに、同意しました。",
        "見てもよいかとたずねました。",
    ]
    assert [page.index(each) for each in told] == sorted(page.index(each) for each in told)
    assert page.count('<section class="day">') == 2
    links = re.findall(r'href="(/consents/[^"]+/receipt\.json\?event=[^"]+)"', page)
    kinds = [(await home.get(link)).json()["event"]["type"] for link in links]
    assert kinds == ["withdrawn", "changed", "given", "requested"]


async def test_a_long_history_comes_in_pages(home: Household, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent_history, "PAGE", 2)
    consent = await home.give("mobility")
    await home.post(f"/consents/{consent}/change", {"category": []})
    await home.post(f"/consents/{consent}/withdraw")
    first = (await home.get("/consents/history")).text
    older = re.search(r'href="(\?before=cev_[^"]+)" rel="next"', first)
    assert older
    second = (await home.get(f"/consents/history{older[1]}")).text
    assert [page.count('class="line-when"') for page in (first, second)] == [2, 2]
    assert 'rel="next"' not in second
    assert 'rel="prev"' in second


# -- two versions of an agreement -------------------------------------------------------------------------------------


async def revise(home: Household, **changed: Any) -> int:
    """The clinic's agreement gets a next version, approved."""
    host = home.building.host

    def make(session: Session) -> int:
        now = host.clock.ms()
        made = agreements.revise(
            session, home.agreement_id, proposal=proposal(**changed), sensitivities=ANY, actor=SYSTEM, now=now
        )
        return agreements.approve(session, made.id, actor=SYSTEM, now=now, sealer=None).number

    return await host.db.write(make)


async def test_two_versions_are_compared_and_only_the_difference_is_shown(home: Household) -> None:
    consent = await home.give("mobility")
    alone = (await home.get(f"/consents/{consent}/versions")).text
    assert "この取り決めの版は、ひとつだけです。" in alone
    assert 'id="compare"' not in alone
    assert await revise(home, retention="P365D") == 2
    page = (await home.get(f"/consents/{consent}/versions")).text
    assert "あなたの同意の内容は変わりません" in page
    assert page.count("<dt>") == 1
    assert "<del>30日</del>" in page
    assert "<ins>1年</ins>" in page
    assert "言い方だけの違い" not in page
    same = (await home.get(f"/consents/{consent}/versions?old=2&new=2")).text
    assert 'id="same"' in same
    back = (await home.get(f"/consents/{consent}/versions?old=2&new=1", lang="en")).text
    assert "<del>1 year</del>" in back
    assert (await home.get(f"/consents/{consent}/versions?old=7")).status_code == 404
    assert (await home.get("/consents/con_other/versions")).status_code == 404
