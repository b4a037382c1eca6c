"""Browser sessions: begin at sign-in, found on every request, ended by hand, by time or by containment.

The cookie carries 256 random bits and nothing else; the table keeps their keyed hash. A session ends after an hour
without use or a day in all (NIST SP 800-63B-4, section 2.2.3). `find` answers from a cache that compares the change
counter "sessions" on every use (invariant I5): what is ended is ended in every process before the call that ended it
is answered. If the counter can't be read, `find` raises, and nobody is let in.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sqlalchemy import Connection
from sqlmodel import col, delete, select, update

from identity import levels, logout
from identity.accounts import require_active
from identity.errors_account import RecentSignInNeeded
from identity.models_account import Account
from identity.models_account import SessionRow as Row
from identity.signals import happenings
from identity.signals.events import Happening
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, HOUR, MINUTE, Clock, Millis
from kit.db import Database, Session, tx_of
from kit.host import Actor
from kit.ids import new_id, secret
from kit.problems import NotFound

IDLE: Millis = HOUR
ABSOLUTE: Millis = DAY
#: How long after a sign-in one may change how one signs in.
RECENT: Millis = 10 * MINUTE
#: `seen_at` is written at most this often, so that reading stays reading.
SEEN_STEP: Millis = 5 * MINUTE
_CACHE_SIZE = 50_000
#: Of `sekisho serve` and `make demo`.
USUAL_PORT = 8080
_TOKEN_LENGTH = len("sks_") + 43


def session_cookie(issuer: str, part: str = "") -> str:
    """The name of the session cookie, or of another that signing in needs: bound to host and https where there is any.

    Cookies know no ports: of two cities on one localhost each would end the other's sessions, and be sent them. So the
    name carries the port there, if it is another than the usual one.
    """
    more = f"-{part}" if part else ""
    if issuer.startswith("https:"):
        return f"__Host-sekisho{more}"
    port = urlsplit(issuer).port or 80
    return f"sekisho-local{more}" if port == USUAL_PORT else f"sekisho-local{more}-{port}"


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Who this browser is signed in as, and how surely."""

    id: str
    account_id: str
    kind: str  # "resident" | "staff"
    roles: frozenset[str]
    acr: str
    amr: tuple[str, ...]
    auth_at: Millis
    expires_at: Millis
    mandate_id: str | None = None

    def actor(self) -> Actor:
        """The person as the author of what they do."""
        return Actor(
            kind="operator" if self.kind == "staff" else "resident",
            id=self.account_id,
            roles=self.roles,
            session_id=self.id,
        )


@dataclass(frozen=True, slots=True)
class SessionView:
    """One line of the list a resident sees."""

    id: str
    device: str
    acr: str
    amr: tuple[str, ...]
    auth_at: Millis
    seen_at: Millis
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class _Entry:
    session: BrowserSession
    seen_at: Millis
    count: int


def require_recent(session: BrowserSession, *, now: Millis, within: Millis = RECENT) -> None:
    """Raise RecentSignInNeeded unless the person proved themselves a moment ago.

    Closes: an open browser on a shared table, or a stolen cookie, becoming a new way in for ever.
    """
    if now - session.auth_at > within:
        raise RecentSignInNeeded("Sign in once more to change how you sign in.")


