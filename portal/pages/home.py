"""Home: a short letter about what happened with your data lately, and four doors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from consent import agreements, asks, records
from consent.materiality import is_material
from consent.states import OPEN
from identity import accounts, clients
from identity.assurance.verifications import Verifications
from identity.interaction import Interaction, Interactions
from identity.resets import Resets
from infobank import views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import DAY, Millis
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts.resident import Door, Home, Sentence
from portal.i18n import _, ngettext
from portal.pages.interaction import waiting_ids
from portal.pages.safety import sensitive
from portal.visits import pages, require_session, visit_of
from portal.web import render

RECENT = 7
TOLD = 14  # how long an answer in advance is told of here
MONTH = 30


@dataclass(frozen=True)
class Ending:
    """A consent that ends soon."""

    consent_id: str
    title: str
    until: Millis


@dataclass(frozen=True)
class Question:
    """A request that waits for the resident: put off, or asked from elsewhere."""

    interaction_id: str
    service: str
    until: Millis


@dataclass(frozen=True)
class Changed:
    """A consent whose offer has changed since it was given."""

    consent_id: str
    title: str
    material: bool
    answer_by: Millis | None  # asked by a campaign


@dataclass(frozen=True)
class Facts:
    """What the letter is made of."""

    name: str
    now: Millis
    week: tuple[views.RecipientCount, ...]
    month_uses: int
    categories: int
    records: int
    newest_at: Millis | None
    standing: int
    endings: tuple[Ending, ...]
    questions: tuple[Question, ...]
    changed: tuple[Changed, ...]
    asked: tuple[Ending, ...] = ()  # questions that wait with the consents
    in_advance: tuple[tuple[str, str, bool], ...] = ()  # what an instruction answered lately: consent, title, agreed
    reset_opened_at: Millis | None = None
    reset_at: Millis | None = None
    recovery_from: Millis | None = None  # the resident's own recovery: when it can be finished
    verified_at: Millis | None = None
    sensitive: tuple[tuple[Millis, str], ...] = ()


def gather(
    session: Session,
    sealer: Sealer,
    catalogue: Catalogue,
    account_id: str,
    put_off: Sequence[Interaction],
    *,
    lang: str,
    now: Millis,
) -> Facts:
    """Read what there is to tell."""
    services = [(each, clients.find(session, each.client_id)) for each in put_off]
    areas = views.areas(session, sealer, catalogue, account_id)
    cards = [card for area in areas for card in area.cards if card.count]
    mine = records.list_for(session, account_id, now=now)
    standing = [record for record in mine if record.stands]
    asked = tuple(
        Ending(each.id, agreements.get_revision(session, each.revision_id).notice(lang).title, each.until_at)
        for each in mine
        if each.state == OPEN
    )
    endings = tuple(
        Ending(each.id, agreements.get_revision(session, each.revision_id).notice(lang).title, each.until_at)
        for each in standing
        if each.until_at - now <= MONTH * DAY
    )
    return Facts(
        name=accounts.profile(session, sealer, account_id).name,
        now=now,
        week=views.by_recipient(session, account_id, since=now - RECENT * DAY, until=now + 1),
        month_uses=sum(
            each.count for each in views.by_recipient(session, account_id, since=now - MONTH * DAY, until=now + 1)
        ),
        categories=len(cards),
        records=sum(card.count for card in cards),
        newest_at=max((card.latest_at for card in cards if card.latest_at is not None), default=None),
        standing=len(standing),
        endings=endings,
        asked=asked,
        in_advance=tuple(
            (each.id, agreements.get_revision(session, each.revision_id).notice(lang).title, each.stands)
            for each in mine
            if each.instruction_id is not None
            and now - each.changed_at <= TOLD * DAY
            and (each.stands or each.state == "refused")
        ),
        changed=tuple(_changed(session, standing, lang)),
        questions=tuple(
            Question(each.id, service.name(lang), each.expires_at) for each, service in services if service
        ),
    )


def _changed(session: Session, standing: Sequence[records.RecordView], lang: str) -> Iterator[Changed]:
    for each in standing:
        given = agreements.get_revision(session, each.revision_id)
        if given.status != "superseded":
            continue
        if between := agreements.since(session, given):
            question = asks.of_record(session, each.id)
            if question is None or question.state != "refused":  # who said no is not asked again, here neither
                answer_by = min(question.until_at, each.until_at) if question else None
                yield Changed(each.id, given.notice(lang).title, is_material(given, between), answer_by)


def letter(facts: Facts, lang: str) -> Home:
    """The letter. Pure."""
    language = i18n.current()
    uses = sum(each.count for each in facts.week)
    if uses:
        who = language.join(each.recipient.name(lang) for each in facts.week)
        first = Sentence(
            ngettext(
                "In the last seven days your data was used once, by %(who)s.",
                "In the last seven days your data was used %(num)d times, by %(who)s.",
                uses,
                who=who,
            ),
            "/who",
            _("See more"),
        )
    else:
        first = Sentence(_("In the last seven days nobody used your data."), "", "")
    lines = [first]
    if facts.standing == 0:
        lines.append(Sentence(_("You have not agreed to any use, so nobody may see it."), "", ""))
    waiting = tuple(
        Sentence(
            _(
                "“%(title)s” ends on %(day)s. After that nothing is seen any more.",
                title=e.title,
                day=language.day(e.until),
            ),
            f"/consents/{e.consent_id}",
            _("See the consent"),
        )
        for e in sorted(facts.endings, key=lambda each: each.until)
    ) + tuple(
        Sentence(
            _("“%(title)s” has new words. What it means is the same.", title=each.title),
            f"/consents/{each.consent_id}/renew",
            _("See what is different"),
        )
        for each in facts.changed
        if not each.material
    )
    return Home(
        person=facts.name,
        today=facts.now,
        letter=tuple(lines),
        questions=tuple(
            Sentence(
                _(
                    "“%(service)s” asked you something. It waits until %(clock)s.",
                    service=each.service,
                    clock=language.clock(each.until),
                ),
                f"/interaction/{each.interaction_id}",
                _("See the question"),
            )
            for each in facts.questions
        )
        + tuple(
            Sentence(
                _("“%(title)s” waits for your answer until %(day)s.", title=each.title, day=language.day(each.until)),
                f"/consents/{each.consent_id}/answer",
                _("See the question"),
            )
            for each in facts.asked
        )
        + tuple(
            Sentence(
                _("“%(title)s” has changed. You are asked again.", title=each.title)
                if each.answer_by is None
                else _(
                    "“%(title)s” has changed. You are asked again, until %(day)s.",
                    title=each.title,
                    day=language.day(each.answer_by),
                ),
                f"/consents/{each.consent_id}/renew",
                _("See what is different"),
            )
            for each in facts.changed
            if each.material
        ),
        waiting=(*_resets(facts, language), *_in_advance(facts), *waiting),
        doors=_doors(facts),
    )


def _in_advance(facts: Facts) -> tuple[Sentence, ...]:
    """What standing instructions answered lately, each with the way to undo it."""
    return tuple(
        Sentence(
            _("As you said in advance, “%(title)s” was agreed to.", title=title)
            if agreed
            else _("As you said in advance, “%(title)s” was refused.", title=title),
            f"/consents/{consent}#in-advance",
            _("See it, or undo it"),
        )
        for consent, title, agreed in facts.in_advance
    )


def _resets(facts: Facts, language: i18n.Language) -> tuple[Sentence, ...]:
    """What the city office did to the account: whoever did not ask for it reads it here."""
    told = []
    if facts.recovery_from is not None:
        words = _(
            "Somebody is recovering your account with a recovery code and your e-mail. From %(when)s on they can make a"
            " new way in. If that is not you, stop it.",
            when=language.moment(facts.recovery_from),
        )
        told.append(Sentence(words, "/safety#reset-waits", _("Stop it")))
    elif facts.reset_opened_at is not None:
        words = _(
            "On %(day)s the city office began to make a new way in for you. If you did not ask for it, tell the city"
            " office at once.",
            day=language.day(facts.reset_opened_at),
        )
        told.append(Sentence(words, "/safety#office-title", _("See what happened")))
    if facts.reset_at is not None:
        words = _(
            "On %(day)s your ways to sign in were replaced with a code from the city office. If that was not you, tell"
            " the city office at once.",
            day=language.day(facts.reset_at),
        )
        told.append(Sentence(words, "/safety#office-title", _("See what happened")))
    if facts.verified_at is not None:
        words = _(
            "On %(day)s a clerk verified who you are. If you were not at the counter, tell the city office at once.",
            day=language.day(facts.verified_at),
        )
        told.append(Sentence(words, "/safety/verified", _("See who and how")))
    for at, words in facts.sensitive:
        told.append(Sentence(_(words, when=language.moment(at)), "/not-me", _("That was not me")))
    return tuple(told)


def _doors(facts: Facts) -> tuple[Door, ...]:
    language = i18n.current()
    if facts.newest_at is not None:
        held = ngettext(
            "%(num)d record is kept here. The newest is of %(day)s.",
            "%(num)d records are kept here. The newest is of %(day)s.",
            facts.records,
            day=language.day(facts.newest_at),
        )
    else:
        held = _("Nothing is kept here yet.")
    used = ngettext("Used once in the last 30 days.", "Used %(num)d times in the last 30 days.", facts.month_uses)
    agreed = ngettext("You agree to %(num)d use.", "You agree to %(num)d uses.", facts.standing)
    return (
        Door("door-data", "/data", _("My data"), held),
        Door("door-who", "/who", _("Who used it"), used if facts.month_uses else _("Nobody in the last 30 days.")),
        Door(
            "door-consents", "/consents", _("Consents"), agreed if facts.standing else _("You agree to no use so far.")
        ),
        Door("door-safety", "/safety", _("Safety"), _("Your keys, and where you are signed in.")),
    )


def router(host: Host) -> APIRouter:
    """/home."""
    routes = pages(host)
    sealer, catalogue, interactions = host.get(Sealer), host.get(Catalogue), host.get(Interactions)
    resets, visits = host.get(Resets), host.get(Verifications)

    @routes.get("/home")
    async def home(request: Request) -> Response:
        browser = visit_of(request).browser
        if browser is not None and browser.kind == "staff":
            return RedirectResponse("/desk", status_code=303, headers={"cache-control": "no-store"})
        if visit_of(request).acting is not None:
            return RedirectResponse("/consents", status_code=303, headers={"cache-control": "no-store"})
        current = require_session(request)
        account = current.account_id
        lang, now = i18n.current().code, host.clock.ms()

        def read(session: Session) -> Facts:
            waiting = interactions.asked_of(session, account)
            known = {each.id for each in waiting}
            put_off = interactions.deferred(session, waiting_ids(request), account_id=account)
            asked = (*waiting, *(each for each in put_off if each.id not in known))
            facts = gather(session, sealer, catalogue, account, asked, lang=lang, now=now)
            live = resets.live_of(session, account)
            return replace(
                facts,
                reset_opened_at=live.opened_at if live else None,
                reset_at=resets.used_at(session, account),
                recovery_from=live.ready_at if live and live.opened_by == account else None,
                verified_at=visits.verified_lately(session, account),
                sensitive=sensitive(session, current, now=now),
            )

        facts = await host.db.read(read)
        return render(request, "resident/home.html", letter(facts, lang))

    return routes
