"""The console about what a client proves itself with: its keys, when they were used last, other keys, a new secret; and
the logo it shows.

What is pasted or fetched is shown first, with what would stop; the POST follows from there. Where the settings want two
people (`client_changes_by_two`) it waits for a second one. A secret is answered to the POST that made it, never stored,
never in an address. Rules and writes are `identity.key_changes`.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from identity import clients, logos
from identity.client_keys import last_uses
from identity.client_paths import ClientId, segment
from identity.clients import Client
from identity.errors import ChangeGone, InvalidClientMetadata
from identity.errors_account import SecondPersonNeeded
from identity.key_changes import Change, KeyChanges, check_use, judge
from identity.public_keys import check_jwks
from identity.remote_keys import RemoteKeys
from keys.envelope import Sealer
from keys.errors import BadToken
from keys.jose import thumbprint
from kit.clock import Millis
from kit.db import Session
from kit.host import Host
from kit.problems import NotFound
from portal import staff
from portal.contexts.console import ClientSecret
from portal.contexts.registry import ClientKeyChange, ClientKeyPage, KeyLine, NewSecret, WaitingChange
from portal.i18n import N_, _, current
from portal.staff import OPERATOR
from portal.visits import pages, require_staff
from portal.web import Form, notice, read_form, redirect, render

CHANGED = notice("client-keys.changed", N_("The keys are changed. It is in force everywhere."))
ASKED = notice("client-keys.asked", N_("Asked for. It is in force when a second person approves it."))
DECLINED = notice("client-keys.declined", N_("Taken back. Nothing changed."))
LOGO = notice("client-keys.logo", N_("It is fetched within a minute or two."), kind="info")
ENDED = notice("client-keys.ended", N_("The former keys have stopped everywhere."))
GONE = notice("client-keys.gone", N_("That change does not wait any more. This is how it is now."), kind="warn")
SAME = notice("client-keys.same", N_("You asked for this change. Somebody else has to approve it."), kind="warn")
OVERLAPS = ("0", "3600", "86400", "604800", "2592000")
_USUAL = "86400"
_LONGEST = 40_000


class _Wrong(Exception):
    def __init__(self, field: str, words: str) -> None:
        super().__init__(field)
        self.field, self.words = field, words


def router(host: Host) -> APIRouter:
    """/console/clients/{client_id}/keys, /secret and /change."""
    routes = pages(host)
    db, clock, changes, remote = host.db, host.clock, host.get(KeyChanges), host.get(RemoteKeys)

    async def show(
        request: Request, client_id: str, me: str, values: dict[str, str], errors: dict[str, str]
    ) -> Response:
        page = await db.read(_page, client_id, me, values, errors)
        return render(request, "console/client_keys.html", page, status=422 if errors else 200)

    def _page(
        session: Session, client_id: str, me: str, values: dict[str, str], errors: dict[str, str]
    ) -> ClientKeyPage:
        client = clients.get(session, client_id)
        uses, now = last_uses(session, client_id), clock.ms()
        until = client.former_keys_until if (client.former_keys_until or 0) > now else None
        former = (client.former_keys or {}) if until else {}
        lines = _lines(client.jwks, uses) + _lines(former.get("jwks"), uses, former=True)
        named = {line.thumbprint for line in lines}
        if client.jwks_uri is not None or former.get("jwks_uri"):  # of those only what they did is known here
            lines += tuple(KeyLine(key, "", "", False, at) for key, at in uses.items() if key not in named)
        return ClientKeyPage(
            id=client.id, name=client.name(current().code), method=client.auth_method, jwks_uri=client.jwks_uri or "",
            keys=lines, former_uri=str(former.get("jwks_uri") or ""), former_until=until,
            waiting=_waiting(session, changes.find(session, client_id), me, host.get(Sealer)),
            by_two=changes.by_two, values=values, errors=errors,
        )  # fmt: skip

    @routes.get("/console/clients/{client_id}/keys")
    async def keys(request: Request, client_id: ClientId) -> Response:
        me = require_staff(request, *OPERATOR).account_id
        return await show(request, client_id, me, {}, {})

    @routes.post("/console/clients/{client_id}/keys/look")
    async def look(request: Request, client_id: ClientId) -> Response:
        me = require_staff(request, *OPERATOR).account_id
        form = await read_form(request, limit=3 * _LONGEST)
        try:
            given, there = await wanted(client_id, form)
        except _Wrong as wrong:
            return await show(request, client_id, me, dict(form.as_dict()), {wrong.field: wrong.words})
        page = await db.read(_change, client_id, given, there, form.one("overlap", _USUAL))
        return render(request, "console/client_keys_change.html", page)

    @routes.post("/console/clients/{client_id}/keys")
    async def change(request: Request, client_id: ClientId) -> Response:
        browser = require_staff(request, *OPERATOR)
        form = await read_form(request, limit=3 * _LONGEST)
        try:
            given, _there = await wanted(client_id, form)
            waits = await db.write(
                changes.set_keys, client_id, given, overlap_seconds=int(form.one("overlap", _USUAL)),
                actor=browser.actor(),
            )  # fmt: skip
        except InvalidClientMetadata as refused:
            error = {_field(refused): str(refused)}
            return await show(request, client_id, browser.account_id, dict(form.as_dict()), error)
        except _Wrong as wrong:
            return await show(request, client_id, browser.account_id, dict(form.as_dict()), {wrong.field: wrong.words})
        return redirect(request, f"/console/clients/{segment(client_id)}/keys", notice=ASKED if waits else CHANGED)

    async def wanted(client_id: str, form: Form) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """What a form asks for, and the keys it means: pasted, or as they are at the address now. Raises _Wrong."""
        typed, uri = form.one("jwks"), form.one("jwks_uri")
        if form.one("overlap", _USUAL) not in OVERLAPS:
            raise _Wrong("overlap", _("Choose one of the list."))
        if bool(typed) == bool(uri):
            raise _Wrong("jwks", _("Give the keys or an address, one of the two."))
        given: dict[str, Any] = {"jwks_uri": uri} if uri else {"jwks": _read_set(typed)}
        try:
            client = await db.read(judge, client_id, given)
            if not uri:
                return given, given["jwks"]
            try:
                there = await remote.get(uri)
            except BadToken:
                raise _Wrong("jwks_uri", _("No key set could be fetched there.")) from None
            check_jwks({"keys": there["keys"]})
            check_use(client, there, "/jwks_uri")
        except InvalidClientMetadata as refused:
            raise _Wrong(_field(refused) if not uri else "jwks_uri", str(refused)) from refused
        return given, there

    def _change(
        session: Session, client_id: str, given: dict[str, Any], there: Mapping[str, Any], overlap: str
    ) -> ClientKeyChange:
        client = clients.get(session, client_id)
        uses = last_uses(session, client_id)
        coming = _lines(there, uses)
        stay = {line.thumbprint for line in coming}
        open_still = (client.former_keys_until or 0) > clock.ms()
        former = (client.former_keys or {}).get("jwks") if open_still else None
        now_there = _lines(client.jwks, uses) + _lines(former, uses, former=True)
        return ClientKeyChange(
            id=client.id, name=client.name(current().code), overlap=overlap, coming=coming,
            jwks=orjson.dumps(given["jwks"]).decode() if "jwks" in given else "", jwks_uri=given.get("jwks_uri", ""),
            going=tuple(line for line in now_there if line.thumbprint not in stay),
            former_uri=client.jwks_uri or "", by_two=changes.by_two,
            ends_former=open_still,
        )  # fmt: skip

    @routes.post("/console/clients/{client_id}/keys/end")
    async def end(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        await db.write(changes.end_former, client_id, actor=actor)
        return redirect(request, f"/console/clients/{segment(client_id)}/keys", notice=ENDED)

    # -- a change that waits

    @routes.post("/console/clients/{client_id}/change/approve")
    async def approve(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        back = f"/console/clients/{segment(client_id)}/keys"
        try:
            secret = await db.write(changes.approve, client_id, form.one("change"), actor=actor)
        except (ChangeGone, InvalidClientMetadata):
            return redirect(request, back, notice=GONE)
        except SecondPersonNeeded:
            return redirect(request, back, notice=SAME)
        if secret is None:
            return redirect(request, back, notice=CHANGED)
        return render(request, "console/client_secret.html", await db.read(_shown, client_id, secret))

    @routes.post("/console/clients/{client_id}/change/decline")
    async def decline(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        back = f"/console/clients/{segment(client_id)}/keys"
        try:
            await db.write(changes.decline, client_id, form.one("change"), actor=actor)
        except ChangeGone:
            return redirect(request, back, notice=GONE)
        return redirect(request, back, notice=DECLINED)

    # -- its logo

    @routes.post("/console/clients/{client_id}/logo")
    async def fetch_logo(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        await db.write(logos.again, client_id, actor=actor)
        return redirect(request, f"/console/clients/{segment(client_id)}", notice=LOGO)

    # -- a new secret

    def _shown(session: Session, client_id: str, secret: str) -> ClientSecret:
        client = clients.get(session, client_id)
        return ClientSecret(client.id, client.name(current().code), secret, True, client.former_until)

    @routes.get("/console/clients/{client_id}/secret")
    async def secret_effect(request: Request, client_id: ClientId) -> Response:
        require_staff(request, *OPERATOR)
        client = await db.read(_with_secret, client_id)
        until = client.former_until if (client.former_until or 0) > clock.ms() else None
        page = NewSecret(client.id, client.name(current().code), _USUAL, until, changes.by_two)
        return render(request, "console/client_secret_new.html", page)

    @routes.post("/console/clients/{client_id}/secret")
    async def new_secret(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        overlap = (await read_form(request)).one("overlap", "0")
        seconds = int(overlap) if overlap in OVERLAPS else 0
        made = await db.write(changes.set_secret, client_id, overlap_seconds=seconds, actor=actor)
        if isinstance(made, Change):
            return redirect(request, f"/console/clients/{segment(client_id)}/keys", notice=ASKED)
        return render(request, "console/client_secret.html", await db.read(_shown, client_id, made))

    return routes


def _with_secret(session: Session, client_id: str) -> Client:
    client = clients.get(session, client_id)
    if client.secret_digest is None:
        raise NotFound("This client has no secret.")
    return client


def _waiting(session: Session, change: Change | None, me: str, sealer: Sealer) -> WaitingChange | None:
    if change is None:
        return None
    who = staff.names(session, sealer, (change.proposed_by,)).get(change.proposed_by, change.proposed_by)
    keys = change.keys or {}
    return WaitingChange(
        id=change.id, kind=change.kind, who=who, mine=change.proposed_by == me, keys=_lines(keys.get("jwks"), {}),
        jwks_uri=str(keys.get("jwks_uri") or ""), overlap=change.overlap_seconds, expires_at=change.expires_at,
    )  # fmt: skip


def _lines(jwks: Mapping[str, Any] | None, uses: Mapping[str, Millis], *, former: bool = False) -> tuple[KeyLine, ...]:
    found = []
    for key in (jwks or {}).get("keys", ()):
        try:
            name = thumbprint(key)
        except (BadToken, AttributeError):  # of a kind that has no name here, in a set somebody else keeps
            continue
        kind = f"RSA {len(key['n']) * 6 // 8 * 8}" if key["kty"] == "RSA" else f"{key['kty']} {key['crv']}"
        use = " · enc" if key.get("use") == "enc" else ""
        kid = key.get("kid")
        found.append(KeyLine(name, kid[:80] if isinstance(kid, str) else "", kind + use, former, uses.get(name)))
    return tuple(found)


def _read_set(text: str) -> dict[str, Any]:
    """A JWK Set, or one key alone, as people paste it. Raises _Wrong."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and "kty" in value:
        value = {"keys": [value]}
    if not isinstance(value, dict) or len(text) > _LONGEST:
        raise _Wrong("jwks", _("A JSON Web Key Set with public keys only."))
    return {"keys": value.get("keys")}


def _field(refused: InvalidClientMetadata) -> str:
    return "jwks_uri" if (refused.pointer or "").startswith("/jwks_uri") else "jwks"
