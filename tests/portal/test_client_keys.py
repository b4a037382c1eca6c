"""Other keys and another secret for a client, from the console: overlap, last use, two people, and what is refused."""

import json
import re
from html import unescape
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import text

from identity.client_keys import last_uses
from identity.clients import Clients, registration_of
from identity.key_changes import KeyChanges
from kit import audit
from portal.app import Building
from tests.identity.test_oauth_client_auth import ASSERTION_TYPE, MACHINE
from tests.support.desk import Colleague, colleague
from tests.support.relying_party import Party, advance, assertion, join
from tests.support.signer import Signer
from tests.support.site import Site, reply


@pytest.fixture
async def operator(app: Building, client: httpx2.AsyncClient) -> Colleague:
    return await colleague(app, client, "operator")


@pytest.fixture
def old() -> Signer:
    return Signer()


@pytest.fixture
async def party(app: Building, client: httpx2.AsyncClient, old: Signer) -> Party:
    return await join(app, client, **MACHINE, token_endpoint_auth_method="private_key_jwt", jwks=old.jwks)


def signed(party: Party, key: OKPKey | ECKey, alg: str = "EdDSA") -> dict[str, str]:
    now = party.building.host.clock.ms()
    made = assertion(key, alg=alg, now_ms=now, iss=party.client.id, sub=party.client.id, aud=party.issuer)
    return {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE, "client_assertion": made}


async def works(party: Party, key: OKPKey | ECKey, alg: str = "EdDSA") -> bool:
    answer = await party.http.post("/oauth/token", data=signed(party, key, alg))
    assert answer.status_code == 200 or answer.json()["error"] == "invalid_client"
    return bool(answer.status_code == 200)


def keys_of(party: Party) -> str:
    return f"/console/clients/{party.client.id}/keys"


def told(page: httpx2.Response, field: str) -> str:
    found = re.search(rf'id="{field}-error"[^>]*>([^<]*)', page.text)
    assert page.status_code == 422, page.text[:300]
    assert found is not None, page.text
    return unescape(found[1])


async def test_new_keys_stand_beside_the_former_until_the_overlap_ends(
    app: Building, operator: Colleague, party: Party, old: Signer
) -> None:
    new = Signer()
    assert await works(party, old.key)
    shown = await operator.post(keys_of(party) + "/look", {"jwks": json.dumps(new.jwks), "overlap": "3600"})
    assert new.key.thumbprint() in shown.text.partition('id="going"')[0]
    assert old.key.thumbprint() in shown.text.partition('id="going"')[2]
    assert not await works(party, new.key)  # looking changes nothing
    confirmed = dict(re.findall(r'name="(jwks|jwks_uri|overlap)" value="([^"]*)"', shown.text))
    await operator.post(keys_of(party), {name: unescape(value) for name, value in confirmed.items()})
    assert await works(party, new.key)
    assert await works(party, old.key)
    page = (await operator.get(keys_of(party))).text
    assert page.index(new.key.thumbprint()) < page.index(old.key.thumbprint())
    uses = await app.host.db.read(last_uses, party.client.id)
    assert uses == {key.key.thumbprint(): app.host.clock.ms() for key in (new, old)}
    advance(app, 3601)
    assert not await works(party, old.key)
    assert await works(party, new.key)
    assert old.key.thumbprint() not in (await operator.get(keys_of(party))).text


async def test_the_change_is_in_the_trail_and_public_in_the_ledger(
    app: Building, operator: Colleague, party: Party
) -> None:
    new = Signer()
    await operator.post(keys_of(party), {"jwks": json.dumps(new.jwks), "overlap": "86400"})
    await operator.post(keys_of(party) + "/end")
    found = await app.host.db.read(audit.entries, action="identity.client", object_id=party.client.id)
    assert [(one.action.rpartition(".")[2], one.actor_id) for one in found[-2:]] == [
        ("keys_rotated", operator.id), ("former_keys_ended", operator.id),
    ]  # fmt: skip
    assert found[-2].detail == {
        "member": party.client.member_id, "keys": [new.key.thumbprint()], "overlap_seconds": 86_400,
    }  # fmt: skip
    entry = (await party.http.get("/ledger/tile/entries/000.p/1")).content
    size = int((await party.http.get("/ledger/checkpoint")).text.split("\n")[1])
    entry = (await party.http.get(f"/ledger/tile/entries/000.p/{size}")).content
    assert b'"type":"client-keys-rotated"' in entry
    assert new.key.thumbprint().encode() in entry


