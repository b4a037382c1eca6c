"""The page that asks: may this service use this data of yours?

GET shows what an authorization request asks, in the resident's words and with the resident's own values. POST answers
it: ONE write gives the consent for each agreement asked for and approves the authorization, so there is never a token
without its consent nor a consent whose service was told no (walk 2, invariants I2 and I7). The page's policy names the
client's proved origin in `form-action`, for the browser follows the redirect there.
"""

import re
from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent import agreements, questions, records
from consent.errors import AgreementState
from identity import accounts, clients, members
from identity.assurance.verifications import Verifications
from identity.clients import Client
from identity.interaction import Interaction, Interactions
from identity.oauth.errors import InvalidGrantId, OAuthError, UnmetAuthentication
from identity.oauth.pages import AnswerForm, ErrorPage, FormPost
from identity.sessions import BrowserSession
from identity.subjects import sector_of
from infobank import views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit import context
from kit.clock import SECOND, Millis
from kit.db import Session
from kit.front import Call, Reply, ascii_query
from kit.host import Host
from kit.problems import Malformed, NotFound
from portal import i18n
from portal.contexts.base import ErrorPage as ErrorPageContext
from portal.contexts.interaction import Consent, Elsewhere, Scopes, StepUp
from portal.contexts.interaction import FormPost as FormPostContext
from portal.i18n import N_, _
from portal.pages import surer
from portal.pages.amending import Amending, amending, told
from portal.pages.asked import agreed_sentence, ask_of, check_shown, chosen_categories, elements_of, put
from portal.pages.service_mark import mark_of
from portal.pages.unasked import WithoutPage
from portal.visits import pages, require_own, sign_in_address, visit_of
from portal.web import Form, notice, origin_of, page_headers, read_form, redirect, render

WAITING_COOKIE, WAITING = "sekisho-waiting", 5
DEFERRED = notice("interaction.deferred", N_("Nothing has happened. The question waits below."), kind="info")


def router(host: Host) -> APIRouter:
    """/interaction/{id}, and the page for a request that cannot be redirected."""
    routes = pages(host)
    interactions, sealer, catalogue = host.get(Interactions), host.get(Sealer), host.get(Catalogue)

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
            code=error.code,
        )
        response = render_page(request, "error.html", page, status=400)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in page_headers().items()]
    return Reply(400, bytes(response.body), [(b"content-type", b"text/html; charset=utf-8"), *headers])
