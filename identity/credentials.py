"""Signing in with a password and a second factor; setting the password.

Three steps, because hashing must not stand in the hallway: *prepare* (a write: pay the throttle, load the hash),
*verify* (argon2id, outside), *finish* (a write: check that nothing changed meanwhile, decide, record). An unknown
login name takes the same steps, the same time, and gets the same answer. Every outcome leaves its trace, so
refusals are returned, not raised.

Detection reads `identity.signin.throttled` beside what `identity.sign_ins` writes, with the same objects.
"""

from dataclasses import dataclass
from typing import Literal

from sqlmodel import select

from identity import levels, recovery, sign_ins, totp
from identity.accounts import AccountView, find_account, login_digest, normal_login
from identity.attempts import Attempts
from identity.crowd import Crowd
from identity.models_account import Account
from identity.sessions import Sessions
from identity.sign_ins import Browser, SignedIn
from identity.throttle import Throttles, Wait
from keys.envelope import Sealer
from keys.hashing import Passwords, TokenHasher
from kit import audit
from kit.clock import Clock
from kit.db import Database, Session, tx_of
from kit.host import ANONYMOUS, Actor

CodeKind = Literal["totp", "recovery"]


@dataclass(frozen=True, slots=True)
class CodeNeeded:
    """The password is right; a second factor is asked for. `token` for the attempt's cookie."""

    token: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Too many tries; ask again in `seconds`."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Not accepted. Deliberately says no more; `tries_left` only when a code was wrong."""

    tries_left: int | None = None


