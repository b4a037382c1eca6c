"""An auditor's own few lines: signed notes, tiles, inclusion and consistency, by the public specifications only.

C2SP signed-note, tlog-checkpoint, tlog-tiles; RFC 6962 section 2.1. Deliberately not kit.tlog.
"""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from portal.walk.report import Report


@dataclass(frozen=True)
class Checkpoint:
    """A proved tree head."""

    origin: str
    size: int
    root: bytes


def open_note(report: Report, note: str, vkey: str) -> Checkpoint:
    """The checkpoint of a note whose signature verifies under the log's key."""
    name, hash_text, key_text = vkey.strip().split("+", 2)
    key = base64.b64decode(key_text)
    key_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    if key[0] != 1 or key_id.hex() != hash_text:
        report.broken("the ledger's verifier key does not match its own key id")
    body, _, signatures = note.partition("\n\n")
    body += "\n"
    for line in signatures.splitlines():
        _dash, signer, blob_text = line.split(" ")
        blob = base64.b64decode(blob_text)
        if signer == name and blob[:4] == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], body.encode())
            except InvalidSignature:
                report.broken("the checkpoint's signature does not verify")
            origin, size, root = body.splitlines()[:3]
            return Checkpoint(origin, int(size), base64.b64decode(root))
    return report.broken("the checkpoint is not signed by the ledger's key")


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 section 2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(leaves: list[bytes]) -> bytes:
    """The Merkle tree hash, naively."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def root_from_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """RFC 9162 section 2.1.3.2; None if the proof has the wrong length."""
    fn, sn, found = index, size - 1, leaf
    for part in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            found = node_hash(part, found)
            if not fn & 1:
                while not fn & 1 and fn:
                    fn >>= 1
                    sn >>= 1
        else:
            found = node_hash(found, part)
        fn >>= 1
        sn >>= 1
    return found if sn == 0 else None


def tile_path(kind: str, number: int, width: int) -> str:
    """The address of a tile or entry bundle: groups of three digits, partial widths marked."""
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return f"/ledger/tile/{kind}/{text}" + (f".p/{width}" if width < 256 else "")


def leaf_hashes(size: int, fetch: Callable[[str], bytes]) -> list[bytes]:
    """Every leaf hash of a tree, from its level-0 tiles."""
    found: list[bytes] = []
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        data = fetch(tile_path("0", number, width))
        found += [data[place : place + 32] for place in range(0, len(data), 32)]
    return found


def entries(size: int, fetch: Callable[[str], bytes]) -> list[bytes]:
    """Every entry of a log, from its bundles."""
    return [entry for number in range((size + 255) // 256) for entry in _bundle(number, size, fetch)]


def entry_at(index: int, size: int, fetch: Callable[[str], bytes]) -> bytes:
    """One entry of a log of that size."""
    return _bundle(index // 256, size, fetch)[index % 256]


def _bundle(number: int, size: int, fetch: Callable[[str], bytes]) -> list[bytes]:
    data = fetch(tile_path("entries", number, min(256, size - number * 256)))
    found: list[bytes] = []
    while data:
        length = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + length])
        data = data[2 + length :]
    return found
