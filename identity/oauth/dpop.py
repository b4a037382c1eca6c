"""Demonstrating Proof of Possession.

RFC 9449: section 4.3 (checking), 5 (token endpoint), 7 (resources), 8 and 9 (nonces), 10 (binding the code). Signature
and shape are `keys.jose.parse_dpop`'s; here are the claims. The nonce is a keyed hash of the time slice, so that no
state is kept and every process agrees; that of the slice before is still taken.
"""

import hashlib
from dataclasses import dataclass
from urllib.parse import urlsplit

from identity import once
from identity.clients import Client
from identity.oauth.errors import InvalidDpopProof, UseDpopNonce
from identity.oauth.jwt_times import SKEW
from identity.settings import IdentitySettings
from keys.errors import BadToken
from keys.hashing import TokenHasher, same
from keys.jose import parse_dpop
from kit import context
from kit.clock import MINUTE, SECOND, Millis
from kit.db import Database
from kit.encoding import b64url
from kit.front import Call

ALGS = ("ES256", "EdDSA", "Ed25519", "PS256")
NONCE_SLICE: Millis = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof that fits this request; good once its `once` key has been claimed in a write."""

    jkt: str
    once: bytes
    expires_at: Millis


class Dpop:
    """Checks proofs against requests to this server."""

    def __init__(self, issuer: str, settings: IdentitySettings, hasher: TokenHasher) -> None:
        self._issuer = issuer.rstrip("/")
        self._alias = settings.mtls_url  # the same endpoints, where a client certificate is asked for
        self._settings = settings
        self._hasher = hasher

    def read(
        self,
        proofs: list[bytes],
        *,
        method: str,
        path: str,
        now: Millis,
        access_token: str | None = None,
        nonce_required: bool = False,
    ) -> Proved | None:
        """What the DPoP headers prove, or None if there is none; raises InvalidDpopProof, UseDpopNonce.

        Steps as in section 4.3. The signature (steps 2 to 7) is checked before any claim is believed.
        """
        if not proofs:
            return None
        if len(proofs) > 1:  # step 1
            raise InvalidDpopProof("there is more than one DPoP header")
        try:
            proof = parse_dpop(proofs[0].decode("ascii"))
        except (BadToken, UnicodeDecodeError) as error:
            private = error.private if isinstance(error, BadToken) else "not ASCII"
            raise InvalidDpopProof("the DPoP proof could not be verified", private=private) from error
        claims = proof.claims
        if claims["htm"] != method:  # step 8
            raise InvalidDpopProof("htm does not match the method of this request")
        named = _normal(claims["htu"])  # step 9
        if named != _normal(self._issuer + path) and (self._alias is None or named != _normal(self._alias + path)):
            raise InvalidDpopProof("htu does not match the address of this request")
        if nonce_required:  # step 10
            # Section 8.2: good or bad, the answer carries the newest, so that a client seldom has to ask twice.
            context.answer_with(b"dpop-nonce", self.nonce(now).encode())
            self._check_nonce(claims.get("nonce"), now)
        issued_at = int(claims["iat"] * 1000)  # step 11
        oldest = self._settings.dpop_proof_seconds * SECOND
        if not now - oldest <= issued_at <= now + SKEW:
            raise InvalidDpopProof("iat is too old or in the future")
        if access_token is not None:  # step 12
            expected = b64url(hashlib.sha256(access_token.encode()).digest())
            if not isinstance(claims.get("ath"), str) or not same(claims["ath"], expected):
                raise InvalidDpopProof("ath does not match the access token")
        key = once.digest("dpop", proof.jkt, claims["jti"])
        return Proved(proof.jkt, key, issued_at + oldest + SKEW)

    async def prove(self, call: Call, database: Database, now: Millis, client: Client) -> Proved | None:
        """For the endpoints that clients call: read the proof and spend it; None if there is none.

        Raises InvalidDpopProof.
        """
        required = self.wants_nonce(fapi=client.fapi)
        proofs = [value for name, value in call.scope["headers"] if name == b"dpop"]
        proved = self.read(proofs, method=call.method, path=call.path, now=now, nonce_required=required)
        if proved is not None and not await database.write_core(once.claim, proved.once, proved.expires_at):
            raise InvalidDpopProof("the DPoP proof was used already")
        return proved

    def wants_nonce(self, *, fapi: bool) -> bool:
        """Whether proofs of such a client must carry our nonce (sections 8 and 9)."""
        wanted = self._settings.dpop_nonce
        return wanted == "required" or (wanted == "fapi" and fapi)

    def nonce(self, now: Millis) -> str:
        """The nonce of this moment (section 8)."""
        return b64url(self._hasher.digest("dpop-nonce", str(now // NONCE_SLICE)))

    def _check_nonce(self, nonce: object, now: Millis) -> None:
        good = (self.nonce(now), self.nonce(now - NONCE_SLICE))
        if not isinstance(nonce, str) or not any(same(nonce.encode(), one.encode()) for one in good):
            raise UseDpopNonce("use the nonce of the DPoP-Nonce header")


def _normal(uri: str) -> str:
    """Without query and fragment, scheme and host lower case, default port dropped (section 4.3 step 9)."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise InvalidDpopProof("htu is not a URI") from None
    host = (parts.hostname or "").lower()
    if port is not None and (parts.scheme.lower(), port) not in {("https", 443), ("http", 80)}:
        host = f"{host}:{port}"
    return f"{parts.scheme.lower()}://{host}{parts.path or '/'}"
