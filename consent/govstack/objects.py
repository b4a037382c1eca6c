"""GovStack's objects, made from ours: Policy, DataAgreement, Revision, ConsentRecord, Individual, Signature. Pure.

Consent BB API 1.1.0-rc1, components/schemas. Ids are ours, so nothing has to be remembered: a policy is the part of an
agreement that says where data lies and for how long, and has the agreement's id with another beginning; a revision has
the id of our revision, or of our event. What a schema leaves out and ours has (kinds of data, both languages, how long)
stands beside it under names of its own; an absent value is left out.

A Revision's `serializedHash` is SHA-1, as the document says, for those who compare it; the hash that proves anything is
in the snapshot: SHA-256 of the text agreed to, or of the event.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consent.changes import StoredEvent
from consent.durations import parse_duration
from consent.ledger import digest
from consent.records import RecordView
from consent.revisions import Revision
from consent.states import UNANSWERED
from kit.clock import DAY, iso
from kit.encoding import canonical

#: Ours by theirs (DataAgreement.lawfulBasis).
LAWFUL_BASES: Final[Mapping[str, str]] = {
    "consent": "Consent",
    "contract": "ContractPerformance",
    "legal_obligation": "LegalObligation",
    "vital_interest": "VitalInterest",
    "public_task": "PublicInterest",
    "legitimate_interest": "LegitimateInterest",
}
_THEIRS: Final = {ours: theirs for theirs, ours in LAWFUL_BASES.items()}
_AGREEMENT, _POLICY = "agr_", "pol_"
_LANG = "en"  # the document has one text and no language; both are beside it

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class City:
    """What every object says of us and of a member."""

    issuer: str
    sites: Mapping[str, str]  # a member's web site, by its id


def policy_id(agreement_id: str) -> str:
    """The id of an agreement's policy."""
    if agreement_id.startswith(_AGREEMENT):
        return _POLICY + agreement_id.removeprefix(_AGREEMENT)
    return agreement_id


def agreement_of_policy(identifier: str) -> str:
    """The agreement whose policy has this id."""
    return _AGREEMENT + identifier.removeprefix(_POLICY) if identifier.startswith(_POLICY) else identifier


def policy(revision: Revision, city: City) -> Object:
    """Policy: where the data lies, and how long the recipient keeps it."""
    identifier = policy_id(revision.agreement_id)
    return {
        "id": identifier,
        "name": f"{revision.recipient.name_en}: {revision.notice(_LANG).title}",
        "version": str(revision.number),
        "url": f"{city.issuer}/govstack/service/policy/{identifier}/?revisionId={revision.id}",
        "jurisdiction": revision.jurisdiction,
        "dataRetentionPeriodDays": parse_duration(revision.retention) // DAY,
        "geographicRestriction": revision.jurisdiction,
        "storageLocation": revision.jurisdiction,
    }


def data_agreement(revision: Revision, city: City) -> Object:
    """DataAgreement, one revision of it."""
    reviewed = {"approved": "approved", "superseded": "approved", "returned": "returned"}.get(revision.status)
    return {
        **_fixed(revision, city),
        "dpia": "Data ethics board: " + (reviewed or "not decided yet"),
        "active": revision.status == "approved",
        "lifecycle": _lifecycle("Draft" if revision.status in ("draft", "offered", "returned") else "Complete"),
    }


def _lifecycle(name: str) -> Object:
    return {"id": name.lower(), "name": name}


def _fixed(revision: Revision, city: City) -> Object:
    """What never changes in a revision: all of it but how far it has come."""
    notice = revision.notice(_LANG)
    return {
        "id": revision.agreement_id,
        "version": str(revision.number),
        "controller": {
            "id": revision.member_id,
            "name": revision.recipient.name_en,
            "url": city.sites.get(revision.member_id) or city.issuer,
        },
        "policy": policy(revision, city),
        "purpose": notice.title,
        "lawfulBasis": _THEIRS[revision.lawful_basis],
        "dataUse": "data_using_service",
        "forgettable": False,
        "dataAttributes": [
            {
                "id": f"{revision.id}.{use.category}",
                "name": use.category,
                "sensitivity": str(use.sensitivity),
                "category": use.category,
                "required": use.required,
            }
            for use in revision.categories
        ],
        "purposeCategory": revision.purpose,
        "duration": revision.duration,
        "contact": revision.recipient.contact,
        "notice": {
            lang: {key: value for key, value in text.document().items() if key != "lang"}
            for lang, text in revision.text.items()
        },
    }


def revision_of_agreement(
    revision: Revision, city: City, *, whole: Sequence[Revision] = (), schema: str = "DataAgreement"
) -> Object:
    """Revision of a DataAgreement or of its Policy. `whole`: the agreement's revisions, to name the neighbours."""
    snapshot = _agreement_snapshot(revision, city, schema)
    before = next((each for each in whole if each.number == revision.number - 1), None)
    after = next((each for each in whole if each.number == revision.number + 1), None)
    made = _revision(revision.id, schema, _object_id(revision, schema), snapshot, iso(revision.created_at))
    if before is not None:
        made["predecessorHash"] = sha1(_agreement_snapshot(before, city, schema))
    if after is not None:
        text = _agreement_snapshot(after, city, schema)
        made["successor"] = _revision(after.id, schema, _object_id(after, schema), text, iso(after.created_at))
    return made


def agreement_hash(revision: Revision, city: City) -> str:
    """ConsentRecord.dataAgreementRevisionHash: the hash of the Revision of the text that was agreed to."""
    return sha1(_agreement_snapshot(revision, city, "DataAgreement"))


