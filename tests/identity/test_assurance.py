"""Assurance from the wire: verified claims (OpenID Connect for Identity Assurance 1.0), the minimums of clients and
scopes, the page that says what to do, and what a refresh and an exchange are worth."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from identity import accounts
from identity.assurance.verifications import Verifications
from identity.clients import Clients
from identity.levels import AAL1, AAL2, AAL3, of, rank
from identity.settings import IdentitySettings
from keys.envelope import Sealer
from keys.jose import verify_with_jwks
from kit import audit
from kit.host import SYSTEM
from tests.identity.test_oauth_exchange import BOOKING, SCOPES, back, claims, subject, swap
from tests.support.counter import CHIP, TWO, verify
from tests.support.desk import colleague
from tests.support.ida import check_answer
from tests.support.relying_party import PROFILE, Party, advance, join, location, sign_in

FRAMEWORK = "urn:sekisho:trust-framework:counter"
SMALL = {"verification": {"trust_framework": None}, "claims": {"name": None, "birthdate": None}}
WHOLE = {
    "verification": {
        "trust_framework": {"value": FRAMEWORK},
        "assurance_level": None,
        "time": {"max_age": 86_400},
        "evidence": [{"type": {"value": "document"}, "document_details": {"type": None}}],
    },
    "claims": {"name": None, "address": None},
}


def asking(**members: Any) -> str:
    return json.dumps({place: {"verified_claims": one} for place, one in members.items()})


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    found = await join(app, client, verified_claims="evidence")
    await verify(app, client, found.account_id, CHIP)
    return found


async def id_token(party: Party, tokens: dict[str, Any]) -> dict[str, Any]:
    keys = (await party.http.get("/oauth/jwks")).json()
    return verify_with_jwks(tokens["id_token"], keys, algs=["ES256"], typ=None)[1]


async def userinfo(party: Party, tokens: dict[str, Any]) -> dict[str, Any]:
    answer = await party.http.get("/oauth/userinfo", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def tokens_for(party: Party, **changes: str | None) -> dict[str, Any]:
    found: dict[str, Any] = (await party.exchange(await party.code(**changes))).json()
    return found


async def set_assurance(party: Party, ial: int = 0, aal: int = 0, told: Any = "none") -> None:
    host = party.building.host
    await host.db.write(
        host.get(Clients).set_assurance,
        party.client.id,
        minimum_ial=ial,
        minimum_aal=aal,
        verified_claims=told,
        actor=SYSTEM,
    )


# -- verified claims


async def test_verified_claims_go_where_they_were_asked_for_and_nothing_else_goes(party: Party) -> None:
    """Sections 5.2 and 5.3; at refresh too, as things are then."""
    wanted = asking(id_token=SMALL, userinfo=WHOLE)
    tokens = await tokens_for(party, scope="openid offline_access", prompt="consent", claims=wanted)
    said = check_answer((await id_token(party, tokens))["verified_claims"])
    assert said == {
        "verification": {"trust_framework": FRAMEWORK},
        "claims": {"name": "湊 花子", "birthdate": "1988-04-02"},
    }
    heard = await userinfo(party, tokens)
    assert heard.keys() == {"sub", "verified_claims"}
    found = check_answer(heard["verified_claims"])
    assert found["claims"] == {"name": "湊 花子", "address": {"formatted": "湊浜市潮見1-2-3"}}
    assert found["verification"]["assurance_level"] == "urn:sekisho:ial:3"
    (seen,) = found["verification"]["evidence"]
    assert seen == {"type": "document", "document_details": {"type": "jp_individual_number_card"}}
    again = (await party.refresh(tokens["refresh_token"])).json()
    assert (await id_token(party, again))["verified_claims"] == said
    recorded = await party.building.host.db.read(audit.entries, action="identity.claims.told")
    assert [entry.detail["claims"] for entry in recorded][:2] == [
        ["verified:birthdate", "verified:name"],
        ["verified:address", "verified:evidence", "verified:name"],
    ]
    await party.building.host.db.write(
        party.building.host.get(Verifications).end, party.account_id, reason="asked", actor=SYSTEM
    )
    later = (await party.refresh(again["refresh_token"])).json()
    assert "verified_claims" not in await id_token(party, later)
    assert "verified_claims" not in await userinfo(party, later)


async def test_a_claim_wanted_with_a_value_nobody_has_is_left_out_and_the_verification_is_told(party: Party) -> None:
    """Section 5.7.4 and Schema Definition section 5.3, as `ekyc-server-one-claim-with-random-value-omitted` asks."""
    wanted = {"verification": {"trust_framework": None}, "claims": {"name": {"value": "f3b1e6d0-8f4e-4f7c"}}}
    tokens = await tokens_for(party, scope="openid", claims=asking(id_token=wanted, userinfo=wanted))
    said = check_answer((await id_token(party, tokens))["verified_claims"])
    assert said == {"verification": {"trust_framework": FRAMEWORK}, "claims": {}}
    assert (await userinfo(party, tokens))["verified_claims"] == said
    recorded = await party.building.host.db.read(audit.entries, action="identity.claims.told")
    assert [entry.detail["claims"] for entry in recorded] == [["verified:verification"]] * 2


async def test_a_profile_changed_after_the_visit_is_not_verified(party: Party) -> None:
    """The claims are those that a clerk compared, not those of today."""
    host = party.building.host
    await host.db.write(
        accounts.change_profile,
        host.get(Sealer),
        party.account_id,
        replace(PROFILE, name="湊 華"),
        now=host.clock.ms(),
        actor=SYSTEM,
    )
    tokens = await tokens_for(party, scope="openid", claims=asking(userinfo=SMALL))
    assert (await userinfo(party, tokens))["verified_claims"]["claims"]["name"] == "湊 花子"


async def test_the_resident_sees_it_and_is_asked_once(party: Party) -> None:
    """And a remembered grant answers for what it holds only; the city's own services are no exception."""
    page = await party.authorize(party.request(scope="openid", claims=asking(userinfo=WHOLE)))
    shown = await party.http.get(page.headers["location"], headers={"cookie": f"sekisho-local={party.cookie}"})
    section = shown.text.split('id="verified"')[1].split("</section>")[0]
    assert "湊 花子" in section
    assert "潮見1-2-3" in section
    assert "1988" not in section
    assert re.search("マイナンバーカード|Individual Number Card", section)
    await party.agree(page)
    silent = party.request(scope="openid", prompt="none", claims=asking(userinfo=WHOLE))
    assert "code" in location(await party.authorize(silent))[1]
    more = party.request(scope="openid", prompt="none", claims=asking(id_token=SMALL))
    assert location(await party.authorize(more))[1]["error"] == "consent_required"
    own = await join(party.building, party.http, verified_claims="claims", first_party=True)
    asked = own.request(scope="openid", prompt="none", claims=asking(userinfo=SMALL))
    assert location(await own.authorize(asked))[1]["error"] == "consent_required"


