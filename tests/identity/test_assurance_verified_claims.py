"""`verified_claims`: what is asked, read strictly; what is told, never more (OpenID Identity Assurance 1.0)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.assurance import verified_claims, verified_request
from identity.assurance.documents import Document
from identity.assurance.verified_claims import Proof
from identity.oauth.errors import InvalidRequest
from infobank.disclosures import claims_in_words
from kit.clock import DAY, SECOND, from_iso
from tests.support.ida import check_answer

NOW = from_iso("2026-11-22T03:00:00Z")
FRAMEWORK = "urn:sekisho:trust-framework:counter"
PROOF = Proof(
    ial=3,
    claims={"name": "湊 花子", "birthdate": "1988-04-02", "address": {"formatted": "湊浜市潮見1-2-3"}},
    documents=(
        Document("individual-number-card", "湊浜市長", expires_on="2031-04-18", chip=True),
        Document("health-insurance", number="12345678"),
    ),
    face=True,
    verified_at=NOW - 100 * DAY,
)
NAME = {"name": None}
NUMBER = {"type": {"value": "document"}, "document_details": {"type": None, "document_number": None}}


def asked(verification: dict[str, Any] | None = None, claims: Any = NAME) -> dict[str, Any]:
    return {"verification": {"trust_framework": None} | (verification or {}), "claims": claims}


def told(request: Any, *, evidence: bool = True, proof: Proof | None = PROOF) -> Any:
    normal = verified_request.read(request)
    value = verified_claims.answer(normal, proof, framework=FRAMEWORK, evidence=evidence, now=NOW)
    return value if value is None else check_answer(value)


def test_the_smallest_question_is_told_the_framework_and_the_claim() -> None:
    """Section 5.3: nothing of the verification but what was asked."""
    assert told(asked()) == {"verification": {"trust_framework": FRAMEWORK}, "claims": {"name": "湊 花子"}}
    assert told(asked(claims={"name": {}, "birthdate": {"essential": True, "purpose": "why"}}))["claims"] == {
        "name": "湊 花子",
        "birthdate": "1988-04-02",
    }


def test_verification_data_are_told_as_far_as_asked() -> None:
    """Section 5.4."""
    said = told(asked({"time": None, "assurance_level": {}, "verification_process": None, "flavour": {"a": None}}))
    assert said["verification"] == {
        "trust_framework": FRAMEWORK,
        "assurance_level": "urn:sekisho:ial:3",
        "time": "2026-08-14T03:00:00Z",
    }
    said = told(asked({"evidence": [NUMBER]}))
    first, second = said["verification"]["evidence"]
    assert first == {"type": "document", "document_details": {"type": "jp_individual_number_card"}}
    assert second["document_details"] == {"type": "jp_health_insurance_card", "document_number": "12345678"}
    checks = [{"check_method": None, "time": None}]
    said = told(asked({"evidence": [{"type": {"value": "document"}, "check_details": checks}]}))
    found = [[one["check_method"] for one in each["check_details"]] for each in said["verification"]["evidence"]]
    assert found == [["vpip", "vcrypt", "pvp"], ["vpip"]]


@pytest.mark.parametrize(
    "verification",
    [
        {"trust_framework": {"value": "de_aml"}},
        {"trust_framework": {"values": ["eidas", "jp_aml"]}},
        {"assurance_level": {"value": "urn:sekisho:ial:2"}},
        {"time": {"max_age": 99 * DAY // SECOND}},
        {"verification_process": {"value": "x"}},  # what we never have can't be met, and is not ignored (5.5.1)
        {"assurance_process": {"policy": {"value": "gold"}}},
        {"evidence": [{"type": {"value": "vouch"}}]},
        {"evidence": [{"type": {"value": "document"}, "document_details": {"type": {"value": "passport"}}}]},
        {"evidence": [{"type": {"value": "document"}, "check_details": [{"check_method": {"value": "bvr"}}]}]},
        {"evidence": [{"type": {"value": "document"}, "check_details": [
            {"check_method": None, "check_id": {"value": "7"}}]}]},
        {"evidence": [{"type": {"value": "document"}, "document_details": {
            "type": {"value": "jp_individual_number_card"}, "document_number": {"value": "1"}}}]},
        {"evidence": [{"type": {"value": "document"}, "attachments": {"value": "photo"}}]},
    ],
)  # fmt: skip
def test_a_restriction_of_the_verification_that_is_not_met_silences_everything(verification: dict[str, Any]) -> None:
    """Section 5.7.4, first rule; and no error is returned."""
    assert told(asked(verification)) is None


@pytest.mark.parametrize(
    "verification",
    [
        {"trust_framework": {"values": ["eidas", FRAMEWORK]}},
        {"assurance_level": {"values": ["urn:sekisho:ial:2", "urn:sekisho:ial:3"]}},
        {"time": {"max_age": 100 * DAY // SECOND}},
        {"evidence": [{"type": {"value": "vouch"}}, {"type": {"value": "document"}}]},  # filters are linked by OR
        {"evidence": [{"type": {"value": "document"}, "document_details": {
            "type": {"values": ["passport", "jp_individual_number_card"]}, "date_of_expiry": {"max_age": 0}}}]},
        {"evidence": [{"type": {"value": "document"}, "check_details": [{"check_method": {"value": "vcrypt"}}]}]},
    ],
)  # fmt: skip
def test_a_restriction_that_is_met_is_told(verification: dict[str, Any]) -> None:
    assert told(asked(verification))["claims"] == NAME | {"name": "湊 花子"}


def test_filters_leave_out_the_evidence_that_does_not_fit() -> None:
    """Section 5.4: a filter over elements, and the template of those that pass."""
    card = {"type": {"value": "jp_individual_number_card"}, "issuer": {"name": None, "country_code": None}}
    said = told(asked({"evidence": [{"type": {"value": "document"}, "document_details": card}]}))
    (one,) = said["verification"]["evidence"]
    assert one["document_details"] == {
        "type": "jp_individual_number_card",
        "issuer": {"name": "湊浜市長", "country_code": "JP"},
    }


def test_a_claim_that_is_unknown_or_other_than_wanted_is_left_out_by_itself() -> None:
    """Sections 5.7.2 and 5.7.4, second rule: whether essential or not."""
    wanted = {
        "name": {"value": "湊 花子"},
        "birthdate": {"values": ["1990-01-01"]},
        "nationalities": {"essential": True},
        "shoe size ☃": None,
        "gender": None,
    }
    assert told(asked(claims=wanted))["claims"] == {"name": "湊 花子"}
    nobody = {"verification": {"trust_framework": FRAMEWORK}, "claims": {}}  # valid: Schema Definition section 5.3
    assert told(asked(claims={"birthdate": {"value": "0d5c2f0e"}})) == nobody
    assert told(asked(claims={"gender": None})) == nobody  # nobody looked
    assert verified_claims.names(nobody) == ("verified:verification",)


def test_a_resident_reads_in_words_whatever_was_told() -> None:
    said = {"verification": {"evidence": []}, "claims": dict.fromkeys(verified_request.CLAIMS)}
    told_names = verified_claims.names([said, {"verification": {}, "claims": {}}])
    for lang in ("ja", "en"):
        words = claims_in_words(told_names, lang)
        assert len(words) == len(told_names) == len(verified_request.CLAIMS) + 2
        assert not any("verified:" in word for word in words)


def test_who_asks_for_nothing_we_have_is_told_nothing() -> None:
    """The resident reads which claims are asked for: of a question without any they would have agreed to nothing."""
    assert told(asked(claims={"nationalities": None})) is None
    assert told(asked(claims={"nationalities": {"value": "jp"}})) is None
    assert told(asked(claims=None)) is None


def test_several_questions_are_answered_each_by_itself() -> None:
    """Section 5.6."""
    both = [
        asked({"trust_framework": {"value": FRAMEWORK}, "time": None}, {"name": None}),
        asked({"trust_framework": {"value": "de_aml"}}, {"birthdate": None}),
        asked({}, {"name": None, "birthdate": None}),
    ]
    said = told(both)
    assert [list(one["claims"]) for one in said] == [["name"], ["name", "birthdate"]]
    assert "time" not in said[1]["verification"]
    assert isinstance(told(both[:2]), dict)  # one answer is an object


def test_a_service_that_may_not_see_documents_learns_nothing_by_asking_about_them() -> None:
    """A filter that is met or not is an answer too: no oracle on numbers and kinds."""
    assert told(asked({"evidence": [NUMBER]}), evidence=False) is None
    assert told(asked({"time": None}), evidence=False) is not None


def test_who_was_never_verified_has_nothing_to_tell() -> None:
    assert told(asked(), proof=None) is None


@pytest.mark.parametrize(
    "wrong",
    [
        7, "x", [7], {}, {"verification": {"trust_framework": None}}, {"verification": {}, "claims": NAME},
        {"verification": None, "claims": NAME}, asked(claims=[]), asked(claims={"name": 1}),
        asked({"trust_framework": "gold"}), asked({"time": {"max_age": -1}}), asked({"time": {"max_age": True}}),
        asked({"trust_framework": {"values": []}}), asked({"trust_framework": {"values": "gold"}}),
        asked({"time": {"value": None, "values": None}}), asked({"time": {"value": "x", "values": 1}}),
        asked({"evidence": []}), asked({"evidence": {}}), asked({"evidence": [{}]}),
        asked({"evidence": [{"type": None}]}),
        asked({"evidence": [{"type": {"values": ["document"]}}]}),  # section 5.4: values SHALL NOT be used
        asked({"evidence": [{"type": {"value": "document"}, "check_details": [{}]}]}),
        asked({"evidence": [{"type": {"value": "document"}, "document_details": 1}]}),
        asked({"evidence": [{"type": {"value": "document"}, "document_details": {"issuer": 1}}]}),
        [asked()] * 11,
    ],
)  # fmt: skip
def test_a_question_that_is_none_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequest):
        verified_request.read(wrong)


def test_a_grant_remembers_what_kind_of_thing_was_asked() -> None:
    normal = verified_request.read(asked({"evidence": [NUMBER]}, {"name": None, "birthdate": None}))
    assert verified_request.marks(normal) == (
        "verified:birthdate", "verified:evidence", "verified:name", "verified:number",
    )  # fmt: skip
    assert verified_request.marks(verified_request.read(asked())) == ("verified:name",)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "values", "max_age", "type", "evidence", "check_details", "time", "name", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(verification=st.dictionaries(st.sampled_from(["evidence", "time", "x"]), _JSON, max_size=3), claims=_JSON)
def test_whatever_is_asked_the_answer_is_valid_or_absent(verification: dict[str, Any], claims: Any) -> None:
    """Section 5.7.5, and never a claim that was not asked for."""
    try:
        said = told(asked(verification, claims))
    except InvalidRequest:
        return
    if said is not None:
        assert set(said["claims"]) <= set(claims)
