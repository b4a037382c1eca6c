"""Cosignatures: what a witness adds to a checkpoint.

c2sp.org/tlog-cosignature, "Format" and "Ed25519 signed message": a note signature of type 0x04 whose value is a
big-endian 64-bit time followed by an Ed25519 signature over `cosignature/v1`, `time <seconds>` and the whole note text.
ML-DSA-44 (type 0x06) signs a structure instead of the text ("ML-DSA-44 signed message"); it is read, not made, here.
Pure: the cryptography comes in through `Witness`.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kit.tlog.errors import BadNote, BadSignature
from kit.tlog.note import Signature, Signer, Verifier, parse_checkpoint, parse_note

LATEST_TIME = 2**63 - 1  # "It MUST NOT exceed 2^63 - 1"


#: A key that is trusted to have cosigned, and one that cosigns: what they do is what note keys do.
Witness: TypeAlias = Verifier
Cosigner: TypeAlias = Signer


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A verified cosignature: which witness saw this tree as the largest of its log, and when (seconds)."""

    witness: str
    key_id: bytes
    time: int
    line: str


def signed_message(text: str, time: int) -> bytes:
    """What an Ed25519 cosigner signs ("Ed25519 signed message")."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def signed_subtree(name: str, text: str, time: int) -> bytes:
    """What an ML-DSA-44 cosigner signs for a whole checkpoint ("ML-DSA-44 signed message"). Raises BadNote."""
    checkpoint = parse_checkpoint(text)
    who, origin = name.encode(), checkpoint.origin.encode()
    if len(who) > 255 or len(origin) > 255:
        raise BadNote("a name is too long to be cosigned", check="cosignature")
    return b"".join(
        (
            b"subtree/v1\n\0",
            struct.pack(">B", len(who)), who,
            struct.pack(">Q", time),
            struct.pack(">B", len(origin)), origin,
            struct.pack(">QQ", 0, checkpoint.size), checkpoint.root,
        )
    )  # fmt: skip


def split(value: bytes) -> tuple[int, bytes]:
    """A `timestamped_signature`: its time and the bare signature. A witness never leaves out the time.

    Raises BadNote.
    """
    if len(value) <= 8:
        raise BadNote("a cosignature is too short", check="cosignature")
    (time,) = struct.unpack(">Q", value[:8])
    if not 0 < time <= LATEST_TIME:
        raise BadNote("a cosignature has no possible time", check="cosignature")
    return time, value[8:]


def cosign(text: str, cosigner: Cosigner, time: int) -> str:
    """The signature line of an Ed25519 cosigner. Raises ValueError."""
    if not 0 < time <= LATEST_TIME:
        raise ValueError("a cosignature's time is in seconds since the epoch")
    value = struct.pack(">Q", time) + cosigner.sign(signed_message(text, time))
    return Signature(cosigner.name, cosigner.key_id, value).line()


def cosignatures(note: bytes, witnesses: Collection[Witness]) -> tuple[Cosignature, ...]:
    """The cosignatures of known witnesses on a checkpoint, one for each. Unknown ones are passed over; a wrong one of
    a known witness refuses the note (signed-note, "Signatures")."""
    unverified = parse_note(note)
    return verified(unverified.text, unverified.signatures, witnesses)


def verified(text: str, signatures: Sequence[Signature], witnesses: Collection[Witness]) -> tuple[Cosignature, ...]:
    """The same over a note's parts. Raises BadSignature."""
    known = {(each.name, each.key_id): each for each in witnesses}
    found: dict[bytes, Cosignature] = {}
    for signature in signatures:
        witness = known.get((signature.name, signature.key_id))
        if witness is None:
            continue
        time, _ = split(signature.value)
        try:
            witness.verify(signature.value, text.encode())
        except Exception:  # whatever a verifier raises means one thing here
            raise BadSignature(f"the cosignature of {signature.name} is wrong", check="cosignature") from None
        key = signature.name.encode() + b"\n" + signature.key_id
        if key not in found or found[key].time < time:
            found[key] = Cosignature(signature.name, signature.key_id, time, signature.line())
    return tuple(found.values())


def read_lines(body: bytes) -> tuple[Signature, ...]:
    """The signature lines a witness answers with (tlog-witness, "add-checkpoint"); raises BadNote."""
    return parse_note(b"-\n\n" + body).signatures


def with_cosignatures(note: bytes, lines: Collection[str]) -> bytes:
    """The same checkpoint text, with more signature lines after the log's own."""
    return note + "".join(lines).encode()
