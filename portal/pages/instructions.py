"""Answers given in advance: the resident's standing instructions, stated, changed and stopped; and undoing an answer.

Only in one's own account is anything stated; who acts for somebody and may take back all of their consents may stop.
Undoing is one button at the answer itself: a consent is taken back, a refusal becomes a question that waits.
"""

from datetime import date
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from consent import instructions, questions, records
from consent.errors import BadInstruction, ConsentState, InstructionState
from consent.instruction_rules import SPECIAL, Rule
from consent.instructions import ACTIVE, Instruction
from consent.purposes import GROUPS, PURPOSES
from identity import mandates, members
from infobank.catalogue import Catalogue
from keys.envelope import Sealer
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from portal import i18n
from portal.contexts.instructions import InstructionLine, InstructionsPage, Option, PurposeGroup
from portal.i18n import N_, _, ngettext
from portal.pages.consents import OVER, WITHDRAWN, names
from portal.visits import pages, require_session, visit_of
from portal.web import Form, notice, read_form, redirect, render

PLACE = "/consents/instructions"
STATED = notice("instructions.stated", N_("It holds from now on. You are told each time it answers for you."))
STOPPED = notice("instructions.stopped", N_("Stopped. From now on you are asked again."))
GONE = notice("instructions.gone", N_("This was over already. Nothing was changed."), kind="info")
ASKED = notice(
    "instructions.asked", N_("The refusal is undone. Read the question, and answer as you like."), kind="info"
)
_PROBLEMS = {"/purposes": "purposes", "/categories": "categories", "/until": "until"}


def line_of(each: Instruction, called: dict[str, str], catalogue: Catalogue, lang: str) -> InstructionLine:
    """An instruction in words. Pure."""
    rule, join = each.rule, i18n.current().join
    agrees = rule.answer == "agree"
    details = [PURPOSES[code].label(lang) for code in sorted(rule.purposes) if code in PURPOSES]
    if not (rule.purposes or rule.categories or rule.recipients):
        details.append(_("Everything that services ask"))
    if rule.categories:
        details.append(_("Data: %(what)s", what=join(names(tuple(sorted(rule.categories)), catalogue, lang))))
    if rule.recipients:
        details.append(_("Recipients: %(who)s", who=join(called.get(one, one) for one in sorted(rule.recipients))))
    elif agrees:
        details.append(_("Recipients: those that the city has checked"))
    if agrees:
        details.append(ngettext("At most %(num)d month each", "At most %(num)d months each", rule.months))
    sentence = _("Requests like these are agreed to.") if agrees else _("Requests like these are refused.")
    return InstructionLine(each.id, each.state, sentence, tuple(details), each.revision, each.until_at)


def purpose_groups(lang: str) -> tuple[PurposeGroup, ...]:
    """What data may be asked for, as people look for it. Pure."""
    return tuple(
        PurposeGroup(each.id, each.label(lang), tuple((code, PURPOSES[code].label(lang)) for code in each.codes))
        for each in GROUPS
    )


def rule_of(form: Form, catalogue: Catalogue) -> Rule:
    """What the form says. Raises BadInstruction for no answer."""
    answer = form.one("answer")
    if answer not in ("agree", "refuse"):
        raise BadInstruction("Choose an answer.", pointer="/answer")
    categories = frozenset(each for each in form.all("categories") if catalogue.find(each) is not None)
    months = form.one("months")
    known = [found.sensitivity for each in categories if (found := catalogue.find(each))]
    return Rule(
        "agree" if answer == "agree" else "refuse",
        frozenset(each for each in form.all("purposes") if each in PURPOSES),
        categories,
        frozenset(form.all("recipients")),
        int(months) if answer == "agree" and months in ("1", "3", "6", "12") else 0,
        # What is agreed to is not to become more delicate than it is today.
        min(max(known, default=0), SPECIAL - 1) if answer == "agree" else 0,
    )


