"""Services: whom they know. Residents register themselves, so nobody is made or changed here; a service reads the names
it was given, of those its member ever asked, and no name leads to anybody else's.
"""

from typing import Any

from fastapi import APIRouter, Request, Response

from consent import store
from consent.govstack import common
from consent.govstack.bodies import Individual, IndividualBody
from consent.govstack.common import (
    PAGE,
    PREFIX,
    Caller,
    GovstackRoute,
    Limit,
    Office,
    Offset,
    Reader,
    answer,
    declared,
)
from consent.govstack.errors import BadInput
from consent.govstack.objects import Object
from kit import audit
from kit.db import Session

_UNKNOWN = "No individual of yours is called so. Residents register themselves; you know those who were asked."


def account_of(session: Session, caller: Caller, reader: Reader, identifier: str | None) -> str:
    """The resident meant: the one the token is about, or the one named, if the member ever asked them.

    Raises BadInput.
    """
    if identifier is None:
        if caller.account_id is None:
            raise BadInput("Say whom: individualId.", pointer="/individualId")
        return caller.account_id
    account_id = reader.account(identifier)
    if caller.account_id not in (None, account_id):
        raise BadInput("The token is about somebody else.", pointer="/individualId")
    if caller.account_id is None and not store.knows(session, caller.member_id, account_id):
        raise BadInput(_UNKNOWN, pointer="/individualId")
    return account_id


def one_name(query: str | None, header: str | None) -> str | None:
    """Individual ID as the document has it: in the query, or "supplied as HTTP header"; never two different ones.

    Raises BadInput.
    """
    if query is not None and header is not None and query != header:
        raise BadInput("The header names another individual.", pointer="/individualId")
    return query or header


def people_router(office: Office) -> APIRouter:
    """Individuals, as a service knows them."""
    router = APIRouter(prefix=f"{PREFIX}/service", tags=["GovStack: service"], route_class=GovstackRoute)

    def known(session: Session, caller: Caller, given: Individual, place: str) -> Object:
        """Who is named, and is called what is said; nothing is changed."""
        reader = common.reader_of(office, caller)
        if given.id is None and given.externalId is not None and caller.account_id is not None:
            account_id = caller.account_id  # by its subject only the resident the token is about: a subject is one-way
        else:
            account_id = account_of(session, caller, reader, given.id)
        person = reader.person(account_id)
        for name, value in given.model_dump(exclude_none=True).items():
            if person[name] != value:
                raise BadInput("This is not theirs, and cannot be changed here.", pointer=f"{place}/{name}")
        audit.record(session, "consent.individual.read", actor=caller.actor, object=("account", account_id))
        return {"individual": person}

    @router.post(
        "/individual/",
        operation_id="serviceIndividualCreate",
        summary="CREATE - an Individual who is there",
        responses=declared("individual"),
    )
    async def create(request: Request, body: IndividualBody) -> Response:
        """Who is known to the service is answered, nobody is made."""
        caller = await common.caller_of(office, request)
        return answer(await office.database.write(known, caller, body.individual, "/individual"))

    @router.get(
        "/individual/{individual_id}/",
        operation_id="serviceIndividualRead",
        summary="READ - an Individual",
        responses=declared("individual"),
    )
    async def read(request: Request, individual_id: str) -> Response:
        """By the name the service was given."""
        caller = await common.caller_of(office, request)
        return answer(await office.database.write(known, caller, Individual(id=individual_id), "/individual"))

    @router.put(
        "/individual/{individual_id}/",
        operation_id="serviceIndividualUpdate",
        summary="UPDATE - an Individual, who stays what they are",
        responses=declared("individual"),
    )
    async def update(request: Request, individual_id: str, body: IndividualBody) -> Response:
        """All of an individual is ours to say: the same is answered, anything else is 400."""
        caller, given = await common.caller_of(office, request), body.individual
        if given.id not in (None, individual_id):
            raise BadInput("An id does not change.", pointer="/individual/id")
        wanted = given.model_copy(update={"id": individual_id})
        return answer(await office.database.write(known, caller, wanted, "/individual"))

    @router.get(
        "/individuals/",
        operation_id="serviceIndividualList",
        summary="LIST - individuals the member has asked",
        responses=declared("individuals"),
    )
    async def everybody(request: Request, offset: Offset = 0, limit: Limit = PAGE) -> Response:
        """Who was asked by the calling member. A token about one resident lists that one."""
        caller = await common.caller_of(office, request)

        def listed(session: Session) -> Object:
            reader = common.reader_of(office, caller)
            page: dict[str, Any] = {"account_id": caller.account_id, "offset": offset, "limit": limit}
            found = store.people_of_member(session, caller.member_id, **page)
            audit.record(
                session, "consent.individuals.listed", actor=caller.actor, object=("member", caller.member_id),
                detail={"accounts": found},
            )  # fmt: skip
            return {"individuals": [reader.person(each) for each in found]}

        return answer(await office.database.write(listed))

    return router
