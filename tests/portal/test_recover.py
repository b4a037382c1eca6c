"""Recovery over HTTP: two of what an account holds, a wait of which the owner is told, and no oracle on the way."""

import asyncio
import re
from typing import Any

import pytest

from identity import recovery
from identity.accounts import change_profile, profile
from identity.levels import AAL2
from identity.sessions import Sessions
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit.clock import FrozenClock
from kit.db import Session
from kit.host import SYSTEM
from portal.app import Building
from tests.portal.test_email import OLD, actions, deliver
from tests.portal.test_reset import NEW, a_code, code_on, open_reset, two
from tests.portal.test_signin import PASSWORD, add, code_of, post
from tests.support.desk import Colleague
from tests.support.elsewhere import elsewhere
from tests.support.letterbox import Letterbox, code_in, link_in, post_box

pytestmark = pytest.mark.anyio

PLACE = "/sign-in/recover"


@pytest.fixture
def box(app: Building) -> Letterbox:
    return post_box(app)


def coded(box: Letterbox) -> str:
    """The code of the last letter that has one."""
    letter = next(each for each in reversed(box.to(OLD)) if re.search(r"^    [0-9A-Z]{5}-", each.text, re.M))
    return code_in(letter)


async def hana(app: Building, *, address: str | None = OLD) -> tuple[str, tuple[str, ...]]:
    """A resident with an app, recovery codes and a verified address."""
    account_id, _ = await add(app)
    codes = recovery.new_codes()
    host = app.host

    def give(session: Session) -> None:
        from dataclasses import replace

        sealer = host.get(Sealer)
        recovery.replace(session, host.get(TokenHasher), account_id, codes, now=host.clock.ms(), actor=SYSTEM)
        person = replace(profile(session, sealer, account_id), email=address, email_verified=address is not None)
        change_profile(session, sealer, account_id, person, now=app.host.clock.ms(), actor=SYSTEM, proved=True)

    await host.db.write(give)
    return account_id, codes


async def window(app: Building, client: Any, account_id: str) -> Colleague:
    """A window in which the owner is signed in."""
    token, _ = await app.host.db.write(app.host.get(Sessions).begin, account_id, acr=AAL2, amr=("pwd", "otp", "mfa"))
    return Colleague(app, client, account_id, token)


async def begun(app: Building, client: Any, box: Letterbox, code: str) -> str:
    """Both proved: the code on the screen."""
    assert (await post(client, PLACE, login="hana", code=code)).headers["location"] == f"{PLACE}/letter"
    await deliver(app)
    shown = await post(client, f"{PLACE}/letter", code=coded(box))
    assert shown.status_code == 200, code_of(shown)
    assert shown.headers["cache-control"] == "no-store"
    return code_on(shown)


async def test_two_proofs_and_three_days_make_a_new_way_in_that_ends_every_session(
    app: Building,
    client: Any,
    box: Letterbox,
    clock: FrozenClock,
) -> None:
    """NIST SP 800-63B-4 section 4.2."""
    account_id, codes = await hana(app)
    owner = await window(app, client, account_id)
    code = await begun(app, client, box, codes[0].lower())
    early = await post(client, "/sign-in/reset", login="hana", code=code)
    assert (early.status_code, code_of(early)) == (422, "waits")
    clock.advance(seconds=3 * 86_400 - 1)
    assert code_of(await post(client, "/sign-in/reset", login="hana", code=code)) == "waits"
    clock.advance(seconds=1)
    entered = await post(client, "/sign-in/reset", login="hana", code=code)
    assert entered.headers["location"] == "/sign-in/reset/new"
    done = await post(client, "/sign-in/reset/password", password=NEW, repeat=NEW)
    assert done.headers["location"] == "/safety/app?first=1&next=/home"
    assert await app.host.get(Sessions).find(owner.token) is None
    told = await actions(app, account_id)
    assert {"identity.recovery.begun", "identity.reset.entered", "identity.reset.used"} <= set(told)


@pytest.mark.parametrize("way", ["page", "letter", "office"])
async def test_the_owner_can_stop_it_from_the_page_or_the_letter_and_an_operator_too(
    app: Building,
    client: Any,
    box: Letterbox,
    clock: FrozenClock,
    way: str,
) -> None:
    account_id, codes = await hana(app)
    owner = await window(app, client, account_id)
    code = await begun(app, client, box, codes[0])
    await deliver(app)
    assert 'id="reset-stop"' in (await owner.get("/safety")).text
    assert "Somebody is recovering your account" in (await owner.get("/home")).text
    if way == "page":
        assert (await owner.post("/safety/reset/stop")).status_code == 303
    elif way == "letter":
        (warned,) = (each for each in box.to(OLD) if "取り戻す手続き" in each.subject)
        page = await client.get(link_in(warned, "/not-me"))
        ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
        assert ticket
        assert code_of(await post(client, "/not-me", ticket=ticket[1])) == "alarm"
    else:
        clerk, _ = await two(app, client)
        found = re.search(r"/console/resets/(rst_\w+)", (await clerk.get(f"/console/residents/{account_id}")).text)
        assert found
        assert (await clerk.post(f"/console/resets/{found[1]}/withdraw")).status_code == 303
    clock.advance(seconds=4 * 86_400)
    assert code_of(await post(client, "/sign-in/reset", login="hana", code=code)) == "refused"


