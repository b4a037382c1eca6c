"""A client reads, changes and ends its registration, from the wire (RFC 7592); what is forgotten is swept."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from identity.clients import Clients
from identity.errors import UnknownInteraction
from identity.judged_again import judge_again
from identity.models import ClientEnrolment, ClientRow
from kit import audit
from kit.db import Session, tx_of
from kit.host import SYSTEM
from tests.identity.registrant import DAY, as_party, asking, enrolments, manage, register
from tests.identity.registrant import settings as settings  # a fixture
from tests.support.relying_party import advance, join

BOTH = ["authorization_code", "refresh_token"]


async def test_a_client_reads_replaces_and_ends_its_registration(app: Any, client: Any) -> None:
    """RFC 7592 sections 2.1 to 2.3."""
    made = (await register(client, client_uri="https://clinic.example/")).json()
    read = (await manage(client, made)).json()
    assert read["client_id"] == made["client_id"]
    assert "client_secret" not in read  # only its hash is kept
    changed = await manage(client, made, "PUT", client_name="New", grant_types=["authorization_code", "refresh_token"])
    assert changed.status_code == 200, changed.text
    assert changed.json()["client_name"] == "New"
    assert "client_uri" not in changed.json()  # replaced, not merged
    party = await as_party(app, client, made)
    tokens = (await party.exchange(await party.code())).json()
    ended = await manage(client, changed.json(), "DELETE")
    assert (ended.status_code, ended.content) == (204, b"")
    assert (await manage(client, changed.json())).status_code == 401
    told = await client.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert told.status_code == 401
    assert (await party.authorize(party.request())).status_code == 400
    recorded = {entry.action for entry in await app.host.db.read(audit.entries) if entry.object_id == made["client_id"]}
    assert {"identity.client.created", "identity.client.changed", "identity.client.left"} <= recorded


async def test_a_registration_access_token_is_its_clients_own(client: Any) -> None:
    one, other = (await register(client)).json(), (await register(client)).json()
    for token in ("srt_guess", other["registration_access_token"]):
        for method in ("GET", "PUT", "DELETE"):
            refused = await manage(client, one, method, token)
            assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    nobody = await client.get("/oauth/register/cli_nobody", headers={"authorization": "Bearer srt_guess"})
    assert nobody.json() == (await manage(client, one, token="srt_guess")).json()
    bare = await client.get(urlsplit(one["registration_client_uri"]).path)
    assert bare.status_code == 401
    assert "error" not in bare.headers["www-authenticate"]


async def test_a_suspended_client_does_not_manage_itself(app: Any, client: Any) -> None:
    """RFC 7592 sections 2.1 to 2.3: without permission the answer is 403; nothing changes, and its end is lifted."""
    made = (await register(client)).json()
    registry = app.host.get(Clients)
    await app.host.db.write(registry.suspend, made["client_id"], actor=SYSTEM)
    for method in ("GET", "PUT", "DELETE"):
        refused = await manage(client, made, method, client_name="Other")
        assert (refused.status_code, refused.json()["error"]) == (403, "access_denied")
        assert (await manage(client, made, method, "srt_guess")).status_code == 401
    found = await registry.get(made["client_id"])
    assert (found.status, found.name_en) == ("suspended", "Clinic")
    await app.host.db.write(registry.resume, made["client_id"], actor=SYSTEM)
    assert (await manage(client, made)).status_code == 200


async def test_the_token_rotates_and_a_lost_answer_locks_nobody_out(client: Any) -> None:
    """RFC 7592 section 3: the newer token replaces the older, from its first use on."""
    made = (await register(client)).json()
    first = made["registration_access_token"]
    lost = (await manage(client, made, "PUT")).json()["registration_access_token"]
    second = (await manage(client, made, "PUT", first)).json()["registration_access_token"]
    assert len({first, lost, second}) == 3
    assert (await manage(client, made, "GET", lost)).status_code == 401
    assert (await manage(client, made, "GET", first)).status_code == 200
    assert (await manage(client, made, "GET", second)).status_code == 200
    assert (await manage(client, made, "GET", first)).status_code == 401


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "cli_other"}, "invalid_request"),
        ({"registration_access_token": "x"}, "invalid_request"),
        ({"registration_client_uri": "https://x.example/"}, "invalid_request"),
        ({"client_secret_expires_at": 0}, "invalid_request"),
        ({"client_id_issued_at": 0}, "invalid_request"),
        ({"client_secret": "of my own"}, "invalid_client_metadata"),
        ({"redirect_uris": ["http://evil.example/"]}, "invalid_redirect_uri"),
    ],
)
async def test_an_update_may_not_hold_what_is_ours(client: Any, changes: dict[str, Any], error: str) -> None:
    """RFC 7592 section 2.2."""
    made = (await register(client)).json()
    refused = await manage(client, made, "PUT", **changes)
    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert (await manage(client, made, "PUT", client_secret=made["client_secret"])).status_code == 200


async def test_an_operators_client_cannot_be_managed_here(app: Any, client: Any) -> None:
    party = await join(app, client)
    refused = await client.get(
        f"/oauth/register/{party.client.id}", headers={"authorization": f"Bearer {party.secret}"}
    )
    assert refused.status_code == 401


# -- secrets -----------------------------------------------------------------------------------------------------------


@asking(client_secret_seconds=30 * DAY, client_secret_overlap_seconds=DAY)
async def test_a_secret_expires_and_two_overlap_at_rotation(app: Any, client: Any) -> None:
    """RFC 7591 section 3.2.1, client_secret_expires_at."""
    made = (await register(client)).json()
    assert made["client_secret_expires_at"] == app.host.clock.ms() // 1000 + 30 * DAY

    async def works(secret: str) -> bool:
        answer = await client.post("/oauth/revoke", data={"token": "x"}, auth=(made["client_id"], secret))
        return bool(answer.status_code == 200)

    early = (await manage(client, made, "PUT")).json()
    assert "client_secret" not in early
    advance(app, 25 * DAY)
    changed = (await manage(client, early, "PUT")).json()
    old, new = made["client_secret"], changed["client_secret"]
    assert await works(old)
    assert await works(new)
    advance(app, DAY)
    assert not await works(old)
    assert await works(new)
    advance(app, 30 * DAY)
    assert not await works(new)
    again = (await manage(client, changed, "PUT")).json()  # the registration outlives the secret
    assert await works(again["client_secret"])


async def test_an_operators_rotation_may_overlap_too(app: Any, client: Any) -> None:
    party = await join(app, client)
    registry = app.host.get(Clients)
    old = party.secret
    party.secret = await app.host.db.write(registry.rotate_secret, party.client.id, actor=SYSTEM, overlap_seconds=60)
    assert "active" in await party.introspect("x")
    new, party.secret = party.secret, old
    assert "active" in await party.introspect("x")
    advance(app, 60)
    refused = await client.post("/oauth/introspect", data={"token": "x"}, headers=party.basic)
    assert refused.status_code == 401
    party.secret = new
    assert "active" in await party.introspect("x")


async def test_a_client_that_changes_its_method_gets_or_loses_its_secret(client: Any) -> None:
    made = (await register(client, token_endpoint_auth_method="none")).json()
    assert "client_secret" not in made
    changed = (await manage(client, made, "PUT")).json()
    assert changed["client_secret"]
    again = (await manage(client, changed, "PUT", token_endpoint_auth_method="none")).json()
    assert "client_secret_expires_at" not in again


async def test_a_client_that_moves_to_anothers_host_keeps_nobody_it_knew_under_its_own(app: Any, client: Any) -> None:
    """OpenID Connect Core section 8.1: the sector is the host of the redirect addresses. With tokens from before the
    move it would learn under which name a service that stands there knows its own residents."""
    made = (await register(client, redirect_uris=["https://mine.example/cb"], grant_types=BOTH)).json()
    party = await as_party(app, client, made)
    mine = "https://mine.example/cb"
    lasting = {"redirect_uri": mine, "scope": "openid offline_access", "prompt": "consent"}
    waiting = await party.authorize(party.request(**lasting))
    tokens = (await party.exchange((await party.agree(waiting))["code"], redirect_uri=mine)).json()
    asked = await party.authorize(party.request(**lasting))
    moved = await manage(client, made, "PUT", redirect_uris=["https://clinic.example/cb"], grant_types=BOTH)
    assert moved.status_code == 200, moved.text
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    told = await client.get("/oauth/userinfo", headers=headers)
    assert told.status_code == 401
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(UnknownInteraction):  # an answer to what was asked before does not go to the address of before
        await party.agree(asked)


async def test_nobody_is_told_of_sign_outs_at_a_host_where_nobody_is_sent(app: Any, client: Any) -> None:
    """Back-Channel Logout section 2.4: the token names the resident as the sector of the redirect addresses does. Who
    registers another's address and its own to be told at would learn that name."""
    uris, elsewhere = ["https://clinic.example/cb"], "https://mine.example/out"
    refused = await register(client, redirect_uris=uris, backchannel_logout_uri=elsewhere)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
    made = (await register(client, redirect_uris=uris, backchannel_logout_uri="https://clinic.example/out")).json()
    changed = await manage(client, made, "PUT", redirect_uris=uris, backchannel_logout_uri=elsewhere)
    assert changed.status_code == 400


