"""What the staff's pages share: where each role begins, names of colleagues, times as staff type them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from identity.accounts import profile
from identity.sessions import BrowserSession
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit.clock import Millis
from kit.db import Session
from kit.problems import NotFound
from portal.i18n import JST

DESK = ("analyst", "lead")
OPERATOR = ("operator",)
ETHICS = ("ethics",)
CLERK = ("clerk",)
CONSOLE = (*OPERATOR, *ETHICS)


def home_of(browser: BrowserSession) -> str:
    """The page a member of staff begins at."""
    if browser.roles & set(DESK):
        return "/desk"
    if browser.roles & set(OPERATOR):
        return "/console"
    return "/counter" if browser.roles & set(CLERK) else "/console/agreements"


def names(session: Session, sealer: Sealer, ids: Iterable[str | None]) -> Mapping[str, str]:
    """The names of colleagues by account id. Who has left, and what is no account, keeps its id."""
    found: dict[str, str] = {}
    for one in ids:
        if one and one not in found and one.startswith("acc_"):
            try:
                found[one] = profile(session, sealer, one).name
            except (NotFound, KeyDestroyed):
                found[one] = one
    return found


def typed_time(at: Millis | None) -> str:
    """A time as `datetime-local` holds it, in Japan."""
    return "" if at is None else datetime.fromtimestamp(at / 1000, UTC).astimezone(JST).strftime("%Y-%m-%dT%H:%M")


def read_time(text: str) -> Millis | None:
    """What was typed into `datetime-local`; None when empty. Raises ValueError."""
    if not text:
        return None
    typed = datetime.fromisoformat(text)
    if typed.tzinfo is not None or not 2000 <= typed.year < 2200:
        raise ValueError("a local time of our century is wanted")
    return int(typed.replace(tzinfo=JST).timestamp() * 1000)
