"""FAPI 2.0 Security Profile and Message Signing (both final), clause by clause.

Section numbers without a name are the Security Profile's; MS is Message Signing.
"""

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from identity import registration
from identity.errors import InvalidClientMetadata
from keys.jose import verify_with_jwks
from portal.server import CIPHERS
from portal.settings import Settings
from tests.identity.test_oauth_answers import fields_of
from tests.support.certificates import Authority, Pair, self_signed
from tests.support.relying_party import REDIRECT, Party, Prover, advance, assertion, join, location, sign

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CA = Authority()
EC = ECKey.generate_key("P-256", auto_kid=True)
ED = OKPKey.generate_key("Ed25519", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)
KEYS = {"keys": [key.as_dict(private=False) for key in (EC, ED, RSA)]}
OWN = self_signed()
OWN_KEY = {**ECKey.import_key(OWN.key).as_dict(private=False), "kid": "own"}  # type: ignore[arg-type]

BY_KEY: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt"}
BY_CA: dict[str, Any] = {"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "clinic.example"}
BY_OWN: dict[str, Any] = {"token_endpoint_auth_method": "self_signed_tls_client_auth"}
DPOP: dict[str, Any] = {"dpop_bound_access_tokens": True}
TLS: dict[str, Any] = {"tls_client_certificate_bound_access_tokens": True}
GOOD: dict[str, Any] = {**BY_KEY, **DPOP}
COMBINATIONS = [{**method, **bound} for method in (BY_KEY, BY_CA) for bound in (DPOP, TLS)] + [{**BY_OWN, **TLS}]


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """Behind a proxy that ends TLS and tells the client certificate (RFC 9440)."""
    cas = tmp_path / "cas.pem"
    cas.write_bytes(CA.pair.pem)
    identity = settings.identity.model_copy(
        update={"mtls_url": "https://mtls.city.example", "registration": "open", "require_pkce": False}
    )
    return settings.model_copy(
        update={
            "trusted_proxies": ("127.0.0.1",),
            "client_certificate_header": True,
            "client_certificate_cas": cas,
            "identity": identity,
        }
    )


@dataclass
class Fapi:
    """A client that keeps the profile: it proves itself, and what it holds, at every call."""

    party: Party
    pair: Pair | None
    key: Prover | None
    alg: str = "ES256"
    signer: Any = field(default_factory=lambda: EC)

    @property
    def issuer(self) -> str:
        return self.party.issuer

    @property
    def now(self) -> int:
        return self.party.building.host.clock.ms()

    def proof(self, method: str, path: str, **changes: Any) -> dict[str, str]:
        if self.key is None:
            return {}
        return {"dpop": self.key.proof(method, self.issuer + path, now_ms=self.now, **changes)}

    def shown(self) -> dict[str, str]:
        return {} if self.pair is None else {"client-cert": f":{base64.b64encode(self.pair.der).decode()}:"}

    def proves(self, **claims: Any) -> dict[str, str]:
        """Client authentication by the body; `claims` change the assertion."""
        client_id = self.party.client.id
        if self.party.client.auth_method != "private_key_jwt":
            return {"client_id": client_id}
        made = {"iss": client_id, "sub": client_id, "aud": self.issuer, **claims}
        token = assertion(self.signer, alg=self.alg, now_ms=self.now, **made)
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": token}

    async def post(self, path: str, *, proved: bool = True, **form: str | None) -> Any:
        data = {**self.proves(), **{name: value for name, value in form.items() if value is not None}}
        headers = {**self.shown(), **(self.proof("POST", path) if proved else {})}
        return await self.party.http.post(path, data=data, headers=headers)

    async def push(self, **changes: str | None) -> Any:
        return await self.post("/oauth/par", **self.party.request(**changes))

    async def come(self, pushed: Any, **beside: str) -> Any:
        assert pushed.status_code == 201, pushed.text
        asked = {"client_id": self.party.client.id, "request_uri": pushed.json()["request_uri"], **beside}
        return await self.party.authorize(asked)

    async def code(self, **changes: str | None) -> str:
        answer = await self.party.agree(await self.come(await self.push(**changes)))
        assert "code" in answer, answer
        return answer["code"]

    async def exchange(self, code: str, *, proved: bool = True) -> Any:
        return await self.post(
            "/oauth/token", proved=proved, grant_type="authorization_code", code=code, redirect_uri=REDIRECT,
            code_verifier=self.party.verifier,
        )  # fmt: skip

    async def refresh(self, token: str, *, proved: bool = True) -> Any:
        return await self.post("/oauth/token", proved=proved, grant_type="refresh_token", refresh_token=token)

    async def userinfo(self, token: str, *, held: bool = True) -> Any:
        scheme = "DPoP" if self.key is not None else "Bearer"
        headers = {"authorization": f"{scheme} {token}"}
        if held:
            headers |= self.shown() | self.proof("GET", "/oauth/userinfo", token=token)
        return await self.party.http.get("/oauth/userinfo", headers=headers)


async def fapi(app: Any, http: Any, *, profile: str = "fapi2-security", **fields: Any) -> Fapi:
    """A client of the profile, private_key_jwt and DPoP unless the fields say otherwise."""
    asked = {**(GOOD if "token_endpoint_auth_method" not in fields else {}), **fields}
    keys = {"keys": [OWN_KEY]} if asked["token_endpoint_auth_method"].startswith("self") else KEYS
    defaults = {"jwks": keys, "id_token_signed_response_alg": None, "profile": profile}
    party = await join(app, http, **{**defaults, **asked})
    tls = "tls" in asked["token_endpoint_auth_method"] or "tls_client_certificate_bound_access_tokens" in asked
    pair = None
    if tls:
        pair = OWN if asked["token_endpoint_auth_method"].startswith("self") else CA.give("c", "clinic.example")
    return Fapi(party, pair, Prover() if "dpop_bound_access_tokens" in asked else None)


@pytest.fixture
async def one(app: Any, client: Any) -> Fapi:
    return await fapi(app, client)


async def keys(one: Fapi) -> dict[str, Any]:
    found: dict[str, Any] = (await one.party.http.get("/oauth/jwks")).json()
    return found


# -- the whole way, in every combination --------------------------------------------------------------------------


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda found: "-".join(map(str, found.values())))
async def test_every_combination_of_proofs_goes_the_whole_way(app: Any, client: Any, combination: Any) -> None:
    """5.3.2.1 items 4 to 6: private_key_jwt or mutual TLS, with DPoP or mutual TLS."""
    one = await fapi(app, client, **combination)
    code = await one.code(scope="openid profile offline_access", prompt="consent")
    tokens = (await one.exchange(code)).json()
    assert tokens["token_type"] == ("DPoP" if one.key else "Bearer")
    said = (await one.post("/oauth/introspect", proved=False, token=tokens["access_token"])).json()
    assert list(said["cnf"]) == ["jkt" if one.key else "x5t#S256"]
    assert (await one.userinfo(tokens["access_token"])).status_code == 200
    assert (await one.userinfo(tokens["access_token"], held=False)).status_code == 401
    header, _ = verify_with_jwks(tokens["id_token"], await keys(one), algs=["ES256"], typ=None)
    assert header["alg"] == "ES256"
    again = (await one.refresh(tokens["refresh_token"])).json()
    assert (await one.userinfo(again["access_token"])).status_code == 200
    assert (await one.post("/oauth/revoke", proved=False, token=again["refresh_token"])).status_code == 200
    assert (await one.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("combination", COMBINATIONS, ids=lambda found: "-".join(map(str, found.values())))
async def test_a_device_acts_for_itself_in_every_combination(app: Any, client: Any, combination: Any) -> None:
    """5.3.2.1 note 2: the client credentials grant under the general requirements."""
    machine = {"grant_types": ["client_credentials"], "redirect_uris": [], "scope": "read"}
    one = await fapi(app, client, **combination, **machine)
    answer = await one.post("/oauth/token", grant_type="client_credentials")
    assert answer.status_code == 200, answer.text
    said = (await one.post("/oauth/introspect", proved=False, token=answer.json()["access_token"])).json()
    assert list(said["cnf"]) == ["jkt" if one.key else "x5t#S256"]
    one.pair, one.key = None, None
    refused = await one.post("/oauth/token", grant_type="client_credentials")
    assert refused.status_code in (400, 401)


# -- registration -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"token_endpoint_auth_method": "none", **DPOP}, "/token_endpoint_auth_method"),  # 5.3.2.1 item 3
        ({"token_endpoint_auth_method": "client_secret_basic", **DPOP}, "/token_endpoint_auth_method"),  # item 6
        ({"token_endpoint_auth_method": "client_secret_post", **DPOP}, "/token_endpoint_auth_method"),
        ({**BY_KEY}, "/dpop_bound_access_tokens"),  # items 4 and 5
        ({**GOOD, "require_pkce": False}, "/require_pkce"),  # 5.3.2.2 item 5
        ({**GOOD, "redirect_uris": ["http://127.0.0.1/cb"]}, "/redirect_uris/0"),  # item 8
        ({**GOOD, "redirect_uris": ["com.example.app:/cb"]}, "/redirect_uris/0"),
        ({**GOOD, "token_endpoint_auth_signing_alg": "RS256"}, "/token_endpoint_auth_signing_alg"),  # 5.4.1 item 1
        ({**GOOD, "id_token_signed_response_alg": "RS256"}, "/id_token_signed_response_alg"),
        ({**GOOD, "userinfo_signed_response_alg": "RS256"}, "/userinfo_signed_response_alg"),
        ({**GOOD, "authorization_signed_response_alg": "RS256"}, "/authorization_signed_response_alg"),
        ({**GOOD, "request_object_signing_alg": "RS256"}, "/request_object_signing_alg"),
        (
            {**GOOD, "jwks": {"keys": [{"kty": "RSA", "e": "AQAB", "n": "w" * 171}]}},  # item 2
            "/jwks/keys/0",
        ),
    ],
)
def test_a_registration_that_cannot_keep_the_profile_is_refused_by_the_field(
    changes: dict[str, Any], pointer: str
) -> None:
    base = {"name_ja": "a", "name_en": "a", "redirect_uris": [REDIRECT], "jwks": KEYS, "profile": "fapi2-security"}
    with pytest.raises(InvalidClientMetadata) as refused:
        registration.check(registration.Registration(**{**base, **changes}))
    assert refused.value.pointer == pointer
    registration.check(registration.Registration(**{**base, **GOOD}))


