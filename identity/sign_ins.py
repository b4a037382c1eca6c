"""What a sign-in comes to, whichever way it was proved: a session and its trace, or a refusal and its trace.

Every way in (password, passkey, code, an identity proved elsewhere) ends here, so that none begins a session
without looking whether the browser is known, and detection finds the same words for all: the object is the account,
or for an unknown login name ("login", keyed hash); the source address is in the sealed part. Part of a write.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from identity import browsers
from identity.levels import Level
from identity.sessions import BrowserSession, Sessions
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import Millis
from kit.db import Session
from kit.host import ANONYMOUS


@dataclass(frozen=True, slots=True)
class Browser:
    """What is known of the browser that asks: its network address, its name, and the session it had before."""

    source: str
    user_agent: str = ""
    session_id: str | None = None
    known: str = ""  # its own random number, by which it is recognised (identity.browsers)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Done: `token` for the cookie, and where the person wanted to go."""

    token: str
    session: BrowserSession
    next: str


def begin(
    session: Session,
    sessions: Sessions,
    hasher: TokenHasher,
    account_id: str,
    browser: Browser,
    *,
    level: Level,
    detail: Mapping[str, str],
    next: str,
    now: Millis,
    auth_at: Millis | None = None,
) -> SignedIn:
    """Somebody has just proved who they are: begin their session. `detail` tells the trail the method.

    `auth_at` is when it was proved, if that was not now (an upstream's `auth_time`).
    """
    token, begun = sessions.begin(
        session,
        account_id,
        acr=level.acr,
        amr=level.amr,
        user_agent=browser.user_agent,
        replaces=browser.session_id,
        auth_at=auth_at,
    )
    browsers.recognise(session, hasher, account_id, browser.known, session_id=begun.id, now=now, actor=begun.actor())
    audit.record(
        session,
        "identity.signin.succeeded",
        actor=begun.actor(),
        object=("account", account_id),
        detail={**detail, "acr": level.acr},
        personal={"source": browser.source},
    )
    return SignedIn(token=token, session=begun, next=next)


def note_failure(session: Session, browser: Browser, *, about: tuple[str, str], detail: Mapping[str, str]) -> None:
    """Trace that somebody failed to prove who they are. `about`: the account, or what was tried on nobody's."""
    audit.record(
        session,
        "identity.signin.failed",
        actor=ANONYMOUS,
        object=about,
        detail=dict(detail),
        personal={"source": browser.source},
        outcome="refused",
    )
