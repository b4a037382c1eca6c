"""Shared Signals, from the wire: a service's stream, and what it is told (OpenID SSF, CAEP and RISC 1.0)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from sqlalchemy import text

from identity import accounts, grants
from identity.clients import Clients
from identity.oauth.holder import Holder
from identity.sessions import Sessions
from identity.signals import streams
from identity.signals.events import KINDS, SUPPORTED, VERIFICATION
from identity.signals.feed import Feed
from identity.tokens import Tokens, new_jti
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import DAY
from kit.db import Session
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM, Actor
from tests.support.receiver import Receiver
from tests.support.relying_party import PROFILE, Party, advance, join, sign_in
from tests.support.site import Site

ALL = list(SUPPORTED)


@pytest.fixture
def settings(settings: Any) -> Any:
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})


def own_token(party: Party, *scopes: str) -> dict[str, str]:
    tokens = party.building.host.get(Tokens)
    now = party.building.host.clock.ms()
    made = tokens.access_token(
        party.client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=now, holder=Holder()
    )
    return {"authorization": f"Bearer {made}"}


async def follow(party: Party, **more: Any) -> Receiver:
    receiver = Receiver(party.http, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    await receiver.open(more.pop("events", ALL), **more)
    return receiver


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    """A client with a resident who agreed to it."""
    made = await join(app, client, id_token_signed_response_alg="RS256")
    await made.exchange(await made.code())
    return made


async def other_of(party: Party, **registration: Any) -> Party:
    """A second service that the same resident agreed to."""
    made = await join(party.building, party.http, id_token_signed_response_alg="RS256", **registration)
    made.account_id, made.cookie, made.session = party.account_id, party.cookie, party.session
    await made.exchange(await made.code())
    return made


async def deliver(party: Party) -> int:
    return await party.building.host.get(Feed).deliver()


async def write(party: Party, fn: Callable[..., Any], *args: Any, **more: Any) -> Any:
    return await party.building.host.db.write(fn, *args, **more)


async def lock(party: Party) -> None:
    await write(party, accounts.suspend_account, party.account_id, actor=Actor("operator", "acc_clerk"))


# -- what a receiver sets up ------------------------------------------------------------------------------------------


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


# -- what it is told --------------------------------------------------------------------------------------------------


async def test_proof_of_life_is_given_on_request_with_the_state_and_not_too_often(party: Party) -> None:
    """SSF section 8.1.4."""
    receiver = await follow(party)
    name = {"stream_id": receiver.stream["stream_id"]}
    await receiver.call("POST", "/ssf/verify", status=204, json={**name, "state": "VGhpcw"})
    (told,) = await receiver.poll()
    assert told["events"] == {VERIFICATION: {"state": "VGhpcw"}}
    assert told["sub_id"] == {"format": "opaque", "id": name["stream_id"]}
    again = await party.http.post("/ssf/verify", json=name, headers=receiver.headers)
    assert again.status_code == 429
    assert int(again.headers["retry-after"]) <= receiver.stream["min_verification_interval"]
    advance(party.building, receiver.stream["min_verification_interval"])
    receiver.headers = own_token(party, "ssf.manage")
    await receiver.call("POST", "/ssf/verify", status=204, json=name)
    (told,) = await receiver.poll()
    assert told["events"] == {VERIFICATION: {}}


async def test_a_revoked_session_is_told_to_the_services_of_that_session_however_it_ends(party: Party) -> None:
    """CAEP section 3.1: the resident as the receiver knows them, in the session its ID tokens name."""
    receiver = await follow(party, events=[KINDS["session-revoked"].uri])
    tokens = (await party.exchange(await party.code())).json()
    known = jwt.decode(tokens["id_token"], options={"verify_signature": False})
    host = party.building.host
    await write(party, host.get(Sessions).end_all, party.account_id, SYSTEM, reason="containment")
    await deliver(party)
    (told,) = await receiver.poll()
    assert receiver.kinds() == ["session-revoked"]
    assert told["sub_id"] == {
        "format": "complex",
        "user": {"format": "iss_sub", "iss": party.issuer, "sub": known["sub"]},
        "session": {"format": "opaque", "id": known["sid"]},
    }
    (about,) = told["events"].values()
    assert about == {"event_timestamp": host.clock.ms() // 1000, "initiating_entity": "system"}
    assert party.account_id not in str(told)


async def test_a_session_is_established_once_and_presented_each_time_after(party: Party) -> None:
    """CAEP sections 3.6 and 3.7: at this service, by its own name of the session; nothing of what happens elsewhere."""
    other = await join(party.building, party.http, redirect_uris=["https://bus.example/cb"])
    receiver, elsewhere = await follow(party), await follow(other)
    known = []
    for _ in range(3):
        tokens = (await party.exchange(await party.code())).json()
        known.append(jwt.decode(tokens["id_token"], options={"verify_signature": False}))
    await deliver(party)
    told = await receiver.poll()
    assert receiver.kinds() == ["session-established", "session-presented", "session-presented"]
    now = party.building.host.clock.ms() // 1000
    assert list(told[0]["events"].values()) == [
        {"event_timestamp": now, "initiating_entity": "user", "acr": known[0]["acr"], "amr": known[0]["amr"]}
    ]
    assert list(told[1]["events"].values()) == [{"event_timestamp": now, "initiating_entity": "user"}]
    assert {claims["sub_id"]["session"]["id"] for claims in told} == {known[0]["sid"]}
    assert await elsewhere.poll() == []
    await sign_in(party)  # another browser: another session
    await party.code()
    await deliver(party)
    assert list((await receiver.poll())[-1]["events"]) == [KINDS["session-established"].uri]


async def test_sessions_cost_nothing_where_nobody_asked_to_be_told_of_them(party: Party) -> None:
    receiver = await follow(party, events=[KINDS["session-revoked"].uri])
    await party.code()
    count = text("SELECT COUNT(*) FROM kit_outbox WHERE topic LIKE 'identity.signal%'")
    waiting = await party.building.host.db.read_core(lambda c: c.execute(count).scalar())
    await deliver(party)
    assert (waiting, await receiver.poll()) == (0, [])


async def test_two_receivers_cannot_put_their_tokens_together(party: Party) -> None:
    """Pairwise all through: `sub`, `sid`, `txn` and `jti` of one event share nothing between two sectors."""
    more = {"redirect_uris": ["https://bus.example/cb"], "id_token_signed_response_alg": "RS256"}
    other = await join(party.building, party.http, **more)
    other.account_id = party.account_id
    await write(
        party, grants.give, account_id=party.account_id, client_id=other.client.id, scopes=("openid",), actor=SYSTEM,
        now=party.building.host.clock.ms(),
    )  # fmt: skip
    first, second = await follow(party), await follow(other)
    await lock(party)
    await deliver(party)
    ((one,), (two,)) = await first.poll(), await second.poll()
    assert one["events"].keys() == two["events"].keys() == {KINDS["account-disabled"].uri}
    assert one["sub_id"]["sub"] != two["sub_id"]["sub"]
    for name in ("txn", "jti"):
        assert one[name][:8] != two[name][:8], name


LINK = "urn:sekisho:credential:upstream"
CHANGES = [
    ("identity.password.changed", None, {"credential_type": "password", "change_type": "update"}),
    ("identity.totp.confirmed", None, {"credential_type": "app", "change_type": "create"}),
    ("identity.passkey.added", {"platform": True}, {"credential_type": "fido2-platform", "change_type": "create"}),
    ("identity.passkey.removed", {"platform": False}, {"credential_type": "fido2-roaming", "change_type": "delete"}),
    *(
        (
            f"identity.upstream.{done}",
            {"upstream": "app", "link": "lnk_1"},
            {"credential_type": LINK, "change_type": change},
        )
        for done, change in (("linked", "create"), ("unlinked", "delete"))
    ),
    *(
        (
            f"identity.certificate.{done}",
            {"authority": "app", "link": "lnk_2"},
            {"credential_type": "x509", "change_type": change},
        )
        for done, change in (("linked", "create"), ("renewed", "update"), ("unlinked", "delete"))
    ),
]


async def test_changed_credentials_are_told_in_order_with_their_kind(party: Party) -> None:
    """CAEP section 3.3."""
    receiver = await follow(party)
    for action, detail, _ in CHANGES:
        by, about = Actor("resident", party.account_id), ("account", party.account_id)
        await write(party, audit.record, action, actor=by, object=about, detail=detail)
    await deliver(party)
    told = await receiver.poll()
    assert [next(iter(claims["events"])) for claims in told] == [KINDS["credential-change"].uri] * len(CHANGES)
    assert "app" not in str([claims["events"] for claims in told[4:]])  # which provider is nobody's business
    for claims, (_, _, said) in zip(told, CHANGES, strict=True):
        (about,) = claims["events"].values()
        assert about.items() >= {**said, "initiating_entity": "user"}.items()
        assert claims["sub_id"]["format"] == "iss_sub"


async def test_a_copied_passkey_is_a_compromised_device_and_a_revoked_credential_of_one_cause(party: Party) -> None:
    """Our own event beside CAEP's; `txn` puts them together (SSF section 4.1.8)."""
    receiver = await follow(party)
    about, detail = ("account", party.account_id), {"reason": "counter", "platform": False}
    await write(party, audit.record, "identity.passkey.suspended", actor=SYSTEM, object=about, detail=detail)
    await deliver(party)
    told = await receiver.poll()
    assert receiver.kinds() == ["credential-change", "device-compromised"]
    assert next(iter(told[1]["events"])) == "urn:sekisho:event:device-compromised"


