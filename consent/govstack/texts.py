"""Reading agreements and their policies, for all three groups. They concern no person and are in the public ledger, so
these are what the test-only open mode opens.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from consent import agreements
from consent.govstack import common
from consent.govstack.common import (
    AGREEMENTS,
    AUDIT,
    AUDIT_ROLES,
    CONFIG_ROLES,
    PAGE,
    PREFIX,
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
    policy,
    revision_of_agreement,
)
from consent.revisions import Revision
from kit.db import Session


def agreement_read(
    session: Session, office: Office, agreement_id: str, revision_id: str | None, member_id: str | None
) -> Object:
    """`{dataAgreement, revision}`; another member's is as good as none."""
    revision = _mine(session, agreement_id, revision_id, member_id)
    city = common.city(session, office, revision)
    whole = agreements.revisions(session, agreement_id)
    return {
        "dataAgreement": data_agreement(revision, city),
        "revision": revision_of_agreement(revision, city, whole=whole),
    }


def policy_read(
    session: Session, office: Office, identifier: str, revision_id: str | None, member_id: str | None
) -> Object:
    """`{policy, revision}`."""
    agreement_id = agreement_of_policy(identifier)
    revision = _mine(session, agreement_id, revision_id, member_id)
    city = common.city(session, office, revision)
    whole = agreements.revisions(session, agreement_id)
    return {
        "policy": policy(revision, city),
        "revision": revision_of_agreement(revision, city, whole=whole, schema="Policy"),
    }


def agreement_list(
    session: Session, office: Office, name: str, *, member_id: str | None, offset: int, limit: int
) -> Object:
    """DataAgreements under that name."""
    found = common.page_of_agreements(session, member_id=member_id, offset=offset, limit=limit)
    city = common.city(session, office, *(revision for _, revision in found))
    return {name: [data_agreement(revision, city) for _, revision in found]}


def _mine(session: Session, agreement_id: str, revision_id: str | None, member_id: str | None) -> Revision:
    revision = common.revision_of(session, agreement_id, revision_id)
    if member_id not in (None, revision.member_id):
        raise BadInput("No agreement of yours has this id.")
    return revision


