"""A record in the words of others: what each form requires is there, and no more is told."""

import re
from typing import Any

import httpx2
import orjson
import pytest
from jsonschema import Draft202012Validator

from consent import questions, records
from consent.errors import ConsentState
from consent.iso27560 import PROFILE
from consent.rebit import Uses
from consent.states import DPV_STATUS
from consent.view_routes import Views
from consent.views import MEDIA_TYPES
from keys.ring import KeyRing
from kit.audit import entries
from kit.clock import DAY
from portal.app import Building
from tests.consent.bureau import ISSUER, STAFF, Bureau
from tests.consent.test_govstack import token
from tests.support.household import settle

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

TEXT = {"type": "string", "minLength": 1}
# Consent Receipt Specification 1.1.0 section 4: the required fields and their JSON types.
KANTARA: dict[str, Any] = {
    "type": "object",
    "required": [
        "version", "jurisdiction", "consentTimestamp", "collectionMethod", "consentReceiptID", "language",
        "piiPrincipalId", "piiControllers", "policyUrl", "services", "sensitive", "spiCat",
    ],
    "properties": {
        "version": {"const": "KI-CR-v1.1.0"},
        "jurisdiction": TEXT,
        "consentTimestamp": {"type": "integer", "minimum": 0, "maximum": 10**11},  # section 4.3.3: seconds
        "collectionMethod": TEXT,
        "consentReceiptID": TEXT,
        "language": TEXT,
        "piiPrincipalId": TEXT,
        "piiControllers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["piiController", "contact", "address", "email", "phone"],
                "properties": {"piiController": TEXT, "contact": TEXT, "address": {"type": "object"}},
            },
        },
        "policyUrl": TEXT,
        "services": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["service", "purposes"],
                "properties": {
                    "purposes": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "required": [
                                "consentType", "purposeCategory", "piiCategory", "termination", "thirdPartyDisclosure",
                                "thirdPartyName",
                            ],
                            "properties": {
                                "purposeCategory": {"type": "array", "items": TEXT, "minItems": 1},
                                "piiCategory": {"type": "array", "items": TEXT},
                                "thirdPartyDisclosure": {"const": True},
                                "thirdPartyName": TEXT,  # section 4.5.11: required where disclosed
                            },
                        },
                    }
                },
            },
        },
        "sensitive": {"type": "boolean"},
        "spiCat": {"type": "array", "items": TEXT},
    },
}  # fmt: skip


async def made(bureau: Bureau, form: Any, consent_id: str, account: str) -> dict[str, Any]:
    views = Views(bureau.db, bureau.sealer, bureau.host.get(KeyRing), bureau.clock, bureau.host.get(Uses), ISSUER)
    first, second = [await bureau.db.read(views.of, form, consent_id, account, "their-name-for-her") for _ in range(2)]
    assert first == second
    found: dict[str, Any] = orjson.loads(first)
    return found


async def test_the_dpv_view_has_the_process_and_a_status_for_every_event_27560_clause_6_3(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako, "mobility", "household")
    bureau.clock.advance(seconds=60)
    await bureau.withdraw(hanako, ref.consent_id)
    found = await made(bureau, "dpv", ref.consent_id, hanako)
    assert (found["@type"], found["dct:conformsTo"]) == ("dpv:ConsentRecord", {"@id": PROFILE})
    assert [each["@type"] for each in found["dpv:hasConsentStatus"]] == [DPV_STATUS["given"], DPV_STATUS["withdrawn"]]
    process = found["dpv:hasProcess"]
    required = (
        "Purpose", "PersonalData", "LegalBasis", "DataController", "Recipient", "StorageCondition", "ConsentControl",
        "Jurisdiction", "Right",
    )  # fmt: skip
    assert {f"dpv:has{name}" for name in required} <= process.keys()
    data = {each["dct:identifier"]: each["dpv:hasNecessity"]["@id"] for each in process["dpv:hasPersonalData"]}
    assert data == {"mobility": "dpv:Required", "household": "dpv:Optional"}
    assert hanako not in str(found)
    prefixes = {key.partition(":")[0] for key in re.findall(r"'([a-z]+:[A-Za-z]+)'", str(found))}
    assert prefixes <= found["@context"].keys()


@sqlite_only
async def test_the_kantara_view_has_every_required_field_of_section_4(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako, "mobility", lang="en")
    found = await made(bureau, "kantara", ref.consent_id, hanako)
    Draft202012Validator(KANTARA).validate(found)
    assert found["consentReceiptID"] == ref.event_id
    assert (found["sensitive"], found["spiCat"]) == (False, [])
    (service,) = found["services"]
    assert service["service"] == "Better bus times"
    assert service["purposes"][0]["piiCategory"] == ["mobility"]


