"""Step-up and the protected resource's own words, from the wire (RFC 9470, RFC 9728)."""

from typing import Any

import pytest
from pydantic import ValidationError

from identity.settings import IdentitySettings
from identity.step_up import Minimums
from kit.problems import Problem
from tests.support.household import settle
from tests.support.relying_party import Party, Prover, advance, join, location, sign_in

AAL1, AAL2 = "urn:sekisho:aal:1", "urn:sekisho:aal:2"
WHERE = 'resource_metadata="http://localhost:8080/.well-known/oauth-protected-resource"'


@pytest.fixture
def settings(settings: Any) -> Any:
    strict = IdentitySettings(step_up_acr={"email": AAL2, "data_use": AAL2}, step_up_max_age={"address": 120})
    return settings.model_copy(update={"identity": strict})


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def token(party: Party, scope: str) -> str:
    return str((await party.exchange(await party.code(scope=scope))).json()["access_token"])


async def userinfo(party: Party, access_token: str) -> Any:
    return await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {access_token}"})


async def test_a_token_got_with_too_little_is_answered_with_the_level_that_would_do(party: Party) -> None:
    """RFC 9470 section 3; and section 4: sent again with those acr_values, the resident steps up, and it is enough."""
    await sign_in(party, acr=AAL1)
    refused = await userinfo(party, await token(party, "openid email"))
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == (
        'Bearer error="insufficient_user_authentication",'
        ' error_description="the resident must sign in again for this",'
        f' acr_values="{AAL2}", {WHERE}'
    )
    base, _ = location(await party.authorize(party.request(scope="openid email", acr_values=AAL2)))
    assert "/interaction/" in base  # where the resident is asked to sign in more surely
    advance(party.building, 1)
    await sign_in(party, acr=AAL2)
    assert (await userinfo(party, await token(party, "openid email"))).json()["email"] == "hanako@example.jp"


async def test_a_sign_in_that_is_too_old_is_answered_with_the_age_that_would_do(party: Party) -> None:
    """RFC 9470 section 3: max_age; the strictest of what the token is used for counts."""
    advance(party.building, 200)
    access = await token(party, "openid address")
    refused = await userinfo(party, access)
    assert refused.status_code == 401
    assert 'max_age="120"' in refused.headers["www-authenticate"]
    assert "acr_values" not in refused.headers["www-authenticate"]
    await sign_in(party)
    assert (await userinfo(party, await token(party, "openid address"))).status_code == 200


async def test_what_needs_no_more_is_asked_no_more(party: Party) -> None:
    await sign_in(party, acr=AAL1)
    advance(party.building, 200)
    assert (await userinfo(party, await token(party, "openid profile"))).status_code == 200


async def test_a_bound_token_is_challenged_in_its_own_scheme(party: Party) -> None:
    await sign_in(party, acr=AAL1)
    key, now = Prover(), party.building.host.clock.ms()
    proof = key.proof("POST", f"{party.issuer}/oauth/token", now_ms=now)
    code = await party.code(scope="openid email")
    bound = (await party.exchange(code, headers={"dpop": proof})).json()["access_token"]
    proof = key.proof("GET", f"{party.issuer}/oauth/userinfo", now_ms=now, token=bound)
    refused = await party.http.get("/oauth/userinfo", headers={"authorization": f"DPoP {bound}", "dpop": proof})
    assert refused.headers["www-authenticate"].startswith('DPoP error="insufficient_user_authentication"')


async def test_data_may_ask_for_a_surer_sign_in_than_the_consent_was_given_with(app: Any, client: Any) -> None:
    """RFC 9470 with RFC 9396: by the type of authorization details, at the bank."""
    home = await settle(app, client)
    await sign_in(home.party, acr=AAL1)
    page = await home.ask(scope="openid")
    answer = await home.answer(page, {"answer": "agree"})
    code = answer.headers["location"].partition("code=")[2].partition("&")[0]
    weak = (await home.party.exchange(code)).json()["access_token"]
    refused = await client.get("/api/bank/records", headers={"authorization": f"Bearer {weak}"})
    assert refused.status_code == 401
    assert "insufficient_user_authentication" in refused.headers["www-authenticate"]
    assert refused.json()["type"] == "/problems/identity/sign-in-too-weak"


async def test_a_services_own_token_has_nobody_to_sign_in(app: Any, client: Any) -> None:
    from identity.bearer import Bearer

    party = await join(app, client, grant_types=["client_credentials"], redirect_uris=[], scope="read")
    own = (await party.token(grant_type="client_credentials")).json()["access_token"]
    scope = {"type": "http", "headers": [(b"authorization", f"Bearer {own}".encode())], "method": "GET", "path": "/x"}

    class Asked:
        def __init__(self) -> None:
            self.scope = scope

    access = await app.host.get(Bearer).verify(Asked(), uses=("read",))
    assert access.account_id is None
    with pytest.raises(Problem):
        await app.host.get(Bearer).verify(Asked(), scope="email")


def test_levels_and_ages_are_judged_as_of_now() -> None:
    minimums = Minimums({"a": AAL1, "b": AAL2}, {"b": 60, "c": 30})
    good = {"acr": AAL2, "auth_time": 1000}
    assert minimums.missing(["a", "b", "c"], good, 1_030_000) is None
    found = minimums.missing(["a", "b", "c"], {"acr": "loa4", "auth_time": 999}, 1_030_000)
    assert found is not None
    assert (found.acr_values, found.max_age) == ((AAL2,), 30)
    assert minimums.missing(["d"], {}, 0) is None
    assert minimums.missing(["a"], {}, 0) is not None  # a token that says nothing proves nothing


def test_a_level_nobody_can_reach_is_no_setting() -> None:
    with pytest.raises(ValidationError):
        IdentitySettings(step_up_acr={"email": "urn:sekisho:aal:9"})


# -- RFC 9728 ----------------------------------------------------------------------------------------------------------


async def test_the_resource_says_who_gives_tokens_for_it(party: Party) -> None:
    """RFC 9728 sections 2 and 3.3: `resource` is the very name its address was made from."""
    answer = await party.http.get("/.well-known/oauth-protected-resource")
    assert answer.headers["content-type"].startswith("application/json")
    document = answer.json()
    assert document["resource"] == party.issuer
    assert document["authorization_servers"] == [party.issuer]
    assert document["bearer_methods_supported"] == ["header"]
    assert {"openid", "bank:deposit", "consent.check"} <= set(document["scopes_supported"])
    assert document["authorization_details_types_supported"] == ["data_use"]
    server = (await party.http.get("/.well-known/oauth-authorization-server")).json()
    assert server["protected_resources"] == [document["resource"]]  # section 4: both say it


@pytest.mark.parametrize("path", ["/oauth/userinfo", "/api/bank/records", "/api/identity/members"])
async def test_every_challenge_leads_there(party: Party, path: str) -> None:
    """RFC 9728 section 5.1."""
    for headers in ({"authorization": "Bearer nonsense"}, {"authorization": "DPoP nonsense"}):
        refused = await party.http.get(path, headers=headers)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].endswith(WHERE)
    bare = (await party.http.get("/oauth/userinfo")).headers["www-authenticate"]
    assert bare.startswith(f"Bearer {WHERE}, DPoP algs=")
    assert bare.endswith(f'", {WHERE}')
