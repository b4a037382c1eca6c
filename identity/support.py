"""The city office's view of one resident's account: what stands, never who the person is or what is kept of them.

There is no list to leaf through: a resident is found by their exact login name or account id. Every look is in the
audit trail and, like every act of the office, in what the resident reads about their own account. A login name may be
an e-mail address or a name, so it is typed but never told: the office sees its first letter. Locking ends
sessions, refresh families and resets in the same write, so nothing comes back when the account is unlocked.
"""

from dataclasses import dataclass

from sqlmodel import col, func, select

from identity import recovery, totp
from identity.accounts import (
    AccountView,
    find_account,
    get_account,
    login_digest,
    profile,
    resume_account,
    suspend_account,
)
from identity.models import GrantRow, RefreshFamily
from identity.models_account import Account, Passkey, SessionRow
from identity.resets import Resets, end_families
from identity.sessions import Sessions
from identity.throttle import Throttles
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import MINUTE, Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.problems import Invalid, NotFound

LOCK_REASONS = ("asked", "stolen", "misuse")
#: A page that is opened again within this time is still the same look.
SAME_LOOK: Millis = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Facts:
    """What the office may see of an account."""

    id: str
    login: str  # masked
    status: str  # "active" | "suspended"
    created_at: Millis
    passkeys: int
    has_password: bool
    has_app: bool
    codes_left: int
    sessions: int
    families: int
    last_at: Millis | None


def masked(login: str) -> str:
    """Enough of a login name to notice the wrong account; always of one length, so that none is guessed from it."""
    return f"{login[:1]}•••"


class Support:
    """Finding, locking and unlocking; for operators."""

    def __init__(
        self,
        sealer: Sealer,
        hasher: TokenHasher,
        clock: Clock,
        *,
        sessions: Sessions,
        resets: Resets,
        throttles: Throttles,
    ) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._sessions = sessions
        self._resets = resets
        self._throttles = throttles

    def find(self, session: Session, asked: str, *, actor: Actor) -> str | int | None:
        """The account id of a resident by exact login name or id; None if there is none, or how many seconds to wait.

        Misses are audited too, and so is nobody's name: a login that is nobody's is kept as its keyed hash.
        """
        asked = asked.strip()[:200]
        wait = self._throttles.charge_look_up(session, account_id=actor.id, now=self._clock.ms())
        if wait is not None:
            return wait.seconds
        found = self._by_id(session, asked) or find_account(session, self._hasher, asked)
        if found is not None and found.kind == "resident" and found.status != "closed":
            return found.id
        audit.record(
            session,
            "identity.account.sought",
            actor=actor,
            object=("login", login_digest(self._hasher, asked).hex()),
            outcome="refused",
        )
        return None

    def look(self, session: Session, account_id: str, *, actor: Actor) -> Facts:
        """The facts, and the trace of having looked; raises NotFound."""
        found = self._resident(session, account_id)
        recent = audit.entries(
            session,
            action="identity.account.viewed",
            actor_id=actor.id,
            object_id=account_id,
            since=self._clock.ms() - SAME_LOOK,
            limit=1,
        )
        if not recent:
            audit.record(session, "identity.account.viewed", actor=actor, object=("account", account_id))
        has_password = session.exec(select(Account.password_at).where(Account.id == account_id)).first() is not None
        return Facts(
            id=account_id,
            login=masked(profile(session, self._sealer, account_id).login),
            status=found.status,
            created_at=found.created_at,
            passkeys=session.exec(
                select(func.count()).where(Passkey.account_id == account_id, Passkey.status == "active")
            ).one(),
            has_password=has_password,
            has_app=totp.is_on(session, account_id),
            codes_left=recovery.left(session, account_id),
            sessions=self._sessions.count_live(session, [account_id]),
            families=session.exec(
                select(func.count())
                .select_from(RefreshFamily)
                .join(GrantRow, col(GrantRow.id) == col(RefreshFamily.grant_id))
                .where(GrantRow.account_id == account_id, RefreshFamily.status == "active")
            ).one(),
            last_at=self._last(session, account_id),
        )

    def lock(self, session: Session, account_id: str, *, reason: str, actor: Actor) -> None:
        """From this commit on nobody is or gets in (I5); raises Invalid, NotFound."""
        if reason not in LOCK_REASONS:
            raise Invalid("Choose a reason of the list.", pointer="/lock_reason")
        if self._resident(session, account_id).status == "suspended":
            return
        # Resets first: of a lock and a reset that finishes at once, either the reset is gone, or its session is seen.
        self._resets.withdraw_all(session, account_id, actor=actor)
        suspend_account(session, account_id, actor=actor, reason=reason)
        self.end_sessions(session, account_id, actor=actor)
        end_families(session, account_id, now=self._clock.ms(), token_life=self._resets.token_life)

    def unlock(self, session: Session, account_id: str, *, actor: Actor) -> None:
        """The resident may sign in again; what ended stays ended. Raises NotFound."""
        if self._resident(session, account_id).status == "suspended":
            resume_account(session, account_id, actor=actor)

    def end_sessions(self, session: Session, account_id: str, *, actor: Actor) -> int:
        """Sign the resident out everywhere; returns how many sessions ended. Raises NotFound."""
        self._resident(session, account_id)
        ended = self._sessions.end_all(session, account_id, actor, reason="office")
        if ended:
            detail = {"count": ended}
            audit.record(
                session, "identity.account.signed-out", actor=actor, object=("account", account_id), detail=detail
            )
        return ended

    def _last(self, session: Session, account_id: str) -> Millis | None:
        seen = session.exec(select(func.max(SessionRow.auth_at)).where(SessionRow.account_id == account_id)).one()
        if seen is not None:
            return int(seen)
        older = audit.entries(
            session, action="identity.signin.succeeded", object_id=account_id, newest_first=True, limit=1
        )
        return older[0].at if older else None

    def _by_id(self, session: Session, asked: str) -> AccountView | None:
        try:
            return get_account(session, asked) if asked.startswith("acc_") else None
        except NotFound:
            return None

    def _resident(self, session: Session, account_id: str) -> AccountView:
        """Staff are looked after by `sekisho admin`, not here: no operator locks out or resets a colleague."""
        found = get_account(session, account_id)
        if found.kind != "resident" or found.status == "closed":
            raise NotFound("There is no such resident.")
        return found
