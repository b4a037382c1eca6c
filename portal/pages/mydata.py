"""My data: by area of life, one category with its history, add by form or file, correct, delete.

Everything is the resident's own: each query names the account of the session, so another's record is as absent as none.
"""

from collections.abc import Mapping, Sequence

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from infobank import items, vault, views
from infobank.catalogue import AREA_LABELS, SENSITIVITY_LABELS, Catalogue, Category
from infobank.errors import RecordTooLarge, SchemaViolation, UnknownCategory
from keys.envelope import Sealer
from kit.host import Host
from kit.problems import NotFound
from portal import charts, i18n, record_forms
from portal.contexts.resident import (
    AreaLines,
    CategoryData,
    CategoryLine,
    Data,
    DeleteRecord,
    RecordForm,
    RecordView,
    ValueLine,
)
from portal.i18n import N_, _
from portal.visits import pages, require_session
from portal.web import notice, read_form, read_upload, redirect, render

CAREFUL = 3  # the sensitivity the law calls special care-required

ADDED = notice("data.added", N_("It is kept. You can correct or delete it at any time."))
CORRECTED = notice("data.corrected", N_("It is corrected."))
DELETED = notice("data.deleted", N_("It is deleted. Nobody can be shown it any more."))


def headline(record: views.Record, lang: str) -> str:
    """A record in one line, each value with its name: “Blood pressure 128 mmHg, From: Shiomi-cho”."""
    shown = {value.field.name: value for value in record.values}
    parts = []
    for name in record.category.summary:
        if name in shown:
            value = shown[name]
            words = value.text(lang)
            if isinstance(value.value, str):
                between = "：" if lang == "ja" else ": "
            else:  # a number stays with its unit when the line breaks
                between, words = " ", words.replace(" ", "\u00a0")
            parts.append(words if value.field.values else f"{value.field.label.of(lang)}{between}{words}")
    return ("、" if lang == "ja" else ", ").join(parts) or record.category.label.of(lang)


def record_view(record: views.Record, lang: str) -> RecordView:
    """A record as the pages show it."""
    return RecordView(
        id=record.id,
        at=record.recorded_at,
        source=record.source_name.of(lang),
        own=record.own,
        headline=headline(record, lang),
        values=tuple(ValueLine(value.field.label.of(lang), value.text(lang)) for value in record.values),
    )


