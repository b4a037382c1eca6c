"""Stopping many consents at once: everything that goes to one recipient, or everything that shows one kind of data.

One transaction, and in it each consent has its own event, its own line in the ledger and its own receipt, as if it had
been stopped by itself. What stands at the commit is stopped, also what was agreed to after the question was put:
"everything" means everything. A kind of data that a use can do without is taken out of it; one that it needs ends it.
"""

from dataclasses import dataclass
from typing import Literal

from consent import agreements, records
from consent.records import RecordView
from consent.revisions import Revision
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Actor

Effect = Literal["ends", "goes on without"]


@dataclass(frozen=True, slots=True)
class Everything:
    """What is to be stopped: all that goes to a member, or all that shows a category. One of the two."""

    member_id: str = ""
    category: str = ""

    def __post_init__(self) -> None:
        if bool(self.member_id) == bool(self.category):
            raise ValueError("a recipient or a category")

    def fits(self, record: RecordView) -> bool:
        """Whether a consent is meant."""
        return record.member_id == self.member_id if self.member_id else self.category in record.categories

    def effect(self, record: RecordView, revision: Revision) -> Effect:
        """What becomes of a consent that is meant."""
        if self.member_id or self.category in revision.required or record.categories == (self.category,):
            return "ends"
        return "goes on without"


@dataclass(frozen=True, slots=True)
class Affected:
    """A standing consent that is meant, and what becomes of it."""

    record: RecordView
    revision: Revision
    effect: Effect


def affected(session: Session, wanted: Everything, *, account_id: str, now: Millis) -> tuple[Affected, ...]:
    """What would be stopped now, newest first."""
    found = []
    for record in records.list_for(session, account_id, now=now):
        if record.stands and wanted.fits(record):
            revision = agreements.text_of(session, record.revision_id)
            found.append(Affected(record, revision, wanted.effect(record, revision)))
    return tuple(found)


def stop(
    session: Session, sealer: Sealer, wanted: Everything, *, account_id: str, actor: Actor, now: Millis
) -> tuple[Affected, ...]:
    """Stop it; returns what was stopped. From this commit on nothing is decided, disclosed or honoured under it."""
    meant = affected(session, wanted, account_id=account_id, now=now)
    for each in meant:
        if each.effect == "ends":
            records.withdraw(
                session, sealer, consent_id=each.record.id, account_id=account_id, actor=actor, now=now
            )  # fmt: skip
        else:
            left = [code for code in each.record.categories if code != wanted.category]
            records.change(
                session, sealer, consent_id=each.record.id, account_id=account_id, categories=left, actor=actor, now=now
            )
    return meant
