"""Consent records: what a resident answers, what the clock ends, and how a record reads.

Every change goes through `consent.changes`, which keeps its five parts together.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal, cast

from consent import agreements, endings, instructions, store
from consent.agreements import TOPIC
from consent.changes import Authority, ConsentRef, Instructed, StoredEvent, append_event, last_event, open_event
from consent.errors import AgreementState, BadConsent, ConsentState, UnknownConsent
from consent.materiality import is_material
from consent.revisions import Revision
from consent.states import (
    OPEN,
    STANDING,
    EventType,
    Standing,
    State,
    after,
    fold,
    read_event,
)
from consent.store import RecordRow
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit import audit
from kit.clock import DAY, Millis
from kit.db import Session, tx_of
from kit.host import SYSTEM, Actor
from kit.ids import new_id

QUESTION_WAITS: Millis = 30 * DAY


@dataclass(frozen=True, slots=True)
class Put:
    """A question that is answered at once: what was asked for, and by whom."""

    categories: Collection[str]
    by: Actor


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record as it stands at a moment."""

    id: str
    account_id: str
    member_id: str
    agreement_id: str
    revision_id: str
    state: State
    purpose: str
    categories: tuple[str, ...]
    until_at: Millis
    created_at: Millis
    changed_at: Millis
    instruction_id: str | None = None  # the standing instruction that gave the last answer

    @property
    def stands(self) -> bool:
        """Whether it covers anything."""
        return self.state == STANDING


def give(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    revision_id: str,
    categories: Iterable[str],
    notice_lang: str,
    actor: Actor,
    now: Millis,
    until_ms: Millis | None = None,
    authority: Authority = "self",
    question: Put | None = None,
    instructed: Instructed | None = None,
) -> ConsentRef:
    """The resident agrees to a revision for some of its categories.

    If a consent under this agreement stands already, it is renewed: one record, one more event, what is agreed now.
    A `question` that was put just now and nowhere recorded is recorded first. Raises BadConsent, AgreementState.
    """
    revision = revision_in_force(session, revision_id)
    chosen = _check_categories(revision, categories)
    until = now + revision.duration_ms if until_ms is None else until_ms
    if not now < until <= now + revision.duration_ms:
        raise BadConsent(f"A consent under this agreement lasts at most {revision.duration}.", pointer="/until")
    check_lang(revision, notice_lang)
    row = store.standing_record(session, account_id, revision.agreement_id)
    if row is not None and row.until_at <= now:  # ran out by the clock; its event only had not come yet
        append_event(session, sealer, row, "expired", actor=SYSTEM, authority="rule", now=now)
        row = None
    kind: EventType = "given" if row is None else "renewed"
    if row is None:
        row = _asked_or_new(session, account_id, revision, now)
    if question is not None and row.state != OPEN:
        _put(session, sealer, row, question, revision=revision, lang=notice_lang, now=now)
    row.revision_id, row.purpose = revision.id, revision.purpose
    row.categories, row.until_at = " ".join(chosen), until
    return append_event(
        session, sealer, row, kind, actor=actor, authority=authority, now=now, revision=revision, lang=notice_lang,
        instructed=instructed,
    )  # fmt: skip


def refuse(
    session: Session,
    sealer: Sealer,
    *,
    account_id: str,
    revision_id: str,
    notice_lang: str,
    actor: Actor,
    now: Millis,
    authority: Authority = "self",
    question: Put | None = None,
    instructed: Instructed | None = None,
) -> ConsentRef:
    """The resident says no; the question's record, or one of its own. A consent that stands under the agreement is not
    touched by it."""
    revision = revision_in_force(session, revision_id)
    check_lang(revision, notice_lang)
    row = _asked_or_new(session, account_id, revision, now)
    if question is not None and row.state != OPEN:
        _put(session, sealer, row, question, revision=revision, lang=notice_lang, now=now)
    row.revision_id, row.purpose, row.categories, row.until_at = revision.id, revision.purpose, "", now
    return append_event(
        session, sealer, row, "refused", actor=actor, authority=authority, now=now, revision=revision,
        lang=notice_lang, instructed=instructed,
    )  # fmt: skip