async def test_an_account_locked_opened_again_and_gone_is_told_in_that_order(party: Party) -> None:
    """RISC sections 2.2 to 2.4. That it is gone is told although the grant went with it."""
    receiver, host = await follow(party), party.building.host
    await lock(party)
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await deliver(party)
    await receiver.poll()
    advance(party.building, 60)
    receiver.headers = own_token(party, "ssf.manage")
    now = host.clock.ms()

    def leave(session: Session) -> None:
        grants.revoke_for_account(session, party.account_id, actor=SYSTEM, now=now)
        accounts.close_account(
            session, host.get(Sealer), host.get(TokenHasher), party.account_id, now=now, actor=SYSTEM
        )

    await write(party, leave)
    await deliver(party)
    await receiver.poll()
    assert receiver.kinds() == ["account-disabled", "account-enabled", "account-purged"]


async def test_after_a_withdrawal_nothing_follows_but_word_of_it(party: Party) -> None:
    receiver, host = await follow(party), party.building.host
    await lock(party)
    await deliver(party)  # on its way
    (grant,) = await host.db.read(grants.list_for, party.account_id)
    by = Actor("resident", party.account_id)
    await write(party, grants.revoke, grant.id, actor=by, now=host.clock.ms())
    await deliver(party)
    advance(party.building, 60)
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await write(
        party,
        accounts.close_account,
        host.get(Sealer),
        host.get(TokenHasher),
        party.account_id,
        now=host.clock.ms(),
        actor=SYSTEM,
    )
    await deliver(party)
    (told,) = await receiver.poll()
    assert told["events"]["urn:sekisho:event:consent-withdrawn"]["reason"] == "grant"
    assert receiver.kinds() == ["consent-withdrawn"]


