"""Configuration: what operators change. Every change is one of ours: a proposal, a revision, a withdrawal, a stream.

Nothing comes into force here: a new agreement and a new revision wait for the data ethics board, whatever
`active` says.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from sqlmodel import col, select

from consent import agreements, endings, streams
from consent.govstack import common
from consent.govstack.bodies import (
    DataAgreementBody,
    Individual,
    IndividualBody,
    PolicyBody,
    Webhook,
    WebhookBody,
    checked,
    proposal_of,
    read_agreement,
    with_policy,
)
from consent.govstack.common import (
    AGREEMENTS,
    CONFIG_ROLES,
    PAGE,
    PREFIX,
    WEBHOOKS,
    GovstackRoute,
    Limit,
    Office,
    Offset,
    RevisionId,
    answer,
    declared,
)
from consent.govstack.errors import BadInput
from consent.govstack.objects import (
    Object,
    agreement_of_policy,
    data_agreement,
    individual,
    policy,
    revision_of_agreement,
    webhook,
)
from consent.models import Stream
from consent.revisions import Revision
from identity import accounts
from kit import audit
from kit.db import Session
from kit.fetch import FetchRefused
from kit.host import Actor

NO_POLICY = "A policy here is part of an agreement: send it in the agreement's policy (POST …/config/data-agreement/)."


def config_router(office: Office) -> APIRouter:
    """Policies and agreements: create, update, delete."""
    router = APIRouter(prefix=f"{PREFIX}/config", tags=["GovStack: config"], route_class=GovstackRoute)

    def staff(request: Request) -> Actor:
        return common.staff_or_scope(request, AGREEMENTS, CONFIG_ROLES)

    @router.post(
        "/policy/",
        operation_id="configPolicyCreate",
        summary="CREATE - a Policy by itself is not possible here",
        responses=declared("policy", "revision"),
    )
    async def policy_create(request: Request, body: PolicyBody) -> Response:
        """Always 400: a policy without an agreement would bind nobody, and residents would never be shown it."""
        staff(request)
        raise BadInput(NO_POLICY, pointer="/policy")

    @router.put(
        "/policy/{policy_id}/",
        operation_id="configPolicyUpdate",
        summary="UPDATE - a Policy: a new revision of its agreement",
        responses=declared("policy", "revision"),
    )
    async def policy_update(request: Request, policy_id: str, body: PolicyBody) -> Response:
        """Offered to the ethics board. What is in force, and what was agreed to, stays as it is."""
        actor, agreement_id = staff(request), agreement_of_policy(policy_id)

        def write(session: Session) -> Object:
            before = proposal_of(agreements.current(session, agreement_id))
            proposal = checked(with_policy(body.policy, before, "/policy"))
            made = _revise(session, office, agreement_id, proposal, actor)
            city = common.city(session, office, made)
            whole = agreements.revisions(session, agreement_id)
            return {
                "policy": policy(made, city),
                "revision": revision_of_agreement(made, city, whole=whole, schema="Policy"),
            }

        return answer(await office.database.write(write))

    @router.delete(
        "/policy/{policy_id}/",
        operation_id="configPolicyDelete",
        summary="DELETE - a Policy whose agreement is not active",
        responses=declared("revision"),
    )
    async def policy_delete(request: Request, policy_id: str) -> Response:
        """Not while its agreement is active (as the document says); else the agreement is withdrawn with it."""
        actor, agreement_id = staff(request), agreement_of_policy(policy_id)

        def write(session: Session) -> Object:
            if agreements.get(session, agreement_id).status == "approved":
                raise BadInput("The policy belongs to an active agreement. Delete that one first.")
            return _withdraw(session, office, agreement_id, actor, "Policy")

        return answer(await office.database.write(write))

    @router.post(
        "/data-agreement/",
        operation_id="configDataAgreementCreate",
        summary="CREATE - a DataAgreement, offered to the ethics board",
        responses=declared("dataAgreement", "revision"),
    )
    async def agreement_create(request: Request, body: DataAgreementBody) -> Response:
        """For the member that `controller.id` names. It is a draft until the ethics board has approved it."""
        actor, given = staff(request), body.dataAgreement

        def write(session: Session) -> Object:
            if given.controller is None or given.controller.id is None:
                raise BadInput("Say which member it is.", pointer="/dataAgreement/controller/id")
            made = agreements.propose(
                session, member_id=given.controller.id,
                proposal=read_agreement(given, known=office.sensitivities), actor=actor,
                now=office.clock.ms(), longest=office.longest, sensitivities=office.sensitivities,
            )  # fmt: skip
            return _both(session, office, made)

        return answer(await office.database.write(write))

    @router.put(
        "/data-agreement/{agreement_id}/",
        operation_id="configDataAgreementUpdate",
        summary="UPDATE - a DataAgreement: its next revision, offered to the ethics board",
        responses=declared("dataAgreement", "revision"),
    )
    async def agreement_update(request: Request, agreement_id: str, body: DataAgreementBody) -> Response:
        """What is not said stays as it was. A revision itself never changes."""
        actor, given = staff(request), body.dataAgreement

        def write(session: Session) -> Object:
            current = agreements.current(session, agreement_id)
            if given.controller is not None and given.controller.id not in (None, current.member_id):
                raise BadInput("An agreement stays its member's.", pointer="/dataAgreement/controller/id")
            proposal = read_agreement(given, proposal_of(current), known=office.sensitivities)
            return _both(session, office, _revise(session, office, agreement_id, proposal, actor))

        return answer(await office.database.write(write))

    @router.delete(
        "/data-agreement/{agreement_id}/",
        operation_id="configDataAgreementDelete",
        summary="DELETE - withdraw a DataAgreement",
        responses=declared("revision"),
    )
    async def agreement_delete(request: Request, agreement_id: str) -> Response:
        """Every consent under it stops covering anything when this answers. The text stays readable."""
        actor = staff(request)
        return answer(await office.database.write(_withdraw, office, agreement_id, actor, "DataAgreement"))

    _individuals(router, office)
    _webhooks(router, office)
    return router


def _individuals(router: APIRouter, office: Office) -> None:
    def staff(request: Request) -> Actor:
        return common.staff_or_scope(request, AGREEMENTS, CONFIG_ROLES)

    def look(session: Session, account_id: str, actor: Actor, place: str | None) -> Object:
        found = accounts.get_account(session, account_id)
        if found.kind != "resident":
            raise BadInput("No individual has this id.", pointer=place)
        audit.record(session, "consent.individual.read", actor=actor, object=("account", account_id))
        return {"individual": individual(account_id)}

    @router.post(
        "/individual/",
        operation_id="configIndividualCreate",
        summary="CREATE - an Individual who is there",
        responses=declared("individual"),
    )
    async def individual_create(request: Request, body: IndividualBody) -> Response:
        """Residents register themselves; who is registered is answered, nobody is made."""
        actor, wanted = staff(request), _named(body.individual)
        return answer(await office.database.write(look, wanted, actor, "/individual/id"))

    @router.get(
        "/individual/{individual_id}/",
        operation_id="configIndividualRead",
        summary="READ - an Individual",
        responses=declared("individual"),
    )
    async def individual_read(request: Request, individual_id: str) -> Response:
        """By the exact id; nothing personal is told."""
        actor = staff(request)
        return answer(await office.database.write(look, individual_id, actor, None))

    @router.get(
        "/individuals/",
        operation_id="configIndividualList",
        summary="LIST - no list of residents is given",
        responses=declared("individuals"),
    )
    async def individual_list(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """Always 400: operators find one resident by an exact id, and nobody gets a list of all."""
        staff(request)
        raise BadInput("Nobody is given a list of the residents. Read one by its id.")


def _named(given: Individual) -> str:
    wanted = given.id or given.externalId
    if wanted is None:
        raise BadInput("Say whom: an id.", pointer="/individual/id")
    return wanted


def _webhooks(router: APIRouter, office: Office) -> None:
    def staff(request: Request) -> Actor:
        return common.staff_or_scope(request, WEBHOOKS, CONFIG_ROLES)

    def own(request: Request) -> tuple[str, str]:
        """The calling service and its member: a stream is its receiver's, nobody opens one for somebody else."""
        access = getattr(request.state, "access", None)
        if access is None or access.member_id is None:
            raise BadInput("A webhook is the calling service's own: use a token of a member's service.")
        return access.client_id, access.member_id

    def read(session: Session, client_id: str) -> Object:
        found = streams.find_stream(session, client_id)
        if found is None:
            raise BadInput("No webhook has this id.")
        return {"webhook": webhook(found.client_id, found.endpoint)}

    def save(session: Session, client_id: str, member_id: str, given: Webhook, actor: Actor, new: bool) -> Object:
        now = office.clock.ms()
        if (streams.find_stream(session, client_id) is None) != new:
            raise BadInput("The service has one webhook already." if new else "No webhook has this id.")
        endpoint = None if given.disabled else given.payloadUrl
        made, opened = streams.open_stream(
            session, office.sealer, client_id=client_id, member_id=member_id, everyone=False, endpoint=endpoint,
            authorization=given.secretKey or None, actor=actor, now=now,
        )  # fmt: skip
        if opened:
            endings.tell_outstanding(session, client_id, member_id, now=now)
        return {"webhook": webhook(made.client_id, made.endpoint)}

    def check(given: Webhook) -> None:
        if given.contentType != "application/secevent+jwt":
            raise BadInput("Changes are sent as application/secevent+jwt.", pointer="/webhook/contentType")
        if not all(32 <= ord(each) < 127 for each in given.secretKey):
            raise BadInput("A header's value in visible ASCII.", pointer="/webhook/secretKey")
        try:
            office.fetcher.check(given.payloadUrl)
        except FetchRefused:
            raise BadInput("Send an https address.", pointer="/webhook/payloadUrl") from None
        if "#" in given.payloadUrl:
            raise BadInput("Send an address without a fragment.", pointer="/webhook/payloadUrl")

    @router.post(
        "/webhook/",
        operation_id="configWebhookCreate",
        summary="CREATE - a Webhook: the calling service's stream of changes",
        responses=declared("webhook"),
    )
    async def webhook_create(request: Request, body: WebhookBody) -> Response:
        """What is sent there are security event tokens (RFC 8935). `secretKey` is their authorization header."""
        actor, (client_id, member_id) = staff(request), own(request)
        check(body.webhook)
        return answer(await office.database.write(save, client_id, member_id, body.webhook, actor, True))

    @router.get(
        "/webhook/{webhook_id}/",
        operation_id="configWebhookRead",
        summary="READ - a Webhook",
        responses=declared("webhook"),
    )
    async def webhook_read(request: Request, webhook_id: str, revision: RevisionId = None) -> Response:
        """A webhook has no revisions: what changed it is in the audit trail. A service reads its own."""
        _own_only(request, staff(request), webhook_id)
        return answer(await office.database.read(read, webhook_id))

    @router.put(
        "/webhook/{webhook_id}/",
        operation_id="configWebhookUpdate",
        summary="UPDATE - a Webhook",
        responses=declared("webhook"),
    )
    async def webhook_update(request: Request, webhook_id: str, body: WebhookBody) -> Response:
        """What waits already goes the new way. Disabled, it waits to be polled."""
        actor, (client_id, member_id) = staff(request), own(request)
        _own_only(request, actor, webhook_id)
        check(body.webhook)
        return answer(await office.database.write(save, client_id, member_id, body.webhook, actor, False))

    @router.delete(
        "/webhook/{webhook_id}/",
        operation_id="configWebhookDelete",
        summary="DELETE - a Webhook",
        responses=declared(),
    )
    async def webhook_delete(request: Request, webhook_id: str) -> Response:
        """Nothing is sent there any more, and what waits is forgotten."""
        actor = staff(request)
        _own_only(request, actor, webhook_id)
        await office.database.write(streams.close_stream, webhook_id, actor=actor)
        return answer()

    @router.get(
        "/webhooks/",
        operation_id="configWebhookList",
        summary="LIST - readable Webhook objects",
        responses=declared("webhooks"),
    )
    async def webhook_list(
        request: Request, revision: RevisionId = None, offset: Offset = 0, limit: Limit = PAGE
    ) -> Response:
        """Staff see all, a service its own."""
        actor = staff(request)

        def listed(session: Session) -> Object:
            query = select(Stream).order_by(col(Stream.client_id)).offset(offset).limit(limit)
            if actor.kind == "service":
                query = query.where(Stream.client_id == actor.id)
            return {"webhooks": [webhook(row.client_id, row.endpoint) for row in session.exec(query)]}

        return answer(await office.database.read(listed))


def _own_only(request: Request, actor: Actor, webhook_id: str) -> None:
    if actor.kind == "service" and webhook_id != actor.id:
        raise BadInput("No webhook of yours has this id.")


def _revise(session: Session, office: Office, agreement_id: str, proposal: Any, actor: Actor) -> Revision:
    now = office.clock.ms()
    return agreements.revise(
        session, agreement_id, proposal=proposal, actor=actor, now=now, longest=office.longest,
        sensitivities=office.sensitivities,
    )  # fmt: skip


def _withdraw(session: Session, office: Office, agreement_id: str, actor: Actor, schema: str) -> Object:
    agreements.withdraw(session, agreement_id, actor=actor, now=office.clock.ms())
    whole = agreements.revisions(session, agreement_id)
    city = common.city(session, office, whole[-1])
    return {"revision": revision_of_agreement(whole[-1], city, whole=whole, schema=schema)}


def _both(session: Session, office: Office, made: Revision) -> Object:
    city, whole = common.city(session, office, made), agreements.revisions(session, made.agreement_id)
    return {
        "dataAgreement": data_agreement(made, city),
        "revision": revision_of_agreement(made, city, whole=whole),
    }
