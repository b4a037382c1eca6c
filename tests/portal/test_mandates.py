"""Mandates over HTTP: who may act for whom, what stays closed, how it ends, and what coming of age does."""

import re
from typing import Any

import pytest

from consent import agreements, questions, records
from identity.accounts import Profile, close_account, create_account
from identity.errors_account import OutsideMandate
from identity.levels import AAL2
from identity.mandates import MAJORITY, majority
from identity.resets import Begun, Resets
from identity.sessions import Sessions
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit
from kit.clock import FrozenClock, iso
from kit.db import Session
from kit.host import SYSTEM, Actor
from portal.app import Building
from tests.portal.test_email import job
from tests.portal.test_reset import two
from tests.support.desk import Colleague, colleague
from tests.support.household import Household, settle

pytestmark = pytest.mark.anyio

CHILD_BORN = "2009-01-10"  # of age on 10 January 2027, 53 days after the tests' clock begins


async def somebody(app: Building, client: Any, name: str, *, born: str = "1960-01-01") -> Colleague:
    """A resident, signed in."""
    host = app.host
    login = {"健一": "kenichi", "とめ": "tome", "空": "sora", "花子": "hanako"}[name]
    account_id = await host.db.write(
        create_account, host.get(Sealer), host.get(TokenHasher), login=login,
        profile=Profile(name=f"湊 {name}", birthdate=born), now=host.clock.ms(),
    )  # fmt: skip
    return await signed_in(app, client, account_id)


async def signed_in(app: Building, client: Any, account_id: str) -> Colleague:
    token, _ = await app.host.db.write(app.host.get(Sessions).begin, account_id, acr=AAL2, amr=("pwd", "otp", "mfa"))
    return Colleague(app, client, account_id, token)


async def mother(app: Building, client: Any) -> tuple[Household, Colleague]:
    """A resident with a consent, in a window of hers."""
    home = await settle(app, client)
    await home.give("mobility")
    return home, await signed_in(app, client, home.party.account_id)


def mandate_on(page: Any, verb: str) -> str:
    found = re.search(rf"/mandates/(mdt_\w+)/{verb}", page.text)
    assert found, page.text[:300]
    return found[1]


async def agreed(giver: Colleague, holder: Colleague, *actions: str, purposes: tuple[str, ...] = ()) -> str:
    """Both agree: the code, who typed it, yes."""
    made = await giver.post(
        "/mandates/give", {"actions": list(actions), "purposes": list(purposes), "until": "2027-06-30"}
    )
    assert made.status_code == 200, made.text[:300]
    code = "".join(re.findall(r"<span>([0-9A-Z]{5})</span>", made.text.split('id="code"')[1]))
    assert (await holder.post("/mandates/accept", {"code": code.lower()})).status_code == 303
    mandate_id = mandate_on(await giver.get("/mandates"), "confirm")
    assert (await giver.post(f"/mandates/{mandate_id}/confirm")).status_code == 303
    return mandate_id


async def documents(app: Building, account_id: str, consent_id: str) -> list[dict[str, Any]]:
    def read(session: Session) -> list[dict[str, Any]]:
        return [
            each.document for each in records.history(session, app.host.get(Sealer), consent_id, account_id=account_id)
        ]

    return await app.host.db.read(read)


async def test_a_delegate_sees_and_takes_back_within_the_mandate_and_the_event_says_who_and_why(
    app: Building, client: Any
) -> None:
    home, giver = await mother(app, client)
    (consent,) = await home.consents()
    son = await somebody(app, client, "健一")
    mandate_id = await agreed(giver, son, "see", "withdraw")
    assert "健一" in (await giver.get("/mandates")).text
    assert f"/consents/{consent}" not in (await son.get("/consents")).text
    assert (await son.post(f"/mandates/{mandate_id}/act")).headers["location"] == "/consents"
    page = await son.get("/consents")
    assert 'id="acting"' in page.text
    assert f"/consents/{consent}" in page.text
    assert (await son.get(f"/consents/{consent}")).status_code == 200
    assert (await son.post(f"/consents/{consent}/withdraw", {"confirm": "1"})).status_code == 303
    last = (await documents(app, home.party.account_id, consent))[-1]
    assert (last["type"], last["actor"]) == (
        "withdrawn",
        {"kind": "resident", "authority": "delegate", "mandate": mandate_id},
    )

    def entries(session: Session) -> list[audit.AuditEntry]:
        return audit.entries(session, action="consent.record.withdrawn")

    (entry,) = await app.host.db.read(entries)
    mandate, session_id = entry.authority.split(" ")
    assert (entry.actor_id, mandate) == (son.id, mandate_id)
    assert session_id in [each.id for each in await app.host.db.read(app.host.get(Sessions).list_for, son.id)]
    assert "Somebody with your mandate did this for you." in (await giver.get(f"/consents/{consent}")).text
    assert (await son.post("/mandates/back")).headers["location"] == "/mandates"
    assert 'id="acting"' not in (await son.get("/mandates")).text