async def test_a_client_hears_no_more_than_an_operator_lets_it_and_its_scopes_cover(app: Any, client: Any) -> None:
    """Asked for or not: what was registered is the bound, and taking it back acts at once."""
    party = await join(app, client, scope="openid profile", verified_claims="claims")
    await verify(app, client, party.account_id, TWO)
    both = [SMALL, WHOLE]
    tokens = await tokens_for(party, scope="openid", claims=asking(userinfo=both))
    said = (await userinfo(party, tokens))["verified_claims"]
    assert said == {
        "verification": {"trust_framework": FRAMEWORK},
        "claims": {"name": "湊 花子", "birthdate": "1988-04-02"},
    }
    await set_assurance(party, told="none")
    assert "verified_claims" not in await userinfo(party, tokens)
    asked = await party.authorize(party.request(scope="openid", claims=asking(userinfo=SMALL)))
    assert "code" in location(asked)[1]  # nothing of it is left to ask about


async def test_verified_claims_come_from_a_sure_sign_in_only(party: Party) -> None:
    """Section 10.1: sure proofing behind a guessable password is a false sense of security."""
    await sign_in(party, acr=AAL1)
    silent = party.request(scope="openid", prompt="none", claims=asking(userinfo=SMALL))
    assert location(await party.authorize(silent))[1]["error"] == "login_required"
    page = await party.authorize(party.request(scope="openid", claims=asking(userinfo=SMALL)))
    assert "/interaction/" in location(page)[0]
    advance(party.building, 1)
    await sign_in(party, acr=AAL1)
    assert (await party.agree(page))["error"] == "unmet_authentication_requirements"


async def test_a_malformed_question_is_told_to_the_client_and_a_pushed_one_counts(party: Party) -> None:
    """Section 5.7.6; RFC 9126."""
    wrong = party.request(claims=asking(userinfo={"claims": {}}))
    assert location(await party.authorize(wrong))[1]["error"] == "invalid_request"
    form = party.request(scope="openid", claims=asking(userinfo=SMALL))
    pushed = (await party.http.post("/oauth/par", data=form, headers=party.basic)).json()
    page = await party.authorize({"client_id": party.client.id, "request_uri": pushed["request_uri"]})
    tokens = (await party.exchange((await party.agree(page))["code"])).json()
    assert "verified_claims" in await userinfo(party, tokens)