def config_texts(office: Office) -> APIRouter:
    """Configuration: six reads."""
    router = APIRouter(prefix=f"{PREFIX}/config", tags=["GovStack: config"], route_class=GovstackRoute)

    def check(request: Request) -> None:
        common.may_read_texts(office, request, AGREEMENTS, CONFIG_ROLES)

    @router.get(
        "/policy/{policy_id}/",
        operation_id="configPolicyRead",
        summary="READ - get a Policy object + latest Revision",
        responses=declared("policy", "revision"),
    )
    async def policy_one(request: Request, policy_id: str, revision: RevisionId = None) -> Response:
        """A policy is the part of an agreement that says where data lies and for how long."""
        check(request)
        return answer(await office.database.read(policy_read, office, policy_id, revision, None))

    @router.get(
        "/policy/{policy_id}/revisions/",
        operation_id="configPolicyRevisionsList",
        summary="LIST - the current Policy and its revisions",
        responses=declared("policy", "revisions"),
    )
    async def policy_revisions(request: Request, policy_id: str, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """The document declares the current policy; its revisions, oldest first, stand beside it."""
        check(request)

        def read(session: Session) -> Object:
            agreement_id = agreement_of_policy(policy_id)
            current, whole = agreements.current(session, agreement_id), agreements.revisions(session, agreement_id)
            city = common.city(session, office, current)
            shown = whole[offset : offset + limit]
            listed = [revision_of_agreement(each, city, whole=whole, schema="Policy") for each in shown]
            return {"policy": policy(current, city), "revisions": listed}

        return answer(await office.database.read(read))

    @router.get(
        "/policies/",
        operation_id="configPolicyList",
        summary="LIST - readable Policy objects",
        responses=declared("policies"),
    )
    async def policies(
        request: Request, revision: RevisionId = None, offset: Offset = 0, limit: Limit = PAGE
    ) -> Response:
        """In order of proposal; with a revision, the one policy as it was then."""
        check(request)

        def read(session: Session) -> Object:
            if revision is not None:
                found = [agreements.get_revision(session, revision)]
            else:
                page = common.page_of_agreements(session, member_id=None, offset=offset, limit=limit)
                found = [each for _, each in page]
            city = common.city(session, office, *found)
            return {"policies": [policy(each, city) for each in found]}

        return answer(await office.database.read(read))

    @router.get(
        "/data-agreement/{agreement_id}/",
        operation_id="configDataAgreementRead",
        summary="READ - the latest version of an Agreement",
        responses=declared("dataAgreement", "revision"),
    )
    async def agreement_one(request: Request, agreement_id: str) -> Response:
        """The revision in force, or the newest one while none is."""
        check(request)
        return answer(await office.database.read(agreement_read, office, agreement_id, None, None))

    @router.get(
        "/data-agreements/",
        operation_id="configDataAgreementList",
        summary="LIST - fetch all DataAgreements",
        responses=declared("dataAgreement"),
    )
    async def agreement_all(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """In order of proposal, under the name the document declares."""
        check(request)
        page: dict[str, Any] = {"member_id": None, "offset": offset, "limit": limit}
        return answer(await office.database.read(agreement_list, office, "dataAgreement", **page))

    return router


def service_texts(office: Office) -> APIRouter:
    """Services: their own member's agreements."""
    router = APIRouter(prefix=f"{PREFIX}/service", tags=["GovStack: service"], route_class=GovstackRoute)

    async def member_of(request: Request) -> str | None:
        if office.open_for_tests:
            common.only_from_here(request)
            return None
        return (await common.caller_of(office, request)).member_id

    @router.get(
        "/data-agreement/{agreement_id}/",
        operation_id="serviceDataAgreementRead",
        summary="READ - the latest version of an Agreement",
        responses=declared("dataAgreement", "revision"),
    )
    async def agreement_one(request: Request, agreement_id: str) -> Response:
        """Of the calling member."""
        member = await member_of(request)
        return answer(await office.database.read(agreement_read, office, agreement_id, None, member))

    @router.get(
        "/policy/{policy_id}/",
        operation_id="servicePolicyRead",
        summary="READ - the latest version of a Policy, or the one of a revision",
        responses=declared("policy", "revision"),
    )
    async def policy_one(request: Request, policy_id: str, revision: RevisionId = None) -> Response:
        """Of the calling member."""
        member = await member_of(request)
        return answer(await office.database.read(policy_read, office, policy_id, revision, member))

    @router.get(
        "/verification/data-agreements/",
        operation_id="serviceVerificationDataAgreementList",
        summary="LIST - DataAgreements to verify",
        responses=declared("dataAgreements"),
    )
    async def agreement_all(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """Of the calling member, in order of proposal."""
        member = await member_of(request)
        page: dict[str, Any] = {"member_id": member, "offset": offset, "limit": limit}
        return answer(await office.database.read(agreement_list, office, "dataAgreements", **page))

    return router


def audit_texts(office: Office) -> APIRouter:
    """Auditors: every agreement."""
    router = APIRouter(prefix=f"{PREFIX}/audit", tags=["GovStack: auditor"], route_class=GovstackRoute)

    def check(request: Request) -> None:
        common.may_read_texts(office, request, AUDIT, AUDIT_ROLES)

    @router.get(
        "/data-agreements/",
        operation_id="auditDataAgreementList",
        summary="LIST - all Agreements stored in the system",
        responses=declared("dataAgreements"),
    )
    async def agreement_all(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """In order of proposal."""
        check(request)
        page: dict[str, Any] = {"member_id": None, "offset": offset, "limit": limit}
        return answer(await office.database.read(agreement_list, office, "dataAgreements", **page))

    @router.get(
        "/data-agreement/{agreement_id}/",
        operation_id="auditDataAgreementRead",
        summary="READ - a single Agreement",
        responses=declared("dataAgreement"),
    )
    async def agreement_one(request: Request, agreement_id: str) -> Response:
        """With its revision, beside what the document declares."""
        check(request)
        return answer(await office.database.read(agreement_read, office, agreement_id, None, None))

    return router
