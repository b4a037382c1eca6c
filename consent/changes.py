"""One change of a consent record: the only place where an event is appended.

Each change is one transaction with five parts, kept together or not at all (invariant I2): the sealed event, the record
row that decisions read, the ledger leaf with the event's commitment, the audit entry, and the end of what rested on the
consent (grants and tokens). The topic "consent" is touched, so every cache in every process is stale before the caller
is answered (invariant I5).

The event names the revision and the notice by hash: what was agreed to is exactly one text, in one language. It also
holds the hash of the event before it. Event, salt and leaf are sealed under the resident's own key.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import orjson
from sqlalchemy.exc import IntegrityError

from consent import agreements, asks, endings, status, store, streams
from consent.agreements import TOPIC
from consent.campaign_rules import Outcome
from consent.errors import ConsentState
from consent.ledger import commit, digest
from consent.revisions import Revision
from consent.states import ASIDE, DPV_STATUS, STANDING, BadHistory, EventType, State, after
from consent.store import EventRow, RecordRow
from identity import grants, mandates
from identity.errors_account import OutsideMandate
from keys.envelope import Sealer
from kit import audit
from kit.clock import Millis, iso
from kit.db import Session, tx_of
from kit.encoding import b64url, b64url_decode, canonical
from kit.host import Actor
from kit.ids import new_id
from kit.tlog.log import Leaf, append

SCHEMA = "urn:sekisho:consent-event:1"
Authority = Literal["self", "guardian", "delegate", "standing-instruction", "recipient", "rule"]


#: Ends that nobody answered: whose the last answer was stays known.
_NOT_ANSWERS: frozenset[EventType] = frozenset({"expired", "ended", "invalidated"})


@dataclass(frozen=True, slots=True)
class Instructed:
    """The standing instruction that answers, in the revision that says so (`consent.answering`)."""

    id: str
    revision: int


@dataclass(frozen=True, slots=True)
class ConsentRef:
    """A change as it was recorded. `leaf.index` is known when the write has returned (SQLite)."""

    consent_id: str
    event_id: str
    leaf: Leaf


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event opened under the resident's key: the document, what opens its commitment, and its leaf."""

    id: str
    seq: int
    document: dict[str, Any]
    salt: bytes = field(repr=False)
    leaf_id: str
    place: status.Place | None  # in the status lists; events from before there were any have none


