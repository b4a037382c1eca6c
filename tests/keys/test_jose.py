"""Tokens of others: what verifies, and what every verifier must refuse."""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt as pyjwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk as joserfc_jwk
from joserfc import jws as joserfc_jws
from joserfc.errors import JoseError

from keys import signing
from keys.errors import BadToken
from keys.jose import ALGS, parse_dpop, public_members, thumbprint, verify_embedded, verify_with_jwks
from kit.encoding import b64url, b64url_decode

CLAIMS = {"iss": "client", "aud": "https://sekisho.example/", "jti": "1", "exp": 2_000_000_000}


def make(alg: str) -> tuple[signing.PrivateKey, dict[str, str]]:
    private = signing.generate(alg)
    return private, signing.public_jwk(private, alg)


EC_PRIVATE, EC_JWK = make("ES256")
ED_PRIVATE, ED_JWK = make("EdDSA")
RSA_PRIVATE, RSA_JWK = make("RS256")
PS_JWK = {**RSA_JWK, "alg": "PS256"}
JWKS = {"keys": [EC_JWK, ED_JWK, PS_JWK]}


def token(
    header: dict[str, Any],
    claims: dict[str, Any] | bytes = CLAIMS,
    *,
    sign: Callable[[bytes], bytes] | None = None,
) -> str:
    """Any header over any claims; by default honestly signed by the EC key."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    signed = f"{b64url(head)}.{b64url(body)}"
    signer = sign or signing.Signer(EC_PRIVATE, kid="", alg="ES256").sign
    return f"{signed}.{b64url(signer(signed.encode()))}"


def honest(**header: Any) -> str:
    return token({"alg": "ES256", "kid": EC_JWK["kid"], **header})


# -- vectors ----------------------------------------------------------------------------------------------------------


def test_thumbprint_is_rfc_7638s(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["rfc7638_3_1"]
    assert thumbprint(vector["jwk"]) == vector["thumbprint"]


def test_ed25519_is_rfc_8037s(vectors: dict[str, dict[str, Any]]) -> None:
    """Appendix A.1 to A.4: Ed25519 is deterministic, so we must reproduce the signature."""
    vector = vectors["rfc8037_a"]
    private = ed25519.Ed25519PrivateKey.from_private_bytes(b64url_decode(vector["d"]))
    jwk = signing.public_jwk(private, "EdDSA")
    assert jwk["x"] == vector["jwk"]["x"]
    assert jwk["kid"] == thumbprint(vector["jwk"]) == vector["thumbprint"]
    signature = signing.Signer(private, kid=jwk["kid"], alg="EdDSA").sign(vector["signing_input"].encode())
    assert b64url(signature) == vector["signature"]


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=3000))
def test_two_libraries_make_the_same_ed25519_signature(seed: bytes, data: bytes) -> None:
    """RFC 8032 section 5.1.6 leaves no choice: what libsodium signs, OpenSSL would have signed."""
    private = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert signing.ed25519(private)(data) == private.sign(data)


def test_es256_is_rfc_7515s(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["rfc7515_a3"]
    _, claims = verify_with_jwks(vector["token"], {"keys": [vector["jwk"]]}, algs=["ES256"], typ=None)
    assert claims["iss"] == "joe"


def test_dpop_proof_is_rfc_9449s(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["rfc9449_4_1"]
    proof = parse_dpop(vector["proof"])
    assert proof.jkt == vector["jkt"]
    assert (proof.claims["htm"], proof.claims["htu"]) == ("POST", "https://server.example.com/token")


@pytest.mark.parametrize("jwk", [EC_JWK, ED_JWK, RSA_JWK])
def test_joserfc_takes_the_same_thumbprint(jwk: dict[str, str]) -> None:
    assert joserfc_jwk.import_key(dict[str, Any](public_members(jwk))).thumbprint() == thumbprint(jwk) == jwk["kid"]


# -- what verifies ----------------------------------------------------------------------------------------------------


def test_each_algorithm_of_the_list_verifies() -> None:
    ps = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    assert isinstance(RSA_PRIVATE, rsa.RSAPrivateKey)
    tokens = {
        "ES256": honest(),
        "EdDSA": token(
            {"alg": "EdDSA", "kid": ED_JWK["kid"]}, sign=signing.Signer(ED_PRIVATE, kid="", alg="EdDSA").sign
        ),
        "PS256": token({"alg": "PS256"}, sign=lambda data: RSA_PRIVATE.sign(data, ps, hashes.SHA256())),
    }
    for alg, text in tokens.items():
        header, claims = verify_with_jwks(text, JWKS, algs=ALGS, typ=None)
        assert header["alg"] == alg
        assert claims == CLAIMS


def test_a_token_of_pyjwt_and_one_of_joserfc_verify() -> None:
    assert isinstance(EC_PRIVATE, ec.EllipticCurvePrivateKey)
    by_pyjwt = pyjwt.encode(CLAIMS, EC_PRIVATE, algorithm="ES256", headers={"kid": EC_JWK["kid"]})
    key = joserfc_jwk.ECKey.import_key(EC_PRIVATE)
    by_joserfc = joserfc_jws.serialize_compact({"alg": "ES256"}, json.dumps(CLAIMS), key)
    for text in (by_pyjwt, by_joserfc):
        assert verify_with_jwks(text, JWKS, algs=["ES256"], typ=None)[1] == CLAIMS


def test_typ_is_compared_as_a_media_type() -> None:
    for typ in ("at+jwt", "AT+JWT", "application/at+jwt"):
        verify_with_jwks(honest(typ=typ), JWKS, algs=ALGS, typ="at+jwt")


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
def test_an_assertion_is_untyped_or_says_so(typ: str | None) -> None:
    verify_with_jwks(honest() if typ is None else honest(typ=typ), JWKS, algs=ALGS, typ=None)


def test_a_new_key_with_a_used_up_kid_is_found_among_equals() -> None:
    """Two keys may share a kid while a client rotates carelessly; the signature decides."""
    _, other = make("ES256")
    keys = {"keys": [{**other, "kid": "same"}, {**EC_JWK, "kid": "same"}]}
    verify_with_jwks(token({"alg": "ES256", "kid": "same"}), keys, algs=ALGS, typ=None)


# -- every verifier refuses these -------------------------------------------------------------------------------------

PEM = EC_PRIVATE.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
KID = EC_JWK["kid"]
MALLORY, MALLORY_JWK = make("ES256")
_mallory = signing.Signer(MALLORY, kid="", alg="ES256").sign


def _der(data: bytes) -> bytes:
    assert isinstance(EC_PRIVATE, ec.EllipticCurvePrivateKey)
    return EC_PRIVATE.sign(data, ec.ECDSA(hashes.SHA256()))


ATTACKS: dict[str, str] = {
    "alg none, no signature": token({"alg": "none", "kid": KID}, sign=lambda _: b""),
    "alg none, spelled oddly": token({"alg": "nOnE", "kid": KID}, sign=lambda _: b""),
    "unknown crit": honest(crit=["x-city"], **{"x-city": True}),
    "b64 false": honest(crit=["b64"], b64=False),
    "public key as HMAC secret": token(
        {"alg": "HS256", "kid": KID}, sign=lambda data: hmac.digest(PEM, data, hashlib.sha256)
    ),
    "jwk in the header": token({"alg": "ES256", "jwk": MALLORY_JWK}, sign=_mallory),
    "jwk in the header, with our kid": token({"alg": "ES256", "jwk": MALLORY_JWK, "kid": KID}, sign=_mallory),
    "another key, our kid": token({"alg": "ES256", "kid": KID}, sign=_mallory),
    "empty signature": honest().rpartition(".")[0] + ".",
    "zero signature": token({"alg": "ES256", "kid": KID}, sign=lambda _: bytes(64)),
    "DER instead of r and s": token({"alg": "ES256", "kid": KID}, sign=_der),
    "changed claims": ".".join([honest().split(".")[0], b64url(b'{"iss":"mallory"}'), honest().split(".")[2]]),
    "claims not an object": token({"alg": "ES256", "kid": KID}, b"[1]"),
    "claims not JSON": token({"alg": "ES256", "kid": KID}, b"{"),
    "header not an object": token(b'"ES256"'),  # type: ignore[arg-type]
    "four parts": honest() + ".x",
    "nothing": "",
}
# python-jose 3.5 takes a token whose crit it does not know (against RFC 7515 section 4.1.11): it decides nothing here.
PYTHON_JOSE_TAKES = {"unknown crit", "b64 false"}

attacks = pytest.mark.parametrize("attack", ATTACKS)


@attacks
def test_ours_refuses(attack: str) -> None:
    with pytest.raises(BadToken):
        verify_with_jwks(ATTACKS[attack], JWKS, algs=ALGS, typ=None)


@attacks
def test_pyjwt_refuses(attack: str) -> None:
    with pytest.raises(pyjwt.PyJWTError):
        pyjwt.decode(ATTACKS[attack], pyjwt.PyJWK(EC_JWK), algorithms=["ES256"], options={"verify_aud": False})


@attacks
def test_joserfc_refuses(attack: str) -> None:
    from joserfc import jwt

    key = joserfc_jwk.ECKey.import_key(EC_JWK)  # type: ignore[arg-type]
    with pytest.raises((JoseError, ValueError)):
        jwt.decode(ATTACKS[attack], key, algorithms=["ES256"])


@attacks
def test_python_jose_refuses_all_but_two(attack: str) -> None:
    jose = pytest.importorskip("jose")
    from jose import jwt

    options = {"verify_aud": False}
    if attack in PYTHON_JOSE_TAKES:
        jwt.decode(ATTACKS[attack], EC_JWK, algorithms=["ES256"], options=options)  # why it only reads, never decides
        return
    with pytest.raises(jose.JOSEError):
        jwt.decode(ATTACKS[attack], EC_JWK, algorithms=["ES256"], options=options)


OUR_OWN_STRICTNESS: dict[str, str] = {
    "jku": honest(jku="https://mallory.example/keys"),
    "x5u": honest(x5u="https://mallory.example/cert"),
    "x5c": honest(x5c=["MIIB"]),
    "compressed": honest(zip="DEF"),
    "an algorithm that was not asked for": token(
        {"alg": "RS256", "kid": RSA_JWK["kid"]}, sign=signing.Signer(RSA_PRIVATE, kid="", alg="RS256").sign
    ),
    "an access token where an assertion is expected": honest(typ="at+jwt"),
    "a proof where an assertion is expected": honest(typ="dpop+jwt"),
    "typ not text": honest(typ=["JWT"]),
    "kid not text": honest(kid=1),
    "kid unknown": honest(kid="nobody"),
    "alg twice": token(b'{"alg":"none","alg":"ES256"}'),  # type: ignore[arg-type]
    "a claim twice": token({"alg": "ES256"}, b'{"sub":"a","sub":"b"}'),
    "padded base64": honest().replace(".", "=.", 1),
    "loose bits at the end": honest()[:-1] + ("B" if honest()[-1] != "B" else "C"),
    "a line break": honest().replace(".", "\n.", 1),
    "too long": token({"alg": "ES256"}, {"pad": "x" * 20_000}),
    "deeply nested": token({"alg": "ES256"}, b"[" * 4000),
    "not ASCII": "ａ.ｂ.ｃ",
}


@pytest.mark.parametrize("case", OUR_OWN_STRICTNESS)
def test_ours_refuses_more(case: str) -> None:
    with pytest.raises(BadToken):
        verify_with_jwks(OUR_OWN_STRICTNESS[case], JWKS, algs=ALGS, typ=None)


def test_the_refusal_tells_the_caller_nothing_but_the_log_why() -> None:
    with pytest.raises(BadToken) as caught:
        verify_with_jwks(ATTACKS["unknown crit"], JWKS, algs=ALGS, typ=None)
    assert caught.value.document() == {
        "type": "/problems/keys/bad-token",
        "title": "The token could not be verified",
        "status": 401,
    }
    assert caught.value.private == "header crit is not accepted"


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": {}},
        {"keys": []},
        {"keys": ["x"]},
        {"keys": [EC_JWK] * 33},
        {"keys": [{**EC_JWK, "use": "enc"}]},
        {"keys": [{**EC_JWK, "alg": "ES384"}]},
        {"keys": [{**EC_JWK, "key_ops": ["sign"]}]},
        {"keys": [{**EC_JWK, "d": "AA"}]},
        {"keys": [{**EC_JWK, "crv": "P-384"}]},
        {"keys": [{**EC_JWK, "x": EC_JWK["y"]}]},
        {"keys": [{"kty": "oct", "k": "AAAA", "kid": KID}]},
    ],
)
def test_a_key_that_is_not_for_this_is_not_used(jwks: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        verify_with_jwks(honest(), jwks, algs=ALGS, typ=None)


def test_a_short_rsa_key_is_refused() -> None:
    """RFC 7518 section 3.3: 2048 bits or more."""
    short = rsa.generate_private_key(65537, 1024)
    ps = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    text = token({"alg": "PS256"}, sign=lambda data: short.sign(data, ps, hashes.SHA256()))
    with pytest.raises(BadToken):
        verify_with_jwks(text, {"keys": [signing.public_jwk(short, "PS256")]}, algs=ALGS, typ=None)


def test_nobody_can_ask_for_a_symmetric_algorithm() -> None:
    for alg in ("HS256", "none"):
        with pytest.raises(ValueError, match="never accepted"):
            verify_with_jwks(honest(), JWKS, algs=[alg], typ=None)


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_rubbish_raises_one_error_only(text: str) -> None:
    """Trap 6 of parsers: nothing but BadToken may come out."""
    with pytest.raises(BadToken):
        verify_with_jwks(text, JWKS, algs=ALGS, typ=None)
    with pytest.raises(BadToken):
        parse_dpop(text)


# -- DPoP (RFC 9449 section 4.3) --------------------------------------------------------------------------------------

PROOF = {"jti": "1", "htm": "POST", "htu": "https://sekisho.example/oauth/token", "iat": 1_795_000_000}


def proof(claims: dict[str, Any] | None = None, **header: Any) -> str:
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {**public_members(EC_JWK)}, **header}
    return token({name: value for name, value in head.items() if value is not None}, claims or PROOF)


def test_a_proof_names_the_key_it_proves() -> None:
    found = parse_dpop(proof())
    assert found.jkt == EC_JWK["kid"]
    assert found.jwk == public_members(EC_JWK)
    assert found.claims == PROOF


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": {"kty": "oct", "k": "AAAA"}},
        {"jwk": MALLORY_JWK},
        {"jwk": {**EC_JWK, "d": "AAAA"}},
        {"crit": ["x"], "x": 1},
    ],
)
def test_a_proof_with_a_wrong_header_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(BadToken):
        parse_dpop(proof(**header))


@pytest.mark.parametrize("name", ["jti", "htm", "htu", "iat"])
@pytest.mark.parametrize("value", [None, "", [], True])
def test_a_proof_without_its_claims_is_refused(name: str, value: object) -> None:
    with pytest.raises(BadToken):
        parse_dpop(proof({**PROOF, name: value}))
    with pytest.raises(BadToken):
        parse_dpop(proof({key: item for key, item in PROOF.items() if key != name}))


@pytest.mark.parametrize("moment", [float("inf"), float("-inf"), float("nan"), 1e300, -1, 10**400])
def test_a_proof_is_of_a_moment(moment: float) -> None:
    """Python's JSON reads Infinity and NaN: they must be refused here, not break what reckons with them."""
    with pytest.raises(BadToken):
        parse_dpop(proof({**PROOF, "iat": moment}))


