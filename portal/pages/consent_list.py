"""What is in force, by recipient, by kind of data and by end; one touch to stop one, and stopping all of a kind.

Stopping one is a button in the list: as easy as agreeing was. Stopping many asks once, with what becomes of each.
"""

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, records, stopping
from consent.records import RecordView
from consent.states import OPEN
from consent.stopping import Affected, Everything
from identity import clients, grants
from infobank import views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import i18n
from portal.contexts.consents import ConsentGroup, ConsentLine, Consents, StopAll, StopLine
from portal.i18n import N_, _
from portal.pages.asked import inside
from portal.pages.consents import STATES, names
from portal.visits import may_see, pages, require_session
from portal.web import notice, read_form, redirect, render

STOPPED = notice("consents.stopped", N_("Stopped, all of it. Nobody can see this data because of it any more."))
NOTHING = notice("consents.nothing", N_("There was nothing left to stop."), kind="info")

PATH = "/consents/stop"
_BY = {"recipient": N_("By who sees it"), "category": N_("By kind of data"), "end": N_("By when it ends")}

Listed = tuple[RecordView, ConsentLine]


def stop_href(wanted: Everything) -> str:
    """Where stopping everything of a kind is asked about."""
    field, value = ("recipient", wanted.member_id) if wanted.member_id else ("category", wanted.category)
    return f"{PATH}?{urlencode({field: value})}"


def groups_of(active: list[Listed], by: str, catalogue: Catalogue, lang: str) -> tuple[ConsentGroup, ...]:
    """The consents in force, put together. A consent that shows several kinds of data stands under each. Pure."""
    if by == "end":
        soonest = sorted(active, key=lambda each: each[0].until_at)
        return (ConsentGroup("by-end", "", "", tuple(line for _record, line in soonest)),) if active else ()
    found: dict[str, list[ConsentLine]] = {}
    called: dict[str, str] = {}
    for record, line in active:
        for key in (record.member_id,) if by == "recipient" else record.categories:
            found.setdefault(key, []).append(line)
            called[key] = line.recipient if by == "recipient" else names((key,), catalogue, lang)[0]
    made = []
    for key, lines in found.items():
        wanted = Everything(member_id=key) if by == "recipient" else Everything(category=key)
        made.append(ConsentGroup(f"group-{key}", called[key], stop_href(wanted), tuple(lines)))
    return tuple(made)


def list_page(session: Session, catalogue: Catalogue, account_id: str, *, by: str, lang: str, now: Millis) -> Consents:
    """All consents, those in force first."""
    used = views.by_consent(session, account_id)
    words = i18n.current()
    active: list[Listed] = []
    ended: list[ConsentLine] = []
    waiting: list[ConsentLine] = []
    for record in records.list_for(session, account_id, now=now):
        if not may_see(record.purpose):
            continue
        revision = agreements.get_revision(session, record.revision_id)
        uses, last = used.get(record.id, (0, None))
        line = ConsentLine(
            id=record.id,
            title=revision.notice(lang).title,
            recipient=revision.recipient.name(lang),
            what=inside(words.join(names(record.categories, catalogue, lang)), lang),
            state="given" if record.stands else record.state,
            state_words=words.gettext(STATES[record.state]),
            until=record.until_at if record.stands or record.state == OPEN else None,
            uses=uses,
            last_use=last,
        )
        if record.stands:
            active.append((record, line))
        elif record.state == OPEN:
            waiting.append(line)
        else:
            ended.append(line)
    filters = tuple(
        ("/consents" if key == "recipient" else f"/consents?by={key}", words.gettext(text), key == by)
        for key, text in _BY.items()
    )
    return Consents(by, filters, len(active), groups_of(active, by, catalogue, lang), tuple(ended), now, tuple(waiting))


def _stop_line(each: Affected, wanted: Everything, catalogue: Catalogue, lang: str) -> StopLine:
    ends = each.effect == "ends"
    if ends and wanted.category:
        words = _("It needs this data, so it ends.")
    elif ends:
        words = _("It ends.")
    else:
        words = _("It goes on without %(what)s.", what=inside(names((wanted.category,), catalogue, lang)[0], lang))
    return StopLine(each.revision.notice(lang).title, each.revision.recipient.name(lang), words)


def stop_page(
    session: Session, catalogue: Catalogue, account_id: str, wanted: Everything, *, lang: str, now: Millis
) -> StopAll | None:
    """What will happen; None if there is nothing to stop."""
    meant = stopping.affected(session, wanted, account_id=account_id, now=now)
    if not meant:
        return None
    ending = {each.record.id for each in meant if each.effect == "ends"}
    services = []
    for grant in grants.list_for(session, account_id):
        if any(detail.get("consent") in ending for detail in grant.details):
            client = clients.find(session, grant.client_id)
            services.append(client.name(lang) if client else grant.client_id)
    if wanted.member_id:
        question = _("Stop everything that %(who)s sees?", who=meant[0].revision.recipient.name(lang))
    else:
        what = inside(names((wanted.category,), catalogue, lang)[0], lang)
        question = _("Stop everybody from seeing your %(what)s?", what=what)
    return StopAll(
        question=question,
        action=PATH,
        back="/consents" if wanted.member_id else "/consents?by=category",
        field="recipient" if wanted.member_id else "category",
        value=wanted.member_id or wanted.category,
        lines=tuple(_stop_line(each, wanted, catalogue, lang) for each in meant),
        services=tuple(dict.fromkeys(services)),
    )


def _wanted(recipient: str, category: str) -> Everything:
    try:
        return Everything(member_id=recipient[:40], category=category[:80])
    except ValueError:
        raise NotFound("Say what is to be stopped: a recipient or a kind of data.") from None


def router(host: Host) -> APIRouter:
    """/consents and /consents/stop. Before the pages of single consents: `stop` is no consent's id."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)

    @routes.get("/consents")
    async def consents(request: Request) -> Response:
        account = require_session(request, may="see").account_id
        asked = request.query_params.get("by", "")
        by = asked if asked in _BY else "recipient"
        lang, now = i18n.current().code, host.clock.ms()
        page = await host.db.read(list_page, catalogue, account, by=by, lang=lang, now=now)
        return render(request, "resident/consents.html", page)

    @routes.get(PATH)
    async def ask(request: Request) -> Response:
        account = require_session(request, may="withdraw", whole=True).account_id
        query = request.query_params
        wanted = _wanted(query.get("recipient", ""), query.get("category", ""))
        lang, now = i18n.current().code, host.clock.ms()
        page = await host.db.read(stop_page, catalogue, account, wanted, lang=lang, now=now)
        if page is None:
            return redirect(request, "/consents", notice=NOTHING)
        return render(request, "resident/stop_all.html", page)

    @routes.post(PATH)
    async def stop(request: Request) -> Response:
        session = require_session(request, may="withdraw", whole=True)
        form = await read_form(request)
        wanted = _wanted(form.one("recipient"), form.one("category"))
        stopped = await host.db.write(
            stopping.stop,
            sealer,
            wanted,
            account_id=session.account_id,
            actor=session.actor(),
            now=host.clock.ms(),
        )
        return redirect(request, "/consents", notice=STOPPED if stopped else NOTHING)

    return routes
