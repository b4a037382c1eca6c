"""The resident's JSON API: see, add, correct and delete records, the disclosure history, the export.

The guard of the audience has put the resident on the request; every query names that account, so another resident's
id is as unknown as no id at all.
"""

from functools import cache
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from infobank import anchoring, disclosures, export, items, store, vault
from infobank.bodies import (
    CorrectionBody,
    CountAnswer,
    DepositAnswer,
    DepositBody,
    Deposited,
    EvidenceAnswer,
    HistoryAnswer,
    OverviewAnswer,
    RecordAnswer,
    RecordsAnswer,
    UsageAnswer,
)
from infobank.catalogue import Catalogue
from infobank.cursors import read_cursor, write_cursor
from infobank.errors import AccountClosed, RecordNotFound, RecordTooLarge, SchemaViolation, UnknownCategory
from infobank.export import Receipts
from infobank.settings import InfobankSettings
from keys.envelope import Sealer
from kit.clock import Clock, from_iso, iso
from kit.db import Database, Session
from kit.host import Actor
from kit.problems import Forbidden, Invalid, Malformed, TooLarge, UnsupportedType
from kit.web import GUARDED, LaterRoute, actor_of, problems

ItemId = Annotated[str, Path(max_length=60, description="A record's id", examples=["itm_01kaq39tx5w6v7x8y9z0a1b2c3"])]
CategoryId = Annotated[str, Query(max_length=60, description="A category id", examples=["health_checkup"])]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most entries in the answer")]


