"""The authorization endpoint's refusals, in the right place (RFC 6749 section 4.1.2.1, RFC 9207, RFC 9700)."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.clients import Clients
from identity.interaction import Interactions
from identity.tokens import Tokens
from kit import audit
from kit.host import SYSTEM
from tests.support.relying_party import REDIRECT, Party, join, location, sign_in


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": "cli_nobody"},
        {"client_id": "x" * 500},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/cb"},
        {"redirect_uri": REDIRECT + "/"},
        {"redirect_uri": REDIRECT + "?x=1"},
        {"redirect_uri": REDIRECT + "#x"},
        {"redirect_uri": "https://CLINIC.example/cb"},
        {"redirect_uri": "https://clinic.example:443/cb"},
        {"redirect_uri": "https://clinic.example/./cb"},
        {"redirect_uri": "https://clinic.example/x/../cb"},
        {"redirect_uri": "https://clinic.example/%63b"},
        {"redirect_uri": "https://clinic.example@evil.example/cb"},
        {"redirect_uri": "https://clinic.example\\@evil.example/cb"},
        {"redirect_uri": "http://clinic.example/cb"},
        {"redirect_uri": "https://clinic.exаmple/cb"},  # a Cyrillic letter
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//clinic.example/cb"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:par_unknown"},
    ],
)
async def test_an_unproved_client_or_address_is_a_page_and_never_a_redirect(
    party: Party, changes: dict[str, str | None]
) -> None:
    response = await party.authorize(party.request(**changes))
    assert response.status_code == 400
    assert "location" not in response.headers
    assert response.headers["content-type"].startswith("text/html")


async def test_two_client_ids_are_a_page(party: Party) -> None:
    query = urlencode(party.request()) + "&client_id=cli_other"
    response = await party.http.get("/oauth/authorize?" + query)
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_a_suspended_client_is_a_page(party: Party) -> None:
    host = party.building.host
    await host.db.write(host.get(Clients).suspend, party.client.id, actor=SYSTEM)
    assert (await party.authorize(party.request())).status_code == 400
    await host.db.write(host.get(Clients).resume, party.client.id, actor=SYSTEM)
    assert (await party.authorize(party.request())).status_code == 303


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"scope": "openid  profile"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"request": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request_object"),
        ({"request_uri": "https://clinic.example/request.jwt"}, "invalid_request_uri"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"resource": "https://unknown.example"}, "invalid_target"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"nonce": "n" * 513}, "invalid_request"),
        ({"state": "s" * 2049}, "invalid_request"),
        ({"id_token_hint": "nonsense"}, "invalid_request"),
        ({"authorization_details": "{"}, "invalid_authorization_details"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": "[1]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"unheard_of"}]'}, "invalid_authorization_details"),
    ],
)
async def test_a_faulty_request_goes_back_to_the_client_with_state_and_iss(
    party: Party, changes: dict[str, str | None], error: str
) -> None:
    base, answer = location(await party.authorize(party.request(**changes)))
    assert base == REDIRECT
    assert answer["error"] == error
    assert answer["iss"] == party.issuer
    assert answer["error_description"]
    assert answer["state"] == (changes.get("state") or "af0ifjsldkj")[:2048]
    assert "code" not in answer


async def test_a_client_without_an_approved_member_may_ask_standard_scopes_only(app: Any, client: Any) -> None:
    party = await join(app, client, member_id=None, scope="openid profile health")
    assert location(await party.authorize(party.request(scope="openid health")))[1]["error"] == "invalid_scope"
    assert "/interaction/" in location(await party.authorize(party.request()))[0]


async def test_the_citys_own_service_needs_no_page_for_standard_scopes(app: Any, client: Any) -> None:
    party = await join(app, client, first_party=True)
    base, answer = location(await party.authorize(party.request(prompt="none")))
    assert base == REDIRECT
    assert (await party.exchange(answer["code"])).status_code == 200
    granted = await party.building.host.db.read(audit.entries, action="identity.grant.given")
    assert len(granted) == 1
    assert "/interaction/" in location(await party.authorize(party.request(scope="openid offline_access")))[0]


async def test_a_hint_at_somebody_else_wants_that_person(party: Party) -> None:
    """OpenID Connect Core section 3.1.2.1, id_token_hint."""
    tokens = (await party.exchange(await party.code())).json()
    same = party.request(prompt="none", id_token_hint=tokens["id_token"])
    assert "code" in location(await party.authorize(same))[1]
    other = await join(party.building, party.http)
    party.account_id = other.account_id
    await sign_in(party)
    _, answer = location(await party.authorize(party.request(prompt="none", id_token_hint=tokens["id_token"])))
    assert answer["error"] == "login_required"
    page = await party.authorize(party.request(id_token_hint=tokens["id_token"]))
    assert "/interaction/" in location(page)[0]
    assert (await party.agree(page))["error"] == "login_required"


async def test_a_level_that_was_not_reached_is_asked_for_once(party: Party) -> None:
    """acr_values is a wish: one chance to step up, then what was reached is said."""
    await party.code()
    await sign_in(party, acr="urn:sekisho:aal:1")
    assert "/interaction/" in location(await party.authorize(party.request(acr_values="urn:sekisho:aal:2")))[0]
    unknown = party.request(acr_values="urn:mace:incommon:iap:silver")
    assert location(await party.authorize(unknown))[0] == REDIRECT


async def test_the_resident_may_refuse(party: Party) -> None:
    base, _ = location(await party.authorize(party.request()))
    interaction_id = base.rsplit("/", 1)[1]
    host = party.building.host
    url = await host.db.write(host.get(Interactions).refuse, interaction_id, account_id=party.account_id)
    assert url.startswith(REDIRECT + "?error=access_denied")
    found = await host.db.read(audit.entries, action="identity.authorization.refused")
    assert found[0].actor_id == party.account_id


async def test_an_interaction_is_answered_once(party: Party) -> None:
    import asyncio

    from identity.errors import UnknownInteraction

    response = await party.authorize(party.request())
    results = await asyncio.gather(*(party.agree(response) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(result, dict) for result in results) == 1
    assert sum(isinstance(result, UnknownInteraction) for result in results) == 3


async def test_a_planted_second_session_cookie_decides_nothing(party: Party) -> None:
    headers = {"cookie": f"sekisho-local=sks_{'A' * 43}; sekisho-local={party.cookie}"}
    response = await party.http.get("/oauth/authorize", params=party.request(prompt="none"), headers=headers)
    assert location(response)[1]["error"] == "login_required"


async def test_pairwise_subjects_differ_between_sectors_only(party: Party) -> None:
    """OpenID Connect Core section 8.1."""
    tokens = party.building.host.get(Tokens)
    here, there = tokens.subject("acc_1", "clinic.example"), tokens.subject("acc_1", "bus.example")
    assert here != there
    assert here == tokens.subject("acc_1", "clinic.example")
    assert "acc_1" not in here


_NAMES = st.sampled_from(
    ["client_id", "redirect_uri", "scope", "state", "prompt", "max_age", "code_challenge", "request_uri", "nonce",
     "authorization_details", "resource", "acr_values", "ui_locales", "login_hint", "id_token_hint", "dpop_jkt"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(_NAMES, st.text(max_size=60), max_size=4), raw=st.binary(max_size=40))
def test_whatever_a_browser_sends_is_a_redirect_or_a_400(fuzzing: Any, changes: dict[str, str], raw: bytes) -> None:
    party, run = fuzzing

    async def send() -> None:
        parameters = {**party.request(), **changes}
        query = urlencode(parameters, errors="replace").encode() + b"&x=" + raw
        reply = await _raw(party, query)
        assert reply in (303, 400)

    run(send())


@pytest.fixture
def fuzzing(settings: Any, clock: Any) -> Any:
    """A building driven from a plain test, for hypothesis."""
    import asyncio

    import httpx2

    from portal.app import create_app

    loop = asyncio.new_event_loop()
    building = create_app(settings, clock=clock)
    running = building.running(jobs=False)
    loop.run_until_complete(running.__aenter__())
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=building), base_url=building.settings.issuer)
    party = loop.run_until_complete(join(building, http))
    yield party, loop.run_until_complete
    loop.run_until_complete(http.aclose())
    loop.run_until_complete(running.__aexit__(None, None, None))
    loop.close()


async def _raw(party: Party, query: bytes) -> int:
    """One GET with a query as bytes, past any client library's own encoding."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/oauth/authorize", "query_string": query,
        "headers": [(b"cookie", b"sekisho-local=" + party.cookie.encode())], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    await party.building(scope, receive, send)
    return int(sent[0]["status"])


