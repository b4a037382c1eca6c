"""Cases of tests.portal.test_every_write. What services call."""

import re
from typing import Any

from identity import grants
from identity.oauth.holder import Holder
from identity.signals.events import SUPPORTED
from identity.tokens import Tokens, new_jti
from tests.portal.writes.base import World, case
from tests.support.bank import CHECKUP, Bank
from tests.support.household import Household
from tests.support.relying_party import Party
from tests.support.signer import Signer


def own_token(w: World, party: Party, *scopes: str) -> dict[str, str]:
    """A token of the client's own."""
    tokens = w.app.host.get(Tokens)
    made = tokens.access_token(
        party.client, jti=new_jti(), audience=tokens.issuer, scopes=scopes, now=w.app.host.clock.ms(), holder=Holder()
    )
    return {"authorization": f"Bearer {made}"}


@case("POST /api/consent/decision")
async def post_api_consent_decision(w: World) -> Any:
    home = await w.home()
    body = {"consent": await home.give(), "categories": ["health_checkup"]}
    return await w.http.post("/api/consent/decision", json=body, headers=own_token(w, home.party))


@case("POST /consent/decisions")
async def post_consent_decisions(w: World) -> Any:
    home = await w.home()
    body = {"decisions": [{"consent": await home.give(), "categories": ["health_checkup"]}]}
    return await w.http.post("/consent/decisions", json=body, headers=own_token(w, home.party))


async def follow(w: World, party: Party) -> Any:
    body = {"delivery": {"method": "urn:ietf:rfc:8936"}}
    return await w.http.put("/consent/stream", json=body, headers=own_token(w, party))


@case("PUT /consent/stream")
async def put_consent_stream(w: World) -> Any:
    return await follow(w, await w.party())


@case("DELETE /consent/stream")
async def delete_consent_stream(w: World) -> Any:
    party = await w.party()
    await follow(w, party)
    return await w.http.delete("/consent/stream", headers=own_token(w, party))


@case("POST /consent/records/{consent_id}/end")
async def post_consent_records_consent_id_end(w: World) -> Any:
    home = await w.home()
    address = f"/consent/records/{await home.give()}/end"
    return await w.http.post(address, json={"reason": "service-ends"}, headers=own_token(w, home.party))


@case("POST /consent/acknowledgements")
async def post_consent_acknowledgements(w: World) -> Any:
    """The recipient polls what ended, takes it, and confirms it under its key."""
    signer = Signer()
    home = await w.home(jwks=signer.jwks)
    await follow(w, home.party)
    consent_id, headers = await home.give(), own_token(w, home.party)
    await home.post(f"/consents/{consent_id}/withdraw")
    ask = {"returnImmediately": True}
    found = (await w.http.post("/consent/stream/poll", json=ask, headers=headers)).json()["sets"]
    await w.http.post("/consent/stream/poll", json={**ask, "ack": list(found)}, headers=headers)
    assert "consent.ending.told" in w.watch.writes[-1].actions
    last = list(found.values())[-1]
    statement = signer.confirm(last, client_id=home.party.client.id, now_ms=w.app.host.clock.ms())
    headers["content-type"] = "application/jwt"
    return await w.http.post("/consent/acknowledgements", content=statement, headers=headers)


@case("POST /consent/stream/poll")
async def post_consent_stream_poll(w: World) -> Any:
    """What it acknowledges is on its way no more."""
    home = await w.home()
    await follow(w, home.party)
    await home.give()
    headers, found = own_token(w, home.party), {}
    for acks in ([], ["set_" + "0" * 26]):
        body = {"returnImmediately": True, "ack": [*acks, *found]}
        answer = await w.http.post("/consent/stream/poll", json=body, headers=headers)
        found = answer.json()["sets"]
    assert not found
    return answer


@case("POST /api/bank/records")
async def post_api_bank_records(w: World) -> Any:
    """A deposit by a source; and a fetch, which changes something by GET: it leaves a disclosure record."""
    bank = await Bank(w.app, w.http).open()
    await bank.put(bank.hana, "health_checkup", CHECKUP)
    consent = await bank.agree(bank.hana, "health_checkup")
    assert (await bank.fetch(await bank.token(bank.hana, consent, "health_checkup"))).status_code == 200
    token = await bank.token(bank.hana, None, scopes=("openid", "bank:deposit"))
    return await bank.send(token, {"records": [{"category": "health_checkup", "data": CHECKUP}]})


