"""Pushed authorization requests (RFC 9126)."""

from typing import Any

import pytest
from sqlalchemy import text

from identity.crowd import Crowd
from identity.oauth import housekeeping
from identity.throttle import Limit
from kit.db import Session
from tests.support.relying_party import REDIRECT, Party, Prover, advance, join, location


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client, require_pushed_authorization_requests=True)


async def push(party: Party, headers: dict[str, str] | None = None, **changes: str | None) -> Any:
    return await party.http.post(
        "/oauth/par", data=party.request(**changes), headers={**party.basic, **(headers or {})}
    )


async def come(party: Party, request_uri: str, **more: str) -> Any:
    return await party.authorize({"client_id": party.client.id, "request_uri": request_uri, **more})


async def test_a_pushed_request_leads_to_a_code(party: Party) -> None:
    pushed = await push(party)
    assert pushed.status_code == 201, pushed.text
    assert pushed.json()["expires_in"] == 90
    assert pushed.headers["cache-control"] == "no-store"
    answer = await party.agree(await come(party, pushed.json()["request_uri"]))
    assert answer["state"] == "af0ifjsldkj"
    assert (await party.exchange(answer["code"])).status_code == 200


async def test_parameters_beside_the_request_uri_count_for_nothing(party: Party) -> None:
    """Section 4: only what was pushed."""
    pushed = await push(party)
    response = await come(
        party, pushed.json()["request_uri"], redirect_uri="https://evil.example/", scope="openid email"
    )
    answer = await party.agree(response)
    tokens = await party.exchange(answer["code"])
    assert tokens.json()["scope"] == "openid profile"


async def test_loading_the_page_twice_is_fine_but_completing_twice_is_not(party: Party) -> None:
    """Section 4 and invariant I7: used when the authorization completes."""
    request_uri = (await push(party)).json()["request_uri"]
    first, second = await come(party, request_uri), await come(party, request_uri)
    assert "code" in await party.agree(first)
    assert (await party.agree(second))["error"] == "invalid_request_uri"
    again = await come(party, request_uri)
    assert again.status_code == 400
    assert "location" not in again.headers


async def test_a_request_uri_expires(party: Party) -> None:
    request_uri = (await push(party)).json()["request_uri"]
    advance(party.building, 91)
    assert (await come(party, request_uri)).status_code == 400


async def test_a_request_uri_is_its_clients_own(party: Party, app: Any, client: Any) -> None:
    other = await join(app, client)
    request_uri = (await push(other)).json()["request_uri"]
    assert (await come(party, request_uri)).status_code == 400


async def test_a_client_that_must_push_may_not_come_without(party: Party) -> None:
    """Section 5."""
    base, answer = location(await party.authorize(party.request()))
    assert base == REDIRECT
    assert answer["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:par_x"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/cb"}, "invalid_request"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"request": "x"}, "invalid_request_object"),
        ({"client_id": "cli_other"}, "invalid_request"),
        ({"authorization_details": '[{"type":"nope"}]'}, "invalid_authorization_details"),
    ],
)
async def test_a_faulty_request_is_refused_where_the_client_sees_it(
    party: Party, changes: dict[str, str | None], error: str
) -> None:
    """Section 2.3."""
    refused = await push(party, **changes)
    assert refused.status_code == 400
    assert refused.json()["error"] == error


async def test_pushing_needs_client_authentication(party: Party) -> None:
    refused = await party.http.post("/oauth/par", data=party.request())
    assert refused.status_code == 401
    assert refused.json()["error"] == "invalid_client"


async def test_a_proof_at_the_push_binds_the_code(party: Party) -> None:
    """RFC 9449 section 10.1."""
    key, thief = Prover(), Prover()
    now = party.building.host.clock.ms()

    def proof(prover: Prover, path: str) -> dict[str, str]:
        return {"dpop": prover.proof("POST", party.issuer + path, now_ms=now)}

    pushed = await push(party, proof(key, "/oauth/par"))
    answer = await party.agree(await come(party, pushed.json()["request_uri"]))
    for headers in ({}, proof(thief, "/oauth/token")):
        assert (await party.exchange(answer["code"], headers=headers)).json()["error"] == "invalid_grant"
    tokens = await party.exchange(answer["code"], headers=proof(key, "/oauth/token"))
    assert tokens.json()["token_type"] == "DPoP"
    differs = await push(party, proof(key, "/oauth/par"), dpop_jkt=thief.jkt)
    assert differs.json()["error"] == "invalid_request"


async def test_a_login_hint_waits_sealed_and_arrives_whole(party: Party) -> None:
    """Invariant I6: a hint is often somebody's e-mail address."""
    from sqlalchemy import text

    from identity.interaction import Interactions
    from kit.db import Session

    request_uri = (await push(party, login_hint="hanako@example.jp")).json()["request_uri"]
    base, _ = location(await come(party, request_uri))
    host = party.building.host

    def stored(session: Session) -> str:
        rows = session.connection().execute(
            text("SELECT request FROM identity_par UNION ALL SELECT request FROM identity_interaction")
        )
        return " ".join(rows.scalars())

    kept = await host.db.read(stored)
    assert "login_hint" in kept
    assert "hanako@" not in kept
    waiting = await host.db.read(host.get(Interactions).get, base.rsplit("/", 1)[1])
    assert waiting.login_hint == "hanako@example.jp"


async def test_a_client_nobody_vouches_for_pushes_only_so_fast_so_much_and_for_so_long(app: Any, client: Any) -> None:
    """Section 7.1 and RFC 7591 section 5: a secret that anybody gets by registering proves nobody."""
    party = await join(app, client, member_id=None)
    app.host.get(Crowd)._limit = Limit(burst=2, refill=1000)
    long = {"acr_values": "x" * 201 + " urn:sekisho:aal:2", "ui_locales": "en " + "x" * 30_000}
    pushed = [await push(party, **long) for _ in range(3)]
    assert [answer.status_code for answer in pushed] == [201, 201, 429]
    assert pushed[2].headers["retry-after"] == "1"
    assert (await push(await join(app, client))).status_code == 201  # a member's client is known

    def rows(session: Session) -> list[str]:
        return list(session.connection().execute(text("SELECT request FROM identity_par")).scalars())

    kept = await app.host.db.read(rows)
    assert len(kept) == 3
    assert all("x" * 201 not in row for row in kept)
    assert "urn:sekisho:aal:2" in kept[0] + kept[1] + kept[2]
    advance(app, 90 + 2 * 3600 + 1)
    await housekeeping.sweep_all(app.host.db, app.host.clock)
    assert await app.host.db.read(rows) == []
