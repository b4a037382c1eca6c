"""Agreeing anew to a consent that stands: to the same for longer, or to a changed offer, of which only the difference
is shown. The answer names the revision that was read, and counts for that one alone.
"""

from dataclasses import dataclass

from consent.agreements import Revision
from consent.differences import Difference, differences
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.records import RecordView
from infobank.catalogue import Catalogue
from kit.clock import Millis
from kit.problems import Malformed
from portal import i18n
from portal.contexts.resident import ChangeLine, Renew
from portal.i18n import N_, _
from portal.pages.interaction import agreed_sentence, duration_words, jurisdiction_words
from portal.web import Form, notice

RENEWED = notice("consent.renewed", N_("You have agreed anew."))
PUT_OFF = notice(
    "consent.put-off", N_("Nothing has changed. What you agreed to before goes on until its end."), kind="info"
)

_TEXTS = {
    "title": N_("Its name"),
    "short": N_("In short"),
    "full": N_("The full text"),
    "benefit": N_("What you get"),
    "if_refused": N_("If you say no"),
    "forbidden": N_("What they may not do"),
}


@dataclass(frozen=True)
class Said:
    """What the form says; without a revision it is put off."""

    revision_id: str | None
    lang: str


def read(form: Form) -> Said:
    """The answer; raises Malformed."""
    answer, lang = form.one("answer"), form.one("shown_in")
    if lang not in i18n.LANGUAGES:
        raise Malformed("The answer does not say in which language it was read.")
    if answer == "later":
        return Said(None, lang)
    if answer != "agree" or not form.one("revision"):
        raise Malformed("Choose one of the answers.")
    return Said(form.one("revision"), lang)


def page(
    record: RecordView, given: Revision, newer: Revision | None, catalogue: Catalogue, lang: str, *, now: Millis
) -> Renew:
    """The question. Pure."""
    revision = newer or given
    found = differences(given, newer) if newer else ()
    after = tuple(use.category for use in revision.categories if use.required or use.category in record.categories)
    return Renew(
        action=f"/consents/{record.id}/renew",
        back=f"/consents/{record.id}",
        title=given.notice(lang).title,
        sentence=agreed_sentence(revision, after, catalogue, lang, now + revision.duration_ms),
        recipient=revision.recipient.name(lang),
        revision_id=revision.id,
        shown_in=lang,
        lines=tuple(_line(each, given, revision, catalogue, lang) for each in found),
        asked=any(each.weighs for each in found) or (newer is not None and newer.material),
        until=record.until_at,
    )


def _line(each: Difference, old: Revision, new: Revision, catalogue: Catalogue, lang: str) -> ChangeLine:
    if each.kind.startswith("category_"):
        return _category(each, catalogue, lang)
    match each.kind:
        case "recipient":
            return ChangeLine(_("Who sees it"), old.recipient.name(lang), new.recipient.name(lang))
        case "purpose":
            return ChangeLine(_("What for"), PURPOSES[each.before].label(lang), PURPOSES[each.after].label(lang))
        case "lawful_basis":
            before, after = LAWFUL_BASES[each.before].label(lang), LAWFUL_BASES[each.after].label(lang)
            return ChangeLine(_("Legal basis"), before, after)
        case "jurisdiction":
            return ChangeLine(_("Where"), jurisdiction_words(each.before), jurisdiction_words(each.after))
        case "retention":
            before, after = duration_words(each.before), duration_words(each.after)
            return ChangeLine(_("How long they keep it"), before, after)
        case "duration":
            return ChangeLine(_("How long you agree"), duration_words(each.before), duration_words(each.after))
        case "contact":
            return ChangeLine(_("Whom to ask"), each.before, each.after)
        case _:
            label = i18n.current().gettext(_TEXTS[each.what])
            return ChangeLine(label, getattr(old.notice(lang), each.what), getattr(new.notice(lang), each.what))


def _category(each: Difference, catalogue: Catalogue, lang: str) -> ChangeLine:
    category = catalogue.find(each.what)
    name = category.label.of(lang) if category else each.what
    if each.kind == "category_added" and each.after == "needed":
        words = _("They need to see this, too.")
    elif each.kind == "category_added":
        words = _("They would like to see this, too. They don't, unless you allow it on the consent's page.")
    else:
        words = {
            "category_removed": _("They no longer see this."),
            "category_needed": _("They need this now. Before, you could leave it out."),
            "category_optional": _("You can leave this out now."),
            "category_sensitivity": _("It is rated anew how careful one has to be with this."),
        }[each.kind]
    return ChangeLine(name, "", words)
