"""The page that asks: may this service use this data of yours?

GET shows what an authorization request asks, in the resident's words and with the resident's own values. POST answers
it: ONE write gives the consent for each agreement asked for and approves the authorization, so there is never a token
without its consent nor a consent whose service was told no (walk 2, invariants I2 and I7). The page's policy names the
client's proved origin in `form-action`, for the browser follows the redirect there.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent import agreements, questions, records
from consent.agreements import Revision
from consent.durations import parse_duration
from consent.errors import AgreementState, BadConsent
from consent.purposes import LAWFUL_BASES, PURPOSES
from identity import accounts, clients, members
from identity.assurance.verifications import Verifications
from identity.clients import Client
from identity.interaction import Interaction, Interactions
from identity.oauth.errors import InvalidGrantId, OAuthError, UnmetAuthentication
from identity.oauth.pages import AnswerForm, ErrorPage, FormPost
from identity.sessions import BrowserSession
from identity.subjects import sector_of
from infobank import views
from infobank.catalogue import SENSITIVITY_LABELS, Catalogue
from keys.envelope import Sealer
from kit import context
from kit.clock import DAY, SECOND, Millis
from kit.db import Session
from kit.front import Call, Reply, ascii_query
from kit.host import Actor, Host
from kit.problems import Conflict, Malformed, NotFound
from portal import i18n
from portal.contexts.base import ErrorPage as ErrorPageContext
from portal.contexts.interaction import Ask, CategoryRow, Consent, Earlier, Elsewhere, Scopes, StepUp
from portal.contexts.interaction import FormPost as FormPostContext
from portal.i18n import N_, _
from portal.pages import surer
from portal.pages.amending import Amending, amending, told, widened
from portal.pages.mydata import CAREFUL, headline
from portal.pages.service_mark import mark_of
from portal.visits import pages, require_own, sign_in_address, visit_of
from portal.web import Form, notice, origin_of, page_headers, read_form, redirect, render

WAITING_COOKIE, WAITING = "sekisho-waiting", 5
DEFERRED = notice("interaction.deferred", N_("Nothing has happened. The question waits below."), kind="info")
WORD_JOINER, NO_BREAK = "\u2060", "\u00a0"  # keep a date in one line


@dataclass(frozen=True)
class Element:
    """One data_use element with the revision it is about, narrowed as the service asked."""

    detail: Mapping[str, Any]
    revision: Revision
    standing: records.RecordView | None
    former: Revision | None  # the revision the standing consent was given for
    field: str

    @property
    def revision_field(self) -> str:
        """The name of the field that says which revision was shown."""
        return self.field.replace("category", "revision")

    @property
    def categories(self) -> tuple[str, ...]:
        """What is asked for: the agreement's categories, or fewer."""
        asked = self.detail.get("datatypes")
        return tuple(use.category for use in self.revision.categories if asked is None or use.category in asked)

    @property
    def required(self) -> frozenset[str]:
        """What the use cannot do without."""
        return self.revision.required

    def duration(self) -> Millis:
        """How long: the agreement's duration, or less."""
        asked = self.detail.get("duration")
        whole = self.revision.duration_ms
        return min(whole, parse_duration(asked)) if isinstance(asked, str) else whole


def elements_of(
    session: Session, interaction: Interaction, account_id: str, *, now: Millis, change: Amending | None = None
) -> tuple[Element, ...]:
    """The data uses of a request, with the agreements as they stand now; with what a merge keeps under them."""
    standing = {
        record.agreement_id: record for record in records.list_for(session, account_id, now=now) if record.stands
    }
    found: list[Element] = []
    for detail in interaction.details:
        if detail.get("type") != "data_use":
            continue
        revision = agreements.current(session, str(detail["agreement"]))
        record = standing.get(revision.agreement_id)
        former = None
        if record is not None and record.revision_id != revision.id:
            former = agreements.get_revision(session, record.revision_id)
        field = "category" if not found else f"category-{len(found) + 1}"
        if change is not None:
            detail = widened(detail, change.held, revision.all_categories)
        found.append(Element(detail, revision, record, former, field))
    return tuple(found)


def inside(name: str, lang: str) -> str:
    """A label inside a sentence: English ones begin small there, but not abbreviations."""
    if lang != "en" or name[1:2].isupper():
        return name
    return name[:1].lower() + name[1:]


