"""The console about the federation: this city's place, who stands below it, trust marks, why an entity is refused.

What gives trust is shown before it counts, key by key, and waits for a second person where the settings want that; what
takes it away is a page of its own, with a reason for the trail. Rules and writes are `identity.federation`'s.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast, get_args
from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity.client_paths import plain, segment
from identity.errors import ChangeGone, InvalidSubordinate, SubordinateState, UnknownSubordinate, UnknownTrustMark
from identity.errors_account import SecondPersonNeeded
from identity.federation import mark_book, subordinates
from identity.federation.admission import clients_of
from identity.federation.changes import Change, FederationChanges
from identity.federation.explain import Explained, Explaining
from identity.federation.mark_book import Given
from identity.federation.service import Federation
from identity.federation.subordinates import Reason
from identity.public_keys import thumbprints
from keys.envelope import Sealer
from kit.clock import DAY, Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound, TooMany
from portal import staff
from portal.contexts import federation as contexts
from portal.i18n import N_, _
from portal.staff import OPERATOR
from portal.visits import pages, require_staff
from portal.web import Form, notice, read_form, redirect, render

PLACE = "/console/federation"
VOUCHED = notice("federation.vouched", N_("The city vouches for it from now on."))
ASKED = notice("federation.asked", N_("Asked for. It is in force when a second person approves it."))
APPROVED = notice("federation.approved", N_("Approved. It is in force."))
DECLINED = notice("federation.declined", N_("Taken back. Nothing changed."))
GONE = notice("federation.gone", N_("That change does not wait any more. This is how it is now."), kind="warn")
SAME = notice("federation.same", N_("You asked for this change. Somebody else has to approve it."), kind="warn")
NOT_NOW = notice("federation.not-now", N_("That is not possible any more. This is how it is now."), kind="warn")
STOPPED = notice("federation.stopped", N_("It is in force: the city says nothing about it any more."))
RESUMED = notice("federation.resumed", N_("The city vouches for it again."))
MARKED = notice("federation.marked", N_("The trust mark is given. The entity fetches it here."))
REVOKED = notice("federation.revoked", N_("The trust mark is taken back."))

KINDS = (
    "openid_relying_party", "openid_provider", "federation_entity", "oauth_client", "oauth_authorization_server",
    "oauth_resource",
)  # fmt: skip
PAGE = 50
_LONGEST = 200_000
_MOST_DAYS = 3650


class _Wrong(Exception):
    def __init__(self, field: str, words: str) -> None:
        super().__init__(field)
        self.field, self.words = field, words


def router(host: Host) -> APIRouter:
    """Everything below /console/federation."""
    routes = pages(host)
    db, clock, federation = host.db, host.clock, host.get(Federation)
    changes, explaining = host.get(FederationChanges), host.get(Explaining)

    # -- the city's place

    @routes.get(PLACE)
    async def show(request: Request) -> Response:
        me = require_staff(request, *OPERATOR).account_id
        keys = await federation.keys.all() if federation.on else ()
        after, before = (request.query_params.get(name, "")[:2000] for name in ("after", "before"))
        states = tuple((key.kid, key.state) for key in keys if key.state in ("active", "next"))
        return render(request, "console/federation.html", await db.read(_overview, me, states, after, before))

    def _overview(
        session: Session, me: str, keys: tuple[tuple[str, str], ...], after: str, before: str
    ) -> contexts.Federation:
        settings, ours = federation.settings, federation.city.entity_id
        below = subordinates.list_all(session, ended=True, after=after, limit=PAGE)
        marks = mark_book.list_all(session, before=before, limit=PAGE)
        anchors = tuple(one.entity_id for one in settings.trust_anchors)
        waiting = changes.waiting(session)
        names = staff.names(session, host.get(Sealer), [one.proposed_by for one in waiting])
        return contexts.Federation(
            place=_place(federation),
            entity_id=ours,
            above=settings.authority_hints,
            anchors=(*anchors, ours) if settings.own_anchor and ours not in anchors else anchors,
            registration=settings.registration,
            needed=settings.required_marks,
            keys=keys,
            vouches=settings.subordinates,
            waiting=tuple(_waiting(one, me, names) for one in waiting),
            below=tuple(
                contexts.BelowLine(one.entity_id, one.entity_types, one.intermediate, one.status, one.changed_at)
                for one in below
            ),
            more_below=_more("after", below[-1].entity_id) if len(below) == PAGE else "",
            marks=_marks(marks, clock.ms()),
            more_marks=_more("before", marks[-1].id) if len(marks) == PAGE else "",
        )

    # -- what gives trust

    @routes.get(PLACE + "/vouch")
    async def vouch_form(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        entity_id = request.query_params.get("entity", "")[:2000]
        found = await db.read(_known, entity_id) if entity_id else None
        values = {"entity_id": entity_id}
        if found is not None:
            values |= {"jwks": _pretty(found.jwks), "said": _pretty(found.said)}
        kinds = found.entity_types if found is not None else KINDS[:1]
        intermediate = found is not None and found.intermediate
        return render(request, "console/federation_vouch.html", vouching(values, kinds, intermediate))

    def vouching(
        values: dict[str, str],
        kinds: Sequence[str],
        intermediate: bool,
        *,
        look: bool = False,
        keys: tuple[str, ...] = (),
        known: bool = False,
        errors: dict[str, str] | None = None,
    ) -> contexts.Vouching:
        listed = tuple(dict.fromkeys((*KINDS, *kinds)))
        return contexts.Vouching(
            values=values,
            kinds=tuple(contexts.KindChoice(kind, kind in kinds) for kind in listed),
            intermediate=intermediate,
            by_two=changes.by_two,
            look=look,
            keys=keys,
            known=known,
            errors=errors or {},
        )

    @routes.post(PLACE + "/vouch")
    async def vouch(request: Request) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request, limit=_LONGEST)
        values, kinds, between = dict(form.as_dict()), form.all("kind")[:20], form.has("intermediate")
        entity_id = form.one("entity_id")
        try:
            jwks, said = _object(form, "jwks"), _object(form, "said")
            if not form.has("sure"):
                subordinates.check(entity_id, jwks, kinds, said, federation.city.entity_id)
                known = await db.read(_known, entity_id) is not None
                page = vouching(values, kinds, between, look=True, keys=_names(jwks), known=known)
                return render(request, "console/federation_vouch.html", page)
            made = await db.write(
                changes.vouch, entity_id, jwks=jwks, entity_types=kinds, intermediate=between, said=said, actor=actor
            )
        except (InvalidSubordinate, _Wrong) as wrong:
            page = vouching(values, kinds, between, errors=_errors(wrong))
            return render(request, "console/federation_vouch.html", page, status=422)
        except SubordinateState:
            return redirect(request, f"{PLACE}/subordinates/{segment(entity_id)}", notice=NOT_NOW)
        if isinstance(made, Change):
            return redirect(request, PLACE, notice=ASKED)
        return redirect(request, f"{PLACE}/subordinates/{segment(entity_id)}", notice=VOUCHED)

    @routes.get(PLACE + "/mark")
    async def mark_form(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        values = {"entity_id": request.query_params.get("entity", "")[:2000]}
        return render(request, "console/federation_mark.html", marking(values, {}))

    def marking(values: dict[str, str], errors: dict[str, str]) -> contexts.Marking:
        ours = [kind for kind, by in federation.settings.mark_issuers.items() if federation.city.entity_id in by]
        return contexts.Marking(values, tuple(ours), changes.by_two, errors)

    @routes.post(PLACE + "/mark")
    async def mark(request: Request) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        days = form.one("days", "365")
        try:
            if not (days.isascii() and days.isdigit() and int(days) <= _MOST_DAYS):
                raise _Wrong("days", _("A number of days, 3650 at most."))
            ends = clock.ms() + int(days) * DAY if int(days) else None
            made = await db.write(changes.mark, form.one("kind"), form.one("entity_id"), expires_at=ends, actor=actor)
        except (InvalidSubordinate, _Wrong) as wrong:
            page = marking(dict(form.as_dict()), _errors(wrong))
            return render(request, "console/federation_mark.html", page, status=422)
        return redirect(request, PLACE, notice=ASKED if isinstance(made, Change) else MARKED)

    # -- what waits for a second person

    @routes.post(PLACE + "/changes/{change_id}/approve")
    async def approve(request: Request, change_id: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        try:
            await db.write(changes.approve, change_id, actor=actor)
        except (ChangeGone, InvalidSubordinate, SubordinateState, UnknownSubordinate):
            return redirect(request, PLACE, notice=GONE)
        except SecondPersonNeeded:
            return redirect(request, PLACE, notice=SAME)
        return redirect(request, PLACE, notice=APPROVED)

    @routes.post(PLACE + "/changes/{change_id}/decline")
    async def decline(request: Request, change_id: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        try:
            await db.write(changes.decline, change_id, actor=actor)
        except ChangeGone:
            return redirect(request, PLACE, notice=GONE)
        return redirect(request, PLACE, notice=DECLINED)

    # -- one entity, and what takes trust away

    @routes.get(PLACE + "/subordinates/{entity}")
    async def entity(request: Request, entity: str) -> Response:
        require_staff(request, *OPERATOR)
        return render(request, "console/federation_entity.html", await db.read(_entity, plain(entity)))

    def _entity(session: Session, entity_id: str) -> contexts.Entity:
        found = subordinates.get(session, entity_id)
        return contexts.Entity(
            entity_id=found.entity_id,
            kinds=found.entity_types,
            intermediate=found.intermediate,
            status=found.status,
            keys=_names(found.jwks),
            said=_pretty(found.said),
            registered_at=found.registered_at,
            changed_at=found.changed_at,
            marks=_marks(mark_book.list_all(session, entity_id=entity_id, limit=PAGE), clock.ms()),
        )

    @routes.get(PLACE + "/subordinates/{entity}/{step}")
    async def stop_effect(request: Request, entity: str, step: Literal["suspend", "end"]) -> Response:
        require_staff(request, *OPERATOR)
        here = f"{PLACE}/subordinates/{segment(plain(entity))}"
        found = await db.read(subordinates.get, plain(entity))
        clients = await db.read(lambda session: len(clients_of(session, found.entity_id)))
        page = contexts.Stop(step, found.entity_id, "", clients, f"{here}/{step}", here)
        return render(request, "console/federation_stop.html", page)

    @routes.post(PLACE + "/subordinates/{entity}/resume")
    async def resume(request: Request, entity: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        place = f"{PLACE}/subordinates/{segment(plain(entity))}"
        try:
            made = await db.write(changes.resume, plain(entity), actor=actor)
        except SubordinateState:
            return redirect(request, place, notice=NOT_NOW)
        if isinstance(made, Change):
            return redirect(request, PLACE, notice=ASKED)
        return redirect(request, place, notice=RESUMED)

    @routes.post(PLACE + "/subordinates/{entity}/{step}")
    async def stop(request: Request, entity: str, step: Literal["suspend", "end"]) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        reason, place = _reason(await read_form(request)), f"{PLACE}/subordinates/{segment(plain(entity))}"
        move = subordinates.suspend if step == "suspend" else subordinates.end
        try:
            await db.write(move, plain(entity), actor=actor, now=clock.ms(), reason=reason)
        except SubordinateState:
            return redirect(request, place, notice=NOT_NOW)
        return redirect(request, place, notice=STOPPED)

    @routes.get(PLACE + "/marks/{mark_id}/revoke")
    async def revoke_effect(request: Request, mark_id: str) -> Response:
        require_staff(request, *OPERATOR)
        given = await db.read(mark_book.get, mark_id)
        if given is None:
            raise NotFound("There is no such trust mark.")
        clients = await db.read(lambda session: len(clients_of(session, given.entity_id)))
        action = f"{PLACE}/marks/{mark_id}/revoke"
        page = contexts.Stop("revoke", given.entity_id, given.kind, clients, action, PLACE)
        return render(request, "console/federation_stop.html", page)

    @routes.post(PLACE + "/marks/{mark_id}/revoke")
    async def revoke(request: Request, mark_id: str) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        reason = _reason(await read_form(request))
        try:
            await db.write(mark_book.take_back, mark_id, actor=actor, now=clock.ms(), reason=reason)
        except UnknownTrustMark:
            return redirect(request, PLACE, notice=NOT_NOW)
        return redirect(request, PLACE, notice=REVOKED)

    # -- why

    async def asked(request: Request, entity_id: str, anchor: str, **more: Any) -> Response:
        anchors = tuple(await federation.anchors())
        page = _explanation(entity_id, anchor, anchors, **more)
        return render(request, "console/federation_explain.html", page, status=422 if page.errors else 200)

    @routes.get(PLACE + "/explain")
    async def question(request: Request) -> Response:
        require_staff(request, *OPERATOR)
        return await asked(request, request.query_params.get("entity", "")[:2000], "")

    @routes.post(PLACE + "/explain")
    async def explain(request: Request) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        entity_id, anchor = form.one("entity_id")[:2000], form.one("anchor")[:2000]
        try:
            found = await explaining.ask(entity_id, anchor=anchor or None, actor=actor)
        except TooMany:
            words = _("You asked a lot. Wait a moment: each question asks other people's servers.")
            return await asked(request, entity_id, anchor, errors={"entity_id": words})
        return await asked(request, entity_id, anchor, found=found)

    return routes


def _place(federation: Federation) -> str:
    settings = federation.settings
    if not settings.on:
        return "off"
    if not settings.subordinates:
        return "leaf"
    return "anchor" if settings.own_anchor or not settings.authority_hints else "intermediate"


def _known(session: Session, entity_id: str) -> subordinates.Below | None:
    return subordinates.find(session, entity_id)


def _waiting(change: Change, me: str, names: Mapping[str, str]) -> contexts.TrustWaiting:
    wanted = change.wanted
    return contexts.TrustWaiting(
        id=change.id,
        kind=change.kind,
        entity_id=change.entity_id,
        who=names.get(change.proposed_by, change.proposed_by),
        mine=change.proposed_by == me,
        keys=_names(wanted.get("jwks", {})),
        kinds=tuple(wanted.get("entity_types", ())),
        said=_pretty({name: value for name, value in wanted.get("said", {}).items() if value}),
        mark=str(wanted.get("kind", "")),
        expires_at=change.expires_at,
    )


def _names(jwks: Mapping[str, Any]) -> tuple[str, ...]:
    """How people compare keys: by thumbprint (RFC 7638), or by `kid` where a kind has none."""
    return tuple((thumbprints({"keys": [key]}) or [str(key.get("kid", ""))])[0] for key in jwks.get("keys", ()))


def _marks(given: tuple[Given, ...], now: Millis) -> tuple[contexts.MarkLine, ...]:
    return tuple(contexts.MarkLine(one.id, one.kind, one.entity_id, one.status(now), one.expires_at) for one in given)


def _explanation(
    entity_id: str,
    anchor: str,
    anchors: tuple[str, ...],
    *,
    found: Explained | None = None,
    errors: dict[str, str] | None = None,
) -> contexts.Explanation:
    chain, refused = (found.chain, found.refused) if found is not None else (None, None)
    return contexts.Explanation(
        entity_id=entity_id,
        anchor=anchor,
        anchors=anchors,
        verdict="" if found is None else "refused" if chain is None else "trusted",
        word=refused.word if refused else "",
        detail=refused.detail if refused else "",
        by=chain.anchor if chain else "",
        until=chain.expires_at if chain else None,
        steps=tuple(
            contexts.StepLine(
                one.what, one.iss, one.sub, one.refused.word if one.refused else "",
                one.refused.detail if one.refused else "",
            )
            for one in (found.steps if found else ())
        ),
        marks=found.marks if found else (),
        metadata=_pretty(chain.metadata) if chain else "",
        errors=errors or {},
    )  # fmt: skip


def _object(form: Form, name: str) -> dict[str, Any]:
    """A JSON object as people paste it; nothing is an empty one, where one may be. Raises _Wrong."""
    text = form.one(name)
    if not text and name == "said":
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _Wrong(name, _("A JSON object."))
    if name == "said" and not set(value) <= set(subordinates.SAID):
        raise _Wrong(name, _("Only metadata, metadata_policy and constraints."))
    return value


def _errors(wrong: InvalidSubordinate | _Wrong) -> dict[str, str]:
    if isinstance(wrong, _Wrong):
        return {wrong.field: wrong.words}
    named = (wrong.pointer or "").strip("/")
    field = {"entity_types": "kind", "metadata": "said", "metadata_policy": "said", "constraints": "said"}
    return {field.get(named, named or "entity_id"): wrong.detail}


def _reason(form: Form) -> Reason:
    given = form.one("reason", "other")
    return cast(Reason, given) if given in get_args(Reason) else "other"


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) if value else ""


def _more(name: str, value: str) -> str:
    return f"{PLACE}?{urlencode({name: value})}"
