"""A city in a federation: what it says of itself, over HTTP (OpenID Federation 1.0)."""

from typing import Any

from keys.jose import peek, verify_with_jwks
from kit.host import SYSTEM
from tests.identity.federated import CONFIGURATION, ISSUER, City
from tests.identity.federated import as_before as as_before  # a fixture
from tests.identity.federated import city as city  # a fixture


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
