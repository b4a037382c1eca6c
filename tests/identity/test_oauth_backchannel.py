"""Backchannel authentication, from the wire (CIBA Core 1.0, poll and ping): a counter asks, a resident answers."""

import asyncio
import json
import secrets
from collections import Counter
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from identity import accounts
from identity.errors import InvalidClientMetadata
from identity.oauth.backchannel import MOST_WAITING
from identity.pings import Pings
from identity.registration import CIBA
from kit import audit
from kit.db import Session
from kit.fetch import OutgoingSettings
from kit.problems import Invalid
from tests.identity.test_oauth_device import press
from tests.support.household import settle
from tests.support.relying_party import Party, Prover, advance, join, sign, sign_in
from tests.support.site import Site, reply

COUNTER: dict[str, Any] = {
    "grant_types": ["authorization_code", "refresh_token", CIBA],
    "backchannel_token_delivery_mode": "poll",
    "scope": "openid profile offline_access",
}


@pytest.fixture
async def counter(app: Any, client: Any) -> Party:
    return await join(app, client, **COUNTER)


async def login_of(party: Party) -> str:
    """The resident's login name, as they tell the clerk."""
    from keys.envelope import Sealer

    def read(session: Session) -> str:
        return accounts.profile(session, party.building.host.get(Sealer), party.account_id).login

    return str(await party.building.host.db.read(read))


async def ask(party: Party, *, headers: dict[str, str] | None = None, **form: str | None) -> httpx2.Response:
    """The counter asks."""
    if not {"login_hint", "id_token_hint", "request"} & set(form):
        form["login_hint"] = await login_of(party)
    data = {name: value for name, value in {"scope": "openid profile", **form}.items() if value is not None}
    return await party.http.post(
        "/oauth/backchannel-authentication", data=data, headers={**party.basic, **(headers or {})}
    )


async def poll(party: Party, auth_req_id: str, **more: Any) -> httpx2.Response:
    return await party.token(grant_type=CIBA, auth_req_id=auth_req_id, **more)


async def questions(party: Party) -> list[str]:
    """The questions on the resident's first page."""
    import re

    page = await party.http.get("/home", headers={"cookie": f"sekisho-local={party.cookie}"})
    assert page.status_code == 200
    return re.findall(r'href="(/interaction/int_[0-9a-z]+)"', page.text)


async def test_a_counter_asks_the_resident_agrees_at_home_and_the_counter_gets_tokens(counter: Party) -> None:
    """CIBA Core sections 7.1, 7.3, 10.1.1 and 11."""
    asked = await ask(counter, binding_message="3番 41-07")
    assert asked.status_code == 200, asked.text
    said = asked.json()
    assert set(said) == {"auth_req_id", "expires_in", "interval"}
    assert (await poll(counter, said["auth_req_id"])).json()["error"] == "authorization_pending"
    (page,) = await questions(counter)
    shown = await counter.http.get(page, headers={"cookie": f"sekisho-local={counter.cookie}"})
    assert "3番 41-07" in shown.text
    done = await press(counter, page, "agree")
    assert done.headers["location"] == f"{counter.issuer}/device/done?said=agreed&at=service"
    assert await questions(counter) == []
    body = (await poll(counter, said["auth_req_id"])).json()
    assert body["scope"] == "openid profile"
    assert "id_token" in body
    userinfo = await counter.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
    assert userinfo.json()["name"] == "湊 花子"


async def test_a_refused_question_is_answered_so(counter: Party) -> None:
    """CIBA Core section 11."""
    said = (await ask(counter)).json()
    (page,) = await questions(counter)
    await press(counter, page, "refuse")
    answer = await poll(counter, said["auth_req_id"])
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


