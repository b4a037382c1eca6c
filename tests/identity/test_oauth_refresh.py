"""Refresh tokens: rotation, reuse, limits (RFC 6749 section 6, RFC 9700 section 4.14.2)."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from identity import accounts
from kit import audit
from kit.host import SYSTEM
from tests.support.relying_party import Party, advance, join


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def first(party: Party) -> dict[str, Any]:
    body: dict[str, Any] = (await party.exchange(await party.code(scope="openid profile offline_access"))).json()
    assert body["refresh_token"].startswith("skr_")
    return body


async def test_each_use_gives_a_new_token_and_keeps_the_grant(party: Party) -> None:
    body = await first(party)
    again = (await party.refresh(body["refresh_token"])).json()
    assert again["refresh_token"] != body["refresh_token"]
    assert again["access_token"] != body["access_token"]
    assert again["scope"] == body["scope"]
    old, new = await party.introspect(body["access_token"]), await party.introspect(again["access_token"])
    assert old["active"]
    assert (old["sub"], old["grant_id"], old["auth_time"]) == (new["sub"], new["grant_id"], new["auth_time"])
    assert (await party.introspect(again["refresh_token"]))["active"]
    assert await party.introspect(body["refresh_token"]) == {"active": False}


async def test_reuse_ends_the_family_and_is_audited(party: Party) -> None:
    body = await first(party)
    second = (await party.refresh(body["refresh_token"])).json()
    reused = await party.refresh(body["refresh_token"])
    assert reused.status_code == 400
    assert reused.json()["error"] == "invalid_grant"
    assert (await party.refresh(second["refresh_token"])).json()["error"] == "invalid_grant"
    for token in (body["access_token"], second["access_token"]):
        assert await party.introspect(token) == {"active": False}
    found = await party.building.host.db.read(audit.entries, action="identity.refresh.reused")
    assert len(found) == 1
    assert found[0].object_id == party.client.id


async def test_another_family_of_the_same_grant_lives_on(party: Party) -> None:
    one, two = await first(party), await first(party)
    await party.refresh(one["refresh_token"])
    await party.refresh(one["refresh_token"])
    assert (await party.refresh(two["refresh_token"])).status_code == 200


async def test_eight_at_once_get_one_answer_and_lose_the_family(party: Party) -> None:
    """Invariant I7."""
    body = await first(party)
    answers = await asyncio.gather(*(party.refresh(body["refresh_token"]) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    (good,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await party.refresh(good["refresh_token"])).json()["error"] == "invalid_grant"


async def test_what_we_never_made_raises_no_alarm(party: Party) -> None:
    """A guess about somebody's family must not end it."""
    body = await first(party)
    family, generation, random, mac = body["refresh_token"].split(".")
    for forged in (
        f"{family}.{generation}.{'A' * 43}.{mac}",
        f"{family}.7.{random}.{mac}",
        f"{family}.{generation}.{random}.{'A' * 22}",
        f"skr_{'0' * 26}.{generation}.{random}.{mac}",
        "skr_x",
        "x",
    ):
        assert (await party.refresh(forged)).json()["error"] == "invalid_grant"
    assert (await party.refresh(body["refresh_token"])).status_code == 200


async def test_another_client_can_neither_use_nor_end_it(party: Party, app: Any, client: Any) -> None:
    other = await join(app, client)
    body = await first(party)
    assert (await other.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await party.refresh(body["refresh_token"])).status_code == 200


async def test_scope_may_shrink_but_not_grow_and_comes_back(party: Party) -> None:
    """RFC 6749 section 6."""
    body = await first(party)
    assert (await party.refresh(body["refresh_token"], scope="openid email")).json()["error"] == "invalid_scope"
    less = (await party.refresh(body["refresh_token"], scope="openid")).json()
    assert less["scope"] == "openid"
    assert (await party.refresh(less["refresh_token"])).json()["scope"] == "openid profile offline_access"


async def test_an_unused_token_dies_after_thirty_days_and_a_family_after_half_a_year(party: Party) -> None:
    body = await first(party)
    advance(party.building, 30 * 86_400 + 1)
    assert (await party.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
    advance(party.building, -30 * 86_400 - 1)
    for _ in range(7):
        body = (await party.refresh(body["refresh_token"])).json()
        advance(party.building, 25 * 86_400)
    advance(party.building, 6 * 86_400)
    assert (await party.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"


async def test_without_offline_access_there_is_no_refresh_token(party: Party) -> None:
    assert "refresh_token" not in (await party.exchange(await party.code())).json()


async def test_a_suspended_account_refreshes_nothing_and_its_tokens_stop(party: Party) -> None:
    """Invariant I5."""
    body = await first(party)
    assert (await party.introspect(body["access_token"]))["active"]
    host = party.building.host
    await host.db.write(accounts.suspend_account, party.account_id, actor=SYSTEM)
    assert await party.introspect(body["access_token"]) == {"active": False}
    assert (await party.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
    await host.db.write(accounts.resume_account, party.account_id, actor=SYSTEM)
    assert (await party.refresh(body["refresh_token"])).status_code == 200


async def test_revoking_a_refresh_token_ends_its_chain(party: Party) -> None:
    """RFC 7009 section 2.1."""
    body = await first(party)
    done = await party.http.post("/oauth/revoke", data={"token": body["refresh_token"]}, headers=party.basic)
    assert done.status_code == 200
    assert await party.introspect(body["access_token"]) == {"active": False}
    assert (await party.refresh(body["refresh_token"])).json()["error"] == "invalid_grant"
    again = await party.http.post("/oauth/revoke", data={"token": body["refresh_token"]}, headers=party.basic)
    assert again.status_code == 200
