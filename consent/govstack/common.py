"""What the three parts of the interface share: who asks, answers as declared, pages, the test-only open mode."""

import ipaddress
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlmodel import col, select

from consent import agreements
from consent.agreements import AgreementView
from consent.govstack.errors import BadInput
from consent.govstack.objects import City, Object
from consent.models import Agreement
from consent.revisions import Revision
from consent.sensitivities import Sensitivities
from identity import members
from identity.clients import Client, Clients
from identity.tokens import Tokens
from keys.envelope import Sealer
from keys.pseudonyms import Pseudonyms
from keys.ring import KeyRing
from kit.clock import Clock
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.host import Actor
from kit.problems import Forbidden, Problem
from kit.web import GUARDED, LaterRoute, actor_of, invalid, problems

PREFIX = "/govstack"
AGREEMENTS, WEBHOOKS = "govstack.agreements", "govstack.webhooks"  # both of the group config: two powers
SERVICE, AUDIT = "govstack.service", "govstack.audit"
CONFIG_ROLES = ("operator", "admin")
AUDIT_ROLES = ("auditor", "operator", "admin")
PAGE = 100
_AUDITORS = "govstack:auditors"  # a reader of their own: their names for people are nobody else's

Offset = Annotated[int, Query(ge=0, le=100_000, description="Requested index for start of resources", examples=[0])]
Limit = Annotated[int, Query(ge=1, le=PAGE, description="Requested number of resources", examples=[10])]
RevisionId = Annotated[str | None, Query(alias="revisionId", max_length=40, examples=[None])]
IndividualId = Annotated[str | None, Query(alias="individualId", max_length=200, examples=["kW1xJ2o"])]
AgreementId = Annotated[str | None, Query(alias="dataAgreementId", max_length=40, examples=["agr_01kaq3b1m5"])]
IndividualHeader = Annotated[
    str | None,
    Header(alias="X-ConsentBB-IndividualId", max_length=200, description="Individual ID", examples=[None]),
]

#: Everything about what was sent is 400 here; who may not, is too many or too much stays what it is everywhere.
_AS_BAD_INPUT = frozenset({400, 404, 409, 410, 422})


