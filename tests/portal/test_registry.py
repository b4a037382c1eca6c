"""The console about clients yet to come: a request gone through without anybody being asked, leave to register."""

import json
import re
from html import unescape
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import text

from identity.clients import Clients
from identity.enrolments import Enrolments
from identity.registration import CIBA, EXCHANGE, JWT_BEARER
from kit import audit
from portal.app import Building
from tests.support.desk import Colleague, colleague
from tests.support.household import settle
from tests.support.relying_party import Party, join, location


@pytest.fixture
async def operator(app: Building, client: httpx2.AsyncClient) -> Colleague:
    return await colleague(app, client, "operator")


@pytest.fixture
async def party(app: Building, client: httpx2.AsyncClient) -> Party:
    return await join(app, client)


def verdict(page: httpx2.Response) -> tuple[str, str]:
    """Whether it would be accepted, and the refusal."""
    said = re.search(r'id="verdict"[^>]*>\s*<p class="notice-title">([^<]*)', page.text)
    why = re.search(r'id="refusal">([^<]*)', page.text)
    assert said is not None, page.text
    return said[1], unescape(why[1]) if why else ""


def broken(page: httpx2.Response) -> set[str]:
    """The rules that are not kept."""
    return set(re.findall(r'id="rule-([a-z_]+)" class="broken"', page.text))


async def counted(app: Building) -> list[int]:
    """How many rows stand where a request could have left one."""
    tables = ("identity_interaction", "identity_code", "identity_par", "identity_grant", "identity_issued", "kit_audit")
    return [
        await app.host.db.read_core(lambda c, one=one: int(c.execute(text(f"SELECT COUNT(*) FROM {one}")).scalar()))
        for one in tables
    ]


async def test_a_good_request_would_be_accepted_and_nothing_comes_of_it(
    app: Building, operator: Colleague, party: Party
) -> None:
    before = await counted(app)
    asked = party.request(scope="openid email")
    for pasted in (
        f"{party.issuer}/oauth/authorize?{urlencode(asked)}",
        urlencode(asked),
        "\n".join(f"{name}={value}" for name, value in asked.items()),
    ):
        for how in ("browser", "pushed"):
            page = await operator.post("/console/request", {"text": pasted, "how": how})
            assert verdict(page) == ("It would be accepted.", ""), pasted
            assert "openid email" in page.text
            assert broken(page) == set()
    assert await counted(app) == before


async def test_all_faults_are_seen_at_once_and_the_first_is_what_the_service_is_told(
    operator: Colleague, party: Party
) -> None:
    asked = party.request(scope="openid secret", code_challenge=None, prompt="now", resource="https://else.example")
    page = await operator.post("/console/request", {"text": urlencode(asked)})
    assert broken(page) == {"read_challenge", "check_scope", "check_prompt", "check_resource"}
    _, real = location(await party.authorize(asked))
    assert verdict(page) == ("It would be refused.", f"{real['error']}: {real['error_description']}")
    assert "The service is told" in page.text


async def test_a_refusal_at_an_unproved_address_is_a_page_here_as_there(operator: Colleague, party: Party) -> None:
    """RFC 6749 section 4.1.2.1."""
    asked = party.request(redirect_uri="https://evil.example/cb")
    page = await operator.post("/console/request", {"text": urlencode(asked)})
    assert "Nothing goes to the service" in page.text
    assert broken(page) == {"address"}
    assert (await party.authorize(asked)).status_code == 400


async def test_data_grants_and_the_way_a_request_comes_are_judged_too(app: Building, operator: Colleague) -> None:
    """RFC 9396 section 5, RFC 9126 section 5, Grant Management section 5.4."""
    home = await settle(app, operator.http, require_pushed_authorization_requests=True)
    details = json.dumps([{"type": "data_use", "agreement": "agr_none"}])
    wrong = home.party.request(authorization_details=details, grant_management_action="merge", grant_id="grt_x")
    page = await operator.post("/console/request", {"text": urlencode(wrong)})
    assert broken(page) == {"way", "details", "grant"}
    details = json.dumps([{"type": "data_use", "agreement": home.agreement_id}])
    good = home.party.request(authorization_details=details)
    page = await operator.post("/console/request", {"text": urlencode(good), "how": "pushed"})
    assert verdict(page)[0] == "It would be accepted."
    assert home.agreement_id in page.text


async def test_whatever_is_pasted_is_answered_and_shown_as_text(operator: Colleague) -> None:
    for pasted in ("", "%", "client_id=<script>alert(1)</script>", "client_id=a&client_id=b", "\n\n=x\n", "x" * 90_000):
        page = await operator.post("/console/request", {"text": pasted})
        assert page.status_code == 200, pasted[:50]
        assert verdict(page)[0] == "It would be refused."
        assert "<script>alert" not in page.text


