"""How many people an agreement reached and how they answered, for staff: never about fewer than ten people.

Three things are closed. *A small group*: figures are whole tens, rounded down; below ten there is only "fewer than
ten", which may be nobody. *Adding and subtracting*: each figure is rounded by itself, and no exact total stands beside
them. *Looking again tomorrow*: a figure that moved by one would tell what the one person did whom the reader saw at the
counter. So figures are published at most once a week, and only when enough people stand otherwise than
the last time. How many are enough is drawn anew for each publication, from ten to nineteen, and kept from everybody:
who brings nine accounts of their own along does not know whose answer the tenth was.
"""

import secrets
from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select

from consent.models import Agreement, Reach
from kit.clock import DAY, Clock, Millis
from kit.db import Database, Quick, Session

FEWEST: Final = 10
WEEK: Final = 7 * DAY
_STANDING = Quick(
    "SELECT count(*) FROM consent_record WHERE agreement_id = :agreement AND state = 'given' AND until_at > :now"
)
_OTHERS = Quick(  # who was asked and never answered is nobody here
    "SELECT r.state, count(*) FROM consent_record r JOIN (SELECT max(id) AS id FROM consent_record "
    "WHERE agreement_id = :agreement AND state NOT IN ('requested', 'lapsed') "
    "AND account_id NOT IN (SELECT account_id FROM consent_record "
    "WHERE agreement_id = :agreement AND state = 'given' AND until_at > :now) GROUP BY account_id) n ON n.id = r.id "
    "GROUP BY r.state"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """People, each counted once, by how they stand now."""

    answered: int
    agreed: int
    refused: int
    ended: int

    def moved_since(self, before: "Figures") -> int:
        """At least so many people stand otherwise than before. Whoever came and went again may be missed, which errs on
        the safe side; being told or asked something moves nobody."""
        pairs = ((self.agreed, before.agreed), (self.refused, before.refused), (self.ended, before.ended))
        return sum(max(0, now - then) for now, then in pairs)

    def in_tens(self) -> "Figures":
        """What may be told: 0 for fewer than ten."""
        return Figures(*(each // FEWEST * FEWEST for each in (self.answered, self.agreed, self.refused, self.ended)))


@dataclass(frozen=True, slots=True)
class Published:
    """Figures in tens, and of when they are."""

    figures: Figures
    at: Millis


def draw() -> int:
    """How many people are enough next time."""
    return FEWEST + secrets.randbelow(FEWEST)


def tally(session: Session, agreement_id: str, *, now: Millis) -> Figures:
    """The exact figures. For `publish`, and for nobody's eyes."""
    connection = session.connection()
    found = _STANDING.one(connection, agreement=agreement_id, now=now)
    agreed = int(found[0]) if found else 0
    others = {str(state): int(count) for state, count in _OTHERS.all(connection, agreement=agreement_id, now=now)}
    refused, total = others.get("refused", 0), sum(others.values())
    return Figures(agreed + total, agreed, refused, total - refused)


def is_time(session: Session, agreement_id: str, *, now: Millis) -> bool:
    """Whether a week has passed since the last publication."""
    row = session.get(Reach, agreement_id)
    return row is None or not row.at or now - row.at >= WEEK


def publish(session: Session, agreement_id: str, exact: Figures, *, now: Millis) -> bool:
    """Publish an agreement's figures anew if it is time and enough people moved; whether it was done."""
    row = session.get(Reach, agreement_id)
    if row is None:  # kept at once: asking again and again must not draw until it fits
        row = Reach(agreement_id=agreement_id, at=0, enough=draw(), answered=0, agreed=0, refused=0, ended=0)
        session.add(row)
    if not is_time(session, agreement_id, now=now) or exact.moved_since(_figures(row)) < row.enough:
        return False
    row.answered, row.agreed, row.refused, row.ended = exact.answered, exact.agreed, exact.refused, exact.ended
    row.at, row.enough = now, draw()
    session.add(row)
    return True


def published(session: Session, agreement_id: str) -> Published | None:
    """What staff may see; None while nothing may be told."""
    row = session.get(Reach, agreement_id)
    return None if row is None or not row.at else Published(_figures(row).in_tens(), row.at)


def _figures(row: Reach) -> Figures:
    return Figures(row.answered, row.agreed, row.refused, row.ended)


async def run(database: Database, clock: Clock) -> int:
    """The job: every agreement; how many were published anew. People are counted beside the writes, never in one:
    among ten million consents that takes seconds, in which nobody could agree or withdraw."""

    def all_of_them(session: Session) -> list[str]:
        found = session.exec(select(col(Agreement.id))).all()
        return [agreement_id for agreement_id in found if is_time(session, agreement_id, now=clock.ms())]

    done = 0
    for agreement_id in await database.read(all_of_them):
        exact = await database.read(tally, agreement_id, now=clock.ms())
        done += await database.bulk(publish, agreement_id, exact, now=clock.ms())
    return done
