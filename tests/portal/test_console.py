"""The operators' console over HTTP: who gets in, what each act does and says before it does it, the trail."""

import json
import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest

from consent import agreements
from consent.four_eyes import Hands
from consent.proposal import Proposal
from consent.revisions import Revision
from identity import members
from identity.clients import Clients
from identity.errors_account import SecondPersonNeeded
from keys.envelope import Sealer
from kit import audit
from kit.db import Session
from kit.host import SYSTEM, Actor
from tests.support.catalogue import ANY
from tests.support.desk import Colleague, colleague

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

WORDS = {
    "title": "More buses", "short": "We plan the timetable.", "full": "Rides of 90 days.", "benefit": "More buses.",
    "if_refused": "Nothing changes.", "forbidden": "Passing it on.",
}  # fmt: skip
PROPOSAL = {
    "purpose": "ImproveTransportMobility",
    "categories": [{"category": "mobility", "required": True, "sensitivity": 2}],
    "retention": "P90D",
    "duration": "P180D",
    "contact": "data@bus.example",
    "text": {"ja": WORDS | {"title": "バスを増やす"}, "en": WORDS},
}


@pytest.fixture
async def operator(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "operator")


async def follow(page: Any, who: Colleague) -> Any:
    assert page.status_code == 303, page.text[:400]
    return await who.get(page.headers["location"])


async def a_member(operator: Colleague, **more: Any) -> str:
    sent = {"name_ja": "湊浜交通", "name_en": "Minatohama Transit", "source": ["mobility", "nonsense"]} | more
    made = await operator.post("/console/members/new", sent)
    assert made.status_code == 303, made.text[:400]
    return str(made.headers["location"].rsplit("/", 1)[1])


async def a_client(operator: Colleague, **more: Any) -> Any:
    sent = {
        "name_ja": "乗換案内", "name_en": "Journeys", "redirect_uris": "https://bus.example/cb",
        "method": "client_secret_basic", "scope": "openid profile",
    }  # fmt: skip
    return await operator.post("/console/clients/new", sent | more)


ELSEWHERE = Actor("operator", "acc_elsewhere")


async def an_offer(app: "Building", member_id: str, *, actor: Actor = ELSEWHERE) -> Revision:
    await app.host.db.write(members.approve, member_id, actor=SYSTEM, now=app.host.clock.ms())
    proposal = Proposal.model_validate_json(json.dumps(PROPOSAL))
    return await app.host.db.write(
        agreements.propose,
        member_id=member_id,
        proposal=proposal,
        sensitivities=ANY,
        actor=actor,
        now=app.host.clock.ms(),
    )


async def test_only_operators_enter_and_reviewers_see_the_agreements_only(app: "Building", client: Any) -> None:
    paths = ("", "/members", "/members/new", "/clients", "/clients/new", "/keys", "/audit", "/audit.jsonl")
    analyst = await colleague(app, client, "analyst")
    reviewer = await colleague(app, client, "ethics")
    operator = await colleague(app, client, "operator")
    resident = await colleague(app, client, kind="resident")
    for path in paths:
        assert (await operator.get(f"/console{path}")).status_code == 200, path
        for other in (analyst, reviewer, resident):
            assert (await other.get(f"/console{path}")).status_code == 404, path
    assert (await reviewer.get("/console/agreements")).status_code == 200
    assert (await analyst.get("/console/agreements")).status_code == 404
    assert (await reviewer.get("/desk")).headers["location"] == "/console/agreements"
    assert (await reviewer.post("/console/members/new", {"name_ja": "x", "name_en": "x"})).status_code == 404