async def test_a_code_alone_lets_nobody_act_works_once_and_not_for_oneself(app: Building, client: Any) -> None:
    _home, giver = await mother(app, client)
    son, stranger = await somebody(app, client, "健一"), await somebody(app, client, "とめ")
    made = await giver.post("/mandates/give", {"actions": ["see"], "until": "2027-06-30"})
    code = "-".join(re.findall(r"<span>([0-9A-Z]{5})</span>", made.text.split('id="code"')[1]))
    own = await giver.post("/mandates/accept", {"code": code})
    wrong = await son.post("/mandates/accept", {"code": "00000-00000"})
    assert [each.status_code for each in (own, wrong)] == [422, 422]
    assert (await stranger.post("/mandates/accept", {"code": code})).status_code == 303
    assert (await son.post("/mandates/accept", {"code": code})).status_code == 422
    mandate_id = mandate_on(await giver.get("/mandates"), "confirm")
    assert (await stranger.post(f"/mandates/{mandate_id}/act")).status_code == 409
    assert (await stranger.post(f"/mandates/{mandate_id}/confirm")).status_code == 404  # not one's own to confirm
    assert (await giver.post(f"/mandates/{mandate_id}/end")).status_code == 303  # not this person
    assert (await giver.post(f"/mandates/{mandate_id}/confirm")).status_code == 409


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"until": "2027-06-30"}, "actions"),
        ({"actions": ["see", "erase"], "until": "2027-06-30"}, "actions"),
        ({"actions": ["see"], "until": "2026-01-01"}, "until"),
        ({"actions": ["see"], "until": "2036-01-01"}, "until"),
        ({"actions": ["see"], "until": "soon"}, "until"),
    ],
)
async def test_a_mandate_names_what_and_until_when(app: Building, client: Any, form: dict[str, Any], code: str) -> None:
    giver = await somebody(app, client, "とめ")
    refused = await giver.post("/mandates/give", form)
    assert (refused.status_code, f'data-code="{code}"' in refused.text) == (422, True)


async def test_while_one_acts_everything_else_is_closed_and_says_so(app: Building, client: Any) -> None:
    """A delegate changes no credentials and no mandates, erases nothing, sees no data, signs in nowhere."""
    home, giver = await mother(app, client)
    (consent,) = await home.consents()
    son, third = await somebody(app, client, "健一"), await somebody(app, client, "とめ")
    mandate_id = await agreed(giver, son, "see", "answer", "withdraw")
    waiting = await agreed(third, son, "see")
    await son.post(f"/mandates/{mandate_id}/act")
    question = await home.ask()
    for path in (
        "/safety", "/safety/password", "/safety/email", "/safety/codes", "/leave", "/leave/export", "/leave/erase",
        "/data", "/data/health_checkup", "/mandates", "/not-me", question, "/who/export",
    ):  # fmt: skip
        closed = await son.get(path)
        assert (closed.status_code, 'id="acting-back"' in closed.text) == (403, True), path
        assert "own account first" in closed.text or "任されたこと" in closed.text, path
    for path in (
        "/safety/password", "/safety/email", "/leave/erase", "/mandates/give", f"/mandates/{mandate_id}/end",
        f"/mandates/{waiting}/act", "/safety/sessions/end-others", question, f"/consents/{consent}/receipt/show",
    ):  # fmt: skip
        assert (await son.post(path, {"confirm": "erase", "answer": "agree"})).status_code == 403, path
    assert (await son.get("/home")).headers["location"] == "/consents"


