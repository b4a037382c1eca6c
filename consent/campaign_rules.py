"""How people may be asked again: how fast, how often, for how long. Pure.

A campaign must not be a nag. Whoever is asked has two weeks at least, is reminded twice at most and never twice in a
week, and a no is respected: for three months nobody asks that person about this agreement again. Nor may it be a
burst: people are asked a minute's share at a time.
"""

from dataclasses import dataclass
from typing import Final, Literal

from consent.errors import BadCampaign
from kit.clock import DAY, HOUR, MINUTE, Millis

State = Literal["scheduled", "running", "paused", "finished", "cancelled", "overtaken"]
Outcome = Literal["waiting", "agreed", "partly", "refused", "ended"]

OPEN: Final[frozenset[str]] = frozenset({"scheduled", "running", "paused"})
LEAST_TIME: Final = 14 * DAY
MOST_TIME: Final = 180 * DAY
AHEAD: Final = 90 * DAY
MOST_REMINDERS: Final = 2
BETWEEN: Final = 7 * DAY
RESPECTED: Final = 90 * DAY
FASTEST: Final = 20_000
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class Plan:
    """What staff decide about a campaign; everything else follows."""

    begins_at: Millis
    deadline_at: Millis
    per_hour: int
    reminders: int

    def check(self, now: Millis) -> None:
        """Raise BadCampaign with a pointer."""
        if not now - MINUTE <= self.begins_at <= now + AHEAD:
            raise BadCampaign("It begins now, or in the next 90 days.", pointer="/begins")
        if not LEAST_TIME <= self.deadline_at - self.begins_at <= MOST_TIME:
            raise BadCampaign("Leave between 14 and 180 days to answer.", pointer="/deadline")
        if not 1 <= self.per_hour <= FASTEST:
            raise BadCampaign(f"Ask between 1 and {FASTEST} people an hour.", pointer="/per_hour")
        if not 0 <= self.reminders <= MOST_REMINDERS:
            raise BadCampaign(f"Remind at most {MOST_REMINDERS} times.", pointer="/reminders")


def share(per_hour: int) -> int:
    """How many people at once: what a minute allows, and never more than one write holds."""
    return min(AT_ONCE, max(1, per_hour // 60))


def pause_after(people: int, per_hour: int) -> Millis:
    """How long nobody else is asked after so many."""
    return people * HOUR // per_hour


def time_of(asked_at: Millis, deadline_at: Millis) -> Millis:
    """Until when somebody may answer: the campaign's deadline, and whoever is asked late has the least time still."""
    return max(deadline_at, asked_at + LEAST_TIME)


def next_look(now: Millis, until_at: Millis, *, left: int) -> Millis:
    """When to look at a question again that waits: at the next reminder (spread over the time that is left), or at its
    end."""
    if left <= 0:
        return until_at
    at = now + max(BETWEEN, (until_at - now) // (left + 1))
    return at if at <= until_at - DAY else until_at  # a reminder on the last day comes too late to be one
