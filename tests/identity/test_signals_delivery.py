"""Shared Signals, from the wire: pushed and polled, paused and stopped (OpenID SSF 1.0, RFC 8935 and RFC 8936)."""

import asyncio

from sqlalchemy import text

from identity import accounts
from identity.clients import Clients
from identity.signals import streams
from identity.signals.feed import Feed
from kit.clock import DAY
from kit.db import Session
from kit.host import SYSTEM
from tests.support.receiver import Receiver
from tests.support.relying_party import Party, advance
from tests.support.signals import ALL, deliver, follow, lock, own_token, write
from tests.support.signals import party as party  # a fixture
from tests.support.signals import settings as settings  # a fixture
from tests.support.site import Site


async def test_pushes_go_in_order_with_the_receivers_header_and_only_202_is_taken(party: Party, site: Site) -> None:
    """RFC 8935 section 2.2; SSF section 6.1.1. The strict receiver verifies each over HTTP."""
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    receiver.expects_header = "Bearer theirs"
    await receiver.open(ALL, delivery=receiver.listen(site, answers="200 OK"))
    await lock(party)
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    assert await deliver(party) == 0
    assert len(site.asked) == 1  # the second waits behind the first
    receiver.taken.clear()
    receiver.listen(site)
    advance(party.building, 6)
    assert await deliver(party) == 2
    assert receiver.kinds() == ["account-disabled", "account-enabled"]

    def raw(session: Session) -> str:
        return str(session.connection().execute(text("SELECT * FROM identity_signal_stream")).all())

    assert "theirs" not in await party.building.host.db.read(raw)
    await receiver.call("POST", f"/ssf/poll/{receiver.stream['stream_id']}", status=400, json={})


async def test_a_new_address_never_gets_the_header_of_the_old_one(party: Party, site: Site) -> None:
    """Closed: a stolen management token that turns the stream elsewhere to learn the receiver's secret."""
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    receiver.expects_header = "Bearer theirs"
    made = await receiver.open(ALL, delivery=receiver.listen(site))
    name = {"stream_id": made["stream_id"]}
    await receiver.call("PATCH", "/ssf/stream", status=200, json={**name, "description": "kept"})
    await receiver.call("POST", "/ssf/verify", status=204, json=name)
    assert await deliver(party) == 1  # with its header still
    moved = {"method": "urn:ietf:rfc:8935", "endpoint_url": site.url("/elsewhere")}
    await receiver.call("PATCH", "/ssf/stream", status=200, json={**name, "delivery": moved})
    receiver.expects_header = None
    receiver.listen(site)
    await lock(party)
    assert await deliver(party) == 1


async def test_paused_holds_disabled_forgets_and_proof_of_life_is_of_the_living(party: Party) -> None:
    """SSF section 8.1.2.1."""
    receiver = await follow(party)
    name = {"stream_id": receiver.stream["stream_id"]}
    await receiver.call("POST", "/ssf/status", status=200, json={**name, "status": "paused"})
    await lock(party)
    await deliver(party)
    assert await receiver.poll() == []
    await receiver.call("POST", "/ssf/verify", status=400, json=name)
    await receiver.call("POST", "/ssf/status", status=200, json={**name, "status": "enabled"})
    assert len(await receiver.poll(take=False)) == 1
    await receiver.call("POST", "/ssf/status", status=200, json={**name, "status": "disabled"})
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await deliver(party)
    await receiver.call("POST", "/ssf/status", status=200, json={**name, "status": "enabled"})
    assert await receiver.poll() == []


async def test_a_poll_waits_for_something_and_gives_it_again_until_it_is_acknowledged(party: Party) -> None:
    """RFC 8936 section 2."""
    receiver = await follow(party)
    held = asyncio.create_task(receiver.poll(returnImmediately=False, take=False))
    await asyncio.sleep(0.05)
    await lock(party)
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await deliver(party)
    first = await asyncio.wait_for(held, 5)
    again = await receiver.poll(maxEvents=1, take=False)
    assert again[0] == first[0]
    rest = await receiver.poll(setErrs={again[0]["jti"]: {"err": "invalid_request"}}, take=False)
    assert [claims["jti"] for claims in rest] == [first[1]["jti"]]
    await receiver.poll()
    assert await receiver.poll() == []


async def test_what_we_stop_is_told_and_is_not_the_receivers_to_start(party: Party) -> None:
    """SSF section 8.1.5: `stream-updated` reaches the receiver although nothing else does."""
    receiver, host = await follow(party), party.building.host
    stream = await host.db.read(streams.of_client, party.client.id)
    await lock(party)
    await deliver(party)
    advance(party.building, 8 * DAY / 1000)
    assert await host.get(Feed).close_dead() == 1
    receiver.headers = own_token(party, "ssf.manage")
    (told,) = await receiver.poll()
    ((uri, said),) = told["events"].items()
    assert (uri.rpartition("/")[2], said) == ("stream-updated", {"status": "disabled", "reason": "nothing taken"})
    name = {"stream_id": stream.id}
    await receiver.call("POST", "/ssf/status", status=400, json={**name, "status": "enabled"})
    at = host.clock.ms()
    await write(party, streams.set_status, stream, "enabled", reason="", actor=SYSTEM, now=at, by_us=True)
    await receiver.poll()
    assert receiver.kinds() == ["stream-updated", "stream-updated"]
    assert (await receiver.call("GET", "/ssf/status", status=200, params=name))["status"] == "enabled"


async def test_a_suspended_service_hears_nothing_until_it_is_let_in_again(party: Party, site: Site) -> None:
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    await receiver.open(ALL, delivery=receiver.listen(site))
    registry = party.building.host.get(Clients)
    await write(party, registry.suspend, party.client.id, actor=SYSTEM)
    await lock(party)
    assert await deliver(party) == 0
    assert site.asked == []
    await write(party, registry.resume, party.client.id, actor=SYSTEM)
    advance(party.building, 6)
    assert await deliver(party) == 1
