"""Problems as pages: in the reader's language, with what to do next and a reference for the help desk."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from identity.errors_account import OutsideMandate
from kit import context
from kit.ids import new_id
from kit.problems import Problem
from portal import i18n
from portal.contexts.base import ErrorPage
from portal.i18n import N_
from portal.visits import visit_of


@dataclass(frozen=True)
class _Words:
    title: str
    what: str
    next_step: str
    href: str = "/home"
    label: str = N_("To the start")


_BY_STATUS = {
    400: _Words(
        N_("This page could not read what was sent"),
        N_("Something in the address or the form was incomplete. Nothing was changed."),
        N_("Go back and try once more."),
    ),
    401: _Words(
        N_("Please sign in first"),
        N_("This page is for people who are signed in."),
        N_("Sign in, and you will come back here."),
        "/sign-in",
        N_("Sign in"),
    ),
    403: _Words(
        N_("This is not possible from here"),
        N_("The request was refused. Nothing was changed."),
        N_("Open the page again from the start and repeat what you wanted to do."),
    ),
    404: _Words(
        N_("This page does not exist"),
        N_("The address may have changed, or what was here is not yours to see."),
        N_("Go back to the start and choose again."),
    ),
    409: _Words(
        N_("Something has changed in the meantime"),
        N_("What you wanted to do no longer fits how things are now. Nothing was changed."),
        N_("Open the page again and look at the current state."),
    ),
    413: _Words(
        N_("This is too large"),
        N_("The file or the form is larger than this page accepts. Nothing was changed."),
        N_("Choose a smaller file."),
    ),
    422: _Words(
        N_("Something needs to be corrected"),
        N_("At least one field could not be accepted. Nothing was changed."),
        N_("Go back, correct it and send it again."),
    ),
    429: _Words(
        N_("Too many tries"),
        N_("To protect your account we pause here for a while."),
        N_("Wait a few minutes, then try again."),
    ),
    503: _Words(
        N_("Not possible right now"),
        N_("The system is busy or is being restarted. Nothing was changed."),
        N_("Wait a moment and try again."),
    ),
}
# What a status alone would say wrongly: here the way on is at the top of the page, not at the start.
_BY_TYPE = {
    OutsideMandate.type_path(): _Words(
        N_("You can't do this for somebody else"),
        N_("You are acting for another person, and this was not put into your hands. Nothing was changed."),
        N_("To do it for yourself, go back to your own account first: the link is at the top of this page."),
        "/consents",
        N_("To the consents you look after"),
    ),
}
_OURS = _Words(
    N_("Something went wrong on our side"),
    N_("Nothing was changed, and the mistake is not yours. We have recorded it."),
    N_("Try again later. If you ask us about it, tell us the reference below."),
)
_SIMILAR = {405: 404, 410: 404, 415: 400}


def error_page(status: int, *, detail: str, reference: str, signed_in: bool, kind: str = "") -> ErrorPage:
    """The words for a status. `detail` is shown where it is in the reader's language."""
    words = (
        _BY_TYPE.get(kind)
        or _BY_STATUS.get(_SIMILAR.get(status, status))
        or (_OURS if status >= 500 else _BY_STATUS[400])
    )
    translated = i18n.current().gettext(detail) if detail else ""
    if (translated == detail and i18n.current().code != "en") or reference in detail:
        translated = ""  # a sentence in another language helps nobody; the reference has its own place
    href = words.href if signed_in or words.href != "/home" else "/"
    return ErrorPage(
        status=status,
        title=words.title,
        what=words.what,
        next_step=words.next_step,
        detail=translated,
        action_href=href,
        action_label=words.label,
        reference=reference,
        code=kind.rpartition("/")[2],
    )


def problem_page(request: Request, problem: Problem) -> Response:
    """Answer with the page of a problem; the private part stays in the log."""
    from portal.web import render

    visit = visit_of(request)
    with i18n.speaking(visit.language):
        page = error_page(
            problem.status,
            detail=problem.detail,
            reference=context.request.get().request_id or new_id("req"),
            signed_in=visit.browser is not None,
            kind=problem.type_path(),
        )
        response = render(request, "error.html", page, status=problem.status)
    for name, value in problem.headers.items():
        response.headers[name] = value
    return response


def wants_page(request: Request) -> bool:
    """Whether the answer to this request is for a person: a browser that asks for HTML."""
    return "text/html" in request.headers.get("accept", "")
