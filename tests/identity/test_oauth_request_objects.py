"""Signed authorization requests from the wire (RFC 9101, OpenID Connect Core section 6)."""

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from identity.crowd import Crowd
from identity.throttle import Limit
from kit.fetch import OutgoingSettings
from tests.support.relying_party import REDIRECT, Party, join, location, sign
from tests.support.site import Site

TYPE = "oauth-authz-req+jwt"
KEY = ECKey.generate_key("P-256", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)
KEYS = {"keys": [KEY.as_dict(private=False), RSA.as_dict(private=False)]}


@pytest.fixture
def settings(settings: Any) -> Any:
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})


@pytest.fixture
async def party(app: Any, client: Any, site: Site) -> Party:
    return await join(app, client, jwks=KEYS, request_uris=[site.url("/request.jwt"), site.url("/gone#x")])


def signed(
    party: Party, *, key: Any = KEY, alg: str = "ES256", typ: str | None = TYPE, header: Any = None, **changes: Any
) -> str:
    """A good request as a signed object, with changes; None leaves a member out."""
    now = party.building.host.clock.ms() // 1000
    claims: dict[str, Any] = {
        **party.request(),
        "iss": party.client.id,
        "aud": party.issuer,
        "exp": now + 60,
        "nbf": now,
        **changes,
    }
    head = {"alg": alg, "kid": key.kid, **({"typ": typ} if typ else {}), **(header or {})}
    return sign(head, json.dumps({name: value for name, value in claims.items() if value is not None}), key)


async def send(party: Party, token: str, **beside: str) -> Any:
    return await party.authorize({"client_id": party.client.id, "request": token, **beside})


async def test_a_signed_request_is_all_that_counts(party: Party) -> None:
    """RFC 9101 section 6.3: what stands beside it is ignored; section 5: client_id and request are enough."""
    token = signed(party, state="from the object", scope="openid profile")
    response = await send(
        party, token, state="from the address", scope="openid email", redirect_uri="https://evil.example/"
    )
    answer = await party.agree(response)
    assert answer["state"] == "from the object"
    tokens = await party.exchange(answer["code"])
    assert tokens.json()["scope"] == "openid profile"


@pytest.mark.parametrize("typ", [None, "JWT", TYPE, "application/" + TYPE])
async def test_objects_without_the_type_are_taken_as_openid_connect_has_them(party: Party, typ: str | None) -> None:
    """RFC 9101 section 10.8.1; RS256 as OpenID Connect Core section 6.1 wants."""
    assert "/interaction/" in location(await send(party, signed(party, typ=typ)))[0]
    assert "/interaction/" in location(await send(party, signed(party, key=RSA, alg="RS256", typ=typ)))[0]


async def test_numbers_arrays_and_objects_are_parameters_too(party: Party) -> None:
    token = signed(party, max_age=0, claims={"id_token": {"auth_time": {"essential": True}}}, prompt="none")
    assert location(await send(party, token))[1]["error"] == "login_required"


BAD: list[tuple[str, dict[str, Any]]] = [
    ("another key", {"key": ECKey.generate_key("P-256", auto_kid=True)}),
    ("a symmetric key", {"key": OctKey.generate_key(256, auto_kid=True), "alg": "HS256"}),
    ("an assertion's type", {"typ": "client-authentication+jwt"}),
    ("an access token's type", {"typ": "at+jwt"}),
    ("an address of keys in the header", {"header": {"jku": "https://evil.example/jwks"}}),
    ("a key in the header", {"header": {"jwk": KEY.as_dict(private=False)}}),
    ("another issuer", {"iss": "cli_other"}),
    ("another client", {"client_id": "cli_other"}),
    ("a subject that makes it an assertion", {"sub": "the client"}),
    ("another audience", {"aud": "https://other.example"}),
    ("expired", {"exp": 1}),
    ("not yet", {"nbf": 99999999999}),
    ("a nested object", {"request": "x"}),
    ("a nested reference", {"request_uri": "https://clinic.example/request.jwt"}),
    ("a list where a text belongs", {"scope": ["openid"]}),
    ("true where a text belongs", {"state": True}),
    ("a line break", {"state": "a\nb"}),
    ("a word for a time", {"exp": "soon"}),
]


