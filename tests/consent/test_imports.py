"""Consents that others wrote down: kept as evidence, never a permission, and asked about where they fit."""

import hashlib
import json
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from consent import foreign, gate, imports, records
from consent.decisions import Refusal
from consent.errors import BadImport
from keys.hashing import TokenHasher
from portal.app import Building
from tests.consent.bureau import STAFF, Bureau, person
from tests.consent.test_govstack import token
from tests.support.household import settle

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def kantara(**changed: Any) -> dict[str, Any]:
    """A receipt as KI-CR-v1.1.0 section 4 has it, by a controller of nowhere."""
    purpose = {
        "purpose": "Plan more buses", "purposeCategory": ["ImproveTransportMobility"], "consentType": "EXPLICIT",
        "piiCategory": ["mobility"], "primaryPurpose": True, "termination": "after a year",
        "thirdPartyDisclosure": True, "thirdPartyName": "Minato Bus",
    }  # fmt: skip
    controller = {
        "piiController": "Former Town", "onBehalf": False, "contact": "desk", "address": {"addressCountry": "JP"},
        "email": "desk@town.example", "phone": "", "piiControllerUrl": "https://town.example",
    }  # fmt: skip
    return {
        "version": "KI-CR-v1.1.0", "jurisdiction": "JP", "consentTimestamp": 1_760_000_000,
        "collectionMethod": "web", "consentReceiptID": "c1befd3e", "language": "en", "piiPrincipalId": "someone",
        "piiControllers": [controller], "policyUrl": "https://town.example/privacy",
        "services": [{"service": "Buses", "purposes": [purpose]}], "sensitive": False, "spiCat": [], **changed,
    }  # fmt: skip


async def taken(bureau: Bureau, account: str, document: Any, form: Any = "kantara") -> tuple[imports.Imported, ...]:
    found = foreign.read(orjson.dumps(document), form)
    return await bureau.db.write(
        imports.take_in, bureau.sealer, bureau.host.get(TokenHasher), found, account_id=account, source="old portal",
        authority="operator", actor=STAFF, now=bureau.clock.ms(),
    )  # fmt: skip


async def decided(bureau: Bureau, account: str) -> object:
    return await bureau.db.write(
        gate.judge, account_id=account, member_id=bureau.member, categories=["mobility"], now=bureau.clock.ms()
    )


