"""Two versions of an agreement beside each other: only what differs, what matters first."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import agreements, records
from consent.compare import Difference, compare
from consent.errors import UnknownConsent
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.revisions import Revision
from infobank.catalogue import Catalogue
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import i18n
from portal.contexts.consents import ChangeLine, VersionChoice, Versions
from portal.i18n import N_, _
from portal.pages.asked import duration_words, jurisdiction_words
from portal.pages.consents import names
from portal.visits import may_see, pages, require_session
from portal.web import render

_LABELS = {
    "recipient": N_("Who sees it"),
    "contact": N_("How to reach them"),
    "purpose": N_("What for"),
    "lawful_basis": N_("On which basis"),
    "category": N_("What they see"),
    "retention": N_("How long they keep it"),
    "duration": N_("How long a consent lasts"),
    "jurisdiction": N_("Where it stays"),
    "title": N_("The title"),
    "short": N_("In short"),
    "full": N_("The full text"),
    "benefit": N_("What you get"),
    "if_refused": N_("If you say no"),
    "forbidden": N_("What they may not do"),
}


def change_line(difference: Difference, catalogue: Catalogue, lang: str) -> ChangeLine:
    """A difference in words."""

    def words(values: tuple[str, ...]) -> tuple[str, ...]:
        if not values:
            return ()
        match difference.field:
            case "purpose":
                return (PURPOSES[values[0]].label(lang),)
            case "lawful_basis":
                return (LAWFUL_BASES[values[0]].label(lang),)
            case "retention" | "duration":
                return (duration_words(values[0]),)
            case "jurisdiction":
                return (jurisdiction_words(values[0]),)
            case "category":
                what = names(values[:1], catalogue, lang)[0]
                needed = _("%(what)s (needed)", what=what)
                return (needed if values[1] == "required" else _("%(what)s (you choose)", what=what),)
        return values

    label = i18n.current().gettext(_LABELS[difference.field])
    return ChangeLine(label, words(difference.before), words(difference.after))


def _choice(revision: Revision, agreed: int, newest: int) -> VersionChoice:
    words = _("Version %(number)s of %(day)s", number=revision.number, day=i18n.current().day(revision.created_at))
    if revision.number == agreed:
        words = _("%(version)s (the one you answered)", version=words)
    elif revision.number == newest:
        words = _("%(version)s (the newest)", version=words)
    return VersionChoice(revision.number, words)


def versions_page(
    session: Session,
    catalogue: Catalogue,
    consent_id: str,
    account_id: str,
    *,
    old: int,
    new: int,
    lang: str,
    now: Millis,
) -> Versions:
    """The page; 0 for the version that was answered, and for the newest. Raises UnknownConsent, NotFound."""
    record = records.get(session, consent_id, account_id=account_id, now=now)
    if not may_see(record.purpose):
        raise UnknownConsent("No consent of yours has this id.")
    answered = agreements.text_of(session, record.revision_id)
    there = {each.number: each for each in agreements.published(session, record.agreement_id)}
    there.setdefault(answered.number, answered)
    newest = max(there)
    old, new = old or answered.number, new or newest
    if old not in there or new not in there:
        raise NotFound("This agreement has no such version.")
    found = compare(there[old], there[new], lang)
    if len(there) == 1:
        said = _("There is only one version of this agreement.")
    elif newest == answered.number:
        said = _("You answered the newest version.")
    else:
        said = _(
            "You answered version %(agreed)s. Version %(newest)s does not change what you agreed to.",
            agreed=answered.number,
            newest=newest,
        )
    return Versions(
        id=consent_id,
        title=answered.notice(lang).title,
        said=said,
        choices=tuple(_choice(there[number], answered.number, newest) for number in sorted(there)),
        old=old,
        new=new,
        material=tuple(change_line(each, catalogue, lang) for each in found if each.about_data),
        wording=tuple(change_line(each, catalogue, lang) for each in found if not each.about_data),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


def router(host: Host) -> APIRouter:
    """/consents/{id}/versions."""
    routes = pages(host)
    catalogue = host.get(Catalogue)

    @routes.get("/consents/{consent_id}/versions")
    async def versions(request: Request, consent_id: str) -> Response:
        account = require_session(request, may="see").account_id
        old, new = (_number(request.query_params.get(name, "")) for name in ("old", "new"))
        lang, now = i18n.current().code, host.clock.ms()
        page = await host.db.read(versions_page, catalogue, consent_id, account, old=old, new=new, lang=lang, now=now)
        return render(request, "resident/versions.html", page)

    return routes
