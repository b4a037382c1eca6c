"""Shared Signals, from the wire: what a service is told, of whom and in what words (OpenID SSF, CAEP and RISC 1.0)."""

from dataclasses import replace
from typing import Any

import jwt
from sqlalchemy import text

from identity import accounts, grants
from identity.clients import Clients
from identity.sessions import Sessions
from identity.signals.events import KINDS, VERIFICATION
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.db import Session
from kit.host import SYSTEM, Actor
from tests.support.relying_party import PROFILE, Party, advance, join, sign_in
from tests.support.signals import deliver, follow, lock, other_of, own_token, write
from tests.support.signals import party as party  # a fixture
from tests.support.signals import settings as settings  # a fixture


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