async def test_a_receipt_that_fits_an_agreement_asks_the_resident_and_permits_nothing(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    (made,) = await taken(bureau, hanako, kantara())
    assert (made.agreement_id, made.new, made.signature) == (bureau.agreement, True, "none")
    assert made.question is not None
    assert isinstance(await decided(bureau, hanako), Refusal)
    (again,) = await taken(bureau, hanako, kantara())  # the same twice is one
    assert (again.id, again.new) == (made.id, False)
    assert len(await bureau.db.read(imports.list_for, bureau.sealer, hanako)) == 1
    assert (await bureau.give(hanako)).consent_id == made.question  # the resident's answer is the consent
    assert not isinstance(await decided(bureau, hanako), Refusal)
    (entry,) = await bureau.audit("consent.import.taken")
    assert entry.detail["authority"] == "operator"


@sqlite_only
@pytest.mark.parametrize(
    "change",
    [
        {"services": [{**kantara()["services"][0], "service": "x", "purposes": [
            {**kantara()["services"][0]["purposes"][0], "thirdPartyName": "Another Bus"}]}]},
        {"services": [{"service": "x", "purposes": [
            {**kantara()["services"][0]["purposes"][0], "piiCategory": ["mobility", "salary"]}]}]},
        {"services": [{"service": "x", "purposes": [
            {**kantara()["services"][0]["purposes"][0], "purposeCategory": ["DirectMarketing"]}]}]},
    ],
)  # fmt: skip
async def test_what_fits_no_agreement_is_evidence_alone(bureau: Bureau, change: dict[str, Any]) -> None:
    hanako = await bureau.resident()
    (made,) = await taken(bureau, hanako, kantara(**change))
    assert (made.agreement_id, made.question) == (None, None)
    assert await bureau.db.read(records.list_for, hanako, now=bureau.clock.ms()) == ()


@sqlite_only
async def test_what_was_refused_is_not_asked_again_by_a_file_and_all_goes_with_the_resident(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    await bureau.db.write(
        records.refuse, bureau.sealer, account_id=hanako, revision_id=bureau.revision, notice_lang="ja",
        actor=person(hanako), now=bureau.clock.ms(),
    )  # fmt: skip
    (made,) = await taken(bureau, hanako, kantara())
    assert (made.agreement_id, made.question) == (bureau.agreement, None)
    rows = await bureau.rows("consent_import")
    assert b"Minato Bus" not in rows[0]["sealed"]
    await bureau.db.write(records.forget, bureau.sealer, account_id=hanako, actor=person(hanako), now=bureau.clock.ms())
    assert await bureau.rows("consent_import") == []


def _wrong(form: Any, document: Any) -> list[str]:
    with pytest.raises(BadImport) as bad:
        foreign.read(orjson.dumps(document), form)
    return [each["pointer"] for each in bad.value.document().get("errors", [])]


def test_bad_input_is_refused_whole_with_pointers_to_what_is_wrong() -> None:
    assert _wrong("kantara", kantara(version="KI-CR-v1.0.0")) == ["/version"]
    assert _wrong("kantara", kantara(consentTimestamp="now", extra=1)) == ["/consentTimestamp", "/extra"]
    assert _wrong("kantara", {**kantara(), "services": []}) == ["/services"]
    purpose = {**kantara()["services"][0]["purposes"][0], "thirdPartyName": None}
    unnamed = kantara(services=[{"service": "x", "purposes": [purpose]}])
    assert _wrong("kantara", unnamed) == ["/services/0/purposes/0/thirdPartyName"]
    good = _govstack_record()
    bad = {**good, "dataAgreementRevisionHash": "0" * 40}
    assert _wrong("govstack", {"consentRecords": [good, bad]}) == ["/consentRecords/1/dataAgreementRevisionHash"]
    changed = {**good["dataAgreementRevision"], "serializedSnapshot": "{}"}
    where = "/consentRecord/dataAgreementRevision/serializedHash"
    assert _wrong("govstack", {"consentRecord": {**good, "dataAgreementRevision": changed}}) == [where]
    assert _wrong("govstack", {"consentRecords": []}) == ["/consentRecords"]
    for nonsense in (b"", b"[]", b"{", b"a.b.c", b"\xff", b"{}" * 200_000):
        for form in ("kantara", "govstack"):
            with pytest.raises(BadImport):
                foreign.read(nonsense, form)  # type: ignore[arg-type]


@pytest.mark.parametrize("inside", [{"x": 2**60}, "deep", "deeper"], ids=["number", "deep", "deeper"])
async def test_what_cannot_be_kept_as_it_is_is_refused_and_not_our_mistake(
    app: Building, client: httpx2.AsyncClient, inside: Any
) -> None:
    """A file is a stranger's: too deep to be hashed, or with a number that JSON does not hold exactly (RFC 8785)."""
    home = await settle(app, client)
    if isinstance(inside, str):
        levels, inside = {"deep": 60, "deeper": 400}[inside], {}
        for _ in range(levels):
            inside = {"a": inside}
    document = kantara(piiControllers=[kantara()["piiControllers"][0] | {"address": inside}])
    cookie = {"cookie": f"sekisho-local={home.party.cookie}", "origin": app.settings.issuer}
    for sent in (document, json.dumps(document)):
        body = {"format": "kantara", "source": "myself", "document": sent}
        answer = await client.post("/api/consent/imports", json=body, headers=cookie)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/consent/bad-import"), answer.text


@settings(max_examples=15, deadline=None)
@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)), st.data()
)
def test_any_other_value_anywhere_is_read_or_refused_and_nothing_else(value: Any, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(kantara())))
    try:
        foreign.read(orjson.dumps(kantara(**{name: value})), "kantara")
    except BadImport:
        return


