"""A service's own key, and what it signs with it."""

import base64
import json
import secrets
from typing import Any

from joserfc.jwk import OKPKey

from tests.support.relying_party import sign

ISSUER = "http://localhost:8080"


class Signer:
    """An Ed25519 key; `jwks` is what the service registers."""

    def __init__(self) -> None:
        self.key = OKPKey.generate_key("Ed25519", parameters={"kid": secrets.token_hex(4)})

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [{**self.key.as_dict(private=False), "alg": "EdDSA", "use": "sig"}]}

    def confirm(
        self, token: str, *, client_id: str, now_ms: int, header: dict[str, Any] | None = None, **changed: Any
    ) -> str:
        """The acknowledgement of a security event token, with any claim changed; None leaves one out."""
        told = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        claims = {
            "iss": client_id,
            "aud": ISSUER,
            "iat": now_ms // 1000,
            "jti": secrets.token_hex(8),
            "txn": told.get("txn"),
            "sub_id": told["sub_id"],
            "data": "erased",
            **changed,
        }
        payload = json.dumps({name: value for name, value in claims.items() if value is not None})
        return sign(
            {"alg": "EdDSA", "typ": "consent-acknowledgement+jwt", "kid": self.key.kid, **(header or {})},
            payload,
            self.key,
        )
