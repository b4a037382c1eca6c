"""Grant management, from the wire (Grant Management for OAuth 2.0, FAPI working group, draft 03)."""

import asyncio
import json
import re
from typing import Any

import httpx2
import pytest

from consent import agreements, endings, records
from identity import grants
from identity.registration import CIBA, DEVICE
from kit import audit
from kit.clock import DAY
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building
from tests.support.catalogue import ANY
from tests.support.household import Household, proposal, settle
from tests.support.relying_party import Party, advance, join, location

SCOPES = "openid profile email offline_access grant_management_query grant_management_revoke"
GRANT_TYPES = ["authorization_code", "refresh_token", "client_credentials", DEVICE, CIBA]


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident with data and a service that manages its grants."""
    return await settle(app, client, scope=SCOPES, grant_types=GRANT_TYPES, backchannel_token_delivery_mode="poll")


async def tokens(home: Household, *, ticked: tuple[str, ...] = (), **asked: str | None) -> dict[str, Any]:
    """Ask, agree on the page, and fetch: the token answer."""
    page = await home.ask(**asked)
    answer = await home.answer(page, {"answer": "agree", "category": list(ticked)})
    _base, query = location(answer)
    body: dict[str, Any] = (await home.party.exchange(query["code"])).json()
    return body


async def made(home: Household, **asked: str | None) -> dict[str, Any]:
    """A grant of its own, with the first agreement in it."""
    return await tokens(home, grant_management_action="create", scope="openid profile offline_access", **asked)


async def second(home: Household) -> str:
    """Another agreement of the same member, about rides; as authorization_details."""
    now = home.building.host.clock.ms()

    def offer(session: Session) -> str:
        content = proposal(categories=[{"category": "mobility", "required": True, "sensitivity": 2}])
        member = str(home.party.client.member_id)
        offered = agreements.propose(
            session, member_id=member, proposal=content, sensitivities=ANY, actor=SYSTEM, now=now - 30 * DAY
        )
        return agreements.approve(session, offered.id, actor=SYSTEM, now=now - 20 * DAY, sealer=None).agreement_id

    return json.dumps([{"type": "data_use", "agreement": await home.building.host.db.write(offer)}])


async def managed(party: Party, method: str, grant_id: str, *, scope: str | None = None) -> httpx2.Response:
    """The API, with a token of the client's own."""
    scope = scope or {"GET": "grant_management_query", "DELETE": "grant_management_revoke"}[method]
    token = (await party.token(grant_type="client_credentials", scope=scope)).json()["access_token"]
    return await party.http.request(method, f"/oauth/grants/{grant_id}", headers={"authorization": f"Bearer {token}"})


async def bank(home: Household, token: str, category: str) -> int:
    """What the information bank answers."""
    headers = {"authorization": f"Bearer {token}"}
    return (await home.http.get("/api/bank/records", params={"category": category}, headers=headers)).status_code


def refused(answer: httpx2.Response) -> str:
    """The error a redirect carries to the client."""
    return location(answer)[1]["error"]


async def test_metadata_says_what_can_be_managed_and_where(app: Building, client: httpx2.AsyncClient) -> None:
    """Section 7.1."""
    said = (await client.get("/.well-known/oauth-authorization-server")).json()
    assert said["grant_management_endpoint"] == f"{app.settings.issuer}/oauth/grants"
    assert set(said["grant_management_actions_supported"]) == {"query", "revoke", "create", "merge", "replace"}
    assert said["grant_management_action_required"] is False


async def test_create_makes_a_grant_apart_and_names_it_at_each_token_answer(home: Household) -> None:
    """Sections 5.2 and 5.5: a fresh one each time; the id in the token answer, never in the authorization response."""
    page = await home.ask(grant_management_action="create", scope="openid offline_access")
    _base, query = location(await home.answer(page, {"answer": "agree"}))
    assert "grant_id" not in query  # section 5.3
    first = (await home.party.exchange(query["code"])).json()
    assert (await home.party.refresh(first["refresh_token"])).json()["grant_id"] == first["grant_id"]
    other = await made(home)
    assert other["grant_id"] != first["grant_id"]
    plain = await home.party.exchange(await home.party.code(scope="openid"))
    assert "grant_id" not in plain.json(), "who does not manage grants is told none"


