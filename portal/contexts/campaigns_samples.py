"""Samples of a campaign's pages."""

from dataclasses import replace

from kit.clock import DAY
from portal.contexts import Sample
from portal.contexts.campaigns import Campaign, CampaignPage
from portal.contexts.console import ReachLine
from portal.contexts.console_samples import AGREEMENT, NOW


def samples() -> list[Sample]:
    """Nothing to ask, a plan, a plan with mistakes, and a campaign in each state."""
    campaign = Campaign(
        state="running",
        begins_at=NOW - 6 * DAY,
        deadline_at=NOW + 24 * DAY,
        per_hour=1000,
        reminders=1,
        started_by="岬 千尋",
        progress=(
            ReachLine("たずねた人", "2,340-2,349"),
            ReachLine("すべてに同意した人", "640-649"),
            ReachLine("一部に同意した人", "310-319"),
            ReachLine("断った人", "90-99"),
            ReachLine("まだ答えていない人", "1,290-1,299"),
            ReachLine("前の同意が終わった人", "10人未満"),
        ),
        progress_at=NOW - DAY,
    )
    page = CampaignPage(
        agreement_id="agr_bus",
        title="バスの本数を増やすために",
        number=2,
        changes=AGREEMENT.changes,
        campaign=None,
        may_start=True,
        values={"begins": "", "deadline": "2026-12-22", "per_hour": "1000", "reminders": "1"},
        errors={},
    )

    def of(name: str, context: CampaignPage) -> Sample:
        return Sample("console/campaign.html", name, context, viewer="operator", path="/console/agreements")

    return [
        of("plan", page),
        of("errors", replace(page, values=page.values | {"per_hour": "0"}, errors={"per_hour": "1 to 20,000."})),
        of("none", replace(page, may_start=False, changes=(), values={})),
        of("running", replace(page, may_start=False, campaign=campaign, values={})),
        of(
            "few",
            replace(page, may_start=False, campaign=replace(campaign, progress=(), progress_at=None), values={}),
        ),
        *(
            of(state, replace(page, may_start=False, campaign=replace(campaign, state=state), values={}))
            for state in ("scheduled", "paused", "finished", "cancelled", "overtaken")
        ),
    ]