async def test_a_service_hears_of_nobody_it_has_no_grant_of_and_of_nothing_it_did_not_ask_for(party: Party) -> None:
    quiet = await follow(party, events=[KINDS["session-revoked"].uri])
    stranger = await join(
        party.building, party.http, id_token_signed_response_alg="RS256"
    )  # with a resident of its own
    other = await follow(stranger)
    await lock(party)
    await deliver(party)
    assert await quiet.poll() == []
    assert await other.poll() == []


async def test_a_changed_profile_is_told_without_its_values_to_who_may_read_it(party: Party) -> None:
    """CAEP section 3.2, and only that it changed: the value is asked of userinfo, where the resident sees it told."""
    receiver, host = await follow(party), party.building.host
    for changed in (replace(PROFILE, address="elsewhere"), replace(PROFILE, address="elsewhere", name="湊 華子")):
        now = host.clock.ms()
        await write(party, accounts.change_profile, host.get(Sealer), party.account_id, changed, now=now, actor=SYSTEM)
    await deliver(party)
    (told,) = await receiver.poll()  # the address is none of its business
    (about,) = told["events"].values()
    assert about["changed"] == ["name"]
    assert about["claims"] == {"updated_at": host.clock.ms() // 1000}
    assert "華子" not in str(told)


async def test_a_surer_sign_in_is_told_to_the_services_of_the_session(party: Party) -> None:
    """CAEP section 3.4."""
    receiver = await follow(party, events=[KINDS["assurance-level-change"].uri])
    host = party.building.host
    await sign_in(party, acr="urn:sekisho:aal:1")
    await party.exchange(await party.code())
    old = party.session
    assert old is not None
    await write(
        party, host.get(Sessions).begin, party.account_id, acr="urn:sekisho:aal:2", amr=("mfa",), replaces=old.id
    )
    await deliver(party)
    (told,) = await receiver.poll()
    (about,) = told["events"].values()
    assert about.items() >= {
        "namespace": "NIST-AAL", "previous_level": "nist-aal1", "current_level": "nist-aal2",
        "change_direction": "increase",
    }.items()  # fmt: skip
    assert told["sub_id"]["format"] == "complex"


async def test_a_higher_identity_assurance_is_told_with_its_direction(party: Party) -> None:
    """CAEP section 3.4, by the audit action alone (`identity.assurance.changed`); and to nobody whom an operator lets
    neither ask for a level nor for what a clerk verified: a mere sign-in agreed to neither."""
    receiver, other = await follow(party), await follow(await other_of(party))
    more: dict[str, Any] = {"minimum_ial": 1, "minimum_aal": 0, "verified_claims": "none", "actor": SYSTEM}
    await write(party, party.building.host.get(Clients).set_assurance, party.client.id, **more)
    about, detail = ("account", party.account_id), {"from": 0, "to": 2, "reason": "verified"}
    clerk = Actor("operator", "acc_clerk")
    await write(party, audit.record, "identity.assurance.changed", actor=clerk, object=about, detail=detail)
    await deliver(party)
    (told,) = await receiver.poll()
    (said,) = told["events"].values()
    assert said.items() >= {
        "namespace": "NIST-IAL", "previous_level": "none", "current_level": "nist-ial2",
        "change_direction": "increase", "initiating_entity": "admin",
    }.items()  # fmt: skip
    assert await other.poll() == []


# -- subjects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["iss_sub", "email", "complex"])
async def test_a_removed_subject_is_heard_of_no_more_until_it_is_added_again(party: Party, kind: str) -> None:
    """SSF sections 8.1.3.2 and 8.1.3.3; an address counts only where the resident lets the service read it."""
    host = party.building.host
    if kind == "email":
        await party.exchange(await party.code(scope="openid email"))
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    person: dict[str, Any] = {"format": "iss_sub", "iss": party.issuer, "sub": sub}
    subject = {
        "iss_sub": person,
        "email": {"format": "email", "email": str(PROFILE.email).replace("example.jp", "EXAMPLE.jp")},
        "complex": {"format": "complex", "user": person},
    }[kind]
    receiver = await follow(party)
    body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
    await receiver.call("POST", "/ssf/subjects/remove", status=204, json=body)
    await lock(party)
    await deliver(party)
    assert await receiver.poll() == []
    await receiver.call("POST", "/ssf/subjects/add", status=200, json={**body, "verified": False})
    await write(party, accounts.resume_account, party.account_id, actor=SYSTEM)
    await deliver(party)
    await receiver.poll()
    assert receiver.kinds() == ["account-enabled"]


async def test_naming_a_subject_tells_nothing_of_whether_it_is_anybody(party: Party) -> None:
    """SSF section 9.1: one answer, and by construction one way: nobody is looked up, and what is kept names nobody."""
    receiver, host = await follow(party), party.building.host
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    answers = set()
    for subject in (
        {"format": "iss_sub", "iss": party.issuer, "sub": sub},
        {"format": "iss_sub", "iss": party.issuer, "sub": "nobody"},
        {"format": "email", "email": PROFILE.email},
        {"format": "email", "email": "nobody@example.jp"},
    ):
        body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
        for path in ("add", "remove", "remove"):
            answer = await party.http.post(f"/ssf/subjects/{path}", json=body, headers=receiver.headers)
            answers.add((path, answer.status_code, answer.content))
    assert answers == {("add", 200, b""), ("remove", 204, b"")}

    def raw(session: Session) -> str:
        return str(session.connection().execute(text("SELECT * FROM identity_signal_left")).all())

    kept = await host.db.read(raw)
    assert sub not in kept
    assert "example.jp" not in kept


async def test_whoever_leaves_leaves_no_trace_at_the_streams_that_had_taken_them_out(party: Party) -> None:
    """By name, by address, in a session; a session alone, which leads to nobody, ends by itself. Others stay."""
    receiver, host = await follow(party), party.building.host
    assert party.session is not None
    sid = {"format": "opaque", "id": host.get(Tokens).session_name(party.session.id, party.client)}
    sub = host.get(Tokens).subject(party.account_id, party.client.sector)
    person = {"format": "iss_sub", "iss": party.issuer, "sub": sub}
    address = {"format": "email", "email": PROFILE.email}
    others = [{**person, "sub": "somebody else"}, {"format": "email", "email": "nobody@example.jp"}]
    in_session = [{"format": "complex", "user": who, "session": sid} for who in (person, address)]
    alone = {"format": "complex", "session": sid}
    for subject in (person, address, *in_session, alone, *others):
        body = {"stream_id": receiver.stream["stream_id"], "subject": subject}
        await receiver.call("POST", "/ssf/subjects/remove", status=204, json=body)

    def left(session: Session) -> list[bool]:
        rows = session.connection().execute(text("SELECT ends_at FROM identity_signal_left"))
        return sorted(row.ends_at is not None for row in rows)

    assert await host.db.read(left) == [False] * 4 + [True] * 3
    now, hasher = host.clock.ms(), host.get(TokenHasher)
    await write(party, accounts.close_account, host.get(Sealer), hasher, party.account_id, now=now, actor=SYSTEM)
    assert await host.db.read(left) == [False] * 3 + [True] * 2  # the address went with the account itself
    await deliver(party)
    assert await host.db.read(left) == [False, False, True]
    advance(party.building, 9 * DAY // 1000)
    (sweep,) = [job for job in host.jobs if job.name == "identity.oauth.sweep"]
    await sweep.run()
    assert await host.db.read(left) == [False, False]


# -- delivery ---------------------------------------------------------------------------------------------------------


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
