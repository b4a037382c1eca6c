"""Signing out, and telling who must know (RP-Initiated, Back-Channel and Front-Channel Logout 1.0)."""

import re
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from identity.clients import Clients
from identity.oidc.backchannel_logout import BackChannelLogout
from identity.sessions import Sessions
from keys.jose import verify_with_jwks
from kit import audit
from kit.fetch import OutgoingSettings
from kit.host import SYSTEM
from tests.support.relying_party import Party, advance, change, join, location, sign_in
from tests.support.site import Site, reply

BYE = "https://clinic.example/bye"
EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
def settings(settings: Any) -> Any:
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",))})


@pytest.fixture
async def party(app: Any, client: Any, site: Site) -> Party:
    return await join(
        app, client, post_logout_redirect_uris=[BYE], backchannel_logout_uri=site.url("/out"),
    )  # fmt: skip


async def id_token(party: Party) -> str:
    tokens = (await party.exchange(await party.code())).json()
    token: str = tokens["id_token"]
    return token


async def claims_of(party: Party, token: str, typ: str | None = None) -> dict[str, Any]:
    keys = (await party.http.get("/oauth/jwks")).json()
    return verify_with_jwks(token, keys, algs=["ES256"], typ=typ)[1]


async def leave(party: Party, **parameters: str) -> Any:
    headers = {"cookie": f"sekisho-local={party.cookie}"}
    return await party.http.get("/oauth/end-session", params=parameters, headers=headers)


async def alive(party: Party) -> bool:
    return await party.building.host.get(Sessions).find(party.cookie) is not None


async def deliver(party: Party) -> int:
    return await party.building.host.get(BackChannelLogout).deliver()


# -- at the wish of a service ------------------------------------------------------------------------------------------


async def test_with_an_id_token_of_the_person_the_wish_is_granted_at_once(party: Party) -> None:
    """RP-Initiated Logout sections 2 and 3; an expired token is a good hint."""
    hint = await id_token(party)
    advance(party.building, 1000)
    response = await leave(party, id_token_hint=hint, post_logout_redirect_uri=BYE, state="s 1")
    assert response.headers["location"] == BYE + "?state=s+1"
    assert "sekisho-local=; Max-Age=0" in response.headers["set-cookie"]
    assert not await alive(party)


async def test_without_one_the_person_is_asked(party: Party) -> None:
    """Section 2: a link alone signs nobody out."""
    response = await leave(party, client_id=party.client.id, post_logout_redirect_uri=BYE, state="s")
    asked = response.headers["location"]
    assert urlsplit(asked).path == "/sign-out"
    assert await alive(party)
    cookie = {"cookie": f"sekisho-local={party.cookie}"}
    page = await party.http.get(asked, headers=cookie)
    assert page.headers["content-security-policy"].endswith("form-action 'self' https://clinic.example")
    then = re.search(r'name="then" value="([^"]+)"', page.text)
    assert then is not None
    origin = {**cookie, "origin": party.issuer}
    elsewhere = await party.http.get("/oauth/signed-out", params={"t": then[1]})
    assert elsewhere.status_code == 400  # a ticket opens only where it belongs
    done = await party.http.post("/sign-out", data={"then": then[1]}, headers=origin)
    assert done.headers["location"] == BYE + "?state=s"
    assert not await alive(party)


async def test_a_hint_about_somebody_else_signs_nobody_out(party: Party) -> None:
    hint = await id_token(party)
    other = await join(party.building, party.http)
    party.cookie = other.cookie
    assert urlsplit((await leave(party, id_token_hint=hint)).headers["location"]).path == "/sign-out"
    assert await alive(party)


async def test_nobody_is_sent_to_an_address_that_is_not_registered(party: Party) -> None:
    """Section 3.1."""
    hint = await id_token(party)
    for parameters in (
        {"post_logout_redirect_uri": BYE},  # of nobody
        {"id_token_hint": hint, "post_logout_redirect_uri": "https://evil.example/"},
        {"id_token_hint": hint, "post_logout_redirect_uri": BYE + "?x=1"},
        {"id_token_hint": hint, "post_logout_redirect_uri": "https://clinic.example/cb"},
        {"client_id": "cli_nobody", "post_logout_redirect_uri": BYE},
        {"id_token_hint": hint, "client_id": "cli_other", "post_logout_redirect_uri": BYE},
        {"id_token_hint": "nonsense", "post_logout_redirect_uri": BYE},
        {"id_token_hint": hint[:-4] + "AAAA", "post_logout_redirect_uri": BYE},
    ):
        refused = await leave(party, **parameters)
        assert refused.status_code == 400, parameters
        assert "location" not in refused.headers
    assert await alive(party)


