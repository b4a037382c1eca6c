"""Cases of tests.portal.test_every_write. The console, and the reset that begins there."""

import json
from typing import Any

from identity.enrolments import Enrolments
from identity.key_changes import KeyChanges
from tests.portal.test_campaign_pages import changed, planned
from tests.portal.test_console import a_client, a_member, an_offer
from tests.portal.test_desk import bus
from tests.portal.test_proposals import FORM
from tests.portal.test_recover import begun, hana, window
from tests.portal.test_reset import NEW, OPEN, a_code, open_reset, two
from tests.portal.test_signin import add, json_post, post
from tests.portal.writes.base import World, case
from tests.portal.writes.services import signals
from tests.support.authenticator import Authenticator
from tests.support.desk import colleague
from tests.support.letterbox import post_box
from tests.support.signer import Signer

KEYS = {"jwks": json.dumps(Signer().jwks), "overlap": "3600"}


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
    return await who.post(f"/console/clients/{client_id}/secret", {"overlap": "0"})


@case("POST /console/clients/{client_id}/keys/look")
async def post_console_clients_client_id_keys_look(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    return await who.post(f"/console/clients/{client_id}/keys/look", KEYS)


@case("POST /console/clients/{client_id}/keys")
async def post_console_clients_client_id_keys(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    return await who.post(f"/console/clients/{client_id}/keys", KEYS)


@case("POST /console/clients/{client_id}/keys/end")
async def post_console_clients_client_id_keys_end(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    await who.post(f"/console/clients/{client_id}/keys", KEYS)
    await who.post(f"/console/clients/{client_id}/keys", KEYS | {"jwks": json.dumps(Signer().jwks)})
    return await who.post(f"/console/clients/{client_id}/keys/end")


async def a_change(w: World) -> tuple[Any, str, str]:
    """A change of keys that waits for a second person: the first, the client, the change."""
    changes = w.app.host.get(KeyChanges)
    changes.by_two = True
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    await who.post(f"/console/clients/{client_id}/keys", KEYS)
    found = await w.app.host.db.read(changes.find, client_id)
    assert found is not None
    return who, client_id, found.id


@case("POST /console/clients/{client_id}/change/approve")
async def post_console_clients_client_id_change_approve(w: World) -> Any:
    _who, client_id, change = await a_change(w)
    second = await colleague(w.app, w.http, "operator", login="second")
    return await second.post(f"/console/clients/{client_id}/change/approve", {"change": change})


@case("POST /console/clients/{client_id}/change/decline")
async def post_console_clients_client_id_change_decline(w: World) -> Any:
    who, client_id, change = await a_change(w)
    return await who.post(f"/console/clients/{client_id}/change/decline", {"change": change})


@case("POST /console/clients/{client_id}/logo")
async def post_console_clients_client_id_logo(w: World) -> Any:
    who = await w.staff()
    party = await w.party(logo_uri="https://clinic.example/logo.png")
    return await who.post(f"/console/clients/{party.client.id}/logo", {"again": "1"})


@case("POST /console/agreements/new")
async def post_console_agreements_new(w: World) -> Any:
    who = await w.staff()
    member = await a_member(who)
    await who.post(f"/console/members/{member}/approve")
    return await who.post("/console/agreements/new", FORM | {"member": member, "step": "offer"})


@case("POST /console/agreements/{agreement_id}/revise")
async def post_console_agreements_agreement_id_revise(w: World) -> Any:
    who = await w.staff()
    offer = await an_offer(w.app, await a_member(who))
    return await who.post(f"/console/agreements/{offer.agreement_id}/revise", FORM | {"step": "offer"})


@case("POST /console/agreements/{agreement_id}/end")
async def post_console_agreements_agreement_id_end(w: World) -> Any:
    home = await w.home()
    await home.give()
    return await (await w.staff()).post(f"/console/agreements/{home.agreement_id}/end")


@case("POST /console/agreements/{agreement_id}/campaign")
async def post_console_agreements_agreement_id_campaign(w: World) -> Any:
    home = await w.home()
    await home.give()
    await changed(home)
    return await planned(await w.staff(), home)


@case("POST /console/agreements/{agreement_id}/campaign/{step}")
async def post_console_agreements_agreement_id_campaign_step(w: World) -> Any:
    who, home = await w.staff(), await w.home()
    await changed(home)
    await planned(who, home)
    return await who.post(f"/console/agreements/{home.agreement_id}/campaign/pause")


@case("POST /console/residents")
async def post_console_residents(w: World) -> Any:
    account_id, _ = await add(w.app)
    found = await (await w.staff("operator")).post("/console/residents", {"who": "hana"})
    assert account_id in found.headers["location"]
    return found


@case("POST /console/clients/{client_id}/assurance")
async def post_console_clients_assurance(w: World) -> Any:
    party = await w.party()
    form = {"minimum_ial": "2", "minimum_aal": "2", "verified_claims": "evidence"}
    return await (await w.staff("operator")).post(f"/console/clients/{party.client.id}/assurance", form)


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


@case("POST /safety/reset/stop")
async def post_safety_reset_stop(w: World) -> Any:
    account_id, codes = await hana(w.app)
    await begun(w.app, w.http, post_box(w.app), codes[0])
    return await (await window(w.app, w.http, account_id)).post("/safety/reset/stop")


@case("POST /sign-in/recover")
async def post_sign_in_recover(w: World) -> Any:
    """With nobody's name, then with somebody's."""
    _, codes = await hana(w.app)
    await post(w.http, "/sign-in/recover", login="nobody", code=codes[0])
    return await post(w.http, "/sign-in/recover", login="hana", code=codes[0])


@case("POST /sign-in/recover/letter")
async def post_sign_in_recover_letter(w: World) -> Any:
    _, codes = await hana(w.app)
    return await begun(w.app, w.http, post_box(w.app), codes[0])


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


@case("POST /console/clients/{client_id}/policy")
async def post_console_clients_client_id_policy(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    sent = {"exchange_audiences": "https://records.example", "exchange_scope": "read"}
    return await who.post(f"/console/clients/{client_id}/policy", sent)


@case("POST /console/request")
async def post_console_request(w: World) -> Any:
    who, (_member, client_id) = await w.staff(), await bus(w.app)
    return await who.post("/console/request", {"text": f"client_id={client_id}&scope=openid", "how": "pushed"})


@case("POST /console/registration-tokens")
async def post_console_registration_tokens(w: World) -> Any:
    return await (await w.staff()).post("/console/registration-tokens", {"uses": "2", "days": "7", "scope": "openid"})


@case("POST /console/registration-tokens/{token_id}/withdraw")
async def post_console_registration_tokens_token_id_withdraw(w: World) -> Any:
    who = await w.staff()
    await who.post("/console/registration-tokens", {"uses": "2", "days": "7", "scope": "openid"})
    (token,) = await w.app.host.db.read(w.app.host.get(Enrolments).list_initial)
    return await who.post(f"/console/registration-tokens/{token.id}/withdraw")


@case("POST /console/streams/{stream_id}/pause")
async def post_console_streams_stream_id_pause(w: World) -> Any:
    who, named = await w.staff(), await signals(w, await w.party())
    return await who.post(f"/console/streams/{named['stream_id']}/pause")


@case("POST /console/streams/{stream_id}/enable")
async def post_console_streams_stream_id_enable(w: World) -> Any:
    who, named = await w.staff(), await signals(w, await w.party())
    await who.post(f"/console/streams/{named['stream_id']}/pause")
    return await who.post(f"/console/streams/{named['stream_id']}/enable")