async def test_a_grant_of_scopes_alone_is_asked_for_and_never_remembered(home: Household) -> None:
    """Section 5.2: `create` is a fresh grant, so what is remembered answers nothing, not even for prompt=none."""
    party = home.party
    await party.code(scope="openid profile")
    assert refused(await party.authorize(party.request(grant_management_action="create", prompt="none"))) == (
        "consent_required"
    )
    code = await party.code(scope="openid profile", grant_management_action="create")
    grant_id = (await party.exchange(code)).json()["grant_id"]
    found = await party.building.host.db.read(grants.list_for, party.account_id)
    assert sorted(each.kind for each in found) == ["managed", "sign-in"]
    assert (await managed(party, "GET", grant_id)).json()["scopes"] == [{"scope": "openid profile"}]


async def test_merging_shows_what_stays_and_the_new_tokens_carry_all_of_it(home: Household) -> None:
    """Section 5.2: what is agreed to now and what was; former refresh tokens end, a former access token says no more
    than it did."""
    first = await made(home)
    page = await home.ask(
        grant_management_action="merge",
        grant_id=first["grant_id"],
        authorization_details=await second(home),
        scope="openid email",
    )
    shown = await home.get(page, lang="en")
    assert "What you agreed to before stays:" in shown.text
    stays = re.search(r'id="amends-others">(.*?)</ul>', shown.text, re.DOTALL)
    assert stays is not None
    assert "check-up" in stays[1].lower()
    assert "hanako@example.jp" in shown.text
    assert "湊 花子" in shown.text, "the parts of the profile it keeps are shown with the new ones"
    _base, query = location(await home.answer(page, {"answer": "agree"}))
    merged = (await home.party.exchange(query["code"])).json()
    assert merged["grant_id"] == first["grant_id"]
    assert set(merged["scope"].split()) == {"openid", "profile", "offline_access", "email"}
    assert len(merged["authorization_details"]) == 2
    for category in ("health_checkup", "mobility"):
        assert await bank(home, merged["access_token"], category) == 200
    assert (await home.party.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    assert await bank(home, first["access_token"], "health_checkup") == 200
    assert await bank(home, first["access_token"], "mobility") == 403
    assert (await home.party.refresh(merged["refresh_token"])).json()["grant_id"] == first["grant_id"]
    (entry,) = await home.building.host.db.read(audit.entries, action="identity.grant.merged")
    assert entry.object_id == first["grant_id"]


async def test_merging_more_of_an_agreement_keeps_what_was_ticked_before(home: Household) -> None:
    """Section 5.2, and the resident's own word: both parts stand in one list, and either can be unticked."""
    first = await tokens(home, ticked=("mobility",), grant_management_action="create")
    narrow = {"type": "data_use", "agreement": home.agreement_id, "datatypes": ["health_checkup", "vaccination"]}
    merge = {"grant_management_action": "merge", "grant_id": first["grant_id"]}
    page = await home.ask(**merge, authorization_details=json.dumps([narrow]))
    shown = (await home.get(page)).text
    boxes = dict(re.findall(r'<input type="checkbox"[^>]* value="([a-z_]+)"( checked)?>', shown))
    assert boxes == {"vaccination": "", "mobility": " checked"}
    _base, query = location(await home.answer(page, {"answer": "agree", "category": ["mobility", "vaccination"]}))
    merged = (await home.party.exchange(query["code"])).json()
    (detail,) = merged["authorization_details"]
    assert detail["datatypes"] == ["health_checkup", "mobility", "vaccination"]
    assert detail["consent"] == first["authorization_details"][0]["consent"], "one consent, changed"


async def test_replacing_ends_at_once_what_is_no_longer_in_it_and_the_page_said_so(home: Household) -> None:
    """Sections 5.2 and 10: only what is agreed to now; every token from before ends with the answer (I5)."""
    first = await made(home)
    (consent,) = await home.consents()
    page = await home.ask(
        grant_management_action="replace",
        grant_id=first["grant_id"],
        authorization_details=await second(home),
        scope="openid",
    )
    shown = (await home.get(page, lang="en")).text
    assert "If you agree, this ends:" in shown
    assert "It does not learn this any more:" in shown
    _base, query = location(await home.answer(page, {"answer": "agree"}))
    assert (await home.party.introspect(first["access_token"])) == {"active": False}
    assert await bank(home, first["access_token"], "health_checkup") == 401
    assert (await home.party.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    replaced = (await home.party.exchange(query["code"])).json()
    assert replaced["grant_id"] == first["grant_id"]
    assert replaced["scope"] == "openid"
    assert await bank(home, replaced["access_token"], "mobility") == 200
    assert await bank(home, replaced["access_token"], "health_checkup") == 403
    now = home.building.host.clock.ms()
    record = await home.building.host.db.read(records.get, consent, account_id=home.party.account_id, now=now)
    assert record.state == "withdrawn"
    said = (await managed(home.party, "GET", first["grant_id"])).json()
    assert said["scopes"] == [{"scope": "openid"}]
    assert said["authorization_details"] == replaced["authorization_details"]
    again = await tokens(home, grant_management_action="replace", grant_id=first["grant_id"], scope="openid")
    assert (await home.party.introspect(again["access_token"]))["active"], "a grant may be replaced many times"
    assert (await home.party.introspect(replaced["access_token"])) == {"active": False}


async def test_a_refusal_changes_nothing_of_the_grant(home: Household) -> None:
    """Section 5.2: permissions consented to; none were."""
    first = await made(home)
    page = await home.ask(grant_management_action="replace", grant_id=first["grant_id"], scope="openid")
    assert refused(await home.answer(page, {"answer": "refuse"})) == "access_denied"
    assert await bank(home, first["access_token"], "health_checkup") == 200
    assert (await home.party.refresh(first["refresh_token"])).status_code == 200


async def test_an_answer_to_another_state_of_the_grant_than_was_shown_is_refused(home: Household) -> None:
    """Nothing is kept and nothing ended that was not on the page, though two pages wait at once."""
    first = await made(home)
    asked = {"grant_management_action": "replace", "grant_id": first["grant_id"]}
    early = await home.ask(**asked, scope="openid")
    shown = await home.get(early)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown.text))
    await tokens(home, grant_management_action="merge", grant_id=first["grant_id"], scope="openid email")
    late = await home.post(early, hidden | {"answer": "agree"})
    assert late.status_code == 409
    del hidden["grant_shown"]
    assert (await home.post(early, hidden | {"answer": "agree"})).status_code == 400
    (found,) = await home.building.host.db.read(grants.list_for, home.party.account_id)
    assert "email" in found.scopes