def _put(
    session: Session, sealer: Sealer, row: RecordRow, question: Put, *, revision: Revision, lang: str, now: Millis
) -> None:
    """The question itself, in the write that answers it: what was asked stays beside what was agreed to."""
    if row.state != STANDING:  # a question about what stands changes nothing of it
        row.categories, row.until_at = " ".join(sorted(question.categories)), now + QUESTION_WAITS
    append_event(
        session, sealer, row, "requested", actor=question.by, authority="recipient", now=now, reason="asked",
        asked=question.categories,
        **({"about": revision} if row.state == STANDING else {"revision": revision, "lang": lang}),
    )  # fmt: skip


def change(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    account_id: str,
    categories: Iterable[str],
    actor: Actor,
    now: Millis,
    authority: Authority = "self",
) -> ConsentRef:
    """The resident adds or removes optional categories of the revision agreed to. Raises BadConsent, ConsentState."""
    row = _standing(session, consent_id, account_id, now)
    revision = agreements.text_of(session, row.revision_id)
    row.categories = " ".join(_check_categories(revision, categories))
    return append_event(session, sealer, row, "changed", actor=actor, authority=authority, now=now, revision=revision)


def withdraw(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    account_id: str,
    actor: Actor,
    now: Millis,
    authority: Authority = "self",
) -> ConsentRef:
    """The resident withdraws: from this commit on nothing is decided, disclosed or honoured under it, anywhere.

    Raises UnknownConsent, or ConsentState if it does not stand any more.
    """
    row = _standing(session, consent_id, account_id, now)
    return append_event(session, sealer, row, "withdrawn", actor=actor, authority=authority, now=now)


def end(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    member_id: str,
    reason: str,
    actor: Actor,
    now: Millis,
    account_id: str | None = None,
) -> ConsentRef:
    """The recipient ends the arrangement: as final as a withdrawal, and told apart from one for ever.

    Raises UnknownConsent for none and for another recipient's, or ConsentState if it does not stand any more.
    """
    if _record(session, consent_id, account_id).member_id != member_id:
        raise UnknownConsent("No consent of yours has this id.")
    row = _standing(session, consent_id, account_id, now)
    return append_event(session, sealer, row, "ended", actor=actor, authority="recipient", now=now, reason=reason)


def renew(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    account_id: str,
    revision_id: str,
    notice_lang: str,
    actor: Actor,
    now: Millis,
) -> ConsentRef:
    """The resident agrees anew to what stands, for its whole duration, under the revision in force.

    What was agreed to stays as far as the revision still has it; what is needed comes along, and what is optional and
    new does not: that is ticked, never assumed. Raises ConsentState, AgreementState, BadConsent.
    """
    row = _standing(session, consent_id, account_id, now)
    revision = revision_in_force(session, revision_id)
    if revision.agreement_id != row.agreement_id:
        raise BadConsent("This is another agreement's text.", pointer="/revision")
    return give(
        session,
        sealer,
        account_id=account_id,
        revision_id=revision_id,
        categories=(frozenset(row.categories.split()) & revision.all_categories) | revision.required,
        notice_lang=notice_lang,
        actor=actor,
        now=now,
    )


def defer(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    account_id: str,
    actor: Actor,
    now: Millis,
    question: Put | None = None,
    revision: Revision | None = None,
) -> None:
    """The resident was asked again and puts it off: what they agreed to before goes on until its end. A `question` that
    was put just now about a `revision` is recorded first."""
    row = _standing(session, consent_id, account_id, now)
    if question is not None and revision is not None:
        _put(session, sealer, row, question, revision=revision, lang="", now=now)
    if last_event(session, sealer, row).document["type"] == "requested":
        append_event(session, sealer, row, "deferred", actor=actor, authority="self", now=now)


