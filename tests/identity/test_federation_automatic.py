"""A city in a federation: automatic registration by chains fetched over real HTTP (OpenID Federation 1.0, 12.1)."""

import asyncio
import json
from typing import Any

import jwt
import pytest
from sqlmodel import select

from identity import clients
from identity.client_paths import segment
from identity.clients import Clients
from identity.federation import admission
from identity.federation.models import FederatedClient
from keys.jose import peek
from kit.host import SYSTEM
from tests.identity.federated import ISSUER, City
from tests.identity.federated import as_before as as_before  # a fixture
from tests.identity.federated import city as city  # a fixture
from tests.support.desk import colleague
from tests.support.federation import new_key
from tests.support.relying_party import advance, location


async def test_a_service_of_the_federation_signs_a_resident_in_without_being_registered_12_1(city: City) -> None:
    city.world.service("rp")
    page = await city.come("rp")
    answer = await city.party.agree(page)
    assert answer["iss"] == ISSUER
    tokens = await city.http.post(
        "/oauth/token",
        data={"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": f"{city.world.url('rp')}/cb",
              "code_verifier": city.party.verifier, **city.assertion("rp")},
    )  # fmt: skip
    assert tokens.status_code == 200, tokens.text
    claims = jwt.decode(tokens.json()["id_token"], options={"verify_signature": False})
    assert claims["aud"] == city.world.url("rp")
    made = await city.client("rp")
    assert (made.automatic, made.member_id, made.may_use_data, made.first_party) == (True, None, False, False)
    assert made.scopes == {"openid", "profile", "email"}
    rows = await city.app.host.db.read(lambda session: [r.model_dump() for r in session.exec(select(FederatedClient))])
    (row,) = [row for row in rows if row["client_id"] == city.world.url("rp")]
    assert (row["anchor"], row["superior"]) == (city.world.url("anchor"), city.world.url("pref"))


async def test_a_pushed_request_is_proved_by_the_services_key_12_1_1_2(city: City) -> None:
    city.world.service("pusher")
    token = city.request_object("pusher")
    pushed = await city.http.post("/oauth/par", data={"request": token, **city.assertion("pusher")})
    assert pushed.status_code == 201, pushed.text
    page = await city.party.authorize(
        {"client_id": city.world.url("pusher"), "request_uri": pushed.json()["request_uri"]}
    )
    assert "/interaction/" in location(page)[0]
    again = await city.http.post("/oauth/par", data={"request": token, **city.assertion("pusher")})
    assert again.json()["error"] == "invalid_request_object"
    elsewhere = city.assertion("pusher", aud=f"{ISSUER}/oauth/par")
    other = await city.http.post("/oauth/par", data={"request": city.request_object("pusher"), **elsewhere})
    assert other.json()["error"] == "invalid_client"  # the audience is the entity id alone


async def test_a_chain_in_the_header_spares_the_search_4_3(city: City) -> None:
    city.world.service("bringer")
    asked = len(city.world.site.asked)
    chain = city.world.chain("bringer", "pref", "anchor")
    page = await city.come("bringer", city.request_object("bringer", {"trust_chain": chain}))
    assert "/interaction/" in location(page)[0]
    assert len(city.world.site.asked) == asked


async def test_an_old_chain_in_the_header_is_only_a_hint(city: City) -> None:
    """Statements are public: who stole a key that was changed since must not bring it back by showing an old chain."""
    city.world.service("aged")
    for name in ("aged", "pref/aged", "anchor/pref", "anchor"):
        city.world.said[name] = {"exp": city.world.now() + 86_400}
    chain = city.world.chain("aged", "pref", "anchor")
    advance(city.app, 7200)
    city.world.said.clear()
    asked = len(city.world.site.asked)
    page = await city.come("aged", city.request_object("aged", {"trust_chain": chain}))
    assert "/interaction/" in location(page)[0]
    assert len(city.world.site.asked) > asked