async def test_whether_a_login_name_exists_is_told_to_nobody(counter: Party) -> None:
    """The same answer, the same rows; nobody can open what is nobody's, and it runs out."""
    real, made_up = await ask(counter), await ask(counter, login_hint="nobody-here")
    assert real.status_code == made_up.status_code == 200
    assert {*real.json()} == {*made_up.json()}
    for answer in (real, made_up):
        assert (await poll(counter, answer.json()["auth_req_id"])).json()["error"] == "authorization_pending"
    assert len(await questions(counter)) == 1
    advance(counter.building, 601)
    for answer in (real, made_up):
        assert (await poll(counter, answer.json()["auth_req_id"])).json()["error"] == "expired_token"


async def test_only_the_person_asked_answers(counter: Party) -> None:
    said = (await ask(counter)).json()
    (page,) = await questions(counter)
    other = await join(counter.building, counter.http, **COUNTER)
    assert await questions(other) == []
    headers = {"cookie": f"sekisho-local={other.cookie}", "origin": counter.issuer}
    assert (await counter.http.post(page, data={"answer": "agree"}, headers=headers)).status_code == 404
    assert (await poll(other, said["auth_req_id"])).json()["error"] == "invalid_grant"
    await press(counter, page, "agree")
    assert (await poll(counter, said["auth_req_id"])).status_code == 200


async def test_nobody_is_worn_down_by_asking_again_and_again_and_no_service_keeps_others_from_asking(
    counter: Party,
) -> None:
    login = await login_of(counter)
    others = [await join(counter.building, counter.http, **COUNTER) for _ in range(2)]
    of_one = counter.building.settings.identity.backchannel_waiting
    for _ in range(of_one + 1):
        assert (await ask(counter)).status_code == 200
    assert len(await questions(counter)) == of_one
    for other in others:
        for _ in range(MOST_WAITING):
            assert (await ask(other, login_hint=login)).status_code == 200
    assert len(await questions(counter)) == MOST_WAITING
    asked = await counter.building.host.db.read(audit.entries, action="identity.backchannel.asked")
    assert {entry.detail["account"] for entry in asked} == {counter.account_id, ""}  # whom, if anybody (I8)


@pytest.mark.parametrize("settings", [{"backchannel_quiet_seconds": 0, "backchannel_waiting": 9}], indirect=True)
async def test_where_nobody_is_left_alone_a_service_asks_at_once_after_a_refusal(counter: Party) -> None:
    """FAPI-CIBA's plan refuses, then agrees (fapi-ciba-id1-multiple-call-to-token-endpoint), and leaves questions."""
    await ask(counter)
    await press(counter, (await questions(counter))[0], "refuse")
    for _ in range(9):
        await ask(counter)
    assert len(await questions(counter)) == 9


async def test_who_refused_is_not_asked_again_at_once_and_the_counter_cannot_tell(counter: Party) -> None:
    said = (await ask(counter, requested_expiry="60")).json()
    await press(counter, (await questions(counter))[0], "refuse")
    again = await ask(counter)
    assert again.status_code == 200
    assert again.json().keys() == said.keys()
    assert await questions(counter) == []
    other = await join(counter.building, counter.http, **COUNTER)
    await ask(other, login_hint=await login_of(counter))
    assert len(await questions(counter)) == 1  # of another service
    advance(counter.building, 60 + 600 + 1)
    await sign_in(counter)
    await ask(counter)
    assert len(await questions(counter)) == 1


async def test_a_later_answer_about_the_same_grant_is_no_refusal_and_mutes_nobody(counter: Party) -> None:
    """Grant Management section 5.2 and CIBA Core section 11: an answer that was overtaken before it was fetched begins
    no tokens, and the service, which nobody refused, may ask again at once."""
    made = await counter.exchange(await counter.code(grant_management_action="create"))
    merge = {"grant_management_action": "merge", "grant_id": made.json()["grant_id"]}
    said = (await ask(counter, **merge)).json()
    await press(counter, (await questions(counter))[0], "agree")
    await counter.code(**merge, scope="openid")
    answer = await poll(counter, said["auth_req_id"])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    again = (await ask(counter, **merge)).json()
    await press(counter, (await questions(counter))[0], "agree")
    assert (await poll(counter, again["auth_req_id"])).json()["grant_id"] == made.json()["grant_id"]


