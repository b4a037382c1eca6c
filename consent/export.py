"""A copy of a whole log in a directory: checked while it is made, servable as it is, and checkable without us.

The layout is the log's own (c2sp.org/tlog-tiles), so any static file server can serve the copy. A directory that holds
an older copy is brought up to date; one that holds another history is left alone.
"""

from __future__ import annotations

from pathlib import Path

from consent.trust import Trust
from kit.tlog import client
from kit.tlog.monitor import write_whole
from kit.tlog.places import Fetch, place
from kit.tlog.tiles import parse_path


def export(where: str, directory: Path, trust: Trust) -> client.Audit:
    """Copy a log; raises BadLog, and Forked if the directory's copy is of another history: then that copy stays."""
    fetch = place(where)
    note = client.read_note(fetch)
    origin, verifiers = trust.log(note)
    kept = directory / "checkpoint"
    if kept.exists():
        client.check_consistency(fetch, trust.open(kept.read_bytes()), trust.open(note))

    def keep(path: str, content: bytes) -> None:
        file = directory / path
        if path == "checkpoint" or not file.exists() or file.read_bytes() != content:
            write_whole(file, content)

    return client.audit(_with_copy(fetch, directory, note), origin=origin, verifiers=verifiers, keep=keep)


def _with_copy(fetch: Fetch, directory: Path, note: bytes) -> Fetch:
    """Full tiles never change: those the copy has are not asked for again (and are checked like all others)."""

    def get(path: str) -> bytes:
        if path == "checkpoint":
            return note
        file = directory / path
        return file.read_bytes() if parse_path(path).full and file.exists() else fetch(path)

    return get
