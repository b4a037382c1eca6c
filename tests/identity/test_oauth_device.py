"""The device authorization grant, from the wire (RFC 8628): a kiosk asks, a resident answers on a phone."""

import asyncio
import json
import re
from collections import Counter
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import httpx2
import pytest

from identity import decoupled, grants
from identity.clients import Clients
from identity.oauth import housekeeping
from identity.registration import DEVICE
from identity.support import Support
from kit import audit
from kit.host import SYSTEM, Actor
from tests.support.household import settle
from tests.support.relying_party import Party, Prover, advance, join, sign_in

KIOSK: dict[str, Any] = {
    "grant_types": [DEVICE, "refresh_token"],
    "redirect_uris": [],
    "token_endpoint_auth_method": "none",
    "scope": "openid profile offline_access",
}


@pytest.fixture
async def kiosk(app: Any, client: Any) -> Party:
    return await join(app, client, **KIOSK)


async def ask(party: Party, *, headers: dict[str, str] | None = None, **form: str) -> httpx2.Response:
    """The device asks."""
    data = {"client_id": party.client.id, "scope": "openid profile", **form}
    sent = party.basic if party.client.auth_method == "client_secret_basic" else {}
    return await party.http.post("/oauth/device_authorization", data=data, headers={**sent, **(headers or {})})


async def poll(party: Party, device_code: str, **more: Any) -> httpx2.Response:
    """The device asks whether it is answered."""
    return await party.token(grant_type=DEVICE, device_code=device_code, **more)


async def type_code(party: Party, code: str, *, cookie: str | None = None) -> httpx2.Response:
    """The resident's phone sends the code."""
    headers = {"cookie": f"sekisho-local={cookie or party.cookie}", "origin": party.issuer}
    return await party.http.post("/device", data={"user_code": code}, headers=headers)


async def press(party: Party, page: str, answer: str, *, cookie: str | None = None) -> httpx2.Response:
    """The resident answers on the interaction's page, with the boxes as they come."""
    headers = {"cookie": f"sekisho-local={cookie or party.cookie}", "origin": party.issuer}
    shown = await party.http.get(page, headers=headers)
    assert shown.status_code == 200, shown.text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.text))
    return await party.http.post(page, data={**hidden, "answer": answer}, headers=headers)


async def agree(party: Party, user_code: str) -> None:
    """The resident types the code and agrees."""
    typed = await type_code(party, user_code)
    assert typed.status_code == 303, typed.text
    done = await press(party, typed.headers["location"], "agree")
    assert done.headers["location"] == f"{party.issuer}/device/done?said=agreed"


async def test_a_device_asks_a_resident_agrees_and_the_device_gets_tokens(kiosk: Party) -> None:
    """RFC 8628 sections 3.1 to 3.5."""
    asked = await ask(kiosk)
    assert asked.status_code == 200, asked.text
    assert asked.headers["cache-control"] == "no-store"
    said = asked.json()
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", said["user_code"])
    assert said["verification_uri"] == f"{kiosk.issuer}/device"
    assert said["verification_uri_complete"] == f"{kiosk.issuer}/device?user_code={said['user_code']}"
    assert (said["expires_in"], said["interval"]) == (600, 5)
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "authorization_pending"
    await agree(kiosk, said["user_code"])
    tokens = await poll(kiosk, said["device_code"])
    assert tokens.status_code == 200, tokens.text
    body = tokens.json()
    assert body["scope"] == "openid profile"
    assert "id_token" in body
    assert "refresh_token" not in body
    userinfo = await kiosk.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {body['access_token']}"})
    assert userinfo.json()["name"] == "湊 花子"


async def test_the_metadata_names_the_endpoint_and_the_grant(kiosk: Party) -> None:
    """RFC 8628 section 4."""
    document = (await kiosk.http.get("/.well-known/oauth-authorization-server")).json()
    assert document["device_authorization_endpoint"] == f"{kiosk.issuer}/oauth/device_authorization"
    assert DEVICE in document["grant_types_supported"]


async def test_a_refused_device_is_told_so_and_gets_nothing(kiosk: Party) -> None:
    """RFC 8628 section 3.5."""
    said = (await ask(kiosk)).json()
    typed = await type_code(kiosk, said["user_code"])
    done = await press(kiosk, typed.headers["location"], "refuse")
    assert done.headers["location"].endswith("/device/done?said=refused")
    answer = await poll(kiosk, said["device_code"])
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")