def append_event(
    session: Session,
    sealer: Sealer,
    row: RecordRow,
    kind: EventType,
    *,
    actor: Actor,
    authority: Authority,
    now: Millis,
    revision: Revision | None = None,
    lang: str | None = None,
    reason: str = "",
    about: Revision | None = None,
    answer_by: Millis | None = None,
    asked: Collection[str] | None = None,
    instructed: Instructed | None = None,
) -> ConsentRef:
    """The five parts of a change, word of it to who follows, and the receipts' status: this is the last word now.

    For `consent.records`, `consent.questions`, `consent.campaigns` and `consent.majority`; who else changes a record
    asks one of these. Raises OutsideMandate, ConsentState, KeyDestroyed.
    """
    authority, mandate_id = _authority(session, row, kind, actor, authority, now)
    under: dict[str, Any] = {"mandate": mandate_id} if mandate_id else {}
    if instructed is not None:
        authority, under = "standing-instruction", {"instruction": instructed.id, "revision": instructed.revision}
    if kind not in ASIDE and kind not in _NOT_ANSWERS:
        row.instruction_id = None if instructed is None else instructed.id
    stood = row.state == STANDING
    try:
        row.state = after(cast(State, row.state) if row.events else None, kind)
    except BadHistory as bad:
        raise ConsentState(f"This is not possible: {bad}.") from None
    key = sealer.owner(session, row.account_id)
    before = last_event(session, sealer, row) if row.events else None
    revision = revision or agreements.text_of(session, row.revision_id)
    lang = lang or (before.document["notice"]["lang"] if before else "en")
    at = max(now, row.changed_at)  # a clock that was set back must not make a history that cannot be
    event_id = new_id("cev")
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "event": event_id,
        "record": row.id,
        "seq": row.events,
        "previous": digest(before.document) if before else None,
        "type": kind,
        "status": DPV_STATUS[kind],
        "time": iso(at),
        "until": iso(row.until_at),
        "subject": row.account_id,
        "actor": {"kind": actor.kind, "authority": authority, **under},
        "agreement": row.agreement_id,
        "revision": row.revision_id,
        "revision_hash": revision.hash,
        "notice": {"lang": lang, "hash": revision.notice(lang).hash},
        "recipient": row.member_id,
        "purpose": row.purpose,
        "lawful_basis": revision.lawful_basis,
        "categories": row.categories.split(),
    }
    if reason:
        document["reason"] = reason
    if about is not None:
        document["about"] = {"revision": about.id, "revision_hash": about.hash}
    if answer_by is not None:
        document["answer_by"] = iso(answer_by)
    if asked is not None:
        document["asked"] = sorted(asked)
    envelope = commit(document)
    leaf = append(session, envelope.entry)
    connection = session.connection()
    opens: dict[str, Any] = {"salt": b64url(envelope.salt), "leaf": leaf.leaf_id}
    place = before.place if before is not None else None
    if kind not in ASIDE:  # else the answer before it stands, and so does its receipt
        if place is not None:
            status.end(connection, place)
        place = status.take(connection)
    if place is not None:
        opens["place"] = [place.number, place.index]
    sealed = key.seal(f"consent_event|sealed|{event_id}", canonical({"event": document, **opens}))
    row.events += 1
    row.changed_at = at
    try:
        store.save_record(session, row)
    except IntegrityError:  # two answers to one agreement at once (PostgreSQL): one of them stands
        raise ConsentState("This was answered at the same moment elsewhere. Load the page again.") from None
    store.add_event(session, event_id, row, sealed)
    if row.seen_id is not None and (outcome := _outcome(row, kind, revision)) is not None:
        asks.settle(connection, row.id, outcome, now=at)
    ended: Collection[str] = ()
    if stood and row.state != STANDING:
        ended = grants.revoke_for_consent(session, row.id, actor=actor, now=now, reason=f"consent-{kind}")
    audit.record(
        session,
        f"consent.record.{kind}",
        actor=actor,
        object=("consent", row.id),
        detail={
            "account": row.account_id,
            "agreement": row.agreement_id,
            "revision": row.revision_id,
            "member": row.member_id,
            "categories": row.categories.split(),
            "grants_ended": len(ended),
            **({"reason": reason} if reason else {}),
            **({"instruction": instructed.id} if instructed else {}),
        },
    )
    if stood and row.state != STANDING:
        endings.begin(
            session,
            consent_id=row.id,
            account_id=row.account_id,
            member_id=row.member_id,
            agreement_id=row.agreement_id,
            cause=row.state,
            seq=row.events - 1,
            now=at,
        )
    elif row.state == STANDING and kind not in ASIDE:  # nobody can know of a consent that never stood
        streams.tell(
            session,
            "consent-changed",
            row.id,
            member_id=row.member_id,
            now=at,
            consent=row.id,
            agreement=row.agreement_id,
            state=row.state,
            change=kind,
            seq=row.events - 1,
        )
    tx_of(session).touch(TOPIC)
    return ConsentRef(row.id, event_id, leaf)


def last_event(session: Session, sealer: Sealer, row: RecordRow) -> StoredEvent:
    """The newest event of a record; raises BadHistory if there is none, KeyDestroyed."""
    found = store.last_event(session, row.id)
    if found is None:
        raise BadHistory("the record's last event is missing")
    return open_event(session, sealer, found)


def open_event(session: Session, sealer: Sealer, row: EventRow) -> StoredEvent:
    """An event under its resident's key; raises KeyDestroyed."""
    opened = orjson.loads(sealer.owner(session, row.account_id).open(f"consent_event|sealed|{row.id}", row.sealed))
    place = status.Place(*opened["place"]) if "place" in opened else None
    return StoredEvent(row.id, row.seq, opened["event"], b64url_decode(opened["salt"]), opened["leaf"], place)


def _authority(
    session: Session, row: RecordRow, kind: EventType, actor: Actor, authority: Authority, now: Millis
) -> tuple[Authority, str]:
    """Under whose authority this event comes, asked in the very write that appends it. Raises OutsideMandate.

    Closes here, for every page and API: a mandate that ended a moment ago, one for somebody else, for something else,
    and a resident who answers for another without any.
    """
    if authority != "self" or actor.kind != "resident":
        return authority, ""
    if actor.mandate_id is None:
        if actor.id != row.account_id:
            raise OutsideMandate("This is another person's consent.")
        return "self", ""
    action = "withdraw" if kind == "withdrawn" else "answer"
    mandate = mandates.require(
        session, actor, subject_id=row.account_id, action=action, purpose=row.purpose, now=now
    )  # fmt: skip
    return ("guardian" if mandate.kind == "guardian" else "delegate"), mandate.id


def _outcome(row: RecordRow, kind: EventType, revision: Revision) -> Outcome | None:
    """How a question of a campaign about this consent came out by this event; None if it is still open."""
    if kind == "renewed":
        return "agreed" if frozenset(row.categories.split()) == revision.all_categories else "partly"
    if kind == "withdrawn":
        return "refused"
    return None if row.state == STANDING else "ended"
