"""A resident's e-mail address: shown to be theirs by a code sent to it, changed slowly once it is.

NIST SP 800-63B-4 sections 3.1.3.3 (a code by e-mail proves the address, never who signs in) and 4.6. The code is fifty
random bits, kept as a keyed hash, good for half an hour, five tries and one use; it counts only for somebody who is
signed in to the very account, so that nobody can make a stranger vouch for their account by a click. Reading a letter
spends nothing: programs that follow links in letters confirm nothing.

An address that was shown is where warnings go. So taking its place waits, and the warning of it goes there: whoever
holds a stolen session can't silence the letters first and the owner after. Stopping is open to every session.
"""

import secrets
from dataclasses import dataclass, replace

from sqlmodel import col, delete, select, update

from identity import recovery
from identity.accounts import change_profile, profile
from identity.mail import Mail
from identity.models_account import Account, EmailChange
from identity.signals.left import forget_address
from identity.throttle import Throttles
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher, same
from kit import audit
from kit.clock import DAY, MINUTE, Clock, Millis
from kit.db import Session
from kit.host import SYSTEM, Actor
from kit.mail import read_address
from kit.problems import Invalid

CODE_LIFE: Millis = 30 * MINUTE
TRIES = 5
_KEPT: Millis = 30 * DAY
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class EmailView:
    """The address as its owner sees it; `waiting` is one on its way, "" for none to come."""

    address: str
    verified: bool
    waiting: str | None = None
    ready_at: Millis | None = None  # when it takes the old one's place; None while its code is asked for