async def test_ending_the_former_keys_acts_at_once(
    app: Building, operator: Colleague, party: Party, old: Signer
) -> None:
    await operator.post(keys_of(party), {"jwks": json.dumps(Signer().jwks), "overlap": "2592000"})
    assert await works(party, old.key)
    await operator.post(keys_of(party) + "/end")
    assert not await works(party, old.key)
    await operator.post(keys_of(party), {"jwks": json.dumps(Signer().jwks), "overlap": "0"})
    found = await app.host.get(Clients).get(party.client.id)
    assert found is not None
    assert found.former_keys is None


async def test_keys_move_to_an_address_that_is_fetched_first(
    settings: Any, clock: Any, old: Signer, site: Site
) -> None:
    from kit.fetch import OutgoingSettings
    from portal.app import create_app

    open_way = settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})
    async with create_app(open_way, clock=clock).running(jobs=False) as app:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
            party = await join(app, http, **MACHINE, token_endpoint_auth_method="private_key_jwt", jwks=old.jwks)
            operator, new = await colleague(app, http, "operator"), Signer()
            site.answer = lambda _path: reply(b"<html>")
            sent = {"jwks_uri": site.url("/jwks.json"), "overlap": "3600"}
            assert "No key set" in told(await operator.post(keys_of(party) + "/look", sent), "jwks_uri")
            advance(app, 11)
            site.publish(
                "/jwks.json", {"keys": [ECKey.generate_key("P-256").as_dict(private=False) | {"alg": "PS256"}]}
            )
            assert "locked out" in told(await operator.post(keys_of(party) + "/look", sent), "jwks_uri")
            advance(app, 61)
            site.publish("/jwks.json", new.jwks)
            assert new.key.thumbprint() in (await operator.post(keys_of(party) + "/look", sent)).text
            assert (await operator.post(keys_of(party), sent)).status_code == 303
            assert await works(party, new.key)
            assert await works(party, old.key)
            page = (await operator.get(keys_of(party))).text
            assert site.url("/jwks.json") in page
            assert new.key.thumbprint() in page
            advance(app, 3601)
            assert not await works(party, old.key)


async def test_what_would_harm_is_refused_by_name(operator: Colleague, party: Party, old: Signer) -> None:
    private = {"keys": [Signer().key.as_dict(private=True)]}
    for sent, field, words in (
        ({"jwks": "{"}, "jwks", "JSON Web Key Set"),
        ({"jwks": "[" * 30_000}, "jwks", "JSON Web Key Set"),
        ({"jwks": ""}, "jwks", "one of the two"),
        ({"jwks": json.dumps(private)}, "jwks", "private"),
        ({"jwks": json.dumps(old.jwks)}, "jwks", "keys it has"),
        ({"jwks": json.dumps(Signer().jwks), "overlap": "12"}, "overlap", "list"),
        ({"jwks_uri": "http://127.0.0.1/keys"}, "jwks_uri", ""),
    ):
        for step in ("/look", ""):
            assert words in told(await operator.post(keys_of(party) + step, sent), field)