def test_a_native_client_may_listen_on_loopback() -> None:
    """5.3.2.2 item 8 and RFC 8252 section 7.3."""
    native = {"application_type": "native", "redirect_uris": ["http://127.0.0.1/cb"], "profile": "fapi2-security"}
    registration.check(registration.Registration(name_ja="a", name_en="a", jwks=KEYS, **GOOD, **native))


@pytest.mark.parametrize(
    ("changes", "pointer"), [({"jwks": None, **BY_CA}, "/jwks"), ({"response_modes": ["query"]}, "/response_modes")]
)
def test_message_signing_needs_keys_and_a_signed_mode(changes: dict[str, Any], pointer: str) -> None:
    """MS 5.3.1 item 1 and 5.4.1."""
    base = {"redirect_uris": [REDIRECT], "jwks": KEYS, "profile": "fapi2-message-signing", **GOOD}
    with pytest.raises(InvalidClientMetadata) as refused:
        registration.check(registration.Registration(name_ja="a", name_en="a", **{**base, **changes}))
    assert refused.value.pointer == pointer


# -- client authentication ----------------------------------------------------------------------------------------


async def test_an_assertion_is_for_the_issuer_as_a_string_and_for_nobody_else(one: Fapi) -> None:
    """5.3.2.1 item 8, at every endpoint that authenticates clients."""
    body = {**one.party.request(), "grant_type": "client_credentials", "token": "x"}
    for path in ("/oauth/token", "/oauth/par", "/oauth/introspect", "/oauth/revoke"):
        for audience in ([one.issuer], one.issuer + path, one.issuer + "/", one.issuer + "/oauth/token", [], None):
            data = {**body, **one.proves(aud=audience)}
            answer = await one.party.http.post(path, data=data, headers=one.proof("POST", path))
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), audience
        answer = await one.party.http.post(path, data={**body, **one.proves()}, headers=one.proof("POST", path))
        assert answer.status_code != 401


