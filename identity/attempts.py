"""Half-done sign-ins, sign-ups, resets, recoveries: what was proved so far, for minutes, behind an opaque token.

The browser holds the token in a cookie; the notes (where to go next, the form of a sign-up) stay here, sealed. An
attempt is used up by the write that completes it, so one right code makes one session (invariant I7).
"""

from dataclasses import dataclass
from typing import Literal

from sqlmodel import col, delete, select, update

from identity.models_account import Attempt
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import MINUTE, Clock, Millis
from kit.db import Session
from kit.ids import secret

Purpose = Literal["sign-in", "sign-up", "reset", "recover", "upstream", "link", "certificate", "certificate-shown"]

LIFETIME: dict[Purpose, Millis] = {
    "sign-in": 10 * MINUTE,
    "upstream": 10 * MINUTE,
    "link": 10 * MINUTE,
    "certificate": 10 * MINUTE,
    "certificate-shown": 2 * MINUTE,
    "sign-up": 30 * MINUTE,
    "reset": 30 * MINUTE,
    "recover": 30 * MINUTE,
}
#: Wrong codes before the password is asked for again.
MAX_TRIES = 5


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that may go on."""

    key: bytes
    account_id: str | None
    notes: bytes
    tries: int


class Attempts:
    """Keeps them."""

    def __init__(self, sealer: Sealer, hasher: TokenHasher, clock: Clock) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock

    def begin(self, session: Session, purpose: Purpose, *, account_id: str | None = None, notes: bytes = b"") -> str:
        """Keep what is known so far; returns the token for the cookie."""
        token = secret("ska")
        key = self._digest(token)
        sealed = self._sealer.system().seal(f"identity_attempt|notes|{key.hex()}", notes)
        session.add(
            Attempt(
                token_hash=key,
                purpose=purpose,
                account_id=account_id,
                notes=sealed,
                expires_at=self._clock.ms() + LIFETIME[purpose],
            )
        )
        session.flush()
        return token

    def find(self, session: Session, token: str | None, purpose: Purpose) -> Waiting | None:
        """The attempt behind a cookie, unless it ran out of time or tries."""
        if not token or len(token) > 100:
            return None
        key = self._digest(token)
        row = session.exec(select(Attempt).where(Attempt.token_hash == key, Attempt.purpose == purpose)).first()
        if row is None or row.expires_at <= self._clock.ms() or row.tries >= MAX_TRIES:
            return None
        notes = b""
        if row.notes is not None:
            notes = self._sealer.system().open(f"identity_attempt|notes|{key.hex()}", row.notes)
        return Waiting(key=key, account_id=row.account_id, notes=notes, tries=row.tries)

    def count(self, session: Session, waiting: Waiting) -> int:
        """One wrong code more; returns how many tries are left."""
        session.exec(
            update(Attempt)
            .where(col(Attempt.token_hash) == waiting.key)
            .values(tries=col(Attempt.tries) + 1)
            .execution_options(synchronize_session=False)
        )
        return max(0, MAX_TRIES - waiting.tries - 1)

    def use_up(self, session: Session, waiting: Waiting) -> bool:
        """Complete it: True for exactly one caller."""
        used = session.exec(
            delete(Attempt).where(col(Attempt.token_hash) == waiting.key).execution_options(synchronize_session=False)
        )
        return used.rowcount == 1

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Delete what ran out of time."""
        old = select(Attempt.token_hash).where(col(Attempt.expires_at) < self._clock.ms()).limit(limit)
        return session.exec(delete(Attempt).where(col(Attempt.token_hash).in_(old))).rowcount

    def _digest(self, token: str) -> bytes:
        return self._hasher.digest("attempt", token)
