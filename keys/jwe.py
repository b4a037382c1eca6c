"""What is signed, closed once more for one reader (RFC 7516, RFC 7518 sections 4 and 5, RFC 7519 section 5.2).

Asymmetric key management only (a shared secret is too short a key and known to two), no RSA1_5 (RFC 8725 section 3.2),
never `zip` (section 3.6: length tells what was compressed, and a small message may become a large one). The plaintext
is a signed JWT, so who it is from is proved inside. What is written to us is read by keys on one curve alone: RSA would
bring its padding, of which every reader has been an oracle once. Pure.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keys.errors import BadToken
from keys.jose import Jwk, public_members, read_object
from kit.encoding import b64url_decode

ALGS = ("RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
ENCS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
#: OpenID Connect Registration section 2, where a client names none.
DEFAULT_ENC = "A128CBC-HS256"
_MOST_KEYS = 32
#: What may be written to us.
READ_ALGS = ("ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
_LONGEST = 32_768
_KNOWN = frozenset({"alg", "enc", "kid", "cty", "typ", "epk", "apu", "apv", "iss", "aud", "sub"})
_RSA_BITS = range(2048, 8193)  # more would let a stranger choose how long we compute
_CURVES = {("EC", "P-256"), ("EC", "P-384"), ("EC", "P-521"), ("OKP", "X25519")}
_OPERATIONS = ("wrapKey", "encrypt", "deriveKey", "deriveBits")
_REGISTRIES = {alg: jwe.JWERegistry(algorithms=[alg, *ENCS]) for alg in ALGS}


def find_key(jwks: Mapping[str, Any], alg: str) -> Jwk | None:
    """The first key of a set that is there to encrypt to (`use`: `enc`) by this algorithm, and whole."""
    keys = jwks.get("keys")
    for key in keys[:_MOST_KEYS] if isinstance(keys, list) else ():
        if isinstance(key, Mapping) and _fits(key, alg):
            return dict(key)
    return None


def encrypt(token: str, key: Jwk, *, alg: str, enc: str) -> str:
    """A signed JWT in a JWE for the holder of the key; raises BadToken if the key is none."""
    if alg not in ALGS or enc not in ENCS:
        raise ValueError("an algorithm was asked for that is never used")
    header: dict[str, Any] = {"alg": alg, "enc": enc, "cty": "JWT"}
    if isinstance(key.get("kid"), str):
        header["kid"] = key["kid"]
    try:
        reader = _import(orjson.dumps(public_members(key), option=orjson.OPT_SORT_KEYS))
        return jwe.encrypt_compact(header, token, reader, registry=_REGISTRIES[alg])
    except (JoseError, ValueError, TypeError, KeyError) as error:  # also a point that is not on its curve
        raise BadToken(private="the key cannot be encrypted to") from error


class Reader:
    """One private key of ours that opens what was closed for it. Its repr shows the kid only."""

    def __init__(self, private: object, *, kid: str) -> None:
        assert isinstance(private, EllipticCurvePrivateKey)
        self.kid = kid
        self._key = ECKey.import_key(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )

    def __repr__(self) -> str:
        return f"Reader({self.kid!r})"

    def __reduce__(self) -> str:
        raise TypeError("a reader is not copied or pickled")

    def open(self, token: str) -> str:
        """The signed token inside (`check_sealed` first); raises BadToken, for one cause as for another."""
        try:
            registry = _REGISTRIES[check_sealed(token)["alg"]]
            inside = jwe.decrypt_compact(token, self._key, registry=registry).plaintext
            return (inside or b"").decode("ascii")
        except (JoseError, ValueError, TypeError, KeyError) as error:  # also a point that is not on the curve
            raise BadToken(private="it can't be opened") from error


def check_sealed(token: str) -> dict[str, Any]:
    """The header of a compact JWE that may be opened; raises BadToken.

    Nothing in it decides but `alg` and `enc`, each from a list of ours (RFC 8725 section 3.1); nothing invites us to
    fetch, to trust a key that came along, or to unpack. What we don't know we don't read: `crit` has no use then.
    """
    if len(token) > _LONGEST or not token.isascii() or token.count(".") != 4:
        raise BadToken(private="not a compact JWE")
    header = read_object(token.partition(".")[0])
    if not header.keys() <= _KNOWN:
        raise BadToken(private=f"header {sorted(header.keys() - _KNOWN)[0][:20]!r} is not accepted")
    if header.get("alg") not in READ_ALGS or header.get("enc") not in ENCS:
        raise BadToken(private="this way of encrypting is not accepted")
    # RFC 7519 section 5.2: what is nested says so. Encrypted alone, anybody could have made it: the key is public.
    if str(header.get("cty", "JWT")).upper().removeprefix("APPLICATION/") not in ("JWT", "OAUTH-AUTHZ-REQ+JWT"):
        raise BadToken(private="what is inside is not a JWT")
    return header


def _fits(key: Mapping[str, Any], alg: str) -> bool:
    operations = key.get("key_ops")
    if key.get("use") != "enc" or key.get("alg", alg) != alg:
        return False
    if operations is not None and not (isinstance(operations, list) and any(one in _OPERATIONS for one in operations)):
        return False
    if alg == "RSA-OAEP-256" and key.get("kty") != "RSA":
        return False
    if alg != "RSA-OAEP-256" and (key.get("kty"), key.get("crv")) not in _CURVES:
        return False
    try:
        _import(orjson.dumps(public_members(key), option=orjson.OPT_SORT_KEYS))
    except (BadToken, JoseError, ValueError, TypeError, KeyError):
        return False
    return True


@lru_cache(maxsize=1024)
def _import(members: bytes) -> RSAKey | ECKey | OKPKey:
    value: dict[str, Any] = orjson.loads(members)
    match value["kty"]:
        case "RSA":
            if int.from_bytes(b64url_decode(value["n"]), "big").bit_length() not in _RSA_BITS:
                raise ValueError("the RSA key is too short or too long")
            rsa = RSAKey.import_key(value)
            rsa.public_key  # noqa: B018 - reads it now: a number that is no key fails here
            return rsa
        case "EC":
            curve = ECKey.import_key(value)
            curve.public_key  # noqa: B018 - a point that is not on the curve fails here
            return curve
        case _:
            other = OKPKey.import_key(value)
            other.public_key  # noqa: B018
            return other
