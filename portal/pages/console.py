"""The operators' console: members, clients, agreements, keys, the audit trail.

What destroys or stops something is a page of its own first, with its effect in numbers; the POST follows from there.
A client's secret is answered to the POST that made it, never stored, never in an address.
"""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, cast, get_args

import orjson
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from consent import agreements
from consent.errors import AgreementState
from consent.revisions import Revision
from identity import members
from identity.client_paths import ClientId, segment
from identity.clients import Client, Clients
from identity.errors import InvalidClientMetadata, MemberState
from identity.errors_account import SecondPersonNeeded
from identity.registration import DEVICE, Registration, VerifiedClaims
from identity.sessions import BrowserSession
from identity.upstream.flow import Upstreams
from infobank.catalogue import Catalogue
from keys.ceremonies import KeyStore
from keys.envelope import Sealer
from keys.errors import RotationTooSoon
from keys.signing import EVERY
from kit.audit import AuditEntry
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import agreement_views, i18n
from portal import console_views as views
from portal.console_viewer import Viewer
from portal.contexts import console as contexts
from portal.i18n import N_, _
from portal.staff import CONSOLE, OPERATOR, read_time
from portal.visits import pages, require_staff, visit_of
from portal.web import Form, notice, page_headers, read_form, redirect, render

MEMBER_ADDED = notice("console.member-added", N_("The member is registered as an applicant."))
APPROVED = notice("console.approved", N_("Approved."))
ASSURED = notice("console.assured", N_("Saved. It counts from the next sign-in and the next renewal of a token."))
SUSPENDED = notice("console.suspended", N_("Suspended. It is in force everywhere."))
RESUMED = notice("console.resumed", N_("It continues."))
RETURNED = notice("console.returned", N_("Returned to the member."))
NOT_NOW = notice("console.not-now", N_("That is not possible any more. This is how it is now."), kind="warn")
SAME_EYES = notice(
    "console.same-eyes", N_("You proposed this revision or approved it first. Somebody else has to."), kind="warn"
)
ENDORSED = notice("console.endorsed", N_("Your approval is kept. It is published when a second person approves."))
ROTATED = notice("console.rotated", N_("The key has been rotated."))
TOO_SOON = notice(
    "console.too-soon",
    N_("The next key was published a short while ago. Verifiers may not have it yet: try again in a few minutes."),
    kind="warn",
)

EXPORT_CHUNK = 1000
_LAST_SEQ = 2**62


