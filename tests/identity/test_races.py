"""What works once, asked for by many at once (invariant I7): those that no other file shows.

The others stand with what they belong to: codes, refresh tokens, DPoP proofs, assertions, device and counter polls,
initial access tokens, passkey answers, app codes, recovery codes, e-mail codes, resets, visits, upstream answers,
certificates' tickets, managed grants; on PostgreSQL in test_oauth_postgres.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.errors_account import PasskeyRefused
from identity.key_changes import KeyChanges
from identity.passkeys import Passkeys
from identity.signals.feed import Feed
from kit import audit
from kit.fetch import OutgoingSettings
from kit.host import Actor
from tests.identity.registrant import manage, register
from tests.identity.test_oauth_client_auth import ASSERTION_TYPE, good, with_key
from tests.identity.test_oauth_par import come, push
from tests.portal.test_client_keys import Signer, keys_of
from tests.portal.test_email import OLD, actions, deliver, inside, prove
from tests.portal.test_mandates import somebody
from tests.portal.test_signin import ATTEMPT, PASSWORD, PERSON, post
from tests.support.authenticator import Authenticator
from tests.support.desk import colleague
from tests.support.household import Household, settle
from tests.support.letterbox import link_in, post_box
from tests.support.receiver import Receiver
from tests.support.relying_party import Party, join
from tests.support.signals import follow, lock, own_token
from tests.support.site import Site

MANY = 8


@pytest.fixture
def settings(settings: Any) -> Any:
    identity = settings.identity.model_copy(update={"registration": "open"})
    return settings.model_copy(update={"outgoing": OutgoingSettings(allow=("127.0.0.1",)), "identity": identity})


@pytest.fixture
async def party(app: Any, client: Any) -> Party:
    return await join(app, client)


async def statuses(*asked: Awaitable[Any]) -> Counter[int]:
    return Counter(answer.status_code for answer in await asyncio.gather(*asked))


async def test_of_many_pages_for_one_pushed_request_one_gets_a_code(party: Party) -> None:
    """RFC 9126 section 4: used when the authorization completes; the others hear so, at the same address."""
    request_uri = (await push(party)).json()["request_uri"]
    pages = [await come(party, request_uri) for _ in range(MANY)]
    answers = await asyncio.gather(*(party.agree(page) for page in pages))
    assert Counter(answer.get("error", "code") for answer in answers) == {"code": 1, "invalid_request_uri": MANY - 1}


async def test_a_remembered_service_that_pushed_once_gets_one_code_however_often_the_browser_comes(
    party: Party,
) -> None:
    """The same where no page is needed: each arrival would be an answer of its own."""
    await party.code()
    request_uri = (await push(party)).json()["request_uri"]
    answers = await asyncio.gather(*(come(party, request_uri) for _ in range(MANY)))
    codes = [one for one in answers if "code=" in one.headers.get("location", "")]
    assert len(codes) == 1
    assert all(one.status_code in (303, 400) for one in answers)


@pytest.fixture
async def home(app: Any, client: Any) -> Household:
    return await settle(app, client)


async def test_of_answers_at_once_on_one_page_one_counts_and_the_consent_says_the_same(home: Household) -> None:
    """Agreed and refused in two windows: either a code and a consent, or neither."""
    page = await home.ask()
    shown = (await home.get(page)).text
    carried = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', shown))
    said = await asyncio.gather(
        *(home.post(page, {**carried, "answer": one}) for one in ("agree", "refuse", "agree", "refuse"))
    )
    told = [parse_qs(urlsplit(one.headers["location"]).query) for one in said if one.status_code == 303]
    outcomes = [("code" if "code" in one else one["error"][0]) for one in told if "state" in one]
    assert len(outcomes) == 1
    assert len(await home.consents()) == 1
    tokens = outcomes[0] == "code" and (await home.party.exchange(told[0]["code"][0])).json()
    assert bool(tokens and tokens["authorization_details"]) == (outcomes[0] == "code")


async def test_one_assertion_at_every_endpoint_at_once_proves_the_client_at_one(app: Any, client: Any) -> None:
    """RFC 7523 section 3 rule 7: the `jti` is one name for all of them, so no endpoint lends another its proof."""
    party, key = await with_key(app, client)
    proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": good(party, key)}
    form = {**party.request(), **proof, "token": "x", "grant_type": "client_credentials"}
    places = ("/oauth/token", "/oauth/par", "/oauth/introspect", "/oauth/revoke") * 2
    answers = await asyncio.gather(*(client.post(place, data=form) for place in places))
    refused = [one for one in answers if one.status_code == 401]
    assert len(refused) == len(places) - 1
    assert {one.json()["error"] for one in refused} == {"invalid_client"}


async def test_of_many_updates_by_one_registration_token_one_next_token_is_left(client: Any) -> None:
    """RFC 7592 section 3: whoever else sent the same update holds nothing that opens anything."""
    made = (await register(client)).json()
    first = made["registration_access_token"]
    answers = await asyncio.gather(*(manage(client, made, "PUT") for _ in range(MANY)))
    assert {one.status_code for one in answers} == {200}
    later = {one.json()["registration_access_token"] for one in answers}
    assert len(later | {first}) == MANY + 1
    good_ones = [token for token in later if (await manage(client, made, "GET", token)).status_code == 200]
    assert len(good_ones) == 1
    assert (await manage(client, made, "GET", first)).status_code == 401
    gone = await statuses(*(manage(client, made, "DELETE", good_ones[0]) for _ in range(4)))
    assert gone == {204: 1, 401: 3}


async def test_a_client_opens_one_stream_and_gets_one_proof_of_life_however_often_it_asks_at_once(
    app: Any, client: Any, site: Site
) -> None:
    """SSF 1.0 sections 8.1.1.1 and 8.1.4."""
    party = await join(app, client, id_token_signed_response_alg="RS256")
    await party.exchange(await party.code())
    receiver = Receiver(client, party.issuer, own_token(party, "ssf.manage"), party.client.id)
    delivery = receiver.listen(site)
    wish = {"json": {"events_requested": [], "delivery": delivery}, "headers": receiver.headers}
    assert await statuses(*(client.post("/ssf/stream", **wish) for _ in range(4))) == {201: 1, 409: 3}
    (stream,) = await receiver.call("GET", "/ssf/stream", status=200)
    again = {"json": {"stream_id": stream["stream_id"]}, "headers": receiver.headers}
    assert await statuses(*(client.post("/ssf/verify", **again) for _ in range(4))) == {204: 1, 429: 3}
    assert await app.host.get(Feed).deliver() == 1
    assert len(receiver.taken) == 1


async def test_polls_at_once_lose_nothing_and_what_one_acknowledged_comes_to_none(app: Any, client: Any) -> None:
    """RFC 8936 section 2.4: given again until acknowledged, then never."""
    party = await join(app, client, id_token_signed_response_alg="RS256")
    await party.exchange(await party.code())
    receiver = await follow(party)
    await lock(party)
    await party.building.host.get(Feed).deliver()
    found = await asyncio.gather(*(receiver.poll(take=False) for _ in range(4)))
    names = {claims["jti"] for some in found for claims in some}
    assert len(names) == 1
    await asyncio.gather(*(receiver.poll(ack=list(names)) for _ in range(4)))
    assert await receiver.poll() == []


async def test_a_challenge_for_a_new_passkey_adds_one_however_often_it_is_answered(app: Any, client: Any) -> None:
    """WebAuthn Level 3 section 13.4.3."""
    party = await join(app, client)
    passkeys = app.host.get(Passkeys)
    answer = Authenticator().create(await passkeys.begin_add(party.account_id))
    actor = Actor("resident", party.account_id)
    done = await asyncio.gather(
        *(passkeys.finish_add(party.account_id, answer, name="phone", actor=actor) for _ in range(MANY)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, PasskeyRefused) for one in done) == MANY - 1
    assert len(await app.host.db.read(passkeys.list_for, party.account_id)) == 1


async def test_a_sign_up_sent_many_times_makes_one_account(app: Any, client: Any) -> None:
    await post(client, "/sign-up", **PERSON)
    attempt = client.cookies.get(ATTEMPT)
    client.cookies.clear()
    headers = {"origin": app.settings.issuer, "cookie": f"{ATTEMPT}={attempt}"}
    form = {"password": PASSWORD, "repeat": PASSWORD}
    answers = await asyncio.gather(*(client.post("/sign-up/password", data=form, headers=headers) for _ in range(MANY)))
    began = [one for one in answers if "sekisho-local=sks_" in one.headers.get("set-cookie", "")]
    assert len(began) == 1
    created = await app.host.db.read(audit.entries, action="identity.account.created")
    assert len(created) == 1


async def test_a_mandate_s_code_is_taken_up_by_one(app: Any, client: Any) -> None:
    giver = await somebody(app, client, "とめ")
    others = [await somebody(app, client, name) for name in ("健一", "空", "花子")]
    made = await giver.post("/mandates/give", {"actions": ["see"], "until": "2027-06-30"})
    code = "-".join(re.findall(r"<span>([0-9A-Z]{5})</span>", made.text.split('id="code"')[1]))
    assert await statuses(*(one.post("/mandates/accept", {"code": code}) for one in others)) == {303: 1, 422: 2}


async def test_this_was_not_me_pressed_many_times_leaves_nobody_in_and_breaks_nothing(app: Any, client: Any) -> None:
    """It only makes things safer, so it may be used again; the second alarm finds nothing left to end."""
    box = post_box(app)
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    await deliver(app)
    ticket = parse_qs(urlsplit(link_in(box.to(OLD)[-1], "/not-me")).query)
    (name,) = ticket
    stranger = {"cookie": "", "origin": app.settings.issuer}
    page = (await client.get(f"/not-me?{name}={ticket[name][0]}", headers=stranger)).text
    sealed = page.split('name="ticket" value="')[1].split('"')[0]
    done = await asyncio.gather(*(client.post("/not-me", data={"ticket": sealed}, headers=stranger) for _ in range(4)))
    assert {one.status_code for one in done} == {200}
    assert (await client.get("/safety")).status_code == 303
    assert (await actions(app, account_id)).count("identity.session.ended") <= 1


async def test_a_change_that_waits_for_a_second_person_is_approved_once(app: Any, client: Any) -> None:
    party = await join(app, client, token_endpoint_auth_method="private_key_jwt", jwks=Signer().jwks)
    app.host.get(KeyChanges).by_two = True
    first = await colleague(app, client, "operator", login="misaki")
    others = [await colleague(app, client, "operator", login=f"irie{n}") for n in range(3)]
    await first.post(keys_of(party), {"jwks": json.dumps(Signer().jwks), "overlap": "3600"})
    place = f"/console/clients/{party.client.id}/change/approve"
    waiting = await app.host.db.read(app.host.get(KeyChanges).find, party.client.id)
    assert waiting is not None
    await asyncio.gather(*(one.post(place, {"change": waiting.id}) for one in others))
    rotated = await app.host.db.read(audit.entries, action="identity.client.keys_rotated")
    assert len([one for one in rotated if one.object_id == party.client.id]) == 1