async def test_of_two_answers_at_once_one_replaces_the_grant(home: Household) -> None:
    """I7: both pages showed the same state; only one of the answers is to it."""
    first = await made(home)
    asked = {"grant_management_action": "replace", "grant_id": first["grant_id"], "scope": "openid"}
    pages = [await home.ask(**asked), await home.ask(**asked)]
    answers = await asyncio.gather(*(home.answer(page, {"answer": "agree"}) for page in pages))
    assert sorted(answer.status_code for answer in answers) == [303, 409]


BAD: tuple[tuple[dict[str, str | None], str], ...] = (
    ({"grant_id": "grt_x"}, "invalid_request"),
    ({"grant_management_action": "create", "grant_id": "grt_x"}, "invalid_request"),
    ({"grant_management_action": "merge"}, "invalid_request"),
    ({"grant_management_action": "replace"}, "invalid_request"),
    ({"grant_management_action": "update", "grant_id": "grt_x"}, "invalid_request"),
    ({"grant_management_action": "revoke", "grant_id": "grt_x"}, "invalid_request"),
    ({"grant_management_action": "merge", "grant_id": "grt_x"}, "invalid_grant_id"),
    ({"grant_management_action": "merge", "grant_id": "x" * 200}, "invalid_grant_id"),
)


async def test_errors_of_a_request_are_the_same_pushed_and_redirected(party: Party) -> None:
    """Section 5.4, row by row."""
    for asked, error in BAD:
        request = party.request(**asked)
        assert refused(await party.authorize(request)) == error, asked
        pushed = await party.http.post("/oauth/par", data=request, headers=party.basic)
        assert (pushed.status_code, pushed.json()["error"]) == (400, error), asked