async def test_a_chain_that_was_sent_along_is_believed_as_long_as_one_that_was_fetched_then(city: City) -> None:
    """Not from now on anew: a stolen key that was changed would live twice as long as a chain."""
    city.world.service("sent")
    for name in ("sent", "pref/sent", "anchor/pref", "anchor"):
        city.world.said[name] = {"exp": city.world.now() + 86_400}
    chain = city.world.chain("sent", "pref", "anchor")
    advance(city.app, 3000)
    await city.come("sent", city.request_object("sent", {"trust_chain": chain}))
    assert (await city.client("sent")).usable
    advance(city.app, 700)
    assert not (await city.client("sent")).usable


async def test_a_registration_ends_with_its_chain_and_comes_again_12_3(city: City) -> None:
    city.world.service("shortlived")
    city.world.said["pref/shortlived"] = {"exp": city.world.now() + 120}
    await city.come("shortlived")
    assert (await city.client("shortlived")).usable
    advance(city.app, 121)
    assert not (await city.client("shortlived")).usable
    city.world.said["pref/shortlived"] = {"metadata": {"openid_relying_party": {"client_name": "anew"}}}
    await city.come("shortlived")
    made = await city.client("shortlived")
    assert (made.usable, made.name_en) == (True, "anew")


async def test_who_came_by_a_chain_and_met_nobody_is_forgotten_after_it(city: City) -> None:
    """Names cost a stranger nothing: the tables end up no larger than those of the clients that are in use."""
    for name in ("passing", "stopped", "befriended"):
        city.world.service(name, logo_uri=city.world.url("logo.png"))
        came = await city.come(name)
        if name == "befriended":
            await city.party.agree(came)
    registry, database, clock = city.app.host.get(Clients), city.app.host.db, city.app.host.clock
    await database.write(registry.suspend, city.world.url("stopped"), actor=SYSTEM)
    assert await database.bulk(admission.sweep, clock.ms() - 30 * 86_400_000) == 0  # no chain ended so long ago
    advance(city.app, 40 * 86_400)
    await database.bulk(admission.sweep, clock.ms() - 30 * 86_400_000)
    assert await city.client("passing") is None
    assert await city.client("stopped") is not None
    assert await city.client("befriended") is not None
    await city.come("passing")
    assert (await city.client("passing")).usable


async def test_an_access_token_ends_with_the_chain_of_its_client_12_3(city: City) -> None:
    """Also where it was seen good a moment before, and would be good for longer itself."""
    city.world.service("ending")
    city.world.said["pref/ending"] = {"exp": city.world.now() + 30}
    answer = await city.party.agree(await city.come("ending"))
    form = {
        "grant_type": "authorization_code", "code": answer["code"], "code_verifier": city.party.verifier,
        "redirect_uri": f"{city.world.url('ending')}/cb", **city.assertion("ending"),
    }  # fmt: skip
    token = (await city.http.post("/oauth/token", data=form)).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    assert (await city.http.get("/oauth/userinfo", headers=headers)).status_code == 200
    advance(city.app, 31)
    assert (await city.http.get("/oauth/userinfo", headers=headers)).status_code == 401


async def test_a_service_whose_superior_lets_it_go_is_out_when_its_chain_has_ended(city: City) -> None:
    party = city.world.service("dropped")
    await city.come("dropped")
    party.superior, kept = None, party.superior
    advance(city.app, 3601)
    answer = await city.come("dropped", city.request_object("dropped"))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    token = await city.http.post("/oauth/token", data={"grant_type": "client_credentials", **city.assertion("dropped")})
    assert (token.status_code, token.json()["error"]) == (401, "invalid_client")
    party.superior = kept


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aud": [ISSUER, "https://op.example"]}, "aud"),
        ({"aud": "https://op.example"}, "aud"),
        ({"iss": None}, "iss"),
        ({"client_id": None}, "client_id"),
        ({"sub": "x"}, "sub"),
        ({"jti": None}, "jti"),
        ({"exp": None}, "exp"),
    ],
)
async def test_a_request_object_says_all_that_section_12_1_1_1_asks(city: City, changes: Any, why: str) -> None:
    city.world.service("careless")
    await city.come("careless")  # it is known: what is wrong is told where it is
    _, answer = location(await city.come("careless", city.request_object("careless", **changes)))
    assert answer["error"] == "invalid_request_object"
    assert why in answer["error_description"]


