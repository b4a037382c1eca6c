"""The JWT bearer grant, from the wire (RFC 7523 section 2.1): a member's own provider vouches for its staff."""

import asyncio
import secrets
from collections import Counter
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OctKey

from identity.registration import JWT_BEARER
from kit import audit
from kit.fetch import OutgoingSettings
from tests.support.relying_party import Party, Prover, advance, join, sign
from tests.support.site import Site

ISSUER = "https://idp.hospital.example"
RECORDS = "https://records.example"


@pytest.fixture
def settings(settings: Any) -> Any:
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})


@pytest.fixture
def key() -> Any:
    return ECKey.generate_key("P-256", {"kid": "k1"})


@pytest.fixture
async def party(app: Any, client: Any, site: Site, key: Any) -> Party:
    address = site.publish("/jwks", {"keys": [key.as_dict(private=False)]})
    return await join(
        app, client, grant_types=[JWT_BEARER], redirect_uris=[], scope="openid read write", resources=[RECORDS],
        assertion_issuers={ISSUER: address},
    )  # fmt: skip


def vouch(party: Party, key: Any, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """An assertion, with any claim changed; None leaves one out."""
    import json

    now = party.building.host.clock.ms() // 1000
    body = {"iss": ISSUER, "sub": "nurse-7", "aud": party.issuer, "iat": now, "exp": now + 60,
            "jti": secrets.token_hex(8), **claims}  # fmt: skip
    payload = json.dumps({name: value for name, value in body.items() if value is not None})
    return sign({"alg": "ES256", "kid": "k1", **(header or {})}, payload, key)


async def bring(party: Party, assertion: str | None, **form: Any) -> httpx2.Response:
    return await party.token(grant_type=JWT_BEARER, assertion=assertion, **form)


async def test_a_trusted_issuer_vouches_and_the_token_stands_for_no_resident(party: Party, key: Any) -> None:
    """RFC 7523 section 2.1: the subject is a number of this audience's own, and nothing can be refreshed."""
    answer = await bring(party, vouch(party, key), scope="read")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    said = await party.introspect(body["access_token"])
    assert said["active"]
    assert "grant_id" not in said
    assert said["sub"] not in ("nurse-7", party.client.id)
    again = (await bring(party, vouch(party, key), scope="read")).json()
    assert (await party.introspect(again["access_token"]))["sub"] == said["sub"]
    elsewhere = (await bring(party, vouch(party, key), resource=RECORDS)).json()
    assert (await party.introspect(elsewhere["access_token"]))["sub"] != said["sub"]
    entries = await party.building.host.db.read(audit.entries, action="identity.assertion.accepted")
    assert entries[0].detail["issuer"] == ISSUER
    assert "nurse" not in str(entries[0].detail)


async def test_of_eight_uses_at_once_one_succeeds(party: Party, key: Any) -> None:
    """RFC 7523 section 3 rule 7, invariant I7."""
    assertion = vouch(party, key)
    answers = await asyncio.gather(*(bring(party, assertion) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://idp.else.example"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"jti": None},
        {"aud": "https://else.example"},
        {"aud": ["http://localhost:8080", "https://else.example"]},
        {"aud": None},
        {"exp": None},
        {"exp": 1},
        {"exp": 10**11},
        {"exp": "soon"},
        {"nbf": 10**11},
        {"iat": 10**11},
    ],
)
async def test_what_the_assertion_must_say(party: Party, key: Any, claims: dict[str, Any]) -> None:
    """RFC 7523 section 3, rules 1 to 7; section 3.1: invalid_grant."""
    answer = await bring(party, vouch(party, key, **claims))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


async def test_the_key_is_the_issuers_and_the_algorithm_is_not_the_assertions_choice(
    party: Party, key: Any, site: Site
) -> None:
    """RFC 7523 section 3 rule 9, RFC 8725: another key, a key in the header, a shared secret, none at all."""
    stranger = ECKey.generate_key("P-256", {"kid": "k1"})
    public = stranger.as_dict(private=False)
    secret = OctKey.import_key(key.thumbprint())  # what anybody can know of the key
    for assertion in (
        vouch(party, stranger),
        vouch(party, stranger, header={"jwk": public}),
        vouch(party, stranger, header={"jku": site.publish("/evil", {"keys": [public]}), "kid": "k2"}),
        vouch(party, secret, header={"alg": "HS256"}),
        "eyJhbGciOiJub25lIn0." + vouch(party, key).split(".")[1] + ".",
        "nonsense",
    ):
        assert (await bring(party, assertion)).json()["error"] == "invalid_grant"
    assert not any(b"/evil" in asked for asked in site.asked)


async def test_a_key_its_owner_took_away_is_not_honoured_for_long(party: Party, key: Any, site: Site) -> None:
    assert (await bring(party, vouch(party, key))).status_code == 200
    site.publish("/jwks", {"keys": []})
    advance(party.building, 61)
    assert (await bring(party, vouch(party, key))).json()["error"] == "invalid_grant"


async def test_nobody_outside_agrees_in_a_residents_stead(party: Party, key: Any) -> None:
    """No standard scope, whatever the client registered."""
    assert (await bring(party, vouch(party, key), scope="openid")).json()["error"] == "invalid_scope"
    assert (await bring(party, vouch(party, key))).json()["scope"] == "read write"
    assert (await bring(party, vouch(party, key), resource="https://else.example")).json()["error"] == "invalid_target"
    assert (await bring(party, None)).json()["error"] == "invalid_request"


async def test_it_is_off_by_default_and_only_an_operator_turns_it_on(app: Any, client: Any, party: Party) -> None:
    plain = await join(app, client, grant_types=["client_credentials"], redirect_uris=[])
    assert (await bring(plain, "x")).json()["error"] == "unauthorized_client"
    from identity.errors import InvalidClientMetadata

    for fields in (
        {"grant_types": [JWT_BEARER]},
        {"assertion_issuers": {ISSUER: "https://idp.hospital.example/jwks"}},
        {"grant_types": [JWT_BEARER], "assertion_issuers": {ISSUER: "ftp://x"}},
        {
            "grant_types": [JWT_BEARER], "assertion_issuers": {ISSUER: "https://x.example"},
            "token_endpoint_auth_method": "none",
        },
    ):  # fmt: skip
        with pytest.raises(InvalidClientMetadata):
            await join(app, client, redirect_uris=[], **fields)


async def test_a_proof_binds_the_token(party: Party, key: Any) -> None:
    """RFC 9449 section 5."""
    prover = Prover()
    proof = prover.proof("POST", f"{party.issuer}/oauth/token", now_ms=party.building.host.clock.ms())
    body = (await bring(party, vouch(party, key), headers={"dpop": proof})).json()
    assert body["token_type"] == "DPoP"
    assert (await party.introspect(body["access_token"]))["cnf"] == {"jkt": prover.jkt}
