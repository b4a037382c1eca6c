"""What the resident's pages read: frozen values, opened for the resident and nobody else.

`areas`/`category_page`/`latest` are "my data"; `timeline`/`heat`/`by_recipient` are "who used it". All take a
reader's session; days are days in the city.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from infobank import disclosures, store, vault
from infobank.catalogue import AREA_LABELS, AREAS, CITY_ZONE, Catalogue, Category, Field, Label
from infobank.cursors import read_cursor, write_cursor
from infobank.disclosures import Disclosure, Recipient
from infobank.items import SELF, Item
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session


@dataclass(frozen=True, slots=True)
class Value:
    """One field of one record."""

    field: Field
    value: Any

    def text(self, lang: str) -> str:
        """In words, with the unit."""
        return self.field.text(self.value, lang)


@dataclass(frozen=True, slots=True)
class Record:
    """One record, field by field in the category's order."""

    id: str
    category: Category
    source: str  # "self" or a member id
    source_name: Label
    recorded_at: Millis
    created_at: Millis
    values: tuple[Value, ...]
    own: bool  # put in by the resident, so it can be corrected here

    def summary(self, lang: str) -> str:
        """In one line."""
        return self.category.summarise({value.field.name: value.value for value in self.values}, lang)


@dataclass(frozen=True, slots=True)
class CategoryCard:
    """A category at a glance."""

    category: Category
    count: int
    latest_at: Millis | None
    arrived_at: Millis | None
    sources: tuple[Label, ...]
    newest: Record | None


@dataclass(frozen=True, slots=True)
class Area:
    """An area of life with its categories, empty ones included."""

    id: str
    label: Label
    cards: tuple[CategoryCard, ...]

    @property
    def count(self) -> int:
        """Records in the area."""
        return sum(card.count for card in self.cards)


@dataclass(frozen=True, slots=True)
class Point:
    """One measured number."""

    at: Millis
    value: float


@dataclass(frozen=True, slots=True)
class Line:
    """The history of one number, oldest first."""

    field: Field
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class CategoryPage:
    """One category with its records, newest first, and the lines of its numbers."""

    category: Category
    total: int
    records: tuple[Record, ...]
    lines: tuple[Line, ...]
    next: str | None  # give it back as `before` for the older ones


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of "who used it"."""

    disclosure: Disclosure
    recipient: Recipient
    categories: tuple[Category, ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day."""

    day: date
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often a resident's data was used on a day."""

    day: date
    count: int


@dataclass(frozen=True, slots=True)
class RecipientCount:
    """How often one recipient used it, and when last."""

    recipient: Recipient
    count: int
    last_at: Millis


_SELF_LABEL = Label("あなた", "you")


def areas(session: Session, sealer: Sealer, catalogue: Catalogue, account_id: str) -> tuple[Area, ...]:
    """My data, by area of life."""
    counts = store.counts(session, account_id)
    sources = store.sources(session, account_id)
    names = disclosures.recipients(session)
    newest = latest(session, sealer, catalogue, account_id, counts)
    found = []
    for area in AREAS:
        cards = []
        for category in catalogue.in_area(area):
            count, latest_at, arrived_at = counts.get(category.id, (0, None, None))
            labels = tuple(_source(source, names) for source in sources.get(category.id, ()))
            cards.append(CategoryCard(category, count, latest_at, arrived_at, labels, newest.get(category.id)))
        found.append(Area(area, AREA_LABELS[area], tuple(cards)))
    return tuple(found)


def latest(
    session: Session, sealer: Sealer, catalogue: Catalogue, account_id: str, categories: Iterable[str]
) -> dict[str, Record]:
    """The newest record of each category: "your actual value" on the consent page."""
    key = vault.owner_key(session, sealer, account_id)
    names = disclosures.recipients(session)
    found: dict[str, Record] = {}
    for category_id in categories:
        category = catalogue.find(category_id)
        if category is None:
            continue
        items = store.page(session, account_id, category_id, limit=1)
        if items:
            found[category_id] = _record(category, vault.open_item(key, items[0]), names)
    return found


def category_page(
    session: Session,
    sealer: Sealer,
    catalogue: Catalogue,
    account_id: str,
    category_id: str,
    *,
    before: str | None = None,
    limit: int = 30,
    history: int = 400,
) -> CategoryPage:
    """One category; UnknownCategory for a name there is not. Lines look back over `history` records."""
    category = catalogue.get(category_id)
    key = vault.owner_key(session, sealer, account_id)
    names = disclosures.recipients(session)
    total = store.counts(session, account_id).get(category_id, (0, 0, 0))[0]
    sealed = store.page(session, account_id, category_id, limit=limit + 1, before=read_cursor(before))
    more = len(sealed) > limit
    records = tuple(_record(category, item, names) for item in vault.open_all(key, sealed[:limit]))
    lines: tuple[Line, ...] = ()
    if category.line_fields and total > 1:
        past = vault.open_all(key, store.page(session, account_id, category_id, limit=history))
        lines = _lines(category, past)
    cursor = write_cursor(sealed[limit - 1]) if more else None
    return CategoryPage(category, total, records, lines, cursor)


