"""Mandates: who may act for somebody else, in what, until when, and on whose word.

Two kinds. A *delegate*'s is agreed by both: the person gives a code away, whoever types it is shown to the person, and
only the person's second word makes it count; so no name is looked up, and a code that went astray opens nothing. A
*guardian*'s is written down at the counter by two clerks from documents, for a child whose date of birth is known, and
ends by the clock at the hour the child comes of age (Civil Code article 4: eighteen, as the birthday begins; who was
born on 29 February comes of age on 1 March in a common year).

What a mandate allows is asked inside the very write that uses it (`require`), by the clock of that write: one that was
ended or ran out a moment ago allows nothing, whatever a page still shows. Nobody acts for somebody in what is not
listed here: credentials, mandates, leaving and data are never the holder's. Holding a mandate gives none to give on.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final

from sqlalchemy import update
from sqlmodel import col, select

from identity.accounts import get_account, profile
from identity.emails import new_code
from identity.errors_account import MandateClosed, OutsideMandate, SecondPersonNeeded
from identity.models_account import Account, Mandate
from identity.recovery import clean
from identity.second_person import is_oneself, require_another
from identity.throttle import Throttles, Wait
from keys.envelope import Sealer
from keys.errors import KeyDestroyed
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, Clock, Millis, to_datetime
from kit.db import Session
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.problems import Conflict, Invalid, NotFound

#: What may be listed: look at consents and their history; answer and change; take back.
ACTIONS: Final = ("see", "answer", "withdraw")
EVIDENCE: Final = ("family-register", "court-order")
LIVE: Final = ("offered", "accepted", "checked", "active")
LONGEST: Final[Millis] = 3 * 366 * DAY
CODE_LIFE: Final[Millis] = 7 * DAY
MOST: Final = 20
MAJORITY: Final = 18
_JAPAN = timezone(timedelta(hours=9), "JST")


@dataclass(frozen=True, slots=True)
class MandateView:
    """A mandate as its two people see it."""

    id: str
    kind: str  # "guardian" | "delegate"
    subject_id: str
    holder_id: str
    status: str  # "offered" | "accepted" | "checked" | "active" | "ended"
    actions: tuple[str, ...]
    purposes: tuple[str, ...]  # none: all
    proof: str
    opened_by: str
    until_at: Millis
    ended_at: Millis | None
    why: str

    def allows(self, action: str, purpose: str | None = None) -> bool:
        """Whether it lists this. A purpose outside of its own is not even seen."""
        return action in self.actions and (not self.purposes or purpose is None or purpose in self.purposes)


def majority(birthdate: str) -> Millis:
    """When somebody born on this day comes of age. Pure; raises ValueError for no date."""
    born = date.fromisoformat(birthdate)
    try:
        day = born.replace(year=born.year + MAJORITY)
    except ValueError:  # 29 February
        day = date(born.year + MAJORITY, 3, 1)
    return int(datetime(day.year, day.month, day.day, tzinfo=_JAPAN).astimezone(UTC).timestamp() * 1000)


class Mandates:
    """The mandates of this city."""

    def __init__(self, sealer: Sealer, hasher: TokenHasher, clock: Clock, throttles: Throttles) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._throttles = throttles

    # -- a delegate's, by both

    def offer(
        self,
        session: Session,
        subject_id: str,
        *,
        actions: Iterable[str],
        purposes: Iterable[str] = (),
        until_at: Millis,
        actor: Actor,
    ) -> tuple[str, str]:
        """The person's first word: what, until when; the id and the code to give away. Raises Invalid, Conflict."""
        now, listed = self._clock.ms(), sorted(set(actions))
        if not listed or not set(listed) <= set(ACTIONS):
            raise Invalid("Choose what may be done.", pointer="/actions")
        if not now < until_at <= now + LONGEST:
            raise Invalid("Choose an end within three years.", pointer="/until")
        self._require_adult(session, subject_id)
        # The row is locked: of many offers at once on PostgreSQL the last sees how many there are.
        session.exec(select(Account.id).where(Account.id == subject_id).with_for_update()).one()
        if len([each for each in self.given(session, subject_id) if each.status in LIVE]) >= MOST:
            raise Conflict(f"At most {MOST} mandates. End one that is not needed.")
        code, identifier = new_code(), new_id("mdt")
        session.add(
            Mandate(
                id=identifier, kind="delegate", subject_id=subject_id, status="offered", actions=listed,
                purposes=sorted(set(purposes)), proof="both", opened_by=subject_id, opened_at=now, until_at=until_at,
                code_hash=self._digest(code), code_until=min(now + CODE_LIFE, until_at),
            )
        )  # fmt: skip
        session.flush()
        self._note(session, "offered", subject_id, identifier, actor, {"actions": listed})
        return identifier, code

    def accept(self, session: Session, holder_id: str, code: str, *, source: str, actor: Actor) -> MandateView | Wait:
        """The holder's word. It counts when the person has seen who it is. Raises MandateClosed, the same for every
        code that is none, and for one's own."""
        now = self._clock.ms()
        wait = self._throttles.charge_user_code(session, account_id=holder_id, source=source, now=now)
        if wait is not None:
            return wait
        self._require_adult(session, holder_id)
        digest = self._digest(code[:100])
        found = session.exec(
            select(Mandate).where(
                Mandate.code_hash == digest, Mandate.status == "offered", col(Mandate.code_until) > now,
                Mandate.subject_id != holder_id,
            )
        ).first()  # fmt: skip
        if found is None or not self._move(
            session, found.id, "offered", "accepted", holder_id=holder_id, code_hash=None
        ):
            raise MandateClosed("This code is not right, was used, or is too old. Ask for a new one.", pointer="/code")
        self._note(session, "accepted", found.subject_id, found.id, actor, {"holder": holder_id})
        session.refresh(found)
        return _view(found)

    def confirm(self, session: Session, mandate_id: str, subject_id: str, *, actor: Actor) -> None:
        """The person's second word, having seen who accepted. Raises MandateClosed."""
        row = self._own(session, mandate_id, subject_id)
        if not self._move(session, row.id, "accepted", "active"):
            raise MandateClosed("This mandate was ended, or nobody has accepted it yet.")
        self._note(session, "begun", subject_id, row.id, actor, {"holder": row.holder_id, "kind": row.kind})

    def end(self, session: Session, mandate_id: str, person_id: str, *, actor: Actor) -> None:
        """Over at once: by the person, or laid down by the holder. Raises NotFound, MandateClosed.

        A child can't end a guardian's: the city office does, from documents.
        """
        row = session.get(Mandate, mandate_id)
        mine = row is not None and (
            row.holder_id == person_id or (row.subject_id == person_id and row.kind != "guardian")
        )
        if row is None or not mine:
            raise NotFound("There is no such mandate.")
        self._end(session, row, actor, "subject" if row.subject_id == person_id else "holder")

    # -- a guardian's, at the counter by two

    def check(self, session: Session, subject_id: str, holder_id: str, *, evidence: str, actor: Actor) -> str:
        """The first clerk has seen the document. Raises Invalid, NotFound, Conflict, SecondPersonNeeded."""
        if evidence not in EVIDENCE:
            raise Invalid("Choose a document of the list.", pointer="/evidence")
        for account_id in (subject_id, holder_id):
            found = get_account(session, account_id)
            if found.kind != "resident" or found.status != "active":
                raise NotFound("There is no such resident.")
        if subject_id == holder_id:
            raise Invalid("Nobody is their own guardian.", pointer="/holder")
        self._require_no_own(session, (subject_id, holder_id), actor)
        self._require_adult(session, holder_id)
        now = self._clock.ms()
        try:
            until_at = majority(profile(session, self._sealer, subject_id).birthdate)
        except ValueError:
            raise Invalid("The date of birth is not known. Verify the person first.", pointer="/holder") from None
        if until_at <= now:
            raise Invalid("This person is of age and has no guardian.", pointer="/holder")
        live = [each for each in self.given(session, subject_id) if each.status in LIVE]
        if any(each.holder_id == holder_id for each in live) or len(live) >= MOST:
            raise Conflict("This mandate stands or waits already.")
        identifier = new_id("mdt")
        session.add(
            Mandate(
                id=identifier, kind="guardian", subject_id=subject_id, holder_id=holder_id, status="checked",
                actions=list(ACTIONS), purposes=[], proof=evidence, opened_by=actor.id, opened_at=now,
                until_at=until_at,
            )
        )  # fmt: skip
        session.flush()
        self._note(session, "checked", subject_id, identifier, actor, {"holder": holder_id, "evidence": evidence})
        return identifier

    def approve(self, session: Session, mandate_id: str, *, actor: Actor) -> None:
        """The second clerk. Raises SecondPersonNeeded, MandateClosed."""
        row = self._row(session, mandate_id)
        sentence = "Whoever checked the document can't approve it. Ask a colleague."
        require_another(session, self._sealer, actor, began_by=row.opened_by, otherwise=sentence)
        if row.until_at <= self._clock.ms() or not self._move(session, row.id, "checked", "active"):
            raise MandateClosed("This mandate was approved or ended already.")
        self._require_no_own(session, [one for one in (row.subject_id, row.holder_id) if one], actor)
        detail = {"holder": row.holder_id, "kind": row.kind}
        self._note(session, "begun", row.subject_id, row.id, actor, detail)

    def _require_no_own(self, session: Session, people: Iterable[str], actor: Actor) -> None:
        """Closes: a clerk who makes themselves somebody's guardian, with a colleague who only looks at the screen."""
        if any(is_oneself(session, self._sealer, each, actor) for each in people):
            raise SecondPersonNeeded("Nobody writes down a mandate of their own. Ask a colleague.")

    def end_by_office(self, session: Session, mandate_id: str, *, actor: Actor) -> None:
        """A court, a death, a mistake. Raises MandateClosed."""
        self._end(session, self._row(session, mandate_id), actor, "office")

    # -- asking

    def given(self, session: Session, account_id: str) -> tuple[MandateView, ...]:
        """Those about this person, newest first."""
        query = select(Mandate).where(Mandate.subject_id == account_id).order_by(col(Mandate.id).desc()).limit(100)
        return tuple(self._now(_view(row)) for row in session.exec(query))

    def held(self, session: Session, account_id: str) -> tuple[MandateView, ...]:
        """Those this person holds, newest first."""
        query = select(Mandate).where(Mandate.holder_id == account_id).order_by(col(Mandate.id).desc()).limit(100)
        return tuple(self._now(_view(row)) for row in session.exec(query))

    def get(self, session: Session, mandate_id: str) -> MandateView:
        """One; raises NotFound."""
        return self._now(_view(self._row(session, mandate_id)))

    def standing(self, session: Session, mandate_id: str, *, holder_id: str) -> MandateView | None:
        """The mandate under which this person acts, as long as it stands."""
        return standing(session, mandate_id, holder_id=holder_id, now=self._clock.ms())

    # -- the clock

    def run_out(self, session: Session, *, limit: int = 100) -> int:
        """Delegates' whose end has come, and offers nobody took: told in the trail. They allowed nothing any more."""
        now = self._clock.ms()
        over = (col(Mandate.until_at) <= now) | ((col(Mandate.status) == "offered") & (col(Mandate.code_until) <= now))
        # A guardian's in force is ended by whoever settles what was agreed under it (consent.majority).
        mine = (col(Mandate.kind) == "delegate") | (col(Mandate.status) == "checked")
        query = select(Mandate).where(mine, col(Mandate.status).in_(LIVE), over).limit(limit)
        rows = session.exec(query).all()
        for row in rows:
            self._end(session, row, SYSTEM, "time")
        return len(rows)

    # -- inside

    def _now(self, view: MandateView) -> MandateView:
        from dataclasses import replace

        ran_out = view.status in LIVE and view.until_at <= self._clock.ms()
        return replace(view, status="ended", why="time") if ran_out else view

    def _require_adult(self, session: Session, account_id: str) -> None:
        """A child neither gives nor holds one. Raises Invalid; an unknown date of birth is no child's."""
        found = get_account(session, account_id)
        if found.kind != "resident" or found.status != "active":
            raise NotFound("There is no such resident.")
        born = profile(session, self._sealer, account_id).birthdate
        if born and majority(born) > self._clock.ms():
            raise Invalid("Mandates are for people who are of age.", pointer="/holder")

    def _move(self, session: Session, mandate_id: str, before: str, after: str, **values: object) -> bool:
        moved = session.connection().execute(
            update(Mandate)
            .where(
                col(Mandate.id) == mandate_id, col(Mandate.status) == before, col(Mandate.until_at) > self._clock.ms()
            )
            .values(status=after, changed_at=self._clock.ms(), **values)
        )
        session.expire_all()
        return moved.rowcount == 1

    def _end(self, session: Session, row: Mandate, actor: Actor, why: str) -> None:
        if not end_row(session, row.id, why=why, now=self._clock.ms()):
            raise MandateClosed("This mandate has ended already.")
        detail = {"holder": row.holder_id or "", "kind": row.kind, "why": why}
        self._note(session, "ended", row.subject_id, row.id, actor, detail)

    def _own(self, session: Session, mandate_id: str, subject_id: str) -> Mandate:
        row = session.get(Mandate, mandate_id)
        if row is None or row.subject_id != subject_id:
            raise NotFound("There is no such mandate.")
        return row

    def _row(self, session: Session, mandate_id: str) -> Mandate:
        row = session.get(Mandate, mandate_id)
        if row is None:
            raise NotFound("There is no such mandate.")
        return row

    def _note(
        self, session: Session, verb: str, subject_id: str, mandate_id: str, actor: Actor, detail: Mapping[str, object]
    ) -> None:
        about = ("account", subject_id)
        detail = {"mandate": mandate_id, **detail}
        audit.record(session, f"identity.mandate.{verb}", actor=actor, object=about, detail=detail)

    def _digest(self, code: str) -> bytes:
        return self._hasher.digest("mandate", clean(code))


