"""Trust chains of OpenID Federation 1.0: sections 3.2, 4, 6.2 and 10.2, and what an attacker would send instead."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

import pytest

from identity.federation.chains import Chain, validate
from identity.federation.refusals import Refused
from kit.clock import SECOND
from tests.support.federation import ANCHOR, LEAF, MIDDLE, NOW, Party, chain_of, new_key, three

RP = "openid_relying_party"
L, M, A = three()
ANCHORS = {ANCHOR: A.jwks}


def judged(tokens: list[Any], now: int = NOW, anchors: dict[str, Any] | None = None, **more: Any) -> Chain:
    return validate(tokens, anchors or ANCHORS, now * SECOND, **more)


def refused(tokens: list[Any], now: int = NOW, **more: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        judged(tokens, now, **more)
    return caught.value


def test_a_chain_of_three_parties_holds_and_lives_as_long_as_its_shortest_statement_10_4() -> None:
    tokens = chain_of(L, M, A, middle={"exp": NOW + 60})
    chain = judged(tokens, subject=LEAF)
    assert (chain.subject, chain.anchor, chain.superior) == (LEAF, ANCHOR, MIDDLE)
    assert chain.expires_at == (NOW + 60) * SECOND
    assert chain.metadata == L.metadata
    assert chain.tokens == tokens


def test_the_anchors_own_configuration_may_be_left_out_4() -> None:
    assert judged(chain_of(L, M, A)[:3]).anchor == ANCHOR


def test_an_anchor_is_a_chain_of_one() -> None:
    assert judged([A.configuration()]).superior == ANCHOR


def test_a_new_key_of_the_anchor_counts_once_its_known_key_vouches_for_it_11_2() -> None:
    new = Party(ANCHOR, key=new_key())
    grown = {"keys": [*A.jwks["keys"], {**new.jwks["keys"][0], "kid": "new"}]}
    by_new = new.about(M, header={"kid": "new"})
    assert judged([L.configuration(), M.about(L), by_new, A.configuration(jwks=grown)]).anchor == ANCHOR
    assert refused([L.configuration(), M.about(L), by_new, A.configuration()]).word == "signature"


E = Party("https://evil.example", ANCHOR)
FORGED: dict[str, tuple[Callable[[], list[Any]], str]] = {
    "no statement": (lambda: [], "length"),
    "too many": (lambda: [L.configuration()] * 11, "length"),
    "not a JWT": (lambda: ["x", *chain_of(L, M, A)[1:]], "not-a-statement"),
    "not text": (lambda: [{"a": 1}, *chain_of(L, M, A)[1:]], "not-a-statement"),
    "no typ": (lambda: [L.sign({"iss": LEAF}, typ=None), *chain_of(L, M, A)[1:]], "typ"),
    "another typ": (lambda: [L.configuration(header={"typ": "JWT"}), *chain_of(L, M, A)[1:]], "typ"),
    "no kid": (lambda: [L.configuration(header={"kid": None}), *chain_of(L, M, A)[1:]], "kid"),
    "alg none": (lambda: [none_of(L.configuration()), *chain_of(L, M, A)[1:]], "alg"),
    "HS256 by the public key": (
        lambda: [L.configuration(header={"alg": "HS256", "_key": b"k" * 32}), *chain_of(L, M, A)[1:]], "alg"),
    "another's anchor": (lambda: [E.configuration()], "anchor"),
    "wrong order": (lambda: [L.configuration(), A.about(M), M.about(L), A.configuration()], "order"),
    "a gap": (lambda: [L.configuration(), M.about(L), A.configuration()], "order"),
    "no subject first": (lambda: chain_of(L, M, A)[1:], "order"),
    "a configuration in the middle": (
        lambda: [L.configuration(), M.about(L), M.configuration(), A.about(M), A.configuration()], "order"),
    "subordinate statement forged by the subject": (
        lambda: [L.configuration(), L.about(L, iss=MIDDLE), A.about(M), A.configuration()], "signature"),
    "intermediate's statement forged": (
        lambda: [L.configuration(), M.about(L), E.about(M, iss=ANCHOR), A.configuration()], "signature"),
    "anchor's configuration forged": (
        lambda: [L.configuration(), M.about(L), A.about(M), E.configuration(iss=ANCHOR, sub=ANCHOR)], "signature"),
    "subject's key not the one its superior knows": (
        lambda: [Party(LEAF, MIDDLE, key=new_key()).configuration(), *chain_of(L, M, A)[1:]], "signature"),
    "key put in by the header": (
        lambda: [L.configuration(header={"jwk": E.jwks["keys"][0]}), *chain_of(L, M, A)[1:]], "signature"),
    "iss and sub of two entities": (
        lambda: [L.configuration(iss=E.entity_id), M.about(L), A.about(M), A.configuration()], "misplaced"),
    "superior that the subject doesn't name": (
        lambda: [L.configuration(authority_hints=[ANCHOR]), *chain_of(L, M, A)[1:]], "hints"),
    "empty hints": (lambda: [L.configuration(authority_hints=[]), *chain_of(L, M, A)[1:]], "hints"),
    "hints to no entity": (
        lambda: [L.configuration(authority_hints=["https://u@10.0.0.1"]), *chain_of(L, M, A)[1:]], "hints"),
    "a loop": (
        lambda: [L.configuration(), M.about(L), E.about(M, iss=LEAF), M.about(L), A.about(M), A.configuration()],
        "loop"),
    "crit not understood": (
        lambda: [L.configuration(crit=["x"], x=1), *chain_of(L, M, A)[1:]], "crit"),
    "crit that is defined": (lambda: [L.configuration(crit=["jwks"]), *chain_of(L, M, A)[1:]], "crit"),
    "empty crit": (lambda: [L.configuration(crit=[]), *chain_of(L, M, A)[1:]], "crit"),
    "metadata_policy_crit not understood": (
        lambda: chain_of(L, M, A, anchor={"metadata_policy_crit": ["regexp"]}), "policy-crit"),
    "metadata_policy about itself": (
        lambda: [L.configuration(metadata_policy={}), *chain_of(L, M, A)[1:]], "misplaced"),
    "authority_hints of a superior": (lambda: chain_of(L, M, A, middle={"authority_hints": [ANCHOR]}), "misplaced"),
    "aud": (lambda: [L.configuration(aud="https://op.example"), *chain_of(L, M, A)[1:]], "audience"),
    "a chain inside": (lambda: [L.configuration(header={"trust_chain": []}), *chain_of(L, M, A)[1:]],
                       "trust-chain-header"),
    "null in metadata": (
        lambda: [L.configuration(metadata={RP: {"scope": None}}), *chain_of(L, M, A)[1:]], "metadata"),
    "no keys": (lambda: [L.configuration(jwks=None), *chain_of(L, M, A)[1:]], "jwks"),
    "two keys of one kid": (
        lambda: [L.configuration(jwks={"keys": L.jwks["keys"] * 2}), *chain_of(L, M, A)[1:]], "jwks"),
    "a giant list of keys": (
        lambda: [L.configuration(jwks={"keys": L.jwks["keys"] * 50}), *chain_of(L, M, A)[1:]], "jwks"),
    "a private key": (
        lambda: [L.configuration(jwks={"keys": [{**L.jwks["keys"][0], "d": "x"}]}), *chain_of(L, M, A)[1:]], "jwks"),
    "from the future": (lambda: chain_of(L, M, A, middle={"iat": NOW + 60}), "not-yet"),
    "expired": (lambda: chain_of(L, M, A, anchor={"iat": NOW - 99, "exp": NOW - 11}), "expired"),
    "infinite": (lambda: chain_of(L, M, A, anchor={"exp": 1e300}), "times"),
    "no exp": (lambda: chain_of(L, M, A, anchor={"exp": None}), "times"),
}  # fmt: skip


def none_of(token: str) -> str:
    head = urlsafe_b64encode(json.dumps({"alg": "none", "typ": "entity-statement+jwt", "kid": "x"}).encode())
    return f"{head.rstrip(b'=').decode()}.{token.split('.')[1]}."


@pytest.mark.parametrize("name", FORGED)
def test_a_chain_that_breaks_a_rule_is_refused_with_the_rules_word(name: str) -> None:
    make, word = FORGED[name]
    assert refused(make()).word == word


def test_a_chain_about_somebody_else_is_not_taken_for_the_one_asked_for() -> None:
    assert refused(chain_of(L, M, A), subject=MIDDLE).word == "subject"


def test_a_member_sent_twice_is_refused() -> None:
    head, _, signature = L.configuration().split(".")
    twice = urlsafe_b64encode(f'{{"iss":"{LEAF}","iss":"{ANCHOR}"}}'.encode()).rstrip(b"=").decode()
    assert refused([f"{head}.{twice}.{signature}", *chain_of(L, M, A)[1:]]).word == "not-a-statement"


@pytest.mark.parametrize(
    ("where", "constraints", "word"),
    [
        ("anchor", {"max_path_length": 1}, None),
        ("anchor", {"max_path_length": 0}, "max-path-length"),
        ("middle", {"max_path_length": 0}, None),
        ("anchor", {"max_path_length": -1}, "constraints"),
        ("anchor", {"max_path_length": True}, "constraints"),
        ("anchor", {"naming_constraints": {"permitted": [".example"]}}, None),
        ("anchor", {"naming_constraints": {"permitted": [".pref.example"]}}, "naming-constraints"),  # the host itself
        ("middle", {"naming_constraints": {"permitted": [".pref.example"]}}, None),
        ("anchor", {"naming_constraints": {"permitted": [".example"], "excluded": ["city.pref.example"]}},
         "naming-constraints"),
        ("middle", {"naming_constraints": {"permitted": ["PREF.example"]}}, "naming-constraints"),
        ("middle", {"naming_constraints": {"permitted": "x"}}, "constraints"),
        ("anchor", {"allowed_entity_types": ["federation_entity"]}, "constraints"),
        ("anchor", {"something_else": 1}, None),
        ("anchor", [], "constraints"),
    ],
)  # fmt: skip
def test_constraints_of_section_6_2_are_kept(where: str, constraints: Any, word: str | None) -> None:
    tokens = chain_of(L, M, A, **{where: {"constraints": constraints}})
    if word is None:
        assert judged(tokens).subject == LEAF
    else:
        assert refused(tokens).word == word


@pytest.mark.parametrize(
    "spelled", ["https://city.pref.example.", "https://city.pref%2eexample", "https://%63ity.pref.example"]
)
def test_a_host_spelled_another_way_slips_through_no_naming_constraint(spelled: str) -> None:
    """A dot at the end leads to the same server, and is not the text that a superior excludes."""
    leaf = Party(spelled, MIDDLE, L.metadata)
    excluded = {"constraints": {"naming_constraints": {"excluded": ["city.pref.example"]}}}
    assert refused(chain_of(leaf, M, A, anchor=excluded)).word == "identifier"


def test_an_entity_type_that_is_not_allowed_is_taken_out_6_2_3() -> None:
    tokens = chain_of(L, M, A, anchor={"constraints": {"allowed_entity_types": ["openid_provider"]}})
    assert judged(tokens).metadata == {}
    with pytest.raises(Refused) as caught:
        judged(tokens).of(RP)
    assert caught.value.code == "invalid_metadata"


def test_a_superiors_metadata_stands_over_the_subjects_and_policies_over_both_6_1_4_2() -> None:
    tokens = chain_of(
        L, M, A,
        middle={"metadata": {RP: {"client_name": "City", "scope": "openid email"}, "openid_provider": {"a": 1}}},
        anchor={"metadata_policy": {RP: {"scope": {"subset_of": ["openid"]}}}},
    )  # fmt: skip
    assert judged(tokens).metadata == {RP: {"redirect_uris": [f"{LEAF}/cb"], "client_name": "City", "scope": "openid"}}


def test_an_intermediate_cannot_widen_what_the_anchor_allows() -> None:
    above, below = {"subset_of": ["openid"]}, {"add": ["profile"]}
    tokens = chain_of(
        L, M, A, anchor={"metadata_policy": {RP: {"scope": above}}}, middle={"metadata_policy": {RP: {"scope": below}}}
    )
    assert refused(tokens).word == "policy-combination"
