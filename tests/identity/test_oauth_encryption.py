"""Answers only their client can read, from the wire (OpenID Connect Core section 10.2); read by another library."""

import base64
import json
import zlib
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from jwcrypto import jwe as other_jwe
from jwcrypto import jwk as other_jwk

from identity.clients import Clients, registration_of
from identity.settings import IdentitySettings
from keys.jose import verify_with_jwks
from keys.jwe import ALGS, ENCS, encrypt, find_key
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from portal.app import Building
from tests.support.relying_party import Party, advance, join, location
from tests.support.site import Site

SIGNING = ECKey.generate_key("P-256", auto_kid=True)
EC = ECKey.generate_key("P-256", {"use": "enc", "alg": "ECDH-ES"}, auto_kid=True)
X25519 = OKPKey.generate_key("X25519", {"use": "enc"}, auto_kid=True)
RSA = RSAKey.generate_key(2048, {"use": "enc"}, auto_kid=True)
PRIVATE = {str(key.kid): key for key in (EC, X25519, RSA)}
KEYS = {"keys": [key.as_dict(private=False) for key in (SIGNING, EC, X25519, RSA)]}


@pytest.fixture
def settings(settings: Any) -> Any:
    outgoing = OutgoingSettings(allow=("127.0.0.1",))
    return settings.model_copy(update={"outgoing": outgoing, "identity": IdentitySettings(registration="open")})


@pytest.fixture
async def party(app: Building, client: httpx2.AsyncClient) -> Party:
    return await join(app, client, jwks=KEYS)


async def change(party: Party, **changes: Any) -> None:
    """The client's registration, changed."""
    host = party.building.host
    before = await host.db.read(registration_of, party.client.id)
    registration = before.model_copy(update=changes)
    party.client = await host.db.write(host.get(Clients).replace, party.client.id, registration, actor=SYSTEM)


def opened(token: str) -> tuple[dict[str, Any], str]:
    """Header and content of a JWE, by jwcrypto."""
    header = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    reader = other_jwe.JWE(algs=[header["alg"], header["enc"]])
    reader.deserialize(token, key=other_jwk.JWK(**PRIVATE[header["kid"]].as_dict(private=True)))
    return header, reader.payload.decode()


async def claims(party: Party, token: str) -> dict[str, Any]:
    """What is signed inside, by our published keys."""
    published = (await party.http.get("/oauth/jwks")).json()
    _, said = verify_with_jwks(token, published, algs=["ES256", "RS256"], typ=None)
    return said


async def test_id_tokens_are_signed_and_then_encrypted_in_every_way_we_publish(party: Party) -> None:
    """Core section 10.2, RFC 7519 section 5.2; never compressed (RFC 8725 section 3.6)."""
    said = (await party.http.get("/.well-known/openid-configuration")).json()
    assert said["id_token_encryption_alg_values_supported"] == list(ALGS)
    assert said["id_token_encryption_enc_values_supported"] == list(ENCS)
    assert not {"RSA1_5", "RSA-OAEP", "dir", "A128KW"} & set(ALGS)
    for alg in ALGS:
        for enc in ENCS if alg == "ECDH-ES" else ENCS[-1:]:
            await change(party, id_token_encrypted_response_alg=alg, id_token_encrypted_response_enc=enc)
            body = (await party.exchange(await party.code())).json()
            header, inner = opened(body["id_token"])
            assert (header["alg"], header["enc"], header["cty"]) == (alg, enc, "JWT")
            assert "zip" not in header
            assert (await claims(party, inner))["aud"] == party.client.id
    assert body["access_token"].count(".") == 2, "an access token is for others to read"


async def test_the_default_is_the_standards_and_python_jose_reads_it_too(party: Party) -> None:
    """Registration section 2: A128CBC-HS256 where only `alg` is registered."""
    from jose import jwe

    await change(party, id_token_encrypted_response_alg="RSA-OAEP-256")
    token = (await party.exchange(await party.code())).json()["id_token"]
    assert opened(token)[0]["enc"] == "A128CBC-HS256"
    inner = jwe.decrypt(token, json.loads(json.dumps(RSA.as_dict(private=True))))
    assert (await claims(party, inner.decode()))["nonce"] == "n-0S6_WzA2Mj"


