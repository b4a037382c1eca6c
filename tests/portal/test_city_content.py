"""The words and records of the fictional city: complete in both languages, plausible, obviously invented."""

import re
from datetime import date, datetime, time

import pytest

from infobank import catalogue
from infobank.catalogue import CITY_ZONE
from portal.city import people, proposals
from portal.city.records import generate

DAYS = [date(2026, 11, 22), date(2027, 1, 1), date(2028, 2, 29)]


@pytest.mark.parametrize("today", DAYS)
def test_records_are_the_same_for_the_same_seed_and_day_and_fit_their_schemas(today: date) -> None:
    first = generate(7, today)
    assert first == generate(7, today)
    assert first != generate(8, today)
    assert 200 <= len(first) <= 600
    known = catalogue.load()
    now = round(datetime.combine(today, time(12), CITY_ZONE).timestamp() * 1000)
    for record in first:
        assert known.get(record.category).check(record.data, now=now) <= now


def test_every_source_deposits_only_what_it_is_registered_for() -> None:
    allowed = {member.key: set(member.source_categories) for member in people.MEMBERS}
    for record in generate(7, DAYS[0]):
        assert record.source == "self" or record.category in allowed[record.source]


def test_everyone_is_obviously_invented() -> None:
    assert len(people.RESIDENTS) == 8
    for resident in people.RESIDENTS:
        assert resident.postal_code.startswith("000-")
        assert resident.email.endswith(".minatohama.example")
        assert resident.address.startswith("汐路県湊浜市")
    for member in people.MEMBERS:
        for uri in (*member.redirect_uris, member.homepage):
            assert re.match(r"https://[a-z.]+\.minatohama\.example(/|$)|http://localhost:94\d\d/callback$", uri) or (
                uri.startswith("https://city.minatohama.example")
            )


def test_one_is_a_guardian_and_one_a_delegate_with_an_authority_and_an_end() -> None:
    logins = {resident.login for resident in people.RESIDENTS}
    assert sorted(mandate["kind"] for mandate in people.MANDATES) == ["delegate", "guardian"]
    for mandate in people.MANDATES:
        assert {mandate["holder"], mandate["subject"]} <= logins
        assert mandate["holder"] != mandate["subject"]
        assert mandate["authority"]
        assert mandate["authority_en"]
        assert date.fromisoformat(mandate["until"]) > max(DAYS[:1])


def test_three_uses_are_approved_and_one_waits_and_every_sentence_is_there_twice() -> None:
    assert [proposal.approved for proposal in proposals.PROPOSALS] == [True, True, True, False]
    known = catalogue.load()
    for proposal in proposals.PROPOSALS:
        assert any(use.required for use in proposal.uses)
        assert all(use.category in known for use in proposal.uses)
        for lang in ("ja", "en"):
            words = proposal.words[lang]
            for name in words.__slots__:
                assert getattr(words, name).strip(), (proposal.key, lang, name)
        assert proposal.words["ja"].question.endswith("か。")
        assert proposal.words["en"].question.endswith("?")


def test_what_was_agreed_and_disclosed_fits_what_was_proposed() -> None:
    by_key = {proposal.key: proposal for proposal in proposals.PROPOSALS}
    agreed = {}
    for login, key, days, categories in proposals.AGREED:
        offered = {use.category for use in by_key[key].uses}
        required = {use.category for use in by_key[key].uses if use.required}
        assert required <= set(categories) <= offered
        assert by_key[key].approved
        agreed[login, key] = days
    for login, key, days, _hour, _categories in proposals.DISCLOSED:
        assert days < agreed[login, key]
    assert ("hanako", "checkup-letter") not in agreed, "that is what the walk asks for"