async def test_a_member_applies_is_approved_suspended_and_continues(app: "Building", operator: Colleague) -> None:
    member_id = await a_member(operator)
    overview = await operator.get("/console")
    assert "Minatohama Transit" in overview.text
    found = await app.host.db.read(members.get, member_id)
    assert found.source_categories == ("mobility",)
    place = f"/console/members/{member_id}"
    assert 'id="approve"' in (await operator.get(place)).text
    await operator.post(f"{place}/approve")
    await a_client(operator, member=member_id)
    effect = await operator.get(f"{place}/suspend")
    assert "1 client" in effect.text
    page = await follow(await operator.post(f"{place}/suspend"), operator)
    assert 'id="resume"' in page.text
    client = (await app.host.db.read(clients_of, member_id))[0]
    found_client = await app.host.get(Clients).get(client)
    assert found_client is not None
    assert not found_client.usable
    await operator.post(f"{place}/approve")
    assert (await app.host.db.read(members.get, member_id)).status == "approved"
    assert member_id in (await operator.get("/console/members?status=approved")).text
    assert member_id not in (await operator.get("/console/members?status=applied")).text
    assert (await operator.get("/console/members?status=strange")).status_code == 404


def clients_of(session: Session, member_id: str) -> tuple[str, ...]:
    from identity import clients

    return clients.list_ids_of_member(session, member_id)


@pytest.mark.parametrize(
    ("wrong", "field"), [({"name_ja": ""}, "name_ja"), ({"name_en": "x" * 121}, "name_en"), ({"site": "ftp"}, "site")]
)
async def test_a_wrong_member_is_told_which_field(operator: Colleague, wrong: dict[str, str], field: str) -> None:
    page = await operator.post("/console/members/new", {"name_ja": "湊浜", "name_en": "M"} | wrong)
    assert page.status_code == 422
    assert f'href="#{field}"' in page.text


async def test_a_secret_is_shown_once_and_kept_nowhere_in_clear(app: "Building", operator: Colleague) -> None:
    page = await a_client(operator)
    secret = re.search(r'id="secret"[^>]*>(sec_[^<]+)<', page.text)[1]  # type: ignore[index]
    client_id = re.search(r'id="client-id">([^<]+)<', page.text)[1]  # type: ignore[index]
    assert page.headers["cache-control"] == "no-store"
    assert secret not in (await operator.get(f"/console/clients/{client_id}")).text

    def stored(session: Session) -> str:
        connection = session.connection()
        return "".join(
            repr(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in ("identity_client", "kit_audit")
        )

    assert secret not in await app.host.db.read(stored)
    assert "Both secrets work until" in (await operator.get(f"/console/clients/{client_id}/secret")).text
    again = await operator.post(f"/console/clients/{client_id}/secret", {"overlap": "0"})
    assert "sec_" in again.text
    assert secret not in again.text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name_ja": ""}, "name_ja"),
        ({"redirect_uris": "http://bus.example/cb"}, "redirect_uris"),
        ({"redirect_uris": ""}, "redirect_uris"),
        ({"method": "private_key_jwt"}, "jwks"),
        ({"method": "private_key_jwt", "jwks": "{"}, "jwks"),
        ({"method": "trust me"}, "method"),
        ({"method": "none", "machine": "1"}, "method"),
        ({"scope": 'a"b'}, "scope"),
    ],
)
async def test_a_wrong_client_is_told_which_field(operator: Colleague, wrong: dict[str, str], field: str) -> None:
    page = await a_client(operator, **wrong)
    assert page.status_code == 422
    assert f'href="#{field}"' in page.text, re.findall(r'href="#(\w+)"', page.text)


async def test_a_client_is_suspended_after_its_effect_was_shown_and_continues(
    app: "Building", operator: Colleague
) -> None:
    page = await a_client(operator, method="none")
    assert page.status_code == 303
    place = page.headers["location"]
    assert "0 residents" in (await operator.get(f"{place}/suspend")).text
    assert 'id="resume"' in (await follow(await operator.post(f"{place}/suspend"), operator)).text
    assert 'id="suspend"' in (await follow(await operator.post(f"{place}/resume"), operator)).text
    assert (await operator.get("/console/clients/nobody")).status_code == 404