async def test_refreshed_id_tokens_are_encrypted_too(party: Party) -> None:
    """Core section 12.2: what was agreed on at registration holds for every ID token."""
    await change(party, id_token_encrypted_response_alg="ECDH-ES+A256KW", id_token_encrypted_response_enc="A256GCM")
    first = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    again = (await party.refresh(first["refresh_token"])).json()
    assert (await claims(party, opened(again["id_token"])[1]))["sub"]


async def test_userinfo_answers_and_introspection_are_encrypted_where_registered(party: Party) -> None:
    """Core section 5.3.2, JARM section 2.2, RFC 9701 section 5; asking for plain JSON gets nothing in clear."""
    kinds = ("userinfo", "authorization", "introspection")
    wanted = {f"{kind}_encrypted_response_alg": "ECDH-ES+A128KW" for kind in kinds}
    await change(party, userinfo_signed_response_alg="ES256", **wanted)
    answer = location(await party.http.get(await _completed(party)))[1]
    token = (await party.exchange((await claims(party, opened(answer["response"])[1]))["code"])).json()["access_token"]
    info = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert info.headers["content-type"] == "application/jwt"
    assert (await claims(party, opened(info.text)[1]))["name"] == "湊 花子"
    said = await party.http.post(
        "/oauth/introspect", data={"token": token}, headers={**party.basic, "accept": "application/json"}
    )
    _, inner = opened(said.text)
    payload = json.loads(base64.urlsafe_b64decode(inner.split(".")[1] + "=="))
    assert payload["token_introspection"]["active"] is True


async def _completed(party: Party) -> str:
    base, _ = location(await party.authorize(party.request(response_mode="jwt")))
    if "/interaction/" in base:
        await party.agree(await party.authorize(party.request(response_mode="jwt")))
    return str((await party.authorize(party.request(response_mode="jwt"))).headers["location"])


def _key(key: Any, **members: Any) -> dict[str, Any]:
    return {"keys": [{**key.as_dict(private=False), **members}]}


SHORT = {"keys": [{**_key(RSA)["keys"][0], "n": base64.urlsafe_b64encode(b"\xc1" * 128).rstrip(b"=").decode()}]}
OFF_THE_CURVE = {"keys": [{**_key(EC)["keys"][0], "x": EC.as_dict()["y"]}]}
BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({"id_token_encrypted_response_alg": "RSA-OAEP-256"}, "no key at all"),
    ({"id_token_encrypted_response_alg": "RSA1_5", "jwks": KEYS}, "a padding oracle"),
    ({"id_token_encrypted_response_alg": "RSA-OAEP", "jwks": KEYS}, "SHA-1"),
    ({"id_token_encrypted_response_alg": "dir", "jwks": KEYS}, "a shared secret as the key"),
    ({"id_token_encrypted_response_alg": "A128KW", "jwks": KEYS}, "a shared secret"),
    ({"id_token_encrypted_response_alg": "PBES2-HS256+A128KW", "jwks": KEYS}, "a password"),
    ({"id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A128", "jwks": KEYS}, "none"),
    ({"id_token_encrypted_response_enc": "A128GCM", "jwks": KEYS}, "enc goes with alg"),
    ({"id_token_encrypted_response_alg": "ECDH-ES", "jwks": _key(SIGNING)}, "a key for signing"),
    ({"id_token_encrypted_response_alg": "ECDH-ES", "jwks": _key(EC, use="sig")}, "a key for signing, it says"),
    ({"id_token_encrypted_response_alg": "RSA-OAEP-256", "jwks": _key(EC)}, "another kind of key"),
    ({"id_token_encrypted_response_alg": "ECDH-ES+A128KW", "jwks": _key(EC)}, "a key for another algorithm"),
    ({"id_token_encrypted_response_alg": "RSA-OAEP-256", "jwks": SHORT}, "too short"),
    ({"id_token_encrypted_response_alg": "ECDH-ES", "jwks": OFF_THE_CURVE}, "no point of the curve"),
    ({"userinfo_encrypted_response_alg": "ECDH-ES", "jwks": KEYS}, "encrypted, but signed by nobody"),
    ({"request_object_encryption_alg": "RSA-OAEP-256", "jwks": KEYS}, "we read no RSA"),
    ({"request_object_encryption_enc": "A128GCM"}, "enc goes with alg"),
)


