"""The history of all consents as a timeline: each event in one sentence, with the receipt of that moment."""

from itertools import groupby
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, records
from consent.changes import StoredEvent
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import from_iso, to_datetime
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts.consents import Past, PastDay, PastLine
from portal.i18n import JST, N_
from portal.pages.asked import inside
from portal.pages.consents import in_whose_stead, names
from portal.visits import pages, require_session
from portal.web import render

PAGE = 50
_SENTENCES = {
    "given": N_("You agreed that %(who)s sees your %(what)s."),
    "renewed": N_("You agreed anew that %(who)s sees your %(what)s."),
    "changed": N_("You changed what %(who)s sees: now your %(what)s."),
    "refused": N_("You told %(who)s no."),
    "withdrawn": N_("You stopped %(who)s from seeing your %(what)s."),
    "ended": N_("%(who)s ended its use of your %(what)s."),
    "expired": N_("Your consent to %(who)s ran out."),
    "invalidated": N_("Your consent to %(who)s ended, because its offer was taken back."),
    "asked": N_("%(who)s asked to see your %(what)s."),
    "unanswered": N_("The question of %(who)s ran out without an answer."),
    "not-asked-any-more": N_("%(who)s does not ask for your %(what)s any more."),
    "requested": N_("%(who)s changed its offer, and you were asked again."),
    "deferred": N_("You put off the question from %(who)s."),
    "notified": N_("%(who)s put its offer into other words."),
    "asked-again": N_("You were reminded of the question of %(who)s."),
    "not-answered": N_("Your consent to %(who)s ended: you did not agree to its changed offer in time."),
    "ends-soon": N_("You were told that your consent to %(who)s ends soon."),
}
_OTHERWISE = N_("Your consent to %(who)s moved on.")


def past_line(session: Session, event: StoredEvent, catalogue: Catalogue, lang: str) -> PastLine:
    """An event in one sentence."""
    document, words = event.document, i18n.current()
    revision = agreements.text_of(session, document["revision"])
    what = inside(words.join(names(tuple(document["categories"]), catalogue, lang)), lang)
    told = _SENTENCES.get(document.get("reason", "")) or _SENTENCES.get(document["type"], _OTHERWISE)
    sentence = words.gettext(told)
    consent = f"/consents/{document['record']}"
    return PastLine(
        at=from_iso(document["time"]),
        sentence=in_whose_stead(sentence % {"who": revision.recipient.name(lang), "what": what}, event),
        title=revision.notice(lang).title,
        href=consent,
        receipt_href=f"{consent}/receipt.json?{urlencode({'event': event.id})}",
    )


def past_page(
    session: Session, sealer: Sealer, catalogue: Catalogue, account_id: str, *, before: str, lang: str
) -> Past:
    """A page of the timeline."""
    found = records.timeline(session, sealer, account_id=account_id, before=before, limit=PAGE + 1)
    lines = [past_line(session, event, catalogue, lang) for event in found[:PAGE]]
    days = [tuple(some) for _day, some in groupby(lines, key=lambda line: to_datetime(line.at).astimezone(JST).date())]
    older = f"?{urlencode({'before': found[PAGE - 1].id})}" if len(found) > PAGE else ""
    return Past(
        days=tuple(PastDay(some[0].at, some) for some in days),
        older=older,
        newest="/consents/history" if before else "",
    )


def router(host: Host) -> APIRouter:
    """/consents/history. Before the pages of single consents: `history` is no consent's id."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)

    @routes.get("/consents/history")
    async def history(request: Request) -> Response:
        account = require_session(request, may="see", whole=True).account_id
        before, lang = request.query_params.get("before", "")[:40], i18n.current().code
        page = await host.db.read(past_page, sealer, catalogue, account, before=before, lang=lang)
        return render(request, "resident/history.html", page)

    return routes
