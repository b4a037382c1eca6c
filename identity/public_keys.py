"""A client's public keys, as it may register them (RFC 7517, RFC 7591 section 2).

Public, asymmetric, long enough, few: whatever a client sends by mistake (a private key) is refused by name rather than
kept. Pure: no web, no database.
"""

from collections.abc import Mapping
from typing import Any

from identity.addresses import bad
from keys.errors import BadToken
from keys.jose import thumbprint

MOST = 10
_PRIVATE = ("d", "k", "p", "q", "dp", "dq", "qi", "oth")


def check_jwks(jwks: dict[str, Any] | None) -> None:
    """Raise InvalidClientMetadata unless it is a set of one to ten such keys."""
    keys = jwks.get("keys") if jwks else None
    if not isinstance(keys, list) or not keys or len(keys) > MOST:
        raise bad("/jwks", "Register a JWK Set with one to ten public keys.")
    for number, key in enumerate(keys):
        pointer = f"/jwks/keys/{number}"
        if not isinstance(key, dict):
            raise bad(pointer, "Each key is a JSON object.")
        if any(name in key for name in _PRIVATE):
            raise bad(pointer, "This key is private or symmetric. Register the public half only, and replace it.")
        kty, crv = key.get("kty"), key.get("crv")
        if key.get("use") == "enc" and kty != "RSA":
            continue  # verifies nothing; whether it can be encrypted to is judged where that is asked for (`keys.jwe`)
        if (kty, crv) in {("EC", "P-256"), ("OKP", "Ed25519")}:
            continue
        if kty == "RSA" and isinstance(key.get("n"), str) and len(key["n"]) >= 342:  # 2048 bits in base64url
            continue
        raise bad(pointer, "Keys are EC P-256, OKP Ed25519, or RSA of at least 2048 bits.")


def thumbprints(jwks: Mapping[str, Any] | None) -> list[str]:
    """The keys of a set by name (RFC 7638), in its order; kinds that have none are left out."""
    found: list[str] = []
    for key in (jwks or {}).get("keys", ()):
        try:
            found.append(thumbprint(key))
        except (BadToken, AttributeError):
            continue
    return found