async def test_a_request_object_counts_once(city: City) -> None:
    city.world.service("replayed")
    token = city.request_object("replayed")
    assert "/interaction/" in location(await city.come("replayed", token))[0]
    assert location(await city.come("replayed", token))[1]["error"] == "invalid_request_object"
    token = city.request_object("replayed")
    answers = await asyncio.gather(*(city.come("replayed", token) for _ in range(4)))
    assert (
        sorted(location(one)[1].get("error", "asked") for one in answers) == ["asked"] + ["invalid_request_object"] * 3
    )


async def test_who_only_says_who_it_is_gets_a_page_and_nobody_is_asked(city: City) -> None:
    asked = len(city.world.site.asked)
    city.world.service("silent")
    plain = city.party.request(client_id=city.world.url("silent"), redirect_uri=f"{city.world.url('silent')}/cb")
    answer = await city.party.authorize(plain)
    assert answer.status_code == 400
    assert len(city.world.site.asked) == asked
    await city.come("silent")  # now it is known, and still answers to nothing that is not signed
    assert (await city.party.authorize(plain)).status_code == 400


async def test_nothing_is_written_before_the_key_is_proved_12_1_1_1_2(city: City) -> None:
    """Chains are public: who names an entity has proved nothing, and its row would stand in its name."""
    city.world.service("victim")
    forged = jwt.encode(peek(city.request_object("victim"))[1], new_key(), "ES256",
                        headers={"kid": "rp", "typ": "oauth-authz-req+jwt"})  # fmt: skip
    stale = city.request_object("victim", exp=city.world.now() - 600)
    elsewhere = city.request_object("victim", aud="https://op.example")
    for token in (forged, stale, elsewhere):
        answer = await city.come("victim", token)
        assert answer.status_code == 400
        assert "invalid_request_object" in answer.text
    by_assertion = city.assertion("victim") | {"client_assertion": jwt.encode(
        peek(city.assertion("victim")["client_assertion"])[1], new_key(), "ES256", headers={"kid": "rp"})}  # fmt: skip
    for proof in (by_assertion, city.assertion("victim", aud="https://op.example"),
                  city.assertion("victim", exp=city.world.now() - 600)):  # fmt: skip
        # The object is its own, as it once went by a browser; who pushes it is not.
        pushed = {"request": city.request_object("victim"), **proof}
        answer = await city.http.post("/oauth/par", data=pushed)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert await city.client("victim") is None
    assert "/interaction/" in location(await city.come("victim"))[0]
    assert (await city.client("victim")).usable


async def test_nobody_else_renews_what_is_known_of_a_service(city: City) -> None:
    city.world.service("renewed")
    await city.come("renewed")
    advance(city.app, 3601)
    forged = jwt.encode(peek(city.request_object("renewed"))[1], new_key(), "ES256",
                        headers={"kid": "rp", "typ": "oauth-authz-req+jwt"})  # fmt: skip
    assert (await city.come("renewed", forged)).status_code == 400
    assert not (await city.client("renewed")).usable


async def test_a_request_signed_with_another_key_is_refused(city: City) -> None:
    city.world.service("stolen")
    await city.come("stolen")
    forged = jwt.encode(peek(city.request_object("stolen"))[1], city.world.parties["stolen"].key, "ES256",
                        headers={"kid": "rp", "typ": "oauth-authz-req+jwt"})  # fmt: skip
    assert location(await city.come("stolen", forged))[1]["error"] == "invalid_request_object"


async def test_no_redirect_to_who_is_not_trusted_and_the_codes_are_told_where_it_pushes_12_1_3(city: City) -> None:
    city.world.add("rogue-anchor", None)
    city.world.service("outsider", "rogue-anchor")
    answer = await city.come("outsider")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    pushed = await city.http.post(
        "/oauth/par", data={"request": city.request_object("outsider"), **city.assertion("outsider")}
    )
    assert (pushed.status_code, pushed.json()["error"]) == (400, "invalid_trust_chain")