async def test_an_ended_mandate_ends_at_once_and_the_page_says_so(app: Building, client: Any) -> None:
    home, giver = await mother(app, client)
    (consent,) = await home.consents()
    son = await somebody(app, client, "健一")
    mandate_id = await agreed(giver, son, "see", "withdraw")
    await son.post(f"/mandates/{mandate_id}/act")
    assert (await giver.post(f"/mandates/{mandate_id}/end")).status_code == 303
    page = await son.get("/consents")
    assert (page.status_code, 'id="acting"' in page.text) == (403, True)
    assert (await son.post(f"/consents/{consent}/withdraw")).status_code == 403
    assert (await documents(app, home.party.account_id, consent))[-1]["type"] == "given"
    assert (await son.post("/mandates/back")).status_code == 303
    assert (await son.get("/consents")).status_code == 200
    assert (await son.post(f"/mandates/{mandate_id}/act")).status_code == 409


async def test_a_mandate_ends_by_the_clock(app: Building, client: Any, clock: FrozenClock) -> None:
    _home, giver = await mother(app, client)
    son = await somebody(app, client, "健一")
    mandate_id = await agreed(giver, son, "see")
    clock.advance(seconds=225 * 86_400)
    son = await signed_in(app, client, son.id)
    assert (await son.post(f"/mandates/{mandate_id}/act")).status_code == 409
    await job(app, "identity.emails.apply")

    def why(session: Session) -> list[Any]:
        return [each.detail["why"] for each in audit.entries(session, action="identity.mandate.ended")]

    assert await app.host.db.read(why) == ["time"]


async def test_what_the_mandate_does_not_list_is_neither_done_nor_seen(app: Building, client: Any) -> None:
    home, giver = await mother(app, client)
    (consent,) = await home.consents()
    son = await somebody(app, client, "健一")
    await son.post(f"/mandates/{await agreed(giver, son, 'see')}/act")
    assert (await son.get(f"/consents/{consent}/withdraw")).status_code == 403
    assert (await son.post(f"/consents/{consent}/withdraw")).status_code == 403
    assert (await son.post(f"/consents/{consent}/change", {"category": []})).status_code == 403
    await son.post("/mandates/back")
    other = await agreed(giver, son, "see", "withdraw", purposes=("PublicBenefit",))
    await son.post(f"/mandates/{other}/act")
    assert f"/consents/{consent}" not in (await son.get("/consents")).text
    for path in (f"/consents/{consent}", f"/consents/{consent}/versions", f"/consents/{consent}/receipt"):
        assert (await son.get(path)).status_code == 404, path
    for path in ("/who", "/consents/history"):
        assert (await son.get(path)).status_code == 403, path
    assert (await son.post(f"/consents/{consent}/withdraw", {"confirm": "1"})).status_code == 403
    assert (await documents(app, home.party.account_id, consent))[-1]["type"] == "given"


async def test_nobody_answers_for_another_without_a_mandate_whatever_the_page_thinks(
    app: Building, client: Any
) -> None:
    """Asked in the very write that appends the event: the page's word is not enough."""
    home, _giver = await mother(app, client)
    (consent,) = await home.consents()
    son = await somebody(app, client, "健一")
    now = app.host.clock.ms()
    for actor in (Actor("resident", son.id), Actor("resident", son.id, mandate_id="mdt_none")):
        with pytest.raises(OutsideMandate):
            await app.host.db.write(
                records.withdraw, app.host.get(Sealer), consent_id=consent, account_id=home.party.account_id,
                actor=actor, now=now,
            )  # fmt: skip


# -- guardians


async def guardian_of(clerks: tuple[Colleague, Colleague], child: Colleague, parent: Colleague) -> str:
    """Written down by one clerk, approved by another."""
    first, second = clerks
    place = f"/console/residents/{child.id}/guardians"
    done = await first.post(place, {"holder": parent.id, "evidence": "family-register"})
    assert (done.status_code, done.headers.get("location")) == (303, place), done.text[:300]
    seen = await second.get(place)
    assert f'href="/console/residents/{parent.id}"' in seen.text
    assert re.search(f">[hk]••• {parent.id}<", seen.text)
    assert not re.search("kenichi|hanako", seen.text)
    mandate_id = mandate_on(seen, "approve").replace("/console", "")
    assert (await first.post(f"/console/mandates/{mandate_id}/approve")).status_code == 403
    assert (await parent.post(f"/mandates/{mandate_id}/act")).status_code == 409
    assert (await second.post(f"/console/mandates/{mandate_id}/approve")).status_code == 303
    return mandate_id