def record(session: Session, sealer: Sealer, catalogue: Catalogue, account_id: str, item_id: str) -> Record:
    """One record; 404 alike for none and for another resident's."""
    item = vault.get(session, sealer, account_id=account_id, item_id=item_id)
    return _record(catalogue.get(item.category), item, disclosures.recipients(session))


def timeline(
    session: Session,
    catalogue: Catalogue,
    account_id: str,
    *,
    since: Millis | None = None,
    until: Millis | None = None,
    member_id: str | None = None,
    consent_id: str | None = None,
    category: str | None = None,
    limit: int = 200,
    offset: int = 0,
) -> tuple[Day, ...]:
    """Who used it, day by day, newest first."""
    found = disclosures.history(
        session,
        account_id,
        since=since,
        until=until,
        member_id=member_id,
        consent_id=consent_id,
        category=category,
        limit=limit,
        offset=offset,
    )
    names = disclosures.recipients(session)
    by_day: dict[date, list[Entry]] = {}
    for disclosure in found:
        categories = tuple(known for name in disclosure.categories if (known := catalogue.find(name)) is not None)
        entry = Entry(disclosure, disclosure.recipient or _recipient(disclosure.member_id, names), categories)
        by_day.setdefault(city_day(disclosure.at), []).append(entry)
    return tuple(Day(day, tuple(entries)) for day, entries in by_day.items())


def heat(session: Session, account_id: str, *, now: Millis, days: int = 91) -> tuple[DayCount, ...]:
    """How often on each of the last days, oldest first, today included; for the calendar strip."""
    today = city_day(now)
    first = today - timedelta(days=days - 1)
    counts = {first + timedelta(days=index): 0 for index in range(days)}
    for at, _member, times in disclosures.times(
        session, account_id, since=day_start(first), until=day_start(today + timedelta(days=1))
    ):
        counts[city_day(at)] += times
    return tuple(DayCount(day, count) for day, count in counts.items())


def by_recipient(session: Session, account_id: str, *, since: Millis, until: Millis) -> tuple[RecipientCount, ...]:
    """How often each recipient used it, most often first."""
    counts: dict[str, tuple[int, Millis]] = {}
    for at, member_id, times in disclosures.times(session, account_id, since=since, until=until):
        count, _last = counts.get(member_id, (0, at))
        counts[member_id] = (count + times, at)
    names = disclosures.recipients(session) | disclosures.without_member(session, account_id)
    found = [RecipientCount(_recipient(member, names), count, last) for member, (count, last) in counts.items()]
    return tuple(sorted(found, key=lambda entry: (-entry.count, entry.recipient.id)))


def by_consent(session: Session, account_id: str) -> dict[str, tuple[int, Millis]]:
    """For each consent: how often data was given because of it, and when last."""
    counts: dict[str, tuple[int, Millis]] = {}
    for at, consent_id in store.uses(session, account_id):
        counts[consent_id] = (counts.get(consent_id, (0, at))[0] + 1, at)
    return counts


def city_day(at: Millis) -> date:
    """The day in the city an instant falls on."""
    return datetime.fromtimestamp(at / 1000, CITY_ZONE).date()


def day_start(day: date) -> Millis:
    """Midnight in the city."""
    return round(datetime.combine(day, datetime.min.time(), CITY_ZONE).timestamp() * 1000)


def _record(category: Category, item: Item, names: dict[str, Recipient]) -> Record:
    values = tuple(Value(field, item.data[field.name]) for field in category.fields if field.name in item.data)
    return Record(
        item.id,
        category,
        item.source,
        _source(item.source, names),
        item.recorded_at,
        item.created_at,
        values,
        item.source == SELF,
    )


def _lines(category: Category, items: tuple[Item, ...]) -> tuple[Line, ...]:
    lines = []
    for field in category.line_fields:
        points = tuple(
            Point(item.recorded_at, float(item.data[field.name])) for item in reversed(items) if field.name in item.data
        )
        if len(points) > 1:
            lines.append(Line(field, points))
    return tuple(lines)


def _source(source: str, names: dict[str, Recipient]) -> Label:
    if source == SELF:
        return _SELF_LABEL
    recipient = _recipient(source, names)
    return Label(recipient.name_ja, recipient.name_en)


def _recipient(member_id: str, names: dict[str, Recipient]) -> Recipient:
    return names.get(member_id) or Recipient(member_id, member_id, member_id, "unknown")
