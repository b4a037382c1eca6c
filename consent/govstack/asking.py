"""Services: asking for a consent, and ending one. The resident alone agrees, on the city's own page.

`CREATE` of a record puts the question to the resident (`consent.questions`): the record is `unsigned` and covers
nothing until they answer. The signature of an answered record is the city's, over the revision that names the answer;
one made elsewhere is refused, for the key would be whatever its sender says it is.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from consent import questions, records
from consent.govstack import common
from consent.govstack.bodies import PairBody, RecordBody, SignatureBody
from consent.govstack.common import (
    PREFIX,
    Caller,
    GovstackRoute,
    IndividualHeader,
    IndividualId,
    Office,
    RevisionId,
    answer,
    declared,
)
from consent.govstack.errors import BadInput
from consent.govstack.objects import Object, agreement_hash, draft_record, signature
from consent.govstack.people import account_of, one_name
from consent.govstack.records_api import own_record, whole
from consent.records import RecordView
from consent.revisions import Revision
from identity import accounts
from kit.clock import iso
from kit.db import Session
from kit.encoding import canonical


def asking_router(office: Office) -> APIRouter:
    """What a service does with records: puts the question, ends an arrangement, reads the signature."""
    router = APIRouter(prefix=f"{PREFIX}/service", tags=["GovStack: service"], route_class=GovstackRoute)
    _asking(router, office)
    _changing(router, office)
    return router


def _asking(router: APIRouter, office: Office) -> None:
    def mine(session: Session, caller: Caller, agreement_id: str, revision_id: str | None) -> Revision:
        revision = common.revision_of(session, agreement_id, revision_id)
        if revision.member_id != caller.member_id:
            raise BadInput("No agreement of yours has this id.")
        return revision

    def asked(session: Session, caller: Caller, account: str, revision: Revision) -> RecordView:
        accounts.require_active(session, account)
        now = office.clock.ms()
        consent = questions.ask(
            session, office.sealer, account_id=account, revision_id=revision.id, actor=caller.actor, now=now,
            by_itself=True,
        )  # fmt: skip
        return records.get(session, consent, account_id=account, now=now)

    @router.post(
        "/individual/record/data-agreement/{agreement_id}/",
        operation_id="serviceIndividualConsentRecordCreate",
        summary="CREATE - a consent record: the resident is asked",
        responses=declared("consentRecord", "revision"),
    )
    async def create(
        request: Request,
        agreement_id: str,
        individual: IndividualId = None,
        revision: RevisionId = None,
        header: IndividualHeader = None,
    ) -> Response:
        """`unsigned`, and covers nothing, until the resident answers the question they find with their consents. Asked
        twice, it is one question; what they refused is not asked again."""
        caller, name = await common.caller_of(office, request), one_name(individual, header)

        def write(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            account = account_of(session, caller, reader, name)
            record = asked(session, caller, account, mine(session, caller, agreement_id, revision))
            made, changed, _ = whole(session, office, reader, record, caller.actor)
            return {"consentRecord": made, "revision": changed}

        return answer(await office.database.write(write))

    @router.post(
        "/individual/record/consent-record/draft/",
        operation_id="serviceIndividualConsentRecordDraftCreate",
        summary="CREATE - a DRAFT (unsaved) ConsentRecord and Signature",
        responses=declared("consentRecord", "signature"),
    )
    async def draft(
        request: Request,
        individual: IndividualId = None,
        agreement: common.AgreementId = None,
        revision: RevisionId = None,
        header: IndividualHeader = None,
    ) -> Response:
        """Nothing is stored, and nobody asked."""
        caller, name = await common.caller_of(office, request), one_name(individual, header)
        if agreement is None:
            raise BadInput("Say which agreement.", pointer="/dataAgreementId")

        def read(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            person = reader.person(account_of(session, caller, reader, name))
            text = mine(session, caller, agreement, revision)
            made = draft_record(text, common.city(session, office, text), person)
            unsigned = signature(
                canonical(made).decode(), by=office.signer, time=iso(office.clock.ms()), reference=None
            )
            return {"consentRecord": made, "signature": unsigned}

        return answer(await office.database.read(read))

    @router.post(
        "/individual/record/consent-record/",
        operation_id="serviceIndividualConsentRecordSignatureCreate",
        summary="CREATE - a paired ConsentRecord and Signature from a draft",
        responses=declared("consentRecord", "revision", "signature"),
    )
    async def pair(request: Request, body: PairBody, header: IndividualHeader = None) -> Response:
        """The resident is asked about exactly the text whose hash the draft has. The signature stays unsigned until
        they answer: one made elsewhere is 400."""
        caller, draft, sent = await common.caller_of(office, request), body.consentRecord, body.signature
        if sent.signature:
            raise BadInput("The resident signs by answering here.", pointer="/signature/signature")
        if draft.optIn:
            raise BadInput("Only the resident opts in, by answering here.", pointer="/consentRecord/optIn")
        if draft.id is not None:
            raise BadInput("A draft has no id.", pointer="/consentRecord/id")
        agreement = _id_in(draft.dataAgreement, "/consentRecord/dataAgreement/id")
        named = draft.individual.id if draft.individual else None

        def write(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            account = account_of(session, caller, reader, one_name(named, header))
            text = mine(session, caller, agreement, None)
            if draft.dataAgreementRevisionHash != agreement_hash(text, common.city(session, office, text)):
                raise BadInput(
                    "This is not the text in force. Make a draft anew.",
                    pointer="/consentRecord/dataAgreementRevisionHash",
                )
            made, changed, _ = whole(session, office, reader, asked(session, caller, account, text), caller.actor)
            return {"consentRecord": made, "revision": changed, "signature": made["signature"]}

        return answer(await office.database.write(write))


def _id_in(given: dict[str, Any] | None, place: str) -> str:
    found = (given or {}).get("id")
    if not isinstance(found, str):
        raise BadInput("Say which one: an id.", pointer=place)
    return found


def _changing(router: APIRouter, office: Office) -> None:
    @router.put(
        "/individual/record/consent-record/{consent_id}/",
        operation_id="serviceIndividualConsentRecordUpdate",
        summary="UPDATE - end a consent record",
        responses=declared("consentRecord", "revision"),
    )
    async def update(request: Request, consent_id: str, body: RecordBody) -> Response:
        """`optIn` alone may change, and only to false: the recipient ends the arrangement (or takes its question back).
        The resident reads that it was the recipient. Only the resident opts in."""
        caller, given = await common.caller_of(office, request), body.consentRecord
        if given.id not in (None, consent_id):
            raise BadInput("An id does not change.", pointer="/consentRecord/id")

        def write(session: Session) -> Object:
            record, now = own_record(session, office, caller, consent_id), office.clock.ms()
            if given.optIn and not record.stands:
                raise BadInput("Only the resident opts in, by answering here.", pointer="/consentRecord/optIn")
            who: dict[str, Any] = {"member_id": caller.member_id, "actor": caller.actor, "now": now}
            if given.optIn is False and record.stands:
                records.end(session, office.sealer, consent_id=consent_id, reason="other", **who)
            elif given.optIn is False and record.state == "requested":
                questions.take_back(session, office.sealer, account_id=record.account_id, only=consent_id, **who)
            record = own_record(session, office, caller, consent_id)
            made, changed, _ = whole(session, office, common.reader_of(office, caller), record, caller.actor)
            return {"consentRecord": made, "revision": changed}

        return answer(await office.database.write(write))

    async def signature_of(request: Request, consent_id: str, body: SignatureBody) -> Response:
        caller, given = await common.caller_of(office, request), body.signature

        def read(session: Session) -> Object:
            record = own_record(session, office, caller, consent_id)
            made, _, _ = whole(session, office, common.reader_of(office, caller), record, caller.actor)
            mine: Object = made["signature"]
            for name, value in given.model_dump(exclude_none=True).items():
                if value not in ("", mine.get(name)):
                    raise BadInput(
                        "The signature of a record is the city's, over the resident's answer.",
                        pointer=f"/signature/{name}",
                    )
            return {"signature": mine}

        return answer(await office.database.write(read))

    @router.post(
        "/individual/record/consent-record/{consent_id}/signature/",
        operation_id="serviceIndividualSignatureCreate",
        summary="CREATE - the Signature of a consent record",
        responses=declared("signature"),
    )
    async def signature_create(request: Request, consent_id: str, body: SignatureBody) -> Response:
        """The city's, once the resident has answered; before, the payload alone."""
        return await signature_of(request, consent_id, body)

    @router.put(
        "/individual/record/consent-record/{consent_id}/signature/",
        operation_id="serviceIndividualSignatureUpdate",
        summary="UPDATE - the Signature of a consent record, which stays what it is",
        responses=declared("signature"),
    )
    async def signature_update(request: Request, consent_id: str, body: SignatureBody) -> Response:
        """The same is answered. A signature by another key is 400: nobody could say whose key it is."""
        return await signature_of(request, consent_id, body)

    @router.delete(
        "/individual/record/",
        operation_id="serviceIndividualConsentRecordDeleteAll",
        summary="DELETE - what need not be kept: the member's open questions",
        responses=declared(),
    )
    async def forget(request: Request, individual: IndividualId = None, header: IndividualHeader = None) -> Response:
        """No agreement here is forgettable: what was answered stays provable until the resident leaves (which erases
        it all). Questions of the calling member that nobody answered are taken back."""
        caller, name = await common.caller_of(office, request), one_name(individual, header)

        def write(session: Session) -> None:
            account = account_of(session, caller, common.reader_of(office, caller), name)
            questions.take_back(
                session, office.sealer, account_id=account, member_id=caller.member_id, actor=caller.actor,
                now=office.clock.ms(),
            )  # fmt: skip

        await office.database.write(write)
        return answer()
