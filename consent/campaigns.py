"""Campaigns: everybody who agreed to an earlier text is asked whether they agree to a materially changed one.

Staff decide when, how fast and until when (`campaign_rules`); who is asked is derived: whoever's consent stands under
an earlier revision from which the one in force differs materially. A job asks a minute's share at a time. Asking, the
mark that somebody was asked and the pace are one write, so a crash neither skips nor asks twice. Whoever does not
answer in their time agreed to nothing new, and what they agreed to before ends: it is never carried on in silence,
nor carried over. The answer, a withdrawal and that end are writes on the same record, of which the first closes the
question.

While sharing with the member is held, or the member suspended, nobody could answer: the campaign pauses itself, and
whoever resumes it gives everybody the time back. If a newer revision comes into force, or the agreement ends, the
campaign is overtaken and ends nobody's consent.
"""

from dataclasses import dataclass
from typing import cast

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from consent import agreements, asks, changes, records, store
from consent.asks import Question
from consent.campaign_rules import AT_ONCE, OPEN, Plan, State, next_look, pause_after, share, time_of
from consent.errors import BadConsent, CampaignState, ConsentState, UnknownCampaign
from consent.ledger import public_entry
from consent.materiality import is_material
from consent.models import Campaign
from consent.reach import draw
from consent.revisions import Revision
from consent.states import STANDING, EventType
from consent.store import RecordRow
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from kit import audit
from kit.clock import Clock, Millis, iso
from kit.db import Database, Session
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.tlog.log import append


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign as it stands. How many people is not in it: see `progress`."""

    id: str
    agreement_id: str
    revision_id: str
    state: State
    plan: Plan
    started_by: str
    created_at: Millis
    closed_at: Millis | None


def start(session: Session, agreement_id: str, plan: Plan, *, actor: Actor, now: Millis) -> CampaignView:
    """Plan to ask everybody again. Raises BadCampaign, CampaignState.

    Whether anybody is concerned is not looked at: the answer would be a number below ten.
    """
    plan.check(now)
    revision = agreements.current(session, agreement_id)
    if revision.status != "approved" or not _earlier(session, revision):
        raise CampaignState("There is no material change that is in force.")
    row = Campaign(
        id=new_id("cmp"),
        agreement_id=agreement_id,
        revision_id=revision.id,
        state="scheduled",
        begins_at=plan.begins_at,
        deadline_at=plan.deadline_at,
        last_until_at=plan.deadline_at,
        per_hour=plan.per_hour,
        reminders=plan.reminders,
        next_at=plan.begins_at,
        started_by=actor.id[:40],
        created_at=now,
        enough=draw(),
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:  # two at once, or once before: one campaign for each revision
        raise CampaignState("People are asked about a revision once.") from None
    _record(session, row, "started", actor, now, reason="")
    return _view(row)


def pause(session: Session, agreement_id: str, *, actor: Actor, now: Millis) -> CampaignView:
    """Nobody is asked, nobody is reminded, and nobody's consent ends, until it is resumed. Raises CampaignState."""
    row = _latest(session, agreement_id)
    if row.state not in ("scheduled", "running"):
        raise CampaignState(f"A campaign that is {row.state} cannot be paused.")
    return _pause(session, row, actor, now, reason="")


def resume(session: Session, agreement_id: str, *, actor: Actor, now: Millis) -> CampaignView:
    """Go on; everybody has as much more time as it stood still. Raises CampaignState."""
    row = _latest(session, agreement_id)
    if row.state != "paused" or row.paused_at is None:
        raise CampaignState(f"A campaign that is {row.state} cannot be resumed.")
    by = max(0, now - row.paused_at)
    asks.shift(session.connection(), row.id, by)
    row.deadline_at, row.last_until_at = row.deadline_at + by, row.last_until_at + by
    row.begins_at = max(row.begins_at, now) if row.begins_at > row.paused_at else row.begins_at
    row.state, row.paused_at, row.next_at = ("scheduled" if row.begins_at > now else "running"), None, now
    session.add(row)
    _record(session, row, "resumed", actor, now, reason="")
    return _view(row)


def cancel(session: Session, agreement_id: str, *, actor: Actor, now: Millis) -> CampaignView:
    """Ask nobody else. What was answered stands, and nobody's consent ends by it. It cannot be begun anew.

    Raises CampaignState.
    """
    row = _latest(session, agreement_id)
    if row.state not in OPEN:
        raise CampaignState(f"A campaign that is {row.state} cannot be cancelled.")
    return _close(session, row, "cancelled", actor, now)


