"""Who used my data, in the shape of Estonia's data tracker: of the token's resident, under the names it knows alone."""

from typing import Any

import httpx2
import pytest

from consent.rebit import Uses
from identity import grants
from identity.tokens import Tokens
from infobank import disclosures, tracker
from kit.clock import FrozenClock, iso
from kit.host import SYSTEM
from portal.app import Building
from tests.support.bank import CHECKUP, Bank

FIND = "/data-tracker/v2/findUsage"


@pytest.fixture
async def bank(app: Building, client: httpx2.AsyncClient) -> Bank:
    """Hana's check-up was fetched twice."""
    made = await Bank(app, client).open()
    await made.put(made.hana, "health_checkup", CHECKUP)
    consent = await made.agree(made.hana, "health_checkup")
    for _ in range(2):
        assert (await made.fetch(await made.token(made.hana, consent, "health_checkup"))).status_code == 200
    return made


async def ask(bank: Bank, *scopes: str, account: str | None = "", called: str = "", **query: str) -> httpx2.Response:
    who = bank.hana if account == "" else account
    return await ask_with(bank, await bank.token(who, None, scopes=scopes), called=called, **query)


async def ask_with(bank: Bank, token: str, *, called: str = "", **query: str) -> httpx2.Response:
    name = called or bank.app.host.get(Tokens).subject(bank.hana, bank.clinic.sector)
    headers = {"authorization": f"Bearer {token}", "x-road-userid": name}
    return await bank.http.get(FIND, params={"userCode": name, **query}, headers=headers)


async def test_uses_are_told_newest_first_with_their_number_dumonitor_openapi_2_1(bank: Bank) -> None:
    history = await bank.db.read(disclosures.history, bank.hana)
    answer = await ask(bank, "openid", "usage:read", limit="1")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["totalUsages"] == len(history) == 2
    (use,) = found["usages"]
    assert use.keys() == {"logtime", "action", "receiverCode", "receiverName", "receiverSystem"}
    assert (use["logtime"], use["receiverSystem"]) == (iso(history[0].at), bank.clinic.id)
    assert "health_checkup" in use["action"]
    later = await ask(bank, "usage:read", periodStart=iso(bank.now + 1000))
    assert later.json() == {"totalUsages": 0, "usages": []}


async def test_who_looked_it_up_stands_among_the_uses_and_the_resident_reads_it(bank: Bank) -> None:
    """A service that learns who got the data has learned something about the person (I4)."""
    assert (await ask(bank, "usage:read")).status_code == 200
    found = await bank.db.read(disclosures.history, bank.hana)
    (one,) = [each for each in found if each.purpose == disclosures.LOOK_UP]
    assert (one.client_id, one.member_id, one.at) == (bank.clinic.id, bank.clinic.member_id, bank.now)
    browser = await bank.sign_in(bank.hana)
    for lang, words in (
        (
            "ja",
            ("あなたのデータを受け取った相手の記録を見ました。", "だれがデータを受け取ったかを、あなたに見せるため"),
        ),
        ("en", ("saw your record of who received your data.", "To show you who received your data")),
    ):
        page = await bank.http.get("/who", headers={**browser, "accept": "text/html", "accept-language": lang})
        assert all(each in page.text for each in words), page.text
    mine = (await bank.http.get("/api/bank/my/disclosures", headers=browser)).json()
    assert "look-up" in {each["action"] for each in mine["disclosures"]}
    actions = [use["action"] for use in (await ask(bank, "usage:read")).json()["usages"]]
    assert "look-up: uses (look-up)" in actions


async def test_what_is_taken_back_between_the_door_and_the_write_is_not_told(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I1, I5: the door has let it pass; the write that tells asks for itself."""
    token = await bank.token(bank.hana, None, scopes=("usage:read",))
    assert (await ask_with(bank, token)).status_code == 200
    before = await bank.db.read(disclosures.history, bank.hana)
    write = bank.db.write

    async def late(*args: Any, **more: Any) -> Any:
        monkeypatch.undo()
        for grant in await bank.db.read(grants.list_for, bank.hana):
            await write(grants.revoke, grant.id, actor=SYSTEM, now=bank.now)
        return await write(*args, **more)

    monkeypatch.setattr(bank.db, "write", late)
    refused = await ask_with(bank, token)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert await bank.db.read(disclosures.history, bank.hana) == before


async def test_looking_up_without_end_is_refused_for_the_grant_and_not_for_the_others(
    bank: Bank, clock: FrozenClock
) -> None:
    token = await bank.token(bank.hana, None, scopes=("usage:read",))
    answers = [(await ask_with(bank, token, limit="1")).status_code for _ in range(tracker.LIMIT.burst)]
    assert set(answers) == {200}
    refused = await ask_with(bank, token)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    headers = {"authorization": f"Bearer {token}"}
    assert (await bank.http.get("/data-tracker/v2/usagePeriod", headers=headers)).status_code == 429
    taro = bank.app.host.get(Tokens).subject(bank.taro, bank.clinic.sector)
    assert (await ask(bank, "usage:read", account=bank.taro, called=taro)).status_code == 200
    clock.advance(seconds=1)
    assert (await ask_with(bank, token)).status_code == 200


async def test_nobody_else_can_be_asked_about_and_no_code_can_be_tried_out(bank: Bank) -> None:
    other = bank.app.host.get(Tokens).subject(bank.taro, bank.clinic.sector)
    for called in (other, bank.hana, "EE12345678901"):
        assert (await ask(bank, "usage:read", called=called)).status_code == 400
    assert (await ask(bank, "openid")).status_code == 403
    assert (await ask(bank, "usage:read", account=None)).status_code == 403
    assert (await bank.http.get(FIND)).status_code == 401
    for wrong in ({"limit": "0"}, {"limit": "1001"}, {"offset": "-1"}, {"periodStart": "yesterday"}):
        assert (await ask(bank, "usage:read", **wrong)).status_code == 400


async def test_period_and_heartbeat_answer(bank: Bank) -> None:
    headers = {"authorization": f"Bearer {await bank.token(bank.hana, None, scopes=('usage:read',))}"}
    period = await bank.http.get("/data-tracker/v2/usagePeriod", headers=headers)
    assert period.json() == {"periodStart": iso((await bank.db.read(disclosures.history, bank.hana))[-1].at)}
    assert (await bank.http.get("/data-tracker/v2/heartbeat", headers=headers)).json()["status"] == "OK"


async def test_the_consent_artefact_of_account_aggregators_counts_these_uses(bank: Bank) -> None:
    history = await bank.db.read(disclosures.history, bank.hana)
    use = await bank.db.read(bank.app.host.get(Uses).ask, bank.hana, history[0].consent_id)
    assert (use.count, use.last) == (2, history[0].at)