@dataclass(frozen=True, slots=True)
class Asked:
    """A code is on its way; or so many `seconds` must pass before another."""

    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The code was right; `ready_at` when there is a wait."""

    ready_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class WrongCode:
    """It was not; none left, or nothing waits for a code, means: ask for a new one."""

    tries_left: int


class Emails:
    """The addresses of this city's people."""

    def __init__(
        self, sealer: Sealer, hasher: TokenHasher, clock: Clock, *, throttles: Throttles, mail: Mail, wait: Millis
    ) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._throttles = throttles
        self._mail = mail
        self._wait = wait

    def view(self, session: Session, account_id: str) -> EmailView:
        """What is known, and what is on its way."""
        person = profile(session, self._sealer, account_id)
        row = self._live(session, account_id)
        if row is None:
            return EmailView(person.email or "", person.email_verified)
        return EmailView(person.email or "", person.email_verified, self._address(session, row), row.ready_at)

    def ask(self, session: Session, account_id: str, typed: str, *, source: str, actor: Actor) -> Asked:
        """Send a code to an address. Raises Invalid for what is none. Asking for another forgets this one.

        The answer is the same whoever else has the address: it is nobody's until a code comes back from it.
        """
        try:
            address = read_address(typed)
        except ValueError:
            raise Invalid("Write one e-mail address, for example hana@example.jp.", pointer="/email") from None
        now = self._clock.ms()
        wait = self._throttles.charge_letter(session, account_id=account_id, address=address, source=source, now=now)
        if wait is not None:
            return Asked(wait.seconds)
        code, until = new_code(), now + CODE_LIFE
        self._replace(session, account_id, address, code=code, expires_at=until)
        self._mail.write(session, account_id, "email-code", {"code": code, "until": until}, to=address, until=until)
        audit.record(session, "identity.email.asked", actor=actor, object=("account", account_id))
        return Asked()

    def confirm(self, session: Session, account_id: str, code: str, *, actor: Actor) -> Confirmed | WrongCode:
        """The code that came to the new address. Right at most once; a wrong one costs a try, and that stays."""
        row = self._live(session, account_id)
        if row is None or row.code_hash is None:
            return WrongCode(0)
        paid = session.exec(
            update(EmailChange)
            .where(col(EmailChange.account_id) == account_id, col(EmailChange.code_hash) == row.code_hash)
            .where(col(EmailChange.tries) < TRIES)
            .values(tries=col(EmailChange.tries) + 1)
            .execution_options(synchronize_session=False)
        )
        if paid.rowcount != 1:
            return WrongCode(0)
        session.refresh(row)
        if not same(row.code_hash, self._digest(account_id, code[:100])):
            audit.record(
                session, "identity.email.refused", actor=actor, object=("account", account_id), outcome="refused"
            )
            return WrongCode(TRIES - row.tries)
        return self._proved(session, row, actor)

    def remove(self, session: Session, account_id: str, *, actor: Actor) -> Confirmed:
        """No address any more: as slow as another one, for the same reason."""
        row = self._replace(session, account_id, "", code=None, expires_at=self._clock.ms() + _KEPT)
        return self._proved(session, row, actor)

    def stop(self, session: Session, account_id: str, *, actor: Actor) -> bool:
        """What is on its way does not come; whether anything was."""
        gone = session.exec(delete(EmailChange).where(col(EmailChange.account_id) == account_id)).rowcount == 1
        if gone:
            audit.record(session, "identity.email.stopped", actor=actor, object=("account", account_id))
        return gone

    def apply_due(self, session: Session, *, limit: int = 100) -> int:
        """Addresses whose wait is over take their place. A chunk; how many."""
        now = self._clock.ms()
        due = select(EmailChange).where(col(EmailChange.ready_at) <= now, col(EmailChange.expires_at) > now)
        found = session.exec(due.order_by(col(EmailChange.ready_at)).limit(limit)).all()
        for row in found:
            try:
                self._apply(session, row, SYSTEM)
            except KeyDestroyed:
                session.delete(row)
        return len(found)

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Forget what ran out before it was proved or applied; how many."""
        old = select(EmailChange.account_id).where(col(EmailChange.expires_at) <= self._clock.ms()).limit(limit)
        return session.exec(delete(EmailChange).where(col(EmailChange.account_id).in_(old))).rowcount

    # -- inside -------------------------------------------------------------------------------------------------

    def _proved(self, session: Session, row: EmailChange, actor: Actor) -> Confirmed:
        person = profile(session, self._sealer, row.account_id)
        if not person.email_verified or not self._wait or person.email == self._address(session, row):
            self._apply(session, row, actor)
            return Confirmed()
        now = self._clock.ms()
        row.code_hash, row.ready_at, row.expires_at = None, now + self._wait, now + self._wait + _KEPT
        session.add(row)
        session.flush()
        audit.record(
            session,
            "identity.email.waiting",
            actor=actor,
            object=("account", row.account_id),
            detail={"until": row.ready_at},
        )
        return Confirmed(row.ready_at)

    def _apply(self, session: Session, row: EmailChange, actor: Actor) -> None:
        account_id, address = row.account_id, self._address(session, row)
        before = profile(session, self._sealer, account_id)
        changed = replace(before, email=address or None, email_verified=bool(address))
        if before.email_verified and before.email and before.email != address:
            self._mail.write(session, account_id, "email-left", {}, to=before.email)  # the last letter there
        if before.email and before.email != address:
            forget_address(session.connection(), self._hasher, before.email)  # whose it was is not known any more
        session.delete(row)
        session.flush()
        change_profile(session, self._sealer, account_id, changed, now=self._clock.ms(), actor=actor, proved=True)
        action = "identity.email.verified" if address else "identity.email.removed"
        audit.record(session, action, actor=actor, object=("account", account_id))

    def _replace(
        self, session: Session, account_id: str, address: str, *, code: str | None, expires_at: Millis
    ) -> EmailChange:
        # The account's row is locked: of two at once on PostgreSQL the second sees what the first did.
        session.exec(select(Account.id).where(Account.id == account_id).with_for_update()).one()
        before = session.get(EmailChange, account_id)
        if before is not None:
            session.delete(before)
            session.flush()
        key = self._sealer.owner(session, account_id)
        row = EmailChange(
            account_id=account_id,
            address=key.seal(f"identity_email_change|address|{account_id}", address.encode()),
            code_hash=None if code is None else self._digest(account_id, code),
            asked_at=self._clock.ms(),
            expires_at=expires_at,
        )
        session.add(row)
        session.flush()
        return row

    def _live(self, session: Session, account_id: str) -> EmailChange | None:
        row = session.get(EmailChange, account_id)
        return row if row is not None and row.expires_at > self._clock.ms() else None

    def _address(self, session: Session, row: EmailChange) -> str:
        key = self._sealer.owner(session, row.account_id)
        return key.open(f"identity_email_change|address|{row.account_id}", row.address).decode()

    def _digest(self, account_id: str, code: str) -> bytes:
        return self._hasher.digest("email-code", f"{account_id}|{recovery.clean(code)}")


def new_code() -> str:
    """Two groups of five, as it is written in the letter: fifty random bits."""
    code = "".join(secrets.choice(_ALPHABET) for _ in range(10))
    return f"{code[:5]}-{code[5:]}"
