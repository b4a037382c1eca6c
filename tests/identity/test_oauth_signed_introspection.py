"""Introspection as a signed token, from the wire (RFC 9701)."""

import base64
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from identity.registration import Registration
from tests.support.relying_party import Party, join

TYPE = "application/token-introspection+jwt"


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def ask(party: Party, token: str, accept: str = TYPE) -> Any:
    return await party.http.post("/oauth/introspect", data={"token": token}, headers={**party.basic, "accept": accept})


async def verified(party: Party, token: str, alg: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, by our published keys and somebody else's library."""
    keys = KeySet.import_key_set((await party.http.get("/oauth/jwks")).json())
    found = jws.deserialize_compact(token, keys, algorithms=[alg])
    return dict(found.headers()), json.loads(found.payload)


async def test_who_accepts_the_signed_form_gets_it_for_itself_alone(party: Party) -> None:
    """RFC 9701 sections 4 and 5: iss, aud, iat and token_introspection, and neither sub nor exp beside it."""
    token = (await party.exchange(await party.code())).json()["access_token"]
    answer = await ask(party, token, accept=f"application/json;q=0.5, {TYPE}")
    assert answer.headers["content-type"] == TYPE
    assert answer.headers["cache-control"] == "no-store"
    header, claims = await verified(party, answer.text, "RS256")
    assert header["typ"] == "token-introspection+jwt"
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}
    assert (claims["iss"], claims["aud"]) == (party.issuer, party.client.id)
    assert claims["token_introspection"] == await party.introspect(token)


async def test_what_may_not_be_known_is_signed_as_inactive(party: Party) -> None:
    """RFC 9701 section 5, RFC 7662 section 2.2: a dead token, nonsense, and somebody else's token say the same."""
    other = await join(party.building, party.http)
    token = (await other.exchange(await other.code())).json()["access_token"]
    for one in ("nonsense", "skr_x", token):
        _, claims = await verified(party, (await ask(party, one)).text, "RS256")
        assert claims["token_introspection"] == {"active": False}


async def test_a_registered_algorithm_signs_always(app: Any, client: Any) -> None:
    """RFC 9701 section 6."""
    party = await join(app, client, introspection_signed_response_alg="ES256")
    token = (await party.exchange(await party.code())).json()["access_token"]
    answer = await ask(party, token, accept="*/*")
    _, claims = await verified(party, answer.text, "ES256")
    assert claims["token_introspection"]["active"]


async def test_a_signed_introspection_passes_for_no_other_token(party: Party) -> None:
    """RFC 9701 section 8.1 (RFC 8725): its type is its own, at every door."""
    token = (await party.exchange(await party.code())).json()["access_token"]
    signed = (await ask(party, token)).text
    refused = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {signed}"})
    assert refused.status_code == 401
    assert await party.introspect(signed) == {"active": False}
    hinted = await party.authorize(party.request(id_token_hint=signed))
    assert "error=invalid_request" in hinted.headers["location"]


async def test_the_metadata_and_the_registration_name_the_algorithms(party: Party) -> None:
    """RFC 9701 sections 6 and 7; no symmetric one, nothing unsigned."""
    document = (await party.http.get("/.well-known/oauth-authorization-server")).json()
    assert document["introspection_signing_alg_values_supported"] == ["RS256", "PS256", "ES256", "EdDSA"]
    for alg in ("none", "HS256"):
        with pytest.raises(ValueError, match="introspection_signed_response_alg"):
            Registration(name_ja="x", name_en="x", introspection_signed_response_alg=alg)  # type: ignore[arg-type]


async def test_the_answer_is_no_larger_a_secret_than_the_plain_one(party: Party) -> None:
    token = (await party.exchange(await party.code())).json()["access_token"]
    payload = (await ask(party, token)).text.split(".")[1]
    said = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert party.account_id not in json.dumps(said)