async def test_three_algorithms_are_taken_and_rs256_is_not(one: Fapi) -> None:
    """5.4.1 item 1, although other clients may use RS256 (OpenID Connect Core section 9)."""
    for alg, key in (("PS256", RSA), ("ES256", EC), ("EdDSA", ED), ("Ed25519", ED)):
        one.alg, one.signer = alg, key
        assert (await one.push()).status_code == 201, alg
    one.alg, one.signer = "RS256", RSA
    assert (await one.push()).json()["error"] == "invalid_client"
    token = request_object(one, key=RSA, alg="RS256")
    one.alg, one.signer = "ES256", EC
    assert (await one.post("/oauth/par", request=token)).json()["error"] == "invalid_request_object"


async def test_a_clock_may_run_ten_seconds_ahead_and_not_sixty(one: Fapi) -> None:
    """5.3.2.1 item 13, for assertions, request objects and proofs."""
    cases = [(name, *case) for name in ("iat", "nbf") for case in ((0, True), (10, True), (61, False))]
    for name, ahead, fits in cases:
        moment = one.now // 1000 + ahead
        data = {**one.party.request(), **one.proves(**{name: moment, "exp": moment + 60})}
        answer = await one.party.http.post("/oauth/par", data=data, headers=one.proof("POST", "/oauth/par"))
        assert (answer.status_code == 201) is fits, ahead
        token = request_object(one, **{name: moment, "exp": one.now // 1000 + 70})
        assert ((await one.post("/oauth/par", request=token)).status_code == 201) is fits, ahead
        assert one.key is not None
        if name == "iat":
            proof = one.key.proof("POST", one.issuer + "/oauth/par", now_ms=one.now, iat=moment)
            data = {**one.party.request(), **one.proves()}
            answer = await one.party.http.post("/oauth/par", data=data, headers={"dpop": proof})
            assert (answer.status_code == 201) is fits, ahead


# -- the authorization endpoint -----------------------------------------------------------------------------------


async def test_a_request_that_was_not_pushed_is_refused(one: Fapi) -> None:
    """5.3.2.2 item 3: neither in the address nor signed in the address."""
    _, answer = location(await one.party.authorize(one.party.request()))
    assert (answer["error"], answer["iss"]) == ("invalid_request", one.issuer)
    signed = {"client_id": one.party.client.id, "request": request_object(one)}
    assert location(await one.party.authorize(signed))[1]["error"] == "invalid_request"


async def test_a_push_without_client_authentication_is_refused(one: Fapi) -> None:
    """5.3.2.2 item 4."""
    refused = await one.party.http.post("/oauth/par", data=one.party.request())
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


async def test_a_pushed_request_lacks_nothing(one: Fapi) -> None:
    cases: list[tuple[dict[str, str | None], str]] = [
        ({"response_type": "code id_token"}, "unsupported_response_type"),  # 5.3.2.2 item 1
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),  # item 5
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"redirect_uri": None, "scope": "profile"}, "invalid_request"),  # item 6, also where only one is registered
        ({"redirect_uri": "http://clinic.example/cb"}, "invalid_request"),  # item 8
    ]
    for changes, error in cases:
        refused = await one.push(**changes)
        assert (refused.status_code, refused.json()["error"]) == (400, error), changes


