"""What a request asks of a resident: each use of data with its agreement, in words; and the answer read back.

The same for a request in the browser, a question from elsewhere, a renewal and the board's preview.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent import agreements, records
from consent.durations import parse_duration
from consent.errors import BadConsent
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.revisions import Revision
from identity import members
from identity.interaction import Interaction
from infobank import views
from infobank.catalogue import SENSITIVITY_LABELS, Catalogue
from kit.clock import DAY, Millis
from kit.db import Session
from kit.host import Actor
from kit.problems import Conflict, Malformed
from portal import i18n
from portal.contexts.interaction import Ask, CategoryRow, Earlier
from portal.i18n import _
from portal.pages.amending import Amending, widened
from portal.pages.mydata import CAREFUL, headline
from portal.web import Form

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


def put(interaction: Interaction, element: Element) -> records.Put:
    """The question a service puts, for the record of what was asked."""
    by = Actor("service", interaction.client_id, client_id=interaction.client_id)
    return records.Put(element.categories, by)
