"""A visit to the counter: a code on the resident's own phone, a clerk who sees the person, the level that follows.

NIST SP 800-63A-4, sections 2.1 and 3 (attended on-site proofing). The code is what brings resident and clerk together:
40 random bits, kept as a keyed hash, good for minutes and once, made in a session with two factors. So a clerk can
neither browse residents nor raise somebody who is not there, and a code seen over a shoulder opens nothing but a visit
that the resident is told of. What the clerk compared is kept as it was on that day, sealed under the resident's key: a
name changed afterwards is not a verified name. Rows are history; an account's level is the highest that stands.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import orjson
from sqlalchemy import Connection, func
from sqlalchemy import select as core_select
from sqlmodel import SQLModel, col, delete, select, update

from identity.accounts import Profile, get_account, phone_rang, profile
from identity.assurance import documents as papers
from identity.assurance.documents import Document, Electronic
from identity.assurance.models import Verification, VisitCode
from identity.errors_account import SecondPersonNeeded, VisitClosed
from identity.oidc import claims as claims_of
from identity.resets import TOLD_FOR, end_families
from identity.second_person import is_oneself, require_another
from identity.throttle import Throttles
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY, HOUR, MINUTE, Clock, Millis
from kit.db import Session
from kit.host import SYSTEM, Actor
from kit.ids import new_id
from kit.problems import Invalid, NotFound

#: How long a clerk has for one visit, and a colleague to confirm it.
VISIT: Millis = 20 * MINUTE
WAIT: Millis = 2 * HOUR
#: What a document shows and a clerk can compare. The first two make a person; without them nothing is verified.
COMPARED = ("name", "birthdate", "address", "gender")
#: The name's own parts, character for character (identity.person.fits): who compared the name compared them.
PARTS = frozenset({"family_name", "given_name"})
NEEDED = frozenset({"name", "birthdate"})
END_REASONS = ("mistake", "fraud", "changed")
UNFINISHED_KEPT: Millis = 7 * DAY

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford base32: no I, L, O or U to misread or mishear
_table = SQLModel.metadata.tables["identity_verification"]

Closing = Literal["refused", "abandoned"]


@dataclass(frozen=True, slots=True)
class VerificationView:
    """One visit, without anything that is only the clerk's to see."""

    id: str
    account_id: str
    status: str  # "open" | "waiting" | "standing" | "refused" | "abandoned" | "ended"
    ial: int
    documents: tuple[Document, ...]
    electronic: tuple[Electronic, ...]  # evidence no clerk saw (identity.assurance.electronic)
    claims: Mapping[str, Any]
    face: bool
    opened_by: str  # the clerk; of electronic evidence the authority that was asked
    opened_at: Millis
    recorded_at: Millis | None
    confirmed_by: str | None
    verified_at: Millis | None
    ended_by: str | None
    ended_at: Millis | None
    reason: str | None
    expires_at: Millis


@dataclass(frozen=True, slots=True)
class Missed:
    """The code was not good. Wrong, used and run out are one answer."""


@dataclass(frozen=True, slots=True)
class Own:
    """The code was good, and the clerk bears the resident's very name."""


@dataclass(frozen=True, slots=True)
class TooOften:
    """Too many codes were typed."""

    seconds: int


def new_code() -> str:
    """A fresh code as the phone shows it: two groups of four, 40 bits."""
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(2))
    return "-".join(groups)


def normal_code(text: str) -> str:
    """The one spelling of a code, however it was typed."""
    letters = "".join(text.upper().split()).replace("-", "")
    return letters.translate(str.maketrans("ILO", "110"))[:100]


def level(place: Session | Connection, account_id: str, *, now: Millis) -> int:
    """The identity assurance level of an account at this moment; 0 if nobody has looked."""
    query = core_select(func.max(_table.c.ial)).where(
        _table.c.account_id == account_id, _table.c.status == "standing", _table.c.expires_at > now
    )
    connection = place if isinstance(place, Connection) else place.connection()
    return int(connection.execute(query).scalar() or papers.NONE)


def standing_at(place: Session | Connection, account_id: str, *, now: Millis) -> Millis:
    """When that was verified which counts now (`Verifications.standing`); 0 if nothing does."""
    query = (
        core_select(_table.c.verified_at)
        .where(_table.c.account_id == account_id, _table.c.status == "standing", _table.c.expires_at > now)
        .order_by(_table.c.ial.desc(), _table.c.method.desc(), _table.c.verified_at.desc())
        .limit(1)
    )
    connection = place if isinstance(place, Connection) else place.connection()
    return int(connection.execute(query).scalar() or 0)


