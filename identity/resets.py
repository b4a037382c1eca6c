"""Resets: a resident who lost every way in gets a new one at the city office, by two members of staff.

NIST SP 800-63B-4, section 4.2 (account recovery; its repeated identity proofing, done in person) and section 3.1.2
(look-up secrets). One operator writes down why and which documents were seen, by codes and never in words of their
own; another one approves, and only then there is a code: 125 random bits, kept as a keyed hash, shown once, good for a
day. With it and the login name the resident makes a new way in. The write that stores it spends the code, takes every
old way in away and ends every session and refresh family, so of many at once one succeeds (invariant I7). Entering the
code spends nothing: whoever's browser fails halfway begins again.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import col, delete, select, update

from identity import chains, mandates, recovery, sign_ins
from identity.accounts import get_account, login_digest, profile
from identity.attempts import Attempts
from identity.credentials import Credentials, Refused, Throttled
from identity.crowd import Crowd
from identity.errors_account import ResetClosed, ResetWaits, SecondPersonNeeded
from identity.models import GrantRow, RefreshFamily
from identity.models_account import (
    Account,
    Attempt,
    EmailChange,
    KnownBrowser,
    Passkey,
    PasskeyChallenge,
    RecoveryCode,
    Reset,
    Totp,
)
from identity.second_person import is_oneself, require_another
from identity.sessions import Sessions
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles
from identity.upstream.models import UpstreamLink
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, Clock, Millis
from kit.db import Session, tx_of
from kit.host import ANONYMOUS, Actor
from kit.ids import new_id
from kit.problems import Invalid, NotFound

REASONS = ("lost", "stolen", "broken", "forgotten")
#: Documents that show a face: one is enough. Of the others two are needed.
WITH_PHOTO = ("individual-number-card", "driving-licence", "passport", "residence-card", "disability-certificate")
WITHOUT_PHOTO = ("health-insurance", "care-insurance", "pension-number")
LIVE = ("open", "approved")
#: How long the resident reads on their first page that it happened, and the row stays.
TOLD_FOR: Millis = 30 * DAY

_END_CODES = text("UPDATE identity_code SET used_at = :now WHERE account_id = :account AND used_at IS NULL")
_END_DEVICES = text(
    "UPDATE identity_decoupled SET status = 'refused' WHERE account_id = :account AND status = 'approved'"
)
_LIVE_TOKENS = text(
    "SELECT i.jti FROM identity_issued i JOIN identity_grant g ON g.id = i.grant_id"
    " WHERE g.account_id = :account AND i.kind = 'access' AND i.expires_at > :now"
)

_GROUPS, _GROUP = 5, 5
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O or U to misread or mishear


@dataclass(frozen=True, slots=True)
class ResetView:
    """A reset as operators see it."""

    id: str
    account_id: str
    status: str  # "open" | "approved" | "used" | "withdrawn" | "expired"
    reason: str
    evidence: tuple[str, ...]
    opened_by: str
    opened_at: Millis
    approved_by: str | None
    approved_at: Millis | None
    closed_at: Millis | None
    expires_at: Millis
    ready_at: Millis | None = None

    @property
    def live(self) -> bool:
        """Whether it can still lead to a new way in."""
        return self.status in LIVE


@dataclass(frozen=True, slots=True)
class Entered:
    """The code is right; `token` for the attempt's cookie."""

    token: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """The code is right, and counts from `ready_at` on; where `sooner`, at once with a recovery code beside it."""

    ready_at: Millis
    wrong_second: bool = False
    sooner: bool = True


@dataclass(frozen=True, slots=True)
class Begun:
    """A right code was entered in this browser a few minutes ago, and its reset still stands."""

    reset_id: str
    account_id: str


