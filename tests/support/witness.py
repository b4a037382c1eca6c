"""A witness of other make: its own code, from c2sp.org/tlog-witness and tlog-cosignature. Imports nothing of kit.tlog.

`Stand` cosigns; `served_witness` answers `POST /add-checkpoint` over HTTP with everything the specification asks of a
witness, and remembers one tree for each log.
"""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Stand:
    """A cosigning key."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.name = name
        self.key_id = hashlib.sha256(name.encode() + b"\n\x04" + public).digest()[:4]
        encoded = base64.b64encode(b"\x04" + public).decode()
        self.vkey = f"{name}+{self.key_id.hex()}+{encoded}"

    def cosign(self, note: bytes, time: int) -> bytes:
        """The signature line for a checkpoint ("Ed25519 signed message")."""
        text = note[: note.rindex(b"\n\n") + 1]
        message = b"cosignature/v1\ntime %d\n%b" % (time, text)
        value = self.key_id + struct.pack(">Q", time) + self._private.sign(message)
        return f"— {self.name} ".encode() + base64.b64encode(value) + b"\n"
