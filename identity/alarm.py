"""“This wasn't me”: ends every session and standing access of an account, and stops what waits to change it.

Each letter about an account carries a way to it: a sealed ticket, good for a week, that needs no sign-in, since whoever
is warned may be the one who can't get in. It can only make things safer, so showing it twice does no harm; a letter's
reader who is somebody else can sign the owner out and nothing more. Opening the address does nothing: what follows
links in letters doesn't raise alarms, the button on the page does.
"""

from dataclasses import dataclass

from identity import browsers, mandates
from identity.accounts import get_account
from identity.emails import Emails
from identity.oauth.errors import InvalidRequest
from identity.oauth.tickets import Tickets
from identity.resets import Resets, end_families
from identity.sessions import Sessions
from keys.envelope import Sealer
from kit import audit
from kit.clock import DAY, Clock, Millis
from kit.db import Session
from kit.host import Actor
from kit.problems import NotFound

LIFE: Millis = 7 * DAY


@dataclass(frozen=True, slots=True)
class Ended:
    """What an alarm ended."""

    sessions: int
    families: int


class Alarm:
    """Raised by the owner, from a page or a letter."""

    def __init__(self, sealer: Sealer, clock: Clock, *, sessions: Sessions, emails: Emails, resets: Resets) -> None:
        self._clock = clock
        self._sessions = sessions
        self._emails = emails
        self._resets = resets
        self._tickets = Tickets(sealer, clock, context="identity|alarm", life=LIFE)

    def ticket(self, account_id: str) -> str:
        """For a letter to the owner of this account."""
        return self._tickets.seal({"account": account_id})

    def opened(self, ticket: str) -> str:
        """Whose it is; raises NotFound for anything else and for what is too old."""
        try:
            return str(self._tickets.open(ticket)["account"])
        except InvalidRequest:
            raise NotFound("This link is too old or incomplete. Sign in, and open Safety.") from None

    def sound(self, session: Session, account_id: str, *, actor: Actor, keep: str | None = None) -> Ended:
        """From this commit on nobody is in but `keep`, and nothing that waits comes true. Raises NotFound."""
        if get_account(session, account_id).status == "closed":
            raise NotFound("This account is closed.")
        self._emails.stop(session, account_id, actor=actor)
        self._resets.withdraw_all(session, account_id, actor=actor)
        ended = self._sessions.end_all(session, account_id, actor, keep=keep, reason="alarm")
        browsers.distrust(session, account_id, now=self._clock.ms())
        mandates.end_given(session, account_id, actor=actor, now=self._clock.ms())
        families = end_families(session, account_id, now=self._clock.ms(), token_life=self._resets.token_life)
        audit.record(
            session,
            "identity.alarm.raised",
            actor=actor,
            object=("account", account_id),
            detail={"sessions": ended, "families": families, "by": "page" if actor.session_id else "letter"},
        )
        return Ended(ended, families)
