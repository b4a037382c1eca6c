"""The counter over HTTP: a code from the resident's phone, documents, the rule, the second clerk, what is told."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from identity.accounts import profile
from identity.assurance.verifications import Verifications
from identity.levels import AAL1
from keys.envelope import Sealer
from kit import audit
from kit.clock import DAY, SECOND, FrozenClock
from kit.db import Session
from tests.portal.test_signin import code_of
from tests.support.counter import CHIP, ONE, TWO, begin, phone, shown_code, verify
from tests.support.desk import Colleague, colleague
from tests.support.relying_party import Party, join

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio


@pytest.fixture
async def party(app: "Building", client: Any) -> Party:
    return await join(app, client)


@pytest.fixture
async def who(app: "Building", client: Any, party: Party) -> Colleague:
    return await phone(app, client, party.account_id)


@pytest.fixture
async def clerk(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "clerk", login="ura")


@pytest.fixture
async def second(app: "Building", client: Any) -> Colleague:
    return await colleague(app, client, "clerk", login="irie")


async def level(app: "Building", account_id: str) -> int:
    return await app.host.db.read(app.host.get(Verifications).level, account_id)


async def actions(app: "Building", account_id: str) -> list[str]:
    def read(session: Session) -> list[str]:
        found = audit.entries(session, object_id=account_id, action="identity", limit=100)
        return [one.action for one in found if one.action.startswith(("identity.verif", "identity.assur"))]

    return await app.host.db.read(read)


async def test_a_clerk_verifies_by_two_documents_and_the_resident_reads_who_when_and_by_what(
    app: "Building", clerk: Colleague, who: Colleague
) -> None:
    assert "Not verified" in (await who.get("/safety/verified")).text
    visit = await begin(clerk, who)
    page = await clerk.get(visit)
    assert "湊 花子" in page.text
    assert "1988-04-02" in page.text
    assert "hanako@example.jp" not in page.text  # what no document shows is not the clerk's business
    done = await clerk.post(visit, TWO)
    assert done.headers["location"] == "/counter"
    assert await level(app, who.id) == 2
    shown = (await who.get("/safety/verified")).text
    assert 'data-ial="2"' in shown
    assert "湊 ura" in shown
    assert "Driving licence" in shown
    assert "400112345678" not in shown
    assert "A clerk verified who you are" in (await who.get("/safety")).text
    assert "a clerk verified who you are" in (await who.get("/home")).text
    assert (await clerk.get(visit)).status_code == 404  # a clerk's memory is not our archive
    assert await actions(app, who.id) == [
        "identity.verification.code-made",
        "identity.verification.opened",
        "identity.verification.recorded",
        "identity.verification.stands",
        "identity.assurance.changed",
    ]


async def test_the_highest_level_takes_a_second_clerk_and_never_the_same_one(
    app: "Building", clerk: Colleague, second: Colleague, who: Colleague
) -> None:
    visit = await begin(clerk, who)
    assert (await second.get(visit)).status_code == 404  # not hers yet
    assert (await clerk.post(visit, CHIP)).status_code == 303
    assert await level(app, who.id) == 0
    assert 'id="confirm"' not in (await clerk.get(visit)).text
    assert (await clerk.post(f"{visit}/confirm", {"confirmed": "1"})).status_code == 403
    assert visit in (await second.get("/counter")).text
    unticked = await second.post(f"{visit}/confirm", {"other": "1"})
    assert (unticked.status_code, 'id="confirmed-error"' in unticked.text) == (422, True)
    answers = await asyncio.gather(*(second.post(f"{visit}/confirm", {"confirmed": "1"}) for _ in range(3)))
    assert sorted(one.status_code for one in answers) == [303, 404, 404]
    assert await level(app, who.id) == 3
    assert "湊 irie" in (await who.get("/safety/verified")).text


async def test_a_colleague_who_does_not_confirm_leaves_nothing_of_what_was_seen(
    app: "Building", clerk: Colleague, second: Colleague, who: Colleague
) -> None:
    visit = await begin(clerk, who)
    await clerk.post(visit, CHIP)
    assert (await second.post(f"{visit}/end")).status_code == 303
    assert await level(app, who.id) == 0
    (one,) = await app.host.db.read(app.host.get(Verifications).history, who.id)
    assert (one.status, one.documents, one.claims) == ("refused", (), {})
    assert "Not confirmed" in (await who.get("/safety/verified")).text


@pytest.mark.parametrize("papers", [TWO, CHIP], ids=["one clerk", "two"])
async def test_a_name_that_changes_while_the_clerk_looks_is_not_verified(
    app: "Building", client: Any, clerk: Colleague, who: Colleague, papers: dict[str, Any]
) -> None:
    """The clerk compares what is on the page; what would be written down is what the profile says by then."""
    visit = await begin(clerk, who)
    assert (await clerk.get(visit)).status_code == 200
    second = await colleague(app, client, "clerk", login="irie")
    if papers is CHIP:
        assert (await clerk.post(visit, papers)).status_code == 303
        assert (await second.get(visit)).status_code == 200
    changed = {"name": "別府 太郎", "name_kana": "べっぷ たろう", "locale": "ja"}
    assert (await who.post("/safety/profile", changed)).status_code == 303
    done = await (second.post(f"{visit}/confirm", {"confirmed": "1"}) if papers is CHIP else clerk.post(visit, papers))
    assert done.status_code == 404
    assert await app.host.db.read(app.host.get(Verifications).level, who.id) == 0


async def test_a_clerk_rings_the_telephone_and_the_number_rung_is_the_one_that_counts(
    app: "Building", clerk: Colleague, who: Colleague
) -> None:
    """OpenID Connect Core section 5.1, phone_number_verified: affirmative steps that the number is the person's."""
    said = {"name": "湊 花子", "family_name": "湊", "given_name": "花子", "name_kana": "みなと はなこ", "locale": "ja"}
    visit = await begin(clerk, who)
    assert 'id="rang"' not in (await clerk.get(visit)).text  # no number, nothing to ring
    assert (await clerk.post(visit, {**ONE, "rang": "1"})).status_code == 303
    assert await rung(app, who) == (None, False)
    assert (await who.post("/safety/profile", {**said, "phone": "090-1234-5678"})).status_code == 303
    visit = await begin(clerk, who)
    assert "09012345678" in (await clerk.get(visit)).text
    assert (await who.post("/safety/profile", {**said, "phone": "090-1234-5679"})).status_code == 303
    assert (await clerk.post(visit, {**ONE, "rang": "1"})).status_code == 404  # another number than the clerk rang
    assert await rung(app, who) == ("+819012345679", False)
    visit = await begin(clerk, who)
    assert (await clerk.post(visit, {**ONE, "rang": "1"})).status_code == 303
    assert await rung(app, who) == ("+819012345679", True)
    claims = (await app.host.db.read(app.host.get(Verifications).history, who.id))[0].claims
    assert (claims["family_name"], claims["given_name"]) == ("湊", "花子")  # the compared name's own characters