@pytest.mark.parametrize(
    ("metadata", "word"),
    [
        ({"token_endpoint_auth_method": "client_secret_basic"}, "auth-method"),
        ({"token_endpoint_auth_method": "self_signed_tls_client_auth"}, "auth-method"),
        ({"redirect_uris": ["http://evil.example/cb"]}, "client-metadata"),
        ({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "x"}]}}, "client-metadata"),
        ({"grant_types": ["client_credentials"]}, "grant-types"),
        ({"client_registration_types": ["explicit"]}, "registration-type"),
    ],
)
async def test_metadata_that_no_client_may_have_is_refused(city: City, metadata: Any, word: str) -> None:
    name = f"odd-{word}-{len(json.dumps(metadata))}"
    city.world.service(name, **metadata)
    pushed = await city.http.post("/oauth/par", data={"request": city.request_object(name), **city.assertion(name)})
    assert pushed.json()["error"] == "invalid_metadata"
    assert pushed.json()["error_description"].startswith(word)


async def test_policies_of_the_federation_bind_a_client_and_scopes_are_ours_to_give(city: City) -> None:
    city.world.service("bound", scope="openid profile address records.read")
    city.world.said["anchor/pref"] = {"metadata_policy": {"openid_relying_party": {
        "scope": {"subset_of": ["openid", "address", "records.read"]}}}}  # fmt: skip
    await city.come("bound")
    assert (await city.client("bound")).scopes == {"openid"}  # the rest is not the city's to give


async def test_an_operators_suspension_and_an_operators_client_stand_above_any_chain(city: City) -> None:
    city.world.service("stopped")
    await city.come("stopped")
    registry, db = city.app.host.get(Clients), city.app.host.db
    await db.write(registry.suspend, city.world.url("stopped"), actor=SYSTEM)
    assert (await city.register("stopped")).json()["error"] == "invalid_client"  # nor in the other way
    advance(city.app, 3601)
    assert (await city.come("stopped")).status_code == 400
    assert (await city.client("stopped")).status == "suspended"
    await db.write(
        registry.create, await db.read(clients.registration_of, city.party.client.id), actor=SYSTEM,
        client_id=city.world.service("own").entity_id,
    )  # fmt: skip
    assert (await city.come("own")).status_code in (303, 400)
    assert (await city.client("own")).federated is None


async def test_an_operator_finds_and_suspends_such_a_client_in_the_console(city: City) -> None:
    """Its id is an address: in a path it is one segment (identity.client_paths)."""
    city.world.service("listed")
    await city.come("listed")
    staff = await colleague(city.app, city.http, "operator")
    at = f"/console/clients/{segment(city.world.url('listed'))}"
    assert f'href="{at}"' in (await staff.get("/console/clients")).text
    assert city.world.url("listed") in (await staff.get(at)).text
    assert (await staff.get(f"{at}/suspend")).status_code == 200
    assert (await staff.post(f"{at}/suspend")).headers["location"].startswith(at)
    assert not (await city.client("listed")).usable
    assert (await staff.get("/console/clients/~nothing")).status_code == 404


async def test_who_was_stopped_under_one_id_does_not_come_back_under_another(city: City) -> None:
    """An operator stops a service, not one of the two ways it may come by."""
    registry, db = city.app.host.get(Clients), city.app.host.db
    city.world.service("two-faced")
    await city.come("two-faced")
    await db.write(registry.suspend, city.world.url("two-faced"), actor=SYSTEM)
    refusal = await city.register("two-faced")
    assert (refusal.status_code, refusal.json()["error"]) == (401, "invalid_client")
    city.world.service("one-faced")
    made = peek((await city.register("one-faced")).text)[1]["metadata"]["openid_relying_party"]["client_id"]
    await db.write(registry.suspend, made, actor=SYSTEM)
    answer = await city.come("one-faced")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert await city.client("one-faced") is None