def standing(session: Session, mandate_id: str, *, holder_id: str, now: Millis) -> MandateView | None:
    """The mandate, if it stands at this moment, its holder is this one, and both may use their accounts."""
    row = session.get(Mandate, mandate_id)
    if row is None or row.status != "active" or row.holder_id != holder_id or row.until_at <= now:
        return None
    active = select(Account.id).where(col(Account.id).in_((row.subject_id, holder_id)), Account.status == "active")
    return _view(row) if len(session.exec(active).all()) == 2 else None


def require(
    session: Session, actor: Actor, *, subject_id: str, action: str, purpose: str | None, now: Millis
) -> MandateView:
    """The mandate under which `actor` does this for `subject_id`, asked inside that write. Raises OutsideMandate."""
    found = standing(session, actor.mandate_id or "", holder_id=actor.id, now=now)
    if found is None or found.subject_id != subject_id or not found.allows(action, purpose):
        raise OutsideMandate("Your mandate does not cover this, or has ended.")
    return found


def is_minor(session: Session, sealer: Sealer, account_id: str, *, now: Millis) -> bool:
    """Whether somebody is known to be a child, or has a guardian whose mandate stands."""
    guarded = select(Mandate.id).where(
        Mandate.subject_id == account_id,
        Mandate.kind == "guardian",
        Mandate.status == "active",
        col(Mandate.until_at) > now,
    )
    if session.exec(guarded.limit(1)).first() is not None:
        return True
    born = profile(session, sealer, account_id).birthdate
    return bool(born) and majority(born) > now


