"""Standing instructions (事前の指示): what a resident states in advance, its revisions, and its end.

Each is a chain of sealed events with private entries in the ledger, like a consent's, so that nobody can make one up
afterwards, and outside nobody can tell one from a consent: set, changed (a revision of its own, which answers only what
is asked from then on), stopped, expired. Whether it stands is asked inside the write that would use it, with its row
locked, so a stop acts at its commit. It ends by the clock, after a year at the latest.

Only the resident states one, in their own account: it would outlive every mandate, so no mandate reaches it, and a
child has none. Stopping it is open to whoever may take back all of the resident's consents: it only makes things safer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson
from sqlmodel import col, select

from consent.errors import BadInstruction, InstructionState, UnknownInstruction
from consent.instruction_rules import LONGEST, Rule, read_rule
from consent.ledger import commit, digest
from consent.models import Instruction as Row
from consent.models import InstructionEvent as EventRow
from identity import mandates
from identity.errors_account import OutsideMandate
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit import audit
from kit.clock import Millis, iso
from kit.db import Session
from kit.encoding import b64url, canonical
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.tlog.log import append

SCHEMA: Final = "urn:sekisho:standing-instruction-event:1"
MOST: Final = 20
ACTIVE: Final = "active"
Kind = Literal["set", "changed", "stopped", "expired"]


@dataclass(frozen=True, slots=True)
class Instruction:
    """A standing instruction as it is."""

    id: str
    account_id: str
    state: str  # active | stopped | expired
    revision: int
    since_at: Millis
    until_at: Millis
    rule: Rule


@dataclass(frozen=True, slots=True)
class Stated:
    """One event of an instruction, opened."""

    id: str
    document: dict[str, Any]
    leaf_id: str


def state(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    rule: Rule,
    until_at: Millis,
    actor: Actor,
    now: Millis,
    instruction_id: str | None = None,
) -> Instruction:
    """State an instruction, or another revision of one. Raises BadInstruction, InstructionState, UnknownInstruction,
    OutsideMandate."""
    if actor.mandate_id is not None or actor.kind != "resident" or actor.id != account_id:
        raise OutsideMandate("Only the person states what is answered for them in advance.")
    if mandates.is_minor(session, sealer, account_id, now=now):
        raise InstructionState("Standing instructions are for people who are of age.")
    if (wrong := rule.problem()) is not None:
        raise BadInstruction(wrong[1], pointer=wrong[0])
    if not now < until_at <= now + LONGEST:
        raise BadInstruction("Choose an end within a year.", pointer="/until")
    if instruction_id is None:
        if len(_rows(session, account_id, now=now)) >= MOST:
            raise InstructionState(f"At most {MOST} standing instructions. Stop one that is not needed.")
        row = Row(
            id=new_id("ins"), account_id=account_id, state=ACTIVE, revision=0, events=0, since_at=now, until_at=until_at
        )
    else:
        row = _standing(session, instruction_id, account_id, now)
    row.revision, row.since_at, row.until_at = row.revision + 1, now, until_at
    _record(session, sealer, row, "set" if row.revision == 1 else "changed", rule, actor=actor, now=now)
    return _view(row, rule, now)


def stop(session: Session, sealer: Sealer, instruction_id: str, *, account_id: str, actor: Actor, now: Millis) -> None:
    """From this commit on it answers nothing. What it answered before stands until the person undoes it. Raises
    UnknownInstruction, InstructionState, OutsideMandate."""
    if actor.mandate_id is not None:
        held = mandates.require(session, actor, subject_id=account_id, action="withdraw", purpose=None, now=now)
        if held.purposes:
            raise OutsideMandate("Your mandate is for some purposes only.")
    elif actor.kind == "resident" and actor.id != account_id:
        raise OutsideMandate("This is another person's instruction.")
    row = _standing(session, instruction_id, account_id, now)
    row.state = "stopped"
    _record(session, sealer, row, "stopped", _rule(session, sealer, row), actor=actor, now=now)


def stop_all(session: Session, sealer: Sealer, *, account_id: str, actor: Actor, now: Millis) -> int:
    """Stop every one: somebody else may have been in as this person, and have stated what outlives every session; or
    the person leaves. How many."""
    found = _rows(session, account_id, now=now)
    for row in found:
        row.state = "stopped"
        _record(session, sealer, row, "stopped", _rule(session, sealer, row), actor=actor, now=now)
    return len(found)


def in_force(session: Session, sealer: Sealer, account_id: str, *, now: Millis) -> tuple[Instruction, ...]:
    """Those that may answer now, the refusals first, with their rows locked until this write is done.

    On PostgreSQL a stop waits for the answer it did not come before, or the answer sees the stop; on SQLite there is
    one writer, which is the same.
    """
    found = _rows(session, account_id, now=now, lock=True)
    views = [_view(row, _rule(session, sealer, row), now) for row in found]
    return tuple(sorted(views, key=lambda each: (each.rule.answer != "refuse", each.id)))


def any_in_force(session: Session, account_id: str, *, now: Millis) -> bool:
    """Whether there is any to ask; for who reads before it writes."""
    return bool(_rows(session, account_id, now=now))


def list_for(session: Session, sealer: Sealer, account_id: str, *, now: Millis) -> tuple[Instruction, ...]:
    """A resident's instructions, newest first."""
    query = select(Row).where(Row.account_id == account_id).order_by(col(Row.id).desc()).limit(100)
    return tuple(_view(row, _rule(session, sealer, row), now) for row in session.exec(query))


