"""Token checks with three libraries that are not ours, and the service's DPoP proofs (RFC 9449 section 4)."""

import base64
import hashlib
import json
import secrets
import time
from typing import Any

import jwt
from joserfc.jwk import ECKey

from portal.walk.report import Report


def b64url(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unverified_header(token: str) -> dict[str, Any]:
    """The header of a JWT, not yet proved."""
    header: dict[str, Any] = jwt.get_unverified_header(token)
    return header


class Dpop:
    """A key of the service, and proofs made with it."""

    def __init__(self) -> None:
        self._key = ECKey.generate_key("P-256")
        self.public: dict[str, Any] = dict(self._key.as_dict(private=False))

    def proof(self, method: str, url: str, *, token: str | None = None, nonce: str | None = None) -> str:
        """A proof for one request."""
        claims: dict[str, Any] = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            claims["ath"] = b64url(hashlib.sha256(token.encode()).digest())
        if nonce is not None:
            claims["nonce"] = nonce
        jwk = {name: self.public[name] for name in ("kty", "crv", "x", "y")}
        private = self._key.private_key
        assert private is not None
        return jwt.encode(claims, private, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": jwk})


def verify_with_three(
    report: Report, token: str, jwks: dict[str, Any], *, issuer: str, audience: str, what: str
) -> dict[str, Any]:
    """The claims of a JWT that Authlib's JOSE, PyJWT and (where it knows the algorithm) python-jose all accept."""
    from joserfc import jwt as authlib_jose  # the JOSE of Authlib since its 1.7
    from joserfc.jwk import KeySet

    header = unverified_header(token)
    alg, kid = header["alg"], header.get("kid")
    named = next((key for key in jwks["keys"] if key.get("kid") == kid), None)
    if named is None:
        report.broken(f"the {what} names key {kid!r}, which the published key set does not have")
    first = authlib_jose.decode(token, KeySet.import_key_set(jwks), algorithms=[alg]).claims  # type: ignore[arg-type]
    second: dict[str, Any] = jwt.decode(
        token, jwt.PyJWK(named).key, algorithms=[alg], issuer=issuer, audience=audience, leeway=10
    )
    names = ["Authlib's JOSE", "PyJWT"]
    third = second
    if alg in ("ES256", "RS256"):
        try:
            from jose import jwt as python_jose
        except ImportError:
            report.proved("python-jose is not installed (extra `interop`); two libraries verify")
        else:
            third = python_jose.decode(
                token, named, algorithms=[alg], issuer=issuer, audience=audience, options={"verify_at_hash": False}
            )
            names.append("python-jose")
    if not (
        json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True) == json.dumps(third, sort_keys=True)
    ):
        report.broken(f"the libraries read different claims from the {what}")
    report.proved(f"the {what} ({alg}) verifies with {', '.join(names)}, and all read the same claims")
    return second
