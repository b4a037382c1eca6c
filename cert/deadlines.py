"""The clocks that the law starts when personal data leak. Pure: facts and the time in, clocks out.

Rules are data with the article they come from and the day someone last read it; every clock shows its sum, so
that a lawyer can find the mistake. Sources:

- the city itself: Act on the Protection of Personal Information (APPI) article 68, Enforcement Rules 43 to 45;
- a member company: APPI article 26, Enforcement Rules 7 to 10;
- both by the Personal Information Protection Commission's guideline (通則編 3-5-3): preliminary report about 3 to
  5 days from knowing; final report 30 days from knowing, 60 if done with wrongful purpose; the day of knowing
  is day 1; if a final report's last day is not a working day, the next working day; no such relief for the
  preliminary report; the persons told promptly;
- residents of the European Union among those affected: GDPR article 33, 72 hours.

A suspicion is enough to start a clock (「おそれ」), so a fact nobody knows yet counts as *possible*, not as no.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from enum import StrEnum

from cert.calendar import next_open
from cert.words import Words
from kit.clock import HOUR, Millis

JST = timezone(timedelta(hours=9), "JST")
REVIEWED = date(2026, 11, 22)  # when the rules below were last compared with their sources
STALE_AFTER = timedelta(days=180)  # a rule unread for longer is shown with a warning


class Body(StrEnum):
    """Who answers for the data: it decides which articles apply."""

    CITY = "city"
    COMPANY = "company"


class Answer(StrEnum):
    """What the desk knows about a fact."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the law asks about a breach."""

    aware_at: Millis
    body: Body = Body.CITY
    personal_data: Answer = Answer.UNKNOWN
    sensitive: Answer = Answer.UNKNOWN  # 要配慮個人情報
    property_damage: Answer = Answer.UNKNOWN  # 財産的被害のおそれ
    wrongful_purpose: Answer = Answer.UNKNOWN  # 不正の目的
    protected: Answer = Answer.UNKNOWN  # advanced encryption, and the keys are safe
    eu_residents: Answer = Answer.NO
    people_certain: int = 0
    people_possible: int = 0
    filed: frozenset[str] = frozenset()  # ids of the clocks that were answered


class Standing(StrEnum):
    """Whether a duty has begun."""

    RUNS = "runs"
    POSSIBLE = "possible"
    FILED = "filed"
    DOES_NOT_RUN = "does_not_run"


@dataclass(frozen=True, slots=True)
class Clock:
    """One duty with its end, its reason, and the sum that led there."""

    id: str
    name: Words
    to: Words
    article: str
    standing: Standing
    why: Words
    due_at: Millis | None  # None: promptly, with no fixed end
    from_at: Millis | None  # the law says "about 3 to 5 days": the early end of it
    sum: tuple[Words, ...]

    def left(self, now: Millis) -> Millis | None:
        """Time left; negative when past."""
        return None if self.due_at is None else self.due_at - now


IDS = ("appi-preliminary", "appi-final", "appi-persons", "gdpr-authority")
HEADS = {Body.CITY: 100, Body.COMPANY: 1000}  # more than this many people (Rules 43(4) and 7(4))
ARTICLES = {
    Body.CITY: "個人情報保護法68条・規則43〜45条",
    Body.COMPANY: "個人情報保護法26条・規則7〜10条",
}
_PPC = Words("個人情報保護委員会", "Personal Information Protection Commission")


def clocks(facts: Facts) -> tuple[Clock, ...]:
    """Every clock these facts start or may start, nearest end first; then those that do not run, and why."""
    found = [
        replace(clock, standing=Standing.FILED)
        if clock.id in facts.filed and clock.standing is not Standing.DOES_NOT_RUN
        else clock
        for clock in (*_appi(facts), *_gdpr(facts))
    ]
    rank = {Standing.RUNS: 0, Standing.POSSIBLE: 0, Standing.FILED: 1, Standing.DOES_NOT_RUN: 2}
    return tuple(sorted(found, key=lambda c: (rank[c.standing], c.due_at is None, c.due_at or 0)))


def nearest(found: tuple[Clock, ...]) -> Clock | None:
    """The clock that ends first among those that run or may run."""
    waiting = (Standing.RUNS, Standing.POSSIBLE)
    return next((clock for clock in found if clock.standing in waiting and clock.due_at is not None), None)


def trigger(facts: Facts) -> tuple[Standing, Words]:
    """Whether the duty to report under the APPI has begun, and by which of its four gates."""
    heads = HEADS[facts.body]
    if facts.personal_data is Answer.NO:
        return Standing.DOES_NOT_RUN, Words("個人データは含まれない", "No personal data involved")
    if facts.protected is Answer.YES:
        return (
            Standing.DOES_NOT_RUN,
            Words("高度な暗号化などの措置があり、鍵は安全", "Strongly encrypted, and the keys are safe"),
        )
    gates = (
        (facts.wrongful_purpose, Words("不正の目的のおそれ（1人から）", "Wrongful purpose suspected (from 1 person)")),
        (facts.sensitive, Words("要配慮個人情報（1人から）", "Sensitive data (from 1 person)")),
        (facts.property_damage, Words("財産的被害のおそれ（1人から）", "Property damage likely (from 1 person)")),
        (_more_than(heads, facts), Words(f"本人が{heads:,}人を超える", f"More than {heads:,} people")),
    )
    for answer, why in gates:
        if answer is Answer.YES:
            if facts.personal_data is Answer.YES:
                return Standing.RUNS, why
            return Standing.POSSIBLE, Words(f"{why.ja}。個人データか未確認", f"{why.en}; personal data not confirmed")
    unknown = [why for answer, why in gates if answer is Answer.UNKNOWN]
    if unknown:
        return (
            Standing.POSSIBLE,
            Words(
                "未確認：" + "、".join(why.ja for why in unknown),
                "Not known yet: " + "; ".join(why.en for why in unknown),
            ),
        )
    return Standing.DOES_NOT_RUN, Words("四つの要件のどれにも当たらない", "None of the four conditions is met")