def end_given(session: Session, subject_id: str, *, actor: Actor, now: Millis) -> int:
    """Everything this person gave away themselves ends, for somebody else may have been in as them and have given it
    to themselves: it would outlive every session and every password. A guardian's, which two clerks wrote down, stays.
    """
    query = select(Mandate).where(
        Mandate.subject_id == subject_id, Mandate.kind == "delegate", col(Mandate.status).in_(LIVE)
    )
    ended = 0
    for row in session.exec(query).all():
        detail = {"mandate": row.id, "holder": row.holder_id or "", "kind": row.kind, "why": "subject"}
        if end_row(session, row.id, why="subject", now=now):
            audit.record(session, "identity.mandate.ended", actor=actor, object=("account", subject_id), detail=detail)
            ended += 1
    return ended


def of_age(session: Session, *, now: Millis, limit: int = 20) -> tuple[MandateView, ...]:
    """Guardians' mandates over people who have come of age and whose consents were not settled yet.

    Those too that ended before: what was agreed to under one stands until then, and is nobody's own word after.
    """
    waits = (col(Mandate.status) == "active") | (
        (col(Mandate.status) == "ended") & (col(Mandate.changed_at) < col(Mandate.until_at))
    )
    query = select(Mandate).where(Mandate.kind == "guardian", waits, col(Mandate.until_at) <= now)
    return tuple(_view(row) for row in session.exec(query.order_by(col(Mandate.until_at)).limit(limit)))


