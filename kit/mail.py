"""Letters by e-mail: plain text, to one person, by SMTP or into a directory.

RFC 5321 (addresses: dot-strings and domain names only, no quoted local parts, no literals), RFC 5322, RFC 3834 (what a
program wrote says so, and nothing answers it). A connection to another machine is encrypted or not made (RFC
8314 section 3.3 and RFC 3207). The directory is for trying out and for machines without mail: it holds what was written
in clear, for its owner alone, and only for some days: people leave, and nobody looks for their letters here.
"""

import asyncio
import os
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from kit.clock import Millis, to_datetime

MOST = 254  # RFC 5321 section 4.5.3.1.3, without the angle brackets
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class MailSettings(BaseModel):
    """How letters leave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = Field(
        None,
        description="SMTP server that takes our letters; without one they are files below `mail` in the data folder",
    )
    port: int = Field(587, ge=1, le=65_535, description="Its port")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="`starttls`, `tls` from the first byte (port 465), or `none` (this machine only)"
    )
    ca_file: Path | None = Field(None, description="Certificate authorities to trust instead of the system's (PEM)")
    user: str | None = Field(None, description="Whom we sign in there as")
    password: SecretStr | None = Field(None, description="With which password")
    sender: str = Field("sekisho@localhost", description="The address letters come from")
    keep_days: int = Field(3, ge=1, le=365, description="Letters that are files are deleted after so many days")
    seconds: float = Field(20.0, gt=0, le=120, description="How long handing over one letter may take")

    @model_validator(mode="after")
    def _not_in_clear(self) -> "MailSettings":
        if self.security == "none" and self.host is not None and not _is_here(self.host):
            raise ValueError("letters leave this machine encrypted: set security to starttls or tls")
        if (self.user is None) != (self.password is None):
            raise ValueError("user and password belong together")
        read_address(self.sender)
        return self


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one person. `id` names it: sent twice, it is still one."""

    id: str
    to: str
    subject: str
    text: str
    lang: str
    at: Millis


class NotSent(Exception):
    """The letter was not taken. `reason` is a stable word; the server's own words may hold the address."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mailbox:
    """Takes letters."""

    async def put(self, letter: Letter) -> None:
        """Returns when the letter is somebody else's to lose; raises NotSent."""
        raise NotImplementedError


def read_address(text: str) -> str:
    """An address as it is kept: the domain in lower case, the rest as it was written; raises ValueError.

    Only what every server takes (RFC 5321 section 4.1.2, Dot-string): no comments, quotes, blanks or line ends, so an
    address can't carry a header or a second address with it.
    """
    local, at, domain = text.strip().rpartition("@")
    labels = domain.split(".")
    if not at or len(text) > MOST or len(local) > 64 or not _LOCAL.fullmatch(local):
        raise ValueError("not an e-mail address")
    if (len(labels) < 2 and domain != "localhost") or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("not an e-mail address")
    return f"{local}@{domain.lower()}"


def written(letter: Letter, sender: str) -> EmailMessage:
    """The letter as it travels."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.to
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(to_datetime(letter.at))
    message["Message-ID"] = f"<{letter.id}@{sender.rpartition('@')[2]}>"
    message["Content-Language"] = letter.lang
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    message.set_content(letter.text, cte="base64" if not letter.text.isascii() else None)
    return message


class FileMailbox(Mailbox):
    """A directory with one file for each letter, written whole or not at all."""

    def __init__(self, place: Path, sender: str) -> None:
        self.place = place
        self._sender = sender

    async def put(self, letter: Letter) -> None:
        """Write it down; the same letter again takes its own place. Raises NotSent."""
        try:
            await asyncio.to_thread(self._write, letter)
        except OSError as error:
            raise NotSent("file") from error

    def _write(self, letter: Letter) -> None:
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, half = self.place / f"{letter.id}.eml", self.place / f".{letter.id}.half"
        handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(written(letter, self._sender).as_bytes())
            file.flush()
            os.fsync(file.fileno())
        os.utime(half, ns=(letter.at * 1_000_000,) * 2)  # it is as old as what it tells
        half.replace(path)


class SmtpMailbox(Mailbox):
    """A server that carries letters on (aiosmtplib)."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def put(self, letter: Letter) -> None:
        """Hand it over, on a connection of its own. Raises NotSent."""
        import ssl

        import aiosmtplib

        settings = self._settings
        context = ssl.create_default_context(cafile=settings.ca_file) if settings.security != "none" else None
        try:
            refused, _ = await aiosmtplib.send(
                written(letter, settings.sender),
                sender=settings.sender,
                recipients=[letter.to],
                hostname=settings.host,
                port=settings.port,
                username=settings.user,
                password=settings.password.get_secret_value() if settings.password else None,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",  # True, never "if offered": a stripped offer ends it
                tls_context=context,
                timeout=settings.seconds,
            )
        except aiosmtplib.SMTPResponseException as error:
            raise NotSent(f"smtp-{error.code}") from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotSent(f"smtp-{type(error).__name__}") from None
        if refused:
            raise NotSent("smtp-refused")


def sweep(place: Path, before: Millis) -> int:
    """Delete letters from before then, also where they go to a server by now; how many."""
    old = [path for path in place.glob("*.eml") if path.stat().st_mtime_ns < before * 1_000_000]
    old += [path for path in place.glob(".*.half") if path.stat().st_mtime_ns < before * 1_000_000]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def mailbox(settings: MailSettings, place: Path) -> Mailbox:
    """Where letters go: the server, or files in this directory."""
    return FileMailbox(place, settings.sender) if settings.host is None else SmtpMailbox(settings)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
