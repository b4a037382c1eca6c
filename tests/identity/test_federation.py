"""A city in a federation: chains fetched over real HTTP, automatic and explicit registration (OpenID Federation 1.0).

The other members are independent of our code (tests/support/federation.py); one web server on loopback holds them.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import jwt
import pytest
from sqlmodel import select

from identity import clients
from identity.client_paths import segment
from identity.clients import Clients
from identity.federation import admission
from identity.federation.discovery import AT_ONCE, EACH, LINE
from identity.federation.models import FederatedClient
from identity.federation.refusals import Refused
from identity.federation.service import Federation
from keys.jose import peek, verify_with_jwks
from kit.clock import FrozenClock
from kit.encoding import b64url, b64url_decode
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from portal.app import Building, create_app
from portal.settings import Settings
from tests.support.desk import colleague
from tests.support.federation import World, new_key, statement
from tests.support.relying_party import Party, advance, join, location, pkce
from tests.support.site import reply, serving

ISSUER = "http://localhost:8080"
CONFIGURATION = "/.well-known/openid-federation"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class City:
    """The city under test, and the world around it."""

    def __init__(self, app: Building, http: httpx2.AsyncClient, world: World, party: Party) -> None:
        self.app, self.http, self.world, self.party = app, http, world, party
        self.federation = app.host.get(Federation)

    def request_object(self, name: str, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """A signed authorization request."""
        self.party.verifier, challenge = pkce()
        claims = {
            "aud": ISSUER, "client_id": self.world.url(name), "response_type": "code", "scope": "openid profile",
            "redirect_uri": f"{self.world.url(name)}/cb", "state": "s", "nonce": "n",
            "code_challenge": challenge, "code_challenge_method": "S256",
        }  # fmt: skip
        return self.world.by_rp(name, "oauth-authz-req+jwt", header, **claims | changes)

    async def come(self, name: str, token: str | None = None, **more: str) -> httpx2.Response:
        asked = {"client_id": self.world.url(name), "request": token or self.request_object(name), **more}
        return await self.party.authorize(asked)

    def assertion(self, name: str, **changes: Any) -> dict[str, str]:
        claims = {"sub": self.world.url(name), "aud": ISSUER, **changes}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.world.by_rp(name, **claims),
        }

    async def client(self, name: str) -> Any:
        return await self.app.host.get(Clients).get(self.world.url(name))


@pytest.fixture(scope="module")
async def city(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    clock, data = FrozenClock(), tmp_path_factory.mktemp("federation") / "data"
    shutil.copytree(empty_city, data)
    async with serving() as site:
        world = World(site, lambda: clock.ms() // 1000)
        federation = {"on": True, "trust_anchors": world.anchors, "authority_hints": [world.url("pref")],
                      "organization_name": "湊浜市"}  # fmt: skip
        identity = Settings(data=data).identity.model_validate({"federation": federation, "source_tries": 1000})
        settings = Settings(
            data=data, issuer=ISSUER, jobs=False, identity=identity, outgoing=OutgoingSettings(allow=("127.0.0.1",))
        )
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
                yield City(app, http, world, await join(app, http))


@pytest.fixture(autouse=True)
def _as_before(request: pytest.FixtureRequest) -> None:
    if "city" in request.fixturenames:
        made: City = request.getfixturevalue("city")
        made.world.said.clear()
        made.world.answers.clear()


# -- what the city says of itself


async def test_the_entity_configuration_is_signed_by_a_key_in_it_and_says_what_section_9_asks(city: City) -> None:
    answer = await city.http.get(CONFIGURATION)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/entity-statement+jwt"
    claims = peek(answer.text, longest=65_536)[1]
    header, proved = verify_with_jwks(
        answer.text, claims["jwks"], algs=("ES256",), typ="entity-statement+jwt", longest=65_536
    )
    assert proved == claims
    assert header["kid"] == claims["jwks"]["keys"][0]["kid"]
    assert claims["iss"] == claims["sub"] == ISSUER
    assert claims["exp"] - claims["iat"] == 86_400
    assert claims["authority_hints"] == [city.world.url("pref")]
    provider = claims["metadata"]["openid_provider"]
    assert provider["issuer"] == ISSUER
    assert provider["client_registration_types_supported"] == ["automatic", "explicit"]
    assert provider["federation_registration_endpoint"] == f"{ISSUER}/federation/register"
    entity = claims["metadata"]["federation_entity"]
    assert entity["organization_name"] == "湊浜市"
    assert "federation_fetch_endpoint" not in entity  # section 5.1.1: a leaf must not
    # Section 3.1.1: federation keys are not used in other protocols.
    oauth = {key["kid"] for key in (await city.http.get("/oauth/jwks")).json()["keys"]}
    assert not oauth & {key["kid"] for key in claims["jwks"]["keys"]}


async def test_a_city_that_takes_automatic_clients_alone_names_their_one_way_to_authenticate_12_1_4(city: City) -> None:
    said = peek(await city.federation.city.configuration(), longest=65_536)[1]["metadata"]["openid_provider"]
    assert "client_secret_basic" in said["token_endpoint_auth_methods_supported"]  # explicit clients may
    before = city.federation.city.settings
    city.federation.city.settings = before.model_copy(update={"registration": ("automatic",)})
    try:
        said = peek(await city.federation.city.configuration(), longest=65_536)[1]["metadata"]["openid_provider"]
    finally:
        city.federation.city.settings = before
    assert said["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


async def test_a_leaf_vouches_for_nobody(city: City) -> None:
    for path in ("fetch?sub=https://a.example", "list", "trust-mark?sub=https://a.example&trust_mark_type=x"):
        answer = await city.http.get(f"/federation/{path}")
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


async def test_a_city_in_no_federation_says_nothing(client: Any) -> None:
    for path in (CONFIGURATION, "/federation/resolve", "/federation/historical-keys"):
        assert (await client.get(path)).status_code == 404


async def test_federation_keys_rotate_and_stay_in_the_history_8_7(city: City) -> None:
    keys = city.federation.keys
    before = await keys.jwks()
    followed = await keys.rotate(actor=SYSTEM)
    assert followed == before["keys"][1]["kid"]
    shown = [key["kid"] for key in (await keys.jwks())["keys"]]
    assert shown[0] == followed
    assert before["keys"][0]["kid"] in shown  # statements it signed are still about
    lost = await keys.rotate(actor=SYSTEM, compromised=True)
    assert followed not in [key["kid"] for key in (await keys.jwks())["keys"]]
    answer = await city.http.get("/federation/historical-keys")
    assert answer.headers["content-type"] == "application/jwk-set+jwt"
    _, told = verify_with_jwks(answer.text, await keys.jwks(), algs=("ES256",), typ="jwk-set+jwt")
    history = {key["kid"]: key for key in told["keys"]}
    assert history[followed]["revoked"]["reason"] == "compromised"
    assert "revoked" not in history[before["keys"][0]["kid"]]
    assert lost not in history


# -- automatic registration


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
    assert (await register(city, "stopped")).json()["error"] == "invalid_client"  # nor in the other way
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
    refusal = await register(city, "two-faced")
    assert (refusal.status_code, refusal.json()["error"]) == (401, "invalid_client")
    city.world.service("one-faced")
    made = peek((await register(city, "one-faced")).text)[1]["metadata"]["openid_relying_party"]["client_id"]
    await db.write(registry.suspend, made, actor=SYSTEM)
    answer = await city.come("one-faced")
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert await city.client("one-faced") is None


# -- the search, and its bounds


async def resolve(city: City, name: str, **more: Any) -> Any:
    return await city.federation.discovery.resolve(city.world.url(name), **more)


async def refused(city: City, name: str) -> str:
    with pytest.raises(Refused) as caught:
        await resolve(city, name)
    return caught.value.word


async def test_one_search_serves_all_who_ask_and_is_kept_until_the_chain_ends(city: City) -> None:
    city.world.service("popular")
    asked = len(city.world.site.asked)
    found = await asyncio.gather(*(resolve(city, "popular") for _ in range(20)))
    assert len({id(one) for one in found}) == 1
    assert len(city.world.site.asked) - asked == 5  # three configurations, two statements
    await resolve(city, "popular")
    assert len(city.world.site.asked) - asked == 5


async def test_strangers_that_answer_slowly_keep_out_nobody_who_was_here_before_18_1(city: City) -> None:
    """Anybody makes us search by a request that proves nothing yet; a web server that dawdles holds a place for it."""
    city.world.service("regular")
    await city.come("regular")
    advance(city.app, 3601)
    assert not (await city.client("regular")).usable
    async with AsyncExitStack() as held:
        for number in range(AT_ONCE):
            await held.enter_async_context(city.federation.discovery.strangers.take(f"198.51.100.{number}"))
        waiting = asyncio.create_task(resolve(city, "regular", anew=True, requester="192.0.2.1"))
        await asyncio.sleep(0)
        assert "/interaction/" in location(await city.come("regular"))[0]
        assert not waiting.done()
    await waiting


async def test_one_network_with_many_slow_names_takes_no_other_strangers_place_18_1(city: City) -> None:
    """Neither by names in requests nor by configurations it hands in: it waits behind itself, in a short line."""
    names = [f"slow-{number}" for number in range(LINE)]
    for name in [*names, "one-more", "quick"]:
        city.world.service(name)
    asked = len(city.world.site.asked)
    async with AsyncExitStack() as held:
        for _ in range(EACH):
            await held.enter_async_context(city.federation.discovery.strangers.take("192.0.2.1"))
        mine = [asyncio.create_task(resolve(city, name, requester="192.0.2.1")) for name in names]
        await asyncio.sleep(0.01)
        assert len(city.world.site.asked) == asked
        with pytest.raises(Refused) as caught:
            await resolve(city, "one-more", requester="192.0.2.1")
        assert caught.value.code == "temporarily_unavailable"
        # A name that somebody else's line holds up is not held up for others.
        assert (await resolve(city, names[-1], requester="192.0.2.2")).subject == city.world.url(names[-1])
        assert (await resolve(city, "quick", requester="192.0.2.2")).subject == city.world.url("quick")
        gone = mine.pop(0)
        gone.cancel()
    assert [(await task).subject for task in mine] == [city.world.url(name) for name in names[1:]]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_a_loop_ends_and_is_not_followed_10_1(city: City) -> None:
    city.world.add("loop-a", "loop-b")
    city.world.add("loop-b", "loop-a")
    city.world.service("looped", "loop-a")
    asked = len(city.world.site.asked)
    await refused(city, "looped")
    assert len(city.world.site.asked) - asked <= 6


async def test_hundreds_of_hints_become_few_requests_18_1(city: City) -> None:
    party = city.world.service("greedy")
    party.superior = None
    city.world.said["greedy"] = {"authority_hints": [city.world.url(f"nobody-{n}") for n in range(300)]}
    asked = len(city.world.site.asked)
    await refused(city, "greedy")
    assert len(city.world.site.asked) - asked <= 11
    asked = len(city.world.site.asked)
    await refused(city, "greedy")  # what was refused is not looked for again at once
    assert len(city.world.site.asked) == asked


async def test_a_hint_to_an_inside_address_is_not_followed(city: City) -> None:
    city.world.service("inward")
    city.world.said["inward"] = {"authority_hints": ["https://10.0.0.1", "https://169.254.169.254", "https://[::1]"]}
    assert await refused(city, "inward") == "unreachable"


_STATEMENT = "content-type: application/entity-statement+jwt"


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (reply(b"x" * 70_000, "200 OK", _STATEMENT), "unreachable"),
        (reply(b"{}", "200 OK", "content-type: application/json"), "no-statement"),
        (reply(b"", "500 Oh", _STATEMENT), "no-statement"),
    ],
)
async def test_what_is_no_statement_is_not_read_as_one(city: City, answer: bytes, word: str) -> None:
    name = f"below-{word}-{len(answer)}"
    city.world.service(name)
    city.world.answers[f"/pref{CONFIGURATION}"] = answer
    assert await refused(city, name) == word


async def test_a_superior_that_answers_about_somebody_else_or_with_anothers_key_is_not_believed(city: City) -> None:
    city.world.service("a-swapped")
    city.world.service("b-swapped")
    path = f"/pref/fetch?sub={city.world.url('a-swapped').replace(':', '%3A').replace('/', '%2F')}"
    pref, b = city.world.parties["pref"], city.world.parties["b-swapped"]
    city.world.answers[path] = statement(pref.about(b))
    assert await refused(city, "a-swapped") == "subject"
    advance(city.app, 31)
    forged = named_with_key_of(pref, b, city.world.now()).about(city.world.parties["a-swapped"])
    city.world.answers[path] = statement(forged)
    assert await refused(city, "a-swapped") == "signature"


def named_with_key_of(named: Any, keyed: Any, now: int) -> Any:
    """One party's name with another's key."""
    return type(named)(named.entity_id, None, key=keyed.key, now=now)


# -- explicit registration


async def register(city: City, name: str, body: str | None = None, **changed: Any) -> httpx2.Response:
    party = city.world.parties[name]
    party.now = city.world.now()
    token = body or party.configuration(**{"aud": ISSUER, **changed})
    kind = "application/trust-chain+json" if token.startswith("[") else "application/entity-statement+jwt"
    return await city.http.post("/federation/register", content=token, headers={"content-type": kind})


async def test_explicit_registration_answers_with_a_signed_registration_12_2_3(city: City) -> None:
    party = city.world.service("explicit", token_endpoint_auth_method="client_secret_basic")
    answer = await register(city, "explicit")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/explicit-registration-response+jwt"
    _, said = verify_with_jwks(
        answer.text, await city.federation.keys.jwks(), algs=("ES256",), typ="explicit-registration-response+jwt"
    )
    assert (said["iss"], said["sub"], said["aud"]) == (ISSUER, party.entity_id, party.entity_id)
    assert said["trust_anchor"] == city.world.url("anchor")
    assert said["authority_hints"] == [city.world.url("pref")]
    assert said["jwks"] == party.jwks
    made = said["metadata"]["openid_relying_party"]
    assert made["client_id"].startswith("cli_")
    assert made["client_secret_expires_at"] == said["exp"]
    assert "registration_access_token" not in made
    client = await city.app.host.get(Clients).get(made["client_id"])
    assert client is not None
    assert client.federated == "explicit"
    advance(city.app, 1)
    again = await register(city, "explicit")  # the one before is ended (section 12.2.2)
    assert again.status_code == 200
    before = await city.app.host.get(Clients).get(made["client_id"])
    assert before is not None
    assert before.status == "removed"


async def test_a_chain_may_be_handed_in_in_the_body_or_in_the_header(city: City) -> None:
    city.world.service("chained")
    city.world.said["chained"] = {"aud": ISSUER}
    body = json.dumps(city.world.chain("chained", "pref", "anchor"))
    asked = len(city.world.site.asked)
    assert (await register(city, "chained", body)).status_code == 200
    city.world.said.clear()
    advance(city.app, 1)
    chain = city.world.chain("chained", "pref", "anchor")
    by_header = city.world.parties["chained"].configuration(aud=ISSUER, header={"trust_chain": chain})
    assert (await register(city, "chained", by_header)).status_code == 200
    assert len(city.world.site.asked) == asked
    peer = city.world.parties["chained"].configuration(
        aud=ISSUER, header={"trust_chain": chain, "peer_trust_chain": chain}, iat=city.world.now() - 1
    )
    assert (await register(city, "chained", peer)).json()["error"] == "invalid_trust_chain"  # it begins with another


async def test_an_old_chain_handed_in_does_not_bring_an_old_key_back(city: City) -> None:
    """Statements are public: who stole a key that was changed since would end the service's registration by it."""
    party = city.world.service("robbed")
    for name in ("robbed", "pref/robbed", "anchor/pref", "anchor"):
        city.world.said[name] = {"exp": city.world.now() + 86_400}
    old, stolen = city.world.chain("robbed", "pref", "anchor"), party.key
    advance(city.app, 7200)
    city.world.said.clear()
    party.key = new_key()
    client_id = peek((await register(city, "robbed")).text)[1]["metadata"]["openid_relying_party"]["client_id"]
    thief = type(party)(party.entity_id, party.superior, party.metadata, city.world.now(), key=stolen)
    by_header = thief.configuration(aud=ISSUER, header={"trust_chain": old})
    in_the_body = json.dumps([thief.configuration(aud=ISSUER, iat=city.world.now() - 1), *old[1:]])
    for body in (by_header, in_the_body):
        assert (await register(city, "robbed", body)).json()["error"] == "invalid_trust_chain"
    found = await city.app.host.get(Clients).get(client_id)
    assert found is not None
    assert found.status == "active"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"aud": None}, "invalid_trust_chain"),
        ({"aud": "https://op.example"}, "invalid_trust_chain"),
        ({"aud": [ISSUER, "https://op.example"]}, "invalid_trust_chain"),
        ({"iss": "https://evil.example", "sub": "https://evil.example"}, "invalid_trust_chain"),
        ({"metadata": {}}, "invalid_metadata"),
    ],
)
async def test_an_explicit_request_for_another_or_of_another_is_refused(city: City, changed: Any, error: str) -> None:
    city.world.service("misdirected")
    answer = await register(city, "misdirected", **changed)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_an_explicit_request_counts_once_and_is_of_its_content_type(city: City) -> None:
    party = city.world.service("again")
    party.now = city.world.now()
    token = party.configuration(aud=ISSUER)
    assert (await register(city, "again", token)).status_code == 200
    assert (await register(city, "again", token)).json()["error"] == "invalid_request"
    assert (await register(city, "again", twin(token))).json()["error"] == "invalid_request"
    city.party.building.host.clock.advance(seconds=1)
    party.now = city.world.now()
    token = party.configuration(aud=ISSUER)
    answers = await asyncio.gather(*(register(city, "again", token) for _ in range(4)))
    assert sorted(one.status_code for one in answers) == [200, 400, 400, 400]
    plain = await city.http.post("/federation/register", content=token, headers={"content-type": "application/json"})
    assert plain.json()["error"] == "invalid_request"
    broken = await city.http.post(
        "/federation/register", content="[1]", headers={"content-type": "application/trust-chain+json"}
    )
    assert broken.json()["error"] == "invalid_request"


def twin(token: str) -> str:
    """The same JWT with the other signature that holds: of an ECDSA signature (r, s) anybody makes (r, n - s)."""
    signed, _, signature = token.rpartition(".")
    raw = b64url_decode(signature)
    other = P256_ORDER - int.from_bytes(raw[32:], "big")
    return f"{signed}.{b64url(raw[:32] + other.to_bytes(32, 'big'))}"
