"""An entry's proof as a text that verifies offline.

c2sp.org/tlog-proof@v1: index, inclusion proof and the checkpoint verbatim, with all its cosignatures.
Strict like the notes it contains. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kit.tlog.errors import BadNote, BadProof
from kit.tlog.merkle import HASH_SIZE, leaf_hash, verify_inclusion
from kit.tlog.note import Checkpoint, Verifier, b64, open_checkpoint, unb64

HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A parsed proof; nothing in it is verified before `verify_proof`."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def text(self) -> str:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {b64(self.extra)}")
        lines.append(f"index {self.index}")
        lines += (b64(each) for each in self.hashes)
        return "\n".join(lines) + "\n\n" + self.checkpoint.decode()


def format_proof(index: int, hashes: Sequence[bytes], checkpoint: bytes) -> str:
    """The text of a proof."""
    return TlogProof(index, tuple(hashes), checkpoint).text()


def parse_proof(text: str) -> TlogProof:
    """Read a proof; raises BadProof on anything that would not print back to itself."""
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != HEADER:
        raise BadProof(f"a proof begins with the line {HEADER}")
    extra = None
    try:
        if lines and lines[0].startswith("extra "):
            extra = unb64(lines.pop(0).removeprefix("extra "))
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None:
            raise BadProof("the proof has no index line")
        hashes = tuple(unb64(line) for line in lines)
    except BadNote as bad:
        raise BadProof(str(bad)) from None
    if len(hashes) > 63 or any(len(each) != HASH_SIZE for each in hashes):
        raise BadProof("the proof's hashes are not SHA-256 hashes of one path")
    return TlogProof(int(index[1]), hashes, checkpoint.encode(), extra)


def verify_proof(
    proof: TlogProof, entry: bytes, *, expected_origin: str, verifiers: Collection[Verifier]
) -> Checkpoint:
    """Raise unless the entry is in the log of that origin; return the checkpoint that vouches for it."""
    checkpoint = open_checkpoint(proof.checkpoint, expected_origin, verifiers)
    verify_inclusion(leaf_hash(entry), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    return checkpoint
