"""The e-mail address and the letters, over HTTP: who proves what, what waits, what is told to whom."""

import asyncio
import re
from typing import Any

import pytest

from identity.accounts import MAIL_TOPIC, Profile, close_account, profile
from identity.alarm import Alarm
from identity.emails import TRIES
from identity.mail import TOLD, Mail
from identity.oidc.claims import told
from identity.signals import left, streams, subjects
from identity.signals.delivery import Delivery
from keys.envelope import Sealer
from keys.hashing import TokenHasher
from kit import audit, outbox
from kit.clock import DAY, FrozenClock
from kit.db import Session
from kit.host import SYSTEM
from portal import i18n, letters
from portal.app import Building
from tests.portal.test_signin import PASSWORD, SESSION, add, code_of, post
from tests.support.authenticator_app import code_at
from tests.support.elsewhere import elsewhere
from tests.support.letterbox import Letterbox, code_in, link_in, post_box

pytestmark = pytest.mark.anyio

OLD, NEW, EVIL = "hana@mail.example", "hanako@mail.example", "mallory@evil.example"
NEW_PASSWORD = "four words nobody ever guesses"


@pytest.fixture
def box(app: Building) -> Letterbox:
    return post_box(app)


async def deliver(app: Building) -> int:
    return await app.host.get(Mail).deliver()


async def job(app: Building, name: str) -> None:
    await next(each.run for each in app.host.jobs if each.name == name)()


async def inside(app: Building, client: Any, login: str = "hana") -> str:
    """Somebody with a password alone, signed in."""
    account_id, _ = await add(app, login, app_on=False)
    assert (await post(client, "/sign-in", login=login, password=PASSWORD)).status_code == 303
    return account_id


async def prove(app: Building, client: Any, box: Letterbox, address: str) -> Any:
    """Give an address and type the code that came there."""
    asked = await post(client, "/safety/email", email=address)
    assert asked.status_code == 303, code_of(asked)
    await deliver(app)
    return await post(client, "/safety/email/confirm", code=code_in(box.to(address)[-1]).lower())


async def person(app: Building, account_id: str) -> Profile:
    return await app.host.db.read(profile, app.host.get(Sealer), account_id)


async def actions(app: Building, account_id: str) -> list[str]:
    def read(session: Session) -> list[str]:
        return [each.action for each in audit.entries(session, object_id=account_id)]

    return await app.host.db.read(read)


async def test_an_address_counts_when_the_code_from_its_letter_was_typed_and_the_claim_follows(
    app: Building, client: Any, box: Letterbox
) -> None:
    """OpenID Connect Core section 5.1, email_verified."""
    account_id = await inside(app, client)
    assert (await post(client, "/safety/email", email=OLD)).status_code == 303
    await deliver(app)
    assert (await person(app, account_id)).email is None
    (letter,) = box.letters
    assert OLD in (await client.get("/safety/email")).text
    done = await post(client, "/safety/email/confirm", code=code_in(letter))
    assert (done.status_code, done.headers["location"]) == (303, "/safety/email")
    known = await person(app, account_id)
    assert told(known, frozenset({"email", "email_verified"})) == {"email": OLD, "email_verified": True}
    assert (await post(client, "/safety/email/confirm", code=code_in(letter))).status_code == 422  # once
    page = await client.get("/safety/email", headers={"accept-language": "en"})
    assert f'id="address">{OLD}<' in page.text


async def test_opening_an_address_with_the_code_in_it_confirms_nothing(
    app: Building, client: Any, box: Letterbox
) -> None:
    """Programs open links in letters before people do."""
    account_id = await inside(app, client)
    await post(client, "/safety/email", email=OLD)
    await deliver(app)
    code = code_in(box.letters[0])
    page = await client.get(f"/safety/email?code={code}")
    assert f'value="{code}"' in page.text
    assert not (await person(app, account_id)).email_verified


