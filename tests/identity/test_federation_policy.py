"""Metadata policy of OpenID Federation 1.0, section 6.1: the operators, their order, their merging, their errors.

The rows are the examples and rules of the specification. Beyond them the 2,019 combinations that Connect2id publishes
(metadata-policy-test-vectors-2025-02-13.json) can be run: put the file's path into POLICY_VECTORS.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from identity.federation import policy
from identity.federation.refusals import Refused

RP = "openid_relying_party"


def resolved(*of_parameter: dict[str, Any], name: str = "p") -> dict[str, Any]:
    """The policy for one parameter from several statements, the most superior first."""
    return policy.resolve([{RP: {name: one}} for one in of_parameter])[RP][name]


def applied(operators: dict[str, Any], value: Any = None, name: str = "p") -> Any:
    """The parameter after one policy; None for absent."""
    metadata = {RP: {} if value is None else {name: value}}
    return policy.apply(policy.resolve([{RP: {name: operators}}]), metadata)[RP].get(name)


@pytest.mark.parametrize(
    ("operators", "given", "expected"),
    [
        ({"value": "RS256"}, "ES256", "RS256"),
        ({"value": None}, "ES256", None),
        ({"add": ["b"]}, ["a"], ["a", "b"]),
        ({"add": ["a", "b"]}, ["a"], ["a", "b"]),
        ({"add": ["a"]}, None, ["a"]),
        ({"default": "x"}, None, "x"),
        ({"default": "x"}, "y", "y"),
        ({"one_of": ["ES256", "ES384"]}, "ES384", "ES384"),
        ({"one_of": ["ES256"]}, None, None),
        ({"subset_of": ["a", "b", "c"]}, ["a", "e"], ["a"]),  # the table of section 6.1.3.1.8, row by row
        ({"subset_of": ["a", "b", "c"], "essential": True}, ["a", "e"], ["a"]),
        ({"subset_of": ["a", "b", "c"], "essential": True}, ["d", "e"], []),
        ({"subset_of": ["a", "b", "c"]}, ["d", "e"], []),
        ({"subset_of": ["a", "b", "c"]}, None, None),
        ({"superset_of": ["a"]}, ["a", "b"], ["a", "b"]),
        ({"value": ["a"], "add": ["a"], "subset_of": ["a", "b"], "superset_of": ["a"]}, ["z"], ["a"]),
        ({"default": ["a"], "add": ["b"]}, None, ["b"]),  # add comes before default
    ],
)
def test_operators_do_what_section_6_1_3_1_says(operators: dict[str, Any], given: Any, expected: Any) -> None:
    assert applied(operators, given) == expected


@pytest.mark.parametrize(
    ("operators", "given", "word"),
    [
        ({"one_of": ["ES256"]}, "RS256", "policy-one-of"),
        ({"one_of": ["ES256"]}, ["ES256"], "policy-one-of"),
        ({"superset_of": ["a", "b"]}, ["a"], "policy-superset-of"),
        ({"essential": True}, None, "policy-essential"),
        ({"subset_of": ["a"], "essential": True}, None, "policy-essential"),
        ({"add": ["a"]}, "a", "policy-type"),
        ({"subset_of": ["a"]}, "a", "policy-type"),
        ({"one_of": [True]}, 1, "policy-value"),
    ],
)
def test_metadata_that_breaks_a_policy_is_invalid_metadata(operators: dict[str, Any], given: Any, word: str) -> None:
    with pytest.raises(Refused) as refused:
        applied(operators, given)
    assert (refused.value.code, refused.value.word) == ("invalid_metadata", word)


@pytest.mark.parametrize(
    ("above", "below", "merged"),
    [
        ({"add": ["a"]}, {"add": ["b", "a"]}, {"add": ["a", "b"]}),
        ({"subset_of": ["a", "b"]}, {"subset_of": ["b", "c"]}, {"subset_of": ["b"]}),
        ({"subset_of": ["a"]}, {"subset_of": ["b"]}, {"subset_of": []}),
        ({"superset_of": ["a"]}, {"superset_of": ["b"]}, {"superset_of": ["a", "b"]}),
        ({"one_of": ["a", "b"]}, {"one_of": ["b", "c"]}, {"one_of": ["b"]}),
        ({"essential": False}, {"essential": True}, {"essential": True}),
        ({"essential": True}, {"essential": False}, {"essential": True}),  # a subordinate can't take it back
        ({"value": "x"}, {"value": "x"}, {"value": "x"}),
        ({"subset_of": ["a", "b"]}, {"default": ["a"]}, {"subset_of": ["a", "b"], "default": ["a"]}),
    ],
)
def test_two_policies_become_one_that_is_never_wider(above: dict[str, Any], below: dict[str, Any], merged: Any) -> None:
    assert resolved(above, below) == merged


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ({"value": "x"}, {"value": "y"}),
        ({"default": 1}, {"default": True}),  # 1 is not true
        ({"one_of": ["a"]}, {"one_of": ["b"]}),
        ({"value": "x"}, {"one_of": ["y"]}),
        ({"value": None}, {"essential": True}),
        ({"value": None}, {"default": "x"}),
        ({"subset_of": ["a"]}, {"superset_of": ["b"]}),
        ({"subset_of": ["a"]}, {"add": ["b"]}),  # widening: what the superior didn't allow can't be added below it
        ({"subset_of": ["a"]}, {"value": ["a", "b"]}),
        ({"one_of": ["a"]}, {"subset_of": ["a"]}),
        ({"add": ["a"]}, {"one_of": ["a"]}),
    ],
)
def test_a_subordinate_that_contradicts_or_widens_a_policy_ends_the_chain(above: Any, below: Any) -> None:
    with pytest.raises(Refused) as refused:
        resolved(above, below)
    assert refused.value.code == "invalid_metadata"


@pytest.mark.parametrize(
    "form", [[], {RP: []}, {RP: {"p": []}}, {RP: {"p": {"add": "a"}}}, {RP: {"p": {"essential": 1}}}]
)
def test_a_policy_of_another_form_is_refused(form: Any) -> None:
    with pytest.raises(Refused):
        policy.resolve([form])


def test_scope_is_a_list_to_the_operators_and_a_string_in_the_metadata() -> None:
    assert applied({"subset_of": ["openid", "profile"]}, "openid email profile", name="scope") == "openid profile"
    assert applied({"default": "openid email"}, name="scope") == "openid email"


def test_an_unknown_operator_is_ignored_unless_it_is_critical_6_1_3_2() -> None:
    assert applied({"regexp": "^https", "one_of": ["a"]}, "a") == "a"
    with pytest.raises(Refused) as refused:
        policy.resolve([{RP: {"p": {"regexp": "x"}}}], [None, ["regexp"]])
    assert refused.value.word == "policy-crit"


def test_a_policy_speaks_of_its_own_entity_type_only() -> None:
    found = policy.resolve([{"openid_provider": {"p": {"value": 1}}}])
    assert policy.apply(found, {RP: {"p": 2}}) == {RP: {"p": 2}}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted((_plain(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return {name: _plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def test_the_published_vectors_hold_where_they_are_at_hand() -> None:
    """The file is others' and stands in their repository; without it this shows the first of them, written out."""
    where = os.environ.get("POLICY_VECTORS")
    first = {"TA": {"p": {"value": "RS256", "essential": True}}, "INT": {"p": {"value": "RS256"}},
             "merged": {"p": {"value": "RS256", "essential": True}}, "metadata": {"p": "RS256"},
             "resolved": {"p": "RS256"}}  # fmt: skip
    for vector in json.loads(Path(where).read_bytes()) if where else [first]:
        said = None
        try:
            merged = policy.resolve([{RP: vector["TA"]}, {RP: vector["INT"]}])
            assert _plain(merged.get(RP, {})) == _plain(vector["merged"]), vector
            said = "invalid_metadata"
            found = policy.apply(merged, {RP: vector["metadata"]})[RP]
            assert _plain(found) == _plain(vector["resolved"]), vector
        except Refused:
            assert vector["error"] == (said or "invalid_policy"), vector