class GovstackRoute(LaterRoute):
    """An endpoint that answers with the codes of the document."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint's handler, its refusals turned into 400."""
        handler = super().get_route_handler()

        async def as_declared(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as wrong:
                raise _bad_input(invalid(wrong)) from None
            except Problem as problem:
                if problem.status in _AS_BAD_INPUT and not isinstance(problem, BadInput):
                    raise _bad_input(problem) from None
                raise

        return as_declared


def _bad_input(problem: Problem) -> BadInput:
    more: dict[str, Any] = {"errors": problem.errors} if problem.errors else {}
    return BadInput(problem.detail, private=problem.private, pointer=problem.pointer, **more)


@dataclass(frozen=True, slots=True)
class Office:
    """What the endpoints work with."""

    database: Database
    clock: Clock
    sealer: Sealer
    ring: KeyRing
    clients: Clients
    tokens: Tokens
    names: Pseudonyms
    fetcher: Fetcher
    issuer: str
    longest: Any
    sensitivities: Sensitivities
    open_for_tests: bool

    @property
    def signer(self) -> str:
        """Signature.verificationSignedBy."""
        return f"{self.issuer}/oauth/jwks"


@dataclass(frozen=True, slots=True)
class Caller:
    """A service: its client, its member, and the one resident its token is about, if it is about one."""

    client: Client
    member_id: str
    account_id: str | None
    actor: Actor


@dataclass(frozen=True, slots=True)
class Reader:
    """Under which names a reader knows people, and whether it knows their subjects too."""

    office: Office
    sector: str
    subjects: bool

    def person(self, account_id: str) -> Object:
        """Individual, as this reader knows them."""
        made: Object = {"id": self.office.names.of(self.sector, account_id)}
        if self.subjects:
            made |= {
                "externalId": self.office.tokens.subject(account_id, self.sector.partition("|")[2]),
                "externalIdType": "sub",
                "identityProviderId": self.office.issuer,
            }
        return made

    def account(self, identifier: str) -> str:
        """The account behind a name that this reader was given; raises BadInput."""
        found = self.office.names.back(self.sector, identifier)
        if found is None:
            raise BadInput("No individual of yours has this id.", pointer="/individualId")
        return found


def reader_of(office: Office, caller: Caller) -> Reader:
    """A service's own names for people: as pairwise as its subjects."""
    return Reader(office, f"govstack:{caller.member_id}|{caller.client.sector}", subjects=True)


def auditors(office: Office) -> Reader:
    """Auditors' names for people."""
    return Reader(office, _AUDITORS, subjects=False)


def staff_or_scope(request: Request, scope: str, roles: tuple[str, ...]) -> Actor:
    """Staff with one of the roles, or a service's own token with the scope; raises Forbidden."""
    actor = actor_of(request)
    if actor.kind == "service":
        request.state.access.require(scope)
        if request.state.access.account_id is not None:
            raise Forbidden("Use a token of the service's own (client credentials).")
        return actor
    if not actor.roles.intersection(roles):
        raise Forbidden(f"This needs the role {' or '.join(roles)}.")
    return actor


async def caller_of(office: Office, request: Request) -> Caller:
    """The calling service; raises TokenTooNarrow, Forbidden."""
    access = request.state.access
    access.require(SERVICE)
    client = await office.clients.get(access.client_id)
    if client is None or client.member_id is None:
        raise Forbidden("Only clients of a member organisation take part.")
    return Caller(client, client.member_id, access.account_id, access.actor())


def only_from_here(request: Request) -> None:
    """In the open mode: raise Forbidden unless the request came over loopback, whatever address we listen on."""
    try:
        near = ipaddress.ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        near = False
    if not near:
        raise Forbidden("The open mode is for tests on this machine.")


def may_read_texts(office: Office, request: Request, scope: str, roles: tuple[str, ...]) -> None:
    """For agreements and policies, which concern no person: as everywhere, or in the open mode whoever is here."""
    if office.open_for_tests:
        only_from_here(request)
    else:
        staff_or_scope(request, scope, roles)


def sites(session: Session, *member_ids: str) -> Mapping[str, str]:
    """Web sites of members."""
    found = ((each, members.find(session, each)) for each in dict.fromkeys(member_ids))
    return {each: member.site for each, member in found if member is not None and member.site}


def city(session: Session, office: Office, *revisions: Revision) -> City:
    """What the objects of these revisions say of their members."""
    return City(office.issuer, sites(session, *(each.member_id for each in revisions)))


def page_of_agreements(
    session: Session, *, member_id: str | None, offset: int, limit: int
) -> list[tuple[AgreementView, Revision]]:
    """Agreements in order of proposal."""
    query = select(col(Agreement.id)).order_by(col(Agreement.id)).offset(offset).limit(limit)
    if member_id is not None:
        query = query.where(Agreement.member_id == member_id)
    return [(agreements.get(session, each), agreements.current(session, each)) for each in session.exec(query)]


def revision_of(session: Session, agreement_id: str, revision_id: str | None) -> Revision:
    """A revision of an agreement: the one named, or the one in force (the newest, while none is). Raises BadInput."""
    if revision_id is None:
        return agreements.current(session, agreement_id)
    found = agreements.get_revision(session, revision_id)
    if found.agreement_id != agreement_id:
        raise BadInput("The agreement has no such revision.", pointer="/revisionId")
    return found


def answer(made: Object | None = None) -> Response:
    """200, as declared."""
    if made is None:
        return Response(headers={"cache-control": "no-store"})
    return Response(orjson.dumps(made), media_type="application/json", headers={"cache-control": "no-store"})


def declared(*names: str) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation, for the documents: 200 with these members, and 400."""
    example = {name: [] if name.endswith("s") and name != "status" else {"id": "…"} for name in names}
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {
        **problems(*GUARDED, BadInput),
        200: {"description": "As declared", **({"content": content} if names else {})},
    }
