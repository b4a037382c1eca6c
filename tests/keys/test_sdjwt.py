"""SD-JWT credentials: ours against the rules, and against the sd-jwt package of the OpenWallet Foundation."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import signing
from keys.errors import BadToken
from keys.sdjwt import issue, present, verify
from kit.encoding import b64url, b64url_decode

PRIVATE = signing.generate("ES256")
JWK = signing.public_jwk(PRIVATE, "ES256")
VCT = "https://sekisho.example/vct/consent-receipt/1"
CLAIMS: dict[str, Any] = {
    "iss": "https://sekisho.example",
    "iat": 1_795_000_000,
    "purpose": "dpv:ServiceProvision",
    "recipient": "みなと診療所",
    "categories": ["health-checkup", "mobility"],
    "notice": {"lang": "ja", "hash": "abc"},
}


def sign(claims: Mapping[str, Any], *, typ: str) -> str:
    body = f"{signing.header(typ=typ, alg='ES256', kid=JWK['kid'])}.{b64url(json.dumps(claims).encode())}"
    return f"{body}.{b64url(signing.Signer(PRIVATE, kid=JWK['kid'], alg='ES256').sign(body.encode()))}"


def salts(name: str) -> str:
    return b64url(hashlib.sha256(f"test salt {name}".encode()).digest()[:16])


def issued(*names: str, claims: Mapping[str, Any] = CLAIMS) -> str:
    return issue(claims, names, sign=sign, vct=VCT, salts=salts)


def payload(sd_jwt: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(b64url_decode(sd_jwt.split("~")[0].split(".")[1]))
    return value


def resigned(change: dict[str, Any], *names: str) -> str:
    """A credential whose payload was changed before it was signed."""
    token, *rest = issued(*names).split("~")
    del token
    return "~".join([sign({**payload(issued(*names)), **change}, typ="dc+sd-jwt"), *rest])


def test_the_digest_of_a_disclosure_is_rfc_9901s(vectors: dict[str, dict[str, Any]]) -> None:
    from keys.sdjwt import _digest

    vector = vectors["rfc9901_disclosure"]
    assert _digest(vector["disclosure"]) == vector["digest"]


def test_the_whole_credential_verifies_to_what_was_issued() -> None:
    assert verify(issued("purpose", "recipient"), JWK) == {**CLAIMS, "vct": VCT}


def test_what_is_not_disclosed_is_not_there() -> None:
    shown = present(issued("purpose", "recipient", "notice"), lambda name, value: name == "purpose")
    assert "みなと診療所" not in shown
    claims = verify(shown, JWK)
    assert claims["purpose"] == CLAIMS["purpose"]
    assert not {"recipient", "notice"} & claims.keys()


def test_members_and_elements_inside_can_be_hidden_too() -> None:
    sd_jwt = issued("notice", "/notice/hash", "/categories/1")
    assert verify(sd_jwt, JWK) == {**CLAIMS, "vct": VCT}
    bare = present(sd_jwt, lambda name, value: False)
    assert verify(bare, JWK)["categories"] == ["health-checkup"]
    half = present(sd_jwt, lambda name, value: name == "notice")
    assert verify(half, JWK)["notice"] == {"lang": "ja"}


def test_issuing_again_with_the_same_salts_hides_the_same() -> None:
    one, two = issued("purpose", "recipient"), issued("recipient", "purpose")
    assert one.split("~")[1:] == two.split("~")[1:]
    assert payload(one) == payload(two)


def test_the_payload_does_not_tell_the_order_of_claims() -> None:
    digests = payload(issued("purpose", "recipient", "iat"))["_sd"]
    assert digests == sorted(digests)


def test_the_header_says_what_it_is() -> None:
    header = json.loads(b64url_decode(issued().split(".")[0]))
    assert header == {"typ": "dc+sd-jwt", "alg": "ES256", "kid": JWK["kid"]}
    assert payload(issued())["vct"] == VCT


@pytest.mark.parametrize("name", ["iss", "vct", "status", "cnf", "exp", "nbf"])
def test_what_must_be_shown_cannot_be_hidden(name: str) -> None:
    with pytest.raises(ValueError, match="always shown"):
        issued(name, claims={**CLAIMS, "status": 1, "cnf": 1, "exp": 1, "nbf": 1})


@pytest.mark.parametrize("name", ["nothing", "/categories/7", "/categories/x", "/notice/none", "/purpose/x"])
def test_a_claim_that_is_not_there_cannot_be_hidden(name: str) -> None:
    with pytest.raises(ValueError, match="there is no"):
        issued(name)


def test_reserved_names_are_refused() -> None:
    cases: list[dict[str, Any]] = [{"_sd": []}, {"a": {"...": 1}}, {"a": [{"_sd_alg": "x"}]}]
    for claims in cases:
        with pytest.raises(ValueError, match="reserved"):
            issued(claims=claims)


def test_short_and_repeated_salts_are_refused() -> None:
    with pytest.raises(ValueError, match="128 bits"):
        issue(CLAIMS, ["purpose"], sign=sign, vct=VCT, salts=lambda name: "short")
    with pytest.raises(ValueError, match="128 bits"):
        issue(CLAIMS, ["purpose", "recipient"], sign=sign, vct=VCT, salts=lambda name: "A" * 22)


def with_disclosure(*disclosures: list[Any], change: dict[str, Any] | None = None) -> str:
    texts = [b64url(json.dumps(item).encode()) for item in disclosures]
    digests = [b64url(hashlib.sha256(text.encode()).digest()) for text in texts]
    return "~".join([sign({**CLAIMS, "vct": VCT, "_sd": digests, **(change or {})}, typ="dc+sd-jwt"), *texts, ""])


SALT = salts("x")
HONEST = issued("purpose", "recipient")
BAD: dict[str, str] = {
    "nothing": "",
    "a bare JWT": HONEST.split("~")[0],
    "a key binding JWT behind": HONEST + HONEST.split("~")[0],
    "another type": issue(CLAIMS, [], sign=sign, vct=VCT, typ="JWT", salts=salts),
    "a changed signature": HONEST.replace("~", "A~", 1),
    "a disclosure that belongs to nothing": HONEST + b64url(json.dumps([SALT, "extra", 1]).encode()) + "~",
    "a disclosure twice": HONEST + HONEST.split("~")[1] + "~",
    "a disclosure that does not parse": HONEST + "AAAA~",
    "a disclosure of four parts": with_disclosure([SALT, "a", 1, 2]),
    "an element where a claim belongs": with_disclosure([SALT, 1]),
    "a name that is already there": with_disclosure([SALT, "purpose", "other"]),
    "two disclosures of one name": with_disclosure([SALT, "a", 1], [salts("y"), "a", 2]),
    "a hidden vct": with_disclosure([SALT, "exp", 1]),
    "a reserved name": with_disclosure([SALT, "_sd", []]),
    "another digest algorithm": resigned({"_sd_alg": "sha-512"}, "purpose"),
    "the same digest twice": resigned({"_sd": payload(issued("purpose"))["_sd"] * 2}, "purpose"),
    "digests that are not a list": resigned({"_sd": "x"}),
    "an element digest outside a list": resigned({"x": {"...": "y"}}),
    "an element digest with company": resigned({"x": [{"...": "y", "z": 1}]}),
    "no vct": "~".join([sign(CLAIMS, typ="dc+sd-jwt"), ""]),
    "too deep": resigned({"x": json.loads("[" * 40 + "]" * 40)}),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str) -> None:
    with pytest.raises(BadToken):
        verify(BAD[case], JWK)


def test_another_issuers_key_is_refused() -> None:
    with pytest.raises(BadToken):
        verify(HONEST, signing.public_jwk(signing.generate("ES256"), "ES256"))


def test_a_key_set_may_be_given() -> None:
    other = signing.public_jwk(signing.generate("EdDSA"), "EdDSA")
    assert verify(HONEST, {"keys": [other, JWK]})["vct"] == VCT


names = st.text(st.characters(exclude_characters="/~", exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda name: name not in {"_sd", "...", "_sd_alg", "iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(claims=st.dictionaries(names, values, max_size=5), hide=st.sets(st.integers(0, 4)))
def test_any_claims_survive_any_hiding(claims: dict[str, Any], hide: set[int]) -> None:
    chosen = [name for index, name in enumerate(claims) if index in hide]
    sd_jwt = issued(*chosen, claims=claims)
    assert verify(sd_jwt, JWK) == {**claims, "vct": VCT}
    bare = verify(present(sd_jwt, lambda name, value: False), JWK)
    assert bare == {**{name: value for name, value in claims.items() if name not in chosen}, "vct": VCT}


# -- the peer ---------------------------------------------------------------------------------------------------------


def peer_key(private: bool) -> Any:
    jwcrypto = pytest.importorskip("jwcrypto.jwk")
    members: dict[str, str] = {name: JWK[name] for name in ("kty", "crv", "x", "y")}
    if private:
        number = PRIVATE.private_numbers().private_value  # type: ignore[union-attr]
        members["d"] = b64url(number.to_bytes(32, "big"))
    return jwcrypto.JWK(**members)


def test_the_peer_verifies_ours() -> None:
    verifier = pytest.importorskip("sd_jwt.verifier")
    sd_jwt = present(issued("purpose", "recipient", "/categories/0"), lambda name, value: name != "recipient")
    checked = verifier.SDJWTVerifier(sd_jwt, lambda issuer, header: peer_key(private=False))
    assert checked.get_verified_payload() == verify(sd_jwt, JWK)


def test_ours_verifies_the_peers() -> None:
    issuer = pytest.importorskip("sd_jwt.issuer")
    common = pytest.importorskip("sd_jwt.common")
    claims: dict[Any, Any] = {
        **{key: value for key, value in CLAIMS.items() if key not in {"purpose", "notice"}},
        "vct": VCT,
        common.SDObj("purpose"): CLAIMS["purpose"],
        common.SDObj("notice"): {"lang": "ja", common.SDObj("hash"): "abc"},
    }
    made = issuer.SDJWTIssuer(
        claims, peer_key(private=True), sign_alg="ES256", extra_header_parameters={"typ": "dc+sd-jwt"}
    )
    assert verify(made.sd_jwt_issuance, JWK) == {**CLAIMS, "vct": VCT}
