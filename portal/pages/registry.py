"""The console about clients yet to come: a request gone through before a service sends it, and leave to register.

A pasted request is asked of the endpoint itself (`identity.oauth.trial`) and changes nothing. A token that lets
somebody register clients (RFC 7591 section 1.2) is answered to the POST that made it, never stored, never in an
address.
"""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity import members
from identity.enrolments import Enrolments, Initial
from identity.errors import UnknownRegistrationToken
from identity.oauth.trial import Rule, Trial, Tried
from identity.registration import STANDARD_SCOPES
from kit import context
from kit.clock import DAY, SECOND
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal.contexts import registry as contexts
from portal.contexts.console import Choice
from portal.i18n import N_, _
from portal.staff import OPERATOR
from portal.visits import pages, require_staff, visit_of
from portal.web import notice, read_form, redirect, render

WITHDRAWN = notice("registry.withdrawn", N_("Taken back. Clients it registered stay."))
GONE = notice("registry.gone", N_("It was used up, taken back or ran out."), kind="warn")
_MOST_USES, _MOST_DAYS, _LONGEST = 1000, 365, 60_000
_SCOPES = " ".join(scope for scope in STANDARD_SCOPES if scope != "offline_access")


def router(host: Host) -> APIRouter:
    """/console/request and /console/registration-tokens."""
    routes = pages(host)
    db, clock = host.db, host.clock

    @routes.get("/console/request")
    async def paste(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        return render(request, "console/request.html", contexts.RequestTest("", False, "", "", "", "", (), ()))

    @routes.post("/console/request")
    async def test(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        form = await read_form(request, limit=4 * _LONGEST)
        text, pushed = form.one("text")[:_LONGEST], form.one("how") == "pushed"
        found = await host.get(Trial).run(text, pushed=pushed, source=context.request.get().source)
        return render(request, "console/request.html", _tested(text, pushed, found))

    # -- leave to register

    def listed(session: Session, lang: str, values: dict[str, str], errors: dict[str, str]) -> Any:
        names = {one.id: one.name(lang) for one in members.list_all(session, status="approved", limit=500)}
        lines = tuple(_line(one, names) for one in host.get(Enrolments).list_initial(session))
        chosen = values.get("member", "")
        choices = tuple(Choice(one, name, one == chosen) for one, name in names.items())
        mode = host.settings.identity.registration
        return contexts.RegistrationTokens(mode, lines, values, choices, errors)

    @routes.get("/console/registration-tokens")
    async def tokens(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        found = await db.read(listed, visit_of(request).language.code, {}, {})
        return render(request, "console/registration_tokens.html", found)

    @routes.post("/console/registration-tokens")
    async def issue(request: Request) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        lang = visit_of(request).language.code
        uses, days = _number(form.one("uses", "1"), _MOST_USES), _number(form.one("days", "30"), _MOST_DAYS)
        scopes = form.one("scope", _SCOPES).split()
        errors = {}
        if uses is None:
            errors["uses"] = _("Write a number from 1 to %(most)s.", most=_MOST_USES)
        if days is None:
            errors["days"] = _("Write a number from 1 to %(most)s.", most=_MOST_DAYS)
        if not scopes or len(scopes) > 50 or any(len(one) > 100 for one in scopes):
            errors["scope"] = _("Write at least one scope.")
        known = await db.read(listed, lang, dict(form.as_dict()), errors)
        member = form.one("member")
        if member and member not in {choice.value for choice in known.members}:
            raise NotFound("No approved member has this id.")
        if errors or uses is None or days is None:
            return render(request, "console/registration_tokens.html", known, status=422)
        _made, token = await db.write(
            host.get(Enrolments).issue_initial,
            member_id=member or None,
            scopes=tuple(dict.fromkeys(scopes)),
            uses=uses,
            lifetime=days * DAY // SECOND,
            actor=actor,
        )
        name = next((choice.words for choice in known.members if choice.value == member), "")
        address = f"{host.issuer}/oauth/register"
        shown = contexts.NewRegistrationToken(token, address, name, uses, clock.ms() + days * DAY)
        return render(request, "console/registration_token.html", shown)

    @routes.post("/console/registration-tokens/{token_id}/withdraw")
    async def withdraw(request: Request, token_id: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        try:
            await db.write(host.get(Enrolments).withdraw_initial, token_id, actor=actor)
        except UnknownRegistrationToken:
            return redirect(request, "/console/registration-tokens", notice=GONE)
        return redirect(request, "/console/registration-tokens", notice=WITHDRAWN)

    return routes


def _tested(text: str, pushed: bool, found: Tried) -> contexts.RequestTest:
    asks: tuple[str, ...] = ()
    if found.request is not None:
        uses = tuple(f"{one.get('type')} {one.get('agreement', '')}".strip() for one in found.request.details)
        asks = (*found.request.remembered, *uses)
    return contexts.RequestTest(
        text=text,
        pushed=pushed,
        verdict="accepted" if found.error is None else "refused",
        told=found.told,
        code=found.error.code if found.error is not None else "",
        detail=found.error.description if found.error is not None else "",
        asks=asks,
        rules=tuple(_rule(one) for one in found.rules),
    )


def _rule(rule: Rule) -> contexts.RuleLine:
    if rule.error is not None:
        return contexts.RuleLine(rule.name, "broken", rule.error.code, rule.error.description)
    return contexts.RuleLine(rule.name, "kept" if rule.asked else "skipped", "", "")


def _line(initial: Initial, names: dict[str, str]) -> contexts.TokenLine:
    member = names.get(initial.member_id or "", initial.member_id or "")
    return contexts.TokenLine(initial.id, member, initial.scopes, initial.uses_left, initial.expires_at)


def _number(text: str, most: int) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 4:
        return None
    return int(text) if 1 <= int(text) <= most else None