def question(element: Element, catalogue: Catalogue, lang: str, until: Millis) -> str:
    """The one sentence at the top: who wants to use what, for what, until when."""
    needed = [c for c in element.categories if c in element.required] or list(element.categories)
    what = i18n.current().join(inside(_name(catalogue, c, lang), lang) for c in needed)
    if len(needed) < len(element.categories) and lang == "ja":
        what += "など"
    purpose = PURPOSES[element.revision.purpose].label(lang)
    day = i18n.current().day(until)
    day = WORD_JOINER.join(day) if lang == "ja" else day.replace(" ", NO_BREAK)
    return _(
        "May %(who)s see your %(what)s until %(until)s %(why)s?",
        who=element.revision.recipient.name(lang),
        what=what,
        until=day,
        why=inside(purpose, lang),
    )


def agreed_sentence(
    revision: Revision, categories: Sequence[str], catalogue: Catalogue, lang: str, until: Millis, *, over: bool = False
) -> str:
    """What was agreed to, in one sentence; in the past tense once it is over."""
    words = {
        "who": revision.recipient.name(lang),
        "what": i18n.current().join(inside(_name(catalogue, c, lang), lang) for c in categories),
        "until": i18n.current().day(until),
        "why": inside(PURPOSES[revision.purpose].label(lang), lang),
    }
    if over:
        return _("You had agreed that %(who)s may see your %(what)s until %(until)s %(why)s.", **words)
    return _("%(who)s may see your %(what)s until %(until)s %(why)s.", **words)


