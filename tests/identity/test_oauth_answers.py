"""How answers reach the client (Form Post Response Mode, JARM, Multiple Response Types section 2.1)."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.errors import UnknownInteraction
from identity.interaction import Interactions
from identity.oauth.request import MODES
from keys.jose import verify_with_jwks
from tests.support.relying_party import REDIRECT, Party, advance, change, join, location


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client, authorization_signed_response_alg="ES256")


async def completed(party: Party, **changes: str | None) -> Any:
    """The way station that the browser comes to when the resident has agreed."""
    await party.code()  # remembered from here on
    response = await party.authorize(party.request(**changes))
    assert response.status_code == 303
    assert urlsplit(response.headers["location"]).path == "/oauth/answer"
    return await party.http.get(response.headers["location"], headers={"accept-language": "en"})


def fields_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page))


async def keys(party: Party) -> dict[str, Any]:
    found: dict[str, Any] = (await party.http.get("/oauth/jwks")).json()
    return found


async def test_a_form_carries_the_answer_by_a_button_or_a_script_of_ours(party: Party) -> None:
    """Form Post Response Mode section 2; the page may post to this client and to nobody else."""
    page = await completed(party, response_mode="form_post")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "form-action 'self' https://clinic.example" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["cache-control"] == "no-store"
    assert f'<form method="post" action="{REDIRECT}" id="answer">' in page.text
    assert '<button type="submit"' in page.text
    assert re.search(r'<script src="/static/form-post.js[^"]*" defer>', page.text)
    answer = fields_of(page.text)
    assert answer.keys() == {"code", "state", "iss"}
    assert (await party.exchange(answer["code"])).status_code == 200


async def test_state_cannot_break_out_of_the_form(party: Party) -> None:
    page = await completed(party, response_mode="form_post", state='"><script>alert(1)</script>')
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


@pytest.mark.parametrize("mode", ["jwt", "query.jwt"])
async def test_a_signed_answer_comes_in_the_query(party: Party, mode: str) -> None:
    """JARM sections 2.1, 2.3.1 and 2.3.4."""
    base, answer = location(await completed(party, response_mode=mode))
    assert base == REDIRECT
    assert answer.keys() == {"response"}
    header, claims = verify_with_jwks(answer["response"], await keys(party), algs=["ES256"], typ=None)
    assert header["alg"] == "ES256"
    now = party.building.host.clock.ms() // 1000
    assert claims["iss"] == party.issuer
    assert claims["aud"] == party.client.id
    assert now < claims["exp"] <= now + 600
    assert claims["state"] == "af0ifjsldkj"
    assert (await party.exchange(claims["code"])).status_code == 200


async def test_a_signed_answer_comes_by_a_form(party: Party) -> None:
    """JARM section 2.3.3."""
    answer = fields_of((await completed(party, response_mode="form_post.jwt")).text)
    assert answer.keys() == {"response"}
    _, claims = verify_with_jwks(answer["response"], await keys(party), algs=["ES256"], typ=None)
    assert (await party.exchange(claims["code"])).status_code == 200


async def test_errors_take_the_same_way(party: Party) -> None:
    """JARM section 2.1, Form Post Response Mode section 2: errors too."""
    for mode in ("form_post", "jwt", "form_post.jwt"):
        response = await party.authorize(party.request(response_mode=mode, scope="openid admin"))
        page = await party.http.get(response.headers["location"])
        fields = fields_of(page.text) if mode.startswith("form") else location(page)[1]
        if mode.endswith("jwt"):
            fields = verify_with_jwks(fields["response"], await keys(party), algs=["ES256"], typ=None)[1]
        assert fields["error"] == "invalid_scope"
        assert fields["state"] == "af0ifjsldkj"
        assert "code" not in fields


async def test_a_refusal_on_the_page_takes_the_same_way(party: Party) -> None:
    response = await party.authorize(party.request(response_mode="jwt", prompt="consent"))
    assert "/interaction/" in location(response)[0]
    answer = await party.agree(response)
    assert answer.keys() == {"t"}


@pytest.mark.parametrize("mode", ["fragment", "fragment.jwt", "web_message", "QUERY", "query form_post"])
async def test_a_mode_we_would_ignore_is_refused(party: Party, mode: str) -> None:
    answer = location(await party.authorize(party.request(response_mode=mode)))[1]
    assert answer["error"] == "invalid_request"


async def test_an_answer_is_sealed_and_good_for_a_minute(party: Party) -> None:
    await party.code()
    response = await party.authorize(party.request(response_mode="form_post"))
    address = response.headers["location"]
    assert "skc_" not in address
    ticket = parse_qs(urlsplit(address).query)["t"][0]
    for bad in ("", "?t=", "?t=AAAA", f"?t={ticket[:-2]}AA", f"?x={ticket}", f"?t={ticket}&t={ticket}"):
        refused = await party.http.get("/oauth/answer" + bad)
        assert refused.status_code == 400, bad
        assert "skc_" not in refused.text
    advance(party.building, 61)
    assert (await party.http.get(address)).status_code == 400


ELSEWHERE = ["https://clinic.example/other"]


async def test_no_answer_leaves_for_an_address_that_was_taken_from_the_client_meanwhile(party: Party) -> None:
    """RFC 6749 section 4.1.2.1, RFC 9700 section 2.1: a page waits half an hour, and a domain that was given up is
    somebody else's then. Neither a code nor an error nor a state goes there; what was refused stays refused."""
    host = party.building.host
    interactions = host.get(Interactions)
    asked = [
        (await party.authorize(party.request(response_mode=mode, prompt="consent"))) for mode in MODES for _ in "ab"
    ]
    ids = [location(one)[0].rsplit("/", 1)[1] for one in asked]
    await change(party, redirect_uris=ELSEWHERE)
    headers = {"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer}
    for interaction_id in ids[::2]:
        form = {"answer": "refuse", "shown_in": "en"}
        answered = await party.http.post(f"/interaction/{interaction_id}", data=form, headers=headers)
        told = answered.headers["location"]
        page = await party.http.get(told.removeprefix(party.issuer), headers={"accept-language": "en"})
        assert told.startswith(f"{party.issuer}/oauth/answer?t=")
        assert (page.status_code, "location" in page.headers) == (400, False)
        assert REDIRECT not in page.text + page.headers["content-security-policy"]
        assert "redirect_uri is not registered for this client any more" in page.text
        with pytest.raises(UnknownInteraction):
            await host.db.read(interactions.get, interaction_id)
    for one, interaction_id in zip(asked[1::2], ids[1::2], strict=True):
        form = {"answer": "agree", "shown_in": "en"}
        answered = await party.http.post(f"/interaction/{interaction_id}", data=form, headers=headers)
        assert (answered.status_code, "location" in answered.headers) == (404, False)
        with pytest.raises(UnknownInteraction):
            await party.agree(one)
    await change(party, redirect_uris=[REDIRECT])
    assert "code" in await party.agree(asked[1])  # nothing was spent


@pytest.mark.parametrize("mode", ["form_post", "query.jwt"])
async def test_an_answer_that_is_on_its_way_stops_when_its_address_is_taken_away(party: Party, mode: str) -> None:
    await party.code()
    response = await party.authorize(party.request(response_mode=mode))
    await change(party, redirect_uris=ELSEWHERE)
    page = await party.http.get(response.headers["location"])
    assert (page.status_code, "location" in page.headers) == (400, False)
    assert REDIRECT not in page.text


async def test_discovery_lists_the_modes_and_the_algorithms(party: Party) -> None:
    """JARM section 4."""
    said = (await party.http.get("/.well-known/openid-configuration")).json()
    assert said["response_modes_supported"] == ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"]
    assert set(said["authorization_signing_alg_values_supported"]) == {"RS256", "PS256", "ES256", "EdDSA"}


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
async def test_the_registered_algorithm_signs(app: Any, client: Any, alg: str) -> None:
    party = await join(app, client, authorization_signed_response_alg=alg)
    answer = location(await completed(party, response_mode="jwt"))[1]
    header, _ = verify_with_jwks(answer["response"], await keys(party), algs=[alg], typ=None)
    assert header["alg"] == alg
