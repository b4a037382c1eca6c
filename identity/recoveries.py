"""Recovery without the office: a recovery code and the verified e-mail address together, and then a wait.

NIST SP 800-63B-4 section 4.2: an account is recovered by two of what it holds for that day, never by one. What this
city counts: a passkey (which simply signs in), a recovery code, the verified address, and the counter, where two people
look at documents. The two here are the two that can be stolen from afar, so they open nothing at once: the owner is
told by letter and on every open page, and can stop it, for `wait` long. Then a code, shown once to whoever proved both,
makes a new way in where the counter's code does (identity.resets), and ends every session.

Nobody learns from the first step whether the login name, the code or an address exists: the answer, the cookie and the
work are the same, and the second step then refuses whatever is typed.
"""

from dataclasses import dataclass

import orjson
from sqlmodel import select

from identity import recovery, resets, sign_ins
from identity.accounts import find_account, login_digest, profile
from identity.attempts import Attempts
from identity.credentials import Throttled
from identity.emails import new_code
from identity.mail import Mail
from identity.models_account import Account, Reset
from identity.resets import Resets
from identity.sign_ins import Browser
from identity.throttle import Throttles
from keys.envelope import Sealer
from keys.hashing import TokenHasher, same
from kit import audit
from kit.clock import Clock, Millis
from kit.db import Session
from kit.host import ANONYMOUS
from kit.ids import new_id

#: How a self-made recovery stands among the resets: its reason, and what was shown.
SELF = "self"
SHOWN = ("recovery-code", "email")


@dataclass(frozen=True, slots=True)
class Asked:
    """If all fits, a letter is on its way; `token` for the attempt's cookie."""

    token: str


@dataclass(frozen=True, slots=True)
class Proved:
    """Both were right: `code` makes a new way in from `ready_at` until `until`. Shown once."""

    code: str
    ready_at: Millis
    until: Millis


@dataclass(frozen=True, slots=True)
class WrongCode:
    """Not the letter's code; with none left, begin again."""

    tries_left: int


class Recoveries:
    """The recoveries that residents begin themselves."""

    def __init__(
        self,
        sealer: Sealer,
        hasher: TokenHasher,
        clock: Clock,
        *,
        attempts: Attempts,
        throttles: Throttles,
        mail: Mail,
        resets: Resets,
        wait: Millis,
        life: Millis,
    ) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._attempts = attempts
        self._throttles = throttles
        self._mail = mail
        self._resets = resets
        self._wait = wait
        self._life = life

    def begin(self, session: Session, login: str, code: str, browser: Browser) -> Asked | Throttled:
        """Login name and recovery code. The code is looked at and not spent: who guesses right spends nothing."""
        now, digest = self._clock.ms(), login_digest(self._hasher, login[:200])
        wait = self._throttles.charge_recovery(session, login=digest, source=browser.source, now=now)
        if wait is not None:
            return Throttled(wait.seconds)
        found = find_account(session, self._hasher, login[:200])
        account_id = found.id if found is not None and found.kind == "resident" and found.status == "active" else ""
        fits = recovery.fits(session, self._hasher, account_id, code[:100])
        person = profile(session, self._sealer, account_id) if account_id else None
        free = bool(account_id) and self._resets.live_of(session, account_id) is None
        mailed = new_code()
        if not (fits and free and person is not None and person.email_verified):
            about = ("account", account_id) if account_id else ("login", digest.hex())
            sign_ins.note_failure(session, browser, about=about, detail={"method": "recover"})
            self._mail.write_nobody(session)  # the same work as for somebody
            return Asked(self._attempts.begin(session, "recover", notes=orjson.dumps(["", "", ""])))
        until = now + 30 * 60_000
        self._mail.write(session, account_id, "recover-code", {"code": mailed, "until": until}, until=until)
        notes = orjson.dumps([account_id, recovery.clean(code), self._digest(account_id, mailed)])
        return Asked(self._attempts.begin(session, "recover", notes=notes))

    def waiting(self, session: Session, token: str | None) -> bool:
        """Whether a letter's code is asked for in this browser."""
        return self._attempts.find(session, token, "recover") is not None

    def confirm(
        self, session: Session, token: str | None, code: str, browser: Browser
    ) -> Proved | WrongCode | Throttled:
        """The letter's code. All in one write: the attempt and the recovery code are spent, the wait begins."""
        found = self._attempts.find(session, token, "recover")
        if found is None:
            return WrongCode(0)
        now = self._clock.ms()
        wait = self._throttles.charge(session, login=None, source=browser.source, now=now)
        if wait is not None:
            return Throttled(wait.seconds)
        account_id, spare, expected = orjson.loads(found.notes)
        if not same(expected, self._digest(account_id, code[:100])) or not account_id:
            return WrongCode(self._attempts.count(session, found))
        # The row is locked: of two recoveries and resets at once on PostgreSQL the second sees what the first did.
        row = session.exec(select(Account).where(Account.id == account_id).with_for_update()).first()
        if row is None or row.status != "active" or self._resets.live_of(session, account_id) is not None:
            return WrongCode(0)
        if not self._attempts.use_up(session, found):
            return WrongCode(0)
        if not recovery.accept(session, self._hasher, account_id, spare, now=now):
            return WrongCode(0)
        made, ready_at = resets.new_code(), now + self._wait
        identifier, until = new_id("rst"), ready_at + self._life
        session.add(
            Reset(
                id=identifier, account_id=account_id, status="approved", reason=SELF, evidence=list(SHOWN),
                code_hash=self._resets.digest(made), opened_by=account_id, opened_at=now, approved_by=account_id,
                approved_at=now, ready_at=ready_at, expires_at=until,
            )
        )  # fmt: skip
        session.flush()
        audit.record(
            session,
            "identity.recovery.begun",
            actor=ANONYMOUS,
            object=("account", account_id),
            detail={"reset": identifier, "until": ready_at},
            personal={"source": browser.source},
        )
        return Proved(made, ready_at, until)

    def _digest(self, account_id: str, code: str) -> str:
        return self._hasher.digest("recover-code", f"{account_id}|{recovery.clean(code)}").hex()
