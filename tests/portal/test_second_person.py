"""Wherever two people are wanted, one human with two staff accounts is one: five doors, one rule, one answer."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from consent import agreements
from identity.accounts import close_account
from identity.key_changes import KeyChanges
from identity.second_person import are_one
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.host import SYSTEM, Actor
from tests.identity.test_oauth_client_auth import MACHINE
from tests.portal.test_console import a_member, an_offer
from tests.portal.test_mandates import CHILD_BORN, mandate_on, somebody
from tests.support.counter import CHIP, begin, phone, shown_code
from tests.support.desk import Colleague, colleague
from tests.support.relying_party import join

if TYPE_CHECKING:
    from portal.app import Building

pytestmark = pytest.mark.anyio

EVERYTHING = ("operator", "clerk", "ethics")
REFUSED = "/problems/identity/second-person-needed"


@pytest.fixture
async def hands(app: "Building", client: Any) -> tuple[Colleague, Colleague, Colleague]:
    """Somebody, the same human by another account (with the other width of space), and somebody else."""
    one = await colleague(app, client, *EVERYTHING, login="urabe", called="浦部 一")
    same = await colleague(app, client, *EVERYTHING, login="urabe2", called="浦部　一")
    return one, same, await colleague(app, client, *EVERYTHING, login="irie")


async def test_a_second_account_is_no_second_person_at_any_door(
    app: "Building", client: Any, hands: tuple[Colleague, Colleague, Colleague]
) -> None:
    """The attack: one member of staff with two accounts gives a client keys of their own, prints a code into somebody's
    account, becomes a guardian, verifies a stranger or publishes an offer, and the trail shows two people."""
    one, same, other = hands
    host = app.host
    party = await join(app, client, **MACHINE)
    visitor = await phone(app, client, party.account_id)
    child, parent = await somebody(app, client, "空", born=CHILD_BORN), await somebody(app, client, "健一")

    async def by_all(path: str, form: dict[str, str]) -> list[int]:
        return [(await each.post(path, form)).status_code for each in hands]

    # A reset of somebody's way in.
    opened = await one.post(f"/console/residents/{child.id}/reset", {"reason": "lost", "evidence": ["passport"]})
    assert opened.status_code == 303, opened.text[:300]
    assert await by_all(f"{opened.headers['location']}/approve", {"confirmed": "1"}) == [403, 403, 200]
    # A guardian.
    guardians = f"/console/residents/{child.id}/guardians"
    assert (await one.post(guardians, {"holder": parent.id, "evidence": "family-register"})).status_code == 303
    mandate_id = mandate_on(await other.get(guardians), "approve")
    assert await by_all(f"/console/mandates/{mandate_id}/approve", {}) == [403, 403, 303]
    # Who somebody is, at the highest level.
    visit = await begin(one, visitor)
    assert (await one.post(visit, CHIP)).status_code == 303
    assert await by_all(f"{visit}/confirm", {"confirmed": "1"}) == [403, 403, 303]
    # A client's secret.
    host.get(KeyChanges).by_two = True
    place = f"/console/clients/{party.client.id}"
    await one.post(f"{place}/secret", {"overlap": "0"})
    found = re.search(r'name="change" value="([^"]+)"', (await same.get(place + "/keys")).text)
    assert found is not None
    change = {"change": found[1]}
    for each in (one, same):
        assert (await each.post(f"{place}/change/approve", change)).status_code == 303
        assert await host.db.read(host.get(KeyChanges).find, party.client.id) is not None
    assert 'id="secret"' in (await other.post(f"{place}/change/approve", change)).text
    # An offer to residents.
    offer = await an_offer(app, await a_member(one), actor=Actor("operator", one.id))
    for each in (one, same):
        answer = await each.api("POST", f"/api/consent/admin/revisions/{offer.id}/approve")
        assert (answer.status_code, answer.json()["type"]) == (403, REFUSED)
    assert (await host.db.read(agreements.get_revision, offer.id)).status == "offered"
    answer = await other.api("POST", f"/api/consent/admin/revisions/{offer.id}/approve")
    assert answer.json()["status"] == "approved"


async def test_nobody_resets_an_account_of_their_own_with_a_colleague_who_only_looks_at_the_screen(
    app: "Building", client: Any, hands: tuple[Colleague, Colleague, Colleague]
) -> None:
    one, _same, other = hands
    own = await colleague(app, client, kind="resident", login="home", called="浦部 一")
    place, form = f"/console/residents/{own.id}/reset", {"reason": "lost", "evidence": ["passport"]}
    assert (await one.post(place, form)).status_code == 403
    opened = await other.post(place, form)
    assert (await one.post(f"{opened.headers['location']}/approve", {"confirmed": "1"})).status_code == 403


async def test_nobody_becomes_a_second_person_by_calling_themselves_another(
    app: "Building", client: Any, hands: tuple[Colleague, Colleague, Colleague]
) -> None:
    """Staff by another name, or somebody's own account as a resident by one that a colleague reads as the same."""
    one, same, _other = hands
    asked = {"name": "別府 太郎", "name_kana": "", "locale": "en"}
    answer = await same.post("/safety/profile", asked)
    assert (answer.status_code, "The administrator changes it" in answer.text) == (422, True)
    assert (
        await same.post("/safety/profile", {**asked, "name": "浦部　一", "name_kana": "うらべ はじめ"})
    ).status_code == 303
    sealer = app.host.get(Sealer)
    assert await app.host.db.read(are_one, sealer, one.id, same.id)
    for number, name in enumerate(("浦部 一\ufe00", "浦\u034f部・一", "浦部\u3164一")):
        own = await colleague(app, client, kind="resident", login=f"home{number}", called=name)
        visitor = await phone(app, client, own.id)
        answer = await one.post("/counter", {"code": await shown_code(visitor)})
        assert answer.headers.get("location", "/counter") == "/counter", name  # it opens no visit
        assert await app.host.db.read(are_one, sealer, one.id, own.id), name


async def test_whoever_has_left_is_no_second_person_for_anybody(
    app: "Building", hands: tuple[Colleague, Colleague, Colleague]
) -> None:
    """With the name went what would tell the two apart: what they began is begun anew."""
    one, same, other = hands
    host = app.host
    sealer, hasher = host.get(Sealer), host.get(TokenHasher)
    asked = ((one.id, same.id), (one.id, other.id))
    assert [await host.db.read(are_one, sealer, *each) for each in asked] == [True, False]
    assert not await host.db.read(are_one, sealer, "system", one.id)
    await host.db.write(close_account, sealer, hasher, one.id, now=host.clock.ms(), actor=SYSTEM)
    assert [await host.db.read(are_one, sealer, *each) for each in asked] == [True, True]
