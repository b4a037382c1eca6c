"""Consents: what was agreed to, what came of it, the receipt with the seal, and taking it back."""

from contextlib import suppress
from dataclasses import dataclass

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, asks, endings, records
from consent import receipts as receipts_module
from consent.asks import Question
from consent.changes import StoredEvent
from consent.endings import EndingView
from consent.errors import BadConsent, ConsentState, ReceiptNotReady, UnknownConsent
from consent.ledger import commitment
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.receipts import MEDIA_TYPE
from consent.records import RecordView
from consent.revisions import Revision
from consent.states import OPEN, UNANSWERED
from identity import accounts, clients, grants
from infobank import views
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import DAY, SECOND, Millis, from_iso, to_datetime
from kit.db import Session
from kit.encoding import b64url, b64url_decode
from kit.host import Host
from portal import i18n
from portal.contexts.resident import Choice, ConsentView, EventLine, Receipt, Withdraw
from portal.i18n import JST, N_, _
from portal.pages.asked import agreed_sentence, inside, paragraphs
from portal.pages.showing import qr_svg
from portal.visits import may_see, pages, require_session
from portal.web import notice, page_headers, read_form, redirect, render

RENEWABLE: Millis = 30 * DAY  # the home page speaks of an end from then on
WITHDRAWN = notice("consent.withdrawn", N_("You have taken it back. Nobody can see this data because of it any more."))
CHANGED = notice("consent.changed", N_("It is changed, from this moment on."))
OVER = notice("consent.over", N_("This consent was over already. Nothing was changed."), kind="info")

STATES = {
    "requested": N_("It waits for your answer"),
    "lapsed": N_("It was never answered"),
    "given": N_("It is in force"),
    "refused": N_("You said no"),
    "withdrawn": N_("You took it back"),
    "ended": N_("They ended it"),
    "expired": N_("It ran out"),
    "invalidated": N_("It was ended"),
}
_SEALS = {
    "given": N_("AGREED"),
    "refused": N_("REFUSED"),
    "withdrawn": N_("ENDED"),
    "ended": N_("ENDED"),
    "expired": N_("OVER"),
    "invalidated": N_("ENDED"),
}
_EVENTS = {
    "given": N_("You agreed."),
    "renewed": N_("You agreed anew."),
    "changed": N_("You changed what is seen."),
    "refused": N_("You said no."),
    "withdrawn": N_("You took it back."),
    "ended": N_("They ended it. You did nothing, and need to do nothing."),
    "expired": N_("It ran out."),
    "invalidated": N_("It was ended, because the offer it rests on was taken back."),
    "asked": N_("You were asked."),
    "unanswered": N_("The question ran out. You had not answered."),
    "not-asked-any-more": N_("They do not ask any more."),
    "requested": N_("The offer changed. You are asked again."),
    "deferred": N_("You put off the question."),
    "notified": N_("The offer has new words. What it means is the same."),
    "ends-soon": N_("We told you that it ends soon."),
    "asked-again": N_("We reminded you of the question."),
    "came-of-age": N_("You came of age. What your guardian agreed to has ended, and you are asked yourself."),
    "not-answered": N_("It ended, because you did not agree to the changed offer in time."),
}


#: Who did it in the person's stead.
_BY = {
    "guardian": N_("%(what)s Your guardian did this for you."),
    "delegate": N_("%(what)s Somebody with your mandate did this for you."),
    "standing-instruction": N_("%(what)s Your answer given in advance did this for you."),
}


@dataclass(frozen=True)
class Whole:
    """A consent with everything about it."""

    record: RecordView
    revision: Revision
    events: tuple[StoredEvent, ...]
    uses: int
    last_use: Millis | None
    ending: EndingView | None
    newer: tuple[Revision, ...]  # the offer's revisions since, the one in force last
    question: Question | None  # asked by a campaign, until when

    @property
    def lang(self) -> str:
        """The language the resident read when they answered."""
        return str(self.events[-1].document["notice"]["lang"])


