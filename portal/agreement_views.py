"""From agreements to the console's pages: what waits, one revision whole, what differs, how many it reaches."""

import re

from consent import agreements, campaigns, reach
from consent.agreements import AgreementView
from consent.compare import compare
from consent.materiality import weighing
from consent.purposes import LAWFUL_BASES, PURPOSES
from consent.revisions import Revision
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.db import Session
from portal import i18n, staff
from portal.console_viewer import PAGE, Viewer
from portal.contexts import console as pages
from portal.i18n import N_, ngettext
from portal.pages.versions import change_line

_REACH = (
    ("answered", N_("Answered so far")),
    ("agreed", N_("Agree now")),
    ("refused", N_("Said no")),
    ("ended", N_("Took it back, or it ran out")),
)
_FEW = N_("fewer than 10")
_JAPAN = N_("Japan only (JP)")
_DURATION = re.compile(r"P(\d+)([YMWD])")


def agreement_list(session: Session, viewer: Viewer, *, after: str) -> pages.Agreements:
    """What waits for the board, and all agreements."""
    found = agreements.list_all(session, after=after, limit=PAGE)
    return pages.Agreements(
        pending=tuple(_pending_line(session, viewer, one) for one in agreements.pending(session)),
        agreements=tuple(_agreement_line(session, viewer, one) for one in found),
        older=f"/console/agreements?after={found[-1].id}" if len(found) == PAGE else "",
    )


def agreement_page(session: Session, viewer: Viewer, agreement_id: str, *, number: int | None) -> pages.AgreementPage:
    """One revision, whole: the one asked for, or the one in force, or the newest."""
    known = agreements.revisions(session, agreement_id)
    shown = next((one for one in known if one.number == number), None) or agreements.current(session, agreement_id)
    purpose, basis = PURPOSES.get(shown.purpose), LAWFUL_BASES.get(shown.lawful_basis)
    hands = agreements.hands(session, shown.id)
    people = (hands.proposed_by, hands.endorsed_by, hands.decided_by)
    names = staff.names(session, viewer.host.get(Sealer), people)
    in_force = agreements.current(session, agreement_id)
    compared = in_force if in_force.id != shown.id and shown.status == "offered" else None
    told = reach.published(session, agreement_id)
    return pages.AgreementPage(
        agreement_id=agreement_id,
        revision_id=shown.id,
        number=shown.number,
        status=shown.status,
        title=shown.notice(viewer.lang).title,
        member=shown.recipient.name(viewer.lang),
        member_href=f"/console/members/{shown.member_id}",
        contact=shown.recipient.contact,
        purpose=purpose.label(viewer.lang) if purpose else shown.purpose,
        purpose_code=shown.purpose,
        basis=basis.label(viewer.lang) if basis else shown.lawful_basis,
        duration=duration_words(shown.duration),
        retention=duration_words(shown.retention),
        jurisdiction=i18n.language(viewer.lang).gettext(_JAPAN) if shown.jurisdiction == "JP" else shown.jurisdiction,
        categories=tuple(
            pages.UseLine(viewer.category(one.category), one.category, one.required, one.sensitivity)
            for one in shown.categories
        ),
        texts=tuple(
            pages.NoticeText(one.lang, one.title, one.short, one.full, one.benefit, one.if_refused, one.forbidden)
            for one in (shown.text["ja"], shown.text["en"])
        ),
        hash=shown.hash,
        predecessor=shown.predecessor or "",
        at=shown.created_at,
        revisions=tuple(
            pages.RevisionLine(one.number, one.status, one.created_at, revision_href(one), one.id == shown.id)
            for one in reversed(known)
        ),
        may_decide=bool(viewer.roles & set(staff.CONSOLE)),
        may_change="operator" in viewer.roles and known[-1].status != "withdrawn",
        proposed_by=names.get(hands.proposed_by or "", hands.proposed_by or hands.proposed_via or ""),
        endorsed_by=names.get(hands.endorsed_by or "", hands.endorsed_by or ""),
        decided_by=names.get(hands.decided_by or "", hands.decided_by or ""),
        two=hands.proposed_by is None,
        own=viewer.account_id in (hands.proposed_by, hands.endorsed_by),
        compared_with=compared.number if compared else None,
        changes=changes(compared, shown, viewer) if compared else (),
        reach=reach_lines(told) if told else (),
        reach_at=told.at if told else None,
        campaign_words=_campaign_words(session, viewer, agreement_id),
    )


def _campaign_words(session: Session, viewer: Viewer, agreement_id: str) -> str:
    if "operator" not in viewer.roles:
        return ""
    gettext = i18n.current().gettext
    if campaigns.possible(session, agreement_id):
        return gettext(N_("Ask again whoever agreed to an earlier revision"))
    return gettext(N_("How far asking again is")) if campaigns.find(session, agreement_id) else ""


def changes(old: Revision, new: Revision, viewer: Viewer) -> tuple[pages.Changed, ...]:
    """What differs, and what of it weighs by itself."""
    catalogue, heavy = viewer.host.get(Catalogue), frozenset(weighing(old, new))
    found = []
    for each in compare(old, new, viewer.lang):
        line = change_line(each, catalogue, viewer.lang)
        name = f"categories/{(each.after or each.before)[0]}" if each.field == "category" else each.field
        found.append(pages.Changed(line.label, line.before, line.after, name in heavy))
    return tuple(found)


def in_tens(low: int) -> str:
    """A group of people: its ten, or that it is fewer."""
    words = i18n.current()
    return f"{words.number(low)}-{words.number(low + reach.FEWEST - 1)}" if low else words.gettext(_FEW)


def reach_lines(told: reach.Published) -> tuple[pages.ReachLine, ...]:
    """Groups of people, in tens."""
    words = i18n.current()
    lines = []
    for name, label in _REACH:
        lines.append(pages.ReachLine(words.gettext(label), in_tens(int(getattr(told.figures, name)))))
    return tuple(lines)


def revision_href(one: Revision) -> str:
    """Where staff read it."""
    return f"/console/agreements/{one.agreement_id}?revision={one.number}"


def duration_words(text: str) -> str:
    """An ISO 8601 duration in words, where it is one number; else as it is."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return text
    number = int(match[1])
    match match[2]:
        case "Y":
            return ngettext("%(num)d year", "%(num)d years", number)
        case "M":
            return ngettext("%(num)d month", "%(num)d months", number)
        case "W":
            return ngettext("%(num)d week", "%(num)d weeks", number)
        case _:
            return ngettext("%(num)d day", "%(num)d days", number)


def _pending_line(session: Session, viewer: Viewer, one: Revision) -> pages.AgreementLine:
    return pages.AgreementLine(
        revision_href(one),
        one.notice(viewer.lang).title,
        one.recipient.name(viewer.lang),
        one.status,
        one.number,
        one.created_at,
    )


def _agreement_line(session: Session, viewer: Viewer, view: AgreementView) -> pages.AgreementLine:
    shown = agreements.current(session, view.id)
    return pages.AgreementLine(
        f"/console/agreements/{view.id}",
        shown.notice(viewer.lang).title,
        shown.recipient.name(viewer.lang),
        view.status,
        shown.number,
        view.changed_at,
    )
