"""Every state-changing operation the application has, performed once: what it changed is in the audit trail (I8).

The list of operations comes from the application itself: a route of an unsafe method without a case here fails. Each
transaction along the way (also those of preparation) is compared: if any table changed that is no bookkeeping, the same
transaction must have written an audit entry, or the compact row that DESIGN names as the trail of issued tokens.
"""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from joserfc.jwk import ECKey

from consent.settings import ConsentSettings
from identity import totp
from identity.oauth.holder import Holder
from identity.settings import IdentitySettings
from identity.tokens import Tokens, new_jti
from kit.clock import FrozenClock
from kit.tlog.addcheckpoint import request
from kit.tlog.note import Checkpoint, sign_note
from portal.app import Building, create_app
from portal.settings import Settings
from tests.identity.test_oauth_backchannel import COUNTER
from tests.identity.test_oauth_backchannel import ask as counter_ask
from tests.identity.test_oauth_device import KIOSK, press, type_code
from tests.identity.test_oauth_device import ask as device_ask
from tests.identity.test_oauth_device import poll as device_poll
from tests.kit.tlog_support import TestKey, naive_consistency, naive_root
from tests.portal.test_console import PROPOSAL, a_client, a_member, an_offer
from tests.portal.test_desk import SUMMARY, bus, log, opened, version
from tests.portal.test_reset import NEW, OPEN, a_code, open_reset, two
from tests.portal.test_signin import ATTEMPT, PASSWORD, PERSON, add, half_in, json_post, post
from tests.support.authenticator import Authenticator
from tests.support.bank import CHECKUP, Bank
from tests.support.desk import Colleague, colleague
from tests.support.household import CHECKUPS, RIDES, Household, settle
from tests.support.relying_party import REDIRECT, Party, advance, join
from tests.support.signer import Signer
from tests.support.writes import Asked, Watch, Write

pytestmark = pytest.mark.anyio

NEIGHBOUR = TestKey("other.city.example/log")
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}

# Tables that remember nothing about what anybody decided. A transaction that changes these alone needs no audit entry.
BOOKKEEPING = {
    "kit_audit": "the trail itself",
    "kit_log_leaf": "the ledger is a trail of its own, and public; what it commits to is audited where it is decided",
    "kit_log_node": "hashes of the ledger's entries",
    "kit_log_checkpoint": "the ledger's signed head",
    "kit_counter": "change counters of caches",
    "kit_lease": "which process runs a job",
    "consent_reach": "how many people answered, in tens; made of answers that are audited",
    "cert_cursor": "how far the desk has read the audit trail",
    "consent_delivery": "word of a change on its way to a service; the change itself is audited",
    "identity_throttle": "how many tries a door has seen of late; a failed try is audited as such",
    "identity_once": "names of proofs and assertions that may not come again; forgotten when they would expire anyway",
    "identity_attempt": "a sign-in or sign-up half way; lets nobody in, and its end is audited",
    "identity_passkey_challenge": "a question to a passkey; its answer is audited",
    "identity_par": "what a service asks, before anybody answered; the answer is audited",
    "identity_decoupled": "what a device asks, and that it polls; the answer is audited",
    "identity_interaction": "a question in front of a resident; the answer is audited",
}
# Rows of these are dead by the clock some time before a job removes them; how they began is in the trail, and who ended
# them if anybody did. A job may take them away, never add or change one.
SWEPT = {
    "identity_session", "identity_code", "identity_refresh", "identity_issued", "identity_revoked",
    "identity_initial_token", "consent_showing",
}  # fmt: skip
# Compact rows that are the audit of issued tokens (DESIGN, I8), and the tables whose change they tell.
COMPACT = "identity_issued"
ISSUING = {COMPACT, "identity_code", "identity_refresh"}

# Questions by POST, because what is asked about must not stand in an address: they change nothing.
READS = {
    "POST /oauth/authorize", "POST /oauth/end-session",  # lead to a GET of their own
    "POST /oauth/introspect", "POST /oauth/userinfo", "POST /api/consent/decision", "POST /consent/decisions",
    "POST /api/cert/incidents/{incident_id}/containment/preview",
}  # fmt: skip
# Operations after which only bookkeeping has changed: they open a door half way.
HALF_WAY = {
    "POST /consent/stream/poll",
    "POST /oauth/par", "POST /oauth/device_authorization",
    "POST /oauth/backchannel-authentication", "POST /sign-in/passkey/begin", "POST /sign-up",
    "POST /sign-up/passkey/begin", "POST /sign-in/reset/passkey/begin",
    "POST /sign-in/reset", "POST /console/residents", "POST /safety/passkeys/begin", "POST /device",
}  # fmt: skip


@dataclass
class World:
    """The building behind a watch, and whoever a case needs."""

    app: Building
    http: httpx2.AsyncClient
    watch: Watch

    async def staff(self, *roles: str) -> Colleague:
        return await colleague(self.app, self.http, *(roles or ("operator", "analyst", "lead", "ethics")))

    async def home(self, **registration: Any) -> Household:
        return await settle(self.app, self.http, **registration)

    async def party(self, **registration: Any) -> Party:
        return await join(self.app, self.http, **registration)

    async def inside(self, *, app_on: bool = False) -> str:
        """A resident signed in by the forms, in the client's own cookies; the secret of their app."""
        _, secret = await add(self.app, app_on=app_on)
        await post(self.http, "/sign-in", login="hana", password=PASSWORD, next="/safety")
        if app_on:
            await post(self.http, "/sign-in/code", code=totp.code_at(secret, self.app.host.clock.ms()))
        return secret


Case = Callable[[World], Awaitable[Any]]
CASES: dict[str, Case] = {}


def case(operation: str) -> Callable[[Case], Case]:
    """What performs the operation, once, with success: the last such request counts."""

    def keep(run: Case) -> Case:
        assert operation not in CASES
        CASES[operation] = run
        return run

    return keep


# -- OAuth -------------------------------------------------------------------------------------------------------------


