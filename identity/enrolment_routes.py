"""The operators' API of initial access tokens (RFC 7591 section 1.2): who may let clients register themselves. Thin."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import Field

from identity.enrolments import Enrolments, Initial
from identity.errors import UnknownMember, UnknownRegistrationToken
from identity.registration import STANDARD_SCOPES
from kit.clock import iso
from kit.db import Database
from kit.web import GUARDED, Answer, Body, LaterRoute, problems, require_role

Scope = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9:._/-]{0,99}$")]


class NewRegistrationToken(Body):
    """Leave to register clients."""

    member_id: str | None = Field(None, description="The organisation the clients will belong to; none: no data, ever")
    scopes: list[Scope] = Field(
        default_factory=lambda: list(STANDARD_SCOPES), max_length=50, description="Scopes the clients may register"
    )
    uses: int = Field(1, ge=1, le=1000, description="How many clients", examples=[1])
    seconds: int = Field(7 * 86_400, ge=60, le=365 * 86_400, description="How long it is good")


class RegistrationTokenAnswer(Answer):
    """An initial access token, without its secret."""

    id: str = Field(examples=["irt_01k0000000000000000000000"])
    member_id: str | None
    scopes: list[str]
    uses_left: int
    created: str
    expires: str


class NewRegistrationTokenAnswer(Answer):
    """The token, shown this once."""

    token: str = Field(examples=["sit_3vq0Zk1mS8dN2xJ5wT7yB4cF6hL9pR0aE1gU3iO5qKs"])
    registration_token: RegistrationTokenAnswer


class RegistrationTokens(Answer):
    """Those that can still be used."""

    items: list[RegistrationTokenAnswer]


def enrolment_router(db: Database, enrolments: Enrolments) -> APIRouter:
    """The routes, bound to this building's services."""
    router = APIRouter(prefix="/api/identity", tags=["operators"], route_class=LaterRoute)

    @router.post(
        "/registration-tokens",
        status_code=201,
        operation_id="identity_issue_registration_token",
        responses=problems(*GUARDED, UnknownMember),
    )
    async def issue(request: Request, body: NewRegistrationToken) -> NewRegistrationTokenAnswer:
        """Let somebody register clients. The token is in this answer and nowhere else."""
        actor = require_role(request, "operator")
        initial, token = await db.write(
            enrolments.issue_initial,
            member_id=body.member_id,
            scopes=body.scopes,
            uses=body.uses,
            lifetime=body.seconds,
            actor=actor,
        )
        return NewRegistrationTokenAnswer(token=token, registration_token=_answer(initial))

    @router.get("/registration-tokens", operation_id="identity_list_registration_tokens", responses=problems(*GUARDED))
    async def list_tokens(request: Request) -> RegistrationTokens:
        """Tokens that can still be used."""
        require_role(request, "operator")
        return RegistrationTokens(items=[_answer(one) for one in await db.read(enrolments.list_initial)])

    @router.delete(
        "/registration-tokens/{token_id}",
        status_code=204,
        operation_id="identity_withdraw_registration_token",
        responses=problems(*GUARDED, UnknownRegistrationToken),
    )
    async def withdraw(request: Request, token_id: str) -> None:
        """Take a token back. Clients it registered stay."""
        actor = require_role(request, "operator")
        await db.write(enrolments.withdraw_initial, token_id, actor=actor)

    return router


def _answer(initial: Initial) -> RegistrationTokenAnswer:
    return RegistrationTokenAnswer(
        id=initial.id,
        member_id=initial.member_id,
        scopes=list(initial.scopes),
        uses_left=initial.uses_left,
        created=iso(initial.created_at),
        expires=iso(initial.expires_at),
    )
