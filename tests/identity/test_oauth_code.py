"""The authorization code flow, from the wire (RFC 6749 section 4.1, RFC 7636, RFC 9207, OpenID Connect Core)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from identity import grants
from kit import audit
from kit.host import SYSTEM
from tests.support.relying_party import REDIRECT, Party, advance, join, location, sign_in


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def test_a_new_client_gets_a_code_after_the_page_and_tokens_for_it(party: Party) -> None:
    response = await party.authorize(party.request())
    base, _ = location(response)
    assert base.startswith("http://localhost:8080/interaction/int_")
    answer = await party.agree(response)
    assert answer["state"] == "af0ifjsldkj"
    assert answer["iss"] == party.issuer
    tokens = await party.exchange(answer["code"])
    assert tokens.status_code == 200, tokens.text
    body = tokens.json()
    assert body["token_type"] == "Bearer"
    assert body["scope"] == "openid profile"
    assert "refresh_token" not in body
    assert tokens.headers["cache-control"] == "no-store"
    userinfo = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
    assert userinfo.status_code == 200, userinfo.text
    assert userinfo.json()["name"] == "湊 花子"
    assert "email" not in userinfo.json()


async def test_a_remembered_grant_needs_no_second_page(party: Party) -> None:
    await party.code()
    base, answer = location(await party.authorize(party.request(prompt="none")))
    assert base == REDIRECT
    assert (await party.exchange(answer["code"])).status_code == 200


async def test_a_wider_scope_asks_again_and_then_is_remembered(party: Party) -> None:
    await party.code()
    assert "/interaction/" in location(await party.authorize(party.request(scope="openid email")))[0]
    assert location(await party.authorize(party.request(scope="openid email", prompt="none")))[1]["error"] == (
        "consent_required"
    )
    await party.code(scope="openid email")
    assert location(await party.authorize(party.request(scope="openid email profile")))[0] == REDIRECT


async def test_prompt_consent_always_shows_the_page(party: Party) -> None:
    await party.code()
    assert "/interaction/" in location(await party.authorize(party.request(prompt="consent")))[0]


async def test_nobody_signed_in_and_prompt_none_is_login_required(party: Party) -> None:
    base, answer = location(await party.authorize(party.request(prompt="none"), signed_in=False))
    assert base == REDIRECT
    assert answer["error"] == "login_required"
    assert answer["iss"] == party.issuer
    assert answer["state"] == "af0ifjsldkj"


async def test_prompt_login_and_max_age_want_a_fresh_sign_in(party: Party) -> None:
    """OpenID Connect Core section 3.1.2.1."""
    await party.code()
    advance(party.building, 120)
    assert "/interaction/" in location(await party.authorize(party.request(prompt="login")))[0]
    assert "/interaction/" in location(await party.authorize(party.request(max_age="60")))[0]
    assert location(await party.authorize(party.request(max_age="60", prompt="none")))[1]["error"] == "login_required"
    assert location(await party.authorize(party.request(max_age="600")))[0] == REDIRECT


async def test_a_sign_in_after_the_request_answers_prompt_login(party: Party) -> None:
    from identity.interaction import Interactions

    await party.code()
    base, _ = location(await party.authorize(party.request(prompt="login")))
    interactions, db = party.building.host.get(Interactions), party.building.host.db
    interaction_id = base.rsplit("/", 1)[1]
    waiting = await db.read(interactions.get, interaction_id)
    assert interactions.needs_sign_in(waiting, party.session)
    advance(party.building, 5)
    await sign_in(party)
    assert not interactions.needs_sign_in(waiting, party.session)
    url = await db.write(interactions.resume, interaction_id, party.session)
    assert url is not None
    assert url.startswith(REDIRECT)


async def test_one_code_exchanged_by_eight_at_once_gives_exactly_one_answer(party: Party) -> None:
    """RFC 6749 section 4.1.2, invariant I7."""
    code = await party.code(scope="openid offline_access")
    answers = await asyncio.gather(*(party.exchange(code) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


async def test_a_replayed_code_takes_everything_that_came_from_it(party: Party) -> None:
    """RFC 6749 section 4.1.2: refused, and the tokens issued from it revoked; the trace stays."""
    code = await party.code(scope="openid offline_access")
    tokens = (await party.exchange(code)).json()
    assert (await party.introspect(tokens["access_token"]))["active"]
    refreshed = (await party.refresh(tokens["refresh_token"])).json()
    assert (await party.exchange(code)).json()["error"] == "invalid_grant"
    for name in ("access_token", "refresh_token"):
        assert await party.introspect(tokens[name]) == {"active": False}
        assert await party.introspect(refreshed[name]) == {"active": False}
    assert (await party.refresh(refreshed["refresh_token"])).json()["error"] == "invalid_grant"
    found = await party.building.host.db.read(audit.entries, action="identity.code.replayed")
    assert [entry.object_id for entry in found] == [party.client.id]


async def test_a_code_replayed_for_ever_leaves_one_trace_and_empties_no_cache(party: Party) -> None:
    """A public client's spent code is in its browser's history: sending it is free, and the trail never shrinks."""
    db = party.building.host.db
    code = await party.code()
    await party.exchange(code)
    assert (await party.exchange(code)).status_code == 400
    count = await db.counter("tokens")
    for _ in range(5):
        assert (await party.exchange(code)).json()["error"] == "invalid_grant"
    assert await db.counter("tokens") == count
    assert len(await db.read(audit.entries, action="identity.code.replayed")) == 1


async def test_a_code_lives_sixty_seconds(party: Party) -> None:
    code = await party.code()
    advance(party.building, 61)
    answer = await party.exchange(code)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"code_verifier": "a" * 43}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": REDIRECT + "/"}, "invalid_grant"),
        ({"code": "skc_" + "A" * 43}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"resource": "https://else.example"}, "invalid_target"),
    ],
)
async def test_an_exchange_with_a_fault_is_refused_and_leaves_the_code_good(
    party: Party, changes: dict[str, Any], error: str
) -> None:
    code = await party.code()
    refused = await party.exchange(changes.pop("code", code), **changes)
    assert refused.status_code == 400
    assert refused.json()["error"] == error
    assert (await party.exchange(code)).status_code == 200


async def test_a_code_of_another_client_is_unknown(party: Party, app: Any, client: Any) -> None:
    other = await join(app, client)
    other.verifier = "x" * 43
    code = await party.code()
    answer = await other.exchange(code, code_verifier=party.verifier)
    assert answer.json()["error"] == "invalid_grant"
    assert (await party.exchange(code)).status_code == 200


async def test_withdrawing_the_grant_stops_code_and_tokens_at_once(party: Party) -> None:
    """Invariant I5."""
    code = await party.code(scope="openid offline_access")
    tokens = (await party.exchange(code)).json()
    host = party.building.host
    waiting = await party.code(scope="openid offline_access")
    verifier = party.verifier
    (grant,) = await host.db.read(grants.list_for, party.account_id)
    await host.db.write(grants.revoke, grant.id, actor=SYSTEM, now=host.clock.ms())
    assert await party.introspect(tokens["access_token"]) == {"active": False}
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.exchange(waiting, code_verifier=verifier)).json()["error"] == "invalid_grant"
    userinfo = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert userinfo.status_code == 401
    assert userinfo.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert "/interaction/" in location(await party.authorize(party.request()))[0]


async def test_post_is_taken_up_again_by_get(party: Party) -> None:
    """OpenID Connect Core section 3.1.2.1: GET and POST; the Lax cookie comes with the second only."""
    parameters = party.request()
    first = await party.http.post("/oauth/authorize", data=parameters)
    base, again = location(first)
    assert base == party.issuer + "/oauth/authorize"
    assert again == parameters