async def test_one_client_fills_no_table_with_questions_whoever_they_are_for(
    counter: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for somebody and for nobody: a login name that exists counts like one that does not."""
    monkeypatch.setattr("identity.oauth.backchannel.MOST_OF_CLIENT", 3)
    for hint in (None, "nobody", "nobody"):
        assert (await ask(counter, **({"login_hint": hint} if hint else {}))).status_code == 200
    for hint in (None, "nobody"):
        refused = await ask(counter, **({"login_hint": hint} if hint else {}))
        assert refused.json()["error"] == "temporarily_unavailable"
    other = await join(counter.building, counter.http, **COUNTER)
    assert (await ask(other)).status_code == 200
    advance(counter.building, 600)
    assert (await ask(counter)).status_code == 200


REHEARSAL = "/oauth/backchannel-authentication/rehearsal"


async def test_nobody_answers_in_a_residents_place_unless_a_setting_asks_for_it(counter: Party) -> None:
    said = (await ask(counter)).json()
    where = {"auth_req_id": said["auth_req_id"], "action": "allow"}
    assert (await counter.http.post(REHEARSAL, params=where)).status_code in (403, 404)
    assert (await poll(counter, said["auth_req_id"])).json()["error"] == "authorization_pending"


def test_the_setting_that_answers_for_residents_is_refused_where_residents_could_be_meant(settings: Any) -> None:
    """Only a loopback issuer, or a setting that spells out its danger."""
    from portal.app import create_app

    for issuer, value, starts in (
        ("https://id.city.example", "loopback", False),
        ("https://id.city.example", "anybody-may-answer-for-residents", True),
        ("http://localhost:8080", "loopback", True),
    ):
        part = settings.identity.model_copy(update={"backchannel_rehearsal": value})
        changed = settings.model_copy(update={"issuer": issuer, "identity": part})
        if starts:
            rows = create_app(changed).host.rows
            assert [row.path for row in rows if "rehearsal" in row.path] == [REHEARSAL]
        else:
            with pytest.raises(Invalid):
                create_app(changed)


async def test_a_rehearsal_answers_as_the_suite_asks_and_leaves_a_trace(settings: Any, clock: Any) -> None:
    """The address that the Foundation's CIBA plans call (`automated_ciba_approval_url`)."""
    from portal.app import create_app

    part = settings.identity.model_copy(update={"backchannel_rehearsal": "loopback"})
    async with create_app(settings.model_copy(update={"identity": part}), clock=clock).running(jobs=False) as building:
        transport = httpx2.ASGITransport(app=building, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url=building.settings.issuer) as http:
            party = await join(building, http, **COUNTER, verified_claims="claims")
            # What a clerk verified, and what changes a grant, is agreed to by the resident only, as data are.
            verified = {"verification": {"trust_framework": None}, "claims": {"name": None}}
            for more in (
                {"claims": json.dumps({"userinfo": {"verified_claims": verified}})},
                {"grant_management_action": "create"},
            ):
                said = (await ask(party, **more)).json()
                where = {"auth_req_id": said["auth_req_id"], "action": "allow"}
                assert (await http.post(REHEARSAL, params=where)).status_code == 400
                await http.post(REHEARSAL, params=where | {"action": "deny"})
                advance(building, 1800)
            for action, status in (("allow", 200), ("deny", 400)):
                said = (await ask(party)).json()
                where = {"auth_req_id": said["auth_req_id"], "action": action}
                assert (await http.post(REHEARSAL, params=where)).json() == {"action": action}
                assert (await http.post(REHEARSAL, params=where)).status_code == 400  # answered once
                assert (await poll(party, said["auth_req_id"])).status_code == status
            assert (await http.post(REHEARSAL, params={"auth_req_id": "x", "action": "allow"})).status_code == 400
            told = await building.host.db.read(audit.entries, action="identity.backchannel.rehearsed")
            assert [entry.detail["action"] for entry in told] == ["deny", "deny", "allow", "deny"]


async def test_of_eight_polls_at_once_one_gets_the_tokens(counter: Party) -> None:
    """Invariant I7."""
    said = (await ask(counter)).json()
    await press(counter, (await questions(counter))[0], "agree")
    answers = await asyncio.gather(*(poll(counter, said["auth_req_id"]) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert await counter.building.host.db.read(audit.entries, action="identity.backchannel.replayed")


async def test_an_id_token_says_whom_to_ask(counter: Party) -> None:
    """CIBA Core section 7.1: expired or not, but this client's; for nobody known: unknown_user_id."""
    body = (await counter.exchange(await counter.code())).json()
    advance(counter.building, 3600)
    await sign_in(counter)
    assert (await ask(counter, id_token_hint=body["id_token"])).status_code == 200
    assert len(await questions(counter)) == 1
    other = await join(counter.building, counter.http, **COUNTER)
    theirs = (await other.exchange(await other.code())).json()["id_token"]
    assert (await ask(counter, id_token_hint=theirs)).json()["error"] == "unknown_user_id"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "profile"}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid email"}, "invalid_scope"),
        ({"login_hint": None, "id_token_hint": None}, "invalid_request"),
        ({"login_hint": "a", "id_token_hint": "b"}, "invalid_request"),
        ({"login_hint": None, "login_hint_token": "x"}, "invalid_request"),
        ({"id_token_hint": "nonsense"}, "invalid_request"),
        ({"binding_message": "x" * 41}, "invalid_binding_message"),
        ({"binding_message": "41\u202e70"}, "invalid_binding_message"),
        ({"requested_expiry": "0"}, "invalid_request"),
        ({"requested_expiry": "soon"}, "invalid_request"),
        ({"request": "nonsense"}, "invalid_request"),
        ({"authorization_details": "[{}]"}, "invalid_authorization_details"),
    ],
)
async def test_each_fault_has_its_name(counter: Party, form: dict[str, str | None], error: str) -> None:
    """CIBA Core section 13."""
    answer = await ask(counter, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_requested_expiry_shortens_and_never_lengthens(counter: Party) -> None:
    """CIBA Core section 7.1."""
    assert (await ask(counter, requested_expiry="30")).json()["expires_in"] == 30
    assert (await ask(counter, requested_expiry="86400")).json()["expires_in"] == 600


async def test_a_level_is_asked_of_the_resident(counter: Party) -> None:
    await sign_in(counter, acr="urn:sekisho:aal:1")
    await ask(counter, acr_values="urn:sekisho:aal:2")
    (page,) = await questions(counter)
    shown = await counter.http.get(page, headers={"cookie": f"sekisho-local={counter.cookie}"})
    assert shown.headers["location"].startswith("/sign-in?")


async def test_a_signed_request_counts_alone_and_once(app: Any, client: Any) -> None:
    """CIBA Core section 7.1.1: iss, aud, exp, iat, nbf and jti; nothing beside it is read."""
    key = ECKey.generate_key("P-256", {"kid": "k1"})
    party = await join(
        app, client, **COUNTER, backchannel_authentication_request_signing_alg="ES256",
        jwks={"keys": [key.as_dict(private=False)]},
    )  # fmt: skip
    now, login = app.host.clock.ms() // 1000, await login_of(party)

    def signed(**changes: Any) -> str:
        body = {
            "iss": party.client.id, "aud": party.issuer, "iat": now, "nbf": now, "exp": now + 60,
            "jti": secrets.token_hex(8), "scope": "openid", "login_hint": login, **changes,
        }  # fmt: skip
        payload = json.dumps({name: value for name, value in body.items() if value is not None})
        return sign({"alg": "ES256", "kid": "k1"}, payload, key)

    assert (await ask(party)).json()["error"] == "invalid_request"  # unsigned
    once = signed(binding_message="inside")
    answers = await asyncio.gather(*(ask(party, request=once, binding_message="x" * 99, scope="bad") for _ in range(4)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 3}
    for changes in ({"aud": "https://else.example"}, {"iss": "cli_x"}, {"jti": None}, {"exp": now - 60}, {"nbf": None},
                    {"iat": None}, {"exp": None}):  # fmt: skip
        assert (await ask(party, request=signed(**changes))).json()["error"] == "invalid_request", changes


async def test_a_proof_binds_what_is_asked_for(counter: Party) -> None:
    """RFC 9449 section 10.1, as at the pushed-request endpoint."""
    prover, now = Prover(), counter.building.host.clock.ms()

    def proof(path: str) -> dict[str, str]:
        return {"dpop": prover.proof("POST", counter.issuer + path, now_ms=now)}

    said = (await ask(counter, headers=proof("/oauth/backchannel-authentication"))).json()
    await press(counter, (await questions(counter))[0], "agree")
    assert (await poll(counter, said["auth_req_id"])).json()["error"] == "invalid_dpop_proof"
    assert (await poll(counter, said["auth_req_id"], headers=proof("/oauth/token"))).json()["token_type"] == "DPoP"


async def test_data_is_asked_by_the_same_consent(app: Any, client: Any) -> None:
    """RFC 9396: the consent is in the token, and its end ends the token."""
    home = await settle(app, client, **COUNTER)
    party = home.party
    details = json.dumps([{"type": "data_use", "agreement": home.agreement_id}])
    said = (await ask(party, scope="openid", authorization_details=details)).json()
    await press(party, (await questions(party))[0], "agree")
    body = (await poll(party, said["auth_req_id"])).json()
    (granted,) = body["authorization_details"]
    assert (await party.introspect(body["access_token"]))["active"]
    await home.post(f"/consents/{granted['consent']}/withdraw")
    assert await party.introspect(body["access_token"]) == {"active": False}


async def test_the_metadata_says_poll_and_ping_but_never_push(counter: Party) -> None:
    """CIBA Core section 4."""
    document = (await counter.http.get("/.well-known/openid-configuration")).json()
    assert document["backchannel_authentication_endpoint"] == f"{counter.issuer}/oauth/backchannel-authentication"
    assert document["backchannel_token_delivery_modes_supported"] == ["poll", "ping"]
    assert document["backchannel_user_code_parameter_supported"] is False
    assert CIBA in document["grant_types_supported"]


@pytest.mark.parametrize(
    "fields",
    [
        {"backchannel_token_delivery_mode": None},
        {"grant_types": ["authorization_code"]},
        {"token_endpoint_auth_method": "none"},
        {"backchannel_authentication_request_signing_alg": "ES256"},  # and no keys
    ],
)
async def test_a_registration_that_can_not_work_is_refused(app: Any, client: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidClientMetadata):
        await join(app, client, **{**COUNTER, **fields})


async def test_a_client_that_did_not_register_the_grant_may_not_ask(app: Any, client: Any) -> None:
    party = await join(app, client)
    assert (await ask(party)).json()["error"] == "unauthorized_client"


# -- ping --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def settings(settings: Any, request: pytest.FixtureRequest) -> Any:
    identity = settings.identity.model_copy(update=getattr(request, "param", {}))
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",)), "identity": identity})


@pytest.fixture
async def pinged(app: Any, client: Any, site: Site) -> Party:
    return await join(
        app, client, **COUNTER | {"backchannel_token_delivery_mode": "ping"},
        backchannel_client_notification_endpoint=site.url("/ping"),
    )  # fmt: skip


async def deliver(party: Party) -> int:
    return await party.building.host.get(Pings).deliver()


@pytest.mark.parametrize("answer", ["agree", "refuse"])
async def test_a_service_that_wants_to_be_told_is_told_once_and_gets_no_token_that_way(
    pinged: Party, site: Site, answer: str
) -> None:
    """CIBA Core section 10.2: the name of its request, proved by the token it gave; then it asks."""
    said = (await ask(pinged, client_notification_token="8d67dc78-7faa-4d41-aabd-67707b374255")).json()
    assert await deliver(pinged) == 0  # nothing to tell yet
    await press(pinged, (await questions(pinged))[0], answer)
    assert await deliver(pinged) == 1
    assert await deliver(pinged) == 0
    (sent,) = site.asked
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /ping ")
    assert b"authorization: bearer 8d67dc78-7faa-4d41-aabd-67707b374255" in head.lower()
    assert json.loads(body) == {"auth_req_id": said["auth_req_id"]}
    status = (await poll(pinged, said["auth_req_id"])).status_code
    assert status == (200 if answer == "agree" else 400)


async def test_a_service_that_does_not_answer_is_told_again_until_the_request_runs_out(
    pinged: Party, site: Site
) -> None:
    said = (await ask(pinged, client_notification_token="x" * 1024)).json()
    await press(pinged, (await questions(pinged))[0], "agree")
    site.answer = lambda _: reply(b"", "503 Service Unavailable")
    assert await deliver(pinged) == 0
    assert await deliver(pinged) == 0  # not at once again
    assert len(site.asked) == 1
    for _ in range(20):
        advance(pinged.building, 60)
        await deliver(pinged)
    assert 5 < len(site.asked) < 15
    db = pinged.building.host.db
    (entry,) = await db.read(audit.entries, action="identity.backchannel.undelivered")
    assert entry.detail["why"] == "status-503"
    assert said["auth_req_id"] not in str(entry.detail)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "302 Found"])
