"""The statutory clocks against a table worked out by hand, and the calendar against the Cabinet Office's list."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cert.calendar import is_open, national_holidays, next_open
from cert.deadlines import Answer, Body, Clock, Facts, Standing, clocks, nearest
from kit.clock import from_iso, iso

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def of(facts: Facts) -> dict[str, Clock]:
    return {clock.id: clock for clock in clocks(facts)}


def known(text: str, **more: Any) -> Facts:
    start = Facts(aware_at=from_iso(text), personal_data=YES, sensitive=YES, protected=NO)
    return replace(start, **more)


@pytest.mark.parametrize(
    ("aware", "wrongful", "third", "fifth", "final"),
    [
        # Sunday 22 November 2026, 09:00 in Japan: day 3 is the 24th, day 5 the 26th, day 30 Monday 21 December.
        ("2026-11-22T09:00:00+09:00", NO, "2026-11-24", "2026-11-26", "2026-12-21"),
        # Day 60 is Wednesday 20 January 2027.
        ("2026-11-22T09:00:00+09:00", YES, "2026-11-24", "2026-11-26", "2027-01-20"),
        # One minute to midnight still makes that day day 1.
        ("2026-11-22T23:59:00+09:00", NO, "2026-11-24", "2026-11-26", "2026-12-21"),
        # 15:30 UTC is already the next day in Japan.
        ("2026-11-22T15:30:00Z", NO, "2026-11-25", "2026-11-27", "2026-12-22"),
        # Day 30 is Wednesday 30 December: offices open again on Monday 4 January.
        ("2026-12-01T10:00:00+09:00", NO, "2026-12-03", "2026-12-05", "2027-01-04"),
        # Day 30 is Saturday 2 May 2026, then Sunday, and the holidays of 4, 5 and 6 May (substitute).
        ("2026-04-03T10:00:00+09:00", NO, "2026-04-05", "2026-04-07", "2026-05-07"),
    ],
)
def test_reports_are_due_on_the_days_counted_by_hand(
    aware: str, wrongful: Answer, third: str, fifth: str, final: str
) -> None:
    found = of(known(aware, wrongful_purpose=wrongful))
    assert found["appi-preliminary"].from_at == end_of(third)
    assert found["appi-preliminary"].due_at == end_of(fifth)
    assert found["appi-final"].due_at == end_of(final)


def end_of(day: str) -> int:
    return from_iso(f"{day}T00:00:00+09:00") + 86_400_000


@pytest.mark.parametrize(
    ("facts", "standing"),
    [
        ({}, Standing.RUNS),
        ({"personal_data": NO}, Standing.DOES_NOT_RUN),
        ({"personal_data": UNKNOWN}, Standing.POSSIBLE),
        ({"protected": YES}, Standing.DOES_NOT_RUN),
        ({"sensitive": NO}, Standing.POSSIBLE),  # property and purpose are not known yet
        ({"sensitive": NO, "property_damage": NO, "wrongful_purpose": NO}, Standing.DOES_NOT_RUN),
        ({"sensitive": NO, "property_damage": NO, "wrongful_purpose": YES}, Standing.RUNS),
    ],
)
def test_a_duty_runs_when_a_gate_is_open_and_may_run_while_nobody_knows(
    facts: dict[str, Answer], standing: Standing
) -> None:
    assert of(known("2026-11-22T09:00:00+09:00", **facts))["appi-final"].standing is standing


@pytest.mark.parametrize(
    ("body", "certain", "possible", "standing"),
    [
        (Body.CITY, 100, 0, Standing.DOES_NOT_RUN),
        (Body.CITY, 101, 0, Standing.RUNS),
        (Body.CITY, 60, 60, Standing.POSSIBLE),
        (Body.COMPANY, 1000, 0, Standing.DOES_NOT_RUN),
        (Body.COMPANY, 1001, 0, Standing.RUNS),
    ],
)
def test_a_city_reports_above_a_hundred_people_and_a_company_above_a_thousand(
    body: Body, certain: int, possible: int, standing: Standing
) -> None:
    facts = known(
        "2026-11-22T09:00:00+09:00",
        sensitive=NO,
        property_damage=NO,
        wrongful_purpose=NO,
        body=body,
        people_certain=certain,
        people_possible=possible,
    )
    found = of(facts)["appi-final"]
    assert found.standing is standing
    assert ("68条" in found.article) is (body is Body.CITY)


def test_europeans_among_them_start_seventy_two_hours() -> None:
    assert "gdpr-authority" not in of(known("2026-11-22T09:00:00+09:00"))
    found = of(known("2026-11-22T09:00:00+09:00", eu_residents=YES))["gdpr-authority"]
    assert found.due_at is not None
    assert iso(found.due_at) == "2026-11-25T00:00:00Z"


def test_the_nearest_end_comes_first_and_what_does_not_run_last() -> None:
    found = clocks(known("2026-11-22T09:00:00+09:00", eu_residents=YES))
    assert [clock.id for clock in found] == ["gdpr-authority", "appi-preliminary", "appi-final", "appi-persons"]


def test_a_report_that_was_filed_stops_its_clock_and_no_other() -> None:
    facts = known("2026-11-22T09:00:00+09:00", filed=frozenset({"appi-preliminary"}))
    found = of(facts)
    assert found["appi-preliminary"].standing is Standing.FILED
    assert found["appi-final"].standing is Standing.RUNS
    near = nearest(clocks(facts))
    assert near is not None
    assert near.id == "appi-final"
    assert nearest(clocks(known("2026-11-22T09:00:00+09:00", personal_data=NO))) is None


def test_every_clock_shows_its_sum_in_both_languages() -> None:
    for clock in clocks(known("2026-12-01T10:00:00+09:00", wrongful_purpose=YES, eu_residents=YES)):
        assert clock.sum
        assert all(step.ja and step.en for step in clock.sum)
    final = of(known("2026-12-01T10:00:00+09:00"))["appi-final"]
    assert [step.en for step in final.sum] == [
        "Known on Tue 1 December at 10:00 JST; this day is day 1",
        "Day 30 is Wed 30 December",
        "Offices are closed: next open day Mon 4 January",
    ]


@given(
    st.integers(min_value=0, max_value=4_000_000_000_000),
    st.sampled_from(Answer),
    st.sampled_from(Answer),
    st.sampled_from(Body),
    st.integers(0, 5000),
)
def test_no_facts_whatever_break_the_sum(
    aware: int, sensitive: Answer, wrongful: Answer, body: Body, people: int
) -> None:
    facts = Facts(aware_at=aware, sensitive=sensitive, wrongful_purpose=wrongful, body=body, people_certain=people)
    for clock in clocks(facts):
        assert clock.due_at is None or clock.due_at > aware
        assert clock.from_at is None or (clock.due_at is not None and clock.from_at < clock.due_at)


def test_national_holidays_are_those_of_the_cabinet_offices_list() -> None:
    """内閣府「国民の祝日」 for 2025 and 2026."""
    assert sorted(f"{d:%m-%d}" for d in national_holidays(2026)) == [
        "01-01", "01-12", "02-11", "02-23", "03-20", "04-29", "05-03", "05-04", "05-05", "05-06",
        "07-20", "08-11", "09-21", "09-22", "09-23", "10-12", "11-03", "11-23",
    ]  # fmt: skip
    assert sorted(f"{d:%m-%d}" for d in national_holidays(2025)) == [
        "01-01", "01-13", "02-11", "02-23", "02-24", "03-20", "04-29", "05-03", "05-04", "05-05", "05-06",
        "07-21", "08-11", "09-15", "09-23", "10-13", "11-03", "11-23", "11-24",
    ]  # fmt: skip


def test_offices_are_closed_over_the_turn_of_the_year() -> None:
    assert next_open(date(2026, 12, 29)) == date(2027, 1, 4)
    assert is_open(date(2026, 12, 28))
    assert not is_open(date(2026, 9, 22))  # the day between two holidays
