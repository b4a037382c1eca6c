"""How far a campaign is, in people, for staff: by the rules of `reach`, once a day at most.

Each figure is a whole ten rounded down by itself, and moves only when ten to nineteen people (drawn anew each time)
have moved since; so neither a small campaign, nor two figures subtracted, nor two looks tell what one person did.
"""

from dataclasses import dataclass
from typing import Final

from sqlmodel import col, select

from consent import asks
from consent.campaign_rules import OPEN, Outcome
from consent.models import Campaign
from consent.reach import FEWEST, draw
from kit.clock import DAY, Clock, Millis
from kit.db import Database, Session

EVERY: Final = DAY
Counted = dict[Outcome, int]


@dataclass(frozen=True, slots=True)
class Progress:
    """People, each counted once, in tens; 0 for fewer than ten."""

    asked: int
    agreed: int
    partly: int
    refused: int
    waiting: int
    ended: int
    at: Millis


def count(session: Session, campaign_id: str, *, now: Millis) -> Counted | None:
    """The exact figures, if it is time to publish some. For `publish`, and for nobody's eyes."""
    row = session.get(Campaign, campaign_id)
    if row is None or (row.shown_at and now - row.shown_at < EVERY):
        return None
    return asks.count(session.connection(), campaign_id)


def publish(session: Session, campaign_id: str, found: Counted, *, now: Millis) -> bool:
    """Publish progress anew if enough people moved; whether it was done."""
    row = session.get(Campaign, campaign_id)
    if row is None:
        return False
    before = {
        "agreed": row.agreed, "partly": row.partly, "refused": row.refused, "waiting": row.waiting, "ended": row.ended,
    }  # fmt: skip
    # Whoever came and went again may be missed, which errs on the safe side.
    moved = sum(max(0, found.get(name, 0) - then) for name, then in before.items())  # type: ignore[call-overload]
    if moved < row.enough:
        return False
    row.agreed, row.partly, row.refused = found.get("agreed", 0), found.get("partly", 0), found.get("refused", 0)
    row.waiting, row.ended = found.get("waiting", 0), found.get("ended", 0)
    row.shown_at, row.enough = now, draw()
    session.add(row)
    return True


def published(session: Session, campaign_id: str) -> Progress | None:
    """What staff may see; None while nothing may be told."""
    row = session.get(Campaign, campaign_id)
    if row is None or not row.shown_at:
        return None

    def tens(people: int) -> int:
        return people // FEWEST * FEWEST

    asked = row.agreed + row.partly + row.refused + row.waiting + row.ended
    return Progress(
        asked=tens(asked),
        agreed=tens(row.agreed),
        partly=tens(row.partly),
        refused=tens(row.refused),
        waiting=tens(row.waiting),
        ended=tens(row.ended),
        at=row.shown_at,
    )


async def run(database: Database, clock: Clock) -> int:
    """The job: every campaign that is open or closed lately, one short transaction each; how many were published."""

    def lately(session: Session) -> list[str]:
        recent = (col(Campaign.state).in_(OPEN)) | (col(Campaign.closed_at) > clock.ms() - 3 * EVERY)
        return list(session.exec(select(col(Campaign.id)).where(recent)))

    done = 0
    for campaign_id in await database.read(lately):
        found = await database.read(count, campaign_id, now=clock.ms())  # beside the writes, as in `reach`
        if found is not None:
            done += await database.bulk(publish, campaign_id, found, now=clock.ms())
    return done