def decline(
    session: Session,
    sealer: Sealer,
    *,
    consent_id: str,
    account_id: str,
    revision_id: str,
    notice_lang: str,
    actor: Actor,
    now: Millis,
) -> None:
    """The resident says no to the changed offer: it is recorded, nobody reminds them, and what they agreed to before
    goes on until the stated time. Said twice it is said once. Raises ConsentState if nothing is asked any more.
    """
    view = records.get(session, consent_id, account_id=account_id, now=now)
    found = asks.of_record(session, consent_id) if view.stands else None
    if found is None:
        raise ConsentState("Nothing is asked about this consent any more.")
    if agreements.text_of(session, revision_id).agreement_id != view.agreement_id:
        raise BadConsent("This is another agreement's text.", pointer="/revision")
    if found.state == "refused":
        return
    records.refuse(
        session, sealer, account_id=account_id, revision_id=revision_id, notice_lang=notice_lang, actor=actor, now=now
    )
    asks.refuse(session.connection(), found, now=now)


def find(session: Session, agreement_id: str) -> CampaignView | None:
    """The campaign about the revision in force, or the one before it."""
    found = _rows(session, agreement_id)
    return _view(found) if found else None


def possible(session: Session, agreement_id: str) -> bool:
    """Whether a campaign can be started: a material change is in force, and nobody was asked about it before."""
    revision = agreements.current(session, agreement_id)
    if revision.status != "approved" or not _earlier(session, revision):
        return False
    return session.exec(select(col(Campaign.id)).where(Campaign.revision_id == revision.id)).first() is None


def waiting(session: Session) -> tuple[Revision, ...]:
    """Revisions in force about which people would have to be asked, and nobody has begun to."""
    newest = {newer[-1].id: newer[-1] for _given, newer in agreements.superseded(session)}
    return tuple(each for each in newest.values() if possible(session, each.agreement_id))


def step(session: Session, sealer: Sealer, campaign_id: str, *, now: Millis) -> int:
    """What the campaign does now, a few people at a time; how many. Run again while it is not 0."""
    row = session.get(Campaign, campaign_id)
    if row is None or row.state not in ("scheduled", "running") or row.begins_at > now:
        return 0
    session.flush()
    in_force, agreement, member, held = store.offer(session, row.agreement_id)
    if in_force != row.revision_id or agreement != "approved":
        _close(session, row, "overtaken", SYSTEM, now)
        return 0
    if member != "approved" or held:
        _pause(session, row, SYSTEM, now, reason="held")
        return 0
    if row.state == "scheduled":
        row.state = "running"
        session.add(row)
    revision = agreements.text_of(session, row.revision_id)
    done = _end_what_ran_out(session, sealer, row, now)
    if done == 0 and row.next_at <= now:
        done = _ask(session, sealer, row, revision, now) or _remind(session, sealer, row, revision, now)
        if done:
            row.next_at = now + pause_after(done, row.per_hour)
            session.add(row)
    # Not as soon as everybody has answered: of a single person that would be the answer.
    if done == 0 and now >= max(row.last_until_at, row.next_at) and not asks.any_open(session.connection(), row.id):
        _close(session, row, "finished", SYSTEM, now)
    return done


async def run(database: Database, sealer: Sealer, clock: Clock) -> int:
    """The job: every campaign that is open, as far as its pace allows."""

    def going(session: Session) -> list[str]:
        query = select(col(Campaign.id)).where(col(Campaign.state).in_(("scheduled", "running")))
        return list(session.exec(query.order_by(col(Campaign.id))))

    total = 0
    for campaign_id in await database.read(going):
        while done := await database.bulk(step, sealer, campaign_id, now=clock.ms()):
            total += done
    return total


def _earlier(session: Session, revision: Revision) -> tuple[Revision, ...]:
    """The revisions from which this one differs materially."""
    known = agreements.published(session, revision.agreement_id)
    return tuple(
        each
        for each in known
        if each.number < revision.number
        and is_material(each, tuple(one for one in known if each.number < one.number <= revision.number))
    )


def _ask(session: Session, sealer: Sealer, row: Campaign, revision: Revision, now: Millis) -> int:
    """Ask some who were not asked yet."""
    connection = session.connection()
    done = 0
    for given in _earlier(session, revision):
        for record in store.behind(session, given.id, revision.id, now, share(row.per_hour) - done):
            until = time_of(now, row.deadline_at)
            record.seen_id = revision.id
            if asks.said_no_lately(connection, record.id, now=now):
                # They said what they think of newer terms. Not asked again; what stands ends with the others'.
                store.save_record(session, record)
                asks.add(connection, row.id, record.id, state="refused", now=now, until=until, due=until)
            elif _tell(session, sealer, record, revision, until, now, "offer-changed"):
                due = next_look(now, until, left=row.reminders)
                asks.add(connection, row.id, record.id, state="waiting", now=now, until=until, due=due)
            row.last_until_at = max(row.last_until_at, until)
            done += 1
        if done >= share(row.per_hour):
            break
    return done