async def test_the_answer_names_us_by_a_303_and_the_code_is_good_once_for_a_minute(one: Fapi) -> None:
    """5.3.2.1 item 11; 5.3.2.2 items 7, 9, 10 and 11."""
    await one.code()  # remembered from here on
    response = await one.come(await one.push(), redirect_uri="https://evil.example/")
    assert response.status_code == 303
    base, answer = location(response)
    assert (base, answer["iss"]) == (REDIRECT, one.issuer)
    tokens = await one.exchange(answer["code"])
    assert tokens.status_code == 200
    assert (await one.exchange(answer["code"])).json()["error"] == "invalid_grant"
    assert (await one.userinfo(tokens.json()["access_token"])).status_code == 401  # and what came of it is gone
    late = await one.code(prompt="consent")
    advance(one.party.building, 61)
    assert (await one.exchange(late)).json()["error"] == "invalid_grant"


async def test_a_request_uri_lives_less_than_ten_minutes(one: Fapi) -> None:
    """5.3.2.2 item 12; the setting can't say more."""
    from pydantic import ValidationError

    from identity.settings import IdentitySettings

    assert (await one.push()).json()["expires_in"] < 600
    with pytest.raises(ValidationError):
        IdentitySettings(par_seconds=600)


async def test_a_nonce_of_64_characters_comes_back(one: Fapi) -> None:
    """5.3.2.2 item 14."""
    tokens = (await one.exchange(await one.code(nonce="n" * 64))).json()
    _, claims = verify_with_jwks(tokens["id_token"], await keys(one), algs=["ES256"], typ=None)
    assert claims["nonce"] == "n" * 64


