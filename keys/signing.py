"""One signing key: make it, sign with it, verify with it, say its public half.

JWS algorithms of RFC 7518 (ES256, RS256, PS256) and RFC 8037 (EdDSA with Ed25519). Here signatures are what a
JWS carries: ECDSA as r and s side by side (RFC 7518 section 3.4), not DER. `kid` is the RFC 7638
thumbprint. No storage.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from nacl.bindings import crypto_sign

from keys.errors import BadToken
from keys.jose import thumbprint
from kit.encoding import b64url, b64url_decode

PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

# EdDSA for our own services, ES256 for everybody else, RS256 because OpenID Connect Discovery section 3 asks, PS256 for
# FAPI 2.0 clients without curves. A key signs by one algorithm only (RFC 8725 section 3.1), so RSA has two sets.
ALGS: Final = ("EdDSA", "ES256", "RS256", "PS256")
#: What others encrypt to us with (RFC 7518 section 4.6); a set like the others, but nothing is signed with it.
SEALED: Final = "ECDH-ES"
EVERY: Final = (*ALGS, SEALED)
RSA_BITS: Final = 2048  # NIST SP 800-57 part 1 table 2: enough until 2030; these keys live for weeks

_SHA256 = hashes.SHA256()
_ECDSA = ec.ECDSA(_SHA256)
_PKCS1 = padding.PKCS1v15()
_PSS = padding.PSS(mgf=padding.MGF1(_SHA256), salt_length=32)  # RFC 7518 section 3.5: as long as the hash


def generate(alg: str) -> PrivateKey:
    """A fresh private key for an algorithm of ours. Raises ValueError."""
    match alg:
        case "EdDSA":
            return Ed25519PrivateKey.generate()
        case "ES256" | "ECDH-ES":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256" | "PS256":
            return rsa.generate_private_key(65537, RSA_BITS)
        case _:
            raise ValueError(f"not an algorithm of ours: {alg}")


def to_bytes(private: PrivateKey) -> bytes:
    """PKCS #8, unencrypted: to be sealed at once, never to be stored."""
    return private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def from_bytes(data: bytes) -> PrivateKey:
    """The reverse, of bytes that were sealed by us.

    An RSA key's arithmetic is not proved again: the seal answers for every bit, and the proof takes longer than all
    other keys of a start together.
    """
    private = serialization.load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(private, Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return private


def _number(value: int, size: int | None = None) -> str:
    return b64url(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def public_jwk(private: PrivateKey, alg: str) -> dict[str, str]:
    """The public half as published (RFC 7517): members of the key, `kid`, `alg`, `use`."""
    members = members_of(private.public_key())
    if alg == SEALED:  # one key for the whole family, with and without key wrapping: so it names none of them
        return {**members, "kid": thumbprint(members), "use": "enc"}
    return {**members, "kid": thumbprint(members), "alg": alg, "use": "sig"}


def members_of(public: object) -> dict[str, str]:
    """The required members of a public key as JWK (RFC 7518 section 6, RFC 8037); ValueError for another kind."""
    if isinstance(public, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes_raw())}
    if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP256R1):
        point = public.public_numbers()
        return {"kty": "EC", "crv": "P-256", "x": _number(point.x, 32), "y": _number(point.y, 32)}
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
    raise ValueError("not a kind of key that is used here")


def private_jwk(private: PrivateKey, alg: str) -> dict[str, str]:
    """Both halves (RFC 7518 section 6.2.2, RFC 8037 section 2): for the keys of demonstration clients only.

    Our own private keys never take this form. Raises ValueError.
    """
    if isinstance(private, Ed25519PrivateKey):
        secret = b64url(private.private_bytes_raw())
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        secret = _number(private.private_numbers().private_value, 32)
    else:
        raise ValueError("RSA keys do not leave in this form")
    return {**public_jwk(private, alg), "d": secret}


