"""Cases of tests.portal.test_every_write. The GovStack interface."""

from typing import Any

from tests.consent.test_govstack import SCOPES, Caller, token
from tests.portal.writes.base import World, case
from tests.support.household import Household

HOOK = {"payloadUrl": "https://clinic.example/events"}


def caller(w: World, home: Household) -> Caller:
    return Caller(w.http, token(home, *SCOPES))


async def drafted(call: Caller, home: Household, **more: Any) -> Any:
    agreement = {
        "controller": {"id": str(home.party.client.member_id)}, "purpose": "Advice",
        "dataAttributes": [{"name": "health_checkup"}],
    }  # fmt: skip
    return await call("configDataAgreementCreate", body={"dataAgreement": agreement | more})


async def known(call: Caller, home: Household) -> str:
    """The name of a resident who agreed once and took it back."""
    consent = await home.give()
    await home.post(f"/consents/{consent}/withdraw")
    return str((await call("serviceIndividualList"))["individuals"][0]["id"])


@case("POST /govstack/config/policy/")
async def policy_create(w: World) -> Any:
    home = await w.home()
    return await caller(w, home)("configPolicyCreate", body={"policy": {"jurisdiction": "JP"}}, code=400)


@case("PUT /govstack/config/policy/{policy_id}/")
async def policy_update(w: World) -> Any:
    home = await w.home()
    policy = "pol_" + home.agreement_id.removeprefix("agr_")
    return await caller(w, home)("configPolicyUpdate", policy, body={"policy": {"dataRetentionPeriodDays": 7}})


@case("DELETE /govstack/config/policy/{policy_id}/")
async def policy_delete(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    return await call("configPolicyDelete", (await drafted(call, home))["dataAgreement"]["policy"]["id"])


@case("POST /govstack/config/data-agreement/")
async def agreement_create(w: World) -> Any:
    home = await w.home()
    return await drafted(caller(w, home), home)


@case("PUT /govstack/config/data-agreement/{agreement_id}/")
async def agreement_update(w: World) -> Any:
    home = await w.home()
    body = {"dataAgreement": {"duration": "P30D"}}
    return await caller(w, home)("configDataAgreementUpdate", home.agreement_id, body=body)


@case("DELETE /govstack/config/data-agreement/{agreement_id}/")
async def agreement_delete(w: World) -> Any:
    home = await w.home()
    return await caller(w, home)("configDataAgreementDelete", home.agreement_id)


@case("POST /govstack/config/individual/")
async def config_individual(w: World) -> Any:
    home = await w.home()
    return await caller(w, home)("configIndividualCreate", body={"individual": {"id": home.party.account_id}})


@case("POST /govstack/config/webhook/")
async def webhook_create(w: World) -> Any:
    return await caller(w, await w.home())("configWebhookCreate", body={"webhook": HOOK})


@case("PUT /govstack/config/webhook/{webhook_id}/")
async def webhook_update(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    await call("configWebhookCreate", body={"webhook": HOOK})
    body = {"webhook": HOOK | {"disabled": True}}
    return await call("configWebhookUpdate", home.party.client.id, body=body)


@case("DELETE /govstack/config/webhook/{webhook_id}/")
async def webhook_delete(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    await call("configWebhookCreate", body={"webhook": HOOK})
    return await call("configWebhookDelete", home.party.client.id)


@case("POST /govstack/service/individual/")
async def individual_create(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    return await call("serviceIndividualCreate", body={"individual": {"id": await known(call, home)}})


@case("PUT /govstack/service/individual/{individual_id}/")
async def individual_update(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    return await call("serviceIndividualUpdate", await known(call, home), body={"individual": {}})


@case("POST /govstack/service/individual/record/data-agreement/{agreement_id}/")
async def record_create(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    return await call("serviceIndividualConsentRecordCreate", home.agreement_id, individualId=await known(call, home))


async def a_draft(call: Caller, home: Household) -> Any:
    who = await known(call, home)
    return await call("serviceIndividualConsentRecordDraftCreate", individualId=who, dataAgreementId=home.agreement_id)


@case("POST /govstack/service/individual/record/consent-record/draft/")
async def record_draft(w: World) -> Any:
    home = await w.home()
    return await a_draft(caller(w, home), home)


@case("POST /govstack/service/individual/record/consent-record/")
async def record_pair(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    return await call("serviceIndividualConsentRecordSignatureCreate", body=await a_draft(call, home))


@case("PUT /govstack/service/individual/record/consent-record/{consent_id}/")
async def record_update(w: World) -> Any:
    home = await w.home()
    body = {"consentRecord": {"optIn": False}}
    return await caller(w, home)("serviceIndividualConsentRecordUpdate", await home.give(), body=body)


@case("POST /govstack/service/individual/record/consent-record/{consent_id}/signature/")
async def signature_create(w: World) -> Any:
    home = await w.home()
    return await caller(w, home)("serviceIndividualSignatureCreate", await home.give(), body={"signature": {}})


@case("PUT /govstack/service/individual/record/consent-record/{consent_id}/signature/")
async def signature_update(w: World) -> Any:
    home = await w.home()
    return await caller(w, home)("serviceIndividualSignatureUpdate", await home.give(), body={"signature": {}})


@case("DELETE /govstack/service/individual/record/")
async def record_delete(w: World) -> Any:
    home = await w.home()
    call = caller(w, home)
    who = await known(call, home)
    await call("serviceIndividualConsentRecordCreate", home.agreement_id, individualId=who)
    return await call("serviceIndividualConsentRecordDeleteAll", individualId=who)