@case("POST /oauth/authorize")
async def post_oauth_authorize(w: World) -> Any:
    party = await w.party()
    headers = {"cookie": f"sekisho-local={party.cookie}"}
    return await w.http.post("/oauth/authorize", data=party.request(), headers=headers)


@case("POST /oauth/par")
async def post_oauth_par(w: World) -> Any:
    party = await w.party()
    return await w.http.post("/oauth/par", data=party.request(), headers=party.basic)


@case("POST /oauth/device_authorization")
async def post_oauth_device(w: World) -> Any:
    return await device_ask(await w.party(**KIOSK))


@case("POST /device")
async def post_device(w: World) -> Any:
    """Wrong, then right; then the device gets its tokens."""
    party = await w.party(**KIOSK)
    said = (await device_ask(party)).json()
    await type_code(party, "BBBB-BBBB")
    answer = await type_code(party, said["user_code"])
    await press(party, answer.headers["location"], "agree")
    assert (await device_poll(party, said["device_code"])).status_code == 200
    return answer


@case("POST /oauth/backchannel-authentication")
async def post_oauth_backchannel(w: World) -> Any:
    return await counter_ask(await w.party(**COUNTER))


@case("POST /oauth/token")
async def post_oauth_token(w: World) -> Any:
    """Each grant; the last one counts, the watch judges all."""
    party = await w.party(
        scope="openid profile offline_access", grant_types=["authorization_code", "refresh_token", "client_credentials"]
    )
    assert (await party.token(grant_type="client_credentials")).status_code == 200
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    answer = await party.refresh(tokens["refresh_token"])
    assert (await party.refresh(tokens["refresh_token"])).status_code == 400  # reuse: a refusal that leaves a trace
    code = await party.code(scope="openid")
    assert (await party.exchange(code)).status_code == 200
    assert (await party.exchange(code)).status_code == 400
    return answer


@case("POST /oauth/introspect")
async def post_oauth_introspect(w: World) -> Any:
    party = await w.party()
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/introspect", data={"token": tokens["access_token"]}, headers=party.basic)


@case("POST /oauth/userinfo")
async def post_oauth_userinfo(w: World) -> Any:
    party = await w.party()
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})


@case("POST /oauth/revoke")
async def post_oauth_revoke(w: World) -> Any:
    """A refresh token, then an access token of another chain."""
    party = await w.party()
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    sent = {"token": tokens["refresh_token"]}
    assert (await w.http.post("/oauth/revoke", data=sent, headers=party.basic)).status_code == 200
    tokens = (await party.exchange(await party.code())).json()
    return await w.http.post("/oauth/revoke", data={"token": tokens["access_token"]}, headers=party.basic)


@case("POST /oauth/end-session")
async def post_oauth_end_session(w: World) -> Any:
    """And the GET it leads to, which signs out; the watch judges that, too."""
    party = await w.party(backchannel_logout_uri="https://clinic.example/out")
    hint = (await party.exchange(await party.code())).json()["id_token"]
    answer = await w.http.post("/oauth/end-session", data={"id_token_hint": hint})
    headers = {"cookie": f"sekisho-local={party.cookie}"}
    await w.http.get(answer.headers["location"], headers=headers)
    assert "identity.session.ended" in w.watch.writes[-1].actions
    return answer


REGISTERED = {"redirect_uris": [REDIRECT], "client_name": "Clinic"}


async def registered(w: World) -> tuple[str, dict[str, str]]:
    made = (await w.http.post("/oauth/register", json=REGISTERED)).json()
    headers = {"authorization": f"Bearer {made['registration_access_token']}"}
    return urlsplit(made["registration_client_uri"]).path, headers


@case("POST /oauth/register")
async def post_oauth_register(w: World) -> Any:
    return await w.http.post("/oauth/register", json=REGISTERED)


@case("PUT /oauth/register/")
async def put_oauth_register(w: World) -> Any:
    path, headers = await registered(w)
    return await w.http.put(path, json={"client_id": path.rsplit("/", 1)[1], **REGISTERED}, headers=headers)


@case("DELETE /oauth/register/")
async def delete_oauth_register(w: World) -> Any:
    path, headers = await registered(w)
    return await w.http.delete(path, headers=headers)


# -- services ----------------------------------------------------------------------------------------------------------


def own_token(w: World, party: Party, *scopes: str) -> dict[str, str]:
    """A token of the client's own."""
    tokens = w.app.host.get(Tokens)
    made = tokens.access_token(
        party.client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=w.app.host.clock.ms(), holder=Holder()
    )
    return {"authorization": f"Bearer {made}"}


@case("POST /api/consent/decision")
async def post_api_consent_decision(w: World) -> Any:
    home = await w.home()
    body = {"consent": await home.give(), "categories": ["health_checkup"]}
    return await w.http.post("/api/consent/decision", json=body, headers=own_token(w, home.party))


@case("POST /consent/decisions")
async def post_consent_decisions(w: World) -> Any:
    home = await w.home()
    body = {"decisions": [{"consent": await home.give(), "categories": ["health_checkup"]}]}
    return await w.http.post("/consent/decisions", json=body, headers=own_token(w, home.party))


async def follow(w: World, party: Party) -> Any:
    body = {"delivery": {"method": "urn:ietf:rfc:8936"}}
    return await w.http.put("/consent/stream", json=body, headers=own_token(w, party))


@case("PUT /consent/stream")
async def put_consent_stream(w: World) -> Any:
    return await follow(w, await w.party())


@case("DELETE /consent/stream")
async def delete_consent_stream(w: World) -> Any:
    party = await w.party()
    await follow(w, party)
    return await w.http.delete("/consent/stream", headers=own_token(w, party))


@case("POST /consent/records/{consent_id}/end")
async def post_consent_records_consent_id_end(w: World) -> Any:
    home = await w.home()
    address = f"/consent/records/{await home.give()}/end"
    return await w.http.post(address, json={"reason": "service-ends"}, headers=own_token(w, home.party))


