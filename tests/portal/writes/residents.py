"""Cases of tests.portal.test_every_write. The resident's APIs and pages."""

import json
import re
from typing import Any

from tests.consent.test_imports import kantara
from tests.portal.test_mandates import CHILD_BORN, agreed, guardian_of, mandate_on, somebody
from tests.portal.test_reset import two
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


async def offered(w: World) -> tuple[Any, Any, str]:
    """Somebody gave a code away: both, and the code."""
    giver, holder = await somebody(w.app, w.http, "とめ"), await somebody(w.app, w.http, "健一")
    made = await giver.post("/mandates/give", {"actions": ["see"], "until": "2027-06-30"})
    return giver, holder, "-".join(re.findall(r"<span>([0-9A-Z]{5})</span>", made.text.split('id="code"')[1]))


@case("POST /mandates/give")
async def post_mandates_give(w: World) -> Any:
    who = await somebody(w.app, w.http, "とめ")
    return await who.post("/mandates/give", {"actions": ["see"], "until": "2027-06-30"})


@case("POST /mandates/accept")
async def post_mandates_accept(w: World) -> Any:
    """Wrong, then right."""
    _giver, holder, code = await offered(w)
    await holder.post("/mandates/accept", {"code": "00000-00000"})
    return await holder.post("/mandates/accept", {"code": code})


@case("POST /mandates/{mandate_id}/confirm")
async def post_mandates_confirm(w: World) -> Any:
    giver, holder, code = await offered(w)
    await holder.post("/mandates/accept", {"code": code})
    return await giver.post(f"/mandates/{mandate_on(await giver.get('/mandates'), 'confirm')}/confirm")


@case("POST /mandates/{mandate_id}/act")
async def post_mandates_act(w: World) -> Any:
    giver, holder = await somebody(w.app, w.http, "とめ"), await somebody(w.app, w.http, "健一")
    return await holder.post(f"/mandates/{await agreed(giver, holder, 'see')}/act")


@case("POST /mandates/back")
async def post_mandates_back(w: World) -> Any:
    giver, holder = await somebody(w.app, w.http, "とめ"), await somebody(w.app, w.http, "健一")
    await holder.post(f"/mandates/{await agreed(giver, holder, 'see')}/act")
    return await holder.post("/mandates/back")


@case("POST /mandates/{mandate_id}/end")
async def post_mandates_end(w: World) -> Any:
    giver, _holder, _code = await offered(w)
    return await giver.post(f"/mandates/{mandate_on(await giver.get('/mandates'), 'end')}/end")


@case("POST /console/residents/{account_id}/guardians")
async def post_console_residents_guardians(w: World) -> Any:
    child, parent = await somebody(w.app, w.http, "空", born=CHILD_BORN), await somebody(w.app, w.http, "花子")
    first, _second = await two(w.app, w.http)
    form = {"holder": parent.id, "evidence": "family-register"}
    return await first.post(f"/console/residents/{child.id}/guardians", form)


@case("POST /console/mandates/{mandate_id}/approve")
async def post_console_mandates_approve(w: World) -> Any:
    child, parent = await somebody(w.app, w.http, "空", born=CHILD_BORN), await somebody(w.app, w.http, "花子")
    first, second = await two(w.app, w.http)
    place = f"/console/residents/{child.id}/guardians"
    await first.post(place, {"holder": parent.id, "evidence": "court-order"})
    return await second.post(f"/console/mandates/{mandate_on(await second.get(place), 'approve')}/approve")


@case("POST /console/mandates/{mandate_id}/end")
async def post_console_mandates_end(w: World) -> Any:
    child, parent = await somebody(w.app, w.http, "空", born=CHILD_BORN), await somebody(w.app, w.http, "花子")
    clerks = await two(w.app, w.http)
    return await clerks[0].post(f"/console/mandates/{await guardian_of(clerks, child, parent)}/end")


# -- standing instructions


NO: dict[str, Any] = {"answer": "refuse", "purposes": ["DirectMarketing"]}


async def stated(home: Household) -> str:
    made = await resident(home).api("POST", "/api/consent/instructions", NO | {"days": 180})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


@case("POST /api/consent/instructions")
async def post_api_consent_instructions(w: World) -> Any:
    return await resident(await w.home()).api("POST", "/api/consent/instructions", NO | {"days": 180})


@case("PUT /api/consent/instructions/{instruction_id}")
async def put_api_consent_instructions_instruction_id(w: World) -> Any:
    home = await w.home()
    changed = NO | {"purposes": ["PersonalisedAdvertising"], "days": 100}
    return await resident(home).api("PUT", f"/api/consent/instructions/{await stated(home)}", changed)


@case("POST /api/consent/instructions/{instruction_id}/stop")
async def post_api_consent_instructions_instruction_id_stop(w: World) -> Any:
    home = await w.home()
    return await resident(home).api("POST", f"/api/consent/instructions/{await stated(home)}/stop")


@case("POST /consents/instructions")
async def post_consents_instructions(w: World) -> Any:
    return await (await w.home()).post("/consents/instructions", NO | {"until": "2027-06-30"})


@case("POST /consents/instructions/{instruction_id}/stop")
async def post_consents_instructions_instruction_id_stop(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/instructions/{await stated(home)}/stop")


@case("POST /consents/{consent_id}/undo")
async def post_consents_consent_id_undo(w: World) -> Any:
    """A refusal by instruction, undone."""
    home = await w.home()
    await home.known()
    await home.post("/consents/instructions", NO | {"purposes": ["ImproveHealthcare"], "until": "2027-06-30"})
    await home.sent_on()
    return await home.post(f"/consents/{(await home.consents())[0]}/undo")
