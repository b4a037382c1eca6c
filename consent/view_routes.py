"""A consent record in another form: for the resident, and for the recipient's own services (`consent.views`)."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request, Response

from consent import agreements, records
from consent.errors import ConsentState, UnknownConsent
from consent.states import ASIDE, UNANSWERED
from consent.views import MEDIA_TYPES, Form, Source, view
from identity.clients import Clients
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.clock import Clock
from kit.db import Database, Session
from kit.problems import Forbidden
from kit.web import GUARDED, LaterRoute, actor_of, problems

AsForm = Annotated[
    Form,
    Path(
        description="dpv: ISO/IEC TS 27560 in JSON-LD; kantara: Consent Receipt 1.1; fhir-r4, fhir-r5: FHIR Consent",
        examples=["dpv"],
    ),
]
_EXAMPLES: dict[str, Any] = {
    "dpv": {"@type": "dpv:ConsentRecord", "dct:identifier": "con_01kaq3b1m5w6v7x8y9z0a1b2c3"},
    "kantara": {"version": "KI-CR-v1.1.0", "consentReceiptID": "cev_01kaq3b1m5w6v7x8y9z0a1b2c3"},
    "fhir-r4": {"resourceType": "Consent", "status": "active"},
    "fhir-r5": {"resourceType": "Consent", "status": "active"},
}
_CONTENT = {
    media.partition(";")[0]: {"schema": {"type": "object"}, "example": _EXAMPLES[form]}
    for form, media in MEDIA_TYPES.items()
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **problems(*GUARDED, UnknownConsent, ConsentState, KeyDestroyed),
    200: {"description": "The record in that form", "content": _CONTENT},
}


def resident_views(database: Database, sealer: Sealer, *, issuer: str) -> APIRouter:
    """The resident's own."""
    router = APIRouter(prefix="/api/consent", tags=["my consents"], route_class=LaterRoute)

    @router.get(
        "/records/{consent_id}/views/{form}",
        operation_id="consent_my_view",
        summary="One consent in another form",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def my_view(request: Request, consent_id: str, form: AsForm) -> Response:
        """Made from the record when asked for. It proves nothing by itself: that is the receipt's work."""
        account = actor_of(request).id
        source = await database.read(_source, sealer, consent_id, account, account, issuer)
        return _answer(form, source)

    return router


def recipient_views(
    database: Database, sealer: Sealer, clients: Clients, tokens: Tokens, clock: Clock, *, issuer: str
) -> APIRouter:
    """The recipient's own: the resident is named as this service knows them, and the record is one it was given."""
    router = APIRouter(prefix="/consent", tags=["consent"], route_class=LaterRoute)

    @router.get(
        "/records/{consent_id}/views/{form}",
        operation_id="consent_view",
        summary="A consent for the calling member in another form",
        response_class=Response,
        responses=_ANSWERS,
    )
    async def own_view(request: Request, consent_id: str, form: AsForm) -> Response:
        """The resident is named by the pairwise subject of this service. A token about one resident reads that
        resident's consents only."""
        client = await clients.get(actor_of(request).client_id or "")
        if client is None or client.member_id is None:
            raise Forbidden("Only clients of a member organisation have consents.")
        mine = request.state.access.account_id
        record = await database.read(records.get, consent_id, account_id=mine, now=clock.ms())
        if record.member_id != client.member_id:
            raise UnknownConsent("No consent of yours has this id.")
        subject = tokens.subject(record.account_id, client.sector)
        return _answer(form, await database.read(_source, sealer, consent_id, record.account_id, subject, issuer))

    return router


def _source(session: Session, sealer: Sealer, consent_id: str, account_id: str, subject: str, issuer: str) -> Source:
    events = tuple(each.document for each in records.history(session, sealer, consent_id, account_id=account_id))
    answered = [each for each in events if each["type"] not in ASIDE]
    if not answered or records.get(session, consent_id, account_id=account_id, now=0).state in UNANSWERED:
        raise ConsentState("This was asked, and never answered: there is no consent to show.")
    return Source(issuer, subject, events, agreements.text_of(session, answered[-1]["revision"]).body)


def _answer(form: Form, source: Source) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(view(form, source)), media_type=MEDIA_TYPES[form], headers=headers)