def read_whole(session: Session, sealer: Sealer, consent_id: str, account_id: str, now: Millis) -> Whole:
    """Read a consent; raises UnknownConsent for none and for another's."""
    record = records.get(session, consent_id, account_id=account_id, now=now)
    if not may_see(record.purpose):
        raise UnknownConsent("No consent of yours has this id.")
    uses, last = views.by_consent(session, account_id).get(consent_id, (0, None))
    revision = agreements.get_revision(session, record.revision_id)
    later = agreements.since(session, revision) if record.stands and revision.status != "withdrawn" else ()
    return Whole(
        record=record,
        revision=revision,
        events=records.history(session, sealer, consent_id, account_id=account_id),
        uses=uses,
        last_use=last,
        ending=None if record.stands else endings.of_consent(session, consent_id),
        newer=later,
        question=asks.of_record(session, consent_id) if later else None,
    )


def told_lines(ending: EndingView | None, recipient: str, *, within: Millis, now: Millis) -> tuple[str, ...]:
    """Whether the recipient knows that it is over, and what it has said to that. Pure."""
    if ending is None:
        return ()
    day, by = i18n.current().day, ending.made_at + within
    if ending.confirmed_at is not None:
        on = day(ending.confirmed_at)
        if ending.data == "erased":
            return (_("%(who)s confirmed on %(day)s that it stopped, and deleted this data.", who=recipient, day=on),)
        return (
            _("%(who)s confirmed on %(day)s that it stopped.", who=recipient, day=on),
            _("A law obliges it to keep this data for a while. It is used for nothing else."),
        )
    if ending.told_at is not None:
        first = _("%(who)s was told on %(day)s.", who=recipient, day=day(ending.told_at))
    else:
        first = _("%(who)s could not be told yet. We keep trying.", who=recipient)
    if now >= by:
        return first, _("It has not confirmed in time that it stopped. The city's security team knows.")
    return first, _("It has until %(day)s to confirm that it stopped.", day=day(by))


def figures(ms: Millis) -> str:
    """A date as a seal carries it."""
    return f"{to_datetime(ms).astimezone(JST):%Y.%m.%d}"


def names(categories: tuple[str, ...], catalogue: Catalogue, lang: str) -> tuple[str, ...]:
    """Kinds of data in words, for one sentence; the id of what the bank does not know."""
    found = [(catalogue.find(each), each) for each in categories]
    words = [category.label.of(lang) if category else name for category, name in found]
    return (*words[:1], *(inside(word, lang) for word in words[1:]))


def _given_at(whole: Whole) -> Millis:
    """When the answer that stands (or stood last) was given."""
    answers = [e for e in whole.events if e.document["type"] in ("given", "renewed", "refused", "changed")]
    return from_iso(answers[-1].document["time"]) if answers else whole.record.created_at


def consent_page(
    whole: Whole, catalogue: Catalogue, lang: str, *, now: Millis = 0, told: tuple[str, ...] = ()
) -> ConsentView:
    """The page of one consent. Pure."""
    record, revision = whole.record, whole.revision
    text = revision.notice(lang)
    gettext = i18n.current().gettext
    agreed = record.categories
    if record.state == "refused":
        sentence = _("You said no to this. Nobody sees anything because of it.")
    elif record.state in UNANSWERED:
        sentence = _("You were asked this and have not answered. Nobody sees anything because of it.")
    else:
        sentence = agreed_sentence(revision, agreed, catalogue, lang, record.until_at, over=not record.stands)
    return ConsentView(
        id=record.id,
        title=text.title,
        sentence=sentence,
        state="given" if record.stands else "ended",
        state_words=gettext(STATES[record.state]),
        seal_words=gettext(_SEALS[record.state]) if record.state in _SEALS else "",
        seal_date=figures(_given_at(whole) if record.stands else record.changed_at),
        recipient=revision.recipient.name(lang),
        purpose=PURPOSES[revision.purpose].label(lang),
        what=names(agreed, catalogue, lang) or (_("nothing"),),
        not_agreed=names(
            tuple(use.category for use in revision.categories if use.category not in agreed), catalogue, lang
        ),
        given_at=_given_at(whole),
        until=record.until_at if record.stands else None,
        benefit=text.benefit if record.stands else "",
        basis=f"{LAWFUL_BASES[revision.lawful_basis].label(lang)} ({revision.lawful_basis})",
        full_text=paragraphs(text.full),
        uses=whole.uses,
        last_use=whole.last_use,
        choices=_choices(whole, catalogue, lang),
        events=tuple(_event_line(event, catalogue, lang) for event in whole.events),
        changed=bool(whole.newer),
        answer_by=min(whole.question.until_at, record.until_at) if whole.question else None,
        declined=whole.question is not None and whole.question.state == "refused",
        renewable=record.stands and revision.status == "approved" and record.until_at - now <= RENEWABLE,
        told=told,
        confirmed=whole.ending is not None and whole.ending.confirmed_at is not None,
        several=revision.number > 1 or bool(whole.newer),
        in_advance=record.instruction_id is not None and (record.stands or record.state == "refused"),
    )


