"""Agreeing anew to a consent that stands: to the same for longer, or to a changed offer, of which only the difference
is shown. The answer names the revision that was read, and counts for that one alone. Whoever is asked by a campaign may
also say no: then nobody reminds them, and what they agreed to before ends at the time that the page states.
"""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import campaigns, records
from consent.compare import compare
from consent.errors import ConsentState
from consent.materiality import is_material
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import Malformed
from portal import i18n
from portal.contexts.resident import Renew
from portal.i18n import N_
from portal.pages.asked import agreed_sentence
from portal.pages.consents import OVER, Whole, read_whole
from portal.pages.versions import change_line
from portal.visits import pages, require_session
from portal.web import Form, notice, read_form, redirect, render

RENEWED = notice("consent.renewed", N_("You have agreed anew."))
DECLINED = notice(
    "consent.declined",
    N_("You said no, and nobody asks you about it any more. What you agreed to before ends on the day you read here."),
    kind="info",
)
PUT_OFF = notice(
    "consent.put-off", N_("Nothing has changed. What you agreed to before goes on until its end."), kind="info"
)


@dataclass(frozen=True)
class Said:
    """What the form says; without a revision it is put off."""

    revision_id: str | None
    lang: str
    no: bool = False


def read(form: Form) -> Said:
    """The answer; raises Malformed."""
    answer, lang = form.one("answer"), form.one("shown_in")
    if lang not in i18n.LANGUAGES:
        raise Malformed("The answer does not say in which language it was read.")
    if answer == "later":
        return Said(None, lang)
    if answer not in ("agree", "refuse") or not form.one("revision"):
        raise Malformed("Choose one of the answers.")
    return Said(form.one("revision"), lang, no=answer == "refuse")


def renew_page(whole: Whole, catalogue: Catalogue, lang: str, *, now: Millis) -> Renew:
    """The question. Pure."""
    record, given = whole.record, whole.revision
    revision = whole.newer[-1] if whole.newer else given
    after = tuple(use.category for use in revision.categories if use.required or use.category in record.categories)
    return Renew(
        action=f"/consents/{record.id}/renew",
        back=f"/consents/{record.id}",
        title=given.notice(lang).title,
        sentence=agreed_sentence(revision, after, catalogue, lang, now + revision.duration_ms),
        recipient=revision.recipient.name(lang),
        revision_id=revision.id,
        shown_in=lang,
        lines=tuple(change_line(each, catalogue, lang) for each in compare(given, revision, lang)),
        asked=is_material(given, whole.newer),
        until=record.until_at,
        answer_by=min(whole.question.until_at, record.until_at) if whole.question else None,
        declined=whole.question is not None and whole.question.state == "refused",
    )


def router(host: Host) -> APIRouter:
    """/consents/{id}/renew."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)

    @routes.get("/consents/{consent_id}/renew")
    async def renew_form(request: Request, consent_id: str) -> Response:
        account, now = require_session(request, may="answer").account_id, host.clock.ms()
        whole = await host.db.read(read_whole, sealer, consent_id, account, now)
        if not whole.record.stands:
            return redirect(request, f"/consents/{consent_id}", notice=OVER)
        page = renew_page(whole, catalogue, i18n.current().code, now=now)
        return render(request, "resident/renew.html", page)

    @routes.post("/consents/{consent_id}/renew")
    async def renew(request: Request, consent_id: str) -> Response:
        session = require_session(request, may="answer")
        said = read(await read_form(request))

        def apply(db: Session) -> None:
            who: dict[str, Any] = {"consent_id": consent_id, "account_id": session.account_id}
            now, actor = host.clock.ms(), session.actor()
            if said.revision_id is None:
                records.defer(db, sealer, **who, actor=actor, now=now)
                return
            shown = {"revision_id": said.revision_id, "notice_lang": said.lang}
            if said.no:
                campaigns.decline(db, sealer, **who, **shown, actor=actor, now=now)
                return
            records.renew(db, sealer, **who, **shown, actor=actor, now=now)

        try:
            await host.db.write(apply)
        except ConsentState:
            return redirect(request, f"/consents/{consent_id}", notice=OVER)
        done = PUT_OFF if said.revision_id is None else DECLINED if said.no else RENEWED
        return redirect(request, f"/consents/{consent_id}", notice=done)

    return routes