async def test_no_clerk_makes_themselves_a_guardian_by_a_second_account(app: Building, client: Any) -> None:
    """A clerk who bears the guardian's name is turned away, as the first of the two and as the second."""
    clerk = await colleague(app, client, "operator", login="sister", called="湊　健一")
    other = await colleague(app, client, "operator", login="irie")
    own, child = await somebody(app, client, "健一"), await somebody(app, client, "空", born=CHILD_BORN)
    place, form = f"/console/residents/{child.id}/guardians", {"holder": own.id, "evidence": "family-register"}
    assert (await clerk.post(place, form)).status_code == 403
    assert (await other.post(place, form)).status_code == 303
    mandate_id = mandate_on(await clerk.get(place), "approve")
    assert (await clerk.post(f"/console/mandates/{mandate_id}/approve")).status_code == 403


async def answered(app: Building, parent: Colleague, child: Colleague, revision_id: str) -> str:
    """The city asks for the child's data, the parent agrees on the child's page; the consent's id."""
    consent = await app.host.db.write(
        questions.ask, app.host.get(Sealer), account_id=child.id, revision_id=revision_id, actor=SYSTEM,
        now=app.host.clock.ms(),
    )  # fmt: skip
    page = await parent.get(f"/consents/{consent}/answer")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
    done = await parent.post(f"/consents/{consent}/answer", hidden | {"answer": "agree"})
    assert done.status_code == 303, done.text[:300]
    return consent


async def revision(app: Building, home: Household) -> str:
    found = await app.host.db.read(agreements.current, home.agreement_id)
    return str(found.id)


async def test_coming_of_age_ends_what_the_guardian_agreed_to_and_asks_the_person(
    app: Building, client: Any, clock: FrozenClock
) -> None:
    """Civil Code articles 4 and 818; what the person agreed to themselves stays."""
    home = await settle(app, client)
    child = await somebody(app, client, "空", born=CHILD_BORN)
    parent = await somebody(app, client, "花子")
    mandate_id = await guardian_of(await two(app, client), child, parent)
    await parent.post(f"/mandates/{mandate_id}/act")
    revision_id = await revision(app, home)
    consent = await answered(app, parent, child, revision_id)
    given = (await documents(app, child.id, consent))[-1]
    assert (given["type"], given["actor"]["authority"], given["actor"]["mandate"]) == ("given", "guardian", mandate_id)
    assert given["subject"] == child.id

    clock.advance(seconds=(majority(CHILD_BORN) - clock.ms()) // 1000 - 1)
    await job(app, "consent.majority")
    assert (await documents(app, child.id, consent))[-1]["type"] == "given"
    parent = await signed_in(app, client, parent.id)
    await parent.post(f"/mandates/{mandate_id}/act")
    assert (await parent.get(f"/consents/{consent}")).status_code == 200
    clock.advance(seconds=1)
    # By the clock, before any job: nothing is given, changed or even seen under it any more.
    assert (await parent.post(f"/consents/{consent}/withdraw")).status_code == 403
    with pytest.raises(OutsideMandate):
        await app.host.db.write(
            records.give, app.host.get(Sealer), account_id=child.id, revision_id=revision_id, notice_lang="ja",
            categories=["health_checkup"], actor=Actor("resident", parent.id, mandate_id=mandate_id), now=clock.ms(),
        )  # fmt: skip
    await job(app, "consent.majority")
    ended = (await documents(app, child.id, consent))[-1]
    assert (ended["type"], ended["reason"], ended["actor"]["authority"]) == ("invalidated", "came-of-age", "rule")

    child = await signed_in(app, client, child.id)
    assert "came of age" in (await child.get(f"/consents/{consent}")).text
    found = await app.host.db.read(records.list_for, child.id, now=clock.ms())
    (asked,) = (each for each in found if each.state == "requested")
    page = await child.get(f"/consents/{asked.id}/answer")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page.text))
    assert (await child.post(f"/consents/{asked.id}/answer", hidden | {"answer": "agree"})).status_code == 303
    own = (await documents(app, child.id, asked.id))[-1]
    assert own["actor"] == {"kind": "resident", "authority": "self"}
    await job(app, "consent.majority")  # a second run finds nothing: what the person said stays
    assert (await documents(app, child.id, asked.id))[-1]["type"] == "given"