async def test_a_code_is_no_use_to_another_account_nor_after_five_wrong_ones(
    app: Building, client: Any, box: Letterbox
) -> None:
    account_id = await inside(app, client)
    await post(client, "/safety/email", email=OLD)
    await deliver(app)
    mine = client.cookies.get(SESSION)
    client.cookies.clear()
    other = await inside(app, client, "mallory")
    assert code_of(await post(client, "/safety/email/confirm", code=code_in(box.letters[0]))) == "expired"
    assert not (await person(app, other)).email_verified
    client.cookies.clear()
    client.cookies.set(SESSION, mine)
    for remaining in range(TRIES - 1, 0, -1):
        wrong = await post(client, "/safety/email/confirm", code="00000-00000")
        assert (wrong.status_code, code_of(wrong)) == (422, "refused"), remaining
    assert code_of(await post(client, "/safety/email/confirm", code="00000-00000")) == "expired"
    assert code_of(await post(client, "/safety/email/confirm", code=code_in(box.letters[0]))) == "expired"
    assert not (await person(app, account_id)).email_verified


async def test_of_many_who_type_the_code_at_once_one_is_right(app: Building, client: Any, box: Letterbox) -> None:
    """Invariant I7."""
    account_id = await inside(app, client)
    await post(client, "/safety/email", email=OLD)
    await deliver(app)
    code = code_in(box.letters[0])
    answers = await asyncio.gather(*(post(client, "/safety/email/confirm", code=code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [422] * 7
    assert (await actions(app, account_id)).count("identity.email.verified") == 1


async def test_a_code_runs_out_and_its_letter_is_not_sent_late(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    await inside(app, client)
    box.shut = True
    await post(client, "/safety/email", email=OLD)
    await deliver(app)
    clock.advance(seconds=1800)
    box.shut = False
    await deliver(app)
    assert box.letters == []
    assert code_of(await post(client, "/safety/email/confirm", code="00000-00000")) == "expired"


async def test_an_address_of_somebody_else_gets_the_same_answer_as_nobodys(
    app: Building, client: Any, box: Letterbox
) -> None:
    """No oracle on whether an address is known."""
    await inside(app, client)
    await prove(app, client, box, OLD)
    client.cookies.clear()
    await inside(app, client, "mallory")
    await client.get("/safety")  # takes up the notice
    pages = []
    for address in (OLD, EVIL):
        answer = await post(client, "/safety/email", email=address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/safety/email")
        pages.append((await client.get("/safety/email")).text.replace(address, "ADDRESS"))
    assert pages[0] == pages[1]


@pytest.mark.parametrize("wrong", ["hana", "hana@mail.example\r\nBcc: x@evil.example", "a@b.example, c@d.example", ""])
async def test_what_is_no_address_is_said_beside_the_field(app: Building, client: Any, wrong: str) -> None:
    await inside(app, client)
    answer = await post(client, "/safety/email", email=wrong)
    assert (answer.status_code, code_of(answer), 'id="email-error"' in answer.text) == (422, "address", True)


async def test_nobodys_mailbox_is_filled_from_here(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    """By address whoever asks, and by account whatever it asks."""
    await inside(app, client)
    for _ in range(3):
        assert (await post(client, "/safety/email", email=EVIL)).status_code == 303
    client.cookies.clear()
    await inside(app, client, "mallory")
    refused = await post(client, "/safety/email", email=EVIL.upper())
    assert (refused.status_code, code_of(refused), "retry-after" in refused.headers) == (429, "throttled", True)
    answers = [await post(client, "/safety/email", email=f"x{number}@evil.example") for number in range(6)]
    assert [answer.status_code for answer in answers] == [303] * 5 + [429]


async def test_strangers_who_ask_for_codes_to_an_address_keep_its_owner_from_none(
    app: Building, client: Any, box: Letterbox
) -> None:
    """The attack: the letters of an address are worn out from accounts and networks of a stranger, and its owner never
    gets the code that would prove it."""
    for number in range(5):
        async with elsewhere(app, number) as stranger:
            await inside(app, stranger, f"mallory{number}")
            asked = [(await post(stranger, "/safety/email", email=OLD)).status_code for _ in range(5)]
            assert asked[0] == 303
    assert asked[1:] == [429] * 4  # of the last of them every letter but the first is one too many for this mailbox
    await inside(app, client)
    assert code_of(await prove(app, client, box, OLD)) != "throttled"
    assert (await client.get("/safety/email")).text.count(OLD) >= 1


async def test_another_address_waits_and_the_old_one_is_told_and_can_stop_it(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    """A stolen session can't silence the letters first and the owner after."""
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    done = await prove(app, client, box, EVIL)
    assert done.status_code == 303
    await deliver(app)
    assert (await person(app, account_id)).email == OLD
    assert 'id="waiting"' in (await client.get("/safety/email")).text
    warned = box.to(OLD)[-1]
    assert warned.subject == i18n.language("ja").gettext(letters.KINDS["email-waiting"].subject)
    assert EVIL not in warned.text
    clock.advance(seconds=3 * 86_400 - 60)
    await job(app, "identity.emails.apply")
    assert (await person(app, account_id)).email == OLD
    way = link_in(warned, "/not-me")
    stranger = {"cookie": "", "origin": "http://localhost:8080"}
    page = await client.get(way, headers=stranger)
    assert 'id="not-me"' in page.text
    assert "identity.alarm.raised" not in await actions(app, account_id)  # looking does nothing
    ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert ticket
    stopped = await client.post("/not-me", data={"ticket": ticket[1]}, headers=stranger)
    assert (stopped.status_code, code_of(stopped)) == (200, "alarm")
    assert (await client.get("/safety")).status_code == 303  # whoever was in is out
    clock.advance(seconds=7 * 86_400)
    await job(app, "identity.emails.apply")
    assert (await person(app, account_id)).email == OLD


async def test_after_the_wait_the_new_address_counts_and_the_old_one_gets_a_last_letter(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    await prove(app, client, box, NEW)
    clock.advance(seconds=3 * 86_400)
    await job(app, "identity.emails.apply")
    await deliver(app)
    assert ((await person(app, account_id)).email, (await person(app, account_id)).email_verified) == (NEW, True)
    assert box.to(OLD)[-1].subject == i18n.language("ja").gettext(letters.KINDS["email-left"].subject)
    assert len(box.to(NEW)) == 2  # its code, and that it counts now


async def test_what_receivers_of_signals_keep_out_under_a_former_address_goes_with_it(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    """SSF 1.0 section 8.1.3: when the person leaves, nobody knows their former addresses any more."""
    await inside(app, client)
    await prove(app, client, box, OLD)
    sealer, hasher = app.host.get(Sealer), app.host.get(TokenHasher)

    def keep_out(session: Session) -> str:
        wish, now = streams.Wish((), Delivery(), ""), clock.ms()
        stream = streams.open_stream(session, sealer, client_id="cli_1", wish=wish, actor=SYSTEM, now=now)
        for address in (OLD, EVIL):
            row = left.row_of(hasher, stream.id, (subjects.email(address),), now)
            streams.leave_out(session, stream, row, actor=SYSTEM)
        return stream.id

    stream_id = await app.host.db.write(keep_out)
    assert len(await app.host.db.read(streams.left_of, stream_id)) == 2
    await prove(app, client, box, NEW)
    clock.advance(seconds=3 * 86_400)
    await job(app, "identity.emails.apply")
    evil = left.left_key(hasher, stream_id, (subjects.email(EVIL),))
    assert await app.host.db.read(streams.left_of, stream_id) == {evil}


async def test_an_address_can_be_taken_away_as_slowly_and_the_page_can_stop_it(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    assert (await post(client, "/safety/email/remove")).status_code == 303
    assert (await person(app, account_id)).email == OLD
    assert (await post(client, "/safety/email/stop")).status_code == 303
    clock.advance(seconds=60)
    await post(client, "/safety/email/remove")
    clock.advance(seconds=3 * 86_400)
    await job(app, "identity.emails.apply")
    assert (await person(app, account_id)).email is None


async def test_giving_and_taking_away_ask_for_a_sign_in_of_the_last_minutes_and_stopping_does_not(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    await inside(app, client)
    await prove(app, client, box, OLD)
    await prove(app, client, box, NEW)
    clock.advance(seconds=601)
    for path in ("/safety/email", "/safety/email/remove"):
        assert (await post(client, path, email=EVIL)).headers["location"].startswith("/sign-in?")
    assert (await post(client, "/safety/email/stop")).headers["location"] == "/safety/email"


# -- letters about what happened


async def test_a_new_browser_is_told_and_one_that_was_seen_before_is_not(
    app: Building, client: Any, box: Letterbox
) -> None:
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    await deliver(app)
    box.letters.clear()
    known = client.cookies.get("sekisho-local-browser")
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    await deliver(app)
    assert box.letters == []
    client.cookies.clear()
    safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"
    await client.post(
        "/sign-in",
        data={"login": "hana", "password": PASSWORD},
        headers={"origin": "http://localhost:8080", "user-agent": safari},
    )
    assert client.cookies.get("sekisho-local-browser") not in (None, known)
    await deliver(app)
    (letter,) = box.letters
    assert letter.to == OLD
    assert "Safari" in letter.text
    assert (await actions(app, account_id)).count("identity.browser.new") == 1


async def test_a_changed_password_is_told_by_letter_and_on_the_first_page_of_other_windows(
    app: Building, client: Any, box: Letterbox
) -> None:
    await inside(app, client)
    await prove(app, client, box, OLD)
    assert (await post(client, "/safety/password", password=NEW_PASSWORD, repeat=NEW_PASSWORD)).status_code == 303
    await deliver(app)
    subject = i18n.language("ja").gettext(letters.KINDS["password"].subject)
    (letter,) = (each for each in box.to(OLD) if each.subject == subject)
    assert NEW_PASSWORD not in letter.text
    here = await client.get("/home", headers={"accept-language": "en"})
    assert "your password was changed" not in here.text  # who did it knows
    client.cookies.clear()
    await post(client, "/sign-in", login="hana", password=NEW_PASSWORD)
    there = await client.get("/home", headers={"accept-language": "en"})
    assert "your password was changed" in there.text
    assert 'href="/not-me"' in there.text


async def test_this_was_not_me_on_the_page_keeps_this_window_and_ends_every_other(
    app: Building, client: Any, box: Letterbox
) -> None:
    await inside(app, client)
    other = client.cookies.get(SESSION)
    client.cookies.clear()
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert 'id="not-me"' in (await client.get("/not-me")).text
    done = await post(client, "/not-me", ticket="")
    assert (done.status_code, code_of(done)) == (200, "alarm")
    assert (await client.get("/safety")).status_code == 200
    client.cookies.clear()
    client.cookies.set(SESSION, other)
    assert (await client.get("/safety")).status_code == 303


async def test_after_this_was_not_me_every_browser_is_news_again(app: Building, client: Any, box: Letterbox) -> None:
    """Whoever was thrown out comes back with the browser that the owner was told of: that is told once more."""
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    client.cookies.clear()
    for _ in range(2):  # the second time it is known
        await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert (await actions(app, account_id)).count("identity.browser.new") == 1
    await post(client, "/not-me", ticket=app.host.get(Alarm).ticket(account_id))
    client.cookies.delete(SESSION)
    await post(client, "/sign-in", login="hana", password=PASSWORD)
    assert (await actions(app, account_id)).count("identity.browser.new") == 2


@pytest.mark.parametrize("ticket", ["x", "AAAA", "e30"])
async def test_a_ticket_that_is_not_ours_opens_nothing(app: Building, client: Any, ticket: str) -> None:
    assert (await client.get(f"/not-me?ticket={ticket}", headers={"accept": "text/html"})).status_code == 404
    assert (await post(client, "/not-me", ticket=ticket)).status_code == 404
    assert (await client.get("/not-me")).status_code == 303  # without one: sign in first


async def test_what_is_not_taken_is_sent_later_once_and_given_up_in_the_trail(
    app: Building, client: Any, box: Letterbox, clock: FrozenClock
) -> None:
    """The outbox is a table: a restart goes on where it stopped."""
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    await deliver(app)
    box.letters.clear()
    box.shut = True
    await post(client, "/safety/password", password=NEW_PASSWORD, repeat=NEW_PASSWORD)
    assert await deliver(app) == 0
    box.shut = False
    assert await deliver(app) == 0  # not before its time
    clock.advance(seconds=31)
    assert await deliver(app) == 1
    assert await deliver(app) == 0
    assert len(box.letters) == 1
    box.shut = True
    await post(client, "/sign-in", login="hana", password=NEW_PASSWORD)
    await post(client, "/safety/password", password=PASSWORD, repeat=PASSWORD)
    for _ in range(100):
        await deliver(app)
        clock.advance(seconds=3600)
    assert "identity.mail.undelivered" in await actions(app, account_id)


async def test_nothing_waits_in_clear_and_nobody_who_left_is_written_to(
    app: Building, client: Any, box: Letterbox
) -> None:
    """Invariant I6: address and code are sealed under the person's key while they wait."""

    account_id = await inside(app, client)
    await post(client, "/safety/email", email=OLD)

    def bodies(session: Session) -> list[bytes]:
        letters_only = outbox.outbox_table.select().where(outbox.outbox_table.c.topic == MAIL_TOPIC)
        return [bytes(row.body) for row in session.connection().execute(letters_only)]

    (body,) = await app.host.db.read(bodies)
    assert OLD.encode() not in body
    await app.host.db.write(
        close_account,
        app.host.get(Sealer),
        app.host.get(TokenHasher),
        account_id,
        now=app.host.clock.ms(),
        actor=SYSTEM,
    )
    assert await app.host.db.read(bodies) == []
    assert await deliver(app) == 0


def test_every_letter_has_its_words_in_both_languages_and_no_secret_but_the_code_that_was_asked_for() -> None:
    assert set(TOLD.values()) < set(letters.KINDS)
    facts = {"until": 1_795_312_800_000, "code": "7K2QM-9XW4T", "device": "x", "session": "ses_1", "passkey": "pky_1"}
    for lang in i18n.LANGUAGES:
        language = i18n.language(lang)
        for name, kind in letters.KINDS.items():
            with i18n.speaking(language):
                words = letters._compose(kind, language, facts, DAY, issuer="https://id.example", ticket="T")
            assert ("7K2QM" in words.text) == (name in ("email-code", "recover-code")), name
            assert "ses_1" not in words.text
            assert "pky_1" not in words.text
            assert ("https://id.example/not-me?ticket=T" in words.text) == kind.sign_in
            assert "%(" not in words.text + words.subject
            assert "\n" not in words.subject


async def test_a_passkey_or_app_that_comes_or_goes_is_told(app: Building, client: Any, box: Letterbox) -> None:
    account_id = await inside(app, client)
    await prove(app, client, box, OLD)
    page = await client.get("/safety/app")
    secret = re.search(r'id="secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")  # type: ignore[index]
    await post(client, "/safety/app", code=code_at(secret, app.host.clock.ms()))
    await post(client, "/safety/codes", next="/safety")
    await deliver(app)
    subjects = [letter.subject for letter in box.to(OLD)]
    ja = i18n.language("ja").gettext
    assert {ja(letters.KINDS["app"].subject), ja(letters.KINDS["codes"].subject)} <= set(subjects)
    assert account_id not in "".join(letter.text for letter in box.letters)


async def test_letters_that_are_files_do_not_outlive_their_days_whoever_left_meanwhile(
    app: Building, client: Any
) -> None:
    account_id = await inside(app, client)
    assert (await post(client, "/safety/email", email=OLD)).status_code == 303
    await deliver(app)
    place = app.settings.data / "mail"
    assert OLD in "".join(path.read_text() for path in place.glob("*.eml"))
    host = app.host
    await host.db.write(
        close_account, host.get(Sealer), host.get(TokenHasher), account_id, now=host.clock.ms(), actor=SYSTEM
    )
    assert isinstance(host.clock, FrozenClock)
    host.clock.advance(seconds=app.settings.mail.keep_days * DAY // 1000 - 60)
    await job(app, "kit.mail.sweep")
    assert list(place.iterdir())
    host.clock.advance(seconds=120)
    await job(app, "kit.mail.sweep")
    assert not list(place.iterdir())