async def test_a_bad_object_is_refused_at_the_clients_address_or_on_a_page(party: Party) -> None:
    """RFC 9101 section 7; never a redirect to an address that was not proved (RFC 6749 section 4.1.2.1)."""
    for why, changes in BAD:
        if changes.get("sub"):
            changes = {"sub": party.client.id}
        token = signed(party, **changes)
        base, answer = location(await send(party, token, redirect_uri=REDIRECT, state="s"))
        assert (base, answer["error"], answer["state"]) == (REDIRECT, "invalid_request_object", "s"), why
        for redirect in ({}, {"redirect_uri": "https://evil.example/cb"}):
            page = await send(party, token, **redirect, scope="openid")
            assert page.status_code == 400, why
            assert "location" not in page.headers
    for token in ("x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "e30.e30.e30", "x" * 20_000):
        answer = location(await send(party, token, redirect_uri=REDIRECT))[1]
        assert answer["error"] == "invalid_request_object"


async def test_an_address_inside_the_object_must_be_the_clients(party: Party) -> None:
    page = await send(party, signed(party, redirect_uri="https://evil.example/cb"), redirect_uri=REDIRECT)
    assert page.status_code == 400
    assert "location" not in page.headers


async def test_the_usual_checks_follow(party: Party) -> None:
    for changes, error in (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
    ):
        base, answer = location(await send(party, signed(party, **changes)))
        assert (base, answer["error"]) == (REDIRECT, error)


async def test_a_registered_algorithm_is_the_only_one(app: Any, client: Any) -> None:
    """OpenID Connect Registration section 2, request_object_signing_alg."""
    party = await join(app, client, jwks=KEYS, request_object_signing_alg="RS256")
    assert "/interaction/" in location(await send(party, signed(party, key=RSA, alg="RS256")))[0]
    answer = location(await send(party, signed(party), redirect_uri=REDIRECT))[1]
    assert answer["error"] == "invalid_request_object"


async def test_who_must_sign_cannot_come_without(app: Any, client: Any) -> None:
    """RFC 9101 section 10.5, require_signed_request_object; by PAR too (RFC 9126 section 3)."""
    party = await join(app, client, jwks=KEYS, require_signed_request_object=True)
    assert location(await party.authorize(party.request()))[1]["error"] == "invalid_request"
    refused = await client.post("/oauth/par", data=party.request(), headers=party.basic)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    assert "/interaction/" in location(await send(party, signed(party)))[0]


async def test_a_signed_request_can_be_pushed(party: Party) -> None:
    """RFC 9126 section 3: what is signed counts, and nothing beside it."""
    form = {"request": signed(party, scope="openid profile"), "scope": "openid email"}
    pushed = await party.http.post("/oauth/par", data=form, headers=party.basic)
    assert pushed.status_code == 201, pushed.text
    come = {"client_id": party.client.id, "request_uri": pushed.json()["request_uri"]}
    answer = await party.agree(await party.authorize(come))
    assert (await party.exchange(answer["code"])).json()["scope"] == "openid profile"
    for bad in (signed(party, client_id="cli_other"), "x"):
        refused = await party.http.post("/oauth/par", data={"request": bad}, headers=party.basic)
        assert refused.json()["error"] == "invalid_request_object"


async def test_a_request_by_reference_is_fetched_from_a_registered_address_only(party: Party, site: Site) -> None:
    """OpenID Connect Core section 6.2, RFC 9101 section 10.4."""
    address = site.publish("/request.jwt", signed(party, state="fetched"))
    come = {"client_id": party.client.id, "request_uri": address}
    assert (await party.agree(await party.authorize(come)))["state"] == "fetched"
    before = len(site.asked)
    other = {"client_id": party.client.id, "request_uri": site.url("/other.jwt"), "redirect_uri": REDIRECT}
    assert location(await party.authorize(other))[1]["error"] == "invalid_request_uri"
    assert len(site.asked) == before  # nobody was called
    gone = {"client_id": party.client.id, "request_uri": site.url("/gone#x"), "redirect_uri": REDIRECT}
    assert location(await party.authorize(gone))[1]["error"] == "invalid_request_uri"
    site.publish("/request.jwt", "x" * 40_000)
    assert location(await party.authorize({**come, "redirect_uri": REDIRECT}))[1]["error"] == "invalid_request_uri"
    both = {**come, "request": signed(party), "redirect_uri": REDIRECT}
    assert location(await party.authorize(both))[1]["error"] == "invalid_request"


async def test_a_network_makes_us_fetch_only_so_fast(app: Any, party: Party, site: Site) -> None:
    """RFC 9101 section 10.4: nobody has proved anything yet when `request_uri` is fetched."""
    address = site.publish("/request.jwt", signed(party))
    app.host.get(Crowd)._limit = Limit(burst=2, refill=1000)
    come = {"client_id": party.client.id, "request_uri": address, "redirect_uri": REDIRECT, "state": "s"}
    for _ in range(2):
        assert "/interaction/" in location(await party.authorize(come))[0]
    before = len(site.asked)
    answer = location(await party.authorize(come))[1]
    assert (answer["error"], answer["state"], len(site.asked)) == ("temporarily_unavailable", "s", before)


async def test_discovery_says_so(client: Any) -> None:
    """RFC 9101 section 10.5, OpenID Connect Discovery section 3: `none` is not among the algorithms."""
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["request_parameter_supported"] is True
    assert said["request_uri_parameter_supported"] is True
    assert said["require_request_uri_registration"] is True
    known = {"RS256", "PS256", "ES256", "EdDSA", "Ed25519"}
    assert set(said["request_object_signing_alg_values_supported"]) == known
