"""A record in the words of others: what each form requires is there, and no more is told."""

import re
from typing import Any

import httpx2
import orjson
import pytest
from jsonschema import Draft202012Validator

from consent import records
from consent.iso27560 import PROFILE
from consent.states import DPV_STATUS
from consent.view_routes import _source
from consent.views import MEDIA_TYPES, view
from kit.clock import DAY
from portal.app import Building
from tests.consent.bureau import ISSUER, STAFF, Bureau
from tests.portal.test_pages_endings import own_headers
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
    source = await bureau.db.read(_source, bureau.sealer, consent_id, account, "their-name-for-her", ISSUER)
    assert view(form, source) == view(form, source)
    return view(form, source)


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
    theirs = own_headers(home)
    for form, media in MEDIA_TYPES.items():
        own = await client.get(f"/api/consent/records/{consent_id}/views/{form}", headers=mine)
        other = await client.get(f"/consent/records/{consent_id}/views/{form}", headers=theirs)
        assert (own.status_code, other.status_code) == (200, 200), own.text + other.text
        assert own.headers["content-type"] == other.headers["content-type"] == media
        assert home.party.account_id in own.text
        assert home.party.account_id not in other.text
        assert orjson.loads(own.content).keys() == orjson.loads(other.content).keys()
    assert (await client.get(f"/consent/records/{consent_id}/views/pdf", headers=theirs)).status_code == 422
    strange = await client.get(
        f"/consent/records/{consent_id}/views/dpv", headers=own_headers(await settle(app, client))
    )
    assert strange.status_code == 404
    assert (await client.get(f"/consent/records/{consent_id}/views/dpv")).status_code == 401
