"""Claims asked for one by one, levels a client can't do without, signed userinfo (OpenID Connect Core section 5)."""

import json
from dataclasses import replace
from typing import Any

import pytest

from identity.accounts import change_profile, profile
from keys.envelope import Sealer
from keys.jose import verify_with_jwks
from kit import audit
from kit.host import Actor
from tests.support.relying_party import Party, advance, join, location, sign_in

AAL1, AAL2 = "urn:sekisho:aal:1", "urn:sekisho:aal:2"


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def id_token(party: Party, tokens: dict[str, Any]) -> dict[str, Any]:
    keys = (await party.http.get("/oauth/jwks")).json()
    return verify_with_jwks(tokens["id_token"], keys, algs=["ES256"], typ=None)[1]


async def userinfo(party: Party, tokens: dict[str, Any]) -> Any:
    return await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})


def asking(**members: Any) -> str:
    return json.dumps(members)


async def test_single_claims_go_where_they_were_asked_for(party: Party) -> None:
    """Section 5.5: beyond the scopes, in userinfo and in the ID token, after refresh too."""
    wanted = asking(
        userinfo={"email": {"essential": True}, "favourite_tea": None},
        id_token={"birthdate": None, "auth_time": {"essential": True}},
    )
    tokens = (
        await party.exchange(await party.code(scope="openid offline_access", prompt="consent", claims=wanted))
    ).json()
    said = await id_token(party, tokens)
    assert said["birthdate"] == "1988-04-02"
    assert said["auth_time"]
    assert "email" not in said
    assert "name" not in said
    told = (await userinfo(party, tokens)).json()
    assert told.keys() == {"sub", "email"}
    again = (await party.refresh(tokens["refresh_token"])).json()
    assert (await id_token(party, again))["birthdate"] == "1988-04-02"
    assert (await userinfo(party, again)).json().keys() == {"sub", "email"}
    recorded = await party.building.host.db.read(audit.entries, action="identity.claims.told")
    assert [entry.detail["claims"] for entry in recorded][:2] == [["birthdate"], ["email"]]


@pytest.mark.parametrize("first_party", [False, True])
async def test_a_claim_beyond_the_clients_scopes_is_left_out(app: Any, client: Any, first_party: bool) -> None:
    """Section 5.5.1: not an error, but not told either: the registered scopes are the bound, with a page or without."""
    party = await join(app, client, scope="openid email", first_party=first_party)
    wanted = asking(
        userinfo={"address": None, "email": None}, id_token={"birthdate": {"essential": True}, "name": None}
    )
    tokens = (await party.exchange(await party.code(scope="openid", claims=wanted))).json()
    assert (await userinfo(party, tokens)).json().keys() == {"sub", "email"}
    assert not {"birthdate", "name"} & (await id_token(party, tokens)).keys()
    pushed = await client.post(
        "/oauth/par", data=party.request(scope="openid", claims=wanted, prompt="consent"), headers=party.basic
    )
    come = {"client_id": party.client.id, "request_uri": pushed.json()["request_uri"]}
    page = await party.authorize(come)
    shown = await client.get(page.headers["location"], headers={"cookie": f"sekisho-local={party.cookie}"})
    assert "hanako@example.jp" in shown.text
    assert "潮見1-2-3" not in shown.text


async def test_the_resident_is_asked_for_a_single_claim_once(party: Party) -> None:
    """A remembered grant answers for what it holds, and for no claim more."""
    await party.code(scope="openid")
    more = party.request(scope="openid", prompt="none", claims=asking(userinfo={"email": None}))
    assert location(await party.authorize(more))[1]["error"] == "consent_required"
    page = await party.authorize(party.request(scope="openid", claims=asking(userinfo={"email": None})))
    shown = await party.http.get(page.headers["location"], headers={"cookie": f"sekisho-local={party.cookie}"})
    assert "hanako@example.jp" in shown.text
    await party.agree(page)
    assert "code" in location(await party.authorize(more))[1]
    covered = party.request(scope="openid", prompt="none", claims=asking(id_token={"email": None}))
    assert "code" in location(await party.authorize(covered))[1]
    other = party.request(scope="openid", prompt="none", claims=asking(userinfo={"address": None}))
    assert location(await party.authorize(other))[1]["error"] == "consent_required"


