"""Receipts: they verify offline, in numbered steps, and a change of any part says which step it broke."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import UnknownConsent
from consent.verify import STEPS, NotVerified, VerifiedReceipt, verify_receipt
from keys import sdjwt
from keys.ceremonies import KeyStore
from keys.errors import KeyDestroyed
from kit.encoding import b64url, canonical
from kit.host import SYSTEM
from tests.consent.bureau import ISSUER, STAFF, Bureau
from tests.kit.tlog_support import TestKey

sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def make(bureau: Bureau, **more: Any) -> bytes:
    hanako = await bureau.resident()
    given_ref = await bureau.give(hanako, "mobility", "household", **more)
    await bureau.lay()
    return (await bureau.receipts.make(given_ref.consent_id, account_id=hanako)).content


def check(bureau: Bureau, content: bytes) -> VerifiedReceipt:
    return verify_receipt(content, vkey=bureau.vkey, jwks=bureau.jwks)


def changed(content: bytes, **parts: Any) -> bytes:
    return canonical({**orjson.loads(content), **parts})


async def test_a_receipt_verifies_offline_and_says_what_was_agreed(bureau: Bureau) -> None:
    content = await make(bureau)
    found = check(bureau, content)
    assert found.issuer == ISSUER
    assert found.event["type"] == "given"
    assert found.event["categories"] == ["household", "mobility"]
    assert found.notice["title"] == "もっと便利なバスの時刻"
    assert found.agreement["purpose"]["code"] == "ImproveTransportMobility"
    assert found.claims["event_state"] == "https://w3id.org/dpv#ConsentGiven"
    assert found.checkpoint.origin == "localhost:8080/ledger"
    assert dict(found.summary)["recipient"] == "みなとバス"


@sqlite_only
async def test_every_event_has_its_own_receipt_and_the_newest_is_the_default(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    bureau.clock.advance(seconds=60)
    done = await bureau.withdraw(hanako, ref.consent_id)
    newest = await bureau.receipts.make(ref.consent_id, account_id=hanako)
    assert newest.event_id == done.event_id
    assert newest.file_name == f"{ref.consent_id}-1-withdrawn.sekisho-receipt.json"
    assert check(bureau, newest.content).claims["event_state"] == "https://w3id.org/dpv#ConsentWithdrawn"
    first = await bureau.receipts.make(ref.consent_id, account_id=hanako, event_id=ref.event_id)
    assert check(bureau, first.content).event["type"] == "given"
    with pytest.raises(UnknownConsent):
        await bureau.receipts.make(ref.consent_id, account_id=hanako, event_id="cev_other")
    with pytest.raises(UnknownConsent):
        await bureau.receipts.make(ref.consent_id, account_id=await bureau.resident("taro"))


@sqlite_only
async def test_a_receipt_survives_rotation_of_the_signing_key_and_growth_of_the_log(bureau: Bureau) -> None:
    content = await make(bureau)
    for n in range(5):
        await bureau.give(await bureau.resident(f"other{n}"))
    bureau.clock.advance(seconds=86_400)
    await bureau.host.get(KeyStore).rotate_signing(actor=STAFF)
    check(bureau, content)
    assert (
        orjson.loads(await make_second(bureau))["credential"].split(".")[0]
        != orjson.loads(content)["credential"].split(".")[0]
    )


@sqlite_only
async def test_each_claim_can_be_shown_by_itself(bureau: Bureau) -> None:
    """ISO/IEC TS 27560 fields are disclosed one by one: the date and the state, without purpose or categories."""
    credential = orjson.loads(await make(bureau))["credential"]
    shown = {"event_time", "event_state"}
    claims = sdjwt.verify(sdjwt.present(credential, lambda name, _value: name in shown), bureau.jwks)
    assert shown <= claims.keys()
    assert not {"purpose", "pii_information", "pii_principal_id", "record_id", "parties"} & claims.keys()
    assert {"iss", "vct", "commitment"} <= claims.keys()


FIELDS = {
    "6.3.3 header": {"schema_version", "record_id", "pii_principal_id"},
    "6.3.4 processing": {
        "privacy_notice", "language", "purpose", "purpose_type", "lawful_basis", "pii_information", "pii_controllers",
        "collection_method", "processing_method", "storage_locations", "retention_period", "jurisdiction",
        "recipient_third_parties", "withdrawal_method", "privacy_rights",
    },
    "6.3.6 party": {"parties"},
    "6.3.7 event": {"event_time", "validity_duration", "entity_id", "event_type", "event_state"},
}  # fmt: skip


@sqlite_only
async def test_a_whole_receipt_has_every_field_of_the_standard_filled(bureau: Bureau) -> None:
    """ISO/IEC TS 27560:2023 clause 6.3, as read through the W3C DPVCG guide."""
    claims = sdjwt.verify(orjson.loads(await make(bureau))["credential"], bureau.jwks)
    assert not {clause: left for clause, fields in FIELDS.items() if (left := fields - claims.keys())}
    assert not [name for fields in FIELDS.values() for name in fields if claims[name] in (None, "", [], {})]


@sqlite_only
async def test_a_receipt_with_any_part_changed_names_the_failed_step(bureau: Bureau) -> None:
    content = await make(bureau)
    bundle = orjson.loads(content)
    event, notice, agreement = bundle["event"], bundle["notice"], bundle["agreement"]
    other = orjson.loads(await make_second(bureau))
    disclosures = bundle["credential"].split("~")
    cases: list[tuple[int, bytes]] = [
        (1, content + b"\n"),
        (1, orjson.dumps(bundle, option=orjson.OPT_INDENT_2)),
        (1, b"not JSON"),
        (1, b"[]"),
        (1, changed(content, extra=1)),
        (1, changed(content, format="sekisho-consent-receipt/2")),
        (1, changed(content, salt=b64url(b"short"))),
        (1, changed(content, proof=5)),
        (2, changed(content, credential=bundle["credential"].replace("~", "x~", 1))),
        (2, changed(content, credential="~".join([*disclosures[:-2], "WyJhIiwiYiIsImMiXQ", ""]))),
        (2, changed(content, credential="not a credential")),
        (3, changed(content, agreement={**agreement, "retention": "P99Y"})),
        (3, changed(content, event={**event, "revision_hash": "0" * 64})),
        (4, changed(content, notice={**notice, "full": notice["full"] + "。"})),
        (4, changed(content, notice=agreement["text"]["en"])),
        (4, changed(content, event={**event, "notice": {"lang": "en", "hash": event["notice"]["hash"]}})),
        (4, changed(content, event={**event, "notice": {**event["notice"], "hash": "0" * 64}})),
        (5, changed(content, event={**event, "time": "2020-01-01T00:00:00Z"})),
        (5, changed(content, event={**event, "type": "withdrawn"})),
        (5, changed(content, event={**event, "extra": 1})),
        (5, changed(content, salt=b64url(bytes(32)))),
        (5, changed(content, credential=other["credential"])),
        (6, changed(content, credential="~".join([*disclosures[:3], ""]))),  # some claims withheld
        (7, changed(content, proof=bundle["proof"].replace("/ledger\n", "/leder\n", 1))),
        (7, changed(content, proof=bundle["proof"] + "x")),
        (7, changed(content, proof="")),
        (8, changed(content, proof=other["proof"])),
        (8, changed(content, proof=bundle["proof"].replace("index 2", "index 1", 1))),
    ]
    for expected, candidate in cases:
        with pytest.raises(NotVerified) as failed:
            check(bureau, candidate)
        assert failed.value.step == expected, (failed.value, expected)
        assert STEPS[expected - 1] in str(failed.value)


async def make_second(bureau: Bureau) -> bytes:
    taro = await bureau.resident("taro")
    ref = await bureau.give(taro)
    return (await bureau.receipts.make(ref.consent_id, account_id=taro)).content


@sqlite_only
async def test_a_receipt_with_any_byte_changed_is_refused(bureau: Bureau) -> None:
    content = await make(bureau)
    vkey, jwks = bureau.vkey, bureau.jwks

    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, len(content) - 1), st.integers(1, 255))
    def flip(at: int, with_bits: int) -> None:
        damaged = bytearray(content)
        damaged[at] ^= with_bits
        with pytest.raises(NotVerified):
            verify_receipt(bytes(damaged), vkey=vkey, jwks=jwks)

    flip()


@sqlite_only
async def test_somebody_elses_keys_do_not_vouch_for_it(bureau: Bureau) -> None:
    content = await make(bureau)
    with pytest.raises(NotVerified) as failed:
        verify_receipt(content, vkey=bureau.vkey, jwks={"keys": []})
    assert failed.value.step == 2
    stranger = TestKey("localhost:8080/ledger", b"\x01" * 32)
    with pytest.raises(NotVerified) as failed:
        verify_receipt(content, vkey=stranger.vkey, jwks=bureau.jwks)
    assert failed.value.step == 7


@sqlite_only
async def test_a_destroyed_key_leaves_only_the_residents_own_receipt(bureau: Bureau) -> None:
    """Erasure: nothing we hold opens the commitment any more; the file the resident took home still does."""
    hanako = await bureau.resident()
    ref = await bureau.give(hanako)
    mine = (await bureau.receipts.make(ref.consent_id, account_id=hanako)).content
    await bureau.db.write(bureau.sealer.destroy_owner, hanako)
    with pytest.raises(KeyDestroyed):
        await bureau.receipts.make(ref.consent_id, account_id=hanako)
    check(bureau, mine)
    assert await bureau.log_entries()
    bureau.clock.advance(seconds=400 * 86_400)
    assert await bureau.sweep() == 1  # a record that nobody can write any more does not block the sweeper
    assert await bureau.rows("consent_record") == []


def test_verifying_needs_no_database_and_no_framework() -> None:
    """A stranger's machine: importing the verifier pulls in neither the database nor the web."""
    code = (
        "import sys, consent.verify;"
        "print(sorted({'sqlalchemy', 'sqlmodel', 'fastapi', 'starlette', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_the_system_is_no_person() -> None:
    assert SYSTEM.kind == "system"