class Sessions:
    """The sessions of this city."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        hasher: TokenHasher,
        clock: Clock,
        *,
        idle: Millis = IDLE,
        absolute: Millis = ABSOLUTE,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._idle = idle
        self._absolute = absolute
        self._seen_step = min(SEEN_STEP, idle // 4)
        self._cache: OrderedDict[bytes, _Entry] = OrderedDict()

    async def find(self, token: str | None) -> BrowserSession | None:
        """The live session behind a cookie, or None. Raises Unavailable when that can't be known."""
        if token is None or len(token) != _TOKEN_LENGTH or not token.startswith("sks_"):
            return None
        key = self._hasher.digest("session", token)
        count = await self._database.counter("sessions")
        now = self._clock.ms()
        entry = self._cache.get(key)
        if entry is None or entry.count != count or now - entry.seen_at >= self._idle:
            # Idle by our memory may be in use by another process's: the table decides.
            entry = await self._database.peek(_load, key, count)
            if entry is None:
                self._cache.pop(key, None)
                return None
            self._remember(key, entry)
        if now - entry.seen_at >= self._idle or now >= entry.session.expires_at:
            self._cache.pop(key, None)
            return None
        if now - entry.seen_at >= self._seen_step:
            await self._database.write(_mark_seen, key, now)
            self._remember(key, replace(entry, seen_at=now))
        return entry.session

    def begin(
        self,
        session: Session,
        account_id: str,
        *,
        acr: str,
        amr: Iterable[str],
        user_agent: str = "",
        replaces: str | None = None,
        auth_at: Millis | None = None,
    ) -> tuple[str, BrowserSession]:
        """A new session and its token, for the cookie. Raises AccountClosed.

        `auth_at` is when the person proved themselves, if that was elsewhere and before now.

        A sign-in never keeps an old token (session fixation): `replaces` names the session this browser had before,
        which ends here.
        """
        account = require_active(session, account_id)
        now = self._clock.ms()
        proved_at = now if auth_at is None else min(now, auth_at)
        token = secret("sks")
        row = Row(
            id=new_id("ses"),
            token_hash=self._hasher.digest("session", token),
            account_id=account_id,
            acr=acr,
            amr=list(amr),
            device=b"",
            auth_at=proved_at,
            seen_at=now,
            expires_at=now + self._absolute,
        )
        key = self._sealer.owner(session, account_id)
        row.device = key.seal(f"identity_session|device|{row.id}", user_agent[:300].encode())
        session.add(row)
        session.flush()
        begun = BrowserSession(
            id=row.id,
            account_id=account_id,
            kind=account.kind,
            roles=account.roles,
            acr=acr,
            amr=tuple(row.amr),
            auth_at=proved_at,
            expires_at=row.expires_at,
        )
        audit.record(
            session,
            "identity.session.begun",
            actor=begun.actor(),
            object=("session", row.id),
            detail={"acr": acr, "amr": row.amr},
        )
        if replaces is not None:
            self._level_changed(session, replaces, begun)
            logout.carry_over(session, replaces, row.id, account_id)
            self._end(session, [replaces], begun.actor(), "replaced")
        return token, begun

    def act_for(self, session: Session, current: BrowserSession, mandate_id: str | None) -> None:
        """From now on this browser acts under a mandate, or for its own person again; in every process at once."""
        session.exec(update(Row).where(col(Row.id) == current.id).values(mandate_id=mandate_id))
        tx_of(session).touch("sessions")
        audit.record(
            session,
            "identity.session.switched",
            actor=current.actor(),
            object=("session", current.id),
            detail={"mandate": mandate_id} if mandate_id else None,
        )

    def list_for(self, session: Session, account_id: str) -> tuple[SessionView, ...]:
        """The live sessions of an account, last used first."""
        now = self._clock.ms()
        rows = session.exec(
            select(Row)
            .where(Row.account_id == account_id, col(Row.ended_at).is_(None))
            .where(col(Row.expires_at) > now, col(Row.seen_at) > now - self._idle)
            .order_by(col(Row.seen_at).desc(), col(Row.id).desc())
        ).all()
        if not rows:
            return ()
        key = self._sealer.owner(session, account_id)
        return tuple(
            SessionView(
                id=row.id,
                device=key.open(f"identity_session|device|{row.id}", row.device).decode(),
                acr=row.acr,
                amr=tuple(row.amr),
                auth_at=row.auth_at,
                seen_at=row.seen_at,
                expires_at=row.expires_at,
            )
            for row in rows
        )

    def end(self, session: Session, session_id: str, actor: Actor, *, account_id: str | None = None) -> None:
        """End one session; raises NotFound. With `account_id`, somebody else's session is not found either."""
        row = session.get(Row, session_id)
        if row is None or (account_id is not None and row.account_id != account_id):
            raise NotFound("There is no such sign-in.")
        if row.ended_at is None:
            self._end(session, [session_id], actor, "ended")

    def end_all(
        self,
        session: Session,
        account_id: str,
        actor: Actor,
        *,
        keep: str | None = None,
        reason: str = "ended",
    ) -> int:
        """End every session of an account (but `keep`); returns how many were live."""
        query = select(Row.id).where(
            Row.account_id == account_id, col(Row.ended_at).is_(None), col(Row.expires_at) > self._clock.ms()
        )
        ids = [identifier for identifier in session.exec(query) if identifier != keep]
        self._end(session, ids, actor, reason)
        return len(ids)

    def count_live(self, session: Session, account_ids: Iterable[str]) -> int:
        """How many live sessions these accounts have: the preview of a containment."""
        now = self._clock.ms()
        query = select(Row.id).where(
            col(Row.account_id).in_(list(account_ids)),
            col(Row.ended_at).is_(None),
            col(Row.expires_at) > now,
            col(Row.seen_at) > now - self._idle,
        )
        return len(session.exec(query).all())

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Delete sessions that ended or ran out a week ago; the audit trail keeps what happened."""
        before = self._clock.ms() - 7 * DAY
        old = select(Row.id).where(col(Row.expires_at) < before).limit(limit)
        return session.exec(delete(Row).where(col(Row.id).in_(old))).rowcount

    def _level_changed(self, session: Session, replaced: str, begun: BrowserSession) -> None:
        """The services of the browser's session hear that it is surer, or less sure, than it was (CAEP section 3.4)."""
        before = session.exec(select(Row.acr).where(Row.id == replaced, Row.account_id == begun.account_id)).first()
        if before is None or before == begun.acr or not {before, begun.acr} <= set(levels.ORDER):
            return
        happenings.note(
            session.connection(),
            Happening(
                "assurance-level-change",
                begun.auth_at,
                account_id=begun.account_id,
                by="user",
                said=levels.change(before, begun.acr),
                sessions=logout.clients_of(session, replaced),
            ),
        )

    def _end(self, session: Session, ids: list[str], actor: Actor, reason: str) -> None:
        now = self._clock.ms()
        for identifier in ids:
            ended = session.exec(
                update(Row).where(col(Row.id) == identifier, col(Row.ended_at).is_(None)).values(ended_at=now)
            )
            if ended.rowcount != 1:
                continue
            audit.record(
                session,
                "identity.session.ended",
                actor=actor,
                object=("session", identifier),
                detail={"reason": reason},
            )
            logout.queue(session, identifier, now, actor)
        if ids:
            tx_of(session).touch("sessions")

    def _remember(self, key: bytes, entry: _Entry) -> None:
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.popitem(last=False)
        self._cache[key] = entry