def history(session: Session, sealer: Sealer, instruction_id: str, *, account_id: str) -> tuple[Stated, ...]:
    """An instruction's events, oldest first. Raises UnknownInstruction."""
    _one(session, instruction_id, account_id)
    query = select(EventRow).where(EventRow.instruction_id == instruction_id).order_by(col(EventRow.seq))
    return tuple(_open(session, sealer, row) for row in session.exec(query))


def sweep(session: Session, sealer: Sealer, *, now: Millis, limit: int = 50) -> int:
    """Those that ran out get their event; they answered nothing any more since. A chunk; run it again."""
    query = select(Row).where(Row.state == ACTIVE, col(Row.until_at) <= now).limit(limit)
    found = session.exec(query).all()
    for row in found:
        row.state = "expired"
        try:
            _record(session, sealer, row, "expired", _rule(session, sealer, row), actor=SYSTEM, now=now)
        except KeyDestroyed:  # the resident left; nothing of theirs can be written any more
            session.add(row)
    return len(found)


def _record(session: Session, sealer: Sealer, row: Row, kind: Kind, rule: Rule, *, actor: Actor, now: Millis) -> None:
    """The event, its entry in the ledger, the row and the trail: together or not at all (invariant I2)."""
    key, event_id = sealer.owner(session, row.account_id), new_id("sie")
    before = _last(session, sealer, row) if row.events else None
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "event": event_id,
        "instruction": row.id,
        "revision": row.revision,
        "seq": row.events,
        "previous": digest(before.document) if before else None,
        "type": kind,
        "time": iso(now),
        "until": iso(row.until_at),
        "subject": row.account_id,
        "actor": {"kind": actor.kind, **({"mandate": actor.mandate_id} if actor.mandate_id else {})},
        "rule": rule.document(),
    }
    envelope = commit(document)
    leaf = append(session, envelope.entry)
    inner = canonical({"event": document, "salt": b64url(envelope.salt), "leaf": leaf.leaf_id})
    sealed = key.seal(f"consent_instruction_event|sealed|{event_id}", inner)
    row.events += 1
    session.add(row)
    session.flush()
    session.add(
        EventRow(id=event_id, instruction_id=row.id, account_id=row.account_id, seq=document["seq"], sealed=sealed)
    )
    session.flush()
    audit.record(
        session, f"consent.instruction.{kind}", actor=actor, object=("account", row.account_id),
        detail={"instruction": row.id, "revision": row.revision},
    )  # fmt: skip


def _rows(session: Session, account_id: str, *, now: Millis, lock: bool = False) -> Sequence[Row]:
    query = select(Row).where(Row.account_id == account_id, Row.state == ACTIVE, col(Row.until_at) > now)
    return session.exec(query.with_for_update() if lock else query).all()


def _one(session: Session, instruction_id: str, account_id: str) -> Row:
    row = session.get(Row, instruction_id)
    if row is None or row.account_id != account_id:
        raise UnknownInstruction("No standing instruction of yours has this id.")
    return row


def _standing(session: Session, instruction_id: str, account_id: str, now: Millis) -> Row:
    row = _one(session, instruction_id, account_id)
    if row.state != ACTIVE or row.until_at <= now:
        raise InstructionState("This instruction is over already.")
    return row


def _rule(session: Session, sealer: Sealer, row: Row) -> Rule:
    last = _last(session, sealer, row)
    if last is None:
        raise UnknownInstruction("An instruction without a word.")
    return read_rule(last.document["rule"])


def _last(session: Session, sealer: Sealer, row: Row) -> Stated | None:
    query = select(EventRow).where(EventRow.instruction_id == row.id).order_by(col(EventRow.seq).desc()).limit(1)
    found = session.exec(query).first()
    return None if found is None else _open(session, sealer, found)


def _open(session: Session, sealer: Sealer, row: EventRow) -> Stated:
    key = sealer.owner(session, row.account_id)
    opened = orjson.loads(key.open(f"consent_instruction_event|sealed|{row.id}", row.sealed))
    return Stated(row.id, opened["event"], opened["leaf"])


def _view(row: Row, rule: Rule, now: Millis) -> Instruction:
    ran_out = row.state == ACTIVE and row.until_at <= now  # the clock decides, not the sweeper
    return Instruction(
        row.id, row.account_id, "expired" if ran_out else row.state, row.revision, row.since_at, row.until_at, rule
    )
