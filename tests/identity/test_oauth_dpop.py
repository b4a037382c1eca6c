"""Demonstrating Proof of Possession (RFC 9449)."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from identity.oauth.dpop import Dpop
from identity.oauth.errors import InvalidDpopProof
from identity.settings import IdentitySettings
from keys.hashing import TokenHasher
from tests.support.relying_party import Party, Prover, join

# RFC 9449 section 4.1, figure 2; made at iat 1562262616. The thumbprint is that of section 6.1, figure 9.
EXAMPLE = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6Ik"
    "VDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCR"
    "nMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JE"
    "QSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIj"
    "oiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwia"
    "WF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg"
    "4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
EXAMPLE_JKT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
EXAMPLE_MS = 1_562_262_616_000


def checker() -> Dpop:
    return Dpop("https://server.example.com", IdentitySettings(), TokenHasher(bytes(32)))


def test_accepts_the_proof_of_section_4_1() -> None:
    proved = checker().read([EXAMPLE.encode()], method="POST", path="/token", now=EXAMPLE_MS)
    assert proved is not None
    assert proved.jkt == EXAMPLE_JKT


@pytest.mark.parametrize(
    ("method", "path", "late"),
    [
        ("GET", "/token", 0),
        ("post", "/token", 0),
        ("POST", "/other", 0),
        ("POST", "/token/", 0),
        ("POST", "/token", 301_000),
        ("POST", "/token", -11_000),
    ],
)
def test_refuses_the_same_proof_for_another_request_or_time(method: str, path: str, late: int) -> None:
    """Section 4.3 steps 8, 9 and 11."""
    with pytest.raises(InvalidDpopProof):
        checker().read([EXAMPLE.encode()], method=method, path=path, now=EXAMPLE_MS + late)


def test_refuses_two_headers() -> None:
    """Section 4.3 step 1."""
    with pytest.raises(InvalidDpopProof):
        checker().read([EXAMPLE.encode()] * 2, method="POST", path="/token", now=EXAMPLE_MS)


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client, grant_types=["authorization_code", "refresh_token", "client_credentials"],
                      scope="openid profile offline_access read")  # fmt: skip


def token_proof(party: Party, key: Prover, **changes: Any) -> dict[str, str]:
    now = party.building.host.clock.ms()
    return {"dpop": key.proof("POST", party.issuer + "/oauth/token", now_ms=now, **changes)}


async def get(party: Party, token: str, proof: str | None, scheme: str = "DPoP") -> Any:
    headers = {"authorization": f"{scheme} {token}"} | ({"dpop": proof} if proof else {})
    return await party.http.get("/oauth/userinfo", headers=headers)


@pytest.mark.parametrize("alg", ["ES256", "Ed25519"])
async def test_a_bound_token_opens_with_its_key_only(party: Party, alg: str) -> None:
    """Sections 5, 6.1 and 7.1."""
    key = Prover() if alg == "ES256" else Prover("EdDSA")
    code = await party.code()
    body = (await party.exchange(code, headers=token_proof(party, key))).json()
    assert body["token_type"] == "DPoP"
    token = body["access_token"]
    said = await party.introspect(token)
    assert said["cnf"] == {"jkt": key.jkt}
    assert said["token_type"] == "DPoP"
    now, url = party.building.host.clock.ms(), party.issuer + "/oauth/userinfo"

    def proof(prover: Prover, **changes: Any) -> str:
        return prover.proof("GET", url, now_ms=now, **{"token": token, **changes})

    good = proof(key)
    assert (await get(party, token, good)).status_code == 200
    refused: list[tuple[str | None, str]] = [
        (good, "invalid_dpop_proof"),  # used already
        (None, "invalid_dpop_proof"),
        (proof(Prover()), "invalid_token"),
        (proof(key, token=None), "invalid_dpop_proof"),
        (proof(key, token="other"), "invalid_dpop_proof"),
        (proof(key, htm="POST"), "invalid_dpop_proof"),
        (proof(key, htu=url + "/x"), "invalid_dpop_proof"),
    ]
    for sent, error in refused:
        answer = await get(party, token, sent)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith(f'DPoP error="{error}"')
    as_bearer = await get(party, token, proof(key), scheme="Bearer")
    assert as_bearer.status_code == 401
    assert as_bearer.headers["www-authenticate"].startswith("DPoP")


async def test_a_bearer_token_does_not_pass_as_bound(party: Party) -> None:
    token = (await party.exchange(await party.code())).json()["access_token"]
    key, now = Prover(), party.building.host.clock.ms()
    proof = key.proof("GET", party.issuer + "/oauth/userinfo", now_ms=now, token=token)
    assert (await get(party, token, proof)).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda p, k: token_proof(p, k, htm="GET"),
        lambda p, k: token_proof(p, k, htu="https://evil.example/oauth/token"),
        lambda p, k: token_proof(p, k, jti=None),
        lambda p, k: token_proof(p, k, iat=None),
        lambda p, k: token_proof(p, k, iat=1),
        lambda p, k: token_proof(p, k, iat="now"),
        lambda p, k: token_proof(p, k, header={"typ": "JWT"}),
        lambda p, k: token_proof(p, k, header={"jwk": k.key.as_dict(private=True)}),
        lambda p, k: token_proof(p, k, header={"jwk": Prover().key.as_dict(private=False)}),
        lambda p, k: {"dpop": "nonsense"},
        lambda p, k: {"dpop": "a.b.c"},
    ],
)
async def test_a_faulty_proof_is_refused_at_the_token_endpoint(
    party: Party, change: Callable[[Party, Prover], dict[str, str]]
) -> None:
    headers = change(party, Prover())
    refused = await party.token(headers=headers, grant_type="client_credentials")
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_dpop_proof"


async def test_one_proof_used_by_eight_at_once_works_once(party: Party) -> None:
    """Section 11.1, invariant I7."""
    headers = token_proof(party, Prover())
    answers = await asyncio.gather(*(party.token(headers=headers, grant_type="client_credentials") for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}


async def test_a_query_in_htu_is_ignored_and_case_and_default_port_are_normal(party: Party) -> None:
    """Section 4.3 step 9 and RFC 3986 section 6.2.2."""
    url = "HTTP://LOCALHOST:8080/oauth/token?x=1#y"
    answer = await party.token(headers=token_proof(party, Prover(), htu=url), grant_type="client_credentials")
    assert answer.status_code == 200, answer.text


async def test_a_client_registered_for_bound_tokens_gets_no_other(app: Any, client: Any) -> None:
    """Section 5.2."""
    party = await join(app, client, dpop_bound_access_tokens=True)
    code = await party.code()
    assert (await party.exchange(code)).json()["error"] == "invalid_dpop_proof"
    assert (await party.exchange(code, headers=token_proof(party, Prover()))).status_code == 200


async def test_a_public_clients_refresh_token_is_bound_to_the_key(app: Any, client: Any) -> None:
    """Section 5."""
    party = await join(app, client, token_endpoint_auth_method="none")
    key = Prover()
    code = await party.code(scope="openid offline_access")
    body = (await party.exchange(code, headers=token_proof(party, key))).json()
    without = await party.refresh(body["refresh_token"])
    assert without.json()["error"] == "invalid_dpop_proof"
    stolen = await party.refresh(body["refresh_token"], headers=token_proof(party, Prover()))
    assert stolen.json()["error"] == "invalid_grant"
    again = await party.refresh(body["refresh_token"], headers=token_proof(party, key))
    assert again.status_code == 200
    assert again.json()["token_type"] == "DPoP"
