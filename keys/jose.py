"""JWTs of others, verified strictly (RFC 7515, 7517, 7519, 7638, 8725; DPoP proofs: RFC 9449 section 4.3).

Signatures only: claims are the caller's business, and `unverified_` is said until a signature held. Of
the header's invitations none is accepted: no `crit`, no `jwk` (but DPoP's), no `jku`, `x5u` or `x5c`, no
`b64`, no symmetric algorithm, no `none`. Pure.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import EdDSAAlgorithm
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keys.errors import BadToken
from kit.encoding import b64url, b64url_decode, canonical

Jwk: TypeAlias = Mapping[str, Any]
Claims: TypeAlias = dict[str, Any]

ALGS = frozenset({"PS256", "ES256", "EdDSA"})  # FAPI 2.0 Security Profile section 5.4.1
ASSERTION_TYPES = frozenset({None, "jwt", "client-authentication+jwt"})  # RFC 7523 and its revision

LONGEST = 16_384
_MAX_KEYS = 32
_SHAPE = {
    "PS256": ("RSA", None),
    "RS256": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_REQUIRED = {
    "RSA": ("e", "kty", "n"),
    "EC": ("crv", "kty", "x", "y"),
    "OKP": ("crv", "kty", "x"),
}  # RFC 7638 s.3.2
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_REFUSED_HEADERS = frozenset({"crit", "b64", "jku", "x5u", "x5c", "zip", "enc"})
_MIN_RSA_BITS = 2048


class _Ed25519(EdDSAAlgorithm):
    """ "EdDSA" with Ed25519 only: `_fits` pins the curve, which is all that RFC 9864 misses in the name."""

    security_warning = ""


class _Registry(jws.JWSRegistry):
    """One algorithm. Headers are checked here, not there: unknown members are ignored (RFC 7515 section 4)."""

    # A DPoP proof carries its key in the header, a request object of a federation a whole trust chain; `longest` bounds
    # the token before anything is read.
    max_header_length = 65_536

    def __init__(self, alg: str) -> None:
        super().__init__(algorithms=[alg], strict_check_header=False)
        self.algorithms = {alg: _Ed25519() if alg == "EdDSA" else jws.JWSRegistry.algorithms[alg]}


_REGISTRIES = {alg: _Registry(alg) for alg in _SHAPE}


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof whose signature holds under its own key. `jkt` is that key's thumbprint."""

    jwk: dict[str, str]
    jkt: str
    claims: Claims


def public_members(jwk: Jwk) -> dict[str, str]:
    """The members that make a public key what it is; raises BadToken for private, symmetric or odd keys."""
    names = _REQUIRED.get(jwk.get("kty", "")) if isinstance(jwk.get("kty"), str) else None
    if names is None or _PRIVATE & jwk.keys():
        raise BadToken(private="not a public key")
    members = {name: jwk.get(name) for name in names}
    if not all(isinstance(value, str) and 0 < len(value) <= 1400 for value in members.values()):
        raise BadToken(private="a key member is missing or not text")
    return {name: str(value) for name, value in members.items()}


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638: base64url of the SHA-256 of the key's required members in canonical JSON."""
    return b64url(hashlib.sha256(canonical(public_members(jwk))).digest())


def verify_with_jwks(
    token: str, jwks: Jwk, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
) -> tuple[dict[str, Any], Claims]:
    """Header and claims of a JWT signed by one of the keys; raises BadToken. No claim is checked.

    `typ` must match the header (RFC 8725 section 3.11). None means an untyped JWT: no `typ`, "JWT", or the
    one for client assertions; any other type is refused, so that no other kind of token passes for one.
    """
    header, claims, _key = verify_and_tell(token, jwks, algs=algs, typ=typ, longest=longest)
    return header, claims


def verify_and_tell(
    token: str, jwks: Jwk, *, algs: Collection[str], typ: str | None, longest: int = LONGEST
) -> tuple[dict[str, Any], Claims, Jwk]:
    """The same, and the very key of the set it was signed with. Raises BadToken."""
    header, parts = _read_header(token, algs, longest)
    _check_typ(header, typ)
    if "jwk" in header:  # a key that comes with the message proves nothing
        raise BadToken(private="jwk in the header")
    for key in _candidates(header, jwks):
        claims = _verify(token, key, header["alg"])
        if claims is not None:
            return header, claims, key
    raise BadToken(private=f"no key of the set verifies it (kid {header.get('kid')!r}, {parts} bytes)")


def can_verify(jwks: Jwk, algs: Collection[str]) -> bool:
    """Whether the set holds any key that could verify under one of the algorithms."""
    keys = jwks.get("keys")
    return isinstance(keys, list) and any(
        isinstance(key, Mapping) and _fits(key, alg) for key in keys[:_MAX_KEYS] for alg in algs
    )


def peek(unverified: str, *, longest: int = LONGEST) -> tuple[dict[str, Any], Claims]:
    """Header and claims of a compact JWS that nobody has verified: to find the key to verify it with. Raises BadToken.

    Read as strictly as what is verified: a member sent twice is refused, so that no two readers see two tokens.
    """
    if not isinstance(unverified, str) or len(unverified) > longest or not unverified.isascii():
        raise BadToken(private="not a compact JWS, or too long")
    parts = unverified.split(".")
    if len(parts) != 3:
        raise BadToken(private="not a compact JWS")
    return read_object(parts[0]), read_object(parts[1])