async def test_a_code_is_bound_to_the_key_of_the_push(one: Fapi) -> None:
    """5.3.2.1 item 12 (RFC 9449 section 10.1)."""
    code = await one.code()
    one.key = Prover()
    assert (await one.exchange(code)).json()["error"] == "invalid_grant"


# -- tokens -------------------------------------------------------------------------------------------------------


async def test_there_is_no_token_without_proof_and_no_password_grant(one: Fapi) -> None:
    """5.3.2.1 items 2, 4 and 5."""
    code = await one.code()
    refused = await one.exchange(code, proved=False)
    assert refused.status_code == 400
    assert "access_token" not in refused.json()
    assert (await one.exchange(code)).status_code == 200  # the code was not spent by the refusal
    password = await one.post("/oauth/token", grant_type="password", username="hanako", password="x")
    assert password.json()["error"] == "unsupported_grant_type"


async def test_refresh_tokens_do_not_rotate_and_need_the_client_s_proof(one: Fapi) -> None:
    """5.3.2.1 item 9 and note 1: a lost answer costs nothing, and the key may change (section 6.1)."""
    code = await one.code(scope="openid offline_access", prompt="consent")
    token = (await one.exchange(code)).json()["refresh_token"]
    for _ in range(3):
        again = await one.refresh(token)
        assert again.status_code == 200, again.text
        assert again.json()["refresh_token"] == token
    assert (await one.refresh(token, proved=False)).status_code == 400
    one.key = Prover()  # a fresh key, for the grant outlives it
    assert (await one.refresh(token)).status_code == 200
    unproved = await one.party.http.post(
        "/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token, "client_id": one.party.client.id}
    )
    assert unproved.json()["error"] == "invalid_client"


async def test_an_unused_refresh_token_still_dies(one: Fapi) -> None:
    code = await one.code(scope="openid offline_access", prompt="consent")
    token = (await one.exchange(code)).json()["refresh_token"]
    advance(one.party.building, 20 * 86_400)
    assert (await one.refresh(token)).status_code == 200
    advance(one.party.building, 20 * 86_400)
    assert (await one.refresh(token)).status_code == 200
    advance(one.party.building, 31 * 86_400)
    assert (await one.refresh(token)).json()["error"] == "invalid_grant"


async def test_a_token_in_the_query_opens_nothing(one: Fapi) -> None:
    """5.3.4 item 2."""
    token = (await one.exchange(await one.code())).json()["access_token"]
    answer = await one.party.http.get(f"/oauth/userinfo?access_token={token}", headers=one.proof("GET", "/x"))
    assert answer.status_code == 401


async def test_the_metadata_say_what_the_profile_needs(one: Fapi) -> None:
    """5.3.2.1 item 1."""
    for name in ("openid-configuration", "oauth-authorization-server"):
        said = (await one.party.http.get(f"/.well-known/{name}")).json()
        assert said["issuer"] == one.issuer
        assert said["authorization_response_iss_parameter_supported"] is True
        assert said["code_challenge_methods_supported"] == ["S256"]
        assert said["pushed_authorization_request_endpoint"].endswith("/oauth/par")
        assert {"private_key_jwt", "tls_client_auth"} <= set(said["token_endpoint_auth_methods_supported"])
        assert set(said["dpop_signing_alg_values_supported"]) == {"ES256", "EdDSA", "Ed25519", "PS256"}
        for kind in ("id_token_signing", "token_endpoint_auth_signing", "request_object_signing"):
            assert {"PS256", "ES256", "EdDSA"} <= set(said[f"{kind}_alg_values_supported"])