def _remind(session: Session, sealer: Sealer, row: Campaign, revision: Revision, now: Millis) -> int:
    """Remind some whose question waits."""
    connection = session.connection()
    found = asks.due(connection, row.id, now=now, limit=share(row.per_hour))
    for question in found:
        record = _standing(session, question, revision, now)
        if record is not None and _tell(session, sealer, record, revision, question.until_at, now, "asked-again"):
            left = row.reminders - question.reminded - 1
            asks.reminded(connection, question, due=next_look(now, question.until_at, left=left))
    return len(found)


def _end_what_ran_out(session: Session, sealer: Sealer, row: Campaign, now: Millis) -> int:
    """End the consents of some whose time has passed. At no pace: the time was stated, to them and in public."""
    done = 0
    for question in asks.ran_out(session.connection(), row.id, now=now, limit=AT_ONCE):
        record = _standing(session, question, agreements.text_of(session, row.revision_id), now)
        if record is not None:
            record.until_at = min(record.until_at, now)
            try:
                changes.append_event(
                    session, sealer, record, "expired", actor=SYSTEM, authority="rule", now=now, reason="not-answered"
                )
            except KeyDestroyed:
                store.delete_for(session, record.account_id)
        done += 1
    return done


def _standing(session: Session, question: Question, revision: Revision, now: Millis) -> RecordRow | None:
    """The consent, if it still stands as it was; else its question is closed."""
    record = store.record_of(session, question.record_id, None)
    if record is not None and record.state == STANDING and record.revision_id != revision.id:
        return record
    asks.settle(session.connection(), question.record_id, "ended", now=now)
    return None


def _tell(
    session: Session, sealer: Sealer, record: RecordRow, about: Revision, until: Millis, now: Millis, reason: str
) -> bool:
    kind: EventType = "requested" if reason == "offer-changed" else "notified"
    try:
        changes.append_event(
            session, sealer, record, kind, actor=SYSTEM, authority="rule", now=now, reason=reason, about=about,
            answer_by=until,
        )  # fmt: skip
    except KeyDestroyed:  # the resident left; nobody is there to be asked
        store.delete_for(session, record.account_id)
        return False
    return True


def _pause(session: Session, row: Campaign, actor: Actor, now: Millis, *, reason: str) -> CampaignView:
    row.state, row.paused_at = "paused", now
    session.add(row)
    _record(session, row, "paused", actor, now, reason=reason)
    return _view(row)


def _close(session: Session, row: Campaign, to: State, actor: Actor, now: Millis) -> CampaignView:
    asks.close_all(session.connection(), row.id)
    row.state, row.closed_at = to, now
    session.add(row)
    _record(session, row, to, actor, now, reason="")
    return _view(row)


def _record(session: Session, row: Campaign, what: str, actor: Actor, now: Millis, *, reason: str) -> None:
    """Into the trail; and in public, for a campaign says when the city ends what people agreed to."""
    session.flush()
    audit.record(
        session,
        f"consent.campaign.{what}",
        actor=actor,
        object=("agreement", row.agreement_id),
        detail={
            "campaign": row.id,
            "revision": row.revision_id,
            "deadline": iso(row.deadline_at),
            "per_hour": row.per_hour,
            "reminders": row.reminders,
            **({"reason": reason} if reason else {}),
        },
    )
    document = {
        "type": f"campaign-{what}",
        "agreement": row.agreement_id,
        "revision": row.revision_id,
        "begins": iso(row.begins_at),
        "deadline": iso(row.deadline_at),
        "time": iso(now),
    }
    append(session, public_entry(document))


def _rows(session: Session, agreement_id: str) -> Campaign | None:
    query = select(Campaign).where(Campaign.agreement_id == agreement_id).order_by(col(Campaign.id).desc()).limit(1)
    return session.exec(query).first()


def _latest(session: Session, agreement_id: str) -> Campaign:
    row = _rows(session, agreement_id)
    if row is None:
        raise UnknownCampaign("Nobody is asked again about this agreement.")
    return row


def _view(row: Campaign) -> CampaignView:
    return CampaignView(
        row.id,
        row.agreement_id,
        row.revision_id,
        cast(State, row.state),
        Plan(row.begins_at, row.deadline_at, row.per_hour, row.reminders),
        row.started_by,
        row.created_at,
        row.closed_at,
    )
