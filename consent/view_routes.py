"""A consent record in another form: for the resident, and for the recipient's own services (`consent.views`)."""

from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Request, Response

from consent import agreements, records
from consent.errors import ConsentState, UnknownConsent
from consent.rebit import TYP, Uses, artefact
from consent.states import ASIDE, UNANSWERED
from consent.views import MEDIA_TYPES, Form, Source, view
from identity.clients import Clients
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.ring import KeyRing
from kit import audit
from kit.clock import Clock
from kit.db import Database, Session
from kit.problems import Forbidden
from kit.web import GUARDED, LaterRoute, actor_of, problems

AsForm = Annotated[
    Form,
    Path(
        description="dpv: ISO/IEC TS 27560 in JSON-LD; kantara: Consent Receipt 1.1; fhir-r4, fhir-r5: FHIR Consent; "
        "rebit: consent artefact of India's account aggregators",
        examples=["dpv"],
    ),
]
_EXAMPLES: dict[str, Any] = {
    "dpv": {"@type": "dpv:ConsentRecord", "dct:identifier": "con_01kaq3b1m5w6v7x8y9z0a1b2c3"},
    "kantara": {"version": "KI-CR-v1.1.0", "consentReceiptID": "cev_01kaq3b1m5w6v7x8y9z0a1b2c3"},
    "fhir-r4": {"resourceType": "Consent", "status": "active"},
    "fhir-r5": {"resourceType": "Consent", "status": "active"},
    "rebit": {"ver": "2.0.0", "status": "ACTIVE", "signedConsent": "eyJ…"},
}
_CONTENT = {
    media.partition(";")[0]: {"schema": {"type": "object"}, "example": _EXAMPLES[form]}
    for form, media in MEDIA_TYPES.items()
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **problems(*GUARDED, UnknownConsent, ConsentState, KeyDestroyed),
    200: {"description": "The record in that form", "content": _CONTENT},
}


SCOPE_VIEWS = "consent.view"


@dataclass(frozen=True, slots=True)
class Views:
    """What views are made with."""

    database: Database
    sealer: Sealer
    ring: KeyRing
    clock: Clock
    uses: Uses
    issuer: str

    def of(self, session: Session, form: Form, consent_id: str, account_id: str, subject: str) -> bytes:
        """The record in that form; raises UnknownConsent, ConsentState."""
        events = tuple(
            each.document for each in records.history(session, self.sealer, consent_id, account_id=account_id)
        )
        answered = [each for each in events if each["type"] not in ASIDE]
        if not answered or records.get(session, consent_id, account_id=account_id, now=0).state in UNANSWERED:
            raise ConsentState("This was asked, and never answered: there is no consent to show.")
        body = agreements.text_of(session, answered[-1]["revision"]).body
        source = Source(self.issuer, subject, events, body)
        if form != "rebit":
            return orjson.dumps(view(form, source))
        if source.state == "refused":
            raise ConsentState("A refusal is no consent artefact.")
        use = self.uses.ask(session, account_id, consent_id)
        return orjson.dumps(artefact(source, sign=lambda said: self.ring.sign_jwt(said, typ=TYP), use=use))


def resident_views(views: Views) -> APIRouter:
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
        return _answer(form, await views.database.read(views.of, form, consent_id, account, account))

    return router


def recipient_views(views: Views, clients: Clients, tokens: Tokens) -> APIRouter:
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
        """With the scope `consent.view`. The resident is named by the pairwise subject of this service. A token about
        one resident reads that resident's consents only. That it was read is in the audit trail."""
        access = request.state.access
        access.require(SCOPE_VIEWS)
        client = await clients.get(access.client_id)
        if client is None or client.member_id is None:
            raise Forbidden("Only clients of a member organisation have consents.")

        def read(session: Session) -> bytes:
            record = records.get(session, consent_id, account_id=access.account_id, now=views.clock.ms())
            if record.member_id != client.member_id:
                raise UnknownConsent("No consent of yours has this id.")
            subject = tokens.subject(record.account_id, client.sector)
            made = views.of(session, form, consent_id, record.account_id, subject)
            audit.record(
                session, "consent.records.shown", actor=access.actor(), object=("client", client.id),
                detail={"form": form, "consents": [consent_id]},
            )  # fmt: skip
            return made

        return _answer(form, await views.database.write(read))

    return router


def _answer(form: Form, made: bytes) -> Response:
    return Response(made, media_type=MEDIA_TYPES[form], headers={"cache-control": "no-store"})