@pytest.mark.parametrize("fault", ["nonce=a&nonce=b", "x=%zz", "y=%00", "z=%ff", "=nameless", "&".join(["p=1"] * 101)])
async def test_a_fault_in_one_parameter_is_told_to_the_client(party: Party, fault: str) -> None:
    """RFC 6749 section 4.1.2.1: client and address are whole and its own, so the error goes there, with `state`."""
    query = urlencode({k: v for k, v in party.request().items() if k != "nonce"}) + "&" + fault
    base, answer = location(await party.http.get(f"/oauth/authorize?{query}"))
    assert base == REDIRECT
    assert (answer["error"], answer["state"], answer["iss"]) == ("invalid_request", "af0ifjsldkj", party.issuer)


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_an_address_that_is_not_whole_is_no_place_to_tell(party: Party, name: str) -> None:
    """Twice, or with a fault of its own: whichever of the two is meant, nothing is redirected."""
    good = urlencode(party.request())
    for fault in (f"{name}={party.request()[name]}", f"{name}=%00"):
        answer = await party.http.get(f"/oauth/authorize?{good}&{fault}")
        assert answer.status_code == 400
        assert "location" not in answer.headers
    twice = await party.http.get(f"/oauth/authorize?{good}&state=other&x=%zz")
    assert "state" not in location(twice)[1]
