"""A signing key from a file of the operator's: what this city proves itself with to others (RFC 7523 section 3).

Not one of the ring's keys: the other side has registered its public half, so it changes when both agree, not by the
clock. ES256 only; PEM, PKCS #8 or SEC 1, as `openssl ecparam -name prime256v1 -genkey -noout` writes it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keys.signing import Signer, header, public_jwk
from kit.encoding import b64url

ALG = "ES256"


class KeyFile:
    """The key; its repr shows nothing. `jwk` is the public half, for who must know it."""

    __slots__ = ("_signer", "jwk")

    def __init__(self, path: Path) -> None:
        """Raises ValueError for a file that holds no such key, without a word of what it holds."""
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), None)
        except (ValueError, TypeError, OSError) as error:
            raise ValueError(f"no private key (PEM, without passphrase) can be read from {path}") from error
        if not isinstance(private, ec.EllipticCurvePrivateKey) or not isinstance(private.curve, ec.SECP256R1):
            raise ValueError(f"the key in {path} is not of the curve P-256")
        self.jwk = public_jwk(private, ALG)
        self._signer = Signer(private, kid=self.jwk["kid"], alg=ALG)

    def __repr__(self) -> str:
        return f"KeyFile({self.jwk['kid']!r})"

    def __reduce__(self) -> str:
        raise TypeError("a key is not copied or pickled")

    def sign_jwt(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A compact JWS of the claims."""
        signed = f"{header(typ=typ, alg=ALG, kid=self.jwk['kid'])}.{b64url(orjson.dumps(claims))}"
        return f"{signed}.{b64url(self._signer.sign(signed.encode()))}"