@sqlite_only
@pytest.mark.parametrize(
    ("kind", "r4", "r5", "decision"),
    [
        ("given", "active", "active", "permit"),
        ("refused", "rejected", "not-done", "deny"),
        ("withdrawn", "inactive", "inactive", "permit"),
        ("ended", "inactive", "inactive", "permit"),
        ("expired", "inactive", "inactive", "permit"),
    ],
)
async def test_the_fhir_views_say_how_the_consent_stands_in_the_words_of_each_release(
    bureau: Bureau, kind: str, r4: str, r5: str, decision: str
) -> None:
    """FHIR 4.0.1 has `rejected` and a scope; 5.0.0 has `not-done` and a decision of its own."""
    hanako = await bureau.resident()
    if kind == "refused":
        ref = await bureau.db.write(
            records.refuse, bureau.sealer, account_id=hanako, revision_id=bureau.revision, notice_lang="ja",
            actor=STAFF, now=bureau.clock.ms(),
        )  # fmt: skip
    else:
        ref = await bureau.give(hanako)
    if kind == "withdrawn":
        await bureau.withdraw(hanako, ref.consent_id)
    elif kind == "ended":
        await bureau.db.write(
            records.end, bureau.sealer, consent_id=ref.consent_id, member_id=bureau.member, reason="other",
            actor=STAFF, now=bureau.clock.ms(),
        )  # fmt: skip
    elif kind == "expired":
        bureau.clock.advance(seconds=181 * DAY / 1000)
        await bureau.sweep()
    old = await made(bureau, "fhir-r4", ref.consent_id, hanako)
    new = await made(bureau, "fhir-r5", ref.consent_id, hanako)
    assert (old["status"], new["status"]) == (r4, r5)
    assert (old["provision"]["type"], new["decision"]) == (decision, decision)
    for found in (old, new):
        assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", found["id"])
        assert found["identifier"][0]["value"] == ref.consent_id
        assert hanako not in str(found)
    assert {"scope", "category", "patient", "dateTime", "policy"} <= old.keys()
    assert {"subject", "date", "period", "grantor", "grantee", "decision"} <= new.keys()
    assert not new.keys() & {"scope", "patient", "dateTime", "organization", "policy"}


async def test_each_reader_gets_the_record_with_their_own_name_for_the_resident(
    app: Building, client: httpx2.AsyncClient
) -> None:
    home = await settle(app, client)
    consent_id = await home.give()
    mine = {"cookie": f"sekisho-local={home.party.cookie}"}
    theirs = token(home, "consent.view")
    for form, media in MEDIA_TYPES.items():
        own = await client.get(f"/api/consent/records/{consent_id}/views/{form}", headers=mine)
        other = await client.get(f"/consent/records/{consent_id}/views/{form}", headers=theirs)
        assert (own.status_code, other.status_code) == (200, 200), own.text + other.text
        assert own.headers["content-type"] == other.headers["content-type"] == media
        assert form == "rebit" or home.party.account_id in own.text  # there it is inside of what is signed
        assert home.party.account_id not in other.text
        assert orjson.loads(own.content).keys() == orjson.loads(other.content).keys()
    assert (await client.get(f"/consent/records/{consent_id}/views/pdf", headers=theirs)).status_code == 422
    strange = await client.get(
        f"/consent/records/{consent_id}/views/dpv", headers=token(await settle(app, client), "consent.view")
    )
    assert strange.status_code == 404
    assert (await client.get(f"/consent/records/{consent_id}/views/dpv")).status_code == 401
    narrow = await client.get(f"/consent/records/{consent_id}/views/dpv", headers=token(home))
    assert (narrow.status_code, "insufficient_scope" in narrow.headers["www-authenticate"]) == (403, True)
    told = await app.host.db.read(lambda session: entries(session, action="consent.records.shown"))
    assert [each.detail["form"] for each in told] == list(MEDIA_TYPES)  # to the service; what is one's own is not told


@sqlite_only
async def test_the_rebit_artefact_has_every_required_member_of_aa_api_2_0_0(bureau: Bureau) -> None:
    """definitions/ConsentArtefact and SignedConsentDetail; the JWS verifies under our keys."""
    hanako = await bureau.resident()
    ref = await bureau.give(hanako, "mobility", lang="en")
    found = await made(bureau, "rebit", ref.consent_id, hanako)
    assert found.keys() == {"ver", "txnid", "consentId", "status", "createTimestamp", "signedConsent", "ConsentUse"}
    assert (found["ver"], found["consentId"], found["status"]) == ("2.0.0", ref.consent_id, "ACTIVE")
    assert found["ConsentUse"].keys() == {"logUri", "count", "lastUseDateTime"}
    said = bureau.host.get(KeyRing).verify_jwt(found["signedConsent"], typ="rebit-consent+jwt")
    required = (
        "consentStart", "consentExpiry", "consentMode", "fetchType", "consentTypes", "fiTypes", "DataConsumer",
        "DataProvider", "Customer", "Purpose", "FIDataRange", "DataLife", "Frequency", "Accounts",
    )  # fmt: skip
    assert set(required) <= said.keys()
    assert (said["fiTypes"], said["DataLife"]) == (["mobility"], {"unit": "DAY", "value": 90})
    assert hanako not in str(said)
    await bureau.withdraw(hanako, ref.consent_id)
    ended = await made(bureau, "rebit", ref.consent_id, hanako)
    assert (ended["status"], ended["signedConsent"]) == ("REVOKED", found["signedConsent"])


@sqlite_only
async def test_what_nobody_answered_or_somebody_refused_is_no_artefact(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    now = bureau.clock.ms()
    asked = await bureau.db.write(
        questions.ask, bureau.sealer, account_id=hanako, revision_id=bureau.revision, actor=STAFF, now=now
    )
    for form in MEDIA_TYPES:
        with pytest.raises(ConsentState):
            await made(bureau, form, asked, hanako)
    await bureau.db.write(
        records.refuse, bureau.sealer, account_id=hanako, revision_id=bureau.revision, notice_lang="ja", actor=STAFF,
        now=now,
    )  # fmt: skip
    with pytest.raises(ConsentState):
        await made(bureau, "rebit", asked, hanako)
    assert (await made(bureau, "fhir-r4", asked, hanako))["status"] == "rejected"
