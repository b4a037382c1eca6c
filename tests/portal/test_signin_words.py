"""Small readers behind the forms: dates as people write them, names of browsers."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import user_agents
from portal.typed_dates import read_birthdate

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    "written",
    [
        "1951-04-02", "1951-4-2", "1951/4/2", "1951.4.2", "19510402", "1951年4月2日", "１９５１年４月２日",
        "昭和26年4月2日", "昭和２６年４月２日", "S26.4.2", "s26/4/2", " 1951 - 04 - 02 ", "2 April 1951", "2 Apr 1951",
    ],
)  # fmt: skip
def test_reads_a_date_the_way_people_write_it(written: str) -> None:
    assert read_birthdate(written, today=TODAY) == date(1951, 4, 2)


def test_reads_the_first_year_of_an_era() -> None:
    assert read_birthdate("令和元年5月1日", today=TODAY) == date(2019, 5, 1)
    assert read_birthdate("R1.5.1", today=TODAY) == date(2019, 5, 1)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "someday",
        "1951",
        "13月40日",
        "1951-13-01",
        "1951-02-30",
        "2026-11-23",
        "1879-12-31",
        "4/2/1951",
        "昭和0年0月0日",
        "99999999",
    ],
)
def test_refuses_what_is_unclear_or_impossible(written: str) -> None:
    with pytest.raises(ValueError):
        read_birthdate(written, today=TODAY)


@given(st.dates(min_value=date(1880, 1, 1), max_value=TODAY))
def test_every_date_is_read_back(day: date) -> None:
    assert read_birthdate(day.isoformat(), today=TODAY) == day
    assert read_birthdate(f"{day.year}年{day.month}月{day.day}日", today=TODAY) == day


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_a_value_error(text: str) -> None:
    try:
        read_birthdate(text, today=TODAY)
    except ValueError:
        return


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1",
            ("Safari", "iPhone"),
        ),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0", ("Edge", "Windows")),
        ("Mozilla/5.0 (Linux; Android 16) Chrome/156.0.0.0 Mobile Safari/537.36", ("Chrome", "Android")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", ("Firefox", "Linux")),
        ("curl/8.0", ("", "")),
        ("", ("", "")),
    ],
)
def test_calls_a_browser_by_two_words(header: str, names: tuple[str, str]) -> None:
    assert user_agents.names(header) == names
