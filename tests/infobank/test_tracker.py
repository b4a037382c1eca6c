"""Who used my data, in the shape of Estonia's data tracker: of the token's resident, under the names it knows alone."""

import httpx2
import pytest

from consent.rebit import Uses
from identity.tokens import Tokens
from infobank import disclosures
from kit.audit import entries
from kit.clock import iso
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
    token = await bank.token(who, None, scopes=scopes)
    name = called or bank.app.host.get(Tokens).subject(bank.hana, bank.clinic.sector)
    headers = {"authorization": f"Bearer {token}", "x-road-userid": name}
    return await bank.http.get(FIND, params={"userCode": name, **query}, headers=headers)


async def test_uses_are_told_newest_first_with_their_number_dumonitor_openapi_2_1(bank: Bank) -> None:
    answer = await ask(bank, "openid", "usage:read", limit="1")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    history = await bank.db.read(disclosures.history, bank.hana)
    assert found["totalUsages"] == len(history) == 2
    (use,) = found["usages"]
    assert use.keys() == {"logtime", "action", "receiverCode", "receiverName", "receiverSystem"}
    assert (use["logtime"], use["receiverSystem"]) == (iso(history[0].at), bank.clinic.id)
    assert "health_checkup" in use["action"]
    later = await ask(bank, "usage:read", periodStart=iso(bank.now + 1000))
    assert later.json() == {"totalUsages": 0, "usages": []}
    told = await bank.db.read(lambda session: entries(session, action="infobank.usage.shown"))
    assert [each.detail["uses"] for each in told] == [1, 0]


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
