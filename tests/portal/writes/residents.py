"""Cases of tests.portal.test_every_write. The resident's APIs and pages."""

import json
import re
from typing import Any

from tests.consent.test_imports import kantara
from tests.portal.writes.base import World, case
from tests.portal.writes.services import service_tokens
from tests.support.desk import Colleague
from tests.support.household import CHECKUPS, RIDES, Household


def resident(home: Household) -> Colleague:
    """The resident of a household, at the JSON API."""
    return Colleague(home.building, home.http, home.party.account_id, home.party.cookie)


async def own_record(home: Household) -> str:
    return (await home.deposit("health_checkup", CHECKUPS[0]))[0]


@case("POST /api/consent/records/{consent_id}/withdraw")
async def post_api_consent_records_consent_id_withdraw(w: World) -> Any:
    home = await w.home()
    await service_tokens(home)
    return await resident(home).api("POST", f"/api/consent/records/{(await home.consents())[0]}/withdraw")


@case("POST /api/bank/my/records")
async def post_api_bank_my_records(w: World) -> Any:
    sent = {"records": [{"category": "mobility", "data": RIDES[0]}]}
    return await resident(await w.home()).api("POST", "/api/bank/my/records", sent)


@case("PUT /api/bank/my/records/{item_id}")
async def put_api_bank_my_records_item_id(w: World) -> Any:
    home = await w.home()
    return await resident(home).api("PUT", f"/api/bank/my/records/{await own_record(home)}", {"data": CHECKUPS[1]})


@case("DELETE /api/bank/my/records/{item_id}")
async def delete_api_bank_my_records_item_id(w: World) -> Any:
    home = await w.home()
    return await resident(home).api("DELETE", f"/api/bank/my/records/{await own_record(home)}")


@case("POST /interaction/{interaction_id}")
async def post_interaction_interaction_id(w: World) -> Any:
    """Refused, then agreed to."""
    home = await w.home()
    await home.answer(await home.ask(), {"answer": "refuse"})
    return await home.answer(await home.ask(), {"answer": "agree", "category": ["mobility"]})


@case("POST /api/consent/imports")
async def post_api_consent_imports(w: World) -> Any:
    """A receipt of another system, as evidence."""
    body = {"format": "kantara", "source": "the former town", "document": kantara()}
    return await resident(await w.home()).api("POST", "/api/consent/imports", body)


@case("POST /consents/{consent_id}/answer")
async def post_consents_consent_id_answer(w: World) -> Any:
    """Put off at the service, put off again, then agreed to."""
    home = await w.home()
    await home.answer(await home.ask(), {"answer": "later"})
    page = f"/consents/{(await home.consents())[0]}/answer"
    await home.answer(page, {"answer": "later"})
    return await home.answer(page, {"answer": "agree"})


@case("POST /data/{category_id}/add")
async def post_data_category_id_add(w: World) -> Any:
    return await (await w.home()).post("/data/health_checkup/add", {"date": "2026-10-02", "systolic": "118"})


@case("POST /data/{category_id}/upload")
async def post_data_category_id_upload(w: World) -> Any:
    return await (await w.home()).upload("/data/health_checkup/upload", json.dumps([CHECKUPS[0]]).encode())


@case("POST /data/{category_id}/{item_id}/correct")
async def post_data_category_id_item_id_correct(w: World) -> Any:
    home = await w.home()
    sent = {"date": "2026-10-02", "systolic": "119"}
    return await home.post(f"/data/health_checkup/{await own_record(home)}/correct", sent)


@case("POST /data/{category_id}/{item_id}/delete")
async def post_data_category_id_item_id_delete(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/data/health_checkup/{await own_record(home)}/delete")


@case("POST /consents/{consent_id}/change")
async def post_consents_consent_id_change(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/change", {"category": ["mobility"]})


@case("POST /consents/{consent_id}/withdraw")
async def post_consents_consent_id_withdraw(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/withdraw")


@case("POST /consents/stop")
async def post_consents_stop(w: World) -> Any:
    home = await w.home()
    await home.give("mobility")
    return await home.post("/consents/stop", {"category": "health_checkup"})


@case("POST /consents/{consent_id}/receipt/show")
async def post_consents_consent_id_receipt_show(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/receipt/show")


@case("POST /who/stop")
async def post_who_stop(w: World) -> Any:
    home = await w.home()
    page = await home.ask(authorization_details=None, scope="openid profile")
    code = re.search(r"code=([^&]+)", (await home.answer(page, {"answer": "agree"})).headers["location"])
    assert code
    token = (await home.party.exchange(code[1])).json()["access_token"]
    await w.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    grant = re.search(r'name="grant" value="([^"]+)"', (await home.get("/who")).text)
    assert grant
    return await home.post("/who/stop", {"grant": grant[1]})


@case("POST /leave/erase")
async def post_leave_erase(w: World) -> Any:
    home = await w.home()
    await service_tokens(home)
    return await home.post("/leave/erase", {"confirm": "消す"})