async def test_what_was_agreed_to_and_not_fetched_ends_with_a_lock_and_does_not_come_back(kiosk: Party) -> None:
    """Whoever was in with stolen means lets a device in, waits for the lock or the reset, and polls afterwards."""
    host, office = kiosk.building.host, Actor("operator", "acc_office", frozenset({"operator"}))
    fetched, waiting = (await ask(kiosk)).json(), (await ask(kiosk)).json()
    await agree(kiosk, fetched["user_code"])
    await agree(kiosk, waiting["user_code"])
    access = (await poll(kiosk, fetched["device_code"])).json()["access_token"]
    support = host.get(Support)
    await host.db.write(support.lock, kiosk.account_id, reason="stolen", actor=office)
    await host.db.write(support.unlock, kiosk.account_id, actor=office)
    answer = await poll(kiosk, waiting["device_code"])
    assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    userinfo = await kiosk.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {access}"})
    assert userinfo.status_code == 401


async def test_who_polls_too_early_waits_longer_each_time(kiosk: Party) -> None:
    """RFC 8628 section 3.5: slow_down adds five seconds, for this and all later requests."""
    code = (await ask(kiosk)).json()["device_code"]
    errors = []
    for seconds in (0, 1, 5, 9, 15, 15):
        advance(kiosk.building, seconds)
        errors.append((await poll(kiosk, code)).json()["error"])
    pending, slow = "authorization_pending", "slow_down"
    assert errors == [pending, slow, slow, slow, slow, slow]
    advance(kiosk.building, 30)
    assert (await poll(kiosk, code)).json()["error"] == pending


async def test_nobody_answers_in_time_and_the_token_has_expired(kiosk: Party) -> None:
    """RFC 8628 section 3.5; after a while the row is swept, and the code is unknown."""
    said = (await ask(kiosk)).json()
    typed = await type_code(kiosk, said["user_code"])
    advance(kiosk.building, 601)
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "expired_token"
    page = await kiosk.http.get(typed.headers["location"], headers={"cookie": f"sekisho-local={kiosk.cookie}"})
    assert page.status_code == 404
    assert (await type_code(kiosk, said["user_code"])).status_code == 422
    advance(kiosk.building, 3_601)
    await housekeeping.sweep_all(kiosk.building.host.db, kiosk.building.host.clock)
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "invalid_grant"


async def test_of_eight_polls_at_once_one_gets_the_tokens(kiosk: Party) -> None:
    """Invariant I7; what came from the replayed code is revoked, as with an authorization code."""
    said = (await ask(kiosk)).json()
    await agree(kiosk, said["user_code"])
    answers = await asyncio.gather(*(poll(kiosk, said["device_code"]) for _ in range(8)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 7}
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}
    (token,) = [answer.json()["access_token"] for answer in answers if answer.status_code == 200]
    userinfo = await kiosk.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {token}"})
    assert userinfo.status_code == 401
    found = await kiosk.building.host.db.read(audit.entries, action="identity.device.replayed")
    assert [entry.object_id for entry in found] == [kiosk.client.id]


async def test_offline_access_begins_a_family_that_outlives_the_page(kiosk: Party) -> None:
    said = (await ask(kiosk, scope="openid offline_access")).json()
    await agree(kiosk, said["user_code"])
    body = (await poll(kiosk, said["device_code"])).json()
    refreshed = await kiosk.refresh(body["refresh_token"])
    assert refreshed.status_code == 200, refreshed.text


async def test_a_device_code_is_worth_nothing_to_another_client(kiosk: Party) -> None:
    """RFC 8628 section 3.4."""
    other = await join(kiosk.building, kiosk.http, **KIOSK)
    said = (await ask(kiosk)).json()
    await agree(kiosk, said["user_code"])
    assert (await poll(other, said["device_code"])).json()["error"] == "invalid_grant"
    assert (await poll(kiosk, said["device_code"])).status_code == 200


async def test_a_request_made_with_a_key_is_finished_with_that_key(kiosk: Party) -> None:
    """RFC 9449 section 10.1: neither a bare poll nor another key's gets the tokens."""
    prover, thief = Prover(), Prover()
    now = kiosk.building.host.clock.ms()

    def proof(key: Prover, path: str) -> dict[str, str]:
        return {"dpop": key.proof("POST", kiosk.issuer + path, now_ms=now)}

    said = (await ask(kiosk, headers=proof(prover, "/oauth/device_authorization"))).json()
    await agree(kiosk, said["user_code"])
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "invalid_dpop_proof"
    stolen = await poll(kiosk, said["device_code"], headers=proof(thief, "/oauth/token"))
    assert stolen.json()["error"] == "invalid_grant"
    own = await poll(kiosk, said["device_code"], headers=proof(prover, "/oauth/token"))
    assert own.json()["token_type"] == "DPoP"