class Verifications:
    """The visits of this city."""

    def __init__(
        self,
        sealer: Sealer,
        hasher: TokenHasher,
        clock: Clock,
        throttles: Throttles,
        *,
        code_life: Millis,
        life: Millis,
        two_clerks_from: int,
        token_life: Millis,
    ) -> None:
        self._sealer = sealer
        self._hasher = hasher
        self._clock = clock
        self._throttles = throttles
        self._code_life = code_life
        self._life = life
        self._two_clerks_from = two_clerks_from
        self._token_life = token_life

    def needs_second(self, ial: int) -> bool:
        """Whether a second clerk must confirm this level."""
        return ial >= self._two_clerks_from

    # -- the resident ---------------------------------------------------------------------------------------------

    def make_code(self, session: Session, account_id: str, *, code: str, actor: Actor) -> Millis:
        """`code` (from `new_code`) opens one visit from now on; the former one opens none. Returns until when.

        Raises NotFound.
        """
        now = self._clock.ms()
        found = get_account(session, account_id)
        if found.kind != "resident" or found.status != "active":
            raise NotFound("Only residents are verified.")
        row = session.get(VisitCode, account_id) or VisitCode(account_id=account_id, digest=b"", expires_at=0)
        row.digest, row.expires_at, row.used_at = self._digest(code), now + self._code_life, None
        session.add(row)
        session.flush()
        audit.record(session, "identity.verification.code-made", actor=actor, object=("account", account_id))
        return row.expires_at

    def history(self, session: Session, account_id: str, *, limit: int = 20) -> tuple[VerificationView, ...]:
        """The visits of a resident, newest first."""
        query = select(Verification).where(Verification.account_id == account_id)
        rows = session.exec(query.order_by(col(Verification.id).desc()).limit(limit)).all()
        return tuple(map(self._view_for(session, account_id), rows))

    def standing(self, session: Session, account_id: str) -> VerificationView | None:
        """The verification that counts now: the highest level, of these a clerk's (`pipp`) first, and the newest."""
        query = (
            select(Verification)
            .where(
                Verification.account_id == account_id,
                Verification.status == "standing",
                col(Verification.expires_at) > self._clock.ms(),
            )
            .order_by(
                col(Verification.ial).desc(), col(Verification.method).desc(), col(Verification.verified_at).desc()
            )
            .limit(1)
        )
        row = session.exec(query).first()
        return None if row is None else self._view_for(session, account_id)(row)

    def verified_lately(self, session: Session, account_id: str) -> Millis | None:
        """When a clerk verified the account, if that is news: the resident is told on their first page."""
        query = select(func.max(col(Verification.verified_at))).where(
            Verification.account_id == account_id,
            Verification.status == "standing",
            Verification.method == "pipp",
            col(Verification.verified_at) > self._clock.ms() - TOLD_FOR,
        )
        return session.exec(query).one()

    def level(self, place: Session | Connection, account_id: str) -> int:
        """The account's identity assurance level now."""
        return level(place, account_id, now=self._clock.ms())

    def end(self, session: Session, account_id: str, *, reason: str, actor: Actor) -> int:
        """Nothing counts any more: the level is 0 from this commit on. Returns how many verifications ended.

        `reason` is one of END_REASONS, or "asked" by the resident. After a mistake or fraud what was let in under the
        level goes too: every refresh family and what came of it. Raises Invalid.
        """
        if reason not in (*END_REASONS, "asked"):
            raise Invalid("Choose a reason of the list.", pointer="/reason")
        now, before = self._clock.ms(), self.level(session, account_id)
        rows = self._close(session, account_id, reason, actor, now)
        if rows:
            self.changed(session, account_id, before, reason, actor)
            if reason in ("mistake", "fraud"):
                end_families(session, account_id, now=now, token_life=self._token_life)
        return rows

    # -- the counter ----------------------------------------------------------------------------------------------

    def enter(self, session: Session, code: str, *, source: str, actor: Actor) -> str | Missed | Own | TooOften:
        """The code is spent and opens a visit; returns its id. Of many clerks who type it at once one gets in (I7).

        Guesses are paid by the clerk and by the network (RFC 8628 section 5.1 asks the same of device codes).
        """
        now = self._clock.ms()
        wait = self._throttles.charge_user_code(session, account_id=actor.id, source=source, now=now)
        if wait is not None:
            return TooOften(wait.seconds)
        digest = self._digest(code)
        row = session.exec(select(VisitCode).where(VisitCode.digest == digest)).first()
        spent = session.exec(
            update(VisitCode)
            .where(col(VisitCode.digest) == digest, col(VisitCode.used_at).is_(None), col(VisitCode.expires_at) > now)
            .values(used_at=now)
            .execution_options(synchronize_session=False)
        )
        if row is None or spent.rowcount != 1 or get_account(session, row.account_id).status != "active":
            audit.record(
                session, "identity.verification.missed", actor=actor, object=("account", actor.id), outcome="refused"
            )
            return Missed()
        session.expire(row)
        if is_oneself(session, self._sealer, row.account_id, actor):
            audit.record(
                session,
                "identity.verification.own-name",
                actor=actor,
                object=("account", row.account_id),
                outcome="refused",
            )
            return Own()
        # One visit at a time: whoever left one open has nobody before them any more.
        for left in session.exec(
            select(Verification).where(Verification.opened_by == actor.id, Verification.status == "open")
        ):
            self._finish(session, left, "abandoned", actor)
        visit = Verification(
            id=new_id("ver"), account_id=row.account_id, status="open", opened_by=actor.id, opened_at=now,
            expires_at=now + VISIT,
        )  # fmt: skip
        session.add(visit)
        session.flush()
        self._record(session, "opened", visit, actor)
        return visit.id

    def look(self, session: Session, visit_id: str, *, actor: Actor) -> tuple[VerificationView, Profile]:
        """The visit and the person, for the clerk who has them at the counter, or the colleague asked to confirm.

        Raises NotFound for everybody else, and for everybody once it is over: a clerk's memory is not our archive.
        """
        visit = self._live(session, visit_id)
        if visit.status == "open" and visit.opened_by != actor.id:
            raise NotFound("There is no such visit.")
        if visit.opened_by != actor.id:
            seen = audit.entries(
                session, action="identity.verification.viewed", actor_id=actor.id, object_id=visit.account_id,
                since=self._clock.ms() - 10 * MINUTE, limit=1,
            )  # fmt: skip
            if not seen:
                self._record(session, "viewed", visit, actor)
        view = self._view_for(session, visit.account_id)(visit)
        return view, profile(session, self._sealer, visit.account_id)

    def record(
        self,
        session: Session,
        visit_id: str,
        *,
        documents: Iterable[Document],
        face: bool,
        compared: Iterable[str],
        today: date,
        actor: Actor,
        rang: bool = False,
    ) -> VerificationView:
        """What the clerk saw; the level follows. `rang`: the profile's telephone rang in the person's hand.

        Raises Invalid, NotFound, VisitClosed.
        """
        now = self._clock.ms()
        visit = self._live(session, visit_id)
        if visit.opened_by != actor.id:
            raise NotFound("There is no such visit.")
        if visit.status != "open":
            raise VisitClosed("This visit is written down already.")
        shown = papers.check(documents, today=today)
        names = frozenset(compared)
        if not names >= NEEDED or not names <= set(COMPARED):
            raise Invalid("Compare name and date of birth at least.", pointer="/compared")
        person = profile(session, self._sealer, visit.account_id)
        said = claims_of.told(person, names | PARTS)
        if not said.keys() >= NEEDED:
            raise Invalid("The resident must first fill in name and date of birth.", pointer="/compared")
        ial = papers.level_of(shown, face=face)
        key = self._sealer.owner(session, visit.account_id)
        second = self.needs_second(ial)
        changed = session.exec(
            update(Verification)
            .where(col(Verification.id) == visit_id, col(Verification.status) == "open")
            .values(
                status="waiting",
                ial=ial,
                face=face,
                documents=key.seal(place("documents", visit_id), orjson.dumps([one.to_json() for one in shown])),
                claims=key.seal(place("claims", visit_id), orjson.dumps(said)),
                recorded_at=now,
                expires_at=now + WAIT,
            )
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:
            raise VisitClosed("This visit is written down already.")
        session.expire(visit)
        self._record(session, "recorded", visit, actor, kinds=[one.kind for one in shown], second=second)
        if rang:
            phone_rang(session, self._sealer, visit.account_id, now=now, actor=actor)
        if not second:
            self._stand(session, visit, actor)
        return self._view_for(session, visit.account_id)(visit)

    def waiting(self, session: Session, *, limit: int = 100) -> tuple[VerificationView, ...]:
        """What waits for a second clerk, oldest first; nothing of the person."""
        query = (
            select(Verification)
            .where(Verification.status == "waiting", col(Verification.expires_at) > self._clock.ms())
            .order_by(col(Verification.id))
            .limit(limit)
        )
        return tuple(_view(row, (), {}) for row in session.exec(query))

    def confirm(self, session: Session, visit_id: str, *, actor: Actor) -> VerificationView:
        """The second clerk saw the same. Raises NotFound, SecondPersonNeeded, VisitClosed."""
        visit = self._live(session, visit_id)
        sentence = "Whoever began a visit can't confirm it. Ask a colleague."
        require_another(session, self._sealer, actor, began_by=visit.opened_by, otherwise=sentence)
        if is_oneself(session, self._sealer, visit.account_id, actor):
            raise SecondPersonNeeded(sentence)
        if visit.status != "waiting":
            raise VisitClosed("There is nothing to confirm.")
        self._stand(session, visit, actor, second=True)
        return self._view_for(session, visit.account_id)(visit)

    def refuse(self, session: Session, visit_id: str, *, actor: Actor) -> None:
        """It comes to nothing: the clerk breaks off, or a colleague does not confirm. Raises NotFound, VisitClosed."""
        visit = self._live(session, visit_id)
        if visit.status == "open" and visit.opened_by != actor.id:
            raise NotFound("There is no such visit.")
        to: Closing = "abandoned" if visit.opened_by == actor.id else "refused"
        if not self._finish(session, visit, to, actor):
            raise VisitClosed("This visit is over already.")

    def sweep(self, session: Session, *, limit: int = 1_000) -> int:
        """Forget codes and unfinished visits that ran out; end what has run out, which the resident reads."""
        now = self._clock.ms()
        old = select(VisitCode.account_id).where(col(VisitCode.expires_at) < now).limit(limit)
        done = session.exec(delete(VisitCode).where(col(VisitCode.account_id).in_(old))).rowcount
        query = select(Verification).where(Verification.status == "standing", col(Verification.expires_at) <= now)
        for row in session.exec(query.order_by(col(Verification.expires_at)).limit(limit)).all():
            others = select(func.max(col(Verification.ial))).where(
                Verification.account_id == row.account_id, Verification.status == "standing", Verification.id != row.id
            )
            after = session.exec(others).one() or papers.NONE
            if self._end_row(session, row.id, "expired", "", now):
                self._record(session, "ended", row, SYSTEM, reason="expired")
                self._told(session, row.account_id, max(row.ial, after), after, "expired", SYSTEM)
                done += 1
        left = select(Verification.id).where(
            col(Verification.status).in_(("open", "waiting")), col(Verification.expires_at) < now - UNFINISHED_KEPT
        )
        done += session.exec(delete(Verification).where(col(Verification.id).in_(left.limit(limit)))).rowcount
        return done

    # -- inside ---------------------------------------------------------------------------------------------------

    def _stand(self, session: Session, visit: Verification, actor: Actor, *, second: bool = False) -> None:
        now = self._clock.ms()
        before = self.level(session, visit.account_id)
        changed = session.exec(
            update(Verification)
            .where(col(Verification.id) == visit.id, col(Verification.status) == "waiting")
            .values(
                status="standing",
                confirmed_by=actor.id if second else None,
                verified_at=now,
                expires_at=now + self._life,
            )
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount != 1:
            raise VisitClosed("This visit is over already.")
        session.expire(visit)
        self._record(session, "confirmed" if second else "stands", visit, actor)
        # What it outdoes ends here; a higher level of another day stays.
        self._close(session, visit.account_id, "superseded", actor, now, keep=visit.id, up_to=visit.ial)
        self.changed(session, visit.account_id, before, "verified", actor)

    def _close(
        self,
        session: Session,
        account_id: str,
        reason: str,
        actor: Actor,
        now: Millis,
        *,
        keep: str = "",
        up_to: int = 3,
    ) -> int:
        query = select(Verification).where(
            Verification.account_id == account_id,
            col(Verification.status).in_(("standing",) if keep else ("standing", "waiting", "open")),
            Verification.id != keep,
            col(Verification.ial) <= up_to,
        )
        ended = 0
        for row in session.exec(query).all():
            if self._end_row(session, row.id, reason, actor.id, now):
                self._record(session, "ended", row, actor, reason=reason)
                ended += 1
        return ended

    def _end_row(self, session: Session, visit_id: str, reason: str, who: str, now: Millis) -> bool:
        changed = session.exec(
            update(Verification)
            .where(col(Verification.id) == visit_id, col(Verification.status).in_(("standing", "waiting", "open")))
            .values(status="ended", reason=reason, ended_by=who or None, ended_at=now)
            .execution_options(synchronize_session=False)
        )
        return changed.rowcount == 1

    def _finish(self, session: Session, visit: Verification, to: Closing, actor: Actor) -> bool:
        """What was written down of a visit that came to nothing is not kept."""
        changed = session.exec(
            update(Verification)
            .where(col(Verification.id) == visit.id, col(Verification.status).in_(("open", "waiting")))
            .values(status=to, ended_by=actor.id, ended_at=self._clock.ms(), documents=None, claims=None)
            .execution_options(synchronize_session=False)
        )
        if changed.rowcount == 1:
            self._record(session, to, visit, actor)
        return changed.rowcount == 1

    def supersede(self, session: Session, visit: Verification, actor: Actor) -> None:
        """A newer one took its place."""
        if self._end_row(session, visit.id, "superseded", actor.id, self._clock.ms()):
            self._record(session, "ended", visit, actor, reason="superseded")

    def changed(self, session: Session, account_id: str, before: int, reason: str, actor: Actor) -> None:
        """The level may be another than `before`: whoever listens to levels is told."""
        self._told(session, account_id, before, self.level(session, account_id), reason, actor)

    def _told(self, session: Session, account_id: str, before: int, after: int, reason: str, actor: Actor) -> None:
        """One entry for whoever listens to levels (streams of signals, the desk)."""
        if after != before:
            audit.record(
                session,
                "identity.assurance.changed",
                actor=actor,
                object=("account", account_id),
                detail={"from": before, "to": after, "reason": reason},
            )

    def _live(self, session: Session, visit_id: str) -> Verification:
        row = session.get(Verification, visit_id)
        if row is None or row.status not in ("open", "waiting") or row.expires_at <= self._clock.ms():
            raise NotFound("There is no such visit.")
        return row

    def _record(self, session: Session, what: str, visit: Verification, actor: Actor, **more: Any) -> None:
        detail = {"verification": visit.id, "ial": visit.ial, **more}
        outcome = "refused" if what == "refused" else "ok"
        audit.record(
            session,
            f"identity.verification.{what}",
            actor=actor,
            object=("account", visit.account_id),
            detail=detail,
            outcome=outcome,
        )

    def _view_for(self, session: Session, account_id: str) -> Callable[[Verification], VerificationView]:
        key = self._sealer.owner(session, account_id)

        def view(row: Verification) -> VerificationView:
            shown: Any = []
            said: dict[str, Any] = {}
            if row.documents is not None and row.claims is not None:
                shown = orjson.loads(key.open(place("documents", row.id), row.documents))
                said = orjson.loads(key.open(place("claims", row.id), row.claims))
            papers = tuple(Document(**one) for one in shown if "chip" in one)
            electronic = tuple(Electronic(**one) for one in shown if "type" in one)
            return _view(row, papers, said, electronic)

        return view

    def _digest(self, code: str) -> bytes:
        return self._hasher.digest("visit-code", normal_code(code))


def place(column: str, visit_id: str) -> str:
    """What a sealed column is bound to."""
    return f"identity_verification|{column}|{visit_id}"


def _view(
    row: Verification, shown: tuple[Document, ...], said: Mapping[str, Any], electronic: tuple[Electronic, ...] = ()
) -> VerificationView:
    return VerificationView(
        id=row.id, account_id=row.account_id, status=row.status, ial=row.ial, documents=shown, electronic=electronic,
        claims=said,
        face=row.face, opened_by=row.opened_by, opened_at=row.opened_at, recorded_at=row.recorded_at,
        confirmed_by=row.confirmed_by, verified_at=row.verified_at, ended_by=row.ended_by, ended_at=row.ended_at,
        reason=row.reason, expires_at=row.expires_at,
    )  # fmt: skip