def _govstack_record() -> dict[str, Any]:
    snapshot = json.dumps({"schemaName": "DataAgreement", "objectId": "1"})
    proof = hashlib.sha1(snapshot.encode(), usedforsecurity=False).hexdigest()
    revision = {
        "id": "3", "schemaName": "DataAgreement", "objectId": "1", "serializedSnapshot": snapshot,
        "serializedHash": proof, "timestamp": "2023-10-31 21:53:59.411517+00:00",
    }  # fmt: skip
    return {
        "id": "1", "dataAgreement": {"id": "1", "purpose": "Registration"}, "dataAgreementRevision": revision,
        "dataAgreementRevisionHash": proof, "individual": {"id": "1"}, "optIn": True, "state": "signed",
    }  # fmt: skip


def test_a_jwt_is_unchecked_without_keys_and_refused_under_others_ki_cr_7_1() -> None:
    key, other = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    claims = kantara(iss="https://town.example", iat=1_760_000_000)
    signed = jwt.encode({"alg": "ES256"}, claims, key).encode()
    (unchecked,) = foreign.read(signed, "kantara")
    (verified,) = foreign.read(signed, "kantara", jwks={"keys": [key.as_dict(private=False)]})
    assert (unchecked.signature, verified.signature) == ("unchecked", "verified")
    assert unchecked.id == "c1befd3e"
    for keys in ({"keys": [other.as_dict(private=False)]}, {"keys": []}):
        with pytest.raises(BadImport):
            foreign.read(signed, "kantara", jwks=keys)


async def test_our_own_views_come_back_round_and_ask_only_where_nothing_stands(
    app: Building, client: httpx2.AsyncClient
) -> None:
    """Kantara and GovStack, as our interfaces write them: read without a loss, matched, and never a second consent."""
    home = await settle(app, client)
    consent = await home.give("mobility")
    cookie = {"cookie": f"sekisho-local={home.party.cookie}", "origin": app.settings.issuer}
    receipt = (await client.get(f"/api/consent/records/{consent}/views/kantara", headers=cookie)).json()
    scopes = token(home, "govstack.service")
    found = (await client.get(f"/govstack/service/verification/consent-record/{consent}/", headers=scopes)).json()
    listed = (await client.get("/govstack/service/verification/consent-records/", headers=scopes)).json()
    files: list[tuple[str, Any]] = [("kantara", receipt), ("govstack", found), ("govstack", listed)]
    for form, document in files:
        body = {"format": form, "source": "myself", "document": document}
        answer = await client.post("/api/consent/imports", json=body, headers=cookie)
        assert answer.status_code == 200, answer.text
        (made,) = answer.json()["imports"]
        assert (made["agreement"], made["question"], made["state"]) == (home.agreement_id, None, "evidence")
    assert await home.consents() == [consent]
    await home.post(f"/consents/{consent}/withdraw")
    other = {**receipt, "consentReceiptID": "another"}
    body = {"format": "kantara", "source": "myself", "document": other}
    (made,) = (await client.post("/api/consent/imports", json=body, headers=cookie)).json()["imports"]
    assert made["question"] == (await home.consents())[0]
    assert f"/consents/{made['question']}/answer" in (await home.get("/consents")).text
    assert len((await client.get("/api/consent/imports", headers=cookie)).json()["imports"]) == 4
    assert (await client.post("/api/consent/imports", json=body, headers=scopes)).status_code == 401
    wrong = await client.post("/api/consent/imports", json={**body, "document": {}}, headers=cookie)
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/consent/bad-import")