async def test_a_token_is_shown_once_used_and_taken_back(app: Building, operator: Colleague, party: Party) -> None:
    """RFC 7591 section 1.2; kept as a keyed hash."""
    sent = {"uses": "2", "days": "7", "scope": "openid profile", "member": str(party.client.member_id)}
    made = await operator.post("/console/registration-tokens", sent)
    token = re.search(r'id="secret"[^>]*>(sit_[^<]+)<', made.text)
    assert token is not None
    headers = {"authorization": f"Bearer {token[1]}"}
    wanted = {"redirect_uris": ["https://new.example/cb"], "scope": "openid profile email"}
    assert (await operator.http.post("/oauth/register", json=wanted)).status_code == 401
    registered = await operator.http.post("/oauth/register", json=wanted, headers=headers)
    assert registered.json()["scope"] == "openid profile"
    listed = await operator.get("/console/registration-tokens")
    assert token[1] not in listed.text
    (kept,) = await app.host.db.read(app.host.get(Enrolments).list_initial)
    assert kept.uses_left == 1
    assert (await operator.post(f"/console/registration-tokens/{kept.id}/withdraw")).status_code == 303
    assert (await operator.http.post("/oauth/register", json=wanted, headers=headers)).status_code == 401
    again = await operator.post(f"/console/registration-tokens/{kept.id}/withdraw")
    assert again.status_code == 303, "taken back twice is told, not an error"
    (entry,) = await app.host.db.read(audit.entries, action="identity.registration_token.issued")
    assert entry.actor_id == operator.id


async def test_a_token_form_with_a_mistake_comes_back_filled_in(operator: Colleague) -> None:
    for wrong in ({"uses": "0"}, {"uses": "x"}, {"days": "9999"}, {"scope": "x" * 101}):
        sent: dict[str, Any] = {"uses": "7", "days": "1", "scope": "openid", **wrong}
        answer = await operator.post("/console/registration-tokens", sent)
        assert answer.status_code == 422, wrong
        assert "sit_" not in answer.text
        assert f'value="{sent["uses"]}"' in answer.text


async def test_only_operators_enter(app: Building, client: httpx2.AsyncClient) -> None:
    analyst = await colleague(app, client, "analyst")
    for path in ("/console/request", "/console/registration-tokens", "/console/clients/x/policy"):
        assert (await analyst.get(path)).status_code == 404
        assert (await analyst.post(path, {"text": "x", "uses": "1"})).status_code == 404


async def test_what_a_client_does_for_others_is_a_form_and_acts_at_once(
    app: Building, operator: Colleague, party: Party
) -> None:
    """RFC 8693, RFC 7523 section 2.1, CIBA Core section 4: the grant types follow from what is filled in."""
    path = f"/console/clients/{party.client.id}/policy"
    other = await join(app, operator.http)
    sent = {
        "exchange_audiences": "https://records.example\nhttps://maps.example",
        "exchange_scope": "read write",
        "may_act": other.client.id,
        "assertion_issuers": "https://idp.example https://idp.example/jwks",
        "delivery": "ping",
        "notify": "https://clinic.example/ping",
    }
    assert (await operator.post(path, sent)).status_code == 303
    changed = await app.host.get(Clients).get(party.client.id)
    assert changed is not None
    assert {EXCHANGE, JWT_BEARER, CIBA, "authorization_code"} <= changed.grant_types
    assert changed.exchange_audiences == {"https://records.example", "https://maps.example"}
    assert (changed.may_act, changed.impersonates) == (other.client.id, False)
    assert changed.assertion_issuers == {"https://idp.example": "https://idp.example/jwks"}
    shown = await operator.get(path)
    assert "https://maps.example" in shown.text
    assert "https://clinic.example/ping" in shown.text
    assert (await operator.post(path, {"delivery": ""})).status_code == 303
    cleared = await app.host.get(Clients).get(party.client.id)
    assert cleared is not None
    assert not {EXCHANGE, JWT_BEARER, CIBA} & cleared.grant_types
    assert cleared.redirect_uris == party.client.redirect_uris
    entries = await app.host.db.read(audit.entries, action="identity.client.changed")
    assert {entry.actor_id for entry in entries} == {operator.id}


async def test_a_policy_that_does_not_hold_comes_back_with_the_field(operator: Colleague, party: Party) -> None:
    path = f"/console/clients/{party.client.id}/policy"
    for sent, field in (
        ({"exchange_audiences": "records"}, "exchange_audiences"),
        ({"exchange_audiences": "\n".join(f"https://a{n}.example" for n in range(21))}, "exchange_audiences"),
        ({"exchange_audiences": "https://a.example", "exchange_scope": "read {}"}, "exchange_scope"),
        ({"may_act": "nobody"}, "may_act"),
        ({"assertion_issuers": "https://idp.example"}, "assertion_issuers"),
        ({"assertion_issuers": "https://idp.example http://idp.example/jwks"}, "assertion_issuers"),
        ({"delivery": "ping"}, "delivery"),
        ({"delivery": "poll", "notify": "https://clinic.example/ping"}, "delivery"),
        ({"delivery": "push"}, "delivery"),
    ):
        refused = await operator.post(path, sent)
        assert refused.status_code == 422, sent
        assert f'id="{field}-error"' in refused.text, sent