async def service_tokens(home: Household) -> dict[str, Any]:
    """What the service holds after the resident agreed on the page."""
    page = await home.ask(scope="openid")
    answer = await home.answer(page, {"answer": "agree"})
    code = re.search(r"code=([^&]+)", answer.headers["location"])
    assert code, answer.text
    made: dict[str, Any] = (await home.party.exchange(code[1])).json()
    return made


@case("POST /consents/{consent_id}/renew")
async def post_consents_consent_id_renew(w: World) -> Any:
    home = await w.home()
    path = f"/consents/{await home.give()}/renew"
    return await home.answer(path, {"answer": "agree"})


@case("DELETE /oauth/grants/")
async def delete_oauth_grants(w: World) -> Any:
    home = await w.home()
    await home.give()
    (grant,) = await w.app.host.db.read(grants.list_for, home.party.account_id)
    token = own_token(w, home.party, "grant_management_revoke")
    return await w.http.delete(f"/oauth/grants/{grant.id}", headers=token)


async def signals(w: World, party: Party) -> dict[str, str]:
    """A stream of signals of the party's."""
    made = await w.http.post("/ssf/stream", json={"events_requested": list(SUPPORTED)}, headers=own_ssf(w, party))
    return {"stream_id": made.json()["stream_id"]}


def own_ssf(w: World, party: Party) -> dict[str, str]:
    return own_token(w, party, "ssf.manage")


@case("POST /ssf/stream")
async def post_ssf_stream(w: World) -> Any:
    return await w.http.post("/ssf/stream", json={}, headers=own_ssf(w, await w.party()))


@case("PATCH /ssf/stream")
async def patch_ssf_stream(w: World) -> Any:
    party = await w.party()
    body = {**await signals(w, party), "description": "watch"}
    return await w.http.patch("/ssf/stream", json=body, headers=own_ssf(w, party))


@case("PUT /ssf/stream")
async def put_ssf_stream(w: World) -> Any:
    party = await w.party()
    return await w.http.put("/ssf/stream", json=await signals(w, party), headers=own_ssf(w, party))


@case("DELETE /ssf/stream")
async def delete_ssf_stream(w: World) -> Any:
    party = await w.party()
    return await w.http.delete("/ssf/stream", params=await signals(w, party), headers=own_ssf(w, party))


@case("POST /ssf/status")
async def post_ssf_status(w: World) -> Any:
    party = await w.party()
    body = {**await signals(w, party), "status": "paused"}
    return await w.http.post("/ssf/status", json=body, headers=own_ssf(w, party))


@case("POST /ssf/subjects/add")
async def post_ssf_subjects_add(w: World) -> Any:
    party = await w.party()
    body = {**await signals(w, party), "subject": {"format": "email", "email": "a@example.jp"}}
    await w.http.post("/ssf/subjects/remove", json=body, headers=own_ssf(w, party))
    return await w.http.post("/ssf/subjects/add", json=body, headers=own_ssf(w, party))


@case("POST /ssf/subjects/remove")
async def post_ssf_subjects_remove(w: World) -> Any:
    party = await w.party()
    body = {**await signals(w, party), "subject": {"format": "email", "email": "a@example.jp"}}
    return await w.http.post("/ssf/subjects/remove", json=body, headers=own_ssf(w, party))


@case("POST /ssf/verify")
async def post_ssf_verify(w: World) -> Any:
    party = await w.party()
    return await w.http.post("/ssf/verify", json=await signals(w, party), headers=own_ssf(w, party))


@case("POST /ssf/poll/")
async def post_ssf_poll(w: World) -> Any:
    """What it acknowledges is on its way no more."""
    party = await w.party()
    named, headers, found = await signals(w, party), own_ssf(w, party), {}
    await w.http.post("/ssf/verify", json=named, headers=headers)
    for _ in range(2):
        body = {"returnImmediately": True, "ack": list(found)}
        answer = await w.http.post(f"/ssf/poll/{named['stream_id']}", json=body, headers=headers)
        found = answer.json()["sets"]
    assert not found
    return answer