def new_code() -> str:
    """A fresh code as it is printed and read aloud: five groups of five, 125 bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def proves(evidence: Iterable[str]) -> bool:
    """Whether these documents are enough: one with a photograph, or two without. Pure."""
    shown = set(evidence)
    return bool(shown & set(WITH_PHOTO)) or len(shown & set(WITHOUT_PHOTO)) >= 2


def end_families(session: Session, account_id: str, *, now: Millis, token_life: Millis) -> int:
    """End every refresh family of an account, with the access tokens that came from it; returns how many.

    And what was agreed to and not fetched yet: else whoever was in could let a device in, wait, and fetch afterwards.
    """
    until, connection = now + token_life, session.connection()
    connection.execute(_END_CODES, {"account": account_id, "now": now})
    connection.execute(_END_DEVICES, {"account": account_id})
    for jti in connection.execute(_LIVE_TOKENS, {"account": account_id, "now": now}).scalars().all():
        chains.revoke_token(connection, jti.partition(".")[0], until=until)
    families = session.exec(
        select(RefreshFamily.id)
        .join(GrantRow, col(GrantRow.id) == col(RefreshFamily.grant_id))
        .where(GrantRow.account_id == account_id, RefreshFamily.status == "active")
    ).all()
    for family in families:
        chains.revoke(connection, family, until=until)
    return len(families)


class Resets:
    """The resets of this city."""

    def __init__(
        self,
        sealer: Sealer,
        hasher: TokenHasher,
        clock: Clock,
        *,
        sessions: Sessions,
        credentials: Credentials,
        attempts: Attempts,
        throttles: Throttles,
        crowd: Crowd,
        wait: Millis,
        life: Millis,
        token_life: Millis,
    ) -> None:
        self._sealer = sealer
        self._wait = wait
        self._hasher = hasher
        self._clock = clock
        self._sessions = sessions
        self._credentials = credentials
        self._attempts = attempts
        self._throttles = throttles
        self._crowd = crowd
        self._life = life
        self.token_life = token_life

    # -- the office ---------------------------------------------------------------------------------------------

    def open(self, session: Session, account_id: str, *, reason: str, evidence: Iterable[str], actor: Actor) -> str:
        """The first person: why, and how identity was checked. Raises Invalid, NotFound, ResetWaits,
        SecondPersonNeeded."""
        shown = sorted(set(evidence))
        if reason not in REASONS:
            raise Invalid("Choose a reason of the list.", pointer="/reason")
        if not set(shown) <= {*WITH_PHOTO, *WITHOUT_PHOTO} or not proves(shown):
            raise Invalid("One document with a photograph, or two without.", pointer="/evidence")
        now = self._clock.ms()
        # The row is locked: of two operators who open at once on PostgreSQL the second sees what the first did.
        row = session.exec(select(Account).where(Account.id == account_id).with_for_update()).first()
        if row is None or row.kind != "resident" or row.status == "closed":
            raise NotFound("There is no such resident.")
        if row.status != "active":
            raise ResetClosed("The account is locked. Unlock it first.")
        self._require_no_own(session, account_id, actor)
        if self.live_of(session, account_id) is not None:
            raise ResetWaits("A reset of this account waits already. Finish or withdraw it first.")
        identifier = new_id("rst")
        session.add(
            Reset(
                id=identifier, account_id=account_id, reason=reason, evidence=shown, opened_by=actor.id, opened_at=now,
                expires_at=now + self._life,
            )
        )  # fmt: skip
        session.flush()
        detail = {"reset": identifier, "reason": reason, "evidence": shown}
        audit.record(session, "identity.reset.opened", actor=actor, object=("account", account_id), detail=detail)
        return identifier

    def approve(self, session: Session, reset_id: str, *, code: str, actor: Actor) -> ResetView:
        """The second person: `code` (from `new_code`) counts. Raises SecondPersonNeeded, ResetClosed.

        Where there is an address to warn, it counts after a wait: two clerks together, or one who was deceived twice,
        must not be faster than the owner's letter.
        """
        row, now = self._row(session, reset_id), self._clock.ms()
        warned = profile(session, self._sealer, row.account_id).email_verified
        ready_at = now + self._wait if warned and self._wait else None
        sentence = "Whoever opened a reset can't approve it. Ask a colleague."
        require_another(session, self._sealer, actor, began_by=row.opened_by, otherwise=sentence)
        self._require_no_own(session, row.account_id, actor)
        approved = session.exec(
            update(Reset)
            .where(
                col(Reset.id) == reset_id,
                col(Reset.status) == "open",
                col(Reset.opened_by) != actor.id,
                col(Reset.expires_at) > now,
            )
            .values(
                status="approved",
                approved_by=actor.id,
                approved_at=now,
                code_hash=self.digest(code),
                ready_at=ready_at,
                expires_at=(ready_at or now) + self._life,
            )
            .execution_options(synchronize_session=False)
        )
        if approved.rowcount != 1 or get_account(session, row.account_id).status != "active":
            raise ResetClosed("This reset was approved or withdrawn already, or its time ran out.")
        audit.record(
            session,
            "identity.reset.approved",
            actor=actor,
            object=("account", row.account_id),
            detail={"reset": reset_id, "opened_by": row.opened_by},
        )
        session.expire(row)
        return self._view(row)

    def _require_no_own(self, session: Session, account_id: str, actor: Actor) -> None:
        """Closes: a clerk who lets a colleague print a code for the clerk's own account, at the counter of nobody."""
        if is_oneself(session, self._sealer, account_id, actor):
            raise SecondPersonNeeded("Nobody opens a reset of their own. Ask a colleague.")

    def withdraw(self, session: Session, reset_id: str, *, actor: Actor) -> None:
        """Take it back. While it is open any operator may (that is how a second person says no); an approved one
        only its two. Raises SecondPersonNeeded, ResetClosed."""
        row = self._row(session, reset_id)
        own = row.opened_by == row.account_id  # begun by the resident at home: any operator may stop it
        if row.status == "approved" and not own and actor.id not in (row.opened_by, row.approved_by):
            raise SecondPersonNeeded("Only the two who made this reset can withdraw it. Or lock the account.")
        if not self._end(session, [reset_id], "withdrawn", actor.id):
            raise ResetClosed("This reset was used or withdrawn already, or its time ran out.")
        self._note_withdrawn(session, row, actor)

    def withdraw_all(self, session: Session, account_id: str, *, actor: Actor) -> None:
        """Whatever waits for this account: it is being locked."""
        rows = session.exec(select(Reset).where(Reset.account_id == account_id, col(Reset.status).in_(LIVE))).all()
        for row in rows:
            if self._end(session, [row.id], "withdrawn", actor.id):
                self._note_withdrawn(session, row, actor)

    def get(self, session: Session, reset_id: str) -> ResetView:
        """One reset; raises NotFound."""
        return self._view(self._row(session, reset_id))

    def waiting(self, session: Session, *, limit: int = 100) -> tuple[ResetView, ...]:
        """Those that wait for a second person, oldest first."""
        query = (
            select(Reset)
            .where(Reset.status == "open", col(Reset.expires_at) > self._clock.ms())
            .order_by(col(Reset.id))
            .limit(limit)
        )
        return tuple(map(self._view, session.exec(query)))

    def live_of(self, session: Session, account_id: str) -> ResetView | None:
        """The account's reset that can still be used, if there is one."""
        query = select(Reset).where(
            Reset.account_id == account_id, col(Reset.status).in_(LIVE), col(Reset.expires_at) > self._clock.ms()
        )
        row = session.exec(query).first()
        return None if row is None else self._view(row)

    def used_at(self, session: Session, account_id: str) -> Millis | None:
        """When the account was last reset, if lately: the resident is told on their first page."""
        query = select(Reset.closed_at).where(
            Reset.account_id == account_id, Reset.status == "used", col(Reset.closed_at) > self._clock.ms() - TOLD_FOR
        )
        return max((at for at in session.exec(query) if at is not None), default=None)

    # -- the resident -------------------------------------------------------------------------------------------

    def enter(
        self, session: Session, login: str, code: str, browser: Browser, *, second: str = ""
    ) -> Entered | Throttled | Refused | NotYet:
        """Login name and code. A wrong one of either, a used, withdrawn or expired one get the same answer by the same
        steps: two digests and two questions to the database whatever they find.

        Throttled by source only: 125 bits can't be guessed, and a bucket of the account would let a stranger shut out
        somebody who has no other way in.
        """
        now, digest = self._clock.ms(), login_digest(self._hasher, login[:200])
        wait = self._throttles.charge(session, login=None, source=browser.source, now=now)
        if wait is not None:
            if self._crowd.is_news(b"reset", browser.source):
                tx_of(session).after_commit(lambda: self._crowd.told(b"reset", browser.source))
                audit.record(
                    session,
                    "identity.signin.throttled",
                    actor=ANONYMOUS,
                    object=("signin", "reset"),
                    detail={"scope": wait.scope, "seconds": wait.seconds},
                    outcome="refused",
                )
            return Throttled(wait.seconds)
        known = session.exec(select(Account.id).where(Account.login_hash == digest)).first()
        found = session.exec(
            select(Reset.id, Reset.account_id, Reset.ready_at, Reset.opened_by)
            .join(Account, col(Account.id) == col(Reset.account_id))
            .where(
                Reset.code_hash == self.digest(code[:100]),
                Reset.status == "approved",
                col(Reset.expires_at) > now,
                Account.login_hash == digest,
                Account.status == "active",
            )
        ).first()
        if found is None:
            about = ("login", digest.hex()) if known is None else ("account", known)
            sign_ins.note_failure(session, browser, about=about, detail={"method": "reset"})
            return Refused()
        reset_id, account_id, ready_at, opened_by = found
        if ready_at is not None and ready_at > now:
            if opened_by == account_id:
                # Begun at home by a recovery code: whoever found the sheet has the others too, and they prove nothing
                # new. None is looked at, so none is spent.
                return NotYet(ready_at, sooner=False)
            if not second or not recovery.accept(session, self._hasher, account_id, second[:100], now=now):
                return NotYet(ready_at, bool(second))
            # Two of the ways to recover (NIST SP 800-63B-4 section 4.2): there is nothing to wait for.
            session.exec(update(Reset).where(col(Reset.id) == reset_id).values(ready_at=now))
            detail = {"left": recovery.left(session, account_id)}
            by = Actor("resident", account_id)
            audit.record(session, "identity.recovery.used", actor=by, object=("account", account_id), detail=detail)
        audit.record(
            session,
            "identity.reset.entered",
            actor=ANONYMOUS,
            object=("account", account_id),
            detail={"reset": reset_id},
            personal={"source": browser.source},
        )
        return Entered(self._attempts.begin(session, "reset", account_id=account_id, notes=reset_id.encode()))

    def begun(self, session: Session, token: str | None) -> Begun | None:
        """What stands behind the attempt's cookie, while the reset still stands too."""
        waiting = self._attempts.find(session, token, "reset")
        row = session.get(Reset, waiting.notes.decode()) if waiting is not None else None
        if row is None or get_account(session, row.account_id).status != "active":
            return None
        now = self._clock.ms()
        if row.status != "approved" or row.expires_at <= now or (row.ready_at is not None and row.ready_at > now):
            return None
        return Begun(row.id, row.account_id)

    def spend(self, session: Session, begun: Begun) -> bool:
        """Use the code up and take away every old way in, every session and every refresh family.

        Part of the write that stores the new way in. False for all but one caller, and after a withdrawal.
        """
        now, account_id = self._clock.ms(), begun.account_id
        row = session.get(Account, account_id)
        if row is None or row.status != "active":
            return False
        if not self._end(session, [begun.reset_id], "used", account_id, only="approved"):
            return False
        for table in (Passkey, Totp, RecoveryCode, Attempt, EmailChange, KnownBrowser, UpstreamLink):
            session.exec(delete(table).where(col(table.account_id) == account_id))
        session.exec(delete(PasskeyChallenge).where(col(PasskeyChallenge.holder) == account_id))
        row.password, row.password_at = None, None
        session.add(row)
        session.flush()
        by = Actor("resident", account_id)
        mandates.end_given(session, account_id, actor=by, now=now)
        ended = self._sessions.end_all(session, account_id, by, reason="reset")
        families = end_families(session, account_id, now=now, token_life=self.token_life)
        audit.record(
            session,
            "identity.reset.used",
            actor=by,
            object=("account", account_id),
            detail={"reset": begun.reset_id, "sessions": ended, "families": families},
        )
        return True

    def finish_with_password(self, session: Session, begun: Begun, hashed: str, browser: Browser) -> SignedIn | None:
        """The new way in is a password, and the session is worth what a password is; None if the code was not spent."""
        if not self.spend(session, begun):
            return None
        self._credentials.store_password(session, begun.account_id, hashed, Actor("resident", begun.account_id))
        return self._credentials.sign_in_new(session, begun.account_id, browser)

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Forget those whose time ran out a month ago; the audit trail keeps what happened."""
        old = select(Reset.id).where(col(Reset.expires_at) < self._clock.ms() - TOLD_FOR).limit(limit)
        return session.exec(delete(Reset).where(col(Reset.id).in_(old))).rowcount

    # -- inside -------------------------------------------------------------------------------------------------

    def _end(self, session: Session, ids: list[str], status: str, by: str, *, only: str | None = None) -> bool:
        now = self._clock.ms()
        ended = session.exec(
            update(Reset)
            .where(
                col(Reset.id).in_(ids),
                col(Reset.status).in_((only,) if only else LIVE),
                col(Reset.expires_at) > now,
            )
            .values(status=status, code_hash=None, closed_by=by, closed_at=now)
            .execution_options(synchronize_session=False)
        )
        return ended.rowcount == 1

    def _note_withdrawn(self, session: Session, row: Reset, actor: Actor) -> None:
        audit.record(
            session,
            "identity.reset.withdrawn",
            actor=actor,
            object=("account", row.account_id),
            detail={"reset": row.id},
        )

    def _row(self, session: Session, reset_id: str) -> Reset:
        row = session.get(Reset, reset_id)
        if row is None:
            raise NotFound("There is no such reset.")
        return row

    def _view(self, row: Reset) -> ResetView:
        ran_out = row.status in LIVE and row.expires_at <= self._clock.ms()
        return ResetView(
            id=row.id,
            account_id=row.account_id,
            status="expired" if ran_out else row.status,
            reason=row.reason,
            evidence=tuple(row.evidence),
            opened_by=row.opened_by,
            opened_at=row.opened_at,
            approved_by=row.approved_by,
            approved_at=row.approved_at,
            closed_at=row.closed_at,
            expires_at=row.expires_at,
            ready_at=row.ready_at,
        )

    def digest(self, code: str) -> bytes:
        """How a code is kept."""
        return self._hasher.digest("reset", recovery.clean(code))