async def test_two_people_change_keys_where_the_city_wants_that(
    app: Building, client: httpx2.AsyncClient, operator: Colleague, party: Party, old: Signer
) -> None:
    app.host.get(KeyChanges).by_two = True
    new, other = Signer(), Signer()
    second = await colleague(app, client, "operator", login="second")
    approve = f"/console/clients/{party.client.id}/change/approve"
    await operator.post(keys_of(party), {"jwks": json.dumps(other.jwks), "overlap": "0"})
    stale = re.search(r'name="change" value="([^"]+)"', (await second.get(keys_of(party))).text)
    await operator.post(keys_of(party), {"jwks": json.dumps(new.jwks), "overlap": "0"})
    page = await second.get(keys_of(party))
    assert stale is not None
    assert new.key.thumbprint() in page.text
    assert not await works(party, new.key)
    # What was looked at is what is approved: the first one was replaced meanwhile.
    await second.post(approve, {"change": stale[1]})
    assert not await works(party, other.key)
    change = {"change": re.search(r'name="change" value="([^"]+)"', page.text)[1]}  # type: ignore[index]
    await operator.post(approve, change)
    assert await works(party, old.key)
    await second.post(approve, change)
    assert await works(party, new.key)
    assert not await works(party, old.key)
    await operator.post(keys_of(party), {"jwks": json.dumps(other.jwks), "overlap": "0"})
    found = await app.host.db.read(app.host.get(KeyChanges).find, party.client.id)
    assert found is not None
    await second.post(f"/console/clients/{party.client.id}/change/decline", {"change": found.id})
    await second.post(approve, {"change": found.id})
    assert not await works(party, other.key)


async def test_two_people_make_a_secret_and_no_door_is_left_for_one(settings: Any, clock: Any) -> None:
    from portal.app import create_app

    identity = settings.identity.model_copy(update={"client_changes_by_two": True})
    async with create_app(settings.model_copy(update={"identity": identity}), clock=clock).running(jobs=False) as app:
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url=settings.issuer) as http:
            party, first = await join(app, http, **MACHINE), await colleague(app, http, "operator")
            second = await colleague(app, http, "operator", login="second")
            place = f"/console/clients/{party.client.id}"
            refused = await first.api("POST", f"/api/identity/clients/{party.client.id}/secret")
            assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (403, "second-person-needed")
            assert (await first.post(place + "/secret", {"overlap": "3600"})).status_code == 303
            page = await second.get(place + "/keys")
            change = re.search(r'name="change" value="([^"]+)"', page.text)[1]  # type: ignore[index]
            shown = await second.post(place + "/change/approve", {"change": change})
            secret = re.search(r'id="secret"[^>]*>(sec_[^<]+)<', shown.text)[1]  # type: ignore[index]
            for one in (secret, party.secret):
                party.secret = one
                assert (await party.token(grant_type="client_credentials")).status_code == 200
            advance(app, 3601)
            assert (await party.token(grant_type="client_credentials")).status_code == 401  # the former


async def test_what_a_client_says_of_its_keys_itself_ends_an_overlap(
    app: Building, operator: Colleague, party: Party, old: Signer
) -> None:
    """RFC 7592 section 2.2: the whole of its metadata, so these keys and no others."""
    await operator.post(keys_of(party), {"jwks": json.dumps(Signer().jwks), "overlap": "86400"})
    registry, mine = app.host.get(Clients), Signer()
    before = await app.host.db.read(registration_of, party.client.id)
    wanted = before.model_copy(update={"jwks": mine.jwks})
    await app.host.db.write(registry.replace, party.client.id, wanted, actor=party.client.actor())
    assert await works(party, mine.key)
    assert not await works(party, old.key)


async def test_uses_are_written_every_ten_minutes_and_few_are_kept(app: Building, party: Party, old: Signer) -> None:
    first = app.host.clock.ms()
    for pause in (0, 300, 301):
        advance(app, pause)
        assert await works(party, old.key)
    assert await app.host.db.read(last_uses, party.client.id) == {old.key.thumbprint(): first + 601_000}
    from identity.client_keys import _used

    for number in range(25):
        await app.host.db.write(_used, party.client.id, f"key-{number:02}", first + 700_000 + number)
    count = text("SELECT COUNT(*), MIN(used_at) FROM identity_client_key_use")
    assert await app.host.db.read_core(lambda c: tuple(c.execute(count).one())) == (20, first + 700_005)
