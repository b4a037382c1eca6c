"""Services and auditors: reading consent records, and the city's signature of one (what services do is in `asking`).

Whatever is told about a person to a service or an auditor is in the audit trail.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from consent import agreements, records, store
from consent.changes import StoredEvent
from consent.errors import UnknownConsent
from consent.govstack import common
from consent.govstack.common import (
    AUDIT,
    AUDIT_ROLES,
    PAGE,
    PREFIX,
    Caller,
    GovstackRoute,
    IndividualHeader,
    IndividualId,
    Limit,
    Office,
    Offset,
    Reader,
    answer,
    declared,
)
from consent.govstack.errors import BadInput
from consent.govstack.objects import (
    City,
    Object,
    consent_record,
    revision_of_record,
    signature,
)
from consent.govstack.people import account_of, one_name
from consent.records import RecordView
from consent.revisions import Revision
from consent.states import UNANSWERED
from kit import audit
from kit.db import Session
from kit.host import Actor

_TYP = "govstack-signature+jwt"


def own_record(session: Session, office: Office, caller: Caller, consent_id: str) -> RecordView:
    """A record of the calling member, and of the token's resident if it has one; raises UnknownConsent."""
    record = records.get(session, consent_id, account_id=caller.account_id, now=office.clock.ms())
    if record.member_id != caller.member_id:
        raise UnknownConsent("No consent of yours has this id.")
    return record


def shown(session: Session, office: Office, reader: Reader, found: Sequence[RecordView], actor: Actor) -> list[Object]:
    """Records in GovStack's words; that they were told, and to whom, is in the audit trail."""
    texts: dict[str, Revision] = {
        each.revision_id: agreements.get_revision(session, each.revision_id) for each in found
    }
    city = common.city(session, office, *texts.values())
    audit.record(
        session, "consent.records.shown", actor=actor, object=("client", actor.client_id or actor.id),
        detail={"form": "govstack", "consents": [each.id for each in found]},
    )  # fmt: skip
    return [consent_record(each, texts[each.revision_id], city, reader.person(each.account_id)) for each in found]


def whole(
    session: Session, office: Office, reader: Reader, record: RecordView, actor: Actor
) -> tuple[Object, Object, tuple[StoredEvent, ...]]:
    """A record, its newest revision, and the events behind it."""
    (made,) = shown(session, office, reader, [record], actor)
    events = records.history(session, office.sealer, record.id, account_id=record.account_id)
    city = common.city(session, office, agreements.text_of(session, record.revision_id))
    made["signature"] = sign(office, reader, record, events)
    return made, revision_of_record(events, city, reader.person(record.account_id)), events


def sign(office: Office, reader: Reader, record: RecordView, events: Sequence[StoredEvent]) -> Object:
    """The city's signature that this is the record's newest event; unsigned while nobody has answered."""
    last = events[-1].document
    city = City(office.issuer, {})
    revision = revision_of_record(events, city, reader.person(record.account_id))
    signed = ""
    if record.state not in UNANSWERED:
        claims = {
            "iss": office.issuer,
            "revision": revision["id"],
            "sha1": revision["serializedHash"],
            "snapshot": revision["serializedSnapshot"],
        }
        signed = office.ring.sign_jwt(claims, typ=_TYP)
    return signature(
        revision["serializedSnapshot"], by=office.signer, time=last["time"], reference=revision["id"], signed=signed,
        signed_as="individual" if last["actor"]["authority"] == "self" else "delegate",
    )  # fmt: skip


def records_router(office: Office) -> APIRouter:
    """Records, for the services of the member they are given to."""
    router = APIRouter(prefix=f"{PREFIX}/service", tags=["GovStack: service"], route_class=GovstackRoute)
    _verification(router, office)
    return router