def _load(connection: Connection, key: bytes, count: int) -> _Entry | None:
    found = connection.execute(
        select(
            Row.id, Row.account_id, Account.kind, Account.roles, Row.acr, Row.amr,
            Row.auth_at, Row.expires_at, Row.seen_at, Row.mandate_id,
        )  # type: ignore[call-overload]  # sqlmodel's select stops at four columns
        .join(Account, col(Account.id) == col(Row.account_id))
        .where(col(Row.token_hash) == key, col(Row.ended_at).is_(None), col(Account.status) == "active")
    ).first()  # fmt: skip
    if found is None:
        return None
    identifier, account_id, kind, roles, acr, amr, auth_at, expires_at, seen_at, mandate_id = found
    session = BrowserSession(
        id=identifier,
        account_id=account_id,
        kind=kind,
        roles=frozenset(roles),
        acr=acr,
        amr=tuple(amr),
        auth_at=auth_at,
        expires_at=expires_at,
        mandate_id=mandate_id,
    )
    return _Entry(session, seen_at, count)


def _mark_seen(session: Session, key: bytes, now: Millis) -> None:
    session.exec(
        update(Row)
        .where(col(Row.token_hash) == key, col(Row.ended_at).is_(None), col(Row.seen_at) < now)
        .values(seen_at=now)
    )