def verify_embedded(token: str, *, algs: Collection[str], typ: str) -> tuple[dict[str, Any], Claims]:
    """The same under the key in the header's `jwk`: proves possession of that key, nothing more. Raises BadToken."""
    header, _ = _read_header(token, algs)
    _check_typ(header, typ)
    jwk = header.get("jwk")
    if not isinstance(jwk, dict):
        raise BadToken(private="no jwk in the header")
    if not _fits(jwk, header["alg"]):
        raise BadToken(private="the key does not fit the algorithm")
    claims = _verify(token, jwk, header["alg"])
    if claims is None:
        raise BadToken(private="the signature does not verify under the embedded key")
    return header, claims


def parse_dpop(proof: str) -> DpopProof:
    """A DPoP proof (RFC 9449 section 4.3, steps 2 to 7).

    The caller does the rest: `htm`, `htu`, `iat`, `jti` once, `ath`, nonce. Raises BadToken.
    """
    header, claims = verify_embedded(proof, algs=ALGS, typ="dpop+jwt")  # steps 2, 4, 5, 6, 7
    for name in ("jti", "htm", "htu"):  # step 3: all required claims
        if not isinstance(claims.get(name), str) or not 0 < len(claims[name]) <= 2048:
            raise BadToken(private=f"the proof has no proper {name}")
    issued_at = claims.get("iat")
    # Python's JSON also reads Infinity and NaN, which no moment is.
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float) or not 0 <= issued_at < 1e12:
        raise BadToken(private="the proof has no proper iat")
    jwk = public_members(header["jwk"])
    return DpopProof(jwk=jwk, jkt=thumbprint(jwk), claims=claims)


def _read_header(token: str, algs: Collection[str], longest: int = LONGEST) -> tuple[dict[str, Any], int]:
    if not set(algs) <= _SHAPE.keys():
        raise ValueError("an algorithm was asked for that is never accepted")
    if not isinstance(token, str) or len(token) > longest or not token.isascii() or token.count(".") != 2:
        raise BadToken(private="not a compact JWS")
    unverified = read_object(token.partition(".")[0])
    # RFC 8725 section 3.1: the verifier's list decides, never the header.
    if _plain(unverified.get("alg")) not in {_plain(alg) for alg in algs}:
        raise BadToken(private=f"algorithm {str(unverified.get('alg'))[:20]!r} is not accepted")
    refused = _REFUSED_HEADERS & unverified.keys()
    if refused:
        raise BadToken(private=f"header {sorted(refused)[0]} is not accepted")
    if not isinstance(unverified.get("kid", ""), str):
        raise BadToken(private="kid is not text")
    return unverified, len(token)


def read_object(part: str) -> dict[str, Any]:
    """A JSON object from base64url, refusing members sent twice (RFC 7515 section 4). Raises BadToken."""
    try:
        value = json.loads(b64url_decode(part), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadToken(private="a part of the token does not parse") from error
    if not isinstance(value, dict):
        raise BadToken(private="a part of the token is not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is sent twice")
    return found


def _check_typ(header: Mapping[str, Any], typ: str | None) -> None:
    sent = header.get("typ")
    if sent is not None:
        if not isinstance(sent, str):
            raise BadToken(private="typ is not text")
        sent = sent.lower().removeprefix("application/")  # RFC 7515 section 4.1.9
    if (sent not in ASSERTION_TYPES) if typ is None else (sent != typ.lower()):
        raise BadToken(private=f"typ {str(sent)[:40]!r} is not {typ!r}")


def _candidates(header: Mapping[str, Any], jwks: Jwk) -> list[Jwk]:
    keys = jwks.get("keys")
    if not isinstance(keys, list) or len(keys) > _MAX_KEYS:
        raise BadToken(private="the key set is not a list of keys")
    fitting = [key for key in keys if isinstance(key, Mapping) and _fits(key, header["alg"])]
    if "kid" in header:
        return [key for key in fitting if key.get("kid") == header["kid"]]
    return fitting


def _plain(alg: object) -> object:
    """One algorithm by one name: what RFC 9864 calls Ed25519 is EdDSA with the only curve accepted here."""
    return "EdDSA" if alg == "Ed25519" else alg


def _fits(key: Jwk, alg: str) -> bool:
    kty, curve = _SHAPE[alg]
    operations = key.get("key_ops")
    return (
        key.get("kty") == kty
        and (curve is None or key.get("crv") == curve)
        and _plain(key.get("alg", alg)) == _plain(alg)
        and key.get("use", "sig") == "sig"
        and (operations is None or (isinstance(operations, list) and "verify" in operations))
        and not _PRIVATE & key.keys()
    )


def _verify(token: str, jwk: Jwk, alg: str) -> Claims | None:
    """The claims, or None if the signature does not hold under this key."""
    try:
        key = _import(orjson.dumps(public_members(jwk), option=orjson.OPT_SORT_KEYS))
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise BadToken(private="the key cannot be read") from error
    try:
        jws.deserialize_compact(token, key, registry=_REGISTRIES[alg])
    except (JoseError, ValueError) as error:
        if isinstance(error, JoseError) and error.error != "bad_signature":
            raise BadToken(private=f"refused: {error.error}") from error
        return None
    return read_object(token.split(".")[1])


@lru_cache(maxsize=1024)
def _import(members: bytes) -> RSAKey | ECKey | OKPKey:
    """A key object; reading one costs more than a verification, so they are kept."""
    value: dict[str, Any] = orjson.loads(members)
    match value["kty"]:
        case "RSA":
            if int.from_bytes(b64url_decode(value["n"]), "big").bit_length() < _MIN_RSA_BITS:  # RFC 7518 section 3.5
                raise ValueError("the RSA key is too short")
            return RSAKey.import_key(value)
        case "EC":
            return ECKey.import_key(value)
        case _:
            return OKPKey.import_key(value)
