"""Following somebody's log: one step from the checkpoint one knows to the one it shows now.

What a monitor must catch (c2sp.org/tlog-checkpoint, "Signatures": a log must never sign two checkpoints that no
consistency proof joins): a fork, a rollback, a wrong signature, and tiles or entries that are not what was signed.
The new entries are read, and led to the new root, so that nothing is hidden behind a root nobody opened.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from kit.tlog import client
from kit.tlog.errors import BadLog, BadTile, Forked
from kit.tlog.note import Checkpoint, Verifier, open_checkpoint
from kit.tlog.places import Fetch


class Alarm(Exception):
    """The log broke a promise, and `evidence` is the checkpoint that shows it.

    `kind` is fork, rollback, signature or damaged from `step`, and quorum from a caller that demands witnesses.
    """

    def __init__(self, kind: str, detail: str, evidence: bytes) -> None:
        super().__init__(detail)
        self.kind = kind
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class Step:
    """Where the log is now, and what came."""

    note: bytes
    checkpoint: Checkpoint
    before: int | None
    entries: tuple[bytes, ...]


def step(fetch: Fetch, known: bytes | None, *, origin: str, verifiers: Collection[Verifier]) -> Step:
    """Look once. Without a known checkpoint the whole log is checked. Raises Alarm, or OSError when nobody answers."""
    note = client.read_note(fetch)
    older = None if known is None else open_checkpoint(known, origin, verifiers)
    try:
        newer = open_checkpoint(note, origin, verifiers)
    except BadLog as bad:
        raise Alarm("signature", str(bad), note) from None
    try:
        if older is None:
            client.audit(_fixed(fetch, note), origin=origin, verifiers=verifiers)
            return Step(note, newer, None, ())
        if newer.size < older.size:
            raise Alarm("rollback", f"the log went back from {older.size} entries to {newer.size}", note)
        client.check_consistency(fetch, older, newer)
        return Step(note, newer, older.size, tuple(client.follow(fetch, older, newer)))
    except Forked as bad:
        raise Alarm("fork", str(bad), note) from None
    except BadTile as bad:
        raise Alarm("damaged", str(bad), note) from None


def _fixed(fetch: Fetch, note: bytes) -> Fetch:
    """The log as it was when this checkpoint was read: it may grow while it is checked."""
    return lambda path: note if path == "checkpoint" else fetch(path)


def read_state(path: Path) -> bytes | None:
    """The last checkpoint that was found good; None before the first."""
    return path.read_bytes() if path.exists() else None


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file so that a crash leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
