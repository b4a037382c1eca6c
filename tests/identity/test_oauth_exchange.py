"""Token exchange, from the wire (RFC 8693): a front service, a back service behind it, a resident."""

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest

from identity import grants
from identity.clients import Clients
from identity.oauth.exchange import ACCESS_TOKEN, ID_TOKEN
from identity.registration import DEVICE, EXCHANGE
from kit import audit
from kit.host import SYSTEM
from tests.support.household import settle
from tests.support.relying_party import Party, Prover, advance, join

BOOKING = "https://booking.example"
RECORDS = "https://records.example"
SCOPES = "openid profile offline_access read write"


async def back(app: Any, client: Any, **registration: Any) -> Party:
    """The resource server of BOOKING, which goes on to RECORDS."""
    fields: dict[str, Any] = {
        "grant_types": ["client_credentials", EXCHANGE],
        "redirect_uris": [],
        "scope": "read",
        "introspects": [BOOKING],
        "exchange_audiences": [RECORDS],
        "exchange_scope": "read",
        **registration,
    }
    return await join(app, client, **fields)


@pytest.fixture
async def front(app: Any, client: Any) -> Party:
    """The service the resident uses."""
    return await join(app, client, scope=SCOPES, resources=[BOOKING])


async def subject(front: Party, scope: str = "openid read write") -> str:
    """An access token of the resident's, for BOOKING."""
    body = (await front.exchange(await front.code(scope=scope, resource=BOOKING))).json()
    return str(body["access_token"])


async def own(party: Party) -> str:
    """The actor's own token."""
    return str((await party.token(grant_type="client_credentials")).json()["access_token"])


async def swap(party: Party, token: str, **form: Any) -> httpx2.Response:
    """An exchange by delegation, with changes; None leaves one out."""
    if "actor_token" not in form and party.client.exchange_audiences and not party.client.impersonates:
        form = {"actor_token": await own(party), "actor_token_type": ACCESS_TOKEN, **form}
    return await party.token(
        **{"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": ACCESS_TOKEN, **form}
    )


def claims(token: str) -> dict[str, Any]:
    """What a JWT says."""
    payload = token.split(".")[1]
    said: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return said


async def test_a_service_acts_further_on_behalf_of_a_resident_and_the_token_says_who_acts(front: Party) -> None:
    """RFC 8693 sections 1.1, 2.2.1 and 4.1; the subject is the resident in the new audience's words."""
    party = await back(front.building, front.http)
    token = await subject(front)
    answer = await swap(party, token)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["issued_token_type"] == ACCESS_TOKEN
    assert (body["token_type"], body["scope"]) == ("Bearer", "read")
    before, after = claims(token), claims(body["access_token"])
    assert after["act"] == {"sub": party.client.id, "client_id": party.client.id}
    assert (after["aud"], after["client_id"]) == (RECORDS, party.client.id)
    assert after["sub"] not in (before["sub"], front.account_id)
    known_there = await join(front.building, front.http, scope=SCOPES, resources=[RECORDS])
    known_there.account_id, known_there.cookie, known_there.session = front.account_id, front.cookie, front.session
    direct = (await known_there.exchange(await known_there.code(scope="openid read", resource=RECORDS))).json()
    assert after["sub"] == claims(direct["access_token"])["sub"]  # as that resource knows the resident anyway
    assert (after["acr"], after["auth_time"]) == (before["acr"], before["auth_time"])
    assert (await party.introspect(body["access_token"]))["act"]["sub"] == party.client.id
    (entry,) = await front.building.host.db.read(audit.entries, action="identity.token.exchanged")
    assert entry.object_id == before["grant_id"]
    assert entry.detail["kind"] == "delegation"


async def test_each_hand_is_added_to_the_chain_and_it_can_not_grow_for_ever(front: Party) -> None:
    """RFC 8693 section 4.1: the newest actor outside, earlier ones within."""
    party = await back(front.building, front.http, introspects=[BOOKING, RECORDS])
    token = await subject(front)
    for _ in range(3):
        token = (await swap(party, token)).json()["access_token"]
    act, depth = claims(token)["act"], 0
    while act is not None:
        assert act["sub"] == party.client.id
        depth, act = depth + 1, act.get("act")
    assert depth == 3
    assert (await party.introspect(token))["active"]
    token = (await swap(party, token)).json()["access_token"]
    assert (await swap(party, token)).json()["error"] == "invalid_request"


async def test_impersonation_needs_its_own_leave_and_names_nobody(front: Party) -> None:
    """RFC 8693 section 1.1."""
    token = await subject(front)
    strict = await back(front.building, front.http)
    refused = await swap(strict, token, actor_token=None, actor_token_type=None)
    assert refused.json()["error"] == "invalid_request"
    free = await back(front.building, front.http, exchange_impersonation=True)
    body = (await swap(free, token)).json()
    assert "act" not in claims(body["access_token"])