async def test_an_offer_is_read_in_both_languages_and_approved(
    app: "Building", client: Any, operator: Colleague
) -> None:
    member_id = await a_member(operator)
    offer = await an_offer(app, member_id)
    reviewer = await colleague(app, client, "ethics")
    listed = await reviewer.get("/console/agreements")
    assert "More buses" in listed.text
    place = f"/console/agreements/{offer.agreement_id}"
    page = await reviewer.get(place)
    assert "バスを増やす" in page.text
    assert "180 days" in page.text
    assert offer.hash in page.text
    page = await follow(await reviewer.post(f"{place}/decide", {"revision": offer.id, "decision": "approve"}), reviewer)
    assert 'id="approve"' not in page.text
    assert (await app.host.db.read(agreements.current, offer.agreement_id)).status == "approved"
    page = await follow(await reviewer.post(f"{place}/decide", {"revision": offer.id, "decision": "return"}), reviewer)
    assert "not possible any more" in page.text
    assert 'id="none-pending"' in (await operator.get("/console/agreements")).text


async def test_who_proposed_an_offer_cannot_approve_it_and_is_told_who_can(
    app: "Building", client: Any, operator: Colleague
) -> None:
    member_id = await a_member(operator)
    first = await an_offer(app, member_id)
    place = f"/console/agreements/{first.agreement_id}"
    await app.host.db.write(
        agreements.approve, first.id, actor=SYSTEM, now=app.host.clock.ms(), sealer=app.host.get(Sealer)
    )
    revised = PROPOSAL | {"retention": "P30D"}
    made = await operator.api("POST", f"/api/consent/admin/agreements/{first.agreement_id}/revisions", revised)
    revision = made.json()["id"]
    page = (await operator.get(f"{place}?revision=2")).text
    assert 'id="own"' in page
    assert 'id="approve"' not in page
    assert 'id="return"' in page
    assert 'id="changes"' in page, "only what differs from the revision in force"
    assert "Not told before at least ten people" in page
    sent = {"revision": revision, "number": "2", "decision": "approve"}
    refused = await follow_notice(await operator.post(f"{place}/decide", sent))
    assert refused == "console.same-eyes"
    answer = await operator.api("POST", f"/api/consent/admin/revisions/{revision}/approve")
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/identity/second-person-needed")
    assert (await app.host.db.read(agreements.get_revision, revision)).status == "offered"
    reviewer = await colleague(app, client, "ethics")
    assert 'id="approve"' in (await reviewer.get(f"{place}?revision=2")).text
    await reviewer.post(f"{place}/decide", sent)
    shown = (await reviewer.get(f"{place}?revision=2")).text
    assert shown.index("Proposed by") < shown.index("Decided by")
    assert (await app.host.db.read(agreements.get_revision, revision)).status == "approved"


async def test_what_a_members_client_proposed_is_published_by_two_people_never_by_one_who_holds_both_roles(
    app: "Building", client: Any
) -> None:
    """Whoever made the client, or knows its secret, may be the one who approves: so two different people have to."""
    both = await colleague(app, client, "operator", "ethics")
    member_id = await a_member(both)
    page = await a_client(both, member=member_id)
    client_id = re.search(r'id="client-id">([^<]+)<', page.text)[1]  # type: ignore[index]
    found = await app.host.get(Clients).get(client_id)
    assert found is not None
    offer = await an_offer(app, member_id, actor=found.actor())
    approve = f"/api/consent/admin/revisions/{offer.id}/approve"
    place = f"/console/agreements/{offer.agreement_id}"
    assert 'id="two"' in (await both.get(place)).text
    first = await both.api("POST", approve)
    assert (first.status_code, first.json()["status"]) == (200, "offered")
    for _ in range(2):
        again = await both.api("POST", approve)
        assert (again.status_code, again.json()["type"]) == (403, "/problems/identity/second-person-needed")
    assert 'id="approve"' not in (await both.get(place)).text
    sent = {"revision": offer.id, "decision": "approve"}
    assert await follow_notice(await both.post(f"{place}/decide", sent)) == "console.same-eyes"
    with pytest.raises(SecondPersonNeeded):  # nor does the client approve
        await app.host.db.write(
            agreements.approve, offer.id, actor=found.actor(), now=app.host.clock.ms(), sealer=app.host.get(Sealer)
        )
    second = await colleague(app, client, "ethics")
    page = await follow(await second.post(f"{place}/decide", sent), second)
    assert page.text.index("First approval by") < page.text.index("Decided by")
    hands = await app.host.db.read(agreements.hands, offer.id)
    assert hands == Hands(None, second.id, both.id, client_id)
    assert hands == Hands(None, hands.decided_by, hands.endorsed_by, client_id)
    assert None not in {hands.decided_by, hands.endorsed_by}
    assert hands.decided_by != hands.endorsed_by
    assert (await app.host.db.read(agreements.current, offer.agreement_id)).status == "approved"


