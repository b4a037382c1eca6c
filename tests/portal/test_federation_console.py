"""The federation from the console and by JSON: trust given and taken, by whom, with which trace; why one is refused.

The city is served in this process; the others are tests/support/federation.py's.
"""

import json
import re
import shutil
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Any

import httpx2
import pytest

from identity.client_paths import segment
from identity.federation.changes import FederationChanges
from identity.federation.service import Federation
from keys.jose import thumbprint
from kit.audit import entries, seal_pending
from kit.clock import FrozenClock
from kit.fetch import OutgoingSettings
from portal.app import Building, create_app
from portal.settings import Settings
from tests.support.desk import Colleague, colleague
from tests.support.federation import World, new_key
from tests.support.relying_party import advance
from tests.support.site import serving

MARK = "https://pref.example/marks/audited"
RP = "openid_relying_party"
API = "/api/identity/federation"
ISSUER = "http://localhost:8080"


class City:
    """A city that vouches for others, and two of its operators."""

    def __init__(self, app: Building, http: httpx2.AsyncClient, world: World, who: list[Colleague]) -> None:
        self.app, self.http, self.world = app, http, world
        self.first, self.second, self.analyst = who
        self.changes = app.host.get(FederationChanges)

    async def says(self, entity_id: str) -> int:
        """Whether others hear of an entity: the status of the fetch endpoint."""
        return (await self.http.get("/federation/fetch", params={"sub": entity_id})).status_code

    async def trail(self, action: str) -> Any:
        """Actor and detail of the latest such entry."""
        if self.app.host.db.dialect == "postgresql":
            await self.app.host.db.write_core(seal_pending)  # a job's work otherwise
        found = await self.app.host.db.read(entries, action=action, newest_first=True, limit=1)
        return found[0]


@pytest.fixture(scope="module")
async def city(empty_city: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[City]:
    clock, data = FrozenClock(), tmp_path_factory.mktemp("federation-console") / "data"
    shutil.copytree(empty_city, data)
    async with serving() as site:
        world = World(site, lambda: clock.ms() // 1000)
        told = {"on": True, "subordinates": True, "own_anchor": True, "trust_anchors": world.anchors,
                "mark_issuers": {MARK: [ISSUER]}}  # fmt: skip
        identity = Settings(data=data).identity.model_validate({"federation": told, "source_tries": 1000})
        settings = Settings(
            data=data, issuer=ISSUER, jobs=False, identity=identity, outgoing=OutgoingSettings(allow=("127.0.0.1",))
        )
        async with create_app(settings, clock=clock).running(jobs=False) as app:
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url=ISSUER) as http:
                who = [await colleague(app, http, "operator", login=name) for name in ("first", "second")]
                yield City(app, http, world, [*who, await colleague(app, http, "analyst", login="analyst")])


async def press(who: Colleague, path: str, form: dict[str, Any] | None = None) -> str:
    """Send a form; the notice on the page that follows."""
    who.notice = ""
    await who.post("/console/federation" + path, form)
    return who.notice


def form_of(page: Any) -> dict[str, Any]:
    """The hidden fields of the page that asks whether one is sure."""
    found: dict[str, Any] = {}
    for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text):
        found[name] = [*found.get(name, []), unescape(value)]
    return found


async def test_an_entity_is_shown_key_by_key_before_the_city_vouches_for_it(city: City) -> None:
    party = city.world.service("shown")
    typed = {"entity_id": party.entity_id, "jwks": json.dumps(party.jwks), "kind": RP}
    look = await city.first.post("/console/federation/vouch", typed)
    assert thumbprint(party.jwks["keys"][0]) in look.text
    assert await city.says(party.entity_id) == 404  # looking changes nothing
    done = await city.first.post("/console/federation/vouch", form_of(look))
    assert (done.status_code, city.first.notice) == (303, "federation.vouched")
    assert await city.says(party.entity_id) == 200
    page = await city.first.get(done.headers["location"])
    assert party.entity_id in page.text
    assert (await city.trail("identity.federation.subordinate_added")).actor_id.startswith("acc_")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"entity_id": "clinic.example"}, "entity_id"),
        ({"entity_id": ISSUER}, "entity_id"),
        ({"jwks": "{"}, "jwks"),
        ({"jwks": '{"keys": [{"kty": "oct", "k": "AAAA", "kid": "a"}]}'}, "jwks"),
        ({"said": '{"iss": "https://else.example"}'}, "said"),
        ({"said": '{"constraints": {"max_path_length": -1}}'}, "said"),
        ({"kind": []}, "kind"),
    ],
)
async def test_what_can_not_stand_is_told_at_its_field(city: City, changed: Any, field: str) -> None:
    party = city.world.service("wrong")
    typed = {"entity_id": party.entity_id, "jwks": json.dumps(party.jwks), "kind": RP, "sure": "1", **changed}
    page = await city.first.post("/console/federation/vouch", typed)
    assert page.status_code == 422
    assert f'<a href="#{field}">' in page.text
    assert await city.says(party.entity_id) == 404


