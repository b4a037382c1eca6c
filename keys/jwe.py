"""What is signed, closed once more for one reader (RFC 7516, RFC 7518 sections 4 and 5, RFC 7519 section 5.2).

For writing only: nothing here reads a JWE, so no message of a stranger is ever decrypted or decompressed. Asymmetric
key management only (a shared secret is too short a key and known to two), no RSA1_5 (RFC 8725 section 3.2), never
`zip` (section 3.6: length tells what was compressed). The plaintext is a signed JWT, so who it is from is proved
inside. Pure.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from keys.errors import BadToken
from keys.jose import Jwk, public_members
from kit.encoding import b64url_decode

ALGS = ("RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
ENCS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
#: OpenID Connect Registration section 2, where a client names none.
DEFAULT_ENC = "A128CBC-HS256"
_MOST_KEYS = 32
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