@dataclass(frozen=True, slots=True)
class Expired:
    """The half-done sign-in ran out of time or tries: begin again with the password."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    account_id: str | None
    sealed: bytes | None
    encoded: str | None


class Credentials:
    """Sign-in by password, with TOTP or a recovery code when the account has them."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        sealer: Sealer,
        hasher: TokenHasher,
        passwords: Passwords,
        sessions: Sessions,
        attempts: Attempts,
        throttles: Throttles,
        crowd: Crowd,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._hasher = hasher
        self._passwords = passwords
        self._sessions = sessions
        self._attempts = attempts
        self._throttles = throttles
        self._crowd = crowd

    async def sign_in(
        self, login: str, password: str, browser: Browser, *, next: str = ""
    ) -> SignedIn | CodeNeeded | Throttled | Refused:
        """First step: login name and password."""
        login = normal_login(login)[:200]
        prepared = await self._database.write(self._prepare, login, browser)
        if isinstance(prepared, Throttled):
            return prepared
        matches = await self._passwords.verify(prepared.encoded, password)
        fresh: str | None = None
        if matches and prepared.encoded is not None and self._passwords.needs_rehash(prepared.encoded):
            fresh = await self._passwords.hash(password)
        return await self._database.write(self._finish, login, prepared, matches, fresh, browser, next)

    async def sign_in_code(
        self, token: str | None, code: str, browser: Browser, *, kind: CodeKind
    ) -> SignedIn | Throttled | Refused | Expired:
        """Second step: the code of the authenticator app, or a recovery code."""
        return await self._database.write(self._code, token, code[:100], browser, kind)

    async def waiting_for_code(self, token: str | None) -> bool:
        """Whether a half-done sign-in stands behind this cookie."""
        return await self._database.read(lambda session: self._attempts.find(session, token, "sign-in") is not None)

    async def set_password(self, account_id: str, password: str, *, actor: Actor) -> int:
        """Replace the password (judged by `password_policy` before) and end every other session.

        Returns how many sessions ended. Ask `sessions.require_recent` first.
        """
        encoded = await self._passwords.hash(password)
        return await self._database.write(self.store_password, account_id, encoded, actor)

    async def hash(self, password: str) -> str:
        """For `accounts.create_account`."""
        return await self._passwords.hash(password)

    def has_password(self, session: Session, account_id: str) -> bool:
        """Whether the account has a password."""
        found = session.exec(select(Account.password_at).where(Account.id == account_id)).first()
        return found is not None

    def store_password(self, session: Session, account_id: str, encoded: str, actor: Actor) -> int:
        """Inside a write: replace the password by a hashed one; returns how many other sessions ended."""
        row = session.get(Account, account_id)
        if row is None or row.status != "active":
            return 0
        key = self._sealer.owner(session, account_id)
        row.password = key.seal(f"identity_account|password|{account_id}", encoded.encode())
        row.password_at = self._clock.ms()
        session.add(row)
        audit.record(session, "identity.password.changed", actor=actor, object=("account", account_id))
        # Whoever came in with the old password is shown out.
        return self._sessions.end_all(session, account_id, actor, keep=actor.session_id, reason="password-changed")

    def sign_in_new(self, session: Session, account_id: str, browser: Browser, *, next: str = "") -> SignedIn:
        """The first session of an account that was just made with a password, in the same write."""
        return self._signed_in(session, account_id, browser, levels.of(["password"]), method="password", next=next)

    # -- inside writes ----------------------------------------------------------------------------------------

    def _prepare(self, session: Session, login: str, browser: Browser) -> _Prepared | Throttled:
        account = find_account(session, self._hasher, login)
        digest = login_digest(self._hasher, login)
        wait = self._throttles.charge(session, login=digest, source=browser.source, now=self._clock.ms())
        if wait is not None:
            return self._throttled(session, account, digest, wait, browser)
        row = session.get(Account, account.id) if account is not None else None
        if account is None or row is None:
            return _Prepared(None, None, None)
        if account.status != "active" or row.password is None:
            return _Prepared(account.id, None, None)
        key = self._sealer.owner(session, account.id)
        encoded = key.open(f"identity_account|password|{account.id}", row.password).decode()
        return _Prepared(account.id, row.password, encoded)

    def _finish(
        self,
        session: Session,
        login: str,
        prepared: _Prepared,
        matches: bool,
        fresh: str | None,
        browser: Browser,
        next: str,
    ) -> SignedIn | CodeNeeded | Refused:
        digest = login_digest(self._hasher, login)
        row = session.get(Account, prepared.account_id) if prepared.account_id is not None else None
        # Changed or suspended while we hashed: the proof is about a password that is no more.
        current = row is not None and row.status == "active" and row.password == prepared.sealed
        if not matches or row is None or not current:
            about = ("login", digest.hex()) if row is None else ("account", row.id)
            sign_ins.note_failure(session, browser, about=about, detail={"method": "password"})
            return Refused()
        if fresh is not None:
            key = self._sealer.owner(session, row.id)
            row.password = key.seal(f"identity_account|password|{row.id}", fresh.encode())
            session.add(row)
        if totp.is_on(session, row.id):
            self._throttles.give_back(session, source=browser.source, now=self._clock.ms())
            return CodeNeeded(self._attempts.begin(session, "sign-in", account_id=row.id, notes=next.encode()))
        return self._signed_in(session, row.id, browser, levels.of(["password"]), method="password", next=next)

    def _code(
        self, session: Session, token: str | None, code: str, browser: Browser, kind: CodeKind
    ) -> SignedIn | Throttled | Refused | Expired:
        waiting = self._attempts.find(session, token, "sign-in")
        row = session.get(Account, waiting.account_id) if waiting is not None else None
        if waiting is None or row is None or row.status != "active" or row.login_hash is None:
            return Expired()
        now = self._clock.ms()
        wait = self._throttles.charge(session, login=row.login_hash, source=browser.source, now=now)
        if wait is not None:
            return self._throttled(session, row, row.login_hash, wait, browser)
        if kind == "totp":
            accepted = totp.accept(session, self._sealer, row.id, code, now=now)
        else:
            accepted = recovery.accept(session, self._hasher, row.id, code, now=now)
        if not accepted:
            sign_ins.note_failure(session, browser, about=("account", row.id), detail={"method": kind})
            return Refused(tries_left=self._attempts.count(session, waiting))
        if not self._attempts.use_up(session, waiting):
            return Expired()
        if kind == "recovery":
            audit.record(
                session,
                "identity.recovery.used",
                actor=Actor("operator" if row.kind == "staff" else "resident", row.id),
                object=("account", row.id),
                detail={"left": recovery.left(session, row.id)},
            )
        level = levels.of(["password", kind])
        return self._signed_in(session, row.id, browser, level, method=kind, next=waiting.notes.decode())

    def _signed_in(
        self, session: Session, account_id: str, browser: Browser, level: levels.Level, *, method: str, next: str
    ) -> SignedIn:
        row = session.get(Account, account_id)
        if row is not None and row.login_hash is not None:
            self._throttles.reward(session, login=row.login_hash, source=browser.source, now=self._clock.ms())
        return sign_ins.begin(
            session,
            self._sessions,
            self._hasher,
            account_id,
            browser,
            level=level,
            detail={"method": method},
            next=next,
            now=self._clock.ms(),
        )

    def _throttled(
        self, session: Session, account: AccountView | Account | None, digest: bytes, wait: Wait, browser: Browser
    ) -> Throttled:
        # Refusals cost nothing to ask for, and the trail never shrinks: one in a while is told, not each.
        key = b"source" if wait.scope == "source" else digest
        if not self._crowd.is_news(key, browser.source):
            return Throttled(wait.seconds)
        tx_of(session).after_commit(lambda: self._crowd.told(key, browser.source))
        about = ("account", account.id) if account is not None else ("login", digest.hex())
        audit.record(
            session,
            "identity.signin.throttled",
            actor=ANONYMOUS,
            object=about,
            detail={"scope": wait.scope, "seconds": wait.seconds},
            outcome="refused",
        )
        return Throttled(wait.seconds)