def sha1(text: str) -> str:
    """Revision.serializedHash. A name for comparing, never a proof (SHA-1 is broken)."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _object_id(revision: Revision, schema: str) -> str:
    return policy_id(revision.agreement_id) if schema == "Policy" else revision.agreement_id


def _agreement_snapshot(revision: Revision, city: City, schema: str) -> str:
    data = policy(revision, city) if schema == "Policy" else _fixed(revision, city)
    return _snapshot(schema, _object_id(revision, schema), iso(revision.created_at), data, revision.hash)


def _snapshot(schema: str, object_id: str, time: str, data: Object, proof: str) -> str:
    return canonical(
        {
            "schemaName": schema,
            "objectId": object_id,
            "signedWithoutObjectId": False,
            "timestamp": time,
            "objectData": {key: value for key, value in data.items() if key != "id"},
            "sha256": proof,
        }
    ).decode()


def _revision(identifier: str, schema: str, object_id: str, snapshot: str, time: str) -> Object:
    return {
        "id": identifier,
        "schemaName": schema,
        "objectId": object_id,
        "signedWithoutObjectId": False,
        "serializedSnapshot": snapshot,
        "serializedHash": sha1(snapshot),
        "timestamp": time,
    }


def individual(identifier: str, *, subject: str | None = None, issuer: str = "") -> Object:
    """Individual: a name this reader alone was given, with the subject of its ID tokens if it has one."""
    if subject is None:
        return {"id": identifier}
    return {"id": identifier, "externalId": subject, "externalIdType": "sub", "identityProviderId": issuer}


def consent_record(record: RecordView, revision: Revision, city: City, person: Object) -> Object:
    """ConsentRecord as it stands now."""
    return {
        "id": record.id,
        "dataAgreement": data_agreement(revision, city),
        "dataAgreementRevision": revision_of_agreement(revision, city),
        "dataAgreementRevisionHash": agreement_hash(revision, city),
        "individual": person,
        "optIn": record.stands,
        "state": "unsigned" if record.state in UNANSWERED else "signed",
        "dataAttributes": list(record.categories),
        "status": record.state,
        "validUntil": iso(record.until_at),
    }


def draft_record(revision: Revision, city: City, person: Object) -> Object:
    """ConsentRecord that is not stored: no id."""
    return {
        "dataAgreement": data_agreement(revision, city),
        "dataAgreementRevision": revision_of_agreement(revision, city),
        "dataAgreementRevisionHash": agreement_hash(revision, city),
        "individual": person,
        "optIn": False,
        "state": "unsigned",
    }


def revision_of_record(events: Sequence[StoredEvent], city: City, person: Object) -> Object:
    """Revision of a ConsentRecord: its newest event, with the one before it by hash."""
    last = events[-1].document
    snapshot = _event_snapshot(last, person)
    made = _revision(last["event"], "ConsentRecord", last["record"], snapshot, last["time"])
    if last["actor"]["authority"] == "self":
        made["authorizedByIndividual"] = person
    else:
        made["authorizedByOther"] = last["actor"]["authority"]
    if len(events) > 1:
        made["predecessorHash"] = sha1(_event_snapshot(events[-2].document, person))
    return made


def _event_snapshot(event: Mapping[str, Any], person: Object) -> str:
    data = {
        "dataAgreement": event["agreement"],
        "dataAgreementRevision": event["revision"],
        "individual": person["id"],
        "event": event["type"],
        "dataAttributes": event["categories"],
        "validUntil": event["until"],
    }
    # The event's own hash would tell who holds two readers' views that they are of one person: so each reader has a
    # hash of what this reader is told.
    return _snapshot("ConsentRecord", event["record"], event["time"], data, digest(data))


def signature_payload(
    verification: str, *, by: str, time: str, reference: str | None, kind: str = "revision"
) -> tuple[str, str]:
    """Signature.payload and the hash of what it covers (SHA-256)."""
    proof = hashlib.sha256(verification.encode()).hexdigest()
    fields = {
        "verificationPayload": verification,
        "verificationPayloadHash": proof,
        "verificationMethod": "JWS",
        "verificationSignedBy": by,
        "timestamp": time,
        "signedWithoutObjectReference": reference is None,
        "objectType": kind,
    }
    if reference is not None:
        fields["objectReference"] = reference
    return canonical(fields).decode(), proof


def signature(
    verification: str, *, by: str, time: str, reference: str | None, signed: str = "", signed_as: str | None = None
) -> Object:
    """Signature: unsigned without `signed`; without a reference it is a draft and has no id."""
    payload, proof = signature_payload(verification, by=by, time=time, reference=reference)
    made: Object = {
        "payload": payload,
        "signature": signed,
        "verificationMethod": "JWS",
        "verificationPayload": verification,
        "verificationPayloadHash": proof,
        "verificationSignedBy": by,
        "timestamp": time,
        "signedWithoutObjectReference": reference is None,
        "objectType": "revision",
    }
    if reference is not None:
        made |= {"id": f"{reference}.signature", "objectReference": reference}
    if signed_as is not None:
        made["verificationSignedAs"] = signed_as
    return made


def webhook(client_id: str, endpoint: str | None) -> Object:
    """Webhook: a service's stream of changes. Its secret is never shown again."""
    return {
        "id": client_id,
        "payloadUrl": endpoint or "",
        "contentType": "application/secevent+jwt",
        "disabled": endpoint is None,
        "secretKey": "",
    }