async def test_the_code_is_read_as_people_type_it(kiosk: Party) -> None:
    """RFC 8628 section 6.1: small letters, no hyphen, full width, other dashes."""
    code = (await ask(kiosk)).json()["user_code"]
    wide = "".join(chr(ord(c) + 0xFEE0) if c != "-" else "ー" for c in code)
    for typed in (code.lower(), code.replace("-", " "), wide):
        assert decoupled.normal(typed) == code.replace("-", "")
    assert (await type_code(kiosk, wide)).status_code == 303
    for wrong in ("", "WDJB-MJH", "WDJB-MJHTB", "AEIO-UAEI", "WDJB\u0000MJHT"):
        assert decoupled.normal(wrong) is None


async def test_guesses_are_few_for_each_account_and_right_ones_buy_none(kiosk: Party) -> None:
    """RFC 8628 section 5.1."""
    own = (await ask(kiosk)).json()["user_code"]
    statuses = [(await type_code(kiosk, "BBBB-BBB" + end)).status_code for end in "BCDF"]
    assert statuses == [422] * 4
    assert (await type_code(kiosk, own)).status_code == 303
    wait = await type_code(kiosk, "BBBB-BBBG")
    assert wait.status_code == 429
    assert int(wait.headers["retry-after"]) > 0
    advance(kiosk.building, 61)
    assert (await type_code(kiosk, "BBBB-BBBG")).status_code == 422
    found = await kiosk.building.host.db.read(audit.entries, action="identity.device.code_refused")
    assert len(found) == 5


async def test_a_stranger_must_sign_in_before_a_code_is_even_looked_at(kiosk: Party) -> None:
    code = (await ask(kiosk)).json()["user_code"]
    asked = await kiosk.http.get(f"/device?user_code={code}")
    assert asked.status_code == 303
    assert asked.headers["location"] == f"/sign-in?next=%2Fdevice%3Fuser_code%3D{code}"
    sent = await kiosk.http.post("/device", data={"user_code": code}, headers={"origin": kiosk.issuer})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Fdevice")


async def test_a_code_that_came_with_a_link_is_only_filled_in_and_must_be_compared(kiosk: Party) -> None:
    """RFC 8628 sections 3.3.1 and 5.4: opening the link decides nothing, and the page warns of codes that were sent."""
    said = (await ask(kiosk)).json()
    address = urlsplit(said["verification_uri_complete"])
    headers = {"cookie": f"sekisho-local={kiosk.cookie}", "accept-language": "en"}
    page = await kiosk.http.get(f"{address.path}?{address.query}", headers=headers)
    assert f'value="{said["user_code"]}"' in page.text
    assert "Did somebody send you the code?" in page.text
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "authorization_pending"
    typed = await type_code(kiosk, said["user_code"])
    shown = await kiosk.http.get(typed.headers["location"], headers=headers)
    assert said["user_code"] in shown.text
    assert 'id="asked-elsewhere"' in shown.text
    script = await kiosk.http.get('/device?user_code="><script>', headers=headers)
    assert "<script>" not in script.text.partition("</head>")[2]


async def test_a_remembered_grant_never_answers_for_a_device(kiosk: Party) -> None:
    """RFC 8628 section 5.4: who agreed once is shown the page all the same."""
    for _ in range(2):
        said = (await ask(kiosk)).json()
        await agree(kiosk, said["user_code"])
    assert (await poll(kiosk, said["device_code"])).status_code == 200


async def test_who_takes_the_code_up_first_is_the_only_one_who_may_answer(kiosk: Party) -> None:
    """Another person's answer would put their account on this person's device."""
    said = (await ask(kiosk)).json()
    page = (await type_code(kiosk, said["user_code"])).headers["location"]
    other = await join(kiosk.building, kiosk.http, **KIOSK)
    assert (await type_code(other, said["user_code"])).status_code == 422
    headers = {"cookie": f"sekisho-local={other.cookie}", "origin": kiosk.issuer}
    assert (await kiosk.http.get(page, headers=headers)).status_code == 404
    assert (await kiosk.http.post(page, data={"answer": "agree"}, headers=headers)).status_code == 404
    await press(kiosk, page, "agree")
    assert (await poll(kiosk, said["device_code"])).status_code == 200


async def test_two_pages_for_one_code_give_one_answer(kiosk: Party) -> None:
    """Invariant I7: agreed on one, refusing on the other changes nothing and says so."""
    said = (await ask(kiosk)).json()
    pages = [(await type_code(kiosk, said["user_code"])).headers["location"] for _ in range(2)]
    assert (await press(kiosk, pages[0], "agree")).status_code == 303
    assert (await press(kiosk, pages[1], "agree")).status_code == 404
    assert (await poll(kiosk, said["device_code"])).status_code == 200


