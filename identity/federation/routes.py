"""The operators' API of the federation: this city's place in it, who stands below, trust marks, why one is refused.

Thin: read the body, call a domain function in one write, answer. Where the city wants two people for what gives trust
(`client_changes_by_two`), the answer is 202 with the change that waits.
"""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, Field

from identity.client_paths import plain
from identity.errors import ChangeGone, InvalidSubordinate, SubordinateState, UnknownSubordinate, UnknownTrustMark
from identity.errors_account import SecondPersonNeeded
from identity.federation import mark_book, subordinates
from identity.federation.changes import Change, FederationChanges
from identity.federation.explain import Explaining
from identity.federation.mark_book import Given
from identity.federation.service import Federation
from identity.federation.subordinates import Below, Reason, Status
from kit.clock import Clock, from_iso, iso
from kit.db import Database
from kit.web import GUARDED, Answer, Body, LaterRoute, problems, require_role

#: An entity id in a path: as it is where it holds no slash, else `~` and its base64url.
EntityId = Annotated[str, AfterValidator(plain)]
Address = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://clinic.example"])]
Types = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=20)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many")]
_KEYS = {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"}]}


class Place(Answer):
    """This city in its federation. Off: it takes part in none, and the rest says nothing."""

    on: bool
    entity_id: str = Field(examples=["https://id.city.example"])
    authority_hints: list[str]
    trust_anchors: list[str]
    vouches: bool = Field(description="Others may stand below this city")
    own_anchor: bool
    registration: list[str]
    scopes: list[str]
    required_marks: list[str]
    keys: dict[str, Any] = Field(description="Federation keys, for superiors and for who trusts this city as an anchor")
    changes_by_two: bool = Field(description="Giving trust waits for a second operator")


class SubordinateAnswer(Answer):
    """An entity below this city, and what is said of it."""

    entity_id: str
    status: Status
    entity_types: list[str]
    intermediate: bool
    jwks: dict[str, Any]
    said: dict[str, Any] = Field(description="`metadata`, `metadata_policy`, `constraints`; each may be absent")
    registered: str
    changed: str


class SubordinateList(Answer):
    """A page of them, by name."""

    items: list[SubordinateAnswer]


class NewSubordinate(Body):
    """An entity to vouch for, with keys that came from its own operator."""

    entity_id: Address
    jwks: dict[str, Any] = Field(description="Its federation keys (JWK Set)", examples=[_KEYS])
    entity_types: Types = Field(examples=[["openid_relying_party"]])
    intermediate: bool = Field(False, description="It vouches for others itself")
    metadata: dict[str, Any] = Field(default_factory=dict, description="What is said in its stead, by entity type")
    metadata_policy: dict[str, Any] = Field(default_factory=dict)
    constraints: dict[str, Any] = Field(default_factory=dict)


class Why(Body):
    """Why trust is taken away."""

    reason: Reason = Field(examples=["key-compromised"])


class MarkAnswer(Answer):
    """A trust mark this city gave."""

    id: str = Field(examples=["tmk_01k0000000000000000000000"])
    kind: str
    entity_id: str
    status: Literal["active", "expired", "revoked"]
    issued: str
    expires: str | None


class MarkList(Answer):
    """A page of them, the newest first."""

    items: list[MarkAnswer]


class NewMark(Body):
    """A trust mark to give."""

    kind: Address = Field(description="Its type", examples=["https://pref.example/marks/audited"])
    entity_id: Address
    expires: str | None = Field(None, description="RFC 3339; none: until it is taken back", max_length=40)


class ChangeAnswer(Answer):
    """Trust that one operator wants to give and a second one has yet to want."""

    id: str = Field(examples=["chg_01k0000000000000000000000"])
    kind: Literal["vouch", "mark"]
    entity_id: str
    wanted: dict[str, Any]
    proposed_by: str
    expires: str


class ChangeList(Answer):
    """What waits, the oldest first."""

    items: list[ChangeAnswer]


class Question(Body):
    """Whom to ask about."""

    entity_id: Address
    trust_anchor: Address | None = Field(None, description="Only by this trust anchor")


class Explanation(Answer):
    """Why an entity is trusted, or which rule it breaks, step by step."""

    entity_id: str
    trusted: bool
    code: str | None = Field(None, description="Of OpenID Federation 1.0 section 8.9")
    word: str | None = Field(None, description="The rule that was broken", examples=["expired"])
    detail: str | None = None
    anchor: str | None = None
    until: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict, description="Resolved, by entity type")
    marks: list[dict[str, str]] = Field(default_factory=list)
    statements: list[dict[str, str]] = Field(default_factory=list)
    steps: list[dict[str, str | None]] = Field(description="What was asked, in order, and where it broke")