WEAKER: dict[str, dict[str, Any]] = {
    "unseen": {"grant_types": [*BOTH, "urn:ietf:params:oauth:grant-type:device_code"]},
    "hosts": {"redirect_uris": ["https://clinic.example/cb", "https://mine.example/cb"]},
    "told": {"backchannel_logout_uri": "https://mine.example/out"},
    "public": {"subject_type": "public"},
    "good": {},
}


async def test_who_registered_under_weaker_rules_is_judged_anew_at_the_start(app: Any, client: Any) -> None:
    """OpenID Connect Core section 8.1. The attack: a client registered while another's address alone gave it that
    one's sector; what it learns through tokens it kept must not outlive the release that closed the door."""
    host, made = app.host, {name: (await register(client, grant_types=BOTH)).json() for name in WEAKER}
    parties = {name: await as_party(app, client, made[name]) for name in ("unseen", "good")}
    held = {}
    for name, party in parties.items():
        asked = await party.authorize(party.request(scope="openid offline_access", prompt="consent"))
        held[name] = (await party.exchange((await party.agree(asked))["code"])).json()

    def as_an_older_release_wrote_them(session: Session) -> None:
        for name, before in WEAKER.items():
            row = session.get_one(ClientRow, made[name]["client_id"])
            row.settings = {**row.settings, "sector_identifier": None, **before}
            enrolled = session.get_one(ClientEnrolment, row.id)
            enrolled.sector_rule = 0
            session.add_all([row, enrolled])
        tx_of(session).touch("clients")

    async def sectors() -> dict[str, str]:
        found = {name: await host.get(Clients).get(one["client_id"]) for name, one in made.items()}
        return {name: one.sector for name, one in found.items()}

    await host.db.write(as_an_older_release_wrote_them)
    was = await sectors()
    await next(one for one in host.starters if one.__qualname__.endswith(".judge"))()
    now = await sectors()
    assert {name for name, sector in now.items() if sector.startswith("sec_")} == set(WEAKER) - {"good"}
    assert len(set(now.values())) == len(WEAKER)
    assert now["good"] == was["good"]
    answers = {name: (await party.refresh(held[name]["refresh_token"])).status_code for name, party in parties.items()}
    assert answers == {"unseen": 400, "good": 200}
    headers = {"authorization": f"Bearer {held['unseen']['access_token']}"}
    assert (await client.get("/oauth/userinfo", headers=headers)).status_code == 401
    assert await judge_again(host.db, host.clock) == 0  # once is enough