@pytest.mark.parametrize("how", ["laid down", "left"])
async def test_a_guardian_who_goes_before_does_not_make_it_outlive_childhood(
    app: Building, client: Any, clock: FrozenClock, how: str
) -> None:
    """Laid down on the last day, or gone with its holder: from eighteen on nobody's word stands for theirs."""
    home = await settle(app, client)
    child = await somebody(app, client, "空", born=CHILD_BORN)
    parent = await somebody(app, client, "花子")
    mandate_id = await guardian_of(await two(app, client), child, parent)
    await parent.post(f"/mandates/{mandate_id}/act")
    consent = await answered(app, parent, child, await revision(app, home))
    await parent.post("/mandates/back")
    if how == "laid down":
        assert (await parent.post(f"/mandates/{mandate_id}/end")).status_code == 303
    else:
        who = Actor("resident", parent.id)
        await app.host.db.write(
            close_account, app.host.get(Sealer), app.host.get(TokenHasher), parent.id, now=clock.ms(), actor=who
        )
    await job(app, "consent.majority")
    assert (await documents(app, child.id, consent))[-1]["type"] == "given"  # it was theirs to give
    clock.advance(seconds=(majority(CHILD_BORN) - clock.ms()) // 1000)
    for _ in range(2):
        await job(app, "consent.majority")
    assert [each["type"] for each in await documents(app, child.id, consent)][-2:] == ["given", "invalidated"]


@pytest.mark.parametrize("how", ["alarm", "reset"])
async def test_a_mandate_given_away_outlives_neither_this_was_not_me_nor_a_reset(
    app: Building, client: Any, how: str
) -> None:
    """Who was in as somebody else could give one to themselves, and be in again without a session or a password."""
    home, giver = await mother(app, client)
    son = await somebody(app, client, "健一")
    mandate_id = await agreed(giver, son, "see", "withdraw")
    await son.post(f"/mandates/{mandate_id}/act")
    (consent,) = await home.consents()
    assert (await son.get(f"/consents/{consent}")).status_code == 200
    resets = app.host.get(Resets)

    def reset(session: Session) -> bool:
        opened = resets.open(
            session, giver.id, reason="stolen", evidence=["passport"], actor=Actor("operator", "acc_first")
        )
        resets.approve(session, opened, code="1-2-3", actor=Actor("operator", "acc_second"))
        return resets.spend(session, Begun(opened, giver.id))

    if how == "alarm":
        assert (await giver.post("/not-me", {"ticket": ""})).status_code == 200
    else:
        assert await app.host.db.write(reset)
    assert (await son.get(f"/consents/{consent}")).status_code == 403
    assert (await son.post("/mandates/back")).status_code == 303
    assert (await son.post(f"/mandates/{mandate_id}/act")).status_code == 409


async def test_a_guardian_is_for_a_child_and_the_child_cannot_end_or_give_one(app: Building, client: Any) -> None:
    child, adult = await somebody(app, client, "空", born=CHILD_BORN), await somebody(app, client, "とめ")
    parent = await somebody(app, client, "花子")
    first, second = await two(app, client)
    for subject, holder, evidence in (
        (adult, parent, "family-register"),
        (child, child, "family-register"),
        (parent, child, "court-order"),
        (child, parent, "her word"),
    ):
        refused = await first.post(
            f"/console/residents/{subject.id}/guardians", {"holder": holder.id, "evidence": evidence}
        )
        assert refused.status_code == 422, (subject, holder)
    mandate_id = await guardian_of((first, second), child, parent)
    assert (await child.post(f"/mandates/{mandate_id}/end")).status_code == 404
    assert (await child.post("/mandates/give", {"actions": ["see"], "until": "2027-01-01"})).status_code == 422
    again = await first.post(
        f"/console/residents/{child.id}/guardians", {"holder": parent.id, "evidence": "family-register"}
    )
    assert again.status_code == 422
    assert (await first.post(f"/console/mandates/{mandate_id}/end")).status_code == 303
    assert (await parent.post(f"/mandates/{mandate_id}/act")).status_code == 409


def test_one_comes_of_age_as_the_eighteenth_birthday_begins_in_japan() -> None:
    """Civil Code article 4; born on 29 February: 1 March where there is none."""
    assert MAJORITY == 18
    assert iso(majority("2009-01-10"))[:19] == "2027-01-09T15:00:00"
    assert iso(majority("2008-02-29"))[:19] == "2026-02-28T15:00:00"
    for wrong in ("", "soon", "2009-13-01"):
        with pytest.raises(ValueError):
            majority(wrong)
