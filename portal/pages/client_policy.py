"""The console about one client acting for others: exchanged tokens, assertions it may bring, questions from a counter.

What an operator decides and a client never says of itself (RFC 8693, RFC 7523 section 2.1, CIBA Core 1.0 section 4).
The grant types follow from what is filled in. The registration is read and written in one transaction, judged by the
same rules as everywhere (`identity.registration.check`), and the change is in the audit trail.
"""

from typing import Any

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from identity import clients
from identity.client_paths import ClientId, segment
from identity.clients import Client, Clients
from identity.errors import InvalidClientMetadata
from identity.registration import CIBA, EXCHANGE, JWT_BEARER, Registration
from kit.db import Session
from kit.host import Actor, Host
from portal.contexts.registry import ClientPolicy
from portal.i18n import N_, current
from portal.staff import OPERATOR
from portal.visits import pages, require_staff
from portal.web import Form, notice, read_form, redirect, render

SAVED = notice("policy.saved", N_("Saved. It is in force everywhere."))
_WRONG = {
    "exchange_audiences": N_("Absolute addresses without a fragment, one a line, 20 at most."),
    "exchange_scope": N_("Scope names with spaces between them."),
    "may_act": N_("No client has this id."),
    "assertion_issuers": N_("One a line: the issuer, a space, the https address of its keys; 10 at most."),
    "delivery": N_("This does not fit: only ping has an address, and a client without a secret or key asks nobody."),
}
_FIELD = {
    "backchannel_token_delivery_mode": "delivery",
    "backchannel_client_notification_endpoint": "delivery",
    "token_endpoint_auth_method": "delivery",
    "exchange_audiences": "exchange_audiences",
    "scope": "exchange_scope",
    "exchange_scope": "exchange_scope",
    "assertion_issuers": "assertion_issuers",
}


class _Wrong(Exception):
    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def router(host: Host) -> APIRouter:
    """/console/clients/{client_id}/policy."""
    routes = pages(host)
    db, registry = host.db, host.get(Clients)

    @routes.get("/console/clients/{client_id}/policy")
    async def policy(request: Request, client_id: ClientId) -> Response:
        require_staff(request, *OPERATOR)
        client, registration = await db.read(_both, client_id)
        return render(request, "console/client_policy.html", _page(client, _values(registration), {}))

    @routes.post("/console/clients/{client_id}/policy")
    async def save(request: Request, client_id: ClientId) -> Response:
        actor = require_staff(request, *OPERATOR).actor()
        form = await read_form(request)
        client, _registration = await db.read(_both, client_id)
        try:
            await db.write(change, client_id, form, actor)
        except _Wrong as wrong:
            errors = {wrong.field: current().gettext(_WRONG.get(wrong.field, wrong.field))}
            page = _page(client, dict(form.as_dict()), errors)
            return render(request, "console/client_policy.html", page, status=422)
        return redirect(request, f"/console/clients/{segment(client_id)}", notice=SAVED)

    def change(session: Session, client_id: str, form: Form, actor: Actor) -> None:
        before = clients.registration_of(session, client_id)
        may_act = form.one("may_act")
        if may_act and clients.find(session, may_act) is None:
            raise _Wrong("may_act")
        try:
            registration = Registration.model_validate(before.model_dump() | _wanted(before, form))
            registry.replace(session, client_id, registration, actor=actor)
        except ValidationError as error:
            raise _Wrong(_field(str(error.errors()[0]["loc"][0]))) from error
        except InvalidClientMetadata as error:
            raise _Wrong(_field((error.pointer or "").strip("/").partition("/")[0])) from error

    return routes


def _both(session: Session, client_id: str) -> tuple[Client, Registration]:
    return clients.get(session, client_id), clients.registration_of(session, client_id)


def _wanted(before: Registration, form: Form) -> dict[str, Any]:
    audiences = form.one("exchange_audiences").split()
    delivery = form.one("delivery") or None
    pairs = [line.split() for line in form.one("assertion_issuers").splitlines() if line.strip()]
    if any(len(pair) != 2 for pair in pairs) or len({pair[0] for pair in pairs}) != len(pairs):
        raise _Wrong("assertion_issuers")
    kept = [kind for kind in before.grant_types if kind not in (EXCHANGE, JWT_BEARER, CIBA)]
    wanted = ((EXCHANGE, audiences), (JWT_BEARER, pairs), (CIBA, delivery))
    return {
        "grant_types": [*kept, *(kind for kind, asked in wanted if asked)],
        "exchange_audiences": audiences,
        "exchange_scope": " ".join(form.one("exchange_scope").split()),
        "exchange_impersonation": form.one("exchange_impersonation") == "1",
        "may_act": form.one("may_act") or None,
        "assertion_issuers": dict(pairs),
        "backchannel_token_delivery_mode": delivery,
        "backchannel_client_notification_endpoint": form.one("notify") or None,
        # Of a request that is not made any more no signature is asked.
        **({} if delivery else {"backchannel_authentication_request_signing_alg": None}),
    }


def _values(registration: Registration) -> dict[str, str]:
    return {
        "exchange_audiences": "\n".join(registration.exchange_audiences),
        "exchange_scope": registration.exchange_scope,
        "exchange_impersonation": "1" if registration.exchange_impersonation else "",
        "may_act": registration.may_act or "",
        "assertion_issuers": "\n".join(f"{one} {at}" for one, at in registration.assertion_issuers.items()),
        "delivery": registration.backchannel_token_delivery_mode or "",
        "notify": registration.backchannel_client_notification_endpoint or "",
    }


def _page(client: Client, values: dict[str, str], errors: dict[str, str]) -> ClientPolicy:
    return ClientPolicy(client.id, client.name(current().code), values, errors)


def _field(name: str) -> str:
    return _FIELD.get(name, "delivery")