def _verification(router: APIRouter, office: Office) -> None:
    @router.get(
        "/verification/consent-records/",
        operation_id="serviceVerificationConsentRecordList",
        summary="LIST - consent records of the member",
        responses=declared("consentRecords"),
    )
    async def listed(
        request: Request,
        offset: Offset = 0,
        limit: Limit = PAGE,
        individual: IndividualId = None,
        header: IndividualHeader = None,
    ) -> Response:
        """In order of their beginning; of one individual if one is named."""
        caller = await common.caller_of(office, request)
        return answer(await _list(office, caller, one_name(individual, header), offset, limit, named=False))

    @router.get(
        "/verification/consent-record/{consent_id}/",
        operation_id="serviceVerificationConsentRecordRead",
        summary="READ - a consent record by its id",
        responses=declared("consentRecord", "revision"),
    )
    async def one(request: Request, consent_id: str) -> Response:
        """Of the calling member. What may be done right now is asked at /consent/decisions."""
        caller = await common.caller_of(office, request)

        def read(session: Session) -> Object:
            record = own_record(session, office, caller, consent_id)
            made, revision, _ = whole(session, office, common.reader_of(office, caller), record, caller.actor)
            return {"consentRecord": made, "revision": revision}

        return answer(await office.database.write(read))

    @router.get(
        "/individual/record/consent-record/",
        operation_id="serviceIndividualConsentRecordList",
        summary="LIST - an individual's consent records",
        responses=declared("consentRecords"),
    )
    async def of_individual(
        request: Request,
        offset: Offset = 0,
        limit: Limit = PAGE,
        individual: IndividualId = None,
        header: IndividualHeader = None,
    ) -> Response:
        """Given to the calling member."""
        caller = await common.caller_of(office, request)
        return answer(await _list(office, caller, one_name(individual, header), offset, limit, named=True))

    @router.get(
        "/individual/record/data-agreement/{agreement_id}/",
        operation_id="serviceIndividualConsentRecordRead",
        summary="READ - an individual's current record under an agreement",
        responses=declared("consentRecord"),
    )
    async def current(
        request: Request, agreement_id: str, individual: IndividualId = None, header: IndividualHeader = None
    ) -> Response:
        """The newest one: there is one that stands, or one question, at most."""
        caller, name = await common.caller_of(office, request), one_name(individual, header)

        def read(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            account = account_of(session, caller, reader, name)
            found = _page(session, office, caller, account, agreement_id, 0, 1, newest=True)
            if not found:
                raise BadInput("The individual has no record under this agreement.")
            made, _, _ = whole(session, office, reader, found[0], caller.actor)
            return {"consentRecord": made}

        return answer(await office.database.write(read))

    @router.get(
        "/individual/record/data-agreement/{agreement_id}/all/",
        operation_id="serviceIndividualDataAgreementConsentRecordList",
        summary="LIST - an individual's records under an agreement",
        responses=declared("consentRecords"),
    )
    async def under(
        request: Request,
        agreement_id: str,
        offset: Offset = 0,
        limit: Limit = PAGE,
        individual: IndividualId = None,
        header: IndividualHeader = None,
    ) -> Response:
        """In order of their beginning."""
        caller, name = await common.caller_of(office, request), one_name(individual, header)

        def read(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            account = account_of(session, caller, reader, name)
            found = _page(session, office, caller, account, agreement_id, offset, limit)
            return {"consentRecords": shown(session, office, reader, found, caller.actor)}

        return answer(await office.database.write(read))


async def _list(office: Office, caller: Caller, name: str | None, offset: int, limit: int, *, named: bool) -> Object:
    def read(session: Session) -> Object:
        reader = common.reader_of(office, caller)
        account = caller.account_id
        if name is not None or named:
            account = account_of(session, caller, reader, name)
        found = _page(session, office, caller, account, None, offset, limit)
        return {"consentRecords": shown(session, office, reader, found, caller.actor)}

    return await office.database.write(read)


def _page(
    session: Session, office: Office, caller: Caller, account: str | None, agreement: str | None, offset: int,
    limit: int, *, newest: bool = False,
) -> list[RecordView]:  # fmt: skip
    rows = store.page_of_records(
        session, member_id=caller.member_id, account_id=account, agreement_id=agreement, offset=offset, limit=limit,
        newest=newest,
    )  # fmt: skip
    return [records.view_of(row, office.clock.ms()) for row in rows]


def audit_records(office: Office) -> APIRouter:
    """Auditors: every record. People have names of their own there, which no service knows."""
    router = APIRouter(prefix=f"{PREFIX}/audit", tags=["GovStack: auditor"], route_class=GovstackRoute)

    @router.get(
        "/consent-records/",
        operation_id="auditConsentRecordList",
        summary="LIST - ConsentRecord objects",
        responses=declared("consentRecords"),
    )
    async def listed(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """In order of their beginning."""
        actor = common.staff_or_scope(request, AUDIT, AUDIT_ROLES)

        def read(session: Session) -> Object:
            rows = store.page_of_records(session, offset=offset, limit=limit)
            found = [records.view_of(row, office.clock.ms()) for row in rows]
            return {"consentRecords": shown(session, office, common.auditors(office), found, actor)}

        return answer(await office.database.write(read))

    @router.get(
        "/consent-record/{consent_id}/",
        operation_id="auditConsentRecordRead",
        summary="READ - a ConsentRecord",
        responses=declared("consentRecord"),
    )
    async def one(request: Request, consent_id: str) -> Response:
        """With its newest revision, beside what the document declares."""
        actor = common.staff_or_scope(request, AUDIT, AUDIT_ROLES)

        def read(session: Session) -> Object:
            record = records.get(session, consent_id, account_id=None, now=office.clock.ms())
            made, revision, _ = whole(session, office, common.auditors(office), record, actor)
            return {"consentRecord": made, "revision": revision}

        return answer(await office.database.write(read))

    return router