async def rung(app: "Building", who: Colleague) -> tuple[str | None, bool]:
    known = await app.host.db.read(profile, app.host.get(Sealer), who.id)
    return known.phone, known.phone_verified


async def test_a_code_works_once_for_a_few_minutes_and_the_newest_only(
    app: "Building", clerk: Colleague, second: Colleague, who: Colleague, clock: FrozenClock
) -> None:
    """Invariant I7; wrong, used, replaced and run out are one answer."""
    former, code = await shown_code(who), await shown_code(who)
    assert code_of(await clerk.post("/counter", {"code": former})) == "missed"
    typed = code.replace("-", " ").lower()
    both = await asyncio.gather(*(one.post("/counter", {"code": typed}) for one in (clerk, second)))
    assert sorted(one.status_code for one in both) == [303, 422]
    assert code_of(await second.post("/counter", {"code": code})) == "missed"
    late = await shown_code(who)
    clock.advance(seconds=601)
    assert code_of(await second.post("/counter", {"code": late})) == "missed"


async def test_guessing_codes_is_slowed_down_for_the_clerk(clerk: Colleague, who: Colleague) -> None:
    code = await shown_code(who)
    for _ in range(5):
        assert code_of(await clerk.post("/counter", {"code": "0000-0000"})) == "missed"
    answer = await clerk.post("/counter", {"code": code})
    assert (answer.status_code, code_of(answer), "retry-after" in answer.headers) == (429, "throttled", True)


async def test_clerks_only_with_two_factors_and_they_find_nobody_without_a_code(
    app: "Building", client: Any, clerk: Colleague, who: Colleague
) -> None:
    visit = await begin(clerk, who)
    outsiders = [await colleague(app, client, role) for role in ("operator", "analyst", "lead", "ethics")]
    for other in (*outsiders, who):
        for answer in (
            await other.get("/counter"),
            await other.get(visit),
            await other.post(visit, CHIP),
            await other.post(f"{visit}/confirm", {"confirmed": "1"}),
            await other.post(f"{visit}/end"),
        ):
            assert answer.status_code == 404
    weak = await phone(app, client, clerk.id, acr=AAL1)
    assert (await weak.get("/counter")).status_code == 403
    assert (await clerk.get(f"/console/residents/{who.id}")).status_code == 404  # residents are not browsed
    assert (await clerk.get("/desk")).headers["location"] == "/counter"


async def test_no_clerk_verifies_themself_by_a_second_account(app: "Building", client: Any, party: Party) -> None:
    """A namesake is turned away, as the one who types the code and as the one who confirms."""
    own = await colleague(app, client, "clerk", login="sister", called="湊　花子")
    other = await colleague(app, client, "clerk", login="ura")
    who = await phone(app, client, party.account_id)
    assert code_of(await own.post("/counter", {"code": await shown_code(who)})) == "own"
    visit = await begin(other, who)
    await other.post(visit, CHIP)
    assert (await own.post(f"{visit}/confirm", {"confirmed": "1"})).status_code == 403
    assert await level(app, who.id) == 0