def router(host: Host) -> APIRouter:
    """Everything below /console."""
    routes = pages(host)
    db, clock = host.db, host.clock
    publish = partial(agreements.approve, sealer=host.get(Sealer))
    decisions: dict[str, Callable[..., Revision]] = {"approve": publish, "return": agreements.send_back}

    def enter(request: Request, *roles: str) -> BrowserSession:
        return require_staff(request, *(roles or OPERATOR))

    def viewer(request: Request) -> Viewer:
        visit = visit_of(request)
        browser = visit.browser
        roles = frozenset(browser.roles if browser else ())
        return Viewer(host, visit.language.code, roles, browser.account_id if browser else "")

    async def show(request: Request, template: str, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Response:
        found = await db.read(fn, viewer(request), *args, **kwargs)
        return render(request, f"console/{template}.html", found, status=422 if kwargs.get("errors") else 200)

    @routes.get("/console")
    async def overview(request: Request) -> Response:
        enter(request)
        return await show(request, "overview", views.overview, keys=await host.get(KeyStore).list_keys())

    # -- members

    @routes.get("/console/members")
    async def member_list(request: Request) -> Response:
        enter(request)
        status = request.query_params.get("status", "")
        if status not in ("", "applied", "approved", "suspended"):
            raise NotFound("There is no such list.")
        after = request.query_params.get("after", "")
        return await show(request, "members", views.member_list, status=status or None, after=after)

    def sources(request: Request, chosen: list[str]) -> tuple[contexts.Choice, ...]:
        lang = visit_of(request).language.code
        return tuple(contexts.Choice(one.id, one.label.of(lang), one.id in chosen) for one in host.get(Catalogue))

    @routes.get("/console/members/new")
    async def new_member(request: Request) -> Response:
        enter(request)
        return render(request, "console/member_new.html", contexts.MemberForm({}, sources(request, []), {}))

    @routes.post("/console/members/new")
    async def add_member(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        chosen = [one for one in form.all("source") if one in host.get(Catalogue)]
        errors = {
            name: _("Between 1 and 120 characters.")
            for name in ("name_ja", "name_en")
            if not 1 <= len(form.one(name)) <= 120
        }
        site = form.one("site")
        if site and not (site.startswith(("https://", "http://")) and len(site) <= 200):
            errors["site"] = _("Write an address that begins with https://.")
        if errors:
            again = contexts.MemberForm(dict(form.as_dict()), sources(request, chosen), errors)
            return render(request, "console/member_new.html", again, status=422)
        accreditation = form.one("accreditation")[:200]

        def add(session: Session) -> str:
            made = members.apply(
                session,
                name_ja=form.one("name_ja"),
                name_en=form.one("name_en"),
                site=site or None,
                accreditation={"accreditation": accreditation} if accreditation else None,
                source_categories=chosen,
                actor=actor,
                now=clock.ms(),
            )
            return made.id

        return redirect(request, f"/console/members/{await db.write(add)}", notice=MEMBER_ADDED)

    @routes.get("/console/members/{member_id}")
    async def member(request: Request, member_id: str) -> Response:
        enter(request)
        return await show(request, "member", views.member_page, member_id)

    @routes.post("/console/members/{member_id}/approve")
    async def approve_member(request: Request, member_id: str) -> Response:
        actor = enter(request).actor()
        place = f"/console/members/{member_id}"
        try:
            await db.write(members.approve, member_id, actor=actor, now=clock.ms())
        except MemberState:
            return redirect(request, place, notice=NOT_NOW)
        return redirect(request, place, notice=APPROVED)

    @routes.get("/console/members/{member_id}/suspend")
    async def member_effect(request: Request, member_id: str) -> Response:
        enter(request)
        return await show(request, "confirm", views.member_effect, member_id)

    @routes.post("/console/members/{member_id}/suspend")
    async def suspend_member(request: Request, member_id: str) -> Response:
        actor = enter(request).actor()
        await db.write(members.suspend, member_id, actor=actor, now=clock.ms())
        return redirect(request, f"/console/members/{member_id}", notice=SUSPENDED)

    # -- clients

    @routes.get("/console/clients")
    async def client_list(request: Request) -> Response:
        enter(request)
        return await show(request, "clients", views.client_list, after=request.query_params.get("after", ""))

    @routes.get("/console/clients/new")
    async def new_client(request: Request) -> Response:
        enter(request)
        values = {"member": request.query_params.get("member", "")}
        return await show(request, "client_new", views.client_form, values=values)

    @routes.post("/console/clients/new")
    async def create_client(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        try:
            wanted = _registration(form)
            made: tuple[Client, str | None] = await db.write(host.get(Clients).create, wanted, actor=actor)
        except ValidationError as wrong:
            return await show(request, "client_new", views.client_form, values=form.as_dict(), errors=_fields(wrong))
        except InvalidClientMetadata as refused:
            field = _FIELDS.get((refused.pointer or "").split("/")[1] if refused.pointer else "", "scope")
            return await show(
                request, "client_new", views.client_form, values=form.as_dict(), errors={field: _told(field)}
            )
        client, secret = made
        if secret is None:
            return redirect(request, f"/console/clients/{segment(client.id)}")
        shown = views.secret_page(viewer(request), client, secret)
        return render(request, "console/client_secret.html", shown)

    @routes.get("/console/clients/{client_id}")
    async def client(request: Request, client_id: ClientId) -> Response:
        enter(request)
        return await show(request, "client", views.client_page, client_id)

    @routes.get("/console/clients/{client_id}/assurance")
    async def assurance(request: Request, client_id: ClientId) -> Response:
        enter(request)
        return await show(request, "client_assurance", views.client_assurance, client_id)

    @routes.post("/console/clients/{client_id}/assurance")
    async def set_assurance(request: Request, client_id: ClientId) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        chosen = {name: form.one(name) for name in ("minimum_ial", "minimum_aal", "verified_claims")}
        told = chosen["verified_claims"]
        errors = {name: _("Choose one of the list.") for name in ("minimum_ial", "minimum_aal")
                  if chosen[name] not in ("0", "1", "2", "3")}  # fmt: skip
        if told not in get_args(VerifiedClaims):
            errors["verified_claims"] = _("Choose one of the list.")
        if errors:
            return await show(
                request, "client_assurance", views.client_assurance, client_id, values=chosen, errors=errors
            )
        await db.write(
            host.get(Clients).set_assurance,
            client_id,
            minimum_ial=int(chosen["minimum_ial"]),
            minimum_aal=int(chosen["minimum_aal"]),
            verified_claims=cast(VerifiedClaims, told),
            actor=actor,
        )
        return redirect(request, f"/console/clients/{segment(client_id)}", notice=ASSURED)

    @routes.get("/console/clients/{client_id}/suspend")
    async def client_effect(request: Request, client_id: ClientId) -> Response:
        enter(request)
        return await show(request, "confirm", views.client_effect, client_id)

    @routes.post("/console/clients/{client_id}/suspend")
    async def suspend_client(request: Request, client_id: ClientId) -> Response:
        actor = enter(request).actor()
        await db.write(host.get(Clients).suspend, client_id, actor=actor)
        return redirect(request, f"/console/clients/{segment(client_id)}", notice=SUSPENDED)

    @routes.post("/console/clients/{client_id}/resume")
    async def resume_client(request: Request, client_id: ClientId) -> Response:
        actor = enter(request).actor()
        await db.write(host.get(Clients).resume, client_id, actor=actor)
        return redirect(request, f"/console/clients/{segment(client_id)}", notice=RESUMED)

    # -- agreements: operators read and pass on the board's decision; reviewers decide

    @routes.get("/console/agreements")
    async def agreement_list(request: Request) -> Response:
        enter(request, *CONSOLE)
        after = request.query_params.get("after", "")
        return await show(request, "agreements", agreement_views.agreement_list, after=after)

    @routes.get("/console/agreements/{agreement_id}")
    async def agreement(request: Request, agreement_id: str) -> Response:
        enter(request, *CONSOLE)
        asked = request.query_params.get("revision", "")
        number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else None
        return await show(request, "agreement", agreement_views.agreement_page, agreement_id, number=number)

    @routes.post("/console/agreements/{agreement_id}/decide")
    async def decide(request: Request, agreement_id: str) -> Response:
        actor = enter(request, *CONSOLE).actor()
        form = await read_form(request)
        decision = decisions.get(form.one("decision"))
        if decision is None:
            raise NotFound("There is no such decision.")
        place = f"/console/agreements/{agreement_id}"
        try:
            made = await db.write(decision, form.one("revision"), actor=actor, now=clock.ms())
        except AgreementState:
            return redirect(request, place, notice=NOT_NOW)
        except SecondPersonNeeded:
            return redirect(request, f"{place}?revision={form.one('number')[:6]}", notice=SAME_EYES)
        done = RETURNED if made.status == "returned" else APPROVED if made.status == "approved" else ENDORSED
        return redirect(request, f"{place}?revision={made.number}", notice=done)

    # -- keys

    @routes.get("/console/keys")
    async def keys(request: Request) -> Response:
        enter(request)
        elsewhere = views.keys_elsewhere(host.get(Upstreams).all, i18n.current().code)
        return render(request, "console/keys.html", views.key_page(await host.get(KeyStore).list_keys(), elsewhere))

    @routes.get("/console/keys/upstreams/{upstream_id}.json")
    async def upstream_key(request: Request, upstream_id: str) -> Response:
        enter(request)
        found = host.get(Upstreams).get(upstream_id)
        if found is None:
            raise NotFound("There is no such key.")
        headers = page_headers() | {"content-disposition": f'attachment; filename="{found.id}.jwks.json"'}
        return Response(views.jwks_of(found), media_type="application/jwk-set+json", headers=headers)

    @routes.get("/console/keys/rotate")
    async def key_effect(request: Request) -> Response:
        enter(request)
        query = request.query_params
        alg = "" if query.get("kek") else query.get("alg", "")
        if not query.get("kek") and alg not in EVERY:
            raise NotFound("There is no such key set.")
        found = await host.get(KeyStore).list_keys()
        shown = views.key_effect(found, alg=alg, compromised=bool(query.get("compromised")))
        return render(request, "console/confirm.html", shown)

    @routes.post("/console/keys/rotate")
    async def rotate(request: Request) -> Response:
        actor = enter(request).actor()
        form = await read_form(request)
        store = host.get(KeyStore)
        if form.has("kek"):
            await store.rotate_kek(actor=actor)
            return redirect(request, "/console/keys", notice=ROTATED)
        alg = form.one("alg")
        if alg not in EVERY:
            raise NotFound("There is no such key set.")
        try:
            await store.rotate_signing(actor=actor, algs=(alg,), compromised=form.has("compromised"))
        except RotationTooSoon:
            return redirect(request, "/console/keys", notice=TOO_SOON)
        return redirect(request, "/console/keys", notice=ROTATED)

    # -- the trail

    @routes.get("/console/audit")
    async def audit(request: Request) -> Response:
        enter(request)
        wanted, errors = _filter(request)
        return await show(
            request,
            "audit",
            views.audit_page,
            wanted=wanted,
            before=_seq(request, "before"),
            after=_seq(request, "after"),
            typed=dict(request.query_params),
            errors=errors,
        )

    @routes.get("/console/audit.jsonl")
    async def export(request: Request) -> Response:
        enter(request)
        wanted, errors = _filter(request)
        if errors:
            raise NotFound("This filter can't be read.")

        async def lines() -> AsyncIterator[bytes]:
            place = 0
            while True:
                found: list[AuditEntry] = await db.read(
                    wanted.find, after=place, newest_first=False, limit=EXPORT_CHUNK
                )
                if not found:
                    return
                yield b"".join(orjson.dumps(one.document()) + b"\n" for one in found)
                place = found[-1].seq or _LAST_SEQ

        headers = page_headers() | {"content-disposition": 'attachment; filename="audit.jsonl"'}
        return StreamingResponse(lines(), media_type="application/jsonl", headers=headers)

    return routes


# -- reading what was sent

_FIELDS = {
    "name_ja": "name_ja", "name_en": "name_en", "member_id": "member", "redirect_uris": "redirect_uris",
    "token_endpoint_auth_method": "method", "jwks": "jwks", "scope": "scope", "grant_types": "method",
    "sector_identifier": "redirect_uris", "profile": "profile", "dpop_bound_access_tokens": "profile",
}  # fmt: skip
_WORDS = {
    "name_ja": N_("Between 1 and 120 characters."),
    "name_en": N_("Between 1 and 120 characters."),
    "member": N_("Choose a member from the list."),
    "redirect_uris": N_(
        "Full https addresses on one host, without a fragment; or http on this machine; or an app's own scheme."
    ),
    "method": N_("This way does not fit the other choices: a public client can't have tokens of its own."),
    "jwks": N_("A JSON Web Key Set with public keys only, strong enough; needed for a client with its own key."),
    "profile": N_("FAPI 2.0 asks for tokens bound to a key."),
    "scope": N_("Scope names are letters, digits and : . _ / -, separated by spaces."),
}


def _told(field: str) -> str:

    return i18n.current().gettext(_WORDS[field])


def _fields(wrong: ValidationError) -> dict[str, str]:
    found = {}
    for error in wrong.errors():
        field = _FIELDS.get(str(error["loc"][0]) if error["loc"] else "", "scope")
        found[field] = _told(field)
    return found


def _registration(form: Form) -> Registration:
    """The form as a registration; raises pydantic's ValidationError or InvalidClientMetadata."""
    grant_types = ["authorization_code", "refresh_token"]
    if form.has("device"):
        grant_types = [DEVICE, "refresh_token"] + (["authorization_code"] if form.one("redirect_uris") else [])
    if form.has("machine"):
        grant_types.append("client_credentials")
    jwks: Any = None
    if form.one("jwks"):
        try:
            jwks = orjson.loads(form.one("jwks"))
        except orjson.JSONDecodeError:
            raise InvalidClientMetadata("The key set is not JSON.", pointer="/jwks") from None
    return Registration.model_validate(
        {
            "name_ja": form.one("name_ja"),
            "name_en": form.one("name_en"),
            "member_id": form.one("member") or None,
            "redirect_uris": form.one("redirect_uris").split(),
            "grant_types": grant_types,
            "token_endpoint_auth_method": form.one("method"),
            "jwks": jwks,
            "scope": " ".join(form.one("scope").split()),
            "profile": form.one("profile") or "none",
            "dpop_bound_access_tokens": form.has("dpop"),
            "require_pushed_authorization_requests": form.has("par"),
        }
    )


def _filter(request: Request) -> tuple[views.Filter, dict[str, str]]:
    query = request.query_params
    errors: dict[str, str] = {}
    times: dict[str, int | None] = {}
    for name in ("since", "until"):
        try:
            times[name] = read_time(query.get(name, "").strip())
        except ValueError:
            times[name] = None
            errors[name] = _("Write a date and time, like 2026-11-22 09:00.")
    wanted = views.Filter(
        action=query.get("action", "").strip()[:80],
        actor=query.get("actor", "").strip()[:80],
        object=query.get("object", "").strip()[:120],
        since=times["since"],
        until=times["until"],
    )
    return wanted, errors


def _seq(request: Request, name: str) -> int | None:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
