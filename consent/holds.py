"""Holding all sharing with a member at once: what the incident desk does first, and undoes when it is over.

A hold changes no consent: every decision refuses with `sharing_held` while it is there, from its commit on, in every
process. It concerns no person, so it is a public ledger entry.
"""

from typing import Literal

from sqlmodel import Session, col, select, update

from consent import store, streams
from consent.agreements import TOPIC
from consent.ledger import public_entry
from consent.models import Agreement, Hold, Record
from consent.states import STANDING
from kit import audit
from kit.clock import Millis, iso
from kit.db import tx_of
from kit.host import Actor
from kit.tlog.log import append


def hold(session: Session, member_id: str, *, actor: Actor, now: Millis, reason: str = "") -> bool:
    """Hold sharing with a member; False if it is held already."""
    if store.is_held(session, member_id):
        return False
    session.add(Hold(member_id=member_id, since_at=now, reason=reason[:80]))
    _changed(session, "held", member_id, actor, now, reason)
    return True


def release(session: Session, member_id: str, *, actor: Actor, now: Millis, reason: str = "") -> bool:
    """Let sharing go on; False if it was not held."""
    row = session.get(Hold, member_id)
    if row is None:
        return False
    session.delete(row)
    _changed(session, "released", member_id, actor, now, reason)
    return True


def is_held(session: Session, member_id: str) -> bool:
    """Whether sharing with the member is held."""
    return store.is_held(session, member_id)


def standing_accounts(session: Session, member_id: str) -> tuple[str, ...]:
    """The residents (opaque ids) with a standing consent for a member: whom a hold concerns."""
    query = select(Record.account_id).where(Record.member_id == member_id, Record.state == STANDING).distinct()
    return tuple(session.exec(query))


def _changed(
    session: Session, what: Literal["held", "released"], member_id: str, actor: Actor, now: Millis, reason: str
) -> None:
    session.flush()
    # Decisions lock the agreement they rest on; moving it too makes them and this change take turns (PostgreSQL).
    touched = update(Agreement).where(col(Agreement.member_id) == member_id).values(changed_at=Agreement.changed_at)
    session.exec(touched)
    append(session, public_entry({"type": f"sharing-{what}", "member": member_id, "time": iso(now)}))
    audit.record(
        session, f"consent.sharing.{what}", actor=actor, object=("member", member_id), detail={"reason": reason}
    )
    streams.tell(
        session, "sharing-held" if what == "held" else "sharing-released", member_id, member_id=member_id, now=now
    )
    tx_of(session).touch(TOPIC)
