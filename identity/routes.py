"""The operators' API: members, clients, grants. Thin: read the body, call a domain function in one write, answer.

The guard comes from the portal; every change needs the role `operator`.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from identity import clients, grants, members
from identity.client_paths import ClientId
from identity.clients import Client, Clients
from identity.encryption import Envelopes
from identity.errors import (
    InvalidClientMetadata,
    MemberState,
    UnknownClient,
    UnknownGrant,
    UnknownMember,
)
from identity.fapi import Profile
from identity.grants import Grant
from identity.members import Member
from identity.registration import Registration, VerifiedClaims
from identity.sectors import check_sector
from kit.clock import Clock, iso
from kit.db import Database, Session
from kit.fetch import Fetcher
from kit.host import Actor
from kit.web import GUARDED, Answer, Body, LaterRoute, problems, require_role

Name = Annotated[str, Field(min_length=1, max_length=120)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many")]
Overlap = Annotated[int, Query(ge=0, le=30 * 86_400, description="Seconds the old secret stays good")]
After = Annotated[str, Query(max_length=100, description="Continue after this id")]


class NewMember(Body):
    """An organisation's application."""

    name_ja: Name = Field(examples=["湊浜市民診療所"])
    name_en: Name = Field(examples=["Minato-hama Clinic"])
    site: Annotated[str, Field(max_length=300, pattern=r"^https://")] | None = Field(
        None, examples=["https://clinic.example"]
    )
    accreditation: dict[str, str] = Field(default_factory=dict, max_length=20, examples=[{"registry": "MC-0412"}])
    source_categories: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        default_factory=list, max_length=50, description="Data categories it may deposit for residents"
    )


class MemberAnswer(Answer):
    """A member."""

    id: str
    name_ja: str
    name_en: str
    status: Literal["applied", "approved", "suspended"]
    site: str | None
    accreditation: dict[str, Any]
    source_categories: list[str]
    created: str
    changed: str


class ClientAnswer(Answer):
    """A client, without its secret."""

    id: str
    member_id: str | None
    name_ja: str
    name_en: str
    status: Literal["active", "suspended", "removed"]
    token_endpoint_auth_method: str
    redirect_uris: list[str]
    grant_types: list[str]
    scope: str
    resources: list[str]
    introspects: list[str]
    exchange_audiences: list[str]
    exchange_scope: str
    exchange_impersonation: bool
    may_act: str | None
    assertion_issuers: dict[str, str]
    profile: Profile
    dpop_bound_access_tokens: bool
    require_pushed_authorization_requests: bool
    minimum_ial: int
    minimum_aal: int
    verified_claims: VerifiedClaims
    first_party: bool
    created: str


class NewClientAnswer(Answer):
    """A client and its secret, which is shown this once."""

    client: ClientAnswer
    client_secret: str | None = Field(description="Keep it now: it is not shown again")


class NewProfile(Body):
    """The profile a client is to keep."""

    profile: Profile = Field(examples=["fapi2-security"])


class SecretAnswer(Answer):
    """A fresh secret, shown this once."""

    client_secret: str = Field(examples=["sec_3vq0Zk1mS8dN2xJ5wT7yB4cF6hL9pR0aE1gU3iO5qKs"])


class GrantAnswer(Answer):
    """A grant, without the resident."""

    id: str
    client_id: str
    kind: Literal["sign-in", "data"]
    scopes: list[str]
    consents: list[str]
    status: Literal["active", "revoked"]
    created: str
    changed: str


class Members(Answer):
    """A page of members."""

    items: list[MemberAnswer]


class ClientList(Answer):
    """A page of clients."""

    items: list[ClientAnswer]