async def test_a_level_the_client_cannot_do_without_is_reached_or_refused(party: Party) -> None:
    """Section 5.5.1.1; OpenID Connect Core Error Code unmet_authentication_requirements 1.0."""
    essential = asking(id_token={"acr": {"essential": True, "values": [AAL2]}})
    code = await party.code(claims=essential)
    assert (await id_token(party, (await party.exchange(code)).json()))["acr"] == AAL2
    await sign_in(party, acr=AAL1)
    silent = party.request(prompt="none", claims=essential)
    assert location(await party.authorize(silent))[1]["error"] == "unmet_authentication_requirements"
    page = await party.authorize(party.request(claims=essential))
    assert "/interaction/" in location(page)[0]  # one chance to step up
    advance(party.building, 1)
    await sign_in(party, acr=AAL1)
    assert (await party.agree(page))["error"] == "unmet_authentication_requirements"
    unknown = party.request(claims=asking(id_token={"acr": {"essential": True, "value": "urn:other:9"}}))
    assert location(await party.authorize(unknown))[1]["error"] == "unmet_authentication_requirements"
    wish = party.request(prompt="none", claims=asking(id_token={"acr": {"values": ["urn:other:9"]}}))
    assert "code" in location(await party.authorize(wish))[1]


async def test_a_certain_subject_is_that_person_or_nobody(party: Party) -> None:
    """Section 5.5.1, `sub` with a value."""
    tokens = (await party.exchange(await party.code())).json()
    subject = (await id_token(party, tokens))["sub"]
    same = party.request(prompt="none", claims=asking(id_token={"sub": {"value": subject}}))
    assert "code" in location(await party.authorize(same))[1]
    other = party.request(prompt="none", claims=asking(id_token={"sub": {"value": "somebody"}}))
    assert location(await party.authorize(other))[1]["error"] == "login_required"
    both = party.request(claims=asking(id_token={"sub": {"value": "x"}}), id_token_hint=tokens["id_token"])
    assert location(await party.authorize(both))[1]["error"] == "invalid_request"


@pytest.mark.parametrize(
    "text", ["{", "[]", "1", '{"userinfo":[]}', '{"id_token":{"email":true}}', '{"x":"' + "y" * 8200 + '"}']
)
async def test_claims_that_do_not_parse_are_refused(party: Party, text: str) -> None:
    assert location(await party.authorize(party.request(claims=text)))[1]["error"] == "invalid_request"


async def test_a_hint_counts_in_a_pushed_request_too(party: Party) -> None:
    """Section 3.1.2.1, id_token_hint; RFC 9126 section 2.1."""
    tokens = (await party.exchange(await party.code())).json()
    other = await join(party.building, party.http)
    form = {**party.request(prompt="none"), "id_token_hint": tokens["id_token"]}
    pushed = (await party.http.post("/oauth/par", data=form, headers=party.basic)).json()
    come = {"client_id": party.client.id, "request_uri": pushed["request_uri"]}
    party.cookie = other.cookie
    assert location(await party.authorize(come))[1]["error"] == "login_required"


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_userinfo_is_signed_where_the_client_registered_so(app: Any, client: Any, alg: str) -> None:
    """Section 5.3.2."""
    party = await join(app, client, userinfo_signed_response_alg=alg)
    tokens = (await party.exchange(await party.code())).json()
    answer = await userinfo(party, tokens)
    assert answer.headers["content-type"] == "application/jwt"
    keys = (await client.get("/oauth/jwks")).json()
    header, claims = verify_with_jwks(answer.text, keys, algs=[alg], typ=None)
    assert header["alg"] == alg
    assert (claims["iss"], claims["aud"]) == (party.issuer, party.client.id)
    assert claims["sub"] == (await id_token(party, tokens))["sub"]
    assert claims["name"] == "湊 花子"


async def test_a_registered_age_and_level_hold_where_none_is_asked_for(app: Any, client: Any) -> None:
    """OpenID Connect Registration section 2, default_max_age and default_acr_values."""
    party = await join(app, client, default_max_age=60, default_acr_values=[AAL2])
    await party.code()
    advance(app, 61)
    assert location(await party.authorize(party.request(prompt="none")))[1]["error"] == "login_required"
    asked = party.request(prompt="none", max_age="3600")
    assert "code" in location(await party.authorize(asked))[1]
    await sign_in(party, acr=AAL1)
    assert location(await party.authorize(party.request(prompt="none")))[1]["error"] == "login_required"
    assert "code" in location(await party.authorize(party.request(prompt="none", acr_values=AAL1)))[1]


