"""Which browsers somebody signed in with before: a sign-in with another one is told (`identity.browser.new`).

A browser carries a random number of its own in a cookie; here stands its keyed hash together with the account, so that
nobody can tell from the table who shares a browser. The first browser of an account is no news: it made the account, or
the account is older than this list.
"""

import secrets

from sqlmodel import col, delete, func, select

from identity.models_account import KnownBrowser
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, Millis
from kit.db import Session
from kit.host import Actor

KEPT: Millis = 400 * DAY  # as long as a browser keeps a cookie
MOST = 40
_STEP: Millis = DAY


def recognise(
    session: Session, hasher: TokenHasher, account_id: str, known: str, *, session_id: str, now: Millis, actor: Actor
) -> None:
    """Somebody has just signed in with the browser of this number. Programs, which have none, are passed over."""
    if not known:
        return
    digest = hasher.digest("browser", f"{account_id}|{known[:100]}")
    row = session.get(KnownBrowser, digest)
    if row is not None:
        if now - row.seen_at >= _STEP:
            row.seen_at = now
            session.add(row)
        return
    others = session.exec(select(func.count()).where(KnownBrowser.account_id == account_id)).one()
    if others >= MOST:
        oldest = (
            select(KnownBrowser.digest)
            .where(KnownBrowser.account_id == account_id)
            .order_by(col(KnownBrowser.seen_at))
            .limit(1)
        )
        session.exec(delete(KnownBrowser).where(col(KnownBrowser.digest).in_(oldest)))
    session.add(KnownBrowser(digest=digest, account_id=account_id, seen_at=now))
    session.flush()
    if others:
        detail = {"session": session_id}
        audit.record(session, "identity.browser.new", actor=actor, object=("account", account_id), detail=detail)


def distrust(session: Session, account_id: str, *, now: Millis) -> None:
    """None is known any more, and the next one is news: else whoever was thrown out would come back without a letter,
    by the browser that was told of before. The row that stays is nobody's browser."""
    session.exec(delete(KnownBrowser).where(col(KnownBrowser.account_id) == account_id))
    session.add(KnownBrowser(digest=secrets.token_bytes(32), account_id=account_id, seen_at=now))
    session.flush()


def sweep(session: Session, *, now: Millis, limit: int = 1_000) -> int:
    """Forget browsers that were not seen for longer than they keep a cookie."""
    old = select(KnownBrowser.digest).where(col(KnownBrowser.seen_at) < now - KEPT).limit(limit)
    return session.exec(delete(KnownBrowser).where(col(KnownBrowser.digest).in_(old))).rowcount