async def test_the_metadata_say_what_can_be_asked(app: Any, client: Any) -> None:
    """Section 8, with the rules the OpenID Foundation's suite checks."""
    said = (await client.get("/.well-known/openid-configuration")).json()
    assert said["verified_claims_supported"] is True
    assert said["claims_parameter_supported"] is True
    assert said["trust_frameworks_supported"] == [FRAMEWORK]
    assert said["evidence_supported"] == ["document"]
    assert "jp_individual_number_card" in said["documents_supported"]
    assert said["documents_check_methods_supported"] == ["vpip", "vcrypt", "pvp"]
    assert said["claims_in_verified_claims_supported"] == [
        "name", "family_name", "given_name", "birthdate", "address", "gender",
    ]  # fmt: skip
    assert said["acr_values_supported"] == [AAL1, AAL2]


# -- minimums


async def shown(party: Party, page: Any) -> str:
    answer = await party.http.get(page.headers["location"], headers={"cookie": f"sekisho-local={party.cookie}"})
    return str(answer.text) if answer.status_code == 200 else str(answer.headers.get("location"))


async def leave(party: Party, page: Any) -> dict[str, str]:
    headers = {"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer}
    return location(await party.http.post(page.headers["location"], data={"answer": "leave"}, headers=headers))[1]


async def test_who_is_not_verified_is_sent_to_the_counter_and_the_client_told_so_by_name(app: Any, client: Any) -> None:
    """Unmet Authentication Requirements 1.0 section 2; what a clerk alone can do is said in plain words."""
    party = await join(app, client, minimum_ial=2)
    silent = party.request(prompt="none")
    assert location(await party.authorize(silent))[1]["error"] == "unmet_authentication_requirements"
    page = await party.authorize(party.request())
    text = await shown(party, page)
    assert 'id="needs-ial" data-level="2"' in text
    assert 'href="/safety/verified?level=2"' in text
    assert 'id="agree"' not in text
    answer = await party.http.post(
        page.headers["location"],
        data={"answer": "agree"},
        headers={"cookie": f"sekisho-local={party.cookie}", "origin": party.issuer},
    )
    assert location(answer)[1]["error"] == "unmet_authentication_requirements"  # the page can't be passed by
    assert (await leave(party, await party.authorize(party.request())))["error"] == "unmet_authentication_requirements"
    await verify(app, client, party.account_id, TWO)
    assert (await tokens_for(party))["access_token"]


async def test_a_weak_sign_in_is_stepped_up_once_and_never_in_circles(app: Any, client: Any) -> None:
    party = await join(app, client, minimum_aal=2)
    await sign_in(party, acr=AAL1)
    page = await party.authorize(party.request())
    assert "/sign-in?" in await shown(party, page)
    advance(party.building, 1)
    await sign_in(party, acr=AAL1)  # again with the password alone
    text = await shown(party, page)
    assert 'id="needs-aal" data-level="2"' in text
    assert 'id="again"' in text
    advance(party.building, 1)
    await sign_in(party)
    assert 'id="agree"' in await shown(party, page)
    tokens = (await party.exchange((await party.agree(page))["code"])).json()
    assert (await id_token(party, tokens))["acr"] == AAL2


async def test_a_remembered_grant_does_not_pass_a_minimum_by(app: Any, client: Any) -> None:
    party = await join(app, client)
    await party.code(scope="openid")
    await set_assurance(party, ial=1)
    page = await party.authorize(party.request(scope="openid"))
    assert "/interaction/" in location(page)[0]
    assert 'data-level="1"' in await shown(party, page)


async def test_a_refresh_is_worth_what_the_sign_in_and_the_verification_are_worth_now(app: Any, client: Any) -> None:
    """RFC 6749 section 6 adds nothing to a sign-in: a raised minimum stops it, though not for good."""
    party = await join(app, client)
    await sign_in(party, acr=AAL1)
    tokens = await tokens_for(party, scope="openid offline_access", prompt="consent")
    await set_assurance(party, aal=2)
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    await set_assurance(party, ial=2)
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    await verify(app, client, party.account_id, TWO)
    renewed = (await party.refresh(tokens["refresh_token"])).json()
    assert (await id_token(party, renewed))["acr"] == AAL1


async def test_an_exchange_carries_the_sign_in_along_and_makes_no_more_of_it(app: Any, client: Any) -> None:
    """RFC 8693: `acr` is the resident's own; an exchanger that must be surer gets nothing."""
    front = await join(app, client, scope=SCOPES, resources=[BOOKING])
    lab = await back(app, client)
    await sign_in(front, acr=AAL1)
    token = await subject(front)
    done = (await swap(lab, token)).json()
    assert claims(done["access_token"])["acr"] == AAL1
    await set_assurance(lab, aal=2)
    assert (await swap(lab, token)).json()["error"] == "invalid_request"


async def test_operators_set_it_in_the_console_and_clients_never_themselves(app: Any, client: Any) -> None:
    party = await join(app, client)
    operator = await colleague(app, client, "operator")
    place = f"/console/clients/{party.client.id}/assurance"
    wrong = await operator.post(place, {"minimum_ial": "9", "minimum_aal": "2", "verified_claims": "everything"})
    assert wrong.status_code == 422
    assert {"minimum_ial", "verified_claims"} == set(re.findall(r'<a href="#(\w+)">', wrong.text)) - {"main"}
    saved = await operator.post(place, {"minimum_ial": "1", "minimum_aal": "2", "verified_claims": "claims"})
    assert saved.status_code == 303
    assert "identity 1, sign-in 2" in (await operator.get(f"/console/clients/{party.client.id}")).text
    found = await app.host.get(Clients).get(party.client.id)
    assert (found.minimum_ial, found.minimum_aal, found.verified_claims) == (1, 2, "claims")
    clerk = await colleague(app, client, "clerk")
    assert (await clerk.get(place)).status_code == 404


class TestScopes:
    """Minimums of scopes, from the settings."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        strict = IdentitySettings(scope_ial={"address": 2}, scope_aal={"email": 2})
        return settings.model_copy(update={"identity": strict})

    async def test_a_scope_may_need_more_than_its_client_does(self, app: Any, client: Any) -> None:
        party = await join(app, client)
        await sign_in(party, acr=AAL1)
        assert (await tokens_for(party, scope="openid profile"))["access_token"]
        page = await party.authorize(party.request(scope="openid email"))
        assert "/sign-in?" in await shown(party, page)
        await sign_in(party)
        page = await party.authorize(party.request(scope="openid address"))
        assert 'id="needs-ial" data-level="2"' in await shown(party, page)


# -- levels


def test_a_passkey_is_level_3_where_the_city_knows_the_hardware_and_the_key_stays_in_it() -> None:
    """NIST SP 800-63B-4 section 2.3: non-exportable keys only; a synced one never is."""
    assert of(["passkey"]).acr == AAL2
    assert of(["passkey"], trusted_hardware=True).acr == AAL3
    assert of(["passkey"], trusted_hardware=True, key_stays_in_hardware=False).acr == AAL2
    assert of(["password", "totp"], trusted_hardware=True).acr == AAL2
    assert [rank(one) for one in (AAL1, AAL2, AAL3, "urn:other")] == [1, 2, 3, 0]


async def test_who_agreed_while_nothing_was_verified_is_asked_again_when_something_is(app: Any, client: Any) -> None:
    """The page said that the service is told nothing: the day at the counter makes no yes of that, neither for a token
    that is there already nor for a silent request; nor does another visit for what the page showed of the first."""
    party = await join(app, client, verified_claims="evidence")
    wanted = asking(id_token=SMALL, userinfo=WHOLE)
    tokens = await tokens_for(party, scope="openid offline_access", prompt="consent", claims=wanted)
    silent = party.request(scope="openid", prompt="none", claims=wanted)
    assert "code" in location(await party.authorize(silent))[1]  # there is nothing to be told: they said yes to that
    for clerk, seen in (("ura", TWO), ("oda", CHIP)):
        advance(party.building, 1)
        await verify(app, client, party.account_id, seen, by=clerk)
        tokens = (await party.refresh(tokens["refresh_token"])).json()
        assert "verified_claims" not in await userinfo(party, tokens)
        assert "verified_claims" not in await id_token(party, tokens)
        silent = party.request(scope="openid", prompt="none", claims=wanted)
        assert location(await party.authorize(silent))[1]["error"] == "consent_required"
        tokens = await tokens_for(party, scope="openid offline_access", prompt="consent", claims=wanted)
        assert "verified_claims" in await userinfo(party, tokens)
        assert "verified_claims" in await id_token(party, tokens)
        assert "code" in location(await party.authorize(silent))[1]