async def test_a_proposal_cannot_say_that_a_category_is_less_sensitive_than_the_catalogue_says(
    app: "Building", operator: Colleague
) -> None:
    member_id = await a_member(operator)
    await app.host.db.write(members.approve, member_id, actor=SYSTEM, now=app.host.clock.ms())
    uses = [
        {"category": "mobility", "required": True, "sensitivity": 3},
        {"category": "health_checkup", "required": False, "sensitivity": 2},
        {"category": "shoe_size", "required": False, "sensitivity": 3},
    ]
    sent = {"member": member_id, "proposal": PROPOSAL | {"categories": uses}}
    refused = await operator.api("POST", "/api/consent/admin/agreements", sent)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == [
        "/categories/1/sensitivity",
        "/categories/2/category",
    ]
    fine = sent | {"proposal": PROPOSAL | {"categories": uses[:1]}}
    made = await operator.api("POST", "/api/consent/admin/agreements", fine)
    assert made.status_code == 201
    revision = await operator.api(
        "POST", f"/api/consent/admin/agreements/{made.json()['agreement']}/revisions", sent["proposal"]
    )
    assert revision.status_code == 422


async def test_a_returned_offer_can_be_seen_with_its_history(app: "Building", operator: Colleague) -> None:
    offer = await an_offer(app, await a_member(operator))
    place = f"/console/agreements/{offer.agreement_id}"
    page = await follow(await operator.post(f"{place}/decide", {"revision": offer.id, "decision": "return"}), operator)
    assert "Returned" in page.text
    assert (await operator.post(f"{place}/decide", {"revision": offer.id, "decision": "burn"})).status_code == 404


async def test_a_signing_key_rotates_and_a_second_time_too_soon_says_so(app: "Building", operator: Colleague) -> None:
    app.host.clock.advance(seconds=60)  # type: ignore[attr-defined]
    before = await operator.get("/console/keys")
    active = re.search(r'In use</span></td>.*?class="code small">([^<]+)<', before.text, re.S)[1]  # type: ignore[index]
    assert "only verifies until" in (await operator.get("/console/keys/rotate?alg=EdDSA")).text
    page = await follow(await operator.post("/console/keys/rotate", {"alg": "EdDSA"}), operator)
    assert active in page.text
    assert "Retired" in page.text
    again = await follow_notice(await operator.post("/console/keys/rotate", {"alg": "EdDSA"}))
    assert again == "console.too-soon"
    app.host.clock.advance(seconds=600)  # type: ignore[attr-defined]
    assert await follow_notice(await operator.post("/console/keys/rotate", {"alg": "EdDSA"})) == "console.rotated"
    assert "verifies nothing" in (await operator.get("/console/keys/rotate?alg=ES256&compromised=1")).text
    sent = {"alg": "ES256", "compromised": "1"}
    assert "Compromised" in (await follow(await operator.post("/console/keys/rotate", sent), operator)).text
    assert (await operator.get("/console/keys/rotate?alg=none")).status_code == 404
    assert "data key" in (await operator.get("/console/keys/rotate?kek=1")).text
    assert await follow_notice(await operator.post("/console/keys/rotate", {"kek": "1"})) == "console.rotated"