@pytest.fixture
async def party(app: Building, client: httpx2.AsyncClient) -> Party:
    """A service without data."""
    return await join(app, client, scope=SCOPES, grant_types=GRANT_TYPES, backchannel_token_delivery_mode="poll")


async def test_anothers_grant_is_as_good_as_none(home: Household, party: Party) -> None:
    """Sections 5.2, 6.6 and 10: a grant id leaks; another client gets nothing by it, at no endpoint, and the same words
    as for one that never was."""
    theirs = (await made(home))["grant_id"]
    for action in ("merge", "replace"):
        request = party.request(grant_management_action=action, grant_id=theirs)
        assert refused(await party.authorize(request)) == "invalid_grant_id"
    for method in ("GET", "DELETE"):
        foreign, unknown = await managed(party, method, theirs), await managed(party, method, "grt_none")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json()["detail"] == unknown.json()["detail"]
    assert (await managed(home.party, "GET", theirs)).status_code == 200


async def test_another_resident_is_neither_shown_the_grant_nor_added_to_it(app: Building, home: Household) -> None:
    """Section 5.4: an attacker sends their own grant id to a victim, or a victim's to their own browser."""
    first = await made(home)
    asked = home.party.request(grant_management_action="merge", grant_id=first["grant_id"], scope="openid email")
    base, _query = location(await home.party.authorize(asked, signed_in=False))
    other = await settle(app, home.http)  # whoever signs in is somebody else
    page = await other.get(base.removeprefix(home.party.issuer))
    assert refused(page) == "invalid_grant_id"
    home.party.cookie, home.party.session = other.party.cookie, other.party.session
    assert refused(await home.party.authorize(asked)) == "invalid_grant_id"
    found = await app.host.db.read(grants.find, first["grant_id"])
    assert found is not None
    assert "email" not in found.scopes


async def test_a_grant_that_ended_is_changed_by_nobody(home: Household) -> None:
    """Section 5.4: pushed while it stood, answered when it did not."""
    first = await made(home)
    page = await home.ask(grant_management_action="merge", grant_id=first["grant_id"], scope="openid")
    assert (await managed(home.party, "DELETE", first["grant_id"])).status_code == 204
    assert refused(await home.get(page)) == "invalid_grant_id"
    again = await made(home)
    page = await home.ask(grant_management_action="merge", grant_id=again["grant_id"], scope="openid")
    advance(home.building, 181 * DAY // 1000)  # its consent ran out by the clock; no job has been by
    assert (await home.get(page)).status_code in (303, 404)
    assert await home.building.host.db.read(audit.entries, action="identity.grant.merged") == []


async def test_revoking_ends_tokens_and_consents_in_one_write_and_the_ledger_says_who(home: Household) -> None:
    """Section 6.5, I2 and I5: 204 without a body, and from then on nothing under it, in no process."""
    first = await made(home)
    (consent,) = await home.consents()
    size = len(await home.building.host.db.read(audit.entries))
    gone = await managed(home.party, "DELETE", first["grant_id"])
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await home.party.introspect(first["access_token"])) == {"active": False}
    assert await bank(home, first["access_token"], "health_checkup") == 401
    assert (await home.party.refresh(first["refresh_token"])).json()["error"] == "invalid_grant"
    now, db = home.building.host.clock.ms(), home.building.host.db
    record = await db.read(records.get, consent, account_id=home.party.account_id, now=now)
    assert record.state == "ended"
    ending = await db.read(endings.of_consent, consent)
    assert ending is not None
    assert ending.cause == "ended"
    (event,) = await db.read(audit.entries, action="consent.record.ended")
    assert (event.object_id, event.detail["reason"]) == (consent, "grant-revoked")
    assert len(await db.read(audit.entries)) > size
    answers = await asyncio.gather(*(managed(home.party, "DELETE", first["grant_id"]) for _ in range(3)))
    assert {answer.status_code for answer in answers} == {404}