async def vouched(city: City, name: str) -> str:
    party = city.world.service(name)
    party.superior = ISSUER
    body = {"entity_id": party.entity_id, "jwks": party.jwks, "entity_types": [RP]}
    made = await city.first.api("POST", f"{API}/subordinates", body)
    assert made.status_code == 201, made.text
    return party.entity_id


async def test_a_suspended_entity_is_not_spoken_of_until_the_same_words_count_again(city: City) -> None:
    entity = await vouched(city, "paused")
    place = f"/subordinates/{segment(entity)}"
    assert "client" in (await city.first.get(f"/console/federation{place}/suspend")).text
    assert await press(city.first, place + "/suspend", {"reason": "key-compromised"}) == "federation.stopped"
    assert await city.says(entity) == 404
    found = await city.trail("identity.federation.subordinate_suspended")
    assert (found.object_id, found.detail) == (entity, {"reason": "key-compromised"})
    # Nothing is changed behind a suspension, and it is not lifted by vouching anew.
    again = {"entity_id": entity, "jwks": city.world.parties["paused"].jwks, "entity_types": [RP]}
    refused = await city.first.api("POST", f"{API}/subordinates", again)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/identity/subordinate-state")
    assert await press(city.first, place + "/suspend", {"reason": "left"}) == "federation.not-now"
    assert await press(city.first, place + "/resume") == "federation.resumed"
    assert await city.says(entity) == 200
    await press(city.first, place + "/end", {"reason": "x" * 50})
    assert (await city.trail("identity.federation.subordinate_ended")).detail == {"reason": "other"}
    assert await city.says(entity) == 404
    assert (await city.first.post(f"/console/federation{place}/resume")).status_code == 404


async def test_a_trust_mark_is_given_and_taken_back_with_a_reason(city: City) -> None:
    entity = await vouched(city, "audited")
    wrong = await city.first.post("/console/federation/mark", {"entity_id": entity, "kind": MARK, "days": "-1"})
    assert wrong.status_code == 422
    await city.first.post("/console/federation/mark", {"entity_id": entity, "kind": MARK, "days": "30"})
    (mark,) = [one for one in (await city.first.api("GET", f"{API}/marks")).json()["items"]
               if one["entity_id"] == entity]  # fmt: skip
    assert mark["status"] == "active"
    token = (await city.http.get("/federation/trust-mark", params={"sub": entity, "trust_mark_type": MARK})).text
    place = f"/marks/{mark['id']}/revoke"
    assert MARK in (await city.first.get("/console/federation" + place)).text
    assert await press(city.first, place, {"reason": "against-rules"}) == "federation.revoked"
    assert (await city.trail("identity.federation.mark_revoked")).detail == {"reason": "against-rules"}
    status = await city.http.post("/federation/trust-mark-status", data={"trust_mark": token})
    assert json.loads(_payload(status.text))["status"] == "revoked"
    assert await press(city.first, place, {"reason": "left"}) == "federation.not-now"


def _payload(token: str) -> bytes:
    from kit.encoding import b64url_decode

    return b64url_decode(token.split(".")[1])