async def test_nobody_learns_which_names_codes_and_addresses_exist(
    app: Building,
    client: Any,
    box: Letterbox,
) -> None:
    """The same answer, the same page, the same end: an unknown name, a wrong code, an account without an address."""
    account_id, codes = await hana(app, address=None)
    seen = []
    for login, code in (("nobody", codes[0]), ("hana", "00000-00000"), ("hana", codes[1])):
        client.cookies.clear()
        answer = await post(client, PLACE, login=login, code=code)
        page = await client.get(f"{PLACE}/letter")
        wrong = [await post(client, f"{PLACE}/letter", code="00000-00000") for _ in range(5)]
        seen.append((answer.status_code, answer.headers["location"], page.text, [each.text for each in wrong]))
    assert seen[0] == seen[1] == seen[2]
    await deliver(app)
    assert box.letters == []
    assert await app.host.db.read(recovery.left, account_id) == 10  # nothing was used up


async def test_tries_are_paid_like_those_of_a_sign_in(app: Building, client: Any, box: Letterbox) -> None:
    _, codes = await hana(app)
    for _ in range(5):
        await post(client, PLACE, login="hana", code="00000-00000")
    refused = await post(client, PLACE, login="hana", code=codes[0])
    assert (refused.status_code, code_of(refused), "retry-after" in refused.headers) == (429, "throttled", True)


async def test_a_stranger_shuts_nobody_out_of_their_recovery(app: Building, client: Any, box: Letterbox) -> None:
    """The attack: wrong passwords, and wrong codes, for somebody's name until the owner has to wait for a day."""
    account_id, codes = await hana(app)
    async with elsewhere(app, 7) as stranger:
        for _ in range(20):
            await post(stranger, "/sign-in", login="hana", password="wrong password 1")
        answers = [(await post(stranger, PLACE, login="hana", code="00000-00000")).status_code for _ in range(7)]
    assert answers == [303] * 5 + [429] * 2
    assert code_of(await post(client, "/sign-in", login="hana", password=PASSWORD)) == "throttled"
    assert await begun(app, client, box, codes[0])
    assert await app.host.db.read(recovery.left, account_id) == 9


async def test_of_many_at_once_one_begins_and_one_code_is_spent(
    app: Building,
    client: Any,
    box: Letterbox,
) -> None:
    """Invariant I7."""
    account_id, codes = await hana(app)
    await post(client, PLACE, login="hana", code=codes[0])
    await deliver(app)
    code = coded(box)
    answers = await asyncio.gather(*(post(client, f"{PLACE}/letter", code=code) for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [200] + [303] * 5
    assert (await actions(app, account_id)).count("identity.recovery.begun") == 1
    assert await app.host.db.read(recovery.left, account_id) == 9
    again = await post(client, PLACE, login="hana", code=codes[1])
    assert again.status_code == 303  # one waits already: no second letter, and no word of it
    before = len(box.letters)
    await deliver(app)
    assert [each.subject for each in box.letters[before:] if "コード" in each.subject] == []


async def test_the_counters_code_waits_where_the_owner_can_be_warned_unless_a_recovery_code_stands_beside_it(
    app: Building,
    client: Any,
    box: Letterbox,
    clock: FrozenClock,
) -> None:
    account_id, codes = await hana(app)
    first, second = await two(app, client)
    sheet = await second.post(f"{await open_reset(first, account_id)}/approve", {"confirmed": "1"})
    assert "at once with one of your recovery codes" in sheet.text
    code = code_on(sheet)
    await deliver(app)
    assert {"新しい入り方を作る手続きが始まりました", "新しい入り方のためのコードが印刷されました"} <= {
        each.subject for each in box.to(OLD)
    }
    assert code not in "".join(each.text for each in box.letters)
    waits = await post(client, "/sign-in/reset", login="hana", code=code)
    assert (code_of(waits), 'id="second"' in waits.text) == ("waits", True)
    assert (await client.get("/sign-in/reset/new")).status_code == 303
    wrong = await post(client, "/sign-in/reset", login="hana", code=code, second="00000-00000")
    assert (wrong.status_code, code_of(wrong)) == (422, "second")
    both = await post(client, "/sign-in/reset", login="hana", code=code, second=codes[3])
    assert both.headers["location"] == "/sign-in/reset/new"


async def test_the_counters_code_is_good_a_day_later_or_at_once_where_nobody_can_be_warned(
    app: Building,
    client: Any,
    box: Letterbox,
    clock: FrozenClock,
) -> None:
    account_id, _ = await hana(app)
    code = await a_code(app, client, account_id)
    assert code_of(await post(client, "/sign-in/reset", login="hana", code=code)) == "waits"
    clock.advance(seconds=86_400)
    assert (await post(client, "/sign-in/reset", login="hana", code=code)).status_code == 303


async def test_an_empty_form_is_told_what_is_missing(app: Building, client: Any) -> None:
    empty = await post(client, PLACE, login="hana", code="")
    assert (empty.status_code, code_of(empty)) == (422, "blank")
    assert (await client.get(f"{PLACE}/letter")).headers["location"] == f"{PLACE}?expired=1"
    assert code_of(await client.get(f"{PLACE}?expired=1")) == "expired"


async def test_a_recovery_begun_at_home_waits_even_with_more_codes_of_the_same_sheet(
    app: Building,
    client: Any,
    box: Letterbox,
    clock: FrozenClock,
) -> None:
    """Whoever found the sheet holds ten codes: a second one proves nothing the first did not, and the owner's days to
    stop it (NIST SP 800-63B-4 section 4.2) are the same. The code is not spent either."""
    account_id, codes = await hana(app)
    code = await begun(app, client, box, codes[0])
    again = await post(client, "/sign-in/reset", login="hana", code=code, second=codes[1])
    assert (again.status_code, code_of(again), 'id="second"' in again.text) == (422, "waits", False)
    assert await app.host.db.read(recovery.left, account_id) == 9
    clock.advance(seconds=3 * 86_400)
    assert (await post(client, "/sign-in/reset", login="hana", code=code)).status_code == 303
