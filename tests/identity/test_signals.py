"""Shared Signals, from the wire: what a service sets up, and who may (OpenID SSF and CAEP 1.0)."""

from typing import Any

from kit import audit
from tests.support.receiver import Receiver
from tests.support.relying_party import Party
from tests.support.signals import ALL, deliver, follow, lock, other_of, own_token
from tests.support.signals import party as party  # a fixture
from tests.support.signals import settings as settings  # a fixture


async def test_the_metadata_says_where_and_how(client: Any, app: Any) -> None:
    """SSF section 7.1; CAEP Interoperability Profile section 2.3."""
    said = (await client.get("/.well-known/ssf-configuration")).json()
    issuer = app.settings.issuer
    assert (said["spec_version"], said["issuer"], said["default_subjects"]) == ("1_0", issuer, "ALL")
    assert said["delivery_methods_supported"] == ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"]
    assert said["authorization_schemes"] == [{"spec_urn": "urn:ietf:rfc:6749"}]
    assert said["jwks_uri"] == f"{issuer}/oauth/jwks"
    for name in ("configuration", "status", "add_subject", "remove_subject", "verification"):
        assert said[f"{name}_endpoint"].startswith(f"{issuer}/ssf/")
    resource = (await client.get("/.well-known/oauth-protected-resource")).json()
    assert {"ssf.manage", "ssf.read"} <= set(resource["scopes_supported"])


async def test_a_stream_is_opened_read_changed_replaced_and_deleted(party: Party) -> None:
    """SSF sections 8.1.1.1 to 8.1.1.5, as the Foundation's transmitter plan walks through them."""
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    assert await receiver.call("GET", "/ssf/stream", status=200) == []
    made = await receiver.open([*ALL[:2], "urn:unknown"], description="d" * 300)
    assert made["events_delivered"] == ALL[:2]
    assert len(made["description"]) == 255
    assert made["delivery"]["method"] == "urn:ietf:rfc:8936"
    assert (await receiver.call("POST", "/ssf/stream", status=409, json={}))["type"].endswith("signal-stream-exists")
    where = {"params": {"stream_id": made["stream_id"]}}
    assert await receiver.call("GET", "/ssf/stream", status=200, **where) == made
    assert await receiver.call("GET", "/ssf/stream", status=200) == [made]
    name = {"stream_id": made["stream_id"]}
    changed = await receiver.call("PATCH", "/ssf/stream", status=200, json={**name, "events_requested": ALL[2:3]})
    assert changed == {**made, "events_requested": ALL[2:3], "events_delivered": ALL[2:3]}
    assert await receiver.call("PATCH", "/ssf/stream", status=200, json=changed) == changed  # ours may be repeated
    replaced = await receiver.call("PUT", "/ssf/stream", status=200, json=name)
    assert replaced["events_delivered"] == []
    assert "description" not in replaced
    for wrong in ({"aud": "cli_other"}, {"iss": "https://evil.example"}, {"events_delivered": ALL}):
        await receiver.call("PATCH", "/ssf/stream", status=400, json={**name, **wrong})
    assert (await receiver.call("GET", "/ssf/status", status=200, **where)) == {**name, "status": "enabled"}
    for status in ("paused", "disabled", "enabled"):
        body = {**name, "status": status, "reason": "tea"}
        assert await receiver.call("POST", "/ssf/status", status=200, json=body) == body
    await receiver.call("DELETE", "/ssf/stream", status=204, **where)
    for method in ("GET", "DELETE"):
        await receiver.call(method, "/ssf/stream", status=404, **where)
    for method in ("PATCH", "PUT"):
        await receiver.call(method, "/ssf/stream", status=404, json=name)
    actions = [entry.action for entry in await party.building.host.db.read(audit.entries, action="identity.stream")]
    assert actions == [f"identity.stream.{step}" for step in (
        "opened", "changed", "changed", "changed", "paused", "disabled", "enabled", "closed",
    )]  # fmt: skip


