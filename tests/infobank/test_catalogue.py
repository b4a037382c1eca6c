"""The catalogue of data categories (infobank/catalogue.py).

`dpv_pd_terms.csv`: the 231 term names of W3C Data Privacy Vocabulary 2.3, `pd` (w3c/dpv at f01a55c, W3C Software and
Document licence 2023).
"""

import csv
import json
from importlib import resources

import pytest
from jsonschema import Draft202012Validator

from infobank import catalogue
from infobank.catalogue import AREAS, SENSITIVITY_LABELS, Catalogue
from infobank.errors import SchemaViolation, UnknownCategory

NOW = 1_795_000_000_000  # 2026-11-18

GOOD = {"date": "2026-10-02", "systolic": 118, "diastolic": 74, "hba1c": 5.4, "judgement": "A"}


@pytest.fixture(scope="module")
def categories() -> Catalogue:
    return catalogue.load()


def test_there_is_something_for_every_area_of_life(categories: Catalogue) -> None:
    assert {category.area for category in categories} == set(AREAS)
    assert {"health_checkup", "mobility", "household", "energy_use", "disaster_support"} <= set(categories.ids)


def test_every_schema_is_a_valid_draft_2020_12_schema_that_admits_no_unknown_field(categories: Catalogue) -> None:
    for category in categories:
        Draft202012Validator.check_schema(category.schema)
        assert category.schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert category.schema["additionalProperties"] is False
        assert category.recorded in category.schema["required"]


def test_every_label_is_there_in_both_languages_and_differs(categories: Catalogue) -> None:
    for category in categories:
        labels = [category.label, category.description]
        for field in category.fields:
            labels += [field.label, *field.values.values()]
        for label in labels:
            assert label.ja.strip()
            assert label.en.strip()
        assert category.label.ja != category.label.en
        assert category.sensitivity in SENSITIVITY_LABELS


def test_every_choice_has_a_word_and_every_summary_names_a_field(categories: Catalogue) -> None:
    for category in categories:
        for name, spec in category.schema["properties"].items():
            choices = spec.get("items", spec).get("enum", [])
            assert set(category.field_by_name[name].values) == set(choices)
        assert set(category.summary) <= set(category.field_by_name)


def test_personal_data_terms_are_terms_of_the_data_privacy_vocabulary(categories: Catalogue) -> None:
    for category in categories:
        assert category.pd.startswith("https://w3id.org/dpv/pd#")
        assert category.pd.rpartition("#")[2] in DPV_PD


def test_a_fitting_record_is_dated_at_midnight_in_the_city(categories: Catalogue) -> None:
    at = categories.get("health_checkup").check(GOOD, now=NOW)
    assert at == 1_790_866_800_000  # 2026-10-02T00:00+09:00


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"systolic": "118"}, "/systolic"),
        ({"systolic": 9999}, "/systolic"),
        ({"date": "20261002"}, "/date"),
        ({"date": "2026-02-30"}, "/date"),
        ({"date": 5}, "/date"),
        ({"blood/type~": "A"}, "/blood~1type~0"),
        ({"judgement": "Z"}, "/judgement"),
        ({"note": ""}, "/note"),
        ({"note": "x" * 401}, "/note"),
        ({"date": "2030-01-01"}, "/date"),
        ({"date": "0001-01-01"}, "/date"),
    ],
)
def test_a_wrong_field_is_named_by_a_json_pointer(
    categories: Catalogue, change: dict[str, object], pointer: str
) -> None:
    with pytest.raises(SchemaViolation) as caught:
        categories.get("health_checkup").check({**GOOD, **change}, now=NOW)
    assert [error["pointer"] for error in caught.value.document()["errors"]] == [pointer]
    assert caught.value.status == 422


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
@pytest.mark.parametrize("name", ["boarded_at", "alighted_at"])
def test_a_moment_that_leaves_the_calendar_in_another_zone_is_refused(
    categories: Catalogue, name: str, moment: str
) -> None:
    """One such record would break every page and export it is shown on."""
    journey = {"boarded_at": "2026-10-02T08:00:00+09:00", "mode": "bus", "origin": "Harbour", name: moment}
    with pytest.raises(SchemaViolation) as caught:
        categories.get("mobility").check(journey, now=NOW)
    assert [error["pointer"] for error in caught.value.errors] == [f"/{name}"]


def test_a_missing_field_is_named_too(categories: Catalogue) -> None:
    with pytest.raises(SchemaViolation) as caught:
        categories.get("health_checkup").check({"systolic": 120}, now=NOW, pointer="/records/3/data")
    assert caught.value.errors == [{"pointer": "/records/3/data/date", "detail": "is required"}]


def test_every_missing_field_is_named(categories: Catalogue) -> None:
    with pytest.raises(SchemaViolation) as caught:
        categories.get("disaster_support").check({}, now=NOW)
    assert [error["pointer"] for error in caught.value.errors] == ["/updated", "/walking"]


def test_no_message_repeats_the_value_that_was_wrong(categories: Catalogue) -> None:
    """I6: personal data is never in an error."""
    secret = "ひみつの病名"
    for data in (
        {**GOOD, "judgement": secret},
        {**GOOD, "systolic": secret},
        {**GOOD, "date": secret},
        [secret],
        secret,
    ):
        with pytest.raises(SchemaViolation) as caught:
            categories.get("health_checkup").check(data, now=NOW)
        assert secret not in json.dumps(caught.value.document(), ensure_ascii=False)
        assert secret not in str(caught.value)


def test_an_unknown_category_is_refused(categories: Catalogue) -> None:
    with pytest.raises(UnknownCategory):
        categories.get("horoscope")


def test_values_are_told_in_words(categories: Catalogue) -> None:
    checkup = categories.get("health_checkup")
    assert checkup.summarise(GOOD, "ja") == "血圧（上） 118 mmHg・HbA1c（血糖のめやす） 5.4 %・A 異常なし"
    assert checkup.summarise(GOOD, "en").endswith("A: nothing found")
    assert checkup.field_by_name["date"].text("2026-10-02", "ja") == "2026年10月2日"
    assert checkup.field_by_name["date"].text("2026-10-02", "en") == "2 October 2026"
    household = categories.get("household")
    assert household.field_by_name["relations"].text(["self", "child"], "ja") == "本人、子"
    journey = categories.get("mobility").field_by_name["boarded_at"]
    assert journey.text("2026-11-21T23:30:00Z", "ja") == "2026年11月22日 08:30"


def _terms() -> frozenset[str]:
    text = (resources.files("tests.infobank") / "dpv_pd_terms.csv").read_text("utf-8")
    return frozenset(row[0] for row in csv.reader(text.splitlines()) if row)


DPV_PD = _terms()
