"""A passkey in software: makes the answers a real authenticator would, and the wrong ones a thief would.

ES256, attestation "none", authenticator data and client data as in Web Authentication Level 3, sections 6.1, 5.8.1.
"""

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from kit.encoding import b64url, b64url_decode

_UP, _UV, _BE, _BS, _AT = 0x01, 0x04, 0x08, 0x10, 0x40


def _cbor(value: Any) -> bytes:
    """Just enough CBOR (RFC 8949) for attestation objects and COSE keys."""

    def head(major: int, number: int) -> bytes:
        if number < 24:
            return bytes([major << 5 | number])
        if number < 256:
            return bytes([major << 5 | 24, number])
        return bytes([major << 5 | 25]) + number.to_bytes(2, "big")

    if isinstance(value, int):
        return head(0, value) if value >= 0 else head(1, -1 - value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        return head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return head(5, len(value)) + b"".join(_cbor(k) + _cbor(v) for k, v in value.items())
    raise TypeError(type(value))


@dataclass
class Authenticator:
    """One device with one passkey. `verifies` is whether it checks finger or PIN; `step` how it counts."""

    origin: str = "http://localhost:8080"
    rp_id: str = "localhost"
    verifies: bool = True
    synced: bool = False
    step: int = 1
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: os.urandom(32))
    user_handle: bytes = b""
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: str) -> bytes:
        """Answer `navigator.credentials.create`."""
        asked = json.loads(options)
        self.user_handle = b64url_decode(asked["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + _cbor(cose)
        data = self._data(_AT) + attested
        return self._answer(
            {
                "clientDataJSON": b64url(self._client("webauthn.create", asked["challenge"])),
                "attestationObject": b64url(_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
                "transports": ["internal"],
            }
        )

    def get(self, options: str, *, user_handle: bytes | None = None) -> bytes:
        """Answer `navigator.credentials.get`."""
        asked = json.loads(options)
        self.count += self.step
        client = self._client("webauthn.get", asked["challenge"])
        data = self._data(0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._answer(
            {
                "clientDataJSON": b64url(client),
                "authenticatorData": b64url(data),
                "signature": b64url(signature),
                "userHandle": b64url(self.user_handle if user_handle is None else user_handle),
            }
        )

    def copy(self) -> "Authenticator":
        """What a thief has who copied the key."""
        return Authenticator(
            origin=self.origin,
            rp_id=self.rp_id,
            step=self.step,
            count=self.count,
            credential_id=self.credential_id,
            user_handle=self.user_handle,
            key=self.key,
        )

    def _data(self, more: int) -> bytes:
        flags = _UP | more | (_UV if self.verifies else 0) | (_BE | _BS if self.synced else 0)
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, response: dict[str, Any]) -> bytes:
        name = b64url(self.credential_id)
        return json.dumps(
            {"id": name, "rawId": name, "type": "public-key", "response": response, "clientExtensionResults": {}}
        ).encode()
