"""A resident takes in what another system wrote down about their consents: evidence, and a question where one fits."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import Field

from consent import foreign, imports
from consent.errors import BadImport
from consent.foreign import Format
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher
from kit.clock import Clock
from kit.db import Database
from kit.web import GUARDED, Answer, Body, LaterRoute, actor_of, problems


class TakeIn(Body):
    """A file of another system."""

    format: Annotated[Format, Field(examples=["kantara"])]
    source: Annotated[str, Field(min_length=1, max_length=200, examples=["My former town's portal"])]
    document: Annotated[
        dict[str, Any] | str,
        Field(examples=[{"version": "KI-CR-v1.1.0"}], description="The JSON itself, or a receipt as a JWT"),
    ]


class ImportDocument(Answer):
    """What was taken in."""

    import_: str = Field(alias="import", examples=["cim_01kaq3b1m5w6v7x8y9z0a1b2c3"])
    format: str = Field(examples=["kantara"])
    id: str = Field(examples=["c1befd3e-b7e5-4ea6-8688-e9a565aade21"], description="As the other system calls it")
    source: str = Field(examples=["My former town's portal"])
    authority: str = Field(examples=["self"], description="Who brought it: self or operator")
    signature: str = Field(examples=["none"], description="none, unchecked or verified")
    said: str | None = Field(examples=["2026-11-22T09:00:00Z"])
    taken: str = Field(examples=["2026-11-22T09:00:00Z"])
    agreement: str | None = Field(examples=["agr_01kaq3b1m5w6v7x8y9z0a1b2c3"], description="The one here that it fits")
    question: str | None = Field(examples=[None], description="The record with which the resident is asked")
    state: str = Field(examples=["evidence"], description="evidence, or requested: it permits nothing by itself")
    new: bool = Field(examples=[True], description="False: the same was taken in before")


class Imports(Answer):
    """Imports, newest first."""

    imports: list[ImportDocument]


def import_router(database: Database, sealer: Sealer, hasher: TokenHasher, clock: Clock) -> APIRouter:
    """/api/consent/imports."""
    router = APIRouter(prefix="/api/consent/imports", tags=["my consents"], route_class=LaterRoute)

    @router.post(
        "",
        operation_id="consent_import",
        summary="Take in consents that another system wrote down",
        responses=problems(*GUARDED, BadImport, KeyDestroyed),
    )
    async def take_in(request: Request, body: TakeIn) -> Imports:
        """Whole or not at all; the same twice is one. It permits nothing. Where it fits an agreement, the question
        waits with the resident's consents."""
        try:
            content = body.document.encode() if isinstance(body.document, str) else orjson.dumps(body.document)
        except (TypeError, ValueError):  # orjson's own limit of depth; a lone surrogate
            raise BadImport("The file is nested too deeply, or is no text.") from None
        found = foreign.read(content, body.format)
        actor = actor_of(request)
        made = await database.write(
            imports.take_in, sealer, hasher, found, account_id=actor.id, source=body.source, authority="self",
            actor=actor, now=clock.ms(),
        )  # fmt: skip
        return Imports(imports=[ImportDocument.model_validate(imports.document(each)) for each in made])

    @router.get(
        "",
        operation_id="consent_imports",
        summary="What I took in",
        responses=problems(*GUARDED, KeyDestroyed),
    )
    async def listed(request: Request) -> Imports:
        """Newest first."""
        made = await database.read(imports.list_for, sealer, actor_of(request).id)
        return Imports(imports=[ImportDocument.model_validate(imports.document(each)) for each in made])

    return router