BAD: list[dict[str, Any]] = [
    {"delivery": {"method": "smoke"}},
    {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "http://169.254.169.254/latest"}},
    {"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://a.example/", "authorization_header": "a\nb"}},
    {"delivery": {"method": "urn:ietf:rfc:8936", "endpoint_url": "https://a.example/"}},
    {"delivery": "push"},
    {"events_requested": "all"},
    {"description": 1},
]


async def test_what_cannot_be_is_refused_with_400_and_a_pointer(party: Party) -> None:
    """SSF section 8.1.1.1, table of errors."""
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    for body in BAD:
        answer = await receiver.call("POST", "/ssf/stream", status=400, json=body)
        assert answer["errors"][0]["pointer"].startswith(f"/{next(iter(body))}"), body
    json_type = {"headers": {**receiver.headers, "content-type": "application/json"}}
    broken = await party.http.post("/ssf/stream", content=b";{ broken", **json_type)
    assert broken.status_code == 400
    made = await receiver.open(ALL)
    name = {"stream_id": made["stream_id"]}
    for path, wrong in (
        ("/ssf/status", {**name, "status": "off"}),
        ("/ssf/status", {"status": "paused"}),
        ("/ssf/verify", {**name, "state": "x" * 1025}),
        ("/ssf/subjects/add", name),
        ("/ssf/subjects/add", {**name, "subject": {"format": "phone_number", "phone_number": "+8190"}}),
        ("/ssf/subjects/add", {**name, "subject": {"format": "iss_sub", "iss": "https://else.example", "sub": "a"}}),
        ("/ssf/subjects/remove", {**name, "subject": {"format": "complex", "tenant": {"format": "opaque", "id": "t"}}}),
    ):
        await receiver.call("POST", path, status=400, json=wrong)
    for ask in ({"maxEvents": -1}, {"ack": ["short"]}, {"more": 1}):
        await receiver.poll(status=400, **ask)


async def test_a_stream_is_its_clients_alone(party: Party) -> None:
    """SSF section 8: the token says whose streams these are. Nobody reads, changes, polls or acknowledges another's."""
    mine = await follow(party)
    other = await other_of(party)
    theirs = await follow(other)
    name = {"stream_id": mine.stream["stream_id"]}
    person = {"format": "iss_sub", "iss": party.issuer, "sub": "a"}
    await theirs.call("GET", "/ssf/stream", status=404, params=name)
    await theirs.call("DELETE", "/ssf/stream", status=404, params=name)
    await theirs.call("GET", "/ssf/status", status=404, params=name)
    for path, body in (
        ("/ssf/status", {**name, "status": "disabled"}),
        ("/ssf/subjects/add", {**name, "subject": person}),
        ("/ssf/subjects/remove", {**name, "subject": person}),
        ("/ssf/verify", name),
        (f"/ssf/poll/{name['stream_id']}", {}),
    ):
        await theirs.call("POST", path, status=404, json=body)
    await lock(party)
    await deliver(party)
    (told,) = await mine.poll(take=False)
    await theirs.poll(ack=[told["jti"]])
    assert len(await mine.poll(take=False)) == 1  # an acknowledgement reaches the own lane only


async def test_who_may_not_gets_401_or_403(party: Party) -> None:
    """SSF section 8.1.1, RFC 6750 section 3.1; a token about a resident opens nothing."""
    assert (await party.http.post("/ssf/stream", json={})).status_code == 401
    reader = Receiver(party.http, party.issuer, own_token(party, "ssf.read"), party.client.id)
    await reader.call("POST", "/ssf/stream", status=403, json={})
    assert await reader.call("GET", "/ssf/stream", status=200) == []
    stranger = Receiver(party.http, party.issuer, own_token(party, "other"), party.client.id)
    await stranger.call("GET", "/ssf/stream", status=403)
    tokens = (await party.exchange(await party.code())).json()
    resident = {"authorization": f"Bearer {tokens['access_token']}"}
    assert (await party.http.get("/ssf/stream", headers=resident)).status_code == 403