def _choices(whole: Whole, catalogue: Catalogue, lang: str) -> tuple[Choice, ...]:
    """What may be allowed or stopped by itself; nothing where all is needed, or the consent is over."""
    uses = whole.revision.categories
    if not whole.record.stands or all(use.required for use in uses):
        return ()
    words = names(tuple(use.category for use in uses), catalogue, lang)
    return tuple(
        Choice(use.category, name, use.required, use.category in whole.record.categories)
        for use, name in zip(uses, words, strict=True)
    )


def _event_line(event: StoredEvent, catalogue: Catalogue, lang: str) -> EventLine:
    document = event.document
    detail = ""
    if document["type"] in ("given", "renewed", "changed"):
        detail = i18n.current().join(names(tuple(document["categories"]), catalogue, lang))
    words = i18n.current().gettext(_EVENTS.get(document.get("reason", ""), _EVENTS[document["type"]]))
    return EventLine(from_iso(document["time"]), in_whose_stead(words, event), detail)


def in_whose_stead(words: str, event: StoredEvent) -> str:
    """The same, and who did it for the person, or what they had said in advance."""
    by = _BY.get(event.document["actor"]["authority"])
    return words if by is None else i18n.current().gettext(by) % {"what": words}


def ledger_index(made: receipts_module.Receipt) -> int:
    """The line of the ledger a receipt proves to be in (c2sp.org/tlog-proof)."""
    lines = str(orjson.loads(made.content)["proof"]).split("\n", 3)
    return next(int(line.split(" ", 1)[1]) for line in lines if line.startswith("index "))


def entry_address(made: receipts_module.Receipt, issuer: str) -> str:
    """Where a receipt's file is checked, with the name of its entry in the ledger: no other file passes there. The name
    is public, and tells nothing to who does not have the file.
    """
    bundle = orjson.loads(made.content)
    return f"{issuer}/ledger#{b64url(commitment(b64url_decode(bundle['salt']), bundle['event']))}"


def receipt_page(
    whole: Whole, catalogue: Catalogue, lang: str, *, person: str, index: int | None, issuer: str, qr: str = ""
) -> Receipt:
    """The receipt as a page to read and print. Pure."""
    view = consent_page(whole, catalogue, lang)
    return Receipt(
        id=view.id,
        title=view.title,
        person=person,
        sentence=view.sentence,
        seal_words=view.seal_words,
        seal_date=view.seal_date,
        state=view.state,
        state_words=view.state_words,
        given_at=view.given_at,
        until=whole.record.until_at,
        recipient=view.recipient,
        purpose=view.purpose,
        what=view.what,
        number=whole.revision.number,
        notice_hash=str(whole.events[-1].document["notice"]["hash"]),
        log_index=index,
        download_href=f"/consents/{view.id}/receipt.json",
        issuer=issuer,
        qr=qr,
    )


