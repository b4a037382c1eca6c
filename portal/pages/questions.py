"""A question that waits with the resident's consents: read and answered here, without the service.

The same page as at the service (`portal.pages.interaction`), about one agreement. The answer goes on in the question's
own record. No token comes of it: the service learns of a consent by its stream, or the next time it asks.
"""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, questions, records
from consent.errors import AgreementState, ConsentState, UnknownConsent
from consent.records import RecordView
from consent.states import OPEN
from identity import accounts
from infobank import views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.db import Session
from kit.host import Host
from kit.problems import Malformed
from portal import i18n
from portal.contexts.interaction import Consent
from portal.i18n import N_, _
from portal.pages.asked import Element, ask_of, check_shown, chosen_categories
from portal.visits import may_see, pages, require_session
from portal.web import Form, notice, read_form, redirect, render

AGREED = notice("question.agreed", N_("You have agreed. The seal and the receipt are below."))
REFUSED = notice("question.refused", N_("You said no. Nobody sees anything because of it."))
WAITS = notice("question.waits", N_("Nothing has happened. The question goes on waiting here."), kind="info")
GONE = notice("question.gone", N_("This question does not wait any more. Nothing was changed."), kind="info")


def element_of(session: Session, record: RecordView) -> Element:
    """What is asked, by the text in force now: only that can be agreed to."""
    revision = agreements.current(session, record.agreement_id)
    asked = {"datatypes": sorted((frozenset(record.categories) & revision.all_categories) | revision.required)}
    return Element(asked, revision, None, None, "category")


def router(host: Host) -> APIRouter:
    """/consents/{id}/answer."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)

    def look(session: Session, consent_id: str, account_id: str, action: str, lang: str) -> Consent | None:
        now = host.clock.ms()
        record = records.get(session, consent_id, account_id=account_id, now=now)
        if not may_see(record.purpose):
            raise UnknownConsent("No consent of yours has this id.")
        if record.state != OPEN:
            return None
        element = element_of(session, record)
        areas = views.areas(session, sealer, catalogue, account_id)
        cards = {card.category.id: card for area in areas for card in area.cards}
        return Consent(
            action=action,
            person=accounts.profile(session, sealer, account_id).name,
            client=element.revision.recipient.name(lang),
            asks=(ask_of(session, element, catalogue, cards, lang=lang, now=now),),
            learns=(),
            keeps_access=False,
            later=_(
                "Nothing happens until you answer. The question waits here until %(day)s.",
                day=i18n.current().day(record.until_at),
            ),
            now=now,
            elsewhere=None,
        )

    @routes.get("/consents/{consent_id}/answer")
    async def show(request: Request, consent_id: str) -> Response:
        account, lang = require_session(request, may="answer").account_id, i18n.current().code
        page = await host.db.read(look, consent_id, account, request.url.path, lang)
        if page is None:
            return redirect(request, f"/consents/{consent_id}", notice=GONE)
        return render(request, "interaction/consent.html", page)

    @routes.post("/consents/{consent_id}/answer")
    async def answer(request: Request, consent_id: str) -> Response:
        browser = require_session(request, may="answer")
        form = await read_form(request)
        said, lang = form.one("answer"), form.one("shown_in", i18n.current().code)
        if said not in _SAID or lang not in i18n.LANGUAGES:
            raise Malformed("Choose one of the answers.")

        def apply(session: Session, form: Form) -> None:
            now, actor = host.clock.ms(), browser.actor()
            record = records.get(session, consent_id, account_id=browser.account_id, now=now)
            if record.state != OPEN:
                raise ConsentState("This question does not wait any more.")
            who: dict[str, Any] = {"account_id": browser.account_id, "actor": actor, "now": now}
            if said == "later":
                questions.put_off(session, sealer, consent_id=consent_id, **who)
                return
            element = element_of(session, record)
            check_shown(element, form)
            shown: dict[str, Any] = {"revision_id": element.revision.id, "notice_lang": lang}
            if said == "agree":
                records.give(session, sealer, categories=chosen_categories(element, form), **shown, **who)
            else:
                records.refuse(session, sealer, **shown, **who)

        try:
            await host.db.write(apply, form)
        except (ConsentState, AgreementState):
            return redirect(request, "/consents", notice=GONE)
        place = "/consents" if said == "later" else f"/consents/{consent_id}"
        return redirect(request, place, notice=_SAID[said])

    return routes


_SAID = {"agree": AGREED, "refuse": REFUSED, "later": WAITS}