# -- the forgotten -----------------------------------------------------------------------------------------------------


async def test_abandoned_open_registrations_are_swept_and_used_ones_stay(app: Any, client: Any) -> None:
    idle = (await register(client, logo_uri="https://client.example/logo.png")).json()  # a row of its own goes, too
    used, seen = [(await register(client)).json() for _ in range(2)]
    party = await as_party(app, client, used)
    assert await party.code()
    advance(app, 20 * DAY)
    assert (await manage(client, seen)).status_code == 200
    advance(app, 11 * DAY)
    swept = await app.host.db.bulk(enrolments(app).sweep, app.host.clock.ms() - 30 * DAY * 1000)
    assert swept == 1
    registry = app.host.get(Clients)
    assert await registry.get(idle["client_id"]) is None
    assert await registry.get(used["client_id"]) is not None
    assert await registry.get(seen["client_id"]) is not None
    assert (await manage(client, idle)).status_code == 401


async def test_a_suspended_registration_is_not_swept(app: Any, client: Any) -> None:
    """What was cut off stays to be looked into, and so that lifting it finds it."""
    made = (await register(client)).json()
    registry = app.host.get(Clients)
    await app.host.db.write(registry.suspend, made["client_id"], actor=SYSTEM)
    advance(app, 31 * DAY)
    assert await app.host.db.bulk(enrolments(app).sweep, app.host.clock.ms() - 30 * DAY * 1000) == 0
    assert (await registry.get(made["client_id"])).status == "suspended"