def test_tls_12_has_recommended_ciphers_only() -> None:
    """5.2.2.1 item 1 (RFC 9325 section 4.2)."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(CIPHERS)
    older = [found["name"] for found in context.get_ciphers() if found["protocol"] != "TLSv1.3"]
    assert sorted(older) == sorted(CIPHERS.split(":"))
    assert all("GCM" in name and name.startswith("ECDHE") for name in older)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


# -- message signing ----------------------------------------------------------------------------------------------


def request_object(one: Fapi, *, key: Any = EC, alg: str = "ES256", typ: str | None = None, **changes: Any) -> str:
    now = one.now // 1000
    times = {"nbf": now, "exp": now + 300}
    claims = {**one.party.request(), "iss": one.party.client.id, "aud": one.issuer, **times, **changes}
    payload = json.dumps({name: value for name, value in claims.items() if value is not None})
    return sign({"alg": alg, "kid": key.kid, "typ": typ or "oauth-authz-req+jwt"}, payload, key)


@pytest.fixture
async def signer(app: Any, client: Any) -> Fapi:
    return await fapi(app, client, profile="fapi2-message-signing")


async def push_signed(one: Fapi, **changes: Any) -> Any:
    return await one.post("/oauth/par", request=request_object(one, **{"response_mode": "jwt", **changes}))


async def test_requests_must_be_signed_and_answers_are(signer: Fapi) -> None:
    """MS 5.3.1 items 1 and 5, MS 5.4.1: in the JWT stand the code, `iss` and nothing in clear beside it."""
    assert (await signer.push(response_mode="jwt")).json()["error"] == "invalid_request"
    await signer.party.agree(await signer.come(await push_signed(signer)))
    response = await signer.come(await push_signed(signer))
    station = await signer.party.http.get(response.headers["location"])
    base, answer = location(station)
    assert (base, list(answer)) == (REDIRECT, ["response"])
    header, claims = verify_with_jwks(answer["response"], await keys(signer), algs=["ES256"], typ=None)
    assert header["alg"] == "ES256"
    assert claims.keys() == {"code", "state", "iss", "aud", "exp"}
    assert (claims["iss"], claims["aud"]) == (signer.issuer, signer.party.client.id)
    assert (await signer.exchange(claims["code"])).status_code == 200


async def test_a_form_may_carry_the_signed_answer(signer: Fapi) -> None:
    await signer.party.agree(await signer.come(await push_signed(signer)))
    response = await signer.come(await push_signed(signer, response_mode="form_post.jwt"))
    page = await signer.party.http.get(response.headers["location"])
    assert fields_of(page.text).keys() == {"response"}


async def test_an_unsigned_answer_cannot_be_asked_for(signer: Fapi) -> None:
    """MS 5.4.1."""
    for mode in (None, "query", "form_post"):
        assert (await push_signed(signer, response_mode=mode)).json()["error"] == "invalid_request"


async def test_an_error_comes_signed_too(signer: Fapi) -> None:
    response = await signer.party.authorize(signer.party.request())  # not pushed
    station = await signer.party.http.get(response.headers["location"])
    _, claims = verify_with_jwks(location(station)[1]["response"], await keys(signer), algs=["ES256"], typ=None)
    assert (claims["error"], claims["state"]) == ("invalid_request", "af0ifjsldkj")


async def test_a_request_object_is_for_us_and_for_an_hour_at_most(signer: Fapi) -> None:
    cases: list[dict[str, Any]] = [
        {"aud": None}, {"aud": "https://other.example"}, {"aud": []},  # MS 5.3.1 item 2
        {"nbf": None}, {"nbf": -3601}, {"nbf": -3700, "exp": 60}, {"nbf": "soon"},  # item 3
        {"exp": None}, {"exp": 3601}, {"nbf": -1800, "exp": 1801}, {"exp": -11},  # item 4
        {"iss": "cli_other"}, {"client_id": "cli_other"},
    ]  # fmt: skip
    now = signer.now // 1000
    for changes in cases:
        moved = {name: now + value if isinstance(value, int) else value for name, value in changes.items()}
        refused = await push_signed(signer, **moved)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request_object"), changes


async def test_an_hour_is_allowed_and_so_are_several_audiences(signer: Fapi) -> None:
    """MS 5.3.1 items 2 to 4."""
    now = signer.now // 1000
    assert (await push_signed(signer, nbf=now - 3600, exp=now)).status_code == 201
    assert (await push_signed(signer, nbf=now, exp=now + 3600)).status_code == 201
    assert (await push_signed(signer, aud=[signer.issuer, "https://other.example"])).status_code == 201


async def test_the_type_of_a_request_object_is_taken(signer: Fapi) -> None:
    """MS 5.3.1 item 5: must be accepted; a client should send it, so it is not demanded."""
    for typ in ("oauth-authz-req+jwt", "JWT"):
        assert (await push_signed(signer, typ=typ)).status_code == 201


async def test_what_stands_beside_a_signed_request_counts_for_nothing(signer: Fapi) -> None:
    """MS 5.3.2 item 1 (RFC 9101 section 6.3)."""
    token = request_object(signer, response_mode="jwt", scope="openid")
    pushed = await signer.post("/oauth/par", request=token, scope="openid email", redirect_uri="https://evil.example/")
    await signer.party.agree(await signer.come(pushed))
    response = await signer.come(await push_signed(signer, scope="openid email"))
    assert "/interaction/" in response.headers["location"]  # email was never granted


async def test_introspection_is_signed_for_who_asks_for_it(signer: Fapi) -> None:
    """MS 5.5.1 (RFC 9701), by an algorithm of the profile."""
    code = (await signer.party.agree(await signer.come(await push_signed(signer)))).get("code")
    assert code is None  # it travels in the JWT
    station = await signer.party.http.get((await signer.come(await push_signed(signer))).headers["location"])
    _, answer = verify_with_jwks(location(station)[1]["response"], await keys(signer), algs=["ES256"], typ=None)
    token = (await signer.exchange(answer["code"])).json()["access_token"]
    data = {**signer.proves(), "token": token}
    said = await signer.party.http.post(
        "/oauth/introspect", data=data, headers={"accept": "application/token-introspection+jwt"}
    )
    header, claims = verify_with_jwks(said.text, await keys(signer), algs=["ES256"], typ="token-introspection+jwt")
    assert header["alg"] == "ES256"
    assert claims["token_introspection"]["active"] is True


async def test_registered_response_modes_bind(app: Any, client: Any) -> None:
    """MS 5.3.3, for any client."""
    one = await fapi(app, client, response_modes=["jwt"])
    assert (await one.push()).json()["error"] == "invalid_request"
    assert (await one.push(response_mode="query.jwt")).status_code == 201


# -- the switch ---------------------------------------------------------------------------------------------------


async def test_an_operator_turns_the_profile_on_and_it_holds_at_once(app: Any, client: Any) -> None:
    from identity.clients import Clients
    from kit.host import SYSTEM

    clients = app.host.get(Clients)
    one = await fapi(app, client, profile="none", authorization_signed_response_alg="RS256")  # PKCE optional here
    code = await one.party.code()
    assert code
    await app.host.db.write(clients.set_profile, one.party.client.id, "fapi2-security", actor=SYSTEM)
    assert location(await one.party.authorize(one.party.request()))[1]["error"] == "invalid_request"
    found = await clients.get(one.party.client.id)
    assert (found.profile, found.id_token_alg, found.authorization_alg) == ("fapi2-security", "ES256", "ES256")
    weak = await join(app, client)
    with pytest.raises(InvalidClientMetadata):
        await app.host.db.write(clients.set_profile, weak.client.id, "fapi2-security", actor=SYSTEM)
    await app.host.db.write(clients.set_profile, one.party.client.id, "none", actor=SYSTEM)
    assert "error" not in location(await one.party.authorize(one.party.request()))[1]


async def test_a_client_that_registers_itself_may_take_the_profile_and_not_lay_it_down(client: Any) -> None:
    """RFC 7592 section 2.2: a client may ask for more of itself, not for less."""
    asked = {"redirect_uris": [REDIRECT], "jwks": KEYS, "profile": "fapi2-security", **GOOD}
    refused = await client.post("/oauth/register", json={**asked, "dpop_bound_access_tokens": False})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    assert (await client.post("/oauth/register", json={**asked, "profile": "x"})).status_code == 400
    made = (await client.post("/oauth/register", json=asked)).json()
    assert (made["profile"], made["id_token_signed_response_alg"]) == ("fapi2-security", "ES256")
    for wanted, given in (("none", "fapi2-security"), ("fapi2-message-signing", "fapi2-message-signing"),
                          ("fapi2-security", "fapi2-message-signing"), (None, "fapi2-message-signing")):  # fmt: skip
        document = {**asked, "client_id": made["client_id"], "profile": wanted}
        headers = {"authorization": f"Bearer {made['registration_access_token']}"}
        answer = await client.put(f"/oauth/register/{made['client_id']}", json=document, headers=headers)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert made["profile"] == given
