"""A consent event in the words of ISO/IEC TS 27560:2023, read through the W3C DPVCG guide (Final Report, 15 Feb 2026).

Views, not storage: the record of truth is the event chain. `fields` gives the record structure of clause 6.3 (header,
processing, party, event) under the standard's field names; receipts disclose each of them separately (clause 6.4).
Pure: an event's document and the agreement revision's body in, a plain dictionary out, the same for the same input.
"""

from collections.abc import Mapping
from typing import Any, Final

PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#record"
RECEIPT_PROFILE: Final = "https://w3id.org/dpv/schema/dpv-27560#receipt"
_DPV: Final = "https://w3id.org/dpv#"


def fields(event: Mapping[str, Any], body: Mapping[str, Any], *, issuer: str) -> dict[str, Any]:
    """The fields of clause 6.3, for one event of a consent under one agreement revision."""
    lang = event["notice"]["lang"]
    notice = body["text"][lang]
    uses = {use["category"]: use for use in body["categories"]}
    recipient = body["recipient"]
    return {
        # 6.3.3 header
        "schema_version": PROFILE,
        "record_id": event["record"],
        "pii_principal_id": event["subject"],
        # 6.3.4 processing
        "privacy_notice": {"title": notice["title"], "hash": event["notice"]["hash"]},
        "language": lang,
        "purpose": notice["short"],
        "purpose_type": body["purpose"]["iri"],
        "lawful_basis": body["lawful_basis"]["iri"],
        "pii_information": [
            {
                "pii_type": category,
                "pii_optional": not uses[category]["required"],
                "sensitive_pii_category": uses[category]["sensitivity"] >= 2,
            }
            for category in event["categories"]
        ],
        "pii_controllers": [issuer],
        "collection_method": _DPV + "DataSubjectDataSource",
        "processing_method": [_DPV + "Share"],
        "storage_locations": [body["jurisdiction"]],
        "retention_period": body["retention"],
        "jurisdiction": body["jurisdiction"],
        "recipient_third_parties": [recipient["member"]],
        "withdrawal_method": f"{issuer}/consents/{event['record']}",
        "privacy_rights": f"{issuer}/consents",
        # 6.3.6 party
        "parties": [
            {"party_id": issuer, "party_role": _DPV + "DataController", "party_url": issuer},
            {
                "party_id": recipient["member"],
                "party_name": recipient["name"][lang],
                "party_role": _DPV + "ThirdParty",
                "party_contact": recipient["contact"],
            },
        ],
        # 6.3.7 event
        "event_time": event["time"],
        "validity_duration": event["until"],
        "entity_id": event["subject"] if event["actor"]["authority"] == "self" else event["actor"]["authority"],
        "event_type": _DPV + ("ExplicitlyExpressedConsent" if event["type"] != "refused" else "Consent"),
        "event_state": event["status"],
    }