def operator_router(db: Database, clock: Clock, registry: Clients, fetcher: Fetcher, envelopes: Envelopes) -> APIRouter:
    """The routes, bound to this building's services."""
    router = APIRouter(prefix="/api/identity", tags=["operators"], route_class=LaterRoute)

    @router.post("/members", status_code=201, operation_id="identity_apply_member", responses=problems(*GUARDED))
    async def apply_member(request: Request, body: NewMember) -> MemberAnswer:
        """Take in an organisation's application."""
        actor = require_role(request, "operator")
        return _member(await db.write(_apply, body, actor, clock.ms()))

    @router.get("/members", operation_id="identity_list_members", responses=problems(*GUARDED))
    async def list_members(request: Request, after: After = "", limit: Limit = 100) -> Members:
        """Members, in order of application."""
        require_role(request, "operator", "analyst", "lead", "ethics")
        found = await db.read(members.list_all, after=after, limit=limit)
        return Members(items=[_member(member) for member in found])

    @router.get("/members/{member_id}", operation_id="identity_get_member", responses=problems(*GUARDED, UnknownMember))
    async def get_member(request: Request, member_id: str) -> MemberAnswer:
        """One member."""
        require_role(request, "operator", "analyst", "lead", "ethics")
        return _member(await db.read(members.get, member_id))

    @router.post(
        "/members/{member_id}/{step}",
        operation_id="identity_move_member",
        responses=problems(*GUARDED, UnknownMember, MemberState),
    )
    async def move_member(request: Request, member_id: str, step: Literal["approve", "suspend"]) -> MemberAnswer:
        """Approve or suspend. A suspended member's clients and tokens are refused before this answers."""
        actor = require_role(request, "operator")
        move = members.approve if step == "approve" else members.suspend
        return _member(await db.write(move, member_id, actor=actor, now=clock.ms()))

    @router.post(
        "/clients",
        status_code=201,
        operation_id="identity_create_client",
        responses=problems(*GUARDED, InvalidClientMetadata, UnknownMember),
    )
    async def create_client(request: Request, body: Registration) -> NewClientAnswer:
        """Register a client. Its secret is in this answer and nowhere else."""
        actor = require_role(request, "operator")
        await check_sector(fetcher, body)
        await envelopes.check(body)
        client, secret = await db.write(registry.create, body, actor=actor)
        return NewClientAnswer(client=_client(client), client_secret=secret)

    @router.get("/clients", operation_id="identity_list_clients", responses=problems(*GUARDED))
    async def list_clients(
        request: Request, member_id: str | None = None, after: After = "", limit: Limit = 100
    ) -> ClientList:
        """Clients, in order of registration."""
        require_role(request, "operator", "analyst", "lead")
        found = await db.read(clients.list_all, member_id=member_id, after=after, limit=limit)
        return ClientList(items=[_client(client) for client in found])

    @router.get("/clients/{client_id}", operation_id="identity_get_client", responses=problems(*GUARDED, UnknownClient))
    async def get_client(request: Request, client_id: ClientId) -> ClientAnswer:
        """One client."""
        require_role(request, "operator", "analyst", "lead")
        return _client(await db.read(clients.get, client_id))

    @router.post(
        "/clients/{client_id}/secret",
        operation_id="identity_rotate_client_secret",
        responses=problems(*GUARDED, UnknownClient),
    )
    async def rotate_secret(request: Request, client_id: ClientId, overlap: Overlap = 0) -> SecretAnswer:
        """A new secret; the old one stops at once, or after the overlap."""
        actor = require_role(request, "operator")
        return SecretAnswer(
            client_secret=await db.write(registry.rotate_secret, client_id, actor=actor, overlap_seconds=overlap)
        )

    @router.post(
        "/clients/{client_id}/profile",
        operation_id="identity_set_client_profile",
        responses=problems(*GUARDED, UnknownClient, InvalidClientMetadata),
    )
    async def set_profile(request: Request, client_id: ClientId, body: NewProfile) -> ClientAnswer:
        """Turn a FAPI 2.0 profile on or off. Refused, with the field, if the client's registration can't keep it."""
        actor = require_role(request, "operator")
        return _client(await db.write(registry.set_profile, client_id, body.profile, actor=actor))

    @router.post(
        "/clients/{client_id}/{step}",
        operation_id="identity_move_client",
        responses=problems(*GUARDED, UnknownClient),
    )
    async def move_client(request: Request, client_id: ClientId, step: Literal["suspend", "resume"]) -> ClientAnswer:
        """Suspend or resume. Nothing of a suspended client works before this answers."""
        actor = require_role(request, "operator", "lead") if step == "suspend" else require_role(request, "operator")
        move = registry.suspend if step == "suspend" else registry.resume
        return _client(await db.write(move, client_id, actor=actor))

    @router.get("/grants/{grant_id}", operation_id="identity_get_grant", responses=problems(*GUARDED, UnknownGrant))
    async def get_grant(request: Request, grant_id: str) -> GrantAnswer:
        """One grant; who gave it is not told here."""
        require_role(request, "operator", "analyst", "lead")
        return _grant(*await db.read(_find_grant, grant_id))

    @router.post(
        "/grants/{grant_id}/revoke", operation_id="identity_revoke_grant", responses=problems(*GUARDED, UnknownGrant)
    )
    async def revoke_grant(request: Request, grant_id: str) -> GrantAnswer:
        """End a grant. Its tokens are refused before this answers."""
        actor = require_role(request, "operator")
        return _grant(*await db.write(_revoke_grant, grant_id, actor, clock.ms()))

    return router


