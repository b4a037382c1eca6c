"""How the desk keeps what people wrote and where requests came from.

Each incident has a data key of its own, so that its free text can be forgotten by destroying one key, with the
rest of the record (codes, times, counts) left standing. Alerts that never became an incident share one key a
month, for the same reason. Values to be compared but not read (dedup keys, source addresses) are keyed hashes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from keys.envelope import Sealer
from keys.errors import KeyDestroyed, KeyNotFound
from keys.hashing import TokenHasher
from kit.clock import Millis
from kit.db import Session

ERASED = "—"


@dataclass(frozen=True, slots=True)
class Seals:
    """The desk's way to the key ring's envelopes and hashes."""

    sealer: Sealer
    hasher: TokenHasher

    def begin(self, session: Session, owner_id: str) -> None:
        """Make the data key of a new incident."""
        self.sealer.create_owner(session, owner_id)

    def month(self, session: Session, at: Millis) -> str:
        """The owner of the key for alerts raised in this month; its key is made with the month's first alert."""
        owner_id = month_owner(at)
        try:
            self.sealer.owner(session, owner_id)
        except KeyNotFound:
            self.sealer.create_owner(session, owner_id)
        return owner_id

    def seal(self, session: Session, owner_id: str, context: str, text: str) -> bytes:
        """Text as it may lie in a table."""
        return self.sealer.owner(session, owner_id).seal(context, text.encode())

    def open(self, session: Session, owner_id: str, context: str, blob: bytes | None) -> str:
        """The text again; empty if there was none, a dash if its key has been destroyed."""
        if blob is None:
            return ""
        try:
            return self.sealer.owner(session, owner_id).open(context, blob).decode()
        except KeyDestroyed:
            return ERASED

    def hash(self, label: str, value: str) -> bytes:
        """A value to compare by."""
        return self.hasher.digest(f"cert.{label}", value)


def month_owner(at: Millis) -> str:
    """The owner of the key for alerts raised in this month."""
    return f"cert-alerts-{datetime.fromtimestamp(at / 1000, UTC):%Y-%m}"
