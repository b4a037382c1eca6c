"""The landing page and the error page."""

from dataclasses import dataclass

from portal.contexts import Sample
from portal.i18n import N_


@dataclass(frozen=True)
class Landing:
    """landing.html: what Sekisho is, for a stranger."""

    ledger_size: int


@dataclass(frozen=True)
class ErrorPage:
    """error.html: what went wrong, and what to do next. `title`, `what` and `next_step` are message ids; `code` is the
    problem's, for programs."""

    status: int
    title: str
    what: str
    next_step: str
    detail: str
    action_href: str
    action_label: str
    reference: str
    code: str


def samples() -> list[Sample]:
    """One of each, and the rare one."""
    return [
        Sample("landing.html", "default", Landing(ledger_size=12408)),
        Sample(
            "error.html",
            "not-found",
            ErrorPage(
                status=404,
                title=N_("This page does not exist"),
                what=N_("The address may have changed, or what was here is not yours to see."),
                next_step=N_("Go back to the start and choose again."),
                detail="",
                action_href="/home",
                action_label=N_("To the start"),
                reference="req_01hzx3kq8e4m",
                code="not-found",
            ),
            path="/data/nothing",
        ),
    ]