def _apply(session: Session, body: NewMember, actor: Actor, now: int) -> Member:
    return members.apply(
        session,
        name_ja=body.name_ja,
        name_en=body.name_en,
        site=body.site,
        accreditation=body.accreditation,
        source_categories=body.source_categories,
        actor=actor,
        now=now,
    )


def _find_grant(session: Session, grant_id: str) -> tuple[Grant, tuple[str, ...]]:
    grant = grants.find(session, grant_id)
    if grant is None:
        raise UnknownGrant("No grant has this id.")
    return grant, grants.consents_of(session, grant_id)


def _revoke_grant(session: Session, grant_id: str, actor: Actor, now: int) -> tuple[Grant, tuple[str, ...]]:
    grants.revoke(session, grant_id, actor=actor, now=now, reason="operator")
    return _find_grant(session, grant_id)


def _member(member: Member) -> MemberAnswer:
    return MemberAnswer(
        id=member.id,
        name_ja=member.name_ja,
        name_en=member.name_en,
        status=member.status,
        site=member.site,
        accreditation=dict(member.accreditation),
        source_categories=list(member.source_categories),
        created=iso(member.created_at),
        changed=iso(member.changed_at),
    )


def _client(client: Client) -> ClientAnswer:
    return ClientAnswer(
        id=client.id,
        member_id=client.member_id,
        name_ja=client.name_ja,
        name_en=client.name_en,
        status=client.status,
        token_endpoint_auth_method=client.auth_method,
        redirect_uris=list(client.redirect_uris),
        grant_types=sorted(client.grant_types),
        scope=" ".join(sorted(client.scopes)),
        resources=sorted(client.resources),
        introspects=sorted(client.introspects),
        exchange_audiences=sorted(client.exchange_audiences),
        exchange_scope=" ".join(sorted(client.exchange_scopes)),
        exchange_impersonation=client.impersonates,
        may_act=client.may_act,
        assertion_issuers=dict(client.assertion_issuers),
        profile=client.profile,
        dpop_bound_access_tokens=client.dpop_bound,
        require_pushed_authorization_requests=client.require_par,
        minimum_ial=client.minimum_ial,
        minimum_aal=client.minimum_aal,
        verified_claims=client.verified_claims,
        first_party=client.first_party,
        created=iso(client.created_at),
    )


def _grant(grant: Grant, consents: tuple[str, ...]) -> GrantAnswer:
    return GrantAnswer(
        id=grant.id,
        client_id=grant.client_id,
        kind=grant.kind,
        scopes=list(grant.scopes),
        consents=list(consents),
        status=grant.status,
        created=iso(grant.created_at),
        changed=iso(grant.changed_at),
    )