@case("POST /consent/acknowledgements")
async def post_consent_acknowledgements(w: World) -> Any:
    """The recipient polls what ended, takes it, and confirms it under its key."""
    signer = Signer()
    home = await w.home(jwks=signer.jwks)
    await follow(w, home.party)
    consent_id, headers = await home.give(), own_token(w, home.party)
    await home.post(f"/consents/{consent_id}/withdraw")
    ask = {"returnImmediately": True}
    found = (await w.http.post("/consent/stream/poll", json=ask, headers=headers)).json()["sets"]
    await w.http.post("/consent/stream/poll", json={**ask, "ack": list(found)}, headers=headers)
    assert "consent.ending.told" in w.watch.writes[-1].actions
    last = list(found.values())[-1]
    statement = signer.confirm(last, client_id=home.party.client.id, now_ms=w.app.host.clock.ms())
    headers["content-type"] = "application/jwt"
    return await w.http.post("/consent/acknowledgements", content=statement, headers=headers)


@case("POST /consent/stream/poll")
async def post_consent_stream_poll(w: World) -> Any:
    """What it acknowledges is on its way no more."""
    home = await w.home()
    await follow(w, home.party)
    await home.give()
    headers, found = own_token(w, home.party), {}
    for acks in ([], ["set_" + "0" * 26]):
        body = {"returnImmediately": True, "ack": [*acks, *found]}
        answer = await w.http.post("/consent/stream/poll", json=body, headers=headers)
        found = answer.json()["sets"]
    assert not found
    return answer


@case("POST /api/bank/records")
async def post_api_bank_records(w: World) -> Any:
    """A deposit by a source; and a fetch, which changes something by GET: it leaves a disclosure record."""
    bank = await Bank(w.app, w.http).open()
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    assert (await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))).status_code == 200
    token = await bank.token(bank.hana, None, scopes=("openid", "bank:deposit"))
    return await bank.send(token, {"records": [{"category": "health_checkup", "data": CHECKUP}]})


async def service_tokens(home: Household) -> dict[str, Any]:
    """What the service holds after the resident agreed on the page."""
    page = await home.ask(scope="openid")
    answer = await home.answer(page, {"answer": "agree"})
    code = re.search(r"code=([^&]+)", answer.headers["location"])
    assert code, answer.text
    made: dict[str, Any] = (await home.party.exchange(code[1])).json()
    return made


@case("POST /consents/{consent_id}/renew")
async def post_consents_consent_id_renew(w: World) -> Any:
    home = await w.home()
    path = f"/consents/{await home.give()}/renew"
    return await home.answer(path, {"answer": "agree"})


# -- other cities' logs ------------------------------------------------------------------------------------------------


@case("POST /witness/add-checkpoint")
async def post_witness_add_checkpoint(w: World) -> Any:
    """For the first time, and for the second."""
    for old, entries in ((0, [b"0"]), (1, [b"0", b"1"])):
        note = sign_note(Checkpoint(NEIGHBOUR.name, len(entries), naive_root(entries)).text(), [NEIGHBOUR])
        content = request(old, naive_consistency(old, entries) if old else [], note)
        answer = await w.http.post("/witness/add-checkpoint", content=content)
        assert answer.status_code == 200, answer.text
    return answer


# -- operators' APIs ---------------------------------------------------------------------------------------------------