def resident_router(
    database: Database,
    clock: Clock,
    sealer: Sealer,
    catalogue: Catalogue,
    settings: InfobankSettings,
    receipts: Receipts,
) -> APIRouter:
    """The resident's endpoints."""
    router = APIRouter(prefix="/api/bank/my", tags=["my data"], route_class=LaterRoute)

    @router.get(
        "",
        summary="What the bank holds of me",
        operation_id="my_overview",
        responses=problems(*GUARDED),
    )
    async def overview(request: Request) -> OverviewAnswer:
        resident = _resident(request)
        counts = await database.read(store.counts, resident.id)
        return OverviewAnswer(
            categories=[
                CountAnswer(
                    category=category.id,
                    records=counts[category.id][0] if category.id in counts else 0,
                    newest=iso(counts[category.id][1]) if category.id in counts else None,
                )
                for category in catalogue
            ]
        )

    @router.get(
        "/records",
        summary="My records of one category, newest first",
        operation_id="my_records",
        responses=problems(*GUARDED, UnknownCategory, AccountClosed),
    )
    async def records(
        request: Request,
        category: CategoryId,
        before: Annotated[str | None, Query(max_length=80, description="Where `next` said")] = None,
        limit: Limit = 100,
    ) -> RecordsAnswer:
        resident = _resident(request)
        wanted = catalogue.get(category).id
        cursor = read_cursor(before)
        if before and cursor is None:
            raise Invalid("Send what `next` of the earlier answer said.", pointer="/before")

        def read(session: Session) -> tuple[items.Item, ...]:
            key = vault.owner_key(session, sealer, resident.id)
            found = store.page(session, resident.id, wanted, limit=limit + 1, before=cursor)
            return vault.open_all(key, found)

        found = await database.read(read)
        more = len(found) > limit
        shown = found[:limit]
        return RecordsAnswer(
            category=wanted,
            records=[RecordAnswer(**export.record_document(item)) for item in shown],
            next=write_cursor(shown[-1]) if more else None,
        )

    @router.post(
        "/records",
        status_code=status.HTTP_201_CREATED,
        summary="Add records of my own",
        operation_id="my_deposit",
        responses=problems(*GUARDED, SchemaViolation, UnknownCategory, RecordTooLarge, AccountClosed),
        openapi_extra=_body(DepositBody),
    )
    async def deposit(request: Request) -> DepositAnswer:
        resident = _resident(request)
        now = clock.ms()
        body = await read_json(request, settings.upload_limit)
        drafts = items.drafts(catalogue, body, now=now, limit=settings.record_limit, most=settings.deposit_records)
        taken = await database.write_core(
            vault.deposit,
            sealer,
            drafts,
            account_id=resident.id,
            source=items.SELF,
            client_id=None,
            actor=resident,
            now=now,
        )
        return DepositAnswer(
            deposited=[Deposited(id=one.id, category=one.category, recorded_at=iso(one.recorded_at)) for one in taken]
        )

    @router.get(
        "/records/{item_id}",
        summary="One of my records",
        operation_id="my_record",
        responses=problems(*GUARDED, RecordNotFound, AccountClosed),
    )
    async def record(request: Request, item_id: ItemId) -> RecordAnswer:
        resident = _resident(request)
        found = await database.read(vault.get, sealer, account_id=resident.id, item_id=item_id)
        return RecordAnswer(**export.record_document(found))

    @router.put(
        "/records/{item_id}",
        status_code=status.HTTP_204_NO_CONTENT,
        summary="Correct a record I added",
        operation_id="my_correction",
        responses=problems(*GUARDED, RecordNotFound, SchemaViolation, RecordTooLarge, AccountClosed),
        openapi_extra=_body(CorrectionBody),
    )
    async def correct(request: Request, item_id: ItemId) -> Response:
        resident = _resident(request)
        now = clock.ms()
        body = await read_json(request, settings.upload_limit)
        if not isinstance(body, dict) or set(body) != {"data"}:
            raise SchemaViolation("Send an object with `data` alone.", pointer="")
        found = await database.read(vault.get, sealer, account_id=resident.id, item_id=item_id)
        draft = items.draft(
            catalogue, found.category, body["data"], now=now, limit=settings.record_limit, pointer="/data"
        )
        await database.write_core(
            vault.correct, sealer, draft, account_id=resident.id, item_id=item_id, actor=resident, now=now
        )
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    @router.delete(
        "/records/{item_id}",
        status_code=status.HTTP_204_NO_CONTENT,
        summary="Delete one of my records",
        operation_id="my_deletion",
        responses=problems(*GUARDED, RecordNotFound),
    )
    async def delete(request: Request, item_id: ItemId) -> Response:
        resident = _resident(request)
        await database.write_core(vault.delete, account_id=resident.id, item_id=item_id, actor=resident)
        return Response(status_code=status.HTTP_204_NO_CONTENT)

    @router.get(
        "/disclosures",
        summary="Who used my data, when, why and under which consent",
        operation_id="my_disclosures",
        responses=problems(*GUARDED),
    )
    async def history(
        request: Request,
        since: Annotated[str | None, Query(max_length=40, examples=["2026-10-01T00:00:00Z"])] = None,
        until: Annotated[str | None, Query(max_length=40, examples=["2026-11-01T00:00:00Z"])] = None,
        member: Annotated[str | None, Query(max_length=60, description="A member organisation")] = None,
        category: Annotated[str | None, Query(max_length=60)] = None,
        lang: Annotated[str, Query(pattern="^(ja|en)$")] = "ja",
        limit: Limit = 1000,
        offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    ) -> HistoryAnswer:
        resident = _resident(request)
        first, last = _moment(since, "/since"), _moment(until, "/until")

        def read(session: Session) -> tuple[list[dict[str, Any]], bool]:
            found = disclosures.history(
                session,
                resident.id,
                since=first,
                until=last,
                member_id=member,
                category=category,
                limit=limit + 1,
                offset=offset,
            )
            names = disclosures.recipients(session)
            return [disclosures.usage(one, names, lang=lang) for one in found[:limit]], len(found) > limit

        found, more = await database.read(read)
        return HistoryAnswer(disclosures=[UsageAnswer(**one) for one in found], next=offset + limit if more else None)

    @router.get(
        "/disclosures/{disclosure_id}/evidence",
        summary="Evidence that a use of my data is in the public ledger",
        operation_id="my_disclosure_evidence",
        responses=problems(*GUARDED, RecordNotFound, AccountClosed),
    )
    async def evidence(
        request: Request,
        disclosure_id: Annotated[str, Path(max_length=40, examples=["dis_01kaq3c9d5w6v7x8y9z0a1b2c3"])],
    ) -> EvidenceAnswer:
        resident = _resident(request)
        found = await database.read(anchoring.evidence, sealer, account_id=resident.id, disclosure_id=disclosure_id)
        return EvidenceAnswer(**found)

    @router.get(
        "/export",
        summary="Take everything home",
        operation_id="my_export",
        response_class=StreamingResponse,
        responses={
            200: {"description": "A ZIP: JSON by category, receipts, disclosures, pages to read",
                  "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}},
            **problems(*GUARDED, AccountClosed),
        },
    )  # fmt: skip
    async def take_home(request: Request) -> StreamingResponse:
        resident = _resident(request)
        now = clock.ms()
        # Asked first, so that a closed account is a plain answer and not a broken download.
        await database.read(vault.owner_key, sealer, resident.id)
        parts = export.stream(database, sealer, catalogue, account_id=resident.id, now=now, receipts=receipts)
        return StreamingResponse(
            parts,
            media_type="application/zip",
            headers={
                "Content-Disposition": f'attachment; filename="sekisho-{iso(now)[:10]}.zip"',
                "Cache-Control": "no-store",
            },
        )

    return router


async def read_json(request: Request, limit: int) -> Any:
    """A JSON body of at most so many bytes; UnsupportedType, TooLarge or Malformed otherwise."""
    kind = request.headers.get("content-type", "").split(";", 1)[0].strip().lower()
    if kind != "application/json":
        raise UnsupportedType("Send application/json.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"At most {limit} bytes are read here.")
        parts.append(part)
    try:
        return orjson.loads(b"".join(parts))
    except orjson.JSONDecodeError as error:
        raise Malformed(f"The JSON does not parse: {error.msg} at byte {error.pos}.") from error


def _resident(request: Request) -> Actor:
    actor = actor_of(request)
    if actor.kind != "resident":
        raise Forbidden("Only residents have data here.")
    return actor


def _moment(text: str | None, pointer: str) -> int | None:
    if text is None:
        return None
    try:
        return from_iso(text.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        raise Invalid("Send a time with a zone, for example 2026-11-22T00:00:00Z.", pointer=pointer) from error


@cache
def _body(model: type[Any]) -> dict[str, Any]:
    """The body's schema for the documents; the body itself is read by hand, to its own limit and with pointers."""
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(model.model_json_schema())}},
        }
    }


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            name = node.get("$ref", "").rpartition("/")[2]
            return walk(definitions[name]) if name in definitions else {key: walk(value) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(part) for part in node]
        return node

    inlined: dict[str, Any] = walk(schema)
    return inlined