def duration_words(text: str) -> str:
    """A duration in days, or years where it is whole ones."""
    days = parse_duration(text) // DAY
    if days >= 365 and days % 365 == 0:
        return i18n.ngettext("%(num)d year", "%(num)d years", days // 365)
    return i18n.ngettext("%(num)d day", "%(num)d days", max(1, days))


def paragraphs(text: str) -> tuple[str, ...]:
    """The paragraphs of a notice."""
    return tuple(part.strip() for part in text.split("\n") if part.strip())


def jurisdiction_words(code: str) -> str:
    """Where the data stays."""
    return _("It stays in Japan.") if code == "JP" else _("It is used in another country (%(code)s).", code=code)


def _name(catalogue: Catalogue, category_id: str, lang: str) -> str:
    category = catalogue.find(category_id)
    return category.label.of(lang) if category else category_id


def _rows(
    element: Element, catalogue: Catalogue, cards: Mapping[str, views.CategoryCard], lang: str
) -> tuple[CategoryRow, ...]:
    uses = {use.category: use for use in element.revision.categories}
    before = element.former.all_categories if element.former else None
    agreed = frozenset(element.standing.categories) if element.standing else frozenset()
    rows = []
    for category_id in sorted(element.categories, key=lambda c: c not in element.required):
        category, card = catalogue.find(category_id), cards.get(category_id)
        newest = card.newest if card else None
        sensitivity = max(uses[category_id].sensitivity, category.sensitivity if category else 0)
        rows.append(
            CategoryRow(
                id=category_id,
                control=f"{element.field}-{category_id}",
                name=_name(catalogue, category_id, lang),
                description=category.description.of(lang) if category else "",
                sample=headline(newest, lang) if newest else "",
                sample_at=newest.recorded_at if newest else None,
                count=card.count if card else 0,
                required=category_id in element.required,
                # What was agreed to before stays ticked; everything else the resident ticks, never we.
                ticked=category_id in element.required or category_id in agreed,
                sensitivity=SENSITIVITY_LABELS[sensitivity].of(lang),
                careful=sensitivity >= CAREFUL,
                new=before is not None and category_id not in before,
            )
        )
    return tuple(rows)


def ask_of(
    session: Session,
    element: Element,
    catalogue: Catalogue,
    cards: Mapping[str, views.CategoryCard],
    *,
    lang: str,
    now: Millis,
) -> Ask:
    """One agreement as it is put to the resident."""
    revision, notice = element.revision, element.revision.notice(lang)
    member = members.find(session, revision.member_id)
    until = now + element.duration()
    accreditation = str(member.accreditation.get(lang, "")) if member else ""
    return Ask(
        field=element.field,
        revision_field=element.revision_field,
        revision_id=revision.id,
        title=notice.title,
        question=question(element, catalogue, lang, until),
        recipient=revision.recipient.name(lang),
        recipient_site=_("Questions to %(contact)s", contact=revision.recipient.contact),
        accreditation=accreditation or _("The city has admitted it as a member."),
        jurisdiction=jurisdiction_words(revision.jurisdiction),
        purpose=_("%(why)s. %(more)s", why=PURPOSES[revision.purpose].label(lang), more=notice.short),
        until=until,
        duration_days=max(1, element.duration() // DAY),
        retention=_("They delete what they saw within %(days)s.", days=duration_words(revision.retention)),
        benefit=notice.benefit,
        may_not=paragraphs(notice.forbidden),
        if_refused=notice.if_refused,
        basis=f"{LAWFUL_BASES[revision.lawful_basis].label(lang)} ({revision.lawful_basis}, {revision.purpose})",
        checked_by=_("The data ethics board has read this and allowed it to be put to you."),
        number=revision.number,
        full_text=paragraphs(notice.full),
        earlier=tuple(
            Earlier(old.number, old.created_at)
            for old in (agreements.revisions(session, revision.agreement_id) if revision.number > 1 else ())
            if old.number < revision.number
        ),
        changed=element.former is not None,
        rows=_rows(element, catalogue, cards, lang),
    )


def chosen_categories(element: Element, form: Form) -> list[str]:
    """What the resident agreed to: the required ones, and the optional ones that were ticked. Raises Malformed."""
    ticked = set(form.all(element.field))
    if not ticked <= set(element.categories):
        raise Malformed("A category was sent that was not asked for.")
    chosen = [c for c in element.categories if c in element.required or c in ticked]
    if not chosen:
        raise BadConsent("Tick at least one kind of data, or choose “I don't agree”.")
    return chosen


def check_shown(element: Element, form: Form) -> None:
    """What is agreed to is the text that was read: refuse an answer to another revision, or to none."""
    shown = form.one(element.revision_field)
    if not shown:
        raise Malformed("The answer does not say which text it is about.")
    if shown != element.revision.id:
        raise Conflict("The offer was changed while you were reading. Read it again, then answer.")


def router(host: Host) -> APIRouter:
    """/interaction/{id}, and the page for a request that cannot be redirected."""
    routes = pages(host)
    interactions, sealer, catalogue = host.get(Interactions), host.get(Sealer), host.get(Catalogue)
    from portal.pages.unasked import WithoutPage  # which looks at requests with this module's eyes

    visits, without_page = host.get(Verifications), WithoutPage(host)
    host.get(ErrorPage).render = _oauth_error_page
    host.get(FormPost).render = _form_post

    def look(
        session: Session, interaction_id: str, account_id: str, lang: str, action: str
    ) -> tuple[Interaction, Consent | Scopes]:
        interaction = interactions.get(session, interaction_id)
        client = _client(session, interaction)
        profile = accounts.profile(session, sealer, account_id)
        now = host.clock.ms()
        change = amending(session, interactions, interaction, account_id, now=now)
        scopes = (*interaction.learns, *(change.scopes if change else ()))
        learns = surer.learns_of(profile, scopes)
        keeps = "offline_access" in scopes
        amends = None
        if change is not None:
            amends = told(change, others(session, change, lang), learns, surer.learns_of(profile, change.grant.scopes))
        elements = elements_of(session, interaction, account_id, now=now, change=change)
        if not elements:
            member = members.find(session, client.member_id) if client.member_id else None
            owner = member.name(lang) if member else ""
            unchecked = "" if member or client.first_party else sector_of(interaction.redirect_uri)
            return interaction, Scopes(
                action,
                profile.name,
                client.name(lang),
                owner,
                unchecked,
                learns,
                keeps,
                interaction.expires_at,
                _elsewhere(interaction),
                amends,
                surer.verified_ask(session, visits, client, interaction, account_id),
                mark_of(session, client, lang),
            )
        cards = {
            card.category.id: card
            for area in views.areas(session, sealer, catalogue, account_id)
            for card in area.cards
        }
        asks = tuple(ask_of(session, each, catalogue, cards, lang=lang, now=now) for each in elements)
        page = Consent(
            action,
            profile.name,
            client.name(lang),
            asks,
            learns,
            keeps,
            _later_words(interaction, now),
            now,
            _elsewhere(interaction),
            amends,
            surer.verified_ask(session, visits, client, interaction, account_id),
            mark_of(session, client, lang),
        )
        return interaction, page

    def others(session: Session, change: Amending, lang: str) -> tuple[str, ...]:
        return tuple(
            agreed_sentence(
                agreements.get_revision(session, record.revision_id),
                record.categories,
                catalogue,
                lang,
                record.until_at,
            )
            for record in change.others
        )

    @routes.get("/interaction/{interaction_id}")
    async def show(request: Request, interaction_id: str) -> Response:
        browser = visit_of(request).browser
        require_own(request)  # whoever signs in at a service is always oneself
        interaction = await host.db.read(interactions.get, interaction_id)
        if browser is None or interactions.needs_sign_in(interaction, browser):
            return _see_other(sign_in_address(request, again=browser is not None))
        target = await host.db.write(interactions.resume, interaction_id, browser)
        if target is not None:
            return _see_other(target)
        _require_resident(interaction, browser)
        lang = i18n.current().code
        if interaction.details:
            spared = await host.db.read(without_page.possible, interaction_id, browser)
            target = await host.db.write(without_page.answer, interaction_id, browser, lang) if spared else None
            if target is not None:
                return _see_other(target)
        if (not_yet := await host.db.read(short_page, interaction_id, browser, lang, request.url.path)) is not None:
            origins = (origin_of(interaction.redirect_uri),)
            return render(request, "interaction/step_up.html", not_yet, form_action=origins)
        try:
            interaction, page = await host.db.read(look, interaction_id, browser.account_id, lang, request.url.path)
        except InvalidGrantId as error:
            return _see_other(await host.db.write(give_up, interaction_id, browser, error))
        template = "interaction/consent.html" if isinstance(page, Consent) else "interaction/scopes.html"
        return render(request, template, page, form_action=(origin_of(interaction.redirect_uri),))

    @routes.post("/interaction/{interaction_id}")
    async def answer(request: Request, interaction_id: str) -> Response:
        browser = visit_of(request).browser
        require_own(request)  # whoever signs in at a service is always oneself
        interaction = await host.db.read(interactions.get, interaction_id)
        if browser is None or interactions.needs_sign_in(interaction, browser):
            return _see_other(sign_in_address(request, again=browser is not None))
        _require_resident(interaction, browser)
        form = await read_form(request)
        said = form.one("answer")
        if said == "later" and browser.kind != "resident":
            return _see_other("/desk")  # staff have no letter; they start again at the service
        if said not in ("agree", "refuse", "later", "leave"):
            raise Malformed("Choose one of the answers.")
        step = {"agree": agree, "refuse": refuse, "later": later, "leave": leave}[said]
        shown_in = form.one("shown_in", i18n.current().code)
        if shown_in not in i18n.LANGUAGES:
            raise Malformed("The answer does not say in which language it was read.")
        target = await host.db.write(step, interaction_id, browser, form, shown_in)
        return _keep_waiting(request, interaction) if target is None else _see_other(target)

    def short_page(
        session: Session, interaction_id: str, browser: BrowserSession, lang: str, action: str
    ) -> StepUp | None:
        short = interactions.lacks(session, interaction_id, browser)
        if not short.any:
            return None
        client = _client(session, interactions.get(session, interaction_id))
        return surer.step_up(session, host, client, browser, short, action=action, lang=lang)

    def leave(session: Session, interaction_id: str, browser: BrowserSession, _form: Form, _lang: str) -> str:
        """Not as surely known as the service needs, and back to it: by the error that says so."""
        short = interactions.lacks(session, interaction_id, browser)
        if not short.any:  # meanwhile it is enough: whoever goes back all the same said no
            return interactions.refuse(session, interaction_id, account_id=browser.account_id)
        return interactions.refuse(
            session,
            interaction_id,
            account_id=browser.account_id,
            error=UnmetAuthentication,
            description="the resident is not as surely known as this client needs",
        )

    def agree(session: Session, interaction_id: str, browser: BrowserSession, form: Form, lang: str) -> str:
        """The resident agreed: every consent and the authorization, in this one write."""
        now = host.clock.ms()
        interaction = interactions.get(session, interaction_id)
        try:
            change = amending(session, interactions, interaction, browser.account_id, now=now)
        except InvalidGrantId as error:
            return give_up(session, interaction_id, browser, error)
        if change is not None:
            change.check_shown(form)
        granted: list[dict[str, Any]] = []
        consents: list[str] = []
        for element in elements_of(session, interaction, browser.account_id, now=now, change=change):
            check_shown(element, form)
            chosen = chosen_categories(element, form)
            given = records.give(
                session,
                sealer,
                account_id=browser.account_id,
                revision_id=element.revision.id,
                categories=chosen,
                notice_lang=lang,
                actor=browser.actor(),
                now=now,
                until_ms=now + element.duration(),
                question=put(interaction, element),
            )
            consents.append(given.consent_id)
            granted.append({**element.detail, "datatypes": sorted(chosen), "consent": given.consent_id})
        others = [detail for detail in interaction.details if detail.get("type") != "data_use"]
        target = interactions.approve(
            session,
            interaction_id,
            account_id=browser.account_id,
            session_id=browser.id,
            auth_at=browser.auth_at,
            acr=browser.acr,
            amr=browser.amr,
            scopes=interaction.scopes,
            details=[*granted, *others],
            consent_ids=consents,
        )
        if change is not None:
            change.end_others(session, sealer, browser=browser, now=now)
        return target

    def give_up(session: Session, interaction_id: str, browser: BrowserSession, error: InvalidGrantId) -> str:
        """The grant to be changed is over, or somebody else's: the service is told, nothing else happens."""
        return interactions.refuse(
            session,
            interaction_id,
            account_id=browser.account_id,
            error=InvalidGrantId,
            description=error.description,
        )

    def refuse(session: Session, interaction_id: str, browser: BrowserSession, _form: Form, lang: str) -> str:
        """The resident said no: a record of it for each agreement, and the service is told."""
        now = host.clock.ms()
        interaction = interactions.get(session, interaction_id)
        for element in elements_of(session, interaction, browser.account_id, now=now):
            with suppress(AgreementState):  # an offer taken back meanwhile needs no answer
                records.refuse(
                    session,
                    sealer,
                    account_id=browser.account_id,
                    revision_id=element.revision.id,
                    notice_lang=lang,
                    actor=browser.actor(),
                    now=now,
                    question=put(interaction, element),
                )
        return interactions.refuse(session, interaction_id, account_id=browser.account_id)

    def later(session: Session, interaction_id: str, browser: BrowserSession, form: Form, lang: str) -> str | None:
        """The resident decides later: what is asked for waits with their consents, and that it was put off is recorded.

        A service that waits with the browser is told that it got no consent (RFC 6749 section 4.1.2.1); one that asks
        from elsewhere goes on waiting, as long as it may (CIBA Core section 7.3). A mere sign-in waits in this browser.
        """
        now, actor = host.clock.ms(), browser.actor()
        interaction = interactions.get(session, interaction_id)
        who: dict[str, Any] = {"account_id": browser.account_id, "actor": actor, "now": now}
        elements = elements_of(session, interaction, browser.account_id, now=now)
        for element in elements:
            check_shown(element, form)
            with suppress(AgreementState):  # an offer taken back meanwhile does not wait
                if element.standing is not None:
                    about: dict[str, Any] = {"question": put(interaction, element), "revision": element.revision}
                    records.defer(session, sealer, consent_id=element.standing.id, **about, **who)
                    continue
                asked: dict[str, Any] = {"categories": element.categories, "notice_lang": lang}
                waiting = questions.ask(session, sealer, revision_id=element.revision.id, **asked, **who)
                questions.put_off(session, sealer, consent_id=waiting, **who)
        if elements and interaction.request.decoupled is None:
            return interactions.refuse(
                session, interaction_id, account_id=browser.account_id, description="the resident will decide later"
            )
        interactions.defer(session, interaction_id, account_id=browser.account_id, session_id=browser.id)
        return None

    return routes


def put(interaction: Interaction, element: Element) -> records.Put:
    """The question a service puts, for the record of what was asked."""
    by = Actor("service", interaction.client_id, client_id=interaction.client_id)
    return records.Put(element.categories, by)


def _later_words(interaction: Interaction, now: Millis) -> str:
    """What happens if the resident decides later."""
    if interaction.request.decoupled is not None:
        return _(
            "Nothing happens until you answer. The question waits on your first page until %(clock)s; after that, start"
            " again at the service.",
            clock=i18n.current().clock(interaction.expires_at),
        )
    return _(
        "You go back to the service, and it sees nothing. The question waits under “Consents” until %(day)s.",
        day=i18n.current().day(now + questions.WAITS),
    )


def waiting_ids(request: Request) -> tuple[str, ...]:
    """The requests that were put off in this browser. Only here can they be answered: the service knows it by a cookie
    of its own."""
    kept = request.cookies.get(WAITING_COOKIE, "").split(".")
    return tuple(each for each in kept if re.fullmatch(r"int_[0-9a-z]{26}", each))[:WAITING]


def _keep_waiting(request: Request, interaction: Interaction) -> Response:
    response = redirect(request, "/home", notice=DEFERRED)
    ids = [interaction.id, *(each for each in waiting_ids(request) if each != interaction.id)]
    response.set_cookie(
        WAITING_COOKIE,
        ".".join(ids[:WAITING]),
        max_age=(interaction.expires_at - interaction.created_at) // SECOND,
        secure=visit_of(request).secure,
        httponly=True,
        samesite="lax",
    )
    return response


def _client(session: Session, interaction: Interaction) -> Client:
    client = clients.find(session, interaction.client_id)
    if client is None:
        raise NotFound("The service that asked is not registered any more.")
    return client


def _elsewhere(interaction: Interaction) -> Elsewhere | None:
    request = interaction.request
    if request.decoupled is None:
        return None
    return Elsewhere(request.user_code is not None, request.user_code or request.binding_message or "")


def _require_resident(interaction: Interaction, browser: BrowserSession) -> None:
    if interaction.details and browser.kind != "resident":
        raise NotFound("Only residents have data here.")
    if interaction.request.decoupled is not None and interaction.account_id != browser.account_id:
        # One person typed the code, or was asked; a link to their page gives nobody else's account to the device.
        raise NotFound("Somebody else is answering this.")


def _see_other(target: str) -> Response:
    headers = {"cache-control": "no-store", "referrer-policy": "no-referrer"}
    return RedirectResponse(target, status_code=303, headers=headers)


def _form_post(call: Call, form: AnswerForm) -> Reply:
    """An answer that goes to the service by a form (OAuth 2.0 Form Post Response Mode)."""
    request = Request(call.scope)
    visit = visit_of(request)
    name = form.name_ja if visit.language.code == "ja" else form.name_en
    page = render(request, "interaction/form_post.html", FormPostContext(name, form.action, form.fields))
    # The service may look where the form came from (its own guard against forged requests): our origin, no more.
    headers = page_headers((origin_of(form.action),)) | {"referrer-policy": "origin"}
    said = [(header.encode(), value.encode("latin-1")) for header, value in headers.items()]
    return Reply(200, bytes(page.body), [(b"content-type", b"text/html; charset=utf-8"), *said])


def _oauth_error_page(call: Call, error: OAuthError) -> Reply:
    """A request whose client or address is not proved: told to the person, never redirected (RFC 6749 4.1.2.1)."""
    from portal.web import render as render_page

    request = Request({**call.scope, "query_string": ascii_query(call.scope["query_string"])})
    visit = visit_of(request)
    with i18n.speaking(visit.language):
        page = ErrorPageContext(
            status=400,
            title=N_("The service's request cannot be accepted"),
            what=N_("What the service sent us is not right, so we stopped. Nothing was changed."),
            next_step=N_("Go back to the service and try again. If it happens again, tell the service."),
            detail=f"{error.code}: {error.description}",
            action_href="/",
            action_label=N_("To the front page"),
            reference=context.request.get().request_id,
        )
        response = render_page(request, "error.html", page, status=400)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in page_headers().items()]
    return Reply(400, bytes(response.body), [(b"content-type", b"text/html; charset=utf-8"), *headers])