def test_an_embedded_key_proves_itself_only_where_that_is_asked_for() -> None:
    header, _ = verify_embedded(proof(), algs=ALGS, typ="dpop+jwt")
    assert header["jwk"] == public_members(EC_JWK)
    with pytest.raises(BadToken):
        verify_with_jwks(proof(), JWKS, algs=ALGS, typ="dpop+jwt")


def test_a_proof_under_a_long_rsa_key_is_read() -> None:
    """The key travels in the header, which makes it longer than some libraries' limit."""
    private = rsa.generate_private_key(65537, 3072)
    ps = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    jwk = public_members(signing.public_jwk(private, "PS256"))
    head = {"typ": "dpop+jwt", "alg": "PS256", "jwk": jwk}
    text = token(head, PROOF, sign=lambda data: private.sign(data, ps, hashes.SHA256()))
    assert parse_dpop(text).jkt == thumbprint(jwk)


def test_unknown_header_members_are_ignored() -> None:
    """RFC 7515 section 4: those not understood and not critical MUST be ignored."""
    verify_with_jwks(honest(city="湊浜"), JWKS, algs=ALGS, typ=None)


def test_ed25519_goes_by_both_of_its_names() -> None:
    """RFC 9864 section 2.2: newer clients sign as `Ed25519`; the key may carry either name; nothing else slips in."""
    signer = signing.Signer(ED_PRIVATE, kid="", alg="EdDSA").sign
    named = token({"alg": "Ed25519", "kid": ED_JWK["kid"]}, sign=signer)
    for alg in (None, "EdDSA", "Ed25519"):
        key = {name: value for name, value in {**ED_JWK, "alg": alg}.items() if value is not None}
        for algs in (["EdDSA"], ["Ed25519"]):
            header, _ = verify_with_jwks(named, {"keys": [key]}, algs=algs, typ=None)
            assert header["alg"] == "Ed25519"
    for algs in (["ES256"], ["PS256", "RS256"]):
        with pytest.raises(BadToken):
            verify_with_jwks(named, {"keys": [ED_JWK]}, algs=algs, typ=None)
    with pytest.raises(BadToken):
        verify_with_jwks(named, {"keys": [{**ED_JWK, "alg": "ES256"}]}, algs=["EdDSA"], typ=None)
