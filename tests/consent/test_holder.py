"""A receipt bound to a wallet's key: OpenID4VCI 1.0 appendix F.1, SD-JWT VC section 2.2.2.2."""

from __future__ import annotations

from typing import Any

import httpx2
import jwt as pyjwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from consent.errors import BadHolderProof
from consent.holder import TYP, holder_key
from consent.verify import verify_receipt
from keys import sdjwt
from portal.app import Building
from tests.consent.bureau import ISSUER, Bureau
from tests.support.household import settle

NOW = 1_795_000_000
ED, EC = Ed25519PrivateKey.generate(), generate_private_key(SECP256R1())


def jwk(key: Any, *, private: bool = False) -> dict[str, Any]:
    algorithm = OKPAlgorithm if key is ED else ECAlgorithm
    made: dict[str, Any] = algorithm.to_jwk(key if private else key.public_key(), as_dict=True)
    return {name: value for name, value in made.items() if name != "key_ops"}


def proof(key: Any = ED, *, typ: str = TYP, shown: dict[str, Any] | None = None, **claims: Any) -> str:
    """As a wallet makes it, with another library."""
    said = {"aud": ISSUER, "iat": NOW, **claims}
    headers = {"typ": typ, "jwk": shown or jwk(key)}
    return pyjwt.encode(said, key, algorithm="EdDSA" if key is ED else "ES256", headers=headers)


@pytest.mark.parametrize("key", [ED, EC], ids=["EdDSA", "ES256"])
def test_a_proof_gives_the_public_key_it_was_made_with(key: Any) -> None:
    found = holder_key(proof(key), issuer=ISSUER, now=NOW + 200)
    assert found == {name: jwk(key)[name] for name in found}
    assert "d" not in found
    assert {"kty", "crv", "x"} <= found.keys()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "not a token",
        proof(typ="JWT"),
        proof(typ="dpop+jwt"),  # a proof made for something else is none for this
        proof(aud="https://other.example"),
        proof(aud=None),
        proof(iat=NOW - 301),
        proof(iat=NOW + 301),
        proof(iat=None),
        proof(shown=jwk(EC)),  # another's key in the header
        proof(shown=jwk(ED, private=True)),  # a private key was given away
        proof()[:-4] + "AAAA",
    ],
)
def test_a_proof_that_does_not_hold_binds_nothing(wrong: str) -> None:
    with pytest.raises(BadHolderProof):
        holder_key(wrong, issuer=ISSUER, now=NOW)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_bound_receipt_verifies_and_always_shows_whose_key(bureau: Bureau) -> None:
    hanako = await bureau.resident()
    given = await bureau.give(hanako)
    key = holder_key(proof(), issuer=ISSUER, now=NOW)
    made = await bureau.receipts.make(given.consent_id, account_id=hanako, holder=key)
    found = verify_receipt(made.content, vkey=bureau.vkey, jwks=bureau.jwks)
    assert found.claims["cnf"] == {"jwk": key}
    bare = sdjwt.present(orjson.loads(made.content)["credential"], lambda *_: False)
    assert sdjwt.verify(bare, bureau.jwks)["cnf"] == {"jwk": key}
    plain = await bureau.receipts.make(given.consent_id, account_id=hanako)
    assert "cnf" not in verify_receipt(plain.content, vkey=bureau.vkey, jwks=bureau.jwks).claims


async def test_a_proof_with_a_request_binds_and_a_wrong_one_is_refused(
    app: Building, client: httpx2.AsyncClient
) -> None:
    home = await settle(app, client)
    address = f"/api/consent/records/{await home.give()}/receipt"
    now = app.host.clock.ms() // 1000
    answers = []
    for audience in (app.settings.issuer, "https://other.example"):
        headers = {"cookie": f"sekisho-local={home.party.cookie}", "holder-proof": proof(aud=audience, iat=now)}
        answers.append(await client.get(address, headers=headers))
    bound, refused = answers
    jwks, vkey = (await client.get("/oauth/jwks")).json(), (await client.get("/ledger/vkey")).text
    found = verify_receipt(bound.content, jwks=jwks, vkey=vkey)
    assert found.claims["cnf"]["jwk"]["x"] == jwk(ED)["x"]
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/consent/bad-holder-proof")
