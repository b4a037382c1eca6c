"""What an outsider trusts: a log's key, and perhaps witnesses with a quorum. Pure.

From a verifier key text (c2sp.org/signed-note) or a policy file (c2sp.org/tlog-policy), or both. A quorum is stated,
never assumed: a checkpoint is published before its witnesses have seen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keys.notes import NoteVerifier, WitnessVerifier
from kit.tlog.cosignature import Cosignature, cosignatures
from kit.tlog.errors import BadNote, BadSignature
from kit.tlog.note import ED25519, Checkpoint, open_checkpoint, parse_checkpoint, parse_note
from kit.tlog.policy import BadPolicy, Policy, parse_policy


@dataclass(frozen=True, slots=True)
class Quorum:
    """Who cosigned a checkpoint, and whether that is enough. `met` is None where no policy asks."""

    met: bool | None
    cosigned: tuple[Cosignature, ...]
    witnesses: int

    def document(self) -> dict[str, Any]:
        """For programs."""
        cosigned = [{"witness": each.witness, "time": each.time} for each in self.cosigned]
        return {"quorum": self.met, "cosigned": cosigned, "witnesses": self.witnesses}

    def __str__(self) -> str:
        if self.met is None:
            return "no witness policy given"
        names = ", ".join(each.witness for each in self.cosigned) or "none yet"
        return (
            f"{'quorum' if self.met else 'NO quorum'}: {len(self.cosigned)} of {self.witnesses} witnesses "
            f"cosigned ({names})"
        )


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that decide what is believed."""

    logs: Mapping[str, tuple[NoteVerifier, ...]]
    witnesses: tuple[WitnessVerifier, ...] = ()
    policy: Policy | None = field(default=None, repr=False)

    @staticmethod
    def of(vkey: str | None = None, policy: bytes | None = None, *, origin: str | None = None) -> Trust:
        """From texts; raises BadLog for what is malformed, or when nothing names a log."""
        read = None if policy is None else parse_policy(policy)
        logs: dict[str, tuple[NoteVerifier, ...]] = {}
        if vkey is not None:
            verifier = NoteVerifier(vkey.strip())
            logs[origin or verifier.name] = (verifier,)
        elif read is not None:
            for each in read.logs:
                if each.key.algorithm != ED25519:
                    raise BadPolicy("only Ed25519 log keys are read here")
                name = origin or each.key.name
                logs[name] = (*logs.get(name, ()), NoteVerifier(each.vkey))
        if not logs:
            raise BadPolicy("no log to trust: give its verifier key, or a policy with a log line")
        return Trust(logs, tuple(WitnessVerifier(each.vkey) for each in read.witnesses) if read else (), read)

    def log(self, note: bytes) -> tuple[str, tuple[NoteVerifier, ...]]:
        """The origin and the keys that a checkpoint must verify under; raises BadNote for a log nobody named."""
        if len(self.logs) == 1:
            return next(iter(self.logs.items()))
        origin = parse_checkpoint(parse_note(note).text).origin
        if origin not in self.logs:
            raise BadNote(f"the log {origin} is not one of those trusted", check="origin")
        return origin, self.logs[origin]

    def open(self, note: bytes) -> Checkpoint:
        """The checkpoint, signed by its log; raises BadNote."""
        return open_checkpoint(note, *self.log(note))

    def quorum(self, note: bytes) -> Quorum:
        """Who of the witnesses cosigned; raises BadSignature if one of their cosignatures is wrong."""
        if self.policy is None:
            return Quorum(None, (), 0)
        found = cosignatures(note, self.witnesses)
        signed = {(each.witness, each.key_id) for each in found}
        keys = {each.public for each in self.witnesses if (each.name, each.key_id) in signed}
        return Quorum(self.policy.met(keys), found, len(self.witnesses))

    def require_quorum(self, note: bytes) -> Quorum:
        """The same, where nothing less than a quorum will do. Raises BadSignature."""
        found = self.quorum(note)
        if found.met is False:
            raise BadSignature(f"{found}", check="quorum")
        return found
