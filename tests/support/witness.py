"""A witness of other make: its own code, from c2sp.org/tlog-witness and tlog-cosignature. Imports nothing of kit.tlog.

`Stand` cosigns; `check` verifies a cosignature; `go_witness` is a whole witness, built from Go sources.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import struct
import subprocess
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.support.go import program


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


def check(vkey: str, note: bytes, line: bytes) -> int:
    """The time of a cosignature that verifies under a witness's key; raises for any other line."""
    name, identifier, encoded = vkey.split("+", 2)
    typed = base64.b64decode(encoded, validate=True)
    assert typed[0] == 4
    assert hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() == identifier
    dash, signer, blob = line.decode().removesuffix("\n").split(" ")
    value = base64.b64decode(blob, validate=True)
    assert (dash, signer, value[:4].hex(), len(value)) == ("—", name, identifier, 4 + 8 + 64)
    (time,) = struct.unpack(">Q", value[4:12])
    text = note[: note.rindex(b"\n\n") + 1]
    key = Ed25519PublicKey.from_public_bytes(typed[1:])
    key.verify(value[12:], b"cosignature/v1\ntime %d\n%b" % (time, text))
    return int(time)


@contextlib.contextmanager
def go_witness(name: str, *vkeys: str) -> Iterator[tuple[str, str]]:
    """A witness in a process of its own, written in Go; gives its verifier key and its submission prefix."""
    process = subprocess.Popen([program("tlog_witness"), name, *vkeys], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
