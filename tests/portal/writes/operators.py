"""Cases of tests.portal.test_every_write. Operators' APIs."""

from typing import Any

from joserfc.jwk import ECKey

from tests.portal.test_console import PROPOSAL, a_member, an_offer
from tests.portal.test_desk import bus
from tests.portal.writes.base import World, case
from tests.support.desk import Colleague
from tests.support.relying_party import join


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