def tell_people(session: Session, sealer: Sealer, *, now: Millis, before: Millis, limit: int = 50) -> int:
    """Events for what the residents' pages show: an end that comes near, an offer in other words; how many. A chunk.

    It changes nothing of what is covered. About a material change people are asked, by a campaign (`campaigns`).
    """
    done = 0
    for row in store.ending_soon(session, now, before, limit):
        row.notified_until = row.until_at
        done += _aside(session, sealer, row, "notified", now, reason="ends-soon")
    for given, newer in agreements.superseded(session) if done < limit else ():
        if not is_material(given, newer):
            for row in store.behind(session, given.id, newer[-1].id, now, limit - done):
                row.seen_id = newer[-1].id
                done += _aside(session, sealer, row, "notified", now, reason="offer-changed", about=newer[-1])
    return done


def sweep(session: Session, sealer: Sealer, *, now: Millis, limit: int = 100) -> int:
    """Give consents that ran out, or whose agreement was withdrawn, their events; how many. A chunk; run it again.

    Nothing waits for this to be safe: expiry acts by the clock at every decision, a withdrawn agreement at its commit.
    """
    done = 0
    for row in store.due(session, now, limit):
        done += _end(session, sealer, row, "expired", now, reason="unanswered" if row.state == OPEN else "")
    for row in store.orphaned(session, limit - done) if done < limit else ():
        done += _end(session, sealer, row, "invalidated", now, reason="agreement_withdrawn")
    return done


def forget(session: Session, sealer: Sealer, *, account_id: str, actor: Actor, now: Millis) -> list[str]:
    """The resident leaves: withdraw what stands, then remove records and events. Before their key is destroyed.

    The leaves stay in the ledger: commitments that nobody can open or link any more, except with the resident's own
    receipts. Returns the ids of the withdrawn consents.
    """
    ended = []
    for row in store.records_of(session, account_id):
        if row.state == STANDING:
            append_event(session, sealer, row, "withdrawn", actor=actor, authority="self", now=now)
            ended.append(row.id)
    instructions.stop_all(session, sealer, account_id=account_id, actor=actor, now=now)
    session.flush()
    store.delete_for(session, account_id)
    endings.unlink(session, account_id)
    audit.record(session, "consent.records.forgotten", actor=actor, object=("account", account_id))
    tx_of(session).touch(TOPIC)
    return ended


def list_for(session: Session, account_id: str, *, now: Millis) -> tuple[RecordView, ...]:
    """A resident's records, newest first."""
    return tuple(view_of(row, now) for row in store.records_of(session, account_id))


def get(session: Session, consent_id: str, *, account_id: str | None, now: Millis) -> RecordView:
    """A record of this resident (or anybody's, for None); raises UnknownConsent."""
    return view_of(_record(session, consent_id, account_id), now)


def history(session: Session, sealer: Sealer, consent_id: str, *, account_id: str) -> tuple[StoredEvent, ...]:
    """A record's events, oldest first, opened under the resident's key; raises UnknownConsent, KeyDestroyed."""
    _record(session, consent_id, account_id)
    return tuple(open_event(session, sealer, row) for row in store.events_of(session, consent_id))


def timeline(
    session: Session, sealer: Sealer, *, account_id: str, before: str = "", limit: int = 50
) -> tuple[StoredEvent, ...]:
    """The events of all of a resident's records before an event's id, newest first."""
    found = store.recent_events(session, account_id, before=before, limit=limit)
    return tuple(open_event(session, sealer, row) for row in found)


def standing(session: Session, sealer: Sealer, consent_id: str, *, account_id: str) -> Standing:
    """What the events add up to: the truth that the record row repeats."""
    events = history(session, sealer, consent_id, account_id=account_id)
    return fold(read_event(event.document) for event in events)