async def test_a_withdrawn_grant_yields_no_tokens_between_answer_and_poll(kiosk: Party) -> None:
    said = (await ask(kiosk)).json()
    await agree(kiosk, said["user_code"])
    host = kiosk.building.host
    (grant,) = await host.db.read(grants.list_for, kiosk.account_id)
    await host.db.write(grants.revoke, grant.id, actor=SYSTEM, now=host.clock.ms())
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "invalid_grant"


async def test_the_device_is_a_session_of_its_own(kiosk: Party) -> None:
    """Signing out on the phone must not sign the device out, and no `sid` links the two."""
    import base64

    sids = []
    for _ in range(2):
        said = (await ask(kiosk)).json()
        await agree(kiosk, said["user_code"])
        payload = (await poll(kiosk, said["device_code"])).json()["id_token"].split(".")[1]
        sids.append(json.loads(base64.urlsafe_b64decode(payload + "=="))["sid"])
    assert len(set(sids)) == 2


async def test_a_level_the_device_wishes_for_is_asked_of_the_resident(kiosk: Party) -> None:
    """OpenID Connect Core section 3.1.2.1: one chance to step up, as everywhere."""
    await sign_in(kiosk, acr="urn:sekisho:aal:1")
    said = (await ask(kiosk, acr_values="urn:sekisho:aal:2")).json()
    page = (await type_code(kiosk, said["user_code"])).headers["location"]
    asked = await kiosk.http.get(page, headers={"cookie": f"sekisho-local={kiosk.cookie}"})
    assert asked.headers["location"].startswith("/sign-in?")


async def test_the_picture_is_an_svg_of_the_address_and_tells_nothing_else(kiosk: Party) -> None:
    """RFC 8628 section 3.3.1; a code that nobody has gets the same kind of picture."""
    said = (await ask(kiosk)).json()
    for code in (said["user_code"], "BBBB-BBBB"):
        picture = await kiosk.http.get(f"/oauth/device_qr?user_code={code}")
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "style" not in picture.text
        assert ElementTree.fromstring(picture.text).tag.endswith("svg")
    assert urlsplit(said["verification_qr_uri"]).path == "/oauth/device_qr"
    assert (await kiosk.http.get("/oauth/device_qr?user_code=x")).json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"scope": "openid email"}, "invalid_scope"),
        ({"scope": "openid read"}, "invalid_scope"),
        ({"resource": "https://else.example"}, "invalid_target"),
        ({"authorization_details": "[{}]"}, "invalid_authorization_details"),
        ({"client_id": "cli_unknown"}, "invalid_client"),
    ],
)
async def test_a_bad_request_is_refused_by_its_own_name(kiosk: Party, form: dict[str, str], error: str) -> None:
    """RFC 8628 section 3.1, RFC 6749 section 5.2."""
    assert (await ask(kiosk, **form)).json()["error"] == error


async def test_a_client_that_did_not_register_the_grant_may_not_use_it(app: Any, client: Any) -> None:
    party = await join(app, client)
    assert (await ask(party)).json()["error"] == "unauthorized_client"
    assert (await poll(party, "dvc_x")).json()["error"] == "unauthorized_client"


async def test_a_suspended_service_s_code_is_no_code(kiosk: Party) -> None:
    said = (await ask(kiosk)).json()
    host = kiosk.building.host
    await host.db.write(host.get(Clients).suspend, kiosk.client.id, actor=SYSTEM)
    assert (await type_code(kiosk, said["user_code"])).status_code == 422
    assert (await poll(kiosk, said["device_code"])).json()["error"] == "invalid_client"


async def test_data_is_asked_for_a_device_by_the_same_consent(app: Any, client: Any) -> None:
    """RFC 9396: the categories agreed to and the consent are in the token; withdrawing ends it (I5)."""
    home = await settle(
        app, client, grant_types=["authorization_code", "refresh_token", DEVICE], scope="openid profile offline_access"
    )
    party = home.party
    details = json.dumps([{"type": "data_use", "agreement": home.agreement_id}])
    said = (await ask(party, scope="openid", authorization_details=details)).json()
    await agree(party, said["user_code"])
    body = (await poll(party, said["device_code"])).json()
    (granted,) = body["authorization_details"]
    assert granted["consent"].startswith("con_")
    assert (await party.introspect(body["access_token"]))["active"]
    await home.post(f"/consents/{granted['consent']}/withdraw")
    assert await party.introspect(body["access_token"]) == {"active": False}
