"""What a resident sees at home: the letter, the data, who used it, the consents, leaving."""

from dataclasses import dataclass

from portal import charts
from portal.contexts.consents import ChangeLine

DAY = 86_400_000
NOW = 1_795_312_800_000  # 22 November 2026 in Japan


# -- home


@dataclass(frozen=True)
class Sentence:
    """One sentence of the letter, and where it leads."""

    words: str
    href: str
    link: str


@dataclass(frozen=True)
class Door:
    """One of the four doors."""

    id: str
    href: str
    name: str
    words: str


@dataclass(frozen=True)
class Home:
    """resident/home.html."""

    person: str
    today: int
    letter: tuple[Sentence, ...]
    questions: tuple[Sentence, ...]  # put off: they wait for an answer
    waiting: tuple[Sentence, ...]
    doors: tuple[Door, ...]


# -- my data


@dataclass(frozen=True)
class CategoryLine:
    """A category in the list of an area."""

    href: str
    name: str
    newest: str
    newest_at: int | None
    count: int
    sources: str
    careful: bool


@dataclass(frozen=True)
class AreaLines:
    """An area of life."""

    id: str
    name: str
    lines: tuple[CategoryLine, ...]


@dataclass(frozen=True)
class Data:
    """resident/data.html."""

    total: int
    areas: tuple[AreaLines, ...]


@dataclass(frozen=True)
class ValueLine:
    """A field of a record in words."""

    label: str
    text: str


@dataclass(frozen=True)
class RecordView:
    """One record."""

    id: str
    at: int
    source: str
    own: bool
    headline: str
    values: tuple[ValueLine, ...]


@dataclass(frozen=True)
class CategoryData:
    """resident/category.html."""

    id: str
    name: str
    area: str
    description: str
    sensitivity: str
    careful: bool
    model: str
    model_href: str
    total: int
    lines: tuple[charts.LineChart, ...]
    records: tuple[RecordView, ...]
    older: str
    newest: str


@dataclass(frozen=True)
class FormField:
    """A field of a record as a form asks for it."""

    name: str
    label: str
    kind: str
    hint: str
    value: str
    values: tuple[str, ...]  # ticked ones, where several may be
    error: str
    required: bool
    options: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class RecordForm:
    """resident/record.html: add or correct a record."""

    category_id: str
    category: str
    action: str
    upload_action: str  # "" when correcting
    fields: tuple[FormField, ...]
    errors: dict[str, str]
    labels: dict[str, str]
    upload_error: str
    example: str


@dataclass(frozen=True)
class DeleteRecord:
    """resident/delete.html."""

    action: str
    back: str
    category: str
    record: RecordView


# -- who used it


@dataclass(frozen=True)
class UseLine:
    """One disclosure, told in one sentence."""

    id: str
    at: int
    sentence: str
    why: str
    consent_href: str  # "" for a sign-in that shared no records
    withdraw_href: str  # "" when the consent is over
    grant_id: str  # of a sign-in that can be stopped; else ""
    withheld: str


@dataclass(frozen=True)
class UseDay:
    """The disclosures of a day."""

    at: int
    lines: tuple[UseLine, ...]


@dataclass(frozen=True)
class FilterGroup:
    """Filters as words."""

    label: str
    options: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True)
class Who:
    """resident/who.html."""

    total: int
    summary: str
    filters: tuple[FilterGroup, ...]
    heat: charts.HeatStrip
    recipients: charts.BarChart | None
    days: tuple[UseDay, ...]
    newer: str
    older: str
    export_href: str


# -- consents


@dataclass(frozen=True)
class EventLine:
    """A step in the history of a consent."""

    at: int
    words: str
    detail: str


@dataclass(frozen=True)
class Choice:
    """A category of a consent: needed, or the resident's to allow and to stop."""

    id: str
    name: str
    required: bool
    agreed: bool


@dataclass(frozen=True)
class ConsentView:
    """resident/consent.html."""

    id: str
    title: str
    sentence: str
    state: str
    state_words: str
    seal_words: str
    seal_date: str
    recipient: str
    purpose: str
    what: tuple[str, ...]
    not_agreed: tuple[str, ...]
    given_at: int
    until: int | None
    benefit: str
    basis: str
    full_text: tuple[str, ...]
    uses: int
    last_use: int | None
    choices: tuple[Choice, ...]  # empty when there is nothing to choose
    events: tuple[EventLine, ...]
    changed: bool = False  # the offer has a later revision
    answer_by: int | None = None  # asked by a campaign: without an answer it ends then
    declined: bool = False  # they said no already
    renewable: bool = False
    told: tuple[str, ...] = ()  # once it is over: whether the recipient knows, and what it said
    confirmed: bool = False
    several: bool = False  # there are other versions to compare with
    in_advance: bool = False  # a standing instruction answered, and it can be undone


@dataclass(frozen=True)
class Renew:
    """resident/renew.html: agree anew, to the same or to what changed; only the difference is shown."""

    action: str
    back: str
    title: str
    sentence: str  # what it comes to, if they agree
    recipient: str
    revision_id: str
    shown_in: str
    lines: tuple[ChangeLine, ...]
    asked: bool  # a material change: it is a question
    until: int  # as it stands now
    answer_by: int | None  # asked by a campaign: without an answer it ends then
    declined: bool  # they said no already


@dataclass(frozen=True)
class Withdraw:
    """resident/withdraw.html: what will happen, before it does."""

    action: str
    back: str
    title: str
    recipient: str
    what: str
    uses: int
    services: tuple[str, ...]
    if_withdrawn: str


@dataclass(frozen=True)
class Receipt:
    """resident/receipt.html."""

    id: str
    title: str
    person: str
    sentence: str
    seal_words: str
    seal_date: str
    state: str
    state_words: str
    given_at: int
    until: int | None
    recipient: str
    purpose: str
    what: tuple[str, ...]
    number: int
    notice_hash: str
    log_index: int | None
    download_href: str
    issuer: str
    qr: str = ""  # an SVG: where the file is checked, with the name of this receipt's entry


# -- leaving


@dataclass(frozen=True)
class KeptThing:
    """Something that stays behind, and why."""

    what: str
    why: str
    until: int | None


@dataclass(frozen=True)
class Leave:
    """resident/leave.html."""

    records: int
    consents: int
    uses: int
    completion: int
    kept: tuple[KeptThing, ...]


@dataclass(frozen=True)
class Erase:
    """resident/erase.html: the last question."""

    records: int
    completion: int
    error: str


@dataclass(frozen=True)
class Erased:
    """resident/erased.html: good-bye. `evidence` is a file as a data address: we keep no copy to link to."""

    completion: int
    kept: tuple[KeptThing, ...]
    evidence: str