def router(host: Host) -> APIRouter:
    """/consents/instructions, and /consents/{id}/undo."""
    routes = pages(host)
    sealer, catalogue = host.get(Sealer), host.get(Catalogue)

    async def page(
        request: Request, account_id: str, problem: str = "", *, form: Form | None = None, status: int = 200
    ) -> Response:
        lang, now = i18n.current().code, host.clock.ms()
        changes = form.one("instruction") if form else request.query_params.get("change", "")[:40]

        def read(session: Session) -> InstructionsPage:
            found = instructions.list_for(session, sealer, account_id, now=now)
            city = members.list_all(session, status="approved")
            called = {each.id: each.name(lang) for each in city}
            one = next((each for each in found if each.id == changes and each.state == ACTIVE), None)
            rule = one.rule if one and form is None else None
            ticked = (*rule.purposes, *rule.categories, *rule.recipients) if rule else ()
            if form is not None:
                ticked = (*form.all("purposes"), *form.all("categories"), *form.all("recipients"))
            until = mandates.today(one.until_at).isoformat() if one else ""
            lines = [(each.state, line_of(each, called, catalogue, lang)) for each in found]
            return InstructionsPage(
                active=tuple(line for state, line in lines if state == ACTIVE),
                over=tuple(line for state, line in lines if state != ACTIVE),
                own=visit_of(request).acting is None,
                changes=one.id if one else "",
                answer=form.one("answer") if form else rule.answer if rule else "",
                purposes=purpose_groups(lang),
                categories=tuple(
                    Option(
                        each.id,
                        each.label.of(lang),
                        _("Needs special care: a yes is asked of you each time.")
                        if each.sensitivity >= SPECIAL
                        else "",
                    )
                    for each in catalogue
                ),
                recipients=tuple(Option(each.id, each.name(lang)) for each in city),
                ticked=tuple(ticked),
                months=rule.months if rule and rule.months else 6,
                until=form.one("until") if form else until,
                problem=problem,
            )

        return render(request, "resident/instructions.html", await host.db.read(read), status=status)

    @routes.get(PLACE)
    async def own(request: Request) -> Response:
        return await page(request, require_session(request, may="see", whole=True).account_id)

    @routes.post(PLACE)
    async def state(request: Request) -> Response:
        current = require_session(request)  # never for somebody else: it would outlive the mandate
        form = await read_form(request)
        try:
            until_at = _until(form.one("until"))
            who: dict[str, Any] = {"account_id": current.account_id, "actor": current.actor(), "now": host.clock.ms()}
            which = form.one("instruction") or None
            rule = rule_of(form, catalogue)
            await host.db.write(instructions.state, sealer, rule=rule, until_at=until_at, instruction_id=which, **who)
        except BadInstruction as wrong:
            problem = _PROBLEMS.get(wrong.pointer or "", "answer")
            return await page(request, current.account_id, problem, form=form, status=422)
        except InstructionState:
            minor = await host.db.read(mandates.is_minor, sealer, current.account_id, now=host.clock.ms())
            return await page(request, current.account_id, "minor" if minor else "many", form=form, status=409)
        return redirect(request, PLACE, notice=STATED)

    @routes.post("/consents/instructions/{instruction_id}/stop")
    async def stop(request: Request, instruction_id: str) -> Response:
        current = require_session(request, may="withdraw", whole=True)
        try:
            await host.db.write(
                instructions.stop, sealer, instruction_id, account_id=current.account_id, actor=current.actor(),
                now=host.clock.ms(),
            )  # fmt: skip
        except InstructionState:
            return redirect(request, PLACE, notice=GONE)
        return redirect(request, PLACE, notice=STOPPED)

    @routes.post("/consents/{consent_id}/undo")
    async def undo(request: Request, consent_id: str) -> Response:
        """What an instruction answered: a consent is taken back, a refusal becomes a question again."""
        current = require_session(request)
        lang = i18n.current().code

        def write(session: Session) -> str | None:
            now = host.clock.ms()
            who: dict[str, Any] = {"account_id": current.account_id, "actor": current.actor()}
            record = records.get(session, consent_id, account_id=current.account_id, now=now)
            if record.instruction_id is None or not (record.stands or record.state == "refused"):
                return None
            if record.stands:
                records.withdraw(session, sealer, consent_id=consent_id, now=now, **who)
                return ""
            return questions.ask(
                session, sealer, revision_id=record.revision_id, notice_lang=lang, now=now, **who
            )  # fmt: skip

        try:
            asked = await host.db.write(write)
        except ConsentState:  # agreed to by hand meanwhile
            asked = None
        if asked:
            return redirect(request, f"/consents/{asked}/answer", notice=ASKED)
        return redirect(request, f"/consents/{consent_id}", notice=OVER if asked is None else WITHDRAWN)

    return routes


def _until(typed: str) -> Millis:
    try:
        return mandates.day_end(date.fromisoformat(typed))
    except (ValueError, OverflowError):
        raise BadInstruction("Choose a day.", pointer="/until") from None
