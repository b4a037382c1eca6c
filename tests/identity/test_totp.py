"""App codes: right once, for a minute and a half."""

import asyncio
import re
from collections.abc import AsyncIterator

import pytest

from identity import totp
from identity.errors_account import CodeRefused
from kit.clock import FrozenClock
from kit.db import Database, Session
from tests.support.authenticator_app import code_at
from tests.support.office import Office, open_office, person

pytestmark = pytest.mark.anyio

# RFC 6238 appendix B: the SHA-1 key "12345678901234567890", in base32; the last six digits of the eight given there.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
RFC_VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
]


@pytest.fixture
async def office(db: Database, clock: FrozenClock) -> AsyncIterator[Office]:
    async with open_office(db, clock) as made:
        yield made


@pytest.mark.parametrize(("seconds", "code"), RFC_VECTORS)
def test_reads_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(RFC_SECRET, seconds * 1000) == code
    assert totp.matching_step(RFC_SECRET, code, now=seconds * 1000) == seconds // 30


@pytest.mark.parametrize("written", ["287 082", " 287082 ", "287-082", "２８７０８２"])
def test_reads_a_code_the_way_people_write_it(written: str) -> None:
    assert totp.matching_step(RFC_SECRET, written, now=59_000) == 1


@pytest.mark.parametrize("written", ["", "28708", "2870822", "28708a", "٢٨٧٠٨٢", "-287082x", "287082\n1"])
def test_refuses_what_is_no_code(written: str) -> None:
    assert totp.matching_step(RFC_SECRET, written, now=59_000) is None


def test_one_step_early_or_late_is_accepted_and_two_are_not() -> None:
    now = 1_795_000_000_000
    for steps, accepted in ((-2, False), (-1, True), (0, True), (1, True), (2, False)):
        code = code_at(RFC_SECRET, now + steps * totp.STEP_MS)
        assert (totp.matching_step(RFC_SECRET, code, now=now) is not None) is accepted


async def test_one_code_sent_by_eight_browsers_at_once_is_accepted_once(office: Office) -> None:
    """Invariant I7; RFC 6238 section 5.2."""
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    now = office.clock.ms()
    code = code_at(secret, now)
    answers = await asyncio.gather(
        *(office.db.write(totp.accept, office.sealer, account_id, code, now=now) for _ in range(8))
    )
    assert sorted(answers) == [False] * 7 + [True]


async def test_an_earlier_step_is_refused_after_a_later_one(office: Office) -> None:
    account_id = await office.add()
    secret = await office.add_totp(account_id)
    now = office.clock.ms()
    earlier, current = code_at(secret, now - totp.STEP_MS), code_at(secret, now)
    assert await office.db.write(totp.accept, office.sealer, account_id, current, now=now)
    assert not await office.db.write(totp.accept, office.sealer, account_id, earlier, now=now)
    office.clock.advance(seconds=30)
    later = code_at(secret, office.clock.ms())
    assert await office.db.write(totp.accept, office.sealer, account_id, later, now=office.clock.ms())


async def test_an_account_without_an_app_accepts_no_code(office: Office) -> None:
    account_id = await office.add()
    code = code_at(RFC_SECRET, office.clock.ms())
    assert not await office.db.write(totp.accept, office.sealer, account_id, code, now=office.clock.ms())


async def begin(office: Office, account_id: str) -> totp.SetUp:
    return await office.db.write(
        totp.set_up,
        office.sealer,
        account_id,
        secret=totp.new_secret(),
        label="hana",
        issuer="Minato-hama",
        now=office.clock.ms(),
        actor=person(account_id),
    )


async def confirm(office: Office, account_id: str, code: str) -> None:
    await office.db.write(
        totp.confirm, office.sealer, account_id, code, now=office.clock.ms(), actor=person(account_id)
    )


def on(office: Office, account_id: str) -> object:
    def read(session: Session) -> bool:
        return totp.is_on(session, account_id)

    return office.db.read(read)


async def test_setting_up_needs_a_first_right_code(office: Office) -> None:
    account_id = await office.add()
    waiting = await begin(office, account_id)
    assert not await on(office, account_id)  # type: ignore[misc]
    with pytest.raises(CodeRefused):
        await confirm(office, account_id, "000000")
    code = code_at(waiting.secret, office.clock.ms())
    await confirm(office, account_id, code)
    assert await on(office, account_id)  # type: ignore[misc]
    # The code that confirmed is spent as well.
    assert not await office.db.write(totp.accept, office.sealer, account_id, code, now=office.clock.ms())


async def test_reloading_the_page_shows_the_same_qr_code(office: Office) -> None:
    account_id = await office.add()
    assert await begin(office, account_id) == await begin(office, account_id)


async def test_a_set_up_left_for_an_hour_starts_anew(office: Office) -> None:
    account_id = await office.add()
    first = await begin(office, account_id)
    office.clock.advance(seconds=3600)
    with pytest.raises(CodeRefused):
        await confirm(office, account_id, code_at(first.secret, office.clock.ms()))
    assert (await begin(office, account_id)).secret != first.secret


async def test_the_old_app_works_until_the_new_one_is_confirmed(office: Office) -> None:
    account_id = await office.add()
    old = await office.add_totp(account_id)
    waiting = await begin(office, account_id)
    now = office.clock.ms()
    assert await office.db.write(totp.accept, office.sealer, account_id, code_at(old, now), now=now)
    await confirm(office, account_id, code_at(waiting.secret, now))
    office.clock.advance(seconds=60)
    now = office.clock.ms()
    assert not await office.db.write(totp.accept, office.sealer, account_id, code_at(old, now), now=now)


def test_the_qr_code_is_svg_without_styles_or_scripts() -> None:
    drawn = totp.SetUp("ABCD", "otpauth://totp/x?secret=ABCD").qr_svg()
    assert drawn.startswith("<svg")
    assert "style=" not in drawn
    assert "script" not in drawn


def test_the_qr_code_is_whole_at_any_size() -> None:
    """Without a viewBox a picture that the page draws smaller is cut off, and no phone reads it."""
    drawn = totp.SetUp("ABCD", f"otpauth://totp/Sekisho:{'x' * 60}?secret={'A' * 32}&issuer=Sekisho").qr_svg()
    assert re.search(r"<svg[^>]* viewBox=\"0 0 (\d+) \1\"", drawn)
    assert not re.search(r"<svg[^>]* width=", drawn)


def test_the_secret_is_shown_in_groups_of_four() -> None:
    assert totp.SetUp("ABCDEFGHIJ", "otpauth://x").spaced() == "ABCD EFGH IJ"