def came_of_age(session: Session, mandate: MandateView, *, now: Millis) -> bool:
    """End it; True for one caller. Part of the write that settles what was agreed under it."""
    if mandate.status == "ended":  # it allowed nothing any more; only what it left is settled, once
        settled = session.connection().execute(
            update(Mandate)
            .where(col(Mandate.id) == mandate.id, col(Mandate.changed_at) < col(Mandate.until_at))
            .values(changed_at=now)
        )
        session.expire_all()
        return settled.rowcount == 1
    if not end_row(session, mandate.id, why="of-age", now=now):
        return False
    audit.record(
        session,
        "identity.mandate.ended",
        actor=SYSTEM,
        object=("account", mandate.subject_id),
        detail={"mandate": mandate.id, "holder": mandate.holder_id, "kind": mandate.kind, "why": "of-age"},
    )
    return True


def end_row(session: Session, mandate_id: str, *, why: str, now: Millis) -> bool:
    """The one statement that ends a mandate; True for one caller."""
    ended = session.connection().execute(
        update(Mandate)
        .where(col(Mandate.id) == mandate_id, col(Mandate.status).in_(LIVE))
        .values(status="ended", ended_at=now, changed_at=now, why=why, code_hash=None)
    )
    session.expire_all()
    return ended.rowcount == 1


def name_of(session: Session, sealer: Sealer, account_id: str) -> str:
    """How the other of the two is called; "" for somebody who has left."""
    try:
        return profile(session, sealer, account_id).name
    except (KeyDestroyed, NotFound):
        return ""


def day_end(day: date) -> Millis:
    """The last moment of a day in the city."""
    return int(datetime(day.year, day.month, day.day, tzinfo=_JAPAN).timestamp() * 1000) + DAY - 1


def today(now: Millis) -> date:
    """The day in the city."""
    return to_datetime(now).astimezone(_JAPAN).date()


def _view(row: Mandate) -> MandateView:
    return MandateView(
        row.id,
        row.kind,
        row.subject_id,
        row.holder_id or "",
        row.status,
        tuple(row.actions),
        tuple(row.purposes),
        row.proof,
        row.opened_by,
        row.until_at,
        row.ended_at,
        row.why,
    )
