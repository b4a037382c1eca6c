"""The clerk's counter: a code brings a resident, documents are seen, a colleague confirms."""

from dataclasses import dataclass, field, replace

from kit.clock import HOUR, MINUTE, Millis
from portal.contexts import Sample


@dataclass(frozen=True)
class WaitingVisit:
    """What waits for a second clerk. `mine`: the reader wrote it down."""

    id: str
    ial: int
    opened_by: str
    recorded_at: Millis
    mine: bool


@dataclass(frozen=True)
class Counter:
    """counter/counter.html: type a code; never a list of residents."""

    problem: str  # "" | missed | own | throttled
    seconds: int
    waiting: tuple[WaitingVisit, ...]


@dataclass(frozen=True)
class PaperRow:
    """One document as it was written down."""

    kind: str
    issuer: str
    expires_on: str
    number: str
    chip: bool


@dataclass(frozen=True)
class Visit:
    """counter/visit.html: the person at the counter, and what the clerk sees of them."""

    id: str
    status: str  # open | waiting
    name: str
    kana: str
    birthdate: str
    address: str
    gender: str
    until: Millis
    kinds: tuple[str, ...]  # codes of documents, those with a photograph first
    pictured: int  # how many of them have one
    values: dict[str, str]
    compared: tuple[str, ...]
    errors: dict[str, str] = field(default_factory=dict)
    # once it is written down
    ial: int = 0
    papers: tuple[PaperRow, ...] = ()
    face: bool = False
    opened_by: str = ""
    recorded_at: Millis | None = None
    may_confirm: bool = False
    # beside what documents show
    parts: str = ""  # family / given name
    phone: str = ""
    phone_verified: bool = False


_NOW = 1_795_312_800_000  # 22 November 2026 in Japan


def samples() -> list[Sample]:
    """An empty counter and a busy one, each mistake, both halves of a visit."""
    visit = Visit(
        id="ver_01m7zz8rq3c4e5f6g7h8j9k0mn", status="open", name="湊 花子", kana="みなと はなこ",
        birthdate="1992-04-18", address="汐路県湊浜市汐見町一丁目2番3号 コーポしおかぜ 201", gender="female",
        until=_NOW + 20 * MINUTE,
        kinds=("individual-number-card", "driving-licence", "passport", "residence-card", "disability-certificate",
               "health-insurance", "care-insurance", "pension-number"),
        pictured=5, values={}, compared=(), parts="湊 / 花子", phone="00000000012",
    )  # fmt: skip
    waiting = replace(
        visit, status="waiting", ial=3, face=True, opened_by="浦 さやか", recorded_at=_NOW, may_confirm=True,
        until=_NOW + 2 * HOUR, compared=("name", "birthdate", "address"),
        papers=(
            PaperRow("individual-number-card", "湊浜市長", "2031-04-18", "", True),
            PaperRow("driving-licence", "汐路県公安委員会", "2029-05-18", "400112345678", False),
        ),
    )  # fmt: skip
    line = WaitingVisit(visit.id, 3, "浦 さやか", _NOW - HOUR, False)

    def of(template: str, name: str, context: object) -> Sample:
        return Sample(f"counter/{template}.html", name, context, viewer="clerk", path="/counter")

    return [
        of("counter", "empty", Counter("", 0, ())),
        of("counter", "missed", Counter("missed", 0, (line, replace(line, mine=True)))),
        of("counter", "own", Counter("own", 0, ())),
        of("counter", "throttled", Counter("throttled", 42, ())),
        of("visit", "open", visit),
        of(
            "visit",
            "bare",
            replace(visit, kana="", birthdate="", address="", gender="", name="特別永住者の" * 6, parts="", phone=""),
        ),
        of(
            "visit",
            "errors",
            replace(
                visit,
                values={"document-1": "passport", "expires-1": "2020-01-01"},
                errors={"expires-1": "This document has expired.", "compared": "Compare both."},
            ),
        ),
        of("visit", "waiting", waiting),
        of("visit", "waiting-error", replace(waiting, errors={"confirmed": "Please tick this."})),
        of("visit", "waiting-mine", replace(waiting, may_confirm=False)),
    ]