def router(host: Host) -> APIRouter:
    """/data and below."""
    routes = pages(host)
    catalogue = host.get(Catalogue)
    sealer = host.get(Sealer)
    settings = host.settings.infobank

    def known(category_id: str) -> Category:
        try:
            return catalogue.get(category_id)
        except UnknownCategory:
            raise NotFound("There is no such kind of data.") from None

    @routes.get("/data")
    async def data(request: Request) -> Response:
        account = require_session(request).account_id
        lang = i18n.current().code
        areas = await host.db.read(views.areas, sealer, catalogue, account)
        shown = tuple(
            AreaLines(area.id, area.label.of(lang), tuple(_category_line(card, lang) for card in area.cards))
            for area in areas
            if area.cards
        )
        return render(request, "resident/data.html", Data(sum(area.count for area in areas), shown))

    @routes.get("/data/{category_id}")
    async def one(request: Request, category_id: str) -> Response:
        account = require_session(request).account_id
        category = known(category_id)
        before = request.query_params.get("before")
        page = await host.db.read(views.category_page, sealer, catalogue, account, category.id, before=before)
        lang = i18n.current().code
        lines = [_chart(line, lang) for line in page.lines]
        context = CategoryData(
            id=category.id,
            name=category.label.of(lang),
            area=AREA_LABELS[category.area].of(lang),
            description=category.description.of(lang),
            sensitivity=SENSITIVITY_LABELS[category.sensitivity].of(lang),
            careful=category.sensitivity >= CAREFUL,
            model=category.model_name,
            model_href=category.model_reference,
            total=page.total,
            lines=tuple(line for line in lines if line is not None) if not before else (),
            records=tuple(record_view(record, lang) for record in page.records),
            older=f"?before={page.next}" if page.next else "",
            newest=f"/data/{category.id}" if before else "",
        )
        return render(request, "resident/category.html", context)

    def form_page(
        request: Request,
        category: Category,
        *,
        action: str,
        typed: Mapping[str, Sequence[str]] | None = None,
        errors: Mapping[str, str] | None = None,
        upload: bool = True,
        upload_error: str = "",
    ) -> Response:
        lang = i18n.current().code
        labels = {field.name: field.label.of(lang) for field in category.fields}
        wrong = dict(errors or {})
        context = RecordForm(
            category_id=category.id,
            category=category.label.of(lang),
            action=action,
            upload_action=f"/data/{category.id}/upload" if upload else "",
            fields=record_forms.form_fields(category, lang, typed=typed or {}, errors=wrong),
            errors=wrong,
            labels=labels,
            upload_error=upload_error,
            example=_example(category),
        )
        return render(request, "resident/record.html", context, status=422 if wrong or upload_error else 200)

    @routes.get("/data/{category_id}/add")
    async def add_form(request: Request, category_id: str) -> Response:
        require_session(request)
        return form_page(request, known(category_id), action=f"/data/{category_id}/add")

    @routes.post("/data/{category_id}/add")
    async def add(request: Request, category_id: str) -> Response:
        session = require_session(request)
        category = known(category_id)
        record, typed, errors = record_forms.read_record(category, await read_form(request))
        drafts, errors = _drafted(catalogue, category, record, errors, now=host.clock.ms(), limit=settings.record_limit)
        if errors:
            return form_page(request, category, action=f"/data/{category_id}/add", typed=typed, errors=errors)
        await host.db.write_core(
            vault.deposit,
            sealer,
            drafts,
            account_id=session.account_id,
            source=items.SELF,
            client_id=None,
            actor=session.actor(),
            now=host.clock.ms(),
        )
        return redirect(request, f"/data/{category_id}", notice=ADDED)

    @routes.post("/data/{category_id}/upload")
    async def upload(request: Request, category_id: str) -> Response:
        session = require_session(request)
        category = known(category_id)
        now = host.clock.ms()
        _form, file = await read_upload(request, "file", limit=settings.upload_limit)

        def wrong(words: str) -> Response:
            return form_page(request, category, action=f"/data/{category_id}/add", upload_error=words)

        if file is None or not file.content:
            return wrong(_("Please choose a file."))
        try:
            rows = record_forms.records_of(orjson.loads(file.content), category)
        except orjson.JSONDecodeError:
            return wrong(_("This file is not JSON."))
        except record_forms.NotARecord as refusal:
            return wrong(str(refusal))
        if len(rows) > settings.deposit_records:
            return wrong(_("At most %(number)s records are taken in at once.", number=settings.deposit_records))
        drafts = []
        for number, row in enumerate(rows, 1):
            try:
                drafts.append(items.draft(catalogue, category.id, row, now=now, limit=settings.record_limit))
            except SchemaViolation as violation:
                problem = (violation.document().get("errors") or [{}])[0]
                return wrong(record_forms.file_complaint(category, i18n.current().code, number, problem))
            except RecordTooLarge:
                return wrong(_("Record %(number)s is too large.", number=number))
        await host.db.write_core(
            vault.deposit,
            sealer,
            drafts,
            account_id=session.account_id,
            source=items.SELF,
            client_id=None,
            actor=session.actor(),
            now=now,
        )
        return redirect(request, f"/data/{category_id}", notice=ADDED)

    @routes.get("/data/{category_id}/{item_id}/correct")
    async def correct_form(request: Request, category_id: str, item_id: str) -> Response:
        account = require_session(request).account_id
        category = known(category_id)
        item = await host.db.read(vault.get, sealer, account_id=account, item_id=item_id)
        if item.category != category.id or item.source != items.SELF:
            raise NotFound("There is no such record of yours.")
        typed = record_forms.typed_of(category, item.data)
        return form_page(request, category, action=request.url.path, typed=typed, upload=False)

    @routes.post("/data/{category_id}/{item_id}/correct")
    async def correct(request: Request, category_id: str, item_id: str) -> Response:
        session = require_session(request)
        category = known(category_id)
        now = host.clock.ms()
        record, typed, errors = record_forms.read_record(category, await read_form(request))
        drafts, errors = _drafted(catalogue, category, record, errors, now=now, limit=settings.record_limit)
        if errors:
            return form_page(request, category, action=request.url.path, typed=typed, errors=errors, upload=False)
        await host.db.write_core(
            vault.correct,
            sealer,
            drafts[0],
            account_id=session.account_id,
            item_id=item_id,
            actor=session.actor(),
            now=now,
        )
        return redirect(request, f"/data/{category_id}", notice=CORRECTED)

    @routes.get("/data/{category_id}/{item_id}/delete")
    async def delete_form(request: Request, category_id: str, item_id: str) -> Response:
        account = require_session(request).account_id
        category = known(category_id)
        found = await host.db.read(views.record, sealer, catalogue, account, item_id)
        lang = i18n.current().code
        context = DeleteRecord(
            action=request.url.path,
            back=f"/data/{category.id}",
            category=category.label.of(lang),
            record=record_view(found, lang),
        )
        return render(request, "resident/delete.html", context)

    @routes.post("/data/{category_id}/{item_id}/delete")
    async def delete(request: Request, category_id: str, item_id: str) -> Response:
        session = require_session(request)
        known(category_id)
        await read_form(request)
        await host.db.write_core(vault.delete, account_id=session.account_id, item_id=item_id, actor=session.actor())
        return redirect(request, f"/data/{category_id}", notice=DELETED)

    return routes


