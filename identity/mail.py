"""Letters to people about their own account, on their way in the outbox (kit.outbox).

Two kinds. What happened to an account follows the audit trail: an entry of one of the actions in `TOLD` puts a letter
on its way in its own transaction, so no door can change how somebody signs in without telling them; such a letter goes
to the verified address as it is when it leaves, or nowhere. What was asked for (a code) goes where it was asked to,
sealed under the account's key until then. How a letter is worded is the portal's (`compose`).

NIST SP 800-63B-4 section 4.6 (notifications): what happened, and what to do if it was somebody else; never a secret of
the account. A person who left has no key any more, so nothing reaches them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from identity.accounts import MAIL_TOPIC, profile
from identity.models_account import Account, SessionRow
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit import audit, outbox
from kit.audit import AuditTrail
from kit.clock import DAY, HOUR, SECOND, Clock, Millis
from kit.db import Database, Session, Tx
from kit.encoding import b64url, b64url_decode
from kit.host import SYSTEM
from kit.ids import new_id
from kit.mail import Letter, Mailbox, NotSent
from kit.outbox import DROPPED, Item, Outbox, Sender

GIVE_UP: Final[Millis] = 3 * DAY
#: Actions of the audit trail that the account's owner gets a letter about, and the letter's kind.
TOLD: Final[Mapping[str, str]] = {
    "identity.browser.new": "new-browser",
    "identity.password.changed": "password",
    "identity.passkey.added": "passkey-added",
    "identity.passkey.removed": "passkey-removed",
    "identity.passkey.suspended": "passkey-stopped",
    "identity.totp.confirmed": "app",
    "identity.upstream.linked": "linked",
    "identity.upstream.unlinked": "unlinked",
    "identity.certificate.linked": "certificate-linked",
    "identity.certificate.renewed": "renewed",
    "identity.certificate.unlinked": "certificate-unlinked",
    "identity.recovery.issued": "codes",
    "identity.recovery.used": "code-used",
    "identity.recovery.begun": "recovery-begun",
    "identity.email.waiting": "email-waiting",
    "identity.email.verified": "email-verified",
    "identity.phone.changed": "phone",
    "identity.account.suspended": "locked",
    "identity.account.resumed": "unlocked",
    "identity.reset.opened": "reset-opened",
    "identity.reset.approved": "reset-approved",
    "identity.reset.withdrawn": "reset-withdrawn",
    "identity.reset.used": "reset-used",
    "identity.mandate.accepted": "mandate-accepted",
    "identity.mandate.begun": "mandate-begun",
    "identity.mandate.ended": "mandate-ended",
    "identity.alarm.raised": "alarm",
}


class Words(NamedTuple):
    """A letter's words."""

    subject: str
    text: str


#: kind, language, account id, facts, when it happened.
Compose = Callable[[str, str, str, Mapping[str, Any], Millis], Words]


class _Ready(NamedTuple):
    to: str
    lang: str
    kind: str
    facts: Mapping[str, Any]


class Mail:
    """Puts letters on their way and sends them; a job calls `deliver`. The portal sets `compose`."""

    compose: Compose

    def __init__(self, database: Database, clock: Clock, sealer: Sealer, mailbox: Mailbox) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self.mailbox = mailbox
        self._told: dict[str, str] = {}
        sender = Sender(MAIL_TOPIC, self._send, first=30 * SECOND, longest=HOUR, given_up=_give_up)
        self._outbox = Outbox(database, clock, sender)

    def follow(self, trail: AuditTrail, told: Mapping[str, str] = TOLD) -> None:
        """From now on what happens to accounts is told: these actions, each by its kind of letter."""
        self._told |= told
        for action in told:
            trail.echo(action, self._happened)

    def write(
        self,
        session: Session,
        account_id: str,
        kind: str,
        facts: Mapping[str, Any],
        *,
        to: str | None = None,
        until: Millis | None = None,
    ) -> None:
        """Put a letter on its way; to `to`, or to the verified address. Not sent after `until`."""
        now, name = self._clock.ms(), new_id("ltr")
        inner = orjson.dumps({"to": to, "facts": dict(facts)})
        sealed = self._sealer.owner(session, account_id).seal(_context(account_id, name), inner)
        body = orjson.dumps({"kind": kind, "at": now, "name": name, "sealed": b64url(sealed)})
        row = outbox.row(MAIL_TOPIC, account_id, body, now=now, expires_at=until or now + GIVE_UP)
        outbox.add(session.connection(), [row])

    def write_nobody(self, session: Session) -> None:
        """What a letter costs, and no letter: so that nobody can tell by the time whether there was one."""
        now, name = self._clock.ms(), new_id("ltr")
        sealed = self._sealer.system().seal(_context("", name), orjson.dumps({"to": None, "facts": {}}))
        body = orjson.dumps({"kind": "nobody", "at": now, "name": name, "sealed": b64url(sealed)})
        outbox.add(session.connection(), [outbox.row(MAIL_TOPIC, "nobody", body, now=now, expires_at=now + HOUR)])

    async def deliver(self) -> int:
        """One round; returns how many letters were taken."""
        return await self._outbox.deliver()

    def _happened(self, tx: Tx, row: Mapping[str, Any]) -> None:
        detail = orjson.loads(row["detail"])
        account_id = row["object_id"] if row["object_kind"] == "account" else detail.get("account", "")
        body = orjson.dumps({"kind": self._told[row["action"]], "at": row["at"], "facts": detail})
        tx.append(
            outbox.outbox_table,
            outbox.row(MAIL_TOPIC, account_id, body, now=row["at"], expires_at=row["at"] + GIVE_UP),
        )

    async def _send(self, item: Item) -> str | None:
        said = orjson.loads(item.body)
        ready = await self._database.read(self._ready, item.lane, said)
        if ready is None:
            return DROPPED
        words = self.compose(ready.kind, ready.lang, item.lane, ready.facts, said["at"])
        letter = Letter(item.id, ready.to, words.subject, words.text, ready.lang, self._clock.ms())
        try:
            await self.mailbox.put(letter)
        except NotSent as error:
            return error.reason
        return None

    def _ready(self, session: Session, account_id: str, said: Mapping[str, Any]) -> _Ready | None:
        row = session.get(Account, account_id)
        if row is None or row.status == "closed":
            return None
        try:
            person, key = profile(session, self._sealer, account_id), self._sealer.owner(session, account_id)
        except KeyDestroyed:
            return None
        to, facts = person.email if person.email_verified else None, dict(said.get("facts", {}))
        if "sealed" in said:
            opened = orjson.loads(key.open(_context(account_id, said["name"]), b64url_decode(said["sealed"])))
            to, facts = opened["to"] or to, opened["facts"]
        if not to:
            return None
        began = session.get(SessionRow, facts["session"]) if "session" in facts else None
        if began is not None and began.account_id == account_id:
            facts["device"] = key.open(f"identity_session|device|{began.id}", began.device).decode()
        return _Ready(to, person.locale, said["kind"], facts)


def _context(account_id: str, name: str) -> str:
    return f"kit_outbox|body|{account_id}|{name}"


def _give_up(session: Session, item: Item, why: str) -> None:
    audit.record(
        session,
        "identity.mail.undelivered",
        actor=SYSTEM,
        object=("account", item.lane),
        detail={"why": why, "tries": item.tries + 1, "kind": orjson.loads(item.body)["kind"]},
        outcome="failed",
    )