def _more_than(heads: int, facts: Facts) -> Answer:
    if facts.people_certain > heads:
        return Answer.YES
    return Answer.UNKNOWN if facts.people_certain + facts.people_possible > heads else Answer.NO


def _appi(facts: Facts) -> Iterator[Clock]:
    standing, why = trigger(facts)
    known = datetime.fromtimestamp(facts.aware_at / 1000, UTC).astimezone(JST)
    article = ARTICLES[facts.body]
    third, fifth = (_end_of(_day_n(known.date(), n)) for n in (3, 5))
    yield Clock(
        "appi-preliminary",
        Words("速報", "Preliminary report"),
        _PPC,
        article,
        standing,
        why,
        due_at=fifth,
        from_at=third,
        sum=(
            _known(known),
            Words(
                f"3日目 {_ja(_day_n(known.date(), 3))} 〜 5日目 {_ja(_day_n(known.date(), 5))}",
                f"Day 3 is {_en(_day_n(known.date(), 3))}, day 5 is {_en(_day_n(known.date(), 5))}",
            ),
            Words("休日でも延びない", "Not moved by weekends or holidays"),
        ),
    )
    days = 60 if facts.wrongful_purpose is Answer.YES else 30
    last = _day_n(known.date(), days)
    moved = next_open(last)
    lines = [
        _known(known),
        Words(f"{days}日目は{_ja(last)}", f"Day {days} is {_en(last)}"),
    ]
    if days == 60:
        lines.insert(1, Words("不正の目的のおそれがあるため60日", "60 days, because a wrongful purpose is suspected"))
    if moved != last:
        lines.append(Words(f"閉庁日のため次の開庁日 {_ja(moved)}", f"Offices are closed: next open day {_en(moved)}"))
    yield Clock(
        "appi-final",
        Words("確報", "Final report"),
        _PPC,
        article,
        standing,
        why,
        due_at=_end_of(moved),
        from_at=None,
        sum=tuple(lines),
    )
    yield Clock(
        "appi-persons",
        Words("本人への通知", "Notice to the persons"),
        Words("本人", "The persons concerned"),
        article,
        standing,
        why,
        due_at=None,
        from_at=None,
        sum=(
            Words("状況に応じて速やかに（定まった日数はない）", "Promptly, as the situation allows (no fixed number)"),
        ),
    )


def _gdpr(facts: Facts) -> Iterator[Clock]:
    if facts.eu_residents is Answer.NO:
        return
    standing, why = Standing.RUNS, Words("EU域内の人が含まれる", "People in the European Union are among them")
    if facts.personal_data is Answer.NO:
        standing, why = Standing.DOES_NOT_RUN, Words("個人データは含まれない", "No personal data involved")
    elif facts.eu_residents is Answer.UNKNOWN or facts.personal_data is Answer.UNKNOWN:
        standing, why = Standing.POSSIBLE, Words("EU域内の人がいるか未確認", "People in the EU: not known yet")
    known = datetime.fromtimestamp(facts.aware_at / 1000, UTC).astimezone(JST)
    yield Clock(
        "gdpr-authority",
        Words("監督機関への届出", "Notification to the supervisory authority"),
        Words("EU加盟国の監督機関", "Supervisory authority of the member state"),
        "GDPR Art. 33(1)",
        standing,
        why,
        due_at=facts.aware_at + 72 * HOUR,
        from_at=None,
        sum=(
            Words(f"{_ja(known.date())} {known:%H:%M}に知った", f"Known on {_en(known.date())} at {known:%H:%M} JST"),
            Words("72時間を足す", "Plus 72 hours"),
        ),
    )


def _day_n(known: date, n: int) -> date:
    return known + timedelta(days=n - 1)  # the day of knowing is day 1


def _end_of(day: date) -> Millis:
    end = datetime.combine(day + timedelta(days=1), time(), JST)
    return int(end.timestamp()) * 1000


def _known(known: datetime) -> Words:
    return Words(
        f"{_ja(known.date())} {known:%H:%M}に知った。この日が1日目",
        f"Known on {_en(known.date())} at {known:%H:%M} JST; this day is day 1",
    )


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _ja(day: date) -> str:
    return f"{day.month}月{day.day}日（{'月火水木金土日'[day.weekday()]}）"


def _en(day: date) -> str:
    return f"{day.strftime('%a')} {day.day} {_MONTHS[day.month - 1]}"
