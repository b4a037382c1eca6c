"""Who used it: every disclosure in one sentence, by day, with the consent that allowed it and a way to stop it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import records
from consent.purposes import PURPOSES
from identity import grants
from infobank import disclosures, views
from infobank.catalogue import Catalogue
from infobank.disclosures import LOOK_UP, PROFILE, SIGN_IN, claims_in_words
from kit.clock import DAY, Millis, iso
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import charts, i18n
from portal.contexts.resident import FilterGroup, UseDay, UseLine, Who
from portal.i18n import N_, _, ngettext
from portal.pages.asked import inside
from portal.visits import pages, require_session
from portal.web import notice, page_headers, read_form, redirect, render

STOPPED = notice("who.stopped", N_("Stopped, at once. If you use that service again, it has to ask you first."))
PAGE = 60
HEAT_DAYS = 91
YEAR_DAYS = 365  # as long as a strip of days is one that somebody can look at
SPANS = {"quarter": (HEAT_DAYS, N_("13 weeks")), "year": (YEAR_DAYS, N_("a year")), "all": (36500, N_("all"))}
_WITHHELD = {
    "not_in_token": N_("%(what)s was asked for and not given: it was not part of the request."),
    "unknown_category": N_("%(what)s was asked for and not given: there is no such data."),
}
_WITHHELD_OTHERWISE = N_("%(what)s was asked for and not given: there is no consent for it.")


@dataclass(frozen=True)
class Chosen:
    """The filters of a page, as its address says them."""

    span: str
    member: str
    category: str
    consent: str
    day: str
    page: int

    def href(self, **other: str) -> str:
        """The address with some filters changed; the page number starts anew."""
        values = {
            "span": self.span if self.span != "quarter" else "",
            "who": self.member,
            "category": self.category,
            "consent": self.consent,
            "day": self.day,
        } | other
        query = urlencode({name: value for name, value in values.items() if value})
        return f"/who?{query}" if query else "/who"

    def range(self, now: Millis) -> tuple[Millis, Millis]:
        """From when to when."""
        if self.day:
            start = views.day_start(date.fromisoformat(self.day))
            return start, start + DAY
        return max(0, now - SPANS[self.span][0] * DAY), now + 1


def read_filters(request: Request) -> Chosen:
    """Read the filters; what makes no sense is left out."""
    query = request.query_params
    span = query.get("span", "quarter")
    day = query.get("day", "")
    try:
        day = date.fromisoformat(day).isoformat() if len(day) == 10 else ""
    except ValueError:
        day = ""
    number = query.get("page", "1")
    return Chosen(
        span=span if span in SPANS else "quarter",
        member=query.get("who", "")[:60],
        category=query.get("category", "")[:60],
        consent=query.get("consent", "")[:60],
        day=day,
        page=min(int(number), 10_000) if number.isdecimal() and len(number) < 6 and int(number) > 0 else 1,
    )


@dataclass(frozen=True)
class Seen:
    """What the page is made of."""

    days: tuple[views.Day, ...]
    more: bool
    heat: tuple[views.DayCount, ...]
    recipients: tuple[views.RecipientCount, ...]
    standing: frozenset[str]  # consents
    grants: frozenset[str]  # what services may still ask


def gather(session: Session, catalogue: Catalogue, account_id: str, chosen: Chosen, *, now: Millis) -> Seen:
    """Read one page of the history and its charts."""
    since, until = chosen.range(now)
    days = views.timeline(
        session,
        catalogue,
        account_id,
        since=since,
        until=until,
        member_id=chosen.member or None,
        consent_id=chosen.consent or None,
        category=chosen.category or None,
        limit=PAGE + 1,
        offset=(chosen.page - 1) * PAGE,
    )
    shown, more = _first(days, PAGE)
    return Seen(
        days=shown,
        more=more,
        heat=views.heat(session, account_id, now=now, days=min(YEAR_DAYS, SPANS[chosen.span][0])),
        recipients=views.by_recipient(session, account_id, since=since, until=until),
        standing=frozenset(r.id for r in records.list_for(session, account_id, now=now) if r.stands),
        grants=frozenset(grant.id for grant in grants.list_for(session, account_id)),
    )


def _first(days: Sequence[views.Day], limit: int) -> tuple[tuple[views.Day, ...], bool]:
    """The first entries, and whether there were more."""
    kept: list[views.Day] = []
    left = limit
    for day in days:
        if left <= 0:
            return tuple(kept), True
        kept.append(views.Day(day.day, day.entries[:left]))
        if len(day.entries) > left:
            return tuple(kept), True
        left -= len(day.entries)
    return tuple(kept), False


def sentence(entry: views.Entry, lang: str) -> str:
    """One disclosure told in one sentence."""
    if entry.disclosure.claims:
        told = i18n.current().join(claims_in_words(entry.disclosure.claims, lang))
        if entry.disclosure.purpose == LOOK_UP:
            return _("%(who)s saw your %(what)s.", who=entry.recipient.name(lang), what=told)
        return _("When you signed in, %(who)s was told your %(what)s.", who=entry.recipient.name(lang), what=told)
    names = {category.id: inside(category.label.of(lang), lang) for category in entry.categories}
    given = [(names.get(category, category), count) for category, count in entry.disclosure.counts if count]
    who = entry.recipient.name(lang)
    if not given:
        what = i18n.current().join(names.values())
        return _("%(who)s asked for your %(what)s; there was nothing to see.", who=who, what=what)
    what = i18n.current().join(
        ngettext("%(name)s (%(num)d record)", "%(name)s (%(num)d records)", count, name=name) for name, count in given
    )
    return _("%(who)s saw your %(what)s.", who=who, what=what)


def _withheld(entry: views.Entry, catalogue: Catalogue, lang: str) -> str:
    words = []
    for category_id, reason in entry.disclosure.withheld:
        category = catalogue.find(category_id)
        name = category.label.of(lang) if category else category_id
        words.append(i18n.current().gettext(_WITHHELD.get(reason, _WITHHELD_OTHERWISE)) % {"what": name})
    return (" " if lang == "en" else "").join(words)


def _line(entry: views.Entry, catalogue: Catalogue, seen: Seen, lang: str) -> UseLine:
    consent, grant = entry.disclosure.consent_id, entry.disclosure.grant_id or ""
    term = PURPOSES.get(entry.disclosure.purpose)
    named = {SIGN_IN: _("To sign you in"), LOOK_UP: _("To show you who received your data")}
    why = named.get(entry.disclosure.purpose, entry.disclosure.purpose)
    return UseLine(
        id=entry.disclosure.id,
        at=entry.disclosure.at,
        sentence=sentence(entry, lang),
        why=term.label(lang) if term else why,
        consent_href=f"/consents/{consent}" if consent else "",
        withdraw_href=f"/consents/{consent}/withdraw" if consent in seen.standing else "",
        grant_id=grant if not consent and grant in seen.grants else "",
        withheld=_withheld(entry, catalogue, lang),
    )


def _filters(chosen: Chosen, seen: Seen, catalogue: Catalogue, lang: str) -> tuple[FilterGroup, ...]:
    gettext = i18n.current().gettext
    groups = [
        FilterGroup(
            _("Time"),
            tuple(
                (
                    chosen.href(span="" if code == "quarter" else code, day=""),
                    gettext(words),
                    chosen.span == code and not chosen.day,
                )
                for code, (_days, words) in SPANS.items()
            ),
        )
    ]
    if chosen.day:
        day = i18n.current().plain_day(date.fromisoformat(chosen.day))
        groups[0] = FilterGroup(groups[0].label, (*groups[0].options, (chosen.href(), day, True)))
    if len(seen.recipients) > 1 or chosen.member:
        options = [(chosen.href(who=""), _("all"), not chosen.member)]
        options += [
            (chosen.href(who=each.recipient.id), each.recipient.name(lang), chosen.member == each.recipient.id)
            for each in seen.recipients
        ]
        groups.append(FilterGroup(_("Used by"), tuple(options)))
    shown = {category.id for day in seen.days for entry in day.entries for category in entry.categories}
    if chosen.category == PROFILE or any(entry.disclosure.claims for day in seen.days for entry in day.entries):
        shown.add(PROFILE)
    if len(shown) > 1 or chosen.category:
        options = [(chosen.href(category=""), _("all"), not chosen.category)]
        options += [
            (chosen.href(category=each.id), each.label.of(lang), chosen.category == each.id)
            for each in catalogue
            if each.id in shown or each.id == chosen.category
        ]
        if PROFILE in shown:
            options.append((chosen.href(category=PROFILE), _("Your profile"), chosen.category == PROFILE))
        groups.append(FilterGroup(_("Data"), tuple(options)))
    if chosen.consent:
        groups.append(
            FilterGroup(
                _("Consent"), ((chosen.href(), _("only this one"), True), (chosen.href(consent=""), _("all"), False))
            )
        )
    return tuple(groups)


def heat_strip(days: Sequence[views.DayCount]) -> charts.HeatStrip:
    """The calendar strip."""
    language = i18n.current()
    rows = []
    for index, each in enumerate(days):
        month = ""
        if (each.day.day == 1 and index > 0) or (index == 0 and each.day.day <= 20):
            month = f"{each.day.month}月" if language.code == "ja" else f"{each.day:%b}"
        href = f"/who?day={each.day.isoformat()}"
        rows.append((language.plain_day(each.day), each.day.weekday(), each.count, href, month))
    title = _("Day by day, the last 13 weeks") if len(days) <= HEAT_DAYS else _("Day by day, the last year")
    return charts.heat(title, rows)


def compose(chosen: Chosen, seen: Seen, catalogue: Catalogue, lang: str) -> Who:
    """The page. Pure."""
    total = sum(each.count for each in seen.recipients)
    if total:
        summary = ngettext(
            "Your data was used once, by %(who)s.",
            "Your data was used %(num)d times, by %(who)s.",
            total,
            who=i18n.current().join(each.recipient.name(lang) for each in seen.recipients),
        )
    else:
        summary = _("In this time nobody used your data.")
    shown = sum(len(day.entries) for day in seen.days)
    bars = None
    if len(seen.recipients) > 1:
        rows = [(each.recipient.name(lang), each.count, chosen.href(who=each.recipient.id)) for each in seen.recipients]
        bars = charts.bars(_("By who used it"), rows)
    return Who(
        total=max(total, shown),
        summary=summary,
        filters=_filters(chosen, seen, catalogue, lang),
        heat=heat_strip(seen.heat),
        recipients=bars,
        days=tuple(
            UseDay(
                views.day_start(day.day),
                tuple(_line(entry, catalogue, seen, lang) for entry in day.entries),
            )
            for day in seen.days
        ),
        newer=chosen.href(page=str(chosen.page - 1)) if chosen.page > 1 else "",
        older=chosen.href(page=str(chosen.page + 1)) if seen.more else "",
        export_href="/who/export",
    )


def router(host: Host) -> APIRouter:
    """/who and its export."""
    routes = pages(host)
    catalogue = host.get(Catalogue)

    @routes.get("/who")
    async def who(request: Request) -> Response:
        account = require_session(request, may="see", whole=True).account_id
        chosen = read_filters(request)
        seen = await host.db.read(gather, catalogue, account, chosen, now=host.clock.ms())
        return render(request, "resident/who.html", compose(chosen, seen, catalogue, i18n.current().code))

    @routes.post("/who/stop")
    async def stop(request: Request) -> Response:
        """End what a service may ask about the profile; for records, the consent is withdrawn instead."""
        browser = require_session(request)
        form = await read_form(request)

        def end(session: Session) -> None:
            grant = grants.find(session, form.one("grant"))
            if grant is None or grant.account_id != browser.account_id:
                raise NotFound("There is no such permission of yours.")
            grants.revoke(session, grant.id, actor=browser.actor(), now=host.clock.ms())

        await host.db.write(end)
        return redirect(request, "/who", notice=STOPPED)

    @routes.get("/who/export")
    async def export(request: Request) -> Response:
        account = require_session(request).account_id
        lang = i18n.current().code

        def read(session: Session) -> list[dict[str, object]]:
            names = disclosures.recipients(session)
            found = disclosures.history(session, account, limit=100_000)
            return [disclosures.usage(one, names, lang=lang) for one in found]

        rows = await host.db.read(read)
        day = iso(host.clock.ms())[:10]
        headers = page_headers() | {"content-disposition": f'attachment; filename="who-used-my-data-{day}.json"'}
        body = orjson.dumps(rows, option=orjson.OPT_INDENT_2)
        return Response(body, headers=headers, media_type="application/json")

    return routes
