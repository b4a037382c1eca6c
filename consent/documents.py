"""Agreements and records as JSON for the API. Shapes only: no rule lives here."""

from typing import Any

import orjson
from pydantic import Field

from consent.agreements import AgreementView
from consent.changes import StoredEvent
from consent.endings import EndingView
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.records import RecordView
from consent.revisions import Revision
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
    state: str = Field(examples=["given"], description="given, refused, withdrawn, ended, expired or invalidated")
    purpose: str = Field(examples=["ImproveTransportMobility"])
    categories: list[str] = Field(examples=[["mobility"]])
    until: str = Field(examples=["2027-05-21T09:00:00Z"])
    created: str = Field(examples=["2026-11-22T09:00:00Z"])
    changed: str = Field(examples=["2026-11-22T09:00:00Z"])


class EventDocument(Answer):
    """Something that happened to a consent."""

    id: str = Field(examples=["cev_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    type: str = Field(
        examples=["given"],
        description="given, changed, renewed, refused, withdrawn, ended (by the recipient), expired, invalidated; "
        "asked and told beside them: requested, deferred, notified",
    )
    time: str = Field(examples=["2026-11-22T09:00:00Z"])
    by: str = Field(examples=["self"], description="Under whose authority: self, guardian, delegate, recipient or rule")
    categories: list[str] = Field(examples=[["mobility"]])
    until: str = Field(examples=["2027-05-21T09:00:00Z"])


class ToldDocument(Answer):
    """The recipient's side of an end. The statement verifies under its key (JWS, RFC 7515) without us; without a key
    the recipient could not sign, and it is what we were told (JSON)."""

    txn: str = Field(examples=["end_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    told: str | None = Field(examples=["2026-11-22T09:00:00Z"])
    confirmed: str | None = Field(examples=["2026-11-22T09:00:00Z"])
    data: str | None = Field(examples=["erased"], description="erased, or kept where a law obliges the recipient")
    statement: str | None = Field(examples=["eyJ…"])
    statement_key: dict[str, Any] | None = Field(examples=[{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrf…"}])


class RecordHistory(RecordDocument):
    """A consent with everything that happened to it."""

    events: list[EventDocument]
    recipient_told: ToldDocument | None = Field(
        default=None, description="How the recipient was told that it ended, and what it confirmed"
    )


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


def record_history(record: RecordView, events: tuple[StoredEvent, ...], ending: EndingView | None) -> RecordHistory:
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
        recipient_told=None if ending is None else _told(ending),
    )


def vocabulary() -> Vocabulary:
    """The purposes and lawful bases for the API."""
    return Vocabulary(
        purposes=[TermDocument(code=t.code, iri=t.iri, ja=t.ja, en=t.en) for t in PURPOSES.values()],
        lawful_bases=[TermDocument(code=t.code, iri=t.iri, ja=t.ja, en=t.en) for t in LAWFUL_BASES.values()],
    )


def _told(ending: EndingView) -> ToldDocument:
    return ToldDocument(
        txn=ending.id,
        told=None if ending.told_at is None else iso(ending.told_at),
        confirmed=None if ending.confirmed_at is None else iso(ending.confirmed_at),
        data=ending.data,
        statement=ending.statement,
        statement_key=None if ending.statement_key is None else orjson.loads(ending.statement_key),
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
