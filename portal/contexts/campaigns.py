"""console/campaign.html: asking again about a material change; planning it, and how far it is."""

from dataclasses import dataclass

from portal.contexts.console import Changed, ReachLine


@dataclass(frozen=True)
class Campaign:
    """A campaign that is under way, or over."""

    state: str
    begins_at: int
    deadline_at: int
    per_hour: int
    reminders: int
    started_by: str
    progress: tuple[ReachLine, ...]
    progress_at: int | None


@dataclass(frozen=True)
class CampaignPage:
    """The page; with `values` while one can be planned."""

    agreement_id: str
    title: str
    number: int  # the revision it asks about
    changes: tuple[Changed, ...]
    campaign: Campaign | None
    may_start: bool
    values: dict[str, str]
    errors: dict[str, str]
