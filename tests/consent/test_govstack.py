"""GovStack Consent Building Block 1.1: its 42 operations from the wire, with the ids and codes that it declares."""

import csv
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from consent import agreements, records
from consent.settings import ConsentSettings
from identity.oauth.holder import Holder
from identity.tokens import Tokens, new_jti
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from keys.pseudonyms import Pseudonyms
from keys.ring import KeyRing
from kit.db import Session
from kit.host import SYSTEM
from kit.problems import Invalid
from portal.app import Building, create_app
from tests.support.catalogue import ANY
from tests.support.desk import colleague
from tests.support.household import Household, proposal, settle
from tests.support.source import ROOT

OPERATIONS = list(csv.DictReader((ROOT / "tests/vectors/govstack-consent.csv").read_text().splitlines()))
#: components/schemas, `required`.
REQUIRED = {
    "individual": {"id"},
    "dataAgreement": {"id", "version", "purpose", "lawfulBasis", "dpia"},
    "policy": {"id", "name", "version", "url"},
    "consentRecord": {"id", "dataAgreementRevisionHash", "state"},
    "revision": {"id", "schemaName", "objectId", "serializedSnapshot", "serializedHash", "timestamp"},
    "signature": {
        "id", "payload", "signature", "verificationMethod", "verificationPayload", "verificationPayloadHash",
        "verificationSignedBy", "timestamp",
    },
    "webhook": {"id", "payloadUrl", "contentType", "disabled", "secretKey"},
}  # fmt: skip
#: What means nothing here: 400 whatever is sent (the reasons are in consent/README.md).
NEVER = {"configPolicyCreate", "configIndividualList"}
#: Lists have nothing to be wrong about but their page.
PAGED = {row["operationId"] for row in OPERATIONS if "offset" in row["query"]}
SCOPES = ("govstack.agreements", "govstack.webhooks", "govstack.service", "govstack.audit")


def token(home: Household, *scopes: str, about: bool = False) -> dict[str, str]:
    """A token of the client's own with these scopes."""
    host = home.building.host
    made = host.get(Tokens).access_token(
        home.party.client, jti=new_jti(), audience=host.issuer, scopes=scopes, now=host.clock.ms(), holder=Holder()
    )
    return {"authorization": f"Bearer {made}"}