def federation_router(
    db: Database, clock: Clock, federation: Federation, changes: FederationChanges, explaining: Explaining
) -> APIRouter:
    """The routes, bound to this building's services."""
    router = APIRouter(prefix="/api/identity/federation", tags=["operators"], route_class=LaterRoute)
    waits: dict[int | str, dict[str, Any]] = {202: {"model": ChangeAnswer, "description": "Waits for a second person"}}

    @router.get("", operation_id="identity_federation_place", responses=problems(*GUARDED))
    async def place(request: Request) -> Place:
        """This city's place in its federation."""
        require_role(request, "operator")
        settings = federation.settings
        return Place(
            on=settings.on, entity_id=federation.city.entity_id, authority_hints=list(settings.authority_hints),
            trust_anchors=[one.entity_id for one in settings.trust_anchors], vouches=settings.subordinates,
            own_anchor=settings.own_anchor, registration=list(settings.registration), scopes=list(settings.scopes),
            required_marks=list(settings.required_marks), keys=await federation.keys.jwks(),
            changes_by_two=changes.by_two,
        )  # fmt: skip

    @router.get("/subordinates", operation_id="identity_list_subordinates", responses=problems(*GUARDED))
    async def below(
        request: Request, after: Annotated[str, Query(max_length=2000)] = "", limit: Limit = 100
    ) -> SubordinateList:
        """Who stands or stood below this city."""
        require_role(request, "operator")
        found = await db.read(subordinates.list_all, ended=True, after=after, limit=limit)
        return SubordinateList(items=[_subordinate(one) for one in found])

    @router.post(
        "/subordinates",
        status_code=201,
        operation_id="identity_vouch_for_subordinate",
        responses=waits | problems(*GUARDED, InvalidSubordinate, SubordinateState),
    )
    async def vouch(request: Request, response: Response, body: NewSubordinate) -> SubordinateAnswer | ChangeAnswer:
        """Vouch for an entity, or change what is said of it."""
        actor = require_role(request, "operator")
        said = {name: getattr(body, name) for name in subordinates.SAID}
        made = await db.write(
            changes.vouch, body.entity_id, jwks=body.jwks, entity_types=body.entity_types,
            intermediate=body.intermediate, said=said, actor=actor,
        )  # fmt: skip
        if isinstance(made, Change):
            response.status_code = 202
            return _change(made)
        return _subordinate(made)

    @router.get(
        "/subordinates/{entity_id}",
        operation_id="identity_get_subordinate",
        responses=problems(*GUARDED, UnknownSubordinate),
    )
    async def one(request: Request, entity_id: EntityId) -> SubordinateAnswer:
        """One of them."""
        require_role(request, "operator")
        return _subordinate(await db.read(subordinates.get, entity_id))

    @router.post(
        "/subordinates/{entity_id}/resume",
        operation_id="identity_resume_subordinate",
        responses=waits | problems(*GUARDED, UnknownSubordinate, SubordinateState),
    )
    async def resume(request: Request, response: Response, entity_id: EntityId) -> SubordinateAnswer | ChangeAnswer:
        """Vouch again for one that is suspended, in the same words."""
        made = await db.write(changes.resume, entity_id, actor=require_role(request, "operator"))
        if isinstance(made, Change):
            response.status_code = 202
            return _change(made)
        return _subordinate(made)

    @router.post(
        "/subordinates/{entity_id}/{step}",
        operation_id="identity_stop_subordinate",
        responses=problems(*GUARDED, UnknownSubordinate, SubordinateState),
    )
    async def stop(
        request: Request, entity_id: EntityId, step: Literal["suspend", "end"], body: Why
    ) -> SubordinateAnswer:
        """Vouch for it no more, for a while or for good. Its statement is gone before this answers."""
        actor = require_role(request, "operator")
        move = subordinates.suspend if step == "suspend" else subordinates.end
        return _subordinate(await db.write(move, entity_id, actor=actor, now=clock.ms(), reason=body.reason))

    @router.get("/marks", operation_id="identity_list_trust_marks", responses=problems(*GUARDED))
    async def marks(
        request: Request, before: Annotated[str, Query(max_length=100)] = "", limit: Limit = 100
    ) -> MarkList:
        """Trust marks this city gave."""
        require_role(request, "operator")
        found = await db.read(mark_book.list_all, before=before, limit=limit)
        return MarkList(items=[_mark(given, clock) for given in found])

    @router.post(
        "/marks",
        status_code=201,
        operation_id="identity_give_trust_mark",
        responses=waits | problems(*GUARDED, InvalidSubordinate),
    )
    async def give(request: Request, response: Response, body: NewMark) -> MarkAnswer | ChangeAnswer:
        """Give a trust mark; one of that type which it has ends."""
        actor = require_role(request, "operator")
        try:
            ends = None if body.expires is None else from_iso(body.expires)
        except ValueError:
            raise InvalidSubordinate("This is no time of RFC 3339.", pointer="/expires") from None
        made = await db.write(changes.mark, body.kind, body.entity_id, expires_at=ends, actor=actor)
        if isinstance(made, Change):
            response.status_code = 202
            return _change(made)
        return _mark(made, clock)

    @router.post(
        "/marks/{mark_id}/revoke",
        operation_id="identity_revoke_trust_mark",
        responses=problems(*GUARDED, UnknownTrustMark),
    )
    async def revoke(request: Request, mark_id: str, body: Why) -> MarkAnswer:
        """Take a trust mark back. Its status says so before this answers."""
        actor = require_role(request, "operator")
        return _mark(
            await db.write(mark_book.take_back, mark_id, actor=actor, now=clock.ms(), reason=body.reason), clock
        )

    @router.get("/changes", operation_id="identity_list_federation_changes", responses=problems(*GUARDED))
    async def waiting(request: Request) -> ChangeList:
        """What waits for a second person."""
        require_role(request, "operator")
        return ChangeList(items=[_change(change) for change in await db.read(changes.waiting)])

    @router.post(
        "/changes/{change_id}/approve",
        operation_id="identity_approve_federation_change",
        responses=problems(
            *GUARDED, ChangeGone, SecondPersonNeeded, InvalidSubordinate, SubordinateState, UnknownSubordinate
        ),
    )
    async def approve(request: Request, change_id: str) -> SubordinateAnswer | MarkAnswer:
        """Want it too: it is in force before this answers."""
        actor = require_role(request, "operator")
        made = await db.write(changes.approve, change_id, actor=actor)
        return _subordinate(made) if isinstance(made, Below) else _mark(made, clock)

    @router.delete(
        "/changes/{change_id}",
        status_code=204,
        operation_id="identity_decline_federation_change",
        responses=problems(*GUARDED, ChangeGone),
    )
    async def decline(request: Request, change_id: str) -> None:
        """Take it back, or say no to it."""
        await db.write(changes.decline, change_id, actor=require_role(request, "operator"))

    @router.post("/explain", operation_id="identity_explain_entity", responses=problems(*GUARDED))
    async def explain(request: Request, body: Question) -> Explanation:
        """Look for the chain of an entity anew, and say where it breaks. Ten at once, then one in six seconds."""
        actor = require_role(request, "operator")
        found = await explaining.ask(body.entity_id, anchor=body.trust_anchor, actor=actor)
        return Explanation(**found.as_dict())

    return router


def _subordinate(below: Below) -> SubordinateAnswer:
    return SubordinateAnswer(
        entity_id=below.entity_id,
        status=below.status,
        entity_types=list(below.entity_types),
        intermediate=below.intermediate,
        jwks=dict(below.jwks),
        said=dict(below.said),
        registered=iso(below.registered_at),
        changed=iso(below.changed_at),
    )


def _mark(given: Given, clock: Clock) -> MarkAnswer:
    return MarkAnswer(
        id=given.id,
        kind=given.kind,
        entity_id=given.entity_id,
        status=given.status(clock.ms()),
        issued=iso(given.issued_at),
        expires=None if given.expires_at is None else iso(given.expires_at),
    )


def _change(change: Change) -> ChangeAnswer:
    return ChangeAnswer(
        id=change.id,
        kind=change.kind,
        entity_id=change.entity_id,
        wanted=dict(change.wanted),
        proposed_by=change.proposed_by,
        expires=iso(change.expires_at),
    )