async def test_the_answer_to_a_query_holds_what_was_granted_and_nobodys_name(home: Household) -> None:
    """Sections 6.4 and 9."""
    claims = json.dumps({"userinfo": {"email": None}})
    body = await made(home, claims=claims)
    answer = await managed(home.party, "GET", body["grant_id"])
    said = answer.json()
    assert set(said) == {"scopes", "claims", "authorization_details", "created_at", "last_updated_at"}
    assert said["scopes"] == [{"scope": "openid profile offline_access"}]
    assert {"name", "email"} <= set(said["claims"])
    assert said["authorization_details"] == body["authorization_details"]
    assert answer.headers["cache-control"] == "no-store"
    assert home.party.account_id not in answer.text


async def test_the_api_takes_the_clients_own_token_with_the_scope_and_no_other(home: Household) -> None:
    """Sections 6.1 and 6.6: 401 without a token, 403 with one that is not for it; no resident gives these scopes."""
    body = await made(home)
    address = f"/oauth/grants/{body['grant_id']}"
    assert (await home.http.get(address)).status_code == 401
    residents = {"authorization": f"Bearer {body['access_token']}"}
    assert (await home.http.get(address, headers=residents)).status_code == 403
    for method, scope in (("GET", "grant_management_revoke"), ("DELETE", "grant_management_query")):
        assert (await managed(home.party, method, body["grant_id"], scope=scope)).status_code == 403
    asked = home.party.request(scope="openid grant_management_query")
    assert refused(await home.party.authorize(asked)) == "invalid_scope"


async def test_a_public_client_manages_no_grants(app: Building, client: httpx2.AsyncClient) -> None:
    """Section 5.1."""
    party = await join(app, client, token_endpoint_auth_method="none")
    request = party.request(grant_management_action="create")
    assert refused(await party.authorize(request)) == "unauthorized_client"


async def test_devices_and_counters_may_ask_for_it_too(home: Household) -> None:
    """Section 5.2: any request that serves as an authorization request."""
    party = home.party
    for path, asked in (
        ("/oauth/device_authorization", {"scope": "openid"}),
        ("/oauth/backchannel-authentication", {"scope": "openid", "login_hint": "nobody"}),
    ):
        bad = {**asked, "grant_management_action": "merge", "grant_id": "grt_none"}
        answer = await party.http.post(path, data=bad, headers=party.basic)
        assert answer.json()["error"] == "invalid_grant_id"
    asked = {"scope": "openid", "grant_management_action": "create"}
    begun = (await party.http.post("/oauth/device_authorization", data=asked, headers=party.basic)).json()
    taken = await home.post("/device", {"user_code": begun["user_code"]})
    await home.answer(taken.headers["location"].removeprefix(party.issuer), {"answer": "agree"})
    body = (await party.token(grant_type=DEVICE, device_code=begun["device_code"])).json()
    assert (await managed(party, "GET", body["grant_id"])).json()["scopes"] == [{"scope": "openid"}]
