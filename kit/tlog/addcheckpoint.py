"""The one request a witness takes: its text, and what a witness must check.

c2sp.org/tlog-witness, "add-checkpoint": the line `old <size>`, at most 63 proof lines, a blank line, the checkpoint.
`read` and `judge` are the witness's half, `request` the log's. Pure: the witness's memory is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kit.tlog.errors import BadLog, BadNote, BadProof, BadSignature
from kit.tlog.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from kit.tlog.note import Checkpoint, Signature, Verifier, b64, open_note, parse_checkpoint, parse_note, unb64

MOST_HASHES = 63
LARGEST_REQUEST = 64 * 1024
SIZE_TYPE = "text/x.tlog.size"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request, not yet checked."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes


@dataclass(frozen=True, slots=True)
class Seen:
    """What a witness remembers of a log: the latest tree it cosigned (size 0 and the empty root before the first)."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: the status the specification gives, and the size to tell with 409."""

    status: int
    why: str
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Acceptable:
    """Everything holds: the witness may cosign, once it has stored this as the latest."""

    checkpoint: Checkpoint
    text: str
    log_lines: tuple[Signature, ...]


def request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body a log sends."""
    lines = [f"old {old}", *(b64(each) for each in proof)]
    return "".join(f"{line}\n" for line in lines).encode() + b"\n" + note


def read(body: bytes) -> AddCheckpoint:
    """Read a request strictly; raises BadLog."""
    try:
        whole = body.decode()
    except UnicodeDecodeError:
        raise BadNote("the request is not UTF-8") from None
    head, blank, note = whole.partition("\n\n")
    lines = head.split("\n")
    old = _OLD.fullmatch(lines[0])
    if not blank or old is None:
        raise BadNote("the request does not begin with the line old <size> and a blank line after the proof")
    if len(lines) - 1 > MOST_HASHES:
        raise BadProof(f"a consistency proof has at most {MOST_HASHES} lines")
    proof = tuple(unb64(line) for line in lines[1:])
    if any(len(each) != HASH_SIZE for each in proof):
        raise BadProof("a line of the proof is not a SHA-256 hash")
    return AddCheckpoint(int(old[1]), proof, note.encode())


def origin_of(asked: AddCheckpoint) -> str:
    """Which log this says to be of; raises BadLog. Nothing is verified."""
    return parse_checkpoint(parse_note(asked.note).text).origin


def judge(asked: AddCheckpoint, seen: Seen, verifiers: Collection[Verifier]) -> Acceptable | Refusal:
    """Everything a witness must check, in the specification's order; raises BadLog for what does not parse (400)."""
    checkpoint = parse_checkpoint(parse_note(asked.note).text)
    try:
        note = open_note(asked.note, verifiers)
    except BadSignature as bad:
        return Refusal(403, str(bad))
    if asked.old > checkpoint.size:
        return Refusal(400, "the old size is larger than the checkpoint's")
    if asked.old != seen.size:
        return Refusal(409, "the old size is not the one of the latest cosigned checkpoint", seen.size)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        return Refusal(422, "the empty tree has another root")
    try:
        verify_consistency(asked.old, checkpoint.size, seen.root, checkpoint.root, asked.proof)
    except BadProof as bad:
        return Refusal(422, str(bad))
    known = {(each.name, each.key_id) for each in verifiers}
    lines = tuple(each for each in note.signatures if (each.name, each.key_id) in known)
    return Acceptable(checkpoint, note.text, lines)


def read_size(body: bytes) -> int:
    """The size a witness tells with 409; raises BadLog."""
    found = _SIZE.fullmatch(body)
    if found is None:
        raise BadLog("the witness did not tell a size")
    return int(found[1])