async def test_one_name_for_clients_that_registered_public_subjects(app: Any, client: Any) -> None:
    """Section 8."""
    one = await join(app, client, subject_type="public")
    two = await join(app, client, subject_type="public")
    two.account_id = one.account_id
    await sign_in(two)
    subjects = [
        (await id_token(party, (await party.exchange(await party.code())).json()))["sub"] for party in (one, two)
    ]
    assert subjects[0] == subjects[1]


async def test_a_token_in_the_header_and_one_in_the_body_are_one_too_many(party: Party) -> None:
    """RFC 6750 section 2: which of them counts would be anybody's guess."""
    token = (await party.exchange(await party.code())).json()["access_token"]
    headers = {"authorization": f"Bearer {token}"}
    both = await party.http.post("/oauth/userinfo", data={"access_token": token}, headers=headers)
    assert (both.status_code, both.json()["type"]) == (400, "/problems/identity/ambiguous-token")
    for one in ({"data": {"access_token": token}}, {"headers": headers}, {"data": {"x": "y"}, "headers": headers}):
        assert (await party.http.post("/oauth/userinfo", **one)).status_code == 200


async def test_every_claim_of_the_standard_scopes_that_is_published_comes(app: Any, client: Any) -> None:
    """Sections 5.1, 5.2 and 5.4; Discovery section 3, claims_supported and scopes_supported: what is published is what
    can come, and no claim comes that is not."""
    party = await join(app, client, scope="openid profile email address phone")
    await change(
        party, family_name="湊", given_name="花子", family_name_kana="ミナト", given_name_kana="ハナコ",
        nickname="はな", gender="female", phone="+819012345678",
    )  # fmt: skip
    tokens = (await party.exchange(await party.code(scope="openid profile email address phone"))).json()
    told = (await userinfo(party, tokens)).json()
    said = (await client.get("/.well-known/openid-configuration")).json()
    of_tokens = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "sid"}
    assert set(said["claims_supported"]) - of_tokens - {"verified_claims"} == told.keys() - {"sub"}
    assert {"openid", "profile", "email", "address", "phone"} <= set(said["scopes_supported"])
    assert (told["family_name"], told["given_name"], told["name"]) == ("湊", "花子", "湊 花子")
    assert (told["family_name#ja-Kana-JP"], told["given_name#ja-Kana-JP"]) == ("ミナト", "ハナコ")
    assert told["updated_at"] == party.building.host.clock.ms() // 1000
    assert isinstance(told["updated_at"], int)


async def test_a_number_nobody_rang_is_told_as_such_and_never_without_its_scope(app: Any, client: Any) -> None:
    """Section 5.1, phone_number_verified; a changed number is not the one that was verified."""
    party = await join(app, client, scope="openid profile phone")
    tokens = (await party.exchange(await party.code(scope="openid phone"))).json()
    assert (await userinfo(party, tokens)).json().keys() == {
        "sub"
    }  # section 5.3.2: nothing is told of what is not there
    await change(party, phone="+819012345678")
    told = (await userinfo(party, tokens)).json()
    assert (told["phone_number"], told["phone_number_verified"]) == ("+819012345678", False)
    await change(party, phone_verified=True)
    assert (await userinfo(party, tokens)).json()["phone_number_verified"] is True
    await change(party, phone="+819012345679")
    assert (await userinfo(party, tokens)).json()["phone_number_verified"] is False
    narrow = (await party.exchange(await party.code(scope="openid profile"))).json()
    assert not {"phone_number", "phone_number_verified"} & (await userinfo(party, narrow)).json().keys()
    single = asking(id_token={"phone_number": {"essential": True}, "family_name#ja-Kana-JP": None})
    tokens = (await party.exchange(await party.code(scope="openid", claims=single))).json()
    assert (await id_token(party, tokens))["phone_number"] == "+819012345679"


async def change(party: Party, **said: Any) -> None:
    """The resident's profile, as their own page changes it."""
    host, actor = party.building.host, Actor(kind="resident", id=party.account_id)

    def write(session: Any) -> None:
        before = profile(session, host.get(Sealer), party.account_id)
        now = host.clock.ms()
        change_profile(session, host.get(Sealer), party.account_id, replace(before, **said), now=now, actor=actor)

    await host.db.write(write)
