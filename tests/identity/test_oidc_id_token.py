"""ID tokens, verified by three libraries that are not ours (OpenID Connect Core sections 2, 3.1.3.6 and 3.1.3.7)."""

import base64
import hashlib
import warnings
from typing import Any

import jwt
import pytest
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from jose import jwt as jose_jwt
from joserfc import jwt as joserfc_jwt
from joserfc.jwk import KeySet

from kit import audit
from tests.support.relying_party import Party, join


async def issued(app: Any, client: Any, alg: str | None, **changes: str | None) -> tuple[Party, dict[str, Any]]:
    party = await join(app, client, id_token_signed_response_alg=alg)
    body: dict[str, Any] = (await party.exchange(await party.code(**changes))).json()
    return party, body


async def published(party: Party) -> dict[str, Any]:
    metadata = (await party.http.get("/.well-known/openid-configuration")).json()
    keys: dict[str, Any] = (await party.http.get(metadata["jwks_uri"])).json()
    return keys


def half_hash(name: str, token: str) -> str:
    digest = hashlib.new(name, token.encode()).digest()
    return base64.urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA", None])
async def test_pyjwt_verifies_it_and_finds_every_claim(app: Any, client: Any, alg: str | None) -> None:
    party, body = await issued(app, client, alg)
    keys = jwt.PyJWKSet.from_dict(await published(party))
    header = jwt.get_unverified_header(body["id_token"])
    assert header["alg"] == (alg or "RS256")
    (key,) = [key for key in keys.keys if key.key_id == header["kid"]]
    claims = jwt.decode(
        body["id_token"], key, algorithms=[header["alg"]], audience=party.client.id, issuer=party.issuer,
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    now = party.building.host.clock.ms() // 1000
    assert claims["nonce"] == "n-0S6_WzA2Mj"
    assert (claims["iat"], claims["exp"], claims["auth_time"]) == (now, now + 300, now)
    assert claims["acr"] == "urn:sekisho:aal:2"
    assert claims["amr"] == ["pwd", "otp", "mfa"]
    assert claims["sid"] != party.session.id if party.session else False
    assert claims["at_hash"] == half_hash("sha512" if alg == "EdDSA" else "sha256", body["access_token"])
    assert party.account_id not in str(claims)
    headers = {"authorization": f"Bearer {body['access_token']}"}
    assert (await party.http.get("/oauth/userinfo", headers=headers)).json()["sub"] == claims["sub"]


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
async def test_python_jose_verifies_it_with_its_at_hash(app: Any, client: Any, alg: str) -> None:
    """python-jose tries every key of a set and stumbles over the other kinds, so the caller picks by `kid`."""
    party, body = await issued(app, client, alg)
    kid = jose_jwt.get_unverified_header(body["id_token"])["kid"]
    (key,) = [key for key in (await published(party))["keys"] if key["kid"] == kid]
    claims = jose_jwt.decode(
        body["id_token"],
        key,
        algorithms=[alg],
        audience=party.client.id,
        issuer=party.issuer,
        access_token=body["access_token"],
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["nonce"] == "n-0S6_WzA2Mj"


@pytest.mark.parametrize("alg", ["ES256", "RS256", "EdDSA"])
async def test_authlib_verifies_it_as_a_relying_party_does(app: Any, client: Any, alg: str) -> None:
    party, body = await issued(app, client, alg)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc's advice about the name EdDSA
        token = joserfc_jwt.decode(body["id_token"], KeySet.import_key_set(await published(party)), algorithms=[alg])  # type: ignore[arg-type]
    claims = CodeIDToken(
        token.claims,
        token.header,
        {"iss": {"value": party.issuer}, "aud": {"value": party.client.id}, "nonce": {"value": "n-0S6_WzA2Mj"}},
        {"client_id": party.client.id, "access_token": body["access_token"], "nonce": "n-0S6_WzA2Mj"},
    )
    claims.validate(now=party.building.host.clock.ms() // 1000)


async def test_no_openid_scope_no_id_token(app: Any, client: Any) -> None:
    _, body = await issued(app, client, "ES256", scope="profile", nonce=None)
    assert "id_token" not in body


async def test_at_refresh_there_is_no_nonce(app: Any, client: Any) -> None:
    """Section 12.2."""
    party, body = await issued(app, client, "ES256", scope="openid offline_access")
    again = (await party.refresh(body["refresh_token"])).json()
    claims = jose_jwt.get_unverified_claims(again["id_token"])
    first = jose_jwt.get_unverified_claims(body["id_token"])
    assert "nonce" not in claims
    assert {name: claims[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: first[name] for name in ("iss", "sub", "aud", "auth_time")
    }


async def test_the_access_token_has_the_form_of_rfc_9068(app: Any, client: Any) -> None:
    _, body = await issued(app, client, "ES256")
    header = jwt.get_unverified_header(body["access_token"])
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "EdDSA"
    claims = jose_jwt.get_unverified_claims(body["access_token"])
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "auth_time", "acr", "amr"} <= claims.keys()


async def test_authlib_accepts_the_metadata(client: Any) -> None:
    """OpenID Connect Discovery section 3, RFC 8414 section 2."""
    document = (await client.get("/.well-known/openid-configuration")).json()
    OpenIDProviderMetadata(document).validate()
    assert document["issuer"] == "http://localhost:8080"
    assert document == (await client.get("/.well-known/oauth-authorization-server")).json()


async def test_every_published_address_answers(client: Any) -> None:
    document = (await client.get("/.well-known/openid-configuration")).json()
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            # Grant Management: the address of a grant is this one with its id behind it.
            found = await client.get(f"{url}/any" if name == "grant_management_endpoint" else url)
            assert found.status_code != 404, name


async def test_what_userinfo_tells_stands_in_the_trail_by_name_and_never_by_value(app: Any, client: Any) -> None:
    """Invariants I4 and I6: a service that learnt a name and a birthday can be named afterwards."""
    party = await join(app, client)
    for scope, told in (("openid", []), ("openid profile", ["name"])):
        token = (await party.exchange(await party.code(scope=scope))).json()["access_token"]
        answer = (await client.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})).json()
        found = await app.host.db.read(audit.entries, action="identity.claims.told")
        names = {name for entry in found for name in entry.detail["claims"]}
        assert names == answer.keys() - {"sub"}
        assert set(told) <= names
        assert all(entry.actor_id == party.client.id and entry.object_id == party.account_id for entry in found)
        assert not any(str(value) in repr(entry.detail) for entry in found for value in (answer.get("name", "?"),))
