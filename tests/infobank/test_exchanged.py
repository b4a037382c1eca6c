"""Exchanged tokens at the bank, from the wire (RFC 8693): one service of an organisation acts for another of it."""

from typing import Any

import httpx2
import pytest

from consent import records
from identity import chains, grants, members
from identity.clients import Clients, registration_of
from identity.oauth.exchange import ACCESS_TOKEN
from identity.registration import EXCHANGE
from infobank import anchoring, disclosures
from keys.envelope import Sealer
from kit.clock import HOUR
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building
from tests.support.household import Household, settle
from tests.support.relying_party import Party, join


@pytest.fixture
async def home(app: Building, client: httpx2.AsyncClient) -> Household:
    """A resident who agreed with the service in front."""
    return await settle(app, client)


async def back(home: Household, **registration: Any) -> Party:
    """Another client of the same organisation, which the one in front names as who may act with its tokens."""
    fields: dict[str, Any] = {
        "member_id": home.party.client.member_id,
        "grant_types": ["client_credentials", EXCHANGE],
        "redirect_uris": [],
        "scope": "read",
        "exchange_audiences": [home.party.issuer],
        **registration,
    }
    party = await join(home.building, home.http, **fields)
    registry = home.building.host.get(Clients)

    def name(session: Session) -> None:
        before = registration_of(session, home.party.client.id)
        changed = before.model_copy(update={"may_act": party.client.id})
        home.party.client = registry.replace(session, home.party.client.id, changed, actor=SYSTEM)

    await home.building.host.db.write(name)
    return party


async def agreed(home: Household) -> str:
    """The resident agrees; the access token of the service in front."""
    page = await home.ask()
    answer = await home.answer(page, {"answer": "agree"})
    code = str(answer.headers["location"]).split("code=")[1].split("&")[0]
    return str((await home.party.exchange(code)).json()["access_token"])


async def own(party: Party) -> str:
    return str((await party.token(grant_type="client_credentials")).json()["access_token"])


async def swapped(party: Party, subject: str, actor: str | None) -> str:
    """What comes out of the exchange."""
    form = {"grant_type": EXCHANGE, "subject_token": subject, "subject_token_type": ACCESS_TOKEN}
    if actor is not None:
        form |= {"actor_token": actor, "actor_token_type": ACCESS_TOKEN}
    answer = await party.token(**form)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def fetch(home: Household, token: str) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"}
    return await home.http.get("/api/bank/records", params={"category": "health_checkup"}, headers=headers)


async def test_a_service_reads_for_another_of_its_organisation_and_the_record_names_both(home: Household) -> None:
    """RFC 8693 section 1.1: delegation. I1 and I4: judged now, recorded before it is answered, and anchored."""
    party = await back(home)
    token = await swapped(party, await agreed(home), await own(party))
    assert len((await fetch(home, token)).json()["records"]) == 3
    host = home.building.host
    (row,) = await host.db.read(disclosures.history, home.party.account_id)
    assert (row.client_id, row.for_client_id) == (party.client.id, home.party.client.id)
    said = disclosures.usage(row, {})
    assert (said["receiverSystem"], said["onBehalfOf"]) == (party.client.id, home.party.client.id)
    assert await host.db.write(anchoring.anchor, host.get(Sealer), now=host.clock.ms() + HOUR) == 1
    plain = await fetch(home, await agreed(home))
    assert plain.status_code == 200
    newest, _ = await host.db.read(disclosures.history, home.party.account_id)
    assert (newest.client_id, newest.for_client_id) == (home.party.client.id, None)


async def test_the_consent_is_judged_as_of_now_and_so_is_each_thing_the_token_stands_on(home: Household) -> None:
    """I5: consent, the resident's grant, the subject token, the actor's token, either client, the member."""
    host = home.building.host
    registry, now = host.get(Clients), host.clock.ms()
    party = await back(home)

    async def both() -> tuple[str, str, str]:
        subject, actor = await agreed(home), await own(party)
        token = await swapped(party, subject, actor)
        assert (await fetch(home, token)).status_code == 200
        return subject, actor, token

    async def revoke(whose: Party, token: str) -> None:
        answer = await home.http.post("/oauth/revoke", data={"token": token}, headers=whose.basic)
        assert answer.status_code == 200

    subject, _, token = await both()
    await revoke(home.party, subject)
    assert (await fetch(home, token)).status_code == 401
    _, actor, token = await both()
    await revoke(party, actor)
    assert (await fetch(home, token)).status_code == 401, "an actor's token that ended ends what was exchanged with it"
    assert (await party.introspect(token)) == {"active": False}
    for suspended in (home.party.client.id, party.client.id):
        _, _, token = await both()
        await host.db.write(registry.suspend, suspended, actor=SYSTEM)
        assert (await fetch(home, token)).status_code == 401
        await host.db.write(registry.resume, suspended, actor=SYSTEM)
    _, _, token = await both()
    (consent, *_rest) = await home.consents()
    await host.db.write(
        records.withdraw, host.get(Sealer), consent_id=consent, account_id=home.party.account_id, actor=SYSTEM, now=now
    )
    assert (await fetch(home, token)).status_code == 401
    _, _, token = await both()
    await host.db.write(members.suspend, str(party.client.member_id), actor=SYSTEM, now=now)
    assert (await fetch(home, token)).status_code == 401


async def test_between_the_door_and_the_write_the_same_is_asked_again(home: Household) -> None:
    """I5: the verdict at the door is kept; the write that discloses asks for itself."""
    from identity.bearer import AccessTokens
    from identity.standing import standing

    host = home.building.host
    party = await back(home)
    actor = await own(party)
    access = await host.get(AccessTokens).find(await swapped(party, await agreed(home), actor))
    assert access is not None
    assert (await host.db.write_core(standing, access)).honoured
    acted = access.claims["acting_with"][0]["jti"]
    await host.db.write_core(chains.revoke_token, acted, until=access.expires_at)
    assert not (await host.db.write_core(standing, access)).honoured
    await host.db.write(grants.revoke, str(access.grant_id), actor=SYSTEM, now=host.clock.ms())
    assert not (await host.db.write_core(standing, access)).honoured


async def test_another_organisation_gets_nothing_by_an_exchange(app: Building, home: Household) -> None:
    """Confused deputy: data was agreed to for one recipient, whoever holds a token that came from it."""
    party = await back(home, member_id=(await join(app, home.http)).client.member_id)
    token = await swapped(party, await agreed(home), await own(party))
    refused = await fetch(home, token)
    assert refused.status_code == 403
    assert await app.host.db.read(disclosures.history, home.party.account_id) == ()


async def test_an_impersonation_gets_nothing_because_it_names_nobody(home: Household) -> None:
    """RFC 8693 section 1.1: nobody could tell it from the service in front; a disclosure must say who got it."""
    party = await back(home, exchange_impersonation=True)
    subject = await agreed(home)
    refused = await fetch(home, await swapped(party, subject, None))
    assert refused.status_code == 403
    assert refused.json()["reason"] == "token_ended"
    assert (await fetch(home, await swapped(party, subject, await own(party)))).status_code == 200


async def test_an_exchanged_token_reaches_no_further_than_what_was_agreed(home: Household) -> None:
    """RFC 8693 section 2.1: what was not ticked is not given to who acts, either."""
    party = await back(home)
    token = await swapped(party, await agreed(home), await own(party))
    headers = {"authorization": f"Bearer {token}"}
    answer = await home.http.get("/api/bank/records", params={"category": "mobility"}, headers=headers)
    assert answer.status_code == 403