async def test_a_code_takes_two_factors_shown_a_moment_ago(
    app: "Building", client: Any, party: Party, who: Colleague, clock: FrozenClock
) -> None:
    """A guessed password, or a found phone, brings nobody to the counter (NIST SP 800-63A-4 section 3)."""
    weak = await phone(app, client, party.account_id, acr=AAL1)
    assert 'id="make-code"' not in (await weak.get("/safety/verified")).text
    assert (await weak.post("/safety/verified/code")).headers["location"] == "/safety/verified"
    clock.advance(seconds=601)
    assert "/sign-in?" in (await who.post("/safety/verified/code")).headers["location"]
    staff = await colleague(app, client, "operator")
    assert "visit-code" not in (await staff.post("/safety/verified/code")).text


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"document-1": ""}, "document-1"),
        ({"compared": ["name"]}, "compared"),
        ({"compared": ["name", "birthdate", "gender"], "number-1": "123456789012"}, "number-1"),
        ({"expires-1": "2020-01-01"}, "expires-1"),
        ({"document-2": "health-insurance", "chip-2": "1"}, "chip-2"),
    ],
)
async def test_what_cannot_be_is_told_at_its_field_and_the_form_is_kept(
    clerk: Colleague, who: Colleague, wrong: dict[str, Any], field: str
) -> None:
    visit = await begin(clerk, who)
    page = await clerk.post(visit, CHIP | wrong)
    assert (page.status_code, f'href="#{field}"' in page.text) == (422, True)
    assert 'value="湊浜市長"' in page.text


async def test_a_visit_ends_by_the_clock_and_a_clerk_has_one_at_a_time(
    app: "Building", clerk: Colleague, who: Colleague, clock: FrozenClock
) -> None:
    first = await begin(clerk, who)
    again = await begin(clerk, who)
    assert (await clerk.post(first, ONE)).status_code == 404
    clock.advance(seconds=21 * 60)
    assert (await clerk.post(again, ONE)).status_code == 404
    assert await level(app, who.id) == 0


async def test_what_runs_out_counts_no_more_and_is_told_once(
    app: "Building", client: Any, party: Party, who: Colleague, clerk: Colleague, clock: FrozenClock
) -> None:
    await clerk.post(await begin(clerk, who), TWO)
    clock.advance(seconds=60)
    await clerk.post(await begin(clerk, who), ONE)  # less than what stands
    assert await level(app, who.id) == 2
    clock.advance(seconds=5 * 365 * DAY // SECOND)
    assert await level(app, who.id) == 0
    await app.host.db.bulk(app.host.get(Verifications).sweep)
    await app.host.db.bulk(app.host.get(Verifications).sweep)  # again: nothing twice
    entries = await app.host.db.read(audit.entries, action="identity.assurance.changed")
    assert [(one.detail["from"], one.detail["to"]) for one in entries] == [(0, 2), (2, 1), (1, 0)]
    later = await phone(app, client, party.account_id)
    assert "Its time had run out" in (await later.get("/safety/verified")).text


async def test_an_operator_ends_a_wrong_verification_and_what_it_let_in(
    app: "Building", client: Any, party: Party
) -> None:
    """Lowered by somebody else than who raised it; after fraud every standing access ends with it (I5)."""
    await verify(app, client, party.account_id, TWO)
    tokens = (await party.exchange(await party.code(scope="openid offline_access", prompt="consent"))).json()
    operator = await colleague(app, client, "operator")
    place = f"/console/residents/{party.account_id}"
    assert 'data-ial="2"' in (await operator.get(place)).text
    vague = await operator.post(f"{place}/verification/end", {"end_reason": "because"})
    assert (vague.status_code, 'href="#end_reason"' in vague.text) == (422, True)
    assert (await operator.post(f"{place}/verification/end", {"end_reason": "fraud"})).status_code == 303
    assert await level(app, party.account_id) == 0
    assert (await party.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    who = await phone(app, client, party.account_id)
    assert "The city office found something wrong" in (await who.get("/safety/verified")).text
    entries = await app.host.db.read(audit.entries, action="identity.assurance.changed")
    assert [(one.detail["from"], one.detail["to"]) for one in entries] == [(0, 2), (2, 0)]


async def test_a_resident_takes_it_back_and_who_leaves_leaves_nothing(app: "Building", client: Any) -> None:
    party = await join(app, client)
    await verify(app, client, party.account_id, TWO)
    who = await phone(app, client, party.account_id)
    assert (await who.post("/safety/verified/end")).status_code == 303
    assert await level(app, party.account_id) == 0
    page = (await who.get("/safety/verified")).text
    assert "You did not want it any more" in page
    assert not re.search(r'id="end-verified"', page)
