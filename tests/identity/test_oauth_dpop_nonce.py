"""Nonces for DPoP proofs (RFC 9449 sections 8 and 9): asked for, taken, renewed, refused when old."""

from typing import Any

import pytest

from identity.clients import Clients
from identity.oauth.dpop import NONCE_SLICE
from kit.clock import SECOND
from kit.host import SYSTEM
from portal.settings import Settings
from tests.identity.test_oauth_fapi import BY_KEY, DPOP, KEYS, fapi
from tests.support.relying_party import Party, Prover, advance, join

SLICE = NONCE_SLICE // SECOND
MACHINE = {"grant_types": ["authorization_code", "refresh_token", "client_credentials"]}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    identity = settings.identity.model_copy(update={"dpop_nonce": "required"})
    return settings.model_copy(update={"identity": identity})


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client, **MACHINE, scope="openid profile offline_access read")


class Caller:
    """Proves one key, with the nonce it was told last."""

    def __init__(self, party: Party, nonce: str | None = None) -> None:
        self.party, self.key, self.nonce = party, Prover(), nonce

    def proof(self, method: str, path: str, **changes: Any) -> dict[str, str]:
        now = self.party.building.host.clock.ms()
        made = {"nonce": self.nonce, **changes}
        return {"dpop": self.key.proof(method, self.party.issuer + path, now_ms=now, **made)}

    async def token(self, **form: str) -> Any:
        sent = {"grant_type": "client_credentials", **form}
        return await self.party.token(headers=self.proof("POST", "/oauth/token"), **sent)

    async def get(self, path: str, token: str) -> Any:
        headers = {"authorization": f"DPoP {token}", **self.proof("GET", path, token=token)}
        return await self.party.http.get(path, headers=headers)


async def test_the_token_endpoint_asks_gives_and_takes(party: Party) -> None:
    """Section 8: 400, `use_dpop_nonce`, the nonce in a header; nothing was done yet, so the same code still works."""
    code = await party.code()
    caller = Caller(party)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": "https://clinic.example/cb",
            "code_verifier": party.verifier}  # fmt: skip
    first = await caller.token(**form)
    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    assert first.headers["cache-control"] == "no-store"
    caller.nonce = first.headers["dpop-nonce"]
    second = await caller.token(**form)
    assert second.status_code == 200, second.text
    assert second.headers["dpop-nonce"] == caller.nonce  # section 8.2


async def test_pushed_requests_ask_too(party: Party) -> None:
    caller = Caller(party)

    async def push() -> Any:
        headers = {**party.basic, **caller.proof("POST", "/oauth/par")}
        return await party.http.post("/oauth/par", data=party.request(), headers=headers)

    first = await push()
    assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
    caller.nonce = first.headers["dpop-nonce"]
    assert (await push()).status_code == 201


async def test_protected_resources_ask_by_their_challenge(party: Party) -> None:
    """Section 9: 401 and a challenge; at the hot paths and at those of the framework alike."""
    caller = Caller(party, (await Caller(party).token()).headers["dpop-nonce"])
    code = await party.code()
    form = {"redirect_uri": "https://clinic.example/cb", "code_verifier": party.verifier}
    token = (await caller.token(grant_type="authorization_code", code=code, **form)).json()["access_token"]
    for path, good in (("/oauth/userinfo", 200), ("/api/bank/records?category=mobility", 403),
                       ("/api/identity/clients", 403)):  # fmt: skip
        nonce, caller.nonce = caller.nonce, None
        place = path.partition("?")[0]
        asked = await caller.get(place, token) if place == path else await _queried(caller, path, token)
        assert asked.status_code == 401, path
        assert asked.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
        assert asked.headers.get_list("dpop-nonce") == [nonce]
        caller.nonce = nonce
        answer = await _queried(caller, path, token)
        assert answer.status_code == good, answer.text
        assert answer.headers.get_list("dpop-nonce") == [nonce]


async def _queried(caller: Caller, path: str, token: str) -> Any:
    proof = caller.proof("GET", path.partition("?")[0], token=token)
    return await caller.party.http.get(path, headers={"authorization": f"DPoP {token}", **proof})


async def test_a_nonce_lives_for_two_slices_and_the_newest_is_told_in_time(party: Party) -> None:
    """Section 8.2: who uses an old one that is still good hears of the new one with the answer, good or bad."""
    caller = Caller(party, (await Caller(party).token()).headers["dpop-nonce"])
    old = caller.nonce
    advance(party.building, SLICE)
    answer = await caller.token()
    assert answer.status_code == 200
    assert answer.headers["dpop-nonce"] != old
    refused = await caller.token(scope="admin")
    assert refused.json()["error"] == "invalid_scope"
    assert refused.headers["dpop-nonce"] == answer.headers["dpop-nonce"]
    advance(party.building, SLICE)
    late = await caller.token()
    assert late.json()["error"] == "use_dpop_nonce"
    caller.nonce = late.headers["dpop-nonce"]
    assert (await caller.token()).status_code == 200


async def test_a_made_up_nonce_is_none_and_a_proof_with_one_is_still_good_once(party: Party) -> None:
    caller = Caller(party)
    good = (await caller.token()).headers["dpop-nonce"]
    for nonce in ("", "x" * 43, good[:-1], good + "A", 7, [good]):
        headers = caller.proof("POST", "/oauth/token", nonce=nonce)
        refused = await party.token(headers=headers, grant_type="client_credentials")
        assert refused.json()["error"] == "use_dpop_nonce", nonce
    headers = caller.proof("POST", "/oauth/token", nonce=good)
    assert (await party.token(headers=headers, grant_type="client_credentials")).status_code == 200
    again = await party.token(headers=headers, grant_type="client_credentials")
    assert again.json()["error"] == "invalid_dpop_proof"


async def test_who_proves_no_key_is_not_asked(party: Party) -> None:
    answer = await party.token(grant_type="client_credentials")
    assert answer.status_code == 200
    assert "dpop-nonce" not in answer.headers


async def test_the_setting_may_mean_fapi_clients_only(app: Any, client: Any) -> None:
    """A proof of an ordinary client needs none then; turning a profile on asks at once, at resources too."""
    app.host.settings.identity.__dict__["dpop_nonce"] = "fapi"
    fields = {**MACHINE, "scope": "openid read", "jwks": KEYS}
    plain, strict = await fapi(app, client, profile="none", **BY_KEY, **DPOP, **fields), await fapi(app, client)
    answer = await plain.post("/oauth/token", grant_type="client_credentials")
    assert answer.status_code == 200
    token = answer.json()["access_token"]
    assert (await plain.userinfo(token)).status_code == 403  # known, but nobody's profile
    assert (await strict.push()).json()["error"] == "use_dpop_nonce"
    clients = app.host.get(Clients)
    await app.host.db.write(clients.set_profile, plain.party.client.id, "fapi2-security", actor=SYSTEM)
    assert "use_dpop_nonce" in (await plain.userinfo(token)).headers["www-authenticate"]