def _category_line(card: views.CategoryCard, lang: str) -> CategoryLine:
    return CategoryLine(
        href=f"/data/{card.category.id}",
        name=card.category.label.of(lang),
        newest=headline(card.newest, lang) if card.newest else "",
        newest_at=card.latest_at,
        count=card.count,
        sources=i18n.current().join(label.of(lang) for label in card.sources),
        careful=card.category.sensitivity >= CAREFUL,
    )


def _chart(line: views.Line, lang: str) -> charts.LineChart | None:
    language = i18n.current()
    rows = [(point.at, language.day(point.at), point.value) for point in line.points]
    return charts.line(line.field.label.of(lang), line.field.unit.of(lang) if line.field.unit else "", rows)


def _drafted(
    catalogue: Catalogue,
    category: Category,
    record: dict[str, object],
    errors: dict[str, str],
    *,
    now: int,
    limit: int,
) -> tuple[list[items.Draft], dict[str, str]]:
    """The checked record, or a sentence for each field that is wrong."""
    try:
        return [items.draft(catalogue, category.id, record, now=now, limit=limit)], errors
    except SchemaViolation as violation:
        found = record_forms.complaints(category, violation.document().get("errors", ()))
        return [], found | errors
    except RecordTooLarge:
        return [], {category.fields[0].name: _("This is too long altogether."), **errors}


def _example(category: Category) -> str:
    """A file with one record of the category: its required fields and the first two others."""
    samples = {
        "date": "2026-04-16",
        "date-time": "2026-04-16T08:15:00+09:00",
        "integer": 1,
        "number": 1.5,
        "boolean": True,
        "string": "…",
    }
    chosen = [f for f in category.fields if f.required] + [f for f in category.fields if not f.required][:2]
    record: dict[str, object] = {}
    for field in chosen:
        first = next(iter(field.values), None)
        if field.kind == "array":
            record[field.name] = [first]
        elif first is not None:
            record[field.name] = first
        elif field.kind in ("integer", "number") and field.minimum is not None:
            record[field.name] = field.minimum
        else:
            record[field.name] = samples.get(field.kind, "…")
    return orjson.dumps([record], option=orjson.OPT_INDENT_2).decode()