async def test_it_is_off_by_default(front: Party) -> None:
    token = await subject(front)
    assert (await swap(front, token)).json()["error"] == "unauthorized_client"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "read write"}, "invalid_scope"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"audience": BOOKING}, "invalid_target"),
        ({"resource": RECORDS, "audience": BOOKING}, "invalid_target"),
        ({"resource": "https://else.example"}, "invalid_target"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({"requested_token_type": ID_TOKEN}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"subject_token_type": None}, "invalid_request"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token": "eyJ.e30.x"}, "invalid_request"),
        ({"subject_token_type": ID_TOKEN}, "invalid_request"),
        ({"actor_token_type": None}, "invalid_request"),
        ({"actor_token": "eyJ.e30.x"}, "invalid_request"),
        ({"actor_token_type": ID_TOKEN}, "invalid_request"),
    ],
)
async def test_nothing_is_widened_and_each_fault_has_its_name(
    front: Party, form: dict[str, str | None], error: str
) -> None:
    """RFC 8693 sections 2.1 and 2.2.2."""
    party = await back(front.building, front.http)
    answer = await swap(party, await subject(front), **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_scope_is_what_the_subject_token_has_and_no_more(front: Party) -> None:
    party = await back(front.building, front.http, exchange_scope="read write")
    body = (await swap(party, await subject(front, scope="openid read"))).json()
    assert body["scope"] == "read"


async def test_it_lives_no_longer_than_the_token_it_came_from(front: Party) -> None:
    party = await back(front.building, front.http)
    token = await subject(front)
    advance(front.building, 200)
    body = (await swap(party, token)).json()
    assert claims(body["access_token"])["exp"] == claims(token)["exp"]
    assert body["expires_in"] == 100
    advance(front.building, 101)
    assert (await swap(party, token)).json()["error"] == "invalid_request"


async def test_a_token_somebody_merely_got_hold_of_is_not_theirs_to_exchange(front: Party) -> None:
    """Neither its client nor its resource server: refused, whoever's policy names the target."""
    other = await back(front.building, front.http, introspects=["https://else.example"])
    assert (await swap(other, await subject(front))).json()["error"] == "invalid_request"
    party = await back(front.building, front.http)
    stolen = await own(other)
    refused = await swap(party, await subject(front), actor_token=stolen, actor_token_type=ACCESS_TOKEN)
    assert "another client" in refused.json()["error_description"]


async def test_may_act_names_who_goes_on_and_nobody_else_does(app: Any, client: Any) -> None:
    """RFC 8693 section 4.4."""
    named = await back(app, client, introspects=[])
    front = await join(app, client, scope=SCOPES, resources=[BOOKING], may_act=named.client.id)
    token = await subject(front)
    assert claims(token)["may_act"] == {"sub": named.client.id}
    after = (await swap(named, token)).json()["access_token"]
    assert claims(after)["may_act"] == {"sub": named.client.id}
    server = await back(app, client, introspects=[BOOKING], may_act="cli_somebody")
    plain = await join(app, client, scope=SCOPES, resources=[BOOKING])
    through = (await swap(server, await subject(plain))).json()["access_token"]
    assert "may_act" not in claims(through)  # who exchanged it has no say in who goes on with it
    assert "may_act" in (await swap(server, token)).json()["error_description"]


@pytest.mark.parametrize("how", ["token", "grant", "client", "chain", "actor's client"])
async def test_it_dies_with_whatever_it_came_from(front: Party, how: str) -> None:
    """Invariant I5: in the same commit, in every process."""
    party = await back(front.building, front.http, introspects=[BOOKING, RECORDS])
    code = await front.code(scope="openid read", resource=BOOKING)
    token = (await front.exchange(code)).json()["access_token"]
    first = (await swap(party, token)).json()["access_token"]
    last = (await swap(party, first)).json()["access_token"]
    reader = await join(front.building, front.http, introspects=[RECORDS])
    assert (await reader.introspect(last))["active"]
    host = front.building.host
    if how == "token":
        await front.http.post("/oauth/revoke", data={"token": token}, headers=front.basic)
    elif how == "grant":
        (grant,) = await host.db.read(grants.list_for, front.account_id)
        await host.db.write(grants.revoke, grant.id, actor=SYSTEM, now=host.clock.ms())
    elif how == "chain":
        await front.exchange(code)  # replayed
    else:
        ended = front if how == "client" else party
        await host.db.write(host.get(Clients).suspend, ended.client.id, actor=SYSTEM)
    assert await reader.introspect(last) == {"active": False}


async def test_revoked_meanwhile_is_revoked(front: Party) -> None:
    """The write that notes the exchange asks again: no token comes out of one that was just ended."""
    party = await back(front.building, front.http)
    token, actor = await subject(front), await own(party)
    answers = await asyncio.gather(
        *(swap(party, token, actor_token=actor, actor_token_type=ACCESS_TOKEN) for _ in range(4)),
        front.http.post("/oauth/revoke", data={"token": token}, headers=front.basic),
    )
    assert answers[-1].status_code == 200
    for answer in answers[:-1]:
        if answer.status_code == 200:
            assert await party.introspect(answer.json()["access_token"]) == {"active": False}


async def test_an_id_token_says_who_and_never_becomes_access(app: Any, client: Any) -> None:
    """RFC 8693 section 3: exchanged by the client it was issued to, for a token without any scope."""
    party = await join(
        app, client, scope=SCOPES, grant_types=["authorization_code", "client_credentials", EXCHANGE],
        exchange_audiences=[RECORDS], exchange_scope="read", exchange_impersonation=True,
    )  # fmt: skip
    token = (await party.exchange(await party.code(scope="openid read"))).json()["id_token"]
    answer = await swap(party, token, subject_token_type=ID_TOKEN)
    assert answer.status_code == 200, answer.text
    assert answer.json()["scope"] == ""
    assert (await swap(party, token, subject_token_type=ID_TOKEN, scope="read")).json()["error"] == "invalid_scope"
    assert (await swap(party, token)).json()["error"] == "invalid_request"  # by its own name only
    other = await back(app, client, exchange_impersonation=True)
    assert (await swap(other, token, subject_token_type=ID_TOKEN)).json()["error"] == "invalid_request"
    advance(app, 301)
    assert (await swap(party, token, subject_token_type=ID_TOKEN)).json()["error"] == "invalid_request"


async def test_an_id_token_of_a_client_that_can_not_exchange_names_no_grant(front: Party) -> None:
    body = (await front.exchange(await front.code())).json()
    assert "grant_id" not in claims(body["id_token"])


async def test_ones_own_bound_token_is_exchanged_by_who_holds_the_key(app: Any, client: Any) -> None:
    """RFC 9449: else a client's leaked secret would unbind its tokens."""
    party = await join(
        app, client, scope="read", grant_types=["client_credentials", EXCHANGE], redirect_uris=[],
        exchange_audiences=[RECORDS], exchange_scope="read", exchange_impersonation=True,
    )  # fmt: skip
    key, thief, url = Prover(), Prover(), f"{party.issuer}/oauth/token"

    def proof(prover: Prover) -> dict[str, str]:
        return {"dpop": prover.proof("POST", url, now_ms=app.host.clock.ms())}

    bound = (await party.token(grant_type="client_credentials", headers=proof(key))).json()["access_token"]
    assert (await swap(party, bound)).json()["error"] == "invalid_request"
    assert (await swap(party, bound, headers=proof(thief))).json()["error"] == "invalid_request"
    answer = (await swap(party, bound, headers=proof(key))).json()
    assert answer["token_type"] == "DPoP"
    assert claims(answer["access_token"])["cnf"] == {"jkt": key.jkt}
    assert claims(answer["access_token"])["sub"] == party.client.id


async def test_consent_goes_along_within_one_organisation_only_and_ends_with_the_consent(app: Any, client: Any) -> None:
    """RFC 9396 section 6: the recipient agreed to is an organisation; another's client gets none of the data (I1)."""
    home = await settle(app, client, scope=SCOPES, resources=[BOOKING])
    page = await home.ask(scope="openid read", resource=BOOKING)
    answer = await home.answer(page, {"answer": "agree"})
    code = httpx2.URL(answer.headers["location"]).params["code"]
    token = (await home.party.exchange(code)).json()["access_token"]
    same = await back(app, client, member_id=home.party.client.member_id)
    other = await back(app, client)
    mine = (await swap(same, token)).json()
    theirs = (await swap(other, token)).json()
    (detail,) = mine["authorization_details"]
    assert detail["consent"].startswith("con_")
    assert "authorization_details" not in theirs
    assert "authorization_details" not in claims(theirs["access_token"])
    await home.post(f"/consents/{detail['consent']}/withdraw")
    for party, body in ((same, mine), (other, theirs)):
        assert await party.introspect(body["access_token"]) == {"active": False}


@pytest.mark.parametrize(
    "fields",
    [
        {"grant_types": ["client_credentials", EXCHANGE]},
        {"exchange_audiences": [RECORDS]},
        {"grant_types": [DEVICE, EXCHANGE], "token_endpoint_auth_method": "none", "exchange_audiences": [RECORDS]},
        {"grant_types": ["client_credentials", EXCHANGE], "exchange_audiences": ["not a uri"]},
    ],
)
async def test_a_policy_that_makes_no_sense_is_not_registered(app: Any, client: Any, fields: dict[str, Any]) -> None:
    from identity.errors import InvalidClientMetadata

    with pytest.raises(InvalidClientMetadata):
        await join(app, client, **fields)