def router(host: Host) -> APIRouter:
    """/consents/{id} and below."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)
    receipts = host.get(receipts_module.Receipts)
    within = round(host.settings.consent.acknowledge_within.total_seconds() * SECOND)

    @routes.get("/consents/{consent_id}")
    async def consent(request: Request, consent_id: str) -> Response:
        account = require_session(request, may="see").account_id
        whole = await host.db.read(read_whole, sealer, consent_id, account, host.clock.ms())
        if whole.record.state == OPEN:
            return redirect(request, f"/consents/{consent_id}/answer")
        lang = i18n.current().code
        recipient = whole.revision.recipient.name(lang)
        now = host.clock.ms()
        told = told_lines(whole.ending, recipient, within=within, now=now)
        return render(request, "resident/consent.html", consent_page(whole, catalogue, lang, now=now, told=told))

    @routes.post("/consents/{consent_id}/change")
    async def change(request: Request, consent_id: str) -> Response:
        session = require_session(request, may="answer")
        ticked = set((await read_form(request)).all("category"))
        now = host.clock.ms()

        def apply(db: Session) -> bool:
            record = records.get(db, consent_id, account_id=session.account_id, now=now)
            revision = agreements.get_revision(db, record.revision_id)
            chosen = ticked | revision.required
            if not record.stands or chosen == set(record.categories):
                return record.stands
            records.change(
                db,
                sealer,
                consent_id=consent_id,
                account_id=session.account_id,
                categories=chosen,
                actor=session.actor(),
                now=now,
            )
            return True

        try:
            stands = await host.db.write(apply)
        except BadConsent:  # nothing left to see: that is taking it back, which has a page of its own
            return redirect(request, f"/consents/{consent_id}/withdraw")
        return redirect(request, f"/consents/{consent_id}", notice=CHANGED if stands else OVER)

    @routes.get("/consents/{consent_id}/withdraw")
    async def withdraw_form(request: Request, consent_id: str) -> Response:
        account = require_session(request, may="withdraw").account_id
        lang = i18n.current().code

        def look(session: Session) -> tuple[Whole, tuple[str, ...]]:
            whole = read_whole(session, sealer, consent_id, account, host.clock.ms())
            names = []
            for grant in grants.list_for(session, account):
                if any(detail.get("consent") == consent_id for detail in grant.details):
                    client = clients.find(session, grant.client_id)
                    names.append(client.name(lang) if client else grant.client_id)
            return whole, tuple(dict.fromkeys(names))

        whole, services = await host.db.read(look)
        if not whole.record.stands:
            return redirect(request, f"/consents/{consent_id}", notice=OVER)
        text = whole.revision.notice(lang)
        page = Withdraw(
            action=request.url.path,
            back=f"/consents/{consent_id}",
            title=text.title,
            recipient=whole.revision.recipient.name(lang),
            what=inside(i18n.current().join(names(whole.record.categories, catalogue, lang)), lang),
            uses=whole.uses,
            services=services,
            if_withdrawn=text.if_refused,
        )
        return render(request, "resident/withdraw.html", page)

    @routes.post("/consents/{consent_id}/withdraw")
    async def withdraw(request: Request, consent_id: str) -> Response:
        session = require_session(request, may="withdraw")
        await read_form(request)
        try:
            await host.db.write(
                records.withdraw,
                sealer,
                consent_id=consent_id,
                account_id=session.account_id,
                actor=session.actor(),
                now=host.clock.ms(),
            )
        except ConsentState:
            return redirect(request, f"/consents/{consent_id}", notice=OVER)
        return redirect(request, f"/consents/{consent_id}", notice=WITHDRAWN)

    @routes.get("/consents/{consent_id}/receipt")
    async def receipt(request: Request, consent_id: str) -> Response:
        account = require_session(request, may="see").account_id
        lang = i18n.current().code

        def look(session: Session) -> tuple[Whole, str]:
            whole = read_whole(session, sealer, consent_id, account, host.clock.ms())
            return whole, accounts.profile(session, sealer, account).name

        whole, person = await host.db.read(look)
        index, qr = None, ""
        with suppress(ReceiptNotReady):
            made = await receipts.make(consent_id, account_id=account)
            index, qr = ledger_index(made), qr_svg(entry_address(made, host.issuer))
        page = receipt_page(whole, catalogue, lang, person=person, index=index, issuer=host.issuer, qr=qr)
        return render(request, "resident/receipt.html", page)

    @routes.get("/consents/{consent_id}/receipt.json")
    async def download(request: Request, consent_id: str) -> Response:
        account = require_session(request).account_id
        event = request.query_params.get("event", "")[:40] or None
        made = await receipts.make(consent_id, account_id=account, event_id=event)
        headers = page_headers() | {"content-disposition": f'attachment; filename="{made.file_name}"'}
        return Response(made.content, headers=headers, media_type=MEDIA_TYPE)

    return routes
