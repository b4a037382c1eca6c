"""Agreements and records as JSON for the API. Shapes only: no rule lives here."""

from typing import Any

from pydantic import Field

from consent.agreements import AgreementView, Revision
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.records import RecordView, StoredEvent
from kit.clock import iso
from kit.web import Answer

_AGREEMENT = "agr_01kaq3b1m5w6v7x8y9z0a1b2c3"
_REVISION = "rev_01kaq3b1m5w6v7x8y9z0a1b2c3"
_CONSENT = "con_01kaq3b1m5w6v7x8y9z0a1b2c3"


class RevisionDocument(Answer):
    """One revision of an agreement."""

    id: str = Field(examples=[_REVISION])
    agreement: str = Field(examples=[_AGREEMENT])
    number: int = Field(examples=[1])
    status: str = Field(
        examples=["approved"], description="draft, offered, approved, superseded, returned or withdrawn"
    )
    hash: str = Field(description="SHA-256 of `body` in canonical form (RFC 8785)", examples=["9f86d081884c7d65…"])
    created: str = Field(examples=["2026-11-22T09:00:00Z"])
    body: dict[str, Any] = Field(
        description="What is hashed: recipient, purpose, categories, duration, the texts in both languages, and the "
        "predecessor's hash",
        examples=[{"agreement": _AGREEMENT, "number": 1, "purpose": {"code": "ImproveTransportMobility"}}],
    )


class AgreementDocument(Answer):
    """An agreement and its revision in force (or the newest, while none is)."""

    id: str = Field(examples=[_AGREEMENT])
    member: str = Field(examples=["mem_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    status: str = Field(examples=["approved"], description="offered, approved or withdrawn")
    changed: str = Field(examples=["2026-11-22T09:00:00Z"])
    revision: RevisionDocument


class AgreementList(Answer):
    """Agreements in order of proposal."""

    agreements: list[AgreementDocument]
    next: str | None = Field(default=None, description="Pass as `after` for the next page", examples=[_AGREEMENT])


class RecordDocument(Answer):
    """A consent as it stands now."""

    id: str = Field(examples=[_CONSENT])
    agreement: str = Field(examples=[_AGREEMENT])
    revision: str = Field(examples=[_REVISION])
    recipient: str = Field(examples=["mem_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    state: str = Field(examples=["given"], description="given, refused, withdrawn, expired or invalidated")
    purpose: str = Field(examples=["ImproveTransportMobility"])
    categories: list[str] = Field(examples=[["mobility"]])
    until: str = Field(examples=["2027-05-21T09:00:00Z"])
    created: str = Field(examples=["2026-11-22T09:00:00Z"])
    changed: str = Field(examples=["2026-11-22T09:00:00Z"])


class EventDocument(Answer):
    """Something that happened to a consent."""

    id: str = Field(examples=["cev_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    type: str = Field(examples=["given"])
    time: str = Field(examples=["2026-11-22T09:00:00Z"])
    by: str = Field(examples=["self"], description="Under whose authority: self, guardian, delegate or rule")
    categories: list[str] = Field(examples=[["mobility"]])
    until: str = Field(examples=["2027-05-21T09:00:00Z"])


class RecordHistory(RecordDocument):
    """A consent with everything that happened to it."""

    events: list[EventDocument]


class RecordList(Answer):
    """The resident's consents, newest first."""

    records: list[RecordDocument]


class Withdrawn(Answer):
    """The withdrawal as recorded."""

    consent: str = Field(examples=[_CONSENT])
    event: str = Field(examples=["cev_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    state: str = Field(examples=["withdrawn"])


class TermDocument(Answer):
    """A purpose or lawful basis."""

    code: str = Field(examples=["ImproveTransportMobility"])
    iri: str = Field(examples=["https://w3id.org/dpv#ImproveTransportMobility"])
    ja: str = Field(examples=["交通や移動を便利にするため"])
    en: str = Field(examples=["To improve transport and mobility"])


class Vocabulary(Answer):
    """The codes that agreements may use (W3C Data Privacy Vocabulary)."""

    purposes: list[TermDocument]
    lawful_bases: list[TermDocument]


def revision_document(revision: Revision) -> RevisionDocument:
    """A revision for the API."""
    return RevisionDocument(
        id=revision.id,
        agreement=revision.agreement_id,
        number=revision.number,
        status=revision.status,
        hash=revision.hash,
        created=iso(revision.created_at),
        body=dict(revision.body),
    )


def agreement_document(agreement: AgreementView, revision: Revision) -> AgreementDocument:
    """An agreement for the API."""
    return AgreementDocument(
        id=agreement.id,
        member=agreement.member_id,
        status=agreement.status,
        changed=iso(agreement.changed_at),
        revision=revision_document(revision),
    )


def record_document(record: RecordView) -> RecordDocument:
    """A consent for the API."""
    return RecordDocument(**_record(record))


def record_history(record: RecordView, events: tuple[StoredEvent, ...]) -> RecordHistory:
    """A consent with its events for the API."""
    return RecordHistory(
        **_record(record),
        events=[
            EventDocument(
                id=event.id,
                type=event.document["type"],
                time=event.document["time"],
                by=event.document["actor"]["authority"],
                categories=event.document["categories"],
                until=event.document["until"],
            )
            for event in events
        ],
    )


def vocabulary() -> Vocabulary:
    """The purposes and lawful bases for the API."""
    return Vocabulary(
        purposes=[TermDocument(code=t.code, iri=t.iri, ja=t.ja, en=t.en) for t in PURPOSES.values()],
        lawful_bases=[TermDocument(code=t.code, iri=t.iri, ja=t.ja, en=t.en) for t in LAWFUL_BASES.values()],
    )


def _record(record: RecordView) -> dict[str, Any]:
    return {
        "id": record.id,
        "agreement": record.agreement_id,
        "revision": record.revision_id,
        "recipient": record.member_id,
        "state": record.state,
        "purpose": record.purpose,
        "categories": list(record.categories),
        "until": iso(record.until_at),
        "created": iso(record.created_at),
        "changed": iso(record.changed_at),
    }