def _end(
    session: Session,
    sealer: Sealer,
    row: RecordRow,
    kind: Literal["expired", "invalidated"],
    now: Millis,
    reason: str = "",
) -> int:
    try:
        append_event(session, sealer, row, kind, actor=SYSTEM, authority="rule", now=now, reason=reason)
    except KeyDestroyed:  # the resident left; nothing of theirs can be written any more, and nothing needs to be
        store.delete_for(session, row.account_id)
    return 1


def _aside(
    session: Session,
    sealer: Sealer,
    row: RecordRow,
    kind: EventType,
    now: Millis,
    *,
    reason: str,
    about: Revision | None = None,
) -> int:
    try:
        append_event(session, sealer, row, kind, actor=SYSTEM, authority="rule", now=now, reason=reason, about=about)
    except KeyDestroyed:  # the resident left; nobody is there to be told
        store.delete_for(session, row.account_id)
    return 1


def revision_in_force(session: Session, revision_id: str) -> Revision:
    """The revision, if it is the one that may be answered now; raises AgreementState."""
    revision = agreements.text_of(session, revision_id)
    session.flush()
    in_force, agreement, member, held = store.offer(session, revision.agreement_id)
    if in_force != revision.id or agreement != "approved":
        raise AgreementState("Only the approved revision in force can be answered. Load the page again.")
    if member != "approved" or held:
        raise AgreementState("Sharing with this member is stopped at the moment.")
    return revision


def _check_categories(revision: Revision, categories: Iterable[str]) -> list[str]:
    chosen = frozenset(categories)
    if unknown := chosen - revision.all_categories:
        raise BadConsent(f"Not part of this agreement: {', '.join(sorted(unknown))}.", pointer="/categories")
    if missing := revision.required - chosen:
        raise BadConsent(f"This agreement cannot do without: {', '.join(sorted(missing))}.", pointer="/categories")
    if not chosen:
        raise BadConsent("Choose at least one category, or refuse.", pointer="/categories")
    return sorted(chosen)


def check_lang(revision: Revision, lang: str) -> None:
    """Raise BadConsent if the notice is not in this language."""
    if lang not in revision.text:
        raise BadConsent("The notice is in ja and en.", pointer="/notice_lang")


def _asked_or_new(session: Session, account_id: str, revision: Revision, now: Millis) -> RecordRow:
    """The record of the question that waits (the answer is its next event), or else a new one."""
    asked = store.open_question(session, account_id, revision.agreement_id)
    return asked if asked is not None and asked.until_at > now else new_record(account_id, revision, now)


def new_record(account_id: str, revision: Revision, now: Millis) -> RecordRow:
    """A record whose first event is to come."""
    return RecordRow(
        id=new_id("con"),
        account_id=account_id,
        member_id=revision.member_id,
        agreement_id=revision.agreement_id,
        revision_id=revision.id,
        state="",
        purpose=revision.purpose,
        categories="",
        until_at=now,
        events=0,
        created_at=now,
        changed_at=now,
    )


def _record(session: Session, consent_id: str, account_id: str | None) -> RecordRow:
    row = store.record_of(session, consent_id, account_id)
    if row is None:
        raise UnknownConsent("No consent of yours has this id.")
    return row


def _standing(session: Session, consent_id: str, account_id: str | None, now: Millis) -> RecordRow:
    row = _record(session, consent_id, account_id)
    if row.state == OPEN:
        raise ConsentState("This was asked, and is not answered yet.")
    if row.state != STANDING:
        raise ConsentState(f"This consent is {row.state} already.")
    if row.until_at <= now:
        raise ConsentState("This consent has run out already.")
    return row


def view_of(row: RecordRow, now: Millis) -> RecordView:
    """A row as it stands at a moment."""
    state = cast(State, row.state)
    if state in (STANDING, OPEN) and row.until_at <= now:  # the clock decides, not the sweeper
        state = after(state, "expired")
    return RecordView(
        row.id,
        row.account_id,
        row.member_id,
        row.agreement_id,
        row.revision_id,
        state,
        row.purpose,
        tuple(row.categories.split()),
        row.until_at,
        row.created_at,
        row.changed_at,
        row.instruction_id,
    )