async def test_nobody_is_sent_to_an_address_that_the_client_gave_up_while_the_page_was_open(party: Party) -> None:
    """Section 3.1: registered when the person goes there, not when the service asked; it may be another's by then."""
    response = await leave(party, client_id=party.client.id, post_logout_redirect_uri=BYE)
    then = parse_qs(urlsplit(response.headers["location"]).query)["then"][0]
    await change(party, post_logout_redirect_uris=["https://clinic.example/goodbye"])
    headers = {"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer}
    page = await party.http.get("/sign-out", params={"then": then}, headers=headers)
    assert BYE not in page.headers["content-security-policy"] + page.text
    done = await party.http.post("/sign-out", data={"then": then}, headers=headers)
    assert done.headers["location"] == "/"
    assert not await alive(party)


@pytest.mark.parametrize("end", ["remove", "suspend"])
async def test_nobody_is_sent_to_an_address_of_a_client_that_is_no_more(party: Party, end: str) -> None:
    """Section 3.1. Closes: a service that was ended for fraud, in whose name this city's address leads on to it. What
    an operator only suspended comes back, but nobody is sent there meanwhile."""
    host = party.building.host
    clients = host.get(Clients)
    hint = (await party.exchange(await party.code())).json()["id_token"]
    response = await leave(party, client_id=party.client.id, post_logout_redirect_uri=BYE)
    then = parse_qs(urlsplit(response.headers["location"]).query)["then"][0]
    await host.db.write(getattr(clients, end), party.client.id, actor=SYSTEM)
    headers = {"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer}
    page = await party.http.get("/sign-out", params={"then": then}, headers=headers)
    assert BYE not in page.headers["content-security-policy"] + page.text
    there = await leave(party, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert BYE not in there.headers["location"]
    assert not await alive(party)  # what was asked is done, and the person stays here
    for token in ("", party.cookie):
        party.cookie = token
        there = await leave(party, client_id=party.client.id, post_logout_redirect_uri=BYE)
        assert there.headers["location"].endswith("/sign-out")


async def test_nobody_signed_in_goes_straight_back(party: Party) -> None:
    party.cookie = ""
    there = await leave(party, client_id=party.client.id, post_logout_redirect_uri=BYE)
    assert there.headers["location"] == BYE
    assert (await leave(party)).headers["location"].endswith("/sign-out")


async def test_a_cross_site_post_is_taken_up_by_a_get_of_ours(party: Party) -> None:
    hint = await id_token(party)
    form = {"id_token_hint": hint, "post_logout_redirect_uri": BYE, "state": "ä"}
    headers = {"sec-fetch-site": "cross-site", "origin": "https://clinic.example"}
    response = await party.http.post("/oauth/end-session", data=form, headers=headers)
    again = urlsplit(response.headers["location"])
    assert again.path == "/oauth/end-session"
    assert {name: values[0] for name, values in parse_qs(again.query).items()} == form


async def test_a_ticket_of_the_sign_out_page_cannot_be_made_up(party: Party) -> None:
    headers = {"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer}
    for ticket in ("https://evil.example/", "AAAA", "x" * 20_000):
        page = await party.http.get("/sign-out", params={"then": ticket[:2000]}, headers=headers)
        assert "evil.example" not in page.headers["content-security-policy"]
    done = await party.http.post("/sign-out", data={"then": "https://evil.example/"}, headers=headers)
    assert done.headers["location"] == "/"


# -- behind the browser's back -----------------------------------------------------------------------------------------


async def test_a_service_is_told_by_a_signed_token_however_the_session_ends(party: Party, site: Site) -> None:
    """Back-Channel Logout sections 2.4 and 2.5."""
    known = await claims_of(party, await id_token(party))
    host = party.building.host
    assert party.session is not None
    await host.db.write(host.get(Sessions).end_all, party.account_id, SYSTEM, reason="containment")
    assert await deliver(party) == 1
    head, _, body = site.asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /out ")
    assert b"content-type: application/x-www-form-urlencoded" in head.lower()
    token = parse_qs(body.decode())["logout_token"][0]
    claims = await claims_of(party, token, "logout+jwt")
    assert claims["events"] == {EVENT: {}}
    assert (claims["iss"], claims["aud"]) == (party.issuer, party.client.id)
    assert (claims["sub"], claims["sid"]) == (known["sub"], known["sid"])
    assert claims["exp"] - claims["iat"] <= 120
    assert "nonce" not in claims
    assert claims["jti"]
    assert await deliver(party) == 0


async def test_a_logout_token_is_no_id_token_and_an_id_token_no_hint_of_another_kind(party: Party, site: Site) -> None:
    """RFC 8725 section 3.11: kinds of tokens are told apart by their type."""
    await id_token(party)
    host = party.building.host
    await host.db.write(host.get(Sessions).end_all, party.account_id, SYSTEM)
    await deliver(party)
    token = parse_qs(site.asked[0].partition(b"\r\n\r\n")[2].decode())["logout_token"][0]
    answer = location(await party.authorize(party.request(id_token_hint=token)))[1]
    assert answer["error"] == "invalid_request"


async def test_what_fails_is_tried_again_and_in_the_end_given_up(party: Party, site: Site) -> None:
    """Section 2.8: 200 or 204 is success."""
    await id_token(party)
    host = party.building.host
    site.answer = lambda _: reply(b"", "503 Busy")
    await host.db.write(host.get(Sessions).end_all, party.account_id, SYSTEM)
    assert await deliver(party) == 0
    assert await deliver(party) == 0
    assert len(site.asked) == 1  # not before its time
    advance(party.building, 6)
    await deliver(party)
    advance(party.building, 6)
    await deliver(party)
    assert len(site.asked) == 2  # ever later
    advance(party.building, 10)
    site.answer = lambda _: reply(b"", "204 No Content")
    assert await deliver(party) == 1
    sent = [parse_qs(one.partition(b"\r\n\r\n")[2].decode())["logout_token"][0] for one in site.asked]
    names = {(await claims_of(party, one, "logout+jwt"))["jti"] for one in sent}
    assert len(names) == 1  # sections 2.4 and 2.6, RFC 8417 section 2.2: told again, it is known by its name
    await sign_in(party)
    await id_token(party)
    site.answer = lambda _: reply(b"", "500 Broken")
    await host.db.write(host.get(Sessions).end_all, party.account_id, SYSTEM)
    await deliver(party)
    advance(party.building, 25 * 3600)
    await deliver(party)
    before = len(site.asked)
    advance(party.building, 25 * 3600)
    await deliver(party)
    assert len(site.asked) == before
    given_up = await host.db.read(audit.entries, action="identity.logout.undelivered")
    assert [entry.detail["why"] for entry in given_up] == ["status-500"]


async def test_who_signs_in_again_keeps_the_services_and_they_are_told_of_what_they_know(
    party: Party, site: Site
) -> None:
    known = await claims_of(party, await id_token(party))
    host, sessions = party.building.host, party.building.host.get(Sessions)
    old = party.session
    assert old is not None
    party.cookie, party.session = await host.db.write(
        sessions.begin, party.account_id, acr=old.acr, amr=old.amr, replaces=old.id
    )
    assert await deliver(party) == 0
    await host.db.write(sessions.end_all, party.account_id, SYSTEM)
    assert await deliver(party) == 1
    token = parse_qs(site.asked[0].partition(b"\r\n\r\n")[2].decode())["logout_token"][0]
    assert (await claims_of(party, token, "logout+jwt"))["sid"] == known["sid"]


# -- through the browser -----------------------------------------------------------------------------------------------


async def test_exactly_the_sessions_services_are_framed(app: Any, client: Any) -> None:
    """Front-Channel Logout sections 2 and 3."""
    party = await join(
        app, client, post_logout_redirect_uris=[BYE], frontchannel_logout_uri="https://clinic.example/front?a=1",
        frontchannel_logout_session_required=True,
    )  # fmt: skip
    other = await join(app, client, frontchannel_logout_uri="https://clinic.example/other")
    hint = await id_token(party)
    known = await claims_of(party, hint)
    response = await leave(party, id_token_hint=hint, post_logout_redirect_uri=BYE)
    assert urlsplit(response.headers["location"]).path == "/oauth/signed-out"
    page = await client.get(response.headers["location"])
    assert page.headers["content-security-policy"].endswith("; frame-src https://clinic.example")
    expected = f"https://clinic.example/front?a=1&amp;iss={quote(party.issuer, safe='')}&amp;sid={known['sid']}"
    assert f'<iframe src="{expected}"' in page.text
    assert other.client.id not in page.text
    assert "/other" not in page.text
    assert f'href="{BYE}"' in page.text
    assert not await alive(party)
    await change(party, post_logout_redirect_uris=["https://clinic.example/goodbye"])
    assert BYE not in (await client.get(response.headers["location"])).text
    assert (await client.get("/oauth/signed-out?t=AAAA")).status_code == 400


async def test_discovery_says_so(client: Any) -> None:
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["end_session_endpoint"].endswith("/oauth/end-session")
    for name in ("backchannel", "frontchannel"):
        assert said[f"{name}_logout_supported"] is True
        assert said[f"{name}_logout_session_supported"] is True
