"""Parts of a name and telephone numbers, as they are typed (OpenID Connect Core sections 5.1 and 5.2)."""

import pytest

from identity.person import fits, kana_parts, read_phone, shown_phone


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("090-1234-5678", "+819012345678"),
        ("（０３）１２３４ー５６７８", "+81312345678"),  # a Japanese keyboard's width, brackets and long vowel
        (" +81 (0)90 1234 5678", "+819012345678"),
        ("+1 (425) 555-1212", "+14255551212"),  # the example of section 5.1
        ("", ""),
        ("12", None), ("+0123456789", None), ("090-1234-5678#1", None), ("+1234567890123456", None), ("電話", None),
    ],
)  # fmt: skip
def test_a_number_is_told_as_e164_however_it_was_typed(typed: str, number: str | None) -> None:
    """Core section 5.1, phone_number."""
    assert read_phone(typed) == number
    if number:
        assert read_phone(shown_phone(number)) == number


@pytest.mark.parametrize(
    ("name", "family", "given", "whole"),
    [
        ("湊 花子", "湊", "花子", True),
        ("湊花子", "湊", "花子", True),
        ("John Smith", "Smith", "John", True),
        ("葛\U000e0100城 花子", "葛\U000e0100城", "花子", True),
        ("葛\U000e0100城 花子", "葛城", "花子", False),  # another character, however alike
        ("渡邉 花子", "渡邊", "花子", False),
        ("スカルノ", "", "スカルノ", True),  # a mononym
        ("スカルノ", "", "", True),
        ("湊 花子", "湊", "", False),
        ("湊 花子", "別府", "太郎", False),
    ],
)
def test_the_parts_of_a_name_are_the_name_itself(name: str, family: str, given: str, whole: bool) -> None:
    assert fits(name, family=family, given=given) is whole


@pytest.mark.parametrize(
    ("name", "family", "given", "kana", "parts"),
    [
        ("湊 花子", "湊", "花子", "ミナト ハナコ", ("ミナト", "ハナコ")),
        ("グエン ティ ラン", "グエン", "ティ ラン", "グエン ティ ラン", ("グエン", "ティ ラン")),
        ("John Smith", "Smith", "John", "ジョン スミス", ("スミス", "ジョン")),
        ("湊 花子", "湊", "花子", "ミナトハナコ", ("", "")),
        ("スカルノ", "", "スカルノ", "スカルノ", ("", "スカルノ")),
        ("湊 花子", "", "", "ミナト ハナコ", ("", "")),
    ],
)
def test_a_reading_parts_where_its_words_say_so(
    name: str, family: str, given: str, kana: str, parts: tuple[str, str]
) -> None:
    assert kana_parts(name, kana, family=family, given=given) == parts
