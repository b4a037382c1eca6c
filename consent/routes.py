"""The JSON API of consent: agreements for operators and services, records and receipts for residents."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import Field

from consent import agreements, endings, records
from consent.agreements import AgreementStatus, AgreementView
from consent.changes import StoredEvent
from consent.documents import (
    AgreementDocument,
    AgreementList,
    RecordHistory,
    RecordList,
    RevisionDocument,
    Vocabulary,
    Withdrawn,
    agreement_document,
    record_document,
    record_history,
    revision_document,
    vocabulary,
)
from consent.endings import EndingView
from consent.errors import (
    AgreementState,
    BadAgreement,
    BadHolderProof,
    ConsentState,
    ReceiptNotReady,
    UnknownAgreement,
    UnknownConsent,
)
from consent.holder import holder_key
from consent.proposal import Proposal
from consent.receipts import Receipts
from consent.records import RecordView
from consent.revisions import Revision
from consent.sensitivities import Sensitivities
from identity.clients import Clients
from identity.errors import UnknownMember
from identity.errors_account import SecondPersonNeeded
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.clock import SECOND, Clock
from kit.db import Database, Session
from kit.host import Actor
from kit.problems import Forbidden
from kit.web import GUARDED, Body, LaterRoute, actor_of, problems, require_role

OPERATOR_ROLES = ("operator", "admin")
REVIEWER_ROLES = ("ethics", "operator", "admin")
_PAGE = 100

After = Annotated[str, Query(max_length=40, description="Go on after this id", examples=["agr_01kaq3b1m5"])]


class NewAgreement(Body):
    """A proposal on behalf of a member."""

    member: Annotated[str, Field(max_length=40, examples=["mem_01kaq3b1m5w6v7x8y9z0a1b2c3"])]
    proposal: Proposal


class EndOfArrangement(Body):
    """Why a recipient ends an arrangement."""

    reason: Annotated[
        Literal["not-needed", "service-ends", "asked-by-resident", "other"],
        Field(description="A code: it is sealed with the event and shown to the resident", examples=["not-needed"]),
    ]


def public_router() -> APIRouter:
    """What anyone may read."""
    router = APIRouter(prefix="/api/consent", tags=["consent"], route_class=LaterRoute)

    @router.get("/purposes", operation_id="consent_purposes", summary="Purposes and lawful bases", responses=problems())
    async def purposes() -> Vocabulary:
        """The codes that agreements may use, with words for residents in Japanese and English."""
        return vocabulary()

    return router


def resident_router(database: Database, sealer: Sealer, receipts: Receipts, clock: Clock, *, issuer: str) -> APIRouter:
    """A resident's own consents."""
    router = APIRouter(prefix="/api/consent", tags=["my consents"], route_class=LaterRoute)

    @router.get(
        "/records", operation_id="consent_my_records", summary="My consents, newest first", responses=problems(*GUARDED)
    )
    async def my_records(request: Request) -> RecordList:
        """Everything the signed-in resident agreed to or refused, as it stands now."""
        found = await database.read(records.list_for, actor_of(request).id, now=clock.ms())
        return RecordList(records=[record_document(record) for record in found])

    @router.get(
        "/records/{consent_id}",
        operation_id="consent_my_record",
        summary="One consent with its history",
        responses=problems(*GUARDED, UnknownConsent, KeyDestroyed),
    )
    async def my_record(request: Request, consent_id: str) -> RecordHistory:
        """The consent and every event of it, oldest first."""
        return record_history(*await database.read(_history, sealer, consent_id, actor_of(request).id, clock.ms()))

    @router.post(
        "/records/{consent_id}/withdraw",
        operation_id="consent_withdraw",
        summary="Withdraw a consent",
        responses=problems(*GUARDED, UnknownConsent, ConsentState, KeyDestroyed),
    )
    async def withdraw(request: Request, consent_id: str) -> Withdrawn:
        """When this answers, nothing is disclosed and no token is honoured under this consent any more."""
        actor = actor_of(request)
        done = await database.write(
            records.withdraw, sealer, consent_id=consent_id, account_id=actor.id, actor=actor, now=clock.ms()
        )
        return Withdrawn(consent=done.consent_id, event=done.event_id, state="withdrawn")

    @router.get(
        "/records/{consent_id}/receipt",
        operation_id="consent_receipt",
        summary="The signed receipt, as a file",
        response_class=Response,
        responses={
            **problems(*GUARDED, UnknownConsent, ReceiptNotReady, KeyDestroyed, BadHolderProof),
            200: {
                "description": "A receipt that verifies offline",
                "content": {
                    "application/json": {
                        "schema": {"type": "object"},
                        "example": {"format": "sekisho-consent-receipt/1", "credential": "eyJ…", "proof": "c2sp.org/…"},
                    }
                },
            },
        },
    )
    async def receipt(
        request: Request,
        consent_id: str,
        event: Annotated[
            str | None, Query(max_length=40, description="The newest event, unless you name one", examples=[None])
        ] = None,
        proof: Annotated[
            str | None,
            Header(
                alias="Holder-Proof",
                max_length=4096,
                description="A wallet's key proof (OpenID4VCI appendix F.1, `jwt`): the receipt is bound to that key",
                examples=[None],
            ),
        ] = None,
    ) -> Response:
        """Keep the file: it proves what was agreed to, even without us. `sekisho ledger verify-receipt` checks it."""
        key = None if proof is None else holder_key(proof, issuer=issuer, now=clock.ms() // SECOND)
        made = await receipts.make(consent_id, account_id=actor_of(request).id, event_id=event, holder=key)
        return Response(
            made.content,
            media_type="application/json",
            headers={"content-disposition": f'attachment; filename="{made.file_name}"', "cache-control": "no-store"},
        )

    return router


def service_router(database: Database, clients: Clients) -> APIRouter:
    """A member's own agreements, for its services."""
    router = APIRouter(prefix="/api/consent", tags=["agreements"], route_class=LaterRoute)

    async def member_of(request: Request) -> str:
        client = await clients.get(actor_of(request).client_id or "")
        if client is None or client.member_id is None:
            raise Forbidden("Only clients of a member organisation have agreements.")
        return client.member_id

    @router.get(
        "/agreements",
        operation_id="consent_own_agreements",
        summary="Agreements of the calling member",
        responses=problems(*GUARDED),
    )
    async def own_agreements(request: Request, after: After = "") -> AgreementList:
        """In order of proposal; 100 at a time."""
        return _page(await database.read(_list, await member_of(request), None, after))

    @router.get(
        "/agreements/{agreement_id}",
        operation_id="consent_own_agreement",
        summary="One agreement of the calling member",
        responses=problems(*GUARDED, UnknownAgreement),
    )
    async def own_agreement(request: Request, agreement_id: str) -> AgreementDocument:
        """With its revision in force, or the newest one while none is."""
        agreement, revision = await database.read(_one, agreement_id)
        if agreement.member_id != await member_of(request):
            raise UnknownAgreement("No agreement of yours has this id.")
        return agreement_document(agreement, revision)

    return router


def recipient_router(database: Database, sealer: Sealer, clock: Clock, clients: Clients) -> APIRouter:
    """What a recipient may do with a consent it was given."""
    router = APIRouter(prefix="/consent", tags=["consent"], route_class=LaterRoute)

    @router.post(
        "/records/{consent_id}/end",
        operation_id="consent_end",
        summary="End an arrangement as its recipient",
        responses=problems(*GUARDED, UnknownConsent, ConsentState),
    )
    async def end(request: Request, consent_id: str, body: EndOfArrangement) -> Withdrawn:
        """When this answers, nothing is disclosed under the consent any more. The resident reads that you ended it,
        and it is in the ledger like a withdrawal. A token about one resident ends that resident's consents only."""
        client = await clients.get(actor_of(request).client_id or "")
        if client is None or client.member_id is None:
            raise Forbidden("Only clients of a member organisation have consents.")
        done = await database.write(
            records.end,
            sealer,
            consent_id=consent_id,
            member_id=client.member_id,
            reason=body.reason,
            actor=actor_of(request),
            now=clock.ms(),
            account_id=request.state.access.account_id,
        )
        return Withdrawn(consent=done.consent_id, event=done.event_id, state="ended")

    return router


def operator_router(
    database: Database, sealer: Sealer, clock: Clock, sensitivities: Sensitivities, *, longest: timedelta
) -> APIRouter:
    """The life of agreements, for staff and the ethics board."""
    router = APIRouter(prefix="/api/consent/admin", tags=["agreements (staff)"], route_class=LaterRoute)

    def reader(request: Request) -> Actor:
        return require_role(request, *REVIEWER_ROLES)

    def operator(request: Request) -> Actor:
        return require_role(request, *OPERATOR_ROLES)

    @router.get(
        "/agreements",
        operation_id="consent_agreements",
        summary="All agreements",
        responses=problems(*GUARDED),
    )
    async def all_agreements(
        request: Request,
        after: After = "",
        member: Annotated[str | None, Query(max_length=40, examples=[None])] = None,
        status: Annotated[AgreementStatus | None, Query(examples=["offered"])] = None,
    ) -> AgreementList:
        """In order of proposal; 100 at a time."""
        reader(request)
        return _page(await database.read(_list, member, status, after))

    @router.get(
        "/agreements/{agreement_id}/revisions",
        operation_id="consent_revisions",
        summary="Every revision of an agreement",
        responses=problems(*GUARDED, UnknownAgreement),
    )
    async def revisions(request: Request, agreement_id: str) -> list[RevisionDocument]:
        """Oldest first; each names its predecessor's hash."""
        reader(request)
        found = await database.read(agreements.revisions, agreement_id)
        return [revision_document(revision) for revision in found]

    @router.post(
        "/agreements",
        operation_id="consent_propose",
        summary="Propose an agreement for a member",
        status_code=201,
        responses=problems(*GUARDED, BadAgreement, AgreementState, UnknownMember),
    )
    async def propose(request: Request, body: NewAgreement) -> RevisionDocument:
        """The first revision is offered to the ethics board, and stands in the public ledger from now on."""
        made = await database.write(
            agreements.propose,
            member_id=body.member,
            proposal=body.proposal,
            actor=operator(request),
            now=clock.ms(),
            longest=longest,
            sensitivities=sensitivities,
        )
        return revision_document(made)

    @router.post(
        "/agreements/{agreement_id}/revisions",
        operation_id="consent_revise",
        summary="Propose a next revision",
        status_code=201,
        responses=problems(*GUARDED, BadAgreement, AgreementState, UnknownAgreement),
    )
    async def revise(request: Request, agreement_id: str, body: Proposal) -> RevisionDocument:
        """The revision in force stays in force until the new one is approved."""
        made = await database.write(
            agreements.revise,
            agreement_id,
            proposal=body,
            actor=operator(request),
            now=clock.ms(),
            longest=longest,
            sensitivities=sensitivities,
        )
        return revision_document(made)

    @router.post(
        "/revisions/{revision_id}/approve",
        operation_id="consent_approve",
        summary="Record the ethics board's approval",
        responses=problems(*GUARDED, AgreementState, SecondPersonNeeded, UnknownAgreement),
    )
    async def approve(request: Request, revision_id: str) -> RevisionDocument:
        """From now on residents may be asked with this revision. Whoever proposed it may not approve it; what a service
        proposed, two people approve, and after the first it is still `offered`."""
        actor = require_role(request, *REVIEWER_ROLES)
        made = await database.write(agreements.approve, revision_id, actor=actor, now=clock.ms(), sealer=sealer)
        return revision_document(made)

    @router.post(
        "/revisions/{revision_id}/return",
        operation_id="consent_return",
        summary="Return an offer to its member",
        responses=problems(*GUARDED, AgreementState, UnknownAgreement),
    )
    async def send_back(request: Request, revision_id: str) -> RevisionDocument:
        """The member may revise it."""
        actor = require_role(request, *REVIEWER_ROLES)
        return revision_document(await database.write(agreements.send_back, revision_id, actor=actor, now=clock.ms()))

    @router.post(
        "/agreements/{agreement_id}/withdraw",
        operation_id="consent_withdraw_agreement",
        summary="End an agreement",
        responses=problems(*GUARDED, AgreementState, UnknownAgreement),
    )
    async def withdraw(request: Request, agreement_id: str) -> AgreementDocument:
        """Every consent under it stops covering anything when this answers; their events follow within a minute."""
        actor = operator(request)
        await database.write(agreements.withdraw, agreement_id, actor=actor, now=clock.ms())
        return agreement_document(*await database.read(_one, agreement_id))

    return router


def _history(
    session: Session, sealer: Sealer, consent_id: str, account_id: str, now: int
) -> tuple[RecordView, tuple[StoredEvent, ...], EndingView | None]:
    record = records.get(session, consent_id, account_id=account_id, now=now)
    events = records.history(session, sealer, consent_id, account_id=account_id)
    return record, events, endings.of_consent(session, consent_id)


def _one(session: Session, agreement_id: str) -> tuple[AgreementView, Revision]:
    return agreements.get(session, agreement_id), agreements.current(session, agreement_id)


def _list(
    session: Session, member_id: str | None, status: AgreementStatus | None, after: str
) -> list[tuple[AgreementView, Revision]]:
    found = agreements.list_all(session, member_id=member_id, status=status, after=after, limit=_PAGE)
    return [(agreement, agreements.current(session, agreement.id)) for agreement in found]


def _page(found: list[tuple[AgreementView, Revision]]) -> AgreementList:
    return AgreementList(
        agreements=[agreement_document(*each) for each in found],
        next=found[-1][0].id if len(found) == _PAGE else None,
    )