async def follow_notice(page: Any) -> str:
    assert page.status_code == 303
    return str(re.search(r"sekisho-notice=([^;]+)", page.headers["set-cookie"])[1])  # type: ignore[index]


def many(session: Session, count: int) -> None:
    for n in range(count):
        audit.record(session, "kit.test.done", actor=SYSTEM, object=("thing", f"thing-{n % 7}"), detail={"n": n})


async def test_the_trail_is_filtered_and_paged_by_its_address(app: "Building", operator: Colleague) -> None:
    await app.host.db.write(many, 120)
    page = await operator.get("/console/audit?action=kit.test")
    assert len(re.findall(r'id="entry-', page.text)) == 50
    older = unescape(re.search(r'href="([^"]+)" rel="next"', page.text)[1])  # type: ignore[index]
    second = await operator.get(older)
    newer = unescape(re.search(r'href="([^"]+)" rel="prev"', second.text)[1])  # type: ignore[index]
    back = await operator.get(newer)
    assert re.findall(r'id="entry-(\d+)', back.text) == re.findall(r'id="entry-(\d+)', page.text)
    third = await operator.get(unescape(re.search(r'href="([^"]+)" rel="next"', second.text)[1]))  # type: ignore[index]
    assert len(re.findall(r'id="entry-', third.text)) == 20
    assert 'rel="next"' not in third.text
    page = await operator.get("/console/audit?object=thing-3")
    assert len(re.findall(r'id="entry-', page.text)) == 17
    assert 'id="no-entries"' in (await operator.get("/console/audit?since=2030-01-01T00:00")).text
    wrong = await operator.get("/console/audit?since=yesterday")
    assert (wrong.status_code, 'href="#since"' in wrong.text) == (422, True)


async def test_the_export_is_json_lines_with_the_same_filter_and_a_chain_that_holds(
    app: "Building", operator: Colleague
) -> None:
    await app.host.db.write(many, 30)
    page = await operator.get("/console/audit.jsonl?action=kit.test&object=thing-3")
    lines = [json.loads(line) for line in page.text.splitlines()]
    assert [line["action"] for line in lines] == ["kit.test.done"] * 4
    assert {line["object"] for line in lines} == {"thing:thing-3"}
    assert page.headers["content-type"].startswith("application/jsonl")
    everything = await operator.get("/console/audit.jsonl")
    seqs = [json.loads(line)["seq"] for line in everything.text.splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_streams_are_seen_with_their_lag_and_paused_and_the_service_hears_of_it(
    app: "Building", operator: Colleague, client: Any
) -> None:
    """Shared Signals section 8.1.5: what we stop is told; what happened meanwhile is held."""
    from identity import accounts
    from identity.signals.events import SUPPORTED
    from identity.signals.feed import Feed
    from tests.support.relying_party import join
    from tests.support.signals import follow as open_stream

    assert "ssf.manage" in (await operator.get("/console/streams")).text  # none yet, and how one comes to be
    party = await join(app, client, id_token_signed_response_alg="RS256")
    await party.exchange(await party.code())
    receiver = await open_stream(party, events=list(SUPPORTED))
    place = f"/console/streams/{receiver.stream['stream_id']}"
    assert await follow_notice(await operator.post(f"{place}/pause")) == "streams.paused"
    await app.host.db.write(accounts.suspend_account, party.account_id, actor=SYSTEM)
    await app.host.get(Feed).deliver()
    page = (await operator.get("/console/streams")).text
    assert "Paused" in page
    assert re.search(r'class="num"[^>]*>1<', page)
    await receiver.poll()
    assert receiver.kinds() == ["stream-updated"]
    assert await follow_notice(await operator.post(f"{place}/enable")) == "streams.enabled"
    await receiver.poll()
    assert receiver.kinds() == ["stream-updated", "stream-updated", "account-disabled"]
    assert (await operator.post("/console/streams/sst_nobody/pause")).status_code == 404