@dataclass
class Caller:
    """Calls operations by id, and remembers what came back."""

    http: httpx2.AsyncClient
    headers: dict[str, str]
    said: dict[str, set[int]] = field(default_factory=dict)

    async def __call__(
        self, operation: str, *path: str, body: Any = None, code: int = 200, **query: str | int
    ) -> dict[str, Any]:
        row = next(row for row in OPERATIONS if row["operationId"] == operation)
        address = row["path"]
        for value in path:
            before, _, rest = address.partition("{")
            address = before + value + rest.partition("}")[2]
        answer = await self.http.request(
            row["method"], f"/govstack{address}", params=query, json=body, headers=self.headers
        )
        assert answer.status_code == code, (operation, answer.status_code, answer.text)
        self.said.setdefault(operation, set()).add(code)
        if code != 200:
            return dict(answer.json())
        found: dict[str, Any] = answer.json() if row["answer"] else {}
        assert set(row["answer"].split()) <= found.keys(), operation
        for name, thing in found.items():
            for one in thing if isinstance(thing, list) else [thing]:
                wanted = REQUIRED[{"policies": "policy"}.get(name, name.removesuffix("s"))]
                draft = operation == "serviceIndividualConsentRecordDraftCreate"
                assert wanted - ({"id"} if draft else set()) <= one.keys(), (operation, name)
        return found


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident, a service, an agreement."""
    return await settle(app, client)


@pytest.fixture
def call(home: Household) -> Caller:
    """The service with every scope."""
    return Caller(home.http, token(home, *SCOPES))


def test_the_facts_are_those_of_the_document() -> None:
    assert len(OPERATIONS) == 42
    assert {row["codes"] for row in OPERATIONS} == {"200 400"}


async def test_every_operation_of_the_document_is_served_under_its_own_id(app: Building) -> None:
    served = {
        (route.operation_id, method, route.path.replace("{", "").replace("}", ""))  # type: ignore[attr-defined]
        for _, _, router in app.host.routers
        for route in router.routes
        for method in route.methods  # type: ignore[attr-defined]
        if route.path.startswith("/govstack/")  # type: ignore[attr-defined]
    }
    names = {"policyId": "policy_id", "dataAgreementId": "agreement_id", "individualId": "individual_id",
             "webhookId": "webhook_id", "consentRecordId": "consent_id"}  # fmt: skip
    wanted = set()
    for row in OPERATIONS:
        path = row["path"].replace("{", "").replace("}", "")
        for theirs, ours in names.items():
            path = path.replace(theirs, ours)
        wanted.add((row["operationId"], row["method"], f"/govstack{path}"))
    assert served == wanted


async def test_every_operation_answers_as_declared(home: Household, call: Caller) -> None:
    """A life of everything: policy and agreement, individual, webhook, record, signature, audit; each id also wrong."""
    await _configure(home, call)
    await _take_part(home, call)
    said = call.said
    for row in OPERATIONS:
        operation = row["operationId"]
        if operation in PAGED:
            path = [home.agreement_id] * row["path"].count("{")
            await call(operation, *path, code=400, limit="many")
        if "{" in row["path"] and 400 not in said.get(operation, ()):
            body = None
            if row["body"]:
                body = {
                    name: {"payloadUrl": "https://x.example/"} if name == "webhook" else {} for name in [row["body"]]
                }
            await call(operation, "invalid_id", body=body, code=400)
        elif row["body"] and 400 not in said.get(operation, ()):
            await call(operation, body={row["body"].split()[0]: {"nonsense": 1}}, code=400)
    await call("serviceIndividualConsentRecordDraftCreate", code=400)
    await call("serviceIndividualConsentRecordDeleteAll", code=400)
    assert {operation for operation in said if 200 not in said[operation]} == NEVER
    assert {row["operationId"] for row in OPERATIONS} == {each for each in said if 400 in said[each]}


async def _configure(home: Household, call: Caller) -> None:
    member, first = str(home.party.client.member_id), home.agreement_id
    agreement = {
        "controller": {"id": member}, "purpose": "Registration in Health App", "lawfulBasis": "consent",
        "dpia": "Assessed", "active": True, "policy": {"dataRetentionPeriodDays": 365, "jurisdiction": "JP"},
        "dataAttributes": [{"name": "health_checkup", "sensitivity": "3"}],
    }  # fmt: skip
    made = await call("configDataAgreementCreate", body={"dataAgreement": agreement})
    fresh = made["dataAgreement"]
    assert (fresh["active"], fresh["lifecycle"]["name"], fresh["purpose"]) == (False, "Draft", agreement["purpose"])
    assert fresh["policy"]["dataRetentionPeriodDays"] == 365
    again = await call("configDataAgreementUpdate", fresh["id"], body={"dataAgreement": fresh | {"duration": "P30D"}})
    assert (again["dataAgreement"]["version"], again["dataAgreement"]["duration"]) == ("2", "P30D")
    assert again["revision"]["predecessorHash"] == made["revision"]["serializedHash"]
    wrong = await call("configDataAgreementCreate", body={"dataAgreement": agreement | {"forgettable": True}}, code=400)
    assert wrong["errors"][0]["pointer"] == "/dataAgreement/forgettable"
    await call("configDataAgreementRead", first)
    listed = (await call("configDataAgreementList", offset=0, limit=1))["dataAgreement"]
    assert [each["id"] for each in listed] == [first]
    policy = (await call("configPolicyList"))["policies"][0]
    assert policy["id"] == "pol_" + first.removeprefix("agr_")
    await call("configPolicyCreate", body={"policy": policy}, code=400)
    await call("configPolicyDelete", policy["id"], code=400)  # its agreement is active
    changed = await call("configPolicyUpdate", policy["id"], body={"policy": policy | {"dataRetentionPeriodDays": 7}})
    assert changed["policy"]["dataRetentionPeriodDays"] == 7
    now = (await call("configPolicyRead", policy["id"]))["policy"]
    assert now["dataRetentionPeriodDays"] == 30  # what is in force is not touched
    then = (await call("servicePolicyRead", policy["id"], revisionId=changed["revision"]["id"]))["policy"]
    assert then["dataRetentionPeriodDays"] == 7
    whole = (await call("configPolicyRevisionsList", policy["id"]))["revisions"]
    assert [each["id"] for each in whole][-1] == changed["revision"]["id"]
    for each in whole:  # the hash rule of the document, and of its fixtures
        text = each["serializedSnapshot"]
        assert each["serializedHash"] == hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
        assert json.loads(text)["objectId"] == policy["id"]
    assert (await call("configPolicyDelete", "pol_" + fresh["id"].removeprefix("agr_")))["revision"]
    await call("configDataAgreementDelete", fresh["id"], code=400)  # withdrawn with its policy
    other = await call("configDataAgreementCreate", body={"dataAgreement": agreement})
    await call("configDataAgreementDelete", other["dataAgreement"]["id"])
    who = home.party.account_id
    assert await call("configIndividualRead", who) == {"individual": {"id": who}}
    await call("configIndividualCreate", body={"individual": {"externalId": who, "externalIdType": "account"}})
    await call("configIndividualList", code=400)
    hook = {"payloadUrl": "https://clinic.example/events", "secretKey": "Bearer hush"}
    made = await call("configWebhookCreate", body={"webhook": hook})
    identifier = made["webhook"]["id"]
    assert "hush" not in str(made)
    await call("configWebhookCreate", body={"webhook": hook}, code=400)
    await call("configWebhookRead", identifier)
    done = await call("configWebhookUpdate", identifier, body={"webhook": hook | {"disabled": True}})
    assert done["webhook"]["disabled"]
    assert len((await call("configWebhookList"))["webhooks"]) == 1
    await call("configWebhookDelete", identifier)
    assert not (await call("configWebhookList"))["webhooks"]


async def _take_part(home: Household, call: Caller) -> None:
    first = home.agreement_id
    await call("serviceDataAgreementRead", first)
    mine = (await call("serviceVerificationDataAgreementList"))["dataAgreements"]
    assert {each["controller"]["id"] for each in mine} == {home.party.client.member_id}
    consent = await home.give("mobility")
    (person,) = (await call("serviceIndividualList"))["individuals"]
    who = person["id"]
    host = home.building.host
    assert person["externalId"] == host.get(Tokens).subject(home.party.account_id, home.party.client.sector)
    assert await call("serviceIndividualRead", who) == {"individual": person}
    assert await call("serviceIndividualCreate", body={"individual": {"id": who}}) == {"individual": person}
    await call("serviceIndividualUpdate", who, body={"individual": person})
    await call("serviceIndividualUpdate", who, body={"individual": {"externalId": "another"}}, code=400)

    one = await call("serviceVerificationConsentRecordRead", consent)
    record, revision = one["consentRecord"], one["revision"]
    assert (record["optIn"], record["state"], record["individual"]) == (True, "signed", person)
    assert record["dataAgreementRevisionHash"] == record["dataAgreementRevision"]["serializedHash"]
    assert revision["authorizedByIndividual"] == person
    assert home.party.account_id not in str(one)
    sign = record["signature"]
    claims = host.get(KeyRing).verify_jwt(sign["signature"], typ="govstack-signature+jwt")
    assert claims["snapshot"] == sign["verificationPayload"] == revision["serializedSnapshot"]
    assert (await call("serviceIndividualSignatureCreate", consent, body={"signature": {}}))["signature"] == sign
    await call("serviceIndividualSignatureUpdate", consent, body={"signature": sign})
    await call(
        "serviceIndividualSignatureUpdate", consent, body={"signature": sign | {"signature": "eyJ.x.y"}}, code=400
    )
    for operation, path in (
        ("serviceVerificationConsentRecordList", ()),
        ("serviceIndividualConsentRecordList", ()),
        ("serviceIndividualDataAgreementConsentRecordList", (first,)),
    ):
        listed = (await call(operation, *path, individualId=who))["consentRecords"]
        assert [each["id"] for each in listed] == [consent]
    current = await call("serviceIndividualConsentRecordRead", first, individualId=who)
    assert current["consentRecord"]["id"] == consent

    # The recipient ends it; the resident is asked anew, and answers on the page.
    await call("serviceIndividualConsentRecordUpdate", consent, body={"consentRecord": record})  # the same: nothing
    done = await call("serviceIndividualConsentRecordUpdate", consent, body={"consentRecord": {"optIn": False}})
    assert (done["consentRecord"]["optIn"], done["consentRecord"]["status"]) == (False, "ended")
    await call("serviceIndividualConsentRecordUpdate", consent, body={"consentRecord": {"optIn": True}}, code=400)
    draft = await call("serviceIndividualConsentRecordDraftCreate", individualId=who, dataAgreementId=first)
    assert "id" not in draft["consentRecord"]
    assert "id" not in draft["signature"]
    forged = draft | {"signature": draft["signature"] | {"signature": "eyJ.x.y"}}
    await call("serviceIndividualConsentRecordSignatureCreate", body=forged, code=400)
    paired = await call("serviceIndividualConsentRecordSignatureCreate", body=draft)
    asked = paired["consentRecord"]
    assert (asked["state"], asked["optIn"], asked["status"]) == ("unsigned", False, "requested")
    assert paired["signature"]["signature"] == ""
    same = await call("serviceIndividualConsentRecordCreate", first, individualId=who)
    assert same["consentRecord"]["id"] == asked["id"]
    assert (await home.answer(f"/consents/{asked['id']}/answer", {"answer": "refuse"})).status_code == 303
    await call("serviceIndividualConsentRecordCreate", first, individualId=who, code=400)  # it was refused

    await call("serviceIndividualConsentRecordDeleteAll", individualId=who)  # nothing waits: nothing is taken back

    await call("auditDataAgreementList")
    await call("auditDataAgreementRead", first)
    theirs = (await call("auditConsentRecordList"))["consentRecords"]
    assert {each["id"] for each in theirs} >= {consent, asked["id"]}
    assert (await call("auditConsentRecordRead", consent))["consentRecord"]["id"] == consent
    assert who not in str(theirs)
    assert home.party.account_id not in str(theirs)


async def test_a_service_reads_nobody_elses_people_records_and_agreements(
    app: Building, client: httpx2.AsyncClient, home: Household, call: Caller
) -> None:
    """Ids of one reader lead nowhere for another, and an id that was never given leads nowhere at all."""
    consent = await home.give()
    (person,) = (await call("serviceIndividualList"))["individuals"]
    stranger = await settle(app, client)
    theirs = Caller(client, token(stranger, *SCOPES))
    assert (await theirs("serviceIndividualList"))["individuals"] == []
    await theirs("serviceIndividualRead", person["id"], code=400)
    await theirs("serviceVerificationConsentRecordRead", consent, code=400)
    await theirs("serviceIndividualConsentRecordUpdate", consent, body={"consentRecord": {"optIn": False}}, code=400)
    await theirs("serviceDataAgreementRead", home.agreement_id, code=400)
    await theirs("serviceIndividualConsentRecordCreate", home.agreement_id, individualId=person["id"], code=400)
    names = Pseudonyms(app.host.get(TokenHasher))
    assert names.back("a", names.of("b", "acc_1")) is None
    for wrong in (home.party.account_id, person["externalId"], person["id"][:-2] + "AA", "", "x" * 201):
        await call("serviceIndividualConsentRecordList", individualId=wrong, code=400)
    both = {**call.headers, "x-consentbb-individualid": "another"}
    await Caller(client, both)("serviceIndividualConsentRecordList", individualId=person["id"], code=400)


async def test_a_question_taken_back_is_over_and_was_never_answered(home: Household, call: Caller) -> None:
    await home.post(f"/consents/{await home.give()}/withdraw")
    who = (await call("serviceIndividualList"))["individuals"][0]["id"]
    asked = (await call("serviceIndividualConsentRecordCreate", home.agreement_id, individualId=who))["consentRecord"]
    await call("serviceIndividualConsentRecordDeleteAll", individualId=who)
    over = await call("serviceVerificationConsentRecordRead", asked["id"])
    assert (over["consentRecord"]["status"], over["consentRecord"]["state"]) == ("lapsed", "unsigned")


async def test_each_group_asks_for_its_own_scope_or_role(
    app: Building, client: httpx2.AsyncClient, home: Household
) -> None:
    for row in OPERATIONS:
        group, what = row["path"].split("/")[1:3]
        config = "webhooks" if what.startswith("webhook") else "agreements"
        own = "govstack." + {"auditor": "audit", "config": config}.get(group, group)
        assert own in SCOPES
        headers = token(
            home, "govstack.config", *(scope for scope in SCOPES if scope != own)
        )  # the old one opens nothing
        path = "/govstack" + row["path"].replace("{", "").replace("}", "")
        body = {name: {"payloadUrl": "x"} if name == "webhook" else {} for name in row["body"].split()} or None
        query = {"individualId": "x", "dataAgreementId": "y"}
        answer = await client.request(row["method"], path, json=body, params=query, headers=headers)
        assert answer.status_code == 403, (row["operationId"], answer.text)
        assert "insufficient_scope" in answer.headers["www-authenticate"]
    operator = await colleague(app, client, "operator")
    assert (await operator.api("GET", "/govstack/config/policies/")).status_code == 200
    assert (await operator.api("GET", "/govstack/audit/consent-records/")).status_code == 200
    assert (await operator.api("GET", "/govstack/service/individuals/")).status_code == 401
    analyst = await colleague(app, client, "analyst")
    assert (await analyst.api("GET", "/govstack/audit/consent-records/")).status_code == 403


async def test_what_is_told_of_people_is_in_the_audit_trail(app: Building, home: Household, call: Caller) -> None:
    from kit.audit import entries

    consent = await home.give()
    await call("serviceVerificationConsentRecordList")
    await call("auditConsentRecordRead", consent)
    found = await app.host.db.read(lambda session: entries(session, action="consent.records.shown"))
    assert [each.detail["consents"] for each in found] == [[consent], [consent]]
    assert {each.actor_id for each in found} == {home.party.client.id}


async def _seed(building: Building, member_id: str) -> None:
    """The fixture of the official harness: agreement and policy `1`."""
    now = building.host.clock.ms()

    def seed(session: Session) -> None:
        made = agreements.propose(
            session,
            member_id=member_id,
            proposal=proposal(),
            sensitivities=ANY,
            actor=SYSTEM,
            now=now,
            agreement_id="1",
        )
        agreements.approve(session, made.id, actor=SYSTEM, now=now, sealer=None)

    await building.host.db.write(seed)


async def test_the_official_harness_passes_in_the_open_mode_and_nothing_of_people_is_open(
    settings: Any, clock: Any
) -> None:
    """bb-consent test/gherkin: smoke.feature and data_agreement.feature, without a token."""
    opened = settings.model_copy(update={"consent": ConsentSettings(govstack_open_for_tests=True)})
    async with create_app(opened, clock=clock).running(jobs=False) as building:
        transport = httpx2.ASGITransport(app=building, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=opened.issuer) as http:
            home = await settle(building, http)
            await _seed(building, str(home.party.client.member_id))
            smoke = await http.get("/govstack/service/policy/1/")
            assert smoke.status_code == 200
            assert isinstance(smoke.json()["policy"], dict)
            assert isinstance(smoke.json()["revision"], dict)
            found = await http.get("/govstack/config/data-agreement/1/")
            assert (found.status_code, found.json()["dataAgreement"]["id"]) == (200, "1")
            for wrong in ("invalid_id", "123!%40%23"):
                assert (await http.get(f"/govstack/config/data-agreement/{wrong}/")).status_code == 400
            for closed in (
                "config/individuals", "config/webhooks", "service/individuals", "audit/consent-records",
                "service/verification/consent-records",
            ):  # fmt: skip
                assert (await http.get(f"/govstack/{closed}/")).status_code == 401
            assert (
                await http.delete("/govstack/config/policy/1/", headers={"origin": opened.issuer})
            ).status_code == 401
        far = httpx2.ASGITransport(app=building, client=("192.0.2.7", 4711))
        async with httpx2.AsyncClient(transport=far, base_url=opened.issuer) as http:
            assert (await http.get("/govstack/config/data-agreement/1/")).status_code == 403


def test_the_open_mode_is_refused_for_a_city_that_others_reach(settings: Any) -> None:
    public = settings.model_copy(
        update={
            "issuer": "https://id.city.example",
            "consent": ConsentSettings(govstack_open_for_tests=True),
        }
    )
    with pytest.raises(Invalid, match="localhost"):
        create_app(public)


async def test_without_the_open_mode_nobody_reads_without_a_token(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/govstack/config/data-agreement/1/")).status_code == 401


async def test_a_record_of_a_resident_who_left_is_gone_here_too(app: Building, home: Household, call: Caller) -> None:
    consent = await home.give()
    await home.post("/leave/erase", {"confirm": "消す"})
    await call("serviceVerificationConsentRecordRead", consent, code=400)
    assert (await call("serviceIndividualList"))["individuals"] == []
    gone = await app.host.db.read(records.list_for, home.party.account_id, now=app.host.clock.ms())
    assert gone == ()
    assert app.host.get(Sealer)


async def test_what_a_client_proposed_through_this_interface_is_not_published_by_one_person_with_every_role(
    app: Building, client: httpx2.AsyncClient, home: Household, call: Caller
) -> None:
    """Whoever holds the client's secret may be the one who approves: two different people of the staff do."""
    before = (await call("configDataAgreementRead", home.agreement_id))["dataAgreement"]
    sent = {"dataAgreement": before | {"duration": "P30D"}}
    made = await call("configDataAgreementUpdate", home.agreement_id, body=sent)
    approve = f"/api/consent/admin/revisions/{made['revision']['id']}/approve"
    both = await colleague(app, client, "operator", "ethics")
    assert (await both.api("POST", approve)).json()["status"] == "offered"
    assert (await both.api("POST", approve)).json()["type"] == "/problems/identity/second-person-needed"
    other = await colleague(app, client, "ethics")
    assert (await other.api("POST", approve)).json()["status"] == "approved"


async def test_a_client_cannot_say_that_a_category_is_less_sensitive_than_it_is(home: Household, call: Caller) -> None:
    before = (await call("configDataAgreementRead", home.agreement_id))["dataAgreement"]
    light = [{"name": "health_checkup", "sensitivity": "0"}]
    sent = {"dataAgreement": before | {"dataAttributes": light}}
    refused = await call("configDataAgreementUpdate", home.agreement_id, body=sent, code=400)
    assert "sensitivity" in str(refused), refused