class Signer:
    """A private key in use. Its repr shows the kid only."""

    __slots__ = ("_sign", "alg", "headers", "kid")

    def __init__(self, private: PrivateKey, *, kid: str, alg: str) -> None:
        # Decided once: asking an abstract class what it is costs at each signature.
        self._sign = _how_to_sign(private, alg)
        self.kid = kid
        self.alg = alg
        self.headers: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Signer({self.alg}, {self.kid!r})"

    def __reduce__(self) -> str:
        raise TypeError("a signer is not copied or pickled")

    def sign(self, data: bytes) -> bytes:
        """The JWS signature over the signing input."""
        return self._sign(data)


def ed25519(private: Ed25519PrivateKey) -> Callable[[bytes], bytes]:
    """How a key signs (RFC 8032 section 5.1.6): by libsodium, in two thirds of OpenSSL's time.

    Every token is a signature or two, and they are a quarter of what a token costs. The public half that libsodium
    wants beside the seed is derived here from the same seed: signing beside another one would give the key away.
    """
    secret = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return lambda data: crypto_sign(data, secret)[:64]


def _how_to_sign(private: PrivateKey, alg: str) -> Callable[[bytes], bytes]:
    if isinstance(private, Ed25519PrivateKey):
        return ed25519(private)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        on_curve = private.sign

        def ecdsa(data: bytes) -> bytes:
            r, s = decode_dss_signature(on_curve(data, _ECDSA))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")

        return ecdsa
    by_rsa, padded = private.sign, _PSS if alg == "PS256" else _PKCS1
    return lambda data: by_rsa(data, padded, _SHA256)


class PublicKey:
    """A key that verifies, until a moment if it is retired."""

    __slots__ = ("_public", "alg", "kid", "until")

    def __init__(self, jwk: dict[str, str], *, until: int | None = None) -> None:
        self.kid = jwk["kid"]
        self.alg = jwk["alg"]
        self.until = until
        self._public: Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey
        match jwk["kty"]:
            case "OKP":
                self._public = Ed25519PublicKey.from_public_bytes(b64url_decode(jwk["x"]))
            case "EC":
                x, y = (int.from_bytes(b64url_decode(jwk[name]), "big") for name in "xy")
                self._public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
            case _:
                e, n = (int.from_bytes(b64url_decode(jwk[name]), "big") for name in "en")
                self._public = rsa.RSAPublicNumbers(e, n).public_key()

    def verify(self, signature: bytes, data: bytes) -> None:
        """Raise BadToken unless the signature is this key's over the data."""
        public = self._public
        try:
            if isinstance(public, Ed25519PublicKey):
                public.verify(signature, data)
            elif isinstance(public, ec.EllipticCurvePublicKey):
                if len(signature) != 64:
                    raise BadToken(private="an ES256 signature has 64 bytes")
                r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
                public.verify(encode_dss_signature(r, s), data, _ECDSA)
            else:
                public.verify(signature, data, _PSS if self.alg == "PS256" else _PKCS1, _SHA256)
        except InvalidSignature as error:
            raise BadToken(private="the signature does not verify") from error


def header(*, typ: str, alg: str, kid: str) -> str:
    """The protected header as every token of ours carries it, byte for byte."""
    return b64url(orjson.dumps({"typ": typ, "alg": alg, "kid": kid}))


def self_check(private: PrivateKey, jwk: dict[str, str]) -> None:
    """Prove a new key to a verifier we did not write (PyJWT) before anyone depends on it."""
    if jwk["use"] == "enc":
        from keys.jwe import Reader, encrypt

        opened = Reader(private, kid=jwk["kid"]).open(encrypt("a.b.c", jwk, alg=SEALED, enc="A256GCM"))
        if opened != "a.b.c":
            raise RuntimeError("a new key to encrypt to failed its self-check and was not published")
        return
    import jwt  # only in key ceremonies: not worth its import at every start

    signer = Signer(private, kid=jwk["kid"], alg=jwk["alg"])
    signed = f"{header(typ='JWT', alg=signer.alg, kid=signer.kid)}.{b64url(orjson.dumps({'sub': 'self-check'}))}"
    token = f"{signed}.{b64url(signer.sign(signed.encode()))}"
    claims = jwt.decode(token, jwt.PyJWK(jwk), algorithms=[jwk["alg"]])
    if claims != {"sub": "self-check"}:
        raise RuntimeError(f"a new {jwk['alg']} key failed its self-check and was not published")