async def test_a_registration_without_a_key_that_fits_is_refused_by_name(client: httpx2.AsyncClient) -> None:
    """Registration section 2: nobody finds out at the first sign-in, and nobody gets in clear what should not be."""
    good = {"redirect_uris": ["https://clinic.example/cb"]}
    for wanted, why in BAD:
        refused = await client.post("/oauth/register", json={**good, **wanted})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata"), why
    wanted = {"id_token_encrypted_response_alg": "ECDH-ES", "jwks": KEYS}
    made = (await client.post("/oauth/register", json={**good, **wanted})).json()
    assert made["id_token_encrypted_response_enc"] == "A128CBC-HS256"


async def test_a_key_at_an_address_is_found_there_and_without_it_nothing_is_spent(party: Party, site: Site) -> None:
    """Core section 10.2.1: the client's `jwks_uri`; when it fails, the code is not lost and nothing goes in clear."""
    uri = site.publish("/jwks", _key(SIGNING))
    wanted = {"jwks_uri": uri, "redirect_uris": ["https://clinic.example/cb"]}
    wanted["id_token_encrypted_response_alg"] = "ECDH-ES"
    refused = await party.http.post("/oauth/register", json=wanted)
    assert refused.json()["error"] == "invalid_client_metadata"
    await change(party, jwks=None, jwks_uri=uri, id_token_encrypted_response_alg="ECDH-ES")
    code = await party.code()
    missing = await party.exchange(code)
    assert (missing.status_code, missing.json()["error"]) == (503, "temporarily_unavailable")
    site.publish("/jwks", KEYS)
    advance(party.building, 61)
    code = await party.code()
    assert opened((await party.exchange(code)).json()["id_token"])[0]["kid"] == EC.kid
    site.documents.clear()
    advance(party.building, 61)
    code = await party.code()
    assert (await party.exchange(code)).status_code == 503
    site.publish("/jwks", KEYS)
    advance(party.building, 11)
    assert (await party.exchange(code)).status_code == 200, "the code was not spent by the failure"


async def test_nothing_encrypted_is_read_least_of_all_compressed(party: Party) -> None:
    """RFC 8725 section 3.6, RFC 7516 section 11: a bomb of a megabyte in a kilobyte is never opened."""
    deflated = zlib.compress(b" " * 1_000_000)[2:-4]
    head = base64.urlsafe_b64encode(json.dumps({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(deflated).rstrip(b"=")
    bomb = ".".join((head.decode(), "", "AAAAAAAAAAAAAAAA", body.decode(), "AAAAAAAAAAAAAAAAAAAAAA"))
    closed = encrypt("e30.e30.x", EC.as_dict(private=False), alg="ECDH-ES", enc="A128GCM")
    for token in (bomb, closed):
        answer = location(await party.authorize({**party.request(), "request": token}))[1]
        assert answer["error"] == "invalid_request_object"
        assertion = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
        refused = await party.http.post(
            "/oauth/token", data={"grant_type": "client_credentials", "client_assertion": token, **assertion}
        )
        assert refused.json()["error"] == "invalid_client"
        assert (await party.introspect(token)) == {"active": False}


def test_only_whole_keys_for_this_purpose_are_chosen_from_a_set_of_anything() -> None:
    """RFC 7517 sections 4.2 to 4.4 and 5: what is not understood is passed over."""
    strange: list[Any] = [
        None,
        7,
        {},
        {"kty": "EC", "use": "enc"},
        {"kty": "OKP", "crv": "Ed25519", "x": "x", "use": "enc"},
    ]
    private = EC.as_dict(private=True)
    assert find_key({"keys": [*strange, private]}, "ECDH-ES") is None
    found = find_key({"keys": [*strange, X25519.as_dict(private=False)]}, "ECDH-ES")
    assert found is not None
    assert found["kid"] == X25519.kid
    assert find_key({"keys": "x"}, "ECDH-ES") is None
    assert find_key(_key(EC, key_ops=["sign"]), "ECDH-ES") is None
