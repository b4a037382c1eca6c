"""A city in a federation: explicit registration (OpenID Federation 1.0, section 12.2)."""

import asyncio
import json
from typing import Any

import pytest

from identity.clients import Clients
from keys.jose import peek, verify_with_jwks
from kit.encoding import b64url, b64url_decode
from tests.identity.federated import ISSUER, City
from tests.identity.federated import as_before as as_before  # a fixture
from tests.identity.federated import city as city  # a fixture
from tests.support.federation import new_key
from tests.support.relying_party import advance

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


async def test_explicit_registration_answers_with_a_signed_registration_12_2_3(city: City) -> None:
    party = city.world.service("explicit", token_endpoint_auth_method="client_secret_basic")
    answer = await city.register("explicit")
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
    again = await city.register("explicit")  # the one before is ended (section 12.2.2)
    assert again.status_code == 200
    before = await city.app.host.get(Clients).get(made["client_id"])
    assert before is not None
    assert before.status == "removed"


async def test_a_chain_may_be_handed_in_in_the_body_or_in_the_header(city: City) -> None:
    city.world.service("chained")
    city.world.said["chained"] = {"aud": ISSUER}
    body = json.dumps(city.world.chain("chained", "pref", "anchor"))
    asked = len(city.world.site.asked)
    assert (await city.register("chained", body)).status_code == 200
    city.world.said.clear()
    advance(city.app, 1)
    chain = city.world.chain("chained", "pref", "anchor")
    by_header = city.world.parties["chained"].configuration(aud=ISSUER, header={"trust_chain": chain})
    assert (await city.register("chained", by_header)).status_code == 200
    assert len(city.world.site.asked) == asked
    peer = city.world.parties["chained"].configuration(
        aud=ISSUER, header={"trust_chain": chain, "peer_trust_chain": chain}, iat=city.world.now() - 1
    )
    assert (await city.register("chained", peer)).json()["error"] == "invalid_trust_chain"  # it begins with another


async def test_an_old_chain_handed_in_does_not_bring_an_old_key_back(city: City) -> None:
    """Statements are public: who stole a key that was changed since would end the service's registration by it."""
    party = city.world.service("robbed")
    for name in ("robbed", "pref/robbed", "anchor/pref", "anchor"):
        city.world.said[name] = {"exp": city.world.now() + 86_400}
    old, stolen = city.world.chain("robbed", "pref", "anchor"), party.key
    advance(city.app, 7200)
    city.world.said.clear()
    party.key = new_key()
    client_id = peek((await city.register("robbed")).text)[1]["metadata"]["openid_relying_party"]["client_id"]
    thief = type(party)(party.entity_id, party.superior, party.metadata, city.world.now(), key=stolen)
    by_header = thief.configuration(aud=ISSUER, header={"trust_chain": old})
    in_the_body = json.dumps([thief.configuration(aud=ISSUER, iat=city.world.now() - 1), *old[1:]])
    for body in (by_header, in_the_body):
        assert (await city.register("robbed", body)).json()["error"] == "invalid_trust_chain"
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
    answer = await city.register("misdirected", **changed)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_an_explicit_request_counts_once_and_is_of_its_content_type(city: City) -> None:
    party = city.world.service("again")
    party.now = city.world.now()
    token = party.configuration(aud=ISSUER)
    assert (await city.register("again", token)).status_code == 200
    assert (await city.register("again", token)).json()["error"] == "invalid_request"
    assert (await city.register("again", twin(token))).json()["error"] == "invalid_request"
    city.party.building.host.clock.advance(seconds=1)
    party.now = city.world.now()
    token = party.configuration(aud=ISSUER)
    answers = await asyncio.gather(*(city.register("again", token) for _ in range(4)))
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