async def test_trust_takes_two_people_where_the_city_wants_that_and_no_door_is_left_for_one(city: City) -> None:
    party = city.world.service("double")
    entity, body = party.entity_id, {"entity_id": party.entity_id, "jwks": party.jwks, "entity_types": [RP]}
    city.changes.by_two = True
    try:
        asked = await city.first.api("POST", f"{API}/subordinates", body)
        assert asked.status_code == 202
        assert await city.says(entity) == 404
        change = asked.json()["id"]
        alone = await city.first.api("POST", f"{API}/changes/{change}/approve")
        assert (alone.status_code, alone.json()["type"].rpartition("/")[2]) == (403, "second-person-needed")
        assert await press(city.first, f"/changes/{change}/approve") == "federation.same"
        mine, theirs = [(await who.get("/console/federation")).text for who in (city.first, city.second)]
        assert thumbprint(party.jwks["keys"][0]) in theirs
        assert f"{change}/approve" in theirs
        assert f"{change}/approve" not in mine
        # Another wish for the same entity takes its place: what was looked at is what is approved.
        other = body | {"jwks": {"keys": [{**party.jwks["keys"][0], "kid": "other"}]}}
        newer = (await city.first.api("POST", f"{API}/subordinates", other)).json()["id"]
        assert (await city.second.api("POST", f"{API}/changes/{change}/approve")).status_code == 409
        assert await press(city.second, f"/changes/{newer}/approve") == "federation.approved"
        assert await city.says(entity) == 200
        # A mark waits as well; trust is taken away by one.
        await city.second.post("/console/federation/mark", {"entity_id": entity, "kind": MARK})
        (waiting,) = (await city.first.api("GET", f"{API}/changes")).json()["items"]
        assert waiting["kind"] == "mark"
        assert (await city.first.api("DELETE", f"{API}/changes/{waiting['id']}")).status_code == 204
        assert (await city.first.api("DELETE", f"{API}/changes/{waiting['id']}")).status_code == 409
        # One that was suspended is trusted again by two: neither who let it in nor who stopped it decides that alone.
        place = f"/subordinates/{segment(entity)}"
        assert await press(city.second, f"{place}/suspend", {"reason": "key-compromised"}) == "federation.stopped"
        assert await press(city.first, f"{place}/resume") == "federation.asked"
        assert (await city.first.api("POST", f"{API}{place}/resume")).status_code == 202
        assert await city.says(entity) == 404
        (again,) = (await city.first.api("GET", f"{API}/changes")).json()["items"]
        assert (await city.first.api("POST", f"{API}/changes/{again['id']}/approve")).status_code == 403
        assert (await city.second.api("POST", f"{API}/changes/{again['id']}/approve")).json()["status"] == "active"
        assert await city.says(entity) == 200
        stopped = await city.first.api("POST", f"{API}/subordinates/{segment(entity)}/end", {"reason": "left"})
        assert stopped.json()["status"] == "ended"
        late = (await city.first.api("POST", f"{API}/subordinates", body)).json()["id"]
        advance(city.app, 7 * 86_400 + 1)
        for who in (city.first, city.second):  # sessions have ended meanwhile, and so has the wish
            fresh = await colleague(city.app, city.http, "operator", login=f"fresh-{who.token[-6:]}")
            assert (await fresh.api("POST", f"{API}/changes/{late}/approve")).status_code == 409
    finally:
        city.changes.by_two = False
        names = iter(("first-again", "second-again", "analyst-again"))
        city.first, city.second = [await colleague(city.app, city.http, "operator", login=next(names)) for _ in "12"]
        city.analyst = await colleague(city.app, city.http, "analyst", login=next(names))


async def test_the_question_why_is_answered_step_by_step_and_asks_nobody_inside(city: City) -> None:
    entity = await vouched(city, "asked")
    page = await city.first.post("/console/federation/explain", {"entity_id": entity})
    assert 'id="verdict"' in page.text
    assert page.text.count("holds") == 4  # itself, us, what we say of it, the chain
    told = (await city.first.api("POST", f"{API}/explain", {"entity_id": entity})).json()
    assert (told["trusted"], told["anchor"]) == (True, ISSUER)
    assert [one["what"] for one in told["steps"]] == ["configuration", "configuration", "statement", "chain"]
    city.world.parties["asked"].key = new_key()
    told = (await city.first.api("POST", f"{API}/explain", {"entity_id": entity})).json()
    assert (told["trusted"], told["word"]) == (False, "signature")
    assert [one["word"] for one in told["steps"]] == [None, None, None, "signature"]
    # Closes: the console as a tool to look about in the house's network.
    inside = (await city.first.api("POST", f"{API}/explain", {"entity_id": "https://192.168.0.1"})).json()
    nowhere = (await city.first.api("POST", f"{API}/explain", {"entity_id": "https://nobody.invalid"})).json()
    assert inside["word"] == nowhere["word"] == "unreachable"
    file = (await city.first.api("POST", f"{API}/explain", {"entity_id": "file:///etc/passwd"})).json()
    assert (file["word"], file["steps"]) == ("identifier", [])


async def test_the_question_is_bounded_for_each_operator_and_for_operators_only(city: City) -> None:
    question = {"entity_id": "x"}
    answers = [(await city.second.api("POST", f"{API}/explain", question)).status_code for _ in range(11)]
    assert answers == [200] * 10 + [429]
    page = await city.second.post("/console/federation/explain", question)
    assert page.status_code == 422
    assert (await city.first.api("POST", f"{API}/explain", question)).status_code in (200, 429)
    for path in ("", "/explain", "/vouch", "/mark", f"/subordinates/{segment(ISSUER)}"):
        assert (await city.analyst.get("/console/federation" + path)).status_code == 404
    assert (await city.analyst.api("GET", API)).status_code == 403
    assert (await city.analyst.api("POST", f"{API}/explain", question)).status_code == 403


async def test_the_citys_place_in_its_federation_is_told(city: City) -> None:
    page = (await city.first.get("/console/federation")).text
    for said in (ISSUER, city.world.url("anchor"), "trust anchor"):
        assert said in page
    place = (await city.first.api("GET", API)).json()
    assert place["entity_id"] == ISSUER
    assert place["trust_anchors"] == [city.world.url("anchor")]
    assert place["keys"] == await city.app.host.get(Federation).keys.jwks()
    unknown = await city.first.api("GET", f"{API}/subordinates/{segment('https://nobody.example')}")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/identity/unknown-subordinate")
    ill = {"kind": MARK, "entity_id": "https://clinic.example", "expires": "tomorrow"}
    refused = await city.first.api("POST", f"{API}/marks", ill)
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/identity/invalid-subordinate")
