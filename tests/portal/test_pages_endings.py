"""Whether the recipient knows that a consent is over, on the resident's page."""

import httpx2
import pytest

from consent import endings
from identity.oauth.holder import Holder
from identity.tokens import Tokens, new_jti
from kit.clock import HOUR
from portal.app import Building
from tests.support.household import Household, settle
from tests.support.relying_party import advance, sign_in
from tests.support.signer import Signer


def own_headers(home: Household) -> dict[str, str]:
    host = home.building.host
    tokens = host.get(Tokens)
    made = tokens.access_token(
        home.party.client,
        jti=new_jti(),
        audience=tokens.issuer,
        scopes=(),
        now=host.clock.ms(),
        holder=Holder(),
    )
    return {"authorization": f"Bearer {made}"}


async def _told(home: Household, consent_id: str, lang: str) -> str:
    page = (await home.get(f"/consents/{consent_id}", lang=lang)).text
    return page.partition('<div id="told"')[2].partition("</div>")[0]


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("ja", ("まだ伝わっていません", "に伝わりました", "という連絡がありました", "市のセキュリティ担当に知らせて")),
        ("en", ("could not be told yet", "was told on", "stopped, and deleted this data", "security team knows")),
    ],
)
async def test_the_page_says_told_confirmed_or_overdue_in_plain_words(
    app: Building, client: httpx2.AsyncClient, lang: str, words: tuple[str, ...]
) -> None:
    signer = Signer()
    home = await settle(app, client, jwks=signer.jwks)
    consent_id = await home.give()
    assert await _told(home, consent_id, lang) == ""
    await home.post(f"/consents/{consent_id}/withdraw", {"answer": "withdraw"})
    not_told, told, confirmed, overdue = words
    assert not_told in await _told(home, consent_id, lang)

    headers, host = own_headers(home), app.host
    follow = {"delivery": {"method": "urn:ietf:rfc:8936"}}
    assert (await client.put("/consent/stream", json=follow, headers=headers)).status_code == 200
    ask = {"returnImmediately": True}
    found = (await client.post("/consent/stream/poll", json=ask, headers=headers)).json()["sets"]
    await client.post("/consent/stream/poll", json={**ask, "ack": list(found)}, headers=headers)
    assert told in await _told(home, consent_id, lang)

    advance(app, 73 * HOUR / 1000)
    await sign_in(home.party)
    await host.db.write(endings.escalate, before=host.clock.ms() - 72 * HOUR, now=host.clock.ms())
    assert overdue in await _told(home, consent_id, lang)

    (token,) = found.values()
    statement = signer.confirm(token, client_id=home.party.client.id, now_ms=host.clock.ms())
    late = {**own_headers(home), "content-type": "application/jwt"}
    assert (await client.post("/consent/acknowledgements", content=statement, headers=late)).status_code == 200
    assert confirmed in await _told(home, consent_id, lang)
    shown = await home.http.get(f"/api/consent/records/{consent_id}", headers=home._headers(lang, True))
    assert shown.json()["recipient_told"]["statement"] == statement


async def test_a_consent_its_recipient_ended_says_so_and_not_that_the_resident_took_it_back(
    app: Building, client: httpx2.AsyncClient
) -> None:
    home = await settle(app, client)
    consent_id, mine = await home.give(), own_headers(home)
    path = f"/consent/records/{consent_id}/end"
    assert (await client.post(path, json={"reason": "hanako moved"}, headers=mine)).status_code == 422
    stranger = {"authorization": "Bearer made-up"}
    assert (await client.post(path, json={"reason": "other"}, headers=stranger)).status_code == 401
    done = await client.post(path, json={"reason": "service-ends"}, headers=mine)
    assert (done.status_code, done.json()["state"]) == (200, "ended")
    assert (await client.post(path, json={"reason": "other"}, headers=mine)).status_code == 409
    page = (await home.get(f"/consents/{consent_id}", lang="en")).text
    assert "They ended it." in page
    assert "You took it back" not in page
    listed = (await home.get("/consents", lang="en")).text
    assert "They ended it" in listed


async def test_another_recipients_consent_is_as_good_as_none(app: Building, client: httpx2.AsyncClient) -> None:
    home, other = await settle(app, client), await settle(app, client)
    consent_id = await home.give()
    path = f"/consent/records/{consent_id}/end"
    refused = await client.post(path, json={"reason": "other"}, headers=own_headers(other))
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/consent/unknown-consent")