async def test_a_service_that_refuses_to_be_told_is_left_alone(pinged: Party, site: Site, status: str) -> None:
    """CIBA Core section 10.2 (fapi-ciba-id1-ping-with-mtls-ciba-notification-endpoint-response-401-and-require-server-
    does-not-retry, ...-return-redirect-request): no second call, no redirect followed; polling works all the same."""
    said = (await ask(pinged, client_notification_token="told-no")).json()
    await press(pinged, (await questions(pinged))[0], "agree")
    site.answer = lambda _: reply(b"", status, f"location: {site.url('/elsewhere')}")
    for _ in range(3):
        await deliver(pinged)
        advance(pinged.building, 60)
    assert len(site.asked) == 1
    (entry,) = await pinged.building.host.db.read(audit.entries, action="identity.backchannel.undelivered")
    assert entry.detail["why"] == f"status-{status[:3]}"
    assert (await poll(pinged, said["auth_req_id"])).status_code == 200


async def test_what_proves_us_to_the_service_is_never_kept_in_clear(pinged: Party) -> None:
    """Invariant I6."""
    from sqlalchemy import text

    await ask(pinged, client_notification_token="open-sesame")

    def read(session: Session) -> str:
        return str(session.connection().execute(text("SELECT * FROM identity_decoupled")).all())

    assert "open-sesame" not in await pinged.building.host.db.read(read)


@pytest.mark.parametrize("token", [None, "x" * 1025, "with blank", "漢"])
async def test_a_ping_needs_a_token_to_prove_itself_with(pinged: Party, token: str | None) -> None:
    """CIBA Core section 7.1."""
    assert (await ask(pinged, client_notification_token=token)).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "fields",
    [
        {"backchannel_token_delivery_mode": "ping"},
        {"backchannel_client_notification_endpoint": "https://clinic.example/ping"},
        {
            "backchannel_token_delivery_mode": "ping",
            "backchannel_client_notification_endpoint": "http://clinic.example/ping",
        },
    ],
)
async def test_a_ping_needs_an_address_and_nothing_else_does(app: Any, client: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidClientMetadata):
        await join(app, client, **{**COUNTER, **fields})