@case("POST /api/keys/rotate")
async def post_api_keys_rotate(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/keys/rotate", {"algorithms": ["EdDSA"], "compromised": True})


@case("POST /api/keys/rewrap")
async def post_api_keys_rewrap(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/keys/rewrap")


@case("POST /api/identity/members")
async def post_api_identity_members(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/identity/members", {"name_ja": "湊", "name_en": "M"})


@case("POST /api/identity/members/{member_id}/{step}")
async def post_api_identity_members_member_id_step(w: World) -> Any:
    who = await w.staff()
    member = await a_member(who)
    assert (await who.api("POST", f"/api/identity/members/{member}/approve")).status_code == 200
    return await who.api("POST", f"/api/identity/members/{member}/suspend")


CLIENT = {"name_ja": "案内", "name_en": "Guide", "redirect_uris": ["https://bus.example/cb"]}


@case("POST /api/identity/clients")
async def post_api_identity_clients(w: World) -> Any:
    return await (await w.staff()).api("POST", "/api/identity/clients", CLIENT)


@case("POST /api/identity/clients/{client_id}/secret")
async def post_api_identity_clients_client_id_secret(w: World) -> Any:
    _member, client_id = await bus(w.app)
    return await (await w.staff()).api("POST", f"/api/identity/clients/{client_id}/secret")


@case("POST /api/identity/clients/{client_id}/profile")
async def post_api_identity_clients_client_id_profile(w: World) -> Any:
    key = ECKey.generate_key("P-256").as_dict(private=False)
    party = await join(
        w.app, w.http, token_endpoint_auth_method="private_key_jwt", jwks={"keys": [key]},
        dpop_bound_access_tokens=True,
    )  # fmt: skip
    path = f"/api/identity/clients/{party.client.id}/profile"
    return await (await w.staff()).api("POST", path, {"profile": "fapi2-security"})


@case("POST /api/identity/clients/{client_id}/{step}")
async def post_api_identity_clients_client_id_step(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    assert (await who.api("POST", f"/api/identity/clients/{client_id}/suspend")).status_code == 200
    return await who.api("POST", f"/api/identity/clients/{client_id}/resume")


@case("POST /api/identity/grants/{grant_id}/revoke")
async def post_api_identity_grants_grant_id_revoke(w: World) -> Any:
    party = await w.party()
    await party.exchange(await party.code())
    (grant,) = w.watch.last["identity_grant"]
    return await (await w.staff()).api("POST", f"/api/identity/grants/{grant[0]}/revoke")


async def registration_token(who: Colleague) -> Any:
    return await who.api("POST", "/api/identity/registration-tokens", {"uses": 2})


@case("POST /api/identity/registration-tokens")
async def post_api_identity_registration_tokens(w: World) -> Any:
    return await registration_token(await w.staff())


@case("DELETE /api/identity/registration-tokens/{token_id}")
async def delete_api_identity_registration_tokens_token_id(w: World) -> Any:
    who = await w.staff()
    made = (await registration_token(who)).json()["registration_token"]
    return await who.api("DELETE", f"/api/identity/registration-tokens/{made['id']}")


@case("POST /api/consent/admin/agreements")
async def post_api_consent_admin_agreements(w: World) -> Any:
    who = await w.staff()
    member = await a_member(who)
    await who.post(f"/console/members/{member}/approve")
    return await who.api("POST", "/api/consent/admin/agreements", {"member": member, "proposal": PROPOSAL})


@case("POST /api/consent/admin/agreements/{agreement_id}/revisions")
async def post_api_consent_admin_agreements_agreement_id_revisions(w: World) -> Any:
    who = await w.staff()
    offer = await an_offer(w.app, await a_member(who))
    revised = PROPOSAL | {"retention": "P30D"}
    return await who.api("POST", f"/api/consent/admin/agreements/{offer.agreement_id}/revisions", revised)


@case("POST /api/consent/admin/revisions/{revision_id}/approve")
async def post_api_consent_admin_revisions_revision_id_approve(w: World) -> Any:
    who = await w.staff()
    offer = await an_offer(w.app, await a_member(who))
    return await who.api("POST", f"/api/consent/admin/revisions/{offer.id}/approve")


@case("POST /api/consent/admin/revisions/{revision_id}/return")
async def post_api_consent_admin_revisions_revision_id_return(w: World) -> Any:
    who = await w.staff()
    offer = await an_offer(w.app, await a_member(who))
    return await who.api("POST", f"/api/consent/admin/revisions/{offer.id}/return")


@case("POST /api/consent/admin/agreements/{agreement_id}/withdraw")
async def post_api_consent_admin_agreements_agreement_id_withdraw(w: World) -> Any:
    home = await w.home()
    await home.give()
    return await (await w.staff()).api("POST", f"/api/consent/admin/agreements/{home.agreement_id}/withdraw")


# -- the resident's APIs and pages -------------------------------------------------------------------------------------


def resident(home: Household) -> Colleague:
    """The resident of a household, at the JSON API."""
    return Colleague(home.building, home.http, home.party.account_id, home.party.cookie)


async def own_record(home: Household) -> str:
    return (await home.deposit("health_checkup", CHECKUPS[0]))[0]


@case("POST /api/consent/records/{consent_id}/withdraw")
async def post_api_consent_records_consent_id_withdraw(w: World) -> Any:
    home = await w.home()
    await service_tokens(home)
    return await resident(home).api("POST", f"/api/consent/records/{(await home.consents())[0]}/withdraw")


@case("POST /api/bank/my/records")
async def post_api_bank_my_records(w: World) -> Any:
    sent = {"records": [{"category": "mobility", "data": RIDES[0]}]}
    return await resident(await w.home()).api("POST", "/api/bank/my/records", sent)


@case("PUT /api/bank/my/records/{item_id}")
async def put_api_bank_my_records_item_id(w: World) -> Any:
    home = await w.home()
    return await resident(home).api("PUT", f"/api/bank/my/records/{await own_record(home)}", {"data": CHECKUPS[1]})


@case("DELETE /api/bank/my/records/{item_id}")
async def delete_api_bank_my_records_item_id(w: World) -> Any:
    home = await w.home()
    return await resident(home).api("DELETE", f"/api/bank/my/records/{await own_record(home)}")


@case("POST /interaction/{interaction_id}")
async def post_interaction_interaction_id(w: World) -> Any:
    """Refused, then agreed to."""
    home = await w.home()
    await home.answer(await home.ask(), {"answer": "refuse"})
    return await home.answer(await home.ask(), {"answer": "agree", "category": ["mobility"]})


@case("POST /data/{category_id}/add")
async def post_data_category_id_add(w: World) -> Any:
    return await (await w.home()).post("/data/health_checkup/add", {"date": "2026-10-02", "systolic": "118"})


@case("POST /data/{category_id}/upload")
async def post_data_category_id_upload(w: World) -> Any:
    return await (await w.home()).upload("/data/health_checkup/upload", json.dumps([CHECKUPS[0]]).encode())


@case("POST /data/{category_id}/{item_id}/correct")
async def post_data_category_id_item_id_correct(w: World) -> Any:
    home = await w.home()
    sent = {"date": "2026-10-02", "systolic": "119"}
    return await home.post(f"/data/health_checkup/{await own_record(home)}/correct", sent)


@case("POST /data/{category_id}/{item_id}/delete")
async def post_data_category_id_item_id_delete(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/data/health_checkup/{await own_record(home)}/delete")


@case("POST /consents/{consent_id}/change")
async def post_consents_consent_id_change(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/change", {"category": ["mobility"]})


@case("POST /consents/{consent_id}/withdraw")
async def post_consents_consent_id_withdraw(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/withdraw")


@case("POST /consents/stop")
async def post_consents_stop(w: World) -> Any:
    home = await w.home()
    await home.give("mobility")
    return await home.post("/consents/stop", {"category": "health_checkup"})


@case("POST /consents/{consent_id}/receipt/show")
async def post_consents_consent_id_receipt_show(w: World) -> Any:
    home = await w.home()
    return await home.post(f"/consents/{await home.give()}/receipt/show")


@case("POST /who/stop")
async def post_who_stop(w: World) -> Any:
    home = await w.home()
    page = await home.ask(authorization_details=None, scope="openid profile")
    code = re.search(r"code=([^&]+)", (await home.answer(page, {"answer": "agree"})).headers["location"])
    assert code
    token = (await home.party.exchange(code[1])).json()["access_token"]
    await w.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    grant = re.search(r'name="grant" value="([^"]+)"', (await home.get("/who")).text)
    assert grant
    return await home.post("/who/stop", {"grant": grant[1]})


@case("POST /leave/erase")
async def post_leave_erase(w: World) -> Any:
    home = await w.home()
    await service_tokens(home)
    return await home.post("/leave/erase", {"confirm": "消す"})


# -- signing in and up, and keeping safe -------------------------------------------------------------------------------


@case("POST /sign-in")
async def post_sign_in(w: World) -> Any:
    await add(w.app, app_on=False)
    assert (await post(w.http, "/sign-in", login="hana", password="wrong one")).status_code == 422
    return await post(w.http, "/sign-in", login="hana", password=PASSWORD)


@case("POST /sign-in/code")
async def post_sign_in_code(w: World) -> Any:
    _, secret = await add(w.app)
    await half_in(w.http)
    assert (await post(w.http, "/sign-in/code", code="000000")).status_code == 422
    return await post(w.http, "/sign-in/code", code=totp.code_at(secret, w.app.host.clock.ms()))


@case("POST /sign-in/recovery")
async def post_sign_in_recovery(w: World) -> Any:
    await w.inside(app_on=True)
    page = await post(w.http, "/safety/codes", next="/safety")
    found = re.findall(r'<li class="code">([0-9A-Z-]+)</li>', page.text)
    await post(w.http, "/sign-out")
    await half_in(w.http)
    return await post(w.http, "/sign-in/recovery", code=found[0])


async def with_passkey(w: World) -> Authenticator:
    await post(w.http, "/sign-up", **PERSON)
    device = Authenticator()
    options = await json_post(w.http, "/sign-up/passkey/begin")
    made = await json_post(w.http, "/sign-up/passkey/finish", device.create(options.text))
    assert made.status_code == 200, made.text
    return device


@case("POST /sign-up/passkey/begin")
async def post_sign_up_passkey_begin(w: World) -> Any:
    await post(w.http, "/sign-up", **PERSON)
    return await json_post(w.http, "/sign-up/passkey/begin")


@case("POST /sign-up/passkey/finish")
async def post_sign_up_passkey_finish(w: World) -> Any:
    return await with_passkey(w)


@case("POST /sign-in/passkey/begin")
async def post_sign_in_passkey_begin(w: World) -> Any:
    return await json_post(w.http, "/sign-in/passkey/begin")


@case("POST /sign-in/passkey/finish")
async def post_sign_in_passkey_finish(w: World) -> Any:
    device = await with_passkey(w)
    await post(w.http, "/sign-out")
    options = await json_post(w.http, "/sign-in/passkey/begin")
    return await json_post(w.http, "/sign-in/passkey/finish", device.get(options.text))


@case("POST /sign-up")
async def post_sign_up(w: World) -> Any:
    return await post(w.http, "/sign-up", **PERSON)


@case("POST /sign-up/password")
async def post_sign_up_password(w: World) -> Any:
    await post(w.http, "/sign-up", **PERSON)
    assert w.http.cookies.get(ATTEMPT)
    return await post(w.http, "/sign-up/password", password=PASSWORD, repeat=PASSWORD)


@case("POST /sign-out")
async def post_sign_out(w: World) -> Any:
    await w.inside()
    return await post(w.http, "/sign-out")


@case("POST /safety/sessions/end-others")
async def post_safety_sessions_end_others(w: World) -> Any:
    await w.inside()
    w.http.cookies.clear()
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    return await post(w.http, "/safety/sessions/end-others")


@case("POST /safety/sessions/{session_id}/end")
async def post_safety_sessions_session_id_end(w: World) -> Any:
    await w.inside()
    w.http.cookies.clear()
    (first,) = (row[0] for row in w.watch.last["identity_session"])
    await post(w.http, "/sign-in", login="hana", password=PASSWORD)
    return await post(w.http, f"/safety/sessions/{first}/end")


@case("POST /safety/passkeys/begin")
async def post_safety_passkeys_begin(w: World) -> Any:
    await w.inside(app_on=True)
    return await json_post(w.http, "/safety/passkeys/begin")


async def passkey_added(w: World) -> tuple[Any, str]:
    await w.inside(app_on=True)
    options = await json_post(w.http, "/safety/passkeys/begin")
    made = await json_post(w.http, "/safety/passkeys/finish?name=phone", Authenticator().create(options.text))
    found = re.search(r'id="passkey-(pky_\w+)"', (await w.http.get("/safety")).text)
    assert found
    return made, found[1]


@case("POST /safety/passkeys/finish")
async def post_safety_passkeys_finish(w: World) -> Any:
    return (await passkey_added(w))[0]


@case("POST /safety/passkeys/{passkey_id}/rename")
async def post_safety_passkeys_passkey_id_rename(w: World) -> Any:
    return await post(w.http, f"/safety/passkeys/{(await passkey_added(w))[1]}/rename", name="tablet")


@case("POST /safety/passkeys/{passkey_id}/remove")
async def post_safety_passkeys_passkey_id_remove(w: World) -> Any:
    return await post(w.http, f"/safety/passkeys/{(await passkey_added(w))[1]}/remove")


@case("POST /safety/app")
async def post_safety_app(w: World) -> Any:
    await w.inside()
    shown = re.search(r"secret=([A-Z2-7]+)", (await w.http.get("/safety/app")).text)
    assert shown
    return await post(w.http, "/safety/app", code=totp.code_at(shown[1], w.app.host.clock.ms()))


@case("POST /safety/codes")
async def post_safety_codes(w: World) -> Any:
    await w.inside(app_on=True)
    return await post(w.http, "/safety/codes", next="/safety")


@case("POST /safety/password")
async def post_safety_password(w: World) -> Any:
    await w.inside(app_on=True)
    return await post(
        w.http, "/safety/password", password="another fine long password", repeat="another fine long password"
    )


# -- the desk ----------------------------------------------------------------------------------------------------------

ALERT = {"title": "A kiosk shows a strange page", "kind": "equipment", "severity": "medium", "things": "device d-1"}
TRIAGED = {"title": "Mails", "severity": "high", "tlp": "TLP:AMBER+STRICT", "layer": ["5", "9"]}


async def at_incident(w: World) -> tuple[Colleague, str, str]:
    """Somebody of the desk, an incident's page, and its version."""
    who, place = await w.staff("lead", "analyst"), f"/desk/incidents/{await opened(w.app)}"
    return who, place, version(await who.get(place))


async def contained(w: World, *, api: bool = False) -> tuple[Colleague, Any, str, dict[str, Any]]:
    who, place, _ = await at_incident(w)
    _member, client_id = await bus(w.app)
    if api:
        place = place.replace("/desk/", "/api/cert/")
        cut: dict[str, Any] = {"action": "suspend_client", "targets": [client_id], "reason": "key lost"}
        return who, await who.api("POST", f"{place}/containment", cut), place, cut
    form = {"action": "suspend_client", "target": client_id}
    return who, await who.post(f"{place}/contain", form), place, form


@case("POST /desk/alerts/new")
async def post_desk_alerts_new(w: World) -> Any:
    return await (await w.staff("analyst")).post("/desk/alerts/new", ALERT)


@case("POST /desk/alerts/{alert_id}/triage")
async def post_desk_alerts_alert_id_triage(w: World) -> Any:
    who, alert = await w.staff("analyst"), await log(w.app)
    for form in ({"decision": "dismiss", "reason": "expected"}, {"decision": "put_back"}):
        assert (await who.post(f"/desk/alerts/{alert}/triage", form)).status_code == 303
    return await who.post(f"/desk/alerts/{alert}/triage", {"decision": "take"})


@case("POST /desk/alerts/attach")
async def post_desk_alerts_attach(w: World) -> Any:
    who, place, _ = await at_incident(w)
    return await who.post("/desk/alerts/attach", {"alert": await log(w.app), "incident": place.rsplit("/", 1)[1]})


@case("POST /desk/incidents/new")
async def post_desk_incidents_new(w: World) -> Any:
    return await (await w.staff("analyst")).post("/desk/incidents/new", TRIAGED | {"alert": await log(w.app)})


@case("POST /desk/incidents/{incident_id}/edit")
async def post_desk_incidents_incident_id_edit(w: World) -> Any:
    who, place, at = await at_incident(w)
    form = {"version": at, "title": "First", "severity": "low", "tlp": "TLP:RED", "assets": "system kiosk 4"}
    return await who.post(f"{place}/edit", form)


@case("POST /desk/incidents/{incident_id}/move")
async def post_desk_incidents_incident_id_move(w: World) -> Any:
    who, place, at = await at_incident(w)
    return await who.post(f"{place}/move", {"version": at, "to": "triage"})


@case("POST /desk/incidents/{incident_id}/facts")
async def post_desk_incidents_incident_id_facts(w: World) -> Any:
    who, place, at = await at_incident(w)
    return await who.post(f"{place}/facts", {"version": at, "body": "city", "personal_data": "yes"})


@case("POST /desk/incidents/{incident_id}/timeline")
async def post_desk_incidents_incident_id_timeline(w: World) -> Any:
    who, place, _at = await at_incident(w)
    return await who.post(f"{place}/timeline", {"text": "The operator phoned.", "source": "phone"})


async def task_at(w: World) -> tuple[Colleague, str, str]:
    who, place, _at = await at_incident(w)
    assert (await who.post(f"{place}/tasks", {"task": "Call"})).status_code == 303
    (task,) = w.watch.last["cert_task"]
    return who, place, str(task[0])


@case("POST /desk/incidents/{incident_id}/tasks")
async def post_desk_incidents_incident_id_tasks(w: World) -> Any:
    return await task_at(w)


@case("POST /desk/incidents/{incident_id}/tasks/{task_id}")
async def post_desk_incidents_incident_id_tasks_task_id(w: World) -> Any:
    who, place, task = await task_at(w)
    return await who.post(f"{place}/tasks/{task}", {"state": "done"})


@case("POST /desk/incidents/{incident_id}/contain")
async def post_desk_incidents_incident_id_contain(w: World) -> Any:
    return await contained(w)


@case("POST /desk/incidents/{incident_id}/containment/{containment_id}/lift")
async def post_desk_incidents_incident_id_containment_containment_id_lift(w: World) -> Any:
    who, _made, place, _form = await contained(w)
    (cut,) = w.watch.last["cert_containment"]
    return await who.post(f"{place}/containment/{cut[0]}/lift")


@case("POST /desk/incidents/{incident_id}/close")
async def post_desk_incidents_incident_id_close(w: World) -> Any:
    who, place, at = await at_incident(w)
    for to in ("triage", "contained", "eradicated"):
        await who.post(f"{place}/move", {"version": at, "to": to})
        at = version(await who.get(place))
    return await who.post(f"{place}/close", {"version": at, "summary": SUMMARY})


@case("POST /api/cert/alerts")
async def post_api_cert_alerts(w: World) -> Any:
    body = {"kind": "phishing", "severity": "low", "title": "Mail"}
    return await (await w.staff("analyst")).api("POST", "/api/cert/alerts", body)


@case("POST /api/cert/alerts/{alert_id}/triage")
async def post_api_cert_alerts_alert_id_triage(w: World) -> Any:
    who, alert = await w.staff("analyst"), await log(w.app)
    return await who.api("POST", f"/api/cert/alerts/{alert}/triage", {"decision": "take"})


@case("POST /api/cert/incidents")
async def post_api_cert_incidents(w: World) -> Any:
    body = {"title": "Key lost", "severity": "high", "layers": [9]}
    return await (await w.staff("analyst")).api("POST", "/api/cert/incidents", body)


async def api_incident(w: World) -> tuple[Colleague, str, int]:
    who, place, at = await at_incident(w)
    return who, place.replace("/desk/", "/api/cert/"), int(at)


@case("PATCH /api/cert/incidents/{incident_id}")
async def patch_api_cert_incidents_incident_id(w: World) -> Any:
    who, place, at = await api_incident(w)
    return await who.api("PATCH", place, {"version": at, "facts": {"sensitive": "yes"}})


@case("POST /api/cert/incidents/{incident_id}/move")
async def post_api_cert_incidents_incident_id_move(w: World) -> Any:
    who, place, at = await api_incident(w)
    return await who.api("POST", f"{place}/move", {"version": at, "to": "triage"})


@case("POST /api/cert/incidents/{incident_id}/close")
async def post_api_cert_incidents_incident_id_close(w: World) -> Any:
    who, place, at = await api_incident(w)
    for to in ("triage", "contained", "eradicated"):
        at = (await who.api("POST", f"{place}/move", {"version": at, "to": to})).json()["version"]
    return await who.api("POST", f"{place}/close", {"version": at, "summary": SUMMARY})


@case("POST /api/cert/incidents/{incident_id}/timeline")
async def post_api_cert_incidents_incident_id_timeline(w: World) -> Any:
    who, place, _at = await api_incident(w)
    return await who.api("POST", f"{place}/timeline", {"text": "The operator phoned."})


@case("POST /api/cert/incidents/{incident_id}/tasks")
async def post_api_cert_incidents_incident_id_tasks(w: World) -> Any:
    who, place, _at = await api_incident(w)
    return await who.api("POST", f"{place}/tasks", {"title": "Call"})


@case("POST /api/cert/incidents/{incident_id}/tasks/{task_id}")
async def post_api_cert_incidents_incident_id_tasks_task_id(w: World) -> Any:
    who, place, task = await task_at(w)
    return await who.api("POST", f"{place.replace('/desk/', '/api/cert/')}/tasks/{task}", {"state": "done"})


@case("POST /api/cert/incidents/{incident_id}/containment/preview")
async def post_api_cert_incidents_incident_id_containment_preview(w: World) -> Any:
    who, place, _at = await api_incident(w)
    _member, client_id = await bus(w.app)
    body = {"action": "suspend_client", "targets": [client_id]}
    return await who.api("POST", f"{place}/containment/preview", body)


@case("POST /api/cert/incidents/{incident_id}/containment")
async def post_api_cert_incidents_incident_id_containment(w: World) -> Any:
    return (await contained(w, api=True))[1]


@case("POST /api/cert/incidents/{incident_id}/containment/{containment_id}/lift")
async def post_api_cert_incidents_incident_id_containment_containment_id_lift(w: World) -> Any:
    who, made, place, _cut = await contained(w, api=True)
    return await who.api("POST", f"{place}/containment/{made.json()['id']}/lift", {})


# -- the console -------------------------------------------------------------------------------------------------------


@case("POST /console/members/new")
async def post_console_members_new(w: World) -> Any:
    return await a_member(await w.staff())


@case("POST /console/members/{member_id}/approve")
async def post_console_members_member_id_approve(w: World) -> Any:
    who = await w.staff()
    return await who.post(f"/console/members/{await a_member(who)}/approve")


@case("POST /console/members/{member_id}/suspend")
async def post_console_members_member_id_suspend(w: World) -> Any:
    who, (member, _client) = await w.staff(), await bus(w.app)
    return await who.post(f"/console/members/{member}/suspend")


@case("POST /console/clients/new")
async def post_console_clients_new(w: World) -> Any:
    return await a_client(await w.staff())


@case("POST /console/clients/{client_id}/suspend")
async def post_console_clients_client_id_suspend(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    return await who.post(f"/console/clients/{client_id}/suspend")


@case("POST /console/clients/{client_id}/resume")
async def post_console_clients_client_id_resume(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    await who.post(f"/console/clients/{client_id}/suspend")
    return await who.post(f"/console/clients/{client_id}/resume")


@case("POST /console/clients/{client_id}/secret")
async def post_console_clients_client_id_secret(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    return await who.post(f"/console/clients/{client_id}/secret")


@case("POST /console/residents")
async def post_console_residents(w: World) -> Any:
    account_id, _ = await add(w.app)
    found = await (await w.staff("operator")).post("/console/residents", {"who": "hana"})
    assert account_id in found.headers["location"]
    return found


@case("POST /console/residents/{account_id}/sessions/end")
async def post_console_residents_sessions_end(w: World) -> Any:
    party = await w.party()
    return await (await w.staff("operator")).post(f"/console/residents/{party.account_id}/sessions/end")


@case("POST /console/residents/{account_id}/lock")
async def post_console_residents_lock(w: World) -> Any:
    party = await w.party()
    form = {"lock_reason": "stolen"}
    return await (await w.staff("operator")).post(f"/console/residents/{party.account_id}/lock", form)


@case("POST /console/residents/{account_id}/unlock")
async def post_console_residents_unlock(w: World) -> Any:
    party, who = await w.party(), await w.staff("operator")
    await who.post(f"/console/residents/{party.account_id}/lock", {"lock_reason": "asked"})
    return await who.post(f"/console/residents/{party.account_id}/unlock")


@case("POST /console/residents/{account_id}/reset")
async def post_console_residents_reset(w: World) -> Any:
    account_id, _ = await add(w.app)
    return await (await w.staff("operator")).post(f"/console/residents/{account_id}/reset", OPEN)


@case("POST /console/resets/{reset_id}/approve")
async def post_console_resets_approve(w: World) -> Any:
    account_id, _ = await add(w.app)
    first, second = await two(w.app, w.http)
    return await second.post(f"{await open_reset(first, account_id)}/approve", {"confirmed": "1"})


@case("POST /console/resets/{reset_id}/withdraw")
async def post_console_resets_withdraw(w: World) -> Any:
    account_id, _ = await add(w.app)
    first, _second = await two(w.app, w.http)
    return await first.post(f"{await open_reset(first, account_id)}/withdraw")


@case("POST /sign-in/reset")
async def post_sign_in_reset(w: World) -> Any:
    """Wrong, then right."""
    account_id, _ = await add(w.app)
    code = await a_code(w.app, w.http, account_id)
    await post(w.http, "/sign-in/reset", login="hana", code="wrong")
    return await post(w.http, "/sign-in/reset", login="hana", code=code)


@case("POST /sign-in/reset/password")
async def post_sign_in_reset_password(w: World) -> Any:
    await post_sign_in_reset(w)
    return await post(w.http, "/sign-in/reset/password", password=NEW, repeat=NEW)


@case("POST /sign-in/reset/passkey/begin")
async def post_sign_in_reset_passkey_begin(w: World) -> Any:
    await post_sign_in_reset(w)
    return await json_post(w.http, "/sign-in/reset/passkey/begin")


@case("POST /sign-in/reset/passkey/finish")
async def post_sign_in_reset_passkey_finish(w: World) -> Any:
    options = await post_sign_in_reset_passkey_begin(w)
    return await json_post(w.http, "/sign-in/reset/passkey/finish", Authenticator().create(options.text))


@case("POST /console/agreements/{agreement_id}/decide")
async def post_console_agreements_agreement_id_decide(w: World) -> Any:
    who = await w.staff()
    offer = await an_offer(w.app, await a_member(who))
    form = {"revision": offer.id, "decision": "approve"}
    return await who.post(f"/console/agreements/{offer.agreement_id}/decide", form)


@case("POST /console/keys/rotate")
async def post_console_keys_rotate(w: World) -> Any:
    who = await w.staff()
    assert (await who.post("/console/keys/rotate", {"kek": "1"})).status_code == 303
    return await who.post("/console/keys/rotate", {"alg": "EdDSA", "compromised": "1"})


# -- the test ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def started(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Write]]:
    """A city that was opened once, so that it has its keys; and what its first start wrote."""
    data = tmp_path_factory.mktemp("started") / "data"
    shutil.copytree(empty_city, data)

    async def start() -> list[Write]:
        building = create_app(_settings(data), clock=FrozenClock())
        watch = Watch(building)
        async with building.running(jobs=False):
            pass
        watch.close()
        return watch.writes

    return data, asyncio.run(start())


def _settings(data: Path) -> Settings:
    """Registration is open and a neighbour's log is witnessed, so that their operations have something to do."""
    return Settings(
        data=data, issuer="http://localhost:8080", jobs=False, identity=IdentitySettings(registration="open"),
        consent=ConsentSettings(witness_logs=(NEIGHBOUR.vkey,)),
    )  # fmt: skip


@pytest.fixture
async def world(started: tuple[Path, list[Write]], tmp_path: Path, clock: FrozenClock) -> AsyncIterator[World]:
    """The building behind a watch."""
    data = tmp_path / "data"
    shutil.copytree(started[0], data)
    building = create_app(_settings(data), clock=clock)
    watch = Watch(building)
    async with building.running(jobs=False):
        transport = httpx2.ASGITransport(app=watch, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=building.settings.issuer) as http:
            yield World(building, http, watch)
    watch.close()


def operations(app: Building) -> dict[str, Callable[[str], object]]:
    """Every operation of an unsafe method that the application has, and which paths are its own."""
    found: dict[str, Callable[[str], object]] = {}
    for row in app.host.rows:
        if row.method in UNSAFE:
            found[f"{row.method} {row.path}"] = row.path.__eq__ if not row.prefix else _begins(row.path)
    for route in app.fastapi.routes:
        methods, path = getattr(route, "methods", None), getattr(route, "path", "")
        assert methods is not None, f"{path or route}: a mounted application hides its operations from this test"
        for method in methods & UNSAFE:
            found[f"{method} {path}"] = route.path_regex.match  # type: ignore[attr-defined]
    return found


def _begins(prefix: str) -> Callable[[str], bool]:
    return lambda path: path.startswith(prefix)


def untold(write: Write) -> set[str]:
    """What a transaction changed and did not tell."""
    told = {COMPACT} if COMPACT in write.changed else set()
    if write.actions:
        return set()
    return set(write.changed) - BOOKKEEPING.keys() - (ISSUING if told else set())


def require_told(writes: list[Write]) -> None:
    """Every one of these transactions says what it did."""
    for write in writes:
        assert not untold(write), f"{write.function} changed {sorted(untold(write))} and told nobody"


def test_what_the_first_start_writes_it_tells(started: tuple[Path, list[Write]]) -> None:
    assert started[1]
    require_told(started[1])


async def test_what_jobs_change_they_tell(world: World) -> None:
    """Each job, after a resident left, a consent ran out, an agreement ended and keys came of age."""
    home = await world.home()
    await service_tokens(home)
    other = await world.home()
    await other.give()
    await home.post("/leave/erase", {"confirm": "消す"})
    third = await world.home()
    await third.give()
    await registered(world)
    await (await world.staff()).api("POST", f"/api/consent/admin/agreements/{other.agreement_id}/withdraw")
    for days in (0, 1, 200, 800):
        advance(world.app, days * 86_400)
        for job in world.app.host.jobs:
            before = len(world.watch.writes)
            await job.run()
            for write in world.watch.writes[before:]:
                assert not untold(write) - (write.swept & SWEPT), f"{job.name} changed {sorted(untold(write))}"
    actions = {action for write in world.watch.writes for action in write.actions}
    assert {"consent.record.expired", "keys.audit_key.destroyed", "identity.client.swept"} <= actions, actions


async def test_every_operation_has_a_case(world: World) -> None:
    assert set(operations(world.app)) == set(CASES)
    assert set(CASES) >= READS | HALF_WAY


@pytest.mark.parametrize("operation", CASES)
async def test_what_an_operation_changes_it_tells_in_the_same_transaction(world: World, operation: str) -> None:
    await CASES[operation](world)
    require_told(world.watch.writes)
    for write in [write for one in world.watch.asked for write in one.writes]:
        assert not write.bare, f"{write.function} wrote audit entries without who, or in which request: {write.bare}"
    method, own = operation.split(" ")[0], operations(world.app)[operation]
    done: list[Asked] = [one for one in world.watch.asked if one.method == method and own(one.path)]
    assert any(one.status < 400 for one in done), f"the case did not succeed: {[one.status for one in done]}"
    last = next(one for one in reversed(done) if one.status < 400)
    changed = {table for write in last.writes for table in write.changed}
    if operation in READS:
        assert changed <= {"identity_once", "kit_audit"}  # at most it is told that somebody asked
    elif operation in HALF_WAY:
        assert changed
        assert changed <= set(BOOKKEEPING) | {COMPACT}
    else:
        assert changed - set(BOOKKEEPING), "the case changed nothing"
