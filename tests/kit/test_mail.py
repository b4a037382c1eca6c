"""Letters by e-mail: addresses that are one address, files that are whole, a way out that is encrypted or not made."""

import asyncio
import email
import email.policy
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from kit.clock import DAY, FrozenClock
from kit.mail import FileMailbox, Letter, MailSettings, NotSent, SmtpMailbox, read_address, sweep

pytestmark = pytest.mark.anyio

LETTER = Letter("ltr_1", "hana@mail.example", "お知らせ", "パスワードが変わりました。\n", "ja", FrozenClock().ms())


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("hana@mail.example", "hana@mail.example"),
        (" Hana.Minato+city@Mail.EXAMPLE ", "Hana.Minato+city@mail.example"),
        ("o'neill@xn--eckwd4c7c.example", "o'neill@xn--eckwd4c7c.example"),
        ("sekisho@localhost", "sekisho@localhost"),
    ],
)
def test_an_address_is_kept_as_it_was_written_but_for_its_domain(typed: str, kept: str) -> None:
    """RFC 5321 section 2.4: the local part is its host's to judge, a domain has no case."""
    assert read_address(typed) == kept


@pytest.mark.parametrize(
    "typed",
    [
        "", "hana", "@mail.example", "hana@", "hana@mail", "hana@@mail.example", "a@b.example,c@d.example",
        "a@b.example c@d.example", "hana@mail.example\r\nBcc: x@evil.example", "hana@mail.example\nx",
        "<hana@b.example>", 'Hana <hana@b.example>', '"a b"@mail.example', "hana@[192.0.2.1]", "hana@mail..example",
        "hana@-mail.example",
        ".hana@mail.example", "hana.@mail.example", "ha\x00na@mail.example", "花@mail.example", "hana@メール.example",
        "hana@mail\u2028.example", "x" * 65 + "@mail.example", "hana@" + "a." * 130 + "example",
        "hana@mail.example@evil",
    ],
)  # fmt: skip
def test_what_is_not_exactly_one_plain_address_is_none(typed: str) -> None:
    """RFC 5321 section 4.1.2 (Dot-string, Domain); closes header injection and second recipients."""
    with pytest.raises(ValueError):
        read_address(typed)


async def test_a_letter_is_a_file_of_its_own_whole_and_private(tmp_path: Path) -> None:
    box = FileMailbox(tmp_path / "mail", "sekisho@city.example")
    await box.put(LETTER)
    await box.put(LETTER)  # sent twice, it is still one
    (path,) = box.place.iterdir()
    assert (path.stat().st_mode & 0o777, box.place.stat().st_mode & 0o777) == (0o600, 0o700)
    found = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert (found["to"], found["subject"], found["from"]) == ("hana@mail.example", "お知らせ", "sekisho@city.example")
    assert found["auto-submitted"] == "auto-generated"  # RFC 3834 section 5
    assert found["message-id"] == "<ltr_1@city.example>"
    assert found.get_content() == LETTER.text  # type: ignore[attr-defined]


async def test_files_go_after_their_days_also_those_half_written(tmp_path: Path) -> None:
    box = FileMailbox(tmp_path / "mail", "sekisho@city.example")
    assert sweep(box.place, LETTER.at) == 0  # nobody has had a letter
    for number in range(3):
        await box.put(replace(LETTER, id=f"ltr_{number}", at=LETTER.at + number * DAY))
    half = box.place / ".ltr_9.half"
    half.write_text("half")
    os.utime(half, ns=(LETTER.at * 1_000_000,) * 2)
    assert sweep(box.place, LETTER.at) == 0
    assert sweep(box.place, LETTER.at + 2 * DAY) == 3
    assert [path.name for path in box.place.iterdir()] == ["ltr_2.eml"]


class Server:
    """A mail server that answers as it is told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.taken.append(envelope.content)
        return self.answer


@asynccontextmanager
async def smtp() -> AsyncIterator[tuple[Server, int]]:
    from aiosmtpd.smtp import SMTP

    handler = Server()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    try:
        yield handler, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_a_server_takes_the_letter_or_says_why_not() -> None:
    async with smtp() as (server, port):
        box = SmtpMailbox(MailSettings(host="127.0.0.1", port=port, security="none", sender="sekisho@city.example"))
        await box.put(LETTER)
        assert b"To: hana@mail.example" in server.taken[0]
        server.answer = "451 try later, hana@mail.example"
        with pytest.raises(NotSent) as refused:
            await box.put(LETTER)
        assert refused.value.reason == "smtp-451"  # the server's own words may hold the address
    with pytest.raises(NotSent):
        await box.put(LETTER)


async def test_a_server_that_offers_no_encryption_gets_no_letter() -> None:
    """RFC 3207 section 6: whoever strips the offer from the line must not get the letter in clear."""
    async with smtp() as (server, port):
        box = SmtpMailbox(MailSettings(host="127.0.0.1", port=port))
        with pytest.raises(NotSent):
            await box.put(LETTER)
        assert server.taken == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "mail.example", "security": "none"},
        {"host": "192.0.2.1", "security": "none"},
        {"user": "sekisho"},
        {"sender": "Sekisho <a@b.example>"},
        {"port": 0},
    ],
)
def test_settings_that_would_send_in_clear_or_half_signed_in_are_refused(wrong: dict[str, Any]) -> None:
    """RFC 8314 section 3: cleartext is obsolete."""
    with pytest.raises(ValidationError):
        MailSettings(**wrong)
